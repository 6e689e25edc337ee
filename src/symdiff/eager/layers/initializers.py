"""What variables of layers begin with: functions of a shape and a dtype, and their names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.eager import random_numbers
from symdiff.errors import at_user_line

__all__ = [
    "Initializer",
    "find_initializer",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "ones",
    "random_normal",
    "random_uniform",
    "zeros",
]

Initializer = Callable[..., Any]


def zeros(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Begin with zeros.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.zeros((2,))
    array([0., 0.], dtype=float32)
    """
    return np.zeros(shape, dtype)


def ones(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Begin with ones.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.ones((2,))
    array([1., 1.], dtype=float32)
    """
    return np.ones(shape, dtype)


def random_normal(shape: Sequence[int], dtype: Any = "float32", stddev: float = 0.05) -> Any:
    """Draw from a normal distribution around zero.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.random_normal((3, 2)).shape
    (3, 2)
    """
    return random_numbers.random_normal(shape, 0.0, stddev, dtype)


def random_uniform(shape: Sequence[int], dtype: Any = "float32", limit: float = 0.05) -> Any:
    """Draw uniformly from ``+-limit``.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> bool(tfe.reduce_all(tfe.layers.random_uniform((9,)) < 0.05))
    True
    """
    return random_numbers.random_uniform(shape, -limit, limit, dtype)


def glorot_uniform(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Draw uniformly from ``+-sqrt(6 / (in + out))``.

    References
    ----------
    Glorot, Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
    AISTATS 2010, equation 16.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> bool(tfe.reduce_all(tfe.layers.glorot_uniform((3, 3)) < 1.0))
    True
    """
    return random_uniform(shape, dtype, math.sqrt(6 / sum(_fans(shape))))


def glorot_normal(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Draw from a normal distribution of variance ``2 / (in + out)``; see `glorot_uniform`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.glorot_normal((3, 3, 16, 32), "float64").dtype
    dtype('float64')
    """
    return random_normal(shape, dtype, math.sqrt(2 / sum(_fans(shape))))


def he_uniform(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Draw uniformly from ``+-sqrt(6 / in)``; see `he_normal`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.he_uniform((3, 3, 16, 32), "float64").dtype
    dtype('float64')
    """
    return random_uniform(shape, dtype, math.sqrt(6 / _fans(shape)[0]))


def he_normal(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Draw from a normal distribution of variance ``2 / in``, for layers with `relu`.

    References
    ----------
    He, Zhang, Ren, Sun, *Delving deep into rectifiers*, ICCV 2015, equation 10.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.he_normal((3, 3, 16, 32), "float64").dtype
    dtype('float64')
    """
    return random_normal(shape, dtype, math.sqrt(2 / _fans(shape)[0]))


def lecun_normal(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Draw from a normal distribution of variance ``1 / in``.

    References
    ----------
    LeCun, Bottou, Orr, Müller, *Efficient BackProp*, 1998, equation 16.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.lecun_normal((3, 3, 16, 32), "float64").dtype
    dtype('float64')
    """
    return random_normal(shape, dtype, math.sqrt(1 / _fans(shape)[0]))


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    """Count what goes into an element of the output, and where an element of the input goes."""
    if len(shape) < 2:
        return max(1, math.prod(shape)), max(1, math.prod(shape))
    field = math.prod(shape[:-2])
    return max(1, field * shape[-2]), max(1, field * shape[-1])


_NAMED: dict[str, Initializer] = {
    f.__name__: f
    for f in (
        *(zeros, ones, random_normal, random_uniform, glorot_normal, glorot_uniform),
        *(he_normal, he_uniform, lecun_normal),
    )
}


def find_initializer(given: str | Initializer) -> Initializer:
    """Give a function of shape and dtype by its name, or the function itself.

    Examples
    --------
    >>> find_initializer("zeros")((2,), "float32")
    array([0., 0.], dtype=float32)
    """
    if callable(given):
        return given
    if given not in _NAMED:
        raise ValueError(
            at_user_line(f"there is no initializer {given!r}; there are {', '.join(_NAMED)}")
        )
    return _NAMED[given]
