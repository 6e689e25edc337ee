"""Nelder and Mead's simplex: for functions that have no derivative.

One pass of the loop evaluates the function once; what the point is for (`stage`) is part of the
state. The coefficients depend on the number of variables. A simplex that has shrunk to nothing may
have shrunk to no minimum: it is begun anew around the best point, until that brings nothing.
Between bounds, points are clipped.

References
----------
J. A. Nelder, R. Mead, "A simplex method for function minimization", Computer J. 7 (1965) 308-313.

F. Gao, L. Han, "Implementing the Nelder-Mead simplex algorithm with adaptive parameters", Comput.
Optim. Appl. 51 (2012) 259-277, equation 4.1: the coefficients.

C. T. Kelley, "Detection and remediation of stagnation in the Nelder-Mead algorithm using a
sufficient decrease condition", SIAM J. Optim. 10 (1999) 43-55: restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.descent import CHUNK
from symdiff.optimizers.stopping import CONVERGED, NOT_FINITE, RUNNING, UNBOUNDED

__all__ = ["Simplex", "advance", "start"]

Array = Any
Number = Any

FILL, REFLECT, EXPAND, CONTRACT = 0, 1, 2, 3
"""What the next point is for; `FILL` evaluates one corner after the other."""
RESTARTS = 20


class Simplex(NamedTuple):
    """Corners and values, the next point and what it is for.

    `corner` is the corner that the next point may take the place of. A reflected point is put there
    at once, so that an expansion, and a contraction on either side, begin from that corner. `best`
    is the value at the last restart, `restarts` how many there were.
    """

    x: Array
    value: Number
    corners: Array
    values: Array
    trial: Array
    stage: Number
    corner: Number
    best: Number
    restarts: Number
    first_value: Number
    status: Number
    steps: Number
    evaluations: Number


def start(x: np.ndarray) -> Simplex:
    """State before the first evaluation."""
    number, whole = x.dtype.type, np.int64
    infinity = number(np.inf)
    return Simplex(
        x,
        infinity,
        np.tile(x, (x.size + 1, 1)),
        np.full(x.size + 1, np.inf, x.dtype),
        x,
        whole(FILL),
        whole(0),
        infinity,
        whole(0),
        infinity,
        whole(RUNNING),
        whole(0),
        whole(0),
    )


def _around(x: Array, box: Any) -> Array:
    """A simplex with x as its first corner: each variable changed by 5 per cent, or by 0.00025."""
    n = x.shape[0]
    change = np.where(x == 0, 0.00025, 0.05 * x)
    if box is not None:
        is_outside = (x + change < box[0]) | (x + change > box[1])
        change = np.where(is_outside, -change, change)
    rows = np.arange(n + 1)[:, None] - 1 == np.arange(n)[None, :]
    return (x + np.where(rows, change, 0.0)).astype(x.dtype)


def advance(
    evaluate: Callable[[Array], Number],
    box: tuple[Array, Array] | None,
    state: Simplex,
    tol: Number,
    last_step: Number,
    last_evaluation: Number,
) -> tuple[Simplex, Array]:
    """Go on until it has converged, or one of two counts reaches its limit.

    Parameters
    ----------
    evaluate : callable
        The function.
    box : pair of arrays, or None
        The bounds.
    state : Simplex
    tol : number
    last_step, last_evaluation : int
        Where to stop and give the state back.

    Returns
    -------
    state : Simplex
    history : array
        The least value after each step since it went on, up to `CHUNK` of them.
    """
    first = state.steps
    history = np.zeros(CHUNK, state.x.dtype)
    is_first = state.evaluations == 0
    corners = np.where(is_first, _around(state.x, box), state.corners)
    state = state._replace(corners=corners, values=state.values.copy())
    while (
        (state.status == RUNNING)
        & ((state.steps < np.minimum(last_step, first + CHUNK)) | (state.evaluations == 0))
        & (state.evaluations < last_evaluation)
    ):
        taken = state.steps
        state = _evaluate(evaluate, box, state, tol)
        k = np.maximum(state.steps - first - 1, 0)
        history[k] = np.where(state.steps > taken, np.min(state.values), history[k])
    best = np.argmin(state.values)
    return state._replace(x=state.corners[best].copy(), value=state.values[best]), history


def _evaluate(evaluate: Any, box: Any, state: Simplex, tol: Number) -> Simplex:
    """One evaluation, and what follows from it."""
    value = evaluate(state.trial)
    value = np.where(np.isnan(value), np.inf, value)
    is_first = state.evaluations == 0
    status = np.where(is_first & ~np.isfinite(value), NOT_FINITE, RUNNING)
    status = np.where(value == -np.inf, UNBOUNDED, status)
    state = state._replace(
        evaluations=state.evaluations + 1,
        first_value=np.where(is_first, value, state.first_value),
    )
    stage, is_over, shrinks = _put(state, value)
    state = state._replace(
        stage=stage,
        corner=state.corner + np.where(stage == FILL, 1, 0),
        steps=state.steps + np.where(is_over, 1, 0),
        status=status,
    )
    starts_anew = np.bool_(False)
    if is_over & ~shrinks:
        state, starts_anew = _judged(state, tol)
    if shrinks | starts_anew:
        state = _spread(state, box, starts_anew)
    return _aimed(state, box)


def _put(state: Simplex, value: Number) -> tuple[Number, Any, Any]:
    """Keep the point that was evaluated in its corner, if it is good enough there.

    Returns
    -------
    stage : number
        What is next.
    is_over, shrinks : truth values
        Whether a step is complete; whether it ends with all corners nearer to the best.
    """
    values, corner, stage = state.values, state.corner, state.stage
    here = values[corner]
    others = np.where(np.arange(values.shape[0]) == corner, -np.inf, values)
    is_whole = corner + 1 >= values.shape[0]
    is_best = (stage == REFLECT) & (value < np.min(values))
    is_poor = (stage == REFLECT) & ~(value < np.max(others))
    is_put = (stage == FILL) | (value < here)
    values[corner] = np.where(is_put, value, here)
    state.corners[corner] = np.where(is_put, state.trial, state.corners[corner])
    shrinks = (stage == CONTRACT) & ~is_put
    after = np.where(is_best, EXPAND, np.where(is_poor, CONTRACT, REFLECT))
    after = np.where((stage == FILL) & ~is_whole, FILL, after)
    is_over = after == REFLECT
    return after, is_over, shrinks


def _judged(state: Simplex, tol: Number) -> tuple[Simplex, Any]:
    """See whether the simplex has shrunk to a point, and whether to begin anew around it."""
    values = state.values
    best = np.argmin(values)
    low, x = values[best], state.corners[best]
    rounding = np.maximum(tol * tol, 0.5 * np.finfo(x.dtype).eps)
    enough = np.maximum(rounding * np.abs(low), tol**3 * (state.first_value - low))
    is_small = np.max(np.abs(state.corners - x) - tol * np.abs(x)) <= 0
    is_done = is_small | (np.max(values) - low <= enough)
    is_better = (state.best - low > enough) & (state.restarts < RESTARTS)
    state = state._replace(
        best=np.where(is_done, low, state.best),
        restarts=state.restarts + np.where(is_done, 1, 0),
        status=np.where(is_done & ~is_better & (state.status == RUNNING), CONVERGED, state.status),
    )
    return state, is_done & is_better


def _spread(state: Simplex, box: Any, starts_anew: Any) -> Simplex:
    """Move all corners: nearer to the best, or to a new simplex around it."""
    n = state.x.shape[0]
    x = state.corners[np.argmin(state.values)].copy()
    nearer = x + np.where(n > 1, 1.0 - 1.0 / n, 0.5).astype(x.dtype) * (state.corners - x)
    corners = np.where(starts_anew, _around(x, box), nearer)
    return state._replace(corners=corners, stage=FILL + 0 * state.stage, corner=0 * state.corner)


def _aimed(state: Simplex, box: Any) -> Simplex:
    """Find the next point to be evaluated."""
    n = np.maximum(state.x.shape[0], 2)
    stage, corners = state.stage, state.corners
    corner = np.where(stage == REFLECT, np.argmax(state.values), state.corner)
    here = corners[corner]
    centre = (np.sum(corners, axis=0) - here) / state.x.shape[0]
    factor = np.where(stage == EXPAND, 1.0 + 2.0 / n, 0.75 - 0.5 / n)
    factor = np.where(stage == REFLECT, -1.0, factor)
    factor = np.where(stage == FILL, 1.0, factor)
    factor = factor.astype(corners.dtype)
    trial = np.where(stage == FILL, here, centre + factor * (here - centre))
    if box is not None:
        trial = np.minimum(np.maximum(trial, box[0]), box[1])
    return state._replace(trial=trial, corner=corner)
