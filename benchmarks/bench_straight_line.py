"""W3: straight-line programs of N scalar operations: first call, and calls after it."""

import time

import numpy as np
import pytest

import symdiff as sd


def program(n):
    """A function of about n operations, which no algebra makes shorter."""

    def f(x, y):
        for _ in range(n // 8):
            x = (x * y + np.sin(x) - x / (1.0 + x * x)) * 0.9
        return x

    return f


def differences(f, x, y, h=1e-6):
    return (f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)


@pytest.mark.parametrize("n", [300, 1_000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.benchmark(group="W3 value and gradient of N operations: a call")
def bench_call(benchmark, n):
    f = program(n)
    began = time.perf_counter()
    compiled = sd.value_and_grad(f, argnums=(0, 1))
    value, gradient = compiled(0.3, 0.2)
    benchmark.extra_info["first_call_s"] = time.perf_counter() - began
    benchmark.extra_info["operations"] = compiled.cost(0.3, 0.2).own.total
    np.testing.assert_allclose(value, f(0.3, 0.2), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(gradient, differences(f, 0.3, 0.2), rtol=1e-4, atol=1e-8)
    benchmark(compiled, 0.3, 0.2)
