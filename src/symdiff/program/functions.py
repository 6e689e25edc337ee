"""Scalar functions that NumPy has and SymPy has not, or not with NumPy's meaning.

Each is a SymPy function whose derivative is written once, in ``fdiff``, and whose `formula`
says it in ordinary SymPy for people to read. None of them simplifies itself: what a kernel
computes for NaN, infinities and signed zeros is what the user wrote.
"""

# SymPy's arguments are expressions, which its annotations do not say.
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import exp2, expm1, log1p, log2, log10

__all__ = [
    "Abs",
    "Cbrt",
    "Ceil",
    "CopySign",
    "Digamma",
    "Erf",
    "Erfc",
    "FMax",
    "FMin",
    "Floor",
    "FloorDivide",
    "Fmod",
    "Hypot",
    "IsFinite",
    "IsInf",
    "IsNan",
    "LogAddExp",
    "LogAddExp2",
    "LogGamma",
    "Maximum",
    "Minimum",
    "Polygamma",
    "Power",
    "Remainder",
    "Rint",
    "Select",
    "Sigmoid",
    "Sign",
    "SignBit",
    "Softplus",
    "StopGradient",
    "Trunc",
    "exp2",
    "expm1",
    "log1p",
    "log2",
    "log10",
]

Expr = Any


class Opaque(sp.Function):
    """A function that stays as it is written."""

    is_real = True

    def formula(self) -> Expr:
        """Say the same in ordinary SymPy."""
        return self


class Select(Opaque):
    """``Select(c, a, b)``: `a` where `c` holds, `b` elsewhere; the other one has no say."""

    def _eval_derivative(self, s: Expr) -> Expr:
        condition, a, b = self.args
        da, db = sp.diff(a, s), sp.diff(b, s)
        return sp.S.Zero if da == db == 0 else Select(condition, da, db)

    def formula(self) -> Expr:
        condition, a, b = self.args
        if not isinstance(condition, sp.logic.boolalg.Boolean) or condition.is_Symbol:
            condition = sp.Ne(condition, 0)
        return sp.Piecewise((a, condition), (b, True))


class _Extremum(Opaque):
    """Maximum or minimum of two; the derivative is shared where they tie."""

    strict: Any

    def fdiff(self, argindex: int = 1) -> Expr:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        tie = Select(sp.Eq(mine, other), sp.Rational(1, 2), type(self).otherwise(mine))
        return Select(type(self).strict(other, mine), 0, tie)

    @staticmethod
    def otherwise(_mine: Expr) -> Expr:
        """Give the slope where neither wins from the other: one, so that a NaN goes through."""
        return sp.S.One


class Maximum(_Extremum):
    """The greater of two, NaN if either is."""

    strict = sp.Gt

    def formula(self) -> Expr:
        return sp.Max(*self.args)


class Minimum(_Extremum):
    """The smaller of two, NaN if either is."""

    strict = sp.Lt

    def formula(self) -> Expr:
        return sp.Min(*self.args)


class FMax(Maximum):
    """The greater of two, ignoring a NaN."""

    @staticmethod
    def otherwise(_mine: Expr) -> Expr:
        """Give nothing to a NaN, which is ignored."""
        return Select(IsNan(_mine), 0, 1)


class FMin(Minimum):
    """The smaller of two, ignoring a NaN."""

    otherwise = FMax.otherwise


class Power(Opaque):
    """``x**y`` for any two reals, with derivatives that stay finite where the limit does."""

    def fdiff(self, argindex: int = 1) -> Expr:
        x, y = self.args
        if argindex == 1:
            slope = y * Power(x, y - 1)
            return slope if y.is_number else Select(sp.Eq(y, 0), 0, slope)
        return Select(x > 0, Power(x, y) * sp.log(x), 0)

    def formula(self) -> Expr:
        return sp.Pow(*self.args)


class FloorDivide(Opaque):
    """``floor(x / y)``; piecewise constant."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.S.Zero

    def formula(self) -> Expr:
        return sp.floor(self.args[0] / self.args[1])


class Remainder(Opaque):
    """``x - floor(x / y) * y``, with the sign of the divisor."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.S.One if argindex == 1 else -FloorDivide(*self.args)

    def formula(self) -> Expr:
        return sp.Mod(*self.args)


class Fmod(Opaque):
    """``x - trunc(x / y) * y``, with the sign of the dividend."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.S.One if argindex == 1 else -Trunc(self.args[0] / self.args[1])

    def formula(self) -> Expr:
        x, y = self.args
        return x - y * Trunc(x / y).formula()


class _Step(Opaque):
    """A piecewise constant function of one argument."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.S.Zero


class StopGradient(_Step):
    """The argument itself, which is taken for a constant by derivatives."""

    def formula(self) -> Expr:
        return self.args[0]


