"""The demo's picture: data and fits, a panel a problem. Needs the extra ``plot``."""

import importlib.util
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symdiff.cli.measuring import Fit

__all__ = ["complaint", "draw"]

_SUFFIXES = (".pdf", ".png", ".svg")
_STYLES = {1: "-", 2: "--"}


def complaint(path: Path) -> str | None:
    """Say why a picture cannot be written to a file, if it cannot.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    str or None
        What is wrong and what to do, or None.

    Examples
    --------
    >>> complaint(Path("fits.txt"))
    "cannot write a picture to 'fits.txt'; its name must end in .pdf, .png or .svg"
    """
    if path.suffix.lower() not in _SUFFIXES:
        return f"cannot write a picture to '{path}'; its name must end in .pdf, .png or .svg"
    if not path.parent.is_dir():
        return f"cannot write a picture to '{path}'; there is no folder '{path.parent}'"
    if importlib.util.find_spec("matplotlib") is None:
        return "a picture needs matplotlib; install it with: pip install 'symdiff-jit[plot]'"
    return None


def draw(fits: Sequence[Fit], path: Path) -> None:
    """Draw data and fitted curves, a panel a problem.

    Parameters
    ----------
    fits
        In the order of the panels; the fits of one problem stand together.
    path
        A file whose name ends in .pdf, .png or .svg.

    Examples
    --------
    >>> from symdiff.cli.measuring import measure
    >>> from symdiff.nist import PROBLEMS
    >>> draw([measure(PROBLEMS["Misra1a"], 1)], Path("misra1a.png"))  # doctest: +SKIP
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    by_problem: dict[str, list[Fit]] = {}
    for fit in fits:
        by_problem.setdefault(fit.problem.name, []).append(fit)
    n_columns = math.ceil(math.sqrt(len(by_problem)))
    n_rows = math.ceil(len(by_problem) / n_columns)
    figure = Figure(figsize=(3.2 * n_columns, 2.6 * n_rows), layout="constrained")
    panels = iter(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for some in by_problem.values():
        _draw_problem(next(panels), some)
    for panel in panels:  # those that are left
        panel.set_axis_off()
    figure.savefig(path, dpi=120)


def _draw_problem(panel: Any, fits: Sequence[Fit]) -> None:
    dataset, problem = fits[0].dataset, fits[0].problem
    panel.plot(np.atleast_2d(dataset.x)[0], dataset.y, "o", color="0.6", markersize=2.5)
    for fit in fits:
        for color, x in enumerate(_grids(dataset.x)):
            with np.errstate(all="ignore"):  # of a fit that failed, the curve may not exist
                y = problem.model(x, *fit.params)
            panel.plot(np.atleast_2d(x)[0], y, _STYLES[fit.start], color=f"C{color}", linewidth=1.2)
    unsolved = [str(fit.start) for fit in fits if not fit.solved]
    note = f" (not solved from {', '.join(unsolved)})" if unsolved else ""
    panel.set_title(problem.name + note, fontsize=9)
    panel.tick_params(labelsize=7)


def _grids(x: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield predictors to draw a curve over; with two predictors, one for each second value."""
    first = np.atleast_2d(x)[0]
    grid = np.linspace(first.min(), first.max(), 300)
    if x.ndim == 1:
        yield grid
    else:
        for second in np.unique(x[1]):
            yield np.array([grid, np.full_like(grid, second)])
