"""Solvers on the CPU: modules of plain functions, compiled by numba and cached on disk.

A solver is written once as plain Python over arrays, with *hooks* where the user's kernel is
called. Here every function of such a module is compiled, with the hooks bound to calls through
pointers, so that one compilation serves every model and no front end runs when a new model comes.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["call_kernel", "compile_solver"]


@intrinsic
def call_kernel(typing_context: Any, address: Any, table: Any, sizes: Any) -> Any:
    """Call ``int call(void **table, int64_t *sizes)`` at an address."""
    signature = numba.types.int32(address, table, sizes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = cgutils.voidptr_t
        kind = ir.FunctionType(ir.IntType(32), [pointer, pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        pointers = [builder.inttoptr(a, pointer) for a in arguments[1:]]
        return builder.call(function, pointers)

    return signature, generate


_call: Any = call_kernel


@cache
def compile_solver(module: types.ModuleType) -> Mapping[str, Any]:
    """Compile the functions that a module lists in ``FUNCTIONS``, in that order.

    Its ``HOOKS`` are functions ``(problem, *arrays)``, where ``problem`` is an int64 array: for
    hook number h, ``problem[2 * h]`` is the address of a kernel and ``problem[2 * h + 1]`` that of
    its table of pointers; ``problem[2 * len(HOOKS)]`` is that of the sizes. The arrays are those
    behind the table.
    """
    namespace: dict[str, Any] = dict(vars(module))
    namespace.update(zip(module.HOOKS, _HOOKS, strict=True))
    for function in module.FUNCTIONS:
        bound = types.FunctionType(
            function.__code__, namespace, function.__name__, function.__defaults__
        )
        bound.__module__ = module.__name__
        bound.__qualname__ = function.__qualname__
        is_entry = function is module.FUNCTIONS[-1]
        options: dict[str, Any] = {
            "cache": is_entry,
            "error_model": "numpy",
            "fastmath": {"reassoc", "contract"}
            if function.__name__ in module.SUMS
            else {"contract"},
            # Nothing is allocated, and counting the references of slices took half the time.
            "_nrt": False,
            "no_cpython_wrapper": not is_entry,
            "no_cfunc_wrapper": True,
        }
        namespace[function.__name__] = numba.njit(**options)(bound)
    return {f.__name__: namespace[f.__name__] for f in module.FUNCTIONS}


@numba.njit
def _residuals(problem: Any, params: Any, residuals: Any) -> None:
    _call(problem[0], problem[1], problem[4])


@numba.njit
def _residuals_and_jacobian(problem: Any, params: Any, residuals: Any, jacobian: Any) -> None:
    _call(problem[2], problem[3], problem[4])


_HOOKS = (_residuals, _residuals_and_jacobian)
