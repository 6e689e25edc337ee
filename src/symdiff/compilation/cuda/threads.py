"""What one thread does, as source: the nodes of a schedule one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from symdiff.compilation.cuda.code import Code, Place
from symdiff.compilation.cuda.library import BLOCKS
from symdiff.compilation.cuda.operations import COMBINE, STEPS, promote, start_value
from symdiff.compilation.cuda.values import Value, constant, convert, kept
from symdiff.compilation.nests import (
    Fill,
    Loop,
    Node,
    Schedule,
    Statement,
    Storage,
    Store,
    group_of,
)
from symdiff.compilation.schedule import schedule
from symdiff.compilation.status import INDEX
from symdiff.errors import UnsupportedOperationError
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Index, IndexValue, Literal, Operand, Read, Whole
from symdiff.program.nested import Branch, Nested, Run, nested_of, result_number
from symdiff.program.nested import Loop as LoopBlock
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product, put_sizes, symbol

__all__ = ["Scope", "Threads"]


@dataclass
class Scope:
    """What the names of a Program are in the kernel.

    Attributes
    ----------
    places : dict
        Where arrays lie that are in memory.
    registers : dict
        The variables of numbers, and of elements that are being computed.
    sizes : mapping
        What the Program's sizes are in those of the kernel.
    loops : dict
        The variables of loops, by their numbers.
    """

    plan: Schedule
    sizes: Mapping[str, Extent]
    places: dict[str, Place] = field(default_factory=dict)
    registers: dict[str, str] = field(default_factory=dict)
    loops: dict[int, str] = field(default_factory=dict)

    @property
    def program(self) -> Program:
        """The Program, as it is scheduled."""
        return self.plan.program

    def extent(self, extent: Extent) -> Extent:
        """Say a size in those of the kernel."""
        return put_sizes(extent, self.sizes)

    def shape(self, array: str) -> tuple[Extent, ...]:
        """Give the shape of an array, in the kernel's sizes."""
        return tuple([self.extent(e) for e in self.program.types[array].shape])

    def dtype(self, array: str) -> str:
        """Give the dtype of an array."""
        return self.program.types[array].dtype


