"""Newton's method in a trust region, with the exact Hessian, or with that of Gauss and Newton.

The quadratic model is minimized exactly: in the basis of the Hessian's eigenvectors the steps of
all radii are one formula, so that a step that is rejected costs no factorization. Lengths are
measured in units that the diagonal of the Hessian gives each variable, which makes the method
independent of the variables' units. Variables that a bound holds take no part; others stop at their
bounds.

References
----------
J. J. Moré, D. C. Sorensen, "Computing a trust region step", SIAM J. Sci. Stat. Comput. 4 (1983)
553-572: the equation for the step's length, and the hard case.

J. J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory", Lecture Notes in
Mathematics 630 (1978) 105-116: the units.

A. R. Conn, N. I. M. Gould, P. L. Toint, *Trust-Region Methods*, SIAM 2000, algorithm 6.1.1.

D. P. Bertsekas (1982), see `descent`: the variables held at bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.descent import CHUNK, held
from symdiff.optimizers.stopping import (
    CONVERGED,
    NOT_FINITE,
    RUNNING,
    STALLED,
    UNBOUNDED,
    has_converged,
)

__all__ = ["Region", "advance", "start"]

Array = Any
Number = Any

FIRST_RADIUS = 10.0
"""Of the first region, relative to x."""
ACCEPTED, GOOD, BAD = 1e-4, 0.75, 0.25
"""Decreases relative to the model's: a step is taken, the region grows, it shrinks."""
SECULAR_STEPS = 50
LONGEST, SMALLEST = 1e15, 1e-30
"""Radii at which a function is taken for unbounded, and a search is given up."""


class Region(NamedTuple):
    """Where a minimization is; `units` are for steps, `radius` is that of the region in them."""

    x: Array
    value: Number
    gradient: Array
    units: Array
    radius: Number
    first_value: Number
    status: Number
    steps: Number
    evaluations: Number


class Model(NamedTuple):
    """The quadratic model at a point: Hessian, and eigenvalues and vectors in units."""

    hessian: Array
    roots: Array
    vectors: Array
    slopes: Array


def start(x: np.ndarray) -> Region:
    """State before the first evaluation."""
    number, whole = x.dtype.type, np.int64
    nothing = np.zeros_like(x)
    return Region(
        x,
        number(np.inf),
        nothing,
        nothing,
        number(0),
        number(np.inf),
        whole(RUNNING),
        whole(0),
        whole(0),
    )


def advance(
    evaluate: tuple[Callable[..., Any], Callable[..., Any]],
    box: tuple[Array, Array] | None,
    state: Region,
    tol: Number,
    last_step: Number,
    last_evaluation: Number,
) -> tuple[Region, Array]:
    """Go on until it has converged, or one of two counts reaches its limit.

    Parameters
    ----------
    evaluate : pair of callables
        The function; and its value, gradient and Hessian.
    box : pair of arrays, or None
        The bounds.
    state : Region
    tol : number
    last_step, last_evaluation : int
        Where to stop and give the state back.

    Returns
    -------
    state : Region
    history : array
        The value after each step since it went on, up to `CHUNK` of them.
    """
    first = state.steps
    history = np.zeros(CHUNK, state.x.dtype)
    value, gradient, hessian = evaluate[1](state.x)
    is_finite = np.isfinite(value) & np.isfinite(np.sum(gradient)) & np.isfinite(np.sum(hessian))
    is_first = state.evaluations == 0
    units = _units(hessian, state.units, is_finite)
    size = np.sqrt(np.sum((units * state.x) ** 2))
    first_radius = FIRST_RADIUS * np.where(size > 0, size, 1.0)
    state = state._replace(
        value=value,
        gradient=gradient,
        units=units,
        radius=np.where(is_first, first_radius, state.radius),
        first_value=np.where(is_first, value, state.first_value),
        status=np.where(is_finite, RUNNING, NOT_FINITE),
        evaluations=state.evaluations + 1,
    )
    model = _model(state, hessian, box, is_finite)
    while (
        (state.status == RUNNING)
        & (state.steps < np.minimum(last_step, first + CHUNK))
        & (state.evaluations < last_evaluation)
    ):
        taken = state.steps
        state, model = _step(evaluate, box, state, model, tol)
        k = np.maximum(state.steps - first - 1, 0)
        history[k] = np.where(state.steps > taken, state.value, history[k])
    return state, history


def _units(hessian: Array, units: Array, is_finite: Any) -> Array:
    """The largest curvature of each variable so far, as a length; 1 where there is none."""
    curvature = np.sqrt(np.abs(np.diagonal(hessian)))
    curvature = np.where(is_finite, curvature, 0.0)
    return np.where(curvature > units, curvature, np.where(units > 0, units, 1.0))


def _model(state: Region, hessian: Array, box: Any, is_finite: Any) -> Model:
    """Eigenvalues and vectors of the Hessian of the free variables, in units."""
    n = hessian.shape[0]
    free = np.ones_like(state.x)
    if box is not None:
        free = 1.0 - held(state.x, state.gradient, box)
    inverse = free / state.units
    scaled = hessian * inverse[:, None] * inverse[None, :]
    # What is held has a curvature of its own, and no slope.
    scaled = scaled + np.eye(n, dtype=state.x.dtype) * (1.0 - free)[:, None]
    scaled = np.where(is_finite, scaled, np.eye(n, dtype=state.x.dtype))
    roots, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    slopes = np.where(is_finite, vectors.T @ (inverse * state.gradient), 0.0)
    return Model(hessian, roots, vectors, slopes)


