#!/usr/bin/env bash
# check.sh PROGRAM SOURCE: the program must print the lines that follow "Prints:" in its source's leading comment.
set -euo pipefail

expected=$(sed -n '/^ \* Prints:$/,/\*\//p' "$2" | sed -e 1d -e 's/ *\*\/$//' -e 's/^ \*   *//')
printed=$("$1")
if [ -z "$expected" ]; then
    echo "$2 does not say what it prints" >&2
    exit 1
fi
diff <(echo "$expected") <(echo "$printed") && echo "ok: $(basename "$2") prints what it says"
