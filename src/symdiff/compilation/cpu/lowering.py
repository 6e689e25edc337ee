"""From a schedule to LLVM code: one function over pointers and sizes.

The text is written directly: for ten thousand operations it is made in a few hundredths of a
second, where a builder of instruction objects takes most of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symdiff.compilation.cpu.blocks import FUNCTIONS, block_function, callback_function
from symdiff.compilation.cpu.callbacks import Callback
from symdiff.compilation.cpu.nested import llvm_constant, nested_function
from symdiff.compilation.cpu.operations import (
    STEPS,
    Value,
    constant,
    convert,
    llvm_type,
    promote,
)
from symdiff.compilation.cpu.vector_math import preferred_width, variants
from symdiff.compilation.schedule import Fill, Loop, Node, Schedule, Statement, Storage, Store
from symdiff.compilation.status import INDEX
from symdiff.errors import UnsupportedOperationError
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import (
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
from symdiff.program.nested import Nested, group_key, nested_of, result_number
from symdiff.program.sizes import Extent, Size, symbol

__all__ = ["Module", "lower"]

_START = {"=": 0, "+=": 0, "max=": "-inf", "min=": "inf", "or=": False, "and=": True}
_COMBINE = {"=": "add", "+=": "add", "max=": "maximum", "min=": "minimum"}
_COMBINE |= {"or=": "or", "and=": "and"}
STACK_LIMIT, MAX_ON_STACK = 512, 8192
"""Intermediate arrays of up to the first number of elements lie on the stack, while those that lie
there have not passed the second together."""
INLINE_LIMIT = 64
"""Programs of up to this many equations are copied into each of their entry points."""


class Module:
    """The text of one LLVM module, with its declarations."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}
        self.functions: list[str] = []
        self.vector_functions: list[str] = []
        self.defined: set[str] = set()
        self.callbacks: list[Callback] = []
        self.nested: dict[Nested, str] = {}
        self.constants: dict[int, tuple[str, np.ndarray]] = {}

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        """Declare an external function once; return its name."""
        if name in self.declarations:
            return name
        attributes = " nounwind willreturn memory(none)" if pure else ""
        if pure and result in ("double", "float"):
            attributes += self._vector_attribute(name, result, arguments.count(result))
        self.declarations[name] = f"declare {result} @{name}({arguments}){attributes}"
        return name

    def callback(self, block: Block, dtypes: Sequence[str]) -> tuple[str, str]:
        """Write the function of a block that Python computes, which the module keeps alive."""
        function = getattr(block.attributes[0], "function", None) if block.attributes else None
        if function is None:
            raise UnsupportedOperationError(f"the CPU does not know the operation {block.label}")
        ranks = (block.rank, *block.ranks)
        made = Callback(function, block.name, ranks, dtypes)
        self.callbacks.append(made)
        name = f"callback_{len(self.callbacks)}"
        return name, callback_function(block, name, dtypes, made.address, self)

    def constant(self, data: np.ndarray) -> str:
        """Put an array into the module; give its name."""
        if id(data) not in self.constants:
            name = f"@constant_{len(self.constants)}"
            self.constants[id(data)] = (name, data)
            text = llvm_constant(data)
            self.functions.append(
                f"{name} = private unnamed_addr constant [{data.nbytes} x i8] {text}, align 64"
            )
        return self.constants[id(data)][0]

    def nested_function(self, nested: Nested) -> str:
        """Write the function of a loop, a branch or a run once; give its name."""
        if nested not in self.nested:
            name = f"{nested.kind}_{len(self.nested)}"
            self.nested[nested] = name

            def lower_body(plan: Schedule, name: str, sizes: Sequence[str]) -> None:
                self.functions.append(_Function(plan, self, name, sizes).text())

            self.functions.append(nested_function(nested, name, self, lower_body))
        return self.nested[nested]

    def _vector_attribute(self, name: str, kind: str, n_arguments: int) -> str:
        """Declare the vector functions for a scalar one, and name them in an attribute."""
        found = variants(name, kind, n_arguments)
        if not found:
            return ""
        for lanes, vectorized in found:
            vector = f"<{lanes} x {kind}>"
            arguments = ", ".join([vector] * n_arguments)
            self.declarations[vectorized] = (
                f"declare {vector} @{vectorized}({arguments}) nounwind willreturn memory(none)"
            )
            self.vector_functions.append(vectorized)
        signature = "v" * n_arguments
        names = ",".join(f"_ZGV_LLVM_N{n}{signature}_{name}({v})" for n, v in found)
        return f' "vector-function-abi-variant"="{names}"'

    def __str__(self) -> str:
        lines = [*self.declarations.values()]
        if self.vector_functions:  # which nothing calls before the loop vectoriser does
            kept = ", ".join(f"ptr @{name}" for name in self.vector_functions)
            count = len(self.vector_functions)
            lines.append(
                f"@llvm.compiler.used = appending global [{count} x ptr] [{kept}], "
                'section "llvm.metadata"'
            )
        return "\n".join([*lines, *self.functions, ""])


