"""Calls with ``out=``: the first goes the long way, others through machine code; both are held."""

from typing import NamedTuple

import numpy as np
import pytest

import symdiff as sd
from symdiff.runtime import function as function_module

X = np.array([0.5, -1.0, 2.0])


def cubes():
    return sd.grad(lambda x: np.sum(x**3))


def both_ways(f, *args, out, good=X):
    """Call once the long way, and once where machine code has been made for ``good``."""
    for _ in range(2):
        yield lambda: f(*args, out=out)
        f(good, out=np.empty_like(f(good)))


def test_results_are_written_into_the_array_and_given_back():
    f, out = cubes(), np.zeros(3)
    for n in range(3):
        x = X + n
        assert f(x, out=out) is out
        np.testing.assert_array_equal(out, f(x))


def test_the_second_call_runs_machine_code_alone(monkeypatch):
    f, out = cubes(), np.zeros(3)
    f(X, out=out)
    monkeypatch.setattr(function_module.Function, "_call", None)
    assert f(2 * X, out=out) is out
    np.testing.assert_allclose(out, 12 * X**2)


def test_other_sizes_fit_the_same_code():
    f = cubes()
    for n in (3, 5, 1000, 2):
        x, out = np.linspace(1.0, 2.0, n), np.zeros(n)
        assert f(x, out=out) is out
        np.testing.assert_allclose(out, 3 * x**2)


class Pair(NamedTuple):
    a: float
    b: float


TREES = [
    (lambda x: (x * 2, {"a": x + 1, "b": [np.sum(x)]}), lambda e: (e(3), {"a": e(3), "b": [e()]})),
    (lambda x: {"s": np.sum(x), "none": None}, lambda e: {"s": e(), "none": None}),
    (lambda x: Pair(np.sum(x), x), lambda e: Pair(e(), e(3))),
    (np.sum, lambda e: e()),
]


@pytest.mark.parametrize(("function", "make"), TREES)
def test_trees_of_arrays(function, make):
    f, out = sd.jit(function), make(lambda *shape: np.zeros(shape))
    for x in (X, X * 2, X * 3):
        assert f(x, out=out) is out
        assert repr(out) == repr(_as_arrays(f(x)))


