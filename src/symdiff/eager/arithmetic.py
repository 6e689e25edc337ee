"""The arithmetic of tensors on arrays, traced or not, where it is not NumPy's own."""

from __future__ import annotations

import contextvars
import operator
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.errors import DTypeError, at_user_line

__all__ = [
    "IntegerCheck",
    "divide",
    "floor_divide",
    "integer_check",
    "logical_and",
    "logical_or",
    "logical_xor",
    "power",
    "quietly",
    "remainder",
]

_SHORT = ("int8", "int16", "uint8", "uint16")


class _Quiet(threading.local):
    """A context of this thread's in which NumPy gives inf and nan without a warning.

    To enter it takes 60 ns, an `errstate` block 800.
    """

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.run: Callable[..., Any] = context.run


_quiet = _Quiet()


def quietly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of one array follow IEEE without a warning."""

    def apply(x: Any) -> Any:
        return _quiet.run(function, x)

    return apply


def divide(a: Any, b: Any) -> Any:
    """Divide; integers give float64, those of 8 and 16 bits float32."""
    dtype = getattr(a, "dtype", None) or b.dtype
    if dtype.kind != "f":
        wide = np.float32 if dtype.name in _SHORT else np.float64
        a, b = [x.astype(wide) if hasattr(x, "dtype") else wide(x) for x in (a, b)]
    return _quiet.run(operator.truediv, a, b)


class IntegerCheck(NamedTuple):
    """What the second operand of an operation on whole numbers must not be."""

    is_wrong: Callable[[Any], Any]
    error: type[Exception]
    message: str

    def require(self, is_wrong: bool) -> None:
        """Raise the error, if so."""
        if is_wrong:
            raise self.error(at_user_line(self.message))

    def look(self, a: Any, b: Any) -> None:
        """Check a second operand whose values are known."""
        if _is_known_integer(a, b):
            self.require(bool(self.is_wrong(b)))


def _has_zero(b: Any) -> Any:
    return np.any(np.equal(b, 0))


def _has_negative(b: Any) -> Any:
    return np.any(np.less(b, 0))


_NO_ZERO = IntegerCheck(_has_zero, ZeroDivisionError, "integer division by zero")
_NO_NEGATIVE = IntegerCheck(
    _has_negative, ValueError, "an integer to a negative integer power; use a float"
)


def floor_divide(a: Any, b: Any) -> Any:
    """Divide and round down."""
    if (getattr(a, "dtype", None) or b.dtype).kind != "f":
        _NO_ZERO.look(a, b)
    return _quiet.run(operator.floordiv, a, b)


def remainder(a: Any, b: Any) -> Any:
    """Give what `floor_divide` leaves, with the sign of the divisor."""
    if (getattr(a, "dtype", None) or b.dtype).kind != "f":
        _NO_ZERO.look(a, b)
    return _quiet.run(operator.mod, a, b)


def power(a: Any, b: Any) -> Any:
    """Raise to a power; an integer to a negative integer power is refused."""
    if (getattr(a, "dtype", None) or b.dtype).kind != "f":
        _NO_NEGATIVE.look(a, b)
    return _quiet.run(operator.pow, a, b)


_CHECKS = ((floor_divide, _NO_ZERO), (remainder, _NO_ZERO), (power, _NO_NEGATIVE))


def integer_check(function: Callable[..., Any]) -> IntegerCheck | None:
    """Find what an operation asks of traced whole numbers, as a question about their values."""
    return next((check for known, check in _CHECKS if known is function), None)


def _is_known_integer(a: Any, b: Any) -> bool:
    """Whether the second operand has values by now, and both are integers."""
    if isinstance(b, (np.ndarray, np.generic)) or is_on_device(b):
        return b.dtype.kind in "iu"
    return type(b) is int and a.dtype.kind in "iu"


def _logical(name: str) -> Any:
    function = getattr(np, f"logical_{name}")

    def apply(a: Any, b: Any) -> Any:
        for x in (a, b):
            dtype = np.dtype("bool") if type(x) is bool else x.dtype
            if dtype.kind != "b":
                raise DTypeError(
                    at_user_line(f"logical {name} takes bool tensors, not {dtype}; compare first")
                )
        return function(a, b)

    return apply


logical_and = _logical("and")
logical_or = _logical("or")
logical_xor = _logical("xor")
