"""Equations placed into loop nests: each joins an earlier one where that is legal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from symdiff.compilation.nests import Loop, Node, Statement, position_of
from symdiff.compilation.ordering import element_loops, element_order, loop_orders
from symdiff.program.affine import Affine
from symdiff.program.equations import Equation, Read
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["Builder"]

MAX_CANDIDATES = 8
SHORT = 8
"""Loops of fewer steps may be scalar."""


class Builder:
    """Builds the tree of loops, equation by equation.

    With `by_element` a nest is for the elements of arrays of one shape: sums stand innermost, and
    an equation joins a nest only with all loops of its target.
    """

    def __init__(
        self,
        program: Program,
        changed: AbstractSet[str],
        rows: Extent | None,
        *,
        by_element: bool = False,
    ) -> None:
        self.program = program
        self.changed = changed
        self.rows = rows
        self.by_element = by_element
        self.n_outer: dict[int, int] = {}
        """For each nest by its place, how many loops of it run over elements."""
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
        orders = self._orders(equation)
        if orders[0]:
            first = max((self._place_of.get(r.array, -1) for r in equation.reads), default=-1)
            if equation.array in self.changed:  # whose first write takes over what was there
                first = max(first, self._place_of.get(equation.array, -1))
            for place, order in itertools.product(self._candidates(equation, first), orders):
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
            self.n_outer[place] = len(element_loops(equation))
        self._note(equation, place)

    def _candidates(self, equation: Equation, first: int) -> list[int]:
        """The places of the nests that an equation may join."""
        if self.by_element:
            n_outer = len(element_loops(equation))
            return [p for p in self._loop_places if p >= first and self.n_outer[p] == n_outer]
        avoided = self._index_places(equation)
        places = self._loop_places[-4 * MAX_CANDIDATES :]
        return [p for p in places if p >= first and p not in avoided][:MAX_CANDIDATES]

    def _orders(self, equation: Equation) -> Sequence[Sequence[int]]:
        if self.by_element:
            return [element_order(equation)]
        return loop_orders(equation, self.program, self.rows)

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
        if self.by_element and depth + 1 < len(element_loops(equation)):
            return False
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
                position_of(there)
                for made, there in zip(statement.equation.target, read.indices, strict=True)
                if (k := position_of(made)) is not None and statement.loops[k] is loop
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
