"""What the peers' scripts share: the cases' operands, the timing (that of `clgrad bench`), and how they are called.

A peer's script is called
    peer_NAME.py [OPTION...] [CASE...]   prints one JSON object, {case: seconds}; without a CASE, all of them
    peer_NAME.py [OPTION...] --serve     prints a line {"engine": ...}, then answers each case named on its input
                                         with a line {case: seconds}
A library that is not installed is {"missing": why} in place of either. A case that the script does not do is
{case: "unsupported"}; one that fails is {case: null}, and its error goes to stderr.

The cases are those of cases.json, but those that only clgrad has: their "peers" names the case that the peers run in
their place. What each kind computes is written in the functions of this file that make its operands, and clgrad does
the same in src/host/cli/bench_cases.c, bench_conv.c and bench_models.c."""

import argparse
import json
import os
import statistics
import sys
import time
import traceback

SAMPLE_SECONDS = 0.02  # a sample of something short is of as many runs as take this long
SAMPLES, QUICK_SAMPLES = 15, 3
MLP_WIDTHS = (784, 512, 512, 10)
LEARNING_RATE = 0.01
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
CLASSES = 10
RESNET_BLOCKS = ((16, 16),) * 3 + ((16, 32), (32, 32), (32, 32)) + ((32, 64), (64, 64), (64, 64))  # channels in, out


class Missing(Exception):
    """The peer is not installed, or does not work here."""


class Unsupported(Exception):
    """The peer does not do this case."""


