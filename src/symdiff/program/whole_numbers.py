"""Operations on whole numbers and on the bits of floats; none has a derivative but as stated."""

# SymPy's arguments are expressions, which its annotations do not say.
# pyright: reportOperatorIssue=false, reportArgumentType=false

from __future__ import annotations

from typing import Any

import sympy as sp

from symdiff.program.functions import Opaque, Trunc

__all__ = [
    "NAMES",
    "WHOLE",
    "BitAnd",
    "BitCount",
    "BitNot",
    "BitOr",
    "BitXor",
    "Exponent",
    "Fraction",
    "Gcd",
    "Lcm",
    "LeftShift",
    "Mantissa",
    "NextAfter",
    "Reciprocal",
    "RightShift",
    "Scaled",
    "Spacing",
]

Expr = Any


class _Piecewise(Opaque):
    """A function that is constant between jumps."""

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: ARG002 - SymPy's protocol
        """Give zero."""
        return sp.S.Zero


class BitAnd(_Piecewise):
    """Bits that both have."""


class BitOr(_Piecewise):
    """Bits that one of both has."""


class BitXor(_Piecewise):
    """Bits that just one of both has."""


class BitNot(_Piecewise):
    """The other bits."""


class BitCount(_Piecewise):
    """The number of bits of the absolute value."""


class LeftShift(_Piecewise):
    """Bits moved up; zero when moved by the width or more."""


class RightShift(_Piecewise):
    """Bits moved down; the sign stays."""


class Gcd(_Piecewise):
    """The greatest common divisor."""

    def formula(self) -> Expr:
        """Say the same in ordinary SymPy."""
        return sp.gcd(*self.args)


class Lcm(_Piecewise):
    """The least common multiple."""

    def formula(self) -> Expr:
        """Say the same in ordinary SymPy."""
        return sp.lcm(*self.args)


class Reciprocal(_Piecewise):
    """``1 / x`` of a whole number, as a whole number."""


class Spacing(_Piecewise):
    """The distance to the next float away from zero."""


class Exponent(_Piecewise):
    """The power of two that `Mantissa` leaves out."""


class NextAfter(Opaque):
    """The next float after the first towards the second."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Take it for the first."""
        return sp.S.One if argindex == 1 else sp.S.Zero

    def formula(self) -> Expr:
        """Leave the last place out."""
        return self.args[0]


class Fraction(Opaque):
    """What is behind the point, with the sign of the number."""

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: ARG002 - SymPy's protocol
        """Give one."""
        return sp.S.One

    def formula(self) -> Expr:
        """Say the same in ordinary SymPy."""
        return self.args[0] - Trunc(self.args[0]).formula()


class Scaled(Opaque):
    """``x * 2**n`` for a whole `n`, which has no derivative."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Give the power of two."""
        return Scaled(sp.S.One, self.args[1]) if argindex == 1 else sp.S.Zero

    def formula(self) -> Expr:
        """Say the same in ordinary SymPy."""
        return self.args[0] * 2 ** self.args[1]


class Mantissa(Opaque):
    """A number divided by the power of two that leaves at least 1/2 and less than 1."""

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: ARG002 - SymPy's protocol
        """Give the power of two."""
        return Scaled(sp.S.One, -Exponent(self.args[0]))


WHOLE: dict[str, type[Opaque]] = {
    "bit_and": BitAnd,
    "bit_or": BitOr,
    "bit_xor": BitXor,
    "bit_not": BitNot,
    "bit_count": BitCount,
    "left_shift": LeftShift,
    "right_shift": RightShift,
    "gcd": Gcd,
    "lcm": Lcm,
    "int_reciprocal": Reciprocal,
    "spacing": Spacing,
    "exponent": Exponent,
    "nextafter": NextAfter,
    "fraction": Fraction,
    "ldexp": Scaled,
    "mantissa": Mantissa,
}
"""Every one by the name of its step."""

NAMES: dict[type[Opaque], str] = {
    BitAnd: "bitwise_and",
    BitOr: "bitwise_or",
    BitXor: "bitwise_xor",
    BitNot: "invert",
    BitCount: "bitwise_count",
    LeftShift: "left_shift",
    RightShift: "right_shift",
    Gcd: "gcd",
    Lcm: "lcm",
    Reciprocal: "reciprocal",
    Spacing: "spacing",
    Exponent: "frexp[1]",
    NextAfter: "nextafter",
    Fraction: "modf[0]",
    Scaled: "ldexp",
    Mantissa: "frexp[0]",
}
"""How NumPy calls each, ``[k]`` behind it for one of several results."""
