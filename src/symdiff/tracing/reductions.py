"""Reductions: sums, means, extrema, products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import index
from symdiff.program.patterns import COPY
from symdiff.program.sizes import product
from symdiff.tracing.arguments import as_axes, is_given, refuse_keywords
from symdiff.tracing.construction import concatenate, full_like
from symdiff.tracing.indexing import getitem
from symdiff.tracing.pointwise import stop_gradient
from symdiff.tracing.pointwise import where as select
from symdiff.tracing.shapes import broadcast_to, diagonal
from symdiff.tracing.traced_size import as_size
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = [
    "count_elements",
    "is_masked",
    "keep_axes",
    "reduce_all",
    "reduce_any",
    "reduce_logaddexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_std",
    "reduce_sum",
    "reduce_var",
    "reduced_axes",
    "sum_diagonal",
]


def reduced_axes(axis: Any, rank: int) -> list[int]:
    """Count the axes of a reduction from the front: each once, and none of a number."""
    if rank == 0 and axis in (0, -1):
        return []
    axes = as_axes(axis, rank)
    if len(set(axes)) < len(axes):
        raise ShapeError(at_user_line("duplicate value in 'axis'"))
    return axes


def _reduce(x: Any, axis: Any, keepdims: Any, kind: str, dtype: str | None = None) -> TracedArray:
    """Reduce over axes by one equation whose target lacks them."""
    x = as_traced(x)
    context = x.context
    axes = reduced_axes(axis, x.ndim)
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = tuple(x.shape_[a] for a in kept)
    result_dtype = dtype or x.dtype_
    if kind in ("max=", "min=") and any(context.decide(x.shape_[a], "==") for a in axes):
        raise ShapeError(at_user_line("maximum or minimum of no elements"))
    if result_dtype == "bool":
        kind = {"max=": "or=", "min=": "and="}.get(kind, kind)
    name = context.emit(
        COPY,
        [context.read(x, x.shape_)],
        x.shape_,
        result_dtype,
        operator=kind if axes else "=",
        target=tuple(index(a) for a in kept),
        shape=shape,
    )
    result = TracedArray(context, name, shape, result_dtype, owns=True)
    result.is_weak = x.is_weak and not axes
    return keep_axes(result, axes, x.ndim) if is_given(keepdims) and keepdims else result


def keep_axes(x: TracedArray, axes: list[int], rank: int) -> TracedArray:
    """Put axes of size one where reduced ones were."""
    return getitem(x, tuple(None if a in axes else slice(None) for a in range(rank)))


def _converted(a: Any, dtype: Any) -> TracedArray:
    return as_traced(a) if dtype is None else astype(a, dtype)


def reduce_sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Do `numpy.sum`; whole numbers are summed in 64 bits, as NumPy does."""
    refuse_keywords("np.sum", out=out)
    x = _converted(a, dtype)
    if is_masked(where):
        x = select(where, x, np.dtype(x.dtype_).type(0))
    accumulator = "int64" if x.dtype.kind in "bi" else "uint64" if x.dtype.kind == "u" else None
    total: Any = _reduce(x, axis, keepdims, "+=", None if dtype is not None else accumulator)
    return total + astype(initial, total.dtype_) if is_given(initial) else total


def count_elements(x: TracedArray, axis: Any, where: Any = None, keepdims: Any = False) -> Any:
    """Count what is reduced over: the length of axes, or the elements that are meant."""
    if is_masked(where):
        mask = broadcast_to(astype(where, "bool"), x.shape)
        return reduce_sum(mask, axis, keepdims=keepdims)
    return as_size(x.context, product([x.shape_[a] for a in reduced_axes(axis, x.ndim)]))


def is_masked(where: Any) -> bool:
    """Whether the argument ``where`` leaves elements out, as far as can be told."""
    return is_given(where) and where is not True


def _averaged(a: Any, dtype: Any) -> TracedArray:
    """Take what a mean is computed of: whole numbers become double precision."""
    x = _converted(a, dtype)
    return astype(x, "float64") if x.dtype.kind in "biu" and dtype is None else x


def reduce_mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    where: Any = None,
) -> Any:
    """Do `numpy.mean`."""
    refuse_keywords("np.mean", out=out)
    x = _averaged(a, dtype)
    total = reduce_sum(x, axis=axis, keepdims=keepdims, where=where)
    mean = total / count_elements(x, axis, where, keepdims)
    return astype(mean, dtype or x.dtype_) if is_masked(where) or dtype is not None else mean


