"""A Program as ordinary SymPy: closed expressions, or equations between indexed arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import sympy as sp
from sympy.codegen.ast import AddAugmentedAssignment, Assignment

from symdiff.errors import ProgramTooLargeError
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Index, Literal, Read, Whole
from symdiff.program.functions import Trunc
from symdiff.program.patterns import Pattern, formula, placeholder
from symdiff.program.printing import index_names
from symdiff.program.sizes import Extent, Size
from symdiff.program.temporaries import Inlined, Line, Term, put_back

if TYPE_CHECKING:
    from symdiff.program.program import Program

__all__ = ["MAX_OPERATIONS", "number", "to_sympy"]

Expr: TypeAlias = Any
Element: TypeAlias = "tuple[str, tuple[int, ...]]"

MAX_OPERATIONS = 5000
_LARGEST_DENOMINATOR = 1024
_READABLE = 200


def to_sympy(program: Program) -> Any:
    """Give a Program as ordinary SymPy.

    Returns
    -------
    sympy expression, tuple of them, or list of sympy.Eq
        For a Program of scalars the closed expression of its output, or a tuple when there are
        several. For one with arrays, its equations in order: ``Eq(y[i], ...)``, with `sympy.Sum`
        over the loops that the target lacks and an undefined function ``max`` or ``min`` of body
        and ``(i, 0, n - 1)`` for those reductions. A further contribution to the same array is
        an `AddAugmentedAssignment`, or an `Assignment` of what it joins.

    Raises
    ------
    ProgramTooLargeError
        An expression would have more than 5000 operations.
    """
    is_scalar = not any(e.extents for e in program.equations) and all(
        _is_fixed(program.types[name]) for name in program.outputs
    )
    is_open = any(isinstance(e.pattern, Block) or _has_gather(e) for e in program.equations)
    if not is_scalar or is_open:
        return _Indexed(program).equations()
    values = _Closed(program).values()
    results = tuple(_tidy(values[name, ()]) for name in program.outputs)
    return results[0] if len(results) == 1 else results


def _tidy(e: Expr) -> Expr:
    """Join powers of one base, which the chain rule leaves apart, in expressions people read."""
    is_short = isinstance(e, sp.Expr) and sp.count_ops(e) <= _READABLE
    return sp.powsimp(e, combine="exp") if is_short else e


def _is_fixed(array_type: ArrayType) -> bool:
    return array_type.shape == ()


def _has_gather(equation: Equation) -> bool:
    direct = sum(isinstance(o, Read) for o in equation.operands)
    return len(equation.reads) > direct or any(isinstance(i, Read) for i in equation.target)


def number(value: float) -> Expr:
    """Make a SymPy number: exact for whole numbers and simple binary fractions.

    Examples
    --------
    >>> number(2.0), number(0.375), number(0.1)
    (2, 3/8, 0.1)
    """
    if isinstance(value, bool | np.bool_):
        return sp.true if value else sp.false
    if isinstance(value, int | np.integer):
        return sp.Integer(int(value))
    value = float(value)
    if not np.isfinite(value):
        return sp.nan if np.isnan(value) else sp.oo if value > 0 else -sp.oo
    top, bottom = value.as_integer_ratio()
    is_simple = bottom <= _LARGEST_DENOMINATOR and abs(top) < 2**53
    return sp.Rational(top, bottom) if is_simple else sp.Float(value)


def size(extent: Extent) -> Expr:
    """Make a SymPy polynomial of a size."""
    if not isinstance(extent, Size):
        return sp.Integer(extent)
    terms = [
        c * sp.Mul(*[sp.Symbol(s, integer=True, positive=True) for s in m]) for m, c in extent.terms
    ]
    return sp.Add(*terms)


@cache
def _ordinary(pattern: Pattern) -> Expr:
    return formula(pattern.expression)


@cache
def _operation_count(pattern: Pattern | Block) -> tuple[int, tuple[int, ...]]:
    """Count the operations of a pattern and the occurrences of each operand."""
    assert isinstance(pattern, Pattern), "a Program with blocks has no closed expression"
    nodes = list(sp.preorder_traversal(_ordinary(pattern)))
    times = tuple(nodes.count(placeholder(i)) for i in range(pattern.arity))
    return sum(bool(node.args) for node in nodes), times


_LOGIC = (sp.And, sp.Or, sp.Xor, sp.Not)


def apply(pattern: Pattern | Block, values: list[Expr]) -> Expr:
    """Put values in for the operands of a pattern and let SymPy evaluate.

    A truth counts as 0 or 1 where a number is needed, a number as whether it is nonzero where a
    truth is.
    """
    if isinstance(pattern, Block):
        return sp.Function(pattern.label)(*values)
    expression = _ordinary(pattern)
    replacements: dict[Expr, Expr] = {}
    for i, value in enumerate(values):
        if isinstance(expression, _LOGIC):
            replacements[placeholder(i)] = as_truth(value)
            continue
        if _is_truth(value):
            replacements[sp.Ne(placeholder(i), 0)] = value
        replacements[placeholder(i)] = value if pattern.is_copy else as_number(value)
    return expression.xreplace(replacements)


def _is_truth(value: Expr) -> bool:
    return isinstance(value, sp.logic.boolalg.Boolean) and not value.is_Symbol


def as_truth(value: Expr) -> Expr:
    """Say that a number is not zero."""
    return value if _is_truth(value) else sp.Ne(value, 0)


def as_number(value: Expr) -> Expr:
    """Make 0 or 1 of a truth."""
    return sp.Piecewise((1, value), (0, True)) if _is_truth(value) else value


def cast(value: Expr, source: str | None, dtype: str) -> Expr:
    """Do what storing a value of one dtype as another does."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return as_truth(value)
    if kind in "iu" and source is not None and np.dtype(source).kind == "f":
        return formula(Trunc(as_number(value)))
    return as_number(value)


