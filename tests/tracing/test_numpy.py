"""NumPy's functions on traced arrays: values as NumPy's, derivatives as differences say."""

from typing import Any

import numpy as np
import pytest
import scipy.special as sc

import symdiff as sd

rng = np.random.default_rng(7)
V = rng.uniform(0.5, 2.0, 5)
M = rng.uniform(0.5, 2.0, (3, 4))
N = rng.uniform(0.5, 2.0, (4, 5))
S = rng.uniform(0.5, 2.0, (4, 4))
T = rng.uniform(0.5, 2.0, (2, 3, 4))
U = rng.uniform(0.5, 2.0, (2, 4, 3))
Q = rng.uniform(0.5, 2.0, (2, 1, 3, 4))
MASK = np.array([True, False, True, True, False])
ROWS = np.array([2, 0, 2])
GRID = np.array([[0, 1], [3, 3]])


def xfail(reason: str, **kwargs: Any) -> Any:
    """What the library has wrong."""
    return pytest.mark.xfail(strict=True, reason=reason, **kwargs)


def case(name: str, f: Any, *args: Any, wrong: str | None = None, **kwargs: Any) -> Any:
    return pytest.param(f, args, id=name, marks=[xfail(wrong, **kwargs)] if wrong else [])


def add_in_place(x):
    y = x * 2
    y += 1
    y *= x
    y -= x
    y /= 3
    return y


def add_in_place_to_a_number(x):
    total = 0.0
    for v in x:
        total += v * v
    return total


def power_in_place(x):
    y = x + 0
    y **= 2
    return y


def unpacks(x):
    first, *_, last = x
    return first * last


