"""`Block`: an operation on whole trailing axes, such as a Cholesky factor or a sort.

It stands in an equation where an elementwise operation has its pattern. The loops of the equation
run over the leading axes, so that a stack of matrices is one equation, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from symdiff.errors import CacheError, UnsupportedOperationError
from symdiff.program.sizes import Extent

if TYPE_CHECKING:
    from symdiff.program.equations import ArrayType
    from symdiff.program.program import Program

__all__ = [
    "BLOCKS",
    "Block",
    "Kind",
    "Rule",
    "core_ranks",
    "core_shape",
    "dump_block",
    "load_block",
    "result_dtype",
]


class Rule(Protocol):
    """What differentiation and rewriting ask of a block; each answer is a Program.

    The Programs are over the whole axes alone: who asks puts the loops around them. `types` are
    those of the operands, in order.
    """

    def expansion(self, block: Block, types: Sequence[ArrayType]) -> Program | None:
        """Compute the block by simpler ones, from its operands; None where it is simple itself."""
        ...

    def pushforward(
        self, block: Block, types: Sequence[ArrayType], out: ArrayType, active: Sequence[int]
    ) -> Program | None:
        """Compute the tangent, from the result, the operands, and the tangents of the active ones.

        None where there is no rule.
        """
        ...

    def transpose(
        self, block: Block, types: Sequence[ArrayType], out: ArrayType, operand: int
    ) -> Program | None:
        """Compute the cotangent of an operand in which the block is linear.

        From the operands and the cotangent of the result; None where it is not linear.
        """
        ...


@dataclass(frozen=True)
class Block:
    """An operation on whole trailing axes.

    Attributes
    ----------
    name : str
        By which targets know it.
    ranks : tuple of int
        How many trailing axes it takes of each operand.
    rank : int
        How many trailing axes it gives.
    attributes : tuple
        What else decides its meaning: hashable; strings for the blocks that targets know.
    rule : Rule or None
        Its derivatives and its expansion.
    examples : tuple of tuple of int
        The sizes of the operands' trailing axes when it was traced, for tracing its rules.
    """

    name: str
    ranks: tuple[int, ...]
    rank: int
    attributes: tuple[Any, ...] = ()
    rule: Rule | None = field(default=None, compare=False, repr=False)
    examples: tuple[tuple[int, ...], ...] = field(default=(), compare=False, repr=False)

    is_copy = False
    is_truth = False

    @property
    def arity(self) -> int:
        """How many operands it takes."""
        return len(self.ranks)

    @property
    def label(self) -> str:
        """What it is called where a Program is printed."""
        return "_".join([self.name, *[a for a in self.attributes if isinstance(a, str)]])


Shape = tuple[Extent, ...]
MAX_RANK = 64


class Kind(NamedTuple):
    """A block that targets know: its ranks, the attributes it may have, and the shape it gives."""

    ranks: tuple[int, ...]
    rank: int
    attributes: frozenset[Any]
    shape: Callable[[Sequence[Shape], tuple[Any, ...]], Shape | None]
    is_integer: bool = False
    places: int = 0
    """From which operand on they are integers; 0 for none."""


def _like(number: int) -> Callable[[Sequence[Shape], tuple[Any, ...]], Shape | None]:
    return lambda shapes, _: shapes[number]


def _number(_shapes: Sequence[Shape], _attributes: tuple[Any, ...]) -> Shape:
    return ()


def _alike(shapes: Sequence[Shape], _: tuple[Any, ...]) -> Shape | None:
    return shapes[0] if len(set(shapes)) == 1 else None


def _square(shapes: Sequence[Shape], _: tuple[Any, ...]) -> Shape | None:
    ((rows, columns),) = shapes
    return shapes[0] if rows == columns else None


def _one_row_more(shapes: Sequence[Shape], _: tuple[Any, ...]) -> Shape | None:
    ((rows, columns),) = shapes
    return (rows + 1, columns) if rows == columns else None


def _sign(shapes: Sequence[Shape], _: tuple[Any, ...]) -> Shape | None:
    ((rows, columns),) = shapes
    return () if rows == columns + 1 else None


def _solution(extra: int) -> Callable[[Sequence[Shape], tuple[Any, ...]], Shape | None]:
    def shape(shapes: Sequence[Shape], _: tuple[Any, ...]) -> Shape | None:
        (rows, columns), right = shapes
        return right if rows == columns + extra and right[1] == columns else None

    return shape


def _svd(shapes: Sequence[Shape], attributes: tuple[Any, ...]) -> Shape | None:
    ((m, n),) = shapes
    k, longer = (m, n) if "wide" in attributes else (n, m)
    is_wrong = isinstance(k, int) and isinstance(longer, int) and k > longer
    return None if is_wrong else (k + m * k + k * n,)


def _qr(shapes: Sequence[Shape], attributes: tuple[Any, ...]) -> Shape | None:
    ((n, m),) = shapes
    k = m if "wide" in attributes else n
    return (k * m + n * m,)


def _product(shapes: Sequence[Shape], attributes: tuple[Any, ...]) -> Shape | None:
    left = shapes[0][::-1] if "left" in attributes else shapes[0]
    right = shapes[1][::-1] if "right" in attributes else shapes[1]
    return (left[0], right[1]) if left[1] == right[0] else None


def _put(shapes: Sequence[Shape], _: tuple[Any, ...]) -> Shape | None:
    array, value, *places = shapes
    return array if value == array[len(places) :] else None


BLOCKS: dict[str, Kind] = {
    "argsort": Kind((1,), 1, frozenset(), _like(0), is_integer=True),
    "searchsorted": Kind((1, 0), 0, frozenset(["right"]), _number, is_integer=True),
    "cumsum": Kind((1,), 1, frozenset(["reversed"]), _like(0)),
    "recurrence": Kind((1, 1), 1, frozenset(["reversed"]), _alike),
    "lu": Kind((2,), 2, frozenset(), _one_row_more),
    "lu_solve": Kind((2, 2), 2, frozenset(["transposed"]), _solution(1)),
    "lu_sign": Kind((2,), 0, frozenset(), _sign),
    "cholesky": Kind((2,), 2, frozenset(), _square),
    "solve_triangular": Kind((2, 2), 2, frozenset(["upper", "transposed"]), _solution(0)),
    "eigh": Kind((2,), 2, frozenset(["upper"]), _one_row_more),
    "svd": Kind((2,), 1, frozenset(["wide"]), _svd),
    "qr": Kind((2,), 1, frozenset(["wide"]), _qr),
    "product": Kind((2, 2), 2, frozenset(["left", "right", "symmetric"]), _product),
    "put": Kind((), 0, frozenset(range(MAX_RANK + 1)), _put, places=2),
}
"""The blocks that targets know. Matrices are given row by row.

