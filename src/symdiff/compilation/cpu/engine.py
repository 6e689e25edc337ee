"""LLVM: from the text of a module to the addresses of its functions."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import llvmlite.binding as llvm
from llvmlite.binding.newpassmanagers import NewPassManager

from symdiff.compilation.cpu import pool, special
from symdiff.compilation.cpu.blocks import BLAS_PREFIX, LAPACK_PREFIX
from symdiff.config import config
from symdiff.errors import UnsupportedOperationError

__all__ = [
    "Code",
    "assembly",
    "compile_module",
    "compile_modules",
    "compile_quickly",
    "require_symbols",
]

_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a forked process must not find LLVM at work in a lost thread
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


class Code:
    """Machine code of one module; the code lives as long as this object."""

    def __init__(self, engine: llvm.ExecutionEngine) -> None:
        self._engine = engine

    def address(self, name: str) -> int:
        """Where a function begins."""
        return self._engine.get_function_address(name)

    def write(self, name: str, values: Sequence[int]) -> None:
        """Put pointers into a global array."""
        place = self._engine.get_global_value_address(name)
        (ctypes.c_void_p * len(values)).from_address(place)[:] = values


@cache
def _machine() -> llvm.TargetMachine:
    """The machine this runs on, with what its functions may call."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.util.find_library("m")
    if library is not None:
        llvm.load_library_permanently(library)
    return _new_machine()


@cache
def _machine_of_level(level: int) -> llvm.TargetMachine:
    _machine()
    return _new_machine(level)


def _new_machine(level: int = 3) -> llvm.TargetMachine:
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=level,
        jit=True,
    )


@cache
def _add_lapack(symbol: str) -> None:
    """Let code call a routine of the LAPACK, or of the BLAS, that SciPy brings."""
    from scipy.linalg import (  # noqa: PLC0415 - 0.1 s at import
        cython_blas,  # pyright: ignore[reportAttributeAccessIssue] - compiled, without a stub
        cython_lapack,  # pyright: ignore[reportAttributeAccessIssue] - the same
    )

    library, prefix = cython_lapack, LAPACK_PREFIX
    if symbol.startswith(BLAS_PREFIX):
        library, prefix = cython_blas, BLAS_PREFIX
    capsule = library.__pyx_capi__[symbol.removeprefix(prefix)]
    llvm.add_symbol(symbol, special.address_in(capsule))


@cache
def _add_special(symbol: str) -> None:
    """Let code call one of SciPy's special functions."""
    address = special.address(symbol)
    if address is not None:
        llvm.add_symbol(symbol, address)


@cache
def _add_pool() -> tuple[Code, object]:
    """Compile the pool of threads, once in a process, and let code call it."""
    llvm.add_symbol(pool.THREADS, config.threads_address)
    code = compile_module(pool.MODULE)
    for name in (pool.PARALLEL_FOR, pool.WORKERS):
        llvm.add_symbol(name, code.address(name))
    forget = ctypes.CFUNCTYPE(None)(code.address(pool.FORGET_THREADS))
    os.register_at_fork(after_in_child=forget)
    return code, forget  # which threads wait in as long as the process lives


def _optimized(text: str) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.verify()
    machine = _machine()
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_unrolling = False  # halves the time to compile; no loss seen
    tuning.loop_vectorization = True
    tuning.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, tuning)
    manager = builder.getModulePassManager()
    manager.run(module, builder)
    # llvmlite's class order hides the method that frees a pass manager (72 KiB with what it ran).
    NewPassManager._dispose(manager)  # pyright: ignore[reportPrivateUsage]
    manager.detach()
    return module


def require_symbols(names: Iterable[str]) -> None:
    """Refuse code that calls what is not there: LLVM would let the call go to address zero."""
    _machine()
    process = ctypes.CDLL(None)
    for name in sorted(names):
        if name.startswith((LAPACK_PREFIX, BLAS_PREFIX)):
            _add_lapack(name)
        elif name.startswith(special.PREFIX):
            _add_special(name)
        elif name == pool.PARALLEL_FOR:
            _add_pool()
        is_known = name.startswith("llvm.") or hasattr(process, name)
        if not is_known and llvm.address_of_symbol(name) is None:
            raise UnsupportedOperationError(f"this machine's libraries have no function {name}")


def compile_modules(texts: Sequence[str], proceed: Callable[[], None]) -> Code:
    """Compile a module, and modules of long straight-line code that it calls.

    Straight-line code comes without anything for LLVM's passes to find: they, and the highest level
    of code generation, take half of the time and make no call faster.

    Parameters
    ----------
    texts : sequence of str
    proceed : callable
        Called after each module; others may compile meanwhile.
    """
    main, *parts = texts
    objects: list[bytes] = []
    with _lock:
        objects.append(_machine().emit_object(_optimized(main)))
    for text in parts:
        proceed()
        with _lock:
            objects.append(_plain_object(text, level=1))
    proceed()
    return _loaded(objects)


def compile_quickly(text: str) -> Code:
    """Compile a module in the shortest time, to code that is a fifth slower."""
    with _lock:
        data = _plain_object(text, level=0)
    return _loaded([data])


def _plain_object(text: str, level: int) -> bytes:
    """Make machine code of a module without LLVM's passes over it."""
    module = llvm.parse_assembly(text)
    module.verify()
    return _machine_of_level(level).emit_object(module)


def _loaded(objects: Sequence[bytes]) -> Code:
    """Link object files, and make them ready to run."""
    with _lock:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _new_machine())
        for data in objects:
            engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        engine.finalize_object()
    return Code(engine)


def compile_module(text: str) -> Code:
    """Compile LLVM code for this machine."""
    with _lock:
        module = _optimized(text)
        engine = llvm.create_mcjit_compiler(module, _new_machine())  # which it owns from now on
        engine.finalize_object()
    return Code(engine)


def assembly(text: str) -> str:
    """Machine code as text, for people and tests to read."""
    with _lock:
        return _machine().emit_assembly(_optimized(text))
