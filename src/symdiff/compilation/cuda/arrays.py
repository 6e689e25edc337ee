"""Arrays that lie in the memory of a GPU, by whichever library: what is asked of them at a call.

Nothing of CUDA is imported for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from math import prod
from typing import Any

import numpy as np

from symdiff.errors import DeviceError, at_user_line

__all__ = ["dtype_of", "is_contiguous", "is_on_device", "is_read_only", "overlap", "readable"]

DLPACK_CUDA = 2
"""How DLPack calls the memory of an NVIDIA GPU."""


def is_on_device(x: Any) -> bool:
    """Whether an array lies in the memory of a GPU.

    Examples
    --------
    >>> is_on_device(np.ones(3)), is_on_device(2.0)
    (False, False)
    """
    if isinstance(x, (np.ndarray, float, int, str)):
        return False
    if hasattr(x, "__cuda_array_interface__") or getattr(x, "__cuda_ndarray__", False):
        return True
    device = getattr(x, "__dlpack_device__", None)
    return device is not None and device()[0] == DLPACK_CUDA


def readable(x: Any) -> Any:
    """Give an array that says where it lies; one that speaks DLPack only goes through CuPy.

    Raises
    ------
    DeviceError
        CuPy is not there.
    """
    if hasattr(x, "__cuda_array_interface__") or getattr(x, "__cuda_ndarray__", False):
        return x
    try:
        return import_module("cupy").from_dlpack(x)
    except ImportError:
        raise DeviceError(
            at_user_line(
                f"an array of type {type(x).__name__} on a GPU says by DLPack alone where it lies; "
                "reading that takes CuPy: pip install 'symdiff-jit[cuda]'"
            )
        ) from None


def dtype_of(x: Any) -> np.dtype:
    """Give the dtype of an array on a GPU."""
    return np.dtype(_interface(x)["typestr"])


def is_contiguous(x: Any) -> bool:
    """Whether the elements of an array on a GPU lie one after the other."""
    shape, strides = x.shape, _interface(x).get("strides")
    if strides is None or 0 in shape:
        return True
    size = dtype_of(x).itemsize
    wanted = [prod(shape[k + 1 :]) * size for k in range(len(shape))]
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


def is_read_only(x: Any) -> bool:
    """Whether an array on a GPU says that nobody may write to it."""
    return bool(_interface(x)["data"][1])


def overlap(a: Any, b: Any) -> bool:
    """Whether two arrays on a GPU may share memory; both are contiguous."""
    (first, n_first), (second, n_second) = (
        (_interface(x)["data"][0] or 0, prod(x.shape) * dtype_of(x).itemsize) for x in (a, b)
    )
    return first < second + n_second and second < first + n_first


def _interface(x: Any) -> Mapping[str, Any]:
    """Ask an array where it lies; the simulator's are NumPy's within."""
    x = readable(x)
    found = getattr(x, "__cuda_array_interface__", None)
    return x.__array_interface__ if found is None else found
