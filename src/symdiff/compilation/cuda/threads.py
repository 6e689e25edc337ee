"""Loops of steps, branches, and Programs of a computed size, as one thread runs them, as source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.compilation.cuda.code import Place
from symdiff.compilation.cuda.primitives import by_element
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.statements import Statements
from symdiff.compilation.cuda.values import Value, convert, kept
from symdiff.compilation.nests import Schedule, Statement
from symdiff.compilation.schedule import schedule
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Operand, Read
from symdiff.program.nested import Branch, Nested, Run, nested_of, result_number
from symdiff.program.nested import Loop as LoopBlock
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product, symbol

__all__ = ["Results", "Threads"]


class Threads(Statements):
    """Writes a Program for one thread."""

    def nested(self, group: Sequence[Statement]) -> None:
        """Write a loop or a branch, for all of its results that are wanted."""
        first = group[0]
        block = first.equation.pattern
        assert isinstance(block, Block)
        nested = nested_of(block)
        assert nested is not None
        results = Results(self, group)
        given = [
            self.given(o, rank, first)
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

    def given(self, operand: Operand, rank: int, statement: Statement) -> Value | Place:
        """Give what a loop or a branch takes: a number, or where an array lies."""
        if not rank:
            return kept(self.code, self.operand(operand, statement))
        assert isinstance(operand, Read)
        return self.view(operand, statement)

    def part(self) -> None:
        """Prepare for lines that may not be run."""

    def inner(
        self,
        nested: Nested,
        program: Program,
        computed: Mapping[str, Extent] | None = None,
        carried: Mapping[str, str] | None = None,
    ) -> Threads:
        """Write a Program inside, with sizes that are computed, and arrays that are carried."""
        sizes = {name: self.scope.extent(extent) for name, extent in nested.sizes}
        sizes.update(computed or {})
        made = type(self)(self.code, Scope(self.inner_plan(program, carried), sizes))
        made.constants()
        return made

    def inner_plan(self, program: Program, carried: Mapping[str, str] | None) -> Schedule:
        """Schedule a Program inside."""
        return schedule(by_element(program), carried)

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

    def branch(self, branch: Branch, given: Sequence[Value | Place], results: Results) -> None:
        """Write both Programs of a branch, one of which runs."""
        test, *inputs = given
        assert isinstance(test, Value)
        self.part()
        heads = (f"if {test.text}:", "else:")
        for head, program in zip(heads, branch.programs, strict=True):
            with self.code.block(head):
                inside = self.inner(branch, program)
                inside.take(program.inputs, inputs)
                inside.give(list(range(len(program.outputs))), results)

    def sized(self, run: Run, given: Sequence[Value | Place], results: Results) -> None:
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

    def give(self, numbers: Sequence[int], results: Results) -> None:
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

    def loop(self, loop: LoopBlock, given: Sequence[Value | Place], results: Results) -> None:
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
        inside = self.inner(loop, step, carried=_set_in_place(loop))
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
        rows = [
            (step.outputs[k], place.moved(inside.row(step.outputs[k], number)))
            for k in range(loop.n_carried, len(step.outputs))
            if (place := results.place(k)) is not None
        ]
        own = _single(step)
        inside.scope.places.update((name, row) for name, row in rows if name in own)
        inside.make_room()
        self.part()
        with code.block(f"while {' and '.join(tests)}:"):
            value = f"{limit} - 1 - {done}" if loop.is_reversed else done
            code.add(f"{number} = {convert(code, Value(value, 'int64'), number_type).text}")
            inside.run()
            for name, row in rows:
                inside.copy_output(name, row)
            inside.carry(loop, carried)
            code.add(f"{done} += 1")
        for k, value in enumerate(carried):
            results.set(k, value)
        results.set(len(step.outputs), Value(done, "int64"))

    def row(self, output: str, number: str) -> str:
        """Write where a row of an output begins that is stacked."""
        count = product(self.scope.shape(output))
        return number if count == 1 else f"{number}*{self.code.extent(count)}"

    def _carried(
        self,
        loop: LoopBlock,
        starts: Sequence[Value | Place],
        results: Results,
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
        return self.code.memory(name, dtype, count, is_per_thread=True, may_be_number=True)

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


def _set_in_place(loop: LoopBlock) -> dict[str, str]:
    """The carried arrays of which a step sets a part, each with what it becomes.

    Others would have to be computed by one thread, were they changed where they are.
    """
    writes: dict[str, list[Equation]] = {}
    for equation in loop.step.equations:
        writes.setdefault(equation.array, []).append(equation)
    found: dict[str, str] = {}
    for old, new in zip(loop.carried, loop.carried_out, strict=True):
        pattern = writes[new][0].pattern if len(writes.get(new, ())) == 1 else None
        if isinstance(pattern, Block) and pattern.name == "put":
            found[old] = new
    return found


def _single(program: Program) -> set[str]:
    """The outputs that are computed, each for one result alone."""
    names = program.outputs
    given = {*program.inputs, *program.constants}
    return {n for n in names if names.count(n) == 1 and n not in given}


class Results:
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
