"""Every block in NumPy and SciPy: what generated Python source calls, and what targets are held to.

Layouts are those of `symdiff.program.blocks`: right-hand sides and solutions are rows, and what
has several parts is one array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

__all__ = [
    "argsort",
    "cholesky",
    "cumsum",
    "eigh",
    "lu",
    "lu_sign",
    "lu_solve",
    "product",
    "put",
    "qr",
    "recurrence",
    "searchsorted",
    "solve_triangular",
    "svd",
]


def argsort(x: Any) -> Any:
    """Sort indices, stably."""
    return np.argsort(x, kind="stable")


def searchsorted(a: Any, v: Any, right: bool = False) -> Any:
    """Find a place."""
    return np.searchsorted(a, v, "right" if right else "left")


def cumsum(x: Any, reversed: bool = False) -> Any:
    """Add up."""
    return np.cumsum(x[::-1])[::-1] if reversed else np.cumsum(x)


def recurrence(a: Any, b: Any, reversed: bool = False) -> Any:
    """Do ``y[i] = a[i] * y[i-1] + b[i]``."""
    if reversed:
        return recurrence(a[::-1], b[::-1])[::-1]
    y = np.array(b)
    for i in range(1, len(y)):
        y[i] += a[i] * y[i - 1]
    return y


def lu(a: Any) -> Any:
    """Factor the transpose; the last row holds the pivots as 32-bit integers."""
    n = len(a)
    (getrf,) = scipy.linalg.get_lapack_funcs(("getrf",), (a,))
    packed = np.zeros((n + 1, n), a.dtype)
    factors, pivots, _ = getrf(a.T)
    packed[:n] = factors.T
    packed[n].view(np.int32)[:n] = pivots + 1
    return packed


def _pivots(packed: Any) -> Any:
    n = packed.shape[1]
    return np.ascontiguousarray(packed[n]).view(np.int32)[:n] - 1


def lu_solve(packed: Any, b: Any, transposed: bool = False) -> Any:
    """Solve for each row of `b`."""
    n = packed.shape[1]
    factors = packed[:n].T
    if not np.all(np.diagonal(factors)):
        raise np.linalg.LinAlgError("Singular matrix")
    return scipy.linalg.lu_solve((factors, _pivots(packed)), b.T, 0 if transposed else 1).T


def lu_sign(packed: Any) -> Any:
    """Give the sign of the permutation."""
    moved = _pivots(packed) != np.arange(packed.shape[1])
    return packed.dtype.type((-1) ** int(moved.sum()))


def cholesky(a: Any) -> Any:
    """Factor the lower triangle."""
    return np.linalg.cholesky(a)


def solve_triangular(matrix: Any, b: Any, upper: bool = False, transposed: bool = False) -> Any:
    """Solve with a triangle for each row of `b`."""
    return scipy.linalg.solve_triangular(matrix, b.T, int(transposed), not upper).T


def eigh(a: Any, upper: bool = False) -> Any:
    """Give eigenvalues, then eigenvectors as rows."""
    values, vectors = np.linalg.eigh(a, "U" if upper else "L")
    return np.concatenate([values[None], vectors.T])


def svd(a: Any, wide: bool = False) -> Any:
    """Give singular values, left vectors and right vectors, one after the other."""
    del wide  # which is what its shape is
    left, values, right = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([values, left.ravel(), right.ravel()])


def qr(columns: Any, wide: bool = False) -> Any:
    """Give q and r by columns."""
    del wide
    q, r = np.linalg.qr(columns.T)
    padded = np.zeros_like(columns)
    padded[:, : len(r)] = r.T
    return np.concatenate([q.T.ravel(), padded.ravel()])


def product(
    a: Any, b: Any, left: bool = False, right: bool = False, symmetric: bool = False
) -> Any:
    """Multiply matrices, the left or the right one transposed."""
    c = (a.T if left else a) @ (b.T if right else b)
    return (np.tril(c) + np.tril(c, -1).T) if symmetric else c


def put(a: Any, value: Any, *places: Any) -> Any:
    """Set a part, given by its first indices."""
    changed = a.copy()
    changed[places] = value
    return changed
