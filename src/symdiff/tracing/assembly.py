"""Arrays made of copies and parts of others: tiled, repeated, rolled, inserted, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import index
from symdiff.program.equations import IndexValue, Read
from symdiff.program.patterns import COPY, Pattern
from symdiff.program.sizes import Extent
from symdiff.tracing.arguments import as_axes, as_axis, as_extent
from symdiff.tracing.construction import concatenate, diag, filled, unshared
from symdiff.tracing.indexing import compose_affine, getitem
from symdiff.tracing.operations import UFUNCS
from symdiff.tracing.pointwise import where
from symdiff.tracing.shapes import along, at_least, broadcast_to, moveaxis, ravel, reshape
from symdiff.tracing.splitting import atleast_3d
from symdiff.tracing.traced_size import as_size
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced, astype

__all__ = ["ASSEMBLY", "append", "identity_like"]


def _interleave(
    pattern: Pattern,
    reads: Sequence[tuple[TracedArray, int]],
    pairs: Sequence[tuple[Extent, Extent]],
    dtype: str,
) -> TracedArray:
    """Compute over two loops for each axis: the first of a pair counts blocks, the second in them.

    A read comes with 0 if its axes are the first loops of the pairs, with 1 if the second.
    """
    context = reads[0][0].context
    operands = [
        Read(x.array, compose_affine(x.indices, [index(2 * n + which) for n in range(x.ndim)]))
        for x, which in reads
    ]
    target = [index(2 * n).scaled(p[1]).plus(index(2 * n + 1)) for n, p in enumerate(pairs)]
    shape = tuple(outer * inner for outer, inner in pairs)
    extents = tuple(chain.from_iterable(pairs))
    name = context.emit(pattern, operands, extents, dtype, target=tuple(target), shape=shape)
    return TracedArray(context, name, shape, dtype, owns=True)


def tile(A: Any, reps: Any) -> TracedArray:
    """Do `numpy.tile`."""
    counts = list(reps) if np.iterable(reps) else [reps]
    x = at_least(A, len(counts))
    repeats = [1] * (x.ndim - len(counts)) + [as_extent(r) for r in counts]
    if any(isinstance(r, int) and r < 0 for r in repeats):
        raise ShapeError(at_user_line(f"np.tile: negative repetitions in {reps}"))
    pairs = list(zip(repeats, x.shape_, strict=True))
    return _interleave(COPY, [(x, 1)], pairs, x.dtype_)


def repeat(a: Any, repeats: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.repeat`; each element has its own count, or all have one."""
    x = ravel(a) if axis is None else at_least(a, 1)
    axis = 0 if axis is None else as_axis(axis, x.ndim)
    if isinstance(repeats, TracedArray):
        raise UnsupportedOperationError(
            at_user_line("np.repeat: the counts give the shape, so they have to be plain numbers")
        )
    if not isinstance(repeats, TracedSize):
        counts = np.asarray(repeats)
        if counts.size != 1:
            length = x.context.pin(x.shape_[axis])
            if counts.shape != (length,):
                raise ShapeError(at_user_line(f"{counts.size} counts for {length} elements"))
            return along(x, axis, np.repeat(np.arange(length), counts))
        repeats = int(counts.reshape(())[()])
    count = as_extent(repeats)
    if isinstance(count, int) and count < 0:
        raise ShapeError(at_user_line("repeats may not contain negative values."))
    pairs = [(e, count if n == axis else 1) for n, e in enumerate(x.shape_)]
    return _interleave(COPY, [(x, 0)], pairs, x.dtype_)


def kron(a: Any, b: Any) -> Any:
    """Do `numpy.kron`."""
    x: Any = as_traced(a)
    y: Any = as_traced(b)
    rank = max(x.ndim, y.ndim)
    if not x.ndim or not y.ndim:
        return x * y
    x, y = at_least(x, rank), at_least(y, rank)
    dtype = np.result_type(x.example, y.example).name
    pairs = list(zip(x.shape_, y.shape_, strict=True))
    return _interleave(UFUNCS[np.multiply], [(x, 0), (y, 1)], pairs, dtype)


