#!/usr/bin/env bash
# README.md stays true: its table of operations is what the program prints, its example is a tested one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
failures=0

between() { # the lines between the markers <!-- NAME --> and <!-- end -->
    sed -n "/^<!-- $1 -->$/,/^<!-- end -->$/p" README.md | sed '1d;$d'
}

if ! diff <(between operations) <("${CLGRAD:?the path of the program}" ops --markdown); then
    echo "FAIL: the table of operations is not what 'clgrad ops --markdown' prints"
    failures=1
fi

# Each line of the example, but its braces and its words, stands in examples/square.c.
lines=0
while IFS= read -r line; do
    line=$(sed -E 's/^ +//; s/;? *$//' <<<"$line")
    case $line in '' | \`\`\`*) continue ;; esac
    lines=$((lines + 1))
    grep -qF -- "$line" examples/square.c || { echo "FAIL: not in examples/square.c: $line"; failures=1; }
done < <(between example)
[ "$lines" -ge 6 ] || { echo "FAIL: README.md has no example"; failures=1; }

for path in $(grep -oE '\]\([a-zA-Z][^):#]*\)' README.md | tr -d '()]'); do
    [ -e "$path" ] || { echo "FAIL: README.md links to $path, which does not exist"; failures=1; }
done
[ "$failures" -eq 0 ] && echo "ok: README.md"
exit "$failures"
