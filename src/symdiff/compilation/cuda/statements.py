"""What one thread does with the equations of a Program, as source: all but loops of steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack

import numpy as np

from symdiff.compilation.compositions import COMBINE
from symdiff.compilation.cuda.code import Place
from symdiff.compilation.cuda.library import BLOCKS
from symdiff.compilation.cuda.operations import STEPS, start_value
from symdiff.compilation.cuda.primitives import primitive_of
from symdiff.compilation.cuda.reading import Reader, missing
from symdiff.compilation.cuda.values import Value, constant, convert
from symdiff.compilation.nests import (
    Fill,
    Loop,
    Node,
    Statement,
    Storage,
    Store,
    group_of,
)
from symdiff.compilation.status import NOT_CONVERGED, NOT_POSITIVE, SINGULAR
from symdiff.errors import UnsupportedOperationError
from symdiff.program.blocks import Block
from symdiff.program.equations import Read
from symdiff.program.nested import nested_of
from symdiff.program.sizes import Extent, product

__all__ = ["Statements"]


class Statements(Reader):
    """Writes the nodes of a schedule, one after the other."""

    # memory

    def make_room(self) -> None:
        """Give a place or a variable to every array that is computed and has none."""
        for old, end in self.plan.in_place.items():
            if old in self.scope.places:  # which was carried here
                self.scope.places[end] = self.scope.places[old]
        for name, storage in self.plan.storage.items():
            if storage.kind in ("input", "constant"):
                continue
            if storage.has_register or storage.kind == "register":
                self.scope.registers.setdefault(name, self.code.fresh(name))
            if name in self.scope.places or name in self.plan.in_place:
                continue
            if storage.kind == "scratch" or (storage.kind == "output" and storage.shape):
                self.scope.places[name] = self._room(name, storage)
        for old, end in self.plan.in_place.items():
            if end in self.scope.places:
                self.scope.places[old] = self.scope.places[end]

    def _room(self, name: str, storage: Storage) -> Place:
        count = product(self.scope.extent(e) for e in storage.shape)
        is_own = self.is_own(name, storage)
        return self.code.memory(
            name,
            storage.dtype,
            count,
            is_per_thread=is_own,
            may_be_number=name not in self.scope.given_to_functions,
        )

    def is_own(self, name: str, storage: Storage) -> bool:
        """Whether each thread has an array for itself."""
        del name, storage
        return True

    # nodes

    def nodes(self, nodes: Sequence[Node]) -> None:
        """Write nodes, in order."""
        done: set[int] = set()
        for node in nodes:
            if id(node) in done:
                continue
            group = self.group(nodes, node)
            done.update(id(n) for n in group)
            self.node(node, group)

    def group(self, nodes: Sequence[Node], node: Node) -> list[Statement]:
        """Give the statements that are results of the same loop or branch as a node."""
        if isinstance(node, Statement) and nested_of(node.equation.pattern) is not None:
            return group_of(nodes, node)
        return []

    def node(self, node: Node, group: Sequence[Statement]) -> None:
        """Write one node; `group` is the loop or branch that it is a result of."""
        if group:
            self.nested(group)
        elif isinstance(node, Loop):
            if node.extent == 1:
                self.scope.loops[node.variable] = "0"
                self.nodes(node.body)
                return
            name = self.scope.loops[node.variable] = self.code.fresh("i")
            extent = self.code.extent(self.scope.extent(node.extent))
            with self.code.block(f"for {name} in range({extent}):"):
                self.nodes(node.body)
        elif isinstance(node, Statement):
            self.statement(node)
        elif isinstance(node, Fill):
            self.fill(node)
        else:
            assert isinstance(node, Store)
            self.store(node)

    def statement(self, statement: Statement) -> None:
        """Write one equation."""
        equation = statement.equation
        if isinstance(equation.pattern, Block):
            value = self.block(statement, equation.pattern)
        else:
            value = self.value(statement)
        if value is not None:
            self.finish(statement, value)

    def finish(self, statement: Statement, value: Value) -> None:
        """Put a value to where its equation wants it."""
        equation = statement.equation
        storage = self.plan.storage[equation.array]
        value = convert(self.code, value, storage.dtype)
        is_start = statement.is_first or equation.operator == "="
        combine = STEPS[COMBINE[equation.operator]]
        if storage.has_register or storage.kind == "register":
            target = self.scope.registers[equation.array]
            if not is_start:
                value = combine(self.code, storage.dtype, [Value(target, storage.dtype), value])
            self.code.add(f"{target} = {value.text}")
            return
        flat = self.flat(equation.array, equation.target, statement)
        place = self.scope.places[equation.array]
        if not is_start:
            value = combine(self.code, storage.dtype, [Value(place.at(flat), storage.dtype), value])
        self.assign(place, flat, value.text, equation.array)

    def assign(self, target: Place, flat: str, text: str, array: str) -> None:
        """Write to an element of an array."""
        del array
        self.code.add(f"{target.at(flat)} = {text}")

    def finish_result(self, statement: Statement, value: Value) -> None:
        """Put a number that a loop or branch has given to where its equation wants it."""
        self.finish(statement, value)

    def fill(self, fill: Fill) -> None:
        """Start an array."""
        storage = self.plan.storage[fill.array]
        value = start_value(self.code, fill.operator, storage.dtype).text
        if storage.has_register or storage.kind == "register":
            self.code.add(f"{self.scope.registers[fill.array]} = {value}")
            return
        bound = [storage.bound[axis] for axis in storage.axes]
        place = self.scope.places[fill.array]
        shape = [self.scope.extent(e) for e in storage.shape]
        if not any(bound):
            self._fill_all(place, product(shape), value)
            return
        if place.is_number:
            self.code.add(f"{place.base} = {value}")
            return
        flat = ""
        with ExitStack() as loops:
            for loop, extent in zip(bound, shape, strict=True):
                if loop is None:
                    k = self.code.fresh("k")
                    loops.enter_context(
                        self.code.block(f"for {k} in range({self.code.extent(extent)}):")
                    )
                else:
                    k = self.scope.loops[loop.variable]
                flat = self.further(flat, extent, k)
            self.code.add(f"{place.at(flat)} = {value}")

    def _fill_all(self, place: Place, count: Extent, value: str) -> None:
        if count == 1:
            self.once(f"{place.at('0')} = {value}")
            return
        k = self.code.fresh("k")
        with self.over(k, count):
            self.code.add(f"{place.at(k)} = {value}")

    def over(self, variable: str, count: Extent) -> AbstractContextManager[None]:
        """Write a loop over the elements of an array."""
        return self.code.block(f"for {variable} in range({self.code.extent(count)}):")

    def store(self, store: Store) -> None:
        """Write a register to memory."""
        storage = self.plan.storage[store.array]
        if store.array not in self.scope.places:
            return
        flat = ""
        for axis, extent in zip(storage.axes, storage.shape, strict=True):
            loop = storage.bound[axis]
            assert loop is not None
            flat = self.further(flat, self.scope.extent(extent), self.scope.loops[loop.variable])
        element = self.scope.places[store.array].at(flat or "0")
        self.code.add(f"{element} = {self.scope.registers[store.array]}")

    def nested(self, group: Sequence[Statement]) -> None:
        """Write a loop or a branch, for all of its results that are wanted."""
        raise NotImplementedError

    # blocks

    def block(self, statement: Statement, block: Block) -> Value | None:
        """Call the function of a block; give its result where that is a number."""
        equation = statement.equation
        if block.name == "put":
            self._put(statement, block)
            return None
        if block.name == "product":
            self.product(statement, block)
            return None
        if (own := primitive_of(block)) is not None:
            given = ", ".join(self.operand(o, statement).text for o in equation.operands)
            called = self.code.function(block.name, own.function)
            dtype = self.scope.dtype(equation.array)
            return Value(f"{self.code.need(dtype)}({called}({given}))", dtype)
        if block.name not in BLOCKS:
            raise UnsupportedOperationError(missing(block.label, equation))
        return self.library_block(statement, block)

    def library_block(self, statement: Statement, block: Block) -> Value | None:
        """Call one of the library's."""
        dtype = self.scope.dtype(statement.equation.array)
        arguments = self._arguments(statement, block)
        called = self.code.need(block.name)
        if not block.rank:
            text = f"{called}({', '.join(arguments)})"
            return convert(self.code, Value(text, "int64"), dtype)
        equation = statement.equation
        place = self.view(Read(equation.array, equation.target), statement)
        target = self.begin(place, dtype, is_target=True)
        self._call(block, [*target, *arguments])
        if place.is_number:
            self.code.add(f"{place.base} = {target[0]}[0]")
        return None

    def _call(self, block: Block, arguments: Sequence[str]) -> None:
        """Call a function that gives a status."""
        status = self.code.fresh("failed")
        self.code.add(f"{status} = {self.code.need(block.name)}({', '.join(arguments)})")
        if block.name in _FAILING:
            with self.code.block(f"if {status} != 0:"):
                self.note(_FAILING[block.name])

    def solve_row(self, statement: Statement, block: Block, row: str) -> None:
        """Solve for one of the right-hand sides."""
        equation = statement.equation
        matrix, sides = equation.operands
        assert isinstance(matrix, Read)
        assert isinstance(sides, Read)
        shape = self.scope.shape(equation.array)
        further = f"{row}*{self.code.extent(shape[-1])}"
        target = self.view(Read(equation.array, equation.target), statement).moved(further)
        given = [self.view(matrix, statement), self.view(sides, statement).moved(further)]
        arguments = [x for place in (target, *given) for x in (place.base, place.offset or "0")]
        arguments += [self.code.extent(shape[-1]), "1"]
        arguments += [str(flag in block.attributes) for flag in _FLAGS.get(block.name, ())]
        self._call(block, arguments)

    def _arguments(self, statement: Statement, block: Block) -> list[str]:
        """Give what a block's function takes besides its result."""
        equation = statement.equation
        dtype = self.scope.dtype(equation.array)
        arguments: list[str] = []
        sizes: list[Extent] = []
        for operand, rank in zip(equation.operands, block.ranks, strict=True):
            if rank:
                assert isinstance(operand, Read)
                shape = self.scope.shape(operand.array)
                view = self.view(operand, statement)
                arguments += self.begin(view, self.scope.dtype(operand.array))
                sizes += shape[len(shape) - rank :]
            else:
                arguments.append(self.operand(operand, statement).text)
        arguments += [self.code.extent(e) for e in _sizes_of(block, sizes)]
        arguments += [str(flag in block.attributes) for flag in _FLAGS.get(block.name, ())]
        if block.name in ("qr", "svd"):
            arguments.append(constant(self.code, 1, dtype).text)
        if block.name == "svd":
            arguments.append(constant(self.code, _least(dtype), dtype).text)
        if block.name == "eigh":
            arguments += self.begin(self.work("matrix", dtype, product(sizes)), dtype)
        return arguments

    def _put(self, statement: Statement, block: Block) -> None:
        """Copy an array and set a part, or set it where the array is already."""
        equation = statement.equation
        old, value, *places = equation.operands
        assert isinstance(old, Read)
        shape = self.scope.shape(equation.array)
        rank, n_places = block.attributes
        target = self.view(Read(equation.array, equation.target), statement)
        source = self.view(old, statement)
        axes = shape[len(shape) - rank :]
        if source != target:
            self.copy(target, source, product(axes))
        flat = ""
        for place, extent in zip(places, axes, strict=False):
            assert isinstance(place, Read)
            position = self.position(place, extent, statement)
            flat = self.further(flat, extent, position)
        count = product(axes[n_places:])
        if not block.ranks[1]:
            text = convert(
                self.code, self.operand(value, statement), self.scope.dtype(equation.array)
            ).text
            self.put_number(target, flat, text)
            return
        assert isinstance(value, Read)
        inner = f"({flat})*{self.code.extent(count)}" if count != 1 else flat
        self.copy(target.moved(inner), self.view(value, statement), count)

    def work(self, name: str, dtype: str, count: Extent) -> Place:
        """Make room for what a function needs while it runs."""
        return self.code.memory(name, dtype, count, is_per_thread=True)

    def put_number(self, target: Place, flat: str, text: str) -> None:
        """Set an element of an array that has just been copied."""
        self.code.add(f"{target.at(flat)} = {text}")

    def once(self, line: str) -> None:
        """Write what is done once."""
        self.code.add(line)

    def copy(self, target: Place, source: Place, count: Extent) -> None:
        """Copy elements."""
        if count == 1:
            self.once(f"{target.at('0')} = {source.at('0')}")
            return
        k = self.code.fresh("k")
        with self.over(k, count):
            self.code.add(f"{target.at(k)} = {source.at(k)}")

    def product(self, statement: Statement, block: Block) -> None:
        """Multiply matrices."""
        equation = statement.equation
        a, b = equation.operands
        assert isinstance(a, Read)
        assert isinstance(b, Read)
        left, right = self.scope.shape(a.array)[-2:], self.scope.shape(b.array)[-2:]
        is_left, is_right = "left" in block.attributes, "right" in block.attributes
        rows, inner = left[::-1] if is_left else left
        columns = right[0] if is_right else right[1]
        x, y = self.view(a, statement), self.view(b, statement)
        out = self.view(Read(equation.array, equation.target), statement)
        code = self.code
        q, i, j, k, total = (code.fresh(n) for n in ("q", "i", "j", "k", "total"))
        text = {e: code.extent(e) for e in (rows, inner, columns)}
        dtype = self.scope.dtype(equation.array)
        with self.over(q, rows * columns):
            code.add(f"{i} = {q} // ({text[columns]})")
            code.add(f"{j} = {q} - {i}*{text[columns]}")
            code.add(f"{total} = {constant(code, 0, dtype).text}")
            with code.block(f"for {k} in range({text[inner]}):"):
                xs = x.at(f"{k}*{text[rows]} + {i}" if is_left else f"{i}*{text[inner]} + {k}")
                ys = y.at(f"{j}*{text[inner]} + {k}" if is_right else f"{k}*{text[columns]} + {j}")
                code.add(f"{total} = {total} + {xs}*{ys}")
            code.add(f"{out.at(q)} = {total}")


