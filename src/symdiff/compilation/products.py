"""Large products of matrices become calls of a library.

A product that is one equation, ``c[i, k] += a[i, j]*b[j, k]``, is a `Block` for the CPU where it is
large enough: then nothing that is written here comes near to what a BLAS does. Small ones are left
to the loops, which share the rest of their nest with them.
"""

from __future__ import annotations

from typing import NamedTuple

from symdiff.program.affine import Affine, identity
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    WHOLE,
    Equation,
    IndexValue,
    Read,
    is_plain,
)
from symdiff.program.patterns import COPY, Pattern, pattern, placeholder
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["with_products"]

PRODUCT = pattern(placeholder(0) * placeholder(1), 2)
LARGE = 2048
"""A product is large if its two longest axes of known length have so many elements."""
NARROW, LARGE_NARROW = 16, 4096
"""If the shorter of the two has fewer elements than the first, they need so many together."""
LONG = 16
"""The axis that is summed over must be as long, or of unknown length."""


def with_products(program: Program, rows: Extent | None = None) -> Program:
    """Put blocks in for the large products of a Program, given the size of its batch."""
    found = {id(e): p for e in program.equations if (p := _product(program, e, rows)) is not None}
    if not found:
        return program
    types = dict(program.types)
    equations: list[Equation] = []
    for equation in program.equations:
        product = found.get(id(equation))
        if product is None:
            equations.append(equation)
            continue
        operands = (
            Read(product.left.array, (WHOLE, WHOLE)),
            Read(product.right.array, (WHOLE, WHOLE)),
        )
        block = Block("product", (2, 2), 2, product.attributes)
        target = (WHOLE, WHOLE)
        made = Equation(equation.array, target, "=", block, operands, (), equation.location)
        if len(program.contributions[equation.array]) > 1:
            name = fresh_name(f"{equation.array}_product", types.keys())
            types[name] = types[equation.array]
            equations.append(made._replace(array=name))
            whole = identity(2)
            read = (Read(name, whole),)
            shape = types[name].shape
            made = Equation(equation.array, whole, "+=", COPY, read, shape, equation.location)
        equations.append(made)
    return program.replace(equations=tuple(equations), types=types)


class _Product(NamedTuple):
    left: Read
    right: Read
    attributes: tuple[str, ...]


def _product(program: Program, equation: Equation, rows: Extent | None) -> _Product | None:
    """Take a large product apart: which matrix is on the left, and which are transposed."""
    if not _is_large_product(equation, rows):
        return None
    row, column = (_single(i) for i in equation.target)
    if row is None or column is None or row == column:
        return None
    (inner,) = {0, 1, 2} - {row, column}
    shape = (equation.extents[row], equation.extents[column])
    if shape != program.types[equation.array].shape:
        return None
    pairs: dict[frozenset[int | None], Read] = {}
    for operand in equation.operands:
        if not isinstance(operand, Read) or not _is_whole(program, equation, operand):
            return None
        pairs[frozenset(map(_single, operand.indices))] = operand
    left, right = pairs.get(frozenset((row, inner))), pairs.get(frozenset((inner, column)))
    if left is None or right is None:
        return None
    attributes: list[str] = []
    if _single(left.indices[0]) != row:
        attributes.append("left")
    if _single(right.indices[0]) != inner:
        attributes.append("right")
    if _is_symmetric(program, left, right, attributes):
        attributes.append("symmetric")
    return _Product(left, right, tuple(attributes))


def _is_large_product(equation: Equation, rows: Extent | None) -> bool:
    """Whether a product is large without the axis of a batch, which shares its loop with others."""
    if equation.pattern is not PRODUCT or equation.operator != "+=":
        return False
    if len(equation.extents) != 3 or len(equation.target) != 2:
        return False
    inner = [k for k in range(3) if all(_single(i) != k for i in equation.target)]
    known = sorted(e for e in equation.extents if isinstance(e, int))
    if rows in known:
        known.remove(rows)  # type: ignore[arg-type]
    if any(isinstance(equation.extents[k], int) and equation.extents[k] < LONG for k in inner):  # type: ignore[operator]
        return False
    if len(known) < 2 or min(known) <= 1:
        return False
    shorter, longer = known[-2:]
    return shorter * longer >= (LARGE if shorter >= NARROW else LARGE_NARROW)


def _single(index: object) -> int | None:
    return index.single if isinstance(index, Affine) else None


def _is_whole(program: Program, equation: Equation, read: Read) -> bool:
    """Whether a matrix is read as a whole, and has the dtype of the result."""
    shape, dtype = program.types[read.array]
    if dtype != program.types[equation.array].dtype or dtype not in ("float64", "float32"):
        return False
    axes = [_single(i) for i in read.indices]
    if len(axes) != 2 or None in axes or axes[0] == axes[1]:
        return False
    return tuple(equation.extents[k] for k in axes if k is not None) == shape


def _is_symmetric(program: Program, left: Read, right: Read, attributes: list[str]) -> bool:
    """Whether one matrix is the other transposed, with its inner axis scaled.

    ``a[i, j] = b[j, i]*d[j]``, or the other way round: then the product is symmetric.
    """
    inner_left = 0 if "left" in attributes else 1
    inner_right = 1 if "right" in attributes else 0
    if left.array == right.array:
        return inner_left == inner_right
    return _is_scaled(program, left.array, inner_left, right.array, inner_right) or _is_scaled(
        program, right.array, inner_right, left.array, inner_left
    )


def _is_scaled(program: Program, scaled: str, inner: int, base: str, base_inner: int) -> bool:
    """Whether a matrix is another one times what depends on the inner axis only.

    The factors may have been multiplied with it one after the other.
    """
    made = program.contributions.get(scaled, ())
    if len(made) != 1 or isinstance(made[0].pattern, Block) or not is_plain(made[0].target):
        return False
    (equation,) = made
    wanted = (1 - inner, inner) if base_inner == 1 else (inner, 1 - inner)
    found: list[int] = []
    for k, operand in enumerate(equation.operands):
        if isinstance(operand, IndexValue) and any(n != inner for n, _ in operand.value.terms):
            return False
        if not isinstance(operand, Read):
            continue
        axes = tuple(map(_single, operand.indices))
        is_base = operand.array == base and axes == wanted
        if is_base or (
            axes == (0, 1) and _is_scaled(program, operand.array, inner, base, base_inner)
        ):
            found.append(k)
        elif any(_single(i) != inner for i in operand.indices):
            return False
    assert isinstance(equation.pattern, Pattern)
    is_set = len(equation.extents) == 2 and equation.operator in ("=", "+=")
    return is_set and len(found) == 1 and equation.pattern.is_multiple_of(found[0])
