"""numba.cuda, which nothing else imports: source to machine code, devices, and the simulator."""

from __future__ import annotations

import ast
import linecache
import re
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from symdiff.collector import collection_paused
from symdiff.compilation.cuda import library
from symdiff.compilation.cuda.callable import Source
from symdiff.compilation.cuda.code import THREADS
from symdiff.compilation.cuda.cubins import Cubin, key_of
from symdiff.compilation.cuda.loaded import Loaded, LoadedKernel, loaded
from symdiff.compilation.cuda.mathematics import MATHEMATICS
from symdiff.compilation.cuda.module import Module
from symdiff.compilation.disk_cache import open_cache
from symdiff.errors import DeviceError, UnsupportedOperationError, at_user_line
from symdiff.locks import LocalLock

__all__ = [
    "Cubin",
    "compiled",
    "cubin",
    "cubin_key",
    "cuda",
    "device_function",
    "is_simulated",
    "most_blocks",
    "ptx",
    "python_function",
    "quiet",
    "require_device",
    "threads",
]

HINT = "pip install 'symdiff-jit[cuda]'"
_NEEDS = "target 'cuda' needs numba-cuda, which is not there"


@cache
def cuda() -> Any:
    """Import numba.cuda.

    Raises
    ------
    DeviceError
        It is not installed, or does not work with what is.
    """
    if not hasattr(np, "row_stack"):  # gone in NumPy 2.5, wanted by numba-cuda 0.30
        setattr(np, "row_stack", np.vstack)  # noqa: B010 - which types do not know
    try:
        with warnings.catch_warnings():  # numba-cuda's own, of what NumPy 2.5 will not have
            warnings.simplefilter("ignore", DeprecationWarning)
            from numba import cuda  # noqa: PLC0415
    except Exception as error:
        raise DeviceError(at_user_line(f"{_NEEDS} ({error}): {HINT}")) from error
    return cuda


def is_simulated() -> bool:
    """Whether kernels run in numba's simulator (``NUMBA_ENABLE_CUDASIM=1``)."""
    cuda()
    from numba.core import config  # noqa: PLC0415

    return bool(getattr(config, "ENABLE_CUDASIM", False))


def require_device() -> None:
    """Make sure that there is a GPU.

    Raises
    ------
    DeviceError
        There is none, or no driver.
    """
    if is_simulated():
        return
    if find_spec("numba_cuda") is None:
        raise DeviceError(at_user_line(f"{_NEEDS}: {HINT}, or use target='cpu'"))
    if not cuda().is_available():
        raise DeviceError(
            at_user_line("target 'cuda': there is no NVIDIA GPU with a driver; use target='cpu'")
        )


_simulator = LocalLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Let the simulator divide by zero as a GPU does: without a word.

    It runs one kernel at a time, since it changes what all modules know as ``cuda``.
    """
    if not is_simulated():
        yield
        return
    with _simulator, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def most_blocks(kernel: Any, module: Module, n_threads: int) -> int:
    """Give the number of blocks that can wait for each other, which machine code has to be for."""
    if isinstance(kernel, LoadedKernel):
        return kernel.most_blocks(n_threads)
    return kernel.compile(_signature(module)).max_cooperative_grid_blocks(n_threads)


def threads() -> int:
    """Give the number of threads in a block."""
    return 32 if is_simulated() else 256


def compiled(module: Module) -> Any:
    """Compile a module for the device, or find it on disk; the simulator takes it as it is."""
    if is_simulated():
        return cuda().jit(python_function(module, cuda(), threads()))
    try:
        return LoadedKernel(partial(_load, module), cuda().current_context)
    except UnsupportedOperationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever other versions of packages do not have
        warnings.warn(
            at_user_line(
                f"numba itself compiles and launches {module.name}, and nothing is kept on disk: "
                f"cuda.core does not work here ({type(error).__name__}: {error})"
            ),
            RuntimeWarning,
            stacklevel=2,
        )
    kernel = cuda().jit(python_function(module, cuda(), threads()))
    try:
        kernel.compile(_signature(module))
    except Exception as error:
        raise _refusal(module, error) from error
    return kernel


def device_function(source: Source) -> Any:
    """Make a function that other kernels call."""
    return cuda().jit(device=True)(python_function(source, cuda(), threads()))


def _load(module: Module, capability: tuple[int, int]) -> Loaded:
    """Load a module's machine code, from disk if it is there."""
    # Functions of the user's are not in the source, and are compiled anew in each process.
    store, key = None if module.functions else open_cache(), cubin_key(module, capability)
    found = store.load(key) if store is not None else None
    if found is not None:
        try:
            return loaded(Cubin.load(found))
        except Exception:  # noqa: BLE001 - what cannot be loaded is compiled again
            found = None
    made = cubin(module, capability)
    if store is not None:
        store.save(key, made.dump())
    return loaded(made)


