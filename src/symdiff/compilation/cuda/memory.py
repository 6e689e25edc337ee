"""Arrays in the memory of a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device, readable
from symdiff.compilation.cuda.backend import cuda, is_simulated

__all__ = [
    "Ready",
    "empty",
    "flat",
    "free_memory",
    "get",
    "hand_over",
    "memory_is_short",
    "number_of_device",
    "pinned",
    "prepared",
    "put",
    "shown",
]


DEFAULT_STREAM = 1
"""What arrays say that are ready for whatever is launched next, as kernels here are."""


def put(x: Any) -> Any:
    """Give an array on the device: a copy of one of the host, or the array itself.

    Raises
    ------
    MemoryError
        There is no memory for a copy.
    """
    if not is_on_device(x):
        array = np.asarray(x, order="C")
        # a new axis has a stride of 0, with which numba doesn't take an array for contiguous
        plain = np.ndarray(array.shape, array.dtype, array) if array.ndim else array
        there = empty(plain.shape, plain.dtype)
        if plain.size:
            there.copy_to_device(plain)
        return there
    x = readable(x)
    if not hasattr(x, "copy_to_host"):
        ready = x.__cuda_array_interface__.get("stream")
        return _taken(x, sync=ready not in (None, DEFAULT_STREAM))
    if is_simulated() or not x.stream:
        return x
    x.stream.synchronize()
    return x.bind(0)


def _taken(x: Any, *, sync: bool) -> Any:
    """Take an array for numba's, copies of which are waited for.

    By an array that names a stream, as CuPy's do, numba only starts them there: the host could read
    what has not arrived, or change what has not been read.
    """
    made = cuda().as_cuda_array(x, sync=sync)
    made.stream = 0
    return made


def hand_over(arrays: Iterable[Any]) -> None:
    """Wait until arrays of a caller's are written, if they are read on another stream next."""
    for x in arrays:
        if is_on_device(x) and not is_simulated():
            stream = readable(x).__cuda_array_interface__.get("stream")
            if stream not in (None, DEFAULT_STREAM):
                cuda().default_stream().synchronize()
                return


def get(x: Any) -> Any:
    """Copy an array to the host; of rank 0 it is a number of NumPy's."""
    return put(x).copy_to_host()[()]


def shown(x: Any) -> Any:
    """Give a result as users get it: an array of CuPy's, which has arithmetic, if that is there.

    Whoever works on a stream of their own, which may not wait for the default one, gets it when it
    has been computed.
    """
    pool = _pool()
    if pool is None:
        return x
    if pool.cuda.get_current_stream().ptr not in (0, DEFAULT_STREAM):
        pool.cuda.Stream.null.synchronize()
    return pool.asarray(Ready(x))


class Ready:
    """An array for whoever works on the default stream, as it was made on that.

    numba.cuda's names the stream, and CuPy would wait for it on the host.
    """

    def __init__(self, array: Any) -> None:
        self.array = array  # which keeps the memory
        self.__cuda_array_interface__ = array.__cuda_array_interface__ | {"stream": None}


def prepared(x: Any, dtype: np.dtype) -> Any:
    """Give a contiguous array of a dtype; what is not so goes through the host."""
    array = put(x)
    if array.dtype == dtype and array.is_c_contiguous():
        return array
    return put(np.asarray(array.copy_to_host(), dtype, order="C"))


def pinned(n_bytes: int) -> np.ndarray:
    """Take memory of the host that a GPU copies from and to while other things go on."""
    with memory_is_short(f"of the host that is pinned for {n_bytes} bytes"):
        return cuda().pinned_array(n_bytes, np.uint8)


def number_of_device() -> int:
    """Give the number of the current GPU."""
    return 0 if is_simulated() else cuda().get_current_device().id


def free_memory() -> int | None:
    """Count the bytes that can still be taken on the current GPU; None if nobody knows."""
    if is_simulated():
        return None
    free = int(cuda().current_context().get_memory_info()[0])
    pool = _pool()
    if pool is None:
        return free
    ours = pool.get_default_memory_pool()
    free += ours.free_bytes()
    limit = ours.get_limit()
    return min(free, limit - ours.used_bytes()) if limit else free


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Take memory on the device: from CuPy's pool, which grows as it is needed, where that is.

    Raises
    ------
    MemoryError
        There is not so much.
    """
    wanted = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * wanted.itemsize
    with memory_is_short(f"on the GPU for {size} bytes"):
        pool = _pool()
        if pool is None:
            return cuda().device_array(shape, wanted)
        with pool.cuda.Stream.null:  # on which kernels run: what is freed is theirs until then
            return _taken(pool.empty(shape, wanted), sync=False)


@contextmanager
def memory_is_short(what: str) -> Iterator[None]:
    """Say by a `MemoryError`, with the figures, what the libraries say in many ways.

    Parameters
    ----------
    what : str
        For what there is no memory, and where.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, MemoryError) and "OUT_OF_MEMORY" not in str(error).upper():
            raise
        total = cuda().current_context().get_memory_info()[1]
        raise MemoryError(
            f"no memory {what}: {free_memory()} of {total} bytes of the GPU are free; use fewer "
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
        return empty((1,), x.dtype)
    return x.reshape(-1)
