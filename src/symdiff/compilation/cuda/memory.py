"""Arrays in the memory of a GPU."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.cuda.backend import cuda, is_simulated

__all__ = ["empty", "flat", "get", "prepared", "put"]


DEFAULT_STREAM = 1
"""What arrays say that are ready for whatever is launched next, as kernels here are."""


def put(x: Any) -> Any:
    """Give an array on the device: a copy of one of the host, or the array itself."""
    if not is_on_device(x):
        return cuda().to_device(np.asarray(x, order="C"))
    if hasattr(x, "copy_to_host"):
        return x
    stream = x.__cuda_array_interface__.get("stream")
    return cuda().as_cuda_array(x, sync=stream not in (None, DEFAULT_STREAM))


def get(x: Any) -> Any:
    """Copy an array to the host; of rank 0 it is a number of NumPy's."""
    return put(x).copy_to_host()[()]


def prepared(x: Any, dtype: np.dtype) -> Any:
    """Give a contiguous array of a dtype; what is not so goes through the host."""
    array = put(x)
    if array.dtype == dtype and array.is_c_contiguous():
        return array
    return put(np.asarray(array.copy_to_host(), dtype, order="C"))


def empty(shape: tuple[int, ...], dtype: str) -> Any:
    """Take memory on the device: from CuPy's pool, which grows as it is needed, where that is.

    Raises
    ------
    MemoryError
        There is not so much.
    """
    wanted = np.dtype(dtype)
    try:
        pool = _pool()
        if pool is None:
            return cuda().device_array(shape, wanted)
        return cuda().as_cuda_array(pool.empty(shape, wanted), sync=False)
    except Exception as error:
        if not isinstance(error, MemoryError) and "OUT_OF_MEMORY" not in str(error).upper():
            raise
        size = int(np.prod(shape, dtype=np.int64)) * wanted.itemsize
        free, total = cuda().current_context().get_memory_info()
        raise MemoryError(
            f"no memory on the GPU for {size} bytes: {free} of {total} are free; use fewer "
            "data at a time"
        ) from error


@cache
def _pool() -> Any:
    """Find CuPy, whose pool is used for results and workspaces."""
    if is_simulated():
        return None
    try:
        return import_module("cupy")
    except ImportError:
        return None


def flat(x: Any) -> Any:
    """View an array as one row of at least one element."""
    if x.size == 0:
        return cuda().device_array(1, x.dtype)
    return x.reshape(-1)
