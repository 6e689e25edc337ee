"""The nodes of a Program.

An equation contributes to one array in terms of earlier ones, over a box of loop indices::

    array[target(i)] (operator) pattern(operands(i))        for all i in extents

Every loop index is alike: one that does not reach the target is a reduction. Because the target
is an index map too, the adjoint of a read ``A[rho(i)]`` is always one more equation of this kind,
``dA[rho(i)] += ...``, for slices, concatenations and gathers alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from symdiff.program.affine import Affine
from symdiff.program.patterns import Pattern
from symdiff.program.sizes import Extent

__all__ = [
    "ArrayType",
    "Equation",
    "Index",
    "IndexValue",
    "Literal",
    "Location",
    "Operand",
    "Read",
    "is_plain",
    "map_sizes",
    "substitute",
]

Location: TypeAlias = "tuple[str, int]"
Index: TypeAlias = "Affine | Read"
Operand: TypeAlias = "Read | Literal | IndexValue"


class ArrayType(NamedTuple):
    """Shape and dtype of an array."""

    shape: tuple[Extent, ...]
    dtype: str


class Read(NamedTuple):
    """One element of an array. An index is affine, or is itself read from an integer array."""

    array: str
    indices: tuple[Index, ...]


class Literal(NamedTuple):
    """A number that the user wrote."""

    value: float | int | bool
    dtype: str


class IndexValue(NamedTuple):
    """The value of an index expression, or of a size, as a number."""

    value: Affine


class Equation(NamedTuple):
    """One contribution to one array.

    ``operator`` is ``=``, ``+=``, ``max=``, ``min=``, ``or=`` or ``and=``. An array that no
    equation covers wholly starts from what the operator leaves unchanged (zero for ``=``).
    """

    array: str
    target: tuple[Index, ...]
    operator: str
    pattern: Pattern
    operands: tuple[Operand, ...]
    extents: tuple[Extent, ...]
    location: Location | None = None

    @property
    def reads(self) -> list[Read]:
        """Every read, those inside indices included."""
        found: list[Read] = []
        for operand in self.operands:
            if isinstance(operand, Read):
                _collect(operand, found)
        for i in self.target:
            if isinstance(i, Read):
                _collect(i, found)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether the loops run over exactly the elements of the target, each once."""
        rank = len(self.target)
        return rank == len(self.extents) and is_plain(self.target)


def _collect(read: Read, found: list[Read]) -> None:
    found.append(read)
    for i in read.indices:
        if isinstance(i, Read):
            _collect(i, found)


def is_plain(indices: Sequence[Index]) -> bool:
    """Whether an index map is ``(0, 1, 2, ...)``."""
    return all(isinstance(i, Affine) and i.single == n for n, i in enumerate(indices))


def substitute(indices: Sequence[Index], by: Sequence[Affine]) -> tuple[Index, ...]:
    """Put index expressions in for the loop indices of an index map."""
    return tuple(
        i.substitute(by) if isinstance(i, Affine) else Read(i.array, substitute(i.indices, by))
        for i in indices
    )


def map_sizes(equation: Equation, size: Callable[[Extent], Extent]) -> Equation:
    """Put other sizes in for those of an equation."""
    if not equation.extents and not equation.target:
        operands = equation.operands
        if not any(isinstance(o, IndexValue) or getattr(o, "indices", ()) for o in operands):
            return equation
    return equation._replace(
        target=tuple([_map_index(i, size) for i in equation.target]),
        operands=tuple([_map_operand(o, size) for o in equation.operands]),
        extents=tuple([size(e) for e in equation.extents]),
    )


def _map_operand(operand: Operand, size: Callable[[Extent], Extent]) -> Operand:
    if isinstance(operand, Read):
        return Read(operand.array, tuple([_map_index(i, size) for i in operand.indices]))
    if isinstance(operand, IndexValue):
        return IndexValue(_map_affine(operand.value, size))
    return operand


def _map_index(i: Index, size: Callable[[Extent], Extent]) -> Index:
    if isinstance(i, Read):
        return Read(i.array, tuple([_map_index(j, size) for j in i.indices]))
    return _map_affine(i, size)


def _map_affine(i: Affine, size: Callable[[Extent], Extent]) -> Affine:
    return Affine(tuple([(k, size(c)) for k, c in i.terms]), size(i.offset))
