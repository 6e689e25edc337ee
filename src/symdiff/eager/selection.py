"""Functions of tensors that choose elements: by conditions, by places, by order."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.eager.indexing import beside, check_places
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform
from symdiff.errors import DTypeError, at_user_line

__all__ = [
    "argsort",
    "gather",
    "one_hot",
    "places_from_front",
    "sort",
    "where",
]


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """Choose element by element; the branch not taken adds nothing to derivatives.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.where([True, False], [1.0, 2.0], 0.5).numpy()
    array([1. , 0.5], dtype=float32)
    """
    chosen = as_tensor(condition)
    if chosen.dtype.kind != "b":
        raise DTypeError(at_user_line(f"where takes a bool condition, not {chosen.dtype}"))
    return perform(np.where, chosen, *as_operands(x, y))


def gather(params: Any, indices: Any, axis: int = 0) -> Tensor:
    """Take elements along an axis by their places; negative ones count from the end.

    The gradient of an element that is taken several times is the sum.

    Raises
    ------
    IndexError
        A place is outside of the axis.
    TypeError
        Places are no integers.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.gather([[1, 2], [3, 4]], [1, 0, 1]).numpy()
    array([[3, 4],
           [1, 2],
           [3, 4]], dtype=int32)
    """
    return perform(_take, as_tensor(params), _places(indices), axis=axis)


def _take(params: Any, indices: Any, axis: int) -> Any:
    if is_on_device(indices):
        check_places(indices, params.shape[axis])
    return np.take(params, indices, axis=axis)


def _places(indices: Any) -> Tensor:
    made = as_tensor(indices)
    if made.dtype.kind not in "iu":
        raise DTypeError(at_user_line(f"indices are integers, not {made.dtype}"))
    return made


def places_from_front(places: Any, count: Any) -> Any:
    """Let negative places be none, as those are that are too large, instead of the last ones."""
    wide = places.astype(np.int64)
    inside = np.where(wide < 0, count, wide)
    check_places(inside, count)
    return inside


def one_hot(
    indices: Any,
    depth: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    dtype: Any = "float32",
) -> Tensor:
    """Mark each place in a new last axis; a place outside of it is marked nowhere.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.one_hot([1, 0, 5], 2).numpy()
    array([[0., 1.],
           [1., 0.],
           [0., 0.]], dtype=float32)
    """
    kind = np.dtype(dtype).type
    values = kind(on_value), kind(off_value)
    return perform(_one_hot, _places(indices), depth=depth, values=values)


def _one_hot(indices: Any, depth: int, values: tuple[Any, Any]) -> Any:
    places = indices.astype(np.int64)[..., None]
    return np.where(places == beside(np.arange(depth), places), *values)


def sort(x: Any, axis: int = -1) -> Tensor:
    """Put elements along an axis in rising order.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.sort([3.0, 1.0, 2.0]).numpy()
    array([1., 2., 3.], dtype=float32)
    """
    return perform(np.sort, as_tensor(x), axis=axis)


def argsort(x: Any, axis: int = -1) -> Tensor:
    """Give the places that elements along an axis have when they are sorted, equal ones in order.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.argsort([3.0, 1.0, 2.0]).numpy()
    array([1, 2, 0])
    """
    return perform(_argsort, as_tensor(x), axis=axis)


def _argsort(x: Any, axis: int) -> Any:
    return np.argsort(x, axis=axis, kind="stable")
