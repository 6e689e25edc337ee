"""The table of elementwise operations: which pattern each of NumPy's and SciPy's ufuncs is.

An operation is one row here. Its dtype rule is NumPy's own (`numpy.ufunc.resolve_dtypes`), its
derivative is SymPy's, and what a target does for it is one row of that target's table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy
import sympy as sp

from symdiff.program import functions as fn
from symdiff.program import whole_numbers as whole
from symdiff.program.patterns import COPY, Pattern, pattern, placeholder
from symdiff.program.special_functions import NAMES, ORDERS, SPECIAL

__all__ = [
    "EXPONENTS",
    "NATURAL",
    "PRODUCT",
    "RECIPROCAL",
    "SELECT",
    "SOFTPLUS",
    "SQUARE",
    "STOP",
    "UFUNCS",
    "UFUNCS_OF_WHOLE_NUMBERS",
    "UFUNCS_WITH_TWO_RESULTS",
    "Ufuncs",
    "power_pattern",
    "scipy_ufuncs",
    "special_pattern",
]

p0, p1, p2 = (placeholder(i) for i in range(3))

PRODUCT = pattern(p0 * p1, 2)
SQUARE = pattern(p0**2, 1)
RECIPROCAL = pattern(1 / p0, 1)
SELECT = pattern(fn.Select(p0, p1, p2), 3)
NATURAL = frozenset([COPY, PRODUCT, pattern(p0 + p1, 2)])
"""What gives a number that is not negative of those that are not."""
SOFTPLUS = pattern(fn.Softplus(p0), 1)
STOP = pattern(fn.StopGradient(p0), 1)


def special_pattern(step: str) -> Pattern:
    """Give the pattern of one of SciPy's special functions."""
    function = SPECIAL[step]
    arity = len(function.rules)
    return pattern(function(*[placeholder(i) for i in range(arity)]), arity)


_UNARY: list[tuple[np.ufunc, Callable[[Any], Any]]] = [
    (np.positive, lambda x: x),
    (np.negative, lambda x: -x),
    (np.absolute, fn.Abs),
    (np.fabs, fn.Abs),
    (np.sign, fn.Sign),
    (np.square, lambda x: x**2),
    (np.reciprocal, lambda x: 1 / x),
    (np.sqrt, sp.sqrt),
    (np.cbrt, fn.Cbrt),
    (np.exp, sp.exp),
    (np.exp2, fn.exp2),
    (np.expm1, fn.expm1),
    (np.log, sp.log),
    (np.log2, fn.log2),
    (np.log10, fn.log10),
    (np.log1p, fn.log1p),
    (np.sin, sp.sin),
    (np.cos, sp.cos),
    (np.tan, sp.tan),
    (np.arcsin, sp.asin),
    (np.arccos, sp.acos),
    (np.arctan, sp.atan),
    (np.sinh, sp.sinh),
    (np.cosh, sp.cosh),
    (np.tanh, sp.tanh),
    (np.arcsinh, sp.asinh),
    (np.arccosh, sp.acosh),
    (np.arctanh, sp.atanh),
    (np.deg2rad, lambda x: x * sp.Float(math.pi / 180)),
    (np.radians, lambda x: x * sp.Float(math.pi / 180)),
    (np.rad2deg, lambda x: x * sp.Float(180 / math.pi)),
    (np.degrees, lambda x: x * sp.Float(180 / math.pi)),
    (np.floor, fn.Floor),
    (np.ceil, fn.Ceil),
    (np.trunc, fn.Trunc),
    (np.rint, fn.Rint),
    (np.isnan, fn.IsNan),
    (np.isinf, fn.IsInf),
    (np.isfinite, fn.IsFinite),
    (np.signbit, fn.SignBit),
    (np.spacing, whole.Spacing),
    (np.conjugate, lambda x: x),
    (np.logical_not, sp.Not),
]

_BINARY: list[tuple[np.ufunc, Callable[[Any, Any], Any]]] = [
    (np.add, lambda x, y: x + y),
    (np.subtract, lambda x, y: x - y),
    (np.multiply, lambda x, y: x * y),
    (np.divide, lambda x, y: x / y),
    (np.power, fn.Power),
    (np.float_power, fn.Power),
    (np.floor_divide, fn.FloorDivide),
    (np.remainder, fn.Remainder),
    (np.fmod, fn.Fmod),
    (np.arctan2, sp.atan2),
    (np.hypot, fn.Hypot),
    (np.maximum, fn.Maximum),
    (np.minimum, fn.Minimum),
    (np.fmax, fn.FMax),
    (np.fmin, fn.FMin),
    (np.copysign, fn.CopySign),
    (np.logaddexp, fn.LogAddExp),
    (np.logaddexp2, fn.LogAddExp2),
    (np.nextafter, whole.NextAfter),
    (np.ldexp, whole.Scaled),
    (np.less, sp.Lt),
    (np.less_equal, sp.Le),
    (np.greater, sp.Gt),
    (np.greater_equal, sp.Ge),
    (np.equal, sp.Eq),
    (np.not_equal, sp.Ne),
    (np.logical_and, sp.And),
    (np.logical_or, sp.Or),
    (np.logical_xor, sp.Xor),
    (np.heaviside, lambda x, y: fn.Select(fn.IsNan(x), x, fn.Select(x > 0, 1, _at_zero(x, y)))),
]


