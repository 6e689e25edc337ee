"""Kernels of many fits: the solver over lanes, traced together with the user's model."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.fitting import levenberg_marquardt as lm
from symdiff.fitting.estimators import Estimator, Weighting, data_sizes, sum_points
from symdiff.fitting.lanes import Layout, Rules, Solver, Sums
from symdiff.fitting.pointwise import one_point, with_columns
from symdiff.fitting.status import TOO_FEW_POINTS
from symdiff.runtime.batching import vmap
from symdiff.runtime.function import Function
from symdiff.runtime.signatures import Signature
from symdiff.tracing.trace import Spec, Trace, function_name, trace_function
from symdiff.trees import Tree, flatten, leaf

__all__ = ["Kernels", "Problem", "kernels_for", "without_gaps"]

LANE_BYTES = 256
"""Of one quantity of the fits that a kernel steps together: a few vectors, so that operations
overlap, and so few that their state stays in the first cache."""


class Problem(NamedTuple):
    """What a kernel is made for.

    Attributes
    ----------
    n_points : int
    n_predictors : int or None
        None for an `x` with one axis.
    has_own_x : bool
        Whether each fit has its own.
    n_params : int
    free : tuple of int
    dtype : str
    estimator : Estimator
    weighting : {"none", "shared", "own", "gaps"}
        Weights of the points: none; the same for all fits; own ones; own ones with zeros.
    has_bounds : bool
    """

    n_points: int
    n_predictors: int | None
    has_own_x: bool
    n_params: int
    free: tuple[int, ...]
    dtype: str
    estimator: Estimator
    weighting: str
    has_bounds: bool

    @property
    def lanes(self) -> int:
        """How many fits a kernel steps together."""
        return LANE_BYTES // np.dtype(self.dtype).itemsize

    @property
    def layout(self) -> Layout:
        """Rows of the state."""
        return Layout(self.n_params, self.free)

    @property
    def rules(self) -> Rules:
        """What depends on the dtype."""
        eps = float(np.finfo(self.dtype).eps)
        return Rules(eps, self.n_points, self.estimator.is_linear)


class Kernels:
    """The kernels of a problem.

    ``advance`` takes data with axes (groups, points, lanes), and a state with axes (groups, rows,
    lanes), of which it gives the next. ``finish`` takes the last state and gives results. Lanes are
    the last axis of all, so that what the kernels read and write is whole vectors. On a GPU
    ``on_device`` gives a kernel that does everything, each fit by a thread.

    Parameters
    ----------
    model : callable
        ``model(x, *params)``.
    problem : Problem
    """

    def __init__(self, model: Callable[..., Any], problem: Problem) -> None:
        self.problem = problem
        self._points = _point_function(model, problem)
        p = problem
        x_axis = 0 if p.has_own_x else None
        w_axis = None if p.weighting in ("none", "shared") else 0
        b_axis = 0 if p.has_bounds else None
        self.advance = vmap(self._advance, in_axes=(x_axis, 0, w_axis, b_axis, 0, *[None] * 4))
        self.finish = vmap(self._finish, in_axes=(0, 0, None))
        self._on_device: dict[tuple[bool, ...], Function] = {}

    def on_device(self, own: tuple[bool, ...]) -> Function:
        """Give the kernel for a GPU, which does everything for each fit.

        It takes x, y, weights, bounds and starts, of which each fit has its own or all the same as
        `own` says, and the options; it gives what `Results` has. The last axis is of one lane.
        """
        if own not in self._on_device:
            axes = tuple([0 if is_own else None for is_own in (*own, *[False] * 4)])
            self._on_device[own] = vmap(self._fit, in_axes=axes, target="cuda")
        return self._on_device[own]

    def _advance(
        self,
        x: Any,
        y: Any,
        weights: Any,
        box: Any,
        state: Any,
        tol: Any,
        f_scale: Any,
        max_steps: Any,
        n_steps: Any,
    ) -> Any:
        """Step one group of lanes."""
        p = self.problem
        layout, rules = p.layout, p.rules
        fixed = {k: state[k] for k in range(p.n_params) if k not in p.free}
        weighting = None
        if p.weighting != "none":
            spread = weights[:, None] if p.weighting == "shared" else weights
            weighting = Weighting(spread, p.weighting == "gaps")

        def evaluate(trial: list[Any]) -> Sums:
            free = dict(zip(p.free, trial, strict=True))
            params = [free[k] if k in free else fixed[k] for k in range(p.n_params)]
            value, *columns = self._points(x, *params)
            return sum_points(p.estimator, f_scale, value, columns, y, weighting, layout.algebra)

        sizes = data_sizes(p.estimator, rules.eps, y, weighting)
        bounds = None
        if p.has_bounds:
            bounds = [(box[k], box[layout.n_free + k]) for k in range(layout.n_free)]
        solver = Solver(layout, rules, evaluate, sizes, bounds, tol, max_steps)
        return solver.run(state, n_steps)

    def _fit(
        self,
        x: Any,
        y: Any,
        weights: Any,
        box: Any,
        start: Any,
        tol: Any,
        f_scale: Any,
        max_steps: Any,
        is_absolute: Any,
    ) -> tuple[Any, ...]:
        """Fit one data set, a group of one lane, from its start to its end."""
        p, layout = self.problem, self.problem.layout
        one = np.ones_like(y[0])
        freedom: Any = np.dtype(p.dtype).type(p.n_points - layout.n_free)
        status = one * (TOO_FEW_POINTS if freedom < 0 else lm.RUNNING)
        if p.weighting == "gaps":
            y, weights = without_gaps(y, weights)
            freedom = np.sum(np.where(weights > 0, one, 0.0), axis=0) - layout.n_free
            status = np.where(freedom < 0, one * TOO_FEW_POINTS, one * lm.RUNNING)
        rows = [one * value for value in layout.first_rows()[:-1]]
        params = [one * start[k] for k in range(layout.n_params)]
        state = np.stack([*params, *rows, status])
        state = self._advance(x, y, weights, box, state, tol, f_scale, max_steps, np.inf)
        found = self._finish(state, freedom, is_absolute)
        return (state[: layout.n_params], *found)

    def _finish(self, state: Any, freedom: Any, is_absolute: Any) -> tuple[Any, ...]:
        """Give what `Results` has but parameters, for the fits of one group, lanes last.

        Parameters
        ----------
        freedom : array, shape (lanes,)
            Degrees of freedom.
        is_absolute : bool
            Whether the covariance is not scaled by the residual variance.
        """
        layout = self.problem.layout
        curvature = layout.algebra.take(state[layout.curvature])
        inverse, is_singular = layout.algebra.invert(curvature, self.problem.rules.dependent)
        status = state[layout.status]
        may_be = (status == lm.CONVERGED) | (status == lm.STALLED)
        status = np.where(may_be & is_singular, float(lm.SINGULAR), status)
        is_known = (status == lm.CONVERGED) & (is_absolute | (freedom > 0))
        variance = state[layout.objective] / np.maximum(freedom, 1.0)
        factor = np.where(is_absolute, np.ones_like(variance), variance)
        return (
            np.where(is_known, inverse * factor, np.inf),
            state[layout.objective],
            state[layout.steps].astype(np.int32),
            status.astype(np.int8),
        )


def without_gaps(y: Any, weights: Any) -> tuple[Any, Any]:
    """Give missing points the weight 0, and any value; NumPy arrays, or traced ones."""
    mine = np.ones_like(y)
    if weights is not None:
        mine = mine * weights.astype(y.dtype)
    mine = np.where(np.isnan(y), 0.0, mine)
    return np.where(mine > 0, y, 0.0), mine


def _point_function(model: Callable[..., Any], problem: Problem) -> Callable[..., Any]:
    """Make the function of ``x`` and lanes of parameters that gives value and columns of each.

    Returns
    -------
    callable
        Takes ``x`` with the axis of points first and, if each lane has its own, that of lanes last,
        and the parameters, each of shape (lanes,); gives arrays of shape (points, lanes).
    """
    p = problem
    program = _trace_model(model, p)
    names = program.inputs[1:]
    program = with_columns(program, [names[k] for k in p.free])
    single = one_point(program)
    lane_axes = (-1 if p.has_own_x else None, *[0] * p.n_params)
    if single is None:
        return vmap(_as_function(program), in_axes=lane_axes, out_axes=-1)
    lanes = vmap(_as_function(single), in_axes=lane_axes)
    return vmap(lanes, in_axes=(0, *[None] * p.n_params))


def _as_function(program: Any) -> Function:
    """Make a Function of a Program with several outputs."""
    tree = Tree(tuple, (), (leaf,) * len(program.outputs))

    def build(signature: Signature) -> Trace:
        del signature
        return Trace(program, tree)

    return Function(build, program.name, build)


def _trace_model(model: Callable[..., Any], problem: Problem) -> Any:
    """Trace the model for all points, their axis first."""
    p = problem
    shape = (p.n_points,) if p.n_predictors is None else (p.n_points, p.n_predictors)

    def points(x: Any, *params: Any) -> Any:
        value = model(x if x.ndim == 1 else x.T, *params)
        if np.ndim(value) > 1:
            raise ShapeError(
                at_user_line(f"the model gives rank {np.ndim(value)}, the data have one axis")
            )
        if np.ndim(value) and value.shape[0] != x.shape[0]:
            raise ShapeError(at_user_line("the model's value has another length than the data"))
        return np.broadcast_to(value * np.ones((), p.dtype), (x.shape[0],))

    specs = [Spec(shape, p.dtype), *[Spec((), p.dtype)] * p.n_params]
    example = (np.zeros(shape, p.dtype), *[0.0] * p.n_params)
    _, tree = flatten((example, {}))
    return trace_function(points, tree, specs, name=function_name(model)).program


_KNOWN: weakref.WeakKeyDictionary[Any, dict[Hashable, Kernels]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()
MAX_KERNELS = 64
"""How many kernels one function is remembered with."""


def kernels_for(model: Callable[..., Any], problem: Problem) -> Kernels:
    """Find or make the kernels of a model."""
    with _LOCK:
        try:
            known = _KNOWN.setdefault(model, {})
        except TypeError:  # no weak references: nothing can be remembered
            known = {}
        if problem not in known:
            if len(known) >= MAX_KERNELS:
                known.clear()
            known[problem] = Kernels(model, problem)
        return known[problem]
