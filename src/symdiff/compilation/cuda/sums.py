"""Sums, and other reductions, to which all threads contribute.

Each thread adds up what it meets; then the threads of a block combine theirs as a tree in shared
memory, and the blocks theirs, in the order of their numbers. Nothing is atomic, so the same launch
gives the same bits.
"""

from __future__ import annotations

from symdiff.compilation.compositions import COMBINE
from symdiff.compilation.cuda.code import BLOCKS, THREADS, Code, Place
from symdiff.compilation.cuda.operations import STEPS, start_value
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.values import Value
from symdiff.program.sizes import symbol

__all__ = ["Sum"]


class Sum:
    """A number in a variable, or a small array in memory, to which all threads contribute."""

    def __init__(
        self, code: Code, name: str, dtype: str, operator: str, place: Place, count: int | None
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.place = place
        self.count = 1 if count is None else count
        self.is_number = count is None
        self.step = STEPS[COMBINE[operator]]
        self.start_text = start_value(code, operator, dtype).text
        self.own = Place("")
        self.before = ""
        self.parts = Place("")

    @property
    def writes(self) -> frozenset[str]:
        """The memory that is written to."""
        return frozenset() if self.is_number else frozenset([self.place.base])

    def start(self, code: Code) -> None:
        """Begin what a thread has for itself."""
        if self.is_number:
            self.before = code.hold(Value(self.place.base, self.dtype)).text
            self.own = self.place
            code.add(f"{self.place.base} = {self.start_text}")
            return
        self.own = code.memory(f"{self.name}_own", self.dtype, self.count, is_per_thread=True)
        k = code.fresh("k")
        with code.block(f"for {k} in range({self.count}):"):
            code.add(f"{self.own.at(k)} = {self.start_text}")

    def take_place(self, scope: Scope) -> None:
        """Let the iterations contribute to what the thread has for itself."""
        if not self.is_number:
            scope.places[self.name] = self.own

    def combine_in_block(self, code: Code) -> None:
        """Combine what the threads of a block have, where there are several blocks."""
        count = symbol(BLOCKS) * self.count
        self.parts = code.memory(f"{self.name}_parts", self.dtype, count, is_per_thread=False)
        if self.is_number:
            self._note_part(code, self._tree(code, self.own.base), "cuda.blockIdx.x")
            return
        k = code.fresh("k")
        with code.block(f"for {k} in range({self.count}):"):
            total = self._tree(code, self.own.at(k))
            self._note_part(code, total, f"{k}*cuda.gridDim.x + cuda.blockIdx.x")

    def _note_part(self, code: Code, total: str, flat: str) -> None:
        with code.block("if cuda.threadIdx.x == 0:"):
            code.add(f"{self.parts.at(flat)} = {total}")

    def combine(self, code: Code) -> None:
        """Combine what the blocks have, or the threads of the only one; everyone gets numbers."""
        if self.is_number:
            mine = self._sum_of_parts(code, "") if code.is_grid else self.own.base
            total = Value(self._tree(code, mine), self.dtype)
            made = self.step(code, self.dtype, [Value(self.before, self.dtype), total])
            code.add(f"{self.place.base} = {made.text}")
            return
        k = code.fresh("k")
        with code.block("if cuda.blockIdx.x == 0:"), code.block(f"for {k} in range({self.count}):"):
            mine = self._sum_of_parts(code, k) if code.is_grid else self.own.at(k)
            total = Value(self._tree(code, mine), self.dtype)
            with code.block("if me == 0:"):
                old = Value(self.place.at(k), self.dtype)
                made = self.step(code, self.dtype, [old, total])
                code.add(f"{self.place.at(k)} = {made.text}")

    def _sum_of_parts(self, code: Code, k: str) -> str:
        part, b = code.fresh("part"), code.fresh("k")
        code.add(f"{part} = {self.start_text}")
        head = f"for {b} in range(cuda.threadIdx.x, cuda.gridDim.x, {code.need(THREADS)}):"
        with code.block(head):
            flat = f"{k}*cuda.gridDim.x + {b}" if k else b
            pair = [Value(part, self.dtype), Value(self.parts.at(flat), self.dtype)]
            code.add(f"{part} = {self.step(code, self.dtype, pair).text}")
        return part

    def _tree(self, code: Code, mine: str) -> str:
        """Combine a number of each thread of a block; all get the result."""
        box, here = code.shared_array(self.dtype), "cuda.threadIdx.x"
        width, total = code.fresh("width"), code.fresh("total")
        code.add(f"{box}[{here}] = {mine}")
        code.add("cuda.syncthreads()")
        code.add(f"{width} = {code.need(THREADS)} // 2")
        with code.block(f"while {width} > 0:"):
            with code.block(f"if {here} < {width}:"):
                pair = [
                    Value(f"{box}[{here}]", self.dtype),
                    Value(f"{box}[{here} + {width}]", self.dtype),
                ]
                code.add(f"{box}[{here}] = {self.step(code, self.dtype, pair).text}")
            code.add("cuda.syncthreads()")
            code.add(f"{width} = {width} // 2")
        code.add(f"{total} = {box}[0]")
        code.add("cuda.syncthreads()")
        return total
