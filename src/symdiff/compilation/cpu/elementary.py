"""Exponential function and hyperbolic tangent as code of our own, which is inlined into loops.

A call, even of a function for vectors, empties all vector registers, and glibc's ``tanh`` takes
twice as long as a division and a polynomial. Inlined, both are arithmetic like any other: LLVM
vectorizes them in every loop, for every processor, and remainders of loops compute the same bits.
Outside of loops, and under ``sd.config.precise_math``, the C library's functions are called.

**Method** (Cody and Waite). ``x = n log(2) + r`` with ``|r| <= log(2)/2``: adding and subtracting
1.5 * 2**52 rounds ``x / log(2)`` to n, whose bits are then the lowest of the sum; log(2) is taken
off in two parts, of which n times the first is exact. ``e**r - 1 = r + r**2 q(r)``, where the
coefficients of q interpolate at Chebyshev's points: a relative error of 2**-55.8 (float64) and
2**-26.5 (float32), which a test computes. 2**n is multiplied in two factors, so that results
overflow and go through the subnormal numbers as they should.

``tanh(x) = m / (m + 2)`` with ``m = e**(2 |x|) - 1 = 2**n (e**r - 1) + (2**n - 1)``, which is
accurate near zero too. Errors found: `exp` 0.9, `tanh` 2.2 units in the last place.

References
----------
Cody, W. J. and Waite, W., *Software Manual for the Elementary Functions*, Prentice-Hall, 1980,
chapters 6 and 13.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from symdiff.config import config

__all__ = ["INLINED", "POLYNOMIALS", "inlined_function", "is_inlined"]

INLINED = frozenset({"exp", "tanh"})

POLYNOMIALS = {
    "double": (
        *(0.5000000000000001, 0.16666666666666669, 0.041666666666624094, 0.00833333333333006),
        *(0.0013888888917230724, 0.00019841269863066696, 2.4801521269532122e-05),
        *(2.7557268439678e-06, 2.7620101012098e-07, 2.5100395159429243e-08),
    ),
    "float": (
        *(0.5, 0.16666576266288757, 0.041666556149721146, 0.008363185450434685),
        *(0.0013926191022619605,),
    ),
}
"""``(e**r - 1 - r) / r**2`` for ``|r| <= log(2)/2``, the constant first."""


class _Format(NamedTuple):
    """What depends on the precision."""

    integer: str
    fraction: int  # bits of the significand
    bias: int
    round: float  # adding it leaves no bits behind the point
    log2: tuple[float, float]  # of which the first has zeros at its end
    least: float  # whose exponential is 0
    most: float  # whose exponential is infinite
    one: float  # beyond this, tanh(x/2) is 1


_FORMATS = {
    "double": _Format(
        *("i64", 52, 1023, 6755399441055744.0),
        (float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")),
        *(-746.0, 710.0, 40.0),
    ),
    "float": _Format("i32", 23, 127, 12582912.0, (0.693359375, -2.12194440e-4), -104.0, 89.0, 20.0),
}
_INVERSE_LOG2 = 1.4426950408889634


class _Writer:
    """Writes one function of a number x."""

    def __init__(self, name: str, kind: str) -> None:
        self.kind = kind
        self.format = _FORMATS[kind]
        self.head = f"define internal {kind} @{name}({kind} %x) alwaysinline nounwind memory(none)"
        self.lines: list[str] = []

    def emit(self, instruction: str) -> str:
        """Append an instruction and name its value."""
        self.lines.append(f"  %v{len(self.lines)} = {instruction}")
        return f"%v{len(self.lines) - 1}"

    def number(self, value: float) -> str:
        """Write a constant; LLVM wants those of single precision widened."""
        if self.kind == "float":
            (value,) = struct.unpack("f", struct.pack("f", value))
        (bits,) = struct.unpack("<Q", struct.pack("<d", value))
        return f"0x{bits:016X}"

    def add(self, a: str, b: str) -> str:
        """Add."""
        return self.emit(f"fadd contract {self.kind} {a}, {b}")

    def subtract(self, a: str, b: str) -> str:
        """Subtract."""
        return self.emit(f"fsub contract {self.kind} {a}, {b}")

    def multiply(self, a: str, b: str) -> str:
        """Multiply."""
        return self.emit(f"fmul contract {self.kind} {a}, {b}")

    def integer(self, operation: str, a: str, b: int | str) -> str:
        """Do something with whole numbers of the same width."""
        return self.emit(f"{operation} {self.format.integer} {a}, {b}")

    def bits(self, x: str) -> str:
        """A float's bits."""
        return self.emit(f"bitcast {self.kind} {x} to {self.format.integer}")

    def power_of_two(self, exponent: str) -> str:
        """The float with a biased exponent."""
        shifted = self.integer("shl", exponent, self.format.fraction)
        return self.emit(f"bitcast {self.format.integer} {shifted} to {self.kind}")

    def limited(self, relation: str, x: str, limit: float) -> str:
        """A limit where it is reached; NaN stays what it is."""
        beyond = self.emit(f"fcmp {relation} {self.kind} {x}, {self.number(limit)}")
        return self.emit(f"select i1 {beyond}, {self.kind} {self.number(limit)}, {self.kind} {x}")

    def reduced(self, x: str) -> tuple[str, str]:
        """Split off a multiple of log(2): n, a whole number, and ``e**r - 1``."""
        magic = self.number(self.format.round)
        total = self.add(self.multiply(x, self.number(_INVERSE_LOG2)), magic)
        n = self.integer("sub", self.bits(total), self.bits(magic))
        rounded = self.subtract(total, magic)
        r = x
        for part in self.format.log2:
            r = self.subtract(r, self.multiply(rounded, self.number(part)))
        square = self.multiply(r, r)
        even, odd = (self._polynomial(square, POLYNOMIALS[self.kind][k::2]) for k in (0, 1))
        q = self.add(even, self.multiply(r, odd))
        return n, self.add(r, self.multiply(square, q))

    def _polynomial(self, x: str, coefficients: tuple[float, ...]) -> str:
        total = self.number(coefficients[-1])
        for c in coefficients[-2::-1]:
            total = self.add(self.multiply(total, x), self.number(c))
        return total

    def text(self, result: str) -> str:
        """The function."""
        return "\n".join([self.head + " {", *self.lines, f"  ret {self.kind} {result}", "}"])


