"""LLVM: from the text of a module to the addresses of its functions."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding import ffi
from llvmlite.binding.newpassmanagers import NewPassManager
from llvmlite.binding.object_file import ObjectFileRef

from symdiff.compilation.cpu import pool, results, special
from symdiff.compilation.cpu.blocks import (
    BLAS_PREFIX,
    BLAS_THREADS,
    LAPACK_PREFIX,
    SET_BLAS_THREADS,
)
from symdiff.compilation.disk_cache import open_cache
from symdiff.config import config
from symdiff.errors import UnsupportedOperationError
from symdiff.locks import global_lock

__all__ = [
    "Code",
    "assembly",
    "compile_object",
    "compile_plainly",
    "kept_object",
    "load_objects",
    "machine_name",
    "require_symbols",
]

# llvmlite holds a lock of its own in every call, also when engines are dropped.
_llvm_lock = ffi.lib._lock  # pyright: ignore[reportPrivateUsage] - there is no public name
os.register_at_fork(
    before=_llvm_lock.__enter__,
    after_in_parent=_llvm_lock.__exit__,
    after_in_child=_llvm_lock.__exit__,
)
_lock = global_lock()  # which a fork takes before llvmlite's, as compilation does


class Code:
    """Machine code of one module, in memory; it lives as long as this object."""

    def __init__(self, engine: llvm.ExecutionEngine) -> None:
        self._engine = engine

    def address(self, name: str) -> int:
        """Where a function begins."""
        return self._engine.get_function_address(name)

    def variable(self, name: str) -> int:
        """Where a global variable is."""
        return self._engine.get_global_value_address(name)

    def keep_forever(self) -> None:
        """Leave the code in memory when this object goes, which knows it no more."""
        self._engine.detach()

    def write(self, name: str, values: Sequence[int]) -> None:
        """Put pointers into a global array."""
        place = self.variable(name)
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
def _add_blas_threads() -> None:
    """Let code read and set how many threads the BLAS has that SciPy brings."""
    code, _ = _add_pool()
    library = _loaded_openblas()
    pairs = {
        BLAS_THREADS: ("scipy_openblas_get_num_threads", pool.ONE),
        SET_BLAS_THREADS: ("scipy_openblas_set_num_threads", pool.IGNORE),
    }
    for symbol, (name, otherwise) in pairs.items():
        function = None if library is None else getattr(library, name, None)
        if function is None:
            address = code.address(otherwise)
        else:
            address = ctypes.cast(function, ctypes.c_void_p).value or 0
        llvm.add_symbol(symbol, address)


def _loaded_openblas() -> ctypes.CDLL | None:
    """Find SciPy's OpenBLAS among the libraries of this process."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    paths = {line.split()[-1] for line in lines if "openblas" in line}
    for path in sorted(paths):
        library = ctypes.CDLL(path)
        # NumPy brings one with other names, whose threads are none of ours.
        if hasattr(library, "scipy_openblas_set_num_threads"):
            return library
    return None


@cache
def _add_special(symbol: str) -> None:
    """Let code call one of SciPy's special functions."""
    address = special.address(symbol)
    if address is not None:
        llvm.add_symbol(symbol, address)


_POOL = (pool.PARALLEL_FOR, pool.WORKERS, pool.QUIET_BLAS, pool.FREE_BLAS)


@cache
def _add_pool() -> tuple[Code, object]:
    """Compile the pool of threads, once in a process, and let code call it."""
    llvm.add_symbol(pool.THREADS, config.threads_address)
    code = load_objects([kept_object(pool.MODULE, compile_object)])
    for name in _POOL:
        llvm.add_symbol(name, code.address(name))
    forget = ctypes.CFUNCTYPE(None)(code.address(pool.FORGET_THREADS))
    os.register_at_fork(after_in_child=forget)
    return code, forget  # which threads wait in as long as the process lives


@cache
def _add_results() -> object:
    """Compile what makes large arrays, once in a process, and let code call it."""
    llvm.add_symbol(results.LIMIT, config.result_memory_address)
    code = load_objects([kept_object(results.MODULE, compile_object)])
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new_capsule(code.variable(results.HANDLER), _HANDLER_NAME, None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(capsule))
    code.write(results.CAPSULE, [id(capsule)])
    llvm.add_symbol(results.NEW_ARRAY, code.address(results.NEW_ARRAY))
    code.keep_forever()  # an array may be let go when Python's modules are gone
    return capsule


_HANDLER_NAME = b"mem_handler"
"""What NumPy calls such capsules, which keep the address of the name."""


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
        elif name in (*_POOL, BLAS_THREADS, SET_BLAS_THREADS):
            with _lock:  # two pools would be one too many
                _add_pool()
                if name in (BLAS_THREADS, SET_BLAS_THREADS):
                    _add_blas_threads()
        elif name == results.NEW_ARRAY:
            with _lock:
                _add_results()
        is_known = name.startswith("llvm.") or hasattr(process, name)
        if not is_known and llvm.address_of_symbol(name) is None:
            raise UnsupportedOperationError(f"this machine's libraries have no function {name}")


def compile_object(text: str) -> bytes:
    """Compile LLVM code for this machine to an object file, which has no addresses in it."""
    with _lock:
        return _machine().emit_object(_optimized(text))


def compile_plainly(text: str, level: int = 1) -> bytes:
    """Compile a module of straight-line code.

    It comes without anything for LLVM's passes to find: they, and the highest level of code
    generation, take half of the time and make no call faster. Level 0 takes a quarter of the time,
    and its code is up to twice as slow.
    """
    with _lock:
        module = llvm.parse_assembly(text)
        module.verify()
        return _machine_of_level(level).emit_object(module)


def kept_object(text: str, compile_text: Callable[[str], bytes]) -> bytes:
    """Compile one of our own modules, or find it in the disk cache."""
    store = open_cache()
    key = hashlib.blake2b(f"{machine_name()}{text}".encode(), digest_size=24).hexdigest()
    content = store.load(key) if store is not None else None
    if content is None:
        content = compile_text(text)
        if store is not None:
            store.save(key, content)
    return content


def load_objects(contents: Sequence[bytes]) -> Code:
    """Load object files that call each other, and whose symbols have passed `require_symbols`."""
    with _lock:
        _machine()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _new_machine())
        for content in contents:
            engine.add_object_file(ObjectFileRef.from_data(content))
        engine.finalize_object()
    return Code(engine)


@cache
def machine_name() -> str:
    """Say for what machine, and with which LLVM, code is compiled."""
    version = ".".join(map(str, llvm.llvm_version_info))
    features = llvm.get_host_cpu_features().flatten()
    made_by = f"llvmlite {llvmlite.__version__} LLVM {version}"
    return f"{llvm.get_default_triple()} {llvm.get_host_cpu_name()} {features} {made_by}"


def assembly(text: str) -> str:
    """Machine code as text, for people and tests to read."""
    with _lock:
        return _machine().emit_assembly(_optimized(text))
