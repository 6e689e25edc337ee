"""Indexing by NumPy's rules, as index maps: no element is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program import functions as fn
from symdiff.program.affine import Affine, constant, index
from symdiff.program.equations import Index, IndexValue, Read, compose
from symdiff.program.patterns import COPY, pattern, placeholder
from symdiff.program.sizes import Extent, evaluate
from symdiff.tracing.buffers import ROW
from symdiff.tracing.context import Context
from symdiff.tracing.masked import Masked
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced, astype, elementwise

__all__ = ["compose_affine", "from_end", "getitem", "select"]


def compose_affine(indices: Sequence[Index], by: Sequence[Affine]) -> tuple[Index, ...]:
    """Put affine expressions in for the axes of a view, which always works."""
    composed = compose(indices, by)
    assert composed is not None
    return composed


p0, p1 = placeholder(0), placeholder(1)
_FROM_END = pattern(fn.Select(p0 < 0, p0 + p1, p0), 2)


def getitem(x: TracedArray, key: Any) -> Any:
    """Index a traced array with integers, slices, None, Ellipsis and arrays of integers.

    As in NumPy, what arrays of integers or integers alone select is no view.
    """
    if any(isinstance(k, TracedArray) for k in (key if isinstance(key, tuple) else (key,))):
        x, key = as_traced(x), _lifted(key)  # of the trace that is going on
    if isinstance(key, TracedArray) and key.dtype.kind == "b":
        return _selected(x, key)
    by, shape, is_copy = select(x, key)
    if not is_copy:
        return _look(x, by, shape)
    composed = compose(x.indices, by)
    if composed is None:  # an array of integers into a strided view
        x = elementwise(x.context, COPY, [x], x.dtype_)
        composed = compose(x.indices, by)
        assert composed is not None
    made = TracedArray(x.context, x.array, shape, x.dtype_, composed)
    if shape and not any(_is_real_array(k) for k in (key if isinstance(key, tuple) else (key,))):
        made.buffer.refusal = ROW  # of NumPy's arrays it would be a view
    return made


def _is_real_array(key: Any) -> bool:
    return isinstance(key, (list, np.ndarray)) or (isinstance(key, TracedArray) and key.ndim > 0)


def _lifted(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple([_lifted(k) for k in key])
    return as_traced(key) if isinstance(key, TracedArray) else key


def _selected(x: TracedArray, mask: TracedArray) -> Any:
    """Select by a mask that is known only at the call."""
    context = x.context
    shape = x.shape_[: mask.ndim]
    fits = mask.ndim and mask.ndim <= x.ndim
    if not fits or not all(
        context.decide(a - b, "==") for a, b in zip(mask.shape_, shape, strict=True)
    ):
        raise ShapeError(
            at_user_line(
                f"a mask of shape {context.show_shape(mask.shape_)} for an array of shape "
                f"{context.show_shape(x.shape_)}"
            )
        )
    return Masked(x.snapshot(), mask)


def _look(x: TracedArray, by: Sequence[Index], shape: tuple[Extent, ...]) -> TracedArray:
    """Look at a part of an array; what was just written there is read as it was written."""
    composed = compose(x.map, by)
    assert composed is not None
    return x.part(composed, by, shape)


def select(x: TracedArray, key: Any) -> tuple[list[Index], tuple[Extent, ...], bool]:
    """Say what a key selects: an index map, a shape, and whether there are arrays in it."""
    keys, gap = _expand(x, key if isinstance(key, tuple) else (key,))
    has_arrays = any(_is_array(k) for k in keys)
    if has_arrays:  # beside arrays NumPy takes integers for arrays too
        keys = [np.asarray(k) if isinstance(k, (int, np.integer)) else k for k in keys]
    arrays = [k for k in keys if _is_array(k)]
    block: tuple[Extent, ...] = ()
    if arrays:
        block = x.context.broadcast([_extents(k) for k in arrays])
    positions = [n for n, k in enumerate(keys) if _is_array(k)]
    is_adjacent = not positions or positions == list(range(positions[0], positions[-1] + 1))
    if gap is not None and positions and positions[0] < gap <= positions[-1]:
        is_adjacent = False  # an Ellipsis parts them, even if it stands for nothing
    shape: list[Extent] = []
    by: list[Index] = []
    block_start: int | None = None
    if arrays and not is_adjacent:
        block_start = 0
        shape.extend(block)
    axis = 0
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        extent = x.shape_[axis]
        axis += 1
        if _is_array(k):
            if block_start is None:
                block_start = len(shape)
                shape.extend(block)
            by.append(_gather(x, k, axis - 1, extent, block_start, block))
        elif isinstance(k, slice):
            start, length, step = _slice(x, k, extent)
            by.append(index(len(shape)).scaled(step).shifted(start))
            shape.append(length)
        else:
            by.append(constant(_position(x, k, axis - 1, extent)))
    return by, tuple(shape), has_arrays


def _is_array(key: Any) -> bool:
    return isinstance(key, (np.ndarray, TracedArray))


def _extents(key: np.ndarray | TracedArray) -> tuple[Extent, ...]:
    return key.shape_ if isinstance(key, TracedArray) else key.shape


def _expand(x: TracedArray, keys: tuple[Any, ...]) -> tuple[list[Any], int | None]:
    """Normalise a key: arrays for lists and masks, and a slice for each axis left out.

    Also where an Ellipsis stood.
    """
    plain: list[Any] = []
    for k in keys:
        if isinstance(k, TracedArray):
            plain.append(_index_array(k))
            continue
        if not isinstance(k, (list, np.ndarray)):
            plain.append(k)
            continue
        array = np.asarray(k)
        if array.dtype == np.bool_:
            plain.extend(np.nonzero(array))
            continue
        if array.dtype.kind not in "iu" and array.size:
            _refuse(array)
        plain.append(array if array.ndim else int(array))
    consumed = sum(k is not None and k is not Ellipsis for k in plain)
    missing = x.ndim - consumed
    if missing < 0:
        raise ShapeError(
            at_user_line(
                f"too many indices: {consumed} for an array of shape "
                f"{x.context.show_shape(x.shape_)}"
            )
        )
    fill = [slice(None)] * missing
    places = [n for n, k in enumerate(plain) if k is Ellipsis]
    if len(places) > 1:
        raise ShapeError(at_user_line("an index can only have a single Ellipsis ('...')"))
    if not places:
        return plain + fill, None
    return plain[: places[0]] + fill + plain[places[0] + 1 :], places[0]


def _refuse(key: Any) -> NoReturn:
    raise UnsupportedOperationError(
        at_user_line(
            f"an index of type {type(key).__name__} is not supported on traced arrays; allowed "
            "are integers, slices, None, Ellipsis and plain arrays of integers or Booleans. For "
            "a condition on traced values use np.where"
        )
    )


def _position(x: TracedArray, key: Any, axis: int, extent: Extent) -> Extent:
    if isinstance(key, TracedSize):
        key = key.size
    elif isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        key = int(key)
    else:
        _refuse(key)
    context = x.context
    if context.decide(key, "<"):
        key = key + extent
    if context.decide(key, "<") or not context.decide(extent - 1 - key, ">="):
        raise ShapeError(
            at_user_line(
                f"index {evaluate(key, context.values)} is out of bounds for axis {axis} of "
                f"shape {context.show_shape(x.shape_)}"
            )
        )
    return key


def _bound(x: TracedArray, bound: Any, extent: Extent, low: Extent, high: Extent) -> Extent:
    """Clip a slice's bound as NumPy does."""
    context = x.context
    bound = bound.size if isinstance(bound, TracedSize) else bound
    if isinstance(bound, (int, np.integer)):
        bound = int(bound)
    elif isinstance(bound, TracedArray) or not hasattr(bound, "terms"):
        _refuse(bound)
    if context.decide(bound, "<"):
        bound = bound + extent
        return low if context.decide(bound - low, "<") else bound
    return bound if context.decide(high - bound, ">=") else high


