"""Kernels inside numba: a function that other compiled code calls, with no Python between."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from symdiff.compilation.cpu.kernel import Kernel
from symdiff.program.sizes import Extent, Size

__all__ = ["CALL", "make_numba_function"]

CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
"""The type of `Kernel.call_address`."""


def make_numba_function(kernel: Kernel) -> Callable[..., Any]:
    """Wrap a kernel in a numba function that takes its inputs and gives its outputs.

    The wrapper is generated: it makes outputs of the right shapes and a table of pointers, and
    calls the kernel's address. Inputs of other dtypes are converted as numba converts them.
    """
    program = kernel.program
    parameters = [f"a{n}" for n in range(len(program.inputs))]
    namespace: dict[str, Any] = {"np": np, "call": CALL(kernel.call_address)}
    lines = [f"def wrapper({', '.join(parameters)}):"]
    pointers: list[str] = []
    for n, name in enumerate(program.inputs):
        shape, dtype = program.types[name]
        kind = np.dtype(dtype).type.__name__
        lines.append(f"    x{n} = np.empty({f'a{n}.shape' if shape else '1'}, np.{kind})")
        lines.append(f"    x{n}[...] = a{n}" if shape else f"    x{n}[0] = a{n}")
        pointers.append(f"x{n}.ctypes.data")
    for n, constant in enumerate(kernel.constants):
        namespace[f"address{n}"] = constant.ctypes.data
        pointers.append(f"address{n}")
    sizes = []
    for symbol, (source, axis) in program.size_sources.items():
        lines.append(f"    {symbol}_ = x{program.inputs.index(source)}.shape[{axis}]")
        sizes.append(f"{symbol}_")
    results: list[str] = []
    for n, name in enumerate(program.outputs):
        shape, dtype = program.types[name]
        extents = ", ".join(_text(e) for e in shape) or "1"
        lines.append(f"    y{n} = np.empty(({extents},), np.{np.dtype(dtype).type.__name__})")
        pointers.append(f"y{n}.ctypes.data")
        results.append(f"y{n}" if shape else f"y{n}[0]")
    lines.append(f"    table = np.array([{', '.join(pointers)}], np.int64)")
    lines.append(f"    sizes = np.array([{', '.join(sizes) or '0'}], np.int64)")
    # numba frees an array after its last use, and does not see the kernel's: use each behind it.
    used = " + ".join(f"{x}.size" for x in [*(f"x{n}" for n in range(len(parameters))), "table"])
    lines.append("    status = call(table.ctypes.data, sizes.ctypes.data)")
    lines.append(f"    if status != 0 or {used} + sizes.size < 0:")
    lines.append("        raise MemoryError('a symdiff kernel ran out of memory')")
    lines.append(f"    return {', '.join(results)}")
    exec("\n".join(lines), namespace)  # noqa: S102 - of names that were made here
    function: Any = numba.njit(namespace["wrapper"])
    function.kernel = kernel  # keeps code and constants alive
    return function


def _text(extent: Extent) -> str:
    if not isinstance(extent, Size):
        return str(extent)
    return " + ".join("*".join([f"({c})", *(f"{name}_" for name in m)]) for m, c in extent.terms)
