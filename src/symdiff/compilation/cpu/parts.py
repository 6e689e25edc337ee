"""Long straight-line code, as several functions that pass numbers through memory.

LLVM takes more than twice the time for twice the code in one block, and holds a lock meanwhile. So
code beyond some thousand instructions is cut into parts of some hundred, and the parts are
distributed over several modules. A number that a later part needs lies in memory in between.

The text of an equation is made once for each pattern and kinds of operands; what differs is names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from symdiff.compilation.compositions import COMBINE
from symdiff.compilation.cpu.lowering import arguments_of, literal_value
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.operations import STEPS
from symdiff.compilation.cpu.values import Value, constant, convert, memory_type
from symdiff.compilation.cpu.vector_math import vector_attributes
from symdiff.compilation.dtypes import computed_in
from symdiff.compilation.nests import Schedule, Statement
from symdiff.compilation.status import MEMORY
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Literal, Read
from symdiff.program.patterns import Pattern

__all__ = ["is_long", "lower_parts"]

LONG = 256
"""Programs of more equations than this are written here; shorter ones by `lowering`."""
PART = 300
"""Steps of a part: with 700, or 100, LLVM takes a tenth longer."""
PARTS_OF_MODULE = 32
"""A module takes LLVM 0.2 s, for which it cannot be interrupted."""
MAX_ON_STACK = 8192
"""Numbers in memory between parts that may lie on the stack."""
_OPEN, _CLOSE = "\x01", "\x02"


def is_long(schedule: Schedule) -> bool:
    """Whether a schedule is straight-line code that is worth being cut."""
    is_straight = not schedule.has_loops and not schedule.scratch
    equations = schedule.program.equations
    if not is_straight or len(equations) <= LONG or schedule.program.constants:
        return False
    return all(not s.axes for s in schedule.storage.values()) and not any(
        isinstance(e.pattern, Block) for e in equations
    )


def lower_parts(schedule: Schedule, module: Module) -> None:
    """Append the function ``i32 @kernel(inputs, outputs)``, and modules with its parts."""
    _Parts(schedule, module).write()


class _Template(NamedTuple):
    """The text of an equation, for `str.format` with a number and the operands' names."""

    text: str
    result: str
    weight: int


class _Recorder:
    """Writes an equation with places for names; implements `values.Emitter`."""

    in_loop, n_functions = False, 0

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.declare = module.declare

    def emit(self, instruction: str) -> str:
        name = f"%v{_OPEN}0{_CLOSE}.{len(self.lines)}"
        self.lines.append(f"  {name} = {instruction}\n")
        return name

    def define(self, name: str, text: str) -> str:
        if name not in self.module.defined:
            self.module.defined.add(name)
            self.module.functions.append(text)
        return name


def _record(
    module: Module, body: Pattern, operands: Sequence[str], dtype: str, operator: str | None
) -> _Template:
    """Write a pattern over operands of some dtypes, the last of which it is added to, if so."""
    e = _Recorder(module)
    values = [Value(f"{_OPEN}{n}{_CLOSE}", kind) for n, kind in enumerate(operands, start=1)]
    old = values.pop() if operator is not None else None
    for step in body.steps:
        if step.name == "literal":
            values.append(literal_value(step.literal, dtype))
            continue
        arguments = [values[a] for a in step.arguments]
        compute = computed_in(dtype, [a.dtype for a in arguments])
        values.append(STEPS[step.name](e, compute, arguments))
    value = convert(e, values[-1] if body.steps else values[0], dtype)
    if old is not None:
        value = STEPS[COMBINE[operator or "="]](e, dtype, [old, value])
    return _Template(_format("".join(e.lines)), _format(value.name), len(e.lines))


def _format(text: str) -> str:
    text = text.replace("{", "{{").replace("}", "}}")
    return text.replace(_OPEN, "{").replace(_CLOSE, "}")


_constant = lru_cache(maxsize=4096)(constant)


class _Parts:
    """Writes the parts of one schedule one after the other."""

    def __init__(self, schedule: Schedule, module: Module) -> None:
        self.main = module
        self.schedule = schedule
        self.types = schedule.program.types
        self.equations = [n.equation for n in schedule.body if isinstance(n, Statement)]
        self.pointers = {name: f"%a{n}" for n, (name, _) in enumerate(arguments_of(schedule))}
        self.outputs = set(schedule.program.outputs)
        self.calls: list[str] = []
        self.slots: dict[str, int] = {}
        self.free: list[int] = []
        self.n_slots = 0
        self.begun: set[str] = set()

    def write(self) -> None:
        """Write all parts, and the function that calls them."""
        parts = list(self._cut())
        self._note_uses(parts)
        for number, equations in enumerate(parts):
            if number % PARTS_OF_MODULE == 0:
                self.module = self.main.new_part()
                self.templates: dict[object, _Template] = {}
            _Part(self, number).write(equations)
        self._kernel()

    def _note_uses(self, parts: Sequence[Sequence[Equation]]) -> None:
        """Find the last part that needs each number."""
        self.last_part: dict[str, int] = {}
        for number, equations in enumerate(parts):
            for equation in equations:
                self.last_part[equation.array] = number
                for read in equation.reads:
                    self.last_part[read.array] = number
        self.ending: list[list[str]] = [[] for _ in parts]
        for array, number in self.last_part.items():
            self.ending[number].append(array)

    def _cut(self) -> Iterator[list[Equation]]:
        part: list[Equation] = []
        weight = 0
        for equation in self.equations:
            part.append(equation)
            assert isinstance(equation.pattern, Pattern)
            weight += max(len(equation.pattern.steps), 1)
            if weight >= PART:
                yield part
                part, weight = [], 0
        if part:
            yield part

    def slot(self, array: str) -> int:
        """The place of a number in memory, given when it is first asked for."""
        if array not in self.slots:
            if not self.free:
                self.free.append(self.n_slots)
                self.n_slots += 1
            self.slots[array] = self.free.pop()
        return self.slots[array]

    def release(self, number: int) -> None:
        """Let the places of numbers be used again that no part after this one needs."""
        for array in self.ending[number]:
            if array in self.slots:
                self.free.append(self.slots.pop(array))

    def _kernel(self) -> None:
        arguments = ", ".join(f"ptr noalias {p}" for p in self.pointers.values())
        size = 8 * max(self.n_slots, 1)
        lines = [f"define internal i32 @kernel({arguments}) noinline {{", "entry:"]
        if self.n_slots <= MAX_ON_STACK:
            lines += [f"  %memory = alloca [{size} x i8], align 64", *self.calls]
        else:
            self.main.declare("malloc", "ptr", "i64", pure=False)
            self.main.declare("free", "void", "ptr", pure=False)
            lines += [
                f"  %memory = call ptr @malloc(i64 {size})",
                "  %none = icmp eq ptr %memory, null",
                "  br i1 %none, label %failed, label %go",
                "failed:",
                f"  ret i32 {MEMORY}",
                "go:",
                *self.calls,
                "  call void @free(ptr %memory)",
            ]
        self.main.functions.append("\n".join([*lines, "  ret i32 0", "}"]))


