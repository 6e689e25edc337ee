"""When a minimization has converged: a rule without units.

A solver knows its next step p and by how much it predicts the function to fall. It has converged
when, with tolerance t,

- every component of x changes by no more than t times itself, or
- f falls by no more than t^2 (or rounding errors) times itself, or
- f falls by no more than t^3 times all it has fallen so far, which decides where x and f tend to 0.

Multiplying f or components of x by a constant changes none of the three. A function is quadratic at
its minimum, hence t^2 beside t.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CONVERGED", "NOT_FINITE", "RUNNING", "STALLED", "UNBOUNDED", "has_converged"]

# Plain numbers, which kernels compare; those of `MinimizeStatus`.
CONVERGED, STALLED, NOT_FINITE, UNBOUNDED, RUNNING = 0, 3, 4, 5, 6


def has_converged(x: Any, step: Any, value: Any, fall: Any, first_value: Any, tol: Any) -> Any:
    """Whether a step that is to come is too small to be made.

    Parameters
    ----------
    x, step : arrays of shape (n,)
    value, fall : numbers
        The function at x, and by how much the step is to decrease it.
    first_value : number
        The function at the start.
    tol : number
    """
    rounding = 0.5 * np.finfo(x.dtype).eps
    # A sum, since the largest of many numbers takes longer to find.
    is_small = np.sum(np.where(np.abs(step) <= tol * np.abs(x), 0.0, 1.0)) == 0
    is_level = fall <= np.maximum(tol * tol, rounding) * np.abs(value)
    is_nothing = fall <= tol**3 * (first_value - value)
    return is_small | is_level | is_nothing
