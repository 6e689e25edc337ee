"""The table of elementwise operations: which pattern each of NumPy's and SciPy's ufuncs is.

An operation is one row here. Its dtype rule is NumPy's own (`numpy.ufunc.resolve_dtypes`), its
derivative is SymPy's, and what a target does for it is one row of that target's table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.patterns import Pattern, pattern, placeholder

__all__ = ["COPY", "EXPONENTS", "PRODUCT", "SELECT", "SQUARE", "STOP", "UFUNCS", "power_pattern"]

p0, p1, p2 = (placeholder(i) for i in range(3))

COPY = pattern(p0, 1)
PRODUCT = pattern(p0 * p1, 2)
SQUARE = pattern(p0**2, 1)
SELECT = pattern(fn.Select(p0, p1, p2), 3)
STOP = pattern(fn.StopGradient(p0), 1)

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
    (np.logical_not, sp.Not),
    (scipy.special.expit, fn.Sigmoid),
    (scipy.special.erf, fn.Erf),
    (scipy.special.erfc, fn.Erfc),
    (scipy.special.gamma, sp.gamma),
    (scipy.special.gammaln, fn.LogGamma),
    (scipy.special.psi, fn.Digamma),
    (scipy.special.log1p, fn.log1p),
    (scipy.special.expm1, fn.expm1),
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
