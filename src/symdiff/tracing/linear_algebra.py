"""NumPy's and SciPy's functions of linear algebra, in terms of the blocks of `matrices`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.sizes import Extent
from symdiff.tracing import matrices
from symdiff.tracing.arguments import as_axes, is_given, refuse_keywords
from symdiff.tracing.assembly import identity_like
from symdiff.tracing.construction import concatenate
from symdiff.tracing.indexing import getitem
from symdiff.tracing.products import matmul
from symdiff.tracing.reductions import reduce_max, reduce_sum
from symdiff.tracing.shapes import moveaxis, reshape, swapaxes
from symdiff.tracing.tracer import TracedArray, as_traced, astype
from symdiff.tracing.vectors import norm as plain_norm

__all__ = ["LINEAR_ALGEBRA", "SCIPY_LINEAR_ALGEBRA"]


def _floating(a: Any, name: str, rank: int = 2) -> TracedArray:
    """Take matrices of floats."""
    x = as_traced(a)
    if x.ndim < rank:
        raise ShapeError(
            at_user_line(f"{name} of an array of rank {x.ndim}; at least {rank} axes are needed")
        )
    return x if x.dtype.kind == "f" else astype(x, "float64")


def _square(a: Any, name: str) -> TracedArray:
    """Take square matrices of floats."""
    x = _floating(a, name)
    m, n = x.shape_[-2:]
    if not x.context.decide(m - n, "=="):
        raise ShapeError(
            at_user_line(
                f"{name} needs square matrices; the shape is {x.context.show_shape(x.shape_)}"
            )
        )
    if m != n:  # known to be equal now: say it with one size
        size = m if isinstance(m, int) else n
        x = x.view(x.indices, (*x.shape_[:-2], size, size))
    return x


def _promoted(*arrays: TracedArray) -> list[TracedArray]:
    dtype = np.result_type(*[x.dtype for x in arrays]).name
    return [astype(x, dtype) for x in arrays]


def solve(a: Any, b: Any) -> Any:
    """Do `numpy.linalg.solve`."""
    x, y = _promoted(_square(a, "solve"), _floating(b, "solve", 1))
    if y.ndim == 1:
        _require_length(x, y.shape_[0], "solve")
        return matrices.solve_rows(x, y[None, :])[..., 0, :]
    _require_length(x, y.shape_[-2], "solve")
    return swapaxes(matrices.solve_rows(x, swapaxes(y, -1, -2)), -1, -2)


def _require_length(x: TracedArray, length: Extent, name: str) -> None:
    if not x.context.decide(x.shape_[-1] - length, "=="):
        raise ShapeError(
            at_user_line(
                f"{name}: {x.context.show_shape(x.shape_)} and a right-hand side with "
                f"{x.context.show_shape((length,))[1:-2]} rows do not fit"
            )
        )


def inv(a: Any) -> Any:
    """Do `numpy.linalg.inv`."""
    x = _square(a, "inv")
    unit = matrices.identity_matrix(x.shape_[-1], x.dtype_)
    return swapaxes(matrices.solve_rows(x, unit), -1, -2)


def det(a: Any) -> Any:
    """Do `numpy.linalg.det`."""
    return matrices.determinant(_square(a, "det"))


def slogdet(a: Any) -> Any:
    """Do `numpy.linalg.slogdet`."""
    x = _square(a, "slogdet")
    kind: Any = type(np.linalg.slogdet(np.eye(1)))
    return kind(matrices.sign_of_determinant(x), matrices.log_determinant(x))


def cholesky(a: Any, /, *, upper: Any = False) -> Any:
    """Do `numpy.linalg.cholesky`, which reads the lower triangle, or the upper one."""
    x = _square(a, "cholesky")
    if upper:
        return swapaxes(matrices.cholesky_factor(swapaxes(x, -1, -2)), -1, -2)
    return matrices.cholesky_factor(x)


def _triangle_read(a: Any, letter: Any, name: str) -> TracedArray:
    """Take symmetric matrices of which NumPy reads one triangle, so that it is the lower one."""
    x = _square(a, name)
    if str(letter).upper() not in ("L", "U"):
        raise ValueError(at_user_line(f"{name}: UPLO is 'L' or 'U', not {letter!r}"))
    return x if str(letter).upper() == "L" else swapaxes(x, -1, -2)


def eigh(a: Any, UPLO: Any = "L") -> Any:
    """Do `numpy.linalg.eigh`."""
    packed = matrices.eigen(_triangle_read(a, UPLO, "eigh"))
    kind: Any = type(np.linalg.eigh(np.eye(1)))
    return kind(packed[..., 0, :], swapaxes(packed[..., 1:, :], -1, -2))


def eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    """Do `numpy.linalg.eigvalsh`."""
    return matrices.eigenvalues(_triangle_read(a, UPLO, "eigvalsh"))


def svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    """Do `numpy.linalg.svd`; full matrices only where they are not larger."""
    refuse_keywords("np.linalg.svd", hermitian=hermitian or None)
    x = _floating(a, "svd")
    if not compute_uv:
        return matrices.singular_values(x)
    m, n = x.shape_[-2:]
    if full_matrices and not x.context.decide(m - n, "=="):
        raise UnsupportedOperationError(
            at_user_line(
                "np.linalg.svd with full_matrices=True of matrices that are not square has no "
                "derivative. Pass full_matrices=False"
            )
        )
    left, values, right = matrices.singular_vectors(x)
    kind: Any = type(np.linalg.svd(np.eye(1)))
    return kind(left, values, right)


def svdvals(x: Any, /) -> Any:
    """Do `numpy.linalg.svdvals`."""
    return matrices.singular_values(_floating(x, "svdvals"))


def qr(a: Any, mode: Any = "reduced") -> Any:
    """Do `numpy.linalg.qr` in its modes ``reduced`` and ``r``."""
    if mode not in ("reduced", "r"):
        raise UnsupportedOperationError(
            at_user_line(f"np.linalg.qr with mode={mode!r}; allowed are 'reduced' and 'r'")
        )
    x = _floating(a, "qr")
    m, n = x.shape_[-2:]
    if x.context.decide(n - m - 1, ">="):
        rows = x.shape[-2]
        q, first = matrices.qr_factors(x[..., :rows])
        r = concatenate([first, matmul(swapaxes(q, -1, -2), x[..., rows:])], -1)
    else:
        q, r = matrices.qr_factors(x)
    kind: Any = type(np.linalg.qr(np.eye(1)))
    return r if mode == "r" else kind(q, r)


def pinv(a: Any, rcond: Any = None, hermitian: Any = False, *, rtol: Any = None) -> Any:
    """Do `numpy.linalg.pinv`."""
    refuse_keywords("np.linalg.pinv", hermitian=hermitian or None)
    x = _floating(a, "pinv")
    cutoff: Any = 1e-15
    if is_given(rcond):
        cutoff = rcond
    elif is_given(rtol):
        cutoff = rtol
    return matrices.pseudoinverse(x, float(cutoff))


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Do `numpy.linalg.lstsq`: the solution of least norm, residuals, rank, singular values."""
    x, y = _promoted(_floating(a, "lstsq"), _floating(b, "lstsq", 1))
    if x.ndim != 2 or y.ndim > 2:
        raise ShapeError(at_user_line("np.linalg.lstsq takes one matrix"))
    m, n = (x.context.pin(e) for e in x.shape_)
    is_given_cutoff = rcond is not None and rcond >= 0
    epsilon = float(np.finfo(x.dtype).eps)
    cutoff = float(rcond or 0) if is_given_cutoff else epsilon * (max(m, n) if rcond is None else 1)
    solution = matmul(matrices.pseudoinverse(x, cutoff), y)
    values = matrices.singular_values(x)
    rank = reduce_sum(values > cutoff * reduce_max(values))
    left: Any = y - matmul(x, solution)
    squares: Any = reduce_sum(left * left, axis=0)
    residuals = squares[None] if y.ndim == 1 else squares
    return solution, residuals if m > n else residuals[:0], rank, values


