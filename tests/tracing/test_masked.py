"""Selections by masks that are known only at the call."""

import numpy as np
import pytest

import symdiff as sd

X = np.array([-1.5, 0.3, 2.0, -0.2, 0.7])
M = np.random.default_rng(0).normal(size=(6, 3))


def logs(x):
    y = np.zeros_like(x)
    y[x > 0] = np.log(x[x > 0])
    y[x <= 0] = 3 * x[x <= 0] ** 2
    return y


def statistics(x):
    kept = x[x > 0]
    return np.array([kept.sum(), kept.mean(), kept.max(), kept.min(), np.std(kept), np.prod(kept)])


def in_place(x):
    y = x * 1
    y[y < 0] *= 2
    y[y > 1] += y[y > 1] ** 2
    y[y == 0] = 7.0
    return y


def rows(m):
    kept = m[m[:, 0] > 0]
    return np.sum(kept, axis=0) / np.sum(m[:, 0] > 0) + np.mean(kept * np.array([1.0, 2.0, 3.0]))


def named(x):
    mask = x > 0.1
    return np.sum(np.sqrt(x[mask]))


CASES = {
    "logarithms": (logs, X),
    "statistics": (statistics, X),
    "in place": (in_place, X),
    "rows": (rows, M),
    "two arrays": (lambda x: np.sum(x[x > 0] * np.exp(x)[x > 0] + 1), X),
    "a mask by a name": (named, X),
    "matrix": (lambda m: np.sum(m[m > 0] ** 2), M),
    "clipped": (lambda x: np.sum(np.clip(x[x > 0], 0.5, 1)), X),
    "size": (lambda x: np.sum(x[x > 0]) / x[x > 0].size, X),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_values_and_derivatives(case):
    f, x = case
    np.testing.assert_allclose(sd.jit(f)(x), f(x.copy()), rtol=1e-14)
    sd.check_derivatives(lambda x: np.sum(f(x) ** 2), x)


def test_what_is_left_out_has_no_nan():
    gradient = sd.grad(lambda x: np.sum(np.sqrt(x[x > 0])))
    np.testing.assert_array_equal(gradient(np.array([-1.0, 0.0, 4.0])), [0.0, 0.0, 0.25])


def test_nothing_selected_is_nan_not_a_number():
    assert np.isnan(sd.jit(lambda x: np.max(x[x > 9]))(X))
    assert sd.jit(lambda x: np.sum(x[x > 9]))(X) == 0


REFUSED = {
    "result": lambda x: x[x > 0],
    "sort": lambda x: np.sort(x[x > 0]),
    "other shape": lambda x: np.sum(x[x > 0] + x),
    "other mask": lambda x: np.sum(x[x > 0] + x[x < 0]),
    "length": lambda x: len(x[x > 0]) * x,
    "shape": lambda x: x[x > 0].shape[0] * x,
    "element": lambda x: x[x > 0][0],
    "mask of another shape": lambda x: np.sum(x[x[1:] > 0]),
}


@pytest.mark.parametrize("f", REFUSED.values(), ids=REFUSED.keys())
def test_what_needs_the_number_is_refused(f):
    with pytest.raises(sd.SymdiffError, match=r"mask.*\n  at .*test_masked.py"):
        sd.jit(f)(X)
