"""Descent along directions, with a line search: the loop that `lbfgs` and `cg` share.

One pass of the loop evaluates the function once, at a trial point; then either the line search
gives the next trial, or the point is taken and the rule (`Rule`) gives the next direction. Between
bounds the search goes along the projection of the direction's line on the box, and the variables
that are held at a bound take no part in the rule.

References
----------
D. P. Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM
J. Control Optim. 20 (1982) 221-246: the set of variables held, and the projected search.

W. W. Hager, H. Zhang (2005), see `line_search`: the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers import line_search
from symdiff.optimizers.line_search import Search
from symdiff.optimizers.stopping import (
    CONVERGED,
    NOT_FINITE,
    RUNNING,
    STALLED,
    UNBOUNDED,
    has_converged,
)

__all__ = ["CHUNK", "Descent", "Rule", "advance", "held", "start"]

Array = Any
Number = Any

NEAR = 1e-6
"""A variable so near to a bound, relative to both, is held if the function pulls it there."""
CHUNK = 1024
"""A solver makes no more steps before it gives its state back."""
LONGEST = 1e20
"""A function that falls all along a step, so much longer than the first trial, is unbounded."""


class Rule(NamedTuple):
    """What tells one method from another.

    Attributes
    ----------
    start : callable
        ``start(x) -> memory``: what the rule remembers at the start, as NumPy arrays.
    unpack, pack : callable
        From what is passed from call to call to what the loop works on, and back.
    record : callable
        ``record(memory, step, change, is_taken) -> memory``: look at a step and the gradient's
        change; nothing may change unless `is_taken`.
    direct : callable
        ``direct(memory, gradient, free, last) -> (ascent, step)``: the opposite of the next
        direction, zero where `free` (0 or 1 for each variable) is zero, and the length of the first
        trial. `last` is the slope and the step of the last search.
    forget : callable
        ``forget(memory, which)``: begin anew with steepest descent where `which` is true.
    is_new : callable
        ``is_new(memory)``: whether the rule has nothing to go by but the gradient.
    is_sure : callable
        ``is_sure(memory)``: whether its steps since the last restart tell the whole scale of the
        function, so that a step which it finds tiny is tiny (else see `certificate`).
    curvature : float
        The slope at the end of a search, relative to that at its begin.
    """

    start: Callable[..., Any]
    unpack: Callable[..., Any]
    pack: Callable[..., Any]
    record: Callable[..., Any]
    direct: Callable[..., Any]
    forget: Callable[..., Any]
    is_new: Callable[..., Any]
    is_sure: Callable[..., Any]
    curvature: float


class Descent(NamedTuple):
    """Where a descent is: the best point, the direction from it, and the next trial along it.

    `fall` is how much the rule expected of its last direction.
    """

    x: Array
    value: Number
    gradient: Array
    direction: Array
    step: Number
    search: Search
    memory: Any
    first_value: Number
    fall: Number
    status: Number
    steps: Number
    evaluations: Number


def start(rule: Rule, x: np.ndarray) -> Descent:
    """State before the first evaluation."""
    number = x.dtype.type
    search = line_search.begin(number(np.inf), number(0), number(0))._replace(
        is_bracketed=np.bool_(False), is_last=np.bool_(True), trials=np.int64(0)
    )
    with np.errstate(invalid="ignore"):
        search = Search(*[number(s) if isinstance(s, np.floating) else s for s in search])
    nothing = np.zeros_like(x)
    infinity = number(np.inf)
    whole = np.int64
    return Descent(
        x,
        infinity,
        nothing,
        nothing,
        number(0),
        search,
        rule.start(x),
        infinity,
        infinity,
        whole(RUNNING),
        whole(0),
        whole(0),
    )


def advance(
    rule: Rule,
    evaluate: Callable[[Array], tuple[Number, Array]],
    box: tuple[Array, Array] | None,
    state: Descent,
    tol: Number,
    last_step: Number,
    last_evaluation: Number,
) -> tuple[Descent, Array]:
    """Go on until it has converged, or one of two counts reaches its limit.

    Parameters
    ----------
    rule : Rule
    evaluate : callable
        Value and gradient.
    box : pair of arrays, or None
        The bounds.
    state : Descent
    tol : number
    last_step, last_evaluation : int
        Where to stop and give the state back.

    Returns
    -------
    state : Descent
    history : array
        The value after each step since it went on, up to `CHUNK` of them.
    """
    first = state.steps
    history = np.zeros(CHUNK, state.x.dtype)
    state = state._replace(memory=rule.unpack(state.memory))
    while (
        (state.status == RUNNING)
        & ((state.steps < np.minimum(last_step, first + CHUNK)) | (state.evaluations == 0))
        & (state.evaluations < last_evaluation)
    ):
        taken = state.steps
        state = _evaluate(rule, evaluate, box, state, tol)
        k = np.maximum(state.steps - first - 1, 0)
        history[k] = np.where(state.steps > taken, state.value, history[k])
    return state._replace(memory=rule.pack(state.memory)), history


def _evaluate(rule: Rule, evaluate: Any, box: Any, state: Descent, tol: Number) -> Descent:
    """One evaluation, and what follows from it."""
    x = state.x + state.step * state.direction
    moving = state.direction
    if box is not None:
        inside = np.minimum(np.maximum(x, box[0]), box[1])
        moving = np.where(x == inside, state.direction, 0.0)
        x = inside
    value, gradient = evaluate(x)
    slope = np.sum(gradient * moving)
    is_finite = np.isfinite(value) & np.isfinite(slope)
    noise = np.finfo(x.dtype).eps ** 0.5
    search, step = state.search, state.step
    is_good = is_finite & line_search.is_good(search, step, value, slope, rule.curvature, noise)
    if box is not None:
        # Where the path bends, a slope says nothing of the one before.
        is_bent = np.sum(np.abs(moving)) < np.sum(np.abs(state.direction))
        promised = line_search.DECREASE * np.sum(state.gradient * (x - state.x))
        is_good = is_good | (is_finite & is_bent & (value <= state.value + promised))
    is_over = np.bool_(False)
    is_first = state.evaluations == 0
    if ~(is_good | is_first):
        search, step, is_over = line_search.next_trial(search, step, value, slope)
    rounding = 10 * np.finfo(x.dtype).eps
    is_lower = is_over & is_finite & (value < state.value - rounding * np.abs(state.value))
    is_taken = is_finite & (is_good | is_lower | is_first)
    state = _take(rule, state, x, value, gradient, is_taken)
    # The width is that of the begin, as far as a step may be, until something is found to end it.
    is_endless = is_lower & ~state.search.is_bracketed & (state.step >= state.search.width)
    is_endless = is_endless | (value == -np.inf)
    is_new = rule.is_new(state.memory)
    is_failed = is_over & ~is_taken
    # What rounding errors hide is not missed, if the rule expected little of it.
    is_little = state.fall <= np.sqrt(np.finfo(x.dtype).eps) * np.abs(state.value)
    status = np.where(is_failed & is_new, np.where(is_little, CONVERGED, STALLED), RUNNING)
    status = np.where(is_first & ~is_finite, NOT_FINITE, status)
    status = np.where(is_endless, UNBOUNDED, status)
    state = state._replace(
        memory=rule.forget(state.memory, is_failed),
        status=status,
        steps=state.steps + np.where(is_taken & ~is_first, 1, 0),
        evaluations=state.evaluations + 1,
        first_value=np.where(is_first, value, state.first_value),
    )
    if (is_taken | is_failed) & (status == RUNNING):
        state = _turn(rule, box, state, tol)
    else:
        state = state._replace(search=search, step=step)
    return state


def _take(
    rule: Rule, state: Descent, x: Array, value: Number, gradient: Array, is_taken: Any
) -> Any:
    """Move to a trial point if it is taken, and let the rule know."""
    memory = rule.record(state.memory, x - state.x, gradient - state.gradient, is_taken)
    return state._replace(
        x=np.where(is_taken, x, state.x),
        value=np.where(is_taken, value, state.value),
        gradient=np.where(is_taken, gradient, state.gradient),
        memory=memory,
    )


def _turn(rule: Rule, box: Any, state: Descent, tol: Number) -> Descent:
    """Find the next direction, or see that there is none."""
    x, gradient = state.x, state.gradient
    free = _free(x, gradient, box)
    last = (state.search.slope, state.step)
    ascent, step = rule.direct(state.memory, gradient, free, last)
    slope = -np.sum(gradient * ascent)
    is_new = rule.is_new(state.memory) | ~(slope < 0)
    memory = rule.forget(state.memory, is_new)
    if is_new:
        square = np.sum(gradient * gradient if box is None else free * gradient * gradient)
        slope = -square
        step = _first_step(x, gradient, state.value, square)
    direction = -np.where(is_new, gradient if box is None else gradient * free, ascent)
    change = step * direction
    if box is not None:
        # What is held, but not yet at its bound, goes there.
        direction = np.where(free > 0, direction, -gradient / np.maximum(step, TINY))
        change = np.minimum(np.maximum(x + step * direction, box[0]), box[1]) - x
        slope = np.sum(gradient * np.where(change == 0, 0.0, direction))
    fall = -0.5 * step * slope
    is_done = ~is_new & has_converged(x, change, state.value, fall, state.first_value, tol)
    is_done = is_done | ~(fall > 0)
    return state._replace(
        direction=direction,
        step=step,
        memory=memory,
        fall=np.where(is_new, state.fall, fall),
        search=line_search.begin(state.value, slope, LONGEST * step),
        status=np.where(is_done, CONVERGED, state.status),
    )


TINY = 1e-30


def _free(x: Array, gradient: Array, box: Any) -> Any:
    """1 for each variable that no bound holds, 0 for the others; None if there are no bounds."""
    return None if box is None else 1.0 - held(x, gradient, box)


def held(x: Array, gradient: Array, box: Any) -> Array:
    """1 for each variable that a bound holds: it is there, and the function pulls it further."""
    lower, upper = box
    is_low = np.isfinite(lower) & (x - lower <= NEAR * (np.abs(x) + np.abs(lower)))
    is_high = np.isfinite(upper) & (upper - x <= NEAR * (np.abs(x) + np.abs(upper)))
    is_held = (is_low & (gradient > 0)) | (is_high & (gradient < 0))
    return np.where(is_held | (lower == upper), 1.0, 0.0).astype(x.dtype)


def _first_step(x: Array, gradient: Array, value: Number, square: Number) -> Number:
    """Length of a step along the gradient where nothing else is known, in units of x."""
    size = np.max(np.abs(x))
    largest = np.max(np.abs(gradient))
    by_value = np.where(value == 0, 1.0 / np.sqrt(square), 0.01 * np.abs(value) / square)
    return np.where(size > 0, 0.01 * size / largest, by_value)
