"""Entry points of a kernel: for C, and for Python's fast call protocol.

``call(table, sizes)`` takes a table of pointers and is what solvers and C callers use.
``enter_arrays`` and ``enter_numbers`` are ``METH_FASTCALL`` functions that Python calls with no
layer in between: the first takes contiguous arrays of the right types, the second Python floats,
and answers ``NotImplemented`` when it is given anything else.
"""

from __future__ import annotations

from symdiff.compilation.cpu.assembler import Lines, size_value
from symdiff.compilation.cpu.duration import has_loops
from symdiff.compilation.cpu.lowering import (
    MAX_ON_STACK,
    STACK_LIMIT,
    arguments_of,
)
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.values import ITEM_SIZES, memory_type
from symdiff.compilation.nests import Schedule
from symdiff.compilation.status import MEMORY
from symdiff.program.sizes import product

__all__ = [
    "add_array_entry",
    "add_call",
    "add_scalar_call",
]

_LINE = 64
"""Bytes of a line of the processor's caches, to which arrays are aligned."""
DATA_OFFSET, DIMENSIONS_OFFSET = 16, 32
"""Where ``PyArrayObject_fields`` of numpy/ndarraytypes.h has the data and the dimensions."""


def call_kernel(
    f: Lines, module: Module, schedule: Schedule, pointers: list[str], sizes: dict[str, str]
) -> None:
    """Call the kernel with memory for its intermediate arrays; ends with ``%status``.

    Small arrays lie on the stack; the others are parts of one piece of memory, taken for the call.
    """
    scratch: dict[str, str] = {}
    offsets: dict[str, str] = {}
    total = "0"
    on_stack = 0
    for name in schedule.scratch:
        storage = schedule.storage[name]
        count = product(storage.shape)
        if isinstance(count, int) and count <= STACK_LIMIT and on_stack < MAX_ON_STACK:
            on_stack += count
            scratch[name] = f.stack(f"[{count} x {memory_type(storage.dtype)}]")
            continue
        offsets[name] = total
        if isinstance(count, int) and not total.startswith("%"):
            total = str(int(total) + _aligned(count * ITEM_SIZES[storage.dtype]))
            continue
        items = size_value(f, count, sizes)
        size = f.value(f"mul i64 {items}, {ITEM_SIZES[storage.dtype]}")
        size = f.value(f"and i64 {f.value(f'add i64 {size}, {_LINE - 1}')}, {-_LINE}")
        total = f.value(f"add i64 {total}, {size}")
    if not offsets:
        f.add(f"%status = call i32 @kernel({_given(schedule, pointers, scratch, sizes)})")
        return
    module.declare("malloc", "ptr", "i64", pure=False)
    module.declare("free", "void", "ptr", pure=False)
    memory = f.value(f"call ptr @malloc(i64 {f.value(f'add i64 {total}, {2 * _LINE}')})")
    result = f.stack("i32")
    f.add(f"store i32 {MEMORY}, ptr {result}")
    f.add(f"br i1 {f.value(f'icmp eq ptr {memory}, null')}, label %after, label %call")
    f.label("call")
    address = f.value(f"ptrtoint ptr {memory} to i64")
    past = f.value(f"and i64 {f.value(f'sub i64 0, {address}')}, {_LINE - 1}")
    start = f.value(f"getelementptr i8, ptr {memory}, i64 {past}")
    for name, offset in offsets.items():
        scratch[name] = f.value(f"getelementptr i8, ptr {start}, i64 {offset}")
    code = f.value(f"call i32 @kernel({_given(schedule, pointers, scratch, sizes)})")
    f.add(f"store i32 {code}, ptr {result}")
    f.add("br label %after")
    f.label("after")
    f.add(f"call void @free(ptr {memory})")
    f.add(f"%status = load i32, ptr {result}")


