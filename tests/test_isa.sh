#!/usr/bin/env bash
# Code for an instruction set is reached through its tables alone: the objects compiled for one export data, and nobody
# but isa.c names it. Looks at the objects, so it holds for every path through the code.
set -uo pipefail
build=${CLGRAD_BUILD:?the build folder}
nm=${NM:-nm}
planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
table='(cpu_vectors|gemm)_[a-z0-9]+'

# found FOLDER: what breaks the rule in the objects below it.
found() {
    local object symbols
    while read -r object; do
        symbols=$("$nm" -g "$object") || { echo "$object: nm failed"; continue; }
        symbols=$(awk '{ print $(NF - 1), $NF }' <<<"$symbols" | grep -vE ' (__|\.)')
        case $object in
            */vector.c.o | */gemm.c.o) # exported: the tables, in data
                grep -vE "^U |^[DRB] _?$table$" <<<"$symbols" | sed "s|^|${object#"$build"/} exports |" ;;
            */isa.c.o) ;;
            *) grep -E "^U _?$table$" <<<"$symbols" | sed "s|^|${object#"$build"/} names |" ;;
        esac
    done < <(find "$1" -name '*.c.o' -path '*clgrad_*.dir*')
}

faults=$(found "$build/CMakeFiles")
[ -z "$faults" ] || { printf 'FAIL:\n%s\n' "$faults"; exit 1; }
objects=$(find "$build/CMakeFiles" -name gemm.c.o | wc -l)
[ "$objects" -gt 0 ] || { echo "FAIL: no objects below $build"; exit 1; }

# Planted: a function that leaves its object, and a table that somebody else takes.
mkdir -p "$planted/clgrad_planted.dir"
echo 'int gemm_size_avx512(int n) { return n; }' >"$planted/gemm.c"
echo 'extern const int gemm_avx512; const int *wrong(void) { return &gemm_avx512; }' >"$planted/matmul.c"
for name in gemm matmul; do
    "${CC:-cc}" -c "$planted/$name.c" -o "$planted/clgrad_planted.dir/$name.c.o" || exit 1
done
[ "$(found "$planted" | grep -cE 'gemm.c.o exports T _?gemm_size_avx512|matmul.c.o names U _?gemm_avx512')" -eq 2 ] ||
    { echo "FAIL: planted faults were not found: $(found "$planted")"; exit 1; }
echo "ok: instruction sets ($objects objects of gemm.c)"
