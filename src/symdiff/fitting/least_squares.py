"""`least_squares`: SciPy's signature and result, exact Jacobian, the whole loop in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.fitting.arguments import (
    NO_BOUNDS,
    as_bounds,
    as_floats,
    check_method,
    spread_bounds,
)
from symdiff.fitting.models import Models
from symdiff.fitting.problem import Memory, Options
from symdiff.fitting.status import FitStatus

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

__all__ = ["least_squares"]

_LOSSES = {"linear": 0, "soft_l1": 1, "huber": 2, "cauchy": 3, "arctan": 4}


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    bounds: Any = NO_BOUNDS,
    method: str | None = None,
    *,
    gtol: float = 1e-8,
    loss: str = "linear",
    f_scale: float = 1.0,
    max_nfev: int | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> OptimizeResult:
    """Minimise half the sum of squares of residuals, or of a robust loss of them.

    Parameters
    ----------
    fun : callable
        The residuals ``fun(x, *args, **kwargs)``, an ordinary NumPy function of an array of shape
        ``(p,)``, giving an array of any shape.
    x0 : array_like
        Start, shape ``(p,)`` or a number.
    jac : None or str
        The Jacobian is derived from `fun`; the names of SciPy's difference schemes are accepted.
    bounds : 2-tuple of array_like or `scipy.optimize.Bounds`
        Lower and upper bounds.
    method : {None, "lm", "trf", "dogbox"}
        Accepted as SciPy's; one method does all. ``"lm"`` refuses bounds.
    gtol : float
        It has converged when the residuals are orthogonal to the tangent plane up to this cosine.
    loss : {"linear", "soft_l1", "huber", "cauchy", "arctan"}
        As SciPy defines them.
    f_scale : float
        Residual at which the loss turns, in the units of the residuals.
    max_nfev : int, optional
        Steps tried in one search, 1000 by default.
    args, kwargs
        More arguments of `fun`: arrays are data, other objects constants.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, cost, fun, jac`` (shape ``(m, p)``), ``grad, optimality, active_mask, nfev, njev, nit,
        status`` (1 when it converged, 0 when `max_nfev` was reached, negative otherwise),
        ``message, success``.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        The arguments do not fit each other.
    TracingError, UnsupportedOperationError
        The function cannot be traced; the message names the line.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rosenbrock = lambda x: np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    >>> sd.least_squares(rosenbrock, [-1.2, 1.0]).x
    array([1., 1.])
    """
    if callable(jac):
        raise ValueError("least_squares derives the Jacobian itself: leave jac out")  # noqa: TRY004
    if loss not in _LOSSES:
        raise ValueError(f"loss {loss!r} is unknown; allowed are {', '.join(_LOSSES)}")
    check_method(method)
    if not f_scale > 0:
        raise ValueError(f"f_scale must be positive; got {f_scale}")
    start = np.atleast_1d(as_floats(x0, "x0"))
    if start.ndim != 1:
        raise ShapeError(at_user_line(f"x0 has shape {start.shape}; it needs at most one axis"))
    box = as_bounds(bounds)
    limits = None if box is None else spread_bounds(box, start, method)
    static = tuple(sorted((kwargs or {}).items()))
    data = [np.asarray(a, order="C") if _is_data(a) else a for a in args]
    key = (start.size, static, tuple([_key(a) for a in data]))
    plan, _ = _MODELS.plan(fun, key, [start], [*data, dict(static)] if static else data)
    options = Options(_LOSSES[loss], float(f_scale), max_nfev or 1000, gtol)
    arrays = [a for a in data if isinstance(a, np.ndarray)]
    code, memory = plan.minimize(start, limits, arrays, options)
    result = _result(code, memory, limits, options)
    plan.release(memory)
    return result


def _is_data(a: Any) -> bool:
    return isinstance(a, (np.ndarray, np.generic, int, float)) and not isinstance(a, bool)


def _key(a: Any) -> Any:
    return (a.shape, a.dtype.name) if isinstance(a, np.ndarray) else a


def _residuals(fun: Callable[..., Any], _count: int) -> Callable[..., Any]:
    """The function that is traced: residuals in one row."""

    def flat(x: Any, *data: Any) -> Any:
        named: Mapping[str, Any] = {}
        if data and isinstance(data[-1], dict):
            *data, named = data  # type: ignore[assignment]
        return np.ravel(fun(x, *data, **named))

    return flat


_MODELS = Models(_residuals)


def _result(code: int, memory: Memory, limits: Any, options: Options) -> OptimizeResult:
    from scipy.optimize import OptimizeResult  # noqa: PLC0415 - 0.2 s at import

    from symdiff.fitting.levenberg_marquardt import (  # noqa: PLC0415
        apply_loss,
        scale_by_loss,
    )

    status = FitStatus(code)
    x, residuals = memory.params.copy(), memory.residuals.copy()
    scaled, rows = residuals.copy(), memory.jacobian.copy()
    if options.loss:
        scale_by_loss(options.loss, options.f_scale, scaled, rows)
    gradient = rows @ scaled
    mask = np.zeros(x.size, np.int64)
    if limits is not None:
        mask = np.where(x <= limits[0], -1, np.where(x >= limits[1], 1, 0))
    held = (mask != 0) & (gradient * mask < 0)
    steps, njev, nfev, _ = memory.counts.tolist()
    return OptimizeResult(
        x=x,
        cost=0.5 * apply_loss(options.loss, options.f_scale, residuals),
        fun=residuals,
        jac=rows.T,
        grad=gradient,
        optimality=float(np.abs(np.where(held, 0.0, gradient)).max(initial=0.0)),
        active_mask=mask,
        nfev=nfev + njev,
        njev=njev,
        nit=steps,
        status={FitStatus.CONVERGED: 1, FitStatus.MAX_STEPS: 0}.get(status, -int(status)),
        message=status.message,
        success=status is FitStatus.CONVERGED,
    )
