"""What must never go wrong: branches not taken, corners, the caller's arrays, the caller's names.

A branch of `where` that is not taken contributes nothing to a value or to a derivative of any
order, in any mode; no second `where` inside is needed. The cases follow reports to other tools:
casadi#1878, symforce#445, sympy#15014, jax#5798.
"""

import dataclasses
import itertools
import keyword
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

import symdiff as sd

INF = np.inf


@pytest.fixture(autouse=True)
def numpy_may_warn():
    """Plain NumPy computes both branches, and warns of the one not taken."""
    with np.errstate(all="ignore"):
        yield


# Guarded functions of a number: at a point, the value and the derivatives of orders one and two.


def shared_by_both(x):
    root = np.sqrt(x)
    return np.where(x > 0, root, np.where(x < 0, -root, 2.0))


GUARDED = [
    ("sqrt, inside", lambda x: np.sqrt(np.where(x > 0, x, 0)), 4.0, (2, 0.25, -1 / 32)),
    ("sqrt, outside", lambda x: np.where(x > 0, np.sqrt(x), 0), -1.0, (0, 0, 0)),
    ("sqrt, at zero", lambda x: np.where(x > 0, np.sqrt(x), 0), 0.0, (0, 0, 0)),
    ("sqrt, taken", lambda x: np.where(x > 0, np.sqrt(x), 0), 4.0, (2, 0.25, -1 / 32)),
    ("sinc at zero", lambda x: np.where(x == 0, 1, np.sin(x) / x), 0.0, (1, 0, 0)),
    (
        "sinc, safe too",
        lambda x: np.where(x != 0, np.sin(x) / x, 1 - x**2 / 6),
        0.0,
        (1, 0, -1 / 3),
    ),
    (
        "sinc",
        lambda x: np.where(x == 0, 1, np.sin(x) / x),
        np.pi,
        (0, -1 / np.pi, 2 / np.pi**2),
    ),
    ("log, outside", lambda x: np.where(x > 0, np.log(x), 0), -2.0, (0, 0, 0)),
    ("log, at zero", lambda x: np.where(x > 0, np.log(x), 0), 0.0, (0, 0, 0)),
    ("log, taken", lambda x: np.where(x > 0, np.log(x), 0), 2.0, (np.log(2), 0.5, -0.25)),
    ("x log x", lambda x: np.where(x > 0, x * np.log(x), 0.0), 0.0, (0, 0, 0)),
    ("x over |x|", lambda x: np.where(x == 0, 0, x / np.abs(x)), 0.0, (0, 0, 0)),
    ("x over |x|, taken", lambda x: np.where(x == 0, 0, x / np.abs(x)), -3.0, (-1, 0, 0)),
    ("reciprocal", lambda x: np.where(x == 0, 3 * x, 1 / x), 0.0, (0, 3, 0)),
    ("power", lambda x: np.where(x > 0, x**0.3, x), -1.0, (-1, 1, 0)),
    ("power at zero", lambda x: np.where(x > 0, x**-1.5, x**2), 0.0, (0, 0, 2)),
    ("x to the x", lambda x: np.where(x > 0, x**x, 2 * x), -0.5, (-1, 2, 0)),
    ("exp overflows", lambda x: np.where(x < 10, np.exp(x), x), 1000.0, (1000, 1, 0)),
    (
        "softplus by hand",
        lambda x: np.where(x > 20, x, np.log(1 + np.exp(x))),
        1000.0,
        (1000, 1, 0),
    ),
    ("arcsin", lambda x: np.where(abs(x) < 1, np.arcsin(x), x**3), 2.0, (8, 12, 12)),
    ("arccosh", lambda x: np.where(x > 1, np.arccosh(x), 0), 1.0, (0, 0, 0)),
    ("tan", lambda x: np.where(x < 1, np.tan(x), x), 2.0, (2, 1, 0)),
    ("arctanh", lambda x: np.where(x < 1, np.arctanh(x), 5 * x), 1.0, (5, 5, 0)),
    ("other branch a number", lambda x: np.where(x > 0, 1.0, np.sqrt(x)), 1.0, (1, 0, 0)),
    (
        "nested",
        lambda x: np.where(x > 0, np.where(x > 1, np.log(x - 1), np.sqrt(1 - x)), x**2),
        -1.0,
        (1, -2, 2),
    ),
    (
        "nested, first",
        lambda x: np.where(x > 0, np.where(x > 1, np.log(x - 1), np.sqrt(1 - x)), x**2),
        2.0,
        (0, 1, -1),
    ),
    (
        "nested, second",
        lambda x: np.where(x > 0, np.where(x > 1, np.log(x - 1), np.sqrt(1 - x)), x**2),
        0.75,
        (0.5, -1, -2),
    ),
    (
        "nested the other way",
        lambda x: np.where(x <= 0, x, np.where(x <= 1, 1 / x, np.log(x - 1))),
        0.0,
        (0, 1, 0),
    ),
    ("twice", lambda x: np.where(x > 0, np.sqrt(x), 0) ** 2, 0.0, (0, 0, 0)),
    (
        "under a function",
        lambda x: np.exp(3 * np.where(x > 0, np.sqrt(x), x)),
        0.0,
        (1, 3, 9),
    ),
    (
        "a function of what is infinite",
        lambda x: np.where(x == 0, x, np.sin(1 / x) * np.log(abs(x)) + np.sqrt(abs(x))),
        0.0,
        (0, 1, 0),
    ),
    (
        "shared by both branches",
        shared_by_both,
        0.0,
        (2, 0, 0),
    ),
    (
        "condition on another quantity",
        lambda x: np.where(np.isfinite(1 / x), 1 / x, x),
        0.0,
        (0, 1, 0),
    ),
    (
        "and",
        lambda x: np.where((x > -1) & (x < 1), np.sqrt(1 - x**2), 0.0),
        1.0,
        (0, 0, 0),
    ),
    ("not", lambda x: np.where(~(x > 0), x, np.log(x)), 0.0, (0, 1, 0)),
    (
        "or",
        lambda x: np.where(np.logical_or(x <= 0, x >= 2), x**2, np.log(x) + np.log(2 - x)),
        2.0,
        (4, 4, 2),
    ),
    ("select", lambda x: np.select([x > 0, x < 0], [np.log(x), x**2], 7 * x), 0.0, (0, 7, 0)),
    (
        "select, taken",
        lambda x: np.select([x > 0, x < 0], [np.log(x), x**2], 7 * x),
        -1.0,
        (1, -2, 2),
    ),
    (
        "in an array's element",
        lambda x: np.where(x > 0, np.sqrt(np.stack([x, x]))[0], x),
        0.0,
        (0, 1, 0),
    ),
    (
        "in a sum",
        lambda x: np.sum(np.where(np.array([x > 0, False]), np.sqrt(x), x) / 2),
        0.0,
        (0, 1, 0),
    ),
    (
        "power of two arguments",
        lambda x: np.where(x > 0, x ** (1 + x), 0.0),
        0.0,
        (0, 0, 0),
    ),
    ("Huber", lambda x: np.where(abs(x) < 1, x**2 / 2, abs(x) - 0.5), 0.0, (0, 0, 1)),
    ("Huber, outside", lambda x: np.where(abs(x) < 1, x**2 / 2, abs(x) - 0.5), -3.0, (2.5, -1, 0)),
]


