"""What forward and reverse mode share: activity, guards, and terms of the chain rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.affine import Affine, constant, identity, index
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    IndexValue,
    Operand,
    Read,
    is_plain,
    substitute,
)
from symdiff.program.patterns import Pattern, pattern, placeholder
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = [
    "COPY",
    "Builder",
    "active_reads",
    "compose",
    "depends_on",
    "guard_of",
    "guarded",
    "has_out",
    "is_float",
    "make_room",
    "shifted",
]

COPY = pattern(placeholder(0), 1)
ONE_IF_EQUAL = pattern(fn.Select(sp.Eq(placeholder(0), placeholder(1)), 1, 0), 2)
SHARE_IF_EQUAL = pattern(
    fn.Select(sp.Eq(placeholder(1), placeholder(2)), placeholder(0) / placeholder(3), 0), 4
)
EQUAL = pattern(sp.Eq(placeholder(0), placeholder(1)), 2)


def is_float(program: Program, array: str) -> bool:
    """Whether an array can have a derivative."""
    return program.types[array].dtype.startswith("float")


def has_derivative(equation: Equation, operand: int) -> bool:
    """Whether an equation's value changes with one of its operands."""
    if equation.operator in ("or=", "and="):
        return False
    if equation.pattern.is_truth:
        return False
    return equation.pattern.derivative(operand) != 0


def active_reads(program: Program, equation: Equation, active: set[str]) -> list[tuple[int, Read]]:
    """The operands through which an equation depends on active arrays."""
    if not is_float(program, equation.array):
        return []
    return [
        (k, o)
        for k, o in enumerate(equation.operands)
        if isinstance(o, Read) and o.array in active and has_derivative(equation, k)
    ]


def depends_on(program: Program, inputs: Iterable[str]) -> set[str]:
    """The arrays with a derivative with respect to some of the inputs."""
    active = {name for name in inputs if is_float(program, name)}
    for equation in program.equations:
        if equation.array not in active and active_reads(program, equation, active):
            active.add(equation.array)
    return active


def has_out(program: Program, equation: Equation) -> bool:
    """Whether the array that an equation defines holds the value of its pattern."""
    return equation.operator == "=" and len(program.contributions[equation.array]) == 1


def shifted(indices: Sequence[Index], by: int) -> tuple[Index, ...]:
    """Renumber loop indices to make room for `by` more in front."""
    if not by or not indices:
        return tuple(indices)
    return substitute(indices, [index(n + by) for n in range(64 - by)])


def make_room(equation: Equation, rank: int) -> Equation:
    """Renumber an equation's loops behind `rank` loops over a batch."""
    if not rank:
        return equation
    operands: list[Operand] = []
    for o in equation.operands:
        if isinstance(o, Read):
            operands.append(Read(o.array, shifted(o.indices, rank)))
        elif isinstance(o, IndexValue):
            by = [index(n + rank) for n in range(len(equation.extents))]
            operands.append(IndexValue(o.value.substitute(by)))
        else:
            operands.append(o)
    return equation._replace(target=shifted(equation.target, rank), operands=tuple(operands))


def guard_of(expression: Any) -> Any:
    """The condition under which a term of the chain rule may differ from zero."""
    if expression == 0:
        return sp.false
    if not isinstance(expression, fn.Select):
        return sp.true
    condition, a, b = expression.args
    there: Any = condition
    return sp.Or(sp.And(there, guard_of(a)), sp.And(sp.Not(there), guard_of(b)))


def guarded(body: Pattern) -> Pattern:
    """``body`` where one more operand, the last, holds; zero elsewhere."""
    return pattern(fn.Select(placeholder(body.arity), body.expression, 0), body.arity + 1)


def compose(indices: Sequence[Index], by: Sequence[Index]) -> tuple[Index, ...]:
    """Put the index map `by`, which may gather, in for the loop indices of a plain one."""
    result: list[Index] = []
    for i in indices:
        if isinstance(i, Read):
            result.append(Read(i.array, compose(i.indices, by)))
        elif i.single is not None:
            result.append(by[i.single])
        else:
            result.append(i.substitute([b if isinstance(b, Affine) else constant(0) for b in by]))
    return tuple(result)


class _Condition(NamedTuple):
    """Where one term of a derivative may differ from zero."""

    body: Pattern
    operands: tuple[Operand, ...]
    target: tuple[Index, ...]
    equation: Equation


