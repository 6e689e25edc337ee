"""Programs of numbers: straight-line code, whose schedule is the order of its equations."""

from __future__ import annotations

from symdiff.compilation.nests import Node, Schedule, Statement, Storage, Store
from symdiff.program.equations import IndexValue
from symdiff.program.program import Program

__all__ = ["is_straight_line", "straight_line_schedule"]


def is_straight_line(program: Program) -> bool:
    """Whether there are only numbers in a Program, and nothing but elementwise operations.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> is_straight_line(sd.trace(lambda x, y: np.sin(x) * y, 1.0, 2.0))
    True
    >>> is_straight_line(sd.trace(np.sum, np.ones(3)))
    False
    """
    if program.constants or program.has_blocks:
        return False
    if any(shape for shape, _ in program.types.values()):
        return False
    for equation in program.equations:
        if equation.extents or any(isinstance(o, IndexValue) for o in equation.operands):
            return False
    return True


def straight_line_schedule(program: Program) -> Schedule:
    """Schedule a Program for which `is_straight_line` holds: every number is in a register."""
    inputs, outputs = set(program.inputs), set(program.outputs)
    storage: dict[str, Storage] = {}
    known: dict[tuple[str, str], Storage] = {}
    for name, (_, dtype) in program.types.items():
        kind = "input" if name in inputs else "output" if name in outputs else "register"
        if (kind, dtype) not in known:
            known[kind, dtype] = Storage(kind, dtype, (), (), has_register=kind != "input")
        storage[name] = known[kind, dtype]
    body: list[Node] = []
    left = dict(program.n_contributions)
    begun: set[str] = set()
    for equation in program.equations:
        name = equation.array
        body.append(Statement(equation, (), (), is_first=name not in begun))
        begun.add(name)
        left[name] -= 1
        if name in outputs and not left[name]:
            body.append(Store(name))
    return Schedule(program, body, storage)
