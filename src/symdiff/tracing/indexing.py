"""Indexing by NumPy's rules, as index maps: no element is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import Affine, constant, index
from symdiff.program.equations import Index, Read
from symdiff.program.sizes import Extent, evaluate
from symdiff.tracing.operations import COPY
from symdiff.tracing.tracer import TracedArray, TracedSize, elementwise

__all__ = ["compose", "compose_affine", "getitem"]


def compose(indices: Sequence[Index], by: Sequence[Index]) -> tuple[Index, ...] | None:
    """Put index expressions, gathers among them, in for the axes of a view.

    None where an integer array would have to be multiplied or added to.
    """
    result: list[Index] = []
    for i in indices:
        composed = _compose(i, by)
        if composed is None:
            return None
        result.append(composed)
    return tuple(result)


def compose_affine(indices: Sequence[Index], by: Sequence[Affine]) -> tuple[Index, ...]:
    """Put affine expressions in for the axes of a view, which always works."""
    composed = compose(indices, by)
    assert composed is not None
    return composed


def _compose(i: Index, by: Sequence[Index]) -> Index | None:
    if isinstance(i, Read):
        inner = compose(i.indices, by)
        return None if inner is None else Read(i.array, inner)
    used = [by[axis] for axis, _ in i.terms]
    if all(isinstance(u, Affine) for u in used):
        result = constant(i.offset)
        for (_, coefficient), u in zip(i.terms, used, strict=True):
            assert isinstance(u, Affine)
            result = result.plus(u.scaled(coefficient))
        return result
    if len(used) == 1 and i.terms[0][1] == 1 and i.offset == 0:
        return used[0]
    return None


def getitem(x: TracedArray, key: Any) -> TracedArray:
    """Index a traced array with integers, slices, None, Ellipsis and constant arrays."""
    keys = _expand(x, key if isinstance(key, tuple) else (key,))
    arrays = [(n, k) for n, k in enumerate(keys) if isinstance(k, np.ndarray)]
    block: tuple[int, ...] = ()
    if arrays:
        block = np.broadcast_shapes(*[k.shape for _, k in arrays])
    positions = [n for n, k in enumerate(keys) if isinstance(k, np.ndarray)]
    is_adjacent = not positions or positions == list(range(positions[0], positions[-1] + 1))
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
        if isinstance(k, np.ndarray):
            if block_start is None:
                block_start = len(shape)
                shape.extend(block)
            by.append(_gather(x, k, axis - 1, extent, block_start, len(block)))
        elif isinstance(k, slice):
            start, length, step = _slice(x, k, extent)
            by.append(index(len(shape)).scaled(step).shifted(start))
            shape.append(length)
        else:
            by.append(constant(_position(x, k, axis - 1, extent)))
    return _look(x, by, tuple(shape))


def _look(x: TracedArray, by: Sequence[Index], shape: tuple[Extent, ...]) -> TracedArray:
    """Compose the index maps; an array of integers into a strided view needs a copy of that."""
    composed = compose(x.indices, by)
    if composed is None:
        copy = elementwise(x.context, COPY, [x], x.dtype_)
        composed = compose(copy.indices, by)
        assert composed is not None
        x = copy
    return x.view(composed, shape)


def _expand(x: TracedArray, keys: tuple[Any, ...]) -> list[Any]:
    """Normalise a key: arrays for lists and masks, and a slice for each axis left out."""
    plain: list[Any] = []
    for k in keys:
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
        return plain + fill
    return plain[: places[0]] + fill + plain[places[0] + 1 :]


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


def _gather(
    x: TracedArray, key: np.ndarray, axis: int, extent: Extent, first: int, rank: int
) -> Read:
    """Read an axis through a constant array of integers, checked and made non-negative here."""
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
    name = context.add_constant(positions)
    skipped = rank - key.ndim
    axes = [
        constant(0) if key.shape[a] == 1 else index(first + skipped + a) for a in range(key.ndim)
    ]
    return Read(name, tuple(axes))