def cubin_key(module: Module, capability: tuple[int, int]) -> str:
    """Name what `cubin` gives, in the disk cache."""
    return key_of(module.text, _signature(module), (capability, threads()))


def python_function(module: Module | Source, cuda: Any, n_threads: int) -> Callable[..., Any]:
    """Make the Python function of a module's source, for something that behaves like numba.cuda."""
    filename = f"<symdiff {module.name} for CUDA {id(module):x}>"
    lines = module.text.splitlines(keepends=True)
    linecache.cache[filename] = (len(module.text), None, lines, filename)
    namespace: dict[str, Any] = {"cuda": cuda, THREADS: n_threads}
    namespace.update((name, _named(name)) for name in module.needed if name != THREADS)
    namespace.update((name, _of_user(f)) for name, f in module.functions.items())
    if isinstance(module, Source):
        namespace.update(module.constants)
    tree = ast.parse(module.text)
    if not is_simulated():
        tree = ast.fix_missing_locations(_Unsigned().visit(tree))
        namespace[_Unsigned.name] = np.uint64
    exec(compile(tree, filename, "exec"), namespace)  # noqa: S102 - of names made here
    function = namespace.pop(module.name)
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function


class _Unsigned(ast.NodeTransformer):
    """Makes places in arrays unsigned, or numba asks of each whether it counts from the end."""

    name = "unsigned_place"

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        """Wrap a place that is computed."""
        self.generic_visit(node)
        if not isinstance(node.slice, ast.Constant):
            place = ast.Call(ast.Name(self.name, ast.Load()), [node.slice], [])
            node.slice = place
        return node


_OURS = {**library.BLOCKS, **library.FUNCTIONS}


@cache
def _named(name: str) -> Any:
    """Find what a name in the source stands for."""
    ours = _OURS.get(name)
    if ours is not None:
        return _device(ours)
    if name in ("nan", "inf"):
        return float(name)
    if name == "select":
        return library.select if is_simulated() else _select_instruction()
    if hasattr(np, name) and isinstance(getattr(np, name), type):
        return getattr(np, name)
    if is_simulated():
        return MATHEMATICS[name if name in MATHEMATICS else name.removesuffix("f")]
    from numba.cuda import libdevice  # noqa: PLC0415

    return getattr(libdevice, name)


