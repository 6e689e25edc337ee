"""Entry points of a kernel: for C, and for Python's fast call protocol.

``call(table, sizes)`` takes a table of pointers and is what solvers and C callers use.
``enter_arrays`` and ``enter_numbers`` are ``METH_FASTCALL`` functions that Python calls with no
layer in between: the first takes contiguous arrays of the right types, the second Python floats,
and answers ``NotImplemented`` when it is given anything else.
"""

from __future__ import annotations

import sysconfig

from symdiff.compilation.cpu.lowering import (
    MAX_ON_STACK,
    STACK_LIMIT,
    Module,
    arguments_of,
    memory_type,
)
from symdiff.compilation.schedule import Schedule
from symdiff.program.blocks import Block
from symdiff.program.sizes import Extent, Size
from symdiff.trees import Tree

__all__ = [
    "add_array_entry",
    "add_call",
    "add_number_entry",
    "add_scalar_call",
    "can_enter_numbers",
]

_ITEM_SIZES = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4}
_ITEM_SIZES |= {"uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8}

DATA_OFFSET, DIMENSIONS_OFFSET = 16, 32
"""Where ``PyArrayObject_fields`` of numpy/ndarraytypes.h has the data and the dimensions."""


class _Lines:
    """Lines of one function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counter = 0

    def value(self, instruction: str) -> str:
        self.counter += 1
        self.lines.append(f"  %v{self.counter} = {instruction}")
        return f"%v{self.counter}"

    def add(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")


def _size_value(f: _Lines, extent: Extent, sizes: dict[str, str]) -> str:
    if isinstance(extent, int):
        return str(extent)
    assert isinstance(extent, Size)
    total = "0"
    for monomial, coefficient in extent.terms:
        term = str(coefficient)
        for name in monomial:
            term = f.value(f"mul i64 {term}, {sizes[name]}")
        total = f.value(f"add i64 {total}, {term}")
    return total


def _call_kernel(
    f: _Lines, module: Module, schedule: Schedule, pointers: list[str], sizes: dict[str, str]
) -> None:
    """Call the kernel with memory for its intermediate arrays; ends with ``%status``."""
    module.declare("malloc", "ptr", "i64", pure=False)
    module.declare("free", "void", "ptr", pure=False)
    scratch: list[str] = []
    allocated: list[str] = []
    on_stack = 0
    for name in schedule.scratch:
        storage = schedule.storage[name]
        count: Extent = 1
        for extent in storage.shape:
            count = count * extent
        if isinstance(count, int) and count <= STACK_LIMIT and on_stack < MAX_ON_STACK:
            on_stack += count
            scratch.append(f.value(f"alloca [{count} x {memory_type(storage.dtype)}], align 64"))
            continue
        items = _size_value(f, count, sizes)
        size = f.value(f"mul i64 {items}, {_ITEM_SIZES[storage.dtype]}")
        padded = f.value(f"add i64 {size}, 64")
        allocated.append(f.value(f"call ptr @malloc(i64 {padded})"))
        scratch.append(allocated[-1])
    failed = "false"
    for pointer in allocated:
        is_null = f.value(f"icmp eq ptr {pointer}, null")
        failed = f.value(f"or i1 {failed}, {is_null}")
    given = [f"ptr {p}" for p in [*pointers, *scratch]]
    given += [f"i64 {sizes[name]}" for name in schedule.program.size_sources]
    if not allocated:
        f.add(f"%status = call i32 @kernel({', '.join(given)})")
        return
    f.add(f"br i1 {failed}, label %done, label %run")
    f.label("run")
    f.add(f"%code = call i32 @kernel({', '.join(given)})")
    f.add("br label %done")
    f.label("done")
    f.add("%status = phi i32 [ %code, %run ], [ 1, %BEFORE ]")
    for pointer in allocated:
        f.add(f"call void @free(ptr {pointer})")


def _finish(f: _Lines, header: str, entry: str) -> str:
    body = "\n".join(f.lines).replace("%BEFORE", f"%{entry}")
    return f"{header} {{\n{body}\n}}"


def n_arguments(schedule: Schedule) -> int:
    """How many arrays a caller passes: inputs, constants, outputs."""
    return len(arguments_of(schedule)) - len(schedule.scratch)


def add_call(schedule: Schedule, module: Module) -> None:
    """Add ``i32 call(ptr table, ptr sizes)``: a status, see `symdiff.compilation.status`."""
    f = _Lines()
    f.label("entry")
    pointers = []
    for n in range(n_arguments(schedule)):
        slot = f.value(f"getelementptr ptr, ptr %table, i64 {n}")
        pointers.append(f.value(f"load ptr, ptr {slot}"))
    sizes: dict[str, str] = {}
    for n, name in enumerate(schedule.program.size_sources):
        slot = f.value(f"getelementptr i64, ptr %sizes, i64 {n}")
        sizes[name] = f.value(f"load i64, ptr {slot}")
    _call_kernel(f, module, schedule, pointers, sizes)
    _spoil_outputs(f, module, schedule, pointers, sizes)
    f.add("ret i32 %status")
    module.functions.append(_finish(f, "define i32 @call(ptr %table, ptr %sizes)", "entry"))


def _spoil_outputs(
    f: _Lines, module: Module, schedule: Schedule, pointers: list[str], sizes: dict[str, str]
) -> None:
    """Let floating results be NaN (all bits set) when something went wrong.

    A solver then takes the step back, and a C caller who does not look at the status sees it.
    """
    module.declare("memset", "ptr", "ptr, i32, i64", pure=False)
    good = f.value("icmp eq i32 %status, 0")
    f.add(f"br i1 {good}, label %finished, label %spoil")
    f.label("spoil")
    kinds = arguments_of(schedule)
    for pointer, (name, kind) in zip(pointers, kinds, strict=False):
        shape, dtype = schedule.program.types[name]
        if kind != "output" or not dtype.startswith("float"):
            continue
        count: Extent = _ITEM_SIZES[dtype]
        for extent in shape:
            count = count * extent
        size = _size_value(f, count, sizes)
        f.value(f"call ptr @memset(ptr {pointer}, i32 255, i64 {size})")
    f.add("br label %finished")
    f.label("finished")


def add_scalar_call(schedule: Schedule, module: Module) -> None:
    """Add ``double scalar(double)``, or ``double scalar(int n, double *x)`` of several."""
    f = _Lines()
    f.label("entry")
    count = len(schedule.program.inputs)
    slots = []
    if count == 1:
        slots.append(f.value("alloca double"))
        f.add(f"store double %x, ptr {slots[0]}")
    else:
        slots = [f.value(f"getelementptr double, ptr %x, i64 {n}") for n in range(count)]
    result = f.value("alloca double")
    _call_kernel(f, module, schedule, [*slots, result], {})
    number = f.value(f"load double, ptr {result}")
    is_good = f.value("icmp eq i32 %status, 0")
    f.add(
        f"ret double {f.value(f'select i1 {is_good}, double {number}, double 0x7FF8000000000000')}"
    )
    arguments = "double %x" if count == 1 else "i32 %n, ptr %x"
    module.functions.append(_finish(f, f"define double @scalar({arguments})", "entry"))


_PYTHON = {
    "PyLong_FromLong": ("ptr", "i64"),
    "PyEval_SaveThread": ("ptr", ""),
    "PyEval_RestoreThread": ("void", "ptr"),
    "Py_IncRef": ("void", "ptr"),
    "PyFloat_AsDouble": ("double", "ptr"),
    "PyFloat_FromDouble": ("ptr", "double"),
    "PyTuple_New": ("ptr", "i64"),
    "PyTuple_SetItem": ("i32", "ptr, i64, ptr"),
}


def _declare_python(module: Module, *names: str) -> None:
    for name in names:
        result, arguments = _PYTHON[name]
        module.declare(name, result, arguments, pure=False)


def _return_object(f: _Lines, module: Module, symbol: str) -> None:
    module.declarations.setdefault(symbol, f"@{symbol} = external global i8")
    _declare_python(module, "Py_IncRef")
    f.add(f"call void @Py_IncRef(ptr @{symbol})")
    f.add(f"ret ptr @{symbol}")


def add_array_entry(schedule: Schedule, module: Module) -> None:
    """Add ``enter_arrays(*inputs, *constants, *outputs)``: arrays that have been checked.

    It gives None, or the status as a number when something went wrong.
    """
    f = _Lines()
    f.label("entry")
    program = schedule.program
    arrays = []
    for n in range(n_arguments(schedule)):
        slot = f.value(f"getelementptr ptr, ptr %args, i64 {n}")
        arrays.append(f.value(f"load ptr, ptr {slot}"))
    pointers = []
    for array in arrays:
        slot = f.value(f"getelementptr i8, ptr {array}, i64 {DATA_OFFSET}")
        pointers.append(f.value(f"load ptr, ptr {slot}"))
    sizes: dict[str, str] = {}
    for name, (source, axis) in program.size_sources.items():
        array = arrays[program.inputs.index(source)]
        slot = f.value(f"getelementptr i8, ptr {array}, i64 {DIMENSIONS_OFFSET}")
        dimensions = f.value(f"load ptr, ptr {slot}")
        slot = f.value(f"getelementptr i64, ptr {dimensions}, i64 {axis}")
        sizes[name] = f.value(f"load i64, ptr {slot}")
    _declare_python(module, "PyLong_FromLong")
    if schedule.has_loops:
        _declare_python(module, "PyEval_SaveThread", "PyEval_RestoreThread")
        f.add("%thread = call ptr @PyEval_SaveThread()")
    _call_kernel(f, module, schedule, pointers, sizes)
    if schedule.has_loops:
        f.add("call void @PyEval_RestoreThread(ptr %thread)")
    good = f.value("icmp eq i32 %status, 0")
    f.add(f"br i1 {good}, label %good, label %bad")
    f.label("bad")
    f.add("%long = sext i32 %status to i64")
    f.add("%number = call ptr @PyLong_FromLong(i64 %long)")
    f.add("ret ptr %number")
    f.label("good")
    _return_object(f, module, "_Py_NoneStruct")
    header = "define ptr @enter_arrays(ptr %self, ptr %args, i64 %n)"
    module.functions.append(_finish(f, header, "entry"))


def can_enter_numbers(schedule: Schedule, out_tree: Tree) -> bool:
    """Whether a program takes and gives only float64 numbers, without constants or memory."""
    program = schedule.program
    names = [*program.inputs, *program.outputs]
    return (
        not sysconfig.get_config_var("Py_GIL_DISABLED")
        and all(program.types[n] == ((), "float64") for n in names)
        and not program.constants
        and not schedule.scratch
        and not schedule.has_loops
        and not any(isinstance(e.pattern, Block) for e in program.equations)
        and _is_tuples(out_tree)
    )


def _is_tuples(tree: Tree) -> bool:
    return tree.kind is None or (tree.kind is tuple and all(map(_is_tuples, tree.children)))


def add_number_entry(schedule: Schedule, module: Module, out_tree: Tree) -> None:
    """Add ``enter_numbers(*floats)``, which gives Python floats in tuples as `out_tree` says."""
    f = _Lines()
    f.label("entry")
    program = schedule.program
    count = len(program.inputs)
    right = f.value(f"icmp eq i64 %n, {count}")
    f.add(f"br i1 {right}, label %types, label %bad")
    f.label("types")
    right = "true"
    module.declarations.setdefault("PyFloat_Type", "@PyFloat_Type = external global i8")
    arguments = []
    for n in range(count):
        slot = f.value(f"getelementptr ptr, ptr %args, i64 {n}")
        arguments.append(f.value(f"load ptr, ptr {slot}"))
        slot = f.value(f"getelementptr i8, ptr {arguments[-1]}, i64 8")
        kind = f.value(f"load ptr, ptr {slot}")
        is_float = f.value(f"icmp eq ptr {kind}, @PyFloat_Type")
        right = f.value(f"and i1 {right}, {is_float}")
    f.add(f"br i1 {right}, label %good, label %bad")
    f.label("bad")
    _return_object(f, module, "_Py_NotImplementedStruct")
    f.label("good")
    _declare_python(module, *[n for n in _PYTHON if n.startswith(("PyFloat", "PyTuple"))])
    slots = []
    for argument in arguments:
        number = f.value(f"call double @PyFloat_AsDouble(ptr {argument})")
        slots.append(f.value("alloca double"))
        f.add(f"store double {number}, ptr {slots[-1]}")
    results = [f.value("alloca double") for _ in program.outputs]
    _call_kernel(f, module, schedule, [*slots, *results], {})
    f.add(f"ret ptr {_build(f, out_tree, iter(results))}")
    header = "define ptr @enter_numbers(ptr %self, ptr %args, i64 %n)"
    module.functions.append(_finish(f, header, "good"))


def _build(f: _Lines, tree: Tree, results: object) -> str:
    if tree.kind is None:
        number = f.value(f"load double, ptr {next(results)}")  # type: ignore[call-overload]
        return f.value(f"call ptr @PyFloat_FromDouble(double {number})")
    made = f.value(f"call ptr @PyTuple_New(i64 {len(tree.children)})")
    for n, child in enumerate(tree.children):
        item = _build(f, child, results)
        f.value(f"call i32 @PyTuple_SetItem(ptr {made}, i64 {n}, ptr {item})")
    return made