def _slice(x: TracedArray, key: slice, extent: Extent) -> tuple[Extent, Extent, int]:
    """Give start, length and step of a slice."""
    step = 1 if key.step is None else int(key.step)
    if step == 0:
        raise ShapeError(at_user_line("slice step cannot be zero"))
    if step > 0:
        start = 0 if key.start is None else _bound(x, key.start, extent, 0, extent)
        stop = extent if key.stop is None else _bound(x, key.stop, extent, 0, extent)
        span = stop - start
    else:
        start = extent - 1 if key.start is None else _bound(x, key.start, extent, -1, extent - 1)
        stop = -1 if key.stop is None else _bound(x, key.stop, extent, -1, extent - 1)
        span = start - stop
    if not isinstance(span, int) and not x.context.decide(span, ">="):
        span = 0
    if isinstance(span, int) or abs(step) == 1:
        length = max(0, -(-span // abs(step))) if isinstance(span, int) else span
    else:
        length = -(-x.context.pin(span) // abs(step))
    return start, length, step


def _index_array(key: TracedArray) -> TracedArray:
    """Take a traced array for an index."""
    if key.dtype.kind in "iu":
        return key
    if key.dtype.kind == "b":
        raise UnsupportedOperationError(
            at_user_line(
                "an array of Booleans that are known only at the call selects an unknown number "
                "of elements. Write np.where(mask, a, b), np.sum(np.where(mask, a, 0)), or assign "
                "with a[mask] = value"
            )
        )
    _refuse(key)


def _gather(
    x: TracedArray,
    key: np.ndarray | TracedArray,
    axis: int,
    extent: Extent,
    first: int,
    block: tuple[Extent, ...],
) -> Index:
    """Read an axis through an array of integers, made non-negative.

    Constant ones are checked here, others in the kernel; ``np.arange`` is no gather at all.
    """
    context = x.context
    start: Extent | None = None
    if isinstance(key, TracedArray):
        places = key if key.context is context else as_traced(key, context)
        start = _start(context, places, extent)
        if start is None and places.dtype.kind == "i":
            places = from_end(places, extent)
    else:
        places = _constant_places(x, key, axis, extent)
    rank = len(places.shape_)
    skipped = len(block) - rank
    axes: list[Affine] = []
    for a, here in enumerate(places.shape_):
        is_one = here != block[skipped + a] and context.decide(here - 1, "==")
        axes.append(constant(0) if is_one else index(first + skipped + a))
    composed = compose(places.indices, axes)
    assert composed is not None
    if start is not None and isinstance(composed[0], Affine):
        return composed[0].shifted(start)
    return Read(places.array, composed)


def _start(context: Context, places: TracedArray, extent: Extent) -> Extent | None:
    """Where ``np.arange`` starts, if that is what the places are and they lie within an axis."""
    start = context.progressions.get(places.array)
    if start is None:
        return None
    (count,) = context.types[places.array].shape
    is_inside = context.decide(start, ">=") and context.decide(extent - start - count, ">=")
    return start if is_inside else None


def from_end(places: Any, extent: Extent) -> TracedArray:
    """Count negative places from the end."""
    traced = astype(places, "int64")
    if traced.array in traced.context.natural:
        return traced
    operands = [traced, IndexValue(constant(extent))]
    return elementwise(traced.context, _FROM_END, operands, "int64")


def _constant_places(x: TracedArray, key: np.ndarray, axis: int, extent: Extent) -> TracedArray:
    context = x.context
    positions = key.astype(np.int64)
    if positions.size:
        low, high = int(positions.min()), int(positions.max())
        inside = context.decide(extent + low, ">=") if low < 0 else True
        if not inside or not context.decide(extent - 1 - high, ">="):
            raise ShapeError(
                at_user_line(
                    f"an index is out of bounds for axis {axis} of shape "
                    f"{context.show_shape(x.shape_)}"
                )
            )
        if low < 0:
            positions = np.where(positions < 0, positions + context.pin(extent), positions)
    return TracedArray(context, context.add_constant(positions), key.shape, "int64")
