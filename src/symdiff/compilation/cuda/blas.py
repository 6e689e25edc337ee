"""Products of matrices by the library of the device: cuBLAS, which CuPy has.

In the simulator NumPy is the library. In float32 CuPy asks for sums in float32, and for the shorter
mantissa of TF32 only where the user has set ``CUPY_TF32=1``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from symdiff.compilation.cuda.backend import is_simulated

__all__ = ["library", "multiply"]


@cache
def library() -> Callable[..., None] | None:
    """Find what multiplies; None if there is no CuPy, or no cuBLAS for it."""
    if is_simulated():
        return _multiply_on_host
    try:
        import_module("cupy_backends.cuda.libs.cublas")  # CuPy's packages may come without it
        return _Cupy(import_module("cupy")).multiply
    except ImportError:
        return None


def multiply(out: Any, left: Any, right: Any) -> None:
    """Multiply matrices, or a batch of them, on the device.

    Parameters
    ----------
    out, left, right : tuple of (array, shape, is_transposed)
        Contiguous arrays of one dtype with the shape ``(batch, rows, columns)`` that each is taken
        as; its last two axes change places in memory if it is transposed.
    """
    made = library()
    assert made is not None
    made(out, left, right)


def _viewed(array: Any, shape: tuple[int, ...], is_transposed: bool) -> Any:
    """View an array as matrices; a single one without the axis of the batch."""
    batch, rows, columns = shape
    lead = () if batch == 1 else (batch,)
    if is_transposed:
        return array.reshape(*lead, columns, rows).swapaxes(-1, -2)
    return array.reshape(*lead, rows, columns)


def _multiply_on_host(out: Any, left: Any, right: Any) -> None:
    made, a, b = [_viewed(array._ary, *rest) for array, *rest in (out, left, right)]
    made[...] = np.matmul(a, b)


class _Cupy:
    """Calls CuPy on the stream that kernels are launched on."""

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy

    def multiply(self, out: Any, left: Any, right: Any) -> None:
        views = [_viewed(self._wrapped(array), *rest) for array, *rest in (out, left, right)]
        with self.cupy.cuda.Stream.null:
            self.cupy.matmul(views[1], views[2], out=views[0])

    def _wrapped(self, array: Any) -> Any:
        """Take an array as CuPy's, without waiting for its stream, as `cupy.asarray` would."""
        interface = array.__cuda_array_interface__
        dtype, shape = np.dtype(interface["typestr"]), interface["shape"]
        n_bytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        memory = self.cupy.cuda.UnownedMemory(interface["data"][0], n_bytes, array)
        return self.cupy.ndarray(shape, dtype, self.cupy.cuda.MemoryPointer(memory, 0))
