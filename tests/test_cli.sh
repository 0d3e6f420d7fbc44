#!/usr/bin/env bash
# The program from outside: exit statuses, messages, the log, the saved parameters. Works on a data set of its own
# that takes no time, on the CPU path.
set -uo pipefail

clgrad=${CLGRAD:?the path of the program}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

fail() {
    printf 'FAIL: %s\n' "$*"
    failures=$((failures + 1))
}

# expect STATUS PATTERN ARGUMENT...: the program's exit status, and a pattern in one of its output lines.
expect() {
    local status=$1 pattern=$2 got
    shift 2
    "$clgrad" "$@" >out 2>err </dev/null
    got=$?
    [ "$got" -eq "$status" ] || fail "clgrad $*: exit status $got, not $status: $(cat err)"
    grep -qE -- "$pattern" out err || fail "clgrad $*: no '$pattern' in: $(cat out err)"
}

# A usage or run-time error: also exactly one line on stderr (besides the device's), nothing on stdout.
expect_error() {
    expect "$@"
    local lines
    lines=$(grep -cvE '^device ' err)
    [ "$lines" -eq 1 ] || fail "clgrad ${*:3}: $lines lines on stderr: $(cat err)"
    grep -q '^clgrad' err || fail "clgrad ${*:3}: the message does not begin with the program's name: $(cat err)"
}

byte() { # byte NUMBER...: as binary
    local n
    for n in "$@"; do printf '%b' "\\x$(printf %02x $((n & 255)))"; done
}

be32() { # the number as 4 big-endian bytes
    byte $(($1 >> 24)) $(($1 >> 16)) $(($1 >> 8)) "$1"
}

# make_set FOLDER PREFIX COUNT: images of 4 x 5 pixels; the label i % 10 shows as a bright spot.
make_set() {
    local i p label
    mkdir -p "$1"
    {
        printf '\x00\x00\x08\x03'
        be32 "$3" && be32 4 && be32 5
        for ((i = 0; i < $3; i++)); do
            label=$((i % 10))
            for ((p = 0; p < 20; p++)); do
                byte $((p / 2 == label ? 240 : (i * 7 + p * 13) % 60))
            done
        done
    } >"$1/$2-images-idx3-ubyte"
    {
        printf '\x00\x00\x08\x01'
        be32 "$3"
        for ((i = 0; i < $3; i++)); do byte $((i % 10)); done
    } >"$1/$2-labels-idx1-ubyte"
}

make_set set train 107
make_set set t10k 23
gzip set/t10k-images-idx3-ubyte
train=(train --data set --device cpu --hidden 16 --batch-size 16)

# ---- help, version, bad usage
expect 0 '^Usage: clgrad COMMAND' --help
expect 0 '^clgrad [0-9]+\.[0-9]+\.[0-9]+$' --version
expect 2 '^Usage' # no command
expect_error 2 "unknown command 'fly'" fly
expect_error 2 "unknown option '--fly'" --fly
for command in train devices check tune ops; do
    expect 0 "Usage: clgrad $command" "$command" --help
    expect 2 'unrecognized option' "$command" --fly
done
expect_error 2 "clgrad train: --batch-size is '0'; right is a whole number from 1" train --batch-size 0
expect_error 2 "--batch-size is '1x'" train --batch-size 1x
expect_error 2 "--batch-size is '99999999999999999999'" train --batch-size 99999999999999999999
expect_error 2 "--epochs is '-1'" train --epochs=-1
expect_error 2 "--lr is 'nan'" train --lr nan
expect_error 2 "--lr is '0'" train --lr 0
expect_error 2 "--seed is '-1'" train --seed=-1
expect_error 2 "--hidden is ''" train --hidden ''
expect_error 2 "--hidden is '0'" train --hidden 16,0
expect_error 2 "--optimizer is 'lion'; right is adam or sgd" train --optimizer lion
expect_error 2 "--model is 'rnn'; right is mlp or cnn" train --model rnn
expect_error 2 "--dtype is 'f64'; right is f32, bf16 or f16" train --dtype f64
expect_error 2 "--dataset is 'cifar'; right is fashion-mnist" train --dataset cifar
expect_error 2 "--resident is 'there'; right is auto, yes or no" train --resident there
expect_error 2 "unexpected argument 'now'" train now
expect_error 2 'abacus' "${train[@]}" --device abacus
expect_error 2 "unknown operation 'fly'" check fly
for product in 8x8 8 x 8x8x8x8x8 8x8x0 8x8x-8 8x8x8:n 8x8x8:nx 8x8x8q 8x8x9999999; do
    expect_error 2 "clgrad tune: '$product' is no product; right is MxNxK" tune -- "$product"
