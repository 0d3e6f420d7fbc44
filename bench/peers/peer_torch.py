#!/usr/bin/env python3
"""PyTorch on the CPU: eager, or with torch.compile. See harness.py."""

import harness


def open_engine(options):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(options.threads)
    compile_ = lambda function: function
    if options.compile:
        if not hasattr(torch, "compile"):
            raise harness.Missing("torch.compile: PyTorch %s does not have it" % torch.__version__)
        compile_ = torch.compile
        try:
            compile_(lambda x: torch.sin(x) + 1)(torch.ones(8))
        except Exception as error:
            raise harness.Missing("torch.compile: %s" % str(error).splitlines()[0])

    def mlp(x, labels, **parameters):
        labels = labels.long()
        w0, b0, w1, b1, w2, b2 = (parameters[name].requires_grad_() for name in ("w0", "b0", "w1", "b1", "w2", "b2"))
        optimizer = torch.optim.SGD((w0, b0, w1, b1, w2, b2), lr=harness.LEARNING_RATE)

        @compile_
        def loss_of(x, labels):
            h = torch.relu(torch.addmm(b0, x, w0))
            h = torch.sigmoid(torch.addmm(b1, h, w1))
            return F.cross_entropy(torch.addmm(b2, h, w2), labels)

        def run():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x, labels)
            loss.backward()
            optimizer.step()
            return loss

        return run

    def matmul(a, b):
        return lambda: torch.matmul(a, b)

    def matmul_grad_a(a, b):
        return lambda: torch.matmul(a, b.t())

    def matmul_grad_b(a, b):
        return lambda: torch.matmul(a.t(), b)

    def with_gradients(function, gy, *inputs):
        """function of the inputs, and its gradients for them where gy is that for the result."""
        function = compile_(function)
        for x in inputs:
            x.requires_grad_()

        def run():
            y = function(*inputs)
            return (y.detach(), *torch.autograd.grad(y, inputs, gy))

        return run

    def elementwise(a, b):
        one = torch.ones(()).expand(a.shape)
        return with_gradients(lambda a, b: torch.sigmoid(torch.relu(a * b + a) * b), one, a, b)

    def softmax_xent(x, labels):
        labels = labels.long()
        return with_gradients(lambda x: F.cross_entropy(x, labels), None, x)

    def layernorm(x, gain, bias, gy):
        return with_gradients(lambda x, gain, bias: F.layer_norm(x, gain.shape, gain, bias, 1e-5), gy, x, gain, bias)

    builders = {f.__name__: f for f in
                (mlp, matmul, matmul_grad_a, matmul_grad_b, elementwise, softmax_xent, layernorm)}

    def build(kind, operands):
        return builders[kind](**{name: torch.from_numpy(value) for name, value in operands.items()})

    name = "PyTorch %s%s" % (torch.__version__, " compiled" if options.compile else "")
    return name, build, lambda: None


if __name__ == "__main__":
    harness.main(__doc__, open_engine,
                 lambda parser: parser.add_argument("--compile", action="store_true", help="with torch.compile"))
