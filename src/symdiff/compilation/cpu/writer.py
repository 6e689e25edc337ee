"""Writing the instructions of one function: numbers, memory, loops and conditions."""

from __future__ import annotations

from collections.abc import Callable

from symdiff.compilation.cpu.module import Module
from symdiff.compilation.cpu.values import Value

__all__ = ["Writer"]

MAX_INTERLEAVED = 400
"""Instructions up to which a loop with mathematical functions takes several vectors at once."""


class Writer:
    """The text of one function; implements `values.Emitter`.

    Attributes
    ----------
    head, lines : list of str
        The instructions at its beginning, where memory on the stack is taken, and the others.
    block : str
        The label of the block that is being written.
    in_loop : bool
        Whether a counted loop is being written.
    n_functions : int
        How many mathematical functions have been written.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.head: list[str] = []
        self.shared: dict[str, int] = {}
        self.counter = 0
        self.block = "entry"
        self.has_status = False
        self.in_loop = False
        self.n_functions = 0

    def emit(self, instruction: str) -> str:
        """Append an instruction and name its result."""
        self.counter += 1
        self.lines.append(f"  %v{self.counter} = {instruction}")
        return f"%v{self.counter}"

    def define(self, name: str, text: str) -> str:
        """Add a function of our own once; give its name."""
        if name not in self.module.defined:
            self.module.defined.add(name)
            self.module.functions.append(text)
        return name

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        """Declare an external function once; give its name."""
        return self.module.declare(name, result, arguments, pure=pure)

    def slot(self, kind: str) -> str:
        """Take memory for a number."""
        self.counter += 1
        self.head.append(f"  %r{self.counter} = alloca {kind}")
        return f"%r{self.counter}"

    def shared_slots(self, name: str, count: int) -> str:
        """Take memory for numbers that is used anew by whatever asks for this name."""
        self.shared[name] = max(count, self.shared.get(name, 1))
        return f"%{name}"

    def note_status(self, status: str) -> None:
        """Add what went wrong to what the kernel will say."""
        self.has_status = True
        before = self.emit("load i32, ptr %status")
        self.lines.append(f"  store i32 {self.emit(f'or i32 {before}, {status}')}, ptr %status")

    # numbers

    def sum(self, a: str, b: str) -> str:
        """Add two values of ``i64``, at once where they are numbers."""
        if _is_number(a) and _is_number(b):
            return str(int(a) + int(b))
        if "0" in (a, b):
            return b if a == "0" else a
        return self.emit(f"add nsw i64 {a}, {b}")

    def product(self, a: str, b: str) -> str:
        """Multiply two values of ``i64``, at once where they are numbers."""
        if _is_number(a) and _is_number(b):
            return str(int(a) * int(b))
        if "1" in (a, b):
            return b if a == "1" else a
        return self.emit(f"mul nsw i64 {a}, {b}")

    def smaller(self, a: str, b: str) -> str:
        """The smaller of two values of ``i64``."""
        return self.emit(f"select i1 {self.emit(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def larger(self, a: str, b: str) -> str:
        """The larger of two values of ``i64``."""
        return self.emit(f"select i1 {self.emit(f'icmp sgt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def quotient_up(self, a: str, b: str) -> str:
        """Divide and round up."""
        return self.emit(f"udiv i64 {self.sum(a, self.sum(b, '-1'))}, {b}")

    def rounded_up(self, a: str, step: int) -> str:
        """The next multiple of a number."""
        if _is_number(a):
            return str(-(-int(a) // step) * step)
        return self.emit(f"mul nsw i64 {self.quotient_up(a, str(step))}, {step}")

    # memory

    def load(self, address: tuple[str, str], dtype: str) -> Value:
        """Read an element, given the pointer and the type in memory."""
        name = self.emit(f"load {address[1]}, ptr {address[0]}")
        if dtype == "bool":
            name = self.emit(f"icmp ne i8 {name}, 0")
        return Value(name, dtype)

    def save(self, address: tuple[str, str], value: Value) -> None:
        """Write an element."""
        name = value.name
        if value.dtype == "bool":
            name = self.emit(f"zext i1 {name} to i8")
        self.lines.append(f"  store {address[1]} {name}, ptr {address[0]}")

    def aligned(self, pointer: str) -> str:
        """The next place that a line of the processor's caches begins at."""
        address = self.emit(f"ptrtoint ptr {pointer} to i64")
        past = self.emit(f"and i64 {self.emit(f'sub i64 0, {address}')}, 63")
        return self.emit(f"getelementptr i8, ptr {pointer}, i64 {past}")

    # order

    def counted(self, variable: str, extent: str, body: Callable[[], None]) -> None:
        """Write ``for variable in range(extent)``; nothing happens for an extent of zero."""
        self.counter += 1
        label = f"b{self.counter}"
        before = self.block
        go = self.emit(f"icmp sgt i64 {extent}, 0")
        self.lines.append(f"  br i1 {go}, label %{label}, label %{label}.end")
        self.lines.append(f"{label}:")
        mark = len(self.lines)
        self.block = label
        was_in_loop, self.in_loop = self.in_loop, True
        n_functions = self.n_functions
        body()
        self.in_loop = was_in_loop
        hint = ""
        calls = self.n_functions > n_functions
        is_innermost = self.block == label
        if calls and is_innermost and len(self.lines) - mark < MAX_INTERLEAVED:
            hint = f", !llvm.loop {self.module.interleaved()}"
        following = self.emit(f"add nuw nsw i64 {variable}, 1")
        again = self.emit(f"icmp slt i64 {following}, {extent}")
        self.lines.append(f"  br i1 {again}, label %{label}, label %{label}.end{hint}")
        phi = f"  {variable} = phi i64 [ 0, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(mark, phi)
        self.lines.append(f"{label}.end:")
        self.block = f"{label}.end"

    def counted_any(self, name: str, extent: str, body: Callable[[str], None]) -> None:
        """Write a loop that gives its number to what is in it."""
        self.counter += 1
        variable = f"%{name}{self.counter}"
        self.counted(variable, extent, lambda: body(variable))

    def when(
        self,
        condition: str,
        on_true: Callable[[], None],
        on_false: Callable[[], None] | None = None,
    ) -> None:
        """Do one thing or the other."""
        self.counter += 1
        label = f"w{self.counter}"
        ways = [("then", on_true)] + ([("else", on_false)] if on_false is not None else [])
        otherwise = "else" if on_false is not None else "end"
        self.lines.append(f"  br i1 {condition}, label %{label}.then, label %{label}.{otherwise}")
        for way, body in ways:
            self.lines.append(f"{label}.{way}:")
            self.block = f"{label}.{way}"
            body()
            self.lines.append(f"  br label %{label}.end")
        self.lines.append(f"{label}.end:")
        self.block = f"{label}.end"


def _is_number(value: str) -> bool:
    return not value.startswith("%")
