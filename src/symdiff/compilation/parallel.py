"""Which loops of a schedule may be run by several threads, and what they need for it.

The iterations of an outermost loop are divided into chunks. How many there are depends on sizes
alone, never on the number of threads; each chunk adds up what is summed over the loop for itself,
and the sums of the chunks are combined in their order. So results are the same bits whatever the
number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symdiff.compilation.nests import (
    ROW,
    Fill,
    Loop,
    Node,
    Pack,
    Rows,
    Schedule,
    Statement,
    Store,
    Unpack,
    walk,
)
from symdiff.program.affine import Affine
from symdiff.program.blocks import BLOCKS, Block
from symdiff.program.equations import Equation, Read
from symdiff.program.nested import nested_of
from symdiff.program.sizes import Extent, product

__all__ = ["GRAIN", "MAX_CHUNKS", "MAX_SUMMED_CHUNKS", "Parallel", "parallel", "row_place"]

GRAIN = 400_000
"""Operations in a chunk, which take some 20 us: waking a thread takes about as long."""
MAX_CHUNKS, MAX_SUMMED_CHUNKS = 64, 16
"""So many chunks at most, and so many where each has its own sums."""
TRANSCENDENTAL = 8
"""Operations as which a step of a pattern counts that is a function's call."""


@dataclass(frozen=True)
class Parallel:
    """What the chunks of a loop share, and what each has for itself.

    Attributes
    ----------
    weight : Extent
        Operations of one iteration.
    summed : tuple of (str, str)
        The arrays in memory to which all iterations contribute, and the operator.
    numbers : tuple of (str, str)
        The same for numbers in registers.
    private : tuple of str
        Scratch arrays in which each iteration, or tile, puts something for itself.
    given : tuple of str
        Registers that are read.
    arrays : tuple of str
        All arrays of the loop, tiles included.
    equations : tuple of Equation
    """

    weight: Extent
    summed: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    private: tuple[str, ...]
    given: tuple[str, ...]
    arrays: tuple[str, ...]
    equations: tuple[Equation, ...]


def parallel(schedule: Schedule) -> dict[Loop, Parallel]:
    """Find the outermost loops that may be divided."""
    found: dict[Loop, Parallel] = {}
    for node in schedule.body:
        if isinstance(node, Loop):
            made = _Candidate(schedule, node).parallel()
            if made is not None:
                found[node] = made
    return found


