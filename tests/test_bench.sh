#!/usr/bin/env bash
# The benchmark program from outside: its JSON, its messages, and that the peers' cases are its own. No timings: a
# machine that tests run on is busy.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
clgrad=$(realpath "${CLGRAD:?the path of the program}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

fail() {
    printf 'FAIL: %s\n' "$*"
    failures=$((failures + 1))
}

# expect_error STATUS PATTERN ARGUMENT...: the exit status, and one line on stderr that has the pattern.
expect_error() {
    local status=$1 pattern=$2 got
    shift 2
    "$clgrad" bench "$@" >out 2>err </dev/null
    got=$?
    [ "$got" -eq "$status" ] || fail "bench $*: exit status $got, not $status: $(cat err)"
    [ "$(grep -cvE '^device |^OpenBLAS ' err)" -eq 1 ] || fail "bench $*: not one line on stderr: $(cat err)"
    grep -qE -- "$pattern" err || fail "bench $*: no '$pattern' in: $(cat err)"
}

# ---- messages
expect_error 2 "no case is called 'nosuch'" nosuch
expect_error 2 "no case is called 'nosuch'" --device cpu launch nosuch
expect_error 2 'nosuch' --device nosuch launch
expect_error 1 'cannot write none/out.json: No such file' --device cpu --quick --only-cases --json none/out.json launch

# ---- names: a whole name is that case alone, anything else a beginning
"$clgrad" bench --list >list 2>err || fail "bench --list: $(cat err)"
for name in mlp_b1 mlp_b128 matmul_128x512x784 elementwise_1m softmax_xent_8192x1024 layernorm_8192x1024 launch \
    conv_3x3_c16_32 conv_dw3x3_c128_28_grad_w conv_3x3_c64_56_nhwc_grad_x maxpool_2x2_c64_56_grad \
    attention_h8_t256_d64 cnn_b128 cnn_b128_bf16 resnet20_b64 gpt_b16 lstm_b128; do
    grep -qx "$name" list || fail "bench --list has no $name"
done
names() { "$clgrad" bench --device cpu --quick --only-cases "$@" 2>err | awk 'NR > 1 { print $1 }' | tr '\n' ' '; }
[ "$(names mlp_b1)" = "mlp_b1 " ] || fail "mlp_b1 chose: $(names mlp_b1)"
[ "$(names matmul_100x100x100_ launch)" = "matmul_100x100x100_grad_a matmul_100x100x100_grad_b launch " ] ||
    fail "the beginning of a name chose: $(names matmul_100x100x100_ launch)"

# ---- JSON
cases="mlp_b1 matmul_100x100x100 memory_mlp_b1024 scalar_chain_replay start_warm"
# shellcheck disable=SC2086
"$clgrad" bench --device cpu --quick --json out.json $cases >out 2>err || fail "bench: exit status $?: $(cat err)"
for name in copy triad fma $cases; do grep -q "^$name " out || fail "no line for $name: $(cat out)"; done
[ -e out.json.tmp ] && fail "a temporary file is left"
if command -v python3 >/dev/null; then
    # shellcheck disable=SC2086
    python3 - "$root/bench/cases.json" $cases <<'EOS' || failures=$((failures + 1))
import json, math, sys
bad = []
def check(right, what):
    if not right:
        bad.append(what)

result = json.load(open("out.json"))
check(set(result) == {"machine", "device", "ceilings", "cases"}, "keys: %s" % list(result))
check(result["machine"].keys() >= {"system", "architecture", "cores", "blas", "clgrad", "date"}, "machine's keys")
check(result["device"]["spec"] == "cpu", "device: %s" % result["device"])
check(result["ceilings"].keys() >= {"copy", "triad", "fma"}, "ceilings: %s" % list(result["ceilings"]))
for name, ceiling in result["ceilings"].items():
    check(set(ceiling) == {"value", "unit"} and ceiling["value"] > 0, "ceiling %s: %s" % (name, ceiling))
check({c["name"] for c in result["cases"]} == set(sys.argv[2:]), "cases: %s" % result["cases"])
for case in result["cases"]:
    check(set(case) - {"ceiling_name"} == {"name", "value", "unit", "min", "max", "flops", "bytes", "ceiling",
                                           "fraction"}, "keys of %s" % case)
    check(0 < case["min"] <= case["value"] <= case["max"], "order of %s" % case)
    check(case["unit"] in ("s", "us", "ns", "bytes"), "unit of %s" % case)
    check("ceiling_name" not in case or case["ceiling"] > 0 and math.isfinite(case["fraction"]),
          "fraction of %s" % case)
known = set(open("list").read().split())
unknown = [name for name in json.load(open(sys.argv[1])) if name not in known]
check(not unknown, "bench/cases.json has cases that clgrad bench has not: %s" % unknown)
cases = json.load(open(sys.argv[1]))
for name, case in cases.items():  # names of other cases, no chains of them
    for key, final in (("peers", {"peers"}), ("like", {"peers", "like"})):
        check(key not in case or case[key] in cases and not final & set(cases[case[key]]),
              "bench/cases.json: the '%s' of %s" % (key, name))
for what in bad:
    print("FAIL: bench --json:", what)
sys.exit(bool(bad))
EOS
else
    for key in machine device ceilings cases name value unit min max flops bytes ceiling fraction; do
        grep -q "\"$key\"" out.json || fail "no key $key in the JSON"
    done
fi

[ "$failures" -eq 0 ] && echo "ok: bench"
exit "$((failures > 0))"
