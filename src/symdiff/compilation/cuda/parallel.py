"""Which nests of a schedule are divided among threads, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symdiff.compilation.cuda.code import Code
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.nests import Loop, Node, Schedule, Statement, walk
from symdiff.compilation.parallel import row_place
from symdiff.program.blocks import Block
from symdiff.program.sizes import product

__all__ = ["Division", "divided", "scattered_sums", "write_places"]

MAX_SUMS = 64
"""Elements of an array to which all iterations contribute, of which each thread has its own."""


class Division(NamedTuple):
    """A nest of which every iteration may run in a thread of its own.

    Attributes
    ----------
    loops : tuple of Loop
        The outermost loops, each of which has nothing but the next one in it.
    body : list of Node
        What an iteration of them does.
    sums : tuple of (str, str)
        The numbers, and the small arrays, to which all iterations contribute, and the operator.
    """

    loops: tuple[Loop, ...]
    body: list[Node]
    sums: tuple[tuple[str, str], ...]


def divided(plan: Schedule, loop: Loop) -> Division | None:
    """Describe how a nest is divided; None if its iterations depend on each other."""
    statements = [n for n in walk([loop]) if isinstance(n, Statement)]
    changed = {*plan.in_place, *plan.in_place.values()}
    for statement in statements:
        arrays = [statement.equation.array, *[r.array for r in statement.equation.reads]]
        if changed.intersection(arrays):
            return None
    sums = _sums(plan, loop, statements)
    if sums is None:
        return None
    loops, body = [loop], loop.body
    while len(body) == 1 and isinstance(body[0], Loop):
        inner = body[0]
        of_inner = _sums(plan, inner, statements)
        if of_inner is None or not of_inner.keys() <= sums.keys():
            break  # an element of the outer loop, to which one thread alone may contribute
        loops.append(inner)
        body = inner.body
    return Division(tuple(loops), body, tuple(sums.items()))


def _sums(plan: Schedule, loop: Loop, statements: Sequence[Statement]) -> dict[str, str] | None:
    """Find what all iterations of a loop contribute to; None if they cannot be parted."""
    writes: dict[str, list[Statement]] = {}
    for statement in statements:
        writes.setdefault(statement.equation.array, []).append(statement)
    found: dict[str, str] = {}
    for array, of_array in writes.items():
        if any(level is loop for level in plan.storage[array].level):
            continue
        places = {row_place(s, loop) for s in of_array}
        if len(places) == 1 and None not in places:
            continue
        operators = {s.equation.operator for s in of_array}
        is_sum = len(operators) == 1 and "=" not in operators
        if not is_sum or any(s.is_first for s in of_array) or not _is_small(plan, array):
            return None
        (found[array],) = operators
    is_read = any(r.array in found for s in statements for r in s.equation.reads)
    return None if is_read else found


def write_places(code: Code, scope: Scope, division: Division, number: str) -> None:
    """Write which iteration of each loop a number of an iteration is."""
    extents = [scope.extent(loop.extent) for loop in division.loops]
    rest = number
    for loop, inner in zip(division.loops[:-1], range(1, len(extents)), strict=True):
        name = scope.loops[loop.variable] = code.fresh("i")
        size = code.extent(product(extents[inner:]))
        code.add(f"{name} = {rest} // ({size})")
        left = code.fresh("i")
        code.add(f"{left} = {rest} - {name}*{size}")
        rest = left
    scope.loops[division.loops[-1].variable] = rest


def scattered_sums(plan: Schedule, loop: Loop) -> frozenset[str] | None:
    """Find the arrays to which a nest adds at computed places, if it writes to no others.

    What else it computes is for the iteration alone, or numbers.
    """
    statements = [n for n in walk([loop]) if isinstance(n, Statement)]
    found: set[str] = set()
    for statement in statements:
        equation = statement.equation
        storage = plan.storage[equation.array]
        if isinstance(equation.pattern, Block):
            return None
        if storage.has_register or storage.kind == "register":
            if storage.kind != "register" and storage.level:
                return None
        elif statement.is_first or equation.operator == "=" or equation.array in plan.in_place:
            return None
        else:
            found.add(equation.array)
    reads = {r.array for s in statements for r in s.equation.reads}
    return frozenset(found) if found and not found & reads else None


def _is_small(plan: Schedule, array: str) -> bool:
    """Whether every thread may have sums of its own."""
    storage = plan.storage[array]
    shape = plan.program.types[array].shape
    if storage.has_register or storage.kind == "register":
        return not storage.level
    count = product(shape)
    return isinstance(count, int) and count <= MAX_SUMS and len(storage.axes) == len(shape)
