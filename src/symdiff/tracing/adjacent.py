"""Views of one array that lie behind each other, and are one view."""

from __future__ import annotations

from symdiff.program.affine import Affine, index
from symdiff.program.sizes import Extent
from symdiff.tracing.traced_array import TracedArray

__all__ = ["merged"]


def merged(parts: list[TracedArray], axis: int) -> list[TracedArray]:
    """Take parts of one array that lie behind each other for one part."""
    made = parts[:1]
    for x in parts[1:]:
        both = _as_one(made[-1], x, axis)
        made[-1:] = [made[-1], x] if both is None else [both]
    return made


def _as_one(a: TracedArray, b: TracedArray, axis: int) -> TracedArray | None:
    """Give one view for two of the same array that follow each other along an axis."""
    length, more = a.shape_[axis], b.shape_[axis]
    if a.array != b.array or not isinstance(length, int):
        return None
    maps: list[Affine] = []
    n_apart = 0
    for i, j in zip(a.indices, b.indices, strict=True):
        if not (isinstance(i, Affine) and isinstance(j, Affine)):
            return None
        along, others = _apart(i, axis)
        along_second, others_second = _apart(j, axis)
        is_apart = i.offset != j.offset
        n_apart += is_apart
        fits = (length == 1 or along == is_apart) and (more == 1 or along_second == is_apart)
        if not fits or others != others_second or (is_apart and j.offset - i.offset != length):
            return None
        maps.append(Affine(others, i.offset).plus(index(axis).scaled(int(is_apart))))
    if n_apart != 1:
        return None
    shape = (*a.shape_[:axis], length + more, *a.shape_[axis + 1 :])
    return TracedArray(a.context, a.array, shape, a.dtype_, tuple(maps))


def _apart(i: Affine, axis: int) -> tuple[Extent, tuple[tuple[int, Extent], ...]]:
    """Give the factor of one loop index, and the terms with the others."""
    return dict(i.terms).get(axis, 0), tuple([t for t in i.terms if t[0] != axis])
