"""`curve_fit`: SciPy's signature, exact derivatives, the whole loop in one kernel."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.fitting.arguments import (
    NO_BOUNDS,
    as_bounds,
    as_floats,
    check_method,
    require_finite,
    spread_bounds,
)
from symdiff.fitting.models import Models, model_names
from symdiff.fitting.problem import Memory, Options
from symdiff.fitting.status import FitStatus

__all__ = ["curve_fit"]


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: bool = True,
    bounds: Any = NO_BOUNDS,
    method: str | None = None,
    jac: None = None,
    *,
    full_output: bool = False,
    gtol: float = 1e-8,
    max_steps: int = 1000,
) -> Any:
    """Fit a function to data by nonlinear least squares.

    Parameters
    ----------
    f : callable
        The model ``f(x, *params)``, an ordinary NumPy function.
    xdata : array_like
        What the model is given as ``x``: shape ``(n,)``, or ``(k, n)`` for k predictors.
    ydata : array_like
        The data, shape ``(n,)``, in the units of the model's value.
    p0 : array_like, optional
        Start, one number for each parameter. By default ones, or within the bounds.
    sigma : None, float, or array_like of shape (n,) or (n, n), optional
        Standard deviations of the data, or their covariance matrix.
    absolute_sigma : bool
        Whether `sigma` is meant in the units of `ydata`; otherwise the covariance is scaled by the
        residual variance.
    check_finite : bool
        Whether to refuse data that are not finite.
    bounds : 2-tuple of array_like
        Lower and upper bounds of the parameters.
    method : {None, "lm", "trf", "dogbox"}
        Accepted as SciPy's; one method does all. ``"lm"`` refuses bounds.
    jac : None
        The Jacobian is derived from `f`.
    full_output : bool
        Whether to give ``infodict, mesg, ier`` too.
    gtol : float
        It has converged when the residuals are orthogonal to the tangent plane up to this cosine,
        or up to their rounding errors.
    max_steps : int
        Steps tried in one search; up to four searches are made when one ends in a singular point.

    Returns
    -------
    popt : ndarray, shape (p,)
        The parameters.
    pcov : ndarray, shape (p, p)
        Their covariance. Infinite, with a `scipy.optimize.OptimizeWarning`, for a fit that did not
        converge or does not determine the parameters.
    infodict : dict
        Only with `full_output`: ``nfev, njev, nit, fvec, fjac`` (shape ``(p, n)``), ``status`` (a
        `FitStatus`), ``status_name, converged, compile_seconds``.
    mesg : str
        Only with `full_output`.
    ier : int
        Only with `full_output`: 1 when it converged, else 5 or more.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        The arguments do not fit each other.
    TracingError, UnsupportedOperationError
        The model cannot be traced; the message names the line.

    References
    ----------
    See `symdiff.fitting.levenberg_marquardt`.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> x = np.linspace(0.0, 4.0, 50)
    >>> y = 2.5 * np.exp(-1.3 * x)
    >>> popt, pcov = sd.curve_fit(lambda x, a, b: a * np.exp(-b * x), x, y, [1.0, 1.0])
    >>> popt.round(6)
    array([2.5, 1.3])
    """
    if jac is not None:
        raise ValueError("curve_fit derives the Jacobian itself: leave jac out")
    check_method(method)
    x = as_floats(xdata, "xdata")
    y = as_floats(ydata, "ydata")
    if y.ndim != 1 or not y.size:
        raise ShapeError(at_user_line(f"ydata has shape {y.shape}; it needs one axis of points"))
    if check_finite:
        require_finite(x, "xdata")
        require_finite(y, "ydata")
    box = as_bounds(bounds)
    start = _start(f, p0, box)
    p = start.size
    limits = None if box is None else spread_bounds(box, start, method)
    data, weights = [x, y], None
    if sigma is not None:
        weights = _weights(sigma, y.size)
        data.append(weights)
    if y.size < p:
        raise ShapeError(at_user_line(f"{y.size} points cannot determine {p} parameters"))
    key = (x.shape, y.size, p, None if weights is None else weights.ndim)
    plan, seconds = _MODELS.plan(f, key, [1.0] * p, data)
    options = _DEFAULT if gtol == 1e-8 and max_steps == 1000 else Options(0, 1.0, max_steps, gtol)
    status, memory = plan.minimize(start, limits, data, options)
    covariance = memory.covariance
    if status != FitStatus.CONVERGED:
        covariance = covariance.copy()
        _warn(status)
    elif not absolute_sigma:
        covariance = _scaled(covariance, memory.residuals, y.size - p)
    else:
        covariance = covariance.copy()
    result: Any = (memory.params.copy(), covariance)
    if full_output:
        result = (*result, *_details(status, memory, seconds))
    plan.release(memory)
    return result


_DEFAULT = Options()


def _residuals(f: Callable[..., Any], count: int) -> Callable[..., Any]:
    """The function that is traced: weighted differences between model and data."""

    def weighted(*arguments: Any) -> Any:
        params, (x, y, *weights) = arguments[:count], arguments[count:]
        value = f(x, *params)
        if getattr(value, "ndim", 0) > 1:
            raise ShapeError(
                at_user_line(f"the model gives rank {value.ndim}, the data have one axis")
            )
        difference = value - y
        if difference.shape != y.shape:
            raise ShapeError(at_user_line("the model's value has another length than the data"))
        if not weights:
            return difference
        return difference * weights[0] if weights[0].ndim < 2 else weights[0] @ difference

    weighted.__signature__ = _signature(f, count)
    return weighted


def _signature(f: Callable[..., Any], count: int) -> inspect.Signature:
    """Name the inputs of the Program as the user named the model's."""
    x, *params = model_names(f, count)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    taken = [*params, x, "ydata", "weights"]
    if len(set(taken)) < len(taken):
        taken = [f"p{k}" for k in range(count)] + ["xdata", "ydata", "weights"]
    return inspect.Signature([inspect.Parameter(name, kind) for name in taken])