def reduce_var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Do `numpy.var`, in two passes."""
    refuse_keywords("np.var", out=out)
    if is_given(correction):
        if ddof != 0:
            raise UnsupportedOperationError(
                at_user_line("ddof and correction can't be provided simultaneously.")
            )
        ddof = correction
    x = _averaged(a, dtype)
    center = mean if is_given(mean) else reduce_mean(x, axis=axis, keepdims=True, where=where)
    deviation: Any = x - center
    total = reduce_sum(deviation * deviation, axis=axis, keepdims=keepdims, where=where)
    free = _at_least_zero(count_elements(x, axis, where, keepdims) - ddof)
    variance = total / free
    return astype(variance, x.dtype_) if is_masked(where) or dtype is not None else variance


def _at_least_zero(degrees: Any) -> Any:
    """Give the degrees of freedom, none where there would be fewer."""
    if hasattr(degrees, "dtype"):
        return np.maximum(degrees, 0)
    return max(degrees, 0)


def reduce_std(a: Any, *args: Any, **kwargs: Any) -> Any:
    """Do `numpy.std`."""
    return np.sqrt(reduce_var(a, *args, **kwargs))


def _extremum(kind: str, name: str, better: Any) -> Callable[..., TracedArray]:
    def reduce(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        refuse_keywords(name, out=out)
        x = as_traced(a)
        if not is_given(initial):
            if is_masked(where):
                raise ShapeError(at_user_line(f"{name} with where= needs initial= too"))
            return _reduce(x, axis, keepdims, kind)
        start: Any = astype(initial, x.dtype_)
        if is_masked(where):
            x = select(where, x, start)
        axes = reduced_axes(axis, x.ndim)
        if any(x.context.decide(x.shape_[n], "==") for n in axes):
            return full_like(reduce_sum(x, axis, keepdims=keepdims), start, x.dtype)
        best: Any = _reduce(x, axis, keepdims, kind)
        return better(best, start)

    return reduce


def _truth(kind: str, name: str) -> Callable[..., TracedArray]:
    def reduce(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None
    ) -> TracedArray:
        refuse_keywords(name, out=out)
        x = astype(a, "bool")
        if is_masked(where):
            x = select(where, x, kind == "and=")
        return _reduce(x, axis, keepdims, kind)

    return reduce


reduce_max, reduce_min = (
    _extremum("max=", "np.max", np.maximum),
    _extremum("min=", "np.min", np.minimum),
)
reduce_any, reduce_all = _truth("or=", "np.any"), _truth("and=", "np.all")


def reduce_prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Multiply in pairs, level by level: the derivative is right when factors are zero."""
    refuse_keywords("np.prod", out=out)
    x: Any = _converted(a, dtype)
    if is_masked(where):
        x = select(where, x, np.dtype(x.dtype_).type(1))
    if dtype is None and x.dtype.kind in "biu":
        x = astype(x, "uint64" if x.dtype.kind == "u" else "int64")
    axes = reduced_axes(axis, x.ndim)
    for a_ in sorted(axes, reverse=True):
        x = _multiply_along(x, a_)
    if is_given(initial):
        x = x * astype(initial, x.dtype_)
    return keep_axes(x, axes, x.ndim + len(axes)) if is_given(keepdims) and keepdims else x


def _multiply_along(x: TracedArray, axis: int) -> TracedArray:
    length = x.context.pin(x.shape_[axis])
    before = (slice(None),) * axis
    if length == 0:
        return full_like(reduce_sum(x, axis=axis), 1)
    while length > 1:
        half = length // 2
        product = x[(*before, slice(0, half))] * x[(*before, slice(half, 2 * half))]
        if length % 2:
            product = concatenate([product, x[(*before, slice(length - 1, length))]], axis)
        x, length = product, half + length % 2
    return x[(*before, 0)]


def reduce_logaddexp(
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    **kwargs: Any,
) -> Any:
    """``log(sum(exp(a)))`` about the maximum, which carries no derivative: it cancels."""
    refuse_keywords("np.logaddexp.reduce", out=out, **kwargs)
    x: Any = _converted(a, dtype)
    axes = reduced_axes(axis, x.ndim)
    top: Any = stop_gradient(_reduce(x, axis, True, "max="))
    top = select(np.isfinite(top), top, 0)
    total = np.log(reduce_sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    if keepdims:
        return total
    return getitem(total, tuple(0 if a in axes else slice(None) for a in range(x.ndim)))


def sum_diagonal(
    a: Any,
    offset: Any = 0,
    axis1: Any = 0,
    axis2: Any = 1,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    """Do `numpy.trace`."""
    refuse_keywords("np.trace", out=out)
    return reduce_sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)
