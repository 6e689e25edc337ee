"""Random tensors: the same seed and the same sequence of calls give the same numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.eager.devices import CPU, common_device, move
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.places import Cpu
from symdiff.eager.tensor import Tensor, wrap
from symdiff.errors import DTypeError, at_user_line

__all__ = ["draw_seed", "random_normal", "random_uniform", "set_random_seed"]

_lock = threading.Lock()
_seed: int | None = None
_generators: dict[Cpu, Any] = {}
"""The generator of each device that has drawn anything since `set_random_seed`."""


def set_random_seed(seed: int) -> None:
    """Start the sequence of random numbers anew.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.set_random_seed(1)
    >>> x = tfe.random_normal([2])
    >>> tfe.set_random_seed(1)
    >>> bool(tfe.reduce_all(tfe.random_normal([2]) == x))
    True
    """
    global _seed  # noqa: PLW0603 - the sequence is the process's
    with _lock:
        _generators.clear()
        _generators[CPU] = CPU.generator(seed)  # which refuses what is no seed
        _seed = seed


def draw_seed() -> int:
    """Give a number for a sequence of its own to start from."""
    with _lock:
        return int(_generator(CPU, None).integers(2**63))


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None
) -> Tensor:
    """Draw from a normal distribution.

    Parameters
    ----------
    shape : int or sequence of int
    mean, stddev : float
    dtype : floating dtype
    seed : int, optional
        Draw from a sequence of its own, the same at each call.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.random_normal([2, 3], seed=7).shape
    (2, 3)
    """
    kind = _check(dtype)

    def scale(drawn: Any) -> Any:
        return drawn * kind.type(stddev) + kind.type(mean)

    return _tensor(_Draw("standard_normal", _shape(shape), kind, scale, seed))


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = "float32", seed: Any = None
) -> Tensor:
    """Draw from a uniform distribution on an interval, its end excluded.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> bool(tfe.reduce_all(tfe.random_uniform([9], 2.0, 3.0) >= 2.0))
    True
    """
    kind = _check(dtype)

    def scale(drawn: Any) -> Any:
        scaled = drawn * kind.type(maxval - minval) + kind.type(minval)
        return np.minimum(scaled, np.nextafter(kind.type(maxval), kind.type(minval)))

    return _tensor(_Draw("random", _shape(shape), kind, scale, seed))


class _Draw(NamedTuple):
    """What is drawn: by a method of generators, and then scaled."""

    method: str
    shape: Any
    dtype: np.dtype
    scale: Callable[[Any], Any]
    seed: int | None

    def at(self, place: Cpu) -> Any:
        """Draw on a device; where that cannot, on the CPU, from where it is copied."""
        where = place if place.has_generator else CPU
        with _lock:
            drawn = where.run(
                getattr(_generator(where, self.seed), self.method), self.shape, self.dtype
            )
        if where is CPU:
            drawn = np.asarray(drawn, self.dtype)
        return move(where.run(self.scale, drawn), where, place, is_asked=True)


def _generator(place: Cpu, seed: int | None) -> Any:
    """Give a device's generator, or one of its own for a seed."""
    if seed is not None:
        return place.generator(seed)
    found = _generators.get(place)
    if found is None:
        found = _generators[place] = place.generator(_seed)
    return found


class _Drawn:
    """Random numbers in a function that is compiled: an input, drawn anew at each call.

    They are drawn on the device whose scope was open when the function was traced.
    """

    name = "random"
    trainable = False

    def __init__(self, draw: _Draw) -> None:
        self.draw = draw
        self.place = common_device([])
        self.first = draw.at(self.place)
        self.dtype, self.shape = self.first.dtype, self.first.shape
        self._is_used = False

    def value_first(self) -> Any:
        """Give the numbers that the trace goes by."""
        return move(self.first[()], self.place, CPU, is_asked=True)

    def value_at(self, place: Cpu) -> Any:
        """Give those for the call that was traced, and then others, on a device."""
        value = self.draw.at(self.place) if self._is_used else self.first
        self._is_used = True
        return move(value[()], self.place, place, is_asked=True)


def _tensor(draw: _Draw) -> Tensor:
    if draw.seed is None and LISTENERS.recordings:
        return LISTENERS.recordings[-1].read(_Drawn(draw))
    place = common_device([])
    return wrap(draw.at(place)[()], place)


def _shape(shape: Any) -> Any:
    return tuple(shape) if isinstance(shape, (list, tuple)) else shape


def _check(dtype: Any) -> np.dtype:
    kind = np.dtype(dtype)
    if kind.kind != "f" or kind.itemsize < 4:
        raise DTypeError(at_user_line(f"random numbers are float32 or float64, not {kind}"))
    return kind