@pytest.mark.parametrize(("f", "x", "want"), [c[1:] for c in GUARDED], ids=[c[0] for c in GUARDED])
def test_guarded_numbers_in_every_mode(f, x, want):
    value, first, second = want

    def close(got, wanted):
        np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-13)

    close(f(np.float64(x)), value)
    close(sd.jit(f)(x), value)
    close(sd.grad(f)(x), first)
    close(sd.value_and_grad(f)(x), (value, first))
    close(sd.jacobian(f)(x), first)
    close(sd.jvp(f, x, 2.0), (value, 2 * first))
    got, pullback = sd.vjp(f, x)
    close((got, pullback(2.0)[0]), (value, 2 * first))
    close(sd.hessian(f)(x), second)
    close(sd.hvp(f, x, 2.0), (first, 2 * second))
    close(sd.grad(sd.grad(f))(x), second)
    close(sd.jvp(sd.grad(f), x, 1.0), (first, second))
    close(sd.jacobian(lambda v: sd.jvp(f, v, 1.0)[1])(x), second)


@pytest.mark.parametrize(("f", "x", "want"), [c[1:] for c in GUARDED], ids=[c[0] for c in GUARDED])
def test_guarded_numbers_as_elements_of_a_vector(f, x, want):
    """The same beside other elements, some in the other branch; loops may be turned to vectors."""

    def each(v):
        return np.stack([f(e) for e in v])

    at = np.array([x, 0.5, x, -0.25, x])
    value, first, second = (np.array([w])[[0, 0, 0]] for w in want)
    picked = [0, 2, 4]
    np.testing.assert_allclose(sd.jit(each)(at)[picked], value, rtol=1e-13, atol=1e-13)
    J = sd.jacobian(each)(at)[picked][:, picked]
    np.testing.assert_allclose(J, np.diag(first), rtol=1e-13, atol=1e-13)
    H = sd.hessian(lambda v: np.sum(each(v)))(at)[picked][:, picked]
    np.testing.assert_allclose(H, np.diag(second), rtol=1e-13, atol=1e-13)


