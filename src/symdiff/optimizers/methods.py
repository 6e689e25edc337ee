"""The methods by name: what each needs of the function, how it starts and goes on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from symdiff.optimizers import (
    certificate,
    conjugate_gradient,
    descent,
    lbfgs,
    nelder_mead,
    trust_region,
)

__all__ = ["METHODS", "Method"]


class Method(NamedTuple):
    """A way to minimise.

    Attributes
    ----------
    needs : str
        ``"value"``, ``"gradient"``, ``"hessian"``, or ``"residuals"``.
    start : callable
        The state at a point.
    advance : callable
        ``advance(evaluate, box, state, tol, last_step, last_evaluation) -> (state, history)``.
    max_steps : callable
        The default, for so many variables.
    review : callable or None
        ``review(curvature, state, box, tol, args) -> state``: what to think of a state that says it
        has converged or stalled; None where it is believed.
    """

    needs: str
    start: Callable[..., Any]
    advance: Callable[..., Any]
    max_steps: Callable[[int], int]
    review: Callable[..., Any] | None = None


def _descent(rule: descent.Rule) -> Method:
    return Method(
        "gradient",
        functools.partial(descent.start, rule),
        functools.partial(descent.advance, rule),
        lambda n: 15_000 if n < 1000 else 15 * n,
        functools.partial(certificate.review, rule),
    )


METHODS = {
    "lbfgs": _descent(lbfgs.RULE),
    "cg": _descent(conjugate_gradient.RULE),
    "newton": Method("hessian", trust_region.start, trust_region.advance, lambda _: 1000),
    "gauss-newton": Method("residuals", trust_region.start, trust_region.advance, lambda _: 1000),
    "nelder-mead": Method("value", nelder_mead.start, nelder_mead.advance, lambda n: 2000 * n),
}
