"""Patterns: the scalar expressions that stand in the bodies of equations.

A pattern is a SymPy expression over placeholders ``p0, p1, ...``. Patterns are interned and few
(a program of ten thousand operations has some dozens), so whatever is asked of SymPy is asked
once: a derivative (`Pattern.partial`) and a linear form that every target lowers
(`Pattern.steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import Any, NamedTuple

import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.special_functions import SPECIAL
from symdiff.program.whole_numbers import WHOLE

__all__ = ["COPY", "DIFFS", "Partial", "Pattern", "Step", "pattern", "placeholder"]

Expr = Any

DIFFS: dict[tuple[Pattern, int], Expr] = {}
"""Every derivative ever asked of SymPy; its length is the number of SymPy's diffs."""


@cache
def placeholder(number: int) -> sp.Symbol:
    """Make the symbol that stands for operand `number`."""
    return sp.Symbol(f"p{number}", real=True)


_OUT = sp.Symbol("out", real=True)
_COTANGENT = sp.Symbol("cotangent", real=True)


class Step(NamedTuple):
    """One primitive operation on earlier values.

    An argument is a number of a value: operands come first, then the steps in order. Literals
    are the steps with the name "literal" and the value in ``literal``.
    """

    name: str
    arguments: tuple[int, ...]
    literal: Any = None


class Partial(NamedTuple):
    """A pattern for ``cotangent * d(pattern)/d(operand)`` and what it reads.

    ``sources`` names the operand behind each placeholder: ``"cotangent"``, ``"out"`` (the value
    of the pattern itself), or the number of an operand of the pattern.
    """

    pattern: Pattern
    sources: tuple[str | int, ...]


