"""What a training has done so far, and how it becomes a checkpoint and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdiff.errors import CacheError
from symdiff.trees import flatten, unflatten

__all__ = ["Done"]


@dataclass
class Done:
    """Parameters, state and losses after some steps."""

    params: Any
    state: Any
    step: int = 0
    losses: list[float] = field(default_factory=list)
    """The mean loss of each whole epoch."""
    validation: list[float] = field(default_factory=list)
    pending: list[np.ndarray] = field(default_factory=list)
    """The losses of the epoch that has begun."""
    best: Any = None
    """Parameters and state of the best epoch, where somebody wants to go back to it."""
    best_loss: float = math.inf
    waited: int = 0
    """Epochs since the best."""

    def add(
        self,
        params: Any,
        state: Any,
        losses: np.ndarray,
        per_epoch: int,
        validation: float | None = None,
    ) -> None:
        """Take over what some steps gave, and the validation loss where they end an epoch."""
        self.params, self.state = params, state
        if validation is not None:
            self.validation.append(validation)
        while losses.size:
            room = per_epoch - self.step % per_epoch
            now, losses = losses[:room], losses[room:]
            self.step += now.size
            self.pending.append(now)
            if self.step % per_epoch == 0:
                self.losses.append(float(np.mean(np.concatenate(self.pending))))
                self.pending = []

    def judge(self, loss: float) -> None:
        """Compare an epoch with the best so far."""
        if loss < self.best_loss:
            self.best_loss, self.waited = loss, 0
            self.best = (self.params, self.state)
        else:
            self.waited += 1

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Give numbers and arrays for a checkpoint."""
        numbers = {
            "step": self.step,
            "best_loss": self.best_loss,
            "waited": self.waited,
            "has_best": self.best is not None,
        }
        arrays = {
            "losses": np.array(self.losses),
            "validation": np.array(self.validation),
            "pending": np.concatenate([np.zeros(0), *self.pending]),
        }
        for name, tree in (("params", self.params), ("state", self.state), ("best", self.best)):
            for k, x in enumerate(flatten(tree)[0]):
                arrays[f"{name}_{k}"] = np.asarray(x)
        return numbers, arrays

    def resumed(self, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> Done:
        """Give what a checkpoint says, in the structure of this one.

        Raises
        ------
        CacheError
            Something is missing.
        """

        def restored(name: str, tree: Any) -> Any:
            leaves, structure = flatten(tree)
            return unflatten(structure, [arrays[f"{name}_{k}"] for k in range(len(leaves))])

        try:
            pair = (self.params, self.state)
            return Done(
                restored("params", self.params),
                restored("state", self.state),
                int(numbers["step"]),
                arrays["losses"].tolist(),
                arrays["validation"].tolist(),
                [arrays["pending"]] if arrays["pending"].size else [],
                restored("best", pair) if numbers["has_best"] else None,
                float(numbers["best_loss"]),
                int(numbers["waited"]),
            )
        except KeyError as error:
            raise CacheError(f"the checkpoint lacks {error}: start anew") from error