class _Candidate:
    """A loop that may be divided."""

    def __init__(self, schedule: Schedule, loop: Loop) -> None:
        self.schedule = schedule
        self.storage = schedule.storage
        self.loop = loop
        self.nodes = [*walk(loop.body)]
        self.statements = [n for n in self.nodes if isinstance(n, Statement)]

    def parallel(self) -> Parallel | None:
        """Describe how the loop is divided; None if it should not be."""
        if not all(map(self._is_safe, self.statements)):
            return None
        weight = self._weight(self.loop.body)
        total = self.loop.extent * weight
        if isinstance(total, int) and total < 2 * GRAIN:
            return None
        summed = self._summed()
        if summed is None or not all(map(self._has_known_place, self._names())):
            return None
        in_memory = [a for a in summed if not self.storage[a].has_register]
        return Parallel(
            weight,
            tuple([(a, summed[a]) for a in in_memory]),
            tuple([(a, operator) for a, operator in summed.items() if a not in in_memory]),
            self._private(),
            self._given(),
            (*self._names(), *self._tiles(), *self._others()),
            tuple([s.equation for s in self.statements]),
        )

    def _summed(self) -> dict[str, str] | None:
        """Find what all iterations contribute to, with the operators; None if order matters."""
        writes: dict[str, list[Statement]] = {}
        for statement in self.statements:
            writes.setdefault(statement.equation.array, []).append(statement)
        summed: dict[str, str] = {}
        for array, statements in writes.items():
            places = {row_place(s, self.loop) for s in statements}
            if self._is_local(array) or (len(places) == 1 and None not in places):
                continue
            operators = {s.equation.operator for s in statements}
            if len(operators) > 1 or "=" in operators or any(s.is_first for s in statements):
                return None
            (summed[array],) = operators
        is_read = any(r.array in summed for s in self.statements for r in s.equation.reads)
        return None if is_read else summed

    def _is_local(self, array: str) -> bool:
        """Whether an array is started anew in each iteration."""
        level = self.storage[array].level
        return bool(level) and level[0] is self.loop

    def _has_known_place(self, array: str) -> bool:
        """Whether an array lies in memory as a whole, or is started in each iteration."""
        storage = self.storage[array]
        if storage.kind not in ("scratch", "shared") or "@" in array:
            return True
        rank = len(self.schedule.program.types[array].shape)
        return len(storage.axes) == rank or self._is_local(array)

    def _others(self) -> list[str]:
        """Arrays that are started, stored or copied, be there no statement left for them."""
        nodes = (n for n in self.nodes if isinstance(n, (Fill, Store, Pack, Unpack)))
        return [n.array for n in nodes]

    def _tiles(self) -> list[str]:
        return [] if self.loop.tile is None else [*self.loop.tile.copies.values()]

    def _names(self) -> list[str]:
        return [*dict.fromkeys(a for s in self.statements for a in _arrays(s.equation))]

    def _is_safe(self, statement: Statement) -> bool:
        """Whether other iterations may run at the same time."""
        in_place = self.schedule.in_place
        for array in _arrays(statement.equation):
            if array in in_place or array in in_place.values() or array in self.schedule.swapped:
                return False
        block = statement.equation.pattern
        if isinstance(block, Block):  # Python, which may be called back, has a lock of its own
            return _stays_here(block)
        return True

    def _private(self) -> tuple[str, ...]:
        """Find the scratch arrays that hold a part of an array, or a tile."""
        found: list[str] = []
        for name in dict.fromkeys([*self._names(), *self._tiles()]):
            storage = self.storage[name]
            if storage.kind == "scratch":
                rank = len(self.schedule.program.types[name].shape) if "@" not in name else 0
                if ROW in storage.axes or len(storage.axes) < rank:
                    found.append(name)
        return tuple(found)

    def _given(self) -> tuple[str, ...]:
        written = {s.equation.array for s in self.statements}
        found = {
            r.array: None
            for s in self.statements
            for r in s.equation.reads
            if self.storage[r.array].has_register
            and not self.storage[r.array].bound
            and r.array not in written
        }
        return tuple(found)

    def _weight(self, nodes: Sequence[Node]) -> Extent:
        total: Extent = 0
        for node in nodes:
            if isinstance(node, Rows):
                total = total + self._weight(node.body)
            elif isinstance(node, Loop):
                total = total + self._weight(node.body) * node.extent
            elif isinstance(node, Statement):
                total = total + self._statement_weight(node.equation)
            elif isinstance(node, (Pack, Unpack, Fill, Store)):
                total = total + 1
        return total

    def _statement_weight(self, equation: Equation) -> Extent:
        block = equation.pattern
        if isinstance(block, Block):
            count: Extent = 1
            for operand, rank in zip(equation.operands, block.ranks, strict=True):
                if isinstance(operand, Read):
                    shape = self.schedule.program.types[operand.array].shape
                    count = count * product(shape[len(shape) - rank :])
            return count * 100
        return 1 + sum(TRANSCENDENTAL if block.is_transcendental else 1 for _ in block.steps)


def row_place(statement: Statement, loop: Loop) -> tuple[int, Affine] | None:
    """The axis and the place at which each iteration of a loop writes elements of its own."""
    for axis, i in enumerate(statement.equation.target):
        if isinstance(i, Affine) and len(i.terms) == 1:
            ((k, factor),) = i.terms
            if statement.loops[k] is loop and isinstance(factor, int):
                return axis, Affine(((0, factor),), i.offset)
    return None


def _stays_here(block: Block) -> bool:
    """Whether a block never calls Python back."""
    nested = nested_of(block)
    if nested is None:
        return block.name in BLOCKS
    patterns = [e.pattern for p in nested.programs for e in p.equations]
    return all(_stays_here(b) for b in patterns if isinstance(b, Block))


def _arrays(equation: Equation) -> list[str]:
    return [equation.array, *[r.array for r in equation.reads]]
