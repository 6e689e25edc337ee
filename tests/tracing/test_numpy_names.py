"""Names that NumPy's protocols do not reach, however they were imported; all is put back."""

import threading

import imported_by_name as helpers
import numpy as np
import pytest
import scipy.special

import symdiff as sd

X = np.array([1.0, 2.0, 3.0])
ORIGINALS = (np.zeros, np.array, scipy.special.logsumexp)


def all_is_put_back():
    return (np.zeros, np.array, scipy.special.logsumexp) == ORIGINALS and (
        helpers.zeros,
        helpers.array,
        helpers.logsumexp,
    ) == ORIGINALS


@pytest.mark.parametrize("f", [helpers.filled, helpers.total, helpers.doubled])
def test_helpers_of_other_modules(f):
    by_closure = lambda x: 2 * f(x)  # noqa: E731
    np.testing.assert_allclose(sd.jit(f)(X), f(X))
    np.testing.assert_allclose(sd.jit(by_closure)(X), 2 * f(X))
    sd.check_derivatives(lambda x: np.sum(helpers.filled(x)) * np.sum(f(x)), X)
    assert all_is_put_back()


def test_what_fails_puts_all_back():
    def fails(x):
        assert np.zeros is not ORIGINALS[0]
        raise KeyError("mine")

    with pytest.raises(KeyError):
        sd.jit(fails)(X)
    assert all_is_put_back()


def test_threads_do_not_take_names_from_each_other():
    wrong = []

    def trace_often(k):
        for i in range(20):
            got = sd.jit(lambda x: helpers.filled(x) * k + i)(X)  # noqa: B023 - called at once
            if not np.array_equal(got, [k + i, i, i]):
                wrong.append(got)

    threads = [threading.Thread(target=trace_often, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all_is_put_back()


def test_other_code_gets_plain_arrays():
    def f(x):
        grid, weights = np.polynomial.legendre.leggauss(4)
        roots = scipy.special.roots_hermite(3)[0]
        assert type(grid) is np.ndarray
        return np.sum(weights * np.exp(x[0] * grid)) + np.sum(roots**2 * x[1])

    np.testing.assert_allclose(sd.jit(f)(X), f(X))
    sd.check_derivatives(f, X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[np.arange(len(x) - 5)],
        lambda x: x[np.arange(len(x), dtype=np.uint8)],
        lambda x: x[np.arange(len(x))[::-1]],
        lambda x: np.sum(x) + np.sum(np.arange(3, len(x))),
    ],
)
def test_arange_counts_as_numpy_does(f):
    """Whether it would be empty, or its dtype is too short for its numbers."""
    compiled = sd.jit(f)
    for n in (10, 300, 5, 3, 2):
        x = np.cos(np.arange(float(n)))
        np.testing.assert_allclose(compiled(x), f(x), rtol=1e-13, atol=1e-13)
