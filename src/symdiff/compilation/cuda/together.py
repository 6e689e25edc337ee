"""Factorizations and solutions that all threads of a launch do together, as source.

A matrix is eliminated column by column, and all wait for each other between. What a column is
divided by is left for the end, so that nobody overwrites what others still read: a column of
Cholesky's costs one barrier, one with pivoting three. Right-hand sides are divided among the
threads.

References
----------
Golub and Van Loan, Matrix Computations, 4th edition: 3.2.9, 3.4.4 and 4.2.5 (outer products).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from symdiff.compilation.cuda.code import Code, Place, Share
from symdiff.compilation.cuda.operations import STEPS
from symdiff.compilation.cuda.values import Value, constant
from symdiff.program.sizes import Extent

__all__ = ["FACTORIZATIONS", "SMALL", "SOLUTIONS", "is_together"]

SMALL = 16
"""Rows up to which one thread has done a factorization before all have waited for each other."""
FACTORIZATIONS = ("cholesky", "lu")
SOLUTIONS = ("lu_solve", "solve_triangular")


class Waiting(Protocol):
    """Who writes for all threads."""

    code: Code

    def wait(self) -> None:
        """Let all threads wait for each other."""
        ...

    def note(self, bit: int) -> None:
        """Say that something went wrong."""
        ...


def is_together(name: str, rows: Extent, count: Extent) -> bool:
    """Whether a block of so many rows, and right-hand sides, is divided among threads."""
    if name in FACTORIZATIONS:
        return not isinstance(rows, int) or rows > SMALL
    return name in SOLUTIONS and count != 1


class Elimination:
    """Writes the elimination of a square matrix, where its result lies."""

    def __init__(self, team: Waiting, place: Place, rows: Extent, dtype: str) -> None:
        self.team = team
        self.code = team.code
        self.place = place
        self.rows = self.code.extent(rows)
        self.dtype = dtype
        self.code.divided.append(Share(rows * rows, rows))
        self.code.waits = self.code.waits + 2 * rows

    def at(self, row: str, column: str) -> str:
        """Write an element."""
        return self.place.at(f"{row}*{self.rows} + {column}")

    def root(self, text: str) -> str:
        """Write a square root."""
        return STEPS["sqrt"](self.code, self.dtype, [Value(text, self.dtype)]).text

    def size(self, text: str) -> str:
        """Write an absolute value."""
        return STEPS["abs"](self.code, self.dtype, [Value(text, self.dtype)]).text

    def begin(self, source: Place) -> None:
        """Copy the matrix."""
        q = self.code.fresh("q")
        with self.code.block(f"for {q} in range(me, {self.rows}*{self.rows}, team):"):
            self.code.add(f"{self.place.at(q)} = {source.at(q)}")
        self.team.wait()

    def cholesky(self, bit: int) -> None:
        """Factor the lower triangle."""
        code = self.code
        j, d, w, m, q, i, c = (code.fresh(n) for n in ("j", "d", "w", "m", "q", "i", "c"))
        one, zero = (constant(code, n, self.dtype).text for n in (1, 0))
        with code.block(f"for {j} in range({self.rows}):"):
            code.add(f"{d} = {self.at(j, j)}")
            with code.block(f"if not {d} > {zero}:"):
                self.team.note(bit)
            code.add(f"{w} = {one} / {d}")
            code.add(f"{m} = {self.rows} - 1 - {j}")
            with code.block(f"for {q} in range(me, {m}*{m}, team):"):
                code.add(f"{i} = {q} // {m}")
                code.add(f"{c} = {q} - {i}*{m} + {j} + 1")
                code.add(f"{i} = {i} + {j} + 1")
                with code.block(f"if {c} <= {i}:"):
                    less = f"{self.at(i, j)}*{self.at(c, j)}*{w}"
                    code.add(f"{self.at(i, c)} = {self.at(i, c)} - {less}")
            self.team.wait()
        with self._elements(q, i, c), code.block(f"if {c} < {i}:"):
            code.add(f"{self.at(i, c)} = {self.at(i, c)} / {self.root(self.at(c, c))}")
        self.team.wait()
        with code.block(f"for {j} in range(me, {self.rows}, team):"):
            code.add(f"{self.at(j, j)} = {self.root(self.at(j, j))}")

    def lu(self) -> None:
        """Factor the transpose with row pivoting; the last row holds the pivots, as numbers."""
        code = self.code
        k, m, q, i, j = (code.fresh(n) for n in ("k", "m", "q", "i", "j"))
        best, size, other, t, pivot = (
            code.fresh(n) for n in ("best", "size", "other", "t", "pivot")
        )
        zero = constant(code, 0, self.dtype).text
        with code.block(f"for {k} in range({self.rows}):"):
            code.add(f"{best} = {k}")
            code.add(f"{size} = {self.size(self.at(k, k))}")
            with code.block(f"for {i} in range({k} + 1, {self.rows}):"):
                code.add(f"{other} = {self.size(self.at(k, i))}")
                with code.block(f"if {other} > {size}:"):
                    code.add(f"{best} = {i}")
                    code.add(f"{size} = {other}")
            self.team.wait()
            with code.block("if me == 0:"):
                code.add(f"{self.at(self.rows, k)} = {code.need(self.dtype)}({best})")
            with (
                code.block(f"if {best} != {k}:"),
                code.block(f"for {j} in range(me, {self.rows}, team):"),
            ):
                code.add(f"{t} = {self.at(j, k)}")
                code.add(f"{self.at(j, k)} = {self.at(j, best)}")
                code.add(f"{self.at(j, best)} = {t}")
            self.team.wait()
            code.add(f"{pivot} = {self.at(k, k)}")
            code.add(f"{m} = {self.rows} - 1 - {k}")
            with (
                code.block(f"if {pivot} != {zero}:"),
                code.block(f"for {q} in range(me, {m}*{m}, team):"),
            ):
                code.add(f"{j} = {q} // {m}")
                code.add(f"{i} = {q} - {j}*{m} + {k} + 1")
                code.add(f"{j} = {j} + {k} + 1")
                less = f"{self.at(k, i)} / {pivot}*{self.at(j, k)}"
                code.add(f"{self.at(j, i)} = {self.at(j, i)} - {less}")
            self.team.wait()
        with self._elements(q, k, i), code.block(f"if {i} > {k}:"):
            code.add(f"{pivot} = {self.at(k, k)}")
            with code.block(f"if {pivot} != {zero}:"):
                code.add(f"{self.at(k, i)} = {self.at(k, i)} / {pivot}")

    @contextmanager
    def _elements(self, q: str, row: str, column: str) -> Iterator[None]:
        """Write a loop over all elements, divided among the threads."""
        with self.code.block(f"for {q} in range(me, {self.rows}*{self.rows}, team):"):
            self.code.add(f"{row} = {q} // ({self.rows})")
            self.code.add(f"{column} = {q} - {row}*{self.rows}")
            yield
