"""How long a call may take: whether other threads of Python's should run meanwhile."""

from __future__ import annotations

from symdiff.program.blocks import Block
from symdiff.program.equations import Equation
from symdiff.program.nested import Branch, Loop, nested_of
from symdiff.program.program import Program

__all__ = ["has_loops", "has_steps"]


def has_loops(program: Program) -> bool:
    """Whether there is anything but straight-line code, in what may be run."""
    return any(bool(e.extents) or _has_block(e) for e in program.equations)


def _has_block(equation: Equation) -> bool:
    nested = nested_of(equation.pattern)
    if isinstance(nested, Branch):
        return any(map(has_loops, nested.programs))
    return isinstance(equation.pattern, Block)


def has_steps(program: Program) -> bool:
    """Whether there are loops of which sizes do not tell how long they take."""
    found = [n for e in program.equations if (n := nested_of(e.pattern)) is not None]
    return any(isinstance(n, Loop) or any(map(has_steps, n.programs)) for n in found)
