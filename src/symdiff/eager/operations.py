"""Tensors from data, numbers and other tensors: constants, fillings, other dtypes; products."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.eager.devices import CPU, common_device, move
from symdiff.eager.dtypes import to_array
from symdiff.eager.shapes import stack
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform, wrap
from symdiff.errors import DTypeError, at_user_line
from symdiff.tracing.pointwise import stop_gradient as stopped

__all__ = [
    "cast",
    "constant",
    "convert_to_tensor",
    "eye",
    "fill",
    "identity",
    "matmul",
    "ones",
    "ones_like",
    "range",
    "stop_gradient",
    "zeros",
    "zeros_like",
]


def constant(value: Any, dtype: Any = None) -> Tensor:
    """Make a tensor of numbers, nested lists of numbers, or NumPy data, which is copied.

    Raises
    ------
    ValueError
        Lists are ragged, or mix bool with numbers.
    TypeError
        A float for an integer dtype.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.constant([1, 2.5])
    <Tensor shape=(2,) dtype=float32 numpy=array([1. , 2.5], dtype=float32)>
    >>> tfe.constant(3), tfe.constant(2**33).dtype
    (<Tensor shape=() dtype=int32 numpy=3>, dtype('int64'))
    """
    if isinstance(value, Tensor):
        return convert_to_tensor(value, dtype)
    if isinstance(value, (list, tuple)) and any(isinstance(x, Tensor) for x in value):
        return convert_to_tensor(stack(value), dtype)
    place = common_device([])
    return wrap(move(to_array(value, dtype), CPU, place, is_asked=True), place)


def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """Give a tensor as it is, a variable's value, and make a `constant` of anything else.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.constant(1.0)
    >>> tfe.convert_to_tensor(x) is x
    True
    """
    if not isinstance(value, Tensor) and not hasattr(value, "as_tensor"):
        return constant(value, dtype)
    made = as_tensor(value)
    if dtype is not None and made.dtype != dtype:
        raise DTypeError(at_user_line(f"a tensor of dtype {made.dtype} is not {dtype}; use cast"))
    return made


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Make a tensor of zeros.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.zeros(2).numpy()
    array([0., 0.], dtype=float32)
    """
    return constant(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Make a tensor of ones.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.ones([1, 2], "int32").numpy()
    array([[1, 1]], dtype=int32)
    """
    return constant(np.ones(shape, dtype))


def fill(shape: Any, value: Any) -> Tensor:
    """Make a tensor of one number.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.fill([2], 7).numpy()
    array([7, 7], dtype=int32)
    """
    return constant(np.full(shape, to_array(value)))


def eye(rows: int, columns: int | None = None, dtype: Any = "float32") -> Tensor:
    """Make an identity matrix.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.eye(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return constant(np.eye(rows, columns, dtype=dtype))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Tensor:
    """Count from a number, by default 0, to below another.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.range(3).numpy(), tfe.range(1.0, 2.0, 0.5).numpy()
    (array([0, 1, 2], dtype=int32), array([1. , 1.5], dtype=float32))
    """
    first, last = (0, start) if limit is None else (start, limit)
    return constant(np.arange(first, last, delta).tolist(), dtype or to_array([first, last]).dtype)


def zeros_like(x: Any) -> Tensor:
    """Make zeros of the shape and dtype of a tensor.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.zeros_like([1, 2]).numpy()
    array([0, 0], dtype=int32)
    """
    return perform(np.zeros_like, as_tensor(x))


def ones_like(x: Any) -> Tensor:
    """Make ones of the shape and dtype of a tensor.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.ones_like([3.0, 2.0]).numpy()
    array([1., 1.], dtype=float32)
    """
    return perform(np.ones_like, as_tensor(x))


def cast(x: Any, dtype: Any) -> Tensor:
    """Convert to another dtype.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.cast(tfe.constant([1.7, -1.7]), "int32").numpy()
    array([ 1, -1], dtype=int32)
    """
    return perform(_cast, as_tensor(x), dtype=np.dtype(dtype))


def _cast(x: Any, dtype: np.dtype) -> Any:
    return x.astype(dtype)


def identity(x: Any) -> Tensor:
    """Give a tensor of the same value.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.identity(2.0).numpy()
    np.float32(2.0)
    """
    return perform(np.positive, as_tensor(x))


def stop_gradient(x: Any) -> Tensor:
    """Give the value, and let derivatives take it for a constant.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.gradients_function(lambda x: x * tfe.stop_gradient(x))(3.0)[0].numpy()
    np.float32(3.0)
    """
    return perform(stopped, as_tensor(x))


def matmul(a: Any, b: Any) -> Tensor:
    """Multiply matrices.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy()
    array([[11.]], dtype=float32)
    """
    return perform(np.matmul, *as_operands(a, b))