def matrix_rank(A: Any, tol: Any = None, hermitian: Any = False, *, rtol: Any = None) -> Any:
    """Do `numpy.linalg.matrix_rank`."""
    refuse_keywords("np.linalg.matrix_rank", hermitian=hermitian or None)
    x = _floating(A, "matrix_rank")
    values: Any = matrices.singular_values(x)
    if not is_given(tol):
        longest = max(x.context.pin(e) for e in x.shape_[-2:])
        relative = rtol if is_given(rtol) else longest * float(np.finfo(x.dtype).eps)
        tol = reduce_max(values, axis=-1, keepdims=True) * relative
    return reduce_sum(values > tol, axis=-1)


def matrix_power(a: Any, n: Any) -> Any:
    """Do `numpy.linalg.matrix_power`, by repeated squaring."""
    x = as_traced(a)
    power = int(n)
    if x.ndim < 2 or not x.context.decide(x.shape_[-1] - x.shape_[-2], "=="):
        shape = x.context.show_shape(x.shape_)
        raise ShapeError(at_user_line(f"np.linalg.matrix_power of an array of shape {shape}"))
    if power < 0:
        return matrix_power(inv(x), -power)
    if power == 0:
        return identity_like(x)
    result = None
    while power:
        if power % 2:
            result = x if result is None else matmul(result, x)
        power //= 2
        x = matmul(x, x) if power else x
    return result


