"""W1: the gradient of ``x**2 - 2*x*y + 3*y``, called from Python with two floats."""

from functools import partial

import numpy as np
from contest import Case, Workload, close

X, Y = 2.0, 1.0


def f(x, y):
    return x**2 - 2 * x * y + 3 * y


def with_symdiff(_data):
    import symdiff as sd

    return partial(sd.grad(f, argnums=(0, 1)), X, Y)


def with_numba(_data):
    """By hand: the floor of what numba's own dispatch costs."""
    import numba

    return partial(numba.njit(lambda x, y: (2 * x - 2 * y, 3 - 2 * x)), X, Y)


def with_jax(_data):
    import jax

    gradient = jax.jit(jax.grad(f, argnums=(0, 1)))
    return lambda: jax.block_until_ready(gradient(X, Y))


def with_autograd(_data):
    import autograd

    return partial(autograd.grad(f, (0, 1)), X, Y)


def with_torch(_data):
    import torch

    def gradient():
        a = torch.tensor(X, dtype=torch.float64, requires_grad=True)
        b = torch.tensor(Y, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(f(a, b), (a, b))

    return gradient


def with_tensorflow(_data):
    import tensorflow as tf

    def gradient():
        a, b = tf.constant(X, tf.float64), tf.constant(Y, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = f(a, b)
        return tape.gradient(value, [a, b])

    return gradient


def with_casadi(_data):
    import casadi

    x, y = casadi.SX.sym("x"), casadi.SX.sym("y")
    value = f(x, y)
    gradients = [casadi.jacobian(value, x), casadi.jacobian(value, y)]
    return partial(casadi.Function("df", [x, y], gradients), X, Y)


def with_heyoka(_data):
    import heyoka

    x, y = heyoka.make_vars("x", "y")
    value = f(x, y)
    compiled = heyoka.cfunc([heyoka.diff(value, x), heyoka.diff(value, y)], [x, y])
    return lambda: compiled([X, Y])


def check(_data, answer):
    close([float(np.ravel(part)[0]) for part in answer], [2 * X - 2 * Y, 3 - 2 * X], 1e-15)


WORKLOAD = Workload(
    "W1",
    "gradient of two numbers",
    [Case("two floats", lambda: None, quick=True)],
    {
        "symdiff": with_symdiff,
        "numba": with_numba,
        "jax": with_jax,
        "casadi": with_casadi,
        "heyoka": with_heyoka,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
)
