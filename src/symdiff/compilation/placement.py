"""Where arrays lie: in registers, in rows or as a whole, and in the memory of which others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.compilation.fusion import Builder
from symdiff.compilation.nests import (
    Fill,
    Loop,
    Node,
    Statement,
    Storage,
    Store,
    position_of,
)
from symdiff.compilation.ordering import MIN_BATCH
from symdiff.compilation.updates import is_same_part, updated_array
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Index, Whole, is_plain
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product

__all__ = ["Placement", "is_swapped"]

MAX_COPIED = 128
"""Elements up to which a carried array is copied back after a step."""


def is_swapped(array_type: ArrayType) -> bool:
    """Whether a carried array changes places between two buffers, since a copy would take long.

    What is copied is in memory of its own, of which targets know that no other array is there.
    """
    count = product(array_type.shape)
    return not isinstance(count, int) or count > MAX_COPIED


def _shared(paths: Sequence[tuple[Loop, ...]]) -> tuple[Loop, ...]:
    """The loops around all of some statements."""
    first = paths[0]
    for path in paths[1:]:
        n = 0
        while n < min(len(first), len(path)) and first[n] is path[n]:
            n += 1
        first = first[:n]
    return first


def _axis_fixed_by(loop: Loop, uses: Sequence[tuple[Statement, Sequence[Index]]]) -> int | None:
    """The axis that every use takes at exactly this loop's iteration."""
    rank = len(uses[0][1])
    for axis in range(rank):
        for statement, indices in uses:
            k = position_of(indices[axis])
            if k is None or statement.loops[k] is not loop:
                break
        else:
            return axis
    return None


