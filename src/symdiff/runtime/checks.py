"""`check_derivatives`: every derivative against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import SymdiffError
from symdiff.runtime.transforms import grad, jvp, vjp
from symdiff.tracing.conversion import convert
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["check_derivatives"]


def check_derivatives(
    f: Callable[..., Any],
    *args: Any,
    orders: tuple[int, ...] = (1, 2),
    rtol: float = 1e-5,
    atol: float = 1e-7,
    seed: int = 0,
    n_directions: int = 2,
) -> None:
    """Compare derivatives with central differences along random directions.

    Forward mode is compared with differences of the values, reverse mode with forward mode; for
    order 2 the same is done with the reverse-mode derivative in the place of the function.

    Parameters
    ----------
    f : callable
        Gives an array, a number, or a tree of those.
    *args : arrays or trees
        Where to compare; the function has to be smooth there. float64.
    orders : tuple of int
        Orders of derivatives.
    rtol, atol : float
        Tolerances relative to the largest entry, and absolute.
    seed : int
        Of the directions.
    n_directions : int
        How many directions are tried.

    Raises
    ------
    SymdiffError
        A derivative differs; the message names the order, the mode, and the worst entry.

    References
    ----------
    The recursion over orders is that of ``autograd.test_util.check_grads``.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.check_derivatives(lambda x: np.sin(x) * np.exp(x), np.linspace(0.0, 1.0, 5))
    """
    rng = np.random.default_rng(seed)
    for order in range(1, max(orders) + 1):
        function, point = _derivative(f, args, order - 1, rng)
        if order in orders:
            for _ in range(n_directions):
                _check(function, point, order, rng, rtol, atol)


def _derivative(
    f: Callable[..., Any], args: tuple[Any, ...], order: int, rng: np.random.Generator
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function that gives cotangents of the arguments, pulled back `order` times."""
    if order == 0:
        return f, args
    inner, point = _derivative(f, args, order - 1, rng)
    leaves, _ = flatten(inner(*point))
    weights = [rng.standard_normal(np.shape(x)) for x in leaves]

    traced = convert(inner)

    def pulled(*at: Any) -> Any:
        values, _ = flatten(traced(*at))
        return sum(np.sum(w * v) for w, v in zip(weights, values, strict=True))

    return grad(pulled, tuple(range(len(point)))), point


def _check(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    rng: np.random.Generator,
    rtol: float,
    atol: float,
) -> None:
    leaves, tree = flatten(args)
    point = [np.asarray(x, dtype=np.float64) for x in leaves]
    direction = [rng.standard_normal(x.shape) for x in point]
    _, tangent = jvp(f, unflatten(tree, point), unflatten(tree, direction))
    forward, _ = flatten(tangent)
    for n, (got, expected) in enumerate(
        zip(forward, _difference(f, tree, point, direction), strict=True)
    ):
        _compare(got, expected, f"order {order}, forward mode, output {n}", rtol, atol)
    value, pullback = vjp(f, *unflatten(tree, point))
    outputs, out_tree = flatten(value)
    weights = [rng.standard_normal(np.shape(x)) for x in outputs]
    cotangents, _ = flatten(pullback(unflatten(out_tree, weights)))
    along = sum(np.sum(c * d) for c, d in zip(cotangents, direction, strict=True))
    across = sum(np.sum(w * t) for w, t in zip(weights, forward, strict=True))
    _compare(along, across, f"order {order}, reverse mode against forward mode", rtol, atol)


def _difference(
    f: Callable[..., Any], tree: Tree, point: list[np.ndarray], direction: list[np.ndarray]
) -> list[np.ndarray]:
    """Central differences of fourth order along a direction."""
    size = max((float(np.abs(x).max(initial=0.0)) for x in point), default=0.0)
    h = 1e-3 * max(size, 1e-3) if size < 1 else 1e-3

    def at(step: float) -> list[Any]:
        moved = [x + step * d for x, d in zip(point, direction, strict=True)]
        return flatten(f(*unflatten(tree, moved)))[0]

    near = zip(at(h), at(-h), at(2 * h), at(-2 * h), strict=True)
    return [
        (8 * (np.asarray(a) - np.asarray(b)) - (np.asarray(c) - np.asarray(d))) / (12 * h)
        for a, b, c, d in near
    ]


def _compare(got: Any, expected: Any, what: str, rtol: float, atol: float) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    scale = float(np.abs(expected).max(initial=0.0))
    error = np.abs(got - expected)
    if np.all(error <= atol + rtol * scale):
        return
    worst = np.unravel_index(int(np.nanargmax(np.where(np.isnan(error), np.inf, error))), got.shape)
    raise SymdiffError(
        f"derivative of {what}: at {tuple(int(i) for i in worst)} it is {got[worst]:.10g}, "
        f"central differences give {expected[worst]:.10g}"
    )
