"""Steps that are written as several others, the same for every target.

A target says how it writes a step, a number and a conversion; what is here is the arithmetic of
functions that neither processors nor mathematical libraries have, exact where NumPy's is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["COMBINE", "Target", "by_kind", "compositions"]

COMBINE = {
    "=": "add",
    "+=": "add",
    "max=": "maximum",
    "min=": "minimum",
    "or=": "or",
    "and=": "and",
}
"""The step with which an operator combines what is there with what comes."""

Written = Any
"""A value of the target's: it has a ``dtype``."""
Row = Callable[[Any, str, list[Any]], Any]


class Target(NamedTuple):
    """What a target gives; each takes its emitter first.

    Attributes
    ----------
    step : callable
        Writes the step of a name in a dtype, from a list of values.
    constant : callable
        Writes a number of a dtype.
    convert : callable
        Writes a conversion to a dtype.
    is_float : callable
        Tells whether a dtype is floating.
    """

    step: Callable[[Any, str, str, list[Written]], Written]
    constant: Callable[[Any, float, str], Written]
    convert: Callable[[Any, Written, str], Written]
    is_float: Callable[[str], bool]


def compositions(target: Target) -> dict[str, Row]:
    """Give the rows of a target's table."""
    return {name: _bound(target, rule) for name, rule in _RULES.items()}


def by_kind(of_floats: Row, of_integers: Row) -> Row:
    """Make the row that is one for floating dtypes, and another for whole numbers."""

    def emit(e: Any, dtype: str, arguments: list[Written]) -> Written:
        return (of_floats if dtype.startswith("float") else of_integers)(e, dtype, arguments)

    return emit


class _Writer:
    """Writes steps of one dtype."""

    def __init__(self, target: Target, e: Any, dtype: str) -> None:
        self.target = target
        self.e = e
        self.dtype = dtype

    @property
    def is_float(self) -> bool:
        return self.target.is_float(self.dtype)

    @property
    def is_signed(self) -> bool:
        return self.dtype != "bool" and not self.dtype.startswith("u")

    def number(self, value: float) -> Written:
        return self.target.constant(self.e, value, self.dtype)

    def __call__(self, name: str, *arguments: Written) -> Written:
        return self.target.step(self.e, name, self.dtype, list(arguments))

    def truth(self, name: str, *arguments: Written) -> Written:
        return self.target.step(self.e, name, "bool", list(arguments))

    def select(self, condition: Written, a: Written, b: Written) -> Written:
        return self("select", condition, a, b)


def _bound(target: Target, rule: Callable[..., Written]) -> Row:
    def emit(e: Any, dtype: str, arguments: list[Written]) -> Written:
        w = _Writer(target, e, dtype)
        return rule(w, *[target.convert(e, x, dtype) for x in arguments])

    return emit


def _integer_abs(w: _Writer, a: Written) -> Written:
    if not w.is_signed:
        return a
    return w.select(w("lt", a, w.number(0)), w("neg", a), a)


def _sign(w: _Writer, a: Written) -> Written:
    zero, one = w.number(0), w.number(1)
    if not w.is_signed:
        return w.select(w("gt", a, zero), one, zero)
    kept = w.select(w("eq", a, zero), zero, a)
    low = w.select(w("lt", a, zero), w.number(-1), kept)
    return w.select(w("gt", a, zero), one, low)


def _has_wrong_sign(w: _Writer, rest: Written, b: Written) -> Written:
    zero = w.number(0)
    differs = w.truth("xor", w("lt", rest, zero), w("lt", b, zero))
    return w.truth("and", w("ne", rest, zero), differs)


def _remainder(w: _Writer, a: Written, b: Written) -> Written:
    """The remainder with the divisor's sign, of floats."""
    zero = w.number(0)
    rest = w("fmod", a, b)
    result = w.select(_has_wrong_sign(w, rest, b), w("add", rest, b), rest)
    return w.select(w("eq", rest, zero), w("copysign", zero, b), result)


