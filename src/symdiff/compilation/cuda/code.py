"""The lines of a kernel, the names in it, and the memory it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda.values import Value, scalar_name
from symdiff.compilation.nests import Schedule
from symdiff.compilation.schedule import schedule
from symdiff.program.notation import size_terms
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["BLOCKS", "MAX_LOCAL", "THREADS", "Code", "Place", "Share", "Workspace"]

BLOCKS, THREADS = "BLOCKS", "THREADS"
"""The size symbol of the number of blocks, and the constant of the threads in each."""

MAX_LOCAL = 1024
"""Elements that a thread's arrays may have in its own memory, which a GPU sets aside for as many
threads as it could run: 2 GB on an H100."""


class Place(NamedTuple):
    """Where the elements of an array lie, one after the other.

    Attributes
    ----------
    base : str
        A variable.
    offset : str
        Where in it the array begins; empty for its beginning.
    is_number : bool
        Whether the variable is not an array, but the only element of one.
    is_interleaved : bool
        Whether each thread has one, and the first elements of all lie side by side, then the
        second ones: threads that go in step read what lies side by side.
    """

    base: str
    offset: str = ""
    is_number: bool = False
    is_interleaved: bool = False

    def at(self, flat: str) -> str:
        """Write an element."""
        if self.is_number:
            return self.base
        both = self.offset and flat != "0"
        place = f"{self.offset} + {flat}" if both else self.offset or flat
        if not self.is_interleaved:
            return f"{self.base}[{place}]"
        if place == "0":
            return f"{self.base}[me]"
        inner = f"({place})" if " " in place else place
        return f"{self.base}[{inner}*team + me]"

    def moved(self, by: str) -> Place:
        """Begin further on."""
        if by == "0" or self.is_number:
            return self
        return self._replace(offset=f"{self.offset} + {by}" if self.offset else by)


@dataclass(frozen=True)
class Workspace:
    """Memory that a launch brings: `count` elements, for each thread if so."""

    name: str
    dtype: str
    count: Extent
    is_per_thread: bool


class Share(NamedTuple):
    """A nest that is divided.

    Attributes
    ----------
    iterations : Extent
    steps : Extent
        Of each iteration, one after the other.
    lanes : int
        How many threads share an iteration.
    """

    iterations: Extent
    steps: Extent
    lanes: int = 1


@dataclass
class Code:
    """What is written of one kernel."""

    sizes: dict[str, str]
    """The variables of sizes."""
    taken: set[str]
    lines: list[str] = field(default_factory=list)
    needed: dict[str, None] = field(default_factory=dict)
    workspaces: list[Workspace] = field(default_factory=list)
    depth: int = 1
    barrier: str = "cuda.syncthreads"
    written: set[str] = field(default_factory=set)
    """Variables of memory to which some thread may still write, since all waited last."""
    read: set[str] = field(default_factory=set)
    """The same for reading."""
    fixed: set[str] = field(default_factory=set)
    """Variables of memory that is never written to, or is for one thread alone."""
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    """Lines in front of all others."""
    plan: Callable[[Program, Mapping[str, str] | None], Schedule] = schedule
    """How Programs are scheduled that all threads run together."""
    divided: list[Share] = field(default_factory=list)
    """What is divided among the threads."""
    waits: Extent = 0
    """How often all threads wait for each other; in a loop of steps, how often in a step."""
    n_alone: int = 0
    """How many nests one thread runs alone."""
    n_local: int = 0
    """Elements of arrays that each thread has in memory of its own."""
    interleaves: bool = False
    """Whether memory brought for threads is interleaved, which functions cannot take."""
    room: dict[str, str] = field(default_factory=dict)
    """For each size that is computed, the parameter that says for how much there is memory."""
    boxes: dict[tuple[str, str], Place] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Functions that the kernel calls and that are written with it: their names and lines."""
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """The user's own functions."""

    @property
    def is_grid(self) -> bool:
        """Whether several blocks wait for each other."""
        return self.barrier != "cuda.syncthreads"

    def add(self, line: str) -> None:
        """Append a line."""
        self.lines.append("    " * self.depth + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Write a compound statement: what is written inside is its body."""
        self.add(head)
        self.depth += 1
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.add("pass")
        self.depth -= 1

    def fresh(self, wanted: str) -> str:
        """Take a name that nothing has."""
        name = fresh_name(wanted if wanted.isidentifier() else "t", self.taken)
        self.taken.add(name)
        return name

    def need(self, name: str) -> str:
        """Note that a name has to be given to the source."""
        name = scalar_name(name)
        self.needed[name] = None
        return name

    def hold(self, value: Value) -> Value:
        """Compute a value once, in a variable."""
        name = self.fresh("t")
        self.add(f"{name} = {value.text}")
        return Value(name, value.dtype)

    def extent(self, extent: Extent, *, is_room: bool = False) -> str:
        """Write a size; with `is_room` the one for which there is memory."""
        sizes = {**self.sizes, **self.room} if is_room else self.sizes
        terms = size_terms(extent, sizes.__getitem__)
        text = "".join(terms).removeprefix("+") or "0"
        return f"({text})" if len(terms) > 1 else text

    def memory(
        self,
        name: str,
        dtype: str,
        count: Extent,
        *,
        is_per_thread: bool,
        may_be_number: bool = False,
    ) -> Place:
        """Make room for an array: a thread's own if it is small and for one thread alone."""
        own = self.fresh(name)
        if is_per_thread and may_be_number and count == 1:
            return Place(own, is_number=True)
        if is_per_thread:
            self.fixed.add(own)
        if is_per_thread and isinstance(count, int) and self.n_local + count <= MAX_LOCAL:
            self.n_local += count
            self.head.append(f"{own} = cuda.local.array({max(count, 1)}, {self.need(dtype)})")
            return Place(own)
        self.workspaces.append(Workspace(own, dtype, count, is_per_thread))
        if not is_per_thread:
            return Place(own)
        if self.interleaves:
            return Place(own, is_interleaved=True)
        size = self.extent(count, is_room=True)
        return Place(own, "me" if size == "1" else f"me*{size}")

    def computed_size(self, name: str, value: Value) -> str:
        """Make a size of a number, which is kept within what there is room for."""
        own = self.fresh(name)
        room = self.room[own] = self.fresh(f"most_{name}")
        self.sizes[own] = own
        self.add(f"{own} = {value.text}")
        number = len(self.room) - 1
        with self.block(f"if {own} > {room}:"):
            self.add(f"cuda.atomic.max(wanted, {number}, {own})")
            self.add(f"{own} = {room}")
        return own

    def constant(self, name: str, data: np.ndarray) -> Place:
        """Give a place to a constant."""
        for own, known in self.constants.items():
            if known is data:
                return Place(own)
        own = self.fresh(name)
        self.constants[own] = data
        self.fixed.add(own)
        return Place(own)

    def function(self, name: str, function: Callable[..., Any]) -> str:
        """Give a name to a function of the user's."""
        for own, known in self.functions.items():
            if known is function:
                return own
        own = self.fresh(name)
        self.functions[own] = function
        return own

    def box(self, name: str, dtype: str) -> Place:
        """Give a place to a number that the first thread hands to the others."""
        key = name, dtype
        if key not in self.boxes:
            self.boxes[key] = self.memory(f"{name}_given", dtype, 1, is_per_thread=False)
        return self.boxes[key]

    def shared_array(self, dtype: str) -> str:
        """Name the array, of a number for each thread of a block, that the block shares."""
        if dtype not in self.shared:
            name = self.shared[dtype] = self.fresh("box")
            made = f"cuda.shared.array({self.need(THREADS)}, {self.need(dtype)})"
            self.head.append(f"{name} = {made}")
        return self.shared[dtype]

    def helper(self, wanted: str, write: Callable[[str], str]) -> str:
        """Name a function that is written with the kernel, given how for its name."""
        if wanted not in self.helpers:
            name = self.fresh(wanted)
            self.helpers[wanted] = name, write(name)
        return self.helpers[wanted][0]