def memory_type(dtype: str) -> str:
    """Name the LLVM type of elements in memory: a Boolean is a byte there."""
    return "i8" if dtype == "bool" else llvm_type(dtype)


def lower(schedule: Schedule, module: Module, name: str = "kernel") -> None:
    """Append the function ``i32 @kernel(inputs, constants, outputs, scratch, sizes)``.

    Every array is a pointer to contiguous elements in C order, every size an ``i64``.
    """
    module.functions.append(_Function(schedule, module, name).text())


class _Function:
    """Writes one function; implements `operations.Emitter`."""

    def __init__(
        self, schedule: Schedule, module: Module, name: str, sizes: Sequence[str] | None = None
    ) -> None:
        self.schedule = schedule
        self.size_names = [*schedule.program.size_sources] if sizes is None else sizes
        self.is_inside = sizes is not None
        self.module = module
        self.name = name
        self.program = schedule.program
        self.lines: list[str] = []
        self.head: list[str] = []
        self.counter = 0
        self.block = "entry"
        self.pointers: dict[str, str] = {}
        self.registers: dict[str, Value] = {}
        self.slots: dict[str, str] = {}
        self.variables: dict[int, str] = {}
        self.sizes: dict[Extent, str] = {}
        self.has_status = False

    # operations.Emitter

    def emit(self, instruction: str) -> str:
        self.counter += 1
        self.lines.append(f"  %v{self.counter} = {instruction}")
        return f"%v{self.counter}"

    def define(self, name: str, text: str) -> str:
        if name not in self.module.defined:
            self.module.defined.add(name)
            self.module.functions.append(text)
        return name

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        return self.module.declare(name, result, arguments, pure=pure)

    # the function

    def text(self) -> str:
        arguments: list[str] = []
        for number, (array, kind) in enumerate(arguments_of(self.schedule)):
            self.pointers[array] = f"%a{number}"
            attributes = " readonly" if kind in ("input", "constant") else ""
            # What a step writes is what the next one reads: LLVM moves loads from one to the other.
            attributes += "" if array in self.schedule.swapped else " noalias"
            arguments.append(f"ptr{attributes} %a{number}")
        for array, end in self.schedule.in_place.items():
            self.pointers[array] = self.pointers[end]
        for number, size in enumerate(self.size_names):
            self.sizes[symbol(size)] = f"%n{number}"
            arguments.append(f"i64 %n{number}")
        for array, storage in self.schedule.storage.items():
            if storage.has_register and self._needs_slot(array):
                slot = f"%s{len(self.slots)}"
                self.head.append(f"  {slot} = alloca {llvm_type(storage.dtype)}")
                self.slots[array] = slot
        self._size_values()
        self._nodes(self.schedule.body)
        is_small = not self.schedule.has_loops and len(self.program.equations) <= INLINE_LIMIT
        inlining = "alwaysinline" if is_small else "" if self.is_inside else "noinline"
        width = preferred_width()
        if width is not None:
            inlining += f' "prefer-vector-width"="{width}"'
        status = "0"
        if self.has_status:
            self.head += ["  %status = alloca i32", "  store i32 0, ptr %status"]
            status = self.emit("load i32, ptr %status")
        return "\n".join(
            [
                f"define internal i32 @{self.name}({', '.join(arguments)}) {inlining} {{",
                "entry:",
                *self.head,
                *self.lines,
                f"  ret i32 {status}",
                "}",
            ]
        )

    def _note_status(self, status: str) -> None:
        """Add what went wrong to what the kernel will say."""
        self.has_status = True
        before = self.emit("load i32, ptr %status")
        self.lines.append(f"  store i32 {self.emit(f'or i32 {before}, {status}')}, ptr %status")

    def _needs_slot(self, array: str) -> bool:
        """Whether a register is written inside loops deeper than where it is started."""
        depth = len(self.schedule.storage[array].level)
        return any(len(p) > depth for p in self._write_depths[array])

    @property
    def _write_depths(self) -> dict[str, list[tuple[Loop, ...]]]:
        if not hasattr(self, "_depths"):
            self._depths: dict[str, list[tuple[Loop, ...]]] = {}
            for statement in statements(self.schedule.body):
                self._depths.setdefault(statement.equation.array, []).append(statement.path)
        return self._depths

    def _size_values(self) -> None:
        """Compute every polynomial of sizes once, in front of all loops."""
        for array_type in self.program.types.values():
            for extent in array_type.shape:
                self.size(extent)
        for equation in self.program.equations:
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
        for position, node in enumerate(nodes):
            if isinstance(node, Loop):
                self._loop(node)
            elif isinstance(node, Statement):
                if id(node) in done:
                    continue
                nested = nested_of(node.equation.pattern)
                if nested is None:
                    self._statement(node)
                else:
                    group = _group(nodes, position)
                    self._nested(nested, group)
                    done.update(id(s) for s in group)
            elif isinstance(node, Fill):
                self._fill(node)
            else:
                self._store(node)

    def _loop(self, loop: Loop) -> None:
        variable = f"%i{loop.variable}"
        self.variables[loop.variable] = variable
        self._counted(variable, self.size(loop.extent), lambda: self._nodes(loop.body))

    def _counted(self, variable: str, extent: str, body: object) -> None:
        """Write ``for variable in range(extent)``; nothing happens for an extent of zero."""
        assert callable(body)
        self.counter += 1
        label = f"b{self.counter}"
        before = self.block
        go = self.emit(f"icmp sgt i64 {extent}, 0")
        self.lines.append(f"  br i1 {go}, label %{label}, label %{label}.end")
        self.lines.append(f"{label}:")
        mark = len(self.lines)
        self.block = label
        body()
        following = self.emit(f"add nuw nsw i64 {variable}, 1")
        again = self.emit(f"icmp slt i64 {following}, {extent}")
        self.lines.append(f"  br i1 {again}, label %{label}, label %{label}.end")
        phi = f"  {variable} = phi i64 [ 0, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(mark, phi)
        self.lines.append(f"{label}.end:")
        self.block = f"{label}.end"

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
                value = self._combine(equation, self._register(equation.array), value, statement)
            self._set_register(equation.array, value)
            return
        address = self._address(equation.array, equation.target, statement)
        if not statement.is_first and equation.operator != "=":
            old = self._load(address, storage.dtype)
            value = self._combine(equation, old, value, statement)
        self._save(address, value)

    def _combine(self, equation: Equation, old: Value, new: Value, statement: Statement) -> Value:
        dtype = old.dtype
        if equation.operator in ("+=", "=") and dtype.startswith("float"):
            depth = len(self.schedule.storage[equation.array].level)
            is_sum = len(statement.path) > depth
            flags = "reassoc contract" if is_sum else "contract"
            name = self.emit(f"fadd {flags} {llvm_type(dtype)} {old.name}, {new.name}")
            return Value(name, dtype)
        return STEPS[_COMBINE[equation.operator]](self, dtype, [old, new])

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
            place = self._slot(llvm_type(result))
        if block.name in FUNCTIONS:
            name, text = block_function(block, dtype, self.module)
        else:
            shape = self.program.types[equation.array].shape
            sizes = [f"i64 {self.size(e)}" for e in shape[len(shape) - block.rank :]] + sizes
            dtypes = [result, *[self.schedule.storage[r.array].dtype for r in reads]]
            name, text = self.module.callback(block, dtypes)
        self.define(name, text)
        call = ", ".join([f"ptr {place}", *arguments, *sizes])
        self._note_status(self.emit(f"call i32 @{name}({call})"))
        return None if block.rank else self._load((place, llvm_type(result)), result)

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
                place = self._slot(memory_type(dtype))
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
            place = self._slot(kind)
            self._save((place, kind), value)
            operands.append(place)
        sizes = [self.size(extent) for _, extent in nested.sizes]
        if isinstance(nested, LoopBlock) and nested.count is not None:
            sizes.append(self.size(nested.count))
        name = self.module.nested_function(nested)
        arguments = [f"ptr {p}" for p in (*places, *operands)] + [f"i64 {s}" for s in sizes]
        self._note_status(self.emit(f"call i32 @{name}({', '.join(arguments)})"))
        for statement, place in numbers:
            equation = statement.equation
            dtype = self.schedule.storage[equation.array].dtype
            self._finish_statement(statement, self._load((place, memory_type(dtype)), dtype))

    def _slot(self, kind: str) -> str:
        """Take memory for a number."""
        self.counter += 1
        self.head.append(f"  %r{self.counter} = alloca {kind}")
        return f"%r{self.counter}"

    def _body(self, statement: Statement) -> Value:
        equation = statement.equation
        assert not isinstance(equation.pattern, Block)
        dtype = self.schedule.storage[equation.array].dtype
        values = [self._operand(o, statement) for o in equation.operands]
        for step in equation.pattern.steps:
            if step.name == "literal":
                values.append(_literal(step.literal, dtype))
                continue
            arguments = [values[a] for a in step.arguments]
            compute = dtype
            if dtype == "bool" and any(a.dtype != "bool" for a in arguments):
                compute = promote(*[a.dtype for a in arguments])
            values.append(STEPS[step.name](self, compute, arguments))
        return values[-1] if equation.pattern.steps else values[0]

    def _operand(self, operand: Operand, statement: Statement) -> Value:
        if isinstance(operand, Literal):
            return constant(operand.value, operand.dtype)
        if isinstance(operand, IndexValue):
            return Value(self._index(operand.value, statement), "int64")
        if self._is_in_register(operand, statement):
            return self._register(operand.array)
        address = self._address(operand.array, operand.indices, statement)
        return self._load(address, self.schedule.storage[operand.array].dtype)

    def _is_in_register(self, read: Read, statement: Statement) -> bool:
        """Whether a read is of the element that is being computed in this iteration."""
        storage = self.schedule.storage[read.array]
        if not storage.has_register or statement.path[: len(storage.level)] != storage.level:
            return False
        return all(
            isinstance(i, Affine) and i.single is not None and statement.loops[i.single] is loop
            for i, loop in zip(read.indices, storage.bound, strict=True)
        )

    # registers and memory

    def _register(self, array: str) -> Value:
        if array in self.slots:
            dtype = self.schedule.storage[array].dtype
            return Value(self.emit(f"load {llvm_type(dtype)}, ptr {self.slots[array]}"), dtype)
        return self.registers[array]

    def _set_register(self, array: str, value: Value) -> None:
        if array in self.slots:
            kind = llvm_type(value.dtype)
            self.lines.append(f"  store {kind} {value.name}, ptr {self.slots[array]}")
        else:
            self.registers[array] = value

    def _fill(self, fill: Fill) -> None:
        storage = self.schedule.storage[fill.array]
        value = start_value(fill.operator, storage.dtype)
        if storage.has_register:
            self._set_register(fill.array, value)
            return
        free = [a for a in storage.axes if storage.bound[a] is None]
        self._fill_axes(fill.array, storage, value, free, {})

    def _fill_axes(
        self, array: str, storage: Storage, value: Value, free: list[int], at: dict[int, str]
    ) -> None:
        if free:
            self.counter += 1
            variable = f"%f{self.counter}"
            extent = self.size(self.program.types[array].shape[free[0]])
            inner = {**at, free[0]: variable}
            self._counted(
                variable, extent, lambda: self._fill_axes(array, storage, value, free[1:], inner)
            )
            return
        self._save(self._element(array, self._bound_indices(storage, at)), value)

    def _bound_indices(self, storage: Storage, at: dict[int, str]) -> dict[int, str]:
        indices = dict(at)
        for axis, loop in enumerate(storage.bound):
            if loop is not None:
                indices[axis] = self.variables[loop.variable]
        return indices

    def _store(self, store: Store) -> None:
        storage = self.schedule.storage[store.array]
        address = self._element(store.array, self._bound_indices(storage, {}))
        self._save(address, self._register(store.array))

    def _address(
        self, array: str, indices: Sequence[Index], statement: Statement
    ) -> tuple[str, str]:
        shape = self.program.types[array].shape
        at = {
            axis: self._position(i, extent, statement)
            for axis, (i, extent) in enumerate(zip(indices, shape, strict=True))
        }
        return self._element(array, at)

    def _element(self, array: str, at: dict[int, str]) -> tuple[str, str]:
        """Point to an element; returns the pointer and the dtype in memory."""
        storage = self.schedule.storage[array]
        offset: str | None = None
        for axis, extent in zip(storage.axes, storage.shape, strict=True):
            if offset is not None:
                offset = self.emit(f"mul nsw i64 {offset}, {self.size(extent)}")
                offset = self.emit(f"add nsw i64 {offset}, {at[axis]}")
            else:
                offset = at[axis]
        pointer = self.pointers[array]
        kind = memory_type(storage.dtype)
        if offset is not None and offset != "0":
            pointer = self.emit(f"getelementptr inbounds {kind}, ptr {pointer}, i64 {offset}")
        return pointer, kind

    def _load(self, address: tuple[str, str], dtype: str) -> Value:
        name = self.emit(f"load {address[1]}, ptr {address[0]}")
        if dtype == "bool":
            name = self.emit(f"icmp ne i8 {name}, 0")
        return Value(name, dtype)

    def _save(self, address: tuple[str, str], value: Value) -> None:
        name = value.name
        if value.dtype == "bool":
            name = self.emit(f"zext i1 {name} to i8")
        self.lines.append(f"  store {address[1]} {name}, ptr {address[0]}")

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
        self._note_status(self.emit(f"select i1 {is_inside}, i32 0, i32 {INDEX}"))
        return self.emit(f"select i1 {is_inside}, i64 {place}, i64 0")

    def _index(self, index: Affine, statement: Statement) -> str:
        """An ``i64`` for an index expression."""
        total: str | None = None
        for k, coefficient in index.terms:
            term = self.variables[statement.loops[k].variable]
            if coefficient != 1:
                term = self.emit(f"mul nsw i64 {term}, {self.size(coefficient)}")
            total = term if total is None else self.emit(f"add nsw i64 {total}, {term}")
        if total is None:
            return self.size(index.offset)
        if index.offset != 0:
            total = self.emit(f"add nsw i64 {total}, {self.size(index.offset)}")
        return total


