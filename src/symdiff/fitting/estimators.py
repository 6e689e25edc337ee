"""What is minimized: sums of squares, robust losses of them, the Poisson deviance.

All are sums over points of a function of the model's value there. Of each the solver needs the
value, half the derivative, and half of a curvature that is never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.fitting import levenberg_marquardt as lm
from symdiff.fitting.lane_algebra import Algebra
from symdiff.fitting.lanes import Sums

__all__ = ["LOSSES", "Estimator", "Weighting", "data_sizes", "sum_points"]


class Weighting(NamedTuple):
    """Weights of the points, and whether some are zero: those count for nothing, NaN or not."""

    weights: Any
    has_gaps: bool


class Estimator(NamedTuple):
    """Which function of value and data: ``"least_squares"`` with a loss, or ``"poisson"``."""

    name: str
    loss: str = "linear"

    @property
    def is_linear(self) -> bool:
        """Whether the weights of the points stay as they are."""
        return self.loss == "linear"


def _soft_l1(z: Any) -> tuple[Any, Any, Any]:
    t = 1.0 + z
    root = np.sqrt(t)
    first = 1.0 / root
    return 2.0 * (root - 1.0), first, -0.5 * first / t


def _huber(z: Any) -> tuple[Any, Any, Any]:
    is_near = z <= 1.0
    safe = np.where(is_near, 1.0, z)
    first = 1.0 / np.sqrt(safe)
    value = np.where(is_near, z, 2.0 * np.sqrt(safe) - 1.0)
    return value, first, np.where(is_near, 0.0, -0.5 * first / safe)


def _cauchy(z: Any) -> tuple[Any, Any, Any]:
    first = 1.0 / (1.0 + z)
    return np.log1p(z), first, -first * first


def _arctan(z: Any) -> tuple[Any, Any, Any]:
    first = 1.0 / (1.0 + z * z)
    return np.arctan(z), first, -2.0 * z * first * first


LOSSES: dict[str, Callable[[Any], tuple[Any, Any, Any]] | None] = {
    "linear": None,
    "soft_l1": _soft_l1,
    "huber": _huber,
    "cauchy": _cauchy,
    "arctan": _arctan,
}
"""Value and first two derivatives of each loss of `scipy.optimize.least_squares`."""


def _squares(loss: str, f_scale: Any, value: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Contributions of points to a sum of squares or of a loss of them.

    The curvature is that of Triggs et al., *Bundle adjustment*, 2000, section 4.3, as in SciPy.
    """
    residual = value - y
    scaled = residual if weights is None else weights * residual
    rho = LOSSES[loss]
    if rho is None:
        return scaled * residual, scaled, weights
    square = f_scale * f_scale
    z = scaled * residual / square
    cost, first, second = rho(z)
    curvature = np.maximum(first + 2.0 * second * z, lm.EPS)
    return square * cost, first * scaled, curvature if weights is None else weights * curvature


def _deviances(value: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Contributions to the Poisson deviance, with the expected curvature (Fisher scoring).

    A value that is not positive makes the deviance infinite, so that a step to there fails.
    """
    is_valid = value > 0.0
    mean = np.where(is_valid, value, 1.0)
    inverse = 1.0 / mean
    is_counted = y > 0.0
    ratio = y * inverse
    logarithm = np.log(np.where(is_counted, ratio, 1.0))
    deviance = 2.0 * (mean - y + y * logarithm)
    deviance = np.where(is_valid, np.maximum(deviance, 0.0), np.inf)
    slope = 1.0 - ratio
    if weights is None:
        return deviance, slope, inverse
    return weights * deviance, weights * slope, weights * inverse


def sum_points(
    estimator: Estimator,
    f_scale: Any,
    value: Any,
    columns: Sequence[Any],
    y: Any,
    weighting: Weighting | None,
    algebra: Algebra,
) -> Sums:
    """Add up over the points, the first axis.

    Parameters
    ----------
    value : array, shape (n_points, lanes)
    columns : sequence of arrays of that shape
        Derivatives by the parameters that are fitted.
    """
    weights = None if weighting is None else weighting.weights
    if estimator.name == "poisson":
        cost, slope, curvature = _deviances(value, y, weights)
    else:
        cost, slope, curvature = _squares(estimator.loss, f_scale, value, y, weights)
    if weighting is not None and weighting.has_gaps:
        is_used = weighting.weights > 0.0
        cost = np.where(is_used, cost, 0.0)
        slope = np.where(is_used, slope, 0.0)
        columns = [np.where(is_used, c, 0.0) for c in columns]
    gradient = [np.sum(c * slope, axis=0) for c in columns]
    scaled = [c if curvature is None else c * curvature for c in columns]
    return Sums(np.sum(cost, axis=0), gradient, algebra.products(scaled, columns))


def data_sizes(estimator: Estimator, eps: float, y: Any, weighting: Weighting | None) -> Any:
    """Norm of the data of each lane, and what rounding adds to the objective beside."""
    weights = 1.0 if weighting is None else weighting.weights
    if estimator.name == "poisson":
        size = np.sum(weights * y, axis=0)
        return np.sqrt(size), 4.0 * eps * size
    size = np.sum(weights * y * y, axis=0)
    return np.sqrt(size), 0.0
