#!/usr/bin/env python3
"""JAX on the CPU, every case as one jitted function. See harness.py."""

import os

import harness


def open_engine(options):
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import jax.numpy as jnp
    import models_jax

    latest = [None]  # the results of the last run, which later ones wait for

    def keep(function):
        """The function, its results kept for sync."""
        def run():
            latest[0] = function()
            return latest[0]

        return run

    def cross_entropy(logits, labels):
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -chosen.mean()

    def mlp(x, labels, **parameters):
        def loss_of(p):
            h = jax.nn.relu(x @ p["w0"] + p["b0"])
            h = jax.nn.sigmoid(h @ p["w1"] + p["b1"])
            return cross_entropy(h @ p["w2"] + p["b2"], labels)

        def step(p):
            loss, gradients = jax.value_and_grad(loss_of)(p)
            return loss, jax.tree_util.tree_map(lambda p, g: p - harness.LEARNING_RATE * g, p, gradients)

        step = jax.jit(step, donate_argnums=0)
        state = [parameters]

        def run():
            loss, state[0] = step(state[0])
            return loss, state[0]

        return keep(run)

    def call(function, *arguments):
        function = jax.jit(function)
        return keep(lambda: function(*arguments))

    def with_gradients(function, gy, *inputs):
        def both(gy, *inputs):
            y, pull = jax.vjp(function, *inputs)
            return (y, *pull(jnp.ones_like(y) if gy is None else gy))

        return call(both, gy, *inputs)

    def dropout(x):
        @jax.jit
        def step(key, x):
            key, draw = jax.random.split(key)
            y, pull = jax.vjp(lambda x: jnp.where(jax.random.bernoulli(draw, 0.9, x.shape), x / 0.9, 0), x)
            return key, y, *pull(jnp.ones_like(y))

        state = [jax.random.key(1)]

        def run():
            state[0], *result = step(state[0], x)
            return result

        return keep(run)

    def layer_norm(x, gain, bias):
        centred = x - x.mean(-1, keepdims=True)
        variance = jnp.square(centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * gain + bias

    def short_axis(x):
        return with_gradients(lambda x: jax.nn.logsumexp(jnp.log(jnp.exp(x).sum(2)), axis=1), None, x)

    # Pictures and filters come with the axes that PyTorch and clgrad have, and are turned once, before the timing.
    def pictures(x):
        return x.transpose(0, 2, 3, 1)

    def filters(w):
        return w.transpose(2, 3, 1, 0)

    def convolve(stride, padding, groups):
        return lambda x, w: models_jax.convolution(x, w, stride, padding, groups)

    def conv(x, w, **options):
        return call(convolve(**options), pictures(x), filters(w))

    def conv_grad_x(x, w, gy, **options):
        return call(lambda gy, x, w: jax.vjp(lambda x: convolve(**options)(x, w), x)[1](gy),
                    pictures(gy), pictures(x), filters(w))

    def conv_grad_w(x, w, gy, **options):
        return call(lambda gy, x, w: jax.vjp(lambda w: convolve(**options)(x, w), w)[1](gy),
                    pictures(gy), pictures(x), filters(w))

    def maxpool(x, window):
        return call(lambda x: models_jax.max_pool(x, window), pictures(x))

    def maxpool_grad(x, gy, window):
        return with_gradients(lambda x: models_jax.max_pool(x, window), pictures(gy), pictures(x))

    def train(model, parameters, x, labels):
        """A step of Adam; its state is (parameters, first moments, second moments, number of steps)."""
        def step(state, x, labels):
            p, m, v, count = state
            lr, (beta1, beta2), epsilon = harness.ADAM["lr"], harness.ADAM["betas"], harness.ADAM["eps"]
            loss, gradients = jax.value_and_grad(lambda p: cross_entropy(model(p, x), labels))(p)
            count = count + 1
            m = jax.tree_util.tree_map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradients)
            v = jax.tree_util.tree_map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradients)
            scale1, scale2 = 1 / (1 - beta1 ** count), 1 / (1 - beta2 ** count)
            p = jax.tree_util.tree_map(
                lambda p, m, v: p - lr * (scale1 * m) / (jnp.sqrt(scale2 * v) + epsilon), p, m, v)
            return loss, (p, m, v, count)

        step = jax.jit(step, donate_argnums=0)
        zeros = lambda: jax.tree_util.tree_map(jnp.zeros_like, parameters)
        state = [(parameters, zeros(), zeros(), jnp.zeros(()))]

        def run():
            loss, state[0] = step(state[0], x, labels)
            return loss, state[0]

        return keep(run)

    make = models_jax.Initialiser()

    def cnn(x, labels):
        return train(models_jax.cnn, models_jax.new_cnn(make), pictures(x), labels)

    def resnet(x, labels):
        return train(models_jax.resnet, models_jax.new_resnet(make), pictures(x), labels)

    def gpt(tokens, labels, heads, **sizes):
        return train(lambda p, tokens: models_jax.gpt(p, tokens, heads),
                     models_jax.new_gpt(make, tokens.shape[1], **sizes), tokens, labels)

    def lstm(x, labels, hidden):
        return train(models_jax.lstm, models_jax.new_lstm(make, x.shape[2], hidden), x, labels)

    builders = {
        "mlp": mlp,
        "matmul": lambda a, b: call(jnp.matmul, a, b),
        "matmul_grad_a": lambda a, b: call(lambda a, b: a @ b.T, a, b),
        "matmul_grad_b": lambda a, b: call(lambda a, b: a.T @ b, a, b),
        "batched": lambda a, b: call(jnp.matmul, a, b),
        "short_axis": short_axis,
        "elementwise": lambda a, b: with_gradients(
            lambda a, b: jax.nn.sigmoid(jax.nn.relu(a * b + a) * b), None, a, b),
        "dropout": dropout,
        "cumsum": lambda x, gy: with_gradients(lambda x: jnp.cumsum(x, 1), gy, x),
        "sort": lambda x, gy: with_gradients(lambda x: jnp.sort(x, 1), gy, x),
        "topk": lambda x, gy, k: with_gradients(lambda x: jax.lax.top_k(x, k)[0], gy, x),
        "gather": lambda table, indices, gy: with_gradients(lambda table: table[indices], gy, table),
        "softmax_xent": lambda x, labels: call(jax.value_and_grad(cross_entropy), x, labels),
        "layernorm": lambda x, gain, bias, gy: with_gradients(layer_norm, gy, x, gain, bias),
        "conv": conv,
        "conv_grad_x": conv_grad_x,
        "conv_grad_w": conv_grad_w,
        "maxpool": maxpool,
        "maxpool_grad": maxpool_grad,
        "attention": lambda q, k, v, g: with_gradients(models_jax.causal_attention, g, q, k, v),
        "cnn": cnn,
        "resnet": resnet,
        "gpt": gpt,
        "lstm": lstm,
    }

    def build(kind, operands):
        if kind not in builders:
            raise harness.Unsupported
        return builders[kind](**harness.convert(operands, jnp.array))

    return "JAX %s" % jax.__version__, build, lambda: jax.block_until_ready(latest[0])


if __name__ == "__main__":
    harness.main(__doc__, open_engine)
