"""The fast way from Python: one function in machine code that takes the objects of a call.

``enter_objects(*args)`` is a ``METH_FASTCALL`` function. It checks that its arguments are what the
kernel was compiled for (types, dtypes, ranks, contiguity, sizes and guards, also inside tuples,
lists and dicts), makes the results, runs the kernel, and puts the results together. Whatever it
does not know, or an error in the kernel, it answers with ``NotImplemented``: the caller then goes
the long way, which converts, traces again, or raises.

Objects of Python's are read as their C structures lie in memory: ``PyObject``, ``PyTupleObject``,
``PyListObject``, ``PyArrayObject_fields`` and the scalar objects of numpy/arrayscalars.h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.compilation.cpu.assembler import Lines, size_value
from symdiff.compilation.cpu.calls import Call, Given
from symdiff.compilation.cpu.duration import has_loops, has_steps
from symdiff.compilation.cpu.entry import call_kernel, declare_python, finish, return_object
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.results import NEW_ARRAY
from symdiff.compilation.cpu.values import ITEM_SIZES, llvm_type
from symdiff.compilation.nests import Schedule
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size, product
from symdiff.trees import Tree

__all__ = ["DATA", "DIMENSIONS", "FLAGS", "Writer", "add_object_entry", "numpy_functions"]

DATA, DIMENSIONS, FLAGS = 16, 32, 64
"""Where ``PyArrayObject_fields`` has the data, the dimensions and the flags."""
_TYPE, _RANK, _DESCR = 8, 24, 56
_SIZE, _TUPLE_ITEMS, _LIST_ITEMS = 16, 24, 24
_BEHAVED = 0x0101
"""``NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED``."""
_SCALAR = 60
"""Where ``PyArray_Scalar`` is in NumPy's table of functions."""
_LONG = 256
"""Sizes that together are at least this let other threads of Python's run meanwhile."""


@dataclass
class _Objects:
    """The objects to which the code holds pointers, which are put in when it is loaded."""

    values: list[Any]

    def slot(self, value: Any) -> str:
        """Give the place of the pointer to an object."""
        places = [n for n, known in enumerate(self.values) if known is value]
        if not places:
            places = [len(self.values)]
            self.values.append(value)
        return f"getelementptr (ptr, ptr @objects, i64 {places[0]})"


def numpy_functions() -> int:
    """The address of NumPy's table of functions."""
    import ctypes  # noqa: PLC0415 - for this one look at a capsule

    from numpy._core import (  # noqa: PLC0415 - the extension's own module
        _multiarray_umath,  # pyright: ignore[reportAttributeAccessIssue] - which has no stub
    )

    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(_multiarray_umath._ARRAY_API, None) or 0)


def add_object_entry(schedule: Schedule, module: Module, call: Call) -> list[Any]:
    """Add ``enter_objects``, for calls that are simple.

    Parameters
    ----------
    schedule, module
        The kernel, and where the function goes.
    call : Call
        What the arguments and the results are.

    Returns
    -------
    list
        The objects whose addresses belong into the global array ``objects``.
    """

    def run_kernel(writer: Writer, pointers: list[str]) -> None:
        call_kernel(writer.f, module, schedule, pointers, writer.sizes)

    writer = Writer(schedule.program, module, call, run_kernel)
    text = writer.text()
    count = len(writer.objects.values)
    module.functions.append(
        f"@objects = global [{max(count, 1)} x ptr] zeroinitializer\n"
        f"@numpy_functions = global ptr null\n{text}"
    )
    return writer.objects.values


