"""Bounds as they are given, and as solvers take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.optimizers.objective import Variables
from symdiff.trees import flatten

__all__ = ["as_box"]


def as_box(bounds: Any, variables: Variables, size: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Make two vectors of bounds; None where nothing is bounded.

    Parameters
    ----------
    bounds : None, `scipy.optimize.Bounds`, list of pairs, or tuple ``(lower, upper)``
        A list has a pair of numbers, or None, for each variable; the two of a tuple are numbers, or
        have the structure of the variables.
    variables : Variables
    size : int
        How many variables there are.
    """
    if bounds is None:
        return None
    if hasattr(bounds, "lb"):
        bounds = (bounds.lb, bounds.ub)
    if isinstance(bounds, tuple) and len(bounds) == 2:
        sides = [_spread(b, variables, size, sign) for b, sign in zip(bounds, (-1, 1), strict=True)]
    else:
        sides = _from_pairs(bounds, size)
    lower, upper = (np.asarray(s, dtype=variables.dtype) for s in sides)
    if not (lower <= upper).all():
        raise ValueError(
            "each lower bound must not exceed its upper bound. Bounds are a tuple (lower, upper), "
            "or a list of pairs, one for each variable"
        )
    if np.isinf(lower).all() and np.isinf(upper).all():
        return None
    return lower, upper


def _spread(bound: Any, variables: Variables, size: int, sign: int) -> np.ndarray:
    """Give each variable its bound on one side."""
    if bound is None:
        return np.full(size, sign * np.inf)
    leaves, tree = flatten(bound)
    if tree == variables.tree and None not in variables.shapes:
        try:
            parts = [
                np.broadcast_to(np.asarray(b, dtype=float), shape).ravel()
                for b, shape in zip(leaves, variables.shapes, strict=True)
                if shape is not None
            ]
            return np.concatenate(parts)
        except ValueError:
            pass
    elif variables.tree.kind is None or np.ndim(bound) == 0:
        try:
            return np.broadcast_to(np.asarray(bound, dtype=float), (size,))
        except (ValueError, TypeError):
            pass
    raise ShapeError(
        at_user_line(
            f"bounds do not fit {size} variables: give numbers, or the structure and shapes of x0"
        )
    )


def _from_pairs(bounds: Any, size: int) -> list[np.ndarray]:
    pairs = [tuple(p) for p in bounds]
    if len(pairs) != size or any(len(p) != 2 for p in pairs):
        raise ShapeError(
            at_user_line(f"bounds of {len(pairs)} pairs for {size} variables: give one for each")
        )
    return [
        np.array([sign * np.inf if p[k] is None else p[k] for p in pairs], dtype=float)
        for k, sign in ((0, -1), (1, 1))
    ]
