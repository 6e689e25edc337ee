"""Our own exponential and hyperbolic tangent: accuracy, corners, and where they are used."""

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu.elementary import INLINED, POLYNOMIALS
from symdiff.compilation.cpu.engine import assembly
from symdiff.compilation.cpu.kernel import kernel_text

BITS = {"double": 55.7, "float": 26.4}
MOST = {np.float64: 709.7, np.float32: 88.7}
ULPS = {"exp": 1.1, "tanh": 2.5}

compiled = {"exp": sd.jit(np.exp), "tanh": sd.jit(np.tanh)}


@pytest.mark.parametrize("kind", sorted(POLYNOMIALS))
def test_the_polynomial_has_the_stated_error(kind):
    with mpmath.workprec(200):
        half = mpmath.log(2) / 2
        coefficients = [mpmath.mpf(c) for c in reversed(POLYNOMIALS[kind])]
        worst = 0
        for r in mpmath.linspace(-half, half, 401):
            approximate = 1 + r + r**2 * mpmath.polyval(coefficients, r)
            worst = max(worst, abs(approximate / mpmath.exp(r) - 1))
        assert worst < mpmath.mpf(2) ** -BITS[kind]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", sorted(INLINED))
def test_values_at_high_precision(name, dtype):
    rng = np.random.default_rng(3)
    most = MOST[dtype] if name == "exp" else 25.0
    tiny = 10.0 ** rng.uniform(-36, 0, 300) * rng.choice([-1, 1], 300)
    x = np.concatenate([rng.uniform(-most, most, 700), rng.uniform(-1, 1, 700), tiny])
    x = x.astype(dtype)
    exact = getattr(mpmath, name)
    with mpmath.workprec(120):
        for given, got in zip(x, compiled[name](x), strict=True):
            expected = exact(mpmath.mpf(float(given)))
            unit = max(np.spacing(dtype(abs(float(expected)))), np.finfo(dtype).tiny)
            error = abs(mpmath.mpf(float(got)) - expected) / mpmath.mpf(float(unit))
            assert error <= ULPS[name], (given, got, expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", sorted(INLINED))
def test_corners(name, dtype):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    x = [0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, huge, -huge, MOST[dtype]]
    x = np.array(x * 4, dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    got = compiled[name](x)
    np.testing.assert_array_max_ulp(got[np.isfinite(x)], expected[np.isfinite(x)], 2, dtype)
    np.testing.assert_array_equal(got[~np.isfinite(x)], expected[~np.isfinite(x)])
    np.testing.assert_array_equal(np.signbit(got)[:2], np.signbit(expected)[:2])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exponentials_pass_through_the_subnormal_numbers(dtype):
    least = -745.2 if dtype is np.float64 else -104.0
    x = np.linspace(least, least * 0.93, 1001).astype(dtype)
    expected = np.exp(x.astype(np.longdouble)).astype(dtype)
    error = np.abs(compiled["exp"](x).astype(np.longdouble) - expected)
    assert np.all(error <= np.finfo(dtype).smallest_subnormal + 2 * np.spacing(expected))
    assert np.count_nonzero((expected > 0) & (expected < np.finfo(dtype).tiny)) > 100


@pytest.mark.parametrize("name", sorted(INLINED))
def test_an_element_is_the_same_wherever_it_stands(name):
    x = np.linspace(-3, 4, 71)
    whole = compiled[name](x)
    for n in range(2, 70, 3):
        np.testing.assert_array_equal(compiled[name](x[1 : n + 1]), whole[1 : n + 1])


def both(x):
    return np.exp(x) + np.tanh(x)


def calls(x):
    text = assembly(kernel_text(sd.trace(both, x)))
    return {name for name in INLINED if name in text}


def test_loops_inline_them_and_numbers_call_the_library():
    assert calls(np.ones(8)) == set()
    assert calls(1.0) == {"exp", "tanh"}


def test_precise_math_calls_the_library(monkeypatch):
    monkeypatch.setattr(sd.config, "precise_math", True)
    assert calls(np.ones(8)) == {"exp", "tanh"}
