"""Tiles: a batch's rows, some dozens at a time, with the row as the innermost loop.

Where the iterations of an outermost loop do not depend on each other, its statements may as well
be run one after the other for a tile of rows each. The row is then the innermost loop, every array
of the nest has it as its last axis, and what is left inside of it is straight-line code (short
loops are unrolled): the loop is SIMD whatever the program's own axes are::

    for i < n:                      for each tile of rows i:
        t = 0                           pack x, so that its rows lie side by side
        for j < 3:                      for each row:
            t += x[i, j] ** 2    ->         t = x[i, 0] ** 2 + x[i, 1] ** 2 + x[i, 2] ** 2
        for k < m:                      for k < m:
            y[k] += exp(-t * z[k])          for each row:
                                                y[k] += exp(-t * z[k])

Sums over rows become sums within a tile, and over tiles in order. What a nest needs of memory is a
tile's, not the batch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from symdiff.compilation.nests import (
    ROW,
    Fill,
    Loop,
    Node,
    Pack,
    Rows,
    Schedule,
    Statement,
    Storage,
    Store,
    Tile,
    Unpack,
    walk,
)
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import Index, Read

__all__ = ["is_row_of", "tile"]

ROW_BYTES = 512
"""Bytes of the elements that lie side by side in a tile, one a row."""
MIN_ROWS = 32
"""Shorter loops of a known length are left as they are."""
MIN_LANES = 8
"""Steps from which on an inner loop may as well be SIMD itself, if it adds nothing up."""
MAX_PACKED = 256
"""Elements a row of an array may have to be packed."""
MAX_UNROLLED = 24
"""Steps of a loop that is unrolled within a row."""
MAX_WEIGHT = 256
"""Statements to which a loop may be unrolled."""
MAX_BODY = 192
"""Statements of straight-line code in one loop over rows."""
REGISTER_WEIGHT = 4
"""Statements as which a register counts that is taken for all of a loop over rows."""
CHUNK = 8
"""Steps of a long loop that are done within a row at a time."""


def tile(schedule: Schedule) -> Schedule:
    """Tile the nests of a schedule for which it pays; the schedule itself is changed."""
    places: dict[str, list[tuple[Statement, Sequence[Index]]]] = {}
    for node in walk(schedule.body):
        if isinstance(node, Statement):
            for array, indices in _places(node):
                places.setdefault(array, []).append((node, indices))
    for node in schedule.body:
        if isinstance(node, Loop):
            nest = _Nest(schedule, node, places)
            if nest.is_worthwhile():
                nest.rewrite()
    return schedule


def is_row_of(loop: Loop, indices: Sequence[Index], statement: Statement) -> bool:
    """Whether a place is in the row that a loop is at.

    Also used by targets, to find out which accesses go to a tile.
    """
    if not indices or not _is_loop(indices[0], loop, statement):
        return False
    return not any(isinstance(i, Affine) and _mentions(i, loop, statement) for i in indices[1:])


def _is_loop(index: Index, loop: Loop, statement: Statement) -> bool:
    if not isinstance(index, Affine) or index.single is None:
        return False
    return statement.loops[index.single] is loop


def _mentions(index: Index, loop: Loop, statement: Statement) -> bool:
    if isinstance(index, Affine):
        return any(statement.loops[k] is loop for k, _ in index.terms)
    if isinstance(index, Read):
        return any(_mentions(i, loop, statement) for i in index.indices)
    return False


def _places(statement: Statement) -> Iterator[tuple[str, Sequence[Index]]]:
    """Every array that a statement reads or writes, and where."""
    yield statement.equation.array, statement.equation.target
    for read in statement.equation.reads:
        yield read.array, read.indices


class _Nest:
    """One nest of loops that may be tiled."""

    def __init__(
        self,
        schedule: Schedule,
        loop: Loop,
        places: dict[str, list[tuple[Statement, Sequence[Index]]]],
    ) -> None:
        self.schedule = schedule
        self.places = places
        self.storage = schedule.storage
        self.loop = loop
        self.inside = list(walk(loop.body))
        self.statements = [n for n in self.inside if isinstance(n, Statement)]
        self.arrays = {a: None for s in self.statements for a, _ in _places(s)}
        self.written = {s.equation.array for s in self.statements}
        self.local = {a for a in self.arrays if self._is_local(a)}
        dtypes = {self.storage[a].dtype for a in self.arrays}
        self.rows = ROW_BYTES // (8 if "float64" in dtypes else 4)

    def _is_local(self, array: str) -> bool:
        """Whether each row of the nest has an element, or a part, of an array for itself."""
        storage = self.storage[array]
        rank = len(self.schedule.program.types[array].shape)
        return storage.kind in ("scratch", "register") and len(storage.axes) < rank

    # whether

    def is_worthwhile(self) -> bool:
        """Whether there are loops inside, and rows may lie side by side."""
        if isinstance(self.loop.extent, int) and self.loop.extent < MIN_ROWS:
            return False
        loops = [n for n in self.inside if isinstance(n, Loop)]
        if not any(self._is_short(n) for n in loops) and not any(map(_sums, self.statements)):
            return False
        if any(
            isinstance(n.extent, int) and n.extent > MAX_PACKED and n.extent != self.loop.extent
            for n in loops
        ):
            return False
        if any(self._is_whole_block(s) or self._is_changed(s) for s in self.statements):
            return False
        return all(
            self._has_good_place(array, indices, statement)
            for statement in self.statements
            for array, indices in _places(statement)
        )

    def _is_short(self, loop: Loop) -> bool:
        """Whether a loop is too short to be SIMD itself."""
        return isinstance(loop.extent, int) and 1 < loop.extent < MIN_LANES

    def _is_whole_block(self, statement: Statement) -> bool:
        block = statement.equation.pattern
        return isinstance(block, Block) and (block.rank > 0 or any(block.ranks))

    def _is_changed(self, statement: Statement) -> bool:
        """Whether something is changed in place."""
        in_place = self.schedule.in_place
        return any(a in in_place or a in in_place.values() for a, _ in _places(statement))

    def _has_good_place(self, array: str, indices: Sequence[Index], statement: Statement) -> bool:
        if array in self.local or not any(_mentions(i, self.loop, statement) for i in indices):
            return True
        if len(indices) > 1 and is_row_of(self.loop, indices, statement):
            return self._can_turn(array) or self._is_packable(array) or self._is_of_pairs(array)
        if any(isinstance(i, Read) for i in indices):
            return True
        # Along the last axis rows lie side by side.
        return not any(_mentions(i, self.loop, statement) for i in indices[:-1])

    def _is_packable(self, array: str) -> bool:
        count = 1
        for extent in self.schedule.program.types[array].shape[1:]:
            if not isinstance(extent, int):
                return False
            count *= extent
        return count <= MAX_PACKED

    def _is_of_pairs(self, array: str) -> bool:
        """Whether an array that is only read has a number for each pair of rows."""
        shape = self.schedule.program.types[array].shape
        return shape == (self.loop.extent,) * 2 and array not in self.written

    def _can_turn(self, array: str) -> bool:
        """Whether an array of ours may have its rows as the last axis in memory."""
        storage = self.storage[array]
        if storage.kind != "scratch" or array in self.local or array in self.schedule.in_place:
            return False
        return all(
            s.path
            and is_row_of(s.path[0], indices, s)
            and not isinstance(s.equation.pattern, Block)
            for s, indices in self.places.get(array, ())
        )

    # how

    def rewrite(self) -> None:
        """Tile the nest."""
        loop = self.loop
        loop.tile = Tile(self.rows)
        body = self._distributed(loop.body)
        head, tail = self._copies()
        loop.body = [*head, *body, *tail]
        self._place_locals()
        loop.body = _without_stores(loop.body, self.storage)

    def _distributed(self, nodes: Sequence[Node]) -> list[Node]:
        """Give each run of statements, and of loops that are short, a loop over rows."""
        result: list[Node] = []
        group: list[Node] = []
        weight = 0
        for node in nodes:
            size = self._weight(node)
            if size == 0:
                continue
            if size is not None and not _stands_alone(node):
                if weight + size > MAX_BODY and group:
                    result.append(Rows(self.loop, group))
                    group, weight = [], 0
                group.append(node)
                weight += size
                continue
            if group:
                result.append(Rows(self.loop, group))
                group, weight = [], 0
            if isinstance(node, Loop):
                result += self._kept(node)
            elif isinstance(node, Fill):
                result.append(node)
            else:
                result.append(Rows(self.loop, [node]))
        if group:
            result.append(Rows(self.loop, group))
        for rows in result:
            if isinstance(rows, Rows):
                _unroll(rows.body)
        return result

    def _kept(self, loop: Loop) -> list[Node]:
        """Keep a loop around loops over rows; some of its steps at a time, if they are small."""
        sizes = [None if _stands_alone(n) else self._weight(n) for n in loop.body]
        weight = sum(size or MAX_WEIGHT for size in sizes)
        steps = min(CHUNK, MAX_WEIGHT // weight)
        extent = loop.extent
        if not isinstance(extent, int) or None in sizes or steps < 2 or extent < steps:
            loop.body = self._distributed(loop.body)
            return [loop]
        steps = next((n for n in range(steps, steps // 2, -1) if extent % n == 0), steps)
        count, rest = divmod(extent, steps)
        around = Loop(self.schedule.new_variable(), count)
        part = replace(loop, extent=steps, around=(around, steps))
        around.body = [Rows(self.loop, [part])]
        found: list[Node] = [around]
        if rest:
            found.append(Rows(self.loop, [replace(loop, extent=rest, start=count * steps)]))
        for node in walk(found):
            if isinstance(node, Rows):
                _unroll(node.body)
        return found

    def _weight(self, node: Node) -> int | None:
        """How many statements a node is when unrolled; None if it is too much."""
        if isinstance(node, Fill):
            return self._fill_weight(node)
        if isinstance(node, Statement):
            return 1 + REGISTER_WEIGHT * self._n_kept(node)
        if not isinstance(node, Loop):
            return 1
        if node.extent == 0:
            return 0
        if not isinstance(node.extent, int) or node.extent > MAX_UNROLLED:
            return None
        total = 0
        for inner in node.body:
            weight = None if _stands_alone(inner) else self._weight(inner)
            if weight is None:
                return None
            total += weight * node.extent
        return total if total <= MAX_WEIGHT else None

    def _n_kept(self, statement: Statement) -> int:
        """How many registers a statement takes for all of a loop over rows.

        Those are for what is the same in every row, and for a sum over rows.
        """
        places = [
            (a, indices)
            for a, indices in _places(statement)
            if a not in self.local and self.schedule.program.types[a].shape
        ]
        return sum(
            not any(_mentions(i, self.loop, statement) for i in indices) for _, indices in places
        )

    def _fill_weight(self, fill: Fill) -> int | None:
        storage = self.storage[fill.array]
        count = 1
        for axis, extent in zip(storage.axes, storage.shape, strict=True):
            if storage.bound[axis] is None:
                if not isinstance(extent, int):
                    return None
                count *= extent
        return count if count <= MAX_WEIGHT else None

    # memory

    def _copies(self) -> tuple[list[Node], list[Node]]:
        """Pack and unpack the arrays of the nest whose rows do not lie side by side."""
        head: list[Node] = []
        tail: list[Node] = []
        for array in self.arrays:
            if array in self.local or not self._has_rows(array) or self._is_left(array):
                continue
            if self._can_turn(array):
                storage = self.storage[array]
                if storage.axes[0] == 0:
                    storage.axes = (*storage.axes[1:], 0)
                    storage.shape = (*storage.shape[1:], storage.shape[0])
                continue
            level = self.storage[array].level
            if array not in self.written:
                head.append(Pack(array, self._copy(array)))
            elif level and level[0] is self.loop:
                tail.append(Unpack(array, self._copy(array), adds=False))
            elif self._is_summed_only(array):
                name = self._copy(array)
                head.append(Fill(name, "+="))
                tail.append(Unpack(array, name, adds=True))
        return head, tail

    def _has_rows(self, array: str) -> bool:
        """Whether an array of at least two axes is read or written row by row."""
        if len(self.schedule.program.types[array].shape) < 2:
            return False
        return any(
            is_row_of(self.loop, indices, s)
            for s in self.statements
            for a, indices in _places(s)
            if a == array
        )

    def _is_left(self, array: str) -> bool:
        """Whether an array is read where it is, since its rows are too long for a tile."""
        return self._is_of_pairs(array) and not self._is_packable(array)

    def _is_summed_only(self, array: str) -> bool:
        writes = [s.equation for s in self.statements if s.equation.array == array]
        is_read = any(array in _read_arrays(s.equation) for s in self.statements)
        return not is_read and all(e.operator == "+=" for e in writes)

    def _copy(self, array: str) -> str:
        """Take memory for a tile of an array."""
        assert isinstance(self.loop.tile, Tile)
        shape, dtype = self.schedule.program.types[array]
        name = f"{array}@{self.loop.variable}"
        axes = (*range(1, len(shape)), ROW)
        bound = tuple(self.storage[array].bound) or (None,) * len(shape)
        self.storage[name] = Storage("scratch", dtype, axes, (*shape[1:], self.rows), bound=bound)
        self.loop.tile.copies[array] = name
        return name

    def _place_locals(self) -> None:
        """Let what more than one loop over rows uses have a place for each row."""
        users: dict[str, set[int]] = {}
        of_registers: dict[str, set[int]] = {}
        moving: set[str] = set()
        for node in self.loop.body:
            self._note_users(node, None, (), users, of_registers, moving)
        for array, storage in self.storage.items():
            if array not in users:
                continue
            is_inside = bool(storage.level) and storage.level[0] is self.loop
            if storage.has_register and is_inside and len(of_registers.get(array, ())) > 1:
                storage.has_register = False
                if storage.kind == "register":
                    storage.kind = "scratch"
            if array not in self.local or storage.kind == "register":
                continue
            if len(users[array]) == 1 and array not in moving:
                storage.kind = "local"
            else:
                storage.axes = (*storage.axes, ROW)
                storage.shape = (*storage.shape, self.rows)

    def _note_users(
        self,
        node: Node,
        rows: Rows | None,
        unrolled: tuple[int, ...],
        users: dict[str, set[int]],
        of_registers: dict[str, set[int]],
        moving: set[str],
    ) -> None:
        """Note which loops over rows use an array, and whether at places that are not constant."""
        if isinstance(node, Rows):
            for inner in node.body:
                self._note_users(inner, node, (), users, of_registers, moving)
        elif isinstance(node, Loop):
            known = (*unrolled, node.variable) if rows is not None and node.around is None else ()
            for inner in node.body:
                self._note_users(inner, rows, known if rows else (), users, of_registers, moving)
        elif isinstance(node, (Fill, Store)):
            place = id(node if rows is None else rows)
            users.setdefault(node.array, set()).add(place)
            of_registers.setdefault(node.array, set()).add(place)
        elif isinstance(node, Statement):
            place = id(rows)
            of_registers.setdefault(node.equation.array, set()).add(place)
            for array, indices in _places(node):
                users.setdefault(array, set()).add(place)
                if array in self.written and self._is_in_register(array, indices, node):
                    of_registers.setdefault(array, set()).add(place)
                axes = self.storage[array].axes
                if not all(_is_known(indices[a], node, unrolled) for a in axes if a != ROW):
                    moving.add(array)

    def _is_in_register(self, array: str, indices: Sequence[Index], statement: Statement) -> bool:
        storage = self.storage[array]
        return storage.has_register and all(
            loop is not None and _is_loop(i, loop, statement)
            for i, loop in zip(indices, storage.bound, strict=True)
        )


def _sums(statement: Statement) -> bool:
    """Whether a statement adds up along a loop inside of a row."""
    inner = statement.path[1:]
    target = [i.single for i in statement.equation.target if isinstance(i, Affine)]
    shown = [statement.loops[k] for k in target if k is not None]
    return any(loop not in shown for loop in inner)


def _read_arrays(equation: object) -> list[str]:
    return [r.array for r in equation.reads]  # type: ignore[attr-defined]


def _is_known(index: Index, statement: Statement, unrolled: Sequence[int]) -> bool:
    """Whether an index is a constant once loops are unrolled."""
    if not isinstance(index, Affine):
        return False
    return isinstance(index.offset, int) and all(
        isinstance(c, int) and statement.loops[k].variable in unrolled for k, c in index.terms
    )


def _stands_alone(node: Node) -> bool:
    """Whether a node would keep a loop over rows from being SIMD."""
    if not isinstance(node, Statement):
        return False
    equation = node.equation
    return isinstance(equation.pattern, Block) or any(isinstance(i, Read) for i in equation.target)


def _unroll(nodes: Sequence[Node]) -> None:
    for node in walk(nodes):
        if isinstance(node, Loop):
            node.is_unrolled = True


def _without_stores(nodes: Sequence[Node], storage: dict[str, Storage]) -> list[Node]:
    """Leave out what stores registers that are none any more."""
    result: list[Node] = []
    for node in nodes:
        if isinstance(node, Store) and not storage[node.array].has_register:
            continue
        if isinstance(node, (Loop, Rows)):
            node.body = _without_stores(node.body, storage)
            if not node.body:
                continue
        result.append(node)
    return result