done
expect_error 2 "--dtype is 'i32'; right is f32 or f64" tune --dtype i32
expect_error 2 "--seconds is '-1'; right is a number above 0" tune --seconds=-1

# ---- failures at run time
expect_error 1 'nowhere/train-images-idx3-ubyte' train --data nowhere --device cpu
expect_error 1 'nowhere/x: cannot save' "${train[@]}" --save nowhere/x
expect_error 1 'cannot save: it is a folder' "${train[@]}" --save set
expect_error 1 'nowhere/x: cannot open for writing' "${train[@]}" --log nowhere/x
cp -r set bad
printf '\x01\x02\x03\x04' >bad/train-labels-idx1-ubyte
expect_error 1 'begins with 01 02 03 04' train --data bad --device cpu
head -c 100 set/train-images-idx3-ubyte >bad/train-images-idx3-ubyte
expect_error 1 'truncated: expected 2140 bytes of data for u8 \(107, 4, 5\), found 84' train --data bad --device cpu
if [ -w /dev/full ]; then
    "$clgrad" ops >/dev/full 2>err && fail "a full disk is not noticed"
    expect_error 1 '/dev/full: cannot write' "${train[@]}" --epochs 1 --log /dev/full
fi

# ---- training: learns, is reproducible, handles the last smaller batch
expect 0 '^ +30 +[0-9.]+ +[0-9.]+ +100\.00%' "${train[@]}" --epochs 30 --lr 0.01 --log a.jsonl --save a.safetensors \
    --losses a.losses
grep -q $'\r\|\033' out && fail "control characters in output that is not a terminal"
[ "$(grep -cE "^(epoch| +[0-9]+ )" out)" -eq 31 ] || fail "not one line an epoch: $(cat out)"
[ "$(wc -l <a.losses)" -eq $((30 * 7)) ] || fail "not one loss a step: $(wc -l <a.losses)"
[ "$(wc -l <a.jsonl)" -eq 30 ] || fail "not one line of log an epoch"
number='(-?[0-9.e+-]+|null)'
grep -qvE "^\{\"epoch\": [0-9]+, \"train_loss\": $number, \"test_loss\": $number, \"test_accuracy\": $number, \"seconds\": $number, \"images_per_second\": $number, \"device\": \"cpu: [^\"]*\", \"seed\": 0\}$" a.jsonl &&
    fail "log line: $(head -n 1 a.jsonl)"
expect 0 '100\.00%' "${train[@]}" --epochs 30 --lr 0.01 --save b.safetensors --losses b.losses
cmp -s a.losses b.losses || fail "the same seed gave other losses"
cmp -s a.safetensors b.safetensors || fail "the same seed gave other parameters"
expect 0 '^ +1 ' "${train[@]}" --epochs 1 --seed 1 --losses c.losses
[ "$(head -n 7 a.losses)" != "$(cat c.losses)" ] || fail "another seed gave the same losses"
grep -q '"layers.1.bias":{"dtype":"F32","shape":\[10\]' a.safetensors || fail "the parameters' names"
expect 0 '^ +2 ' "${train[@]}" --epochs 2 --optimizer sgd --batch-size 1000
expect 0 '^ +1 ' "${train[@]}" --epochs 1 --limit 5
for dtype in f32 bf16 f16; do
    expect 0 '100\.00%' "${train[@]}" --epochs 30 --lr 0.01 --model cnn --dtype $dtype --save $dtype.safetensors
done
# Where the data set lies changes nothing but the speed.
for place in yes no; do
    expect 0 '^ +3 ' "${train[@]}" --epochs 3 --resident $place --losses $place.losses --save $place.safetensors
