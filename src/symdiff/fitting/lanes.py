"""Levenberg-Marquardt for many fits at once, as one NumPy function that is traced like a user's.

Each quantity of the method (a parameter, an element of the normal equations, the damping, the
status) is an array over lanes, one lane a fit. Loops over parameters are unrolled while tracing, so
that the kernel is a loop over points around loops over lanes, which are SIMD, and a loop of steps
around those. A lane that is done waits: what is computed for it is not taken. No arithmetic looks
at a neighbor, so a fit gives the same bits in whatever company it is.

The method is that of `symdiff.fitting.levenberg_marquardt`, with these differences:

* The normal equations are formed, since their sums over the points need no memory. Factors are
  ``L D L'``, which does not depend on the scale of a column; a pivot that is lost in the rounding
  of its column says that the data do not determine the parameters there (`DEPENDENT`).
* There is no geodesic acceleration, and one search.

It has converged when the relative offset of Bates and Watts is below `tol`, or below the rounding
of the residuals. A step that only rounding can judge is taken, and the offset, which is measured,
decides about the next.

References
----------
Przybylski, A. et al., *Gpufit: an open-source toolkit for GPU-accelerated curve fitting*,
Scientific Reports 7 (2017) 15722. Laurence, T. A. and Chromy, B. A., *Efficient maximum likelihood
estimator fitting of histograms*, Nature Methods 7 (2010) 338. Others are given there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from symdiff.fitting import levenberg_marquardt as lm
from symdiff.fitting.lane_algebra import Algebra, WrittenOut, at, total
from symdiff.fitting.lane_loops import InLoops
from symdiff.tracing.structured import while_loop

__all__ = ["Layout", "Rules", "Solver", "Sums"]

MAX_WRITTEN_OUT = 12
"""Of more parameters the linear algebra is not unrolled: 12 take 10 s to compile."""


class Sums(NamedTuple):
    """The objective at some parameters, half its gradient, and half its curvature, a triangle."""

    objective: Any
    gradient: list[Any]
    curvature: Any


Evaluate = Callable[[list[Any]], Sums]


class Layout(NamedTuple):
    """Where in the rows of a state each quantity of a lane is.

    Parameters
    ----------
    n_params : int
    free : tuple of int
        The parameters that are fitted.
    """

    n_params: int
    free: tuple[int, ...]

    @property
    def n_free(self) -> int:
        """How many parameters are fitted."""
        return len(self.free)

    @property
    def algebra(self) -> Algebra:
        """How matrices of so many free parameters are handled."""
        return (WrittenOut if self.n_free <= MAX_WRITTEN_OUT else InLoops)(self.n_free)

    @property
    def curvature(self) -> slice:
        """The lower triangle of the normal matrix, row by row."""
        m = self.n_free
        return slice(self.n_params + 2 * m, self.n_params + 2 * m + m * (m + 1) // 2)

    @property
    def scalars(self) -> int:
        """The first of: objective, damping, growth, least offset, unmeasured, steps, status."""
        return self.curvature.stop

    @property
    def objective(self) -> int:
        """The row of the objective."""
        return self.scalars

    @property
    def damping(self) -> int:
        """The row of the damping; then its growth, and the least offset."""
        return self.scalars + 1

    @property
    def steps(self) -> int:
        """The row of the steps tried."""
        return self.scalars + 5

    @property
    def status(self) -> int:
        """The row of the status."""
        return self.scalars + 6

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.scalars + 7

    def begin(self, starts: np.ndarray) -> np.ndarray:
        """Make the state of fits at their start.

        Parameters
        ----------
        starts : ndarray, shape (groups, n_params, lanes)

        Returns
        -------
        ndarray, shape (groups, rows, lanes)
        """
        state = np.empty((len(starts), self.n_rows, starts.shape[2]), starts.dtype)
        state[:, : self.n_params] = starts
        state[:, self.n_params :] = np.array(self.first_rows())[:, None]
        return state

    def first_rows(self) -> list[float]:
        """What the rows behind the parameters are at the start."""
        m = self.n_free
        rows = [0.0] * (2 * m + m * (m + 1) // 2)
        for i in range(m):
            rows[2 * m + at(i, i)] = 1.0
        growth, least = 2.0, np.inf
        return [*rows, np.inf, lm.FIRST_DAMPING, growth, least, 0.0, 0.0, float(lm.RUNNING)]


class Rules(NamedTuple):
    """When to stop, and what rounding hides in this dtype."""

    eps: float
    n_points: int
    is_linear: bool

    @property
    def blur(self) -> float:
        """Relative changes of the objective below this are rounding errors."""
        return self.eps * (64.0 + self.n_points)

    @property
    def dependent(self) -> float:
        """A pivot that is less than this part of its column is lost in rounding."""
        return 256.0 * self.eps

    @property
    def rough(self) -> float:
        """A search that can go no further has converged if the relative offset is below this."""
        return max(lm.ROUGH, 3.0 * self.eps**0.5)

    @property
    def max_damping(self) -> float:
        """A step damped by this is lost in the rounding of the parameters."""
        return min(lm.MAX_DAMPING, self.eps**-1.25)


def hold(
    algebra: Algebra,
    params: Sequence[Any],
    sums: Sums,
    bounds: Sequence[tuple[Any, Any]] | None,
) -> tuple[list[Any], Any]:
    """Leave out what the gradient holds at a bound; gives gradient and matrix of the others."""
    if bounds is None:
        return sums.gradient, sums.curvature
    is_free = []
    for (lower, upper), p, g in zip(bounds, params, sums.gradient, strict=True):
        is_free.append(~(((p <= lower) & (g > 0)) | ((p >= upper) & (g < 0))))
    gradient = [np.where(f, g, 0.0) for f, g in zip(is_free, sums.gradient, strict=True)]
    return gradient, algebra.hold(sums.curvature, is_free)


def propose(
    algebra: Algebra,
    params: Sequence[Any],
    sums: Sums,
    scale: Sequence[Any],
    damping: Any,
    bounds: Sequence[tuple[Any, Any]] | None,
) -> tuple[list[Any], Any]:
    """Make a damped step, cut at the bounds, and say what the linear model promises for it."""
    gradient, matrix = hold(algebra, params, sums, bounds)
    found = algebra.solve(matrix, [damping * s for s in scale], gradient)
    trial = [p + d for p, d in zip(params, found, strict=True)]
    if bounds is not None:
        trial = [
            np.minimum(np.maximum(t, lo), hi) for t, (lo, hi) in zip(trial, bounds, strict=True)
        ]
    step = [t - p for t, p in zip(trial, params, strict=True)]
    images = algebra.image(sums.curvature, step)
    promised = total(
        [-d * (2.0 * g + image) for d, g, image in zip(step, sums.gradient, images, strict=True)]
    )
    return trial, promised


def offset(
    algebra: Algebra,
    params: Sequence[Any],
    sums: Sums,
    bounds: Sequence[tuple[Any, Any]] | None,
    floor: float,
) -> Any:
    """Norm of the part of the residuals that lies in the tangent plane."""
    gradient, matrix = hold(algebra, params, sums, bounds)
    return np.sqrt(algebra.square_length(matrix, gradient, floor))


@dataclass(frozen=True)
class Lanes:
    """What a step takes and gives; each array has an element a lane."""

    params: list[Any]
    scale: list[Any]
    gradient: list[Any]
    curvature: Any
    objective: Any
    damping: Any
    growth: Any
    least: Any
    unmeasured: Any
    steps: Any
    status: Any

    @property
    def sums(self) -> Sums:
        """The objective and its derivatives."""
        return Sums(self.objective, self.gradient, self.curvature)


class Judgment(NamedTuple):
    """How the trial of a step compares."""

    is_new: Any
    is_better: Any
    is_blurred: Any
    ratio: Any
    size: Any
    noise: Any


class Solver(NamedTuple):
    """A step for all lanes.

    Parameters
    ----------
    layout : Layout
    rules : Rules
    evaluate : callable
        Gives the `Sums` at values of the free parameters.
    sizes : tuple of two arrays
        For each lane the norm of its data, which bounds the rounding errors of the residuals, and
        what else rounding adds to the objective.
    bounds : sequence of pairs, optional
        Of each free parameter.
    tol, max_steps : number
        Relative offset, and steps in all.
    """

    layout: Layout
    rules: Rules
    evaluate: Evaluate
    sizes: tuple[Any, Any]
    bounds: Sequence[tuple[Any, Any]] | None
    tol: Any
    max_steps: Any

    def run(self, state: Any, n_steps: Any) -> Any:
        """Do up to `n_steps` steps with rows of a state, fewer if no lane needs them."""

        def goes_on(carried: tuple[Any, Lanes]) -> Any:
            return (carried[0] < n_steps) & np.any(carried[1].status == lm.RUNNING)

        def step(carried: tuple[Any, Lanes]) -> tuple[Any, Lanes]:
            return carried[0] + 1, self.step(carried[1])

        _, lanes = while_loop(goes_on, step, (0, self._unpack(state)))
        return self._pack(state, lanes)

    def step(self, now: Lanes) -> Lanes:
        """Propose, evaluate and judge a step in each lane."""
        algebra = self.layout.algebra
        trial, promised = propose(
            algebra, now.params, now.sums, now.scale, now.damping, self.bounds
        )
        there = self.evaluate(trial)
        j = self._judge(now, trial, there, promised)
        slope = offset(algebra, trial, there, self.bounds, self.rules.dependent)
        is_running = now.status == lm.RUNNING
        is_moved = is_running & (j.is_better | j.is_blurred)

        def taken(new: list[Any], old: list[Any]) -> list[Any]:
            return [np.where(is_moved, u, v) for u, v in zip(new, old, strict=True)]

        damping, growth = self._damp(now, j, slope)
        is_level = j.is_blurred & (slope >= lm.LOWER * now.least)
        lowest = np.where(j.is_blurred, np.minimum(slope, now.least), slope)
        largest = [np.maximum(there.curvature[at(i, i)], v) for i, v in enumerate(now.scale)]
        made = Lanes(
            taken(trial, now.params),
            taken(largest, now.scale),
            taken(there.gradient, now.gradient),
            algebra.choose(is_moved, there.curvature, now.curvature),
            np.where(is_moved, there.objective, now.objective),
            np.where(is_running, damping, now.damping),
            growth,
            np.where(is_moved, lowest, now.least),
            np.where(is_level, now.unmeasured + 1.0, np.where(is_moved, 0.0, now.unmeasured)),
            np.where(is_running & ~j.is_new, now.steps + 1.0, now.steps),
            now.status,
        )
        has_arrived = is_moved & (slope <= self.tol * j.size + j.noise)
        has_failed = j.is_new & ~j.is_better
        status = np.where(is_running, self._verdict(made, has_arrived, has_failed), now.status)
        return replace(made, status=status)

    def _judge(self, now: Lanes, trial: list[Any], there: Sums, promised: Any) -> Judgment:
        """Compare the objective at the trial with what the linear model promised."""
        eps = self.rules.eps
        is_new = now.objective == np.inf
        size = np.sqrt(there.objective)
        weight = total([there.curvature[at(i, i)] * t * t for i, t in enumerate(trial)])
        noise = eps * (size + np.sqrt(weight) + self.sizes[0])
        is_finite = (there.objective + weight) < np.inf
        decrease = now.objective - there.objective
        is_better = is_finite & (is_new | ((promised > 0) & (decrease > lm.ENOUGH * promised)))
        blur = self.rules.blur * there.objective + size * noise + self.sizes[1]
        is_blurred = is_finite & ~is_better & (promised <= blur) & (np.abs(decrease) <= blur)
        ratio = np.where(is_new, 0.5, decrease / np.where(promised > 0, promised, 1.0))
        return Judgment(is_new, is_better, is_blurred, ratio, size, noise)

    def _damp(self, now: Lanes, j: Judgment, slope: Any) -> tuple[Any, Any]:
        """Give damping and its next growth."""
        bend = 2.0 * np.minimum(j.ratio, 1.0) - 1.0
        easing = np.where(
            np.abs(j.ratio - 1.0) < lm.NEARLY_LINEAR,
            lm.LINEAR_FACTOR,
            np.maximum(lm.LEAST_FACTOR, 1.0 - bend * bend * bend),
        )
        easing = np.where(j.is_better, easing, lm.LEAST_FACTOR)
        is_worse = ~(j.is_better | j.is_blurred)
        if self.rules.is_linear:  # else the weights change, and slopes are not compared
            is_worse = is_worse | (j.is_blurred & (slope >= now.least))
        damping = now.damping * np.where(is_worse, now.growth, easing)
        return damping, np.where(is_worse, 2.0 * now.growth, 2.0)

    def _verdict(self, made: Lanes, has_arrived: Any, has_failed: Any) -> Any:
        """Say which lanes are done."""
        is_stuck = (
            (made.unmeasured > lm.MAX_UNMEASURED)
            | (made.damping > self.rules.max_damping)
            | (made.growth > self.rules.max_damping)
        )
        is_rough = made.least <= self.rules.rough * np.sqrt(made.objective)
        # Numbers go into arrays here, so that float32 stays what it is.
        verdict = np.where(is_stuck, float(lm.STALLED), made.status)
        verdict = np.where(is_stuck & is_rough, float(lm.CONVERGED), verdict)
        verdict = np.where(made.steps >= self.max_steps, float(lm.MAX_STEPS), verdict)
        verdict = np.where(has_arrived, float(lm.CONVERGED), verdict)
        return np.where(has_failed, float(lm.NOT_FINITE), verdict)

    def _unpack(self, state: Any) -> Lanes:
        n, m = self.layout.n_params, self.layout.n_free
        return Lanes(
            [state[k] for k in self.layout.free],
            [state[n + k] for k in range(m)],
            [state[n + m + k] for k in range(m)],
            self.layout.algebra.take(state[self.layout.curvature]),
            *[state[self.layout.scalars + k] for k in range(7)],
        )

    def _pack(self, state: Any, lanes: Lanes) -> Any:
        params = [state[k] for k in range(self.layout.n_params)]
        for k, value in zip(self.layout.free, lanes.params, strict=True):
            params[k] = value
        before = np.stack([*params, *lanes.scale, *lanes.gradient])
        numbers = [lanes.objective, lanes.damping, lanes.growth, lanes.least, lanes.unmeasured]
        after = np.stack([*numbers, lanes.steps, lanes.status])
        return np.concatenate([before, self.layout.algebra.give(lanes.curvature), after])
