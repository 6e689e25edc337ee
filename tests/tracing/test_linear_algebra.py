"""Linear algebra: values are NumPy's, derivatives of both orders are those of differences."""

import numpy as np
import pytest
import scipy.linalg

import symdiff as sd

rng = np.random.default_rng(3)
A = rng.normal(size=(4, 4)) + 4 * np.eye(4)
SYMMETRIC = A @ A.T
B = rng.normal(size=(4, 3))
V = rng.normal(size=4)
TALL = rng.normal(size=(5, 3))
WIDE = TALL.T.copy()
STACK = np.stack([A, SYMMETRIC])


def invariants_of_vectors(vectors):
    """Products of components of one vector, which do not depend on its sign."""
    return vectors[..., :, None, :] * vectors[..., None, :, :]


def of_eigh(a):
    values, vectors = np.linalg.eigh(a)
    return np.sum(invariants_of_vectors(vectors) * values[..., None, None, :] ** 2, axis=-2)


def of_svd(a):
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    right = invariants_of_vectors(np.swapaxes(vt, -1, -2))
    return np.sum(invariants_of_vectors(u)) + np.sum(right * s**2) + np.sum(right[0] * s)


CASES = {
    "solve vector": (np.linalg.solve, A, V),
    "solve matrix": (np.linalg.solve, A, B),
    "solve stack": (np.linalg.solve, STACK, np.stack([B, B + 1])),
    "solve broadcast": (np.linalg.solve, A, np.stack([B, B + 1])),
    "inv": (np.linalg.inv, A),
    "inv stack": (np.linalg.inv, STACK),
    "det 1": (np.linalg.det, A[:1, :1].copy()),
    "det 2": (np.linalg.det, A[:2, :2].copy()),
    "det 3": (np.linalg.det, A[:3, :3].copy()),
    "det 4": (np.linalg.det, A),
    "det stack": (np.linalg.det, STACK),
    "logdet": (lambda a: np.linalg.slogdet(a)[1], A),
    "logdet of a negative one": (lambda a: np.linalg.slogdet(a).logabsdet, -A[:3, :3].copy()),
    "cholesky": (np.linalg.cholesky, SYMMETRIC),
    "cholesky stack": (np.linalg.cholesky, np.stack([SYMMETRIC, SYMMETRIC + np.eye(4)])),
    "upper cholesky": (lambda a: np.linalg.cholesky(a, upper=True), SYMMETRIC),
    "eigvalsh": (np.linalg.eigvalsh, SYMMETRIC),
    "eigvalsh upper": (lambda a: np.linalg.eigvalsh(a, "U"), SYMMETRIC),
    "eigh": (of_eigh, SYMMETRIC),
    "svdvals": (np.linalg.svdvals, TALL),
    "svd values": (lambda a: np.linalg.svd(a, compute_uv=False), WIDE),
    "svd tall": (of_svd, TALL),
    "svd wide": (of_svd, WIDE),
    "svd square": (of_svd, A),
    "q": (lambda a: np.linalg.qr(a)[0], TALL),
    "r": (lambda a: np.linalg.qr(a, "r"), TALL),
    "r wide": (lambda a: np.linalg.qr(a).R, WIDE),
    "r square": (lambda a: np.linalg.qr(a)[1], A),
    "pinv tall": (np.linalg.pinv, TALL),
    "pinv wide": (np.linalg.pinv, WIDE),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b)[0], TALL, rng.normal(size=5)),
    "lstsq residuals": (lambda a, b: np.linalg.lstsq(a, b)[1], TALL, rng.normal(size=(5, 2))),
    "power 3": (lambda a: np.linalg.matrix_power(a, 3), A),
    "power -2": (lambda a: np.linalg.matrix_power(a, -2), A),
    "spectral norm": (lambda a: np.linalg.norm(a, 2), TALL),
    "nuclear norm": (lambda a: np.linalg.norm(a, "nuc", keepdims=True), TALL),
    "cond": (np.linalg.cond, TALL),
    "cond 1": (lambda a: np.linalg.cond(a, 1), A),
    "tensorsolve": (np.linalg.tensorsolve, A.reshape(2, 2, 4) * 1, rng.normal(size=(2, 2))),
    "tensorinv": (lambda a: np.linalg.tensorinv(a, 1), A.reshape(4, 2, 2) * 1),
    "view": (lambda a: np.linalg.inv(a[1:, 1:].T), A),
    "twice": (lambda a: np.linalg.inv(a) @ np.linalg.inv(a).T, A),
    "scipy solve_triangular": (
        lambda a, b: scipy.linalg.solve_triangular(a, b, lower=True),
        A,
        B,
    ),
    "scipy transposed triangle": (
        lambda a, b: scipy.linalg.solve_triangular(a, b, trans=1),
        A,
        V,
    ),
    "scipy cho_solve": (
        lambda a, b: scipy.linalg.cho_solve(scipy.linalg.cho_factor(a), b),
        SYMMETRIC,
        B,
    ),
    "scipy cholesky": (lambda a: scipy.linalg.cholesky(a, lower=True), SYMMETRIC),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cases
