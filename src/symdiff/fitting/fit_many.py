"""`fit_many`: one model, many data sets, each fit with its own end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from symdiff.fitting.device_driver import fit_all_on_device
from symdiff.fitting.lane_driver import Options, fit_all
from symdiff.fitting.lane_kernels import kernels_for
from symdiff.fitting.many_arguments import read_arguments
from symdiff.fitting.many_result import FitManyResult
from symdiff.fitting.models import model_names
from symdiff.runtime.placement import is_for_device

__all__ = ["fit_many"]


def fit_many(
    model: Callable[..., Any],
    x: Any,
    y: Any,
    p0: Any,
    *,
    weights: Any = None,
    bounds: Any = None,
    fixed: Any = None,
    estimator: Literal["least_squares", "poisson"] = "least_squares",
    loss: str = "linear",
    f_scale: float = 1.0,
    absolute_sigma: bool | None = None,
    max_steps: int = 100,
    tol: float | None = None,
    own_x: bool | None = None,
    target: str = "auto",
    progress: bool = False,
) -> FitManyResult:
    """Fit one model to many data sets.

    Parameters
    ----------
    model : callable
        ``model(x, *params)``, an ordinary NumPy function, as for `curve_fit`.
    x : array_like
        What the model is given: shape ``(n_points,)``, or ``(k, n_points)`` for k predictors; or
        one such array for each fit, with an axis of length ``n_fits`` in front.
    y : array_like, shape (n_fits, n_points), or sequence of arrays
        The data, one row a fit; may be memory-mapped, and is read in chunks. NaN marks a point that
        is missing. Arrays of different lengths are filled up with NaN. float32 data are fitted in
        float32, all others in float64.
    p0 : array_like, shape (n_params,) or (n_fits, n_params)
        Start, the same for all or one for each.
    weights : array_like, shape (n_points,) or (n_fits, n_points), optional
        1/variance of the data; 0 leaves a point out.
    bounds : 2-tuple of array_like, optional
        Lower and upper bounds, each a number or of shape ``(n_params,)`` or ``(n_fits, n_params)``.
    fixed : array_like of bool, shape (n_params,), optional
        Parameters that stay at their start.
    estimator : {"least_squares", "poisson"}
        What is minimized: the weighted sum of squares, or the Poisson deviance of counts, for
        which values of the model that are not positive are failed steps.
    loss : {"linear", "soft_l1", "huber", "cauchy", "arctan"}
        A robust loss of the residuals (times the root of their weight), as in `least_squares`.
    f_scale : float
        Residual at which the loss turns.
    absolute_sigma : bool, optional
        Whether the covariance is meant in the units of the weights, and not scaled by the residual
        variance. By default it is with weights, and for the Poisson deviance.
    max_steps : int
        Steps tried in each fit.
    tol : float, optional
        A fit has converged when the part of its residuals that better parameters could still take
        away is less than this part of them (the relative offset of Bates and Watts), or is lost in
        rounding. By default 1e-8, or 1e-4 in float32.
    own_x : bool, optional
        Whether `x` has an axis of fits in front. By default it has when it has three axes, or two
        of which the first is as long as there are fits.
    target : {"auto", "cpu", "cuda"}
        Where to fit; "auto" is where the data lie. On a GPU each fit has a thread; its results
        differ from those of the CPU by rounding. `y`, and what each fit has of its own of the other
        arguments, may be arrays on a GPU (CuPy's, PyTorch's, JAX's, numba's); then nothing is
        copied, and the results lie there too.
    progress : bool
        Whether to say on standard error how far it is.

    Returns
    -------
    FitManyResult
        Failed fits have a status that says so, and an infinite covariance; nothing raises for them.
        The same bits come out in any order, in any chunk and on any number of threads; but one
        missing point or weight of zero anywhere gives all fits a kernel that rounds differently.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        The arguments do not fit each other.
    DeviceError
        The target is not there.
    TracingError, UnsupportedOperationError
        The model cannot be traced; the message names the line.

    References
    ----------
    See `symdiff.fitting.lanes`.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> def decay(t, amplitude, rate):
    ...     return amplitude * np.exp(-rate * t)
    >>> t = np.linspace(0.0, 4.0, 30)
    >>> rates = np.array([0.5, 1.0, 1.5])
    >>> y = decay(t, 2.0, rates[:, None])
    >>> result = sd.fit_many(decay, t, y, p0=[1.0, 0.7])
    >>> result.params.round(6)
    array([[2. , 0.5],
           [2. , 1. ],
           [2. , 1.5]])
    >>> result.converged.all()
    np.True_
    """
    on_device = is_for_device(target, x, y, p0, weights)
    problem, data, is_absolute = read_arguments(
        x, y, p0, weights, bounds, fixed, estimator, loss, absolute_sigma, own_x
    )
    if tol is None:
        tol = 1e-4 if problem.dtype == "float32" else 1e-8
    for name, value in (("tol", tol), ("f_scale", f_scale), ("max_steps", max_steps)):
        if not value > 0:
            raise ValueError(f"{name} is {value}; it has to be positive")
    options = Options(float(tol), float(f_scale), int(max_steps), is_absolute, progress)
    if on_device:
        found = fit_all_on_device(model, problem, data, options)
    else:
        found = fit_all(kernels_for(model, problem), data, options)
    return FitManyResult(
        found.params,
        found.objective,
        found.n_steps,
        found.status,
        tuple(model_names(model, problem.n_params)[1:]),
        problem.free,
        found.covariance,
    )
