"""Arrays assembled of pieces: their zeros cost nothing, and change nothing."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.program.patterns import pattern, placeholder
from symdiff.program.sizes import Size, evaluate
from symdiff.rewriting.pieces import compute_pieces

D, K = 7, 4
rng = np.random.default_rng(3)
V = rng.normal(size=(K, D * (D - 1) // 2))
X = rng.normal(size=(90, K, D))


def by_columns(v):
    """Strictly lower triangles, column by column."""
    columns, start = [], 0
    for i in range(D):
        n = D - i - 1
        columns.append(np.concatenate([np.zeros((K, i + 1)), v[:, start : start + n]], axis=1))
        start += n
    return np.stack(columns, axis=-1)


def in_place(v):
    matrix = np.zeros((K, D, D))
    start = 0
    for i in range(D):
        n = D - i - 1
        matrix[:, i + 1 :, i] = v[:, start : start + n]
        start += n
    return matrix


def banded(v):
    """Ones above, numbers on, and nothing below the diagonal."""
    matrix = np.zeros((K, D, D))
    for i in range(D):
        matrix[:, i, i] = v[:, i]
        matrix[:, i, i + 1 :] = 1.0
    return matrix


FORMS = [by_columns, in_place, banded]


def loss(form, v, x):
    return np.sum(np.tanh(np.einsum("kij,nkj->nki", form(v), x)) ** 2)


@pytest.mark.parametrize("form", FORMS)
def test_values_and_derivatives(form):
    value, (dv, dx) = sd.value_and_grad(lambda v, x: loss(form, v, x), argnums=(0, 1))(V, X)
    np.testing.assert_allclose(value, loss(form, V, X), rtol=1e-12)
    matrix = form(V)
    t = np.tanh(np.einsum("kij,nkj->nki", matrix, X))
    slope = 2 * t * (1 - t**2)
    np.testing.assert_allclose(dx, np.einsum("kij,nki->nkj", matrix, slope), rtol=1e-11, atol=1e-12)
    full = np.einsum("nki,nkj->kij", slope, X)
    step = 1e-6
    for k in range(K):  # the places of an entry are those that it changes
        moved = V.copy()
        moved[k, 2] += step
        places = (form(moved) - matrix) / step
        np.testing.assert_allclose(dv[k, 2], np.sum(places * full), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", [by_columns, in_place])
def test_zeros_are_not_multiplied(form):
    """Three products of a triangle with vectors: 21 of 49 places of each are not zero."""
    compiled = sd.value_and_grad(lambda v, x: loss(form, v, x), argnums=(0, 1))
    counts = compiled.program(V, X).count_operations().operations
    full = sd.value_and_grad(
        lambda m, x: np.sum(np.tanh(np.einsum("kij,nkj->nki", m, x)) ** 2), argnums=(0, 1)
    )
    dense = full.program(form(V), X).count_operations().operations

    assert number_of(counts, "mul") < 0.6 * number_of(dense, "mul")


def number_of(operations, kind):
    count = operations[kind]
    if not isinstance(count, Size):
        return count
    names = {s for monomial, _ in count.terms for s in monomial}
    return evaluate(count, dict.fromkeys(names, 90))


def test_not_a_number_beside_a_zero():
    """The zeros of a triangle add nothing, be it multiplied with NaN."""
    x = X.copy()
    x[0, 0, D - 1] = np.nan  # which the last column, all zero, is multiplied with
    y = sd.jit(lambda v, x: np.einsum("kij,nkj->nki", in_place(v), x))(V, x)
    assert np.isfinite(y[1:]).all()
    np.testing.assert_allclose(y[0, 0], in_place(V)[0, :, :-1] @ x[0, 0, :-1], rtol=1e-12)


def test_an_array_of_zeros_only():
    f = sd.value_and_grad(lambda x: np.sum(np.concatenate([np.zeros(3), np.zeros(2)]) * x[:5]))
    value, gradient = f(np.ones(8))
    assert value == 0
    assert not gradient.any()


def test_what_has_no_pieces_stays():
    program = sd.jit(lambda x: np.sum(np.outer(x, x))).program(np.ones(5))
    assert compute_pieces(program) is program


def test_multiples():
    p, q = placeholder(0), placeholder(1)
    assert pattern(p * q, 2).is_multiple_of(0)
    assert not pattern(p * q + p, 2).is_multiple_of(0)
    assert not pattern(p**2, 1).is_multiple_of(0)
    assert not pattern(p > q, 2).is_multiple_of(0)
