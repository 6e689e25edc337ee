"""The nodes of a Program.

An equation contributes to one array in terms of earlier ones, over a box of loop indices::

    array[target(i)] (operator) pattern(operands(i))        for all i in extents

Every loop index is alike: one that does not reach the target is a reduction. Because the target
is an index map too, the adjoint of a read ``A[rho(i)]`` is always one more equation of this kind,
``dA[rho(i)] += ...``, for slices, concatenations and gathers alike.

What cannot be said element by element (a Cholesky factor, a sort) is a `Block`: it takes the last
axes of its operands as a whole, ``L[i,:,:] = cholesky(A[i,:,:])``, and stands where a pattern does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple, TypeAlias

from symdiff.program.affine import Affine, constant
from symdiff.program.blocks import Block
from symdiff.program.nested import nested_of
from symdiff.program.patterns import Pattern
from symdiff.program.sizes import Extent

__all__ = [
    "WHOLE",
    "ArrayType",
    "Equation",
    "Index",
    "IndexValue",
    "Literal",
    "Location",
    "Operand",
    "Read",
    "Whole",
    "compose",
    "is_plain",
    "map_sizes",
    "number_type",
    "substitute",
    "substitute_operand",
]

Location: TypeAlias = "tuple[str, int]"
Index: TypeAlias = "Affine | Read | Whole"
Operand: TypeAlias = "Read | Literal | IndexValue"


class ArrayType(NamedTuple):
    """Shape and dtype of an array."""

    shape: tuple[Extent, ...]
    dtype: str


@cache
def number_type(dtype: str) -> ArrayType:
    """Give the type of a number, which long programs have many of."""
    return ArrayType((), dtype)


class Read(NamedTuple):
    """One element of an array. An index is affine, or is itself read from an integer array."""

    array: str
    indices: tuple[Index, ...]


class Whole(NamedTuple):
    """All of an axis, in the operands and the target of a `Block`."""


WHOLE = Whole()


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
    pattern: Pattern | Block
    operands: tuple[Operand, ...]
    extents: tuple[Extent, ...]
    location: Location | None = None

    @property
    def reads(self) -> list[Read]:
        """Every read, those inside indices included."""
        found: list[Read] = []
        for operand in self.operands:
            if isinstance(operand, Read):
                found.append(operand)
                if operand.indices:
                    _collect(operand.indices, found)
        if self.target:
            _collect(self.target, found)
        return found

    def reads_any(self, arrays: Container[str]) -> bool:
        """Whether one of some arrays is read."""
        for operand in self.operands:
            if isinstance(operand, Read):
                if operand.array in arrays:
                    return True
                if operand.indices and _read_any(operand.indices, arrays):
                    return True
        return bool(self.target) and _read_any(self.target, arrays)

    @property
    def is_whole(self) -> bool:
        """Whether the loops run over exactly the elements of the target, each once."""
        rank = len(self.target)
        return rank == len(self.extents) and is_plain(self.target)


def _collect(indices: Sequence[Index], found: list[Read]) -> None:
    for i in indices:
        if isinstance(i, Read):
            found.append(i)
            _collect(i.indices, found)


def _read_any(indices: Sequence[Index], arrays: Container[str]) -> bool:
    for i in indices:
        if isinstance(i, Read) and (i.array in arrays or _read_any(i.indices, arrays)):
            return True
    return False


def is_plain(indices: Sequence[Index]) -> bool:
    """Whether an index map is ``(0, 1, 2, ...)``."""
    return all(isinstance(i, Affine) and i.single == n for n, i in enumerate(indices))


def substitute(indices: Sequence[Index], by: Sequence[Affine]) -> tuple[Index, ...]:
    """Put index expressions in for the loop indices of an index map."""
    return tuple([_substitute(i, by) for i in indices])


def substitute_operand(operand: Operand, by: Sequence[Affine]) -> Operand:
    """Put index expressions in for the loop indices of an operand."""
    if isinstance(operand, Read):
        return Read(operand.array, substitute(operand.indices, by))
    if isinstance(operand, IndexValue):
        return IndexValue(operand.value.substitute(by))
    return operand


def _substitute(i: Index, by: Sequence[Affine]) -> Index:
    if isinstance(i, Affine):
        return i.substitute(by)
    return Read(i.array, substitute(i.indices, by)) if isinstance(i, Read) else i


def compose(indices: Sequence[Index], by: Sequence[Index]) -> tuple[Index, ...] | None:
    """Put an index map, in which there may be gathers, in for the loop indices of another.

    None where an integer array would have to be multiplied or added to, or where the axes that a
    block takes whole would not stay so.

    Examples
    --------
    >>> from symdiff.program.affine import identity, index
    >>> gather = Read("k", identity(1))
    >>> compose([index(0)], [gather])
    (Read(array='k', indices=(Affine(terms=((0, 1),), offset=0),)),)
    >>> compose([index(0).scaled(2)], [gather]) is None
    True
    """
    if any(isinstance(b, Whole) for b in by):
        return tuple(by) if is_plain(indices) and len(indices) == len(by) else None
    result: list[Index] = []
    for i in indices:
        composed = _compose(i, by)
        if composed is None:
            return None
        result.append(composed)
    return tuple(result)


def _compose(i: Index, by: Sequence[Index]) -> Index | None:
    if isinstance(i, Whole):
        return i
    if isinstance(i, Read):
        inner = compose(i.indices, by)
        return None if inner is None else Read(i.array, inner)
    used = [by[k] for k, _ in i.terms]
    if len(used) == 1 and i.terms[0][1] == 1 and i.offset == 0:
        return used[0]
    total = constant(i.offset)
    for (_, coefficient), u in zip(i.terms, used, strict=True):
        if not isinstance(u, Affine):
            return None
        total = total.plus(u.scaled(coefficient))
    return total


def map_sizes(equation: Equation, size: Callable[[Extent], Extent]) -> Equation:
    """Put other sizes in for those of an equation."""
    nested = nested_of(equation.pattern)
    if nested is not None and isinstance(equation.pattern, Block):
        _, number = equation.pattern.attributes
        block = replace(equation.pattern, attributes=(nested.map_sizes(size), number))
        equation = equation._replace(pattern=block)
    elif not equation.extents and not equation.target:
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
    return _map_affine(i, size) if isinstance(i, Affine) else i


def _map_affine(i: Affine, size: Callable[[Extent], Extent]) -> Affine:
    return Affine(tuple([(k, size(c)) for k, c in i.terms]), size(i.offset))
