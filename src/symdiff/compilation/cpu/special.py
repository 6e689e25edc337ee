"""SciPy's compiled special functions: what they are called in LLVM code, and where they are.

Most come from `scipy.special.cython_special`, whose capsules say the C signature of each; the few
that it lacks are called through the inner loop of the ufunc, with one element.
"""

from __future__ import annotations

import ctypes
import re

import numpy as np

__all__ = ["PREFIX", "address", "address_in", "data_symbol", "function_symbol", "loop_symbol"]

PREFIX = "symdiff_special_"
_C_TYPES = {"d": "double", "l": "(?:long|Py_ssize_t)", "p": r"double \*"}


def function_symbol(name: str, kinds: str) -> str:
    """Name the function of `cython_special` with arguments of these kinds.

    ``d`` is a double, ``l`` a whole number, ``p`` a pointer to a result.
    """
    return f"{PREFIX}{kinds}_{name}"


def loop_symbol(ufunc: str, kinds: str) -> str:
    """Name the inner loop of a ufunc in `scipy.special._ufuncs` for arguments of these kinds."""
    return f"{PREFIX}loop_{kinds}_{ufunc}"


def data_symbol(ufunc: str, kinds: str) -> str:
    """Name what that loop takes for its last argument."""
    return f"{PREFIX}data_{kinds}_{ufunc}"


def address(symbol: str) -> int | None:
    """Find what a symbol stands for, None where this SciPy does not have it."""
    kinds, name = symbol.removeprefix(PREFIX).split("_", 1)
    if kinds in ("loop", "data"):
        return _in_ufunc(name, what=kinds)
    from scipy.special import cython_special  # noqa: PLC0415 - 0.1 s at import

    functions = cython_special.__pyx_capi__
    arguments = ", ".join(_C_TYPES[k] for k in kinds)
    wanted = re.compile(
        rf"void \({arguments}\)" if "p" in kinds else rf"double \({arguments}, int __pyx_skip.*"
    )
    called = re.compile(rf"(?:__pyx_fuse(?:_\d)+)?{name}")
    for key, capsule in functions.items():
        if called.fullmatch(key) and wanted.fullmatch(_name(capsule).decode()):
            return address_in(capsule)
    return None


def address_in(capsule: object) -> int:
    """The pointer in one of Cython's capsules."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, _name(capsule))


def _name(capsule: object) -> bytes:
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return name(capsule)


class _UfuncHead(ctypes.Structure):
    """The beginning of ``PyUFuncObject``, which NumPy's C interface publishes."""

    _fields_ = [
        ("counts", ctypes.c_ssize_t),
        ("type", ctypes.c_void_p),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
    ]


def _in_ufunc(symbol: str, what: str) -> int | None:
    from scipy.special import _ufuncs  # noqa: PLC0415 - slow at import

    kinds, name = symbol.split("_", 1)
    ufunc = getattr(_ufuncs, name, None)
    if not isinstance(ufunc, np.ufunc) or f"{kinds}->d" not in ufunc.types:
        return None
    head = _UfuncHead.from_address(id(ufunc))
    loop = ufunc.types.index(f"{kinds}->d")
    return head.functions[loop] if what == "loop" else head.data[loop]
