"""The arguments of `train`, looked at before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.optimizers.order import MAX_SAMPLES
from symdiff.runtime.placement import converted, is_on_device, taken, to_host
from symdiff.trees import flatten, unflatten

__all__ = ["as_data", "as_params", "check_count", "check_validation"]


def as_params(params: Any) -> Any:
    """Make arrays of floats of a tree's leaves; whole numbers of Python's become float64."""
    leaves, tree = flatten(params)
    if not leaves:
        raise ShapeError(at_user_line("params has no arrays in it"))
    names = tree.paths("params")
    return unflatten(tree, [_as_param(x, name) for x, name in zip(leaves, names, strict=True)])


def _as_param(x: Any, name: str) -> np.ndarray:
    array = np.asarray(x, dtype=np.float64 if type(x) is int else None)
    if array.dtype not in (np.float64, np.float32):
        raise DTypeError(
            at_user_line(
                f"{name} has dtype {array.dtype}; parameters are float64 or float32 arrays: use "
                "np.asarray(x, dtype=float)"
            )
        )
    return np.array(array, order="C", copy=True)


def as_data(data: Any, name: str = "data") -> tuple[np.ndarray, ...]:
    """Take a tuple of arrays of one length, which may lie on a GPU; those are not copied."""
    if isinstance(data, np.ndarray) or not isinstance(data, (tuple, list)):
        raise DTypeError(
            at_user_line(
                f"{name} is of type {type(data).__name__}; it needs a tuple of arrays with one "
                f"leading axis in common, such as (x, y), or (x,) for one"
            )
        )
    if not data:
        raise ShapeError(at_user_line(f"{name} is an empty tuple"))
    arrays = [taken(a) if is_on_device(a) else np.asarray(a) for a in data]
    check_samples(arrays, name)
    return tuple([_contiguous(a) for a in arrays])  # once, not at each call


def _contiguous(a: Any) -> Any:
    return converted(a, a.dtype) if is_on_device(a) else np.ascontiguousarray(a)


def check_samples(arrays: Sequence[Any], name: str = "data") -> None:
    """Refuse arrays, wherever they lie, that have no samples along one leading axis in common."""
    for k, a in enumerate(arrays):
        if a.dtype.kind not in "fiub":
            raise DTypeError(
                at_user_line(f"{name}[{k}] has dtype {a.dtype}; it needs numbers or truth values")
            )
        if not a.ndim:
            raise ShapeError(at_user_line(f"{name}[{k}] is a number; it needs an axis of samples"))
    lengths = [a.shape[0] for a in arrays]
    if len(set(lengths)) > 1:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ShapeError(
            at_user_line(f"the arrays of {name} differ in their first axis: shapes {shapes}")
        )
    if not 1 <= lengths[0] <= MAX_SAMPLES:
        raise ShapeError(
            at_user_line(f"{name} has {lengths[0]} samples; allowed are 1 to {MAX_SAMPLES}")
        )


def check_validation(validation: Any, data: Sequence[np.ndarray]) -> tuple[np.ndarray, ...] | None:
    """Take validation data, which have the structure of the data."""
    if validation is None:
        return None
    arrays = as_data(to_host(validation), "validation")
    if len(arrays) != len(data):
        raise ShapeError(
            at_user_line(f"validation has {len(arrays)} arrays, data {len(data)}: give the same")
        )
    for k, (a, b) in enumerate(zip(arrays, data, strict=True)):
        if a.shape[1:] != b.shape[1:]:
            raise ShapeError(
                at_user_line(
                    f"validation[{k}] has shape {a.shape}, data[{k}] {b.shape}; they may differ in "
                    "their first axis only"
                )
            )
    return arrays


def check_count(value: Any, name: str, least: int = 1) -> int:
    """Take a whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise DTypeError(at_user_line(f"{name} is {value!r}; it needs a whole number"))
    if value < least:
        raise ValueError(at_user_line(f"{name} is {value}; it must be at least {least}"))
    return int(value)