def _exp(w: _Writer) -> str:
    f = w.format
    x = w.limited("ogt", w.limited("olt", "%x", f.least), f.most)
    n, power = w.reduced(x)
    power = w.add(power, w.number(1.0))
    # n = half + rest, and each is the exponent of a normal number.
    half = w.integer("lshr", w.integer("add", n, 2 * f.bias + 2), 1)  # plus the bias and 1
    rest = w.integer("sub", w.integer("add", n, 2 * f.bias + 1), half)
    first = w.power_of_two(w.integer("sub", half, 1))
    return w.multiply(w.multiply(power, first), w.power_of_two(rest))


def _tanh(w: _Writer) -> str:
    f = w.format
    sign = w.integer("and", w.bits("%x"), -(2 ** (31 if w.kind == "float" else 63)))
    size = w.integer("xor", w.bits("%x"), sign)
    size = w.emit(f"bitcast {f.integer} {size} to {w.kind}")
    n, power = w.reduced(w.limited("ogt", w.add(size, size), f.one))
    scale = w.power_of_two(w.integer("add", n, f.bias))
    m = w.add(w.multiply(scale, power), w.subtract(scale, w.number(1.0)))
    ratio = w.emit(f"fdiv {w.kind} {m}, {w.add(m, w.number(2.0))}")
    signed = w.integer("or", w.bits(ratio), sign)
    return w.emit(f"bitcast {f.integer} {signed} to {w.kind}")


def is_inlined(name: str) -> bool:
    """Whether loops have a function of the C library as code of their own."""
    return name in INLINED and not config.precise_math


def inlined_function(name: str, kind: str) -> tuple[str, str]:
    """Write a function of `INLINED`.

    Parameters
    ----------
    name : {"exp", "tanh"}
    kind : {"double", "float"}
        LLVM's type of argument and result.

    Returns
    -------
    symbol, text : str

    Examples
    --------
    >>> from symdiff.compilation.cpu.elementary import inlined_function
    >>> inlined_function("exp", "double")[0]
    'symdiff_exp_double'
    """
    symbol = f"symdiff_{name}_{kind}"
    writer = _Writer(symbol, kind)
    return symbol, writer.text({"exp": _exp, "tanh": _tanh}[name](writer))
