"""W3: value and gradient of straight-line programs of N scalar operations."""

import math
import threading
from functools import partial

import numpy as np
from contest import Case, Skip, Workload, close, flat

X, Y = 0.3, 0.2


def program(n, sin):
    """A function of about n operations, which no algebra makes shorter."""

    def f(x, y):
        for _ in range(n // 8):
            x = (x * y + sin(x) - x / (1.0 + x * x)) * 0.9
        return x

    return f


def reference(n):
    """Value and gradient, by the chain rule."""
    x, by_x, by_y = X, 1.0, 0.0
    for _ in range(n // 8):
        slope = 0.9 * (Y + math.cos(x) - (1 - x * x) / (1 + x * x) ** 2)
        by_x, by_y = slope * by_x, slope * by_y + 0.9 * x
        x = (x * Y + math.sin(x) - x / (1.0 + x * x)) * 0.9
    return np.array([x, by_x, by_y])


def with_symdiff(n):
    """The loop over a range is a Python loop here, because the workload is the operations."""
    import symdiff as sd

    call = partial(sd.value_and_grad(sd.as_written(program(n, np.sin)), argnums=(0, 1)), X, Y)
    call.settle = machine_code_is_made
    return call


def machine_code_is_made():
    """Wait for what is compiled while long programs are interpreted."""
    for thread in threading.enumerate():
        if thread.name.startswith("symdiff compiles"):
            thread.join()


def with_jax(n):
    import jax

    if n > 1000:
        raise Skip("3000 operations were not compiled in 20 minutes")
    compiled = jax.jit(jax.value_and_grad(program(n, jax.numpy.sin), argnums=(0, 1)))
    return lambda: jax.block_until_ready(compiled(X, Y))


def with_casadi(n):
    import casadi

    x, y = casadi.SX.sym("x"), casadi.SX.sym("y")
    value = program(n, casadi.sin)(x, y)
    gradient = casadi.gradient(value, casadi.vertcat(x, y))
    return partial(casadi.Function("f", [x, y], [value, gradient]), X, Y)


def with_heyoka(n):
    import heyoka

    if n > 10_000:
        raise Skip("an expression of 100000 operations is a segmentation fault")
    x, y = heyoka.make_vars("x", "y")
    value = program(n, heyoka.sin)(x, y)
    tensors = heyoka.diff_tensors([value], diff_args=[x, y])
    compiled = heyoka.cfunc([value, *tensors.gradient], [x, y])
    return lambda: compiled([X, Y])


def with_torch(n):
    import torch

    f = program(n, torch.sin)

    def call():
        x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
        y = torch.tensor(Y, dtype=torch.float64, requires_grad=True)
        value = f(x, y)
        return value.detach(), *torch.autograd.grad(value, (x, y))

    return call


def with_autograd(n):
    import autograd
    import autograd.numpy as anp

    f = program(n, anp.sin)
    return lambda: (f(X, Y), autograd.grad(f, (0, 1))(X, Y))


def with_tensorflow(n):
    import tensorflow as tf

    f = program(n, tf.sin)

    def call():
        x, y = tf.constant(X, tf.float64), tf.constant(Y, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            value = f(x, y)
        return value, *tape.gradient(value, [x, y])

    return call


def check(n, answer):
    close(flat(answer), reference(n), 1e-10)


WORKLOAD = Workload(
    "W3",
    "value and gradient of a straight-line program",
    [
        Case(f"{n} operations", partial(int, n), quick=n <= 1000)
        for n in (300, 1_000, 10_000, 100_000)
    ],
    {
        "symdiff": with_symdiff,
        "jax": with_jax,
        "casadi": with_casadi,
        "heyoka": with_heyoka,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
)
