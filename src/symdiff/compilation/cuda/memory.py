"""Arrays in the memory of a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.cuda.backend import cuda

__all__ = ["empty", "flat", "prepared", "put"]


def put(x: Any) -> Any:
    """Give an array on the device: a copy of one of the host, or the array itself."""
    if not is_on_device(x):
        return cuda().to_device(np.ascontiguousarray(x))
    return x if hasattr(x, "copy_to_host") else cuda().as_cuda_array(x, sync=False)


def prepared(x: Any, dtype: np.dtype) -> Any:
    """Give a contiguous array of a dtype; what is not so goes through the host."""
    array = put(x)
    if array.dtype == dtype and array.is_c_contiguous():
        return array
    return put(np.ascontiguousarray(array.copy_to_host(), dtype))


def empty(shape: tuple[int, ...], dtype: str) -> Any:
    """Take memory on the device."""
    return cuda().device_array(shape, np.dtype(dtype))


def flat(x: Any) -> Any:
    """View an array as one row of at least one element."""
    if x.size == 0:
        return cuda().device_array(1, x.dtype)
    return x.reshape(-1)
