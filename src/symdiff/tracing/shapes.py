"""Functions that only look at an array in another way: views, or one copying equation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.program.affine import Affine, constant, index
from symdiff.program.patterns import COPY
from symdiff.program.sizes import Extent, Size, product
from symdiff.tracing.arguments import (
    as_axes,
    as_axis,
    as_extent,
    refuse_keywords,
    refuse_layout,
)
from symdiff.tracing.indexing import compose_affine, getitem
from symdiff.tracing.tracer import TracedArray, as_traced, elementwise

__all__ = [
    "along",
    "at_least",
    "atleast_1d",
    "atleast_2d",
    "broadcast_to",
    "diagonal",
    "expand_dims",
    "flip",
    "moveaxis",
    "ravel",
    "reshape",
    "size",
    "squeeze",
    "swapaxes",
    "transpose",
]

Shape = tuple[Extent, ...]


def size(a: Any, axis: Any = None) -> Any:
    """Do `numpy.size`."""
    return a.size if axis is None else a.shape[axis]


def transpose(a: Any, axes: Any = None) -> TracedArray:
    """Do `numpy.transpose`."""
    x = as_traced(a)
    order = list(reversed(range(x.ndim))) if axes is None else as_axes(axes, x.ndim)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(at_user_line("axes don't match array"))
    by: list[Affine] = [constant(0)] * x.ndim
    for new, old in enumerate(order):
        by[old] = index(new)
    return x.view(compose_affine(x.indices, by), tuple(x.shape_[a] for a in order))


def swapaxes(a: Any, axis1: Any, axis2: Any) -> TracedArray:
    """Do `numpy.swapaxes`."""
    x = as_traced(a)
    order = list(range(x.ndim))
    i, j = as_axis(axis1, x.ndim), as_axis(axis2, x.ndim)
    order[i], order[j] = j, i
    return transpose(x, order)


def moveaxis(a: Any, source: Any, destination: Any) -> TracedArray:
    """Do `numpy.moveaxis`."""
    x = as_traced(a)
    sources, places = as_axes(source, x.ndim), as_axes(destination, x.ndim)
    order = [n for n in range(x.ndim) if n not in sources]
    for place, s in sorted(zip(places, sources, strict=True)):
        order.insert(place, s)
    return transpose(x, order)


def expand_dims(a: Any, axis: Any) -> TracedArray:
    """Do `numpy.expand_dims`."""
    x = as_traced(a)
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    rank = x.ndim + len(axes)
    places = {as_axis(a_, rank) for a_ in axes}
    return getitem(x, tuple(None if n in places else slice(None) for n in range(rank)))


def squeeze(a: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.squeeze`."""
    x = as_traced(a)
    if axis is None:
        axes = [n for n, e in enumerate(x.shape_) if x.context.decide(e - 1, "==")]
    else:
        axes = as_axes(axis, x.ndim)
        if any(not x.context.decide(x.shape_[n] - 1, "==") for n in axes):
            raise ShapeError(at_user_line("cannot squeeze an axis whose size is not one"))
    return getitem(x, tuple(0 if n in axes else slice(None) for n in range(x.ndim)))


def along(x: TracedArray, axis: int, key: Any) -> TracedArray:
    """Index one axis, counted from the front."""
    return getitem(x, (*[slice(None)] * axis, key))


def at_least(x: Any, rank: int) -> TracedArray:
    """Put axes of size one in front until there are `rank`."""
    x = as_traced(x)
    return x if x.ndim >= rank else getitem(x, (None,) * (rank - x.ndim))


def atleast_1d(*arys: Any) -> Any:
    """Do `numpy.atleast_1d`: one array for one, a tuple for several."""
    return at_least(arys[0], 1) if len(arys) == 1 else tuple([at_least(x, 1) for x in arys])


def atleast_2d(*arys: Any) -> Any:
    """Do `numpy.atleast_2d`: one array for one, a tuple for several."""
    return at_least(arys[0], 2) if len(arys) == 1 else tuple([at_least(x, 2) for x in arys])


def broadcast_to(array: Any, shape: Any, subok: Any = False) -> TracedArray:
    """Do `numpy.broadcast_to`."""
    del subok  # a traced array is of no subclass: both answers give the same
    x = as_traced(array)
    context = x.context
    wide = shape if isinstance(shape, (tuple, list)) else (shape,)
    extents = tuple(as_extent(e) for e in wide)
    reached = context.broadcast([x.shape_, extents])
    if len(reached) != len(extents) or not all(
        context.decide(a - b, "==") for a, b in zip(reached, extents, strict=True)
    ):
        raise ShapeError(at_user_line("the shape cannot be broadcast to the one asked for"))
    return x.view(context.read(x, extents).indices, extents)


