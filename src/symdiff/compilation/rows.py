"""Batches of which a part can be computed alone: no row of a result needs another row."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.compilation.nests import position_of
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Index, IndexValue, Read, Whole, map_sizes
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, symbol, symbols

__all__ = ["independent_rows"]


def independent_rows(program: Program) -> str | None:
    """Find the size of a batch whose rows are computed independently of each other.

    It is the first axis of all outputs, and of the inputs of which each row needs its own.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> x = np.ones((100, 3))
    >>> independent_rows(sd.trace(lambda x: np.sum(np.exp(x), axis=1), x))
    'n'
    >>> independent_rows(sd.trace(lambda x: x / np.sum(x), x)) is None
    True
    """
    for name, (_, axis) in program.size_sources.items():
        if axis == 0 and _are_apart(program, name):
            return name
    return None


def _are_apart(program: Program, name: str) -> bool:
    size = symbol(name)
    batched: set[str] = set()
    for array, (shape, _) in program.types.items():
        first, rest = shape[:1], shape[1:]
        if first == (size,):
            batched.add(array)
        elif name in symbols(first):
            return False
        if name in symbols(rest):
            return False
    if not batched.issuperset(program.outputs):
        return False
    return all(_is_apart(e, name, batched) for e in program.equations)


def _is_apart(equation: Equation, name: str, batched: set[str]) -> bool:
    """Whether an equation computes each row of a batch from that row."""
    if _is_product_of_rows(equation, batched):
        return True
    size = symbol(name)
    others: list[Extent] = []

    def note(extent: Extent) -> Extent:
        others.append(extent)
        return extent

    map_sizes(equation._replace(extents=tuple([e for e in equation.extents if e != size])), note)
    if name in symbols(others):
        return False
    rows = [k for k, extent in enumerate(equation.extents) if extent == size]
    maps = [(equation.array, equation.target)]
    maps += [(read.array, read.indices) for read in equation.reads]
    if equation.array not in batched:
        return not rows and all(array not in batched for array, _ in maps)
    if len(rows) != 1:
        return False
    values = [o.value for o in equation.operands if isinstance(o, IndexValue)]
    return not _mentions(values, rows[0]) and all(
        _is_of_row(indices, rows[0], array in batched) for array, indices in maps
    )


def _is_of_row(indices: Sequence[Index], row: int, is_batched: bool) -> bool:
    if is_batched:
        return position_of(indices[0]) == row and not _mentions(indices[1:], row)
    return not _mentions(indices, row)


def _mentions(indices: Sequence[Index], loop: int) -> bool:
    """Whether a place depends on a loop; what a gather reads is looked at by itself."""
    return any(
        not isinstance(i, (Read, Whole)) and any(k == loop for k, _ in i.terms) for i in indices
    )


def _is_product_of_rows(equation: Equation, batched: set[str]) -> bool:
    """Whether an equation is a product of a batch of vectors with a matrix."""
    block = equation.pattern
    if not isinstance(block, Block) or block.name != "product" or equation.extents:
        return False
    left, right = equation.operands
    assert isinstance(left, Read)
    assert isinstance(right, Read)
    is_batch = left.array in batched and "left" not in block.attributes
    return equation.array in batched and is_batch and right.array not in batched
