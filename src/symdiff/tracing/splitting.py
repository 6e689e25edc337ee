"""Parts and other views of arrays: split, turned, broadcast together. No element is copied."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import Affine, index
from symdiff.tracing.arguments import as_axes, as_axis, as_extent, refuse_keywords
from symdiff.tracing.construction import copy as copied
from symdiff.tracing.indexing import compose_affine, getitem
from symdiff.tracing.shapes import along, flip, moveaxis, reshape, swapaxes, transpose
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced

__all__ = ["SPLITTING", "atleast_3d", "broadcast_arrays", "unstack"]


def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[TracedArray]:
    """Do `numpy.array_split`."""
    x = as_traced(ary)
    axis = as_axis(axis, x.ndim)
    if np.ndim(indices_or_sections) == 0 and not isinstance(indices_or_sections, list):
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ShapeError(at_user_line("number of sections must be larger than 0"))
        each, extra = divmod(x.context.pin(x.shape_[axis]), sections)
        sizes = [0, *extra * [each + 1], *(sections - extra) * [each]]
        bounds: list[Any] = np.cumsum(sizes).tolist()
    else:
        bounds = [0, *indices_or_sections, None]
    return [along(x, axis, slice(start, stop)) for start, stop in pairwise(bounds)]


def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[TracedArray]:
    """Do `numpy.split`."""
    x = as_traced(ary)
    if isinstance(indices_or_sections, (int, np.integer, TracedSize)):
        length, sections = x.context.pin(x.shape_[as_axis(axis, x.ndim)]), int(indices_or_sections)
        if sections > 0 and length % sections:
            raise ShapeError(
                at_user_line(f"np.split of {length} elements into {sections} parts: not equal ones")
            )
    return array_split(x, indices_or_sections, axis)


def _split_along(name: str, axis: int, least: int) -> Callable[..., list[TracedArray]]:
    """Make `numpy.vsplit` or `numpy.dsplit`."""

    def part(ary: Any, indices_or_sections: Any) -> list[TracedArray]:
        x = as_traced(ary)
        if x.ndim < least:
            raise ShapeError(at_user_line(f"{name} of an array of rank {x.ndim}, below {least}"))
        return split(x, indices_or_sections, axis)

    return part


def hsplit(ary: Any, indices_or_sections: Any) -> list[TracedArray]:
    """Do `numpy.hsplit`, which takes the first axis of a vector and the second of others."""
    x = as_traced(ary)
    if x.ndim == 0:
        raise ShapeError(at_user_line("np.hsplit of an array of rank 0, below 1"))
    return split(x, indices_or_sections, min(x.ndim - 1, 1))


def unstack(x: Any, /, *, axis: Any = 0) -> tuple[TracedArray, ...]:
    """Do `numpy.unstack`."""
    x = as_traced(x)
    if x.ndim == 0:
        raise ShapeError(at_user_line("np.unstack of an array of rank 0"))
    axis = as_axis(axis, x.ndim)
    return tuple([along(x, axis, n) for n in range(x.context.pin(x.shape_[axis]))])


def rollaxis(a: Any, axis: Any, start: Any = 0) -> TracedArray:
    """Do `numpy.rollaxis`."""
    x = as_traced(a)
    axis, place = as_axis(axis, x.ndim), int(start)
    if not -x.ndim <= place <= x.ndim:
        raise ShapeError(at_user_line(f"start {place} is out of bounds for rank {x.ndim}"))
    place += x.ndim if place < 0 else 0
    return moveaxis(x, axis, place - 1 if axis < place else place)


def _flip_axis(name: str, axis: int) -> Callable[..., TracedArray]:
    """Make `numpy.flipud` or `numpy.fliplr`."""

    def turn(m: Any) -> TracedArray:
        x = as_traced(m)
        if x.ndim <= axis:
            raise ShapeError(at_user_line(f"{name} of an array of rank {x.ndim}"))
        return flip(x, axis)

    return turn


def rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> TracedArray:
    """Do `numpy.rot90`."""
    x = as_traced(m)
    planes = as_axes(axes, x.ndim)
    if len(set(planes)) != 2 or len(planes) != 2:
        raise ShapeError(at_user_line(f"np.rot90 needs two different axes, not {axes}"))
    i, j = planes
    turns = int(k) % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (i, j))
    return swapaxes(flip(x, j), i, j) if turns == 1 else flip(swapaxes(x, i, j), j)


def matrix_transpose(x: Any, /) -> TracedArray:
    """Do `numpy.matrix_transpose`."""
    x = as_traced(x)
    if x.ndim < 2:
        raise ShapeError(at_user_line(f"a matrix needs two axes, not {x.ndim}"))
    return swapaxes(x, -1, -2)


def _three_axes(x: Any) -> TracedArray:
    x = as_traced(x)
    if x.ndim >= 3:
        return x
    keys = [(None, None, None), (None, slice(None), None), (slice(None), slice(None), None)]
    return getitem(x, keys[x.ndim])


def atleast_3d(*arys: Any) -> Any:
    """Do `numpy.atleast_3d`: one array for one, a tuple for several."""
    return _three_axes(arys[0]) if len(arys) == 1 else tuple([_three_axes(x) for x in arys])


def broadcast_arrays(*args: Any, subok: Any = False) -> tuple[TracedArray, ...]:
    """Do `numpy.broadcast_arrays`."""
    del subok  # a traced array is of no subclass: both answers give the same
    arrays = [as_traced(x) for x in args]
    shape = arrays[0].context.broadcast([x.shape_ for x in arrays])
    return tuple([x.view(x.context.read(x, shape).indices, shape) for x in arrays])


def meshgrid(
    *xi: Any, copy: Any = True, sparse: Any = False, indexing: Any = "xy"
) -> tuple[TracedArray, ...]:
    """Do `numpy.meshgrid`."""
    if indexing not in ("xy", "ij"):
        raise UnsupportedOperationError(
            at_user_line(f"np.meshgrid with indexing={indexing!r}; allowed are 'xy' and 'ij'")
        )
    rank = len(xi)
    places = [1, 0, *range(2, rank)] if indexing == "xy" and rank > 1 else list(range(rank))
    grids = []
    for x, place in zip(xi, places, strict=True):
        shape = [1] * rank
        shape[place] = -1
        grids.append(reshape(x, tuple(shape)))
    made = tuple(grids) if sparse else broadcast_arrays(*grids)
    return tuple([copied(x) for x in made]) if copy and not sparse else made


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: Any = False, writeable: Any = False
) -> TracedArray:
    """Do `numpy.lib.stride_tricks.sliding_window_view`."""
    del subok  # a traced array is of no subclass: both answers give the same
    refuse_keywords("sliding_window_view", writeable=writeable or None)
    x = as_traced(x)
    windows = list(window_shape) if np.iterable(window_shape) else [window_shape]
    axes = as_axes(axis, x.ndim)
    if len(axes) != len(windows):
        raise ShapeError(at_user_line(f"{len(windows)} windows for {len(axes)} axes"))
    shape, by = list(x.shape_), [index(n) for n in range(x.ndim)]
    for number, (n, window) in enumerate(zip(axes, windows, strict=True)):
        width = as_extent(window)
        shape[n] = shape[n] - (width - 1)
        if x.context.decide(shape[n] - 1, "<"):
            raise ShapeError(at_user_line("a window cannot be larger than the array"))
        by[n] = by[n].plus(index(x.ndim + number))
    widths = [as_extent(w) for w in windows]
    indices: list[Affine] = by
    return x.view(compose_affine(x.indices, indices), (*shape, *widths))


SPLITTING: dict[Any, Callable[..., Any]] = {
    np.array_split: array_split,
    np.split: split,
    np.vsplit: _split_along("np.vsplit", 0, 2),
    np.hsplit: hsplit,
    np.dsplit: _split_along("np.dsplit", 2, 3),
    np.rollaxis: rollaxis,
    np.flipud: _flip_axis("np.flipud", 0),
    np.fliplr: _flip_axis("np.fliplr", 1),
    np.rot90: rot90,
    np.matrix_transpose: matrix_transpose,
    np.linalg.matrix_transpose: matrix_transpose,
    np.permute_dims: transpose,
    np.atleast_3d: atleast_3d,
    np.broadcast_arrays: broadcast_arrays,
    np.meshgrid: meshgrid,
    np.lib.stride_tricks.sliding_window_view: sliding_window_view,
}
if hasattr(np, "unstack"):  # NumPy 2.1
    SPLITTING[np.unstack] = unstack