def test_values_are_those_of_numpy(case):
    f, *args = case
    got, want = sd.jit(f)(*args), f(*args)
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


@cases
def test_single_precision(case):
    f, *args = case
    single = [x.astype(np.float32) for x in args]
    got = sd.jit(f)(*single)
    assert got.dtype == np.asarray(f(*single)).dtype
    np.testing.assert_allclose(got, f(*args), rtol=2e-3, atol=2e-3)


@cases
def test_derivatives_are_those_of_differences(case):
    f, *args = case
    weights = np.cos(np.arange(np.size(f(*args)), dtype=float)).reshape(np.shape(f(*args)))
    sd.check_derivatives(lambda *xs: np.sum(f(*xs) * weights), *args)


@cases
def test_forward_and_reverse_agree_entry_by_entry(case):
    f, *args = case
    rows = sd.jacobian(f)(*args)
    columns = np.stack(
        [
            sd.jvp(lambda x: f(x, *args[1:]), args[0], e.reshape(args[0].shape))[1]
            for e in np.eye(args[0].size)
        ],
        axis=-1,
    ).reshape(rows.shape)
    scale = np.max(np.abs(rows)) + 1
    np.testing.assert_allclose(rows, columns, atol=1e-9 * scale)
    value, back = sd.vjp(f, *args)
    cotangent = np.cos(np.arange(np.size(value), dtype=float)).reshape(np.shape(value))
    pulled = np.tensordot(cotangent, rows, np.ndim(value))
    np.testing.assert_allclose(back(cotangent)[0], pulled, atol=1e-9 * scale)


def test_signs_and_ranks():
    for a in (A, -A[:3, :3], np.zeros((2, 2)), STACK):
        np.testing.assert_array_equal(
            sd.jit(lambda a: np.linalg.slogdet(a)[0])(a), np.linalg.slogdet(a)[0]
        )
    low = TALL[:, :1] * TALL[0]
    assert sd.jit(np.linalg.matrix_rank)(low) == 1
    assert sd.jit(np.linalg.matrix_rank)(TALL) == 3


def test_errors_are_those_of_numpy():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        sd.jit(np.linalg.cholesky)(-SYMMETRIC)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        sd.jit(np.linalg.solve)(np.ones((3, 3)), np.ones(3))
    with pytest.raises(sd.ShapeError, match="square"):
        sd.jit(np.linalg.inv)(TALL)
    with pytest.raises(sd.ShapeError, match="fit"):
        sd.jit(np.linalg.solve)(A, np.ones(3))


def test_a_kernel_is_good_after_an_error():
    inverse = sd.jit(np.linalg.inv)
    with pytest.raises(np.linalg.LinAlgError):
        inverse(np.zeros((2, 2)))
    np.testing.assert_allclose(inverse(2 * np.eye(2)), np.eye(2) / 2)


def test_determinants_of_singular_matrices_have_derivatives():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(sd.grad(np.linalg.det)(a), [[4.0, -2.0], [-2.0, 1.0]])


def test_equal_eigenvalues_have_no_nan():
    gradient = sd.grad(lambda a: np.sum(np.linalg.eigvalsh(a)))(np.eye(3))
    np.testing.assert_allclose(gradient, np.eye(3), atol=1e-14)


def test_one_factorization_serves_the_gradient():
    program = sd.value_and_grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2)).program(A, V)
    names = [getattr(e.pattern, "name", None) for e in program.equations]
    assert names.count("lu") == 1


@pytest.mark.parametrize("n", [0, 1, 2, 33])
def test_sizes(n):
    a = rng.normal(size=(n, n)) + 3 * n * np.eye(n)
    np.testing.assert_allclose(sd.jit(np.linalg.inv)(a), np.linalg.inv(a), atol=1e-12)
    s = a @ a.T
    np.testing.assert_allclose(sd.jit(np.linalg.cholesky)(s), np.linalg.cholesky(s), atol=1e-9)
    np.testing.assert_allclose(sd.jit(np.linalg.det)(a), np.linalg.det(a), rtol=1e-10)


def test_one_kernel_serves_stacks_of_any_length():
    inverse = sd.jit(np.linalg.inv)
    for n in (2, 5, 7):
        stack = rng.normal(size=(n, 3, 3)) + 3 * np.eye(3)
        np.testing.assert_allclose(inverse(stack), np.linalg.inv(stack))
    assert inverse.n_compiled == 1