def cond(x: Any, p: Any = None) -> Any:
    """Do `numpy.linalg.cond`."""
    matrix = _floating(x, "cond")
    if p is None or p in (2, -2):
        values: Any = matrices.singular_values(matrix)
        ratio = values[..., 0] / values[..., -1]
        return 1 / ratio if p == -2 else ratio
    return norm(matrix, p, (-2, -1)) * norm(inv(matrix), p, (-2, -1))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    """Do `numpy.linalg.norm`."""
    array = as_traced(x)
    axes = as_axes(axis, array.ndim)
    if len(axes) == 2 and ord in ("nuc", 2, -2):
        return _spectral_norm(array, ord, axes, bool(keepdims))
    return plain_norm(array, ord, axis, keepdims)


def matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    """Do `numpy.linalg.matrix_norm`."""
    return norm(x, ord, (-2, -1), keepdims)


def _spectral_norm(x: TracedArray, ord: Any, axes: list[int], keepdims: bool) -> Any:
    """Reduce matrices, moved to the last two axes, by their singular values."""
    matrix = moveaxis(_floating(x, "norm"), axes, [-2, -1])
    values: Any = matrices.singular_values(matrix)
    result = reduce_sum(values, axis=-1) if ord == "nuc" else values[..., 0 if ord == 2 else -1]
    if not keepdims:
        return result
    return getitem(result, tuple(None if a in axes else slice(None) for a in range(x.ndim)))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Do `numpy.linalg.tensorsolve`."""
    x, y = as_traced(a), as_traced(b)
    if axes is not None:
        chosen = as_axes(axes, x.ndim)
        x = moveaxis(x, chosen, list(range(x.ndim - len(chosen), x.ndim)))
    shape = x.shape[y.ndim :]
    total = int(np.prod([x.context.pin(e) for e in x.shape_[y.ndim :]]))
    return reshape(solve(reshape(x, (total, total)), reshape(y, (total,))), shape)


def tensorinv(a: Any, ind: Any = 2) -> Any:
    """Do `numpy.linalg.tensorinv`."""
    x = as_traced(a)
    front, behind = x.shape[:ind], x.shape[ind:]
    total = int(np.prod([x.context.pin(e) for e in x.shape_[:ind]]))
    return reshape(inv(reshape(x, (total, total))), (*behind, *front))


def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: Any = False, w: Any = None, cov: Any = False
) -> Any:
    """Do `numpy.polyfit`, for the coefficients alone."""
    refuse_keywords("np.polyfit", full=full or None, cov=cov or None)
    points, values = _promoted(_floating(x, "polyfit", 1), _floating(y, "polyfit", 1))
    powers: Any = points[:, None] ** np.arange(int(deg), -1, -1)
    right: Any = values
    if w is not None:
        weights: Any = as_traced(w)
        powers = powers * weights[:, None]
        right = right * (weights if values.ndim == 1 else weights[:, None])
    scale: Any = np.sqrt(reduce_sum(powers * powers, axis=0))
    cutoff = rcond if rcond is not None else points.context.pin(points.shape_[0]) * 2.0**-52
    solution: Any = lstsq(powers / scale, right, cutoff)[0]
    return solution / (scale if values.ndim == 1 else scale[:, None])


LINEAR_ALGEBRA: dict[Any, Callable[..., Any]] = {
    np.polyfit: polyfit,
    np.linalg.solve: solve,
    np.linalg.inv: inv,
    np.linalg.det: det,
    np.linalg.slogdet: slogdet,
    np.linalg.cholesky: cholesky,
    np.linalg.eigh: eigh,
    np.linalg.eigvalsh: eigvalsh,
    np.linalg.svd: svd,
    np.linalg.svdvals: svdvals,
    np.linalg.qr: qr,
    np.linalg.pinv: pinv,
    np.linalg.lstsq: lstsq,
    np.linalg.matrix_rank: matrix_rank,
    np.linalg.matrix_power: matrix_power,
    np.linalg.cond: cond,
    np.linalg.norm: norm,
    np.linalg.matrix_norm: matrix_norm,
    np.linalg.tensorsolve: tensorsolve,
    np.linalg.tensorinv: tensorinv,
}


# SciPy's, which differ in keywords and in what they read


def _quiet(given: dict[str, Any], name: str, *known: str) -> None:
    """Let keywords pass that only say how to compute."""
    refuse_keywords(f"scipy.linalg.{name}", **{k: v for k, v in given.items() if k not in known})


_HOW = ("overwrite_a", "overwrite_b", "check_finite", "overwrite_v", "overwrite_ab")


def _triangular(
    a: Any, b: Any, trans: Any = 0, lower: Any = False, unit_diagonal: Any = False, **how: Any
) -> Any:
    """Do `scipy.linalg.solve_triangular`."""
    _quiet(how, "solve_triangular", *_HOW)
    refuse_keywords("scipy.linalg.solve_triangular", unit_diagonal=unit_diagonal or None)
    x, y = _promoted(_square(a, "solve_triangular"), _floating(b, "solve_triangular", 1))
    _require_length(x, y.shape_[0 if y.ndim == 1 else -2], "solve_triangular")
    rows = y[None, :] if y.ndim == 1 else swapaxes(y, -1, -2)
    rows = rows.view(rows.indices, (*rows.shape_[:-1], x.shape_[-1]))
    is_transposed = trans in (1, "T", 2, "C")
    solved = matrices.solve_triangular_rows(x, rows, upper=not lower, transposed=is_transposed)
    return solved[..., 0, :] if y.ndim == 1 else swapaxes(solved, -1, -2)


def _scipy_cholesky(a: Any, lower: Any = False, **how: Any) -> Any:
    """Do `scipy.linalg.cholesky`, which reads the triangle that it gives."""
    _quiet(how, "cholesky", *_HOW)
    return cholesky(a, upper=not lower)


def _cho_factor(a: Any, lower: Any = False, **how: Any) -> Any:
    """Do `scipy.linalg.cho_factor`; the other triangle is zero here."""
    return _scipy_cholesky(a, lower, **how), bool(lower)


def _cho_solve(c_and_lower: Any, b: Any, **how: Any) -> Any:
    """Do `scipy.linalg.cho_solve`."""
    factor, lower = c_and_lower
    first = _triangular(factor, b, trans=0 if lower else 1, lower=lower, **how)
    return _triangular(factor, first, trans=1 if lower else 0, lower=lower)


def _scipy_solve(a: Any, b: Any, **how: Any) -> Any:
    """Do `scipy.linalg.solve`; what is said of the matrix only says how to compute."""
    transposed = how.pop("transposed", False)
    _quiet(how, "solve", *_HOW, "lower", "assume_a")
    return solve(swapaxes(a, -1, -2) if transposed else a, b)


def _without_how(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **{k: v for k, v in kwargs.items() if k not in _HOW})

    run.__doc__ = f"Do `scipy.linalg.{name}`."
    return run


def _scipy_eigh(
    a: Any, b: Any = None, *, lower: Any = True, eigvals_only: Any = False, **how: Any
) -> Any:
    """Do `scipy.linalg.eigh` of one matrix."""
    _quiet(how, "eigh", *_HOW, "driver", "type")
    refuse_keywords("scipy.linalg.eigh", b=b)
    letter = "L" if lower else "U"
    return eigvalsh(a, letter) if eigvals_only else tuple(eigh(a, letter))


SCIPY_LINEAR_ALGEBRA: dict[str, Callable[..., Any]] = {
    "solve": _scipy_solve,
    "solve_triangular": _triangular,
    "cholesky": _scipy_cholesky,
    "cho_factor": _cho_factor,
    "cho_solve": _cho_solve,
    "inv": _without_how(inv, "inv"),
    "det": _without_how(det, "det"),
    "norm": _without_how(norm, "norm"),
    "svdvals": _without_how(svdvals, "svdvals"),
    "eigh": _scipy_eigh,
    "eigvalsh": lambda a, **how: _scipy_eigh(a, eigvals_only=True, **how),
}
"""SciPy's functions by name: they do not dispatch, see `symdiff.tracing.numpy_names`."""
