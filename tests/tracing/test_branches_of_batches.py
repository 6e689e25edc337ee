"""Branches inside of vmap: rows that go one way see nothing of the other way."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.tracing.bodies import CannotKeep

rng = np.random.default_rng(8)
N = 70
X = rng.normal(size=N)
X[:3] = 0.0, np.inf, np.nan
K = rng.integers(0, 6, N)
V = rng.normal(size=(N, 3))


def logarithm_or_square(x, k):
    if x > 0:
        return np.log(x) * k
    return x * x


def in_branches(x, k):
    if x > 0:
        y = np.sqrt(x) * k
        if k > 2:
            z = np.log(x)
            y = y + z
        else:
            z = x / k if k != 0 else 1.0
    else:
        y = np.sqrt(-x)
        z = 0.0
    return y * z


def in_a_loop(x, k):
    for _ in range(4):
        if x > 0:
            x = np.log(x)
        else:
            x = x * x
            x = x + 0.1 * k
    return x


BRANCHES = [logarithm_or_square, in_branches, in_a_loop]


def by_rows(f):
    return lambda *args: np.stack([f(*row) for row in zip(*args, strict=True)])


@pytest.mark.parametrize("f", BRANCHES)
def test_values_and_derivatives(f):
    for g in (sd.jit(f), sd.grad(f), sd.hessian(f)):
        expected = by_rows(g)(X, K)
        np.testing.assert_allclose(sd.vmap(g)(X, K), expected, rtol=1e-9, atol=1e-12)


def test_whole_numbers():
    def f(x, k):
        if k != 0:
            return 10 // k, 7 % k, x > 0, 2**k
        return 3, k, True, 1

    results = sd.vmap(f)(X, K)
    expected = zip(*[f(x, int(k)) for x, k in zip(X, K, strict=True)], strict=True)
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_an_index_of_the_way_that_is_not_taken_is_not_checked():
    def f(x, k):
        if k < 3:
            return 2 * x[k]
        return 3 * x[0]

    expected = np.zeros((N, 3))
    places = np.where(K < 3, K, 0)
    expected[np.arange(N), places] = np.where(K < 3, 2, 3)
    np.testing.assert_allclose(sd.vmap(sd.grad(f))(V, K), expected)
    np.testing.assert_allclose(sd.vmap(f)(V, K), np.sum(expected * V, axis=1))


def test_writes_into_an_array_of_the_function():
    def f(x, k):
        y = np.zeros(3)
        if k < 3:
            y[k] = x
        else:
            y[0] = 1.0
        return y

    expected = by_rows(f)(X, K)
    np.testing.assert_allclose(sd.vmap(f)(X, K), expected)
    np.testing.assert_allclose(sd.jit(f)(2.0, 1), [0, 2, 0])


def test_writes_that_are_seen_under_another_name_are_refused():
    def f(x, k):
        y = np.zeros(3)
        z = y[1:]
        if k < 3:
            y[1] = x
            return z * 1.0
        return z * 2.0

    with pytest.raises(CannotKeep, match="another name"):
        sd.jit(f)(1.0, 2)
