#!/usr/bin/env bash
# Who calls whom, as the objects say: core calls nothing above it; in a folder, files do not call each other in circles;
# of the rooms of the OpenCL backend each calls only those before it, and the first one, code generation, no OpenCL.
set -uo pipefail
build=${CLGRAD_BUILD:?the build folder}
sources=$(cd "$(dirname "${BASH_SOURCE[0]}")/../src/host" && pwd) || exit 1
nm=${NM:-nm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# symbols FOLDER: what nm says of the objects below a folder. Those of files that are gone stay in a build folder.
symbols() {
    (cd "$1" && find . -name '*.c.o' | while read -r object; do
        [ -f "$sources/${object%.o}" ] && printf '%s\0' "$object"
    done | xargs -0 "$nm" -gA)
}

# calls: of what symbols say, lines "file file" of who uses what another one defines.
calls() {
    awk '
        { split($1, part, ":"); name = part[1]; sub(/^\.\//, "", name); sub(/\.c\.o$/, "", name) }
        $(NF - 1) ~ /^[TDBRVW]$/ { owner[$NF] = name }
        $(NF - 1) == "U" || $(NF - 1) ~ /:U$/ { symbol[n] = $NF; file[n++] = name }
        END { for (i = 0; i < n; i++) if (symbol[i] in owner && owner[symbol[i]] != file[i])
                  print file[i], owner[symbol[i]] }' | sort -u
}

# above FOLDER [OTHER]: calls from a folder to others, or to another one. circles FOLDER: calls that go round in it.
above() {
    awk -v folder="$1/" -v other="${2:-}" \
        'index($1, folder) == 1 && index($2, folder) != 1 && (other == "" || index($2, other) == 1)' "$work/calls"
}
circles() { awk -v folder="$1/" 'index($1, folder) == 1 && index($2, folder) == 1' "$work/calls" | tsort 2>&1 >/dev/null; }

objects=$(find "$build/CMakeFiles" -type d -path '*clgrad_objects.dir/src/host' | head -1)
[ -n "$objects" ] || { echo "FAIL: no objects below $build"; exit 1; }
symbols "$objects" >"$work/symbols"
calls <"$work/symbols" >"$work/calls"
[ "$(wc -l <"$work/calls")" -gt 100 ] || { echo "FAIL: hardly any calls found: $(wc -l <"$work/calls")"; exit 1; }
failures=0
faults() { # faults WHAT TEXT
    [ -z "$2" ] && return
    printf 'FAIL: %s\n%s\n' "$1" "$2"
    failures=$((failures + 1))
}
faults "core calls what is above it" "$(above core)"
for folder in core run plan backend/cpu backend/opencl; do
    faults "$folder: files call each other in circles" "$(circles $folder)"
done
opencl=backend/opencl
faults "OpenCL: code generation calls another room" "$(above $opencl/codegen backend/)"
faults "OpenCL: the driver calls what stands on it" "$(above $opencl/driver $opencl/ | grep -v " $opencl/codegen/")"
faults "OpenCL: tuning calls what stands on it" \
    "$(above $opencl/tuning $opencl/ | grep -vE " $opencl/(codegen|driver)/")"
faults "OpenCL: only the driver calls OpenCL and CLBlast" \
    "$(grep -E '[ :]U (cl[A-Z]|CLBlast)' "$work/symbols" | grep -v "^\./$opencl/driver/")"

# The test finds what is planted.
printf 'core/ops plan/fuse\nplan/fuse plan/values\nplan/values plan/fuse\n' >"$work/calls"
printf '%s/codegen/a %s/driver/b\n' $opencl $opencl >>"$work/calls"
[ -n "$(above core)" ] && [ -n "$(circles plan)" ] && [ -n "$(above $opencl/codegen backend/)" ] ||
    { echo "FAIL: planted calls were not found"; failures=$((failures + 1)); }
[ "$failures" -eq 0 ] && echo "ok: calls"
exit "$((failures > 0))"
