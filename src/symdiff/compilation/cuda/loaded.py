"""Machine code on a device, launched by ``cuda.core``, as numba's launches are in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from symdiff.compilation.cuda.cubins import Cubin

__all__ = ["LoadedKernel", "unpacked"]


class LoadedKernel:
    """A kernel that is launched by ``kernel[blocks, threads](*arguments)``, as numba's are.

    Parameters
    ----------
    cubin : Cubin
    current : callable
        Makes the context of the device the thread's, and gives it.
    """

    def __init__(self, cubin: Cubin, current: Callable[[], Any]) -> None:
        self._core: Any = import_module("cuda.core")
        self._current = current
        self._is_cooperative = cubin.is_cooperative
        current()
        self._kernel = self._core.ObjectCode.from_cubin(cubin.code).get_kernel(cubin.name)
        self._stream = self._core.Stream.from_handle(0)

    def __getitem__(self, configuration: tuple[int, int]) -> Callable[..., None]:
        """Choose the number of blocks, and of threads in each."""
        made = _configuration(*configuration, self._is_cooperative)

        def launch(*arguments: Any) -> None:
            self._current()
            values = [value for x in arguments for value in unpacked(x)]
            self._core.launch(self._stream, made, self._kernel, *values)

        return launch

    def most_blocks(self, n_threads: int) -> int:
        """Give the number of blocks that the device can run at once."""
        device = self._current().device
        each = self._kernel.occupancy.max_active_blocks_per_multiprocessor(n_threads, 0)
        return each * device.MULTIPROCESSOR_COUNT


@lru_cache(maxsize=128)
def _configuration(blocks: int, threads: int, is_cooperative: bool) -> Any:
    make: Any = import_module("cuda.core").LaunchConfig
    if not is_cooperative:
        return make(grid=blocks, block=threads)
    try:
        return make(grid=blocks, block=threads, is_cooperative=True)
    except TypeError:  # before cuda.core 1.0
        return make(grid=blocks, block=threads, cooperative_launch=True)


def unpacked(x: Any) -> tuple[Any, ...]:
    """Give the parameters that numba's kernels take for an argument.

    A number is one. A flat array is its owner and the owner's object, which there are none of on a
    device, then the number of elements, bytes of each, the address, the shape and the stride.
    """
    if isinstance(x, np.generic):
        return (x,)
    pointer = getattr(x, "device_ctypes_pointer", None)  # numba's, faster than the interface
    address = x.__cuda_array_interface__["data"][0] if pointer is None else pointer.value or 0
    n_bytes = x.dtype.itemsize
    return (0, 0, x.size, n_bytes, address, x.size, n_bytes)
