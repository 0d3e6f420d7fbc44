#!/usr/bin/env bash
# From a fresh checkout to a trained model: installs what is missing, builds, runs. Safe to repeat; quick when there
# is nothing to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

packages=(build-essential cmake ninja-build pkg-config ocl-icd-opencl-dev opencl-headers libclblast-dev
          libcmocka-dev pocl-opencl-icd libopenblas-dev zlib1g-dev libcjson-dev dataset-fashion-mnist)
installed=''

usage() {
    cat <<'TEXT'
Usage: ./quickstart.sh [COMMAND] [ARGUMENTS passed on]

  train   install, build, train on Fashion-MNIST (the default); e.g. ./quickstart.sh train --epochs 1
  test    install, build, run the tests; e.g. ./quickstart.sh test -R cli
  build   install, build
  bench   install, build, run the benchmarks
  help    this text

Packages are installed with apt-get on Debian and Ubuntu (as root, or with sudo), and only those that are missing.
TEXT
}

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

report() { # report LOG MESSAGE: shows the end of a log, and fails
    tail -n 40 "$1" >&2
    rm -f "$1"
    fail "$2"
}

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_packages() {
    local missing tool root=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        for tool in cc cmake ninja; do
            command -v "$tool" >/dev/null || fail "$tool is missing. Needed: a C11 compiler, CMake 3.18, Ninja, zlib and" \
                "cJSON; wanted: an OpenCL ICD loader with headers, a driver (such as PoCL), CLBlast, OpenBLAS, cmocka." \
                "On Debian: ${packages[*]}"
        done
        return
    fi
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "these packages are missing, and there is neither root nor sudo to install" \
            "them: ${missing[*]}"
        root=(sudo)
    fi
    echo "Installing: ${missing[*]}"
    local log
    log=$(mktemp)
    { "${root[@]}" apt-get update && "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
        report "$log" "apt-get could not install: ${missing[*]}"
    rm -f "$log"
    installed=yes
}

build() {
    local log
    log=$(mktemp)
    # A cache from before packages were installed must look for them again.
    if [ ! -f build/CMakeCache.txt ] || [ -n "$installed" ]; then
        cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >"$log" 2>&1 || report "$log" "CMake failed"
        sed -n 's/^-- clgrad: /  /p' "$log"
    fi
    cmake --build build >"$log" 2>&1 || report "$log" "the build failed"
    rm -f "$log"
}

command=${1:-train}
[ $# -eq 0 ] || shift
case $command in
    help | -h | --help) usage && exit 0 ;;
    train | test | build | bench) ;;
    *) usage >&2 && echo "quickstart: unknown command '$command'" >&2 && exit 2 ;;
esac

install_packages
build
case $command in
    train) exec build/clgrad train "$@" ;;
    test) cd build && exec ctest --output-on-failure "$@" ;;
    bench) exec build/clgrad bench "$@" ;;
    build) echo "Built: build/clgrad" ;;
esac
