"""`Kernel`: a compiled Program, called with arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.compilation.cpu import entry
from symdiff.compilation.cpu.callbacks import failure
from symdiff.compilation.cpu.engine import Code, compile_module, require_symbols
from symdiff.compilation.cpu.lowering import Module, lower
from symdiff.compilation.schedule import schedule
from symdiff.compilation.status import error_of
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate
from symdiff.trees import Tree

__all__ = ["Kernel", "compile_program", "kernel_text"]


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


class Kernel:
    """A Program as machine code.

    Attributes
    ----------
    program : Program
        What was compiled.
    enter_numbers : callable or None
        For programs of plain numbers: takes Python floats and gives the result, or
        NotImplemented for other arguments.
    call_address : int
        The C function ``int call(void **table, int64_t *sizes)``.
    """

    def __init__(self, program: Program, out_tree: Tree | None = None) -> None:
        self.program = program
        module, has_numbers = _module(program, out_tree)
        require_symbols(module.declarations)
        self._code = compile_module(str(module))
        self._callbacks = module.callbacks
        keep: list[Any] = []
        self._enter_arrays = _function(self._code, "enter_arrays", keep)
        self.enter_numbers = _function(self._code, "enter_numbers", keep) if has_numbers else None
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


def _module(program: Program, out_tree: Tree | None) -> tuple[Module, bool]:
    plan = schedule(program)
    module = Module()
    lower(plan, module)
    entry.add_call(plan, module)
    entry.add_array_entry(plan, module)
    if is_number_function(program):
        entry.add_scalar_call(plan, module)
    has_numbers = out_tree is not None and entry.can_enter_numbers(plan, out_tree)
    if has_numbers and out_tree is not None:
        entry.add_number_entry(plan, module, out_tree)
    return module, has_numbers


def is_number_function(program: Program) -> bool:
    """Whether a program takes float64 numbers and gives one."""
    names = [*program.inputs, *program.outputs]
    return (
        len(program.outputs) == 1
        and len(program.inputs) > 0
        and not program.constants
        and all(program.types[n] == ((), "float64") for n in names)
    )


def compile_program(program: Program, out_tree: Tree | None = None) -> Kernel:
    """Compile an optimised Program for this machine."""
    return Kernel(program, out_tree)


def kernel_text(program: Program) -> str:
    """The LLVM code of a Program before LLVM's own optimisation."""
    return str(_module(program, None)[0])