# Guarded functions of vectors

Z = np.array([0.0, -2.0, 4.0, 0.0, 9.0])


def test_guarded_vectors():
    def f(x):
        return np.where(x > 0, np.sqrt(x), 0.0)

    root = np.array([0, 0, 2, 0, 3.0])
    slope = np.array([0, 0, 0.25, 0, 1 / 6])
    curve = np.array([0, 0, -1 / 32, 0, -1 / 108])
    np.testing.assert_allclose(sd.jit(f)(Z), root)
    np.testing.assert_allclose(sd.grad(lambda x: np.sum(f(x)))(Z), slope, rtol=1e-14)
    np.testing.assert_allclose(sd.jacobian(f)(Z), np.diag(slope), rtol=1e-14)
    np.testing.assert_allclose(sd.hessian(lambda x: np.sum(f(x)))(Z), np.diag(curve), rtol=1e-14)
    np.testing.assert_allclose(sd.jvp(f, Z, Z + 1)[1], slope * (Z + 1), rtol=1e-14)
    np.testing.assert_allclose(sd.vjp(f, Z)[1](Z + 1)[0], slope * (Z + 1), rtol=1e-14)
    product = sd.hvp(lambda x: np.sum(f(x)), Z, Z + 1)[1]
    np.testing.assert_allclose(product, curve * (Z + 1), rtol=1e-14)


def norm_guarded(x):
    square = np.sum(x**2)
    return np.where(square > 0, np.sqrt(square), 0.0)


def norm_guarded_by_numpy(x):
    return np.where(np.sum(x**2) > 0, np.linalg.norm(x), 0.0)


def direction_guarded(x):
    n = np.linalg.norm(x)
    return np.sum(np.where(n > 0, x / n, 0.0) * np.arange(1.0, 4.0))


def rows_guarded(x):
    rows = np.stack([x, 0 * x, x + 1])
    square = np.sum(rows**2, axis=1, keepdims=True)
    return np.sum(np.where(square > 0, rows / np.sqrt(square), rows))


def log_ratio_guarded(x):
    total = np.sum(x)
    return np.sum(np.where((x > 0) & (total > 0), x * np.log(x / total), 0.0))


ZERO_AT_ZERO = [norm_guarded, norm_guarded_by_numpy, direction_guarded, log_ratio_guarded]


@pytest.mark.parametrize("f", ZERO_AT_ZERO, ids=[f.__name__ for f in ZERO_AT_ZERO])
def test_guarded_norms_at_zero(f):
    zero = np.zeros(3)
    assert sd.jit(f)(zero) == 0
    np.testing.assert_array_equal(sd.grad(f)(zero), zero)
    np.testing.assert_array_equal(sd.hessian(f)(zero), np.zeros((3, 3)))
    np.testing.assert_array_equal(sd.jvp(f, zero, zero + 1), (0, 0))
    np.testing.assert_array_equal(sd.hvp(f, zero, zero + 1)[1], zero)


@pytest.mark.parametrize("f", ZERO_AT_ZERO, ids=[f.__name__ for f in ZERO_AT_ZERO])
def test_guarded_norms_elsewhere(f):
    x = np.array([0.5, 1.5, 0.25])
    np.testing.assert_allclose(sd.jit(f)(x), f(x), rtol=1e-14)
    sd.check_derivatives(f, x)


