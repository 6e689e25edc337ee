"""Putting a Program's equations into another, with loops around them.

Differentiating a block, expanding it, `vmap` and the inlining of a call are all this: arrays get
other names, size symbols other sizes, inputs become reads, and what depends on reads that move
with some of the loops gets those in front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from symdiff.program.affine import Affine, index
from symdiff.program.equations import (
    Equation,
    Index,
    IndexValue,
    Location,
    Operand,
    Read,
    map_sizes,
    substitute,
)
from symdiff.program.nested import group_members
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size, put_sizes

__all__ = ["Binding", "bind_sizes", "make_room", "shifted", "size_symbols", "splice"]


class Binding(NamedTuple):
    """An array that stands for one of another Program, at these indices of its leading axes."""

    array: str
    lead: tuple[Index, ...] = ()


def shifted(indices: Sequence[Index], by: int) -> tuple[Index, ...]:
    """Renumber loop indices to make room for `by` more in front."""
    if not by or not indices:
        return tuple(indices)
    return substitute(indices, [index(n + by) for n in range(64 - by)])


def make_room(equation: Equation, rank: int) -> Equation:
    """Renumber an equation's loops behind `rank` loops over a batch."""
    if not rank:
        return equation
    operands: list[Operand] = []
    for o in equation.operands:
        if isinstance(o, Read):
            operands.append(Read(o.array, shifted(o.indices, rank)))
        elif isinstance(o, IndexValue):
            by = [index(n + rank) for n in range(len(equation.extents))]
            operands.append(IndexValue(o.value.substitute(by)))
        else:
            operands.append(o)
    return equation._replace(target=shifted(equation.target, rank), operands=tuple(operands))


def bind_sizes(program: Program, shapes: Sequence[Sequence[Extent]]) -> dict[str, Extent]:
    """Find what each size symbol of a Program is when its inputs have these shapes."""
    sizes: dict[str, Extent] = {}
    for name, shape in zip(program.inputs, shapes, strict=True):
        for mine, theirs in zip(program.types[name].shape, shape, strict=True):
            if isinstance(mine, Size) and mine.name is not None:
                sizes.setdefault(mine.name, theirs)
    return sizes


def fronts(program: Program, inputs: Mapping[str, Binding]) -> dict[str, tuple[int, ...]]:
    """For each array the loops in front that it needs: those that some input moves with.

    What is the same at each step of a loop in front is computed outside of it.
    """
    found = {name: frozenset(_loops_in(b.lead)) for name, b in inputs.items()}
    groups = group_members(program.equations)
    while True:
        before = dict(found)
        for equation in program.equations:
            needed = frozenset[int]().union(*[found[r.array] for r in equation.reads])
            found[equation.array] = found.get(equation.array, frozenset()) | needed
        for members in groups.values():  # results of one block stay together
            needed = frozenset[int]().union(*[found[e.array] for e in members])
            found.update({e.array: needed for e in members})
        if found == before or not groups:
            return {name: tuple(sorted(loops)) for name, loops in found.items()}


def _loops_in(indices: Sequence[Index]) -> set[int]:
    loops: set[int] = set()
    for i in indices:
        if isinstance(i, Affine):
            loops.update(k for k, _ in i.terms)
        elif isinstance(i, Read):
            loops |= _loops_in(i.indices)
    return loops


def splice(
    program: Program,
    inputs: Mapping[str, Binding],
    extents: tuple[Extent, ...],
    new_array: Callable[[str, tuple[Extent, ...], str], str],
    sizes: Mapping[str, Extent],
    location: Location | None = None,
) -> tuple[list[Equation], dict[str, Binding]]:
    """Write a Program's equations for another Program.

    Parameters
    ----------
    inputs : Mapping
        For each input and constant what it is there. Indices in a binding are those of the loops
        over `extents`.
    new_array : callable
        Names an array, given a wish, a shape and a dtype.
    sizes : Mapping
        What the size symbols are there.
    location : Location, optional
        Where equations that do not know better come from.

    Returns
    -------
    equations, bindings
        What each array of the Program is there.
    """
    needed = fronts(program, inputs)

    def size(extent: Extent) -> Extent:
        return put_sizes(extent, sizes)

    bindings = dict(inputs)
    for equation in program.equations:
        name = equation.array
        if name not in bindings:
            shape, dtype = program.types[name]
            inner = tuple([size(e) for e in shape])
            lead = tuple([index(k) for k in needed[name]])
            whole = (*[extents[k] for k in needed[name]], *inner)
            bindings[name] = Binding(new_array(name, whole, dtype), lead)
    views: dict[tuple[int, ...], _Bindings] = {}
    made: list[Equation] = []
    for equation in program.equations:
        loops = needed[equation.array]
        if loops not in views:
            views[loops] = _Bindings(bindings, loops)
        moved = _moved(map_sizes(equation, size), views[loops], tuple([extents[k] for k in loops]))
        made.append(moved if moved.location else moved._replace(location=location))
    return made, bindings


class _Bindings(dict[str, Binding]):
    """Bindings as equations see them that have some of the loops in front only."""

    def __init__(self, bindings: Mapping[str, Binding], loops: tuple[int, ...]) -> None:
        super().__init__()
        self.bindings = bindings
        self.is_same = loops == tuple(range(len(loops)))
        self.by = [
            index(loops.index(k) if k in loops else 0) for k in range(max(loops, default=-1) + 1)
        ]

    def __missing__(self, name: str) -> Binding:
        array, lead = self.bindings[name]
        self[name] = Binding(array, lead if self.is_same else substitute(lead, self.by))
        return self[name]


def _moved(
    equation: Equation, bindings: Mapping[str, Binding], extents: tuple[Extent, ...]
) -> Equation:
    """Put loops in front of an equation, and other names into it."""
    inner = make_room(equation, len(extents))
    target = bindings[equation.array]
    return inner._replace(
        array=target.array,
        target=(*target.lead, *[_moved_index(i, bindings) for i in inner.target]),
        operands=tuple(
            [_moved_read(o, bindings) if isinstance(o, Read) else o for o in inner.operands]
        ),
        extents=(*extents, *inner.extents),
    )


def _moved_read(read: Read, bindings: Mapping[str, Binding]) -> Read:
    binding = bindings[read.array]
    return Read(binding.array, (*binding.lead, *[_moved_index(i, bindings) for i in read.indices]))


def _moved_index(i: Index, bindings: Mapping[str, Binding]) -> Index:
    return _moved_read(i, bindings) if isinstance(i, Read) else i


def size_symbols(program: Program) -> list[str]:
    """The size symbols in a Program, in the order in which they come."""
    found: dict[str, None] = {}

    def note(extent: Extent) -> Extent:
        if isinstance(extent, Size):
            found.update(dict.fromkeys(s for monomial, _ in extent.terms for s in monomial))
        return extent

    for array_type in program.types.values():
        for extent in array_type.shape:
            note(extent)
    for equation in program.equations:
        map_sizes(equation, note)
    return [*found]
