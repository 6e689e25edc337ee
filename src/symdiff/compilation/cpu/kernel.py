"""`Kernel`: a compiled Program, called with arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.collector import collection_paused
from symdiff.compilation.cpu import entry, objects
from symdiff.compilation.cpu.artifacts import Artifact, key_of, places_of
from symdiff.compilation.cpu.callbacks import Callback, failure
from symdiff.compilation.cpu.calls import Call, Given, known_objects
from symdiff.compilation.cpu.engine import (
    Code,
    compile_object,
    compile_plainly,
    load_objects,
    require_symbols,
)
from symdiff.compilation.cpu.into import add_into_entry, can_enter_into
from symdiff.compilation.cpu.lowering import lower
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.parts import is_long, lower_parts
from symdiff.compilation.cpu.planning import planned
from symdiff.compilation.disk_cache import open_cache
from symdiff.compilation.status import error_of
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate

__all__ = ["Call", "Given", "Kernel", "compile_program", "kernel_text"]


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_METH_FASTCALL = 0x80
_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.restype = ctypes.py_object
_new_function.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]


def _function(code: Code, name: str, keep: list[Any]) -> Callable[..., Any]:
    """Make a Python function of machine code; it keeps the code alive through its ``self``."""
    definition = _MethodDef(name.encode(), code.address(name), _METH_FASTCALL, b"")
    keep.append(definition)
    return _new_function(ctypes.addressof(definition), (code, keep), None)


def _go_on() -> None:
    """Do nothing."""


class Kernel:
    """A Program as machine code.

    Attributes
    ----------
    program : Program
        What was compiled. `proceed` is called between the steps; what it raises ends the work.
    enter_objects : callable or None
        Takes the arguments as Python has them and gives the result, or NotImplemented for
        arguments other than those it was compiled for.
    call_address : int
        The C function ``int call(void **table, int64_t *sizes)``.
    """

    def __init__(
        self,
        program: Program,
        call: Call | None = None,
        proceed: Callable[[], None] = _go_on,
    ) -> None:
        self.program = program
        built = _built(
            _kernel_module, program, call if call is not None and call.is_simple else None, proceed
        )
        self._code = built.code
        self._callbacks = built.callbacks
        keep: list[Any] = [built.held, built.callbacks]
        self._enter_arrays = _function(self._code, "enter_arrays", keep)
        self.enter_objects: Callable[..., Any] | None = None
        if built.held is not None:
            self._code.write("objects", [id(x) for x in built.held])
            self._code.write("numpy_functions", [objects.numpy_functions()])
            self.enter_objects = _function(self._code, "enter_objects", keep)
        self.call_address = self._code.address("call")
        self.scalar_address = self._code.address("scalar") if is_number_function(program) else None
        self.constants = tuple(program.constants.values())
        self._results = [program.types[name] for name in program.outputs]
        self._is_static = all(isinstance(e, int) for shape, _ in self._results for e in shape)

    @property
    def native(self) -> Kernel:
        """The kernel itself: there is machine code."""
        return self

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on contiguous arrays of the right dtypes and shapes; outputs are new arrays."""
        outputs = [np.empty(shape, dtype) for shape, dtype in self.shapes(inputs)]
        self.run(inputs, outputs)
        return outputs

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Run on such arrays, and write to others like them, which share no memory."""
        status = self._enter_arrays(*inputs, *self.constants, *outputs)
        if status is not None:
            raise failure() or error_of(status, self.program.name)

    def enter_into(self, call: Call) -> Callable[..., Any] | None:
        """Make the entry that takes such arguments and, last, the arrays for the results.

        It gives the latter, or NotImplemented for what it was not compiled for. None for calls
        that are not simple.
        """
        if not can_enter_into(call):
            return None
        built = _built(_into_module, self.program, call)
        assert built.held is not None
        built.code.write("objects", [id(x) for x in built.held])
        built.code.write("kernel_call", [self.call_address])
        return _function(built.code, "enter_into", [built.held, self._code, self._callbacks])

    def shapes(self, inputs: Sequence[np.ndarray]) -> Sequence[tuple[Any, str]]:
        """Give shape and dtype of each output."""
        if self._is_static:
            return self._results
        sizes = self.program.sizes_of(inputs)
        return [
            (tuple([evaluate(e, sizes) for e in shape]), dtype) for shape, dtype in self._results
        ]


class _Built(NamedTuple):
    """Code in memory, the objects it points to, and what it calls back."""

    code: Code
    held: list[Any] | None
    callbacks: list[Callback]


def _built(
    write: Callable[[Program, Call | None], tuple[Module, list[Any] | None]],
    program: Program,
    call: Call | None,
    proceed: Callable[[], None] = _go_on,
) -> _Built:
    """Find the code that a function writes in the disk cache, or compile it."""
    store = open_cache()
    key = key_of(program, call, write.__name__) if store is not None else None
    known = [] if call is None else known_objects(program, call)
    if store is not None and key is not None:
        data = store.load(key)
        if data is not None:
            artifact = Artifact.load(data)
            require_symbols(artifact.symbols)
            held = None if artifact.places is None else [known[n] for n in artifact.places]
            return _Built(load_objects(artifact.contents), held, [])
    proceed()
    with collection_paused():
        module, held = write(program, call)
    symbols = [name for part in (module, *module.parts) for name in part.declarations]
    require_symbols(symbols)
    contents = [compile_object(str(module))]
    for part in module.parts:
        proceed()
        contents.append(compile_plainly(str(part)))
    proceed()
    if store is not None and key is not None and not module.callbacks:
        artifact = Artifact(contents, symbols, places_of(held, known))
        store.save(key, artifact.dump())
    return _Built(load_objects(contents), held, module.callbacks)


def _kernel_module(program: Program, call: Call | None) -> tuple[Module, list[Any] | None]:
    plan = planned(program)
    module = Module()
    if is_long(plan):
        lower_parts(plan, module)
    else:
        lower(plan, module)
    entry.add_call(plan, module)
    entry.add_array_entry(plan, module)
    if is_number_function(program):
        entry.add_scalar_call(plan, module)
    return module, None if call is None else objects.add_object_entry(plan, module, call)


def _into_module(program: Program, call: Call | None) -> tuple[Module, list[Any] | None]:
    assert call is not None
    module = Module()
    return module, add_into_entry(program, module, call)


def is_number_function(program: Program) -> bool:
    """Whether a program takes float64 numbers and gives one."""
    names = [*program.inputs, *program.outputs]
    return (
        len(program.outputs) == 1
        and len(program.inputs) > 0
        and not program.constants
        and all(program.types[n] == ((), "float64") for n in names)
    )


def compile_program(program: Program, call: Call | None = None) -> Kernel:
    """Compile an optimised Program for this machine."""
    return Kernel(program, call)


def kernel_text(program: Program) -> str:
    """The LLVM code of a Program before LLVM's own optimisation."""
    module, _ = _kernel_module(program, None)
    return "\n".join(map(str, (module, *module.parts)))
