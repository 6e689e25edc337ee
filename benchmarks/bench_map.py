"""W2: an elementwise map and its derivative, 1e5 points, float64 and float32."""

import numpy as np
import pytest

import symdiff as sd

N = 100_000


def f(np_, x):
    return np_.exp(-x * x) * np_.sin(x) + np_.tanh(x) + np_.log(x)


def with_symdiff(_rival, dtype):
    return sd.jit(lambda x: f(np, x))


def with_numpy(_rival, dtype):
    return lambda x: f(np, x)


def with_jax(rival, dtype):
    jax = rival("jax")
    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(lambda x: f(jax.numpy, x))
    return lambda x: compiled(x).block_until_ready()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("make", [with_symdiff, with_numpy, with_jax], ids=lambda m: m.__name__[5:])
def bench_value(benchmark, rival, make, dtype):
    benchmark.group = f"W2 map of 1e5 points, {dtype}"
    x = np.linspace(0.1, 3.0, N).astype(dtype)
    compiled = make(rival, dtype)
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(compiled(x), f(np, x.astype(float)), rtol=tolerance, atol=tolerance)
    benchmark(compiled, x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("package", ["symdiff", "jax"])
def bench_gradient(benchmark, rival, package, dtype):
    benchmark.group = f"W2 gradient of the sum over 1e5 points, {dtype}"
    x = np.linspace(0.1, 3.0, N).astype(dtype)
    if package == "jax":
        jax = rival("jax")
        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(jax.grad(lambda x: f(jax.numpy, x).sum()))

        def gradient(x):
            return compiled(x).block_until_ready()
    else:
        gradient = sd.grad(lambda x: np.sum(f(np, x)))
    wide = x.astype(float)
    expected = np.exp(-wide * wide) * (np.cos(wide) - 2 * wide * np.sin(wide))
    expected += 1 - np.tanh(wide) ** 2 + 1 / wide
    np.testing.assert_allclose(gradient(x), expected, rtol=1e-12 if dtype == "float64" else 1e-4)
    benchmark(gradient, x)