def load_cases():
    """The cases that peers run. A case's "like" names another one whose sizes it has."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cases.json")) as file:
        cases = json.load(file)
    for case in cases.values():
        if "like" in case:
            case.update({**cases[case.pop("like")], "kind": case["kind"]})
    return {name: case for name, case in cases.items() if "peers" not in case}


def operands(case):
    """The case's operands by name: NumPy arrays, or numbers that the engine's builder takes as they are."""
    return globals()["operands_" + case["kind"]](**{k: v for k, v in case.items() if k != "kind"})


def convert(operands, to_array):
    """The operands with to_array of each array."""
    return {name: to_array(value) if hasattr(value, "dtype") else value for name, value in operands.items()}


def uniform(*shape, low=-1.0, high=1.0, seed=0):
    import numpy
    generator = numpy.random.default_rng(len(shape) + shape[0] + seed)
    return generator.random(shape, dtype="float32") * numpy.float32(high - low) + numpy.float32(low)


def labels(rows, step, classes):
    import numpy
    return (numpy.arange(rows) * step % classes).astype("int32")


def operands_mlp(batch):
    """One training step of 784-512-512-10: relu, then sigmoid, mean softmax cross-entropy, p -= 0.01 dp for all six
    parameters. No gradient for x. Weights are (in, out)."""
    result = {"x": uniform(batch, MLP_WIDTHS[0]), "labels": labels(batch, 7, MLP_WIDTHS[-1])}
    for i, (inputs, outputs) in enumerate(zip(MLP_WIDTHS, MLP_WIDTHS[1:])):
        bound = (6.0 / inputs) ** 0.5
        result["w%d" % i] = uniform(inputs, outputs, low=-bound, high=bound)
        result["b%d" % i] = 0 * uniform(outputs)
    return result


def operands_matmul(m, n, k):
    """a b"""
    return {"a": uniform(m, k), "b": uniform(k, n)}


def operands_matmul_grad_a(m, n, k):
    """a b^T: the gradient of the product (m, k) (k, n) for its first operand."""
    return {"a": uniform(m, n), "b": uniform(k, n)}


def operands_matmul_grad_b(m, n, k):
    """a^T b: the gradient of the product (m, k) (k, n) for its second operand."""
    return {"a": uniform(m, k), "b": uniform(m, n)}


def operands_batched(batch, m, k):
    """batch products of (m, k) and (k, k)."""
    return {"a": uniform(batch, m, k), "b": uniform(batch, k, k)}


def operands_short_axis(m, n, k):
    """For x (m, n, k) the log-sum-exp over n of the log of the sum over k of exp(x), and the gradient of its sum for
    x."""
    return {"x": uniform(m, n, k)}


def operands_elementwise(count):
    """y = sigmoid(relu(a b + a) b) and the gradients of its sum for a and b."""
    return {"a": uniform(count), "b": uniform(count)[::-1].copy()}


def operands_dropout(count):
    """Dropout of x with probability 0.1, drawn anew each time, and the gradient of its sum."""
    return {"x": uniform(count)}


def operands_cumsum(rows, columns):
    """Cumulative sums along the last axis, and the gradient for x, where gy is that for the result."""
    return {"x": uniform(rows, columns), "gy": uniform(rows, columns)[::-1].copy()}


def operands_sort(rows, columns):
    """Rows sorted, and the gradient for x, where gy is that for the result."""
    return {"x": uniform(rows, columns), "gy": uniform(rows, columns)[::-1].copy()}


def operands_topk(rows, columns, k):
    """The k largest of each row in order, and the gradient for x, where gy is that for the result."""
    return {"x": uniform(rows, columns), "gy": uniform(rows, k), "k": k}


def operands_gather(rows, columns, count):
    """Rows of a table by index, and the gradient for the table, where gy is that for the result."""
    return {"table": uniform(rows, columns), "indices": labels(count, 31, rows), "gy": uniform(count, columns)}


def operands_softmax_xent(rows, columns):
    """The mean softmax cross-entropy and its gradient for x."""
    return {"x": uniform(rows, columns), "labels": labels(rows, 31, columns)}


def operands_layernorm(rows, columns):
    """Layer normalisation over the last axis, epsilon 1e-5: y, and the gradients for x, gain and bias, where gy is
    the gradient for y."""
    return {"x": uniform(rows, columns), "gain": uniform(columns), "bias": uniform(columns),
            "gy": uniform(rows, columns)[::-1].copy()}


def operands_conv(batch, size, inputs, outputs, window, padding, stride=1, groups=1):
    """The convolution of x (n, c, h, w) with w (k, c / groups, window, window), no bias; y (n, k, oh, ow)."""
    return {"x": uniform(batch, inputs, size, size), "w": uniform(outputs, inputs // groups, window, window),
            "stride": stride, "padding": padding, "groups": groups}


def operands_conv_grad_x(batch, size, inputs, outputs, window, padding, stride=1, groups=1):
    """Only the gradient of sum(y gy) for x, where y is the convolution's result."""
    out = (size + 2 * padding - window) // stride + 1
    return {**operands_conv(batch, size, inputs, outputs, window, padding, stride, groups),
            "gy": uniform(batch, outputs, out, out, seed=1)}


def operands_conv_grad_w(**sizes):
    """Only the gradient of sum(y gy) for w."""
    return operands_conv_grad_x(**sizes)


def operands_maxpool(batch, size, channels, window):
    """The maxima of windows side by side of x (n, c, h, w)."""
    return {"x": uniform(batch, channels, size, size), "window": window}


