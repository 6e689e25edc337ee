"""Functions that make new arrays of whole ones: joined, filled, copied, converted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.program.affine import index
from symdiff.program.equations import IndexValue, Literal
from symdiff.program.patterns import COPY
from symdiff.program.sizes import Extent
from symdiff.tracing.adjacent import merged
from symdiff.tracing.arguments import as_axis, check_casting, refuse_keywords, refuse_layout
from symdiff.tracing.context import Context, check_dtype
from symdiff.tracing.shapes import at_least, broadcast_to, diagonal, expand_dims, ravel
from symdiff.tracing.tracer import TracedArray, as_traced, astype, elementwise

__all__ = [
    "column_stack",
    "concatenate",
    "convert",
    "copy",
    "counting",
    "diag",
    "filled",
    "flatten",
    "full_like",
    "hstack",
    "make_like",
    "stack",
    "unshared",
    "vstack",
]


def concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> TracedArray:
    """Do `numpy.concatenate`: one array, and an equation for each part of it."""
    refuse_keywords("np.concatenate", out=out)
    parts = [as_traced(x) for x in arrays]
    if axis is None:
        parts, axis = [ravel(x) for x in parts], 0
    context = parts[0].context
    axis = as_axis(axis, parts[0].ndim)
    shape = _joined_shape(parts, axis)
    promoted = check_dtype(dtype or np.result_type(*[x.example for x in parts]))
    for x in parts:
        check_casting("np.concatenate", x, promoted, casting)
    parts = merged(parts, axis)
    name = context.new_array(shape, promoted)
    start: Extent = 0
    for x in parts:
        target = [index(n) for n in range(x.ndim)]
        target[axis] = target[axis].shifted(start)
        context.emit(
            COPY, [context.read(x, x.shape_)], x.shape_, "", target=tuple(target), array=name
        )
        start = start + x.shape_[axis]
    return TracedArray(context, name, shape, promoted, owns=True)


def _joined_shape(parts: list[TracedArray], axis: int) -> tuple[Extent, ...]:
    """Add the sizes along an axis, and check that the others agree."""
    context = parts[0].context
    shape = list(parts[0].shape_)
    total: Extent = 0
    for x in parts:
        if x.ndim != len(shape) or not all(
            context.decide(x.shape_[n] - shape[n], "==") for n in range(x.ndim) if n != axis
        ):
            shapes = " and ".join(context.show_shape(p.shape_) for p in parts)
            raise ShapeError(at_user_line(f"np.concatenate: shapes do not match: {shapes}"))
        total = total + x.shape_[axis]
    shape[axis] = total
    return tuple(shape)


def stack(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> TracedArray:
    """Do `numpy.stack`."""
    refuse_keywords("np.stack", out=out)
    parts = [expand_dims(as_traced(x), axis) for x in arrays]
    return concatenate(parts, axis, dtype=dtype, casting=casting)


def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> TracedArray:
    """Do `numpy.vstack`."""
    return concatenate([at_least(x, 2) for x in tup], 0, dtype=dtype, casting=casting)


def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> TracedArray:
    """Do `numpy.hstack`."""
    parts = [at_least(x, 1) for x in tup]
    axis = 0 if parts[0].ndim == 1 else 1
    return concatenate(parts, axis, dtype=dtype, casting=casting)


def column_stack(tup: Any) -> TracedArray:
    """Do `numpy.column_stack`."""
    parts = [at_least(x, 1) for x in tup]
    return concatenate([x[:, None] if x.ndim == 1 else x for x in parts], 1)


def diag(v: Any, k: Any = 0) -> TracedArray:
    """Do `numpy.diag`: a matrix of a vector, the diagonal of a matrix."""
    x = as_traced(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"np.diag of an array of rank {x.ndim}"))
    side = x.shape_[0] + abs(k)
    i = index(0)
    name = x.context.emit(
        COPY,
        [x.context.read(x, x.shape_)],
        x.shape_,
        x.dtype_,
        target=(i.shifted(max(-k, 0)), i.shifted(max(k, 0))),
        shape=(side, side),
    )
    return TracedArray(x.context, name, (side, side), x.dtype_, owns=True)


def filled(context: Context, value: float, shape: tuple[Extent, ...], dtype: str) -> TracedArray:
    """Look at one number as an array of this shape."""
    name = context.emit(COPY, [Literal(value, dtype)], (), dtype)
    return TracedArray(context, name, shape, dtype, ())


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> TracedArray:
    """Do `numpy.full_like`."""
    refuse_layout("np.full_like", order)
    refuse_keywords("np.full_like", device=None if device == "cpu" else device)
    del subok  # a traced array is of no subclass: both answers give the same
    x = as_traced(a)
    value = broadcast_to(fill_value, x.shape if shape is None else shape)
    return elementwise(x.context, COPY, [value], check_dtype(dtype or x.dtype_))


def counting(context: Context, count: Extent, axis: int = 0, rank: int = 1) -> TracedArray:
    """Count 0, 1, ... along one of several axes."""
    name = context.emit(COPY, [IndexValue(index(0))], (count,), "int64")
    shape = tuple([count if n == axis else 1 for n in range(rank)])
    return TracedArray(context, name, shape, "int64", (index(axis),), owns=rank == 1)


def make_like(value: Any) -> Callable[..., TracedArray]:
    """Make `numpy.zeros_like` or `numpy.ones_like`."""

    def like(a: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> TracedArray:
        return full_like(a, value, dtype, *args, **kwargs)

    return like


def copy(a: Any, order: Any = "K", subok: Any = False) -> TracedArray:
    """Do `numpy.copy`."""
    refuse_layout("np.copy", order)
    del subok  # a traced array is of no subclass: both answers give the same
    x = as_traced(a)
    return elementwise(x.context, COPY, [x], x.dtype_)


def flatten(a: Any, order: Any = "C") -> TracedArray:
    """Do `numpy.ndarray.flatten`, which unlike `ravel` always copies."""
    return unshared(a, ravel(a, order))


def convert(
    a: Any,
    dtype: Any,
    order: Any = "K",
    casting: Any = "unsafe",
    subok: Any = True,
    copy: Any = True,
) -> TracedArray:
    """Do `numpy.ndarray.astype`."""
    refuse_layout("astype", order)
    del subok  # a traced array is of no subclass: both answers give the same
    x = as_traced(a)
    check_casting("astype", x, dtype, casting)
    converted = astype(x, dtype)
    return unshared(x, converted) if copy else converted


def unshared(x: TracedArray, result: TracedArray) -> TracedArray:
    """Copy what is still `x` itself, if in-place arithmetic on the one would change the other."""
    return copy(x) if result is x and x.ndim else result
