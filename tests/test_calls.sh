#!/usr/bin/env bash
# Who calls whom, as the objects say: core calls nothing above it; in a folder, files do not call each other in circles.
set -uo pipefail
build=${CLGRAD_BUILD:?the build folder}
nm=${NM:-nm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# calls FOLDER: lines "file file" of who uses what another one defines, below a folder of objects.
calls() {
    (cd "$1" && find . -name '*.c.o' -exec "$nm" -gA {} +) | awk '
        { split($1, part, ":"); name = part[1]; sub(/^\.\//, "", name); sub(/\.c\.o$/, "", name) }
        $(NF - 1) ~ /^[TDBRVW]$/ { owner[$NF] = name }
        $(NF - 1) == "U" || $(NF - 1) ~ /:U$/ { symbol[n] = $NF; file[n++] = name }
        END { for (i = 0; i < n; i++) if (symbol[i] in owner && owner[symbol[i]] != file[i])
                  print file[i], owner[symbol[i]] }' | sort -u
}

# above FOLDER: calls from a folder to others. circles FOLDER: calls that go round in it.
above() { awk -v folder="$1/" 'index($1, folder) == 1 && index($2, folder) != 1' "$work/calls"; }
circles() { awk -v folder="$1/" 'index($1, folder) == 1 && index($2, folder) == 1' "$work/calls" | tsort 2>&1 >/dev/null; }

objects=$(find "$build/CMakeFiles" -type d -path '*clgrad_objects.dir/src/host' | head -1)
[ -n "$objects" ] || { echo "FAIL: no objects below $build"; exit 1; }
calls "$objects" >"$work/calls"
[ "$(wc -l <"$work/calls")" -gt 100 ] || { echo "FAIL: hardly any calls found: $(wc -l <"$work/calls")"; exit 1; }
failures=0
faults() { # faults WHAT TEXT
    [ -z "$2" ] && return
    printf 'FAIL: %s\n%s\n' "$1" "$2"
    failures=$((failures + 1))
}
faults "core calls what is above it" "$(above core)"
for folder in core run plan backend/cpu; do
    faults "$folder: files call each other in circles" "$(circles $folder)"
done

# The test finds what is planted.
printf 'core/ops plan/fuse\nplan/fuse plan/values\nplan/values plan/fuse\n' >"$work/calls"
[ -n "$(above core)" ] && [ -n "$(circles plan)" ] || { echo "FAIL: planted calls were not found"; failures=$((failures + 1)); }
[ "$failures" -eq 0 ] && echo "ok: calls"
exit "$((failures > 0))"