_FLAGS: dict[str, tuple[str, ...]] = {
    "searchsorted": ("right",),
    "cumsum": ("reversed",),
    "recurrence": ("reversed",),
    "lu_solve": ("transposed",),
    "solve_triangular": ("upper", "transposed"),
    "eigh": ("upper",),
    "qr": ("wide",),
    "svd": ("wide",),
}
"""The attributes that a block's function takes, in order."""
_FAILING = {
    "eigh": NOT_CONVERGED,
    "svd": NOT_CONVERGED,
    "lu_solve": SINGULAR,
    "cholesky": NOT_POSITIVE,
    "solve_triangular": SINGULAR,
}
"""The blocks that may fail, with what that means."""


def _least(dtype: str) -> float:
    """Give the cosine of an angle that rounding cannot tell from a right one."""
    return 4 * float(np.finfo(dtype).eps)


def _sizes_of(block: Block, sizes: Sequence[Extent]) -> list[Extent]:
    """The sizes that a block's function takes: of the last axis, and of right-hand sides."""
    if block.name in ("qr", "svd"):
        return [sizes[0], sizes[1]]
    if block.name in ("lu_solve", "solve_triangular"):
        return [sizes[3], sizes[2]]
    if block.name == "lu_sign":
        return [sizes[1]]
    return [sizes[0]]
