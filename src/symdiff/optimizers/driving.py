"""Running a solver's kernel in pieces, so that somebody can look on, or stop it."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.kernels import Kernels
from symdiff.optimizers.minimize_status import MinimizeStatus
from symdiff.trees import flatten

__all__ = ["MAX_HISTORY", "Ending", "Task", "drive", "reporter"]

PIECE_SECONDS = 0.1
"""A kernel is given evaluations for so long at a time: then an interrupt is seen."""
FEWEST = 2
"""Of these a solver may need one to find where it was."""
EVERY_SECONDS = 0.5
_REVIEWED = (MinimizeStatus.CONVERGED, MinimizeStatus.STALLED)
MAX_HISTORY = 100_000
"""How many values of the function are kept."""


class Task(NamedTuple):
    """What is to be minimised, and how far.

    `report` is called with the state after every `every` steps, if there is one; `review` is that
    of the method.
    """

    kernels: Kernels
    start: Any
    box: tuple[np.ndarray, np.ndarray] | None
    tol: float
    max_steps: int
    args: tuple[Any, ...]
    review: Callable[..., Any] | None = None
    report: Callable[[Any], None] | None = None
    every: int = 1
    is_stopped: Callable[[], bool] = lambda: False


class Ending(NamedTuple):
    """How it ended, and where."""

    status: MinimizeStatus
    state: Any
    history: np.ndarray


def drive(task: Task) -> Ending:
    """Go on until the solver is done, or is stopped: what there is by then is given back."""
    kernels, layout = task.kernels, task.kernels.layout
    packed = layout.pack(task.start)
    state, parts, kept = task.start, [], 0
    sizes = (task.start.x.size, *[np.size(a) for a in flatten(task.args)[0]])
    pace = kernels.pace(sizes)
    status = None
    try:
        while state.status == MinimizeStatus.RUNNING:
            done = int(state.steps)
            last_step = task.max_steps
            if task.report is not None:
                last_step = min(last_step, done + task.every)
            compiled = kernels.run.n_compiled
            before, began = int(state.evaluations), time.perf_counter()
            packed, values = kernels.run(
                packed, task.box, task.tol, last_step, before + pace, task.args
            )
            elapsed = time.perf_counter() - began
            state = layout.unpack(*packed)
            if state.status in _REVIEWED and task.review is not None:
                state = task.review(kernels.curvature, state, task.box, task.tol, task.args)
                packed = layout.pack(state)
            steps = int(state.steps)
            if kept < MAX_HISTORY:
                parts.append(values[: steps - done])
                kept += steps - done
            if kernels.run.n_compiled == compiled:  # or else the time is not the kernel's
                pace = _next_pace(pace, int(state.evaluations) - before, elapsed)
            is_seen = steps >= last_step or state.status != MinimizeStatus.RUNNING
            if (is_seen and _is_ended_by(task.report, state)) or task.is_stopped():
                status = MinimizeStatus.INTERRUPTED
                break
            if steps >= task.max_steps:
                break
    except KeyboardInterrupt:
        status = MinimizeStatus.INTERRUPTED
    kernels.set_pace(sizes, pace)
    if status is None:
        status = MinimizeStatus(int(state.status))
        if status is MinimizeStatus.RUNNING:
            status = MinimizeStatus.MAX_STEPS
    history = np.concatenate(parts)[:MAX_HISTORY] if parts else np.zeros(0, task.start.x.dtype)
    return Ending(status, state, history)


def _is_ended_by(report: Callable[[Any], None] | None, state: Any) -> bool:
    """Whether a callback wants no more; a `StopIteration` of the function's own is an error."""
    if report is None:
        return False
    try:
        report(state)
    except StopIteration:
        return True
    return False


def _next_pace(pace: int, done: int, elapsed: float) -> int:
    """How many evaluations the next piece is given; at most eight times as many as the last."""
    if done < pace:
        return pace
    return max(FEWEST, min(8 * pace, int(pace * PIECE_SECONDS / max(elapsed, 1e-9)), 10**9))


def reporter(
    callback: Callable[..., Any] | None, progress: bool, result_of: Callable[[Any], Any]
) -> Callable[[Any], None] | None:
    """Make what is called between steps, if anything is to be.

    Parameters
    ----------
    callback : callable or None
        Takes ``intermediate_result``, or else the point, as SciPy has it.
    progress : bool
        Whether to write a line to the standard error stream now and then.
    result_of : callable
        Gives the result, so far, of a state.
    """
    if callback is None and not progress:
        return None
    takes_result = callback is not None and _takes_result(callback)
    written = [0.0]

    def report(state: Any) -> None:
        if progress and time.monotonic() - written[0] > EVERY_SECONDS:
            written[0] = time.monotonic()
            sys.stderr.write(f"step {int(state.steps)}: f = {float(state.value):.8g}\n")
        if callback is None:
            return
        result = result_of(state)
        if takes_result:
            callback(intermediate_result=result)
        else:
            callback(result.x)

    return report


def _takes_result(callback: Callable[..., Any]) -> bool:
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):
        return False
