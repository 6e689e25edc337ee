"""Long sums of few elements: several threads of a block share each, as lanes of it.

The gradient of a layer's weights sums over the batch for each of a few thousand elements, that of a
bias for each of some dozens: with a thread an element most of a GPU would wait. Lanes add up every
so many terms and are combined as a tree. How many there are depends on sizes alone, so the same
bits come out for any number of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symdiff.compilation.compositions import COMBINE
from symdiff.compilation.cuda.code import THREADS, Code
from symdiff.compilation.cuda.operations import STEPS
from symdiff.compilation.cuda.parallel import Division, write_places
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.threads import Threads
from symdiff.compilation.cuda.values import Value
from symdiff.compilation.nests import Fill, Loop, Node, Schedule, Statement, Storage, walk
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.sizes import Extent, product

__all__ = ["Sharing", "most_lanes", "shared", "write_shared"]

BUSY = {False: 1 << 8, True: 1 << 15}
"""How many threads there should be work for, in one block and in several."""
SHARE = 8
"""Terms that a lane has at least: combining lanes takes a barrier for each power of two."""
FEWEST = 4
"""Lanes from which on it is worth it."""


class Sharing(NamedTuple):
    """A nest whose sums are shared.

    Attributes
    ----------
    long : tuple of Loop
        The loops whose iterations the lanes of an element share.
    behind : int
        Where in the body the nodes begin that one lane goes through.
    is_along : bool
        Whether terms that follow each other lie side by side in memory, rather than elements.
    """

    long: tuple[Loop, ...]
    behind: int
    is_along: bool


def most_lanes(count: Extent, *, is_grid: bool) -> int:
    """Give how many lanes an element may have, a power of two: one if there are many elements."""
    if not isinstance(count, int) or count < 1:
        return 1
    return 1 << max(min(BUSY[is_grid] // count, BUSY[False]).bit_length() - 1, 0)


def shared(scope: Scope, division: Division, lanes: int) -> Sharing | None:
    """Find what lanes can share in a nest; None if there is nothing, or it cannot be parted.

    What comes before the last long sum every lane computes for itself, in variables.
    """
    long = [
        node
        for node in division.body
        if isinstance(node, Loop) and _lanes_for(scope.extent(node.extent), lanes) > 1
    ]
    if lanes < FEWEST or not long:
        return None
    behind = division.body.index(long[-1]) + 1
    if not all(_is_for_itself(scope.plan, division, node) for node in division.body[:behind]):
        return None
    filled: set[str] = set()
    written: set[str] = set()
    for node in division.body[:behind]:
        arrays = {s.equation.array for s in walk([node]) if isinstance(s, Statement)}
        if node in long and (arrays & written or not arrays <= filled):
            return None  # every lane would begin with what was there
        if isinstance(node, Fill):
            filled.add(node.array)
        written |= arrays
    votes = sum(_votes(division, loop) for loop in long)
    return Sharing(tuple(long), behind, votes > 0)


def _lanes_for(extent: Extent, lanes: int) -> int:
    """Give how many lanes a sum has, if its length is known."""
    if isinstance(extent, int):
        while lanes > 1 and lanes * SHARE > extent:
            lanes //= 2
        return lanes if lanes >= FEWEST else 1
    return lanes


def _is_for_itself(plan: Schedule, division: Division, node: Node) -> bool:
    """Whether a node computes nothing but variables of an iteration."""
    for each in walk([node]):
        if isinstance(each, Statement):
            if isinstance(each.equation.pattern, Block):
                return False
            storage = plan.storage[each.equation.array]
            is_sum = each.equation.operator in COMBINE and not each.is_first
            if isinstance(node, Loop) and not is_sum:
                return False
        elif isinstance(each, Fill):
            storage = plan.storage[each.array]
        elif isinstance(each, Loop):
            continue
        else:
            return False
        if not _is_variable(storage, division):
            return False
    return True


def _is_variable(storage: Storage, division: Division) -> bool:
    is_register = storage.has_register or storage.kind == "register"
    return is_register and storage.level == division.loops


def _votes(division: Division, loop: Loop) -> int:
    """Count the reads that go along memory with a loop, less those that do with the elements."""
    total = 0
    for statement in walk([loop]):
        if not isinstance(statement, Statement):
            continue
        for read in statement.equation.reads:
            last = read.indices[-1] if read.indices else None
            if isinstance(last, Affine) and last.terms:
                along = {id(statement.loops[k]) for k, _ in last.terms}
                total += (id(loop) in along) - bool(along & {id(x) for x in division.loops})
    return total


class _Lanes(Threads):
    """Writes what a lane does for its element."""

    def __init__(self, code: Code, scope: Scope, long: Sequence[Loop], names: _Names) -> None:
        super().__init__(code, scope)
        self.long = long
        self.names = names

    def node(self, node: Node, group: Sequence[Statement]) -> None:
        """Write a node; of a long loop each lane has a share."""
        if node not in self.long:
            super().node(node, group)
            return
        assert isinstance(node, Loop)
        code, names = self.code, self.names
        variable = self.scope.loops[node.variable] = code.fresh("i")
        extent = code.extent(self.scope.extent(node.extent))
        with code.block(f"for {variable} in range({names.lane}, {extent}, {names.lanes}):"):
            self.nodes(node.body)
        operators = {
            s.equation.array: s.equation.operator for s in walk([node]) if isinstance(s, Statement)
        }
        for array, operator in operators.items():
            text = self.scope.registers[array]
            combined = _combine(code, operator, self.plan.storage[array].dtype)
            code.add(f"{text} = {combined}({text}, {names.lane}, {names.lanes}, {names.apart})")


class _Names(NamedTuple):
    """Variables: the lane, how many there are, and how far apart their threads are."""

    lane: str
    lanes: str
    apart: str


def write_shared(
    code: Code, scope: Scope, division: Division, sharing: Sharing, lanes: int
) -> None:
    """Write a nest whose sums are shared.

    All threads of a block go through it in step: a place behind the last element stands for that
    one, of which it writes nothing.
    """
    count = product(scope.extent(loop.extent) for loop in division.loops)
    names = _Names(*(code.fresh(n) for n in ("lane", "lanes", "apart")))
    at_once, mine, first, q = (code.fresh(n) for n in ("at_once", "mine", "first", "q"))
    _write_lanes(code, names, [scope.extent(loop.extent) for loop in sharing.long], lanes)
    code.add(f"{at_once} = cuda.blockDim.x // {names.lanes}")
    one, other = (mine, names.lane) if sharing.is_along else (names.lane, mine)
    code.add(f"{names.apart} = {'1' if sharing.is_along else at_once}")
    width = names.lanes if sharing.is_along else at_once
    code.add(f"{one} = cuda.threadIdx.x // {width}")
    code.add(f"{other} = cuda.threadIdx.x - {one}*{width}")
    total = code.extent(count)
    steps = f"cuda.blockIdx.x*{at_once}, {total}, cuda.gridDim.x*{at_once}"
    with code.block(f"for {first} in range({steps}):"):
        code.add(f"{q} = min({first} + {mine}, {total} - 1)")
        write_places(code, scope, division, q)
        _Lanes(code, scope, sharing.long, names).nodes(division.body[: sharing.behind])
        with code.block(f"if {names.lane} == 0 and {first} + {mine} < {total}:"):
            Threads(code, scope).nodes(division.body[sharing.behind :])


def _write_lanes(code: Code, names: _Names, extents: Sequence[Extent], lanes: int) -> None:
    """Write how many lanes there are, for the shortest of some sums."""
    known = min(_lanes_for(e, lanes) for e in extents)
    code.add(f"{names.lanes} = min({known}, cuda.blockDim.x)")
    for extent in extents:
        if not isinstance(extent, int):
            text = code.extent(extent)
            with code.block(f"while {names.lanes} > 1 and {SHARE}*{names.lanes} > {text}:"):
                code.add(f"{names.lanes} = {names.lanes} // 2")


class _Lines:
    """Takes the lines of a step that is written into a function."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.lines: list[str] = []

    def hold(self, value: Value) -> Value:
        """Give a value a name."""
        name = f"t_{len(self.lines)}"
        self.lines.append(f"{name} = {value.text}")
        return Value(name, value.dtype)

    def need(self, name: str) -> str:
        """Note a name that the source takes from elsewhere."""
        return self.code.need(name)


def _combine(code: Code, operator: str, dtype: str) -> str:
    """Name the function that combines what the lanes of an element have; all get the result."""
    step = COMBINE[operator]

    def write(name: str) -> str:
        lines = _Lines(code)
        pair = [Value("mine", dtype), Value("other", dtype)]
        made = STEPS[step](lines, dtype, pair).text
        body = [
            f"def {name}(mine, lane, lanes, apart):",
            f"    box = cuda.shared.array({THREADS}, {code.need(dtype)})",
            "    here = cuda.threadIdx.x",
            "    cuda.syncthreads()",
            "    box[here] = mine",
            "    cuda.syncthreads()",
            "    width = lanes // 2",
            "    while width > 0:",
            "        if lane < width:",
            "            mine = box[here]",
            "            other = box[here + width*apart]",
            *[f"            {line}" for line in lines.lines],
            f"            box[here] = {made}",
            "        cuda.syncthreads()",
            "        width = width // 2",
            "    return box[here - lane*apart]",
        ]
        return "\n".join(["@cuda.jit(device=True)", *body, "", ""])

    code.need(THREADS)
    return code.helper(f"{step}_of_lanes_{dtype}", write)
