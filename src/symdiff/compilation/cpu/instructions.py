"""A Program of numbers as a table of instructions, for the interpreter.

Every value is a double in a row of slots; a truth value is 1.0 or 0.0. An instruction is five
integers: what is done, the slot of the result, and up to three slots of operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np

from symdiff.compilation.cpu.operations import LIBRARY_STEPS
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Literal, Read
from symdiff.program.patterns import Pattern
from symdiff.program.program import Program

__all__ = ["ARITIES", "HALT", "OPCODES", "TRUTH", "Table", "table_of"]

_TESTS = {"isnan": 1, "isinf": 1, "isfinite": 1, "signbit": 1}
_TESTS |= dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), 2)
_LOGIC = {"and": 2, "or": 2, "xor": 2, "not": 1}
_NUMBERS = {
    **dict.fromkeys(("copy", "neg", "abs", "sign", "sqrt"), 1),
    **dict.fromkeys(("floor", "ceil", "trunc", "rint", "gamma"), 1),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "copysign", "gap"), 2),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), 2),
    **dict.fromkeys(("floor_divide", "remainder", "fmod", "nextafter"), 2),
    **dict.fromkeys(sorted(LIBRARY_STEPS), 1),
    **dict.fromkeys(("atan2", "hypot", "logaddexp", "logaddexp2"), 2),
    "select": 3,
}
ARITIES: dict[str, int] = {**_NUMBERS, **_TESTS, **_LOGIC}
"""The steps of patterns that the interpreter knows, and how many operands each has."""
HALT, TRUTH = 0, 1
"""The instructions that are no steps: the end, and the conversion of a number to a truth value."""
OPCODES = {name: number for number, name in enumerate(ARITIES, start=2)}

_ACCUMULATE = {"+=": "add", "max=": "maximum", "min=": "minimum", "or=": "or", "and=": "and"}
_LARGEST = 2**53
"""Whole numbers up to this one are doubles."""


class Table(NamedTuple):
    """What the interpreter runs.

    Attributes
    ----------
    code : numpy.ndarray
        The instructions, of shape ``(n, 5)``.
    start : numpy.ndarray
        What the slots hold at the beginning: constants, and room for the rest.
    inputs, outputs : list of int
        The slots of the Program's arguments and results.
    """

    code: np.ndarray
    start: np.ndarray
    inputs: list[int]
    outputs: list[int]


_LITERAL = -1


class _Instruction(NamedTuple):
    """A step, or a number with the opcode `_LITERAL`.

    Operands are numbers of operands and steps of the pattern, as in `Step`; there are always three,
    of which the operation takes as many as it needs.
    """

    opcode: int
    literal: float
    operands: tuple[int, int, int]


_Template: TypeAlias = "list[_Instruction]"


def table_of(program: Program) -> Table | None:
    """Translate a Program; None if there is anything in it but numbers that are known here."""
    if program.constants or not all(_is_number(t) for t in program.types.values()):
        return None
    return _Translation(program).table()


def _is_number(array_type: tuple[object, str]) -> bool:
    shape, dtype = array_type
    return shape == () and dtype in ("float64", "bool")


class _Untranslatable(Exception):  # noqa: N818 - it is no error
    """There is something in a Program that the interpreter does not know."""


class _Translation:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.code: list[int] = []
        self.start: list[float] = [0.0] * len(program.inputs)
        self.slots: dict[str, int] = {name: n for n, name in enumerate(program.inputs)}
        self.literals: dict[float | str, int] = {}

    def table(self) -> Table | None:
        try:
            for equation in self.program.equations:
                self._equation(equation)
        except _Untranslatable:
            return None
        self.code += (HALT, 0, 0, 0, 0)
        code = np.array(self.code, np.int32).reshape(-1, 5)
        outputs = [self.slots[name] for name in self.program.outputs]
        start = np.array(self.start)
        return Table(code, start, list(range(len(self.program.inputs))), outputs)

    def _equation(self, equation: Equation) -> None:
        array, _, operator, body, operands, extents, _ = equation
        if isinstance(body, Block) or extents:
            raise _Untranslatable
        types = self.program.types
        dtypes: list[str] = []
        slots: list[int] = []
        for operand in operands:
            if isinstance(operand, Read):
                dtypes.append(types[operand.array].dtype)
                slots.append(self.slots[operand.array])
            elif isinstance(operand, Literal):
                dtypes.append(_dtype_of(operand))
                slots.append(self._literal(float(operand.value)))
            else:
                raise _Untranslatable
        template = _template(body, tuple(dtypes), types[array].dtype)
        if template is None:
            raise _Untranslatable
        if array in self.slots:
            result, old = self._emit(template, slots), self.slots[array]
            slots = [old, result]
            template = _accumulation(operator)
        self.slots[array] = self._emit(template, slots)

    def _emit(self, template: _Template, slots: list[int]) -> int:
        """Append a pattern's instructions over operands in some slots; give the result's slot."""
        code, start = self.code, self.start
        for opcode, literal, (a, b, c) in template:
            if opcode == _LITERAL:
                slots.append(self._literal(literal))
                continue
            slot = len(start)
            start.append(0.0)
            slots.append(slot)
            code += (opcode, slot, slots[a], slots[b], slots[c])
        return slots[-1] if template else slots[0]

    def _literal(self, value: float) -> int:
        key = value or repr(value)  # by which 0.0 and -0.0 differ
        slot = self.literals.get(key)
        if slot is None:
            slot = self.literals[key] = len(self.start)
            self.start.append(value)
        return slot


def _dtype_of(literal: Literal) -> str:
    if literal.dtype in ("float64", "bool"):
        return literal.dtype
    if literal.dtype == "int64" and abs(literal.value) <= _LARGEST:
        return "float64"  # which an integer becomes beside a float
    raise _Untranslatable


@cache
def _template(body: Pattern, dtypes: tuple[str, ...], dtype: str) -> _Template | None:
    """Translate a pattern over operands of these dtypes, with a result of `dtype`."""
    known: list[str] = list(dtypes)
    instructions: list[_Instruction] = []
    for step in body.steps:
        if step.name == "literal":
            instructions.append(_Instruction(_LITERAL, float(step.literal), (0, 0, 0)))
            known.append("bool" if isinstance(step.literal, bool) else "float64")
            continue
        given = [known[a] for a in step.arguments]
        made = _result_dtype(step.name, given, dtype)
        if made is None:
            return None
        instructions.append(_Instruction(OPCODES[step.name], 0.0, _three(*step.arguments)))
        known.append(made)
    last = known[-1] if body.steps else known[0]
    if dtype == "bool" and last != "bool":
        number = len(known) - 1 if body.steps else 0
        instructions.append(_Instruction(TRUTH, 0.0, _three(number)))
    return instructions


@cache
def _accumulation(operator: str) -> _Template:
    return [_Instruction(OPCODES[_ACCUMULATE[operator]], 0.0, (0, 1, 0))]


def _three(a: int, b: int = 0, c: int = 0) -> tuple[int, int, int]:
    return a, b, c


def _result_dtype(name: str, given: Sequence[str], dtype: str) -> str | None:
    """The dtype of a step's result; None where slots of doubles would not do what it does."""
    if name in _TESTS or name in _LOGIC:
        return "bool"
    if name not in _NUMBERS:
        return None
    if dtype == "float64" or "float64" in given:
        return "float64"
    return "bool" if name in ("copy", "select") else None
