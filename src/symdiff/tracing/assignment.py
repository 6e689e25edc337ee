"""Assignment into local arrays: ``a[key] = value`` makes a new array of the old one's parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program import functions as fn
from symdiff.program.affine import Affine, constant, identity, index
from symdiff.program.blocks import Block
from symdiff.program.equations import Index, IndexValue, Literal, Read, compose, is_plain
from symdiff.program.patterns import COPY, pattern, placeholder
from symdiff.program.sizes import Extent, evaluate
from symdiff.tracing.buffers import Box, Part, box_of, uncovered
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.indexing import from_end, getitem, select
from symdiff.tracing.masked import Masked, is_same_value
from symdiff.tracing.operations import SELECT
from symdiff.tracing.pointwise import where
from symdiff.tracing.rules import TracedRule, apply_block, named_block
from symdiff.tracing.shapes import broadcast_to, ravel, reshape
from symdiff.tracing.tracer import TracedArray, as_traced, astype, elementwise

__all__ = ["add_at", "assign_positions", "setitem", "settle", "subtract_at"]

p0, p1, p2 = (placeholder(i) for i in range(3))


def settle(x: TracedArray) -> str:
    """Make one array of a buffer and the writes that are pending; give its name."""
    buffer, context = x.buffer, x.context
    boxes = list(buffer.pending)
    if not boxes:
        return buffer.array
    memory, dtype = context.types[buffer.array]
    name = context.new_array(memory, dtype)
    for indices, extents in uncovered(boxes, memory):
        _copy(context, name, indices, Read(buffer.array, indices), extents)
    for box, value in buffer.pending.items():
        target, extents = _box_map(box, memory)
        _copy(context, name, target, context.read(value, extents), extents)
    buffer.replace(name)
    return name


def _box_map(box: Box, memory: Sequence[Extent]) -> Part:
    positions = iter(box.position)
    indices: list[Index] = []
    extents: list[Extent] = []
    for is_fixed, extent in zip(box.is_fixed, memory, strict=True):
        if is_fixed:
            indices.append(constant(next(positions)))
        else:
            indices.append(index(len(extents)))
            extents.append(extent)
    return tuple(indices), tuple(extents)


def _copy(
    context: Context,
    name: str,
    target: tuple[Index, ...],
    source: Read,
    extents: tuple[Extent, ...],
) -> None:
    context.emit(COPY, [source], extents, "", target=target, array=name)


def setitem(x: TracedArray, key: Any, value: Any) -> None:
    """Do ``x[key] = value`` for arrays that the function itself has made."""
    _check_writable(x)
    if any(isinstance(i, Read) for i in x.map):  # what an array of integers has selected: a copy
        own = elementwise(x.context, COPY, [x], x.dtype_)
        x.buffer, x.map = own.buffer, own.map
    keys = key if isinstance(key, tuple) else (key,)
    if isinstance(value, Masked):
        _assign_masked(x, keys, value)
        return
    new = as_traced(value)
    if new.dtype_ != x.dtype_:
        new = astype(new, x.dtype_)
    if any(isinstance(k, TracedArray) for k in keys):
        _assign_where(x, keys, new)
        return
    if any(isinstance(k, (list, np.ndarray)) for k in keys):
        _assign_positions(x, _positions(x)[key], new)
        return
    by, shape, _ = select(x, key)
    target = compose(x.map, by)
    assert target is not None
    if new.buffer is x.buffer and new.map == target and new.shape_ == shape:
        return  # the very part that it is assigned to, as after a[1:] += 1
    _assign_part(x, target, shape, _broadcast(x.context, new, shape))


def _assign_part(
    x: TracedArray, target: tuple[Index, ...], shape: tuple[Extent, ...], value: TracedArray
) -> None:
    """Write to a part of a buffer, given by an affine index map."""
    buffer, context = x.buffer, x.context
    memory = context.types[buffer.array].shape
    box = box_of(target, shape, memory)
    if box is not None:
        held = value.snapshot()
        if not buffer.hold(box, held):
            settle(x)
            buffer.hold(box, held)
        return
    array = settle(x)
    if is_plain(target) and shape == memory:
        buffer.replace(_whole(value))
        return
    parts = _outside(context, target, shape, memory)
    if parts is None:
        flat = TracedArray(context, array, shape, x.dtype_, target)
        flat.buffer = buffer
        _assign_positions(x, _positions(flat), value)
        return
    name = context.new_array(memory, x.dtype_)
    for indices, extents in parts:
        _copy(context, name, indices, Read(array, indices), extents)
    _copy(context, name, target, context.read(value, shape), shape)
    buffer.replace(name)


def _check_writable(x: TracedArray) -> None:
    if active_context() is not x.context:
        raise UnsupportedOperationError(
            at_user_line(
                f"assignment into an array of {x.context.name} from a function inside it that is "
                "traced by itself. Return the new array instead"
            )
        )
    if x.buffer.refusal is not None:
        raise UnsupportedOperationError(at_user_line(x.buffer.refusal))
    if x.buffer.is_shared:
        raise UnsupportedOperationError(
            at_user_line(
                "assignment into an array that is still in use under another name, as which it "
                "was given by a loop, a branch or a reshape. Make that a copy: y = x.copy()"
            )
        )


def _broadcast(context: Context, value: TracedArray, shape: tuple[Extent, ...]) -> TracedArray:
    """Fit a value to the part that it is assigned to; leading axes of size one may be too many."""
    while value.ndim > len(shape) and context.decide(value.shape_[0] - 1, "=="):
        value = getitem(value, 0)
    if value.shape_ == shape:
        return value
    try:
        return broadcast_to(value, shape)
    except ShapeError:
        raise ShapeError(
            at_user_line(
                f"could not broadcast an array of shape {context.show_shape(value.shape_)} into "
                f"a part of shape {context.show_shape(shape)}"
            )
        ) from None


def _outside(
    context: Context, target: Sequence[Index], shape: Sequence[Extent], memory: Sequence[Extent]
) -> list[Part] | None:
    """Cut what an index map leaves of an array into parts, where it is a box with steps."""
    parts: list[Part] = []
    inside: list[tuple[Extent, Extent, int]] = []  # start, count and step on each axis so far
    seen: set[int] = set()
    for i, extent in zip(target, memory, strict=True):
        region = _region(i, shape, seen)
        if region is None:
            return None
        start, count, step = region
        stretches = _rest(context, start, count, step, extent)
        if stretches is None:
            return None
        parts += [_product_part([*inside, s], memory) for s in stretches if s[1] != 0]
        inside.append(region)
    return parts if len(seen) == len(shape) else None


def _region(i: Index, shape: Sequence[Extent], seen: set[int]) -> tuple[Extent, Extent, int] | None:
    """Where one axis of an index map runs: from where, how often, how far apart."""
    if not isinstance(i, Affine) or len(i.terms) > 1:
        return None
    if not i.terms:
        return i.offset, 1, 1
    ((loop, step),) = i.terms
    if loop in seen or not isinstance(step, int):
        return None
    seen.add(loop)
    count = shape[loop]
    if step < 0:
        return i.offset + step * (count - 1), count, -step
    return i.offset, count, step


def _rest(
    context: Context, start: Extent, count: Extent, step: int, extent: Extent
) -> list[tuple[Extent, Extent, int]] | None:
    """The stretches of an axis that a stepped range leaves."""
    if step == 1:
        behind = start + count
        return [(0, start, 1), (behind, extent - behind, 1)]
    numbers = [evaluate(e, context.values) for e in (start, count, extent)]
    if not all(isinstance(e, int) for e in (start, count, extent)):
        return None
    first, times, length = numbers
    if times == 0:
        return [(0, length, 1)]
    last = first + step * (times - 1)
    between = [(first + r, times - 1, step) for r in range(1, step)]
    return [(0, first, 1), *between, (last + 1, length - last - 1, 1)]


def _product_part(ranges: Sequence[tuple[Extent, Extent, int]], memory: Sequence[Extent]) -> Part:
    indices: list[Index] = []
    extents: list[Extent] = []
    for n, extent in enumerate(memory):
        start, count, step = ranges[n] if n < len(ranges) else (0, extent, 1)
        indices.append(index(n).scaled(step).shifted(start))
        extents.append(count)
    return tuple(indices), tuple(extents)


def _positions(x: TracedArray) -> np.ndarray:
    """The flat places in the buffer of the elements of a view; sizes become numbers."""
    context = x.context
    shape = tuple([context.pin(e) for e in x.shape_])
    memory = [context.pin(e) for e in context.types[x.buffer.array].shape]
    loops = np.indices(shape, sparse=True)
    flat: Any = np.zeros(shape, np.int64)
    for i, extent in zip(x.map, memory, strict=True):
        if not isinstance(i, Affine):
            raise UnsupportedOperationError(
                at_user_line("assignment into elements that an array of integers has selected")
            )
        place: Any = evaluate(i.offset, context.values)
        for k, c in i.terms:
            place = place + evaluate(c, context.values) * loops[k]
        flat = flat * extent + place
    return flat


def assign_positions(x: TracedArray, positions: Any, values: Any) -> None:
    """Write to flat places that are known; the last write to a place stays, as in NumPy."""
    _check_writable(x)
    value = astype(as_traced(values), x.dtype_)
    _assign_positions(x, np.asarray(positions), value)


def _assign_positions(x: TracedArray, positions: np.ndarray, value: TracedArray) -> None:
    context = x.context
    array = settle(x)
    memory = context.types[array].shape
    total = int(np.prod([context.pin(e) for e in memory]))
    new = _broadcast(context, value, positions.shape)
    own = _positions(x)
    if np.unique(own).size != own.size:
        raise UnsupportedOperationError(
            at_user_line("assignment into a broadcast array, which NumPy makes read-only")
        )
    writer = np.full(total, -1)
    writer[positions.ravel()] = np.arange(positions.size)
    if not positions.size:
        return
    old = ravel(TracedArray(context, array, memory, x.dtype_))
    source = getitem(ravel(new), np.maximum(writer, 0))
    chosen = elementwise(context, SELECT, [as_traced(writer >= 0), source, old], x.dtype_)
    shaped = reshape(chosen, tuple(context.pin(e) for e in memory))
    x.buffer.replace(_whole(shaped))


def _whole(x: TracedArray) -> str:
    """Name the array that a view is, or a copy."""
    is_plain = x.indices == identity(x.ndim) and x.context.types[x.array].shape == x.shape_
    return x.array if is_plain else elementwise(x.context, COPY, [x], x.dtype_).array


def _assign_where(x: TracedArray, keys: tuple[Any, ...], value: TracedArray) -> None:
    """Write where a traced mask holds, or at traced integers."""
    if _put(x, keys, value):
        return
    if len(keys) == 1 and keys[0].dtype.kind == "b":
        mask, wide = _mask(x, keys[0]), _behind_mask(x, keys[0], value)
    else:
        places = _filled(x, keys)
        masks: list[Any] = [
            _is_at(x, axis, k) for axis, k in enumerate(places) if not isinstance(k, slice)
        ]
        mask = masks[0]
        for other in masks[1:]:
            mask = mask & other
        kept = tuple([e for e, k in zip(x.shape_, places, strict=True) if isinstance(k, slice)])
        spread = tuple([slice(None) if isinstance(k, slice) else None for k in places])
        new = _broadcast(x.context, value, kept)
        for k in places:
            if isinstance(k, TracedArray):  # read too, so that the kernel checks the place
                new = where(k == k, new, getitem(x, tuple(places)))  # noqa: PLR0124
        wide = getitem(new, spread)
    setitem(x, Ellipsis, where(mask, wide, x))


def _zeros_like(x: TracedArray) -> TracedArray:
    context = x.context
    name = context.emit(COPY, [Literal(0, x.dtype_)], x.shape_, x.dtype_)
    return TracedArray(context, name, x.shape_, x.dtype_)


def _put_tangent(
    block: Block, _: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> TracedArray:
    """The tangents are put as the values were."""
    given = [
        t if t is not None else _zeros_like(x) for t, x in zip(tangents, operands[:2], strict=False)
    ]
    return apply_block(block, [*given, *operands[2:]])


def _put_transpose(block: Block, operands: Sequence[Any], cotangent: Any) -> TracedArray:
    """What was there before gets nothing where it was overwritten."""
    return apply_block(block, [cotangent, _zeros_like(operands[1]), *operands[2:]])


def _put_value_transpose(_: Block, operands: Sequence[Any], cotangent: Any) -> TracedArray:
    return getitem(cotangent, tuple(operands[2:]))


_PUT = TracedRule(None, _put_tangent, {0: _put_transpose, 1: _put_value_transpose})


def _put(x: TracedArray, keys: tuple[Any, ...], value: TracedArray) -> bool:
    """Write at integers on the first axes, if that is what the keys are."""
    if any(k.dtype.kind == "b" for k in keys if isinstance(k, TracedArray)) or x.dtype_ == "bool":
        return False
    places = _filled(x, keys)
    count = sum(not isinstance(k, slice) for k in places)
    if any(isinstance(k, slice) for k in places[:count]) or not _is_front_of_memory(x):
        return False
    context = x.context
    whole = settle(x)
    memory = context.types[whole].shape
    fixed = len(memory) - x.ndim
    numbers: list[TracedArray] = []
    for i in x.map[:fixed]:
        assert isinstance(i, Affine)
        name = context.emit(COPY, [IndexValue(constant(i.offset))], (), "int64")
        numbers.append(TracedArray(context, name, (), "int64"))
    for k, extent in zip(places[:count], x.shape_, strict=False):
        numbers.append(from_end(k, extent))
    new = _broadcast(context, value, x.shape_[count:])
    block = named_block("put", len(memory), fixed + count, rule=_PUT)
    array = TracedArray(context, whole, memory, x.dtype_)
    x.buffer.replace(apply_block(block, [array, new, *numbers]).array)
    return True


def _is_front_of_memory(x: TracedArray) -> bool:
    """Whether a view is its memory, or one part of it at fixed places of the first axes."""
    memory = x.context.types[x.buffer.array].shape
    fixed = len(memory) - x.ndim
    if fixed < 0 or memory[fixed:] != x.shape_:
        return False
    front, behind = x.map[:fixed], x.map[fixed:]
    return is_plain(behind) and all(isinstance(i, Affine) and not i.terms for i in front)


def _assign_masked(x: TracedArray, keys: tuple[Any, ...], value: Masked) -> None:
    """Do ``a[mask] = b[mask]``."""
    mask = keys[0]
    is_mask = len(keys) == 1 and isinstance(mask, TracedArray) and mask.dtype.kind == "b"
    if not is_mask or not is_same_value(x.context, mask, value.mask):
        raise UnsupportedOperationError(
            at_user_line(
                "elements selected by a mask that is known only at the call can be assigned "
                "through the same mask only"
            )
        )
    setitem(x, Ellipsis, where(value.full_mask(), value.values, x))


def _mask(x: TracedArray, mask: TracedArray) -> TracedArray:
    """Give a mask of the first axes all axes."""
    return getitem(mask, (..., *[None] * (x.ndim - mask.ndim)))


def _behind_mask(x: TracedArray, mask: TracedArray, value: TracedArray) -> TracedArray:
    """Take a value that is the same for every element of the mask."""
    if value.ndim > x.ndim - mask.ndim:
        raise UnsupportedOperationError(
            at_user_line(
                "assignment through a mask that is known only at the call takes one value for all "
                "elements. Write a = np.where(mask, b, a) with b as large as a"
            )
        )
    return value


def _filled(x: TracedArray, keys: tuple[Any, ...]) -> list[Any]:
    """Integers, traced integers and whole slices, one for each axis."""
    if len([k for k in keys if k is not Ellipsis]) > x.ndim:
        raise ShapeError(at_user_line(f"too many indices for an array of rank {x.ndim}"))
    missing = [slice(None)] * (x.ndim - len([k for k in keys if k is not Ellipsis]))
    places = [n for n, k in enumerate(keys) if k is Ellipsis]
    cut = places[0] if places else len(keys)
    filled = [*keys[:cut], *missing, *keys[cut + 1 :]]
    for k in filled:
        is_number = isinstance(k, (int, np.integer)) or (
            isinstance(k, TracedArray) and not k.ndim and k.dtype.kind in "iu"
        )
        if not is_number and not (isinstance(k, slice) and k == slice(None)):
            raise UnsupportedOperationError(
                at_user_line(
                    "beside an index that is known only at the call, assignment takes integers "
                    "and whole axes (:). For several places at once use np.add.at or np.where"
                )
            )
    return filled


_IS_PLACE = pattern(
    sp.Eq(fn.Select(p0 < 0, p0 + p1, p0), p2),
    3,
)


def _is_at(x: TracedArray, axis: int, place: Any) -> TracedArray:
    """A mask, of size one on the other axes, of the element with a number."""
    context = x.context
    shape = tuple([e if n == axis else 1 for n, e in enumerate(x.shape_)])
    number = context.read(astype(place, "int64"), ())
    here = IndexValue(index(axis))
    extent = IndexValue(constant(x.shape_[axis]))
    name = context.emit(_IS_PLACE, [number, extent, here], shape, "bool")
    return TracedArray(context, name, shape, "bool", owns=True)


def add_at(a: Any, indices: Any, b: Any = None) -> None:
    """Do ``np.add.at``: repeated places accumulate."""
    x = a
    if not isinstance(x, TracedArray):
        raise UnsupportedOperationError(
            at_user_line("np.add.at on an array from outside. Make it within the function")
        )
    _check_writable(x)
    by, shape, _ = select(x, indices)
    target = compose(x.map, by)
    if target is None:
        raise UnsupportedOperationError(
            at_user_line("np.add.at through a strided view. Give it the array itself")
        )
    memory = x.context.types[settle(x)].shape
    name = x.context.new_array(memory, x.dtype_)
    whole = identity(len(memory))
    old = Read(x.buffer.array, whole)
    x.context.emit(COPY, [old], memory, "", operator="+=", target=whole, array=name)
    value = _broadcast(x.context, astype(b, x.dtype_), shape)
    read = x.context.read(value, shape)
    x.context.emit(COPY, [read], shape, "", operator="+=", target=target, array=name)
    x.buffer.replace(name)


def subtract_at(a: Any, indices: Any, b: Any = None) -> None:
    """Do ``np.subtract.at``."""
    add_at(a, indices, -as_traced(b))
