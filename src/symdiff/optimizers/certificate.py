"""Whether a minimum that a descent claims is one: the exact Hessian's word.

A rule that knows the curvature along few directions may take a step for tiny only because its scale
is wrong. Its claim is therefore held against a step of Newton's method: how far that goes, and how
much it promises, is a measure of the gradient that has no units. A claim is granted at the root
of the tolerance it was made with, since the rule's last step was still a step of that method away.
Where the claim is wrong, the descent goes on along Newton's step. The same is asked where a line
search found no lower value: that may be a minimum, whose value is lost in rounding.

Up to `DENSE` variables the step is exact; eigenvalues count without their sign, as in a saddle
(Dauphin et al., "Identifying and attacking the saddle point problem", NeurIPS 2014). Beyond, it is
what conjugate gradients make of up to `PRODUCTS` products of the Hessian with a vector, which
promises too little rather than too much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers import line_search
from symdiff.optimizers.descent import LONGEST, Descent, Rule, held
from symdiff.optimizers.minimize_status import MinimizeStatus

__all__ = ["DENSE", "Curvature", "review"]

DENSE = 100
PRODUCTS = 100
SMALL_RESIDUAL = 1e-3
"""Relative to the gradient: a step that leaves no more of it is long enough."""

Box = tuple[np.ndarray, np.ndarray] | None


class Curvature(NamedTuple):
    """The Hessian, ``hessian(x, args)``, and ``product(x, v, args)`` with a vector."""

    hessian: Callable[..., Any]
    product: Callable[..., Any]


def review(
    rule: Rule, curvature: Curvature, state: Descent, box: Box, tol: float, args: tuple[Any, ...]
) -> Descent:
    """Say whether a state that has converged or stalled is a minimum, or make it go on.

    Parameters
    ----------
    rule : Rule
    curvature : Curvature
        Of the function that is minimized.
    state : Descent
        Its status is `CONVERGED`, which is a claim, or `STALLED`.
    box : pair of arrays, or None
        The bounds.
    tol : float
        Of the claim.
    args : tuple
        The function's further arguments.

    Returns
    -------
    Descent
        One that has `CONVERGED`; or that is `RUNNING`, along Newton's step; or that has `STALLED`,
        where that step is not finite or was tried in vain.
    """
    x, gradient = state.x, state.gradient
    free = np.ones_like(x) if box is None else 1 - held(x, gradient, box)
    slopes = free * gradient
    is_claimed = state.status == MinimizeStatus.CONVERGED
    if (is_claimed and rule.is_sure(state.memory)) or not slopes.any():
        return state._replace(status=np.int64(MinimizeStatus.CONVERGED))
    if x.size <= DENSE:
        step = newton_step(np.asarray(curvature.hessian(x, args)), slopes, free)
    else:
        step = truncated_step(lambda v: free * curvature.product(x, v, args), slopes)
    fall = -0.5 * (slopes @ step)
    if is_granted(state, step, fall, tol):
        return state._replace(status=np.int64(MinimizeStatus.CONVERGED))
    step = step.astype(x.dtype)
    was_tried = np.array_equal(step, state.direction)
    if was_tried or not (np.isfinite(step).all() and fall > 0):
        return state._replace(status=np.int64(MinimizeStatus.STALLED))
    number = x.dtype.type
    search = line_search.begin(number(state.value), number(-2 * fall), number(LONGEST))
    return state._replace(
        direction=step,
        step=number(1),
        memory=rule.forget(state.memory, True),
        fall=number(fall),
        search=search,
        status=np.int64(MinimizeStatus.RUNNING),
    )


def is_granted(state: Descent, step: np.ndarray, fall: float, tol: float) -> bool:
    """Whether Newton's step is as small as that of a minimum; see `stopping` for the three ways."""
    tol = max(tol, float(np.finfo(state.x.dtype).eps) ** (2 / 3))
    is_small = bool((np.abs(step) <= tol**0.5 * np.abs(state.x)).all())
    is_level = fall <= tol * abs(float(state.value))
    is_nothing = fall <= tol**2 * float(state.first_value - state.value)
    return is_small or is_level or is_nothing


def newton_step(hessian: np.ndarray, slopes: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Solve for the step in units that the diagonal gives; what is not free stays."""
    if not np.isfinite(hessian).all():
        return np.full_like(slopes, np.nan)
    root = np.sqrt(np.abs(np.diagonal(hessian)))
    units = free / np.where(root > 0, root, 1)
    roots, vectors = np.linalg.eigh(hessian * np.outer(units, units))
    size = np.abs(roots)
    floor = np.finfo(slopes.dtype).eps * np.sum(size)
    return -units * (vectors @ ((vectors.T @ (units * slopes)) / np.maximum(size, floor or 1)))


def truncated_step(product: Callable[[np.ndarray], Any], slopes: np.ndarray) -> np.ndarray:
    """Solve for the step by conjugate gradients, as far as the curvature is positive."""
    step = np.zeros_like(slopes)
    residual, direction = -slopes, -slopes
    square = enough = slopes @ slopes
    for _ in range(PRODUCTS):
        image = product(direction)
        curvature = direction @ image
        if not curvature > 0:
            is_begin = not step.any() and curvature < 0
            return square / -curvature * direction if is_begin else step
        length = square / curvature
        step = step + length * direction
        residual = residual - length * image
        before, square = square, residual @ residual
        if square <= SMALL_RESIDUAL**2 * enough:
            break
        direction = residual + square / before * direction
    return step
