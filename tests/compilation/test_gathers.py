"""Rows that are gathered and read again and again are copied once."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.gathers import with_gathers


def product(x, order, w):
    return x[order] @ w


def n_copies(f, *args):
    program = sd.trace(f, *args)
    return len(with_gathers(program).equations) - len(program.equations)


RNG = np.random.default_rng(2)
X, W = RNG.standard_normal((30, 16)), RNG.standard_normal((16, 20))
ORDER = np.array([3, 1, 29, -1, 3, 0, 7])


def test_a_batch_is_copied_once():
    assert n_copies(product, X, ORDER, W) == 1
    assert n_copies(sd.grad(lambda w, x, k: np.sum(np.tanh(x[k] @ w))), W, X, ORDER) == 1


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x, k: 2 * x[k], (X, ORDER)),  # read once
        (product, (X[:, :3], ORDER, W[:3])),  # short rows
        (product, (X, ORDER, W[:, :4])),  # read a few times
        (lambda x, w: x @ w, (X, W)),
    ],
)
def test_nothing_else_is_copied(f, args):
    assert n_copies(f, *args) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_gradients_are_numpys(dtype):
    x, w = X.astype(dtype), W.astype(dtype)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(sd.jit(product)(x, ORDER, w), x[ORDER] @ w, rtol=tolerance)
    by_w = sd.grad(lambda w, x, k: np.sum((x[k] @ w) ** 2))(w, x, ORDER)
    expected = 2 * x[ORDER].T @ (x[ORDER] @ w)
    np.testing.assert_allclose(by_w, expected, rtol=100 * tolerance, atol=100 * tolerance)


def test_indices_outside_still_raise():
    with pytest.raises(IndexError):
        sd.jit(product)(X, np.array([0, 30]), W)


def test_rows_behind_computed_indices():
    def f(x, k, w):
        return np.sum(x[(7 * k + 3) % 30] @ w, axis=1)

    k = np.arange(200)
    np.testing.assert_allclose(
        sd.jit(f)(X, k, W), (X[(7 * k + 3) % 30] @ W).sum(axis=1), rtol=1e-10
    )
