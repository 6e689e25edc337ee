"""Machine code on a device, launched by ``cuda.core``, as numba's launches are in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda.cubins import Cubin

__all__ = ["Loaded", "LoadedKernel", "loaded", "unpacked"]


class LoadedKernel:
    """A kernel that is launched by ``kernel[blocks, threads, stream](*arguments)``, as numba's are.

    Parameters
    ----------
    load : callable
        Gives the `Loaded` code for a compute capability.
    current : callable
        Makes the context of the device the thread's, and gives it.
    """

    def __init__(
        self, load: Callable[[tuple[int, int]], Loaded], current: Callable[[], Any]
    ) -> None:
        self._load = load
        self._current = current
        self._loaded: dict[tuple[int, int], Loaded] = {}
        self._here()

    def _here(self) -> Loaded:
        """Give the code for the current device; several devices of a kind share it."""
        return self._on(self._current().device)

    def _on(self, device: Any) -> Loaded:
        major, minor = device.compute_capability
        found = self._loaded.get((major, minor))
        if found is None:
            found = self._loaded[major, minor] = self._load((major, minor))
        return found

    def __getitem__(self, configuration: tuple[Any, ...]) -> Callable[..., None]:
        """Choose the number of blocks, of threads in each, and the stream, numba's or 0."""
        blocks, threads, *streams = configuration

        def launch(*arguments: Any) -> None:
            device = self._current().device
            code = self._on(device)
            how = _configuration(blocks, threads, code.is_cooperative)
            values = [value for x in arguments for value in unpacked(x)]
            _core().launch(_stream(device.id, *streams), how, code.kernel, *values)

        return launch

    def most_blocks(self, n_threads: int) -> int:
        """Give the number of blocks that the device can run at once."""
        occupancy = self._here().kernel.occupancy
        each = occupancy.max_active_blocks_per_multiprocessor(n_threads, 0)
        return each * self._current().device.MULTIPROCESSOR_COUNT


class Loaded(NamedTuple):
    """A kernel of `cuda.core`.

    Attributes
    ----------
    kernel
    is_cooperative : bool
    """

    kernel: Any
    is_cooperative: bool


def loaded(cubin: Cubin) -> Loaded:
    """Load machine code, which raises for what is none of this device's."""
    code = _core().ObjectCode.from_cubin(cubin.code)
    return Loaded(code.get_kernel(cubin.name), cubin.is_cooperative)


@cache
def _core() -> Any:
    return import_module("cuda.core")


@cache
def _default_stream(device: int) -> Any:  # noqa: ARG001
    """Give a device's default stream, which keeps the first device that it is used on."""
    return _core().Stream.from_handle(0)


def _stream(device: int, stream: Any = 0) -> Any:
    if not stream:
        return _default_stream(device)
    return _core().Stream.from_handle(int(stream.handle))


@lru_cache(maxsize=128)
def _configuration(blocks: int, threads: int, is_cooperative: bool) -> Any:
    make: Any = _core().LaunchConfig
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
