"""Structured LLVM code: loops, branches and variables for the functions that blocks call.

Variables live in memory, which LLVM makes registers; so a function reads like the algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from symdiff.compilation.cpu.vector_math import vector_attributes
from symdiff.program.sizes import Extent

__all__ = ["Assembler", "Declarer", "Lines", "Variable", "size_value"]


class Declarer(Protocol):
    """Where external functions are declared."""

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        """Declare an external function once; return its name."""
        ...


class Lines:
    """Lines of one function."""

    def __init__(self) -> None:
        self.head: list[str] = []
        self.lines: list[str] = []
        self.counter = 0

    def value(self, instruction: str) -> str:
        """Append an instruction and name its value."""
        self.counter += 1
        self.lines.append(f"  %v{self.counter} = {instruction}")
        return f"%v{self.counter}"

    def stack(self, kind: str) -> str:
        """Take memory on the stack, at the function's beginning."""
        self.counter += 1
        self.head.append(f"  %s{self.counter} = alloca {kind}, align 64")
        return f"%s{self.counter}"

    def add(self, line: str) -> None:
        """Append an instruction without a value."""
        self.lines.append(f"  {line}")

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")


def size_value(f: Lines, extent: Extent, sizes: Mapping[str, str]) -> str:
    """Compute an extent, an ``i64``, from the names of the values of its symbols."""
    if isinstance(extent, int):
        return str(extent)
    total = "0"
    for monomial, coefficient in extent.terms:
        term = str(coefficient)
        for name in monomial:
            term = f.value(f"mul i64 {term}, {sizes[name]}")
        total = f.value(f"add i64 {total}, {term}")
    return total


class Variable:
    """A number or a pointer that changes."""

    def __init__(self, code: Assembler, kind: str, value: str) -> None:
        self.code, self.kind = code, kind
        self.slot = code.stack(kind)
        self.set(value)

    def get(self) -> str:
        """Read it."""
        return self.code.value(f"load {self.kind}, ptr {self.slot}")

    def set(self, value: str) -> None:
        """Write it."""
        self.code.add(f"store {self.kind} {value}, ptr {self.slot}")


class Assembler(Lines):
    """Writes one function, ``i32 name(arguments)``, which gives a status."""

    def __init__(self, name: str, arguments: Sequence[str], declarer: Declarer) -> None:
        super().__init__()
        self.name = name
        self.arguments = arguments
        self.declarer = declarer

    def text(self) -> str:
        """The function; what has not returned gives 0."""
        arguments = ", ".join(self.arguments)
        return "\n".join(
            [
                f"define internal i32 @{self.name}({arguments}) noinline{vector_attributes()} {{",
                "entry:",
                *self.head,
                *self.lines,
                "  ret i32 0",
                "}",
            ]
        )

    def variable(self, kind: str, value: str) -> Variable:
        """Make a variable."""
        return Variable(self, kind, value)

    def constant(self, kind: str, value: str) -> str:
        """Put a value in memory and give the pointer, as Fortran wants its arguments."""
        return self.variable(kind, value).slot

    def call(self, name: str, arguments: Sequence[str], result: str = "void") -> str:
        """Call an external function; arguments are written with their types."""
        kinds = ", ".join(a.split()[0] for a in arguments)
        self.declarer.declare(name, result, kinds, pure=False)
        text = f"call {result} @{name}({', '.join(arguments)})"
        if result == "void":
            self.add(text)
            return ""
        return self.value(text)

    def at(self, kind: str, pointer: str, index: str) -> str:
        """Point to an element."""
        return self.value(f"getelementptr {kind}, ptr {pointer}, i64 {index}")

    def load(self, kind: str, pointer: str, index: str = "0") -> str:
        """Read an element."""
        return self.value(f"load {kind}, ptr {self.at(kind, pointer, index)}")

    def store(self, kind: str, value: str, pointer: str, index: str = "0") -> None:
        """Write an element."""
        self.add(f"store {kind} {value}, ptr {self.at(kind, pointer, index)}")

    def bytes(self, kind: str, count: str) -> str:
        """How many bytes so many elements take."""
        end = self.value(f"getelementptr {kind}, ptr null, i64 {count}")
        return self.value(f"ptrtoint ptr {end} to i64")

    def copy(self, kind: str, target: str, source: str, count: str) -> None:
        """Copy elements."""
        size = self.bytes(kind, count)
        self.call("memcpy", [f"ptr {target}", f"ptr {source}", f"i64 {size}"], "ptr")

    def allocate(self, kind: str, count: str, status: int, *free: str) -> str:
        """Take memory for elements; return `status`, after giving other memory back, if none is."""
        size = self.value(f"add i64 {self.bytes(kind, count)}, 64")  # of nothing it may be null
        size = self.value(f"and i64 {size}, -64")
        pointer = self.call("aligned_alloc", ["i64 64", f"i64 {size}"], "ptr")
        self.fail_if(self.value(f"icmp eq ptr {pointer}, null"), status, *free)
        return pointer

    def release(self, *pointers: str) -> None:
        """Give memory back."""
        for pointer in pointers:
            self.call("free", [f"ptr {pointer}"])

    def _label(self) -> str:
        self.counter += 1
        return f"b{self.counter}"

    @contextmanager
    def loop_while(self, condition: Callable[[], str]) -> Iterator[None]:
        """Repeat while a condition, which is computed each time, holds."""
        name = self._label()
        self.add(f"br label %{name}.test")
        self.lines.append(f"{name}.test:")
        self.add(f"br i1 {condition()}, label %{name}.body, label %{name}.end")
        self.lines.append(f"{name}.body:")
        yield
        self.add(f"br label %{name}.test")
        self.lines.append(f"{name}.end:")

    @contextmanager
    def loop(self, count: str) -> Iterator[str]:
        """Repeat for an index from 0 to count - 1."""
        index = self.variable("i64", "0")
        with self.loop_while(lambda: self.value(f"icmp slt i64 {index.get()}, {count}")):
            now = index.get()
            yield now
            index.set(self.value(f"add i64 {now}, 1"))

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Do something if a condition holds."""
        name = self._label()
        self.add(f"br i1 {condition}, label %{name}.then, label %{name}.end")
        self.lines.append(f"{name}.then:")
        yield
        self.add(f"br label %{name}.end")
        self.lines.append(f"{name}.end:")

    def fail_if(self, condition: str, status: int, *free: str) -> None:
        """Return a status if a condition holds, after giving memory back."""
        with self.when(condition):
            self.release(*free)
            self.add(f"ret i32 {status}")
            self.lines.append(f"{self._label()}:")  # what follows cannot be reached
