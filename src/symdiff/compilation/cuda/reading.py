"""What stands where in a kernel: the names of a Program, its values and their places, as source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from symdiff.compilation.cuda.code import Code, Place
from symdiff.compilation.cuda.operations import STEPS
from symdiff.compilation.cuda.values import Value, constant, convert, kept
from symdiff.compilation.dtypes import computed_in, literal_dtype
from symdiff.compilation.nests import Schedule, Statement, is_at_hand
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
)
from symdiff.program.nested import nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, put_sizes

__all__ = ["Reader", "Scope", "missing"]


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

    @cached_property
    def given_to_functions(self) -> frozenset[str]:
        """The arrays that functions take, which have to be arrays however short they are."""
        found: set[str] = set()
        for equation in self.program.equations:
            if isinstance(equation.pattern, Block) and nested_of(equation.pattern) is None:
                found.add(equation.array)
                found.update(r.array for r in equation.reads)
        return frozenset(found)

    def extent(self, extent: Extent) -> Extent:
        """Say a size in those of the kernel."""
        return put_sizes(extent, self.sizes)

    def shape(self, array: str) -> tuple[Extent, ...]:
        """Give the shape of an array, in the kernel's sizes."""
        return tuple([self.extent(e) for e in self.program.types[array].shape])

    def dtype(self, array: str) -> str:
        """Give the dtype of an array."""
        return self.program.types[array].dtype


class Reader:
    """Writes the values of a Program, and where its arrays lie."""

    def __init__(self, code: Code, scope: Scope) -> None:
        self.code = code
        self.scope = scope
        self.plan = scope.plan

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
                kind = literal_dtype(step.literal, dtype)
                values.append(constant(self.code, step.literal, kind))
                continue
            arguments = [values[a] for a in step.arguments]
            compute = computed_in(dtype, [a.dtype for a in arguments])
            row = STEPS.get(step.name)
            if row is None:
                raise UnsupportedOperationError(missing(step.name, equation))
            value = row(self.code, compute, arguments)
            values.append(kept(self.code, value) if uses.get(len(values), 0) > 1 else value)
        return values[-1] if steps else values[0]

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
        return is_at_hand(read, statement, storage)

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
                position = self.position(indices[axis], shape[axis], statement)
                flat = self.further(flat, shape[axis], position)
        if flat not in ("", "0") and whole != 1:
            flat = (
                f"({flat})*{self.code.extent(whole)}"
                if " " in flat
                else f"{flat}*{self.code.extent(whole)}"
            )
        return flat or "0"

    def further(self, flat: str, extent: Extent, position: str) -> str:
        """Write the place of an element from that of its row and the place in it."""
        if flat in ("", "0"):
            return position
        inner = f"({flat})" if " " in flat else flat
        if extent == 1:
            return flat
        return f"{inner}*{self.code.extent(extent)} + {position}"

    def position(self, index: Index, extent: Extent, statement: Statement) -> str:
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
        with self.code.block(f"if ({place} < 0) | ({place} >= {limit}):"):
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
            if term == "0":
                continue
            scale = self.code.extent(self.scope.extent(coefficient))
            parts.append(term if scale == "1" else f"{scale}*{term}")
        offset = self.scope.extent(index.offset)
        if offset != 0 or not parts:
            parts.append(self.code.extent(offset))
        return " + ".join(parts)

    def begin(self, place: Place, dtype: str, *, is_target: bool = False) -> list[str]:
        """Write an array, and where in it a place begins, as functions take them."""
        assert not place.is_interleaved
        if not place.is_number:
            return [place.base, place.offset or "0"]
        own = self.code.memory(place.base, dtype, 1, is_per_thread=True).base
        if not is_target:
            self.code.add(f"{own}[0] = {place.base}")
        return [own, "0"]

    def view(self, read: Read, statement: Statement) -> Place:
        """Find what is taken whole of an array."""
        place = self.scope.places[read.array]
        return place.moved(self.flat(read.array, read.indices, statement))


def missing(what: str, equation: Equation) -> str:
    """Say that the target has no such operation, and where the user asked for it."""
    at = f"\n  at {equation.location[0]}:{equation.location[1]}" if equation.location else ""
    return f"{what} is not there for target 'cuda'; use target='cpu'{at}"
