"""Kernels that call back into Python, for the user's own primitives."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.status import CALLBACK
from symdiff.errors import ShapeError

__all__ = ["Callback", "failure"]

_Entry = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int64)
)
_failures = threading.local()


class _Array(NamedTuple):
    rank: int
    dtype: np.dtype


class Callback:
    """A C function ``int (void **arrays, int64_t *sizes)`` that calls a Python function.

    The first array is the result; sizes are those of the result and then of each argument. What
    the function raises is kept for `failure`, since nothing can be raised through C.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, ranks: Sequence[int], dtypes: Sequence[str]
    ) -> None:
        self.function = function
        self.name = name
        self.arrays = [_Array(r, np.dtype(d)) for r, d in zip(ranks, dtypes, strict=True)]
        self._entry = _Entry(self._run)
        self.address = ctypes.cast(self._entry, ctypes.c_void_p).value or 0

    def _run(self, pointers: Any, sizes: Any) -> int:
        try:
            self._call(pointers, sizes)
        except BaseException as error:  # noqa: BLE001 - raised again where Python can
            _failures.error = error
            return CALLBACK
        return 0

    def _call(self, pointers: Any, sizes: Any) -> None:
        views: list[np.ndarray] = []
        at = 0
        for n, (rank, dtype) in enumerate(self.arrays):
            shape = tuple([sizes[at + axis] for axis in range(rank)])
            at += rank
            count = int(np.prod(shape)) * dtype.itemsize
            memory: Any = (ctypes.c_char * count).from_address(pointers[n] or 0) if count else None
            views.append(np.ndarray(shape, dtype, memory))
        result, *arguments = views
        for x in arguments:
            x.flags.writeable = False
        value = np.asarray(self.function(*[x if x.ndim else x[()] for x in arguments]))
        if value.shape != result.shape:
            raise ShapeError(
                f"the primitive {self.name} gave shape {value.shape} where {result.shape} was "
                "expected; say what it gives with shape="
            )
        result[...] = value


def failure() -> BaseException | None:
    """Take what a callback of this thread has raised."""
    error = getattr(_failures, "error", None)
    _failures.error = None
    return error
