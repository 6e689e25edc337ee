"""`FitManyResult`: what `fit_many` gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.fitting.status import FitStatus
from symdiff.runtime.placement import to_host

__all__ = ["FitManyResult"]


@dataclass(frozen=True, eq=False)
class FitManyResult:
    """Parameters of many fits, how sure they are, and how each fit ended.

    The fields lie where the data lay, on a GPU too. All else is computed from them by NumPy, on the
    host: `to_host` copies them there, once.

    Attributes
    ----------
    params : ndarray, shape (n_fits, n_params)
    objective : ndarray, shape (n_fits,)
        The weighted sum of squares, the same of a robust loss, or the Poisson deviance.
    n_steps : ndarray, shape (n_fits,)
        Steps that were tried.
    status : ndarray, shape (n_fits,)
        A `FitStatus` each.
    names : tuple of str
        Of the parameters.
    free : tuple of int
        The parameters that were fitted.
    triangle : ndarray, shape (n_fits, n_free * (n_free + 1) / 2)
        The lower triangle of the covariance of those, row by row.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> x = np.arange(5.0)
    >>> line = lambda x, slope: slope * x
    >>> y = np.array([2.0 * x, [0.0, 1.0, np.nan, 3.0, 4.0], np.full(5, np.nan)])
    >>> result = sd.fit_many(line, x, y, p0=[1.0])
    >>> result.params[:, 0]
    array([2., 1., 1.])
    >>> sd.FitStatus(result.status[2]).message
    'there are fewer points than parameters'
    """

    params: np.ndarray
    objective: np.ndarray
    n_steps: np.ndarray
    status: np.ndarray
    names: tuple[str, ...]
    free: tuple[int, ...]
    triangle: np.ndarray

    def to_host(self) -> FitManyResult:
        """Give the same with NumPy arrays; it is itself where they are."""
        return self if isinstance(self.params, np.ndarray) else self._copied

    @cached_property
    def _copied(self) -> FitManyResult:
        fields = (self.params, self.objective, self.n_steps, self.status, self.triangle)
        params, objective, n_steps, status, triangle = to_host(fields)
        return FitManyResult(params, objective, n_steps, status, self.names, self.free, triangle)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariances, shape ``(n_fits, n_params, n_params)``, made when they are first asked for.

        Infinite for a fit that did not converge or does not determine its parameters; zero for
        parameters that were fixed.
        """
        host = self.to_host()
        n_fits, n_params = host.params.shape
        result = np.zeros((n_fits, n_params, n_params), host.params.dtype)
        column = 0
        for n, i in enumerate(self.free):
            for k in self.free[: n + 1]:
                result[:, i, k] = result[:, k, i] = host.triangle[:, column]
                column += 1
        result[~self.converged] = np.inf
        return result

    @cached_property
    def stderr(self) -> np.ndarray:
        """Standard errors, shape ``(n_fits, n_params)``."""
        host = self.to_host()
        result = np.zeros_like(host.params)
        diagonal = [n * (n + 3) // 2 for n in range(len(self.free))]
        result[:, list(self.free)] = np.sqrt(host.triangle[:, diagonal])
        result[~self.converged] = np.inf
        return result

    @cached_property
    def converged(self) -> np.ndarray:
        """Which fits converged, shape ``(n_fits,)``."""
        return self.to_host().status == FitStatus.CONVERGED

    def __len__(self) -> int:
        return len(self.params)

    def __repr__(self) -> str:
        n_fits, n_params = self.params.shape
        good = np.count_nonzero(self.converged)
        return f"<FitManyResult: {good} of {n_fits} fits of {n_params} parameters converged>"

    def summary(self) -> str:
        """Say how the fits ended, and how the parameters are spread over those that converged.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> x, a = np.arange(5.0), np.array([[1.0], [2.0], [3.0]])
        >>> print(sd.fit_many(lambda x, a, b: a * x + b, x, a * x + 1, p0=[1.0, 0.0]).summary())
        3 fits of 2 parameters, ...
              3 converged       the residuals are orthogonal to the tangent plane
        ...
        """
        n_fits = len(self)
        lines = [
            f"{n_fits} fits of {self.params.shape[1]} parameters, {self._mean_steps()} steps each"
        ]
        for code, count in zip(*np.unique(self.to_host().status, return_counts=True), strict=True):
            status = FitStatus(int(code))
            lines.append(f"  {count:>9} {status.name.lower():<15} {status.message}")
        good = self.to_host().params[self.converged]
        if len(good):
            errors = self.stderr[self.converged]
            width = max(9, *map(len, self.names))
            lines.append(f"{'':{width}} {'median':>12} {'5 %':>12} {'95 %':>12} {'stderr':>12}")
            for k, name in enumerate(self.names):
                low, middle, high = np.quantile(good[:, k], [0.05, 0.5, 0.95])
                row = (middle, low, high, np.median(errors[:, k]))
                lines.append(f"{name:{width}} " + " ".join(f"{v:12.6g}" for v in row))
        return "\n".join(lines)

    def _mean_steps(self) -> str:
        return f"{self.to_host().n_steps.mean():.1f}" if len(self) else "0"

    def plot(self, ax: Any = None) -> Any:
        """Draw histograms of the parameters of the fits that converged (extra ``plot``).

        Parameters
        ----------
        ax : sequence of matplotlib.axes.Axes, optional
            One for each parameter.

        Returns
        -------
        numpy.ndarray of matplotlib.axes.Axes
        """
        try:
            from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra
        except ImportError:
            raise ImportError("plot needs matplotlib: pip install 'symdiff-jit[plot]'") from None
        count = self.params.shape[1]
        if ax is None:
            _, ax = plt.subplots(
                1, count, figsize=(3.2 * count, 2.8), squeeze=False, layout="constrained"
            )
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) != count:
            raise ValueError(f"ax has {len(axes)} axes for {count} parameters")
        for a, name, values in zip(
            axes, self.names, self.to_host().params[self.converged].T, strict=True
        ):
            a.hist(values, bins=min(100, max(5, len(values) // 5)))
            a.set_xlabel(name)
        axes[0].set_ylabel("fits")
        return axes

    def to_xarray(self) -> Any:
        """Give an `xarray.Dataset` with the dimensions ``fit``, ``param`` and ``param_``.

        Raises
        ------
        ImportError
            xarray is not installed.
        """
        try:
            import xarray  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError("to_xarray needs xarray: pip install xarray") from None
        names, host = [*self.names], self.to_host()
        return xarray.Dataset(
            {
                "params": (("fit", "param"), host.params),
                "stderr": (("fit", "param"), self.stderr),
                "covariance": (("fit", "param", "param_"), self.covariance),
                "objective": ("fit", host.objective),
                "n_steps": ("fit", host.n_steps),
                "status": ("fit", host.status),
                "converged": ("fit", self.converged),
            },
            coords={"param": names, "param_": names},
        )
