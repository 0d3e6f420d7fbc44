#!/usr/bin/env bash
# README.md and docs/ stay true: the table of operations is what the program prints, examples are tested ones, what is
# named exists.
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

# Each line of an example, but its braces and its words, stands in a program that is tested.
stands_in() { # stands_in NAME SOURCE LEAST: the lines between NAME's markers, at least so many
    local lines=0 line
    while IFS= read -r line; do
        line=$(sed -E 's/^ +//; s/;? *$//' <<<"$line")
        case $line in '' | \`\`\`*) continue ;; esac
        lines=$((lines + 1))
        grep -qF -- "$line" "$2" || { echo "FAIL: not in $2: $line"; failures=1; }
    done < <(between "$1")
    [ "$lines" -ge "$3" ] || { echo "FAIL: README.md has no example '$1'"; failures=1; }
}
stands_in example examples/square.c 6
stands_in contractions examples/convolution.c 3

for path in $(grep -oE '\]\([a-zA-Z][^):#]*\)' README.md | tr -d '()]'); do
    [ -e "$path" ] || { echo "FAIL: README.md links to $path, which does not exist"; failures=1; }
done
# Functions that the documents name are declared, tests that they name exist.
while IFS= read -r name; do
    grep -qE "\b$name\(" include/clgrad/*.h || { echo "FAIL: no header declares $name"; failures=1; }
done < <(grep -ohE '`clg_[a-z0-9_]+`' README.md docs/*.md | tr -d '`' | sort -u)
while IFS= read -r name; do
    [ -e "tests/$name.c" ] || { echo "FAIL: docs/ name $name, which is not in tests/"; failures=1; }
done < <(grep -ohE '\btest_[a-z_]+\b' docs/*.md | sort -u)
[ "$failures" -eq 0 ] && echo "ok: README.md"
exit "$failures"
