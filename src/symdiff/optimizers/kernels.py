"""Kernels of solvers, found again when the same function is minimised from another start."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.certificate import Curvature
from symdiff.optimizers.methods import METHODS
from symdiff.optimizers.objective import Variables, evaluator, flat_function
from symdiff.optimizers.packing import Layout, layout_of
from symdiff.runtime.function import Function
from symdiff.runtime.placement import ResultsOnHost
from symdiff.runtime.transforms import hvp, jit

__all__ = ["Kernels", "Key", "find"]

MAX_KERNELS = 64
"""How many kernels one function is remembered for."""

FIRST_EVALUATIONS = 16
"""The first piece of a solve whose evaluations may take any time."""


class Key(NamedTuple):
    """What tells one kernel of a function from another; sizes and dtypes are the kernel's own."""

    method: str
    variables: Variables
    is_bounded: bool
    target: str = "auto"


class Kernels:
    """One solver for one function.

    Attributes
    ----------
    run : Function or ResultsOnHost
        ``run(state, lower, upper, tol, last_step, last_evaluation, args)`` with a packed state;
        gives the packed state and the history.
    layout : Layout
    curvature : Curvature
        Kernels of their own, compiled when they are first asked for.
    """

    def __init__(self, f: Callable[..., Any], key: Key) -> None:
        method = METHODS[key.method]
        example = method.start(np.zeros(2, key.variables.dtype))
        self.layout: Layout = layout_of(example)
        reference = _weak(f)
        self.run = _compiled(_solver(reference, key, self.layout), key)
        self.curvature = Curvature(
            _compiled(_hessian(reference, key), key), _compiled(_product(reference, key), key)
        )
        self._paces: dict[Any, int] = {}

    def pace(self, sizes: Any) -> int:
        """How many evaluations take a tenth of a second, as far as that is known."""
        return self._paces.get(sizes, FIRST_EVALUATIONS)

    def set_pace(self, sizes: Any, pace: int) -> None:
        """Remember how many evaluations a piece had, for arguments of these sizes."""
        if len(self._paces) >= MAX_KERNELS:
            self._paces.clear()
        self._paces[sizes] = pace


def _compiled(f: Callable[..., Any], key: Key) -> Function | ResultsOnHost:
    """Compile for the target; results are NumPy's."""
    made = jit(f, target=key.target)
    return ResultsOnHost(made) if key.target == "cuda" else made


def _weak(f: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """Refer to a function without keeping it: the kernels would keep their own key alive."""
    try:
        return weakref.ref(f)  # type: ignore[return-value]
    except TypeError:
        return lambda: f


def _solver(reference: Callable[[], Any], key: Key, layout: Layout) -> Callable[..., Any]:
    method = METHODS[key.method]

    def minimize(
        packed: Any,
        bounds: Any,
        tol: Any,
        last_step: Any,
        last_evaluation: Any,
        args: tuple[Any, ...],
    ) -> Any:
        function = flat_function(reference(), key.variables, key.method)
        evaluate = evaluator(function, method.needs, args)
        state, history = method.advance(
            evaluate, bounds, layout.unpack(*packed), tol, last_step, last_evaluation
        )
        return layout.pack(state), history

    return minimize


def _hessian(reference: Callable[[], Any], key: Key) -> Callable[..., Any]:
    """The Hessian, or of residuals that of Gauss and Newton."""
    needs = "residuals" if key.method == "gauss-newton" else "hessian"

    def second(x: Any, args: tuple[Any, ...]) -> Any:
        function = flat_function(reference(), key.variables, key.method)
        return evaluator(function, needs, args)[1](x)[2]

    return second


def _product(reference: Callable[[], Any], key: Key) -> Callable[..., Any]:
    def product(x: Any, v: Any, args: tuple[Any, ...]) -> Any:
        function = flat_function(reference(), key.variables, key.method)
        return hvp(lambda x: function(x, *args), (x,), (v,))[1][0]

    return product


_known: weakref.WeakKeyDictionary[Any, dict[Key, Kernels]] = weakref.WeakKeyDictionary()


def find(f: Callable[..., Any], key: Key) -> Kernels:
    """Find or make the kernels of a function."""
    try:
        kernels = _known.setdefault(f, {})
    except TypeError:  # no weak references: nothing can be remembered
        return Kernels(f, key)
    found = kernels.get(key)
    if found is None:
        if len(kernels) >= MAX_KERNELS:
            kernels.clear()
        found = kernels[key] = Kernels(f, key)
    return found
