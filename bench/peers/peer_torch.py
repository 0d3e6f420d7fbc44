#!/usr/bin/env python3
"""PyTorch: eager, or with torch.compile; arrays of pictures as they come, or with their channels last; on the CPU, or on
a GPU by CUDA, in f32 (not its matrix units' shorter formats). See harness.py."""

import functools

import harness


def open_engine(options):
    import torch
    import torch.nn.functional as F
    import models_torch

    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if options.cuda else "cpu")
    if options.cuda and not torch.cuda.is_available():
        raise harness.Missing("PyTorch %s finds no GPU" % torch.__version__)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    compile_ = lambda function: function
    if options.compile:
        if not hasattr(torch, "compile"):
            raise harness.Missing("torch.compile: PyTorch %s does not have it" % torch.__version__)
        import torch._dynamo

        # Each case gets code of its own: else those of other sizes after the first would share code for any size.
        compile_ = functools.partial(torch.compile, dynamic=False)
        for limit in ("recompile_limit", "cache_size_limit"):  # the latter in older versions
            if hasattr(torch._dynamo.config, limit):
                setattr(torch._dynamo.config, limit, 1000)
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
        one = a.new_ones(()).expand(a.shape)
        return with_gradients(lambda a, b: torch.sigmoid(torch.relu(a * b + a) * b), one, a, b)

    def dropout(x):
        one = x.new_ones(()).expand(x.shape)
        return with_gradients(lambda x: F.dropout(x, 0.1), one, x)

    def cumsum(x, gy):
        return with_gradients(lambda x: torch.cumsum(x, 1), gy, x)

    def sort(x, gy):
        return with_gradients(lambda x: torch.sort(x, 1).values, gy, x)

    def topk(x, gy, k):
        return with_gradients(lambda x: torch.topk(x, k, 1).values, gy, x)

    def gather(table, indices, gy):
        indices = indices.long()
        return with_gradients(lambda table: F.embedding(indices, table), gy, table)

    def softmax_xent(x, labels):
        labels = labels.long()
        return with_gradients(lambda x: F.cross_entropy(x, labels), None, x)

    def layernorm(x, gain, bias, gy):
        return with_gradients(lambda x, gain, bias: F.layer_norm(x, gain.shape, gain, bias, 1e-5), gy, x, gain, bias)

    def without_gradients(function, *inputs):
        function = compile_(function)

        def run():
            with torch.no_grad():
                return function(*inputs)

        return run

    def short_axis(x):
        one = x.new_ones(()).expand(x.shape[0])
        return with_gradients(lambda x: torch.logsumexp(torch.exp(x).sum(2).log(), 1), one, x)

    def conv(x, w, stride, padding, groups):
        return without_gradients(lambda x, w: F.conv2d(x, w, None, stride, padding, 1, groups), x, w)

    def conv_grad(wanted, x, w, gy, stride, padding, groups):
        """What autograd calls, without the forward convolution."""
        def gradient(gy, x, w):
            return torch.ops.aten.convolution_backward(gy, x, w, None, (stride,) * 2, (padding,) * 2, (1, 1), False,
                                                       (0, 0), groups, (wanted == "x", wanted == "w", False))

        return without_gradients(gradient, gy, x, w)

    def conv_grad_x(**operands):
        return conv_grad("x", **operands)

    def conv_grad_w(**operands):
        return conv_grad("w", **operands)

    def maxpool(x, window):
        return without_gradients(lambda x: F.max_pool2d(x, window), x)

    def maxpool_grad(x, gy, window):
        return with_gradients(lambda x: F.max_pool2d(x, window), gy, x)

    def attention(q, k, v, g):
        def work(q, k, v):
            q, k, v = (a.transpose(1, 2) for a in (q, k, v))
            return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)

        return with_gradients(work, g, q, k, v)

    def adam(parameters):
        try:
            return torch.optim.Adam(parameters, fused=True, **harness.ADAM)  # the fastest
        except (RuntimeError, TypeError):  # older versions: not on the CPU
            return torch.optim.Adam(parameters, **harness.ADAM)

    def train(model, x, labels):
        """A step of Adam."""
        labels = labels.long()
        model = model.to(device)
        if options.channels_last:
            model = model.to(memory_format=torch.channels_last)
        optimizer = adam(list(model.parameters()))
        loss_of = compile_(lambda x, labels: F.cross_entropy(model(x), labels))

        def run():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x, labels)
            loss.backward()
            optimizer.step()
            return loss

        return run

    def cnn(x, labels):
        return train(models_torch.cnn(), x, labels)

    def resnet(x, labels):
        return train(models_torch.resnet(), x, labels)

    def gpt(tokens, labels, **sizes):
        return train(models_torch.GPT(length=tokens.shape[1], **sizes), tokens.long(), labels)

    def lstm(x, labels, hidden):
        return train(models_torch.LSTM(x.shape[2], hidden), x, labels)

    of_pictures = (conv, conv_grad_x, conv_grad_w, maxpool, maxpool_grad, cnn, resnet)
    def batched(a, b):
        return without_gradients(torch.matmul, a, b)

    others = (mlp, matmul, matmul_grad_a, matmul_grad_b, batched, elementwise, dropout, cumsum, sort, topk, gather,
              softmax_xent, layernorm, short_axis, attention, gpt, lstm)
    builders = {f.__name__: f for f in of_pictures + (() if options.channels_last else others)}

    def to_tensor(array):
        tensor = torch.from_numpy(array).to(device)
        return tensor.to(memory_format=torch.channels_last) if options.channels_last and array.ndim == 4 else tensor

    def build(kind, operands):
        if kind not in builders:  # with channels last: it makes no difference
            raise harness.Unsupported
        return builders[kind](**harness.convert(operands, to_tensor))

    name = "PyTorch %s%s%s" % (torch.__version__, " channels last" if options.channels_last else "",
                               " compiled" if options.compile else "")
    if options.cuda:
        return "%s, %s" % (name, torch.cuda.get_device_name()), build, torch.cuda.synchronize
    return name, build, lambda: None


def add_options(parser):
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--cuda", action="store_true", help="on a GPU")
    parser.add_argument("--channels-last", action="store_true",
                        help="arrays of pictures, and filters, with the channels last; only the cases that have them")


if __name__ == "__main__":
    harness.main(__doc__, open_engine, add_options)