class Builder:
    """Collects the equations of a derivative Program behind those of the function.

    Beside the terms it keeps, for each array, the conditions under which its cotangent (or
    tangent) may differ from zero; `guard` makes one Boolean array of them when a term needs it.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.types: dict[str, ArrayType] = dict(program.types)
        self.equations: list[Equation] = list(program.equations)
        self.conditions: dict[str, list[_Condition | None]] = {}
        self._guards: dict[str, Read | None] = {}
        self._ties: dict[tuple[str, int], str] = {}

    def new_array(self, wanted: str, shape: Sequence[Extent], dtype: str) -> str:
        """Name a new array."""
        name = wanted
        if name in self.types:
            taken = {n for n in self.types if n.startswith(wanted)}
            name = fresh_name(wanted, taken)
        self.types[name] = ArrayType(tuple(shape), dtype)
        return name

    def add(
        self,
        array: str,
        target: Sequence[Index],
        body: Pattern,
        operands: Sequence[Operand],
        extents: Sequence[Extent],
        like: Equation,
        operator: str = "+=",
    ) -> None:
        """Append an equation that came from `like`."""
        self.equations.append(
            Equation(
                array, tuple(target), operator, body, tuple(operands), tuple(extents), like.location
            )
        )

    def forget_conditions(self) -> None:
        """Begin another walk."""
        self.conditions = {}
        self._guards = {}

    def note_condition(
        self, array: str, target: Sequence[Index], equation: Equation, k: int, guard: Read | None
    ) -> None:
        """Remember where a term added to `array` can be non-zero: its own condition and a guard."""
        local = self.local_guard(equation, k)
        entry: _Condition | None = None
        if local is not None:
            body, operands = local
            if guard is not None:
                both = sp.And(body.expression, placeholder(body.arity))
                body, operands = pattern(both, body.arity + 1), [*operands, guard]
            entry = _Condition(body, tuple(operands), tuple(target), equation)
        elif guard is not None:
            entry = _Condition(COPY, (guard,), tuple(target), equation)
        self.conditions.setdefault(array, []).append(entry)

    def guard(self, array: str) -> Read | None:
        """Where the derivative of an array may differ from zero; None means everywhere."""
        if array not in self._guards:
            self._guards[array] = self._make_guard(array)
        return self._guards[array]

    def _make_guard(self, array: str) -> Read | None:
        conditions = self.conditions.get(array, [None])
        known = [c for c in conditions if c is not None]
        if len(known) < len(conditions):
            return None
        shape = self.program.types[array].shape
        first = known[0]
        is_same = is_plain(first.target) and first.equation.extents == shape
        if len(known) == 1 and is_same and first.body is COPY:
            (only,) = first.operands
            return only if isinstance(only, Read) else None
        name = self.new_array(f"uses_{array}", shape, "bool")
        for c in known:
            self.add(name, c.target, c.body, c.operands, c.equation.extents, c.equation, "or=")
        return Read(name, identity(len(shape)))

    def ties(self, equation: Equation) -> str:
        """Count, for each result of a maximum or minimum, the elements that attain it."""
        key = (equation.array, id(equation))
        if key not in self._ties:
            shape, dtype = self.program.types[equation.array]
            name = self.new_array(f"ties_{equation.array}", shape, dtype)
            out = Read(equation.array, equation.target)
            self.add(
                name,
                equation.target,
                ONE_IF_EQUAL,
                [equation.operands[0], out],
                equation.extents,
                equation,
            )
            self._ties[key] = name
        return self._ties[key]

    def local_guard(self, equation: Equation, k: int) -> tuple[Pattern, list[Operand]] | None:
        """The condition that an equation itself sets on the derivative by one operand."""
        if equation.operator in ("max=", "min="):
            return EQUAL, [equation.operands[0], Read(equation.array, equation.target)]
        condition = guard_of(equation.pattern.derivative(k))
        if condition == sp.true:
            return None
        symbols = [placeholder(n) for n in range(equation.pattern.arity)]
        used = [n for n, s in enumerate(symbols) if s in condition.free_symbols]
        renaming = {symbols[n]: placeholder(m) for m, n in enumerate(used)}
        return (
            pattern(condition.xreplace(renaming), len(used)),
            [equation.operands[n] for n in used],
        )

    def term(
        self,
        equation: Equation,
        k: int,
        cotangent: Operand | None,
        out: Read | None,
        origin: Equation,
    ) -> tuple[Pattern, list[Operand], bool] | None:
        """One term of the chain rule: cotangent (one if None) times the derivative by operand k.

        `equation` is `origin` with its loops renumbered behind those of a batch.

        Returns
        -------
        pattern, operands, reads_values
            ``reads_values`` tells whether it reads more than the cotangent, so that a cotangent
            of zero could meet an infinite derivative.
        """
        if equation.operator in ("max=", "min="):
            here = Read(equation.array, equation.target)
            ties = Read(self.ties(origin), equation.target)
            if cotangent is None:
                body = pattern(SHARE_IF_EQUAL.expression.subs(placeholder(0), 1), 4)
                cotangent = here
            else:
                body = SHARE_IF_EQUAL
            return body, [cotangent, equation.operands[0], here, ties], True
        partial = equation.pattern.partial(
            k, has_out=out is not None, has_cotangent=cotangent is not None
        )
        if partial is None:
            return None
        operands: list[Operand] = []
        for source in partial.sources:
            if source == "cotangent":
                assert cotangent is not None
                operands.append(cotangent)
            elif source == "out":
                assert out is not None
                operands.append(out)
            else:
                operands.append(equation.operands[int(source)])
        return partial.pattern, operands, partial.sources != ("cotangent",)
