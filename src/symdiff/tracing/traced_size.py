"""`TracedSize`: what stands for the length of an axis while a function is traced."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import TracingError, at_user_line
from symdiff.program.sizes import Extent, evaluate
from symdiff.tracing.context import Context, active_context, keeps_sizes
from symdiff.tracing.dispatch import FUNCTIONS

__all__ = ["TracedSize", "as_size"]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    ">=": operator.ge,
    "<": operator.lt,
}


def _next_whole(x: Any) -> Any:
    """The whole number that a size must reach to reach a number."""
    is_plain = isinstance(x, (float, np.floating)) and math.isfinite(x)
    return math.ceil(x) if is_plain else x


def _above(x: Any) -> Any:
    """The whole number that a size must reach to exceed a number."""
    if isinstance(x, (int, np.integer, TracedSize)):
        return x + 1
    is_plain = isinstance(x, (float, np.floating)) and math.isfinite(x)
    return math.floor(x) + 1 if is_plain else x


class TracedSize:
    """A size of a traced array, which is known but may differ at the next call.

    Arithmetic on it stays symbolic. Turning it into a number (``int``, ``range``, a comparison)
    is remembered, and the function is traced anew when the answer would be another.
    """

    __slots__ = ("context", "size")
    __array_priority__ = 1000

    def __init__(self, context: Context, size: Extent) -> None:
        self.context = context
        self.size = size

    @property
    def now(self) -> int:
        """The value for the arguments at hand, which is not to be relied on."""
        return evaluate(self.size, self.context.values)

    @property
    def takes_numbers(self) -> bool:
        """Whether a trace may take short sizes for numbers, and be for these alone.

        That pays within loops, where a few steps done as a loop take several times as long.
        """
        context = active_context()
        return context is not None and context.is_repeated and not keeps_sizes()

    def _other(self, other: object) -> Extent | None:
        if isinstance(other, TracedSize):
            return other.size
        if isinstance(other, (int, np.integer)) and not isinstance(other, bool):
            return int(other)
        return None

    def _as_array(self) -> Any:
        """Make a traced scalar of it, for arithmetic that leaves the whole numbers."""
        if active_context() is None:
            raise TracingError(
                at_user_line(
                    f"the size {self!r} was used after the trace of {self.context.name} had ended"
                )
            )
        return self.__array_ufunc__(np.positive, "__call__", self)

    def __add__(self, other: object) -> Any:
        size = self._other(other)
        return self._as_array() + other if size is None else as_size(self.context, self.size + size)

    __radd__ = __add__

    def __sub__(self, other: object) -> Any:
        size = self._other(other)
        return self._as_array() - other if size is None else as_size(self.context, self.size - size)

    def __rsub__(self, other: Any) -> Any:
        size = self._other(other)
        return other - self._as_array() if size is None else as_size(self.context, size - self.size)

    def __mul__(self, other: object) -> Any:
        size = self._other(other)
        return self._as_array() * other if size is None else as_size(self.context, self.size * size)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Any:
        if self._other(other) == 1:  # as np.arange does, which then wants a number
            return self
        return self._as_array() / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self._as_array()

    def __pow__(self, other: object) -> Any:
        return self._as_array() ** other

    def __rpow__(self, other: Any) -> Any:
        return other ** self._as_array()

    def __neg__(self) -> Any:
        return -self._as_array()

    def __int__(self) -> int:
        return self.context.pin(self.size)

    __index__ = __int__

    def __hash__(self) -> int:
        return hash(int(self))

    def __float__(self) -> float:
        return float(int(self))

    def __floordiv__(self, other: Any) -> Any:
        return int(self) // other

    def __rfloordiv__(self, other: Any) -> Any:
        return other // int(self)

    def __mod__(self, other: Any) -> Any:
        return int(self) % other

    def __rmod__(self, other: Any) -> Any:
        return other % int(self)

    def __bool__(self) -> bool:
        return self.context.decide(self.size, "!=")

    def _compare(self, other: object, relation: str) -> Any:
        size = self._other(other)
        if size is None:  # which is infinite, no number, or an array that knows how to compare
            is_infinite = isinstance(other, (float, np.floating))
            return _COMPARISONS[relation](0.0, other) if is_infinite else NotImplemented
        return self.context.decide(self.size - size, relation)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, (float, np.floating)):
            return float(other).is_integer() and self == int(other)
        return self._compare(other, "==")

    def __ge__(self, other: Any) -> Any:
        return self._compare(_next_whole(other), ">=")

    def __lt__(self, other: Any) -> Any:
        return self._compare(_next_whole(other), "<")

    def __gt__(self, other: Any) -> Any:
        return self._compare(_above(other), ">=")

    def __le__(self, other: Any) -> Any:
        return self._compare(_above(other), "<")

    def __repr__(self) -> str:
        return repr(self.size)

    def __format__(self, spec: str) -> str:
        return format(int(self), spec)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[np.ufunc](self.context, ufunc, method, inputs, kwargs)


def as_size(context: Context, extent: Extent) -> TracedSize | int:
    """Give an extent as user code sees it: a number where it is one."""
    return extent if isinstance(extent, int) else TracedSize(context, extent)
