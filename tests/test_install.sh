#!/usr/bin/env bash
# Installs to a temporary prefix and uses what is there, as a stranger would: find_package with the shared and the
# static library, pkg-config with the shared one.
set -euo pipefail

cmake=${CMAKE:-cmake}
cc=${CC:-cc}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix

quiet() {
    "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; return 1; }
}

quiet "$cmake" --install "${CLGRAD_BUILD:?the build folder}" --prefix "$prefix"
libdir=$(dirname "$(find "$prefix" -name 'libclgrad.so.0')")
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export CLGRAD_DEVICE=cpu

for file in bin/clgrad include/clgrad/clgrad.h include/clgrad/functions.h include/clgrad/transforms.h \
    include/clgrad/random.h include/clgrad/nn.h include/clgrad/optim.h include/clgrad/data.h include/clgrad/io.h; do
    [ -e "$prefix/$file" ] || { echo "FAIL: $file is not installed"; exit 1; }
done
"$prefix/bin/clgrad" --version

mkdir "$folder/consumer"
cat >"$folder/consumer/main.c" <<'C'
#include <clgrad/clgrad.h>
#include <clgrad/data.h>
#include <clgrad/io.h>
#include <clgrad/nn.h>
#include <clgrad/optim.h>

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK)
        return 1;
    clg_graph *g = clg_graph_new(dev);
    clg_var x = clg_scalar(g, 2.0), y = clg_scalar(g, 3.0);
    clg_var z = clg_add(clg_square(x), clg_square(y));
    clg_backward(z);
    printf("%g %g %g\n", clg_item(z), clg_item(clg_grad(x)), clg_item(clg_grad(y)));
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
C
cat >"$folder/consumer/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.18)
project(consumer LANGUAGES C)
find_package(clgrad 0.1 REQUIRED)
add_executable(with_shared main.c)
target_link_libraries(with_shared PRIVATE clgrad::clgrad)
add_executable(with_static main.c)
target_link_libraries(with_static PRIVATE clgrad::clgrad_static)
C
quiet "$cmake" -S "$folder/consumer" -B "$folder/consumer/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc"
quiet "$cmake" --build "$folder/consumer/build"

check() { # check DESCRIPTION PROGRAM
    local printed
    printed=$("$2")
    [ "$printed" = "13 4 6" ] || { echo "FAIL: $1 printed '$printed'"; exit 1; }
    echo "ok: $1"
}
check "find_package, shared library" "$folder/consumer/build/with_shared"
check "find_package, static library" "$folder/consumer/build/with_static"

if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    # The file was made for the configured prefix; the installed tree may have moved.
    read -ra flags <<<"$(pkg-config --define-variable=prefix="$prefix" --cflags --libs clgrad)"
    # shellcheck disable=SC2086
    "$cc" ${CFLAGS:-} -std=c11 "$folder/consumer/main.c" -o "$folder/with_pkg_config" "${flags[@]}"
    check "pkg-config $(pkg-config --modversion clgrad)" "$folder/with_pkg_config"
fi

# The shared library shows the public names alone.
if command -v nm >/dev/null; then
    exported=$(nm -D --defined-only "$libdir/libclgrad.so") # whole: grep -q would leave nm with a broken pipe
    strangers=$(awk '$2 ~ /[TDBRV]/ && $3 !~ /^clg_/ { print $3 }' <<<"$exported")
    [ -z "$strangers" ] || { echo "FAIL: the shared library exports $strangers"; exit 1; }
    public=$(cat "$prefix"/include/clgrad/*.h)
    for name in $(awk '$2 == "T" { print $3 }' <<<"$exported"); do
        grep -qw "$name" <<<"$public" || { echo "FAIL: $name is exported, but in no public header"; exit 1; }
    done
    for name in $(grep -ohE '\bclg_[a-z0-9_]+\(' "$prefix"/include/clgrad/*.h | tr -d '(' | sort -u); do
        grep -qw "$name" <<<"$exported" || { echo "FAIL: $name is not exported"; exit 1; }
    done
    echo "ok: exported names"
fi
