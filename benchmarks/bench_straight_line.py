"""W3: straight-line programs of N scalar operations: first value, machine code, calls after it."""

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


def first_value(f):
    """Trace, differentiate and evaluate: what comes out, and how long that took."""
    began = time.perf_counter()
    compiled = sd.value_and_grad(f, argnums=(0, 1))
    return compiled, compiled(0.3, 0.2), time.perf_counter() - began


LARGE = [pytest.param(n, marks=pytest.mark.slow) for n in (10_000, 100_000)]


@pytest.mark.parametrize("n", [300, 1_000, *LARGE])
@pytest.mark.benchmark(group="W3 value and gradient of N operations: a call")
def bench_call(benchmark, monkeypatch, n):
    monkeypatch.setattr(sd.config, "unroll_limit", n)  # straight-line code, no loop
    f = program(n)
    _, (value, gradient), benchmark.extra_info["first_value_s"] = first_value(f)
    monkeypatch.setattr(sd.config, "background_compile", False)
    compiled, again, benchmark.extra_info["first_call_s"] = first_value(f)
    np.testing.assert_allclose(again[0], value, rtol=1e-10, atol=1e-300)
    benchmark.extra_info["operations"] = compiled.cost(0.3, 0.2).own.total
    np.testing.assert_allclose(value, f(0.3, 0.2), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(gradient, differences(f, 0.3, 0.2), rtol=1e-4, atol=1e-8)
    benchmark(compiled, 0.3, 0.2)