def _as_arrays(value):
    if isinstance(value, dict):
        return {k: _as_arrays(v) for k, v in value.items()}
    if isinstance(value, Pair):
        return Pair(*map(_as_arrays, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_as_arrays, value))
    return None if value is None else np.asarray(value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_dtypes(dtype):
    f, x, out = sd.jit(lambda x: x[::-1]), np.array([1, 0, 1], dtype), np.zeros(3, dtype)
    for _ in range(2):
        f(x, out=out)
        np.testing.assert_array_equal(out, x[::-1])


def test_python_numbers_give_arrays_of_no_axes():
    f, out = sd.grad(lambda x, y: x**2 * y, argnums=(0, 1)), (np.zeros(()), np.zeros(()))
    for x in (1.0, 2.0):
        assert f(x, 3.0, out=out) is out
        assert out == (6 * x, x**2)


def test_keywords_and_none():
    f, out = sd.jit(lambda x, scale=1.0: x * scale), np.zeros(3)
    assert f(X, scale=2.0, out=out) is out
    np.testing.assert_array_equal(out, 2 * X)
    np.testing.assert_array_equal(f(X, out=None), X)


def test_a_parameter_of_the_functions_own_stays_its_own():
    f = sd.jit(lambda x, out: x + out)
    for _ in range(2):
        np.testing.assert_array_equal(f(X, out=X), 2 * X)


def test_of_a_ufunc_it_is_ours():
    out = np.zeros(3)
    assert sd.jit(np.sin)(X, out=out) is out
    np.testing.assert_allclose(out, np.sin(X))


# arrays that need a copy


def test_arrays_that_are_not_contiguous():
    f, whole = cubes(), np.zeros((3, 2))
    for _ in range(2):
        for out in (whole[:, 0], whole[::-1, 1]):
            assert f(X, out=out) is out
            np.testing.assert_array_equal(out, 3 * X**2)


def test_the_argument_itself_may_be_written_to():
    """A kernel writes while it reads: reversed and summed, what it reads must not change."""
    f = sd.jit(lambda x: x[::-1] + np.sum(x) + np.cumsum(x))
    for _ in range(3):
        x = np.arange(9.0)
        expected = f(x)
        assert f(x, out=x) is x
        np.testing.assert_array_equal(x, expected)
        f(np.arange(9.0), out=np.zeros(9))


@pytest.mark.parametrize("shift", [-8, -3, -1, 1, 3, 8, 9, 12])
def test_an_array_that_overlaps_an_argument(shift):
    f = sd.jit(lambda x: x[::-1] * 2)
    for _ in range(3):
        memory = np.arange(40.0)
        x, out = memory[15:24], memory[15 + shift : 24 + shift]
        expected = f(x)
        f(x, out=out)
        np.testing.assert_array_equal(out, expected)
        f(np.arange(9.0), out=np.zeros(9))


# what is refused


BAD = [
    (np.zeros(4), sd.ShapeError, r"out has shape \(4,\), the result \(3,\)"),
    (np.zeros((1, 3)), sd.ShapeError, r"out has shape \(1, 3\), the result \(3,\)"),
    (np.zeros(3, "float32"), sd.DTypeError, "out has dtype float32, the result float64"),
    (np.zeros(3, ">f8"), sd.DTypeError, "out has dtype >f8, the result float64"),
    (3.0, sd.DTypeError, r"of type float, not an array: pass numpy.empty\(\(3,\), numpy.float64\)"),
    ([0.0, 0.0, 0.0], sd.ShapeError, r"structure list\(array, array, array\), the result array"),
    ((np.zeros(3),), sd.ShapeError, r"structure tuple\(array\), the result array"),
]


@pytest.mark.parametrize(("out", "kind", "message"), BAD)
def test_what_does_not_fit_is_refused_with_the_users_line(out, kind, message):
    f = cubes()
    for call in both_ways(f, X, out=out):
        with pytest.raises(kind, match=message) as raised:
            call()
        assert "test_outputs.py" in str(raised.value)


def test_a_read_only_array_is_refused_and_left_alone():
    f, out = cubes(), np.zeros(3)
    out.flags.writeable = False
    for call in both_ways(f, X, out=out):
        with pytest.raises(ValueError, match="out is read-only"):
            call()
        np.testing.assert_array_equal(out, np.zeros(3))


def test_two_results_cannot_share_memory():
    f, memory = sd.jit(lambda x: (x, 2 * x)), np.zeros(7)
    f(X, out=(np.zeros(3), np.zeros(3)))
    with pytest.raises(ValueError, match="two arrays of out share memory"):
        f(X, out=(memory[:3], memory[2:5]))
    for _ in range(2):
        f(X, out=(memory[:3], memory[3:6]))
        np.testing.assert_array_equal(memory, [*X, *(2 * X), 0])
    f(X, out=(memory[:6:2], memory[1:7:2]))
    np.testing.assert_array_equal(memory[:6:2], X)
    np.testing.assert_array_equal(memory[1:7:2], 2 * X)


def test_names_of_leaves_are_in_the_message():
    f = sd.jit(lambda x: {"w": x, "b": [x, x]})
    out = {"w": np.zeros(3), "b": [np.zeros(3), np.zeros(2)]}
    with pytest.raises(sd.ShapeError, match=r"out_b_1 has shape \(2,\)"):
        f(X, out=out)


def test_inside_a_trace_it_has_no_meaning():
    f, out = cubes(), np.zeros(3)
    with pytest.raises(sd.UnsupportedOperationError, match=r"out\[...\] = f\(x\)"):
        sd.jit(lambda x: f(x, out=out))(X)


def test_errors_of_the_kernel_are_raised():
    f = sd.jit(np.linalg.inv)
    good, singular, out = np.eye(2), np.zeros((2, 2)), np.zeros((2, 2))
    for _ in range(2):
        with pytest.raises(np.linalg.LinAlgError):
            f(singular, out=out)
        f(good, out=out)
        np.testing.assert_array_equal(out, good)


def test_many_results_go_the_long_way_alone():
    f, out = sd.jit(lambda x: [x * k for k in range(40)]), [np.zeros(3) for _ in range(40)]
    for _ in range(2):
        assert f(X, out=out) is out
        np.testing.assert_array_equal(out[39], 39 * X)


def test_primitives_in_python_write_too():
    double = sd.primitive(lambda x: 2 * np.asarray(x), shape=lambda shape: shape)
    f, out = sd.jit(lambda x: double(x) + 1), np.zeros(3)
    for _ in range(2):
        assert f(X, out=out) is out
        np.testing.assert_array_equal(out, 2 * X + 1)