def _aligned(size: int) -> int:
    return -(-size // _LINE) * _LINE


def _given(
    schedule: Schedule, pointers: list[str], scratch: dict[str, str], sizes: dict[str, str]
) -> str:
    """Write the arguments of the kernel."""
    given = [f"ptr {p}" for p in [*pointers, *[scratch[name] for name in schedule.scratch]]]
    given += [f"i64 {sizes[name]}" for name in schedule.program.size_sources]
    return ", ".join(given)


def finish(f: Lines, header: str) -> str:
    """Put a function together."""
    entry, *lines = f.lines
    return "\n".join([f"{header} {{", entry, *f.head, *lines, "}"])


def n_arguments(schedule: Schedule) -> int:
    """How many arrays a caller passes: inputs, constants, outputs."""
    return len(arguments_of(schedule)) - len(schedule.scratch)


def add_call(schedule: Schedule, module: Module) -> None:
    """Add ``i32 call(ptr table, ptr sizes)``: a status, see `symdiff.compilation.status`."""
    f = Lines()
    f.label("entry")
    pointers = []
    for n in range(n_arguments(schedule)):
        slot = f.value(f"getelementptr ptr, ptr %table, i64 {n}")
        pointers.append(f.value(f"load ptr, ptr {slot}"))
    sizes: dict[str, str] = {}
    for n, name in enumerate(schedule.program.size_sources):
        slot = f.value(f"getelementptr i64, ptr %sizes, i64 {n}")
        sizes[name] = f.value(f"load i64, ptr {slot}")
    call_kernel(f, module, schedule, pointers, sizes)
    _spoil_outputs(f, module, schedule, pointers, sizes)
    f.add("ret i32 %status")
    module.functions.append(finish(f, "define i32 @call(ptr %table, ptr %sizes)"))


def _spoil_outputs(
    f: Lines, module: Module, schedule: Schedule, pointers: list[str], sizes: dict[str, str]
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
        count = ITEM_SIZES[dtype] * product(shape)
        size = size_value(f, count, sizes)
        f.value(f"call ptr @memset(ptr {pointer}, i32 255, i64 {size})")
    f.add("br label %finished")
    f.label("finished")


def add_scalar_call(schedule: Schedule, module: Module) -> None:
    """Add ``double scalar(double)``, or ``double scalar(int n, double *x)`` of several."""
    f = Lines()
    f.label("entry")
    count = len(schedule.program.inputs)
    slots = []
    if count == 1:
        slots.append(f.value("alloca double"))
        f.add(f"store double %x, ptr {slots[0]}")
    else:
        slots = [f.value(f"getelementptr double, ptr %x, i64 {n}") for n in range(count)]
    result = f.value("alloca double")
    call_kernel(f, module, schedule, [*slots, result], {})
    number = f.value(f"load double, ptr {result}")
    is_good = f.value("icmp eq i32 %status, 0")
    f.add(
        f"ret double {f.value(f'select i1 {is_good}, double {number}, double 0x7FF8000000000000')}"
    )
    arguments = "double %x" if count == 1 else "i32 %n, ptr %x"
    module.functions.append(finish(f, f"define double @scalar({arguments})"))


_PYTHON = {
    "PyLong_FromLong": ("ptr", "i64"),
    "PyEval_SaveThread": ("ptr", ""),
    "PyEval_RestoreThread": ("void", "ptr"),
    "Py_IncRef": ("void", "ptr"),
    "Py_DecRef": ("void", "ptr"),
    "PyFloat_AsDouble": ("double", "ptr"),
    "PyFloat_FromDouble": ("ptr", "double"),
    "PyTuple_New": ("ptr", "i64"),
    "PyTuple_SetItem": ("i32", "ptr, i64, ptr"),
}


def declare_python(module: Module, *names: str) -> None:
    for name in names:
        result, arguments = _PYTHON[name]
        module.declare(name, result, arguments, pure=False)


def return_object(f: Lines, module: Module, symbol: str) -> None:
    module.declarations.setdefault(symbol, f"@{symbol} = external global i8")
    declare_python(module, "Py_IncRef")
    f.add(f"call void @Py_IncRef(ptr @{symbol})")
    f.add(f"ret ptr @{symbol}")


def add_array_entry(schedule: Schedule, module: Module) -> None:
    """Add ``enter_arrays(*inputs, *constants, *outputs)``: arrays that have been checked.

    It gives None, or the status as a number when something went wrong.
    """
    f = Lines()
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
    declare_python(module, "PyLong_FromLong")
    if has_loops(program):
        declare_python(module, "PyEval_SaveThread", "PyEval_RestoreThread")
        f.add("%thread = call ptr @PyEval_SaveThread()")
    call_kernel(f, module, schedule, pointers, sizes)
    if has_loops(program):
        f.add("call void @PyEval_RestoreThread(ptr %thread)")
    good = f.value("icmp eq i32 %status, 0")
    f.add(f"br i1 {good}, label %good, label %bad")
    f.label("bad")
    f.add("%long = sext i32 %status to i64")
    f.add("%number = call ptr @PyLong_FromLong(i64 %long)")
    f.add("ret ptr %number")
    f.label("good")
    return_object(f, module, "_Py_NoneStruct")
    header = "define ptr @enter_arrays(ptr %self, ptr %args, i64 %n)"
    module.functions.append(finish(f, header))
