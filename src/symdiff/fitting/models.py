"""Kernels of models, found again at the next fit of the same function."""

from __future__ import annotations

import inspect
import time
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.fitting.problem import Plan, Residuals
from symdiff.tracing.trace import Spec, Static, function_name, trace_function
from symdiff.trees import flatten

__all__ = ["MAX_PLANS", "Models", "model_names"]

MAX_PLANS = 256
"""How many shapes of data one function is remembered for."""


class Models:
    """What has been compiled for each function, as long as the function lives.

    Parameters
    ----------
    residuals : callable
        Makes, of a user's function, the function that is traced: parameters first, then data.
    """

    def __init__(self, residuals: Callable[..., Callable[..., Any]]) -> None:
        self._make = residuals
        self._known: weakref.WeakKeyDictionary[Any, dict[Hashable, Plan]] = (
            weakref.WeakKeyDictionary()
        )

    def plan(
        self, f: Callable[..., Any], key: Hashable, params: Sequence[Any], data: Sequence[Any]
    ) -> tuple[Plan, float]:
        """Find or make the plan for a function and arguments like these.

        Parameters
        ----------
        f : callable
            The user's function.
        key : hashable
            Tells apart whatever is compiled differently, shapes among it.
        params, data : sequences
            Examples of the arguments.

        Returns
        -------
        plan : Plan
        seconds : float
            What it took to trace and compile; 0.0 when it was known.
        """
        try:
            plans = self._known.get(f)
        except TypeError:  # no weak references: nothing can be remembered
            return self._compile(f, params, data, {})
        if plans is None:
            plans = self._known.setdefault(f, {})
        found = plans.get(key)
        if found is not None:
            return found, 0.0
        if len(plans) >= MAX_PLANS:
            plans.clear()
        plans[key], seconds = self._compile(f, params, data, plans)
        return plans[key], seconds

    def _compile(
        self,
        f: Callable[..., Any],
        params: Sequence[Any],
        data: Sequence[Any],
        plans: dict[Hashable, Plan],
    ) -> tuple[Plan, float]:
        began = time.perf_counter()
        leaves, tree = flatten(((*params, *data), {}))
        specs = [_spec(x) for x in leaves]
        arrays = [x for x in data if isinstance(x, np.ndarray)]
        n_params = sum(np.size(x) for x in params)
        for plan in plans.values():  # the same kernels at another number of points
            if plan.kernels.serves(specs):
                return plan.kernels.plan(arrays), time.perf_counter() - began
        name = function_name(f)
        program = trace_function(self._make(f, len(params)), tree, specs, name=name).program
        if len(program.types[program.outputs[0]].shape) != 1:
            raise ShapeError(at_user_line(f"the residuals of {name} are not an array of rank 1"))
        kernels = Residuals(program, n_params, specs)
        return kernels.plan(arrays), time.perf_counter() - began


def _spec(x: Any) -> Spec | Static:
    if isinstance(x, np.ndarray):
        return Spec(x.shape, x.dtype.name)
    return Spec((), "float64", is_weak=True) if isinstance(x, float) else Static(x, type(x))


def model_names(f: Callable[..., Any], count: int) -> list[str]:
    """Name ``x`` and so many parameters as the user's ``f(x, *params)`` does."""
    try:
        names = [
            q.name for q in inspect.signature(f).parameters.values() if q.kind < q.VAR_POSITIONAL
        ]
    except (TypeError, ValueError):
        names = []
    x, *params = names or ["x"]
    return [x, *(params + [f"p{k}" for k in range(len(params), count)])[:count]]
