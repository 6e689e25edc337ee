"""Arguments that `curve_fit` and `least_squares` share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, at_user_line

__all__ = ["NO_BOUNDS", "as_bounds", "as_floats", "check_method", "require_finite", "spread_bounds"]

NO_BOUNDS = (-np.inf, np.inf)


def check_method(method: str | None) -> None:
    """Refuse methods that SciPy has not."""
    if method not in (None, "lm", "trf", "dogbox"):
        raise ValueError(f"method {method!r} is unknown; allowed are None, 'lm', 'trf', 'dogbox'")


def as_floats(values: Any, name: str) -> np.ndarray:
    """Make a contiguous float64 array of real numbers; the argument itself where it is one."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.c_contiguous:
        return values
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DTypeError(at_user_line(f"{name} has dtype {array.dtype}; it needs real numbers"))
    return np.asarray(array, dtype=np.float64, order="C")


def require_finite(values: np.ndarray, name: str) -> None:
    """Refuse infinities and NaNs."""
    # A sum of squares is finite when every element is, unless it overflows; then look at each.
    flat = values if values.ndim == 1 else values.ravel()
    if not math.isfinite(flat.dot(flat)) and not np.isfinite(values).all():
        raise ValueError(f"{name} must not contain infinities or NaNs")


def as_bounds(bounds: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Take bounds as SciPy does; None where there are none."""
    if bounds is NO_BOUNDS or bounds is None:
        return None
    if hasattr(bounds, "lb"):
        bounds = (bounds.lb, bounds.ub)
    lower, upper = (np.asarray(b, dtype=np.float64) for b in bounds)
    if not (lower < upper).all():
        raise ValueError("each lower bound must be strictly less than its upper bound")
    if np.isinf(lower).all() and np.isinf(upper).all():
        return None
    return lower, upper


def spread_bounds(
    box: tuple[np.ndarray, np.ndarray], start: np.ndarray, method: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Give a lower and an upper bound to each parameter; the start has to lie between."""
    if method == "lm":
        raise ValueError("method 'lm' does not take bounds; use None, 'trf' or 'dogbox'")
    try:
        lower, upper = (np.broadcast_to(b, start.shape) for b in box)
    except ValueError:
        raise ShapeError(
            at_user_line(f"bounds of shapes {box[0].shape}, {box[1].shape} for {start.size} params")
        ) from None
    if ((start < lower) | (start > upper)).any():
        raise ValueError(f"p0 is outside of the bounds: {start} not in [{lower}, {upper}]")
    return lower, upper
