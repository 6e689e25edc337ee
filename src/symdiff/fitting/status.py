"""How a fit ended."""

from enum import IntEnum

from symdiff.fitting import levenberg_marquardt as lm

__all__ = ["FitStatus"]

TOO_FEW_POINTS = 6
"""Of `fit_many` only: the others raise."""

_MESSAGES = {
    lm.CONVERGED: "the residuals are orthogonal to the tangent plane",
    lm.SINGULAR: "the data do not determine all parameters there: the Jacobian is singular",
    lm.MAX_STEPS: "the number of steps reached its limit",
    lm.STALLED: "no step decreases the cost, though the gradient is not zero",
    lm.NOT_FINITE: "the residuals or their derivatives are not finite",
    TOO_FEW_POINTS: "there are fewer points than parameters",
}


class FitStatus(IntEnum):
    """How a fit ended; only `CONVERGED` is a success.

    Examples
    --------
    >>> FitStatus(1).message
    'the residuals are orthogonal to the tangent plane'
    """

    CONVERGED = lm.CONVERGED
    SINGULAR = lm.SINGULAR
    MAX_STEPS = lm.MAX_STEPS
    STALLED = lm.STALLED
    NOT_FINITE = lm.NOT_FINITE
    TOO_FEW_POINTS = TOO_FEW_POINTS

    @property
    def message(self) -> str:
        """Say it in a sentence."""
        return _MESSAGES[int(self)]
