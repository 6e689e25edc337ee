"""What all threads of a launch do together, as source.

Every thread goes through the same nodes. The iterations of a loop are divided among them; numbers
that no loop computes are computed by each thread for itself; what only one may do, the first does,
and the others wait. A loop over steps (a ``while`` of training) runs in step. Where a thread needs
what others have written, all wait for each other: `Team.wait`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import NamedTuple

from symdiff.compilation.cuda.code import Code, Place, Share
from symdiff.compilation.cuda.long_sums import most_lanes, shared, write_shared
from symdiff.compilation.cuda.parallel import Division, divided, scattered_sums, write_places
from symdiff.compilation.cuda.products import TILES, write_tiles
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.sums import Sum
from symdiff.compilation.cuda.threads import Results, Threads
from symdiff.compilation.cuda.together import FACTORIZATIONS, Elimination, is_together
from symdiff.compilation.cuda.values import Value
from symdiff.compilation.nests import Fill, Loop, Node, Schedule, Statement, Storage, Store, walk
from symdiff.compilation.status import NOT_POSITIVE
from symdiff.program.blocks import Block
from symdiff.program.equations import Operand, Read
from symdiff.program.nested import Loop as LoopBlock
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product

__all__ = ["Team"]


class Access(NamedTuple):
    """The bases that a node reads and writes."""

    reads: frozenset[str]
    writes: frozenset[str]


class Team(Threads):
    """Writes the nodes of a Program for all threads."""

    # memory

    def is_own(self, name: str, storage: Storage) -> bool:
        """Whether an array is a part of each iteration, so that each thread has its own."""
        return len(storage.axes) < len(self.scope.program.types[name].shape)

    def carried_memory(self, name: str, dtype: str, count: Extent) -> Place:
        """Make room for an array that is carried, one for all threads."""
        return self.code.memory(name, dtype, count, is_per_thread=False)

    # nodes

    def node(self, node: Node, group: Sequence[Statement]) -> None:
        """Write one node, after waiting for what it needs."""
        if group:
            self.nested(group)
            return
        access = self._access(node)
        if _is_put(node):  # whose parts wait for themselves
            access = access._replace(writes=frozenset())
        self.await_all(access)
        if isinstance(node, Loop):
            if (division := divided(self.plan, node)) is not None:
                self._divide(division)
            elif (scattered := scattered_sums(self.plan, node)) is not None:
                Owners(self.code, self.scope, scattered).node(node, [])
            else:
                self._alone(node)
        elif isinstance(node, Statement):
            self._statement(node)
        elif isinstance(node, Fill):
            self.fill(node)
        elif isinstance(node, Store) and node.array in self.scope.places:
            with self.first():
                self.store(node)

    def _access(self, node: Node) -> Access:
        """Find the arrays in memory that a node reads and writes."""
        reads: set[str] = set()
        writes: set[str] = set()
        for each in walk([node]):
            if isinstance(each, Statement):
                if not self._is_in_variable(each.equation.array):  # which a Store then writes
                    writes.add(each.equation.array)
                reads.update(r.array for r in each.equation.reads)
            elif isinstance(each, (Fill, Store)):
                writes.add(each.array)
        numbers = {a for a in reads if not self.scope.program.types[a].shape}
        numbers = {a for a in numbers if a in self.scope.registers}
        return Access(self._bases(reads - numbers), self._bases(writes))

    def _is_in_variable(self, array: str) -> bool:
        storage = self.plan.storage[array]
        return storage.has_register or storage.kind == "register"

    def _bases(self, arrays: set[str]) -> frozenset[str]:
        found = (self.scope.places[a].base for a in arrays if a in self.scope.places)
        return frozenset(base for base in found if base not in self.code.fixed)

    def await_all(self, access: Access) -> None:
        """Wait for the others if a node needs, or overwrites, what they still work on."""
        written, read = self.code.written, self.code.read
        if access.reads & written or access.writes & (written | read):
            self.wait()
        self.code.written |= access.writes
        self.code.read |= access.reads

    def wait(self) -> None:
        """Let all threads wait for each other."""
        self.code.add(f"{self.code.barrier}()")
        self.code.waits = self.code.waits + 1
        self.code.written.clear()
        self.code.read.clear()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Write what the first thread alone does."""
        with self.code.block("if me == 0:"):
            yield

    def once(self, line: str) -> None:
        """Write what the first thread does."""
        with self.first():
            self.code.add(line)

    def over(self, variable: str, count: Extent) -> AbstractContextManager[None]:
        """Divide a loop over the elements of an array among the threads."""
        return self.code.block(f"for {variable} in range(me, {self.code.extent(count)}, team):")

    def put_number(self, target: Place, flat: str, text: str) -> None:
        """Let the first thread set an element when all have copied the others."""
        self.await_all(Access(frozenset(), frozenset([target.base]) - self.code.fixed))
        self.once(f"{target.at(flat)} = {text}")

    def copy(self, target: Place, source: Place, count: Extent) -> None:
        """Copy elements, divided among the threads."""
        bases = [frozenset([p.base]) - self.code.fixed for p in (source, target)]
        self.await_all(Access(*bases))
        super().copy(target, source, count)

    def _statement(self, statement: Statement) -> None:
        """Write an equation that no loop is around."""
        equation = statement.equation
        if isinstance(equation.pattern, Block):
            is_shared = equation.pattern.name in (TILES, "product", "put")
            if is_shared or self._is_together(statement):
                self.statement(statement)
            else:
                self._alone(statement)
        elif self._is_in_variable(statement.equation.array):
            self.statement(statement)
        else:
            value = self.value(statement)
            with self.first():
                self.finish(statement, value)

    def product(self, statement: Statement, block: Block) -> None:
        """Multiply matrices, an element by a thread."""
        shape = self.scope.shape(statement.equation.array)[-2:]
        left = statement.equation.operands[0]
        assert isinstance(left, Read)
        terms = self.scope.shape(left.array)[-2 if "left" in block.attributes else -1]
        self.code.divided.append(Share(product(shape), terms))
        super().product(statement, block)

    def block(self, statement: Statement, block: Block) -> Value | None:
        """Write a block; a large product is computed in tiles."""
        if block.name != TILES:
            return super().block(statement, block)
        equation = statement.equation
        (made,) = block.attributes
        left, right = equation.operands
        assert isinstance(left, Read)
        assert isinstance(right, Read)
        target = Read(equation.array, equation.target)
        batch, rows, terms = map(self.scope.extent, made.left.sizes)
        columns = self.scope.extent(made.right.sizes[2])
        self.code.divided.append(Share(product([batch, rows, columns]), terms))
        write_tiles(
            self.code,
            (self.view(target, statement), self.view(left, statement), self.view(right, statement)),
            (batch, rows, terms, columns),
            self.scope.dtype(equation.array),
            (made.left.is_transposed, made.right.is_transposed),
        )
        return None

    def _is_together(self, statement: Statement) -> bool:
        """Whether all threads do a factorization, or solve, together."""
        equation = statement.equation
        assert isinstance(equation.pattern, Block)
        shape = self.scope.shape(equation.array)
        if len(shape) < 2:
            return False
        return is_together(equation.pattern.name, shape[-1], shape[-2])

    def library_block(self, statement: Statement, block: Block) -> Value | None:
        """Factor a matrix, or solve, together."""
        equation = statement.equation
        rows, dtype = self.scope.shape(equation.array)[-1], self.scope.dtype(equation.array)
        place = self.view(Read(equation.array, equation.target), statement)
        if block.name in FACTORIZATIONS:
            (source,) = equation.operands
            assert isinstance(source, Read)
            work = Elimination(self, place, rows, dtype)
            work.begin(self.view(source, statement))
            if block.name == "lu":
                work.lu()
            else:
                work.cholesky(NOT_POSITIVE)
            self.code.written.add(place.base)
            return None
        r = self.code.fresh("r")
        count = self.scope.shape(equation.array)[-2]
        self.code.divided.append(Share(count, rows))
        with self.over(r, count):
            self.solve_row(statement, block, r)
        return None

    def _alone(self, node: Node) -> None:
        """Let the first thread do what cannot be divided, and hand its numbers to the others."""
        if isinstance(node, Loop):
            self.code.n_alone += 1
        boxes = {
            self.scope.registers[name]: self.code.box(name, self.plan.storage[name].dtype)
            for name in self._numbers(node)
        }
        self.await_all(Access(frozenset(), frozenset(box.base for box in boxes.values())))
        with self.first():
            Alone(self.code, self.scope).node(node, [])
            for number, box in boxes.items():
                self.code.add(f"{box.at('0')} = {number}")
        if boxes:
            self.wait()
        for number, box in boxes.items():
            self.code.add(f"{number} = {box.at('0')}")
            self.code.read.add(box.base)

    def _numbers(self, node: Node) -> list[str]:
        """Find the numbers outside of all loops that a node computes."""
        found: dict[str, None] = {}
        for each in walk([node]):
            if isinstance(each, Statement):
                array = each.equation.array
                if self._is_in_variable(array) and not self.plan.storage[array].level:
                    found[array] = None
        return list(found)

    def _divide(self, division: Division) -> None:
        """Divide the iterations of a nest among the threads."""
        code, scope = self.code, self.scope
        count = product(scope.extent(loop.extent) for loop in division.loops)
        lanes = most_lanes(count, is_grid=code.is_grid)
        sharing = shared(scope, division, lanes)
        sums = [self._sum(name, operator) for name, operator in division.sums]
        for each in sums:
            each.start(code)
        inside = replace(scope, places=dict(scope.places), registers=dict(scope.registers))
        for each in sums:
            each.take_place(inside)
        if sharing is not None:
            write_shared(code, inside, division, sharing, lanes)
            code.divided.append(Share(count, self._steps(division.body), lanes))
        else:
            code.divided.append(Share(count, self._steps(division.body)))
            q = code.fresh("q" if len(division.loops) > 1 else "i")
            with self.over(q, count):
                write_places(code, inside, division, q)
                Threads(code, inside).nodes(division.body)
        if sums:
            self._combine(sums)

    def _steps(self, nodes: Sequence[Node]) -> Extent:
        """Count what is computed one after the other, loops of steps as one."""
        total: Extent = 0
        for node in nodes:
            if isinstance(node, Loop):
                total = total + self.scope.extent(node.extent) * self._steps(node.body)
            elif isinstance(node, Statement):
                total = total + 1
        return total

    def _sum(self, name: str, operator: str) -> Sum:
        dtype = self.scope.dtype(name)
        if name in self.scope.registers:
            return Sum(self.code, name, dtype, operator, Place(self.scope.registers[name]), None)
        count = product(self.scope.program.types[name].shape)
        assert isinstance(count, int)
        return Sum(self.code, name, dtype, operator, self.scope.places[name], count)

    def _combine(self, sums: Sequence[Sum]) -> None:
        """Combine what the threads have found, in a fixed order."""
        code = self.code
        if code.is_grid:
            for each in sums:
                each.combine_in_block(code)
            self.wait()
        for each in sums:
            each.combine(code)
            code.written |= each.writes
            if code.is_grid:
                code.read.add(each.parts.base)

    # loops and branches

    def inner_plan(self, program: Program, carried: Mapping[str, str] | None) -> Schedule:
        """Schedule a Program inside, which all threads run too."""
        return self.code.plan(program, carried)

    def nested(self, group: Sequence[Statement]) -> None:
        """Write a loop or a branch that all threads go through in step."""
        self.wait_if_busy()
        super().nested(group)

    def given(self, operand: Operand, rank: int, statement: Statement) -> Value | Place:
        """Give what a loop or a branch takes; an element of an array is read here and now."""
        if not rank and isinstance(operand, Read):
            self.code.read |= self._access(statement).reads & self._bases({operand.array})
        return super().given(operand, rank, statement)

    def part(self) -> None:
        """Wait now, since who waits in lines that are not run has not waited behind them."""
        self.wait_if_busy()

    def finish_result(self, statement: Statement, value: Value) -> None:
        """Put a number to where its equation wants it: memory is the first thread's."""
        if self._is_in_variable(statement.equation.array):
            self.finish(statement, value)
            return
        self.await_all(Access(frozenset(), self._access(statement).writes))
        with self.first():
            self.finish(statement, value)

    def wait_if_busy(self) -> None:
        """Wait for whatever is still going on."""
        if self.code.written or self.code.read:
            self.wait()

    def carry(self, loop: LoopBlock, carried: Sequence[Value | Place]) -> None:
        """Hand on what a step has computed; the next step begins when that is done."""
        super().carry(loop, carried)
        self.wait_if_busy()

    def give(self, numbers: Sequence[int], results: Results) -> None:
        """Run a Program; what comes after it begins when that is done."""
        super().give(numbers, results)
        self.wait_if_busy()

    def copy_output(self, name: str, to: Place) -> None:
        """Copy an output to where it is wanted."""
        if not self.scope.shape(name):
            self.await_all(Access(frozenset(), frozenset([to.base])))
            with self.first():
                super().copy_output(name, to)
        else:
            super().copy_output(name, to)


class Alone(Threads):
    """Writes what one thread does for all."""

    def work(self, name: str, dtype: str, count: Extent) -> Place:
        """Make room for what a function needs, once."""
        return self.code.memory(name, dtype, count, is_per_thread=False)


class Owners(Threads):
    """Writes a nest that every thread goes through, to write to the elements that it owns.

    So sums that are scattered by computed indices are added up in the order of the loop.
    """

    def __init__(self, code: Code, scope: Scope, scattered: AbstractSet[str]) -> None:
        super().__init__(code, scope)
        self.scattered = scattered

    def assign(self, target: Place, flat: str, text: str, array: str) -> None:
        """Write to an element, if the thread owns it."""
        if array not in self.scattered:
            super().assign(target, flat, text, array)
            return
        with self.code.block(f"if ({flat}) % team == me:"):
            super().assign(target, flat, text, array)


def _is_put(node: Node) -> bool:
    pattern = node.equation.pattern if isinstance(node, Statement) else None
    return isinstance(pattern, Block) and pattern.name == "put"