def _step(
    evaluate: Any, box: Any, state: Region, model: Model, tol: Number
) -> tuple[Region, Model]:
    """Try one step."""
    x, gradient, radius = state.x, state.gradient, state.radius
    eps = np.finfo(x.dtype).eps
    part, is_inside = _minimizer(model.roots, model.slopes, radius)
    length = np.sqrt(np.sum(part * part))
    trial = x + (model.vectors @ part) / state.units
    if box is not None:
        trial = np.minimum(np.maximum(trial, box[0]), box[1])
    step = trial - x
    promised = -(np.sum(gradient * step) + 0.5 * np.sum(step * (model.hessian @ step)))
    # A step that is cut off at bounds may promise nothing, and a shorter one something.
    is_done = is_inside & (promised >= 0)
    is_done = is_done & has_converged(x, step, state.value, promised, state.first_value, tol)
    is_done = is_done | (np.max(np.abs(step)) == 0)
    value = evaluate[0](trial)
    fall = state.value - value
    noise = 10 * eps * np.abs(state.value)
    # Differences of rounding errors say nothing: then the model is believed.
    is_level = (np.abs(fall) <= noise) & (promised <= noise) & (promised > 0)
    ratio = np.where(is_level, 1.0, fall / promised)
    is_good = np.isfinite(value) & (promised > 0) & (ratio >= ACCEPTED)
    is_bad = ~(is_good & (ratio >= BAD))
    radius = np.where(is_bad, 0.25 * np.minimum(length, radius), radius)
    is_far = (ratio >= GOOD) & ~is_inside & ~is_bad
    radius = np.where(is_far, 2 * radius, radius)
    is_short = (np.max(np.abs(step)) <= eps * np.max(np.abs(x))) | (radius <= SMALLEST)
    is_spent = (~is_good & is_short) | (is_level & (fall < 0))
    status = np.where(is_spent, np.where(promised <= noise, CONVERGED, STALLED), RUNNING)
    is_endless = (value == -np.inf) | (radius >= LONGEST)
    status = np.where(is_endless, UNBOUNDED, status)
    status = np.where(is_done, CONVERGED, status)
    is_taken = is_good & (fall >= 0)
    state = state._replace(radius=radius, status=status, evaluations=state.evaluations + 1)
    if is_taken:
        state, model = _move(evaluate, box, state, trial)
    return state, model


def _move(evaluate: Any, box: Any, state: Region, x: Array) -> tuple[Region, Model]:
    """Go to a point and make the model there; stay where there is none."""
    value, gradient, hessian = evaluate[1](x)
    is_finite = np.isfinite(np.sum(gradient)) & np.isfinite(np.sum(hessian))
    units = _units(hessian, state.units, is_finite)
    state = state._replace(
        x=x,
        value=value,
        gradient=gradient,
        units=units,
        status=np.where(is_finite, state.status, STALLED),
        steps=state.steps + 1,
    )
    return state, _model(state, hessian, box, is_finite)


def _minimizer(roots: Array, slopes: Array, radius: Number) -> tuple[Array, Any]:
    """Minimize slopes . z + z . diag(roots) z / 2 over z within the radius.

    Returns
    -------
    z : array
    is_inside : truth value
        Whether the minimum of the model is within the region.
    """
    n = roots.shape[0]
    floor = np.finfo(roots.dtype).eps * np.sum(np.abs(roots))
    least = np.min(roots)
    lowest = np.where(least >= -floor, 0.0, -least)
    low = lowest
    size = np.sqrt(np.sum(slopes * slopes))
    high = lowest + size / radius
    shift = low
    z = -slopes / np.maximum(roots + shift, floor)
    length = np.sqrt(np.sum(z * z))
    is_inside = (least >= -floor) & (length <= radius)
    count = np.where(length > radius, 0, SECULAR_STEPS)
    while (count < SECULAR_STEPS) & (np.abs(length - radius) > 0.05 * radius):
        weight = np.sum(z * z / np.maximum(roots + shift, floor))
        low = np.where(length > radius, shift, low)
        high = np.where(length > radius, high, shift)
        better = shift + (length * length / weight) * (length - radius) / radius
        is_within = (better > low) & (better < high)
        shift = np.where(is_within, better, 0.5 * (low + high))
        z = -slopes / np.maximum(roots + shift, floor)
        length = np.sqrt(np.sum(z * z))
        count = count + 1
    # The hard case: downhill along the lowest eigenvector, to the border.
    missing = np.sqrt(np.maximum(radius * radius - length * length, 0.0))
    is_hard = (least < -floor) & (length < 0.95 * radius)
    along = np.where(slopes[0] > 0, -missing, missing)
    z = z + np.where(is_hard & (np.arange(n) == 0), along, 0.0)
    return z, is_inside
