"""From a schedule to LLVM code: one function over pointers and sizes.

The text is written directly: for ten thousand operations it is made in a few hundredths of a
second, where a builder of instruction objects takes most of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symdiff.compilation.compositions import COMBINE
from symdiff.compilation.cpu.blocks import FUNCTIONS, block_function
from symdiff.compilation.cpu.chunks import divided
from symdiff.compilation.cpu.elementary import is_inlined
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.operations import LIBRARY_STEPS, STEPS, start_value
from symdiff.compilation.cpu.rows import copy_function
from symdiff.compilation.cpu.values import Value, constant, convert, llvm_type, memory_type
from symdiff.compilation.cpu.vector_math import preferred_width, vector_attributes
from symdiff.compilation.cpu.writer import Writer
from symdiff.compilation.dtypes import computed_in, literal_dtype
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
    Unpack,
    group_of,
    is_at_hand,
)
from symdiff.compilation.parallel import Parallel, parallel
from symdiff.compilation.status import INDEX, MEMORY
from symdiff.compilation.tiles import is_row_of
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    IndexValue,
    Literal,
    Operand,
    Read,
    Whole,
    map_sizes,
)
from symdiff.program.nested import Loop as LoopBlock
from symdiff.program.nested import Nested, nested_of, result_number
from symdiff.program.sizes import Extent, Size, symbol

__all__ = ["KernelFunction", "lower"]

STACK_LIMIT, MAX_ON_STACK = 512, 8192
"""Intermediate arrays of up to the first number of elements lie on the stack, while those that lie
there have not passed the second together."""
MAX_OVERLAPPING = 64
"""Steps of a loop that is done in whole vectors, of which the last repeats some steps."""
MASKED = 16
"""Loops of fewer steps are done by masked lanes, if they call nothing."""
INLINE_LIMIT = 64
"""Programs of up to this many equations are copied into each of their entry points."""


def lower(schedule: Schedule, module: Module, name: str = "kernel") -> None:
    """Append the function ``i32 @kernel(inputs, constants, outputs, scratch, sizes)``.

    Every array is a pointer to contiguous elements in C order, every size an ``i64``.
    """
    module.functions.append(KernelFunction(schedule, module, name).text())


class KernelFunction(Writer):
    """Writes the function of one schedule."""

    def __init__(
        self, schedule: Schedule, module: Module, name: str, sizes: Sequence[str] | None = None
    ) -> None:
        super().__init__(module)
        self.schedule = schedule
        self.size_names = [*schedule.program.size_sources] if sizes is None else sizes
        self.is_inside = sizes is not None
        self.name = name
        self.program = schedule.program
        self.pointers: dict[str, str] = {}
        self.registers: dict[str, Value] = {}
        self.slots: dict[str, str] = {}
        self.variables: dict[int, str] = {}
        self.sizes: dict[Extent, str] = {}
        self.tiled: Loop | None = None
        self.first_row = self.n_rows = "0"
        self.row: str | None = None
        self.repeated: tuple[Loop, int] | None = None
        self.parallel: dict[Loop, Parallel] = {}

    # the function

    @property
    def arguments(self) -> list[str]:
        """The arrays to which it takes pointers, in order."""
        return [name for name, _ in arguments_of(self.schedule)]

    def text(self) -> str:
        """Write all of it."""
        arguments = self.begin()
        if not self.is_inside:
            self.parallel = parallel(self.schedule)
        self._nodes(self.schedule.body)
        is_small = not self.schedule.has_loops and len(self.program.equations) <= INLINE_LIMIT
        inlining = "alwaysinline" if is_small else "" if self.is_inside else "noinline"
        if self.schedule.swapped:
            # What a step writes is what the next one reads: copied into the loop, where the
            # pointers are what they were promised not to be, loads move to the step before.
            inlining = "noinline"
        return self.end(arguments, inlining)

    def begin(self, part: Parallel | None = None) -> list[str]:
        """Name the arguments, take memory for registers, compute sizes.

        Those are of all arrays, or of the arrays of a loop that is divided.
        """
        arguments: list[str] = []
        for number, (array, kind) in enumerate(arguments_of(self.schedule)):
            if part is not None and array not in part.arrays:
                continue
            self.pointers[array] = f"%a{number}"
            attributes = " readonly" if kind in ("input", "constant") else ""
            arguments.append(f"ptr{attributes} noalias %a{number}")
        for array, end in self.schedule.in_place.items():
            if end in self.pointers:
                self.pointers[array] = self.pointers[end]
        for number, size in enumerate(self.size_names):
            self.sizes[symbol(size)] = f"%n{number}"
            arguments.append(f"i64 %n{number}")
        if self.is_inside:
            arguments.append("ptr %memory")
        for array in self.schedule.storage if part is None else dict.fromkeys(part.arrays):
            storage = self.schedule.storage[array]
            if storage.has_register and self._needs_slot(array):
                slot = f"%s{len(self.slots)}"
                self.head.append(f"  {slot} = alloca {llvm_type(storage.dtype)}")
                self.slots[array] = slot
            if storage.kind == "local":
                self.pointers[array] = self._local(storage)
        types, equations = self.program.types, self.program.equations
        if part is not None:
            types = {array: types[array] for array in part.arrays if array in types}
            equations = part.equations
        self._size_values(types, equations)
        return arguments

    def end(self, arguments: Sequence[str], attributes: str) -> str:
        """Return the status, and put the function together."""
        attributes += vector_attributes()
        status = "0"
        self.head += [f"  %{name} = alloca [{n} x i64]" for name, n in self.shared.items()]
        if self.has_status:
            self.head += ["  %status = alloca i32", "  store i32 0, ptr %status"]
            status = self.emit("load i32, ptr %status")
        return "\n".join(
            [
                f"define internal i32 @{self.name}({', '.join(arguments)}) {attributes} {{",
                "entry:",
                *self.head,
                *self.lines,
                f"  ret i32 {status}",
                "}",
            ]
        )

    def _local(self, storage: Storage) -> str:
        """Take memory for a few numbers of a row, which LLVM keeps in registers."""
        count = 1
        for extent in storage.shape:
            assert isinstance(extent, int)
            count *= extent
        return self.slot(f"[{count} x {memory_type(storage.dtype)}]")

    def _needs_slot(self, array: str) -> bool:
        """Whether a register is written inside loops deeper than where it is started."""
        depth = len(self.schedule.storage[array].level)
        return any(len(p) > depth for p in self._write_depths.get(array, ()))

    @property
    def _write_depths(self) -> dict[str, list[tuple[Loop, ...]]]:
        if not hasattr(self, "_depths"):
            self._depths: dict[str, list[tuple[Loop, ...]]] = {}
            for statement in statements(self.schedule.body):
                self._depths.setdefault(statement.equation.array, []).append(statement.path)
        return self._depths

    def _size_values(self, types: Mapping[str, ArrayType], equations: Sequence[Equation]) -> None:
        """Compute every polynomial of sizes once, in front of all loops."""
        for array_type in types.values():
            for extent in array_type.shape:
                self.size(extent)
        for equation in equations:
            map_sizes(equation, self._note_size)

    def _note_size(self, extent: Extent) -> Extent:
        self.size(extent)
        return extent

    def size(self, extent: Extent) -> str:
        """An ``i64`` for an extent."""
        if isinstance(extent, int):
            return str(extent)
        if extent not in self.sizes:
            self.sizes[extent] = self._polynomial(extent)
        return self.sizes[extent]

    def _polynomial(self, extent: Size) -> str:
        total: str | None = None
        for monomial, coefficient in extent.terms:
            term: str | None = None if coefficient == 1 and monomial else str(coefficient)
            for name in monomial:
                factor = self.sizes[symbol(name)]
                term = factor if term is None else self.emit(f"mul nsw i64 {term}, {factor}")
            assert term is not None
            total = term if total is None else self.emit(f"add nsw i64 {total}, {term}")
        assert total is not None
        return total

    # loops

    def _nodes(self, nodes: Sequence[Node]) -> None:
        done: set[int] = set()
        for node in nodes:
            if isinstance(node, Loop):
                self._loop(node)
            elif isinstance(node, Statement):
                if id(node) in done:
                    continue
                nested = nested_of(node.equation.pattern)
                if nested is None:
                    self._statement(node)
                else:
                    group = group_of(nodes, node)
                    self._nested(nested, group)
                    done.update(id(s) for s in group)
            elif isinstance(node, Fill):
                self._fill(node)
            elif isinstance(node, Store):
                self._store(node)
            elif isinstance(node, Rows):
                self._rows(node)
            else:
                self._copy_rows(node)

    def _loop(self, loop: Loop) -> None:
        if loop.is_unrolled:
            self._unrolled(loop)
        elif loop in self.parallel:
            divided(self, loop, self.parallel[loop])
        elif loop.tile is None and (lanes := self._lanes(loop)):
            self._overlapping(loop, lanes)
        else:
            self.iterations(loop, "0", self.size(loop.extent))

    def iterations(self, loop: Loop, first: str, end: str) -> None:
        """Write the iterations of a loop from `first` up to `end`."""
        variable = f"%i{loop.variable}"
        count = end if first == "0" else self.emit(f"sub nsw i64 {end}, {first}")
        if loop.tile is None:

            def one() -> None:
                self.variables[loop.variable] = self.sum(variable, first)
                self._nodes(loop.body)

            self.counted(variable, count, one)
            return
        rows = loop.tile.size
        n_tiles = self.emit(f"add nsw i64 {count}, {rows - 1}")
        n_tiles = self.emit(f"udiv i64 {n_tiles}, {rows}")

        def body() -> None:
            self.first_row = self.sum(self.emit(f"mul nuw nsw i64 {variable}, {rows}"), first)
            left = self.emit(f"sub nsw i64 {end}, {self.first_row}")
            is_last = self.emit(f"icmp slt i64 {left}, {rows}")
            self.n_rows = self.emit(f"select i1 {is_last}, i64 {left}, i64 {rows}")
            self._nodes(loop.body)

        self.tiled = loop
        self.counted(variable, n_tiles, body)
        self.tiled = None

    def _lanes(self, loop: Loop) -> int:
        """How many lanes a short loop has, if its last steps are to be done by lanes too.

        That is so where they would be calls of scalar functions, and may be done twice.
        """
        extent = loop.extent
        bits = preferred_width()
        if bits is None or not isinstance(extent, int) or not 4 <= extent <= MAX_OVERLAPPING:
            return 0
        equations = [n.equation for n in loop.body if isinstance(n, Statement)]
        places = [n for n in loop.body if not isinstance(n, (Statement, Store))]
        if places or not any(_calls_function(e, extent) for e in equations):
            return 0
        in_place = self.schedule.in_place
        for e in equations:
            arrays = [e.array, *[r.array for r in e.reads]]
            if any(a in in_place or a in in_place.values() for a in arrays):
                return 0
            if isinstance(e.pattern, Block) or any(isinstance(i, Read) for i in e.target):
                return 0
        sizes = [self.schedule.storage[e.array].dtype for e in equations]
        lanes = bits // (64 if "float64" in sizes else 32)
        while lanes > extent:
            lanes //= 2
        return lanes if extent % lanes and lanes >= 4 else 0

    def _overlapping(self, loop: Loop, lanes: int) -> None:
        """Write a short loop in parts of whole vectors, the last of which repeats some steps."""
        assert isinstance(loop.extent, int)
        whole = loop.extent // lanes * lanes
        for start, count in ((0, whole), (loop.extent - lanes, lanes)):
            self.counter += 1
            variable = f"%i{loop.variable}.{self.counter}"

            def body(start: int = start, variable: str = variable) -> None:
                self.variables[loop.variable] = self.sum(variable, str(start))
                self.repeated = (loop, whole) if start else None
                self._nodes(loop.body)
                self.repeated = None

            self.counted(variable, str(count), body)

    def _unless_repeated(self, equation: Equation, value: Value) -> Value:
        """Contribute nothing in a step that has been done before."""
        if self.repeated is None or self.repeated[0] in self.schedule.storage[equation.array].level:
            return value  # the array begins anew in each step
        return self._if_new(value, start_value(equation.operator, value.dtype).name)

    def _save_once(self, address: tuple[str, str], value: Value) -> None:
        """Write an element; a step that has been done before leaves it as it is.

        The vector function there may give other last bits, with which others have gone on.
        """
        if self.repeated is not None:
            value = self._if_new(value, self.load(address, value.dtype).name)
        self.save(address, value)

    def _if_new(self, value: Value, otherwise: str) -> Value:
        """A value in a step that has not been done before, and another one in the others."""
        assert self.repeated is not None
        loop, done = self.repeated
        is_new = self.emit(f"icmp sge i64 {self.variables[loop.variable]}, {done}")
        kind = llvm_type(value.dtype)
        name = self.emit(f"select i1 {is_new}, {kind} {value.name}, {kind} {otherwise}")
        return Value(name, value.dtype)

    def _unrolled(self, loop: Loop) -> None:
        """Write the steps of a loop one after another."""
        assert isinstance(loop.extent, int)
        start = str(loop.start)
        if loop.around is not None:
            around, steps = loop.around
            start = self.emit(f"mul nuw nsw i64 {self.variables[around.variable]}, {steps}")
        was_in_loop, self.in_loop = self.in_loop, True
        for n in range(loop.extent):
            self.variables[loop.variable] = self.sum(start, str(n))
            self._nodes(loop.body)
        self.in_loop = was_in_loop

    def _rows(self, rows: Rows) -> None:
        """Write a loop over the rows of a tile."""
        self.counter += 1
        variable = f"%row{self.counter}"

        def body() -> None:
            self.row = variable
            self.variables[rows.loop.variable] = self.sum(self.first_row, variable)
            self._nodes(rows.body)
            self.row = None

        self.counted(variable, self.n_rows, body)
        del self.variables[rows.loop.variable]  # which no other loop over rows may see

    def _copy_rows(self, node: Pack | Unpack) -> None:
        """Copy between the rows of an array and a tile, in which they lie side by side."""
        storage = self.schedule.storage[node.tile]
        columns = 1
        for extent in storage.shape[:-1]:
            assert isinstance(extent, int)
            columns *= extent
        kind = memory_type(storage.dtype)
        array = self.schedule.storage[node.array]
        offset = self.product(self.first_row, str(columns))
        rows = self.emit(
            f"getelementptr inbounds {kind}, ptr {self.pointers[node.array]}, i64 {offset}"
        )
        name = "add" if isinstance(node, Unpack) and node.adds else type(node).__name__.lower()
        assert self.tiled is not None
        assert self.tiled.tile is not None
        size = self.tiled.tile.size
        function, text = copy_function(name, array.dtype, columns, size, self.module)
        self.define(function, text)
        self.emit(
            f"call i32 @{function}(ptr {rows}, ptr {self.pointers[node.tile]}, i64 {self.n_rows})"
        )

    # statements

    def _statement(self, statement: Statement) -> None:
        equation = statement.equation
        if isinstance(equation.pattern, Block):
            number = self._block(statement, equation.pattern)
            if number is None:
                return
            value = number
        else:
            value = self._body(statement)
        self._finish_statement(statement, value)

    def _finish_statement(self, statement: Statement, value: Value) -> None:
        """Put the value of a statement where its array lives."""
        equation = statement.equation
        storage = self.schedule.storage[equation.array]
        value = convert(self, value, storage.dtype)
        if storage.has_register:
            if not statement.is_first:
                value = self._unless_repeated(equation, value)
                value = self._combine(equation, self.register(equation.array), value, statement)
            self.set_register(equation.array, value)
            return
        address = self._address(equation.array, equation.target, statement)
        if not statement.is_first and equation.operator != "=":
            old = self.load(address, storage.dtype)
            value = self._unless_repeated(equation, value)
            value = self._combine(equation, old, value, statement)
        self._save_once(address, value)

    def _combine(self, equation: Equation, old: Value, new: Value, statement: Statement) -> Value:
        dtype = old.dtype
        if equation.operator in ("+=", "=") and dtype.startswith("float"):
            depth = len(self.schedule.storage[equation.array].level)
            is_sum = len(statement.path) > depth
            flags = "reassoc contract" if is_sum else "contract"
            name = self.emit(f"fadd {flags} {llvm_type(dtype)} {old.name}, {new.name}")
            return Value(name, dtype)
        return STEPS[COMBINE[equation.operator]](self, dtype, [old, new])

    def _block(self, statement: Statement, block: Block) -> Value | None:
        """Call the function of a block; give its result where that is a number."""
        equation = statement.equation
        reads = [o for o in equation.operands if isinstance(o, Read)]
        dtype = self.schedule.storage[reads[0].array].dtype
        arguments: list[str] = []
        sizes: list[str] = []
        for read, rank in zip(reads, block.ranks, strict=True):
            if rank:
                arguments.append(f"ptr {self._address(read.array, read.indices, statement)[0]}")
                shape = self.program.types[read.array].shape
                sizes += [f"i64 {self.size(e)}" for e in shape[len(shape) - rank :]]
            else:
                value = self._operand(read, statement)
                arguments.append(f"{llvm_type(value.dtype)} {value.name}")
        result = self.schedule.storage[equation.array].dtype
        if block.rank:
            place = self._address(equation.array, equation.target, statement)[0]
        else:
            place = self.slot(llvm_type(result))
        if block.name in FUNCTIONS:
            name, text = block_function(block, dtype, self.module)
        else:
            shape = self.program.types[equation.array].shape
            sizes = [f"i64 {self.size(e)}" for e in shape[len(shape) - block.rank :]] + sizes
            dtypes = [result, *[self.schedule.storage[r.array].dtype for r in reads]]
            name, text = self.module.callback(block, dtypes)
        self.define(name, text)
        call = ", ".join([f"ptr {place}", *arguments, *sizes])
        self.note_status(self.emit(f"call i32 @{name}({call})"))
        return None if block.rank else self.load((place, llvm_type(result)), result)

    def _nested(self, nested: Nested, group: Sequence[Statement]) -> None:
        """Run a loop, a branch or a run, for all of its results that are wanted."""
        first = group[0].equation
        assert isinstance(first.pattern, Block)
        places = ["null"] * len(nested.results())
        numbers: list[tuple[Statement, str]] = []
        for statement in group:
            equation = statement.equation
            assert isinstance(equation.pattern, Block)
            if equation.pattern.rank:
                place = self._address(equation.array, equation.target, statement)[0]
            else:
                dtype = self.schedule.storage[equation.array].dtype
                place = self.slot(memory_type(dtype))
                numbers.append((statement, place))
            places[result_number(equation)] = place
        operands: list[str] = []
        for operand, rank in zip(first.operands, first.pattern.ranks, strict=True):
            assert isinstance(operand, Read)
            if rank:
                address = self._address(operand.array, operand.indices, group[0])
                operands.append(address[0])
                continue
            value = self._operand(operand, group[0])
            kind = memory_type(value.dtype)
            place = self.slot(kind)
            self.save((place, kind), value)
            operands.append(place)
        sizes = [self.size(extent) for _, extent in nested.sizes]
        if isinstance(nested, LoopBlock) and nested.count is not None:
            sizes.append(self.size(nested.count))
        name = self.module.nested_function(nested, self._lower_body)
        arguments = [f"ptr {p}" for p in (*places, *operands)] + [f"i64 {s}" for s in sizes]
        n_sizes = len(nested.sizes)
        self._call_nested(name, arguments, ", ".join(f"i64 {s}" for s in sizes[:n_sizes]))
        for statement, place in numbers:
            equation = statement.equation
            dtype = self.schedule.storage[equation.array].dtype
            self._finish_statement(statement, self.load((place, memory_type(dtype)), dtype))

    def _call_nested(self, name: str, arguments: Sequence[str], sizes: str) -> None:
        """Call a nested function, with the memory that it wants."""

        def call(memory: str) -> None:
            given = ", ".join([*arguments, f"ptr {memory}"])
            self.note_status(self.emit(f"call i32 @{name}({given})"))

        if self.is_inside or name not in self.module.with_memory:
            call("%memory" if self.is_inside else "null")
            return
        wanted = self.emit(f"call i64 @{name}_bytes({sizes})")
        self.declare("aligned_alloc", "ptr", "i64, i64", pure=False)
        self.declare("free", "void", "ptr", pure=False)
        size = self.emit(f"add i64 {wanted}, 64")  # of nothing it may be null
        memory = self.emit(f"call ptr @aligned_alloc(i64 64, i64 {size})")
        is_there = self.emit(f"icmp ne ptr {memory}, null")
        self.note_status(self.emit(f"select i1 {is_there}, i32 0, i32 {MEMORY}"))
        self.when(is_there, lambda: call(memory))
        self.lines.append(f"  call void @free(ptr {memory})")

    def _lower_body(self, plan: Schedule, name: str, sizes: Sequence[str]) -> None:
        self.module.functions.append(KernelFunction(plan, self.module, name, sizes).text())

    def _body(self, statement: Statement) -> Value:
        equation = statement.equation
        assert not isinstance(equation.pattern, Block)
        dtype = self.schedule.storage[equation.array].dtype
        values = [self._operand(o, statement) for o in equation.operands]
        for step in equation.pattern.steps:
            if step.name == "literal":
                values.append(literal_value(step.literal, dtype))
                continue
            arguments = [values[a] for a in step.arguments]
            compute = computed_in(dtype, [a.dtype for a in arguments])
            values.append(STEPS[step.name](self, compute, arguments))
        return values[-1] if equation.pattern.steps else values[0]

    def _operand(self, operand: Operand, statement: Statement) -> Value:
        if isinstance(operand, Literal):
            return constant(operand.value, operand.dtype)
        if isinstance(operand, IndexValue):
            return Value(self._index(operand.value, statement), "int64")
        if self._is_in_register(operand, statement):
            return self.register(operand.array)
        address = self._address(operand.array, operand.indices, statement)
        return self.load(address, self.schedule.storage[operand.array].dtype)

    def _is_in_register(self, read: Read, statement: Statement) -> bool:
        """Whether a read is of the element that is being computed in this iteration."""
        return is_at_hand(read, statement, self.schedule.storage[read.array])

    # registers and memory

    def register(self, array: str) -> Value:
        """Give what is in a register."""
        if array in self.slots:
            dtype = self.schedule.storage[array].dtype
            return Value(self.emit(f"load {llvm_type(dtype)}, ptr {self.slots[array]}"), dtype)
        return self.registers[array]

    def set_register(self, array: str, value: Value) -> None:
        """Put a value into a register."""
        if array in self.slots:
            kind = llvm_type(value.dtype)
            self.lines.append(f"  store {kind} {value.name}, ptr {self.slots[array]}")
        else:
            self.registers[array] = value

    def _fill(self, fill: Fill) -> None:
        storage = self.schedule.storage[fill.array]
        value = start_value(fill.operator, storage.dtype)
        if storage.has_register:
            self.set_register(fill.array, value)
            return
        name = self._in_tile(fill.array)
        storage = self.schedule.storage[name]
        free = [
            (axis, extent)
            for axis, extent in zip(storage.axes, storage.shape, strict=True)
            if (self.row is None if axis == ROW else storage.bound[axis] is None)
        ]
        at = self._bound_indices(storage)
        free += [(axis, ROW) for axis in storage.axes if axis != ROW and at.get(axis) == ""]
        self._fill_axes(name, value, free, at)

    def _fill_axes(
        self, array: str, value: Value, free: list[tuple[int, Extent]], at: dict[int, str]
    ) -> None:
        if not free:
            self.save(self._element(array, at), value)
            return
        (axis, extent), *rest = free
        if extent == ROW:  # rows of the tile, in the array itself
            self._over_rows(
                lambda row: self._fill_axes(array, value, rest, {**at, axis: row}),
            )
            return
        if self.row is not None and isinstance(extent, int):
            for n in range(extent):
                self._fill_axes(array, value, rest, {**at, axis: str(n)})
            return
        self.counter += 1
        variable = f"%f{self.counter}"
        inner = {**at, axis: variable}
        limit = self.n_rows if axis == ROW else self.size(extent)
        self.counted(variable, limit, lambda: self._fill_axes(array, value, rest, inner))

    def _over_rows(self, body: Callable[[str], None]) -> None:
        """Write a loop that gives the numbers of a tile's rows."""
        self.counter += 1
        variable = f"%f{self.counter}"
        self.counted(variable, self.n_rows, lambda: body(self.sum(self.first_row, variable)))

    def _bound_indices(self, storage: Storage) -> dict[int, str]:
        return {
            axis: self.variables.get(loop.variable, "")
            for axis, loop in enumerate(storage.bound)
            if loop is not None
        }

    def _store(self, store: Store) -> None:
        storage = self.schedule.storage[store.array]
        address = self._element(self._in_tile(store.array), self._bound_indices(storage))
        self._save_once(address, self.register(store.array))

    def _in_tile(self, array: str) -> str:
        """The tile of an array, where it has one, or itself."""
        if self.tiled is None or self.tiled.tile is None:
            return array
        return self.tiled.tile.copies.get(array, array)

    def _address(
        self, array: str, indices: Sequence[Index], statement: Statement
    ) -> tuple[str, str]:
        shape = self.program.types[array].shape
        at = {
            axis: self._position(i, extent, statement)
            for axis, (i, extent) in enumerate(zip(indices, shape, strict=True))
        }
        if self.tiled is not None and is_row_of(self.tiled, indices, statement):
            array = self._in_tile(array)
        return self._element(array, at)

    def _element(self, array: str, at: dict[int, str]) -> tuple[str, str]:
        """Point to an element; returns the pointer and the dtype in memory."""
        storage = self.schedule.storage[array]
        offset: str | None = None
        if self.row is not None:
            at = {**at, ROW: self.row}
        for axis, extent in zip(storage.axes, storage.shape, strict=True):
            if offset is not None:
                offset = self.sum(self.product(offset, self.size(extent)), at[axis])
            else:
                offset = at[axis]
        pointer = self.pointers[array]
        kind = memory_type(storage.dtype)
        if offset is not None and offset != "0":
            pointer = self.emit(f"getelementptr inbounds {kind}, ptr {pointer}, i64 {offset}")
        return pointer, kind

    def _position(self, index: Index, extent: Extent, statement: Statement) -> str:
        """An ``i64`` for a place on an axis; one that was computed is kept within the axis."""
        if isinstance(index, Whole):
            return "0"
        if isinstance(index, Affine):
            return self._index(index, statement)
        place = convert(self, self._operand(index, statement), "int64").name
        if index.array in self.program.constants:
            return place  # which tracing has checked
        is_inside = self.emit(f"icmp ult i64 {place}, {self.size(extent)}")
        self.note_status(self.emit(f"select i1 {is_inside}, i32 0, i32 {INDEX}"))
        return self.emit(f"select i1 {is_inside}, i64 {place}, i64 0")

    def _index(self, index: Affine, statement: Statement) -> str:
        """An ``i64`` for an index expression."""
        total = self.size(index.offset)
        for k, coefficient in index.terms:
            term = self.variables[statement.loops[k].variable]
            total = self.sum(self.product(term, self.size(coefficient)), total)
        return total


def _calls_function(equation: Equation, extent: int) -> bool:
    """Whether an equation in a loop calls a function of the mathematical library.

    Those of our own are code like any other, whose last lanes LLVM masks in very short loops.
    """
    pattern = equation.pattern
    if isinstance(pattern, Block):
        return False
    called = {step.name for step in pattern.steps} & LIBRARY_STEPS
    return any(extent >= MASKED or not is_inlined(name) for name in called)


def literal_value(value: float | bool, dtype: str) -> Value:
    """Write a number in a pattern."""
    return constant(value, literal_dtype(value, dtype))


def statements(nodes: Sequence[Node]) -> list[Statement]:
    """Every statement, in order."""
    found: list[Statement] = []
    for node in nodes:
        if isinstance(node, (Loop, Rows)):
            found += statements(node.body)
        elif isinstance(node, Statement):
            found.append(node)
    return found


def arguments_of(schedule: Schedule) -> list[tuple[str, str]]:
    """The pointers that a kernel takes, in order, with the kind of each."""
    program = schedule.program
    names = [*program.inputs, *program.constants, *program.outputs, *schedule.scratch]
    return [(name, schedule.storage[name].kind) for name in names]
