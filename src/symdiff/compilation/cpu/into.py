"""The fast way for calls with ``out=``: the results are written into arrays that are given.

``enter_into(*args, out)`` checks its arguments as ``enter_objects`` does, and that the arrays in
``out`` have the results' types and sizes, can be written to, and share no memory with each other
or with an argument. Whatever else it is given, it answers with ``NotImplemented``. The kernel
itself is in another module: its address is put in when the code is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from symdiff.compilation.cpu.assembler import size_value
from symdiff.compilation.cpu.calls import Call, Given
from symdiff.compilation.cpu.entry import declare_python, finish, return_object
from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.objects import DATA, DIMENSIONS, FLAGS, Writer
from symdiff.compilation.cpu.values import ITEM_SIZES
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product

__all__ = ["add_into_entry", "can_enter_into"]

_WRITEABLE = 0x0400
"""``NPY_ARRAY_WRITEABLE``."""
_MAX_PAIRS = 256
"""So many pairs of arrays are looked at for shared memory; above, the long way is as good."""


def can_enter_into(call: Call) -> bool:
    """Whether machine code can check the arguments and the arrays of such a call."""
    n_outputs = call.results.n_leaves
    return call.is_simple and n_outputs * (n_outputs + call.arguments.n_leaves) <= _MAX_PAIRS


def add_into_entry(program: Program, module: Module, call: Call) -> list[Any]:
    """Add ``enter_into``, for calls that are simple.

    Returns
    -------
    list
        The objects whose addresses belong into the global array ``objects``; that of the kernel's
        ``call`` belongs into ``kernel_call``.
    """
    writer = _IntoWriter(program, module, call, _run_kernel)
    text = writer.text()
    count = len(writer.objects.values)
    module.functions.append(
        f"@objects = global [{max(count, 1)} x ptr] zeroinitializer\n"
        f"@kernel_call = global ptr null\n{text}"
    )
    return writer.objects.values


def _run_kernel(writer: Writer, pointers: list[str]) -> None:
    f = writer.f
    table = f.stack(f"[{len(pointers)} x ptr]")
    for n, pointer in enumerate(pointers):
        f.add(f"store ptr {pointer}, ptr {f.value(f'getelementptr ptr, ptr {table}, i64 {n}')}")
    names = list(writer.program.size_sources)
    sizes = f.stack(f"[{max(len(names), 1)} x i64]")
    for n, name in enumerate(names):
        slot = f.value(f"getelementptr i64, ptr {sizes}, i64 {n}")
        f.add(f"store i64 {writer.sizes[name]}, ptr {slot}")
    function = f.value("load ptr, ptr @kernel_call")
    f.add(f"%status = call i32 {function}(ptr {table}, ptr {sizes})")


class _Array(NamedTuple):
    """An array that has been checked but for its sizes."""

    value: str
    start: str
    shape: tuple[Extent, ...]
    dtype: str


class _IntoWriter(Writer):
    """Writes the function."""

    def text(self) -> str:
        """Write the function."""
        f = self.f
        arguments = self.call.arguments.children
        self.arrays: list[_Array] = []
        f.label("entry")
        right = f.value(f"icmp eq i64 %n, {len(arguments) + 1}")
        f.add(f"br i1 {right}, label %start, label %bad")
        f.label("bad")
        return_object(f, self.module, "_Py_NotImplementedStruct")
        f.label("start")
        for n, child in enumerate(arguments):
            self.take(child, self.load("%args", 8 * n))
        self.check_sizes()
        inputs, read = self.pointers, self.arrays
        out = self.load("%args", 8 * len(arguments))
        self._take_outputs(out)
        self._keep_apart(read, self.arrays)
        constants = [self.load(self.object(c), DATA) for c in self.program.constants.values()]
        self.run([*inputs, *constants, *self.pointers], {})
        declare_python(self.module, "Py_IncRef")
        f.add(f"call void @Py_IncRef(ptr {out})")
        f.add(f"ret ptr {out}")
        return finish(f, "define ptr @enter_into(ptr %self, ptr %args, i64 %n)")

    def take_array(self, value: str, shape: tuple[Extent, ...], dtype: str) -> None:
        """Check an array as for any call, and remember it."""
        super().take_array(value, shape, dtype)
        self.arrays.append(_Array(value, self.pointers[-1], shape, dtype))

    def _take_outputs(self, out: str) -> None:
        """Check the arrays that are to be written to."""
        f = self.f
        self.pointers, self.arrays = [], []
        self.inputs = iter(self.program.outputs)
        types = [self.program.types[name] for name in self.program.outputs]
        self.given = iter([Given("array", dtype) for _, dtype in types])
        self.take(self.call.results, out)
        good = "true"
        for array in self.arrays:
            flags = f.value(f"and i32 {self.load(array.value, FLAGS, 'i32')}, {_WRITEABLE}")
            good = f.value(f"and i1 {good}, {f.value(f'icmp ne i32 {flags}, 0')}")
            dimensions = self.load(array.value, DIMENSIONS)
            for axis, extent in enumerate(array.shape):
                actual = self.load(dimensions, 8 * axis, "i64")
                wanted = size_value(f, extent, self.sizes)
                good = f.value(f"and i1 {good}, {f.value(f'icmp eq i64 {actual}, {wanted}')}")
        self.require(good)

    def _keep_apart(self, read: Sequence[_Array], written: Sequence[_Array]) -> None:
        """Refuse memory that is written to and used for something else too."""
        f = self.f
        others = [self._span(a) for a in read]
        good = "true"
        for start, end in [self._span(a) for a in written]:
            for other_start, other_end in others:
                is_before = f.value(f"icmp ule ptr {end}, {other_start}")
                is_after = f.value(f"icmp ule ptr {other_end}, {start}")
                good = f.value(f"and i1 {good}, {f.value(f'or i1 {is_before}, {is_after}')}")
            others.append((start, end))
        self.require(good)

    def _span(self, array: _Array) -> tuple[str, str]:
        """Where an array begins and ends."""
        count = ITEM_SIZES[array.dtype] * product(array.shape)
        size = size_value(self.f, count, self.sizes)
        return array.start, self.f.value(f"getelementptr i8, ptr {array.start}, i64 {size}")
