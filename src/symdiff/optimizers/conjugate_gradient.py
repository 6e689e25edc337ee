"""Nonlinear conjugate gradients: two vectors of memory, whatever the number of variables.

References
----------
W. W. Hager, H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient
line search", SIAM J. Optim. 16 (2005) 170-192, equation 1.3; "The limited memory conjugate gradient
method", SIAM J. Optim. 23 (2013) 2150-2168, equation 2.6, for the lower bound of beta.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.descent import Rule

__all__ = ["RULE", "Last"]

LEAST = 0.4
"""Lower bound of beta, relative to what would make the direction orthogonal to the gradient."""


class Last(NamedTuple):
    """The last step, the gradient's change along it, and how many steps since a restart."""

    step: Any
    change: Any
    count: Any


def _start(x: np.ndarray) -> Last:
    nothing = np.zeros_like(x)
    return Last(nothing, nothing, np.int64(0))


def _same(last: Last) -> Last:
    return last


def _record(last: Last, step: Any, change: Any, is_taken: Any) -> Last:
    is_kept = is_taken & (np.sum(step * change) > 0)
    return Last(
        np.where(is_kept, step, last.step),
        np.where(is_kept, change, last.change),
        np.where(is_taken, np.where(is_kept, last.count + 1, 0), last.count),
    )


def _direct(last: Last, gradient: Any, free: Any, search: tuple[Any, Any]) -> tuple[Any, Any]:
    step, change = last.step, last.change
    if free is not None:
        step, change, gradient = step * free, change * free, gradient * free
    curvature = np.sum(step * change)
    along = np.sum(step * gradient)
    square = np.sum(change * change)
    beta = (np.sum(change * gradient) - 2 * square / curvature * along) / curvature
    beta = np.maximum(beta, LEAST * along / np.sum(step * step))
    ascent = gradient - beta * step
    slope = -np.sum(gradient * ascent)
    # The first-order change is to be that of the last step (Nocedal and Wright, equation 3.60).
    return ascent, search[1] * np.minimum(search[0] / slope, 10.0)


def _forget(last: Last, which: Any) -> Last:
    return last._replace(count=np.where(which, 0, last.count))


def _is_new(last: Last) -> Any:
    return last.count == 0


def _is_sure(_: Last) -> bool:
    return False


RULE = Rule(_start, _same, _same, _record, _direct, _forget, _is_new, _is_sure, curvature=0.1)
