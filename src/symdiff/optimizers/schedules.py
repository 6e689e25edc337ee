"""Learning rates that depend on the step, which counts from 0.

A schedule is a function of the step; these make some. The step may be traced, so they are written
like any function that is compiled, and a user's own is as good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Made", "Schedule", "constant", "cosine", "exponential", "piecewise", "step", "warmup"]

Schedule = Callable[[Any], Any]


@dataclass(frozen=True)
class Made:
    """A function with its first arguments; equal to another of the same, so compiled once."""

    function: Callable[..., Any]
    parameters: tuple[Any, ...]

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self.function(*self.parameters, *args)

    def __repr__(self) -> str:
        return f"{self.function.__name__.strip('_')}{self.parameters}"


def constant(rate: float) -> Schedule:
    """Give the same rate at each step.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.optim.constant(0.1)(1000)
    0.1
    """
    return Made(_constant, (rate,))


def _constant(rate: float, step: Any) -> Any:
    return rate + 0.0 * step


def step(rate: float, every: int, factor: float = 0.5) -> Schedule:
    """Multiply the rate by a factor after every so many steps.

    Examples
    --------
    >>> import symdiff as sd
    >>> schedule = sd.optim.step(1.0, every=10, factor=0.5)
    >>> [float(schedule(k)) for k in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    require_positive(every, "every")
    return Made(_step, (rate, every, factor))


def _step(rate: float, every: int, factor: float, step: Any) -> Any:
    return rate * factor ** np.floor(step / every)


def piecewise(rates: Sequence[float], boundaries: Sequence[int]) -> Schedule:
    """Take the next of some rates from each boundary on.

    Parameters
    ----------
    rates : sequence of float
        One more than there are boundaries.
    boundaries : sequence of int
        Steps, rising.

    Examples
    --------
    >>> import symdiff as sd
    >>> schedule = sd.optim.piecewise([1.0, 0.1, 0.01], [10, 20])
    >>> [round(float(schedule(k)), 9) for k in (9, 10, 20)]
    [1.0, 0.1, 0.01]
    """
    if len(rates) != len(boundaries) + 1:
        raise ValueError(
            f"piecewise has {len(rates)} rates and {len(boundaries)} boundaries; it needs one rate "
            "more than boundaries"
        )
    if list(boundaries) != sorted(set(boundaries)):
        raise ValueError(f"the boundaries {list(boundaries)} are not rising")

    return Made(_piecewise, (tuple(rates), tuple(boundaries)))


def _piecewise(rates: Sequence[float], boundaries: Sequence[int], step: Any) -> Any:
    rate = rates[0] + 0.0 * step
    for boundary, before, after in zip(boundaries, rates[:-1], rates[1:], strict=True):
        rate = rate + (after - before) * (step >= boundary)
    return rate


def exponential(rate: float, decay_steps: int, factor: float) -> Schedule:
    """Let the rate fall smoothly, by a factor in every so many steps.

    Examples
    --------
    >>> import symdiff as sd
    >>> schedule = sd.optim.exponential(1.0, decay_steps=10, factor=0.25)
    >>> [float(schedule(k)) for k in (0, 5, 10)]
    [1.0, 0.5, 0.25]
    """
    require_positive(decay_steps, "decay_steps")
    return Made(_exponential, (rate, decay_steps, factor))


def _exponential(rate: float, decay_steps: int, factor: float, step: Any) -> Any:
    return rate * factor ** (step / decay_steps)


def cosine(rate: float, decay_steps: int, final: float = 0.0) -> Schedule:
    """Let the rate fall to its final value along half a cosine, and stay there.

    References
    ----------
    Loshchilov, Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017,
    equation 5, without restarts.

    Examples
    --------
    >>> import symdiff as sd
    >>> schedule = sd.optim.cosine(1.0, decay_steps=100)
    >>> [round(float(schedule(k)), 9) for k in (0, 50, 100, 200)]
    [1.0, 0.5, 0.0, 0.0]
    """
    require_positive(decay_steps, "decay_steps")

    return Made(_cosine, (rate, decay_steps, final))


def _cosine(rate: float, decay_steps: int, final: float, step: Any) -> Any:
    done = np.minimum(step / decay_steps, 1.0)
    return final + (rate - final) * 0.5 * (1.0 + np.cos(np.pi * done))


def warmup(schedule: float | Schedule, steps: int) -> Schedule:
    """Let the rate rise from near zero to a schedule, in equal parts.

    At step k it is ``(k + 1)/steps`` times the schedule's, which counts from the start too.

    References
    ----------
    Goyal et al., *Accurate, Large Minibatch SGD*, 2017, section 2.2.

    Examples
    --------
    >>> import symdiff as sd
    >>> schedule = sd.optim.warmup(0.8, steps=4)
    >>> [round(float(schedule(k)), 9) for k in (0, 1, 3, 10)]
    [0.2, 0.4, 0.8, 0.8]
    """
    require_positive(steps, "steps")
    after = schedule if callable(schedule) else constant(schedule)
    return Made(_warmup, (after, steps))


def _warmup(after: Schedule, steps: int, step: Any) -> Any:
    return after(step) * np.minimum((step + 1) / steps, 1.0)


def require_positive(value: float, name: str) -> None:
    """Refuse zero and less."""
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be positive")
