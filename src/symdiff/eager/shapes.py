"""Functions of tensors that arrange elements otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform
from symdiff.errors import ShapeError, at_user_line

__all__ = [
    "concat",
    "expand_dims",
    "pad",
    "reshape",
    "squeeze",
    "stack",
    "tile",
    "transpose",
]


def reshape(x: Any, shape: Any) -> Tensor:
    """Give the elements another shape; one length may be -1.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.reshape([[1, 2], [3, 4]], [-1]).numpy()
    array([1, 2, 3, 4], dtype=int32)
    """
    wanted = tuple(shape) if isinstance(shape, (list, tuple)) else shape
    return perform(_reshape, as_tensor(x), shape=wanted)


def _reshape(x: Any, shape: Any) -> Any:
    return np.reshape(x, shape)


def transpose(x: Any, axes: Any = None) -> Tensor:
    """Put the axes into another order, by default the reverse.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    return perform(np.transpose, as_tensor(x), axes=None if axes is None else tuple(axes))


def stack(values: Sequence[Any], axis: int = 0) -> Tensor:
    """Put tensors of one shape side by side along a new axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.stack([1.0, tfe.constant(2.0)]).numpy()
    array([1., 2.], dtype=float32)
    """
    return perform(_stack, *as_operands(*[as_tensor(v) for v in values]), axis=axis)


def _stack(*values: Any, axis: int) -> Any:
    return np.stack(values, axis=axis)


def concat(values: Sequence[Any], axis: int) -> Tensor:
    """Join tensors along an axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.concat([[1, 2], [3]], 0).numpy()
    array([1, 2, 3], dtype=int32)
    """
    return perform(_concat, *as_operands(*[as_tensor(v) for v in values]), axis=axis)


def _concat(*values: Any, axis: int) -> Any:
    return np.concatenate(values, axis=axis)


def expand_dims(x: Any, axis: int) -> Tensor:
    """Put in an axis of length one.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.expand_dims([1, 2], -1).shape
    (2, 1)
    """
    return perform(np.expand_dims, as_tensor(x), axis=axis)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Leave out axes of length one, by default all.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.squeeze([[[1, 2]]], 0).shape
    (1, 2)
    """
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    return perform(np.squeeze, as_tensor(x), axis=axes)


def tile(x: Any, multiples: Sequence[int]) -> Tensor:
    """Repeat a tensor along each axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.tile([[1, 2]], [2, 2]).numpy()
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]], dtype=int32)
    """
    made, counts = as_tensor(x), tuple(multiples)
    if len(counts) != made.ndim:
        raise ShapeError(
            at_user_line(f"{len(counts)} multiples for a tensor of {made.ndim} axes: one for each")
        )
    return perform(_tile, made, counts=counts)


def _tile(x: Any, counts: tuple[int, ...]) -> Any:
    return np.tile(x, counts)


def pad(x: Any, paddings: Sequence[Sequence[int]], constant_values: float = 0) -> Tensor:
    """Put so many constants before and behind each axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.pad([1.0, 2.0], [[1, 2]]).numpy()
    array([0., 1., 2., 0., 0.], dtype=float32)
    """
    widths = tuple([(int(a), int(b)) for a, b in paddings])
    return perform(_pad, as_tensor(x), widths=widths, value=constant_values)


def _pad(x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    return np.pad(x, widths, constant_values=value)
