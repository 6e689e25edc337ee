"""What dtype a value gets when it becomes a tensor, and which may stand beside each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, at_user_line

__all__ = ["TENSOR_DTYPES", "check_number", "to_array"]

TENSOR_DTYPES = {
    np.dtype(name): name
    for name in (
        *("bool", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "float32", "float64"),
    )
}
_LARGEST = {np.dtype(t): float(np.finfo(t).max) for t in (np.float32, np.float64)}
_INT32 = np.iinfo(np.int32)


def to_array(value: Any, dtype: Any = None) -> Any:
    """Make a new NumPy array, or a NumPy scalar for rank 0, by the dtype rules of eager mode.

    Parameters
    ----------
    value : number, nested lists of numbers, or NumPy data
        Python floats become float32, ints int32 (int64 where one does not fit); NumPy data keeps
        its dtype.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        Lists are ragged, or mix bool with numbers.
    TypeError
        A float is to become an integer, or a number a bool.

    Examples
    --------
    >>> to_array([1, 2.5])
    array([1. , 2.5], dtype=float32)
    >>> to_array(2**33)
    np.int64(8589934592)
    """
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.array(value)
    else:
        kinds = {type(leaf) for leaf in _leaves(value)}
        if bool in kinds and len(kinds) > 1:
            raise ValueError(
                at_user_line(
                    "bool and numbers are mixed in one list; write 0.0 and 1.0, or 0 and 1"
                )
            )
        try:
            array = np.array(value)
        except ValueError as error:
            raise ValueError(at_user_line(f"lists of different lengths: {error}")) from None
        if kinds <= {bool, int, float}:
            array = array.astype(_python_dtype(kinds, array)) if dtype is None else array
    if dtype is not None:
        array = _cast(array, np.dtype(dtype))
    if array.dtype not in TENSOR_DTYPES:
        raise DTypeError(
            at_user_line(
                f"no tensor of dtype {array.dtype} can be made of {type(value).__name__}; allowed "
                f"are {', '.join(TENSOR_DTYPES.values())}"
            )
        )
    return array[()]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _python_dtype(kinds: set[type], array: np.ndarray) -> Any:
    if float in kinds or not kinds:
        return np.float32
    if bool in kinds:
        return np.bool_
    if array.dtype.kind == "i" and array.size:
        fits = _INT32.min <= array.min() and array.max() <= _INT32.max
        return np.int32 if fits else np.int64
    return array.dtype


def _cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    order = "buif"
    if array.size and order.find(array.dtype.kind) > order.find(dtype.kind) and dtype.kind != "u":
        raise DTypeError(
            at_user_line(f"a value of dtype {array.dtype} for dtype={dtype} would lose what it is")
        )
    made = array.astype(dtype)
    if dtype.kind in "iu" and array.dtype.kind in "iuf" and not np.array_equal(made, array):
        raise DTypeError(at_user_line(f"the values do not fit into dtype {dtype}"))
    return made


def check_number(number: Any, dtype: np.dtype) -> Any:
    """Take a Python number that stands beside a tensor, unless the dtype loses its value.

    Examples
    --------
    >>> check_number(2, np.dtype("float32"))
    2.0
    """
    kind = type(number)
    if kind is bool and dtype.kind == "b":
        return number
    if kind is int and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if limits.min <= number <= limits.max:
            return number
    elif dtype.kind == "f" and kind in (int, float) and _fits(number, _LARGEST[dtype]):
        return float(number)
    raise DTypeError(
        at_user_line(
            f"{number!r} does not fit beside a tensor of dtype {dtype}; convert one of them with "
            "cast, or write the number as that dtype"
        )
    )


def _fits(number: float, largest: float) -> bool:
    return abs(number) <= largest or (type(number) is float and not math.isfinite(number))
