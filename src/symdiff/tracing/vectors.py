"""Norms, products of vectors and matrices, and the functions of `numpy.linalg` made of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.sizes import evaluate
from symdiff.tracing.arguments import as_axes, as_axis, refuse_keywords
from symdiff.tracing.construction import stack
from symdiff.tracing.products import dot, einsum, matmul, outer, tensordot
from symdiff.tracing.reductions import keep_axes, reduce_max, reduce_min, reduce_sum, sum_diagonal
from symdiff.tracing.shapes import diagonal, moveaxis
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["UFUNC_PRODUCTS", "VECTORS", "norm"]


def _in_floats(x: Any) -> TracedArray:
    x = as_traced(x)
    return astype(x, "float64") if x.dtype.kind in "biu" else x


def _refuse_order(ord: Any, rank: int) -> NoReturn:
    raise UnsupportedOperationError(
        at_user_line(
            f"a norm with ord={ord!r} over {rank} axes is not supported on traced arrays; allowed "
            "are numbers for vectors, and 'fro', 1, -1, inf, -inf for matrices"
        )
    )


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    """Do `numpy.linalg.norm`, but for the matrix norms that need singular values."""
    x = _in_floats(x)
    axes = as_axes(axis, x.ndim)
    if ord is None and (axis is None or len(axes) in (1, 2)):
        return np.sqrt(reduce_sum(x * x, axis=axis, keepdims=keepdims))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ShapeError(at_user_line(f"a norm over {len(axes)} axes; there have to be one or two"))


def _vector_norm(x: Any, ord: Any, axes: list[int], keepdims: Any) -> Any:
    """Reduce over the axes as if they were one."""
    axis = tuple(axes)
    if ord in (None, 2):
        return np.sqrt(reduce_sum(x * x, axis=axis, keepdims=keepdims))
    if not isinstance(ord, (int, float, np.number)):
        _refuse_order(ord, 1)
    if ord in (np.inf, -np.inf):
        return _extremum(np.abs(x), axis, keepdims, largest=bool(ord > 0))
    if ord == 0:
        return reduce_sum(astype(x != 0, x.dtype_), axis=axis, keepdims=keepdims)
    if ord == 1:
        return reduce_sum(np.abs(x), axis=axis, keepdims=keepdims)
    return reduce_sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1.0 / float(ord))


def _extremum(x: Any, axis: Any, keepdims: Any, *, largest: bool) -> Any:
    """Reduce sizes to the largest, which is zero where there are none, or to the smallest."""
    if not largest:
        return reduce_min(x, axis, keepdims=keepdims)
    is_empty = any(x.context.decide(e, "==") for e in x.shape_)
    return reduce_max(x, axis, keepdims=keepdims, initial=0 if is_empty else None)


def _matrix_norm(x: Any, ord: Any, axes: list[int], keepdims: Any) -> Any:
    row, column = axes
    if row == column:
        raise ShapeError(at_user_line("Duplicate axes given."))
    if ord in (None, "fro", "f"):
        return np.sqrt(reduce_sum(x * x, axis=(row, column), keepdims=keepdims))
    if isinstance(ord, str) or ord not in (1, -1, np.inf, -np.inf):
        _refuse_order(ord, 2)
    summed, kept = (row, column) if ord in (1, -1) else (column, row)
    sums = reduce_sum(np.abs(x), axis=summed)
    result = _extremum(sums, kept - (kept > summed), keepdims=False, largest=ord in (1, np.inf))
    return keep_axes(result, axes, x.ndim) if keepdims else result


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
    """Do `numpy.linalg.vector_norm`."""
    x = _in_floats(x)
    return _vector_norm(x, ord, as_axes(axis, x.ndim), keepdims)


def matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    """Do `numpy.linalg.matrix_norm`."""
    x = _in_floats(x)
    return _matrix_norm(x, ord, as_axes((-2, -1), x.ndim), keepdims)


def cross(
    a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None
) -> Any:
    """Do `numpy.cross`, of vectors of two or three components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = as_traced(a), as_traced(b)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    lengths = [v.context.pin(v.shape_[-1]) for v in (x, y)]
    if any(n not in (2, 3) for n in lengths):
        raise ShapeError(
            at_user_line(f"np.cross of vectors of {lengths} components; allowed are 2 and 3")
        )
    x0, x1 = x[..., 0], x[..., 1]
    y0, y1 = y[..., 0], y[..., 1]
    third = x0 * y1 - x1 * y0
    if lengths == [2, 2]:
        return third
    if lengths == [3, 3]:
        x2, y2 = x[..., 2], y[..., 2]
        first, second = x1 * y2 - x2 * y1, x2 * y0 - x0 * y2
    elif lengths == [3, 2]:
        first, second = -x[..., 2] * y1, x[..., 2] * y0
    else:
        first, second = x1 * y[..., 2], -x0 * y[..., 2]
    return moveaxis(stack([first, second, third], -1), -1, axisc)


