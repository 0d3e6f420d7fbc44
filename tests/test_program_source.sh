#!/usr/bin/env bash
# The C programs that tests/test_programs.c prints of random programs compile against the public headers, without a
# warning, and find no difference between a program as a whole and its nodes one by one.
set -euo pipefail

build=${CLGRAD_BUILD:?the build folder}
headers=$(cd "$(dirname "$0")/../include" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ -x "$build/tests/test_programs" ] && [ -e "$build/libclgrad.so" ] || exit 77 # built without cmocka, or static

seed=${CLGRAD_TEST_SEED:-$(date +%s)}
echo "CLGRAD_TEST_SEED=$seed"
for ((i = 0; i < 4; i++)); do
    CLGRAD_TEST_SEED=$((seed + i)) CLGRAD_TEST_FILTER=test_source CLGRAD_TEST_SOURCE=$folder/program.c \
        "$build/tests/test_programs" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    # shellcheck disable=SC2086 # flags are words
    ${CC:-cc} ${CFLAGS:-} -std=c11 -Wall -Wextra -Werror -Wno-unused-variable -I "$headers" "$folder/program.c" \
        -o "$folder/program" -L "$build" -lclgrad -lm -Wl,-rpath,"$build"
    "$folder/program" cpu >"$folder/result"
    awk '/^output/ && !($3 <= 1e-6) { wrong = 1 } /^output/ { count++ } END { exit wrong || !count }' \
        "$folder/result" || { cat "$folder/program.c" "$folder/result"; exit 1; }
done
echo "four programs agree with their nodes"