def _of_user(function: Any) -> Any:
    """Compile a function of the user's for a GPU, with those of the user's that it calls.

    What numba knows by itself it takes as it is. NumPy's functions, of which numba knows some for
    a GPU, become those of libdevice.
    """
    function = getattr(function, "py_func", function)  # of numba's own
    if not isinstance(function, FunctionType):
        return function
    if is_simulated():
        return cuda().jit(device=True)(function)
    known = {n: function.__globals__.get(n) for n in function.__code__.co_names}
    called: dict[str, Any] = {}
    for name, value in known.items():
        if value is np:
            called[name] = _numpy()
        elif value is not function and isinstance(getattr(value, "py_func", value), FunctionType):
            called[name] = _of_user(value)
    bound = FunctionType(
        function.__code__,
        {**function.__globals__, **called},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return cuda().jit(device=True)(bound)


@cache
def _numpy() -> ModuleType:
    """Make a module like NumPy, with functions of numbers that numba has for a GPU."""
    made = ModuleType("numpy")
    vars(made).update(vars(np))
    for name in MATHEMATICS:
        theirs = f"arc{name[1:]}" if name.startswith("a") else name
        if isinstance(getattr(np, theirs, None), np.ufunc):
            setattr(made, theirs, _named(name))
    return made


def _refusal(module: Module, error: Exception) -> Exception:
    """Say that it may be the user's own functions that cannot be compiled."""
    if not module.functions:
        return error
    names = ", ".join(getattr(f, "__name__", str(f)) for f in module.functions.values())
    why = next(iter(str(error).strip().splitlines()), repr(error))
    return UnsupportedOperationError(
        at_user_line(
            f"numba cannot compile the primitive {names} for a GPU; write it with numbers and "
            f"functions of the module math, or use target='cpu' ({why})"
        )
    )


def _device(function: Any) -> Any:
    """Compile a function of the library for a GPU, with those that it calls."""
    known = {*_OURS, *MATHEMATICS}
    called = {n: _named(n) for n in function.__code__.co_names if n in known}
    bound = FunctionType(function.__code__, {**function.__globals__, **called}, function.__name__)
    return cuda().jit(device=True)(bound)


def _select_instruction() -> Any:
    """Make `library.select` of one instruction, which numba writes into its code."""
    types: Any = import_module("numba.types")
    extending: Any = import_module("numba.cuda.extending")

    @extending.intrinsic
    def select(context: Any, condition: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
        kind = types.unliteral(a)

        def write(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.select(*arguments)

        return kind(types.boolean, kind, kind), write

    return select


def cubin(module: Module, capability: tuple[int, int] = (9, 0)) -> Cubin:
    """Compile a module for a compute capability, without a GPU."""
    core: Any = import_module("cuda.core")
    with collection_paused():  # it takes a fifth longer else
        code = _compiled_for(module, capability, "ltoir")
    objects = [core.ObjectCode.from_ltoir(code)]
    if "grid.sync" in module.text:
        objects.append(core.ObjectCode.from_library(str(_device_runtime())))
    arch = f"sm_{capability[0]}{capability[1]}"
    linker = core.Linker(
        *objects,
        options=core.LinkerOptions(arch=arch, link_time_optimization=True, ptxas_options=["-v"]),
    )
    made = linker.link("cubin")
    log = linker.get_info_log()

    def figure(pattern: str) -> int:
        return max((int(n) for n in re.findall(pattern, log)), default=0)

    code = bytes(made.code)
    return Cubin(
        code=code,
        registers=figure(r"Used (\d+) registers"),
        stack=figure(r"(\d+) bytes stack frame"),
        spills=figure(r"(\d+) bytes spill"),
        name=_kernel_name(code),
        is_cooperative="grid.sync" in module.text,
    )


def _kernel_name(code: bytes) -> str:
    """Find the kernel's name, in numba's spelling, which the runtime's own functions don't have.

    The parameters of a kernel lie in a section that bears its name.
    """
    (name,) = set(re.findall(rb"\0\.nv\.constant0\.(_ZN[^\0]+)", code))
    return name.decode()


def ptx(module: Module, capability: tuple[int, int] = (9, 0)) -> str:
    """Compile a module to the assembly language of GPUs, to read."""
    made = _compiled_for(module, capability, "ptx")
    return made if isinstance(made, str) else made.decode()


def _compiled_for(module: Module, capability: tuple[int, int], output: str) -> Any:
    function = python_function(module, cuda(), threads())
    options: dict[str, Any] = {"device": False, "abi": "numba", "cc": capability}
    options |= {"output": output, "debug": False, "opt": True}
    with _compiler, _capability(capability):
        try:
            return cuda().compile(function, _signature(module), **options)[0]
        except Exception as error:
            raise _refusal(module, error) from error


def _signature(module: Module) -> tuple[Any, ...]:
    from numba import types  # noqa: PLC0415

    def array(dtype: str) -> Any:
        return types.Array(getattr(types, "boolean" if dtype == "bool" else dtype), 1, "C")

    program = module.program
    found: list[Any] = []
    for name in program.inputs:
        shape, dtype = program.types[name]
        number = getattr(types, "boolean" if dtype == "bool" else dtype)
        found.append(array(dtype) if shape or name in module.boxed else number)
    found += [array(program.types[name].dtype) for name in program.outputs]
    found += [array(data.dtype.name) for data in module.constants.values()]
    found += [array(w.dtype) for w in module.workspaces]
    found += [array("int32"), *[types.int64] * len(module.sizes)]
    if module.room:
        found += [array("int64"), *[types.int64] * len(module.room)]
    return tuple(found)


_compiler = LocalLock()


@contextmanager
def _capability(capability: tuple[int, int]) -> Iterator[None]:
    """Let device functions be compiled where there is no driver that knows the capability."""
    if cuda().is_available():
        yield
        return
    dispatcher: Any = import_module("numba.cuda.dispatcher")
    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = before


def _device_runtime() -> Any:
    """Find the library that barriers of all blocks need."""
    for folder in import_module("nvidia").__path__:
        for found in Path(folder).rglob("libcudadevrt.a"):
            return found
    raise DeviceError(f"libcudadevrt.a, of the CUDA runtime, is not there: {HINT}")