REDUCTIONS = [
    case("sum", np.sum, T),
    case("sum 0", lambda x: np.sum(x, axis=0), T),
    case("sum -1", lambda x: np.sum(x, axis=-1), T),
    case("sum pair", lambda x: np.sum(x, axis=(0, 2)), T),
    case("sum negative pair", lambda x: np.sum(x, axis=(-1, 0)), T),
    case("sum keepdims", lambda x: np.sum(x, axis=1, keepdims=True), T),
    case("sum all keepdims", lambda x: np.sum(x, keepdims=True), T),
    case("sum none", lambda x: np.sum(x, axis=()), T),
    case("sum method", lambda x: x.sum(axis=1), T),
    case("sum initial", lambda x: np.sum(x, initial=3.0), V),
    case("sum where", lambda x: np.sum(x, where=MASK), V),
    case("sum of squares twice", lambda x: np.sum(np.sum(x, axis=0) ** 2), M),
    case("mean", np.mean, T),
    case("mean axis", lambda x: np.mean(x, axis=(0, 1), keepdims=True), T),
    case("mean method", lambda x: x.mean(0), M),
    case("var", np.var, M),
    case("var axis", lambda x: np.var(x, axis=1, ddof=1), M),
    case("var keepdims", lambda x: np.var(x, axis=0, keepdims=True), M),
    case("std", np.std, M),
    case("std axis", lambda x: x.std(axis=-1), M),
    case("prod", np.prod, V),
    case("prod axis", lambda x: np.prod(x, axis=1), M),
    case("prod axes", lambda x: np.prod(x, axis=(0, 2), keepdims=True), T),
    case("prod method", lambda x: x.prod(), V),
    case("max", np.max, M),
    case("max axis", lambda x: np.max(x, axis=0), M),
    case("max keepdims", lambda x: x - np.max(x, axis=-1, keepdims=True), M),
    case("min", lambda x: x.min(), M),
    case("min axes", lambda x: np.min(x, axis=(0, 2)), T),
    case("amax", lambda x: np.amax(x, 1), M),
    case("norm", np.linalg.norm, V),
    case("norm 1", lambda x: np.linalg.norm(x, 1), V),
    case("norm inf", lambda x: np.linalg.norm(x, np.inf), V),
    case("norm -inf", lambda x: np.linalg.norm(x, -np.inf), V),
    case("norm 3", lambda x: np.linalg.norm(x, 3), V),
    case("norm axis", lambda x: np.linalg.norm(x, axis=1), M),
    case("norm fro", lambda x: np.linalg.norm(x, "fro"), M),
    case("norm keepdims", lambda x: np.linalg.norm(x, axis=0, keepdims=True), M),
    case("norm of a matrix", np.linalg.norm, M),
    case("add.reduce", lambda x: np.add.reduce(x, axis=0), M),
    case("multiply.reduce", lambda x: np.multiply.reduce(x, axis=0), M),
    case("maximum.reduce", lambda x: np.maximum.reduce(x, axis=1), M),
    case("logaddexp.reduce", np.logaddexp.reduce, V),
    case("logaddexp.reduce axis", lambda x: np.logaddexp.reduce(x, axis=1), M),
    case("logaddexp.reduce keepdims", lambda x: np.logaddexp.reduce(x, axis=0, keepdims=True), M),
    case("trace", np.trace, S),
    case("trace offset", lambda x: np.trace(x, offset=1), M),
    case("ptp by max and min", lambda x: np.max(x, axis=0) - np.min(x, axis=0), M),
    case("softmax", lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True), M),
    case("builtin sum", sum, V),
    case("builtin sum of rows", sum, M),
]
PRODUCTS = [
    case("matmul 1 1", np.matmul, V, V),
    case("matmul 2 1", np.matmul, M, N[:, 0]),
    case("matmul 1 2", np.matmul, N[:, 0], N),
    case("matmul 2 2", lambda a, b: a @ b, M, N),
    case("matmul 3 3", np.matmul, T, U),
    case("matmul 3 2", np.matmul, T, N),
    case("matmul 2 3", np.matmul, M, U),
    case("matmul 3 1", np.matmul, T, N[:, 0]),
    case("matmul 1 3", np.matmul, N[:, 0], U),
    case("matmul 4 3", np.matmul, Q, U),
    case("matmul broadcast", np.matmul, T[:1], U),
    case("matmul with itself", lambda a: a @ a, S),
    case("matmul with its transpose", lambda a: a @ a.T, M),
    case("matmul with a constant", lambda a: np.ones((2, 3)) @ a, M),
    case("matmul by a constant", lambda a: a @ np.ones((4, 2)), M),
    case("dot 1 1", np.dot, V, V),
    case("dot 2 2", np.dot, M, N),
    case("dot 3 2", np.dot, T, N),
    case("dot 2 3", np.dot, M, U),
    case("dot 3 3", np.dot, T, U),
    case("dot 0 1", np.dot, np.array(2.0), V),
    case("dot 1 2", np.dot, N[:, 0], N),
    case("dot method", lambda a, b: a.dot(b), M, N),
    case("vdot", np.vdot, M, M * 2),
    case("inner 1 1", np.inner, V, V),
    case("inner 2 2", np.inner, M, S),
    case("inner 2 1", np.inner, M, S[0]),
    case("outer", np.outer, V, M[0]),
    case("outer of matrices", np.outer, M, V),
    case("tensordot 2", np.tensordot, T, M),
    case("tensordot 1", lambda a, b: np.tensordot(a, b, 1), T, N),
    case("tensordot 0", lambda a, b: np.tensordot(a, b, 0), V, M[0]),
    case("tensordot axes", lambda a, b: np.tensordot(a, b, ([1, 2], [2, 1])), T, U),
    case("tensordot axis", lambda a, b: np.tensordot(a, b, axes=(1, 0)), N, V[:5]),
    case("einsum ij,jk", lambda a, b: np.einsum("ij,jk->ik", a, b), M, N),
    case("einsum implicit", lambda a, b: np.einsum("ij,jk", a, b), M, N),
    case("einsum implicit order", lambda a: np.einsum("ba", a), M),
    case("einsum trace", lambda a: np.einsum("ii", a), S),
    case("einsum diagonal", lambda a: np.einsum("ii->i", a), S),
    case("einsum sum", lambda a: np.einsum("ijk->", a), T),
    case("einsum transpose", lambda a: np.einsum("ijk->kij", a), T),
    case("einsum three", lambda a, b, c: np.einsum("ij,jk,k->i", a, b, c), M, N, V),
    case("einsum ellipsis", lambda a, b: np.einsum("...ij,...jk->...ik", a, b), T, U),
    case("einsum ellipsis 2", lambda a: np.einsum("...i->...", a), T),
    case("einsum outer", lambda a, b: np.einsum("i,j->ij", a, b), V, M[0]),
    case("einsum with spaces", lambda a, b: np.einsum("i j, j k -> i k", a, b), M, N),
    case("einsum repeated", lambda a, b: np.einsum("ii,i->i", a, b), S, S[0]),
    case("einsum bilinear", lambda x, a: np.einsum("i,ij,j->", x, a, x), S[0], S),
]
INDEXING = [
    case("integer", lambda x: x[1], M),
    case("negative integer", lambda x: x[-1], M),
    case("two integers", lambda x: x[1, -2], M),
    case("NumPy integer", lambda x: x[np.int64(1)], M),
    case("slice", lambda x: x[1:3], V),
    case("slice with step", lambda x: x[::2], V),
    case("slice, offset and step", lambda x: x[1:5:2], V),
    case("negative step", lambda x: x[::-1], V),
    case("negative step from an end", lambda x: x[3:0:-2], V),
    case("negative bounds", lambda x: x[-3:-1], V),
    case("bounds beyond", lambda x: x[2:100], V),
    case("empty slice", lambda x: x[3:1], V),
    case("slices", lambda x: x[1:, ::-2], M),
    case("Ellipsis", lambda x: x[..., 0], T),
    case("Ellipsis in the middle", lambda x: x[0, ..., 1], T),
    case("only Ellipsis", lambda x: x[...], T),
    case("newaxis", lambda x: x[:, None], V),
    case("newaxes", lambda x: x[None, ..., None], M),
    case("newaxis and integer", lambda x: x[None, 1, :, None], M),
    case("chain", lambda x: x[1:][::-1][0], M),
    case("slice of a transpose", lambda x: x.T[1:, 0], M),
    case("integer array", lambda x: x[ROWS], V),
    case("list", lambda x: x[[0, 3, 3]], V),
    case("negative integer array", lambda x: x[np.array([-1, 0, -1])], V),
    case("integer array of rank 2", lambda x: x[GRID], V),
    case("rows", lambda x: x[ROWS], M),
    case("columns", lambda x: x[:, ROWS], M),
    case("columns of a cube", lambda x: x[:, ROWS, 1:], T),
    case("two integer arrays", lambda x: x[np.array([0, 2]), np.array([1, 3])], M),
    case("integer arrays that broadcast", lambda x: x[ROWS[:, None], np.array([1, 3])], M),
    case("integer array and integer", lambda x: x[ROWS, 1], M),
    case("empty integer array", lambda x: x[np.zeros(0, int)], V),
    case("mask", lambda x: x[MASK], V),
    case("mask of rows", lambda x: x[np.array([True, False, True])], M),
    case("mask of rank 2", lambda x: x[M > 1], M),
    case("mask of columns", lambda x: x[:, np.array([True, False, True, True])], M),
    case("traced indices", lambda x, k: x[k], V, ROWS),
    case("take by indices that repeat", lambda x: x[ROWS] * x[ROWS][::-1], V),
    case("unpacking", unpacks, V),
    case("iteration over rows", lambda x: [r.sum() for r in x][1], M),
    case("np.ix_", lambda x: x[np.ix_([0, 2], [1, 3])], M),
]
SHAPES = [
    case("where", lambda x: np.where(x > 1, x**2, np.sin(x)), M),
    case("where broadcast", lambda x, y: np.where(x > 1, x, y[:, None]), M, M[:, 0]),
    case("where with numbers", lambda x: np.where(x > 1, x, 0), M),
    case("where with a constant condition", lambda x: np.where(MASK, x, -x), V),
    case("clip", lambda x: np.clip(x, 0.8, 1.5), M),
    case("clip method", lambda x: x.clip(0.8, 1.5), M),
    case("clip below", lambda x: np.clip(x, 0.8, None), M),
    case("clip keywords", lambda x: np.clip(x, min=0.8, max=1.5), M),
    case("clip by arrays", lambda x, lo: np.clip(x, lo, lo + 1), V, V[::-1] * 0.9),
    case("maximum", np.maximum, V, V[::-1] + 0.01),
    case("concatenate", lambda x, y: np.concatenate([x, y, x]), V, M[0]),
    case("concatenate axis", lambda x: np.concatenate([x, x**2], axis=1), M),
    case("concatenate -1", lambda x: np.concatenate((x, x[:, :1]), axis=-1), M),
    case("concatenate None", lambda x, y: np.concatenate([x, y], axis=None), M, V),
    case("concatenate with constants", lambda x: np.concatenate([[0.0], x, [1.0]]), V),
    case("concatenate then slice", lambda x: np.concatenate([x, x**2])[3:8], V),
    case("stack", lambda x, y: np.stack([x, y, x * y]), V, V[::-1]),
    case("stack -1", lambda x: np.stack([x, x**2], axis=-1), M),
    case("stack 1", lambda x: np.stack([x, x**2], axis=1), M),
    case("vstack", lambda x: np.vstack([x, x**2]), V),
    case("hstack", lambda x: np.hstack([x, x**2]), M),
    case("column_stack", lambda x: np.column_stack([x, x**2]), V),
    case("reshape", lambda x: np.reshape(x, (2, 6)), M),
    case("reshape -1", lambda x: x.reshape(-1, 2), M),
    case("reshape to a vector", lambda x: x.reshape(-1) ** 2, T),
    case("reshape to rank 3", lambda x: x.reshape((2, 2, 3)), M),
    case("reshape a transpose", lambda x: x.T.reshape(2, 6), M),
    case("reshape to a number", lambda x: np.sum(x, keepdims=True).reshape(()), V),
    case("reshape a number", lambda x: np.sum(x).reshape(1, 1), V),
    case("ravel", np.ravel, T),
    case("ravel a transpose", lambda x: np.ravel(x.T), M),
    case("flatten", lambda x: x.flatten(), M),
    case("transpose", np.transpose, T),
    case("transpose axes", lambda x: np.transpose(x, (1, 0, 2)), T),
    case("transpose method", lambda x: x.transpose(2, 0, 1), T),
    case("T", lambda x: x.T, T),
    case("swapaxes", lambda x: np.swapaxes(x, 0, -1), T),
    case("moveaxis", lambda x: np.moveaxis(x, 0, -1), T),
    case("moveaxis pair", lambda x: np.moveaxis(x, (0, 1), (-1, 0)), T),
    case("squeeze", np.squeeze, Q),
    case("squeeze axis", lambda x: np.squeeze(x, axis=1), Q),
    case("expand_dims", lambda x: np.expand_dims(x, 1), M),
    case("expand_dims pair", lambda x: np.expand_dims(x, (0, -1)), M),
    case("diag of a vector", np.diag, V),
    case("diag of a matrix", np.diag, S),
    case("diag above", lambda x: np.diag(x, 1), V),
    case("diag below", lambda x: np.diag(x, -2), V),
    case("diag of a matrix, offset", lambda x: np.diag(x, -1), M),
    case("diagonal", np.diagonal, S),
    case("diagonal offset", lambda x: np.diagonal(x, 1), M),
    case("diagonal axes", lambda x: np.diagonal(x, axis1=1, axis2=2), T),
    case("broadcast_to", lambda x: np.broadcast_to(x, (3, 5)), V),
    case("broadcasting", lambda x, y: x[:, None] * y[None, :] + x[:, None], V, M[0]),
    case("broadcasting of ranks", lambda x, y: x + y, T, M[0]),
    case("flip", np.flip, M),
    case("flip axis", lambda x: np.flip(x, 1), M),
    case("zeros_like", lambda x: np.zeros_like(x) + x, M),
    case("ones_like", lambda x: np.ones_like(x) * x, M),
    case("full_like", lambda x: np.full_like(x, 2.0) * x, M),
    case("copy", lambda x: x.copy() * x, M),
    case("np.copy", np.copy, M),
    case("astype", lambda x: x.astype("float64") * 2, M),
    case("array of scalars", lambda x: np.array([x[0], x[1] * x[2], 1.0]), V),
    case("array of rows of scalars", lambda x: np.array([[x[0], x[1]], [2.0, x[0] * x[1]]]), V),
    case("array of an array", lambda x: np.asarray(x) * 2, V),
    case(
        "array then arithmetic", lambda x: np.array([x[0], x[1]]) @ np.array([[1.0, 2], [3, 4]]), V
    ),
    case("sin of an array of scalars", lambda x: np.sin(np.array([x[0], x[1]])), V),
    case("constants beside", lambda x: x * [1.0, 2.0, 3.0, 4.0], M),
    case("comparison times", lambda x: (x > 1) * x, M),
    case("in place", add_in_place, V),
    case("in place of a number", add_in_place_to_a_number, V),
    case("in place power", power_in_place, V),
    case("finite differences", lambda x: x[2:] - 2 * x[1:-1] + x[:-2], V),
    case("Laplacian", lambda x: x[1:-1, 2:] + x[1:-1, :-2] + x[2:, 1:-1] + x[:-2, 1:-1], S),
    case("convolution", lambda x, k: sum(k[i] * x[i : i + 3] for i in range(3)), V, V[:3]),
    case("pairwise distances", lambda x: np.sum((x[:, None] - x[None]) ** 2, axis=-1), M),
    case("Gram", lambda x: (x - np.mean(x, axis=0)).T @ (x - np.mean(x, axis=0)) / 3, M),
    case("round", lambda x: np.round(x) * x, M),
    case("round decimals", lambda x: np.round(x, 1) * x, M),
    case("special functions", lambda x: sc.expit(x) * sc.erf(x), M),
    case("np.real", lambda x: np.real(x) * 2, M),
    case("ndim and size", lambda x: x * np.ndim(x) + np.size(x), M),
    case("square root of minus one's absence", lambda x: np.sqrt(np.square(x)), M),
]
ALL = [*REDUCTIONS, *PRODUCTS, *INDEXING, *SHAPES]


