"""W2: an elementwise map and its derivative, 1e5 points, float64 and float32."""

from functools import partial
from typing import NamedTuple

import numpy as np
from contest import Case, Workload

N = 100_000


class Points(NamedTuple):
    x: np.ndarray
    gradient: bool


def f(np_, x):
    return np_.exp(-x * x) * np_.sin(x) + np_.tanh(x) + np_.log(x)


def derivative(np_, x):
    slope = np_.exp(-x * x) * (np_.cos(x) - 2 * x * np_.sin(x))
    return slope + 1 - np_.tanh(x) ** 2 + 1 / x


def load(dtype, gradient):
    return Points(np.linspace(0.1, 3.0, N).astype(dtype), gradient)


def with_symdiff(data):
    import symdiff as sd

    if data.gradient:
        return partial(sd.grad(lambda x: np.sum(f(np, x))), data.x)
    return partial(sd.jit(lambda x: f(np, x)), data.x)


def with_numpy(data):
    return partial(derivative if data.gradient else f, np, data.x)


def with_numba(data):
    import numba

    if data.gradient:

        def rule(x):
            one = x.dtype.type(1)
            y = np.empty_like(x)
            for i, v in enumerate(x):
                t = np.tanh(v)
                y[i] = np.exp(-v * v) * (np.cos(v) - (v + v) * np.sin(v)) + one - t * t + one / v
            return y
    else:

        def rule(x):
            y = np.empty_like(x)
            for i, v in enumerate(x):
                y[i] = np.exp(-v * v) * np.sin(v) + np.tanh(v) + np.log(v)
            return y

    return partial(numba.njit(rule, fastmath=True), data.x)


def with_jax(data):
    import jax

    x = jax.numpy.asarray(data.x)
    rule = partial(f, jax.numpy)
    compiled = jax.jit(jax.grad(lambda x: rule(x).sum()) if data.gradient else rule)
    return lambda: compiled(x).block_until_ready()


def with_torch(data):
    import torch

    x = torch.tensor(data.x, requires_grad=data.gradient)
    if data.gradient:
        return lambda: torch.autograd.grad(f(torch, x).sum(), x)[0]
    return lambda: f(torch, x)


def with_autograd(data):
    import autograd
    import autograd.numpy as anp

    if data.gradient:
        return partial(autograd.grad(lambda x: anp.sum(f(anp, x))), data.x)
    return partial(f, anp, data.x)


def with_tensorflow(data):
    import tensorflow as tf

    x = tf.constant(data.x)

    def rule(x):
        return tf.exp(-x * x) * tf.sin(x) + tf.tanh(x) + tf.math.log(x)

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(rule(x))
        return tape.gradient(value, x)

    return gradient if data.gradient else partial(rule, x)


def check(data, answer):
    wide = data.x.astype(float)
    want = (derivative if data.gradient else f)(np, wide)
    tolerance = 1e-12 if data.x.dtype == np.float64 else 1e-4
    np.testing.assert_allclose(np.asarray(answer), want, rtol=tolerance, atol=tolerance)


WORKLOAD = Workload(
    "W2",
    "elementwise map of 1e5 points",
    [
        Case(f"{what}, {dtype}", partial(load, dtype, what != "value"), quick=True)
        for what in ("value", "gradient of the sum")
        for dtype in ("float64", "float32")
    ],
    {
        "symdiff": with_symdiff,
        "numpy": with_numpy,
        "numba": with_numba,
        "jax": with_jax,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
)
