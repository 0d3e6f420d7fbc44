# What .ci/run and .ci/portability share: stages that are counted, builds, packages, and other processors under emulation.
# Sourced by a script in the repository's root, which has set $builds, a folder of its own.

passed=0
failed=0

stage() { # stage NAME COMMAND...: runs the command, shows its output if it fails, counts
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        passed=$((passed + 1))
        echo "== $name: passed in $((SECONDS - start)) s"
    else
        failed=$((failed + 1))
        echo "== $name: FAILED after $((SECONDS - start)) s"
    fi
}

quiet() { # runs a command; its output is shown only if it fails
    "$@" >"$builds/log" 2>&1 || { cat "$builds/log"; return 1; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

need() { # need FILE-OR-COMMAND PACKAGE...: installs the packages when it is missing
    { [ -e "$1" ] || command -v "$1" >/dev/null; } && return
    shift
    quiet as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

configure_and_build() { # configure_and_build NAME CMAKE-OPTION...
    local name=$1
    shift
    quiet cmake -S . -B "$builds/$name" -G Ninja -DCLGRAD_WARNINGS_AS_ERRORS=ON "$@" &&
        quiet cmake --build "$builds/$name"
}

run_ctest() { # run_ctest FOLDER CTEST-OPTION...
    local folder=$1
    shift
    (cd "$folder" && ctest --output-on-failure --no-tests=error -j 2 "$@")
}

# ---------------------------------------------------------------- packages of other architectures and sources
#
# apt with lists and a package database of its own: nothing of this machine's is changed.

apt_apart() { # apt_apart ARCHITECTURE APT-GET-ARGUMENT...
    local home=$builds/apt-$1
    mkdir -p "$home/lists/partial" "$home/cache/archives/partial" "$home/parts"
    touch "$home/status"
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        sed 's/^Types: .*/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources >"$home/parts/debian.sources"
    else
        sed -n -e p -e 's/^deb /deb-src /p' /etc/apt/sources.list >"$home/parts/debian.list"
    fi
    local options=(-q -o APT::Architecture="$1" -o APT::Architectures="$1" -o APT::Sandbox::User=root
        -o Dir::State::lists="$home/lists" -o Dir::State::status="$home/status" -o Dir::Cache="$home/cache"
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$home/parts")
    local try
    for try in 1 2 3; do # a mirror may be in the middle of an update
        [ ! -e "$home/updated" ] || break
        if apt-get "${options[@]}" update; then touch "$home/updated"; else sleep $((5 * try)); fi
    done
    shift
    apt-get "${options[@]}" "$@"
}

sysroot() { # sysroot ARCHITECTURE: what clgrad links with for it, in $builds/sysroot-ARCHITECTURE
    local root=$builds/sysroot-$1 file
    [ -e "$root/done" ] && return
    mkdir -p "$root/packages"
    (cd "$root/packages" &&
        apt_apart "$1" download zlib1g zlib1g-dev libcjson1 libcjson-dev libcmocka0 libcmocka-dev) || return
    for file in "$root"/packages/*.deb; do dpkg-deb -x "$file" "$root" || return; done
    # links to /lib/TRIPLET are meant below this root
    find "$root" -type l -lname '/*' | while read -r file; do
        ln -sf "$(realpath -m --relative-to="$(dirname "$file")" "$root$(readlink "$file")")" "$file"
    done
    touch "$root/done"
}

# ---------------------------------------------------------------- other processors

# cross_build ARCHITECTURE PROCESSOR TRIPLET STARTER: builds for the CPU path in $builds/PROCESSOR. STARTER: what runs a
# program there, a CMake list.
cross_build() {
    local architecture=$1 processor=$2 triplet=$3 starter=$4
    local multiarch=${triplet/i686/i386} root=$builds/sysroot-$architecture
    need "$triplet-gcc" "gcc-$triplet" && need "/usr/$triplet/include/stdio.h" "libc6-dev-$architecture-cross" &&
        need qemu-x86_64-static qemu-user-static && quiet sysroot "$architecture" &&
        configure_and_build "$processor" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$processor" \
            -DCMAKE_C_COMPILER="$triplet-gcc" -DCMAKE_FIND_ROOT_PATH="$root" \
            -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY \
            -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_LIBRARY_ARCHITECTURE="$multiarch" \
            -DCMAKE_BUILD_RPATH="$root/usr/lib/$multiarch;$root/lib/$multiarch" \
            -DCLGRAD_WITH_OPENCL=OFF -DCLGRAD_WITH_BLAS=OFF "-DCMAKE_CROSSCOMPILING_EMULATOR=$starter"
}

build_for() { # build_for x86_64|aarch64|s390x|i386: once
    [ -e "$builds/$1/built" ] && return
    case $1 in
        x86_64) need qemu-x86_64-static qemu-user-static &&
            configure_and_build x86_64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=x86_64 \
                -DCLGRAD_WITH_OPENCL=OFF -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-x86_64-static ;;
        aarch64) cross_build arm64 aarch64 aarch64-linux-gnu 'qemu-aarch64-static;-L;/usr/aarch64-linux-gnu' ;;
        s390x) cross_build s390x s390x s390x-linux-gnu 'qemu-s390x-static;-L;/usr/s390x-linux-gnu' ;;
        # no emulator: an x86-64 kernel runs it
        i386) cross_build i386 i386 i686-linux-gnu "/usr/i686-linux-gnu/lib/ld-linux.so.2;--library-path;/usr/i686-linux-gnu/lib:$builds/sysroot-i386/usr/lib/i386-linux-gnu:$builds/sysroot-i386/lib/i386-linux-gnu" ;;
    esac && touch "$builds/$1/built"
}

# The processors: name, build, QEMU_CPU. x86-64-v1 has neither AVX nor what came before it; no emulated one has AVX-512.
processors='
x86-64-v1 x86_64  max,-sse3,-ssse3,-sse4.1,-sse4.2,-avx,-avx2,-fma
x86-64-v3 x86_64  max
neon      aarch64 cortex-a72
sve256    aarch64 max,sve256=on,sve-max-vq=2
sve512    aarch64 max,sve512=on,sve-max-vq=4
s390x     s390x   max
i386      i386    -
'

on() { # on PROCESSOR COMMAND...: runs a command with $folder, its build folder, and QEMU_CPU set
    local folder build cpu
    read -r build cpu < <(awk -v name="$1" '$1 == name { print $2, $3 }' <<<"$processors")
    shift
    build_for "$build" || return
    folder=$builds/$build
    [ "$cpu" = - ] || local -x QEMU_CPU=$cpu
    "$@"
}

unit_tests() { run_ctest "$folder" -L unit "$@"; } # with on
start() { "$folder/tests/clgrad" "$@"; }           # with on: the program

# same_losses FILE FILE: the losses of every step agree to 1e-6
same_losses() {
    paste "$1" "$2" | awk '
        BEGIN { worst = 0 }
        NF != 2 { print "line " NR ": " $0; bad = 1; exit }
        { d = $1 - $2; d = d < 0 ? -d : d; if (!(d <= worst)) worst = d }
        END { if (bad || NR == 0 || !(worst <= 1e-6)) { print NR " steps, largest difference " worst; exit 1 }
              print NR " steps, largest difference " worst }'
}