done
cmp -s yes.losses no.losses && cmp -s yes.safetensors no.safetensors || fail "--resident changed the training"
expect 0 '^  all ' "${train[@]}" --epochs 1 --resident yes --profile resident.json
# A profile: a table of the training step, and a trace; the training itself is the same.
expect 0 '^ +1 ' "${train[@]}" --epochs 1 --limit 256 --losses e.losses --save e.safetensors
expect 0 '^ +[0-9]+  matmul +[0-9.]+ +[0-9.]+% +1 .* (GFLOP|GB)/s +[0-9.]+  .*contract' "${train[@]}" --epochs 1 \
    --limit 256 --losses f.losses --save f.safetensors --profile profile.json
cmp -s e.losses f.losses && cmp -s e.safetensors f.safetensors || fail "--profile changed the training"
steps=$(sed -nE 's/^  all .* ([0-9]+) steps$/\1/p' out)
[ "$(grep -o '"ph":"X"' profile.json | wc -l)" -eq $((${steps:-1} * 20)) ] ||
    fail "the trace has not ${steps:-some} steps 20 times"
expect_error 1 'nowhere/x: cannot save' "${train[@]}" --profile nowhere/x
CLGRAD_PROFILE=environment.json expect 0 '^ +1 ' "${train[@]}" --epochs 1
grep -q '"traceEvents":\[{' environment.json || fail "CLGRAD_PROFILE wrote no trace"
grep -q '^  all ' environment.json.txt || fail "CLGRAD_PROFILE wrote no table"
# A diverged training says so in numbers, and its log stays JSON.
expect 0 '^ +3 +-?nan' "${train[@]}" --epochs 3 --optimizer sgd --lr 1e30 --log d.jsonl
grep -q 'nan\|inf' d.jsonl && fail "not JSON: $(cat d.jsonl)"
[ -z "$(find . -name '*.tmp' -o -name '*.??????' -name '*.safetensors.*')" ] || fail "temporary files are left: $(ls)"

# ---- the other commands
expect 0 '^\*? *cpu +host ' devices
[ "$(grep -c '^\*' out)" -eq 1 ] || fail "not one device is marked as auto's: $(cat out)"
expect 0 '^contract +contract +2 +yes' ops
expect 0 '^\| add \| map \| 2 \| a \+ b \| yes \|$' ops --markdown
[ "$("$clgrad" ops | grep -c '^clg_[a-z]* clg_[a-z0-9_]*(.*clg_var')" -ge 150 ] || fail "clgrad ops lists too few functions"
"$clgrad" ops | awk '!NF { exit } NR > 1 && $2 != "leaf" && $2 != "effect" { print $1 }' >operations
expect 0 '^[0-9]+ passed, 0 failed' check --device cpu
grep 'FAIL' out
checked=$(awk '/PASS/ { print $1 }' out | sort -u)
[ "$checked" = "$(sort operations)" ] || fail "clgrad check does not pass each operation of clgrad ops"
if "$clgrad" devices | grep -q '^[* ] opencl:0'; then
    expect 0 '^9 passed, 0 failed' check --device opencl:0 add max contract
    # Measured, kept, shown, forgotten.
    export XDG_CACHE_HOME=$folder/cache
    unset CLGRAD_CACHE_DIR
    tune=(tune --device opencl:0)
    expect 0 '^state: not there' "${tune[@]}" --show
    expect 0 '^2x5x3:nt +(generated|CLBlast) .* (the same|[0-9.]+)' "${tune[@]}" --seconds 0 2x5x3:nt
    grep -q '^[01] of 1 products' out || fail "no summary of clgrad tune: $(cat out)"
    expect 0 '^product f32 1x2x5x3 nt [0-9.e-]+ [0-9.e-]+ (builtin|generated |CLBlast)' "${tune[@]}" --show
    grep -q '^state: read' out || fail "clgrad tune did not find its own file: $(cat out)"
    echo more >>"$(sed -n 's/^file: //p' out)"
    expect 0 '^state: ignored: damaged' "${tune[@]}" --show
    expect 0 'forgotten' "${tune[@]}" --reset
    expect 0 '^state: not there' "${tune[@]}" --show
    CLGRAD_CACHE_DIR=off expect_error 1 'the cache is off' "${tune[@]}" 2x5x3
fi
expect 0 'nothing to tune' tune --device cpu

[ "$failures" -eq 0 ] && echo "ok: cli"
exit "$((failures > 0))"
