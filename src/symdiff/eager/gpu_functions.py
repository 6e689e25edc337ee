"""What CuPy does otherwise than NumPy, for arrays on a GPU, or does not do at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.eager import arithmetic

__all__ = ["OWN", "can_reduce"]


def _as_floating(a: Any, b: Any) -> tuple[Any, Any] | None:
    """Give two floating arrays, one of which may have been a number; None for whole numbers."""
    dtype = (a if is_on_device(a) else b).dtype
    if dtype.kind != "f":
        return None
    return (
        a if is_on_device(a) else np.full_like(b, a),
        b if is_on_device(b) else np.full_like(a, b),
    )


def _floor_divide(a: Any, b: Any) -> Any:
    """Divide and round down, by way of the remainder, as NumPy does.

    CuPy rounds the quotient once more: it has 10 for 1 divided by 0.1.
    """
    floating = _as_floating(a, b)
    if floating is None:
        return arithmetic.floor_divide(a, b)
    x, y = floating
    quotient = x / y
    rest = np.fmod(x, y)
    count = (x - rest) / y
    count = np.where(_has_other_sign(rest, y), count - 1, count)
    whole = np.floor(count)
    whole = np.where(count - whole > 0.5, whole + 1, whole)
    whole = np.where(count == 0, np.copysign(count, quotient), whole)
    return np.where(y == 0, quotient, whole)


def _remainder(a: Any, b: Any) -> Any:
    """Give what `_floor_divide` leaves.

    CuPy multiplies the quotient back, and so has nan for the remainder of 5 by infinity, and
    nothing right for that of 1e17 by 3.
    """
    floating = _as_floating(a, b)
    if floating is None:
        return arithmetic.remainder(a, b)
    x, y = floating
    rest = np.fmod(x, y)
    signed = np.where(rest == 0, np.copysign(rest, y), rest)
    return np.where(_has_other_sign(rest, y), rest + y, signed)


def _has_other_sign(rest: Any, divisor: Any) -> Any:
    return (rest != 0) & ((divisor < 0) != (rest < 0))


def _reduction(function: Callable[..., Any], dtype: Any = None) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = 0, **static: Any) -> Any:
        if dtype is not None:
            static.pop("dtype", None)  # which can only be this one
        return function(x, axis=axis, **static)

    return reduce


OWN: dict[Any, Callable[..., Any]] = {
    arithmetic.floor_divide: _floor_divide,
    arithmetic.remainder: _remainder,
    np.add.reduce: _reduction(np.sum),
    np.multiply.reduce: _reduction(np.prod),
    np.maximum.reduce: _reduction(np.max),
    np.minimum.reduce: _reduction(np.min),
    np.logical_and.reduce: _reduction(np.all, bool),
    np.logical_or.reduce: _reduction(np.any, bool),
}
"""What is called on a GPU instead of a function: ``np.sum`` of a tensor is ``np.add.reduce``."""


def can_reduce(method: Callable[..., Any], static: Mapping[str, Any]) -> bool:
    """Whether CuPy has a method of one of NumPy's ufuncs, with these arguments."""
    if method not in OWN or not set(static) <= {"axis", "keepdims", "dtype"}:
        return False
    if method in (np.add.reduce, np.multiply.reduce) or "dtype" not in static:
        return True
    return method in (np.logical_and.reduce, np.logical_or.reduce) and static["dtype"] is bool
