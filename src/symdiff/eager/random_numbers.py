"""Random tensors: the same seed and the same sequence of calls give the same numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.eager.devices import CPU
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.operations import constant
from symdiff.eager.tensor import Tensor
from symdiff.errors import DTypeError, at_user_line

__all__ = ["draw_seed", "random_normal", "random_uniform", "set_random_seed"]

_lock = threading.Lock()
_generator = np.random.Generator(np.random.Philox())


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
    global _generator  # noqa: PLW0603 - the sequence is the process's
    with _lock:
        _generator = np.random.Generator(np.random.Philox(seed))


def draw_seed() -> int:
    """Give a number for a sequence of its own to start from."""
    with _lock:
        return int(_generator.integers(2**63))


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

    def draw() -> np.ndarray:
        with _lock:
            drawn: Any = _source(seed).standard_normal(_shape(shape), kind)
        return np.asarray(drawn, kind) * kind.type(stddev) + kind.type(mean)

    return _tensor(draw, seed)


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

    def draw() -> np.ndarray:
        with _lock:
            drawn: Any = _source(seed).random(_shape(shape), kind)
        scaled = np.asarray(drawn, kind) * kind.type(maxval - minval) + kind.type(minval)
        return np.minimum(scaled, np.nextafter(kind.type(maxval), kind.type(minval)))

    return _tensor(draw, seed)


class _Drawn:
    """Random numbers in a function that is compiled: an input, drawn anew at each call."""

    name = "random"
    trainable = False
    place = CPU

    def __init__(self, draw: Callable[[], Any]) -> None:
        self.draw = draw
        self.first = draw()[()]
        self.dtype, self.shape = self.first.dtype, self.first.shape
        self._is_used = False

    def value_first(self) -> Any:
        """Give the numbers that the trace goes by."""
        return self.first

    def value_now(self) -> Any:
        """Give those for the call that was traced, and then others."""
        if self._is_used:
            return self.draw()[()]
        self._is_used = True
        return self.first


def _tensor(draw: Callable[[], Any], seed: Any) -> Tensor:
    if seed is None and LISTENERS.recordings:
        return LISTENERS.recordings[-1].read(_Drawn(draw))
    return constant(draw())


def _source(seed: Any) -> np.random.Generator:
    return _generator if seed is None else np.random.Generator(np.random.Philox(seed))


def _shape(shape: Any) -> Any:
    return tuple(shape) if isinstance(shape, (list, tuple)) else shape


def _check(dtype: Any) -> np.dtype:
    kind = np.dtype(dtype)
    if kind.kind != "f" or kind.itemsize < 4:
        raise DTypeError(at_user_line(f"random numbers are float32 or float64, not {kind}"))
    return kind
