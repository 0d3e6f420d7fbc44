#!/usr/bin/env bash
# The two ways to read a command line, the C library's argp and ours for C libraries without it, say the same: help,
# usage, and what is wrong. Only where lines break may differ.
set -uo pipefail
clgrad=${CLGRAD:?the path of the program}
own=${CLGRAD_OWN_ARGP:-} # the same program with our argp
[ -n "$own" ] || { echo "no argp but ours: nothing to compare"; exit 77; }
difference=$(mktemp)
trap 'rm -f "$difference"' EXIT
failures=0

say() { # say PROGRAM ARGUMENT...: what it prints and its exit status, words only
    "$@" 2>&1 </dev/null
    echo "exit status $?"
}
for command in train devices check tune bench ops; do
    for arguments in --help '-?' --usage --usa --nosuch -X --device -d --help=3 --d=x --s '--seed=1 --se=2 --se' 'x --nosuch'; do
        # shellcheck disable=SC2086
        diff <(say "$clgrad" $command $arguments | tr -s ' \n' ' ') \
            <(say "$own" $command $arguments | tr -s ' \n' ' ') >"$difference" && continue
        printf 'FAIL: clgrad %s %s: < argp, > ours\n' "$command" "$arguments"
        cat "$difference"
        failures=$((failures + 1))
    done
done
[ "$failures" -eq 0 ] && echo "ok: argp"
exit "$((failures > 0))"
