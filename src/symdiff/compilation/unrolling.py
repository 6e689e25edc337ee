"""Nests of a few short loops become straight-line code.

What a nest of 3 x 3 x 3 steps does takes less time than its loops; written out, its small arrays
live in registers.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.compilation.nests import Fill, Loop, Node, Schedule, Statement, Store
from symdiff.program.blocks import Block

__all__ = ["unroll_short"]

SHORT = 6
"""Steps of the longest loop; longer ones may be SIMD."""
MAX_STATEMENTS = 128
"""Statements that a nest may become."""


def unroll_short(schedule: Schedule) -> Schedule:
    """Mark the loops of short nests; the schedule itself is changed."""
    for node in schedule.body:
        if isinstance(node, Loop) and node.tile is None and _count([node]) <= MAX_STATEMENTS:
            _mark([node])
    return schedule


def _count(nodes: Sequence[Node]) -> float:
    """How many statements nodes are when they are written out; infinitely many if they cannot."""
    total = 0.0
    for node in nodes:
        if isinstance(node, Loop):
            is_short = isinstance(node.extent, int) and 0 < node.extent <= SHORT
            total += node.extent * _count(node.body) if is_short else float("inf")  # type: ignore[operator]
        elif isinstance(node, Statement):
            total += float("inf") if isinstance(node.equation.pattern, Block) else 1
        elif not isinstance(node, (Fill, Store)):
            total = float("inf")
    return total


def _mark(nodes: Sequence[Node]) -> None:
    for node in nodes:
        if isinstance(node, Loop):
            node.is_unrolled = True
            _mark(node.body)
