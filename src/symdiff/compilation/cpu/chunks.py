"""Loops that several threads run: the code of a chunk, and what divides a loop into chunks.

For a loop two functions are written. The *part* does the iterations from one number to another;
it has the arguments of its kernel, so that LLVM knows what does not overlap. The *chunk* is what
threads call: it takes the arguments out of a table, puts a chunk's own sums and a thread's own
scratch memory in their places, and calls the part. A loop that is too short for chunks is one call
of the part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdiff.compilation.compositions import COMBINE
from symdiff.compilation.cpu.operations import STEPS, start_value
from symdiff.compilation.cpu.pool import PARALLEL_FOR, WORKERS
from symdiff.compilation.cpu.values import ITEM_SIZES, Value, llvm_type, memory_type
from symdiff.compilation.nests import Loop
from symdiff.compilation.parallel import GRAIN, MAX_CHUNKS, MAX_SUMMED_CHUNKS, Parallel
from symdiff.compilation.status import MEMORY
from symdiff.program.sizes import product, symbol

if TYPE_CHECKING:
    from symdiff.compilation.cpu.lowering import KernelFunction

__all__ = ["divided"]

STEP = 64
"""Chunks begin at multiples of so many iterations."""
ALIGNMENT = 64
"""Memory begins at multiples of so many bytes."""
MIN_ITERATIONS = 256
"""Loops that are shorter, or whose sizes together are less, are not divided: their kernels may run
while Python's lock is held, for which a function of SciPy's that warns would wait in a thread."""


def divided(f: KernelFunction, loop: Loop, parallel: Parallel) -> None:
    """Write a loop that may be divided."""
    _Divided(f, loop, parallel).write()


class _Divided:
    """Writes one loop."""

    def __init__(self, f: KernelFunction, loop: Loop, parallel: Parallel) -> None:
        self.f, self.loop, self.parallel = f, loop, parallel
        self.storage = f.schedule.storage
        self.part = f"{f.name}_part_{loop.variable}"
        self.chunk = f"{f.name}_chunk_{loop.variable}"
        self.n_numbers = len(parallel.numbers)
        self.names = [name for name in f.arguments if name in parallel.arrays]
        self.extent = f.size(loop.extent)

    def write(self) -> None:
        """Write the two functions and their calls."""
        f = self.f
        f.module.functions.append(self.part_text())
        f.module.functions.append(self.chunk_text())
        self.given = [f.register(name) for name in self.parallel.given]
        for name in (*dict(self.parallel.summed), *self.parallel.private):
            f.size(product(self.storage[name].shape))  # here, for whatever follows the loop too
        most = MAX_SUMMED_CHUNKS if self.parallel.summed or self.n_numbers else MAX_CHUNKS
        # One loop after the other uses these: a stack has no room for as many as there are loops.
        self.sums = f.shared_slots("chunk_sums", self.n_numbers * most)
        size, count = self.chunk_sizes(most)
        result = f.slot("i32")
        f.when(
            f.emit(f"icmp sle i64 {count}, 1"),
            lambda: self.undivided(result),
            lambda: self.in_chunks(size, count, result),
        )
        f.note_status(f.emit(f"load i32, ptr {result}"))
        f.counted_any("c", count, self.add_numbers)

    # the functions

    def arguments(self) -> list[str]:
        """What a part takes behind the arguments of its kernel."""
        given = [
            f"{llvm_type(self.storage[name].dtype)} %g{k}"
            for k, name in enumerate(self.parallel.given)
        ]
        return [*given, "ptr noalias %sums", "i64 %first", "i64 %end"]

    def part_text(self) -> str:
        """Write the function that does some of the iterations."""
        g = type(self.f)(self.f.schedule, self.f.module, self.part)
        arguments = [*g.begin(self.parallel), *self.arguments()]
        for k, name in enumerate(self.parallel.given):
            g.set_register(name, Value(f"%g{k}", self.storage[name].dtype))
        for name, operator in self.parallel.numbers:
            g.set_register(name, start_value(operator, self.storage[name].dtype))
        g.iterations(self.loop, "%first", "%end")
        for k, (name, _) in enumerate(self.parallel.numbers):
            dtype = self.storage[name].dtype
            place = g.emit(f"getelementptr i64, ptr %sums, i64 {k}")
            g.save((place, memory_type(dtype)), g.register(name))
        return g.end(arguments, "noinline")

    def chunk_text(self) -> str:
        """Write the function that threads call."""
        g = type(self.f)(self.f.schedule, self.f.module, self.chunk)
        table = _Table(g, "%table")
        pointers = {name: table.take("ptr") for name in self.names}
        sizes = [table.take("i64") for _ in g.size_names]
        given = []
        for name in self.parallel.given:
            dtype = self.storage[name].dtype
            place = table.place()
            given.append(g.load((place, memory_type(dtype)), dtype))
        extent, size, sums, partial, stride, private, private_stride = (
            table.take(kind) for kind in ("i64", "i64", "ptr", "ptr", "i64", "ptr", "i64")
        )
        g.sizes.update(zip(map(symbol, g.size_names), sizes, strict=True))
        first = g.emit(f"mul nsw i64 %chunk, {size}")
        end = g.emit(f"add nsw i64 {first}, {size}")
        is_last = g.emit(f"icmp sgt i64 {end}, {extent}")
        end = g.emit(f"select i1 {is_last}, i64 {extent}, i64 {end}")
        start = g.emit(f"mul nsw i64 %chunk, {stride}")
        base = g.emit(f"getelementptr i8, ptr {partial}, i64 {start}")
        self.place_sums(g, base, pointers)
        self.place_private(g, private, private_stride, pointers)
        place = g.emit(f"mul nsw i64 %chunk, {max(self.n_numbers, 1)}")
        mine = g.emit(f"getelementptr i64, ptr {sums}, i64 {place}")
        status = self.call(g, [*pointers.values()], sizes, given, mine, first, end)
        g.note_status(status)
        return g.end(["ptr %table", "i64 %chunk", "i64 %worker"], "noinline")

    def place_sums(self, g: KernelFunction, base: str, pointers: dict[str, str]) -> None:
        """Let a chunk add up for itself."""
        offset = "0"
        for name, operator in self.parallel.summed:
            storage = self.storage[name]
            pointers[name] = g.emit(f"getelementptr i8, ptr {base}, i64 {offset}")
            kind = memory_type(storage.dtype)
            count = g.size(product(storage.shape))
            start = start_value(operator, storage.dtype)

            def fill(i: str, name: str = name, kind: str = kind, start: Value = start) -> None:
                place = g.emit(f"getelementptr inbounds {kind}, ptr {pointers[name]}, i64 {i}")
                g.save((place, kind), start)

            g.counted_any("e", count, fill)
            offset = g.sum(offset, self.bytes(g, name))

    def place_private(
        self, g: KernelFunction, base: str, stride: str, pointers: dict[str, str]
    ) -> None:
        """Let each thread but the first, which has the kernel's, have scratch memory."""
        if not self.parallel.private:
            return
        is_first = g.emit("icmp eq i64 %worker, 0")
        mine = g.emit(f"mul nsw i64 {g.emit('sub nsw i64 %worker, 1')}, {stride}")
        offset = "0"
        for name in self.parallel.private:
            own = g.emit(f"getelementptr i8, ptr {base}, i64 {g.sum(mine, offset)}")
            chosen = g.emit(f"select i1 {is_first}, ptr {pointers[name]}, ptr {own}")
            pointers[name] = chosen
            offset = g.sum(offset, self.bytes(g, name))

    # the calls

    def chunk_sizes(self, most: int) -> tuple[str, str]:
        """Find how many iterations a chunk has, and how many chunks there are."""
        f = self.f
        total = f.product(self.extent, f.size(self.parallel.weight))
        count = f.emit(f"udiv i64 {total}, {GRAIN}")
        if self.parallel.summed:  # making and adding the sums must not take as long as the work
            elements = "0"
            for name, _ in self.parallel.summed:
                elements = f.sum(elements, f.size(product(self.storage[name].shape)))
            count = f.smaller(
                count, f.emit(f"udiv i64 {total}, {f.sum(f.product(elements, '16'), '1')}")
            )
        count = f.smaller(count, str(most))
        is_short = f.emit(f"icmp slt i64 {self.extent}, {MIN_ITERATIONS}")
        if f.size_names:  # whose sum is what entries decide by whether to give the lock back
            sizes = "0"
            for n in range(len(f.size_names)):
                sizes = f.sum(sizes, f"%n{n}")
            keeps_lock = f.emit(f"icmp slt i64 {sizes}, {MIN_ITERATIONS}")
            is_short = f.emit(f"or i1 {is_short}, {keeps_lock}")
        is_one = f.emit(f"or i1 {is_short}, {f.emit(f'icmp slt i64 {count}, 1')}")
        count = f.emit(f"select i1 {is_one}, i64 1, i64 {count}")
        step = self.loop.tile.size if self.loop.tile is not None else STEP
        some = f.larger(self.extent, "1")  # a chunk of nothing would be divided by
        size = f.rounded_up(f.quotient_up(some, count), step)
        return size, f.quotient_up(self.extent, size)

    def undivided(self, result: str) -> None:
        """Do all iterations here."""
        f = self.f
        pointers = [f.pointers[name] for name in self.names]
        sizes = [f"%n{n}" for n in range(len(f.size_names))]
        status = self.call(f, pointers, sizes, self.given, self.sums, "0", self.extent)
        f.lines.append(f"  store i32 {status}, ptr {result}")

    def in_chunks(self, size: str, count: str, result: str) -> None:
        """Let threads do the chunks, and combine what they have added up."""
        f = self.f
        f.declare(WORKERS, "i64", "i64", pure=False)
        f.declare(PARALLEL_FOR, "i32", "ptr, ptr, i64, i64", pure=False)
        f.declare("malloc", "ptr", "i64", pure=False)
        f.declare("free", "void", "ptr", pure=False)
        workers = f.emit(f"call i64 @{WORKERS}(i64 {count})")
        stride = self.stride([name for name, _ in self.parallel.summed])
        private_stride = self.stride(self.parallel.private)
        partial_bytes = f.product(count, stride)
        others = f.emit(f"sub nsw i64 {workers}, 1")
        total = f.sum(partial_bytes, f.product(others, private_stride))
        memory = f.emit(f"call ptr @malloc(i64 {f.sum(total, str(2 * ALIGNMENT))})")
        partial = f.aligned(memory)
        private = f.emit(f"getelementptr i8, ptr {partial}, i64 {partial_bytes}")
        table = self.table(size, partial, stride, private, private_stride)
        f.lines.append(f"  store i32 {MEMORY}, ptr {result}")

        def run() -> None:
            arguments = f"ptr @{self.chunk}, ptr {table}, i64 {count}, i64 {workers}"
            status = f.emit(f"call i32 @{PARALLEL_FOR}({arguments})")
            f.lines.append(f"  store i32 {status}, ptr {result}")
            self.add_sums(partial, stride, count)

        f.when(f.emit(f"icmp ne ptr {memory}, null"), run)
        f.lines.append(f"  call void @free(ptr {memory})")

    def table(self, size: str, partial: str, stride: str, private: str, private_stride: str) -> str:
        """Put the arguments where threads find them."""
        f = self.f
        pointers = [f.pointers[name] for name in self.names]
        sizes = [f"%n{n}" for n in range(len(f.size_names))]
        n_slots = len(pointers) + len(sizes) + len(self.given) + 7
        table = _Table(f, f.shared_slots("chunk_table", n_slots))
        for pointer in pointers:
            table.put("ptr", pointer)
        for value in sizes:
            table.put("i64", value)
        for value in self.given:
            f.save((table.place(), memory_type(value.dtype)), value)
        kinds = ("i64", "i64", "ptr", "ptr", "i64", "ptr", "i64")
        values = (self.extent, size, self.sums, partial, stride, private, private_stride)
        for kind, value in zip(kinds, values, strict=True):
            table.put(kind, value)
        return table.base

    def call(
        self,
        g: KernelFunction,
        pointers: list[str],
        sizes: list[str],
        given: list[Value],
        sums: str,
        first: str,
        end: str,
    ) -> str:
        """Call the part."""
        arguments = [f"ptr {p}" for p in pointers] + [f"i64 {n}" for n in sizes]
        arguments += [f"{llvm_type(v.dtype)} {v.name}" for v in given]
        arguments += [f"ptr {sums}", f"i64 {first}", f"i64 {end}"]
        return g.emit(f"call i32 @{self.part}({', '.join(arguments)})")

    def add_numbers(self, chunk: str) -> None:
        """Add what a chunk has added up in registers."""
        f = self.f
        for k, (name, operator) in enumerate(self.parallel.numbers):
            dtype = self.storage[name].dtype
            place = f.sum(f.product(chunk, str(self.n_numbers)), str(k))
            place = f.emit(f"getelementptr i64, ptr {self.sums}, i64 {place}")
            new = f.load((place, memory_type(dtype)), dtype)
            f.set_register(name, STEPS[COMBINE[operator]](f, dtype, [f.register(name), new]))

    def add_sums(self, partial: str, stride: str, count: str) -> None:
        """Add what the chunks have added up in memory, chunk by chunk."""
        f = self.f
        offset = "0"
        for name, operator in self.parallel.summed:

            def chunk(c: str, name: str = name, operator: str = operator, at: str = offset) -> None:
                start = f.sum(f.product(c, stride), at)
                base = f.emit(f"getelementptr i8, ptr {partial}, i64 {start}")
                self.add_array(name, operator, base)

            f.counted_any("c", count, chunk)
            offset = f.sum(offset, self.bytes(f, name))

    def add_array(self, name: str, operator: str, base: str) -> None:
        """Add a chunk's array to the one of all."""
        f = self.f
        storage = self.storage[name]
        kind, dtype = memory_type(storage.dtype), storage.dtype

        def add(e: str) -> None:
            mine = f.emit(f"getelementptr inbounds {kind}, ptr {f.pointers[name]}, i64 {e}")
            theirs = f.emit(f"getelementptr inbounds {kind}, ptr {base}, i64 {e}")
            values = [f.load((p, kind), dtype) for p in (mine, theirs)]
            f.save((mine, kind), STEPS[COMBINE[operator]](f, dtype, values))

        f.counted_any("e", f.size(product(storage.shape)), add)

    def stride(self, names: tuple[str, ...] | list[str]) -> str:
        """How many bytes some arrays take."""
        total = "0"
        for name in names:
            total = self.f.sum(total, self.bytes(self.f, name))
        return total

    def bytes(self, g: KernelFunction, name: str) -> str:
        """How many bytes an array takes, with what is left free behind it."""
        storage = self.storage[name]
        count = g.size(product(storage.shape))
        return g.rounded_up(g.product(count, str(ITEM_SIZES[storage.dtype])), ALIGNMENT)


class _Table:
    """Arguments in memory, one after the other."""

    def __init__(self, g: KernelFunction, base: str) -> None:
        self.g, self.base = g, base
        self.n_used = 0

    def place(self) -> str:
        """Point to the next one."""
        self.n_used += 1
        return self.g.emit(f"getelementptr i64, ptr {self.base}, i64 {self.n_used - 1}")

    def take(self, kind: str) -> str:
        """Read the next one."""
        return self.g.emit(f"load {kind}, ptr {self.place()}")

    def put(self, kind: str, value: str) -> None:
        """Write the next one."""
        self.g.lines.append(f"  store {kind} {value}, ptr {self.place()}")