# An array whose target names an index twice, `d[i,i] += ...`, is cleared on that diagonal only,
# inside of the loop over i: the rest is what the memory held before.


def dirty_memory(size: int) -> None:
    """Leave numbers behind in the memory that the next arrays of this size are given."""
    kept = [np.full(size, 77.0) for _ in range(20)]
    del kept


@pytest.mark.parametrize(("f", "args"), ALL)
def test_values_are_those_of_numpy(f, args):
    want = np.asarray(f(*args))
    dirty_memory(want.size)
    got = np.asarray(sd.jit(f)(*args))
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14, strict=True)


def of_floats(f: Any, args: Any) -> tuple[Any, ...]:
    """The function of its floating arguments alone, and those."""
    floating = [n for n, a in enumerate(args) if a.dtype.kind == "f"]

    def call(*values):
        given = dict(zip(floating, values, strict=True))
        return f(*[given.get(n, a) for n, a in enumerate(args)])

    return call, *[args[n] for n in floating]


@pytest.mark.parametrize(("f", "args"), ALL)
def test_derivatives_are_those_of_differences(f, args):
    sd.check_derivatives(*of_floats(f, args), orders=(1,), n_directions=1)


@pytest.mark.slow
@pytest.mark.parametrize(("f", "args"), ALL)
def test_second_derivatives_are_those_of_differences(f, args):
    sd.check_derivatives(*of_floats(f, args), orders=(2,), n_directions=1)


