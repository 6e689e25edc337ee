"""What the demo prints: the table, the summary, a Jacobian, JSON."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import symdiff as sd
from symdiff.cli.measuring import Fit
from symdiff.nist import REQUIRED_DIGITS, Problem, load

__all__ = ["as_json", "as_table", "jacobian", "summary"]


def _digits(digits: float) -> str:
    return f"{math.floor(10 * digits) / 10:.1f}"  # never rounded up to what is required


# Two lines of heading, and how to write the cell.
_COLUMNS: tuple[tuple[str, str, Callable[[Fit], str]], ...] = (
    ("", "problem", lambda fit: fit.problem.name),
    ("", "level", lambda fit: fit.problem.difficulty),
    ("", "start", lambda fit: str(fit.start)),
    ("", "status", lambda fit: fit.status + ("" if fit.solved else " (!)")),
    ("digits", "params", lambda fit: _digits(fit.digits_params)),
    ("digits", "stderr", lambda fit: _digits(fit.digits_stderr)),
    ("", "steps", lambda fit: str(fit.n_steps)),
    ("", "us a fit", lambda fit: f"{fit.fit_us:.1f}"),
    ("digits", "SciPy", lambda fit: _digits(fit.scipy_digits_params)),
    ("us a fit", "SciPy", lambda fit: f"{fit.scipy_us:.0f}"),
    ("times", "faster", lambda fit: f"{fit.scipy_us / fit.fit_us:.1f}"),
    ("compile", "ms", lambda fit: f"{fit.compile_us / 1e3:.0f}"),
)
_N_TEXT_COLUMNS = 4


def as_json(fits: Sequence[Fit]) -> str:
    """Write the fits as one JSON list of objects; a number that is not finite becomes null.

    Parameters
    ----------
    fits
        What to write.

    Returns
    -------
    str
        The list, an object a line.

    Examples
    --------
    >>> as_json([])
    '[]'
    """
    return "[" + ",\n ".join(json.dumps(_plain(fit), allow_nan=False) for fit in fits) + "]"


def _plain(fit: Fit) -> dict[str, Any]:
    values = {
        "problem": fit.problem.name,
        "start": fit.start,
        "status": fit.status,
        "converged": fit.converged,
        "digits_params": fit.digits_params,
        "digits_stderr": fit.digits_stderr,
        "n_steps": fit.n_steps,
        "fit_us": fit.fit_us,
        "scipy_digits_params": fit.scipy_digits_params,
        "scipy_us": fit.scipy_us,
    }
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def as_table(fits: Sequence[Fit]) -> str:
    """Lay the fits out as a table; ``(!)`` marks one that is not solved.

    Parameters
    ----------
    fits
        One a row.

    Returns
    -------
    str
        The table with two lines of heading.

    Examples
    --------
    >>> print(as_table([]).splitlines()[1].split("  ")[0])
    problem
    """
    above, headings, cells = zip(*_COLUMNS, strict=True)
    rows = [above, headings, *([cell(fit) for cell in cells] for fit in fits)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if column < _N_TEXT_COLUMNS else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([*lines[:2], rule, *lines[2:]])


def summary(fits: Sequence[Fit]) -> str:
    """Say how many fits are solved, which are not, and how the times compare.

    Parameters
    ----------
    fits
        At least one.

    Returns
    -------
    str
        A few lines.
    """
    solved = ", ".join(
        f"{sum(fit.solved for fit in some)} of {len(some)} from start {start}"
        for start in (1, 2)
        if (some := [fit for fit in fits if fit.start == start])
    )
    unsolved = "".join(f"\n  {_complaint(fit)}" for fit in fits if not fit.solved)
    scipy_right = sum(fit.scipy_digits_params >= REQUIRED_DIGITS for fit in fits)
    ratios = [fit.scipy_us / fit.fit_us for fit in fits]
    compile_s = sum(fit.compile_us for fit in fits) / 1e6
    return f"""\
Solved, to at least {REQUIRED_DIGITS} certified digits of parameters and standard deviations:
  {solved}.
  (Lanczos1 is judged by its parameters: its residuals are rounding errors of float64.)
Not solved:{unsolved or " none"}
scipy.optimize.curve_fit has {REQUIRED_DIGITS} digits of the parameters in {scipy_right} of \
{len(fits)} fits.
SciPy takes {statistics.median(ratios):.1f} times as long for a fit (median; at least \
{min(ratios):.1f} times).
Tracing, differentiating and compiling took {compile_s:.1f} s in all, not counted there."""


def _complaint(fit: Fit) -> str:
    what = "converged, but not to the certified answer" if fit.converged else fit.status
    return f"{fit.problem.name} from start {fit.start}: {what}"


def jacobian(problem: Problem) -> str:
    """Write a model's derivatives by its parameters as formulas, as symdiff derives them.

    Parameters
    ----------
    problem
        Whose model.

    Returns
    -------
    str
        The model, then a line for each parameter.

    Examples
    --------
    >>> from symdiff.nist import PROBLEMS
    >>> print(jacobian(PROBLEMS["DanWood"]))
    Jacobian of DanWood, derived from danwood(x, b1, b2):
      f = ...
      df/db1 = ...
    """
    dataset = load(problem.name)
    point = (dataset.x[..., 0], *map(float, dataset.params))
    by_parameters = tuple(range(1, problem.n_params + 1))
    formulas = sd.grad(problem.model, argnums=by_parameters).formula(*point)
    model = f"{problem.model.__name__}(x, {', '.join(problem.parameters)})"
    return "\n".join(
        (
            f"Jacobian of {problem.name}, derived from {model}:",
            f"  f = {sd.jit(problem.model).formula(*point)}",
            *(
                f"  df/d{name} = {formula}"
                for name, formula in zip(problem.parameters, formulas, strict=True)
            ),
        )
    )
