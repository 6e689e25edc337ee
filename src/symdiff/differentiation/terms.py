"""What forward and reverse mode share: activity, guards, and terms of the chain rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import sympy as sp

from symdiff.differentiation.shifts import shifts_without_effect
from symdiff.errors import UnsupportedOperationError
from symdiff.program import functions as fn
from symdiff.program.affine import identity
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    Operand,
    Read,
    compose,
    is_plain,
    number_type,
)
from symdiff.program.patterns import COPY, Pattern, pattern, placeholder
from symdiff.program.program import Guard, Program
from symdiff.program.sizes import Extent, put_sizes
from symdiff.program.splicing import Binding, bind_sizes, splice

__all__ = [
    "Builder",
    "active_reads",
    "at",
    "depends_on",
    "guard_of",
    "guarded",
    "has_out",
    "is_float",
    "whole_types",
    "without_rule",
]

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
    if isinstance(equation.pattern, Block):
        return True
    try:
        return equation.pattern.has_derivative(operand)
    except UnsupportedOperationError as error:  # a function without a rule for this argument
        raise UnsupportedOperationError(f"{error}{_where(equation)}") from None


def _where(equation: Equation) -> str:
    """Say which line of the user's an equation came from."""
    return f"\n  at {equation.location[0]}:{equation.location[1]}" if equation.location else ""


def active_reads(program: Program, equation: Equation, active: set[str]) -> list[tuple[int, Read]]:
    """The operands through which an equation depends on active arrays."""
    if not is_float(program, equation.array):
        return []
    return [
        (k, o)
        for k, o in enumerate(equation.operands)
        if isinstance(o, Read) and o.array in active and has_derivative(equation, k)
    ]


def _is_active(program: Program, equation: Equation, active: set[str]) -> bool:
    """Whether an equation depends on active arrays."""
    for k, o in enumerate(equation.operands):
        if isinstance(o, Read) and o.array in active and has_derivative(equation, k):
            return is_float(program, equation.array)
    return False


def depends_on(program: Program, inputs: Iterable[str]) -> set[str]:
    """The arrays with a derivative with respect to some of the inputs."""
    active = {name for name in inputs if is_float(program, name)}
    fixed = shifts_without_effect(program)
    for equation in program.equations:
        if equation.array in fixed:
            continue
        if equation.array not in active and _is_active(program, equation, active):
            active.add(equation.array)
    return active


def whole_types(program: Program, equation: Equation) -> tuple[list[ArrayType], ArrayType]:
    """The types of a block's operands and of its result: the axes that it takes whole."""
    block = equation.pattern
    assert isinstance(block, Block)

    def last(array: str, rank: int) -> ArrayType:
        shape, dtype = program.types[array]
        return ArrayType(shape[len(shape) - rank :], dtype)

    operands = [
        last(o.array, rank)
        for o, rank in zip(equation.operands, block.ranks, strict=True)
        if isinstance(o, Read)
    ]
    return operands, last(equation.array, block.rank)


def without_rule(equation: Equation) -> UnsupportedOperationError:
    """What to raise where a block has no derivative."""
    block = equation.pattern
    assert isinstance(block, Block)
    return UnsupportedOperationError(
        f"{block.label} has no rule for its derivative. Give one with jvp= or partials= where it "
        f"is made a primitive, wrap it in sd.custom_derivative, or pass its argument through "
        f"sd.stop_gradient{_where(equation)}"
    )


def has_out(program: Program, equation: Equation) -> bool:
    """Whether the array that an equation defines holds the value of its pattern."""
    return equation.operator == "=" and program.n_contributions[equation.array] == 1


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


def at(guard: Read | None, indices: Sequence[Index]) -> Read | None:
    """Read a guard where an array is read."""
    if guard is None:
        return None
    composed = compose(guard.indices, indices)
    assert composed is not None, "a guard is an array as it is"
    return Read(guard.array, composed)


@cache
def _condition_of(body: Pattern, k: int) -> tuple[Pattern, list[int]] | None:
    """The condition that a pattern sets on its derivative by an operand, and what it reads."""
    condition = guard_of(body.derivative(k))
    if condition == sp.true:
        return None
    symbols = [placeholder(n) for n in range(body.arity)]
    used = [n for n, s in enumerate(symbols) if s in condition.free_symbols]
    renaming = {symbols[n]: placeholder(m) for m, n in enumerate(used)}
    return pattern(condition.xreplace(renaming), len(used)), used


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
        self.constants = dict(program.constants)
        self.assumed: dict[Guard, None] = dict.fromkeys(program.guards)
        self.conditions: dict[str, list[_Condition | None]] = {}
        self._guards: dict[str, Read | None] = {}
        self._ties: dict[tuple[str, int], str] = {}
        self._counts: dict[str, int] = {}

    def new_array(self, wanted: str, shape: Sequence[Extent], dtype: str) -> str:
        """Name a new array."""
        name = wanted
        while name in self.types:
            self._counts[wanted] = self._counts.get(wanted, 0) + 1
            name = f"{wanted}_{self._counts[wanted]}"
        self.types[name] = ArrayType(tuple(shape), dtype) if shape else number_type(dtype)
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
        made = tuple(target), operator, body, tuple(operands), tuple(extents), like.location
        self.equations.append(Equation(array, *made))

    def splice(
        self,
        program: Program,
        inputs: Sequence[Binding],
        shapes: Sequence[Sequence[Extent]],
        extents: tuple[Extent, ...],
        like: Equation,
    ) -> list[Binding]:
        """Append another Program's equations behind loops; give its outputs.

        `shapes` are those of its inputs, without the axes that the loops run over.
        """
        sizes = bind_sizes(program, shapes)
        bound = dict(zip(program.inputs, inputs, strict=True))
        for name, data in program.constants.items():
            bound[name] = Binding(self.new_array(name, data.shape, data.dtype.name))
            self.constants[bound[name].array] = data
        for guard in program.guards:
            self.assumed[Guard(put_sizes(guard.size, sizes), guard.relation)] = None
        equations, bindings = splice(program, bound, extents, self.new_array, sizes, like.location)
        self.equations += equations
        return [bindings[name] for name in program.outputs]

    def finish_program(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Program:
        """Make the Program of all equations with these inputs and outputs."""
        return self.program.replace(
            name=name,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            types=self.types,
            equations=tuple(self.equations),
            constants=self.constants,
            guards=tuple(self.assumed),
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
        if local is None and guard is None:
            self.conditions.setdefault(array, []).append(None)
            return
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
        if None in conditions:
            return None
        known = [c for c in conditions if c is not None]
        shape = self.program.types[array].shape
        first = known[0]
        is_same = is_plain(first.target) and first.equation.extents == shape
        if len(known) == 1 and is_same and first.body is COPY:
            (only,) = first.operands
            if not isinstance(only, Read):
                return None
            if is_plain(only.indices):
                return only
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
        assert isinstance(equation.pattern, Pattern)
        condition = _condition_of(equation.pattern, k)
        if condition is None:
            return None
        return condition[0], [equation.operands[n] for n in condition[1]]

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
        assert isinstance(equation.pattern, Pattern)
        partial = equation.pattern.partial(
            k, has_out=out is not None, has_cotangent=cotangent is not None
        )
        if partial is None:
            return None
        operands: list[Operand] = []
        for source in partial.sources:
            if isinstance(source, int):
                operands.append(equation.operands[source])
                continue
            named = cotangent if source == "cotangent" else out
            assert named is not None
            operands.append(named)
        return partial.pattern, operands, partial.sources != ("cotangent",)
