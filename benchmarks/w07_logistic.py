"""W7: logistic regression: value and gradient, and the Hessian."""

import ctypes
from functools import partial
from typing import NamedTuple

import climit
import numpy as np
from contest import Case, Skip, Workload, close
from scipy import linalg
from scipy.special import expit


class Regression(NamedTuple):
    w: np.ndarray
    X: np.ndarray
    y: np.ndarray
    hessian: bool


def load(m, n, hessian):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((m, n))
    y = np.where(X @ rng.standard_normal(n) > 0, 1.0, -1.0)
    return Regression(rng.standard_normal(n) / n, X, y, hessian)


def loss(np_, w, X, y):
    return np_.mean(np_.log1p(np_.exp(-y * (X @ w))))


def with_symdiff(data):
    import symdiff as sd

    transform = sd.hessian if data.hessian else sd.value_and_grad
    return partial(transform(partial_loss), *data[:3])


def partial_loss(w, X, y):
    return loss(np, w, X, y)


def with_numpy(data):
    """By hand; the Hessian by a matrix product."""
    w, X, y, hessian = data

    def gradient():
        z = y * (X @ w)
        return np.mean(np.log1p(np.exp(-z))), -(X.T @ (y * expit(-z))) / len(y)

    def second():
        p = expit(y * (X @ w))
        return X.T @ (X * (p * (1 - p) / len(y))[:, None])

    return second if hessian else gradient


def with_bandwidth(data):
    """X, read once."""
    if data.hessian:
        raise Skip("a Hessian is not bound by memory")
    library = climit.build("read.c")
    library.read_all.restype = ctypes.c_double
    return partial(library.read_all, ctypes.c_long(data.X.size), climit.pointer(data.X))


def with_dsyrk(data):
    """The BLAS's symmetric product alone; the weights are taken into the factor beforehand."""
    if not data.hessian:
        raise Skip("a gradient is no matrix product")
    p = expit(data.y * (data.X @ data.w))
    factor = np.asfortranarray((data.X * np.sqrt(p * (1 - p) / len(p))[:, None]).T)
    return lambda: linalg.blas.dsyrk(1.0, factor)


def with_jax(data):
    import jax
    import jax.numpy as jnp

    transform = jax.hessian if data.hessian else jax.value_and_grad
    compiled = jax.jit(transform(partial(loss, jnp)))
    arguments = [jnp.asarray(a) for a in data[:3]]
    return lambda: jax.block_until_ready(compiled(*arguments))


def with_torch(data):
    import torch

    w, X, y = (torch.tensor(a) for a in data[:3])
    if data.hessian and len(w) > 1000:
        raise Skip("its Hessian of 2000 parameters was not done in a minute")
    if data.hessian:
        return partial(torch.func.hessian(partial(loss, torch)), w, X, y)
    w.requires_grad_()

    def call():
        value = loss(torch, w, X, y)
        return value.detach(), *torch.autograd.grad(value, w)

    return call


def with_autograd(data):
    import autograd
    import autograd.numpy as anp

    transform = autograd.hessian if data.hessian else autograd.value_and_grad
    return partial(transform(partial(loss, anp)), *data[:3])


def with_tensorflow(data):
    import tensorflow as tf

    if data.hessian:
        raise Skip("GradientTape gives first derivatives; its Hessian is a loop over them")
    w, X, y = (tf.constant(a) for a in data[:3])

    def call():
        with tf.GradientTape() as tape:
            tape.watch(w)
            z = y * tf.linalg.matvec(X, w)
            value = tf.reduce_mean(tf.math.log1p(tf.exp(-z)))
        return value, tape.gradient(value, w)

    return call


def check(data, answer):
    if isinstance(answer, float):
        close(answer, data.X.sum(), 1e-6)  # of the reading limit
    elif data.hessian:
        close(np.triu(answer), np.triu(with_numpy(data)()), 1e-10)
    else:
        close(answer, with_numpy(data)(), 1e-10)


WORKLOAD = Workload(
    "W7",
    "logistic regression",
    [
        Case("value and gradient, 1e5 x 20", partial(load, 100_000, 20, False), quick=True),
        Case("Hessian, 1e5 x 20", partial(load, 100_000, 20, True), quick=True),
        Case("Hessian, 4000 x 2000", partial(load, 4000, 2000, True)),
    ],
    {
        "symdiff": with_symdiff,
        "bandwidth": with_bandwidth,
        "dsyrk": with_dsyrk,
        "numpy": with_numpy,
        "jax": with_jax,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
    limit=("bandwidth", "dsyrk"),
)
