"""Kernels for other compiled code: numba functions and C function pointers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.compilation.cpu.kernel import Kernel, compile_program
from symdiff.errors import UnsupportedOperationError
from symdiff.program.program import Program

__all__ = ["CFunction", "c_function", "cuda_function", "numba_function"]


@dataclass(frozen=True)
class CFunction:
    """A kernel as C sees it; the code lives as long as this object.

    Attributes
    ----------
    address : int
        Of ``int call(void **arrays, int64_t *sizes)``, which returns 0 on success and 1 when
        memory ran out. ``arrays`` points to the contiguous data of the inputs, then the
        constants, then the outputs.
    arrays : tuple of str
        The names behind ``arrays``, in order.
    sizes : tuple of str
        The names behind ``sizes``, in order.
    kernel : Kernel
        Keeps code and constants alive.
    """

    address: int
    arrays: tuple[str, ...]
    sizes: tuple[str, ...]
    kernel: Kernel

    @property
    def signature(self) -> str:
        """The C declaration."""
        return "int call(void **arrays, int64_t *sizes)"

    @property
    def constants(self) -> tuple[np.ndarray, ...]:
        """The arrays to pass for the names of constants."""
        return self.kernel.constants

    @property
    def low_level_callable(self) -> Any:
        """For one number out of numbers: a ``scipy.LowLevelCallable``.

        Its signature is ``double (double)`` for one argument and ``double (int, double *)`` for
        several.

        Raises
        ------
        UnsupportedOperationError
            The function takes or gives arrays, or gives several numbers.
        """
        import scipy  # noqa: PLC0415 - only this member needs it

        pointer = self.kernel.scalar_address
        if pointer is None:
            raise UnsupportedOperationError(
                "a scipy.LowLevelCallable takes float64 numbers and gives one; this function has "
                f"inputs and outputs {', '.join(self.arrays)}"
            )
        n_inputs = len(self.kernel.program.inputs)
        arguments = (ctypes.c_double,) if n_inputs == 1 else (ctypes.c_int, ctypes.c_void_p)
        if n_inputs > 1:
            arguments = (ctypes.c_int, ctypes.POINTER(ctypes.c_double))
        function = ctypes.CFUNCTYPE(ctypes.c_double, *arguments)(pointer)
        function.kernel = self.kernel  # type: ignore[attr-defined]
        return scipy.LowLevelCallable(function)


def c_function(program: Program) -> CFunction:
    """Compile a Program for C callers."""
    kernel = compile_program(program)
    names = (*program.inputs, *program.constants, *program.outputs)
    return CFunction(kernel.call_address, names, tuple(program.size_sources), kernel)


def numba_function(program: Program) -> Callable[..., Any]:
    """Make a numba function of a Program: arrays and numbers in, an array or a tuple out."""
    # numba takes as long to import as all of NumPy; only this member needs it.
    from symdiff.compilation.cpu.bridge import make_numba_function  # noqa: PLC0415

    return make_numba_function(compile_program(program))


def cuda_function(program: Program, sizes: Mapping[str, int]) -> Callable[..., Any]:
    """Make a device function of a Program, for numba's kernels, at these sizes."""
    from symdiff.compilation.cuda.backend import device_function  # noqa: PLC0415 - seldom needed
    from symdiff.compilation.cuda.callable import write_callable  # noqa: PLC0415

    return device_function(write_callable(program, sizes))
