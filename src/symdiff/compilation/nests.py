"""What a schedule is made of: loops, statements, and where arrays lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from symdiff.program.affine import Affine
from symdiff.program.equations import Equation, Index, Read
from symdiff.program.nested import group_key, nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = [
    "ROW",
    "Fill",
    "Loop",
    "Node",
    "Pack",
    "Rows",
    "Schedule",
    "Statement",
    "Storage",
    "Store",
    "Tile",
    "Unpack",
    "group_of",
    "is_at_hand",
    "position_of",
    "walk",
]

ROW = -1
"""The axis of a tile that its rows are; see `symdiff.compilation.tiles`."""


@dataclass(eq=False)
class Loop:
    """A loop from 0 to `extent`; `variable` is its number in the schedule.

    Attributes
    ----------
    tile : Tile or None
        Set where the loop runs over tiles, with `Rows` inside.
    is_unrolled : bool
        Whether the steps are written one after another.
    start : int
        Where the loop begins, for a part of a loop.
    around : tuple or None
        ``(loop, steps)`` for a part that begins at ``steps`` times the iteration of a loop.
    """

    variable: int
    extent: Extent
    body: list[Node] = field(default_factory=list)
    tile: Tile | None = None
    is_unrolled: bool = False
    start: int = 0
    around: tuple[Loop, int] | None = None


@dataclass(eq=False)
class Tile:
    """How the rows of a loop are tiled."""

    size: int
    copies: dict[str, str] = field(default_factory=dict)
    """For arrays whose rows are packed or unpacked, the name of the tile."""


@dataclass(eq=False)
class Rows:
    """A loop over the rows of a tile; `loop` is the loop over all rows."""

    loop: Loop
    body: list[Node]


@dataclass(eq=False)
class Pack:
    """Copy the rows of an array into a tile."""

    array: str
    tile: str


@dataclass(eq=False)
class Unpack:
    """Copy the rows of a tile into its array, or add them to it."""

    array: str
    tile: str
    adds: bool


@dataclass(eq=False)
class Statement:
    """One equation; ``loops[k]`` is the loop that runs its index k.

    ``is_first`` marks the write that starts an array, where others add to it.
    """

    equation: Equation
    loops: tuple[Loop, ...]
    path: tuple[Loop, ...]
    is_first: bool = False


@dataclass(eq=False)
class Fill:
    """Start an array (its part at these loops) from what its operator leaves unchanged."""

    array: str
    operator: str


@dataclass(eq=False)
class Store:
    """Write a register to its place in memory."""

    array: str


Node: TypeAlias = "Loop | Statement | Fill | Store | Rows | Pack | Unpack"


@dataclass(eq=False)
class Storage:
    """Where an array lives.

    Attributes
    ----------
    kind : str
        ``input``, ``constant``, ``output``, ``scratch``, ``register``, ``local`` for a few
        numbers of one row, or ``shared`` for an array in the memory of another.
    axes : tuple of int
        The axes that exist in memory, in the order in which they lie there; the others are fixed
        by the loops around every use. `ROW` is a tile's.
    shape : tuple
        The extents of those axes.
    level : tuple of Loop
        The loops in whose body the array is started.
    bound : tuple
        For each axis the loop of `level` that fixes it, or None.
    has_register : bool
        Whether one element at a time is kept in a register while it is computed.
    """

    kind: str
    dtype: str
    axes: tuple[int, ...]
    shape: tuple[Extent, ...]
    level: tuple[Loop, ...] = ()
    bound: tuple[Loop | None, ...] = ()
    has_register: bool = False


@dataclass(eq=False)
class Schedule:
    """Loop nests and storage of one Program."""

    program: Program
    body: list[Node]
    storage: dict[str, Storage]
    in_place: dict[str, str] = field(default_factory=dict)
    """The arrays that are changed in place, and the array whose memory they have."""
    swapped: frozenset[str] = frozenset()
    """The arrays whose memory changes places from one step of a loop to the next."""
    n_loops: int = 0
    """How many numbers of loops are taken."""

    def new_variable(self) -> int:
        """Take a number for a new loop."""
        self.n_loops += 1
        return self.n_loops - 1

    @property
    def scratch(self) -> list[str]:
        """The arrays that need memory of their own during a call."""
        return [name for name, s in self.storage.items() if s.kind == "scratch"]

    @property
    def has_loops(self) -> bool:
        """Whether there is anything but straight-line code."""
        return any(isinstance(node, Loop) for node in self.body)


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Give all nodes, those within others included."""
    for node in nodes:
        yield node
        if isinstance(node, (Loop, Rows)):
            yield from walk(node.body)


def group_of(nodes: Sequence[Node], first: Statement) -> list[Statement]:
    """The statements of a body that are results of the same loop, branch or run."""
    key = group_key(first.equation)
    return [
        node
        for node in nodes
        if isinstance(node, Statement)
        and nested_of(node.equation.pattern) is not None
        and group_key(node.equation) == key
        and node.loops == first.loops
    ]


def position_of(index: Index) -> int | None:
    """The loop index that an axis is, when it is nothing else."""
    return index.single if isinstance(index, Affine) else None


def is_at_hand(read: Read, statement: Statement, storage: Storage) -> bool:
    """Whether a read is of the element that is being computed, in a register, in this iteration."""
    if not storage.has_register or statement.path[: len(storage.level)] != storage.level:
        return False
    return all(
        (k := position_of(i)) is not None and statement.loops[k] is loop
        for i, loop in zip(read.indices, storage.bound, strict=True)
    )
