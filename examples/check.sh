#!/usr/bin/env bash
# check.sh SOURCE PROGRAM... (what starts it may stand before it): the program must print the lines that follow
# "Prints:" in its source's leading comment.
set -euo pipefail

expected=$(sed -n '/^ \* Prints:$/,/\*\//p' "$1" | sed -e 1d -e 's/ *\*\/$//' -e 's/^ \*   *//')
printed=$("${@:2}")
if [ -z "$expected" ]; then
    echo "$1 does not say what it prints" >&2
    exit 1
fi
diff <(echo "$expected") <(echo "$printed") && echo "ok: $(basename "$1") prints what it says"
