"""Reading NIST's data files: data, starting points and certified answers."""

import re
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "load", "parse"]

# "  b1 =   500   250   2.3894212918E+02  2.7070075241E+00": two starts, parameter, its deviation
_PARAMETER_LINE = re.compile(r"^ *b\d+ *=" + r" +(\S+)" * 4 + r" *$", re.MULTILINE)
_DATA_LINES = re.compile(r"Data +\(lines +(\d+) to +(\d+)\)")
_RESIDUAL_SUM = re.compile(r"Residual Sum of Squares: +(\S+)")


@dataclass(frozen=True)
class Dataset:
    """Data and certified answers of one problem.

    Parameters
    ----------
    name
        The data set's name at NIST.
    x
        The predictor, shape ``(n_points,)``; with k > 1 predictors ``(k, n_points)``.
    y
        The response, shape ``(n_points,)``; of Nelson its logarithm, which the model is for.
    starts
        The two starting points, shape ``(2, n_params)``, the harder one first.
    params
        The certified parameters, shape ``(n_params,)``.
    stderr
        Their certified standard deviations, shape ``(n_params,)``.
    residual_sum
        The certified residual sum of squares.

    Examples
    --------
    >>> dataset = load("Misra1a")
    >>> dataset.x.shape, dataset.starts[0], dataset.dof
    ((14,), array([5.e+02, 1.e-04]), 12)
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    starts: NDArray[np.float64]
    params: NDArray[np.float64]
    stderr: NDArray[np.float64]
    residual_sum: float

    @property
    def dof(self) -> int:
        """Observations less parameters.

        Not read from the file: Rat43's prints 9 where 15 observations and 4 parameters leave 11,
        which is what its residual standard deviation was computed with.
        """
        return self.y.size - self.params.size


def load(name: str) -> Dataset:
    """Read one of the data sets that come with the package.

    Parameters
    ----------
    name
        A key of `symdiff.nist.PROBLEMS`.

    Returns
    -------
    Dataset
        The data with the certified answers.

    Raises
    ------
    FileNotFoundError
        If there is no data set of that name.

    Examples
    --------
    >>> load("Nelson").x.shape
    (2, 128)
    """
    path = resources.files("symdiff.nist").joinpath("data", f"{name}.dat")
    return parse(name, path.read_text(encoding="ascii"))


def parse(name: str, text: str) -> Dataset:
    """Read the text of a file in NIST's format.

    Parameters
    ----------
    name
        The data set's name.
    text
        The whole file. Its head says in which lines the data stand.

    Returns
    -------
    Dataset
        The data with the certified answers.

    Raises
    ------
    ValueError
        If the text is not in NIST's format.

    Examples
    --------
    >>> parse("mine", "1.0 2.0")
    Traceback (most recent call last):
    ValueError: mine: not a file in NIST's format (no line that says where the data are)
    """
    span = _DATA_LINES.search(text)
    if span is None:
        msg = f"{name}: not a file in NIST's format (no line that says where the data are)"
        raise ValueError(msg)
    residual_sum = _RESIDUAL_SUM.search(text)
    parameters = _PARAMETER_LINE.findall(text)
    if residual_sum is None or not parameters:
        raise ValueError(f"{name}: not a file in NIST's format (no certified values)")

    first, last = map(int, span.groups())
    y, *predictors = np.array(
        [line.split() for line in text.splitlines()[first - 1 : last]], float
    ).T
    start1, start2, params, stderr = np.array(parameters, float).T
    return Dataset(
        name=name,
        x=np.array(predictors if len(predictors) > 1 else predictors[0]),
        # The certified values are for log(y) (see the model in Nelson.dat).
        y=np.log(y) if name == "Nelson" else y.copy(),
        starts=np.array([start1, start2]),
        params=params.copy(),
        stderr=stderr.copy(),
        residual_sum=float(residual_sum[1]),
    )