class Placement:
    """Chooses storage, and adds what starts and stores the arrays to the nests."""

    def __init__(self, program: Program, builder: Builder, carried: Mapping[str, str]) -> None:
        self.program = program
        self.builder = builder
        self.carried = carried
        self.in_place: dict[str, str] = {}
        self.outputs = set(program.outputs)
        self._before: dict[int, list[Node]] = {}
        self._after: dict[int, list[Node]] = {}

    def storage(self) -> dict[str, Storage]:
        """Place every array."""
        result: dict[str, Storage] = {}
        for name in [*self.program.inputs, *self.program.constants]:
            shape, dtype = self.program.types[name]
            kind = "constant" if name in self.program.constants else "input"
            result[name] = Storage(kind, dtype, tuple(range(len(shape))), shape)
        for name in self.builder.writes:
            result[name] = self._place(name)
        updated = self._share(result)
        for name, storage in result.items():
            if storage.kind not in ("input", "constant"):
                self._start(name, storage, is_update=name in updated)
        self._insert(self.builder.body)
        return result

    def _share(self, storage: dict[str, Storage]) -> set[str]:
        """Let arrays take over the memory of those that they change a part of.

        Returns
        -------
        set
            The arrays that begin with what is in their memory.
        """
        updated: set[str] = set()
        for new in reversed([*self.builder.writes]):  # so that where a chain ends is known
            old = self._changed_array(new, storage)
            if old is None:
                continue
            end = self.in_place.get(new, new)
            if old in self.carried and self.carried[old] != end:
                continue
            kept: list[Statement] = []
            for statement in self.builder.writes[new]:
                if is_same_part(statement.equation, old):
                    self._drop(statement, old)
                    updated.add(new)
                else:
                    kept.append(statement)
            self.builder.writes[new] = kept
            if not kept:
                rank = len(storage[new].axes)
                storage[new].level, storage[new].bound = (), (None,) * rank
                storage[new].has_register = False
            self.in_place[old] = end
            if storage[old].kind == "scratch":
                storage[old].kind = "shared"
        return updated

    def _changed_array(self, new: str, storage: Mapping[str, Storage]) -> str | None:
        """The array of which another is a changed copy, if nothing reads it afterwards."""
        writes = self.builder.writes[new]
        sources = {a for s in writes if (a := updated_array(s.equation)) is not None}
        if len(sources) != 1:
            return None
        (old,) = sources
        is_copy = all(is_same_part(s.equation, old) for s in writes)
        has_axes = len(storage[new].axes) == len(self.program.types[new].shape) > 0
        if not self._has_memory(old, storage):
            return None
        if not (has_axes if is_copy else self._has_memory(new, storage)):
            return None
        if storage[old].kind != "scratch" and old not in self.carried:
            return None
        if self.program.types[old] != self.program.types[new] or old in self.in_place:
            return None
        is_put = isinstance(writes[0].equation.pattern, Block)
        if not is_put:
            same = [s.equation for s in writes if is_same_part(s.equation, old)]
            is_sum = all(s.equation.operator == "+=" for s in writes)
            shape = self.program.types[new].shape
            has_all = len(same) == 1 and same[0].is_whole and same[0].extents == shape
            if not (has_all if is_sum else self._covers(new, writes)):
                return None
        return old if self._is_done_with(old, writes) else None

    def _has_memory(self, name: str, storage: Mapping[str, Storage]) -> bool:
        """Whether an array lies in memory as a whole, outside of all loops."""
        place = storage[name]
        rank = len(self.program.types[name].shape)
        return rank > 0 and len(place.axes) == rank and not place.has_register and not place.level

    def _is_done_with(self, old: str, writes: Sequence[Statement]) -> bool:
        """Whether all reads of an array come before the first of some writes."""
        first = min(self._top(s) for s in writes)
        for statement, _ in self.builder.reads.get(old, ()):
            is_change = (
                any(statement is s for s in writes)
                and updated_array(statement.equation) is not None
            )
            if is_change and sum(r.array == old for r in statement.equation.reads) == 1:
                continue
            if self._top(statement) >= first:
                return False
        return all(self._top(s) < first for s in self.builder.writes.get(old, ()))

    def _top(self, statement: Statement) -> int:
        """Where the nest of a statement stands."""
        node: Node = statement.path[0] if statement.path else statement
        return self.builder.position[id(node)]

    def _drop(self, statement: Statement, old: str) -> None:
        """Take a statement out of its nest, and loops without a body with it."""
        reads = self.builder.reads
        reads[old] = [(s, r) for s, r in reads[old] if s is not statement]
        node: Node = statement
        for loop in reversed(statement.path):
            loop.body[:] = [n for n in loop.body if n is not node]
            if loop.body:
                return
            node = loop
        self.builder.body[:] = [n for n in self.builder.body if n is not node]

    def _insert(self, body: list[Node]) -> None:
        """Put what starts and stores arrays into their places."""
        result: list[Node] = []
        for node in body:
            result += self._before.get(id(node), [])
            result.append(node)
            result += self._after.get(id(node), [])
            if isinstance(node, Loop):
                self._insert(node.body)
        body[:] = result

    def _place(self, name: str) -> Storage:
        shape, dtype = self.program.types[name]
        writes = [(s, s.equation.target) for s in self.builder.writes[name]]
        reads = [(s, r.indices) for s, r in self.builder.reads.get(name, ())]
        level, bound = self._level(writes, len(shape), shape)
        everything = [*writes, *reads]
        kind = "output" if name in self.outputs else "scratch"
        axes = tuple(range(len(shape)))
        if kind == "scratch":
            _, fixed = self._level(everything, len(shape))
            axes = tuple(a for a in axes if fixed[a] is None)
            if not axes:
                kind = "register"
        has_register = all(loop is not None for loop in bound)
        return Storage(kind, dtype, axes, tuple(shape[a] for a in axes), level, bound, has_register)

    def _level(
        self,
        uses: Sequence[tuple[Statement, Sequence[Index]]],
        rank: int,
        shape: tuple[Extent, ...] | None = None,
    ) -> tuple[tuple[Loop, ...], tuple[Loop | None, ...]]:
        """The outermost loops that fix an axis for all uses, and which axis each fixes.

        With a `shape` they must run over all of the axis: an array is started there.
        """
        bound: list[Loop | None] = [None] * rank
        level: list[Loop] = []
        for loop in _shared([s.path for s, _ in uses]):
            axis = _axis_fixed_by(loop, uses)
            if axis is None or (shape is not None and loop.extent != shape[axis]):
                break
            bound[axis] = loop
            level.append(loop)
        return tuple(level), tuple(bound)

    def _start(self, name: str, storage: Storage, *, is_update: bool) -> None:
        """Add a Fill before the first write, or mark it as the first; store a register at last."""
        writes = self.builder.writes[name]
        if is_update:
            return
        depth = len(storage.level)
        nodes = [s.path[depth] if len(s.path) > depth else s for s in writes]
        position = self.builder.position
        opening = min(nodes, key=lambda node: position[id(node)])
        if self._covers(name, writes):
            for statement in writes:
                statement.is_first = True
        elif isinstance(opening, Statement) and storage.has_register:
            opening.is_first = True
        elif not storage.has_register and (first := self._sets_all(name, nodes, opening)):
            first.is_first = True
        else:
            fill = Fill(name, writes[0].equation.operator)
            self._before.setdefault(id(opening), []).append(fill)
        if storage.has_register and storage.kind != "register":
            closing = max(nodes, key=lambda node: position[id(node)])
            self._after.setdefault(id(closing), []).append(Store(name))

    def _sets_all(self, name: str, nodes: Sequence[Node], opening: Node) -> Statement | None:
        """The write that comes before all others and reaches each element once, if there is one.

        Only of small arrays of a loop's step, since tiles and divided loops begin with a Fill.
        """
        shape = self.program.types[name].shape
        if not self.carried or any(not isinstance(n, int) or n >= MIN_BATCH for n in shape):
            return None
        writes = self.builder.writes[name]
        earliest = [s for s, node in zip(writes, nodes, strict=True) if node is opening]
        if len(earliest) > 1 or isinstance(earliest[0].equation.pattern, Block):
            return None
        equation = earliest[0].equation
        is_all = equation.is_whole and equation.extents == shape
        return earliest[0] if is_all else None

    def _covers(self, name: str, writes: Sequence[Statement]) -> bool:
        """Whether the writes set every element exactly once, so that nothing need be added."""
        if len(writes) == 1 and isinstance(writes[0].equation.pattern, Block):
            lead = self.program.types[name].shape[: len(writes[0].equation.extents)]
            target = [i for i in writes[0].equation.target if not isinstance(i, Whole)]
            return is_plain(target) and writes[0].equation.extents == lead
        if len(writes) == 1 and writes[0].equation.is_whole:
            return writes[0].equation.extents == self.program.types[name].shape
        if any(s.equation.operator != "=" for s in writes):
            return False
        total: Extent = 0
        for statement in writes:
            total = total + product(statement.equation.extents)
        return total == product(self.program.types[name].shape)
