"""Gathered rows that are read again and again become arrays of their own.

``t[i, j] += x[order[i], k]*w[k, j]`` finds each row of a batch anew for every j, and whatever is
read through an index array lies nowhere in particular: no tile holds it and no library takes it.
As an array of its own the batch can be packed into tiles, and be given to a library's product.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from symdiff.program.affine import Affine, identity, index
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Operand, Read, substitute
from symdiff.program.patterns import COPY
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["with_gathers"]

OFTEN = 8
"""What is read so many times by one equation is worth a copy."""
ROW = 8
"""A copy has rows of at least so many elements: short ones stay in registers anyway."""


class _Gather(NamedTuple):
    """What is read, over loops that are numbered as they first appear, and their extents."""

    read: Read
    extents: tuple[Extent, ...]


def with_gathers(program: Program) -> Program:
    """Copy the gathered rows that equations with further loops read."""
    worthwhile = {
        found[0]: None
        for e in program.equations
        for o in e.operands
        if (found := _gather(e, o)) is not None and _is_often(e, *found)
    }
    if not worthwhile:
        return program
    types = dict(program.types)
    names: dict[_Gather, str] = {}
    for gather in worthwhile:
        name = fresh_name(f"{gather.read.array}_rows", types.keys())
        types[name] = ArrayType(gather.extents, types[gather.read.array].dtype)
        names[gather] = name
    equations: list[Equation] = []
    waiting = dict(names)
    for equation in program.equations:
        operands: list[Operand] = []
        for operand in equation.operands:
            found = _gather(equation, operand)
            if found is None or found[0] not in names:
                operands.append(operand)
                continue
            gather, loops = found
            if gather in waiting:
                equations.append(_copy(gather, waiting.pop(gather), equation))
            operands.append(Read(names[gather], tuple(index(k) for k in loops)))
        equations.append(equation._replace(operands=tuple(operands)))
    return program.replace(types=types, equations=tuple(equations))


def _gather(equation: Equation, operand: Operand) -> tuple[_Gather, tuple[int, ...]] | None:
    """Give what an operand gathers, and the loops of the equation that run over it."""
    if isinstance(equation.pattern, Block) or not isinstance(operand, Read):
        return None
    if len(operand.indices) < 2 or not any(
        isinstance(i, Read) and i.indices for i in operand.indices
    ):
        return None
    loops: list[int] = []
    for i in operand.indices:
        inner = i.indices if isinstance(i, Read) else (i,)
        for j in inner:
            if not isinstance(j, Affine) or j.single is None or j.single in loops:
                return None
            loops.append(j.single)
    by = [Affine(())] * len(equation.extents)
    for position, k in enumerate(loops):
        by[k] = index(position)
    read = Read(operand.array, substitute(operand.indices, by))
    return _Gather(read, tuple(equation.extents[k] for k in loops)), tuple(loops)


def _is_often(equation: Equation, gather: _Gather, loops: tuple[int, ...]) -> bool:
    """Whether an equation reads long rows many times."""
    others = [e for k, e in enumerate(equation.extents) if k not in loops]
    row = gather.extents[-1]
    if not others or (isinstance(row, int) and row < ROW):
        return False
    known = [e for e in others if isinstance(e, int)]
    return len(known) < len(others) or math.prod(known) >= OFTEN


def _copy(gather: _Gather, name: str, like: Equation) -> Equation:
    whole = identity(len(gather.extents))
    return Equation(name, whole, "=", COPY, (gather.read,), gather.extents, like.location)
