"""The schedule: equations placed into loop nests, and arrays into memory.

Every target lowers the same `Schedule`. Equations are taken in order; each joins an earlier nest
where that is legal, so that an intermediate array of a fused nest shrinks to a row or to a single
register. A nest is legal for an equation when, for every array it reads that the same nest
produces, the element read is finished in the same iteration.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeAlias

from symdiff.compilation.updates import is_same_part, prepared, updated_array
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Index, Read, Whole, is_plain
from symdiff.program.nested import group_key, group_members, nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product

__all__ = [
    "ROW",
    "Fill",
    "Loop",
    "Node",
    "Pack",
    "Rows",
    "Schedule",
    "Statement",
    "Storage",
    "Store",
    "Tile",
    "Unpack",
    "group_of",
    "is_swapped",
    "rows_of",
    "schedule",
    "walk",
]

MAX_CANDIDATES = 8
SHORT = 8
"""Loops of fewer steps may be scalar."""
ROW = -1
"""The axis of a tile that its rows are; see `symdiff.compilation.tiles`."""


@dataclass(eq=False)
class Loop:
    """A loop from 0 to `extent`; `variable` is its number in the schedule.

    Attributes
    ----------
    tile : Tile or None
        Set where the loop runs over tiles, with `Rows` inside.
    is_unrolled : bool
        Whether the steps are written one after another.
    start : int
        Where the loop begins, for a part of a loop.
    around : tuple or None
        ``(loop, steps)`` for a part that begins at ``steps`` times the iteration of a loop.
    """

    variable: int
    extent: Extent
    body: list[Node] = field(default_factory=list)
    tile: Tile | None = None
    is_unrolled: bool = False
    start: int = 0
    around: tuple[Loop, int] | None = None


@dataclass(eq=False)
class Tile:
    """How the rows of a loop are tiled."""

    size: int
    copies: dict[str, str] = field(default_factory=dict)
    """For arrays whose rows are packed or unpacked, the name of the tile."""


@dataclass(eq=False)
class Rows:
    """A loop over the rows of a tile; `loop` is the loop over all rows."""

    loop: Loop
    body: list[Node]


@dataclass(eq=False)
class Pack:
    """Copy the rows of an array into a tile."""

    array: str
    tile: str


@dataclass(eq=False)
class Unpack:
    """Copy the rows of a tile into its array, or add them to it."""

    array: str
    tile: str
    adds: bool


@dataclass(eq=False)
class Statement:
    """One equation; ``loops[k]`` is the loop that runs its index k.

    ``is_first`` marks the write that starts an array, where others add to it.
    """

    equation: Equation
    loops: tuple[Loop, ...]
    path: tuple[Loop, ...]
    is_first: bool = False


@dataclass(eq=False)
class Fill:
    """Start an array (its part at these loops) from what its operator leaves unchanged."""

    array: str
    operator: str


@dataclass(eq=False)
class Store:
    """Write a register to its place in memory."""

    array: str


Node: TypeAlias = "Loop | Statement | Fill | Store | Rows | Pack | Unpack"


@dataclass(eq=False)
class Storage:
    """Where an array lives.

    Attributes
    ----------
    kind : str
        ``input``, ``constant``, ``output``, ``scratch``, ``register``, ``local`` for a few
        numbers of one row, or ``shared`` for an array in the memory of another.
    axes : tuple of int
        The axes that exist in memory, in the order in which they lie there; the others are fixed
        by the loops around every use. `ROW` is a tile's.
    shape : tuple
        The extents of those axes.
    level : tuple of Loop
        The loops in whose body the array is started.
    bound : tuple
        For each axis the loop of `level` that fixes it, or None.
    has_register : bool
        Whether one element at a time is kept in a register while it is computed.
    """

    kind: str
    dtype: str
    axes: tuple[int, ...]
    shape: tuple[Extent, ...]
    level: tuple[Loop, ...] = ()
    bound: tuple[Loop | None, ...] = ()
    has_register: bool = False


@dataclass(eq=False)
class Schedule:
    """Loop nests and storage of one Program."""

    program: Program
    body: list[Node]
    storage: dict[str, Storage]
    in_place: dict[str, str] = field(default_factory=dict)
    """The arrays that are changed in place, and the array whose memory they have."""
    swapped: frozenset[str] = frozenset()
    """The arrays whose memory changes places from one step of a loop to the next."""
    n_loops: int = 0
    """How many numbers of loops are taken."""

    def new_variable(self) -> int:
        """Take a number for a new loop."""
        self.n_loops += 1
        return self.n_loops - 1

    @property
    def scratch(self) -> list[str]:
        """The arrays that need memory of their own during a call."""
        return [name for name, s in self.storage.items() if s.kind == "scratch"]

    @property
    def has_loops(self) -> bool:
        """Whether there is anything but straight-line code."""
        return any(isinstance(node, Loop) for node in self.body)


def schedule(
    program: Program, carried: Mapping[str, str] | None = None, rows: Extent | None = None
) -> Schedule:
    """Place the equations of an optimised Program.

    Parameters
    ----------
    carried : Mapping, optional
        For inputs that nobody needs afterwards: the outputs that may take over their memory.
    rows : size, optional
        The size of the batch, if the Program is one; found by `rows_of` otherwise.
    """
    program, changed = prepared(program, carried or {})
    builder = _Builder(program, changed, rows or rows_of(program))
    for equation in grouped(numbers_first(program.equations, changed)):
        builder.place(equation)
    placement = _Placement(program, builder, carried or {})
    storage = placement.storage()
    pairs = (carried or {}).items()
    swapped = frozenset(a for pair in pairs for a in pair if is_swapped(program.types[a]))
    n_loops = builder.n_loops
    return Schedule(program, builder.body, storage, placement.in_place, swapped, n_loops)


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Give all nodes, those within others included."""
    for node in nodes:
        yield node
        if isinstance(node, (Loop, Rows)):
            yield from walk(node.body)