class Writer:
    """Writes the function; ``run_kernel`` writes the call that it is all for, up to ``%status``."""

    def __init__(
        self,
        program: Program,
        module: Module,
        call: Call,
        run_kernel: Callable[[Writer, list[str]], None],
    ) -> None:
        self.program = program
        self.module = module
        self.call = call
        self.run_kernel = run_kernel
        self.f = Lines()
        self.objects = _Objects([])
        self.given = iter([g for g in call.given if g is not None])
        self.inputs = iter(self.program.inputs)
        self.pointers: list[str] = []
        self.dimensions: list[tuple[tuple[Extent, ...], str]] = []
        self.sizes: dict[str, str] = {}

    # small steps

    def load(self, base: str, offset: int, kind: str = "ptr") -> str:
        """Read a field of a structure."""
        slot = self.f.value(f"getelementptr i8, ptr {base}, i64 {offset}")
        return self.f.value(f"load {kind}, ptr {slot}")

    def object(self, value: Any) -> str:
        """Point to an object."""
        return self.f.value(f"load ptr, ptr {self.objects.slot(value)}")

    def require(self, condition: str, otherwise: str = "bad") -> None:
        """Go on where a condition holds."""
        self.f.counter += 1
        label = f"go{self.f.counter}"
        self.f.add(f"br i1 {condition}, label %{label}, label %{otherwise}")
        self.f.label(label)

    def require_type(self, value: str, kind: type) -> None:
        """Go on where an object is of a type, not of one derived from it."""
        there = self.load(value, _TYPE)
        self.require(self.f.value(f"icmp eq ptr {there}, {self.object(kind)}"))

    # arguments

    def take(self, tree: Tree, value: str) -> None:
        """Check an argument and note where its numbers are."""
        f = self.f
        if tree.kind is None:
            self.take_leaf(next(self.given), value)
        elif tree.kind is type(None):
            self.require(f.value(f"icmp eq ptr {value}, {self.object(None)}"))
        elif tree.kind is dict:
            self.take_dict(tree, value)
        else:
            self.require_type(value, tree.kind)
            count = self.load(value, _SIZE, "i64")
            self.require(f.value(f"icmp eq i64 {count}, {len(tree.children)}"))
            items = value
            offset = _TUPLE_ITEMS
            if tree.kind is list:
                items, offset = self.load(value, _LIST_ITEMS), 0
            for n, child in enumerate(tree.children):
                self.take(child, self.load(items, offset + 8 * n))

    def take_dict(self, tree: Tree, value: str) -> None:
        """Check a dict: the same keys in the same order."""
        f = self.f
        self.require_type(value, dict)
        self.module.declare("PyDict_Size", "i64", "ptr", pure=False)
        self.module.declare("PyDict_Next", "i32", "ptr, ptr, ptr, ptr", pure=False)
        count = f.value(f"call i64 @PyDict_Size(ptr {value})")
        self.require(f.value(f"icmp eq i64 {count}, {len(tree.children)}"))
        at, key, item = (f.stack(kind) for kind in ("i64", "ptr", "ptr"))
        f.add(f"store i64 0, ptr {at}")
        for name, child in zip(tree.keys, tree.children, strict=True):
            more = f.value(f"call i32 @PyDict_Next(ptr {value}, ptr {at}, ptr {key}, ptr {item})")
            self.require(f.value(f"icmp ne i32 {more}, 0"))
            there = f.value(f"load ptr, ptr {key}")
            self.require(f.value(f"icmp eq ptr {there}, {self.object(name)}"))
            self.take(child, f.value(f"load ptr, ptr {item}"))

    def take_leaf(self, given: Given, value: str) -> None:
        """Check a number or an array."""
        f = self.f
        if given.kind == "same":
            self.require(f.value(f"icmp eq ptr {value}, {self.object(given.value)}"))
            return
        name = next(self.inputs)
        shape, dtype = self.program.types[name]
        if given.kind == "scalar":
            self.require_type(value, np.dtype(dtype).type)
            self.pointers.append(f.value(f"getelementptr i8, ptr {value}, i64 {DATA}"))
        elif given.kind == "array":
            self.take_array(value, shape, dtype)
        else:
            self.pointers.append(self.take_number(given, value, dtype))

    def take_number(self, given: Given, value: str, dtype: str) -> str:
        """Put a Python number into memory as the kernel wants it."""
        f = self.f
        kind = llvm_type(dtype)
        slot = f.stack(kind)
        if given.kind == "float":
            self.require_type(value, float)
            declare_python(self.module, "PyFloat_AsDouble")
            number = f.value(f"call double @PyFloat_AsDouble(ptr {value})")
            if dtype == "float32":
                number = f.value(f"fptrunc double {number} to float")
        else:
            self.require_type(value, int)
            self.module.declare("PyLong_AsLongLongAndOverflow", "i64", "ptr, ptr", pure=False)
            over = f.stack("i32")
            number = f.value(f"call i64 @PyLong_AsLongLongAndOverflow(ptr {value}, ptr {over})")
            is_over = f.value(f"load i32, ptr {over}")
            self.require(f.value(f"icmp eq i32 {is_over}, 0"))
            if dtype != "int64":
                number = f.value(f"sitofp i64 {number} to {kind}")
        f.add(f"store {kind} {number}, ptr {slot}")
        return slot

    def take_array(self, value: str, shape: tuple[Extent, ...], dtype: str) -> None:
        """Check an array's type, dtype, rank and layout; its sizes are looked at later."""
        f = self.f
        self.require_type(value, np.ndarray)
        descr = self.load(value, _DESCR)
        self.require(f.value(f"icmp eq ptr {descr}, {self.object(np.dtype(dtype))}"))
        rank = self.load(value, _RANK, "i32")
        flags = f.value(f"and i32 {self.load(value, FLAGS, 'i32')}, {_BEHAVED}")
        is_right = f.value(f"icmp eq i32 {rank}, {len(shape)}")
        is_behaved = f.value(f"icmp eq i32 {flags}, {_BEHAVED}")
        self.require(f.value(f"and i1 {is_right}, {is_behaved}"))
        self.pointers.append(self.load(value, DATA))
        if shape:
            self.dimensions.append((shape, self.load(value, DIMENSIONS)))

    def check_sizes(self) -> None:
        """Find out what the sizes are, and whether they are those that the kernel is for."""
        f = self.f
        actual: list[tuple[Extent, str]] = []
        for shape, dimensions in self.dimensions:
            for axis, extent in enumerate(shape):
                actual.append((extent, self.load(dimensions, 8 * axis, "i64")))
        good = "true"
        rest: list[tuple[Extent, str]] = []
        for extent, value in actual:
            name = extent.name if isinstance(extent, Size) else None
            if name is None or name in self.sizes:
                rest.append((extent, value))
                continue
            self.sizes[name] = value
            good = f.value(f"and i1 {good}, {f.value(f'icmp sge i64 {value}, 1')}")
        for extent, value in rest:
            wanted = size_value(f, extent, self.sizes)
            good = f.value(f"and i1 {good}, {f.value(f'icmp eq i64 {value}, {wanted}')}")
        relations = {"==": "eq", "!=": "ne", ">=": "sge", "<": "slt"}
        for guard in self.program.guards:
            value = size_value(f, guard.size, self.sizes)
            holds = f.value(f"icmp {relations[guard.relation]} i64 {value}, 0")
            good = f.value(f"and i1 {good}, {holds}")
        if good != "true":
            self.require(good)

    # results

    def new_array(self, name: str, made: list[str]) -> str:
        """Make an array for a result; without memory, give the others back and the error on."""
        f = self.f
        shape, dtype = self.program.types[name]
        dimensions = f.stack(f"[{len(shape)} x i64]")
        for axis, extent in enumerate(shape):
            slot = f.value(f"getelementptr i64, ptr {dimensions}, i64 {axis}")
            f.add(f"store i64 {size_value(f, extent, self.sizes)}, ptr {slot}")
        descr = self.object(np.dtype(dtype))
        declare_python(self.module, "Py_IncRef")
        f.add(f"call void @Py_IncRef(ptr {descr})")  # a reference that is taken over
        size = ITEM_SIZES[dtype] * product(shape)
        self.module.declare(NEW_ARRAY, "ptr", "ptr, i32, ptr, ptr, i64", pure=False)
        table = f.value("load ptr, ptr @numpy_functions")
        array = f.value(
            f"call ptr @{NEW_ARRAY}(ptr {table}, i32 {len(shape)}, ptr {dimensions}, "
            f"ptr {descr}, i64 {size_value(f, size, self.sizes)})"
        )
        f.counter += 1
        label = f"made{f.counter}"
        is_made = f.value(f"icmp ne ptr {array}, null")
        f.add(f"br i1 {is_made}, label %{label}, label %{label}.failed")
        f.label(f"{label}.failed")
        self.give_back(made)
        f.add("ret ptr null")
        f.label(label)
        return array

    def give_back(self, made: Sequence[str]) -> None:
        """Let results go."""
        declare_python(self.module, "Py_DecRef")
        for array in made:
            self.f.add(f"call void @Py_DecRef(ptr {array})")

    def numpy_function(self, number: int) -> str:
        """Look a function up in NumPy's table."""
        table = self.f.value("load ptr, ptr @numpy_functions")
        return self.load(table, 8 * number)

    def number(self, slot: str, dtype: str) -> str:
        """Make an object of a number."""
        f = self.f
        kind = "i8" if dtype == "bool" else llvm_type(dtype)
        if not self.call.is_plain:
            function = self.numpy_function(_SCALAR)
            descr = self.object(np.dtype(dtype))
            return f.value(f"call ptr {function}(ptr {slot}, ptr {descr}, ptr null)")
        value = f.value(f"load {kind}, ptr {slot}")
        if dtype == "bool":
            self.module.declare("PyBool_FromLong", "ptr", "i64", pure=False)
            wide = f.value(f"zext i8 {value} to i64")
            return f.value(f"call ptr @PyBool_FromLong(i64 {wide})")
        if dtype.startswith("float"):
            declare_python(self.module, "PyFloat_FromDouble")
            if dtype == "float32":
                value = f.value(f"fpext float {value} to double")
            return f.value(f"call ptr @PyFloat_FromDouble(double {value})")
        extend = "zext" if dtype.startswith("u") else "sext"
        name = "PyLong_FromUnsignedLongLong" if extend == "zext" else "PyLong_FromLongLong"
        self.module.declare(name, "ptr", "i64", pure=False)
        if kind != "i64":
            value = f.value(f"{extend} {kind} {value} to i64")
        return f.value(f"call ptr @{name}(i64 {value})")

    def build(self, tree: Tree, objects: Iterator[str]) -> str:
        """Put results together."""
        f = self.f
        if tree.kind is None:
            return next(objects)
        if tree.kind is type(None):
            declare_python(self.module, "Py_IncRef")
            none = self.object(None)
            f.add(f"call void @Py_IncRef(ptr {none})")
            return none
        count = len(tree.children)
        if tree.kind is dict:
            self.module.declare("PyDict_New", "ptr", "", pure=False)
            self.module.declare("PyDict_SetItem", "i32", "ptr, ptr, ptr", pure=False)
            made = f.value("call ptr @PyDict_New()")
            for key, child in zip(tree.keys, tree.children, strict=True):
                item = self.build(child, objects)
                f.value(f"call i32 @PyDict_SetItem(ptr {made}, ptr {self.object(key)}, ptr {item})")
                self.give_back([item])
            return made
        kind = "Tuple" if tree.kind is tuple else "List"
        self.module.declare(f"Py{kind}_New", "ptr", "i64", pure=False)
        self.module.declare(f"Py{kind}_SetItem", "i32", "ptr, i64, ptr", pure=False)
        made = f.value(f"call ptr @Py{kind}_New(i64 {count})")
        for n, child in enumerate(tree.children):
            item = self.build(child, objects)
            f.value(f"call i32 @Py{kind}_SetItem(ptr {made}, i64 {n}, ptr {item})")
        return made

    # all of it

    def text(self) -> str:
        """Write the function."""
        f = self.f
        arguments = self.call.arguments
        f.label("entry")
        right = f.value(f"icmp eq i64 %n, {len(arguments.children)}")
        f.add(f"br i1 {right}, label %start, label %bad")
        f.label("bad")
        return_object(f, self.module, "_Py_NotImplementedStruct")
        f.label("start")
        for n, child in enumerate(arguments.children):
            self.take(child, self.load("%args", 8 * n))
        self.check_sizes()
        outputs, made = self.make_outputs()
        constants = [self.load(self.object(c), DATA) for c in self.program.constants.values()]
        self.run([*self.pointers, *constants, *outputs], made)
        objects = [
            made[name] if name in made else self.number(slot, self.program.types[name].dtype)
            for name, slot in zip(self.program.outputs, outputs, strict=True)
        ]
        f.add(f"ret ptr {self.build(self.call.results, iter(objects))}")
        return finish(f, "define ptr @enter_objects(ptr %self, ptr %args, i64 %n)")

    def make_outputs(self) -> tuple[list[str], dict[str, str]]:
        """Make memory for the results: pointers to it, and those that are arrays."""
        f = self.f
        made: dict[str, str] = {}
        pointers: list[str] = []
        for name in self.program.outputs:
            shape, dtype = self.program.types[name]
            if shape:
                made[name] = self.new_array(name, [*made.values()])
                pointers.append(self.load(made[name], DATA))
            else:
                pointers.append(f.stack("i8" if dtype == "bool" else llvm_type(dtype)))
        return pointers, made

    def run(self, pointers: list[str], made: Mapping[str, str]) -> None:
        """Call the kernel, without the lock where it may take long."""
        f = self.f
        thread = None
        if has_loops(self.program):
            thread = f.stack("ptr")
            f.add(f"store ptr null, ptr {thread}")
            declare_python(self.module, "PyEval_SaveThread", "PyEval_RestoreThread")
            total = "0"
            for value in self.sizes.values():
                total = f.value(f"add i64 {total}, {value}")
            is_long = "true"
            if self.sizes and not has_steps(self.program):
                is_long = f.value(f"icmp sge i64 {total}, {_LONG}")
            f.add(f"br i1 {is_long}, label %unlock, label %run")
            f.label("unlock")
            state = f.value("call ptr @PyEval_SaveThread()")
            f.add(f"store ptr {state}, ptr {thread}")
            f.add("br label %run")
            f.label("run")
        self.run_kernel(self, pointers)
        if thread is not None:
            state = f.value(f"load ptr, ptr {thread}")
            was_unlocked = f.value(f"icmp ne ptr {state}, null")
            f.add(f"br i1 {was_unlocked}, label %lock, label %locked")
            f.label("lock")
            f.add(f"call void @PyEval_RestoreThread(ptr {state})")
            f.add("br label %locked")
            f.label("locked")
        good = f.value("icmp eq i32 %status, 0")
        f.add(f"br i1 {good}, label %good, label %failed")
        f.label("failed")
        self.give_back([*made.values()])
        f.add("br label %bad")
        f.label("good")