def _cross_of_threes(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    """Do `numpy.linalg.cross`."""
    x, y = as_traced(x1), as_traced(x2)
    lengths = [v.context.pin(v.shape_[as_axis(axis, v.ndim)]) for v in (x, y)]
    if lengths != [3, 3]:
        raise ShapeError(at_user_line(f"np.linalg.cross of vectors of {lengths} components, not 3"))
    return cross(x, y, axis=axis)


def _outer_of_vectors(x1: Any, x2: Any, /) -> Any:
    """Do `numpy.linalg.outer`."""
    x, y = as_traced(x1), as_traced(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(at_user_line(f"np.linalg.outer of arrays of ranks {x.ndim} and {y.ndim}"))
    return outer(x, y)


def _matrix_trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Any:
    """Do `numpy.linalg.trace`, over the last two axes."""
    return sum_diagonal(x, offset, -2, -1, dtype)


def _matrix_diagonal(x: Any, /, *, offset: Any = 0) -> Any:
    """Do `numpy.linalg.diagonal`, over the last two axes."""
    return diagonal(x, offset, -2, -1)


def vecdot(a: Any, b: Any, /, *, axis: Any = -1, dtype: Any = None) -> Any:
    """Do `numpy.vecdot`."""
    x, y = (as_traced(v) if dtype is None else astype(v, dtype) for v in (a, b))
    return einsum("...i,...i->...", moveaxis(x, axis, -1), moveaxis(y, axis, -1))


def matvec(a: Any, b: Any, /, *, dtype: Any = None) -> Any:
    """Do `numpy.matvec`."""
    x, y = (as_traced(v) if dtype is None else astype(v, dtype) for v in (a, b))
    return einsum("...ij,...j->...i", x, y)


def vecmat(a: Any, b: Any, /, *, dtype: Any = None) -> Any:
    """Do `numpy.vecmat`."""
    x, y = (as_traced(v) if dtype is None else astype(v, dtype) for v in (a, b))
    return einsum("...i,...ij->...j", x, y)


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Do `numpy.linalg.multi_dot`, in the order that costs the fewest products at these sizes."""
    refuse_keywords("np.linalg.multi_dot", out=out)
    parts = [as_traced(x) for x in arrays]
    if len(parts) < 2:
        raise ShapeError(at_user_line("np.linalg.multi_dot: expecting at least two arrays."))
    ranks = [x.ndim for x in parts]
    if any(r != 2 for r in ranks[1:-1]) or not {ranks[0], ranks[-1]} <= {1, 2}:
        raise ShapeError(at_user_line(f"np.linalg.multi_dot of arrays of ranks {ranks}"))
    is_row, is_column = ranks[0] == 1, ranks[-1] == 1
    if is_row:
        parts[0] = parts[0][None, :]
    if is_column:
        parts[-1] = parts[-1][:, None]
    values = parts[0].context.values
    sizes = [evaluate(parts[0].shape_[0], values), *[evaluate(x.shape_[1], values) for x in parts]]
    product = _chain(parts, _splits(sizes), 0, len(parts) - 1)
    return product[(0 if is_row else slice(None), 0 if is_column else slice(None))]


def _splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each run of matrices (Cormen et al., Introduction to Algorithms, 15.2)."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    best: dict[tuple[int, int], int] = {}
    for width in range(1, count):
        for i in range(count - width):
            j = i + width
            options = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            best[i, j] = min(options, key=options.__getitem__)
            cost[i, j] = options[best[i, j]]
    return best


def _chain(parts: list[TracedArray], best: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return parts[i]
    k = best[i, j]
    return dot(_chain(parts, best, i, k), _chain(parts, best, k + 1, j))


VECTORS: dict[Any, Callable[..., Any]] = {
    np.cross: cross,
    np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm,
    np.linalg.matrix_norm: matrix_norm,
    np.linalg.cross: _cross_of_threes,
    np.linalg.outer: _outer_of_vectors,
    np.linalg.matmul: lambda x1, x2, /: matmul(x1, x2),
    np.linalg.tensordot: lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes),
    np.linalg.trace: _matrix_trace,
    np.linalg.diagonal: _matrix_diagonal,
    np.linalg.vecdot: lambda x1, x2, /, *, axis=-1: vecdot(x1, x2, axis=axis),
    np.linalg.multi_dot: multi_dot,
}

UFUNC_PRODUCTS: dict[np.ufunc, Callable[..., Any]] = {np.vecdot: vecdot}
"""Products that are ufuncs over vectors and matrices rather than over elements."""
if hasattr(np, "matvec"):  # NumPy 2.2
    UFUNC_PRODUCTS |= {np.matvec: matvec, np.vecmat: vecmat}
