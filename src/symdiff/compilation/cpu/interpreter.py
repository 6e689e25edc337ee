"""The interpreter: runs a Program of numbers at once, while its machine code is being made.

It is one function, made of the same rows as compiled kernels (`operations.STEPS`): a step gives the
same bits in both, but for products and sums that a kernel fuses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from symdiff.compilation.cpu.engine import (
    Code,
    compile_plainly,
    kept_object,
    load_objects,
    require_symbols,
)
from symdiff.compilation.cpu.instructions import ARITIES, HALT, OPCODES, TRUTH, Table
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.operations import STEPS
from symdiff.compilation.cpu.values import Value, convert
from symdiff.program.program import Program

__all__ = ["Interpreted", "interpreter_text"]


class _Case:
    """Writes what one instruction does; implements `values.Emitter`."""

    in_loop, n_functions = False, 0

    def __init__(self, label: str, module: Module) -> None:
        self.label = label
        self.module = module
        self.lines = [f"{label}:"]
        self.define = self._define
        self.declare = module.declare

    def emit(self, instruction: str) -> str:
        """Append an instruction and name its result."""
        name = f"%{self.label}.{len(self.lines)}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def _define(self, name: str, text: str) -> str:
        if name not in self.module.defined:
            self.module.defined.add(name)
            self.module.functions.append(text)
        return name

    def operand(self, number: int) -> Value:
        """Read the slot that an instruction names."""
        slot = self.emit(f"getelementptr inbounds i32, ptr %here, i64 {2 + number}")
        index = self.emit(f"zext i32 {self.emit(f'load i32, ptr {slot}')} to i64")
        place = self.emit(f"getelementptr inbounds double, ptr %slots, i64 {index}")
        return Value(self.emit(f"load double, ptr {place}"), "float64")

    def finish(self, value: Value) -> str:
        """Write the result and go on."""
        number = convert(self, value, "float64").name
        self.lines += [f"  store double {number}, ptr %result", "  br label %next"]
        return "\n".join(self.lines)


def interpreter_text() -> tuple[str, Module]:
    """Write ``void interpret(ptr code, ptr slots)`` as LLVM code."""
    module = Module()
    cases: list[str] = []
    table = [f"    i32 {HALT}, label %halt"]
    case = _Case(f"op{TRUTH}", module)
    cases.append(case.finish(convert(case, case.operand(0), "bool")))
    table.append(f"    i32 {TRUTH}, label %op{TRUTH}")
    for name, opcode in OPCODES.items():
        case = _Case(f"op{opcode}", module)
        operands = [case.operand(n) for n in range(ARITIES[name])]
        cases.append(case.finish(STEPS[name](case, "float64", operands)))
        table.append(f"    i32 {opcode}, label %op{opcode}")
    dispatch = "\n".join(table)
    body = "\n".join(cases)
    head = "define void @interpret(ptr noalias readonly %code, ptr noalias %slots)"
    module.functions.append(f"""{head} {{
entry:
  br label %start
next:
  %following = getelementptr inbounds i32, ptr %here, i64 5
  br label %start
start:
  %here = phi ptr [ %code, %entry ], [ %following, %next ]
  %opcode = load i32, ptr %here
  %place = getelementptr inbounds i32, ptr %here, i64 1
  %number = load i32, ptr %place
  %index = zext i32 %number to i64
  %result = getelementptr inbounds double, ptr %slots, i64 %index
  switch i32 %opcode, label %unknown [
{dispatch}
  ]
unknown:
  unreachable
halt:
  ret void
{body}
}}""")
    return str(module), module


@cache
def _interpreter() -> tuple[Code, Callable[[int, int], None]]:
    text, module = interpreter_text()
    require_symbols(module.declarations)
    code = load_objects([kept_object(text, partial(compile_plainly, level=0))])
    return code, ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address("interpret"))


class Interpreted:
    """A Program that is interpreted; called like a `Kernel`, from any number of threads."""

    def __init__(self, program: Program, table: Table) -> None:
        self.program = program
        self.table = table
        self._keep, self._run = _interpreter()
        self._results = [np.dtype(program.types[name].dtype) for name in program.outputs]

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on arrays of rank 0; outputs are new arrays."""
        code, start, places, outputs = self.table
        slots = start.copy()
        for place, value in zip(places, inputs, strict=True):
            slots[place] = value
        self._run(code.ctypes.data, slots.ctypes.data)
        made: list[Any] = [
            np.array(slots[place], dtype)
            for place, dtype in zip(outputs, self._results, strict=True)
        ]
        return made
