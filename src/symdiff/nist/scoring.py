"""How many certified digits an answer has."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["CERTIFIED_DIGITS", "REQUIRED_DIGITS", "certified_digits", "is_solved"]

#: NIST certifies its values to this many significant digits; more cannot be claimed.
CERTIFIED_DIGITS = 11

#: An answer with fewer digits, of its parameters or their standard deviations, is no solution.
REQUIRED_DIGITS = 6

# The residuals of Lanczos1 are some hundred units in the last place of float64: its standard
# deviations are those of rounding errors, and only its parameters can be judged.
_JUDGED_BY_PARAMETERS = frozenset({"Lanczos1"})


def certified_digits(estimate: ArrayLike, certified: ArrayLike) -> float:
    """Count the digits in which an estimate agrees with certified values, the worst entry's.

    Parameters
    ----------
    estimate, certified
        Numbers or arrays of one shape; no certified value is zero.

    Returns
    -------
    float
        The least log relative error ``-log10(abs(estimate - certified) / abs(certified))`` over
        the entries, between 0 and `CERTIFIED_DIGITS`; 0 when an estimate is not finite.

    References
    ----------
    B. D. McCullough, Assessing the reliability of statistical software: Part I, The American
    Statistician 52 (1998), 358-366.

    Examples
    --------
    >>> certified_digits([1.001, 2.0], [1.0, 2.0])
    3.0
    >>> certified_digits(float("nan"), 1.0)
    0.0
    """
    estimate, certified = np.broadcast_arrays(np.asarray(estimate, float), np.asarray(certified))
    if not np.isfinite(estimate).all():
        return 0.0
    error = float(np.max(np.abs(estimate / certified - 1)))
    if error <= 10.0**-CERTIFIED_DIGITS:
        return float(CERTIFIED_DIGITS)
    return max(0.0, -float(np.log10(error)))


def is_solved(name: str, digits_params: float, digits_stderr: float) -> bool:
    """Say whether an answer has the digits that a solution must have.

    Parameters
    ----------
    name
        The problem's name. Lanczos1 is judged by its parameters alone, because its residuals are
        rounding errors of float64.
    digits_params, digits_stderr
        The certified digits of the parameters and of their standard deviations.

    Returns
    -------
    bool
        Whether both (of Lanczos1 the first) are at least `REQUIRED_DIGITS`.

    Examples
    --------
    >>> is_solved("Misra1a", 8.0, 3.0), is_solved("Lanczos1", 8.0, 3.0)
    (False, True)
    """
    judged = (digits_params,) if name in _JUDGED_BY_PARAMETERS else (digits_params, digits_stderr)
    return min(judged) >= REQUIRED_DIGITS
