"""Factorizations: what all threads do together, and what one does, agrees with the CPU."""

import numpy as np
import pytest
from emulator import agree, same

import symdiff as sd
from symdiff.compilation.cuda.together import SMALL

RNG = np.random.default_rng(0)
N = SMALL + 2
A, B = RNG.standard_normal((N, N)), RNG.standard_normal((N, 5))
S = A @ A.T + np.eye(N)
TALL, SQUARE = RNG.standard_normal((6, 3)), RNG.standard_normal((4, 4))


def solved(a, b):
    return np.sum(np.linalg.solve(a, b) ** 2)


def inverted_twice(a):
    return sd.fori_loop(0, 2, lambda _, x: np.linalg.inv(x + x.T), a)


def reduced(a):
    return np.linalg.svd(a, full_matrices=False)


LARGE = {
    "cholesky": (sd.jit(np.linalg.cholesky), (S,)),
    "gradient of cholesky": (sd.value_and_grad(lambda s: np.sum(np.linalg.cholesky(s) ** 3)), (S,)),
    "inverse": (sd.jit(np.linalg.inv), (A,)),
    "float32": (sd.jit(np.linalg.inv), (S.astype("f4"),)),
    "solve": (sd.value_and_grad(solved, (0, 1)), (A, B)),
    "determinant": (sd.value_and_grad(np.linalg.det), (A / 4,)),
    "in a loop": (
        sd.jit(lambda a: sd.fori_loop(0, 2, lambda _, x: np.linalg.inv(x + x.T), a)),
        (A,),
    ),
}


@pytest.mark.parametrize("blocks", [(1, 16), (3, 8)])
@pytest.mark.parametrize("name", LARGE)
def test_columns_are_shared(name, blocks):
    f, args = LARGE[name]
    agree(f, args, blocks)


def test_small_ones_are_for_one_thread():
    f = sd.jit(np.linalg.cholesky)
    assert "cholesky(" in f.source(np.eye(SMALL), target="cuda").split("me = ")[1]
    assert "cholesky(" not in f.source(np.eye(N), target="cuda").split("me = ")[1]


def test_what_fails():
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        sd.jit(np.linalg.inv, target="cuda")(np.zeros((N, N)))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        sd.jit(np.linalg.cholesky, target="cuda")(-S)
    with pytest.raises(np.linalg.LinAlgError, match="converge"):
        sd.jit(reduced, target="cuda")(np.full((3, 2), np.nan))


# what one thread does

ORTHOGONAL = {
    "qr": np.linalg.qr,
    "r of qr": lambda a: np.linalg.qr(a, "r"),
    "singular values": np.linalg.svdvals,
    "pseudoinverse": np.linalg.pinv,
    "nuclear norm": lambda a: np.linalg.norm(a, "nuc"),
    "condition": np.linalg.cond,
    "gradient of qr": sd.grad(lambda a: np.sum(np.linalg.qr(a)[1] ** 3)),
    "gradient of svd": sd.grad(lambda a: np.sum(np.linalg.svdvals(a) ** 3)),
    "gradient of pinv": sd.grad(lambda a: np.sum(np.linalg.pinv(a) ** 3)),
}


@pytest.mark.parametrize("a", [TALL, TALL.T, SQUARE], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("name", ORTHOGONAL)
def test_orthogonal_factorizations(name, a):
    f = ORTHOGONAL[name]
    if name == "gradient of qr" and a.shape[0] < a.shape[1]:
        a = a.T
    f = f if isinstance(f, sd.Function) else sd.jit(f)
    same(f.with_target("cuda")(a), f(a))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (5, 1), (1, 5)])
def test_singular_vectors(shape, dtype):
    a = RNG.standard_normal(shape).astype(dtype)
    left, values, right = sd.jit(reduced, target="cuda")(a)
    tolerance = 1e-13 if dtype == "float64" else 2e-6
    np.testing.assert_allclose(values, np.linalg.svdvals(a), rtol=10 * tolerance)
    np.testing.assert_allclose((left * values) @ right, a, atol=20 * tolerance)
    eye = np.eye(len(values))
    np.testing.assert_allclose(left.T @ left, eye, atol=10 * tolerance)
    np.testing.assert_allclose(right @ right.T, eye, atol=10 * tolerance)
    assert left.dtype == values.dtype == right.dtype == dtype


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 0.0])
@pytest.mark.parametrize("is_wide", [False, True])
def test_singular_vectors_of_what_has_not_full_rank(scale, is_wide):
    a = scale * np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 2.0])
    a = a.T if is_wide else a
    left, values, right = sd.jit(reduced, target="cuda")(a)
    exact = np.array([np.sqrt(30.0 * 5.0), 0.0, 0.0]) * scale
    np.testing.assert_allclose(values, exact, rtol=1e-14, atol=1e-15 * scale)
    np.testing.assert_allclose((left * values) @ right, a, atol=1e-14 * scale)
    np.testing.assert_allclose(left.T @ left, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(right @ right.T, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("a", [np.zeros((3, 2)), np.diag([-2.0, 3.0, -1.0]), np.triu(SQUARE)])
def test_signs_of_qr_are_lapacks(a):
    f = sd.jit(np.linalg.qr)
    same(f.with_target("cuda")(a), f(a))


def test_batches():
    a = RNG.standard_normal((5, 4, 3))
    f = sd.vmap(np.linalg.svdvals)
    agree(f, (a,), (2, 4))
    agree(sd.vmap(sd.grad(lambda a: np.sum(np.linalg.pinv(a) ** 2))), (a,), (2, 4))
