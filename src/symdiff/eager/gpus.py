"""NVIDIA GPUs, by CuPy: memory, operations, random numbers; kernels run on CuPy's arrays.

Operations are written with NumPy, whose functions hand CuPy's arrays to CuPy by the protocols
``__array_ufunc__`` and ``__array_function__``. What CuPy does otherwise than NumPy, or not at all,
is in `gpu_functions`. All is done while the device is CuPy's current one, which is that of
numba.cuda too, and on the default stream, on which one thing waits for the other.

CuPy is imported when somebody asks for a GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from symdiff.eager.gpu_functions import OWN, can_reduce
from symdiff.eager.memory import MemoryInfo
from symdiff.eager.places import Cpu, GPUOptions
from symdiff.errors import DeviceError, at_user_line
from symdiff.runtime.function import Function

__all__ = ["CudaGpu", "Found", "find_gpus"]

HINT = "pip install 'symdiff-jit[cuda]'"
RESERVE = 2**29
"""Bytes that are left to kernels and libraries where all memory is taken at once."""


class Found(NamedTuple):
    """The GPUs that there are; or the reason why there are none."""

    gpus: list[CudaGpu]
    reason: str


def find_gpus() -> Found:
    """Look for GPUs that CuPy can use.

    Examples
    --------
    >>> gpus, reason = find_gpus()
    >>> bool(gpus) or "symdiff-jit[cuda]" in reason
    True
    """
    if find_spec("cupy") is None:
        return Found([], f"for GPUs there has to be CuPy: {HINT}")
    try:
        cupy: Any = import_module("cupy")
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # noqa: BLE001 - a broken installation can raise anything
        return Found([], f"CuPy found no GPU ({error}): it needs a driver, and {HINT}")
    return Found([CudaGpu(n, cupy) for n in range(count)], "the driver knows of no others")


class CudaGpu(Cpu):
    """A GPU, whose arrays are CuPy's.

    Parameters
    ----------
    number : int
        As the driver counts.
    cupy : module
    """

    def __init__(self, number: int, cupy: Any) -> None:
        self.name = f"/gpu:{number}"
        self._cupy = cupy
        self._device = cupy.cuda.Device(number)
        self._options: GPUOptions | None = None

    @functools.cached_property
    def has_kernels(self) -> bool:
        """Whether numba.cuda is there too, and is no simulator."""
        from symdiff.compilation.cuda import backend  # noqa: PLC0415 - seldom needed

        try:
            backend.require_device()
        except DeviceError:
            return False
        return not backend.is_simulated()

    def configure(self, options: GPUOptions) -> None:
        """Note options, which hold from the first use on: before, no memory is taken."""
        self._options = options

    def current(self) -> Any:
        """Make the device the current one, as a ``with`` block."""
        if self._options is not None:
            options, self._options = self._options, None
            with self._device:
                self._take_options(options)
        return self._device

    def _take_options(self, options: GPUOptions) -> None:
        pool = self._cupy.get_default_memory_pool()
        if options.per_process_gpu_memory_fraction < 1:
            pool.set_limit(fraction=options.per_process_gpu_memory_fraction)
        if not options.allow_growth:
            free, total = self._device.mem_info
            wanted = min(pool.get_limit() or total, free - RESERVE) - pool.total_bytes()
            if wanted > 0:
                self._cupy.cuda.alloc(wanted)  # let go at once, which the pool keeps

    def put(self, array: Any) -> Any:
        """Copy an array from the host."""
        return self.run(self._cupy.asarray, array)

    def get(self, value: Any) -> Any:
        """Copy an array to the host, when it has been computed."""
        with self.current():
            return value.get()[()]

    def take(self, value: Any, source: Cpu) -> Any:
        """Copy an array from another device: from a GPU directly, when both have come so far."""
        if not isinstance(source, CudaGpu):
            return self.put(source.get(value))
        return self.run(_copied, value)

    def hold(self, value: Any) -> Any:
        """Take what has been computed; what does not lie here, a constant, is copied."""
        return value if isinstance(value, self._cupy.ndarray) else self.put(value)

    def can(self, function: Callable[..., Any], static: Mapping[str, Any]) -> bool:
        """Whether CuPy has a function; those of eager mode need only what it has."""
        if isinstance(function, np.ufunc):
            name = function.__name__
            return hasattr(self._cupy, name) or hasattr(_special(), name)
        if isinstance(getattr(function, "__self__", None), np.ufunc):
            return can_reduce(function, static)
        return True

    def run(self, function: Callable[..., Any], *values: Any, **static: Any) -> Any:
        """Apply a function that is written with NumPy to arrays that lie here.

        Raises
        ------
        MemoryError
            There is no room for the result.
        """
        try:
            own = OWN.get(function, function)
        except TypeError:  # an operation of a tape that cannot be hashed, and is none of these
            own = function
        try:
            with self.current():
                return own(*values, **static)
        except self._cupy.cuda.memory.OutOfMemoryError as error:
            raise self._full(error) from error

    def _full(self, error: Exception) -> MemoryError:
        used, pooled, total = self.memory()
        free, _ = self._device.mem_info
        return MemoryError(
            at_user_line(
                f"{self.name}: {error} {used} bytes are used by arrays, {pooled} are kept for "
                f"others, {free} of {total} are free; use fewer data at a time, let tensors go, or "
                "allow more by per_process_gpu_memory_fraction"
            )
        )

    def function_for(self, function: Function) -> Function:
        """Give a function of this device's own: its constants are to lie here."""
        return function.with_target("cuda")

    def launch(self, function: Function, values: Sequence[Any]) -> tuple[Any, ...]:
        """Run a kernel on arrays that lie here; its results do so too."""
        with self.current():
            given = [self._contiguous(x) for x in values]
            return tuple([self._adopted(y) for y in function(*given)])

    def _contiguous(self, x: Any) -> Any:
        is_array = isinstance(x, self._cupy.ndarray)
        return x.copy() if is_array and not x.flags.c_contiguous else x

    def _adopted(self, y: Any) -> Any:
        """Take a result, which may be numba.cuda's, for CuPy; the memory is the same."""
        if isinstance(y, self._cupy.ndarray):
            return y
        from symdiff.compilation.cuda.memory import Ready  # noqa: PLC0415 - seldom needed

        return self._cupy.asarray(Ready(y))

    has_generator = True

    def generator(self, seed: int | None) -> Any:
        """Make a generator of random numbers, whose state lies here."""
        random = self._cupy.random
        return self.run(lambda: random.Generator(random.Philox4x3210(seed)))

    def memory(self) -> MemoryInfo:
        """Say what CuPy's pool holds here, and how much memory the device has."""
        pool = self._cupy.get_default_memory_pool()
        with self.current():
            used, pooled = pool.used_bytes(), pool.free_bytes()
        _, total = self._device.mem_info
        return MemoryInfo(used, pooled, total)


def _copied(value: Any) -> Any:
    return value.copy()


def _special() -> Any:
    return import_module("cupyx.scipy.special")