_MODELS = Models(_residuals)


def _start(f: Callable[..., Any], p0: Any, box: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    if p0 is not None:
        start = np.asarray(p0, dtype=np.float64)
        if start.ndim == 0:
            start = start.reshape(1)
        if start.ndim != 1:
            raise ShapeError(at_user_line(f"p0 has shape {start.shape}; it needs one axis"))
        require_finite(start, "p0")
        return start
    count = _count_parameters(f)
    if box is None:
        return np.ones(count)
    lower, upper = (np.broadcast_to(b, (count,)) for b in box)
    middle = np.where(np.isfinite(lower), lower + 1.0, np.where(np.isfinite(upper), upper - 1, 1))
    both = np.isfinite(lower) & np.isfinite(upper)
    with np.errstate(invalid="ignore"):
        return np.where(both, 0.5 * (lower + upper), middle)


def _count_parameters(f: Callable[..., Any]) -> int:
    parameters = inspect.signature(f).parameters.values()
    if any(q.kind == q.VAR_POSITIONAL for q in parameters):
        raise ValueError("the model takes *params: give p0, so that their number is known")
    count = sum(q.kind in (q.POSITIONAL_ONLY, q.POSITIONAL_OR_KEYWORD) for q in parameters) - 1
    if count < 1:
        raise ValueError("the model has no parameters to fit")
    return count


def _weights(sigma: Any, n: int) -> np.ndarray:
    """Factors of the residuals: one each, or the inverse of the Cholesky factor of a matrix."""
    deviations = as_floats(sigma, "sigma")
    if deviations.ndim == 0:
        deviations = np.full(n, deviations)
    if deviations.shape == (n,):
        if not (deviations > 0).all():
            raise ValueError("sigma must be positive")
        return 1.0 / deviations
    if deviations.shape == (n, n):
        try:
            factor = np.linalg.cholesky(deviations)
        except np.linalg.LinAlgError:
            raise ValueError("sigma, a covariance matrix, must be positive definite") from None
        return np.linalg.inv(factor)
    raise ShapeError(at_user_line(f"sigma has shape {deviations.shape}, the data ({n},)"))


def _scaled(covariance: np.ndarray, residuals: np.ndarray, dof: int) -> np.ndarray:
    if dof <= 0:
        return np.full_like(covariance, np.inf)
    return covariance * (residuals.dot(residuals) / dof)


def _warn(status: int) -> None:
    from scipy.optimize import OptimizeWarning  # noqa: PLC0415 - 0.2 s, for a failure only

    message = f"curve_fit: {FitStatus(status).message}; the covariance is infinite"
    warnings.warn(message, OptimizeWarning, stacklevel=3)


def _details(code: int, memory: Memory, seconds: float) -> tuple[dict[str, Any], str, int]:
    status = FitStatus(code)
    steps, njev, nfev, _ = memory.counts.tolist()
    info = {
        "nfev": nfev + njev,
        "njev": njev,
        "nit": steps,
        "fvec": memory.residuals.copy(),
        "fjac": memory.jacobian.copy(),
        "status": status,
        "status_name": status.name.lower(),
        "converged": status is FitStatus.CONVERGED,
        "compile_seconds": seconds,
    }
    return info, status.message, 1 if status is FitStatus.CONVERGED else 4 + int(status)