class Pattern:
    """A scalar expression over placeholders; make one with `pattern`."""

    __slots__ = ("__dict__", "arity", "expression")

    def __init__(self, expression: Expr, arity: int) -> None:
        self.expression = expression
        self.arity = arity

    def __repr__(self) -> str:
        return f"Pattern({self.expression})"

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The expression as a sequence of primitive operations, shared parts once."""
        return _linearize(self.expression, self.arity)

    @cached_property
    def is_copy(self) -> bool:
        """Whether this is one operand and nothing else."""
        return self.expression == placeholder(0)

    @cached_property
    def is_truth(self) -> bool:
        """Whether the value is true or false rather than a number."""
        e = self.expression
        return isinstance(e, sp.logic.boolalg.Boolean) and not e.is_Symbol

    def is_multiple_of(self, operand: int) -> bool:
        """Whether this is an operand times what does not depend on it."""
        if not isinstance(self.expression, sp.Expr):
            return False
        symbol = placeholder(operand)
        factors = self.expression.as_ordered_factors()
        rest = [f for f in factors if f != symbol]
        return len(rest) == len(factors) - 1 and not any(f.has(symbol) for f in rest)

    @cached_property
    def is_transcendental(self) -> bool:
        """Whether it takes a function of the mathematical library, some dozens of operations."""
        return any(step.name not in _ARITHMETIC for step in self.steps)

    def derivative(self, operand: int) -> Expr:
        """Ask SymPy for the derivative with respect to one placeholder, once."""
        key = (self, operand)
        if self.is_truth:
            return sp.S.Zero
        if key not in DIFFS:
            DIFFS[key] = sp.diff(self.expression, placeholder(operand))
        return DIFFS[key]

    def has_derivative(self, operand: int) -> bool:
        """Whether the derivative with respect to one placeholder is anything but zero."""
        return _has_derivative(self, operand)

    def partial(self, operand: int, *, has_out: bool, has_cotangent: bool) -> Partial | None:
        """Give the pattern of cotangent times partial derivative; None where that is zero.

        With `has_out` the value of the pattern may stand in its derivative (``1 - out**2``);
        without `has_cotangent` the cotangent is one.
        """
        return _partial(self, operand, has_out, has_cotangent)


_PATTERNS: dict[tuple[Expr, int], Pattern] = {}


def pattern(expression: Expr, arity: int) -> Pattern:
    """Intern the pattern of an expression over ``p0 ... p(arity - 1)``.

    Examples
    --------
    >>> p0 = placeholder(0)
    >>> tanh = pattern(sp.tanh(p0), 1)
    >>> tanh is pattern(sp.tanh(p0), 1)
    True
    >>> tanh.partial(0, has_out=True, has_cotangent=True)
    Partial(pattern=Pattern(p0*(1 - p1**2)), sources=('cotangent', 'out'))
    """
    key = (expression, arity)
    found = _PATTERNS.get(key)
    if found is None:
        found = _PATTERNS.setdefault(key, Pattern(expression, arity))
    return found


COPY = pattern(placeholder(0), 1)
"""The pattern of an equation that copies."""


@cache
def _has_derivative(self: Pattern, operand: int) -> bool:
    return not self.is_truth and self.derivative(operand) != 0


@cache
def _partial(self: Pattern, operand: int, has_out: bool, has_cotangent: bool) -> Partial | None:
    derivative = self.derivative(operand)
    if derivative == 0:
        return None
    if has_out:
        shorter = derivative.subs(self.expression, _OUT)
        if not _has_more_work(shorter, derivative):
            derivative = shorter
    product = _guarded_product(_COTANGENT, derivative) if has_cotangent else derivative
    sources: list[str | int] = []
    renaming: dict[Expr, Expr] = {}
    candidates = [(_COTANGENT, "cotangent"), (_OUT, "out")]
    candidates += [(placeholder(i), i) for i in range(self.arity)]
    free = product.free_symbols
    for symbol, source in candidates:
        if symbol in free:
            renaming[symbol] = placeholder(len(sources))
            sources.append(source)
    return Partial(pattern(product.xreplace(renaming), len(sources)), tuple(sources))


def _guarded_product(cotangent: Expr, derivative: Expr) -> Expr:
    """Multiply, inside the branches of a condition, so that a branch not taken has no say."""
    if isinstance(derivative, fn.Select):
        condition, a, b = derivative.args
        return fn.Select(condition, _guarded_product(cotangent, a), _guarded_product(cotangent, b))
    return cotangent * derivative


def _has_more_work(a: Expr, b: Expr) -> bool:
    return sp.count_ops(a) > sp.count_ops(b)


_ARITHMETIC = frozenset(
    [
        *["literal", "copy", "add", "sub", "mul", "div", "neg", "sqrt"],
        *["abs", "sign", "floor", "ceil", "trunc", "rint", "select", "maximum", "minimum"],
        *["fmax", "fmin", "isnan", "isinf", "isfinite", "signbit", "copysign", "gap"],
        *["lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not"],
    ]
)
"""Steps that processors have instructions for."""
_FUNCTIONS: dict[type, str] = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.atan2: "atan2",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.asinh: "asinh",
    sp.acosh: "acosh",
    sp.atanh: "atanh",
    fn.Abs: "abs",
    fn.Sign: "sign",
    fn.Floor: "floor",
    fn.Ceil: "ceil",
    sp.gamma: "gamma",
    fn.exp2: "exp2",
    fn.expm1: "expm1",
    fn.log1p: "log1p",
    fn.log2: "log2",
    fn.log10: "log10",
    fn.Select: "select",
    fn.Maximum: "maximum",
    fn.Minimum: "minimum",
    fn.FMax: "fmax",
    fn.FMin: "fmin",
    fn.Power: "pow",
    fn.FloorDivide: "floor_divide",
    fn.Remainder: "remainder",
    fn.Fmod: "fmod",
    fn.Trunc: "trunc",
    fn.Rint: "rint",
    fn.IsNan: "isnan",
    fn.IsInf: "isinf",
    fn.IsFinite: "isfinite",
    fn.SignBit: "signbit",
    fn.CopySign: "copysign",
    fn.Hypot: "hypot",
    fn.Cbrt: "cbrt",
    fn.Sigmoid: "sigmoid",
    fn.Gap: "gap",
    fn.LogAddExp: "logaddexp",
    fn.LogAddExp2: "logaddexp2",
    fn.Softplus: "softplus",
    fn.Erf: "erf",
    fn.Erfc: "erfc",
    fn.LogGamma: "lgamma",
    fn.Digamma: "digamma",
    sp.polygamma: "polygamma",
    fn.Polygamma: "polygamma",
    sp.StrictLessThan: "lt",
    sp.LessThan: "le",
    sp.StrictGreaterThan: "gt",
    sp.GreaterThan: "ge",
    sp.Equality: "eq",
    sp.Unequality: "ne",
    sp.And: "and",
    sp.Or: "or",
    sp.Xor: "xor",
    sp.Not: "not",
    **{function: step for step, function in {**SPECIAL, **WHOLE}.items()},
}


class _Linearizer:
    """Turns an expression into steps, each distinct part once, in the order it is written."""

    def __init__(self, arity: int) -> None:
        self.steps: list[Step] = []
        self.arity = arity
        self.seen: dict[Any, int] = {placeholder(i): i for i in range(arity)}

    def step(self, name: str, *arguments: int, literal: Any = None) -> int:
        key = (name, arguments, repr(literal))
        if key not in self.seen:
            self.seen[key] = self.arity + len(self.steps)
            self.steps.append(Step(name, arguments, literal))
        return self.seen[key]

    def literal(self, value: Expr) -> int:
        number = int(value) if value.is_Integer else float(value)
        return self.step("literal", literal=number)

    def visit(self, e: Expr) -> int:
        if e not in self.seen:
            self.seen[e] = self._visit(e)
        return self.seen[e]

    def _visit(self, e: Expr) -> int:
        if e.is_number and not isinstance(e, fn.Opaque):
            return self.literal(e)
        if e.is_Add:
            return self._sum(e)
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(*e.as_base_exp()) if e.args[0] is not sp.E else self._exp(e)
        if e is sp.true or e is sp.false:
            return self.step("literal", literal=bool(e))
        if e.func is fn.Power and e.args[1].is_number:
            return self._power(*e.args)
        if e.func is fn.StopGradient:
            return self.visit(e.args[0])
        if e.func is sp.polygamma and e.args[0] == 0:
            return self.step("digamma", self.visit(e.args[1]))
        name = _FUNCTIONS[e.func]
        arguments = [self.visit(a) for a in e.args]
        if len(arguments) > 2 and name in ("and", "or", "xor"):
            return self._fold(name, iter(arguments))
        return self.step(name, *arguments)

    def _exp(self, e: Expr) -> int:
        return self.step("exp", self.visit(e.args[1]))

    def _fold(self, name: str, values: Iterator[int]) -> int:
        total = next(values)
        for value in values:
            total = self.step(name, total, value)
        return total

    def _sum(self, e: Expr) -> int:
        terms = sorted(e.args, key=lambda term: term.could_extract_minus_sign())
        total: int | None = None
        for term in terms:
            if total is None:
                total = self.visit(term)
            elif term.could_extract_minus_sign():
                total = self.step("sub", total, self.visit(-term))
            else:
                total = self.step("add", total, self.visit(term))
        assert total is not None
        return total

    def _product(self, e: Expr) -> int:
        coefficient, rest = e.as_coeff_Mul()
        if coefficient == -1:
            return self.step("neg", self.visit(rest))
        constant = sp.Mul(*[a for a in e.args if a.is_number and not isinstance(a, fn.Opaque)])
        if not constant.is_Rational:  # of a rule: sqrt(2)/(2*sqrt(pi)) is one number
            others = sp.Mul(*[a for a in e.args if not a.is_number or isinstance(a, fn.Opaque)])
            return self.step("mul", self.literal(constant), self.visit(others))
        # Exact: exp(-x) stays what it is, the same value in every pattern.
        numerator, denominator = sp.fraction(e, exact=True) if e.is_commutative else (e, sp.S.One)
        if denominator == 1 or numerator * (1 / denominator) != e:
            return self._fold("mul", (self.visit(a) for a in e.args))
        if numerator.could_extract_minus_sign() and not _has_minus_sign(-e):
            return self.step("neg", self.visit(-e))
        return self.step("div", self.visit(numerator), self.visit(denominator))

    def _power(self, base: Expr, exponent: Expr) -> int:
        if exponent.is_Integer and abs(exponent) <= 16:
            if exponent < 0:
                return self.step("div", self.literal(sp.S.One), self.visit(base**-exponent))
            return self._integer_power(self.visit(base), int(exponent))
        if exponent == sp.Rational(1, 2):
            return self.step("sqrt", self.visit(base))
        if exponent == -sp.Rational(1, 2):
            return self.step("div", self.literal(sp.S.One), self.visit(sp.sqrt(base)))
        if exponent == sp.Rational(3, 2):
            root = self.step("sqrt", self.visit(base))
            return self.step("mul", self.visit(base), root)
        return self.step("pow", self.visit(base), self.visit(exponent))

    def _integer_power(self, base: int, exponent: int) -> int:
        if exponent == 0:
            return self.step("literal", literal=1)
        result: int | None = None
        while exponent:
            if exponent & 1:
                result = base if result is None else self.step("mul", result, base)
            exponent >>= 1
            if exponent:
                base = self.step("mul", base, base)
        assert result is not None
        return result


def _has_minus_sign(e: Expr) -> bool:
    """Whether a sign would be taken out of `e`; of some products SymPy says so of both signs."""
    return e.as_coeff_Mul()[0] == -1 or e.as_numer_denom()[0].could_extract_minus_sign()


def _linearize(expression: Expr, arity: int) -> tuple[Step, ...]:
    linearizer = _Linearizer(arity)
    last = linearizer.visit(expression)
    if last != arity + len(linearizer.steps) - 1:
        linearizer.steps.append(Step("copy", (last,)))
    return tuple(linearizer.steps)


def formula(expression: Expr) -> Expr:
    """Say an expression in ordinary SymPy.

    Examples
    --------
    >>> formula(fn.Maximum(placeholder(0), 0))
    Max(0, p0)
    """
    is_ours: Callable[[Expr], bool] = lambda e: isinstance(e, fn.Opaque)  # noqa: E731
    return expression.replace(is_ours, lambda e: e.formula())