_JOINS: Mapping[str, Callable[[Expr, Expr], Expr]] = {
    "+=": lambda a, b: a + b,
    "max=": sp.Max,
    "min=": sp.Min,
    "or=": sp.Or,
    "and=": sp.And,
}


class _Closed:
    """Substitutes through a Program of scalars; elements of arrays are scalars too."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.known: dict[Element, Expr] = {}
        self.counts: dict[Element, int] = {}
        self.needed = _needed(program)

    def values(self) -> dict[Element, Expr]:
        """Compute the expression of every element that an output needs."""
        for equation in self.program.equations:
            if equation.array in self.needed:
                self._evaluate(equation)
        for name in self.program.outputs:
            self.known.setdefault((name, ()), self._operand(Read(name, ())))
        return self.known

    def _evaluate(self, equation: Equation) -> None:
        element = (equation.array, tuple(_fixed(i) for i in equation.target))
        self._measure(equation, element)
        dtype = self.program.types[equation.array].dtype
        value = apply(equation.pattern, [self._operand(o) for o in equation.operands])
        value = cast(value, _source(self.program, equation), dtype)
        if equation.operator in _JOINS and element in self.known:
            value = _JOINS[equation.operator](self.known[element], value)
        self.known[element] = value

    def _measure(self, equation: Equation, element: Element) -> None:
        """Refuse an expression before it is built."""
        total, times = _operation_count(equation.pattern)
        if equation.operator in _JOINS:
            total += self.counts.get(element, 0) + 1
        for operand, n in zip(equation.operands, times, strict=True):
            if isinstance(operand, Read):
                indices = tuple(_fixed(i) for i in operand.indices)
                total += n * self.counts.get((operand.array, indices), 0)
        if total > MAX_OPERATIONS:
            raise ProgramTooLargeError(
                f"the formula of {self.program.name} passes {MAX_OPERATIONS} operations at "
                f"{equation.array}, since shared values are written out each time. Print the "
                "program instead: print(program) names them"
            )
        self.counts[element] = total

    def _operand(self, operand: Term) -> Expr:
        if isinstance(operand, Literal):
            return number(operand.value)
        if not isinstance(operand, Read):
            assert not isinstance(operand, Inlined)
            return size(operand.value.offset)
        indices = tuple(_fixed(i) for i in operand.indices)
        element = (operand.array, indices)
        if element not in self.known:
            self.known[element] = self._source_value(operand.array, indices)
        return self.known[element]

    def _source_value(self, array: str, indices: tuple[int, ...]) -> Expr:
        if array in self.program.constants:
            return number(self.program.constants[array][indices].item())
        if array in self.program.inputs:
            return _symbol_of(self.program, array, [sp.Integer(i) for i in indices])
        return sp.false if self.program.types[array].dtype == "bool" else sp.Integer(0)


def _fixed(index: Index) -> Any:
    assert isinstance(index, Affine)
    return index.offset


def _needed(program: Program) -> set[str]:
    needed = set(program.outputs)
    for equation in reversed(program.equations):
        if equation.array in needed:
            needed.update(read.array for read in equation.reads)
    return needed


def _source(program: Program, equation: Equation) -> str | None:
    """Tell the dtype that a copy converts from; other patterns compute in their own."""
    if not equation.pattern.is_copy:
        return None
    (operand,) = equation.operands
    if isinstance(operand, Read):
        return program.types[operand.array].dtype
    return operand.dtype if isinstance(operand, Literal) else "int64"


def _symbol_of(program: Program, array: str, indices: list[Expr]) -> Expr:
    shape, dtype = program.types[array]
    if not shape:
        return sp.Symbol(array, real=True)
    is_integer = np.dtype(dtype).kind in "iu"
    assumptions: Any = {"integer": True} if is_integer else {"real": True}
    base: Any = sp.IndexedBase(array, shape=tuple(size(e) for e in shape), **assumptions)
    return base[tuple(indices)]


class _Indexed:
    """Writes each equation as SymPy's `Eq` between elements of `IndexedBase`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = index_names(program)
        self.loops: list[Expr] = []

    def equations(self) -> list[Expr]:
        seen: set[str] = set()
        found = []
        for line in put_back(self.program):
            found.append(self._equation(line, line.equation.array in seen))
            seen.add(line.equation.array)
        return found

    def _equation(self, line: Line, is_repeated: bool) -> Expr:
        equation = line.equation
        self.loops = [
            sp.Idx(sp.Symbol(name, integer=True), (0, size(extent) - 1))
            for name, extent in zip(self.names, equation.extents, strict=False)
        ]
        left = self._read(equation.array, equation.target)
        right = self._term(Inlined(equation.pattern, line.operands))
        dtype = self.program.types[equation.array].dtype
        right = cast(right, _source(self.program, equation), dtype)
        outside = [i for i in self.loops if not left.has(i)]
        right = _reduce(equation.operator, right, outside)
        if equation.operator in _JOINS and is_repeated:
            if equation.operator == "+=":
                return AddAugmentedAssignment(left, right)
            return Assignment(left, _JOINS[equation.operator](left, right))
        return sp.Eq(left, right, evaluate=False)

    def _read(self, array: str, indices: tuple[Index, ...]) -> Expr:
        if any(isinstance(i, Whole) for i in indices):
            some = [self._index(i) for i in indices if not isinstance(i, Whole)]
            base: Any = sp.IndexedBase(array, real=True)
            return base[tuple(some)] if some else base
        return _symbol_of(self.program, array, [self._index(i) for i in indices])

    def _index(self, index: Index) -> Expr:
        assert not isinstance(index, Whole)
        if isinstance(index, Affine):
            terms = [size(c) * self.loops[i] for i, c in index.terms]
            return sp.Add(size(index.offset), *terms)
        return self._read(index.array, index.indices)

    def _term(self, term: Term) -> Expr:
        if isinstance(term, Inlined):
            return apply(term.pattern, [self._term(o) for o in term.operands])
        if isinstance(term, Read):
            return self._read(term.array, term.indices)
        if isinstance(term, Literal):
            return number(term.value)
        return self._index(term.value)


def _reduce(operator: str, body: Expr, loops: list[Expr]) -> Expr:
    if not loops or operator == "=":
        return body
    ranges = [sp.Tuple(i, i.lower, i.upper) for i in loops]
    if operator == "+=":
        return sp.Sum(as_number(body), *ranges)
    return sp.Function(operator.removesuffix("="))(body, *ranges)
