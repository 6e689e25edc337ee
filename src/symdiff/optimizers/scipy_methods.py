"""SciPy's minimizers, with our derivatives."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symdiff.optimizers.objective import Variables, flat_function
from symdiff.runtime.transforms import grad, hessian, jit, value_and_grad

__all__ = ["PREFIX", "minimize_with_scipy"]

PREFIX = "scipy:"
WITHOUT_GRADIENT = frozenset(["nelder-mead", "powell", "cobyla", "cobyqa"])
WITH_HESSIAN = frozenset(
    ["newton-cg", "dogleg", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"]
)
WITH_PRODUCT = frozenset(["newton-cg", "trust-ncg", "trust-krylov", "trust-constr"])
"""Those that can do with products of the Hessian and a vector."""
LARGE = 200
"""From so many variables on products are used instead of the Hessian, where that is possible."""

_known: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def _compiled(f: Callable[..., Any], variables: Variables, what: Callable[..., Any]) -> Any:
    """A transform of the flat function; found again as long as the function lives."""
    try:
        reference: Any = weakref.ref(f)
        made = _known.setdefault(f, {})
    except TypeError:
        return what(flat_function(f, variables, ""))
    key = (what.__name__, variables)
    if key not in made:

        def flat(x: Any, *args: Any) -> Any:
            return flat_function(reference(), variables, "")(x, *args)

        made[key] = what(flat)
    return made[key]


def minimize_with_scipy(
    f: Callable[..., Any],
    variables: Variables,
    start: np.ndarray,
    name: str,
    *,
    args: tuple[Any, ...],
    box: Any,
    given: Mapping[str, Any],
) -> Any:
    """Call `scipy.optimize.minimize` with whatever derivatives the method uses.

    Parameters
    ----------
    f, variables, start
        The function, and its variables as one vector.
    name : str
        SciPy's name of the method.
    args : tuple
        Further arguments of the function.
    box : pair of arrays or None
    given : mapping
        What else SciPy takes: ``tol, callback, options, constraints``.
    """
    from scipy.optimize import Bounds, minimize  # noqa: PLC0415 - 0.2 s at import

    method = name.lower()
    fun = _compiled(f, variables, jit if method in WITHOUT_GRADIENT else value_and_grad)
    extra: dict[str, Any] = dict(given)
    if method not in WITHOUT_GRADIENT:
        extra["jac"] = True
    if method in WITH_HESSIAN:
        if start.size >= LARGE and method in WITH_PRODUCT:
            product = _compiled(f, variables, _product)
            extra["hessp"] = product
        else:
            second = _compiled(f, variables, hessian)
            extra["hess"] = second
    if box is not None:
        extra["bounds"] = Bounds(*box)
    return minimize(fun, start, args=args, method=name, **extra)


def _product(flat: Callable[..., Any]) -> Any:
    """Hessian times vector, as a function ``(x, v, *args)``: the gradient of a slope."""
    gradient = grad(flat)

    def slope(x: Any, v: Any, *args: Any) -> Any:
        return np.sum(gradient(x, *args) * v)

    return grad(slope)