def _at_zero(x: Any, y: Any) -> Any:
    return fn.Select(x < 0, 0, y)


UFUNCS: dict[np.ufunc, Pattern] = {
    **{ufunc: pattern(build(p0), 1) for ufunc, build in _UNARY},
    **{ufunc: pattern(build(p0, p1), 2) for ufunc, build in _BINARY},
}
"""NumPy's ufuncs of one result."""

UFUNCS_OF_WHOLE_NUMBERS: dict[np.ufunc, Pattern] = {
    np.bitwise_and: pattern(whole.BitAnd(p0, p1), 2),
    np.bitwise_or: pattern(whole.BitOr(p0, p1), 2),
    np.bitwise_xor: pattern(whole.BitXor(p0, p1), 2),
    np.invert: pattern(whole.BitNot(p0), 1),
    np.left_shift: pattern(whole.LeftShift(p0, p1), 2),
    np.right_shift: pattern(whole.RightShift(p0, p1), 2),
    np.gcd: pattern(whole.Gcd(p0, p1), 2),
    np.lcm: pattern(whole.Lcm(p0, p1), 2),
    np.reciprocal: pattern(whole.Reciprocal(p0), 1),
    np.bitwise_count: pattern(whole.BitCount(p0), 1),
}
"""What a ufunc does where it computes whole numbers; those of floats are in `UFUNCS`."""
UFUNCS_WITH_TWO_RESULTS: dict[np.ufunc, tuple[Pattern, Pattern]] = {
    np.divmod: (UFUNCS[np.floor_divide], UFUNCS[np.remainder]),
    np.modf: (pattern(whole.Fraction(p0), 1), UFUNCS[np.trunc]),
    np.frexp: (pattern(whole.Mantissa(p0), 1), pattern(whole.Exponent(p0), 1)),
}


class Ufuncs(NamedTuple):
    """What ufuncs are.

    Attributes
    ----------
    patterns
        Of those with one result.
    of_orders
        Of those whose first argument is a whole number: the degree of a polynomial, the order of
        an integral.
    with_two_results
        A pattern for each result.
    """

    patterns: dict[np.ufunc, Pattern]
    of_orders: dict[np.ufunc, Pattern]
    with_two_results: dict[np.ufunc, tuple[Pattern, Pattern]]


@cache
def scipy_ufuncs() -> Ufuncs:
    """Give the ufuncs of `scipy.special`, which SciPy imports (0.1 s) when it is first named."""
    special: Any = scipy.special
    unary: dict[str, Callable[[Any], Any]] = {
        "expit": fn.Sigmoid,
        "erf": fn.Erf,
        "erfc": fn.Erfc,
        "gamma": sp.gamma,
        "gammaln": fn.LogGamma,
        "psi": fn.Digamma,
        "log1p": fn.log1p,
        "expm1": fn.expm1,
        "cbrt": fn.Cbrt,
        "exp2": fn.exp2,
    }
    named = {step: step for step, function in SPECIAL.items() if NAMES[function] == step}
    # scipy.special.zeta is a function of Python that calls one of these.
    hidden = {"_zeta": "zeta", "_riemann_zeta": "riemann_zeta"}
    return Ufuncs(
        {
            **_special_patterns(special, named),
            **_special_patterns(special._ufuncs, hidden),
            **{getattr(special, name): pattern(build(p0), 1) for name, build in unary.items()},
        },
        _special_patterns(special, ORDERS),
        {
            special.sici: (special_pattern("sine_integral"), special_pattern("cosine_integral")),
            special.shichi: (special_pattern("sinh_integral"), special_pattern("cosh_integral")),
            special.fresnel: (special_pattern("fresnel_sine"), special_pattern("fresnel_cosine")),
        },
    )


def _special_patterns(module: Any, steps: Mapping[str, str]) -> dict[np.ufunc, Pattern]:
    """Give the patterns of the ufuncs that this version of SciPy has, by its names of them."""
    found = {getattr(module, name, None): step for name, step in steps.items()}
    return {u: special_pattern(step) for u, step in found.items() if isinstance(u, np.ufunc)}


EXPONENTS: dict[float, Any] = {
    **{float(n): sp.Integer(n) for n in range(-16, 17)},
    **{n + 0.5: sp.Rational(2 * n + 1, 2) for n in range(-4, 4)},
}
"""Exponents that stand in the pattern itself, so that derivatives stay short."""


def power_pattern(exponent: float) -> Pattern | None:
    """Give the pattern of ``x**exponent`` for the exponents that people write."""
    if exponent not in EXPONENTS:
        return None
    number = EXPONENTS[exponent]
    if number.is_Integer:
        return pattern(p0**number, 1)
    return pattern(sp.sqrt(p0), 1) if exponent == 0.5 else pattern(fn.Power(p0, number), 1)