- ``argsort``: stable, NaN last.
- ``searchsorted(a, v)``: where `v` goes in `a`, left of its equals or ``right`` of them.
- ``cumsum``; ``recurrence(a, b)``: ``y[i] = a[i]*y[i-1] + b[i]``, with ``y[i+1]`` if ``reversed``.
- ``lu``: LAPACK's getrf of the transpose; the last row holds the pivots, as 32-bit integers.
- ``lu_solve(lu, b)``: the rows of the result are ``solve(a, row of b)``, or with ``a.T``.
- ``lu_sign``: the sign of the permutation.
- ``cholesky``: the lower factor, with rubbish above the diagonal.
- ``solve_triangular(l, b)``: as ``lu_solve``, of the lower or upper triangle.
- ``eigh``: from the lower (or ``upper``) triangle; a row of values, and a row for each vector.
- ``svd``: values, left vectors ``(m, k)``, and right ones ``(k, n)``, one after the other.
- ``product(a, b)``: of matrices, the ``left`` or ``right`` one transposed.
- ``qr`` of a matrix given by columns: ``q`` by columns ``(k, m)``, then ``r`` by columns
  ``(n, m)``, with rubbish below the diagonal.
- ``put(a, v, k, ...)``: `a` with ``a[k, ...] = v``. Its attributes are the rank of `a` and the
  number of integers.
"""


def core_ranks(name: str, attributes: tuple[Any, ...]) -> tuple[tuple[int, ...], int]:
    """How many axes a block that targets know takes of each operand, and how many it gives.

    Raises
    ------
    ValueError
        There is no such block.
    """
    kind = BLOCKS[name]
    if name != "put":
        return kind.ranks, kind.rank
    rank, places = attributes
    if not 0 < places <= rank:
        raise ValueError(f"put with {places} integers into an array of rank {rank}")
    return (rank, rank - places, *[0] * places), rank


def core_shape(block: Block, shapes: Sequence[Shape]) -> Shape:
    """Give the shape of a block's result from those of its operands, whole axes alone.

    Raises
    ------
    ValueError
        The operands do not fit the block.
    """
    shape = BLOCKS[block.name].shape(shapes, block.attributes)
    if shape is None:
        raise ValueError(f"{block.label} of shapes {', '.join(map(str, shapes))}")
    return shape


def result_dtype(block: Block, dtype: str) -> str:
    """Give the dtype of a block's result."""
    return "int64" if BLOCKS[block.name].is_integer else dtype


def dump_block(block: Block) -> list[Any]:
    """Say a block in plain data.

    Raises
    ------
    UnsupportedOperationError
        The block is the user's own.
    """
    if block.name not in BLOCKS or not all(isinstance(a, str | int) for a in block.attributes):
        raise UnsupportedOperationError(
            f"{block.label} cannot be saved: only symdiff's own operations can"
        )
    return ["block", block.name, list(block.attributes)]


def load_block(data: Any) -> Block:
    """Build a block from what `dump_block` gave.

    Raises
    ------
    CacheError
        The data are not those of a block.
    """
    if not isinstance(data, list) or len(data) != 3 or not isinstance(data[2], list):
        raise CacheError(f"a block is a list of name and attributes, not {data!r:.80}")
    _, name, attributes = data
    kind = BLOCKS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CacheError(f"unknown block {name!r:.80}")
    if not all(isinstance(a, (str, int)) and a in kind.attributes for a in attributes):
        raise CacheError(f"block {name} with attributes {attributes!r:.80}")
    try:
        ranks, rank = core_ranks(name, tuple(attributes))
    except ValueError as error:
        raise CacheError(str(error)) from None
    return Block(name, ranks, rank, tuple(attributes))
