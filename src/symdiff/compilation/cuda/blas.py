"""Products of matrices by the library of the device: cuBLAS, which CuPy has.

In the simulator NumPy is the library. In float32 CuPy asks for sums in float32, and for the shorter
mantissa of TF32 only where the user has set ``CUPY_TF32=1``; a batch has it never.
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
        cublas = import_module("cupy_backends.cuda.libs.cublas")  # which needs a package more
        return _Cupy(import_module("cupy"), cublas).multiply
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

    def __init__(self, cupy: Any, cublas: Any) -> None:
        self.cupy = cupy
        self.cublas = cublas

    def multiply(self, out: Any, left: Any, right: Any) -> None:
        with self.cupy.cuda.Stream.null:
            if out[1][0] == 1:
                made, a, b = [_viewed(self._wrapped(x), *rest) for x, *rest in (out, left, right)]
                self.cupy.matmul(a, b, out=made)
            else:
                self._multiply_each(out, left, right)

    def _multiply_each(self, out: Any, left: Any, right: Any) -> None:
        """Multiply a batch, which `cupy.matmul` would copy where it is transposed.

        cuBLAS takes matrices column by column, and so those here as transposed: the transposed
        result is that of the right one times that of the left one.
        """
        batch, rows, columns = out[1]
        terms = left[1][2]
        dtype = _dtype(out[0])
        one, zero = np.ones((), dtype), np.zeros((), dtype)
        multiply = getattr(self.cublas, f"{'sd'[dtype.itemsize // 8]}gemmStridedBatched")
        pointers = [x.__cuda_array_interface__["data"][0] for x in (right[0], left[0], out[0])]
        multiply(
            self.cupy.cuda.device.get_cublas_handle(),
            *(int(right[2]), int(left[2])),
            *(columns, rows, terms),
            one.ctypes.data,
            *(pointers[0], terms if right[2] else columns, terms * columns),
            *(pointers[1], rows if left[2] else terms, rows * terms),
            zero.ctypes.data,
            *(pointers[2], columns, rows * columns),
            batch,
        )

    def _wrapped(self, array: Any) -> Any:
        """Take an array as CuPy's, without waiting for its stream, as `cupy.asarray` would."""
        interface = array.__cuda_array_interface__
        dtype, shape = _dtype(array), interface["shape"]
        n_bytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        memory = self.cupy.cuda.UnownedMemory(interface["data"][0], n_bytes, array)
        return self.cupy.ndarray(shape, dtype, self.cupy.cuda.MemoryPointer(memory, 0))


def _dtype(array: Any) -> np.dtype:
    return np.dtype(array.__cuda_array_interface__["typestr"])