def flip(m: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.flip`."""
    x = as_traced(m)
    axes = as_axes(axis, x.ndim)
    step = slice(None, None, -1)
    return getitem(x, tuple(step if n in axes else slice(None) for n in range(x.ndim)))


def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> TracedArray:
    """Do `numpy.diagonal`."""
    x = as_traced(a)
    i, j = as_axis(axis1, x.ndim), as_axis(axis2, x.ndim)
    rows, columns = x.shape_[i] + min(offset, 0), x.shape_[j] - max(offset, 0)
    length = rows if x.context.decide(columns - rows, ">=") else columns
    if x.context.decide(length, "<"):
        length = 0
    others = [n for n in range(x.ndim) if n not in (i, j)]
    by: list[Affine] = [constant(0)] * x.ndim
    for new, old in enumerate(others):
        by[old] = index(new)
    last = index(len(others))
    by[i], by[j] = last.shifted(max(-offset, 0)), last.shifted(max(offset, 0))
    return x.view(compose_affine(x.indices, by), (*[x.shape_[n] for n in others], length))


def reshape(
    a: Any, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None
) -> TracedArray:
    """Do `numpy.reshape`; ``newshape`` is what NumPy called ``shape`` before 2.1."""
    refuse_layout("np.reshape", order, ("C", None))
    refuse_keywords("np.reshape", copy=copy)
    x = as_traced(a)
    wanted = newshape if shape is None else shape
    sizes = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    extents = _fill_in(x, [as_extent(e) for e in sizes])
    if extents == x.shape_:
        return x
    flat = _flat(x)
    offset = constant(0)
    for n, extent in enumerate(extents):
        offset = offset.scaled(extent) if extent == 1 else offset.scaled(extent).plus(index(n))
    return flat.view(compose_affine(flat.indices, [offset]), extents)


def _fill_in(x: TracedArray, extents: Sequence[Extent]) -> Shape:
    """Put a size in for -1, and check that the sizes fit the array."""
    context = x.context
    total = product(x.shape_)
    unknown = [n for n, e in enumerate(extents) if isinstance(e, int) and e == -1]
    known = product([e for n, e in enumerate(extents) if n not in unknown])
    if len(unknown) == 1:
        (n,) = unknown
        return (*extents[:n], _divide(x, total, known), *extents[n + 1 :])
    if unknown or not context.decide(total - known, "=="):
        raise ShapeError(
            at_user_line(
                f"cannot reshape an array of shape {context.show_shape(x.shape_)} into "
                f"{context.show_shape(tuple(extents))}"
            )
        )
    return tuple(extents)


def _divide(x: TracedArray, total: Extent, known: Extent) -> Extent:
    """Divide sizes, symbolically where every coefficient allows it."""
    if total == known:
        return 1
    if (
        isinstance(total, Size)
        and isinstance(known, int)
        and known > 0
        and all(c % known == 0 for _, c in total.terms)
    ):
        return Size(tuple((m, c // known) for m, c in total.terms))
    for extent in x.shape_:
        if isinstance(extent, Size) and extent * known == total:
            return extent
    whole, part = x.context.pin(total), x.context.pin(known)
    if part == 0 or whole % part:
        raise ShapeError(
            at_user_line(f"cannot reshape an array of {whole} elements: {part} does not divide it")
        )
    return whole // part


def ravel(a: Any, order: Any = "C") -> TracedArray:
    """Lay an array out flat: a view where it is one already, one copying equation otherwise."""
    refuse_layout("np.ravel", order, ("C", None))
    x = as_traced(a)
    if x.ndim == 1 and not _is_contiguous(x):  # which NumPy copies
        return elementwise(x.context, COPY, [x], x.dtype_)
    return _flat(x)


def _is_contiguous(x: TracedArray) -> bool:
    """Whether an array of rank 1 walks along memory element by element."""
    *before, last = x.indices or (index(0),)
    return (
        isinstance(last, Affine)
        and last.terms == ((0, 1),)
        and all(isinstance(i, Affine) and not i.terms for i in before)
    )


def _flat(x: TracedArray) -> TracedArray:
    """Lay an array out flat, as NumPy's reshape does: a view of what has one axis."""
    if x.ndim == 1:
        return x
    context = x.context
    offset = constant(0)
    for n, extent in enumerate(x.shape_):
        offset = offset.scaled(extent).plus(index(n))
    total = product(x.shape_)
    name = context.emit(
        COPY,
        [context.read(x, x.shape_)],
        x.shape_,
        x.dtype_,
        target=(offset,),
        shape=(total,),
    )
    flat = TracedArray(context, name, (total,), x.dtype_, owns=True)
    flat.buffer.alias(x.buffer)
    return flat
