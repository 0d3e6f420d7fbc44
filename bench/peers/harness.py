"""What the peers' scripts share: the cases' operands, the timing (that of `clgrad bench`), and how they are called.

A peer's script is called
    peer_NAME.py [OPTION...] [CASE...]   prints one JSON object, {case: seconds}; without a CASE, all of them
    peer_NAME.py [OPTION...] --serve     prints a line {"engine": ...}, then answers each case named on its input
                                         with a line {case: seconds}
A library that is not installed is {"missing": why} in place of either. A case that fails is {case: null}, and its
error goes to stderr.

The cases are those of cases.json: what each kind computes is written in the functions of this file that make its
operands, and clgrad does the same in src/host/cli/bench_cases.c."""

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


class Missing(Exception):
    """The peer is not installed, or does not work here."""


def operands(case):
    """The case's operands as NumPy arrays, by name."""
    return globals()["operands_" + case["kind"]](**{k: v for k, v in case.items() if k != "kind"})


def uniform(*shape, low=-1.0, high=1.0):
    import numpy
    generator = numpy.random.default_rng(len(shape) + shape[0])
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


def operands_elementwise(count):
    """y = sigmoid(relu(a b + a) b) and the gradients of its sum for a and b."""
    return {"a": uniform(count), "b": uniform(count)[::-1].copy()}


def operands_softmax_xent(rows, columns):
    """The mean softmax cross-entropy and its gradient for x."""
    return {"x": uniform(rows, columns), "labels": labels(rows, 31, columns)}


def operands_layernorm(rows, columns):
    """Layer normalisation over the last axis, epsilon 1e-5: y, and the gradients for x, gain and bias, where gy is
    the gradient for y."""
    return {"x": uniform(rows, columns), "gain": uniform(columns), "bias": uniform(columns),
            "gy": uniform(rows, columns)[::-1].copy()}


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
    a function of no arguments that does the work once and returns its results; sync waits for them."""
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

    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cases.json")) as file:
        cases = json.load(file)
    for name in options.cases:
        if name not in cases:
            parser.error("no case is called '%s'; cases.json lists them" % name)
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
