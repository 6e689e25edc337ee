"""How a minimization ended."""

from enum import IntEnum

__all__ = ["MinimizeStatus"]


class MinimizeStatus(IntEnum):
    """How `sd.minimize` ended; only `CONVERGED` is a success.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.MinimizeStatus(3).message
    'no step decreases the function, though its gradient is not zero'
    """

    CONVERGED = 0
    MAX_STEPS = 1
    INTERRUPTED = 2
    STALLED = 3
    NOT_FINITE = 4
    UNBOUNDED = 5
    RUNNING = 6

    @property
    def message(self) -> str:
        """Say it in a sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    MinimizeStatus.CONVERGED: "the next step would change x or f by less than the tolerance",
    MinimizeStatus.MAX_STEPS: "the number of steps reached its limit",
    MinimizeStatus.INTERRUPTED: "it was stopped before it converged",
    MinimizeStatus.STALLED: "no step decreases the function, though its gradient is not zero",
    MinimizeStatus.NOT_FINITE: "the function or its derivative is not finite at the start",
    MinimizeStatus.UNBOUNDED: "the function decreases without bound",
    MinimizeStatus.RUNNING: "it goes on",
}
