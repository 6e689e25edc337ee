"""Maxima on which nothing depends carry no derivative; those on which something does, do."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.differentiation.shifts import shifts_without_effect

rng = np.random.default_rng(4)
X = rng.normal(size=(4, 3))


def softmax_of_rows(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return np.sum((e / np.sum(e, axis=1, keepdims=True)) ** 2)


def differences_of_maxima(x):
    m = np.max(x, axis=1)
    return np.sum((m[:, None] - m[None, :]) ** 2)


def ratios_of_maxima(x):
    m = np.max(x, axis=0)
    return np.sum(np.exp(m[1:] - m[:-1]))


def padded(x):
    """What is padded with does not change with the shift."""
    m = np.max(x)
    return m + np.log(np.sum(np.exp(np.pad(x[0] - m, (1, 0)))))


def sum_kept_as_an_axis(x):
    """A sum of three changes three times as much."""
    m = np.max(x, axis=1)
    return np.sum((m[:, None] + np.sum(x - m[:, None], axis=1, keepdims=True)) ** 2)


def diagonal(x):
    m = np.max(x)
    return np.sum(np.exp(np.diag(x[0] - m) + m))


CASES = [
    softmax_of_rows,
    differences_of_maxima,
    ratios_of_maxima,
    padded,
    sum_kept_as_an_axis,
    diagonal,
]


@pytest.mark.parametrize("f", CASES)
def test_gradients_are_differences(f):
    h = 1e-6
    steps = np.eye(X.size).reshape(-1, *X.shape) * h
    expected = np.array([(f(X + s) - f(X - s)) / (2 * h) for s in steps]).reshape(X.shape)
    np.testing.assert_allclose(sd.grad(f)(X), expected, rtol=1e-6, atol=1e-7)
    forward = [sd.jvp(f, X, s / h)[1] for s in steps]
    np.testing.assert_allclose(forward, expected.ravel(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("f", CASES)
def test_only_shifts_without_effect_are_found(f):
    found = shifts_without_effect(sd.trace(f, X))
    assert bool(found) == (f is softmax_of_rows)