class Sign(_Step):
    """-1, 0 or 1; SymPy's derivative would be a Dirac delta."""

    def formula(self) -> Expr:
        return sp.sign(self.args[0])


class Floor(_Step):
    """Round down."""

    def formula(self) -> Expr:
        return sp.floor(self.args[0])


class Ceil(_Step):
    """Round up."""

    def formula(self) -> Expr:
        return sp.ceiling(self.args[0])


class Trunc(_Step):
    """Round towards zero."""

    def formula(self) -> Expr:
        x = self.args[0]
        return sp.sign(x) * sp.floor(sp.Abs(x))


class Rint(_Step):
    """Round to the nearest whole number, halves to the even one."""


class Predicate(sp.logic.boolalg.BooleanFunction):
    """A truth about one number."""

    @classmethod
    def eval(cls, *_: Expr) -> None:
        """Stay as it is written."""

    def _sympystr(self, printer: Any) -> str:
        return f"{type(self).__name__}({printer._print(self.args[0])})"


class IsNan(Predicate):
    """Whether the argument is not a number."""


class IsInf(Predicate):
    """Whether the argument is infinite."""


class IsFinite(Predicate):
    """Whether the argument is neither infinite nor NaN."""


class SignBit(Predicate):
    """Whether the sign bit is set."""


class Abs(Opaque):
    """The absolute value, with derivative zero at zero."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Sign(self.args[0])

    def formula(self) -> Expr:
        return sp.Abs(self.args[0])


class CopySign(Opaque):
    """The magnitude of the first with the sign of the second."""

    def fdiff(self, argindex: int = 1) -> Expr:
        if argindex == 2:
            return sp.S.Zero
        x, y = self.args
        return CopySign(sp.S.One, y) * Sign(x)

    def formula(self) -> Expr:
        x, y = self.args
        return sp.Abs(x) * sp.sign(y)


class Hypot(Opaque):
    """``sqrt(x**2 + y**2)`` without overflow."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return self.args[argindex - 1] / self

    def formula(self) -> Expr:
        return sp.sqrt(self.args[0] ** 2 + self.args[1] ** 2)


class Cbrt(Opaque):
    """The real cube root."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 1 / (3 * self**2)

    def formula(self) -> Expr:
        return sp.real_root(self.args[0], 3)


class Sigmoid(Opaque):
    """``1 / (1 + exp(-x))`` without overflow."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return self * Sigmoid(-self.args[0])  # 1 - self cancels where it is near one

    def formula(self) -> Expr:
        return 1 / (1 + sp.exp(-self.args[0]))


class Gap(Opaque):
    """``x - y``, and zero where they are equal, be it infinite."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.Integer(1 if argindex == 1 else -1)

    def formula(self) -> Expr:
        return self.args[0] - self.args[1]


class LogAddExp(Opaque):
    """``log(exp(x) + exp(y))`` without overflow."""

    def fdiff(self, argindex: int = 1) -> Expr:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        return Sigmoid(Gap(mine, other))

    def formula(self) -> Expr:
        return sp.log(sp.exp(self.args[0]) + sp.exp(self.args[1]))


class Softplus(Opaque):
    """``log(1 + exp(x))`` without overflow."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Sigmoid(self.args[0])

    def formula(self) -> Expr:
        return sp.log(1 + sp.exp(self.args[0]))


class LogAddExp2(Opaque):
    """``log2(2**x + 2**y)`` without overflow."""

    def fdiff(self, argindex: int = 1) -> Expr:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        return Sigmoid(Gap(mine, other) * sp.log(2))

    def formula(self) -> Expr:
        return sp.log(2 ** self.args[0] + 2 ** self.args[1], 2)


class Erf(Opaque):
    """The error function."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 2 / sp.sqrt(sp.pi) * sp.exp(-(self.args[0] ** 2))

    def formula(self) -> Expr:
        return sp.erf(self.args[0])


class Erfc(Opaque):
    """The complementary error function, accurate in the tail."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return -2 / sp.sqrt(sp.pi) * sp.exp(-(self.args[0] ** 2))

    def formula(self) -> Expr:
        return sp.erfc(self.args[0])


class LogGamma(Opaque):
    """The logarithm of the absolute value of the gamma function."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Digamma(self.args[0])

    def formula(self) -> Expr:
        return sp.loggamma(self.args[0])


class Digamma(Opaque):
    """The logarithmic derivative of the gamma function."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return Polygamma(1, self.args[0])

    def formula(self) -> Expr:
        return sp.digamma(self.args[0])


class Polygamma(Opaque):
    """The derivative of `Digamma` of an order that is a whole number of at least 1."""

    def fdiff(self, argindex: int = 2) -> Expr:
        order, x = self.args
        return Polygamma(order + 1, x)

    def formula(self) -> Expr:
        return sp.polygamma(*self.args)
