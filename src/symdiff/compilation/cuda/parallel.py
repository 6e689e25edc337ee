"""Which nests of a schedule are divided among threads, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symdiff.compilation.nests import Loop, Node, Schedule, Statement, walk
from symdiff.program.affine import Affine

__all__ = ["Division", "divided"]


class Division(NamedTuple):
    """A nest of which every iteration may run in a thread of its own.

    Attributes
    ----------
    loops : tuple of Loop
        The outermost loops, each of which has nothing but the next one in it.
    body : list of Node
        What an iteration of them does.
    numbers : tuple of (str, str)
        The numbers to which all iterations contribute, and the operator.
    """

    loops: tuple[Loop, ...]
    body: list[Node]
    numbers: tuple[tuple[str, str], ...]


def divided(plan: Schedule, loop: Loop) -> Division | None:
    """Describe how a nest is divided; None if its iterations depend on each other."""
    statements = [n for n in walk([loop]) if isinstance(n, Statement)]
    changed = {*plan.in_place, *plan.in_place.values()}
    for statement in statements:
        arrays = [statement.equation.array, *[r.array for r in statement.equation.reads]]
        if changed.intersection(arrays):
            return None
    numbers = _numbers(plan, loop, statements)
    if numbers is None:
        return None
    loops, body = [loop], loop.body
    while len(body) == 1 and isinstance(body[0], Loop):
        inner = body[0]
        if _numbers(plan, inner, statements) is None:
            break
        loops.append(inner)
        body = inner.body
    return Division(tuple(loops), body, tuple(numbers.items()))


def _numbers(
    plan: Schedule, loop: Loop, statements: Sequence[Statement]
) -> dict[str, str] | None:
    """Find what all iterations of a loop contribute to; None if they cannot be parted."""
    writes: dict[str, list[Statement]] = {}
    for statement in statements:
        writes.setdefault(statement.equation.array, []).append(statement)
    found: dict[str, str] = {}
    for array, of_array in writes.items():
        if any(level is loop for level in plan.storage[array].level):
            continue
        places = {_place(s, loop) for s in of_array}
        if len(places) == 1 and None not in places:
            continue
        operators = {s.equation.operator for s in of_array}
        is_sum = len(operators) == 1 and "=" not in operators
        if not is_sum or any(s.is_first for s in of_array) or not plan.storage[array].has_register:
            return None
        (found[array],) = operators
    is_read = any(r.array in found for s in statements for r in s.equation.reads)
    return None if is_read else found


def _place(statement: Statement, loop: Loop) -> tuple[int, Affine] | None:
    """The axis and the place at which each iteration writes elements of its own."""
    for axis, i in enumerate(statement.equation.target):
        if isinstance(i, Affine) and len(i.terms) == 1:
            ((k, factor),) = i.terms
            if statement.loops[k] is loop and isinstance(factor, int):
                return axis, Affine(((0, factor),), i.offset)
    return None