class Threads:
    """Writes the statements of a Program for one thread."""

    def __init__(self, code: Code, scope: Scope) -> None:
        self.code = code
        self.scope = scope
        self.plan = scope.plan

    # memory

    def make_room(self) -> None:
        """Give a place or a variable to every array that is computed and has none."""
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
        return self.code.memory(name, storage.dtype, count, is_per_thread=is_own)

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
        if storage.has_register or storage.kind == "register":
            target = self.scope.registers[equation.array]
        else:
            target = self.element(equation.array, equation.target, statement)
        if not statement.is_first and equation.operator != "=":
            old = Value(target, storage.dtype)
            step = STEPS[COMBINE[equation.operator]]
            value = step(self.code, storage.dtype, [old, value])
        self.code.add(f"{target} = {value.text}")

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
                flat = self._further(flat, extent, k)
            self.code.add(f"{place.at(flat)} = {value}")

    def _fill_all(self, place: Place, count: Extent, value: str) -> None:
        if count == 1:
            self.once(f"{place.at('0')} = {value}")
            return
        k = self.code.fresh("k")
        with self.over(k, count):
            self.code.add(f"{place.at(k)} = {value}")

    def over(self, variable: str, count: Extent):  # noqa: ANN201 - a context
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
            flat = self._further(flat, self.scope.extent(extent), self.scope.loops[loop.variable])
        element = self.scope.places[store.array].at(flat or "0")
        self.code.add(f"{element} = {self.scope.registers[store.array]}")

    # values

    def value(self, statement: Statement) -> Value:
        """Write the expression of a pattern."""
        equation = statement.equation
        assert not isinstance(equation.pattern, Block)
        dtype = self.plan.storage[equation.array].dtype
        steps = equation.pattern.steps
        uses: dict[int, int] = {}
        for step in steps:
            for a in step.arguments:
                uses[a] = uses.get(a, 0) + 1
        values: list[Value] = []
        for number, operand in enumerate(equation.operands):
            value = self.operand(operand, statement)
            values.append(kept(self.code, value) if uses.get(number, 0) > 1 else value)
        for step in steps:
            if step.name == "literal":
                values.append(self._literal(step.literal, dtype))
                continue
            arguments = [values[a] for a in step.arguments]
            compute = dtype
            if dtype == "bool" and any(a.dtype != "bool" for a in arguments):
                compute = promote(*[a.dtype for a in arguments])
            row = STEPS.get(step.name)
            if row is None:
                raise UnsupportedOperationError(
                    _missing(step.name, equation)
                )
            value = row(self.code, compute, arguments)
            values.append(kept(self.code, value) if uses.get(len(values), 0) > 1 else value)
        return values[-1] if steps else values[0]

    def _literal(self, value: float | bool, dtype: str) -> Value:
        if isinstance(value, bool):
            return constant(self.code, value, "bool")
        if dtype == "bool":
            return constant(self.code, value, "int64" if isinstance(value, int) else "float64")
        return constant(self.code, value, dtype)

    def operand(self, operand: Operand, statement: Statement) -> Value:
        """Write an operand."""
        if isinstance(operand, Literal):
            return constant(self.code, operand.value, operand.dtype)
        if isinstance(operand, IndexValue):
            return Value(self.index(operand.value, statement), "int64")
        dtype = self.scope.dtype(operand.array)
        if self._is_in_register(operand, statement):
            return Value(self.scope.registers[operand.array], dtype)
        return Value(self.element(operand.array, operand.indices, statement), dtype)

    def _is_in_register(self, read: Read, statement: Statement) -> bool:
        """Whether a read is of the element that is being computed in this iteration."""
        storage = self.plan.storage[read.array]
        if storage.kind in ("input", "constant"):
            return read.array in self.scope.registers
        if not (storage.has_register or storage.kind == "register"):
            return False
        if statement.path[: len(storage.level)] != storage.level:
            return False
        return all(
            isinstance(i, Affine) and i.single is not None and statement.loops[i.single] is loop
            for i, loop in zip(read.indices, storage.bound, strict=True)
        )

    # places

    def element(self, array: str, indices: Sequence[Index], statement: Statement) -> str:
        """Write an element in memory."""
        flat = self.flat(array, indices, statement)
        return self.scope.places[array].at(flat)

    def flat(self, array: str, indices: Sequence[Index], statement: Statement) -> str:
        """Write where in an array an element lies, or what is taken whole begins."""
        storage = self.plan.storage[array]
        shape = self.scope.shape(array)
        flat = ""
        whole: Extent = 1
        for axis in storage.axes:
            if isinstance(indices[axis], Whole):
                whole = whole * shape[axis]
            else:
                position = self.position(indices[axis], array, shape[axis], statement)
                flat = self._further(flat, shape[axis], position)
        if flat not in ("", "0") and whole != 1:
            flat = f"({flat})*{self.code.extent(whole)}" if " " in flat else f"{flat}*{self.code.extent(whole)}"
        return flat or "0"

    def _further(self, flat: str, extent: Extent, position: str) -> str:
        if flat in ("", "0"):
            return position
        inner = f"({flat})" if " " in flat else flat
        return f"{inner}*{self.code.extent(extent)} + {position}"

    def position(self, index: Index, array: str, extent: Extent, statement: Statement) -> str:
        """Write a place on an axis; one that was computed is kept within the axis."""
        if isinstance(index, Affine):
            text = self.index(index, statement)
            return f"({text})" if " " in text else text
        assert isinstance(index, Read)
        value = convert(self.code, self.operand(index, statement), "int64")
        if index.array in self.scope.program.constants:
            return value.text  # which tracing has checked
        place = self.code.hold(value).text
        limit = self.code.extent(extent)
        with self.code.block(f"if {place} < 0 or {place} >= {limit}:"):
            self.note(INDEX)
            self.code.add(f"{place} = 0")
        return place

    def note(self, bit: int) -> None:
        """Say that something went wrong."""
        self.code.add(f"status[{bit.bit_length() - 1}] = 1")

    def index(self, index: Affine, statement: Statement) -> str:
        """Write an index expression."""
        parts: list[str] = []
        for k, coefficient in index.terms:
            term = self.scope.loops[statement.loops[k].variable]
            scale = self.code.extent(self.scope.extent(coefficient))
            parts.append(term if scale == "1" else f"{scale}*{term}")
        offset = self.scope.extent(index.offset)
        if offset != 0 or not parts:
            parts.append(self.code.extent(offset))
        return " + ".join(parts)

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
        if block.name not in BLOCKS:
            raise UnsupportedOperationError(
                _missing(block.label, equation)
            )
        arguments: list[str] = []
        sizes: list[Extent] = []
        for operand, rank in zip(equation.operands, block.ranks, strict=True):
            if rank:
                assert isinstance(operand, Read)
                shape = self.scope.shape(operand.array)
                arguments += self.begin(operand, statement)
                sizes += shape[len(shape) - rank :]
            else:
                arguments.append(self.operand(operand, statement).text)
        arguments += [self.code.extent(e) for e in _sizes_of(block, sizes)]
        arguments += [str(flag in block.attributes) for flag in _FLAGS.get(block.name, ())]
        called = self.code.need(block.name)
        if not block.rank:
            dtype = self.scope.dtype(equation.array)
            text = f"{called}({', '.join(arguments)})"
            return convert(self.code, Value(text, "int64"), dtype)
        target = self.begin(Read(equation.array, equation.target), statement)
        status = self.code.fresh("failed")
        self.code.add(f"{status} = {called}({', '.join([*target, *arguments])})")
        if block.name in _FAILING:
            bit = _FAILING[block.name]
            with self.code.block(f"if {status} != 0:"):
                self.note(bit)
        return None

    def begin(self, read: Read, statement: Statement) -> list[str]:
        """Write an array, and where in it what is taken whole begins."""
        place = self.view(read, statement)
        return [place.base, place.offset or "0"]

    def view(self, read: Read, statement: Statement) -> Place:
        """Find what is taken whole of an array."""
        place = self.scope.places[read.array]
        return place.moved(self.flat(read.array, read.indices, statement))

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
            position = self.position(place, equation.array, extent, statement)
            flat = self._further(flat, extent, position)
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
            code.add(f"{i} = {q} // {text[columns]}")
            code.add(f"{j} = {q} - {i}*{text[columns]}")
            code.add(f"{total} = {constant(code, 0, dtype).text}")
            with code.block(f"for {k} in range({text[inner]}):"):
                xs = x.at(f"{k}*{text[rows]} + {i}" if is_left else f"{i}*{text[inner]} + {k}")
                ys = y.at(f"{j}*{text[inner]} + {k}" if is_right else f"{k}*{text[columns]} + {j}")
                code.add(f"{total} = {total} + {xs}*{ys}")
            code.add(f"{out.at(q)} = {total}")

    # loops and branches

    def nested(self, group: Sequence[Statement]) -> None:
        """Write a loop or a branch, for all of its results that are wanted."""
        first = group[0]
        block = first.equation.pattern
        assert isinstance(block, Block)
        nested = nested_of(block)
        assert nested is not None
        results = _Results(self, group)
        given = [
            self._given(o, rank, first)
            for o, rank in zip(first.equation.operands, block.ranks, strict=True)
        ]
        if isinstance(nested, LoopBlock):
            self.loop(nested, given, results)
        elif isinstance(nested, Branch):
            self.branch(nested, given, results)
        else:
            assert isinstance(nested, Run)
            self.sized(nested, given, results)
        results.finish()

    def _given(self, operand: Operand, rank: int, statement: Statement) -> Value | Place:
        if not rank:
            return kept(self.code, self.operand(operand, statement))
        assert isinstance(operand, Read)
        return self.view(operand, statement)

    def inner(
        self, nested: Nested, program: Program, computed: Mapping[str, Extent] | None = None
    ) -> Threads:
        """Write a Program inside."""
        sizes = {name: self.scope.extent(extent) for name, extent in nested.sizes}
        sizes.update(computed or {})
        made = type(self)(self.code, Scope(self.inner_plan(program), sizes))
        made.constants()
        return made

    def inner_plan(self, program: Program) -> Schedule:
        """Schedule a Program inside."""
        return schedule(program)

    def constants(self) -> None:
        """Find the places of the Program's constants."""
        for name, data in self.scope.program.constants.items():
            self.scope.places[name] = self.code.constant(name, data)

    def take(self, inputs: Sequence[str], values: Sequence[Value | Place]) -> None:
        """Say what the inputs of the Program are."""
        for name, value in zip(inputs, values, strict=True):
            if isinstance(value, Place):
                self.scope.places[name] = value
            else:
                self.scope.registers[name] = value.text

    def branch(self, branch: Branch, given: Sequence[Value | Place], results: _Results) -> None:
        """Write both Programs of a branch, one of which runs."""
        test, *inputs = given
        assert isinstance(test, Value)
        heads = (f"if {test.text}:", "else:")
        for head, program in zip(heads, branch.programs, strict=True):
            with self.code.block(head):
                inside = self.inner(branch, program)
                inside.take(program.inputs, inputs)
                inside.give(list(range(len(program.outputs))), results)

    def sized(self, run: Run, given: Sequence[Value | Place], results: _Results) -> None:
        """Run a Program in which a size is a number that has been computed.

        Memory is brought for as many as there is room for; how many are needed is noted, and the
        launch is repeated with more if that is not enough.
        """
        size = given[0]
        assert isinstance(size, Value)
        name = self.code.computed_size(run.symbol, convert(self.code, size, "int64"))
        inside = self.inner(run, run.program, {run.symbol: symbol(name)})
        inside.take(run.program.inputs, given)
        inside.give(list(range(len(run.program.outputs))), results)

    def give(self, numbers: Sequence[int], results: _Results) -> None:
        """Run the Program, and give its outputs as results."""
        outputs = [self.scope.program.outputs[k] for k in numbers]
        for k, name in zip(numbers, outputs, strict=True):
            place = results.place(k)
            if place is not None and name not in self.scope.places and outputs.count(name) == 1:
                self.scope.places[name] = place
        self.make_room()
        self.run()
        for k, name in zip(numbers, outputs, strict=True):
            results.take(self, k, name)

    def run(self) -> None:
        """Write all nodes."""
        self.nodes(self.plan.body)

    def loop(self, loop: LoopBlock, given: Sequence[Value | Place], results: _Results) -> None:
        """Write a loop around its step."""
        code = self.code
        step = loop.step
        first = 1 if loop.has_limit else 0
        cut = first + loop.n_shared
        limit: str | None = None
        if loop.count is not None:
            limit = code.extent(self.scope.extent(loop.count))
        elif first:
            assert isinstance(given[0], Value)
            limit = given[0].text
        inside = self.inner(loop, step)
        carried = self._carried(loop, given[cut:], results, inside)
        number = code.fresh("step")
        done = code.fresh("done")
        code.add(f"{done} = 0")
        tests = [f"{done} < {limit}"] if limit is not None else []
        if loop.has_condition:
            test = carried[0]
            assert isinstance(test, Value)
            tests.append(test.text)
        inside.take(loop.shared, given[first:cut])
        inside.take(loop.carried, carried)
        number_type = step.types[step.inputs[0]].dtype
        inside.scope.registers[step.inputs[0]] = number
        stacked = range(loop.n_carried, len(step.outputs))
        own_outputs = _single(step)
        for k in stacked:
            place = results.place(k)
            name = step.outputs[k]
            if place is not None and name in own_outputs:
                count = product(inside.scope.shape(name))
                text = code.extent(count)
                inside.scope.places[name] = place.moved(number if count == 1 else f"{number}*{text}")
        inside.make_room()
        with code.block(f"while {' and '.join(tests)}:"):
            value = f"{limit} - 1 - {done}" if loop.is_reversed else done
            code.add(f"{number} = {convert(code, Value(value, 'int64'), number_type).text}")
            inside.run()
            for k in stacked:
                place = results.place(k)
                if place is not None:
                    name = step.outputs[k]
                    count = product(inside.scope.shape(name))
                    row = place.moved(number if count == 1 else f"{number}*{code.extent(count)}")
                    inside.copy_output(name, row)
            inside.carry(loop, carried)
            code.add(f"{done} += 1")
        for k, value in enumerate(carried):
            results.set(k, value)
        results.set(len(step.outputs), Value(done, "int64"))

    def _carried(
        self,
        loop: LoopBlock,
        starts: Sequence[Value | Place],
        results: _Results,
        inside: Threads,
    ) -> list[Value | Place]:
        """Give variables and memory to what is carried, and the values of the start."""
        carried: list[Value | Place] = []
        for k, (start, name) in enumerate(zip(starts, loop.carried, strict=True)):
            dtype = loop.step.types[name].dtype
            if isinstance(start, Value):
                variable = self.code.fresh(name)
                self.code.add(f"{variable} = {convert(self.code, start, dtype).text}")
                carried.append(Value(variable, dtype))
                continue
            count = product(inside.scope.shape(name))
            place = results.place(k) or self.carried_memory(name, dtype, count)
            self.copy(place, start, count)
            carried.append(place)
        return carried

    def carried_memory(self, name: str, dtype: str, count: Extent) -> Place:
        """Make room for an array that is carried."""
        return self.code.memory(name, dtype, count, is_per_thread=True)

    def carry(self, loop: LoopBlock, carried: Sequence[Value | Place]) -> None:
        """Hand what a step has computed to the next."""
        left: list[str] = []
        right: list[str] = []
        for name, to in zip(loop.carried_out, carried, strict=True):
            if isinstance(to, Value):
                value = convert(self.code, self.output(name), to.dtype).text
                if value != to.text:
                    left.append(to.text)
                    right.append(value)
            else:
                self.copy_output(name, to)
        if left:
            self.code.add(f"{', '.join(left)} = {', '.join(right)}")

    def copy_output(self, name: str, to: Place) -> None:
        """Copy an output to where it is wanted, unless it is there."""
        shape = self.scope.shape(name)
        if not shape:
            self.code.add(f"{to.at('0')} = {self.output(name).text}")
        elif self.scope.places[name] != to:
            self.copy(to, self.scope.places[name], product(shape))

    def output(self, name: str) -> Value:
        """Give an output that is a number."""
        dtype = self.scope.dtype(name)
        if name in self.scope.registers:
            return Value(self.scope.registers[name], dtype)
        return Value(self.scope.places[name].at("0"), dtype)