MAX_COPIED = 128
"""Elements up to which a carried array is copied back after a step."""


def group_of(nodes: Sequence[Node], first: Statement) -> list[Statement]:
    """The statements of a body that are results of the same loop, branch or run."""
    key = group_key(first.equation)
    return [
        node
        for node in nodes
        if isinstance(node, Statement)
        and nested_of(node.equation.pattern) is not None
        and group_key(node.equation) == key
        and node.loops == first.loops
    ]


def is_swapped(array_type: ArrayType) -> bool:
    """Whether a carried array changes places between two buffers, since a copy would take long.

    What is copied is in memory of its own, of which targets know that no other array is there.
    """
    count = product(array_type.shape)
    return not isinstance(count, int) or count > MAX_COPIED


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


MIN_BATCH = 128
"""An axis of known length is taken for that of a batch if it is at least so long."""
MAX_IN_ROW = 256
"""Elements that a row of an array may have where rows are to lie side by side."""


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
        in_target = {_position_of(i) for i in equation.target}
        ends = bool(mine) and not any(k in in_target for k in mine)
        ready[equation.array] = max(ready.get(equation.array, 0), phase + ends)
        last = max(last, phase if mine else 0)
    return last + 1


def _position_of(index: Index) -> int | None:
    """The loop index that an axis is, when it is nothing else."""
    return index.single if isinstance(index, Affine) else None


