"""The models of harness.py in JAX: for each, a function that makes the parameters, a tree of arrays, and one from them
and the input to the logits. Pictures are (n, h, w, c) and filters (h, w, in, out), JAX's usual layout."""

import jax
import jax.numpy as jnp
from jax import lax

import harness


class Initialiser:
    """Makes parameters."""

    def __init__(self):
        self.key = jax.random.key(0)

    def normal(self, *shape, scale=0.02):
        self.key, key = jax.random.split(self.key)
        return scale * jax.random.normal(key, shape, "float32")

    def he(self, *shape):
        """All axes but the last are summed over."""
        return self.normal(*shape, scale=(2.0 * shape[-1] / jnp.zeros(shape).size) ** 0.5)

    def dense(self, inputs, outputs):
        return {"w": self.he(inputs, outputs), "b": jnp.zeros(outputs)}

    def norm(self, width):
        return {"gain": jnp.ones(width), "bias": jnp.zeros(width)}


def dense(p, x):
    return x @ p["w"] + p["b"]


def convolution(x, w, stride=1, padding=None, groups=1):
    padding = w.shape[0] // 2 if padding is None else padding
    return lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2, feature_group_count=groups,
                                    dimension_numbers=("NHWC", "HWIO", "NHWC"))


def max_pool(x, window):
    """Windows side by side. Its gradient is several times as fast as that of lax.reduce_window."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // window, window, width // window, window, channels).max((2, 4))


def normalise(p, x, axes):
    centred = x - x.mean(axes, keepdims=True)
    variance = jnp.square(centred).mean(axes, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-5) * p["gain"] + p["bias"]


def layer_norm(p, x):
    return normalise(p, x, -1)


def causal_attention(q, k, v):
    """Of (batch, length, heads, width)."""
    scores = jnp.einsum("bthd,bshd->bhts", q, k) * q.shape[-1] ** -0.5
    seen = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    weights = jax.nn.softmax(jnp.where(seen, scores, -1e9), axis=-1)
    return jnp.einsum("bhts,bshd->bthd", weights, v)


# ---------------------------------------------------------------- models


def new_cnn(make):
    return {"conv1": {"w": make.he(3, 3, 1, 32), "b": jnp.zeros(32)},
            "conv2": {"w": make.he(3, 3, 32, 64), "b": jnp.zeros(64)},
            "hidden": make.dense(7 * 7 * 64, 128), "head": make.dense(128, harness.CLASSES)}


def cnn(p, x):
    for name in ("conv1", "conv2"):
        x = max_pool(jax.nn.relu(convolution(x, p[name]["w"]) + p[name]["b"]), 2)
    x = x.reshape(x.shape[0], -1)
    return dense(p["head"], jax.nn.relu(dense(p["hidden"], x)))


def new_resnet(make):
    def convolve(inputs, outputs, window):
        return {"w": make.he(window, window, inputs, outputs), "norm": make.norm(outputs)}

    def block(inputs, outputs):
        p = {"first": convolve(inputs, outputs, 3), "second": convolve(outputs, outputs, 3)}
        if inputs != outputs:
            p["shortcut"] = convolve(inputs, outputs, 1)
        return p

    return {"stem": convolve(3, 16, 3), "blocks": [block(*channels) for channels in harness.RESNET_BLOCKS],
            "head": make.dense(64, harness.CLASSES)}


def resnet(p, x):
    def convolve(p, x, stride=1):
        return normalise(p["norm"], convolution(x, p["w"], stride), (0, 1, 2))

    x = jax.nn.relu(convolve(p["stem"], x))
    for block in p["blocks"]:
        shrinks = "shortcut" in block
        y = jax.nn.relu(convolve(block["first"], x, 2 if shrinks else 1))
        x = jax.nn.relu(convolve(block["second"], y) + (convolve(block["shortcut"], x, 2) if shrinks else x))
    return dense(p["head"], x.mean((1, 2)))


def new_gpt(make, length, vocabulary, width, layers):
    def block():
        return {"norm1": make.norm(width), "qkv": make.dense(width, 3 * width), "projection": make.dense(width, width),
                "norm2": make.norm(width), "up": make.dense(width, 4 * width), "down": make.dense(4 * width, width)}

    return {"embedding": make.normal(vocabulary, width), "positions": make.normal(length, width),
            "blocks": [block() for _ in range(layers)], "norm": make.norm(width), "head": make.he(width, vocabulary)}


def gpt(p, tokens, heads):
    x = p["embedding"][tokens] + p["positions"]
    for block in p["blocks"]:
        parts = jnp.split(dense(block["qkv"], layer_norm(block["norm1"], x)), 3, axis=-1)
        q, k, v = (part.reshape(*part.shape[:2], heads, -1) for part in parts)
        x = x + dense(block["projection"], causal_attention(q, k, v).reshape(x.shape))
        h = jax.nn.gelu(dense(block["up"], layer_norm(block["norm2"], x)), approximate=False)
        x = x + dense(block["down"], h)
    logits = layer_norm(p["norm"], x) @ p["head"]
    return logits.reshape(-1, logits.shape[-1])


def new_lstm(make, features, hidden):
    return {"input": make.dense(features, 4 * hidden), "state": make.he(hidden, 4 * hidden),
            "head": make.dense(hidden, harness.CLASSES)}


def lstm(p, x):
    batch, hidden = x.shape[0], p["state"].shape[0]
    inputs = jnp.swapaxes(dense(p["input"], x), 0, 1)

    def step(state, inputs):
        h, c = state
        i, f, g, o = jnp.split(inputs + h @ p["state"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((batch, hidden))
    (h, _), _ = lax.scan(step, (zeros, zeros), inputs)
    return dense(p["head"], h)