def roll(a: Any, shift: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.roll`."""
    x = as_traced(a)
    if isinstance(shift, TracedArray):
        raise UnsupportedOperationError(
            at_user_line("np.roll by a traced shift is not supported. Pass a plain number")
        )
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    shifts = np.atleast_1d(np.asarray(shift, dtype=np.int64))
    axes = np.atleast_1d(as_axes(axis, x.ndim))
    total = dict.fromkeys(range(x.ndim), 0)
    for by, n in np.broadcast(shifts, axes):
        total[int(n)] += int(by)
    rolled = x
    for n, by in total.items():
        rolled = _roll_axis(rolled, by, n)
    return unshared(x, rolled)


def _roll_axis(x: TracedArray, shift: int, axis: int) -> TracedArray:
    extent = x.shape_[axis]
    if shift == 0 or not x.context.decide(extent - 1, ">="):
        return x
    if not x.context.decide(extent - abs(shift), ">="):
        shift %= x.context.pin(extent)
    parts = [along(x, axis, slice(-shift, None)), along(x, axis, slice(None, -shift))]
    return concatenate(parts, axis) if shift else x


def append(arr: Any, values: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.append`."""
    if axis is None:
        return concatenate([ravel(arr), ravel(values)], 0)
    return concatenate([arr, values], axis)


def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.insert`, at positions that are plain numbers."""
    x = ravel(arr) if axis is None else as_traced(arr)
    axis = 0 if axis is None else as_axis(axis, x.ndim)
    new = at_least(astype(values, x.dtype_), x.ndim)
    is_one = isinstance(obj, (int, np.integer)) or (isinstance(obj, np.ndarray) and obj.ndim == 0)
    if is_one:
        new = moveaxis(new, 0, axis)
    positions = _positions(x, obj, axis, "np.insert")
    if positions.size == 1:
        new = _fit(x, new, axis, new.shape_[axis])
        place = int(positions[0])
        parts = [along(x, axis, slice(place)), new, along(x, axis, slice(place, None))]
        return concatenate(parts, axis)
    length = x.context.pin(x.shape_[axis])
    order = np.insert(np.arange(length), positions, length + np.arange(positions.size))
    return along(concatenate([x, _fit(x, new, axis, positions.size)], axis), axis, order)


def _fit(x: TracedArray, new: TracedArray, axis: int, length: Extent) -> TracedArray:
    """Broadcast what is inserted to the axes of the array that it goes into."""
    shape = list(x.shape)
    shape[axis] = as_size(x.context, length)
    return broadcast_to(new, tuple(shape))


def _positions(x: TracedArray, obj: Any, axis: int, name: str) -> np.ndarray:
    """Give positions along an axis as plain integers, checked."""
    if isinstance(obj, TracedArray):
        raise UnsupportedOperationError(
            at_user_line(f"{name} at traced positions is not supported. Pass plain numbers")
        )
    extent = x.shape_[axis]
    if isinstance(obj, slice):
        return np.arange(*obj.indices(x.context.pin(extent)))
    found = np.asarray(obj)
    if found.dtype == np.bool_:
        return np.flatnonzero(found)
    if found.dtype.kind not in "iu" and found.size:
        raise ShapeError(at_user_line(f"{name}: positions are integers, not {found.dtype}"))
    found = np.atleast_1d(found.astype(np.int64)).ravel()
    if found.size and found.min() < 0:
        length = x.context.pin(extent)
        found = np.where(found < 0, found + length, found)
    low, high = (found.min(), found.max()) if found.size else (0, 0)
    if low < 0 or not x.context.decide(extent - int(high), ">="):
        shape = x.context.show_shape(x.shape_)
        raise ShapeError(at_user_line(f"{name}: index {obj} is out of bounds for shape {shape}"))
    return found


def delete(arr: Any, obj: Any, axis: Any = None) -> TracedArray:
    """Do `numpy.delete`, at positions that are plain numbers."""
    x = ravel(arr) if axis is None else as_traced(arr)
    axis = 0 if axis is None else as_axis(axis, x.ndim)
    positions = _positions(x, obj, axis, "np.delete")
    extent = x.shape_[axis]
    if positions.size and not x.context.decide(extent - 1 - int(positions.max()), ">="):
        raise ShapeError(
            at_user_line(
                f"np.delete: index {obj} is out of bounds for axis {axis} of shape "
                f"{x.context.show_shape(x.shape_)}"
            )
        )
    if positions.size == 0:
        return unshared(x, x)
    if positions.size == 1:
        n = int(positions[0])
        return concatenate([along(x, axis, slice(n)), along(x, axis, slice(n + 1, None))], axis)
    return along(x, axis, np.delete(np.arange(x.context.pin(extent)), positions))


def resize(a: Any, new_shape: Any) -> TracedArray:
    """Do `numpy.resize`, which repeats the array until there is enough of it."""
    x = as_traced(a)
    wanted = new_shape if np.iterable(new_shape) else (new_shape,)
    shape = tuple(int(n) for n in wanted)
    if any(n < 0 for n in shape):
        raise ShapeError(at_user_line("all elements of `new_shape` must be non-negative"))
    flat = ravel(x)
    length = x.context.pin(flat.shape_[0])
    if length == 0:
        return filled(x.context, 0, shape, x.dtype_)
    return getitem(flat, (np.resize(np.arange(length), shape),))


def dstack(tup: Any) -> TracedArray:
    """Do `numpy.dstack`."""
    return concatenate([atleast_3d(x) for x in tup], 2)


def block(arrays: Any) -> TracedArray:
    """Do `numpy.block`."""
    depth, rank = _depth(arrays)
    return _join(arrays, depth, max(depth, rank))


def _depth(arrays: Any) -> tuple[int, int]:
    """Give the depth of nested lists, and the largest rank of what is in them."""
    if isinstance(arrays, tuple):
        raise ShapeError(at_user_line("np.block takes nested lists, not tuples"))
    if not isinstance(arrays, list):
        return 0, np.ndim(arrays)
    if not arrays:
        raise ShapeError(at_user_line("np.block: a list is empty"))
    inner = [_depth(a) for a in arrays]
    if len({depth for depth, _ in inner}) > 1:
        raise ShapeError(at_user_line("np.block: the lists are not nested to one depth"))
    return inner[0][0] + 1, max(rank for _, rank in inner)


def _join(arrays: Any, depth: int, rank: int) -> TracedArray:
    if depth == 0:
        return at_least(arrays, rank)
    return concatenate([_join(a, depth - 1, rank) for a in arrays], -depth)


def diagflat(v: Any, k: Any = 0) -> TracedArray:
    """Do `numpy.diagflat`."""
    return diag(ravel(v), k)


def _diagonal_mask(x: TracedArray, shape: tuple[Extent, Extent], k: int) -> TracedArray:
    """Where a matrix is on or below its `k`-th diagonal."""
    row, column = IndexValue(index(0).shifted(k)), IndexValue(index(1))
    pattern = UFUNCS[np.greater_equal]
    name = x.context.emit(pattern, [row, column], shape, "bool")
    return TracedArray(x.context, name, shape, "bool", owns=True)


def identity_like(x: TracedArray) -> TracedArray:
    """Make an identity matrix in the place of each matrix of a stack."""
    matrix = x.shape_[-2:]
    equal = UFUNCS[np.equal]
    name = x.context.emit(equal, [IndexValue(index(0)), IndexValue(index(1))], matrix, "bool")
    eye = astype(TracedArray(x.context, name, matrix, "bool", owns=True), x.dtype_)
    return broadcast_to(eye, x.shape)


def _triangle(m: Any, k: Any, *, lower: bool) -> TracedArray:
    x = as_traced(m)
    if x.ndim == 0:
        raise ShapeError(at_user_line("a triangle of an array of rank 0"))
    below = _diagonal_mask(x, (x.shape_[-2:][0], x.shape_[-1]), int(k) if lower else int(k) - 1)
    zero = np.dtype(x.dtype_).type(0)
    return where(below, x, zero) if lower else where(below, zero, x)


def tril(m: Any, k: Any = 0) -> TracedArray:
    """Do `numpy.tril`."""
    return _triangle(m, k, lower=True)


def triu(m: Any, k: Any = 0) -> TracedArray:
    """Do `numpy.triu`."""
    return _triangle(m, k, lower=False)


def vander(x: Any, N: Any = None, increasing: Any = False) -> TracedArray:
    """Do `numpy.vander`: each power is the last times `x`, as NumPy has it."""
    v = as_traced(x)
    if v.ndim != 1:
        raise ShapeError(at_user_line("np.vander needs a one-dimensional array"))
    dtype = np.promote_types(v.dtype, int).name
    count = v.context.pin(v.shape_[0]) if N is None else int(N)
    base: Any = astype(v, dtype)
    powers: list[Any] = [filled(v.context, 1, v.shape_, dtype)][:count]
    for _ in range(count - 1):
        powers.append(powers[-1] * base if len(powers) > 1 else base)
    if not powers:
        return filled(v.context, 0, (*v.shape_, 0), dtype)
    columns = [getitem(p, (slice(None), None)) for p in powers]
    return concatenate(columns if increasing else columns[::-1], 1)


ASSEMBLY: dict[Any, Callable[..., Any]] = {
    np.tile: tile,
    np.repeat: repeat,
    np.kron: kron,
    np.roll: roll,
    np.append: append,
    np.insert: insert,
    np.delete: delete,
    np.resize: resize,
    np.dstack: dstack,
    np.block: block,
    np.diagflat: diagflat,
    np.tril: tril,
    np.triu: triu,
    np.vander: vander,
}