@pytest.mark.parametrize(
    ("f", "args"),
    ALL,
)
def test_jacobians_are_those_of_unit_directions(f, args):
    """Whole Jacobians, entry by entry: a product along a direction can hide a wrong place."""
    if np.asarray(f(*args)).size * args[0].size > 200:
        pytest.skip("a smaller case of the same function is in the table")

    x = args[0]
    dirty_memory(np.asarray(f(*args)).size * x.size)
    got = np.asarray(sd.jacobian(f)(*args))
    columns = []
    for e in np.eye(x.size):
        tangents = (e.reshape(x.shape), *[np.zeros(a.shape) for a in args[1:]])
        if any(a.dtype.kind != "f" for a in args):
            tangent = sd.jvp(lambda x: f(x, *args[1:]), x, tangents[0])[1]
        else:
            tangent = sd.jvp(f, tuple(args), tangents)[1]
        columns.append(np.ravel(tangent))
    want = np.array(columns).T.reshape(got.shape)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


TRUTHS = [
    case("any", lambda x: np.any(x > 1.9), M),
    case("any axis", lambda x: np.any(x > 1.5, axis=0), M),
    case("all", lambda x: np.all(x > 0), M),
    case("all keepdims", lambda x: np.all(x > 1, axis=1, keepdims=True), M),
    case("method", lambda x: (x > 1).any(axis=1), M),
    case("any of numbers", lambda x: np.any(np.floor(x)), M),
    case("logic", lambda x: (x > 1) & (x < 1.5) | ~(x > 0.7) ^ (x == 1), M),
    case("isnan", np.isnan, np.array([1.0, np.nan])),
    case("count", lambda x: np.sum(x > 1), M),
    case("count axis", lambda x: (x > 1).sum(axis=0), M),
    case("mean of truths", lambda x: np.mean(x > 1), M),
    case("integers", lambda k: np.sum(k * 2) // 3, GRID),
    case("integer mean", np.mean, GRID),
    case("integer division", lambda k: k / 2, GRID),
    case("integer max", lambda k: np.max(k, axis=0), GRID),
    case("integer prod", lambda k: np.prod(k + 1), GRID),
    case("integer matmul", lambda k: k @ k, GRID),
    case("sum of int32", np.sum, GRID.astype("int32")),
    case("sum of uint8", np.sum, np.array([200, 100], "uint8")),
    case("prod of int32", np.prod, np.array([70000, 70000], "int32")),
    case("mixed", lambda x, k: x[:2] * k, V, GRID),
    case("float32 and int64", lambda x, k: x[:2] * k, V.astype("f4"), GRID),
    case("float32 and a number", lambda x: x * 2 + 1.5, V.astype("f4")),
    case("float32 and float64", lambda x, y: x * y, V.astype("f4"), V),
    case("max of NaN", np.max, np.array([1.0, np.nan, 2.0])),
    case("min of infinities", np.min, np.array([-np.inf, np.inf])),
    case("sum of infinities", np.sum, np.array([-np.inf, np.inf])),
    case("logaddexp.reduce, -inf", np.logaddexp.reduce, np.array([-np.inf, -np.inf])),
    case("logaddexp.reduce, large", np.logaddexp.reduce, np.array([1000.0, 1000.0])),
    case("uint8 wraps", lambda k: k + k, np.array([200, 100], "uint8")),
    case("int8 negated", lambda k: -k, np.array([-128, 100], "int8")),
    case("astype of negative", lambda x: (x - 1.5).astype("int32"), V),
    case("empty sum", np.sum, np.zeros(0)),
    case("empty prod", np.prod, np.zeros(0)),
    case("empty any", lambda x: np.any(x > 0), np.zeros(0)),
    case("empty all", lambda x: np.all(x > 0), np.zeros(0)),
    case("empty sum of an axis", lambda x: np.sum(x, axis=0), np.zeros((0, 3))),
    case("empty matmul", np.matmul, np.zeros((2, 0)), np.zeros((0, 3))),
    case("empty max of an axis", lambda x: np.max(x, axis=1), np.zeros((0, 3))),
]


@pytest.mark.parametrize(("f", "args"), TRUTHS)
def test_truths_integers_and_extremes_are_those_of_numpy(f, args):
    with np.errstate(all="ignore"):
        want = np.asarray(f(*args))
    got = np.asarray(sd.jit(f)(*args))
    np.testing.assert_allclose(got, want, rtol=1e-14, strict=True)


TIES = [
    ("max", np.max, [1.0, 2.0, 2.0], [0.0, 0.5, 0.5]),
    ("min", np.min, [1.0, 1.0, 2.0], [0.5, 0.5, 0.0]),
    ("max of all", np.max, [3.0] * 4, [0.25] * 4),
    ("prod, one zero", np.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    ("prod, two zeros", np.prod, [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    ("norm 1", lambda x: np.linalg.norm(x, 1), [0.0, -2.0], [0.0, -1.0]),
    ("norm inf", lambda x: np.linalg.norm(x, np.inf), [2.0, -2.0], [0.5, -0.5]),
    ("logaddexp.reduce", np.logaddexp.reduce, [1e3, 1e3], [0.5, 0.5]),
    ("logaddexp.reduce, -inf", np.logaddexp.reduce, [-np.inf, 1.0], [0.0, 1.0]),
    ("clip", lambda x: np.sum(np.clip(x, 0.0, 1.0)), [-1.0, 0.5, 3.0], [0.0, 1.0, 0.0]),
]


@pytest.mark.parametrize(("f", "x", "want"), [c[1:] for c in TIES], ids=[c[0] for c in TIES])
def test_derivatives_at_ties(f, x, want):
    x = np.array(x)
    np.testing.assert_array_equal(sd.grad(f)(x), want)
    forward = [sd.jvp(f, x, e)[1] for e in np.eye(x.size)]
    np.testing.assert_array_equal(forward, want)


def test_products_with_zeros_have_right_second_derivatives():
    h = sd.hessian(np.prod)(np.array([0.0, 0.0, 3.0]))
    np.testing.assert_array_equal(h, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_second_derivatives_of_log_sum_exp_keep_the_maximums_part():
    x = np.array([1.0, 2.0, 4.0])
    p = np.exp(x) / np.exp(x).sum()
    h = sd.hessian(np.logaddexp.reduce)(x)
    np.testing.assert_allclose(h, np.diag(p) - np.outer(p, p), rtol=1e-12, atol=1e-15)


def test_an_argument_is_not_changed_in_place():
    def f(x):
        x += 1
        return x

    with pytest.raises(sd.UnsupportedOperationError, match="x = x\\.copy"):
        sd.jit(f)(V)


def test_a_traced_view_and_its_base_do_not_mix_up():
    def f(x):
        y = x * 1
        z = y[1:]
        y = y + 1
        return z + y[1:]

    np.testing.assert_array_equal(sd.jit(f)(V), 2 * V[1:] + 1)


def test_in_place_is_seen_through_every_name():
    def f(x):
        y = x * 2
        z = y
        y += 1
        return z

    np.testing.assert_array_equal(sd.jit(f)(V), f(V.copy()))


def test_in_place_on_a_view_is_right_or_refused():
    def f(x):
        y = x * 2
        z = y[1:]
        z += 1
        return y

    try:
        got = sd.jit(f)(V)
    except sd.UnsupportedOperationError:
        return
    np.testing.assert_array_equal(got, f(V.copy()))


def test_in_place_on_the_base_of_a_view_is_right_or_refused():
    def f(x):
        y = x * 2
        z = y[1:]
        y += 1
        return z

    try:
        got = sd.jit(f)(V)
    except sd.UnsupportedOperationError:
        return
    np.testing.assert_array_equal(got, f(V.copy()))


def test_in_place_keeps_the_dtype_as_numpy_does():
    def f(x, y):
        z = x * 1
        z += y
        return z

    assert sd.jit(f)(V.astype("f4"), V).dtype == f(V.astype("f4"), V).dtype == np.float32


@pytest.mark.parametrize(
    "f",
    [lambda x: x > -2, lambda x: x < 300, lambda x: x == 256, lambda x: (x > 1) & (x <= 1000)],
)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16"])
def test_comparisons_with_numbers_that_the_dtype_has_not(f, dtype):
    x = np.array([0, 3, 127, 44], dtype=dtype)
    np.testing.assert_array_equal(sd.jit(f)(x), f(x))


@pytest.mark.parametrize("f", [lambda x: x + 300, lambda x: x * -1, lambda x: np.maximum(x, -1)])
def test_numbers_that_the_dtype_has_not_are_refused(f):
    with pytest.raises(sd.DTypeError, match="out of bounds for uint8"):
        sd.jit(f)(np.array([3], dtype=np.uint8))
