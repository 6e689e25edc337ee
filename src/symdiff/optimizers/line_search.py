"""Line search for the strong Wolfe conditions, one evaluation at a time.

The search of Moré and Thuente is a state of a few numbers and a function that takes it from one
trial to the next, so that a solver evaluates its function at one place and needs no loop in a loop.

References
----------
J. J. Moré, D. J. Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM Trans.
Math. Software 20 (1994) 286-307; the safeguarded steps are those of section 4.

W. W. Hager, H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient
line search", SIAM J. Optim. 16 (2005) 170-192; equation 4.1 is the approximate Wolfe condition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Search", "begin", "is_good", "next_trial"]

Number = Any
"""A number of the kernel."""

DECREASE = 1e-4
"""A step decreases the function by at least this part of what the slope promises."""
MAX_TRIALS = 40
SMALLEST_INTERVAL = 1e-5
"""Relative width at which an interval is not divided further."""


class Search(NamedTuple):
    """Where a search is: `low` is the best step so far, `high` the other end of the interval.

    Each end has a step, a value and a slope. `value` and `slope` are those at the begin, `limit` is
    the longest step allowed, `width` and `width_before` the last two lengths of the interval.
    `is_last` says that the trial repeats the best step and is taken whatever it gives.
    """

    value: Number
    slope: Number
    low: Number
    low_value: Number
    low_slope: Number
    high: Number
    high_value: Number
    high_slope: Number
    limit: Number
    width: Number
    width_before: Number
    is_bracketed: Number
    is_late: Number
    is_last: Number
    trials: Number


def begin(value: Number, slope: Number, limit: Number) -> Search:
    """Start a search at a point with this value and slope; the slope is negative."""
    zero = 0.0 * slope
    return Search(
        value,
        slope,
        zero,
        value,
        slope,
        zero,
        value,
        slope,
        limit + zero,
        limit + zero,
        2 * limit + zero,
        np.bool_(False),
        np.bool_(False),
        np.bool_(False),
        0,
    )


def is_good(
    search: Search, step: Number, value: Number, slope: Number, curvature: float, noise: float
) -> Number:
    """Whether a step meets the strong Wolfe conditions, or the approximate ones.

    Where values differ by rounding errors only, the slopes decide: `noise` is the size of those
    errors relative to the value.
    """
    change = value - search.value
    is_flat = np.abs(slope) <= -curvature * search.slope
    is_lower = change <= DECREASE * step * search.slope
    is_level = change <= noise * np.abs(search.value)
    is_short = slope <= (2 * DECREASE - 1) * search.slope
    return is_flat & (is_lower | (is_level & is_short)) | search.is_last


def next_trial(
    search: Search, step: Number, value: Number, slope: Number
) -> tuple[Search, Number, Number]:
    """Take the search from a step that is not good to the next one.

    Returns
    -------
    search : Search
    step : number
        The next trial; 0 where there is none.
    is_over : truth value
        Whether there is none: the step that came is as good as any if it is lower than the begin.
    """
    if np.isfinite(value) & np.isfinite(slope):
        search, step, is_over = _divide(search, step, value, slope)
    else:  # nearer to the best step, and never as far again
        change = step - search.low
        search = search._replace(limit=np.minimum(search.limit, search.low + 0.5 * change))
        step = search.low + 0.2 * change
        is_over = np.bool_(False)
    trials = search.trials + 1
    is_spent = trials >= MAX_TRIALS
    return search._replace(trials=trials), step, is_over | is_spent


def _divide(
    search: Search, step: Number, value: Number, slope: Number
) -> tuple[Search, Number, Number]:
    """Algorithm of section 3 of Moré and Thuente: shorten or move the interval."""
    promised = DECREASE * search.slope
    is_lower = value <= search.value + step * promised
    is_at_limit = (step >= search.limit) & is_lower & (slope <= promised)
    is_late = search.is_late | (is_lower & (slope >= 0))
    # Until a step with sufficient decrease was found, the function less the promised decrease.
    tilt = np.where(is_late | (value > search.low_value) | is_lower, 0.0, promised)
    tilted = search._replace(
        low_value=search.low_value - search.low * tilt,
        low_slope=search.low_slope - tilt,
        high_value=search.high_value - search.high * tilt,
        high_slope=search.high_slope - tilt,
        is_late=is_late,
    )
    moved, trial = _interpolate(tilted, step, value - step * tilt, slope - tilt)
    moved = moved._replace(
        low_value=moved.low_value + moved.low * tilt,
        low_slope=moved.low_slope + tilt,
        high_value=moved.high_value + moved.high * tilt,
        high_slope=moved.high_slope + tilt,
    )
    length = np.abs(moved.high - moved.low)
    is_slow = moved.is_bracketed & (length >= 0.66 * moved.width_before)
    trial = np.where(is_slow, moved.low + 0.5 * (moved.high - moved.low), trial)
    moved = moved._replace(
        width_before=np.where(moved.is_bracketed, moved.width, moved.width_before),
        width=np.where(moved.is_bracketed, length, moved.width),
    )
    trial = np.minimum(trial, moved.limit)
    # Nothing is left to divide: go back to the best step, if it is not the begin.
    largest = np.maximum(moved.high, moved.low)
    is_narrow = moved.is_bracketed & (length <= SMALLEST_INTERVAL * largest)
    is_outside = moved.is_bracketed & (
        (trial <= np.minimum(moved.low, moved.high)) | (trial >= largest)
    )
    is_narrow = is_narrow | is_outside
    trial = np.where(is_narrow, moved.low, trial)
    is_over = is_at_limit | (is_narrow & (moved.low <= 0))
    return moved._replace(is_last=is_narrow), trial, is_over


def _interpolate(
    search: Search, step: Number, value: Number, slope: Number
) -> tuple[Search, Number]:
    """Section 4 of Moré and Thuente: the next trial, by cubics and parabolas, and the new ends."""
    low, low_value, low_slope = search.low, search.low_value, search.low_slope
    change = step - low
    is_higher = value > low_value
    is_beyond = slope * low_slope < 0
    cubic, is_real = _cubic(low_value - value, change, low_slope, slope)
    far = np.minimum(step + 4 * change, search.limit)
    parabola = low + 0.5 * change * low_slope / ((low_value - value) / change + low_slope)
    secant = step + slope / (slope - low_slope) * (low - step)
    # 1: a higher value. The nearer of cubic and parabola, or halfway between.
    by_cubic = low + cubic * change
    is_near = np.abs(by_cubic - low) < np.abs(parabola - low)
    first = np.where(is_near, by_cubic, by_cubic + 0.5 * (parabola - by_cubic))
    # 2: a lower value, a slope of the other sign. The one that is further from this step.
    is_further = np.abs(by_cubic - step) > np.abs(secant - step)
    second = np.where(is_further, by_cubic, secant)
    # 3: the same sign, less steep. The cubic counts if it turns beyond the step.
    is_ahead = is_real & ((by_cubic - step) * change > 0)
    ahead = np.where(is_ahead, by_cubic, np.where(change > 0, far, search.high))
    is_nearer = np.abs(ahead - step) < np.abs(secant - step)
    inner = np.where(is_nearer, ahead, secant)
    bound = step + 0.66 * (search.high - step)
    inner = np.where(change > 0, np.minimum(bound, inner), np.maximum(bound, inner))
    outer = np.minimum(np.where(is_nearer, secant, ahead), far)
    outer = np.maximum(outer, np.minimum(step + 1.1 * change, search.limit))
    third = np.where(search.is_bracketed, inner, outer)
    # 4: the same sign, as steep. Towards the other end, or as far as allowed.
    rest, _ = _cubic(search.high_value - value, step - search.high, search.high_slope, slope)
    fourth = np.where(search.is_bracketed, search.high + rest * (step - search.high), far)
    is_less_steep = np.abs(slope) < np.abs(low_slope)
    trial = np.where(is_less_steep, third, fourth)
    trial = np.where(is_higher, first, np.where(is_beyond, second, trial))
    is_swapped = is_beyond & ~is_higher
    search = search._replace(
        high=np.where(is_higher, step, np.where(is_swapped, low, search.high)),
        high_value=np.where(is_higher, value, np.where(is_swapped, low_value, search.high_value)),
        high_slope=np.where(is_higher, slope, np.where(is_swapped, low_slope, search.high_slope)),
        low=np.where(is_higher, low, step),
        low_value=np.where(is_higher, low_value, value),
        low_slope=np.where(is_higher, low_slope, slope),
        is_bracketed=search.is_bracketed | is_higher | is_beyond,
    )
    return search, trial


def _cubic(fall: Number, length: Number, begin: Number, end: Number) -> tuple[Number, Number]:
    """Where between two points (0 to 1, or beyond) the cubic through both has its minimum.

    `fall` is how much lower the end is, `begin` and `end` are the slopes. Nocedal and Wright,
    *Numerical Optimization*, 2006, equation 3.59.
    """
    theta = 3 * fall / length + begin + end
    scale = np.maximum(np.abs(theta), np.maximum(np.abs(begin), np.abs(end)))
    radicand = (theta / scale) ** 2 - (begin / scale) * (end / scale)
    root = np.copysign(scale * np.sqrt(np.maximum(radicand, 0.0)), length)
    place = (root - begin + theta) / (2 * root - begin + end)
    return place, radicand > 0
