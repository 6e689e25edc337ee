"""Slices of stacked arrays at a step of a loop become arrays of their own.

``t[i, j] += xs[step, i, k]*w[k, j]`` reads one matrix of a stack, for each j anew. As an array of
its own the matrix can be packed into tiles, and be given to a library's product.
"""

from __future__ import annotations

from symdiff.program.affine import Affine, identity
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Index, Operand, Read
from symdiff.program.patterns import COPY
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program

__all__ = ["with_slices"]


def with_slices(program: Program) -> Program:
    """Copy the slices that equations with further loops read."""
    keys = {
        key: None
        for e in program.equations
        for o in e.operands
        if (key := _slice(program, e, o)) is not None
    }
    if not keys:
        return program
    types = dict(program.types)
    names: dict[tuple[str, Index], str] = {}
    for array, _ in keys:
        name = fresh_name(f"{array}_slice", types.keys())
        shape, dtype = types[array]
        types[name] = ArrayType(shape[1:], dtype)
    made = [n for n in types if n not in program.types]
    names = dict(zip(keys, made, strict=True))
    equations: list[Equation] = []
    waiting = dict(names)
    for equation in program.equations:
        operands: list[Operand] = []
        for operand in equation.operands:
            key = _key(program, equation, operand)
            if key not in names:
                operands.append(operand)
                continue
            assert isinstance(operand, Read)
            if key in waiting:
                equations.append(_copy(program, key, waiting.pop(key), equation))
            operands.append(Read(names[key], operand.indices[1:]))
        equations.append(equation._replace(operands=tuple(operands)))
    return program.replace(types=types, equations=tuple(equations))


def _slice(program: Program, equation: Equation, operand: Operand) -> tuple[str, Index] | None:
    """The slice that an operand is in, if the equation reads its elements again and again."""
    key = _key(program, equation, operand)
    if key is None:
        return None
    assert isinstance(operand, Read)
    used = {k for i in operand.indices[1:] if isinstance(i, Affine) for k, _ in i.terms}
    return key if len(used) < len(equation.extents) else None


def _key(program: Program, equation: Equation, operand: Operand) -> tuple[str, Index] | None:
    if isinstance(equation.pattern, Block) or not isinstance(operand, Read):
        return None
    if len(operand.indices) < 3 or operand.array not in program.inputs:
        return None
    first, *rest = operand.indices
    if not isinstance(first, Read) or first.indices or first.array not in program.inputs:
        return None
    if not all(isinstance(i, Affine) for i in rest):
        return None
    return operand.array, first


def _copy(program: Program, key: tuple[str, Index], name: str, like: Equation) -> Equation:
    array, first = key
    shape = program.types[array].shape[1:]
    whole = identity(len(shape))
    return Equation(name, whole, "=", COPY, (Read(array, (first, *whole)),), shape, like.location)
