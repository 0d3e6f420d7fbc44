#!/usr/bin/env python3
"""tinygrad, on its CPU device or on OpenCL, every case captured by TinyJit. See harness.py."""

import os

import harness


def open_engine(options):
    os.environ["DEV"] = options.device  # read when tinygrad is imported
    os.environ[options.device] = "1"    # the same for older versions
    os.environ.setdefault("CPU_COUNT", str(options.threads))
    from importlib.metadata import version
    from tinygrad import Device, Tensor, TinyJit

    try:
        assert (Tensor([1.0], device=options.device) + 1).item() == 2
    except Exception as error:
        raise harness.Missing("device %s: %s" % (options.device, (str(error) or repr(error)).splitlines()[0]))

    def replay(function):
        """function returns a list of tensors."""
        @TinyJit
        def run():
            results = function()
            Tensor.realize(*results)
            return results

        return run

    def mlp(x, labels, **parameters):
        p = [parameters[name] for name in ("w0", "b0", "w1", "b1", "w2", "b2")]

        def step():
            h = (x @ p[0] + p[1]).relu()
            h = (h @ p[2] + p[3]).sigmoid()
            loss = (h @ p[4] + p[5]).sparse_categorical_crossentropy(labels)
            gradients = loss.gradient(*p)
            return [loss] + [w.assign(w.detach() - harness.LEARNING_RATE * g) for w, g in zip(p, gradients)]

        return replay(step)

    def elementwise(a, b):
        def work():
            y = ((a * b + a).relu() * b).sigmoid()
            return [y] + y.sum().gradient(a, b)

        return replay(work)

    def softmax_xent(x, labels):
        def work():
            loss = x.sparse_categorical_crossentropy(labels)
            return [loss] + loss.gradient(x)

        return replay(work)

    def layernorm(x, gain, bias, gy):
        def work():
            y = x.layernorm(eps=1e-5) * gain + bias
            return [y] + (y * gy).sum().gradient(x, gain, bias)

        return replay(work)

    builders = {
        "mlp": mlp,
        "matmul": lambda a, b: replay(lambda: [a @ b]),
        "matmul_grad_a": lambda a, b: replay(lambda: [a @ b.T]),
        "matmul_grad_b": lambda a, b: replay(lambda: [a.T @ b]),
        "elementwise": elementwise,
        "softmax_xent": softmax_xent,
        "layernorm": layernorm,
    }

    def build(kind, operands):
        if kind not in builders:
            raise harness.Unsupported
        return builders[kind](**harness.convert(operands, lambda a: Tensor(a, device=options.device).realize()))

    name = "tinygrad %s %s" % (version("tinygrad"), options.device)
    return name, build, lambda: Device[options.device].synchronize()


if __name__ == "__main__":
    harness.main(__doc__, open_engine,
                 lambda parser: parser.add_argument("--device", default="CPU", help="CPU or CL (OpenCL)"))
