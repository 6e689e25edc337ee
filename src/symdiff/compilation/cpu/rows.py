"""Copies between the rows of an array and a tile, in which elements of the rows lie side by side.

A copy is a transposition. It is done in squares that are held in vector registers: with ``w``
lanes, ``log2(w)`` steps of two-register shuffles, each of which exchanges one bit of the row's
number with one bit of the lane's. What is left at the edges is copied element by element.
"""

from __future__ import annotations

from symdiff.compilation.cpu.assembler import Assembler, Declarer
from symdiff.compilation.cpu.values import llvm_type

__all__ = ["copy_function"]


def copy_function(
    kind: str, dtype: str, columns: int, rows: int, declarer: Declarer
) -> tuple[str, str]:
    """Write ``i32 name(ptr array, ptr tile, i64 n_rows)``.

    Parameters
    ----------
    kind : {"pack", "unpack", "add"}
        From the array to the tile, from the tile to the array, or added to the array.
    dtype : str
    columns : int
        The elements of a row.
    rows : int
        How far elements of a row are apart in the tile.
    declarer : Declarer

    Returns
    -------
    name, text : str
    """
    return _Copy(kind, dtype, columns, rows, declarer).text()


class _Copy:
    """Writes one copy."""

    def __init__(self, kind: str, dtype: str, columns: int, rows: int, declarer: Declarer) -> None:
        self.kind, self.columns, self.rows = kind, columns, rows
        self.element = "i8" if dtype == "bool" else llvm_type(dtype)
        self.plus = "fadd contract" if dtype.startswith("float") else "add"
        self.lanes = {"double": 8, "float": 16}.get(self.element, 1)
        arguments = ["ptr noalias %array", "ptr noalias %tile", "i64 %n"]
        self.code = Assembler(f"{kind}_{dtype}_{columns}_{rows}", arguments, declarer)

    def text(self) -> tuple[str, str]:
        """Write the function."""
        code = self.code
        done = 0
        width = self.lanes
        while width >= 4:
            count = (self.columns - done) // width
            if count:
                self.squares(done, count, width)
                done += count * width
            width //= 2
        if self.columns > done:
            with code.loop(str(self.columns - done)) as c, code.loop("%n") as r:
                self.copy(r, code.value(f"add nuw nsw i64 {c}, {done}"))
        return code.name, code.text()

    def squares(self, start: int, count: int, width: int) -> None:
        """Copy columns from `start` on in squares; the rows that are left one by one."""
        code = self.code
        whole = code.value(f"and i64 %n, {-width}")
        with code.loop(code.value(f"udiv i64 {whole}, {width}")) as i:
            row = code.value(f"mul nuw nsw i64 {i}, {width}")
            with code.loop(str(count)) as k:
                step = code.value(f"mul nuw nsw i64 {k}, {width}")
                self.square(row, code.value(f"add nuw nsw i64 {step}, {start}"), width)
        left = code.value(f"sub nuw nsw i64 %n, {whole}")
        with code.loop(left) as i, code.loop(str(count * width)) as k:
            row = code.value(f"add nuw nsw i64 {i}, {whole}")
            self.copy(row, code.value(f"add nuw nsw i64 {k}, {start}"))

    def inner(self, row: str, column: str) -> str:
        """Point to an element of the array."""
        code = self.code
        offset = code.value(f"mul nuw nsw i64 {row}, {self.columns}")
        return code.at(self.element, "%array", code.value(f"add nuw nsw i64 {offset}, {column}"))

    def place(self, row: str, column: str) -> str:
        """Point to an element of the tile."""
        code = self.code
        offset = code.value(f"mul nuw nsw i64 {column}, {self.rows}")
        return code.at(self.element, "%tile", code.value(f"add nuw nsw i64 {offset}, {row}"))

    def copy(self, row: str, column: str) -> None:
        """Copy one element."""
        code = self.code
        inner, place = self.inner(row, column), self.place(row, column)
        source, target = (inner, place) if self.kind == "pack" else (place, inner)
        value = code.load(self.element, source)
        if self.kind == "add":
            value = code.value(
                f"{self.plus} {self.element} {code.load(self.element, inner)}, {value}"
            )
        code.store(self.element, value, target)

    def square(self, row: str, column: str, width: int) -> None:
        """Copy a square."""
        code = self.code
        vector = f"<{width} x {self.element}>"
        align = {"double": 8, "float": 4}[self.element]

        def along(first: str, number: int) -> str:
            return code.value(f"add nuw nsw i64 {first}, {number}")

        in_array = [self.inner(along(row, k), column) for k in range(width)]
        in_tile = [self.place(row, along(column, k)) for k in range(width)]
        sources, targets = (in_array, in_tile) if self.kind == "pack" else (in_tile, in_array)
        if self.kind == "pack":
            for pointer in sources:
                self.fetch(pointer)
        values = [code.value(f"load {vector}, ptr {p}, align {align}") for p in sources]
        for target, value in zip(targets, self.transposed(values, width, vector), strict=True):
            result = value
            if self.kind == "add":
                old = code.value(f"load {vector}, ptr {target}, align {align}")
                result = code.value(f"{self.plus} {vector} {old}, {value}")
            code.add(f"store {vector} {result}, ptr {target}, align {align}")

    def fetch(self, pointer: str) -> None:
        """Ask for the same element of the next tile, which is needed when this one is done.

        Memory is read in bursts, one a tile; between them it would wait for the arithmetic, and the
        arithmetic for it.
        """
        ahead = self.code.at(self.element, pointer, str(self.rows * self.columns))
        arguments = [f"ptr {ahead}", "i32 0", "i32 3", "i32 1"]  # to read, into every cache, data
        self.code.call("llvm.prefetch.p0", arguments)

    def transposed(self, values: list[str], width: int, vector: str) -> list[str]:
        """Exchange rows and lanes, bit by bit."""
        bit = 1
        while bit < width:
            low = [lane if not lane & bit else width + lane - bit for lane in range(width)]
            high = [lane + bit if not lane & bit else width + lane for lane in range(width)]
            made = list(values)
            for k in range(width):
                if not k & bit:
                    pair = f"{vector} {values[k]}, {vector} {values[k + bit]}"
                    made[k] = self.shuffled(pair, low)
                    made[k + bit] = self.shuffled(pair, high)
            values = made
            bit *= 2
        return values

    def shuffled(self, pair: str, lanes: list[int]) -> str:
        """Take lanes of two vectors."""
        mask = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.code.value(f"shufflevector {pair}, <{len(lanes)} x i32> <{mask}>")