def _literal(value: float | bool, dtype: str) -> Value:
    """A number in a pattern takes the dtype of the equation, where that is a number's."""
    if isinstance(value, bool):
        return constant(value, "bool")
    if dtype == "bool":
        return constant(value, "int64" if isinstance(value, int) else "float64")
    return constant(value, dtype)


def start_value(operator: str, dtype: str) -> Value:
    """What an operator leaves unchanged."""
    start = _START[operator]
    if isinstance(start, str):
        if dtype.startswith("float"):
            return constant(float(start), dtype)
        bits = 8 * int(dtype.lstrip("uint")) // 8
        low = 0 if dtype.startswith("u") else -(2 ** (bits - 1))
        high = 2**bits - 1 if dtype.startswith("u") else 2 ** (bits - 1) - 1
        return constant(low if start == "-inf" else high, dtype)
    return constant(start, dtype)


def _group(nodes: Sequence[Node], start: int) -> list[Statement]:
    """The statements from a place on that are results of the same loop, branch or run."""
    first = nodes[start]
    assert isinstance(first, Statement)
    key = group_key(first.equation)
    group = [first]
    for node in nodes[start + 1 :]:
        if not isinstance(node, Statement) or nested_of(node.equation.pattern) is None:
            break
        if group_key(node.equation) == key and node.loops == first.loops:
            group.append(node)
    return group


def statements(nodes: Sequence[Node]) -> list[Statement]:
    """Every statement, in order."""
    found: list[Statement] = []
    for node in nodes:
        if isinstance(node, Loop):
            found += statements(node.body)
        elif isinstance(node, Statement):
            found.append(node)
    return found


def arguments_of(schedule: Schedule) -> list[tuple[str, str]]:
    """The pointers that a kernel takes, in order, with the kind of each."""
    program = schedule.program
    names = [*program.inputs, *program.constants, *program.outputs, *schedule.scratch]
    return [(name, schedule.storage[name].kind) for name in names]