def _missing(what: str, equation: Equation) -> str:
    at = f"\n  at {equation.location[0]}:{equation.location[1]}" if equation.location else ""
    return f"{what} is not there for target 'cuda'; use target='cpu'{at}"


def _single(program: Program) -> set[str]:
    """The outputs that are computed, each for one result alone."""
    names = program.outputs
    given = {*program.inputs, *program.constants}
    return {n for n in names if names.count(n) == 1 and n not in given}


class _Results:
    """Where the results of a loop or a branch go."""

    def __init__(self, outside: Threads, group: Sequence[Statement]) -> None:
        self.outside = outside
        self.statements = {result_number(s.equation): s for s in group}
        self.values: dict[int, Value] = {}
        self.places: dict[int, Place] = {}
        for k, statement in self.statements.items():
            equation = statement.equation
            assert isinstance(equation.pattern, Block)
            if equation.pattern.rank:
                read = Read(equation.array, equation.target)
                self.places[k] = outside.view(read, statement)

    def place(self, number: int) -> Place | None:
        """Where a result lies that is an array; None if nobody wants it or it is a number."""
        return self.places.get(number)

    def set(self, number: int, value: Value | Place) -> None:
        """Note what a result is."""
        if isinstance(value, Value) and number in self.statements:
            self.values[number] = value

    def take(self, inside: Threads, number: int, name: str) -> None:
        """Take an output of a Program inside that is a way of a branch."""
        if number not in self.statements:
            return
        place = self.places.get(number)
        if place is not None:
            inside.copy_output(name, place)
            return
        if number not in self.values:
            dtype = inside.scope.dtype(name)
            self.values[number] = Value(inside.code.fresh("chosen"), dtype)
        to = self.values[number]
        inside.code.add(f"{to.text} = {convert(inside.code, inside.output(name), to.dtype).text}")

    def finish(self) -> None:
        """Put results that are numbers to where their equations want them."""
        for number, statement in self.statements.items():
            if number in self.values:
                self.outside.finish_result(statement, self.values[number])


_FLAGS: dict[str, tuple[str, ...]] = {
    "searchsorted": ("right",),
    "cumsum": ("reversed",),
    "recurrence": ("reversed",),
    "lu_solve": ("transposed",),
    "solve_triangular": ("upper", "transposed"),
}
"""The attributes that a block's function takes, in order."""
_FAILING = {"lu_solve": 4, "cholesky": 8, "solve_triangular": 4}
"""The blocks that may fail, with what that means."""


def _sizes_of(block: Block, sizes: Sequence[Extent]) -> list[Extent]:
    """The sizes that a block's function takes: of the last axis, and of right-hand sides."""
    if block.name in ("lu_solve", "solve_triangular"):
        return [sizes[3], sizes[2]]
    if block.name == "lu_sign":
        return [sizes[1]]
    return [sizes[0]]
