"""`Kernel`: a compiled Program, called with arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cpu import entry, objects
from symdiff.compilation.cpu.callbacks import failure
from symdiff.compilation.cpu.engine import Code, compile_module, compile_modules, require_symbols
from symdiff.compilation.cpu.lowering import lower
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.objects import Given
from symdiff.compilation.cpu.parts import is_long, lower_parts
from symdiff.compilation.cpu.planning import planned
from symdiff.compilation.status import error_of
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate
from symdiff.trees import Tree

__all__ = ["Call", "Given", "Kernel", "compile_program", "kernel_text"]


class Call(NamedTuple):
    """What a kernel's arguments from Python are, and what is made of its results.

    Attributes
    ----------
    arguments : Tree
        The structure of the tuple of arguments.
    given : sequence of Given or None
        Its leaves; None for one that has to be converted.
    results : Tree
        The structure of the result.
    is_plain : bool
        Whether numbers are given as Python's, not as NumPy's.
    """

    arguments: Tree
    given: Sequence[Given | None]
    results: Tree
    is_plain: bool


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
        module, held = _module(program, call)
        proceed()
        for part in (module, *module.parts):
            require_symbols(part.declarations)
        texts = [str(part) for part in (module, *module.parts)]
        self._code = compile_modules(texts, proceed) if module.parts else compile_module(texts[0])
        self._callbacks = module.callbacks
        keep: list[Any] = [held]
        self._enter_arrays = _function(self._code, "enter_arrays", keep)
        self.enter_objects: Callable[..., Any] | None = None
        if held is not None:
            addresses = [id(x) for x in held]
            self._code.write("objects", addresses)
            self._code.write("numpy_functions", [objects.numpy_functions()])
            self.enter_objects = _function(self._code, "enter_objects", keep)
        self.call_address = self._code.address("call")
        self.scalar_address = self._code.address("scalar") if is_number_function(program) else None
        self.constants = tuple(program.constants.values())
        self._results = [program.types[name] for name in program.outputs]
        self._is_static = all(isinstance(e, int) for shape, _ in self._results for e in shape)

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on contiguous arrays of the right dtypes and shapes; outputs are new arrays."""
        outputs = [np.empty(shape, dtype) for shape, dtype in self._shapes(inputs)]
        status = self._enter_arrays(*inputs, *self.constants, *outputs)
        if status is not None:
            raise failure() or error_of(status, self.program.name)
        return outputs

    def _shapes(self, inputs: Sequence[np.ndarray]) -> Any:
        if self._is_static:
            return self._results
        sizes = {
            name: inputs[self.program.inputs.index(source)].shape[axis]
            for name, (source, axis) in self.program.size_sources.items()
        }
        return [
            (tuple([evaluate(e, sizes) for e in shape]), dtype) for shape, dtype in self._results
        ]


def _module(program: Program, call: Call | None) -> tuple[Module, list[Any] | None]:
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
    if call is None or not objects.can_enter_objects(call.arguments, call.given, call.results):
        return module, None
    given = [g for g in call.given if g is not None]
    held = objects.add_object_entry(
        plan, module, call.arguments, given, call.results, is_plain=call.is_plain
    )
    return module, held


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
    module, _ = _module(program, None)
    return "\n".join(map(str, (module, *module.parts)))