class _Part:
    """Writes one part: loads what it needs, computes, and saves what others need."""

    def __init__(self, parts: _Parts, number: int) -> None:
        self.parts = parts
        self.number = number
        self.lines: list[str] = []
        self.known: dict[str, str] = {}
        self.made: dict[str, None] = {}
        self.given: dict[str, None] = {}
        self.counter = 0

    def write(self, equations: Sequence[Equation]) -> None:
        """Write the function, and the call of it."""
        parts = self.parts
        for equation in equations:
            self._equation(equation)
        for array in self.made:
            if array in parts.outputs or parts.last_part[array] > self.number:
                self._save(array)
        parts.release(self.number)
        name = f"kernel_part_{self.number}"
        pointers = [*self.given, "%memory"]
        arguments = ", ".join(f"ptr noalias {p}" for p in pointers)
        head = (
            f"define void @{name}({arguments}) noinline nounwind{vector_attributes()} {{\nentry:\n"
        )
        parts.module.functions.append(f"{head}{''.join(self.lines)}  ret void\n}}")
        kinds = ", ".join(["ptr"] * len(pointers))
        parts.main.functions.append(f"declare void @{name}({kinds})")
        given = ", ".join(f"ptr {p}" for p in pointers)
        parts.calls.append(f"  call void @{name}({given})")

    def _equation(self, equation: Equation) -> None:
        types = self.parts.types
        dtype = types[equation.array].dtype
        names: list[str] = []
        kinds: list[str] = []
        for operand in equation.operands:
            if isinstance(operand, Read):
                kinds.append(types[operand.array].dtype)
                names.append(self.known.get(operand.array) or self._load(operand.array))
            else:
                assert isinstance(operand, Literal)
                kinds.append(operand.dtype)
                names.append(_constant_name(operand))
        operator = None
        if equation.array in self.parts.begun:
            operator = equation.operator
            kinds.append(dtype)
            names.append(self.known.get(equation.array) or self._load(equation.array))
        template = self._template(equation.pattern, tuple(kinds), dtype, operator)
        self.counter += 1
        self.lines.append(template.text.format(self.counter, *names))
        self.known[equation.array] = template.result.format(self.counter, *names)
        self.made[equation.array] = None
        self.parts.begun.add(equation.array)

    def _template(
        self, body: Pattern | Block, kinds: tuple[str, ...], dtype: str, operator: str | None
    ) -> _Template:
        assert isinstance(body, Pattern)
        key = (body, kinds, dtype, operator)
        found = self.parts.templates.get(key)
        if found is None:
            found = _record(self.parts.module, body, kinds, dtype, operator)
            self.parts.templates[key] = found
        return found

    def _place(self, array: str) -> str:
        """Point to where a number lies between parts."""
        pointer = self.parts.pointers.get(array)
        if pointer is not None:
            self.given[pointer] = None
            return pointer
        self.counter += 1
        name, slot = f"%p{self.counter}", self.parts.slot(array)
        self.lines.append(f"  {name} = getelementptr inbounds i8, ptr %memory, i64 {8 * slot}\n")
        return name

    def _load(self, array: str) -> str:
        dtype = self.parts.types[array].dtype
        place = self._place(array)
        self.counter += 1
        name = f"%l{self.counter}"
        self.lines.append(f"  {name} = load {memory_type(dtype)}, ptr {place}\n")
        if dtype == "bool":
            self.lines.append(f"  {name}.b = icmp ne i8 {name}, 0\n")
            name = f"{name}.b"
        self.known[array] = name
        return name

    def _save(self, array: str) -> None:
        dtype = self.parts.types[array].dtype
        value = self.known[array]
        place = self._place(array)
        if dtype == "bool":
            self.counter += 1
            self.lines.append(f"  %z{self.counter} = zext i1 {value} to i8\n")
            value = f"%z{self.counter}"
        self.lines.append(f"  store {memory_type(dtype)} {value}, ptr {place}\n")


def _constant_name(literal: Literal) -> str:
    value = literal.value
    if literal.dtype.startswith("float") and value == 0:
        return constant(value, literal.dtype).name  # a cache would take -0.0 for 0.0
    return _constant(value, literal.dtype).name