class _Builder:
    """Builds the tree of loops, equation by equation."""

    def __init__(self, program: Program, changed: AbstractSet[str], rows: Extent | None) -> None:
        self.program = program
        self.changed = changed
        self.rows = rows
        self.body: list[Node] = []
        self.writes: dict[str, list[Statement]] = {}
        self.reads: dict[str, list[tuple[Statement, Read]]] = {}
        self.position: dict[int, int] = {}
        self._place_of: dict[str, int] = {}
        self._loop_places: list[int] = []
        self.n_loops = 0

    def new_loop(self, extent: Extent) -> Loop:
        """Number a new loop."""
        self.n_loops += 1
        return Loop(self.n_loops - 1, extent)

    def _index_places(self, equation: Equation) -> set[int]:
        """Where the indices are computed by which an equation gathers rows.

        Such a loop is SIMD as long as there is no loop over a row within it.
        """
        if len(equation.extents) < 2:
            return set()
        return {
            self._place_of[i.array]
            for read in equation.operands
            if isinstance(read, Read)
            for i in read.indices
            if isinstance(i, Read) and i.indices and i.array in self._place_of
        }

    def place(self, equation: Equation) -> None:
        """Put an equation into a nest that exists, or into a new one behind all others."""
        orders = loop_orders(equation, self.program, self.rows)
        if orders[0]:
            first = max((self._place_of.get(r.array, -1) for r in equation.reads), default=-1)
            if equation.array in self.changed:  # whose first write takes over what was there
                first = max(first, self._place_of.get(equation.array, -1))
            avoided = self._index_places(equation)
            candidates = [
                p
                for p in self._loop_places[-4 * MAX_CANDIDATES :]
                if p >= first and p not in avoided
            ]
            for place, order in itertools.product(candidates[:MAX_CANDIDATES], orders):
                node = self.body[place]
                assert isinstance(node, Loop)
                if node.extent == equation.extents[order[0]]:
                    loops: dict[int, Loop] = {}
                    if self._fuse(node, equation, order, 0, loops, (node,)):
                        self._note(equation, place)
                        return
        order = orders[0]
        self._append(self.body, equation, order, 0, {}, ())
        place = len(self.body) - 1
        if isinstance(self.body[place], Loop):
            self._loop_places.append(place)
        self._note(equation, place)

    def _note(self, equation: Equation, place: int) -> None:
        name = equation.array
        self._place_of[name] = max(place, self._place_of.get(name, -1))

    def _fuse(
        self,
        loop: Loop,
        equation: Equation,
        order: Sequence[int],
        depth: int,
        loops: dict[int, Loop],
        path: tuple[Loop, ...],
    ) -> bool:
        """Try to put an equation into a loop at `depth` of its own loops."""
        number = order[depth]
        if not self._is_pointwise(loop, equation, number, len(path) - 1):
            return False
        loops[number] = loop
        if depth + 1 == len(order):
            if self._carries_on(loop, equation, number):
                return False
            self._append(loop.body, equation, order, depth + 1, loops, path)
            return True
        first = self._last_producer(loop, equation, len(path))
        for node in loop.body[max(first, 0) :]:
            if not isinstance(node, Loop) or node.extent != equation.extents[order[depth + 1]]:
                continue
            if self._fuse(node, equation, order, depth + 1, loops, (*path, node)):
                return True
        self._append(loop.body, equation, order, depth + 1, loops, path)
        return True

    def _producers(
        self, loop: Loop, equation: Equation, level: int
    ) -> Iterator[tuple[Read, Statement]]:
        for read in equation.reads:
            for statement in self.writes.get(read.array, ()):
                if len(statement.path) > level and statement.path[level] is loop:
                    yield read, statement

    def _is_pointwise(self, loop: Loop, equation: Equation, number: int, level: int) -> bool:
        """Whether what is read of this loop's own products is of the same iteration."""
        for read, statement in self._producers(loop, equation, level):
            wanted = [
                _position_of(there)
                for made, there in zip(statement.equation.target, read.indices, strict=True)
                if (k := _position_of(made)) is not None and statement.loops[k] is loop
            ]
            # Every axis that the loop runs: of d[i, i] only d[i, i] is finished at i, not d[j, i].
            if not wanted or any(k != number for k in wanted):
                return False
        return True

    def _carries_on(self, loop: Loop, equation: Equation, number: int) -> bool:
        """Whether a step would add to an element that another statement adds to in another step.

        Then each step would wait for the one before, and LLVM leave the loop scalar.
        """
        if isinstance(loop.extent, int) and loop.extent < SHORT:
            return False
        for statement in self.writes.get(equation.array, ()):
            if loop not in statement.loops:
                continue
            other = statement.loops.index(loop)
            for mine, theirs in zip(equation.target, statement.equation.target, strict=True):
                if not (isinstance(mine, Affine) and isinstance(theirs, Affine)):
                    continue
                is_along = number in dict(mine.terms) and other in dict(theirs.terms)
                if is_along and mine.offset != theirs.offset:
                    return True
        return False

    def _last_producer(self, loop: Loop, equation: Equation, level: int) -> int:
        """The last place in a loop's body that makes something the equation reads."""
        last = -1
        for _, statement in self._producers(loop, equation, level - 1):
            node = statement.path[level] if len(statement.path) > level else statement
            last = max(last, self.position[id(node)])
        return last

    def _append(
        self,
        body: list[Node],
        equation: Equation,
        order: Sequence[int],
        depth: int,
        loops: dict[int, Loop],
        path: tuple[Loop, ...],
    ) -> None:
        """Add the remaining loops of an equation, and it, at the end of a body."""
        for number in order[depth:]:
            loop = self.new_loop(equation.extents[number])
            self.position[id(loop)] = len(body)
            body.append(loop)
            loops[number] = loop
            path = (*path, loop)
            body = loop.body
        statement = Statement(equation, tuple(loops[k] for k in range(len(order))), path)
        self.position[id(statement)] = len(body)
        body.append(statement)
        self.writes.setdefault(equation.array, []).append(statement)
        for read in equation.reads:
            self.reads.setdefault(read.array, []).append((statement, read))


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
            k = _position_of(indices[axis])
            if k is None or statement.loops[k] is not loop:
                break
        else:
            return axis
    return None


class _Placement:
    """Chooses storage, and adds what starts and stores the arrays to the nests."""

    def __init__(self, program: Program, builder: _Builder, carried: Mapping[str, str]) -> None:
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
