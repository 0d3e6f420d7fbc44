#!/usr/bin/env python3
"""JAX on the CPU, every case as one jitted function. See harness.py."""

import os

import harness


def open_engine(options):
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import jax.numpy as jnp

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

    def layer_norm(x, gain, bias):
        centred = x - x.mean(-1, keepdims=True)
        variance = jnp.square(centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * gain + bias

    builders = {
        "mlp": mlp,
        "matmul": lambda a, b: call(jnp.matmul, a, b),
        "matmul_grad_a": lambda a, b: call(lambda a, b: a @ b.T, a, b),
        "matmul_grad_b": lambda a, b: call(lambda a, b: a.T @ b, a, b),
        "elementwise": lambda a, b: with_gradients(
            lambda a, b: jax.nn.sigmoid(jax.nn.relu(a * b + a) * b), None, a, b),
        "softmax_xent": lambda x, labels: call(jax.value_and_grad(cross_entropy), x, labels),
        "layernorm": lambda x, gain, bias, gy: with_gradients(layer_norm, gy, x, gain, bias),
    }

    def build(kind, operands):
        return builders[kind](**{name: jnp.array(value) for name, value in operands.items()})

    return "JAX %s" % jax.__version__, build, lambda: jax.block_until_ready(latest[0])


if __name__ == "__main__":
    harness.main(__doc__, open_engine)
