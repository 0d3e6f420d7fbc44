#!/usr/bin/env bash
# `clgrad check` outlives its driver: one that crashes, hangs or ends the process while it builds a kernel costs the row.
set -uo pipefail
clgrad=${CLGRAD:?the path of the program}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0
export XDG_CACHE_HOME=$folder CLGRAD_CACHE_DIR=off

fail() {
    printf 'FAIL: %s\n' "$*"
    failures=$((failures + 1))
}

"$clgrad" check --device nosuch >"$folder/out" 2>"$folder/err"
[ $? -eq 2 ] || fail "a device that is not known: exit status $?, not 2"
[ -s "$folder/out" ] && fail "a device that is not known: $(cat "$folder/out")"

if ! "$clgrad" check --device opencl negate >"$folder/out" 2>&1; then
    [ "${CLGRAD_REQUIRE_OPENCL:-0}" = 1 ] && fail "no OpenCL device: $(cat "$folder/out")"
    echo "no OpenCL device: faults of drivers not tried"
    exit "$((failures > 0))"
fi

# clBuildProgram that goes wrong the first time that the file $FAULT_ONCE is there.
cat >"$folder/fault.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void *clCreateContext(const void *properties, unsigned count, const void *devices, void *notify, void *data, int *code)
{
    void *(*next)(const void *, unsigned, const void *, void *, void *, int *) =
        (void *(*)(const void *, unsigned, const void *, void *, void *, int *))dlsym(RTLD_NEXT, "clCreateContext");
    if (!strcmp(getenv("FAULT"), "open"))
        abort();
    return next(properties, count, devices, notify, data, code);
}
int clBuildProgram(void *program, unsigned count, const void *devices, const char *options, void *notify, void *data)
{
    int (*next)(void *, unsigned, const void *, const char *, void *, void *) =
        (int (*)(void *, unsigned, const void *, const char *, void *, void *))dlsym(RTLD_NEXT, "clBuildProgram");
    const char *fault = getenv("FAULT");
    if (unlink(getenv("FAULT_ONCE")) == 0) {
        if (!strcmp(fault, "crash"))
            abort();
        if (!strcmp(fault, "exit"))
            _exit(0);
        for (;;)
            pause();
    }
    return next(program, count, devices, options, notify, data);
}
C
${CC:-cc} -shared -fPIC -w -o "$folder/fault.so" "$folder/fault.c" -ldl || { fail "the fault does not compile"; exit 1; }

# expect FAULT MESSAGE: the first row fails with the message, the second is checked.
expect() {
    touch "$folder/once"
    FAULT=$1 FAULT_ONCE=$folder/once LD_PRELOAD=$folder/fault.so \
        "$clgrad" check --device opencl --limit 20 negate add >"$folder/out" 2>"$folder/err"
    [ $? -eq 1 ] || fail "$1: exit status $?, not 1"
    grep -qE "^negate +- +- +FAIL: $2" "$folder/out" || fail "$1: no '$2': $(cat "$folder/out" "$folder/err")"
    grep -qE '^add .* PASS$' "$folder/out" || fail "$1: the next row was not checked: $(cat "$folder/out")"
    grep -qx '1 passed, 1 failed' "$folder/out" || fail "$1: $(tail -n 1 "$folder/out")"
}
expect crash 'the driver ended the process: Aborted'
expect exit 'the driver ended the process$'
expect hang 'not done after 20 s \(--limit\)$'
FAULT=open FAULT_ONCE=$folder/once LD_PRELOAD=$folder/fault.so \
    "$clgrad" check --device opencl negate >"$folder/out" 2>"$folder/err"
[ $? -eq 1 ] || fail "open: exit status $?, not 1"
grep -q '^clgrad check: opening the device: the driver ended the process: Aborted$' "$folder/err" ||
    fail "open: $(cat "$folder/out" "$folder/err")"
[ "$failures" -eq 0 ] && echo "ok: check"
exit "$((failures > 0))"
