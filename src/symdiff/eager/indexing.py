"""Keys of ``tensor[key]`` in which there are tensors, which are operands like others.

NumPy refuses places outside of an axis; CuPy takes them modulo its length. So they are looked at
for arrays on a GPU, for which the host has to wait.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = ["beside", "check_places", "item", "template"]


def item(value: Any, *indices: Any, key: Any) -> Any:
    """Index by a key in which numbered places stand for tensors."""
    if any(isinstance(i, TracedArray) for i in indices):
        value = as_traced(value)
    filled = _filled(key, indices)
    if type(value) is np.ndarray or not is_on_device(value):
        return value[filled]
    return value[_checked(value, filled)]


class _Place(int):
    """Where in a key a tensor stands."""


def template(key: Any, kind: type, tensors: list[Any]) -> Any:
    """Take the tensors out of a key, whose class is `kind`, and number their places."""
    if isinstance(key, tuple):
        return tuple([template(k, kind, tensors) for k in key])
    if not isinstance(key, kind):
        return key
    if isinstance(key.data, TracedArray) and key.dtype.kind == "b":
        raise UnsupportedOperationError(
            at_user_line(
                "how many elements a mask selects is not known inside a function that is "
                "compiled; use tfe.where"
            )
        )
    tensors.append(key)
    return _Place(len(tensors) - 1)


def _filled(key: Any, indices: tuple[Any, ...]) -> Any:
    if isinstance(key, tuple):
        return tuple([_filled(k, indices) for k in key])
    return indices[key] if type(key) is _Place else key


def _checked(value: Any, key: Any) -> Any:
    """Check the places in a key for an array on a GPU."""
    parts = [
        np.asarray(p) if isinstance(p, list) else p for p in (key if type(key) is tuple else (key,))
    ]
    if sum(_kind(p) == "b" for p in parts) > 1:  # of which CuPy takes one
        parts = [q for p in parts for q in (p.nonzero() if _kind(p) == "b" else (p,))]
    free = value.ndim - sum(map(_width, parts))
    axis = 0
    for part in parts:
        if _kind(part) in "iu" and axis < value.ndim:
            _refuse_outside(part, value.shape[axis])
        axis += free if part is Ellipsis else _width(part)
    return tuple(parts) if type(key) is tuple else parts[0]


def _kind(part: Any) -> str:
    """Give the kind of the dtype of a part of a key that is an array, else a dash."""
    is_array = isinstance(part, np.ndarray) or is_on_device(part)
    return part.dtype.kind if is_array else "-"


def _width(part: Any) -> int:
    """Say how many axes a part of a key is for."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    return part.ndim if _kind(part) == "b" else 1


def check_places(places: Any, count: int) -> None:
    """Refuse places outside of an axis, of an array on a GPU; negative ones count from the end.

    Raises
    ------
    IndexError
    """
    if is_on_device(places):
        _refuse_outside(places, count)


def _refuse_outside(places: Any, count: int) -> None:
    wide = places.astype(np.int64)
    if bool(((wide < -count) | (wide >= count)).any()):
        raise IndexError(at_user_line(f"an index is out of bounds for an axis of length {count}"))


def beside(array: Any, other: Any) -> Any:
    """Put a NumPy array where another array lies, if that is a GPU.

    Examples
    --------
    >>> beside(np.arange(2), np.ones(3))
    array([0, 1])
    """
    if not is_on_device(other) or is_on_device(array):
        return array
    return np.asarray(array, like=other)