def operands_maxpool_grad(batch, size, channels, window):
    """The same, and the gradient of sum(y gy) for x."""
    return {**operands_maxpool(batch, size, channels, window),
            "gy": uniform(batch, channels, size // window, size // window, seed=1)}


def operands_attention(batch, heads, length, width):
    """Causal self-attention: softmax(q k^T / sqrt(width)) v where a position sees itself and earlier ones, and the
    gradients of sum(out g) for q, k and v. All are (batch, length, heads, width)."""
    return {name: uniform(batch, length, heads, width, seed=seed) for seed, name in enumerate(("q", "k", "v", "g"))}


# Models: one training step, mean softmax cross-entropy, Adam over all parameters (no gradient for x). Each engine makes
# the parameters itself: the time does not depend on their values.

def operands_cnn(batch):
    """28 x 28 pictures: 3 x 3 convolution to 32 channels, relu, 2 x 2 maximum pool, the same to 64, dense 128, relu,
    dense 10. Convolutions have padding 1 and a bias."""
    return {"x": uniform(batch, 1, 28, 28), "labels": labels(batch, 7, CLASSES)}


def operands_resnet(batch):
    """ResNet-20 for 32 x 32 pictures (He et al. 2015, section 4.2): 3 x 3 convolution to 16 channels; three stages of
    three basic blocks with 16, 32 and 64 channels, the first block of the latter two with stride 2 and a shortcut of a
    1 x 1 convolution; mean over the picture; dense 10. No convolution has a bias; each is followed by a batch
    normalisation, epsilon 1e-5, with gain and bias, by the batch's statistics; no running ones are kept."""
    return {"x": uniform(batch, 3, 32, 32), "labels": labels(batch, 7, CLASSES)}


def operands_gpt(batch, length, vocabulary, width, heads, layers):
    """A decoder of tokens (batch, length): embedding and learned positions, added; blocks x += attention(norm(x)),
    x += mlp(norm(x)) with causal attention, one dense layer for q, k and v, and a dense layer to 4 width, exact gelu
    and one back; norm; a dense layer to the vocabulary without bias. Norms are layer normalisations, epsilon 1e-5, with
    gain and bias. The loss is over all positions. No dropout."""
    return {"tokens": labels(batch * length, 31, vocabulary).reshape(batch, length),
            "labels": labels(batch * length, 7, vocabulary),
            "vocabulary": vocabulary, "width": width, "heads": heads, "layers": layers}


def operands_lstm(batch, steps, features, hidden):
    """An LSTM from zeros over x (batch, steps, features), and dense 10 of its last state. The gates have one bias
    (PyTorch's two, which are added)."""
    return {"x": uniform(batch, steps, features), "labels": labels(batch, 7, CLASSES), "hidden": hidden}


def measure(run, sync, quick):
    """Median seconds of run(). sync waits for what run() has queued."""
    def sample(runs):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        sync()
        return (time.perf_counter() - start) / runs

    for _ in range(3):  # compilers; TinyJit captures in the second call; caches
        sample(1)
    runs = 1 + int(SAMPLE_SECONDS / sample(1))
    return statistics.median(sample(runs) for _ in range(QUICK_SAMPLES if quick else SAMPLES))


def main(description, open_engine, add_options=lambda parser: None):
    """open_engine(options) returns (name, build, sync), or raises Missing or ImportError. build(kind, operands) returns
    a function of no arguments that does the work once and returns its results, or raises Unsupported; sync waits for
    them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--serve", action="store_true", help="take names of cases from the input, one a line")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    add_options(parser)
    options = parser.parse_args()
    output, sys.stdout = sys.stdout, sys.stderr  # libraries that print must not spoil the JSON

    def say(value):
        print(json.dumps(value), file=output, flush=True)

    cases = load_cases()
    for name in options.cases:
        if name not in cases:
            parser.error("no case of the peers is called '%s'; cases.json lists them" % name)
    try:
        name, build, sync = open_engine(options)
    except (ImportError, Missing) as error:
        say({"missing": str(error)})
        return

    runs = {}  # a server is asked for each case several times, and compiles it once

    def answer(case):
        try:
            if case not in runs:
                runs[case] = build(cases[case]["kind"], operands(cases[case]))
            return {case: measure(runs[case], sync, options.quick)}
        except Unsupported:
            return {case: "unsupported"}
        except Exception:
            traceback.print_exc()
            return {case: None}

    if options.serve:
        say({"engine": name})
        for line in sys.stdin:
            say(answer(line.strip()))
    else:
        results = {}
        for case in options.cases or cases:
            results.update(answer(case))
        say(results)
