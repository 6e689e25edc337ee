"""`Buffer`: the memory that traced arrays look at, and what is written to it.

A Program has no memory: every array is computed once. So a write makes a new array, and the buffer
says which array it is now; views hold the buffer, and see the new values as NumPy's views do.
Writes of single elements or rows are kept until something needs the whole, so that a loop over
``y[i]`` makes one array and not one a step, and ``y[i - 1]`` is just the value that was written.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from symdiff.program.affine import Affine, constant, index
from symdiff.program.equations import Index
from symdiff.program.sizes import Extent

if TYPE_CHECKING:
    from symdiff.tracing.traced_array import TracedArray

__all__ = ["ARGUMENT", "DETACHED", "ELEMENT", "ROW", "Box", "Buffer", "Part", "box_of", "uncovered"]

ARGUMENT = (
    "assignment into an argument would change the caller's array. Work on a copy: x = x.copy()"
)
ELEMENT = "assignment into a single element that was taken out. Write to the array: a[i] = value"
ROW = (
    "assignment into what was taken at a place that is known only at the call. Write to the array "
    "itself: a[i] = value"
)
DETACHED = (
    "assignment through a view of a view of what was just assigned. Write to the array itself"
)


class Box(NamedTuple):
    """A part of an array that is fixed on some axes and whole on the others."""

    is_fixed: tuple[bool, ...]
    position: tuple[int, ...]


class Buffer:
    """Memory of a shape; `array` is what it holds, apart from what is `pending`.

    `refusal` says why it must not be written to, if so.
    """

    __slots__ = ("__weakref__", "aliases", "array", "pending", "refusal", "version")

    def __init__(self, array: str) -> None:
        self.array = array
        self.version = 0
        self.pending: dict[Box, TracedArray] = {}
        self.aliases: list[weakref.ref[Buffer]] = []
        self.refusal: str | None = None

    def alias(self, other: Buffer) -> None:
        """Note that NumPy would share the memory with another buffer, which is a copy here."""
        self.aliases.append(weakref.ref(other))
        other.aliases.append(weakref.ref(self))

    def is_same(self, other: Buffer) -> bool:
        """Whether NumPy would have one memory for both."""
        return self is other or any(r() is other for r in self.aliases)

    @property
    def is_shared(self) -> bool:
        """Whether a copy that ought to be a view is still in use."""
        self.aliases = [r for r in self.aliases if r() is not None]
        return bool(self.aliases)

    def hold(self, box: Box, value: TracedArray) -> bool:
        """Keep a write for later, if it is of the same kind as those that are kept."""
        first = next(iter(self.pending), box)
        if first.is_fixed != box.is_fixed:
            return False
        self.pending[box] = value
        self.version += 1
        return True

    def replace(self, array: str) -> None:
        """Hold another array."""
        self.array = array
        self.pending = {}
        self.version += 1


def box_of(
    indices: Sequence[Index], shape: Sequence[Extent], memory: Sequence[Extent]
) -> Box | None:
    """Say an index map as a box, if it is one with known position: ``y[3]``, ``a[i, :]``."""
    is_fixed: list[bool] = []
    position: list[int] = []
    loops = 0
    for i, extent in zip(indices, memory, strict=True):
        if not isinstance(i, Affine):
            return None
        if not i.terms:
            if not isinstance(i.offset, int):
                return None
            is_fixed.append(True)
            position.append(i.offset)
        else:
            if i.single != loops or shape[loops] != extent:
                return None
            is_fixed.append(False)
            loops += 1
    if loops != len(shape) or not position:
        return None
    return Box(tuple(is_fixed), tuple(position))


Part = tuple[tuple[Index, ...], tuple[Extent, ...]]


def uncovered(boxes: Sequence[Box], memory: Sequence[Extent]) -> list[Part]:
    """Cut what some boxes of one kind leave of an array into parts: index maps and extents."""
    is_fixed = boxes[0].is_fixed
    fixed = [n for n, f in enumerate(is_fixed) if f]
    parts: list[Part] = []

    def visit(depth: int, positions: Sequence[tuple[int, ...]], before: dict[int, int]) -> None:
        axis = fixed[depth]
        groups: dict[int, list[tuple[int, ...]]] = {}
        for position in positions:
            groups.setdefault(position[depth], []).append(position)
        edges = [-1, *sorted(groups)]
        for low, high in [*pairwise(edges), (edges[-1], None)]:
            start: Extent = low + 1
            count = (memory[axis] if high is None else high) - start
            if count != 0:
                parts.append(_part(memory, before, axis, start, count))
        if depth + 1 < len(fixed):
            for number, inner in groups.items():
                visit(depth + 1, inner, {**before, axis: number})

    visit(0, [b.position for b in boxes], {})
    return parts


def _part(
    memory: Sequence[Extent], fixed: dict[int, int], axis: int, start: Extent, count: Extent
) -> Part:
    indices: list[Index] = []
    extents: list[Extent] = []
    for n, extent in enumerate(memory):
        if n in fixed:
            indices.append(constant(fixed[n]))
            continue
        i = index(len(extents))
        indices.append(i.shifted(start) if n == axis else i)
        extents.append(count if n == axis else extent)
    return tuple(indices), tuple(extents)
