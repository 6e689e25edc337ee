"""Arguments that many of NumPy's functions have in common: axes, and keywords to refuse."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.sizes import Extent, Size
from symdiff.tracing.tracer import TracedArray, TracedSize

__all__ = [
    "as_axes",
    "as_axis",
    "as_extent",
    "check_casting",
    "is_given",
    "refuse_keywords",
    "refuse_layout",
]

_NO_VALUE = inspect.signature(np.sum).parameters["initial"].default
"""NumPy's mark for an argument left out, which has no public name."""


def as_extent(value: Any) -> Extent:
    """Take a size from the user: a whole number or a `TracedSize`."""
    if isinstance(value, Size):
        return value
    return value.size if isinstance(value, TracedSize) else operator.index(value)


def as_axis(axis: Any, rank: int) -> int:
    """Count an axis from the front."""
    number = operator.index(axis)
    if not -rank <= number < rank:
        raise ShapeError(at_user_line(f"axis {number} is out of bounds for rank {rank}"))
    return number % rank


def as_axes(axis: Any, rank: int) -> list[int]:
    """Count axes from the front; None stands for all of them."""
    if axis is None:
        return list(range(rank))
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    return [as_axis(a, rank) for a in axes]


def is_given(value: Any) -> bool:
    """Whether an optional argument was passed, by either of NumPy's marks for absence."""
    return value is not None and value is not _NO_VALUE


def refuse_keywords(name: str, **given: Any) -> None:
    """Raise if any of these arguments was passed."""
    used = [k for k, v in given.items() if is_given(v)]
    if used:
        raise UnsupportedOperationError(
            at_user_line(f"{name} with {', '.join(used)}= is not supported on traced arrays")
        )


def refuse_layout(name: str, order: Any, allowed: Sequence[Any] = ("C", "K", "A", None)) -> None:
    """Raise unless an order of elements in memory is one that C order, which is ours, satisfies."""
    if order not in allowed:
        raise UnsupportedOperationError(
            at_user_line(
                f"{name} with order={order!r} is not supported on traced arrays; allowed is 'C'"
            )
        )


def check_casting(name: str, x: TracedArray, dtype: Any, casting: Any) -> None:
    """Raise unless NumPy's casting rule lets an array become one of `dtype`."""
    if not np.can_cast(x.dtype, dtype, casting):
        raise DTypeError(
            at_user_line(
                f"{name}: {x.dtype_} cannot become {np.dtype(dtype).name} by the rule "
                f"{casting!r}. Convert with .astype before"
            )
        )
