"""LLVM code of loops, branches and runs: one function each, around the Programs that they hold.

A function takes pointers to its results (null where nobody wants one), pointers to its operands,
and the sizes outside that its own symbols are. A Program inside is a function too, which LLVM
copies into the loop; numbers that are carried then live in registers. Large arrays that are carried
change places between two buffers.

Memory is taken once a call, for all that is nested: a function ``i64 name_bytes(sizes)`` says how
much, the kernel takes it, and a loop gives a part to the loops in its step. Only a run, whose size
is found on the way, takes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from symdiff.compilation.cpu.assembler import Assembler, Variable, size_value
from symdiff.compilation.cpu.planning import planned
from symdiff.compilation.cpu.values import memory_type
from symdiff.compilation.nests import Schedule, Statement, walk
from symdiff.compilation.placement import is_swapped
from symdiff.compilation.status import MEMORY
from symdiff.program.equations import ArrayType
from symdiff.program.nested import Branch, Loop, Nested, Run, nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product

if TYPE_CHECKING:
    from symdiff.compilation.cpu.module import Module

__all__ = ["LowerBody", "nested_function"]

STACK_LIMIT, MAX_ON_STACK = 512, 4096
"""Arrays of up to the first number of elements lie on the stack, while those that lie there have
not passed the second together."""

LowerBody = Callable[[Schedule, str, Sequence[str]], None]
"""Appends the function of a schedule, given its name and the sizes that it takes."""


def nested_function(nested: Nested, name: str, module: Module, lower_body: LowerBody) -> str:
    """Write the function ``i32 name(results, operands, sizes, memory)``."""
    writer = {"loop": _loop, "branch": _branch, "run": _run}[nested.kind]
    code = _Code(nested, name, module, lower_body)
    writer(code, nested)
    return "\n".join([code.text(), *code.bytes_function()])


class _Body:
    """A Program inside, as a function."""

    def __init__(
        self,
        code: _Code,
        program: Program,
        name: str,
        sizes: Sequence[str],
        carried: Mapping[str, str],
    ) -> None:
        self.program = program
        self.name = name
        self.sizes = sizes
        self.schedule = planned(program, carried)
        code.lower_body(self.schedule, name, sizes)


class _Sized(Assembler):
    """A function that knows sizes."""

    sizes: dict[str, str]

    def size(self, extent: Extent) -> str:
        """An ``i64`` for an extent inside."""
        return size_value(self, extent, self.sizes)

    def rounded_bytes(self, kind: str, count: Extent) -> str:
        """How many bytes so many elements take, up to the next line of the caches."""
        size = self.value(f"add i64 {self.bytes(kind, self.size(count))}, 63")
        return self.value(f"and i64 {size}, -64")

    def bytes_inside(self, inside: Sequence[Nested], module: Module) -> str:
        """How many bytes the largest of some nested functions wants."""
        most = "0"
        for nested in inside:
            sizes = ", ".join(f"i64 {self.size(extent)}" for _, extent in nested.sizes)
            wanted = self.value(f"call i64 @{module.nested[nested]}_bytes({sizes})")
            is_more = self.value(f"icmp sgt i64 {wanted}, {most}")
            most = self.value(f"select i1 {is_more}, i64 {wanted}, i64 {most}")
        return most


class _Code(_Sized):
    """One function, with its memory."""

    def __init__(self, nested: Nested, name: str, module: Module, lower_body: LowerBody) -> None:
        self.module = module
        self.nested = nested
        self.lower_body = lower_body
        arguments = [f"ptr %o{k}" for k in range(len(nested.results()))]
        arguments += [f"ptr %x{k}" for k in range(len(nested.operand_types()))]
        arguments += [f"i64 %n{k}" for k in range(len(nested.sizes))]
        if isinstance(nested, Loop) and nested.count is not None:
            arguments.append("i64 %count")
        arguments.append("ptr %memory")
        super().__init__(name, arguments, module)
        self.sizes = {symbol: f"%n{k}" for k, (symbol, _) in enumerate(nested.sizes)}
        self.inside: list[Nested] = []
        self.wanted: list[tuple[str, Extent]] = []
        self.shared = "%memory"
        self.next = ""
        self.on_stack = 0

    def body(self, program: Program, label: str, carried: Mapping[str, str] | None = None) -> _Body:
        """Write the function of a Program inside."""
        body = _Body(self, program, f"{self.name}_{label}", [*self.sizes], carried or {})
        for node in walk(body.schedule.body):
            nested = nested_of(node.equation.pattern) if isinstance(node, Statement) else None
            if nested is not None and self.module.nested[nested] in self.module.with_memory:
                self.inside.append(nested)
        return body

    def begin_memory(self) -> None:
        """Find where the arrays lie: behind what is nested, of which one runs at a time."""
        inner = self.bytes_inside(self.inside, self.module)
        self.next = self.at("i8", self.shared, inner)

    def bytes_function(self) -> list[str]:
        """Write the function that says how much memory is wanted, if any is."""
        is_run = isinstance(self.nested, Run)
        if not is_run and not self.wanted and not self.inside:
            return []
        if not is_run:  # which takes its own
            self.module.with_memory.add(self.name)
        names = [f"%n{k}" for k in range(len(self.nested.sizes))]
        sizes = dict(zip((symbol for symbol, _ in self.nested.sizes), names, strict=True))
        if isinstance(self.nested, Run):
            names.append("%own")
            sizes[self.nested.symbol] = "%own"
        code = _Sized("", [], self.declarer)
        code.sizes = sizes
        total = code.bytes_inside(self.inside, self.module)
        for kind, count in self.wanted:
            total = code.value(f"add i64 {total}, {code.rounded_bytes(kind, count)}")
        arguments = ", ".join(f"i64 {n}" for n in names)
        head = f"define internal i64 @{self.name}_bytes({arguments}) memory(none) {{"
        return [head, "entry:", *code.head, *code.lines, f"  ret i64 {total}", "}"]

    def memory(self, array_type: ArrayType) -> str:
        """Take memory for an array, on the stack if it is small."""
        count = product(array_type.shape)
        kind = memory_type(array_type.dtype)
        if isinstance(count, int) and count <= STACK_LIMIT and self.on_stack < MAX_ON_STACK:
            self.on_stack += count
            self.counter += 1
            self.head.append(f"  %s{self.counter} = alloca [{max(count, 1)} x {kind}], align 64")
            return f"%s{self.counter}"
        pointer = self.next
        self.next = self.at("i8", pointer, self.rounded_bytes(kind, count))
        self.wanted.append((kind, count))
        return pointer

    def scratch(self, body: _Body) -> list[str]:
        """Take memory for the intermediate arrays of a Program inside."""
        storage = body.schedule.storage
        return [
            self.memory(ArrayType(storage[name].shape, storage[name].dtype))
            for name in body.schedule.scratch
        ]

    def constants(self, body: _Body) -> list[str]:
        """Put the constants of a Program inside into the module."""
        return [self.module.constant(data) for data in body.program.constants.values()]

    def run(
        self, body: _Body, inputs: Sequence[str], outputs: Sequence[str], scratch: Sequence[str]
    ) -> str:
        """Call a Program inside; give its status."""
        pointers = [*inputs, *self.constants(body), *outputs, *scratch]
        arguments = [f"ptr {p}" for p in pointers]
        arguments += [f"i64 {self.sizes[symbol]}" for symbol in body.sizes]
        arguments.append(f"ptr {self.shared}")
        return self.value(f"call i32 @{body.name}({', '.join(arguments)})")

    def copy_array(self, array_type: ArrayType, target: str, source: str) -> None:
        """Copy a whole array."""
        kind = memory_type(array_type.dtype)
        if not array_type.shape:
            self.store(kind, self.load(kind, source), target)
        else:
            self.copy(kind, target, source, self.size(product(array_type.shape)))

    def or_own(self, pointer: str, own: str) -> str:
        """Give memory of its own to a result that nobody wants."""
        is_null = self.value(f"icmp eq ptr {pointer}, null")
        return self.value(f"select i1 {is_null}, ptr {own}, ptr {pointer}")

    def give(self, pointer: str, array_type: ArrayType, source: str) -> None:
        """Copy a result to where it is wanted, if it is, and if it is not there."""
        is_wanted = self.value(f"icmp ne ptr {pointer}, null")
        is_elsewhere = self.value(f"icmp ne ptr {pointer}, {source}")
        with self.when(self.value(f"and i1 {is_wanted}, {is_elsewhere}")):
            self.copy_array(array_type, pointer, source)

    def finish(self, status: str) -> None:
        """Return a status."""
        self.add(f"ret i32 {status}")
        self.lines.append("after:")  # which nothing reaches


class _LoopCode:
    """Writes a loop."""

    def __init__(self, code: _Code, loop: Loop) -> None:
        self.code, self.loop = code, loop
        c, step = code, loop.step
        pairs = zip(loop.carried, loop.carried_out, strict=True)
        self.body = c.body(step, "step", dict(pairs))
        c.begin_memory()
        self.first = 1 if loop.has_limit else 0
        self.carried = [step.types[name] for name in loop.carried]
        self.stacked = [step.types[name] for name in loop.stacked]
        self.now = [c.memory(t) for t in self.carried]
        # An array that a step changes in place has one buffer only.
        in_place = self.body.schedule.in_place
        self.next = [
            here if name in in_place else c.memory(t)
            for here, name, t in zip(self.now, loop.carried, self.carried, strict=True)
        ]
        # Of large arrays the buffers change places; numbers become registers.
        self.is_swapped = [is_swapped(t) for t in self.carried]
        self.is_free = [
            swaps and name not in in_place
            for swaps, name in zip(self.is_swapped, loop.carried, strict=True)
        ]
        sources, targets = [*self.now], [*self.next]
        for k, t in enumerate(self.carried):
            given = f"%x{self.first + loop.n_shared + k}"
            if self.is_free[k]:  # the first step reads what is given, and may write the result
                sources[k], targets[k] = given, c.or_own(f"%o{k}", self.next[k])
            else:
                c.copy_array(t, self.now[k], given)
        self.places = [self._place(k, p) for k, p in enumerate(sources)]
        self.others = [self._place(k, p) for k, p in enumerate(targets)]
        self.scratch = c.scratch(self.body)
        self.rows = [c.memory(t) for t in self.stacked]
        self.strides = [c.size(product(t.shape)) for t in self.stacked]
        self.limit = "%count" if loop.count is not None else None
        if loop.has_limit:
            self.limit = c.load("i64", "%x0")
        self.number = c.stack("i64")
        self.done = c.variable("i64", "0")
        self.status = c.variable("i32", "0")

    def _place(self, k: int, pointer: str) -> Variable | None:
        return self.code.variable("ptr", pointer) if self.is_swapped[k] else None

    def place(self, k: int) -> str:
        """Where a carried array is now."""
        variable = self.places[k]
        return self.now[k] if variable is None else variable.get()

    def goes_on(self) -> str:
        """Whether there is another step."""
        c = self.code
        holds = c.value(f"icmp eq i32 {self.status.get()}, 0")
        if self.limit is not None:
            is_below = c.value(f"icmp slt i64 {self.done.get()}, {self.limit}")
            holds = c.value(f"and i1 {holds}, {is_below}")
        if self.loop.has_condition:
            go = c.value(f"icmp ne i8 {c.load('i8', self.place(0))}, 0")
            holds = c.value(f"and i1 {holds}, {go}")
        return holds

    def row(self, k: int, i: str) -> str:
        """Where a step puts what is stacked."""
        c = self.code
        pointer = f"%o{self.loop.n_carried + k}"
        offset = c.value(f"mul i64 {i}, {self.strides[k]}")
        row = c.at(memory_type(self.stacked[k].dtype), pointer, offset)
        is_null = c.value(f"icmp eq ptr {pointer}, null")
        return c.value(f"select i1 {is_null}, ptr {self.rows[k]}, ptr {row}")

    def step(self) -> None:
        """Do one step."""
        c, loop = self.code, self.loop
        at = self.done.get()
        i = at
        if loop.is_reversed:
            i = c.value(f"sub i64 {c.value(f'sub i64 {self.limit}, 1')}, {at}")
        c.store("i64", i, self.number)
        shared = [f"%x{self.first + k}" for k in range(loop.n_shared)]
        sources = [self.place(k) for k in range(loop.n_carried)]
        targets = [
            here if v is None else v.get() for v, here in zip(self.others, self.next, strict=True)
        ]
        rows = [self.row(k, i) for k in range(len(self.stacked))]
        inputs = [self.number, *shared, *sources]
        self.status.set(c.run(self.body, inputs, [*targets, *rows], self.scratch))
        is_first = c.value(f"icmp eq i64 {at}, 0")
        for k, t in enumerate(self.carried):
            before, after = self.places[k], self.others[k]
            if before is None or after is None:
                if self.next[k] != self.now[k]:
                    c.copy_array(t, self.now[k], self.next[k])
            else:
                before.set(targets[k])
                free = sources[k]
                if self.is_free[k]:
                    free = c.value(f"select i1 {is_first}, ptr {self.now[k]}, ptr {free}")
                after.set(free)
        self.done.set(c.value(f"add i64 {at}, 1"))


def _loop(c: _Code, loop: Nested) -> None:
    assert isinstance(loop, Loop)
    writer = _LoopCode(c, loop)
    with c.loop_while(writer.goes_on):
        writer.step()
    for k, t in enumerate(writer.carried):
        c.give(f"%o{k}", t, writer.place(k))
    last = loop.n_carried + len(writer.stacked)
    c.give(f"%o{last}", ArrayType((), "int64"), writer.done.slot)
    c.finish(writer.status.get())


def _branch(c: _Code, branch: Nested) -> None:
    assert isinstance(branch, Branch)
    bodies = [c.body(p, label) for p, label in zip(branch.programs, ("true", "false"), strict=True)]
    c.begin_memory()
    inputs = [f"%x{1 + k}" for k in range(len(branch.on_true.inputs))]
    types = [branch.on_true.types[name] for name in branch.on_true.outputs]
    outputs = [c.or_own(f"%o{k}", c.memory(t)) for k, t in enumerate(types)]
    common = c.next
    test = c.value(f"icmp ne i8 {c.load('i8', '%x0')}, 0")
    for body in bodies:
        with c.when(test):
            c.next = common
            scratch = c.scratch(body)
            c.finish(c.run(body, inputs, outputs, scratch))
            c.lines[-1] = f"after_{body.name}:"
        test = "true"


def _run(c: _Code, run: Nested) -> None:
    assert isinstance(run, Run)
    c.sizes[run.symbol] = c.load("i64", "%x0")
    body = c.body(run.program, "body")
    sizes = ", ".join(f"i64 {n}" for n in c.sizes.values())
    wanted = c.value(f"call i64 @{c.name}_bytes({sizes})")
    c.shared = c.allocate("i8", wanted, MEMORY)
    c.begin_memory()
    types = [run.program.types[name] for name in run.program.outputs]
    outputs = [c.or_own(f"%o{k}", c.memory(t)) for k, t in enumerate(types)]
    inputs = [f"%x{k}" for k in range(len(run.program.inputs))]
    status = c.run(body, inputs, outputs, c.scratch(body))
    c.release(c.shared)
    c.finish(status)


def llvm_constant(data: np.ndarray) -> str:
    """Write an array as a constant of LLVM, byte by byte."""
    text = "".join(f"\\{byte:02X}" for byte in np.ascontiguousarray(data).tobytes())
    return f'c"{text}"'
