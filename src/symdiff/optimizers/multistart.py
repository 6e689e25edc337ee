"""Minimizing from several starts side by side, for functions with several minima."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from symdiff.config import config
from symdiff.optimizers.driving import Ending, Task, drive
from symdiff.optimizers.minimize_status import MinimizeStatus

__all__ = ["best_of", "draw_starts", "drive_all"]


def draw_starts(
    first: np.ndarray, box: tuple[np.ndarray, np.ndarray] | None, count: int, seed: int
) -> list[np.ndarray]:
    """Draw starts evenly within bounds, in a Latin hypercube; the first is the one given.

    References
    ----------
    M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics 21 (1979) 239-245.
    """
    if box is None or not np.isfinite(box).all():
        raise ValueError(
            "multistart draws starts within bounds: give finite bounds for every variable"
        )
    lower, upper = (side.astype(float) for side in box)
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.permutation(count - 1) for _ in range(first.size)], axis=1)
    places = (cells + rng.random(cells.shape)) / max(count - 1, 1)
    drawn = (lower + places * (upper - lower)).astype(first.dtype)
    return [first, *np.clip(drawn, *box)]


def drive_all(tasks: Sequence[Task]) -> list[Ending]:
    """Run all tasks, so many at a time as there are threads; an interrupt stops all."""
    first = drive(tasks[0])  # which compiles
    if first.status is MinimizeStatus.INTERRUPTED:
        return [first]
    stop = threading.Event()
    rest = [task._replace(is_stopped=stop.is_set) for task in tasks[1:]]
    with ThreadPoolExecutor(max(1, config.threads)) as pool:
        futures = [pool.submit(_unless(stop, drive), task) for task in rest]
        try:
            endings = [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()
            endings = [future.result() for future in futures]
    return [first, *[e for e in endings if e is not None]]


def _unless(stop: threading.Event, run: Callable[[Task], Ending]) -> Callable[[Task], Any]:
    return lambda task: None if stop.is_set() else run(task)


def best_of(endings: Sequence[Ending]) -> int:
    """Find the ending with the least value; one that converged before one that did not."""

    def rank(k: int) -> tuple[float, bool]:
        value = float(endings[k].state.value)
        is_worse = endings[k].status is not MinimizeStatus.CONVERGED
        return (np.inf if np.isnan(value) else value), is_worse

    return min(range(len(endings)), key=rank)