def _floor_divide(w: _Writer, a: Written, b: Written) -> Written:
    """The quotient of floats rounded down, as NumPy's ``npy_divmod`` does."""
    zero, one = w.number(0), w.number(1)
    ratio, rest = w("div", a, b), w("fmod", a, b)
    quotient = w("div", w("sub", a, rest), b)
    quotient = w.select(_has_wrong_sign(w, rest, b), w("sub", quotient, one), quotient)
    whole = w("floor", quotient)
    is_above = w("gt", w("sub", quotient, whole), w.number(0.5))
    whole = w.select(is_above, w("add", whole, one), whole)
    whole = w.select(w("eq", quotient, zero), w("copysign", zero, ratio), whole)
    return w.select(w("eq", b, zero), ratio, whole)


def _sigmoid(w: _Writer, x: Written) -> Written:
    one = w.number(1)
    return w("div", one, w("add", one, w("exp", w("neg", x))))


def _gap(w: _Writer, a: Written, b: Written) -> Written:
    return w.select(w("eq", a, b), w.number(0), w("sub", a, b))


def _falling(w: _Writer, name: str, x: Written) -> Written:
    """A function of minus the size of a number."""
    return w(name, w("neg", w("abs", x)))


def _logaddexp(w: _Writer, a: Written, b: Written) -> Written:
    rest = w("log1p", _falling(w, "exp", w("sub", a, b)))
    rest = w.select(w("eq", a, b), w.number(math.log(2.0)), rest)
    return w("add", w("maximum", a, b), rest)


def _logaddexp2(w: _Writer, a: Written, b: Written) -> Written:
    rest = w("log1p", _falling(w, "exp2", w("sub", a, b)))
    rest = w("mul", rest, w.number(1 / math.log(2.0)))
    rest = w.select(w("eq", a, b), w.number(1), rest)
    return w("add", w("maximum", a, b), rest)


def _softplus(w: _Writer, x: Written) -> Written:
    top = w("maximum", x, w.number(0))
    return w("add", top, w("log1p", _falling(w, "exp", x)))


def _log_sigmoid(w: _Writer, x: Written) -> Written:
    low = w("minimum", x, w.number(0))
    return w("sub", low, w("log1p", _falling(w, "exp", x)))


def _product_with_log(logarithm: str) -> Callable[..., Written]:
    """``x * log(y)``, zero where `x` is and `y` is a number."""

    def rule(w: _Writer, x: Written, y: Written) -> Written:
        zero = w.number(0)
        is_zero = w.truth("and", w("eq", x, zero), w("eq", y, y))
        return w.select(is_zero, zero, w("mul", x, w(logarithm, y)))

    return rule


def _normal_distribution(w: _Writer, x: Written) -> Written:
    """The normal distribution function, by a function that vector libraries have."""
    return w("mul", w.number(0.5), w("erfc", w("mul", x, w.number(-math.sqrt(0.5)))))


def _fraction(w: _Writer, x: Written) -> Written:
    rest = w("sub", x, w("trunc", x))
    return w("copysign", w.select(w("isinf", x), w.number(0), rest), x)


def _spacing(w: _Writer, x: Written) -> Written:
    size = w("abs", x)
    gap = w("sub", w("nextafter", size, w.number(math.inf)), size)
    return w.select(w("lt", x, w.number(0)), w("neg", gap), gap)


def _int_reciprocal(w: _Writer, x: Written) -> Written:
    """``1 / x`` towards zero; that of zero is what the C conversion of infinity gives NumPy."""
    one, zero = w.number(1), w.number(0)
    quotient = w.select(w("eq", x, one), one, zero)
    if w.is_signed:
        quotient = w.select(w("eq", x, w.number(-1)), w.number(-1), quotient)
    if w.dtype not in ("int64", "int32"):
        return quotient
    least = w.number(-(2 ** (int(w.dtype[3:]) - 1)))
    return w.select(w("eq", x, zero), least, quotient)


_RULES: dict[str, Callable[..., Written]] = {
    "integer_abs": _integer_abs,
    "sign": _sign,
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "sigmoid": _sigmoid,
    "gap": _gap,
    "logaddexp": _logaddexp,
    "logaddexp2": _logaddexp2,
    "softplus": _softplus,
    "log_expit": _log_sigmoid,
    "xlogy": _product_with_log("log"),
    "xlog1py": _product_with_log("log1p"),
    "ndtr": _normal_distribution,
    "fraction": _fraction,
    "spacing": _spacing,
    "int_reciprocal": _int_reciprocal,
}
