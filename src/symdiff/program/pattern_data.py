"""Patterns as nested lists over a fixed set of names, and back without evaluating anything.

A pattern comes back as the very same object, since patterns are interned and SymPy's
constructors are told not to simplify.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import sympy as sp

from symdiff.errors import CacheError, UnsupportedOperationError
from symdiff.program import functions as fn
from symdiff.program.patterns import Pattern, pattern, placeholder
from symdiff.program.special_functions import SPECIAL
from symdiff.program.whole_numbers import WHOLE

__all__ = ["dump_expression", "dump_pattern", "load_pattern"]

_MAX_DEPTH = 200
_MAX_ARITY = 1000
_MANY = 1 << 30


class _Kind(NamedTuple):
    """How a node is built, and with how many arguments."""

    function: type
    least: int
    most: int


def _fixed(n: int, *functions: type) -> list[_Kind]:
    return [_Kind(f, n, n) for f in functions]


_KINDS: dict[str, _Kind] = {
    kind.function.__name__: kind
    for kind in [
        _Kind(sp.Add, 2, _MANY),
        _Kind(sp.Mul, 2, _MANY),
        _Kind(sp.And, 1, _MANY),
        _Kind(sp.Or, 1, _MANY),
        _Kind(sp.Xor, 1, _MANY),
        *_fixed(1, sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.asin, sp.acos, sp.atan, sp.sinh),
        *_fixed(1, sp.cosh, sp.tanh, sp.asinh, sp.acosh, sp.atanh, fn.Abs, fn.Sign, fn.Floor),
        *_fixed(1, fn.Ceil, sp.gamma, sp.Not),
        *_fixed(1, fn.exp2, fn.expm1, fn.log1p, fn.log2, fn.log10, fn.StopGradient, fn.Trunc),
        *_fixed(1, fn.Rint, fn.IsNan, fn.IsInf, fn.IsFinite, fn.SignBit, fn.Cbrt, fn.Sigmoid),
        *_fixed(1, fn.Erf, fn.Erfc, fn.LogGamma, fn.Digamma, fn.Softplus),
        *_fixed(2, sp.Pow, sp.atan2, sp.polygamma, sp.StrictLessThan, sp.LessThan),
        *_fixed(2, sp.StrictGreaterThan, sp.GreaterThan, sp.Equality, sp.Unequality),
        *_fixed(2, fn.Maximum, fn.Minimum, fn.FMax, fn.FMin, fn.Power, fn.FloorDivide),
        *_fixed(2, fn.Remainder, fn.Fmod, fn.CopySign, fn.Hypot, fn.LogAddExp, fn.Polygamma),
        *_fixed(2, fn.LogAddExp2, fn.Gap),
        *_fixed(3, fn.Select),
        *[_Kind(f, len(f.rules), len(f.rules)) for f in SPECIAL.values()],
        *[_Kind(f, 1, 2) for f in WHOLE.values()],
    ]
}

_CONSTANTS: dict[str, Any] = {
    "pi": sp.pi,
    "E": sp.E,
    "EulerGamma": sp.EulerGamma,
    "oo": sp.oo,
    "-oo": -sp.oo,
    "nan": sp.nan,
    "true": sp.true,
    "false": sp.false,
}
_NAMES = {value: name for name, value in _CONSTANTS.items()}


def dump_pattern(pattern: Pattern) -> list[Any]:
    """Say a pattern in nested lists: its arity and its expression.

    Raises
    ------
    UnsupportedOperationError
        The pattern has a function that is not one of ours, such as a user's primitive.

    Examples
    --------
    >>> p0, p1 = placeholder(0), placeholder(1)
    >>> dump_pattern(pattern(sp.exp(p0) + p1, 2))
    [2, ['Add', ['p', 1], ['exp', ['p', 0]]]]
    """
    data = [pattern.arity, dump_expression(pattern.expression)]
    assert load_pattern(data) is pattern, f"{pattern} does not survive a round trip"
    return data


def dump_expression(e: Any) -> list[Any]:
    """Say an expression over placeholders in nested lists.

    Raises
    ------
    UnsupportedOperationError
        As for `dump_pattern`.
    """
    if e in _NAMES:
        return [_NAMES[e]]
    if e.is_Symbol:
        return ["p", int(e.name.removeprefix("p"))]
    if e.is_Integer:
        return ["int", int(e)]
    if e.is_Rational:
        return ["ratio", int(e.p), int(e.q)]
    if e.is_Float and e == sp.Float(float(e)):
        return ["float", float(e).hex()]
    name = e.func.__name__
    if name not in _KINDS or _KINDS[name].function is not e.func:
        raise UnsupportedOperationError(
            f"{e} cannot be saved: only symdiff's own functions can, and {name} is not one of them"
        )
    return [name, *[dump_expression(a) for a in e.args]]


def load_pattern(data: Any) -> Pattern:
    """Build a pattern from what `dump_pattern` gave.

    Raises
    ------
    CacheError
        The data are not those of a pattern.
    """
    if not isinstance(data, list) or len(data) != 2:
        raise CacheError(f"a pattern is a list of arity and expression, not {data!r:.80}")
    arity, expression = data
    if not _is_whole(arity) or not 0 <= arity <= _MAX_ARITY:
        raise CacheError(f"a pattern has 0 to {_MAX_ARITY} operands, not {arity!r:.80}")
    return pattern(_load(expression, arity, 0), arity)


def _load(data: Any, arity: int, depth: int) -> Any:
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise CacheError(f"an expression is a list that starts with a name, not {data!r:.80}")
    if depth > _MAX_DEPTH:
        raise CacheError(f"an expression is nested more than {_MAX_DEPTH} deep")
    name, *rest = data
    if name in _ATOMS:
        return _load_atom(name, rest, arity)
    if name in _CONSTANTS and not rest:
        return _CONSTANTS[name]
    kind = _KINDS.get(name)
    if kind is None:
        raise CacheError(f"unknown function {name!r:.80} in an expression")
    if not kind.least <= len(rest) <= kind.most:
        raise CacheError(f"{name} with {len(rest)} arguments in an expression")
    arguments = [_load(a, arity, depth + 1) for a in rest]
    return _build(kind.function, arguments)


_LOGIC = (sp.And, sp.Or, sp.Xor, sp.Not)
_TAKES_TRUTH = (*_LOGIC, fn.Select, sp.Equality, sp.Unequality)


def _build(function: type, arguments: list[Any]) -> Any:
    truths = [isinstance(a, sp.logic.boolalg.Boolean) and not a.is_Symbol for a in arguments]
    if any(truths) and function not in _TAKES_TRUTH:
        raise CacheError(f"{function.__name__} of a truth value in an expression")
    if function in _LOGIC and any(
        a.is_number and not t for a, t in zip(arguments, truths, strict=True)
    ):
        raise CacheError(f"{function.__name__} of a number in an expression")
    try:
        build: Any = function
        return build(*arguments, evaluate=False)
    except (TypeError, ValueError, AttributeError) as error:
        raise CacheError(f"SymPy refuses {function.__name__}: {error}") from error


def _load_atom(name: str, rest: list[Any], arity: int) -> Any:
    count, build = _ATOMS[name]
    if len(rest) != count:
        raise CacheError(f"{name} with {len(rest)} values in an expression")
    value = build(*rest)
    if name == "p" and not (_is_whole(rest[0]) and 0 <= rest[0] < arity):
        raise CacheError(f"operand {rest[0]!r:.80} of a pattern with {arity}")
    return value


def _operand(number: Any) -> Any:
    if not _is_whole(number) or not 0 <= number < _MAX_ARITY:
        raise CacheError(f"an operand has a number, not {number!r:.80}")
    return placeholder(number)


def _integer(value: Any) -> Any:
    if not _is_whole(value):
        raise CacheError(f"expected a whole number, got {value!r:.80}")
    return sp.Integer(value)


def _ratio(top: Any, bottom: Any) -> Any:
    if not _is_whole(top) or not _is_whole(bottom) or bottom < 2:
        raise CacheError(f"expected a ratio of whole numbers, got {top!r:.80}/{bottom!r:.80}")
    return sp.Rational(top, bottom)


def _float(value: Any) -> Any:
    try:
        return sp.Float(float.fromhex(value))
    except (TypeError, ValueError, OverflowError):
        raise CacheError(f"expected a hexadecimal float, got {value!r:.80}") from None


_ATOMS: dict[str, tuple[int, Callable[..., Any]]] = {
    "p": (1, _operand),
    "int": (1, _integer),
    "ratio": (2, _ratio),
    "float": (1, _float),
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
