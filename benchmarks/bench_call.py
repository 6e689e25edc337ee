"""W1: the gradient of ``x**2 - 2*x*y + 3*y``, called from Python with two floats."""

import numpy as np
import pytest

import symdiff as sd


def f(x, y):
    return x**2 - 2 * x * y + 3 * y


def with_symdiff(_rival):
    return sd.grad(f, argnums=(0, 1))


def with_numba(_rival):
    """By hand: the floor of what numba's own dispatch costs."""
    import numba

    return numba.njit(lambda x, y: (2 * x - 2 * y, 3 - 2 * x))


def with_jax(rival):
    jax = rival("jax")
    jax.config.update("jax_enable_x64", True)
    gradient = jax.jit(jax.grad(f, argnums=(0, 1)))
    return lambda x, y: jax.block_until_ready(gradient(x, y))


def with_autograd(rival):
    return rival("autograd").grad(f, (0, 1))


def with_torch(rival):
    torch = rival("torch")

    def gradient(x, y):
        a = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        b = torch.tensor(y, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(f(a, b), (a, b))

    return gradient


def with_casadi(rival):
    casadi = rival("casadi")
    x, y = casadi.SX.sym("x"), casadi.SX.sym("y")
    value = f(x, y)
    return casadi.Function("df", [x, y], [casadi.jacobian(value, x), casadi.jacobian(value, y)])


RIVALS = [with_symdiff, with_numba, with_jax, with_autograd, with_torch, with_casadi]


@pytest.mark.parametrize("make", RIVALS, ids=lambda m: m.__name__[5:])
@pytest.mark.benchmark(group="W1 gradient of two numbers")
def bench_gradient(benchmark, rival, make):
    gradient = make(rival)
    np.testing.assert_allclose([float(d) for d in gradient(2.0, 1.0)], [2.0, -1.0])
    benchmark(gradient, 2.0, 1.0)
