"""How a training ended, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

__all__ = ["TrainProgress", "TrainResult", "TrainStatus"]


class TrainStatus(IntEnum):
    """How a training ended; each has a ``message``.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.TrainStatus(0).message
    'all epochs are done'
    """

    FINISHED = 0
    STOPPED_EARLY = 1
    STOPPED = 2
    INTERRUPTED = 3
    NOT_FINITE = 4

    @property
    def message(self) -> str:
        """Say it in a sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    TrainStatus.FINISHED: "all epochs are done",
    TrainStatus.STOPPED_EARLY: "the loss did not improve for as many epochs as patience allows",
    TrainStatus.STOPPED: "the callback stopped the training",
    TrainStatus.INTERRUPTED: "the training was interrupted from the keyboard",
    TrainStatus.NOT_FINITE: "the loss is not finite: try a smaller learning rate, or clip_by_norm",
}


@dataclass(frozen=True)
class TrainProgress:
    """Where a training is; what a callback is given.

    Attributes
    ----------
    epoch : int
        How many epochs are done.
    step : int
        How many steps are done.
    loss : float
        The mean of the losses since the last call of the callback.
    validation : float or None
        The last validation loss.
    params : tree
        The parameters now; new arrays at each call.
    """

    epoch: int
    step: int
    loss: float
    validation: float | None
    params: Any


@dataclass(frozen=True, repr=False)
class TrainResult:
    """What `sd.train` gives.

    Attributes
    ----------
    params : tree
        The parameters, as they were given.
    state : tree
        The state of the rule: the tree of parameters, with a state for each array.
    history : dict of str to ndarray
        ``"loss"``, the mean of the batches' losses in each epoch, each before its update, and
        ``"validation"``, the loss of the validation data after each epoch, if there are any.
    status : TrainStatus
    message : str
    n_steps, n_epochs : int
        How many are done, those before a checkpoint among them.
    seconds, compile_seconds : float
        What the steps took, and what tracing and compiling took.
    """

    params: Any
    state: Any
    history: dict[str, np.ndarray]
    status: TrainStatus
    message: str
    n_steps: int
    n_epochs: int
    seconds: float
    compile_seconds: float

    @property
    def success(self) -> bool:
        """Whether it went on to the last epoch, or stopped early as asked."""
        return self.status in (TrainStatus.FINISHED, TrainStatus.STOPPED_EARLY)

    def __repr__(self) -> str:
        losses = self.history["loss"]
        last = f", loss {losses[-1]:.6g}" if len(losses) else ""
        return (
            f"<TrainResult {self.status.name.lower()}: {self.n_epochs} epochs, {self.n_steps} steps"
            f"{last}>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses by epoch.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes otherwise.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        if ax is None:
            import matplotlib.pyplot as plt  # noqa: PLC0415 - an extra

            _, ax = plt.subplots()
        for name, values in self.history.items():
            ax.plot(np.arange(1, len(values) + 1), values, label=name)
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss")
        if all((values > 0).all() for values in self.history.values()):
            ax.set_yscale("log")
        ax.legend()
        return ax