def test_one_row_of_zeros_leaves_the_others_alone():
    """The row of zeros gets its own branch's derivative, which here is that of 0 * x."""
    x = np.array([0.5, 1.5, 0.25])

    def without(x):
        return np.sum(x / np.sqrt(np.sum(x**2))) + np.sum((x + 1) / np.sqrt(np.sum((x + 1) ** 2)))

    want = [(without(x + 1e-6 * e) - without(x - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(sd.grad(rows_guarded)(x), want, rtol=1e-8, atol=1e-9)
    assert np.all(np.isfinite(sd.hessian(rows_guarded)(x)))


def test_distances_of_particles_from_themselves():
    """The diagonal of a table of distances is zero; its derivative is guarded."""
    r = np.array([[0.0, 0.1], [1.0, 0.3], [0.4, 1.2]])
    apart = ~np.eye(3, dtype=bool)

    def energy(r):
        d = r[:, None] - r[None, :]
        square = np.sum(d**2, axis=-1)
        return np.sum(np.where(apart, 1 / np.sqrt(square), 0.0)) / 2

    def pairs(r):
        i, j = np.triu_indices(3, 1)
        return np.sum(1 / np.sqrt(np.sum((r[i] - r[j]) ** 2, axis=1)))

    np.testing.assert_allclose(sd.jit(energy)(r), pairs(r), rtol=1e-14)
    eye = np.eye(6).reshape(6, 3, 2)
    want = np.array([(pairs(r + 1e-6 * e) - pairs(r - 1e-6 * e)) / 2e-6 for e in eye])
    np.testing.assert_allclose(sd.grad(energy)(r).ravel(), want, rtol=1e-8)
    H = sd.hessian(energy)(r).reshape(6, 6)
    gradient = sd.grad(energy)
    columns = [(gradient(r + 1e-6 * e) - gradient(r - 1e-6 * e)).ravel() / 2e-6 for e in eye]
    np.testing.assert_allclose(H, np.stack(columns, axis=1), rtol=1e-7, atol=1e-8)


def test_where_with_a_constant_mask():
    mask = np.array([False, True, True, False, True])
    x = np.array([-1.0, 2.0, 3.0, 0.0, 4.0])

    def f(x):
        return np.sum(np.where(mask, np.log(x), 0.0))

    np.testing.assert_allclose(sd.grad(f)(x), np.where(mask, 1 / x, 0), rtol=1e-14)
    np.testing.assert_allclose(sd.hessian(f)(x), np.diag(np.where(mask, -1 / x**2, 0)), rtol=1e-14)


def test_where_whose_condition_broadcasts():
    x = np.array([[1.0, 0.0], [4.0, 9.0]])

    def f(x):
        return np.sum(np.where(np.min(x, axis=1, keepdims=True) > 0, np.sqrt(x), x))

    np.testing.assert_allclose(sd.grad(f)(x), [[1, 1], [0.25, 1 / 6]], rtol=1e-14)


def test_infinities_where_they_are_due():
    assert sd.grad(np.sqrt)(0.0) == INF
    assert sd.grad(lambda x: np.where(x >= 0, np.sqrt(x), 0.0))(0.0) == INF
    assert sd.grad(lambda x: np.where(x >= 0, np.log(x), 0.0))(0.0) == INF
    assert np.isnan(sd.jit(lambda x: np.where(x > 0, x, np.log(x)))(-1.0))


def test_sums_and_products_with_selections():
    def f(x):
        kept = np.where(x != 0, 1 / x, 0.0)
        return np.sum(kept) * np.max(kept) + kept @ kept

    x = np.array([0.0, 2.0, 4.0])
    # s m + k.k with k = (0, 1/2, 1/4): d/dk = m + s [max] + 2 k, dk/dx = -1/x^2
    want = np.array([0, -(0.5 + 0.75 + 1.0) / 4, -(0.5 + 0.5) / 16])
    np.testing.assert_allclose(sd.grad(f)(x), want, rtol=1e-14)
    assert np.all(np.isfinite(sd.hessian(f)(x)))


# Corners

CORNERS = [
    ("abs", np.abs, 0.0, 0.0),
    ("abs by operator", abs, 0.0, 0.0),
    ("abs of minus zero", np.abs, -0.0, 0.0),
    ("relu", lambda x: np.maximum(x, 0), 0.0, 0.5),
    ("minimum", lambda x: np.minimum(x, 2 * x), 0.0, 1.5),
    ("maximum", lambda x: np.maximum(x**2, x), 1.0, 1.5),
    ("maximum of the same", lambda x: np.maximum(x, x), 3.0, 1.0),
    ("fmax", lambda x: np.fmax(x, 3.0), 3.0, 0.5),
    ("x**0", lambda x: x**0, 0.0, 0.0),
    ("x**0.0", lambda x: x**0.0, 0.0, 0.0),
    ("x**1", lambda x: x**1, 0.0, 1.0),
    ("x**2", lambda x: x**2, 0.0, 0.0),
    ("x**3 of a negative", lambda x: x**3, -2.0, 12.0),
    ("x**3.0 of a negative", lambda x: x**3.0, -2.0, 12.0),
    ("x**-1 of a negative", lambda x: x**-1, -2.0, -0.25),
    ("x**0.5 at zero", lambda x: x**0.5, 0.0, INF),
    ("cbrt", np.cbrt, 8.0, 1 / 12),
    ("0**x", lambda x: 0.0**x, 2.0, 0.0),
    ("(-2)**x", lambda x: (-2.0) ** x, 3.0, 0.0),
    ("sqrt", np.sqrt, 0.0, INF),
    ("log(1 + exp)", lambda x: np.log(1 + np.exp(x)), 100.0, 1.0),
    ("log(exp + 1)", lambda x: np.log(np.exp(x) + 1), 100.0, 1.0),
    ("log1p(exp)", lambda x: np.log1p(np.exp(x)), 100.0, 1.0),
    ("log(1 + exp) below", lambda x: np.log(1 + np.exp(x)), -1000.0, 0.0),
    ("logaddexp", lambda x: np.logaddexp(x, 0.0), 1000.0, 1.0),
    ("floor", lambda x: x * np.floor(x), 2.5, 2.0),
    ("sign", lambda x: x * np.sign(x), 0.0, 0.0),
    ("hypot at zero", lambda x: np.where(x == 0, 0, np.hypot(x, x)), 0.0, 0.0),
    ("clip at its edge", lambda x: np.clip(x, 0, 1) * 1.0, 0.5, 1.0),
]


@pytest.mark.parametrize(("f", "x", "want"), [c[1:] for c in CORNERS], ids=[c[0] for c in CORNERS])
def test_corners_in_every_mode(f, x, want):
    close = pytest.approx(want, rel=1e-14, abs=1e-15)
    assert sd.grad(f)(x) == close
    assert sd.jvp(f, x, 1.0)[1] == close
    assert sd.vjp(f, x)[1](1.0)[0] == close
    assert sd.jacobian(f)(x) == close
    v = np.array([x, 1.25, x])
    np.testing.assert_allclose(
        sd.grad(lambda v: np.sum(f(v)))(v)[[0, 2]], [want, want], rtol=1e-14, atol=1e-15
    )


def test_values_at_corners():
    assert sd.jit(lambda x: np.log(1 + np.exp(x)))(100.0) == 100.0
    assert sd.jit(lambda x: x**0)(0.0) == 1.0
    assert sd.jit(lambda x, y: x**y)(0.0, 0.0) == 1.0


@pytest.mark.parametrize(
    "softplus",
    [
        lambda x: np.log(1 + np.exp(x)),
        lambda x: np.log(np.exp(x) + 1),
        lambda x: np.log1p(np.exp(x)),
        lambda x: np.logaddexp(x, 0),
    ],
    ids=["log(1 + exp)", "log(exp + 1)", "log1p", "logaddexp"],
)
def test_softplus_in_single_precision(softplus):
    """Where exp(100) is more than float32 holds."""
    value, slope = sd.value_and_grad(softplus)(np.float32(100))
    assert (value, slope) == (100, 1)
    v = np.array([100, 0, -100], dtype=np.float32)
    got = sd.grad(lambda v: np.sum(softplus(v)))(v)
    np.testing.assert_allclose(got, [1, 0.5, 0], atol=1e-30)


def test_powers_of_two_arguments():
    g = sd.grad(lambda x, y: x**y, (0, 1))
    assert g(-2.0, 3.0) == (12.0, 0.0)
    assert g(0.0, 2.0) == (0.0, 0.0)
    assert g(0.0, 0.0) == (0.0, 0.0)
    assert g(0.0, 1.0) == (1.0, 0.0)
    assert g(2.0, 0.0) == (0.0, pytest.approx(np.log(2)))
    assert g(-2.0, 0.0) == (0.0, 0.0)
    H = sd.hessian(lambda x, y: x**y, (0, 1))(-2.0, 3.0)
    assert H[0][0] == -12.0
    assert H[1][1] == 0.0


def test_ties_are_shared():
    np.testing.assert_allclose(
        sd.grad(np.max)(np.array([3.0, 1.0, 3.0, 3.0])), [1 / 3, 0, 1 / 3, 1 / 3]
    )
    np.testing.assert_allclose(sd.grad(np.min)(np.array([1.0, 1.0, 3.0])), [0.5, 0.5, 0])
    m = np.array([[1.0, 5.0, 5.0], [2.0, 2.0, 2.0]])
    got = sd.jacobian(lambda m: np.max(m, axis=1))(m)
    np.testing.assert_allclose(got[0], [[0, 0.5, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(got[1], [[0, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    value, tangent = sd.jvp(np.max, np.array([3.0, 1.0, 3.0]), np.array([1.0, 10.0, 5.0]))
    assert (value, tangent) == (3.0, 3.0)
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    got = sd.grad(lambda x, y: np.sum(np.maximum(x, y)), (0, 1))(x, y)
    np.testing.assert_array_equal(got, [[0.5, 0, 1], [0.5, 1, 0]])
    got = sd.grad(lambda x, y: np.sum(np.minimum(x, y)), (0, 1))(x, y)
    np.testing.assert_array_equal(got, [[0.5, 1, 0], [0.5, 0, 1]])


@pytest.mark.parametrize(
    "x", [[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 2.0]]
)
def test_products_with_zeros(x):
    x = np.array(x)
    others = [
        [k for k in range(3) if k not in pair] for pair in itertools.product(range(3), repeat=2)
    ]
    first = [np.prod(np.delete(x, k)) for k in range(3)]
    second = np.array([np.prod(x[o]) if len(o) == 1 else 0.0 for o in others]).reshape(3, 3)
    np.testing.assert_array_equal(sd.grad(np.prod)(x), first)
    np.testing.assert_array_equal(sd.hessian(np.prod)(x), second)
    np.testing.assert_allclose(sd.jvp(np.prod, x, x + 1), (np.prod(x), np.dot(first, x + 1)))
    rows = np.stack([x, x[::-1] + 1])
    got = sd.jacobian(lambda m: np.prod(m, axis=1))(rows)
    np.testing.assert_array_equal(got[0], [first, np.zeros(3)])


# The caller's arrays


def assigns(x):
    x[0] = 5.0
    return x * 2


def adds(x):
    x += 1.0
    return x * x


def scales_a_slice(x):
    x[1:] *= 3.0
    return x


def clears_by_mask(x):
    x[x > 1] = 0.0
    return x * 2


def assigns_through_a_view(x):
    y = x[::2]
    y[0] = 7.0
    return x + 1


def sorts(x):
    x.sort()
    return x * np.arange(3.0)


def fills(x):
    x.fill(2.0)
    return x * 2


def writes_to_out(x):
    np.multiply(x, 2.0, out=x)
    return x + 1


def adds_at(x):
    np.add.at(x, [0, 0, 1], 1.0)
    return x * 2


def through_asarray(x):
    y = np.asarray(x)
    y[0] = 1.5
    return x * y


def in_a_helper(x):
    def clear(a):
        a[-1] = 0.0

    clear(x)
    return np.cos(x)


MUTATING = [
    assigns,
    adds,
    scales_a_slice,
    clears_by_mask,
    assigns_through_a_view,
    sorts,
    fills,
    writes_to_out,
    adds_at,
    through_asarray,
    in_a_helper,
]


@pytest.mark.parametrize("f", MUTATING, ids=[f.__name__ for f in MUTATING])
def test_arguments_are_never_changed(f):
    """An error, or the numbers that NumPy gives; the array that was passed stays as it was."""
    x = np.array([3.0, 0.5, 1.5])
    given = x.copy()
    want = f(x.copy())
    calls = {
        "jit": lambda: sd.jit(f)(x),
        "jacobian": lambda: sd.jacobian(f)(x),
        "jvp": lambda: sd.jvp(f, x, x)[0],
        "vjp": lambda: sd.vjp(f, x)[0],
        "grad": lambda: sd.grad(lambda x: np.sum(f(x)))(x),
    }
    eye = 1e-6 * np.eye(3)
    slopes = np.stack([(f(x + e) - f(x - e)) / 2e-6 for e in eye], axis=1)
    wants = {"jit": want, "jacobian": slopes, "jvp": want, "vjp": want, "grad": slopes.sum(axis=0)}
    for name, call in calls.items():
        if (got := attempt(call)) is not None:
            np.testing.assert_allclose(got, wants[name], rtol=1e-8, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(x, given)


def attempt(call):
    """Give a result, or nothing where symdiff says clearly that it cannot."""
    try:
        return call()
    except sd.SymdiffError as error:
        assert __file__ in str(error), error  # noqa: PT017 (either outcome is right)
        return None


def test_containers_of_arguments_are_never_changed():
    def f(p):
        p["x"] = p["x"] * 2
        p["more"] = 1.0
        return np.sum(p["x"]) * p["list"].pop()

    p = {"x": np.ones(3), "list": [2.0, 3.0]}
    if (got := attempt(lambda: sd.grad(f)(p))) is not None:
        np.testing.assert_allclose(got["x"], [6, 6, 6])
    assert list(p) == ["x", "list"]
    assert p["list"] == [2.0, 3.0]
    np.testing.assert_array_equal(p["x"], np.ones(3))


# The caller's names

NAMES = [
    "n", "n1", "m", "i", "j", "k", "l", "dx", "dy", "df", "d", "x", "y", "x_1", "x1", "_x", "x_",
    "result", "results", "out", "out0", "output", "outputs", "value", "values", "gradient", "t",
    "t1", "t_1", "t2", "tmp", "temp", "lambda_", "Lambda", "tangent", "tangent_x", "cotangent",
    "primal", "pullback", "args", "kwargs", "self", "cls", "f", "g", "fn", "func", "function",
    "np", "numpy", "math", "sp", "sympy", "sd", "symdiff", "numba", "nb", "range", "len", "sum",
    "abs", "int", "float", "max", "min", "print", "E", "I", "N", "O", "Q", "S", "C", "pi", "e",
    "beta", "gamma", "zeta", "Symbol", "sin", "exp", "log", "sqrt", "where", "inf", "nan", "main",
    "kernel", "target", "argnums", "sparse", "has_aux", "in_axes", "shape", "size", "data", "ptr",
    "index", "base", "acc", "s", "a", "b", "c", "v", "w", "z", "alpha", "é", "β", "x̂", "ﬁ",
    "__x", "_", "__", "_0", "_t1", "__class__x", "type_", "int64", "double", "void", "restrict",
    "static", "struct", "return_", "if_", "for_", "const", "auto", "register", "malloc", "entry",
    "define", "float64", "input", "inputs", "constants", "equations", "program", "name", "names",
    "dn", "di", "dt", "d_x", "grad_f", "jit", "trace", "Sum", "Piecewise", "MatrixSymbol", "zoo",
]  # fmt: skip


def named(name: str) -> Any:
    """Make a function of two arguments, the first of which has a given name."""
    other = "other_one" if name != "other_one" else "another"
    space: dict[str, Any] = {"the_numpy": np}
    source = (
        f"def the_function({name}, {other}):\n"
        f"    return the_numpy.sum({name} ** 2 * {other}) + the_numpy.sum({other})\n"
    )
    exec(source, space)  # noqa: S102 (a name can only be an argument's if it is source)
    return space["the_function"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_arguments(name):
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    f = named(name)
    x, y = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5])
    value, (dx, dy) = sd.value_and_grad(f, (0, 1))(x, y)
    np.testing.assert_allclose(value, np.sum(x**2 * y) + np.sum(y), rtol=1e-14)
    np.testing.assert_allclose(dx, 2 * x * y, rtol=1e-14)
    np.testing.assert_allclose(dy, x**2 + 1, rtol=1e-14)
    assert str(sd.grad(f).program(x, y))


@pytest.mark.parametrize("name", ["n", "i", "dx", "t1", "lambda_", "np", "E", "é", "_", "out"])
def test_names_in_what_is_shown(name):
    f = sd.grad(named(name), (0, 1))
    numbers = f(2.0, 3.0)
    assert numbers == (12.0, 5.0)
    shown = f.formula(2.0, 3.0)
    symbols = {s for e in shown for s in e.free_symbols}
    assert {str(s) for s in symbols} <= {name, "other_one"}
    at = {s: 2.0 if str(s) == name else 3.0 for s in symbols}
    assert [float(e.subs(at)) for e in shown] == [12.0, 5.0]
    assert f.latex(2.0, 3.0)
    assert f.source(2.0, 3.0)


def test_many_names_at_once():
    space: dict[str, Any] = {}
    names = list(dict.fromkeys(n for n in NAMES if n.isascii()))
    terms = " + ".join(f"{k + 1} * {name}" for k, name in enumerate(names))
    exec(f"def f({', '.join(names)}):\n    return {terms}", space)  # noqa: S102
    f = space["f"]
    at = [0.5 + 0.25 * k for k in range(len(names))]
    assert sd.jit(f)(*at) == pytest.approx(f(*at), rel=1e-13)
    got = sd.grad(f, tuple(range(len(names))))(*at)
    assert got == tuple(float(k + 1) for k in range(len(names)))


class Leaves(NamedTuple):
    n: Any
    dx: Any


@dataclasses.dataclass
class Fields:
    n: Any
    x_0: Any


def test_names_of_leaves():
    """Two leaves may have one name, or names that look like positions or like derivatives."""
    x = np.array([1.0, 2.0])
    p = {
        "x": x,
        "x_0": 2 * x,
        "n": [x + 1, Leaves(x, 3.0)],
        "0": Fields(4.0, x),
        "": 5.0,
        "a b": (6.0, 7.0),
        "d x": 8.0,
        1: 9.0,
        "x[0]": 10.0,
        "lambda": 11.0,
        "x.n": 12.0,
    }

    def f(p, x, dx, x_0):
        s = np.sum(p["x"] * 2) + np.sum(p["x_0"] * 3) + np.sum(p["n"][0] * 4)
        s = s + np.sum(p["n"][1].n * 5) + p["n"][1].dx * 6 + p["0"].n * 7 + np.sum(p["0"].x_0 * 8)
        s = s + p[""] * 9 + p["a b"][0] * 10 + p["a b"][1] * 11 + p["d x"] * 12 + p[1] * 13
        s = s + p["x[0]"] * 14 + p["lambda"] * 15 + p["x.n"] * 16
        return s + np.sum(x * 17) + dx * 18 + x_0 * 19

    got, gx, gdx, gx_0 = sd.grad(f, (0, 1, 2, 3))(p, x, 1.0, 2.0)
    np.testing.assert_array_equal(got["x"], [2, 2])
    np.testing.assert_array_equal(got["x_0"], [3, 3])
    np.testing.assert_array_equal(got["n"][0], [4, 4])
    np.testing.assert_array_equal(got["n"][1].n, [5, 5])
    np.testing.assert_array_equal(got["0"].x_0, [8, 8])
    assert (got["n"][1].dx, got["0"].n, got[""], got["a b"]) == (6, 7, 9, (10, 11))
    assert [got[k] for k in ("d x", 1, "x[0]", "lambda", "x.n")] == [12, 13, 14, 15, 16]
    np.testing.assert_array_equal(gx, [17, 17])
    assert (gdx, gx_0) == (18, 19)
    assert list(got) == list(p)
    assert str(sd.jit(f).program(p, x, 1.0, 2.0))


def test_names_of_functions():
    def make(name):
        def f(x):
            return x**2

        f.__name__ = f.__qualname__ = name
        return f

    for name in ("<lambda>", "np", "grad", "n", "x", "t1", "def", "a b", "é", "", "9"):
        assert sd.grad(make(name))(3.0) == 6.0
        assert sd.hessian(make(name))(3.0) == 2.0
        assert sd.jit(make(name)).source(3.0)


def test_a_tangent_and_a_derivative_of_one_name():
    def f(x, dx, tangent_x, x_t, dx_1):
        return x * dx + tangent_x**2 * x_t + dx_1 * x**2

    at = (2.0, 3.0, 4.0, 5.0, 6.0)
    assert sd.grad(f, (0, 1, 2, 3, 4))(*at) == (27.0, 2.0, 40.0, 16.0, 4.0)
    assert sd.jvp(f, at, (1.0,) * 5) == (110.0, 89.0)
    value, pullback = sd.vjp(f, *at)
    assert (value, pullback(1.0)) == (110.0, (27.0, 2.0, 40.0, 16.0, 4.0))
    assert sd.hessian(f)(*at) == 12.0
    assert sd.hessian(f, (0, 1))(*at) == ((12.0, 1.0), (1.0, 0.0))


def test_no_warning_comes_out():
    """What is computed for a branch not taken is nobody's concern."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        f = sd.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))
        np.testing.assert_array_equal(f(np.array([-1.0, 0.0])), [0, 0])
