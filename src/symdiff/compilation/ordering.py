"""In which order equations are taken, and their loops run; and which loops run over a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from symdiff.compilation.nests import position_of
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Index
from symdiff.program.nested import group_key, group_members, nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = [
    "MIN_BATCH",
    "element_loops",
    "element_order",
    "grouped",
    "loop_orders",
    "numbers_first",
    "rows_of",
]

MIN_BATCH = 128
"""An axis of known length is taken for that of a batch if it is at least so long."""
MAX_IN_ROW = 256
"""Elements that a row of an array may have where rows are to lie side by side."""


def numbers_first(
    equations: Sequence[Equation], changed: AbstractSet[str] = frozenset()
) -> list[Equation]:
    """Move equations without loops in front of the loops that they do not need.

    A number that stands between two loops would keep them apart. Those of arrays that are changed
    in place stay where they are.
    """
    stages: dict[str, int] = {}
    after: dict[str, int] = {}
    keyed: list[tuple[int, bool, Equation]] = []
    for equation in equations:
        has_loops = bool(equation.extents) or equation.array in changed
        has_loops = has_loops or isinstance(equation.pattern, Block)
        known = stages if has_loops else after
        stage = max((known.get(r.array, 0) for r in equation.reads), default=0)
        name = equation.array
        stages[name] = max(stage, stages.get(name, 0))
        after[name] = max(stage + has_loops, after.get(name, 0))
        keyed.append((stage, has_loops, equation))
    if all(stage == 0 and not has_loops for stage, has_loops, _ in keyed):
        return list(equations)
    return [equation for _, _, equation in sorted(keyed, key=lambda k: k[:2])]


def grouped(equations: Sequence[Equation]) -> list[Equation]:
    """Move the results of a loop, a branch or a run to the first of them, since it runs once.

    They have the same operands, so nothing that they need comes between.
    """
    members = group_members(equations)
    result: list[Equation] = []
    for equation in equations:
        if nested_of(equation.pattern) is None:
            result.append(equation)
        else:
            result += members.pop(group_key(equation), [])
    return result


def loop_order(equation: Equation) -> list[int]:
    """Order the loops of an equation: those that walk along memory innermost."""
    score = [0] * len(equation.extents)
    if len(score) < 2:
        return list(range(len(score)))
    maps: list[Sequence[Index]] = [equation.target]
    maps += [r.indices for r in equation.reads]
    for indices in maps:
        for axis, i in enumerate(indices):
            for k, _ in i.terms if isinstance(i, Affine) else ():
                score[k] += 1 if axis == len(indices) - 1 else -1
    in_target = {k for i in equation.target if isinstance(i, Affine) for k, _ in i.terms}
    return sorted(range(len(score)), key=lambda k: (score[k], k not in in_target, k))


def element_loops(equation: Equation) -> list[int]:
    """The loops over the elements of the target; of a number, those over what is summed."""
    found = [k for i in equation.target if isinstance(i, Affine) for k, _ in i.terms]
    if found:
        return list(dict.fromkeys(found))
    longest = max((e for e in equation.extents if isinstance(e, int)), default=0)

    def is_short(k: int) -> bool:
        extent = equation.extents[k]
        return isinstance(extent, int) and extent < longest

    return sorted(loop_order(equation), key=is_short)


def element_order(equation: Equation) -> list[int]:
    """Order the loops of an equation so that each element is for itself: sums innermost."""
    outer = element_loops(equation)
    return outer + [k for k in loop_order(equation) if k not in outer]


def loop_orders(
    equation: Equation, program: Program, rows: Extent | None
) -> Sequence[Sequence[int]]:
    """Orders for the loops of an equation, the best first.

    Where an equation can be computed row by row, the rows are outermost and sums innermost, so
    that it shares its loop with others; else the innermost loop walks along memory.
    """
    plain = loop_order(equation)
    outer = [k for k, extent in enumerate(equation.extents) if extent == rows]
    if rows is None or not outer or not _has_short_rows(equation, program, rows):
        return [plain]
    in_target = {k for i in equation.target if isinstance(i, Affine) for k, _ in i.terms}

    def inner(k: int) -> tuple[bool, bool, int]:
        extent = equation.extents[k]
        return isinstance(extent, int) and extent < MIN_BATCH, k not in in_target, k

    outer.sort(key=lambda k: (k not in in_target, k))
    numbers = range(len(equation.extents))
    return [[k, *sorted((n for n in numbers if n != k), key=inner)] for k in outer]


def _has_short_rows(equation: Equation, program: Program, rows: Extent) -> bool:
    """Whether what an equation reads and writes by rows has a few numbers in each."""
    if any(isinstance(e, int) and e > MAX_IN_ROW and e != rows for e in equation.extents):
        return False
    for array in (equation.array, *[r.array for r in equation.reads]):
        shape = program.types[array].shape
        if len(shape) < 2 or shape[0] != rows:
            continue
        is_ours = array not in program.outputs and array not in program.inputs
        rest = math.prod([e for e in shape[1:] if isinstance(e, int) and e != rows])
        if not (is_ours or all(isinstance(e, int) for e in shape[1:])) or rest > MAX_IN_ROW:
            return False
    return True


def rows_of(program: Program) -> Extent | None:
    """The size over which a Program is a batch: whose loops can be shared by most equations.

    A sum over it that later equations, which run over it too, need ends a loop. The size with the
    fewest such ends is taken among those that are in at least half as much of the work as any.
    """
    work: dict[Extent, float] = {}
    for equation in program.equations:
        size = 1.0
        for extent in equation.extents:
            size *= extent if isinstance(extent, int) else 100
        for extent in {e for e in equation.extents if not isinstance(e, int) or e >= MIN_BATCH}:
            work[extent] = work.get(extent, 0) + size
    most = max(work.values(), default=0)
    found = [e for e, w in work.items() if 2 * w >= most]
    return min(found, key=lambda e: (_n_phases(program, e), -work[e]), default=None)


def _n_phases(program: Program, rows: Extent) -> int:
    """How many loops over rows, one after the other, a Program needs at least."""
    ready: dict[str, int] = {}
    last = 0
    for equation in program.equations:
        phase = max((ready.get(r.array, 0) for r in equation.reads), default=0)
        mine = [k for k, extent in enumerate(equation.extents) if extent == rows]
        in_target = {position_of(i) for i in equation.target}
        ends = bool(mine) and not any(k in in_target for k in mine)
        ready[equation.array] = max(ready.get(equation.array, 0), phase + ends)
        last = max(last, phase if mine else 0)
    return last + 1
