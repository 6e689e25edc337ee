"""The user's own primitives: functions of numbers, which numba compiles for a GPU.

Where a primitive takes arrays and gives one of their shape, broadcast, it is called for each
element: what numba compiles for numbers and NumPy takes for arrays can be nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from symdiff.errors import UnsupportedOperationError
from symdiff.program.affine import Affine, constant, index
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Operand, Read
from symdiff.program.program import Program
from symdiff.program.sizes import Extent
from symdiff.tracing.custom import Primitive

__all__ = ["by_element", "primitive_of", "refuse"]


def primitive_of(block: Block) -> Primitive | None:
    """Find the user's primitive that a block is; None if it is something else."""
    first = block.attributes[0] if block.attributes else None
    return first if isinstance(first, Primitive) else None


def refuse(function: Callable[..., Any], why: str, equation: Equation) -> UnsupportedOperationError:
    """Say why a primitive cannot be called on a GPU, and what to do."""
    name = getattr(function, "__name__", "f")
    at = f"\n  at {equation.location[0]}:{equation.location[1]}" if equation.location else ""
    return UnsupportedOperationError(f"the primitive {name} {why}, or use target='cpu'{at}")


def by_element(program: Program) -> Program:
    """Let primitives that take whole arrays take their elements."""
    changed = [_of_elements(program, e) for e in program.equations]
    if all(a is b for a, b in zip(changed, program.equations, strict=True)):
        return program
    return replace(program, equations=tuple(changed))


def _of_elements(program: Program, equation: Equation) -> Equation:
    block = equation.pattern
    found = primitive_of(block) if isinstance(block, Block) else None
    if found is None:
        return equation
    assert isinstance(block, Block)
    if not any(block.ranks) and not block.rank:
        return equation
    if found.shape is not None:
        why = "takes or gives whole arrays, for which a GPU cannot call back; write it with NumPy"
        raise refuse(found, why, equation)
    n = len(equation.extents)
    shape = program.types[equation.array].shape
    axes = shape[len(shape) - block.rank :]
    loops = [index(n + k) for k in range(block.rank)]
    operands = tuple(
        _element(program, operand, rank, axes, loops)
        for operand, rank in zip(equation.operands, block.ranks, strict=True)
    )
    return equation._replace(
        target=(*equation.target[: len(shape) - block.rank], *loops),
        pattern=replace(block, ranks=(0,) * len(block.ranks), rank=0),
        operands=operands,
        extents=(*equation.extents, *axes),
    )


def _element(
    program: Program, operand: Operand, rank: int, axes: tuple[Extent, ...], loops: list[Affine]
) -> Operand:
    """Read the element of an operand that belongs to one of the result, which is broadcast."""
    if not rank:
        return operand
    assert isinstance(operand, Read)
    shape = program.types[operand.array].shape
    own = shape[len(shape) - rank :]
    places = [
        loop if size == whole else constant(0)
        for size, whole, loop in zip(own, axes[-rank:], loops[-rank:], strict=True)
    ]
    return Read(operand.array, (*operand.indices[: len(shape) - rank], *places))
