"""The loop around the kernel: as many steps a call as take a tenth of a second.

So the interpreter has no part in a step, and yet keys, callbacks and checkpoints are looked after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.optimizers.bar import Bar
from symdiff.optimizers.checkpoints import Writer
from symdiff.optimizers.history import Done
from symdiff.optimizers.status import TrainProgress, TrainStatus
from symdiff.optimizers.steps import MAX_STEPS, Order
from symdiff.trees import map_leaves

__all__ = ["Pace", "Plan", "run"]

CALL_SECONDS = 0.1
"""How long a call of the kernel should take: nothing interrupts it."""
GROWTH = 8
CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """What is to be done; ``validate`` gives the validation loss of parameters."""

    kernel: Callable[..., Any]
    data: tuple[np.ndarray, ...]
    order: Order
    total: int
    validate: Callable[[Any], float] | None
    patience: int | None
    callback: Callable[[TrainProgress], Any] | None
    callback_every: int
    writer: Writer | None
    header: dict[str, Any]

    @property
    def per_epoch(self) -> int:
        """How many steps make an epoch."""
        return int(self.order.per_epoch)


def run(plan: Plan, done: Done, bar: Bar) -> TrainStatus:
    """Train on from what is done, which is brought up to date."""
    try:
        return _run(plan, done, bar)
    except KeyboardInterrupt:
        return TrainStatus.INTERRUPTED
    finally:
        bar.close()


def _run(plan: Plan, done: Done, bar: Bar) -> TrainStatus:
    room = np.zeros(MAX_STEPS)
    pace = Pace()
    seen: list[np.ndarray] = []
    saved = time.perf_counter()
    while done.step < plan.total:
        if plan.patience is not None and done.waited > plan.patience:
            return TrainStatus.STOPPED_EARLY
        first = done.step
        count = min(pace.steps, _to_boundary(plan, first))
        began = time.perf_counter()
        params, state, losses = plan.kernel(
            done.params, done.state, plan.data, plan.order, first, count, room
        )
        pace.saw(count, time.perf_counter() - began)
        losses = losses[:count]
        if not np.isfinite(losses).all():
            return TrainStatus.NOT_FINITE
        # Before anything is taken over: whoever is interrupted here has the epoch still before him.
        validation = _validation(plan, first + count, params)
        done.add(params, state, losses, plan.per_epoch, validation)
        if plan.patience is not None and done.step % plan.per_epoch == 0:
            done.judge((done.validation or done.losses)[-1])
        bar.show(done.step, float(losses[-1]))
        if plan.callback is not None:
            seen.append(losses)
            if done.step % plan.callback_every == 0 or done.step == plan.total:
                if plan.callback(_progress(plan, done, np.concatenate(seen))) is True:
                    return TrainStatus.STOPPED
                seen.clear()
        if plan.writer is not None and time.perf_counter() - saved > CHECKPOINT_SECONDS:
            save(plan, done)
            saved = time.perf_counter()
    return TrainStatus.FINISHED


def save(plan: Plan, done: Done) -> None:
    """Hand a checkpoint to the writer, if there is one."""
    if plan.writer is not None:
        numbers, arrays = done.to_arrays()
        plan.writer.put({**plan.header, **numbers}, arrays)


class Pace:
    """How many steps a call makes."""

    def __init__(self) -> None:
        self.steps = 1

    def saw(self, count: int, seconds: float) -> None:
        """Learn from a call."""
        wanted = int(CALL_SECONDS * count / max(seconds, 1e-9))
        self.steps = max(1, min(wanted, GROWTH * self.steps, MAX_STEPS))


def _to_boundary(plan: Plan, step: int) -> int:
    """How many steps there are to where somebody wants to look at the parameters."""
    left = plan.total - step
    if plan.validate is not None or plan.patience is not None:
        left = min(left, plan.per_epoch - step % plan.per_epoch)
    if plan.callback is not None:
        left = min(left, plan.callback_every - step % plan.callback_every)
    return left


def _validation(plan: Plan, step: int, params: Any) -> float | None:
    """Give the validation loss where an epoch is at its end, if there are such data."""
    if plan.validate is None or step % plan.per_epoch:
        return None
    return plan.validate(params)


def _progress(plan: Plan, done: Done, losses: np.ndarray) -> TrainProgress:
    validation = done.validation[-1] if done.validation else None
    epoch = done.step // plan.per_epoch
    params = map_leaves(np.copy, done.params)
    return TrainProgress(epoch, done.step, float(np.mean(losses)), validation, params)
