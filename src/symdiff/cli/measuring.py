"""One fit, by symdiff and by SciPy: how right and how fast."""

import contextlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

import symdiff as sd
from symdiff.nist import Dataset, Problem, certified_digits, is_solved, load

__all__ = ["Fit", "measure", "median_time"]


@dataclass(frozen=True)
class Fit:
    """What is known of one fit. Times are in microseconds, medians of whole calls.

    Parameters
    ----------
    problem, start
        The problem, and 1 or 2.
    dataset
        Its data and certified answers.
    params
        The parameters found.
    status, converged, n_steps
        What ``sd.curve_fit`` says of the fit.
    digits_params, digits_stderr
        Certified digits of the parameters and of their standard deviations, the worst entry's.
    fit_us, compile_us
        The time of a fit, and how much longer the first call took, which traces and compiles.
    scipy_digits_params, scipy_us
        The same for ``scipy.optimize.curve_fit``; 0 digits where it raises.
    """

    problem: Problem
    start: int
    dataset: Dataset
    params: NDArray[np.float64]
    status: str
    converged: bool
    digits_params: float
    digits_stderr: float
    n_steps: int
    fit_us: float
    compile_us: float
    scipy_digits_params: float
    scipy_us: float

    @property
    def accurate(self) -> bool:
        """Whether the answer has the digits of a solution, whatever the solver says of it."""
        return is_solved(self.problem.name, self.digits_params, self.digits_stderr)

    @property
    def solved(self) -> bool:
        """Whether the fit converged, says so, and is right."""
        return self.converged and self.accurate


def measure(problem: Problem, start: int) -> Fit:
    """Fit a problem from one of its starting points with symdiff and with SciPy.

    Parameters
    ----------
    problem
        A value of `symdiff.nist.PROBLEMS`.
    start
        1 or 2.

    Returns
    -------
    Fit
        The answers' digits and the times.

    Examples
    --------
    >>> from symdiff.nist import PROBLEMS
    >>> fit = measure(PROBLEMS["Misra1a"], 2)
    >>> fit.solved, fit.fit_us < fit.scipy_us
    (True, True)
    """
    dataset = load(problem.name)
    data = problem.model, dataset.x, dataset.y, dataset.starts[start - 1]

    began = time.perf_counter()
    sd.curve_fit(*data)
    first_us = (time.perf_counter() - began) * 1e6
    fit_us = median_time(lambda: sd.curve_fit(*data))
    params, covariance, info, _, _ = sd.curve_fit(*data, full_output=True)

    scipy_params, scipy_us = _fit_with_scipy(*data)
    return Fit(
        problem=problem,
        start=start,
        dataset=dataset,
        params=params,
        status=info["status_name"],
        converged=bool(info["converged"]),
        digits_params=certified_digits(params, dataset.params),
        digits_stderr=certified_digits(_standard_deviations(covariance), dataset.stderr),
        n_steps=int(info["nit"]),
        fit_us=fit_us,
        compile_us=max(0.0, first_us - fit_us),
        scipy_digits_params=certified_digits(scipy_params, dataset.params),
        scipy_us=scipy_us,
    )


def median_time(
    call: Callable[[], object], *, least_runs: int = 5, most_runs: int = 1000, seconds: float = 0.1
) -> float:
    """Time a call that has been warmed up.

    Parameters
    ----------
    call
        What to time.
    least_runs, most_runs
        Bounds on the number of calls.
    seconds
        How long to go on calling, within these bounds.

    Returns
    -------
    float
        The median time of one call, in microseconds.

    Examples
    --------
    >>> median_time(lambda: None, seconds=0.001) < 100
    True
    """
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least_runs or (len(times) < most_runs and time.perf_counter() < end):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1e6


def _fit_with_scipy(
    model: Callable[..., Any],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    start: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """Return SciPy's parameters (NaN where it raises) and the median time of a call."""
    params = np.full(start.shape, np.nan)

    def fit() -> None:
        nonlocal params
        with contextlib.suppress(RuntimeError):  # its way to say that the fit did not converge
            params, _ = scipy.optimize.curve_fit(model, x, y, start)

    # Overflows at trial points and a covariance that could not be estimated are SciPy's own affair.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        scipy_us = median_time(fit)
    return params, scipy_us


def _standard_deviations(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a negative variance gives NaN, which scores 0
        return np.sqrt(np.diag(covariance))
