"""Equations that are products of matrices, whatever else is written in them.

``t[i, j] += tanh(x[row[i], k])*w[k, j]`` is one, of a matrix that has to be made first and of one
that is there. So is the gradient of a dense layer, whose rows have several axes that are summed
over, and a product for each element of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, TypeAlias

import sympy as sp

from symdiff.program.affine import Affine, identity, index
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    IndexValue,
    Operand,
    Read,
    substitute_operand,
)
from symdiff.program.patterns import COPY, pattern, placeholder
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, product

__all__ = ["Contraction", "Matrix", "Product", "Step", "contraction", "with_matrices"]


class Product(NamedTuple):
    """A product of matrices that lie in memory: ``out = left @ right``.

    Attributes
    ----------
    out, left, right : Matrix
    """

    out: Matrix
    left: Matrix
    right: Matrix


class Matrix(NamedTuple):
    """An array taken as a matrix, or as one for each element of a batch.

    Attributes
    ----------
    array : str
    sizes : tuple of Extent
        How many matrices, their rows and columns.
    is_transposed : bool
        Whether columns come before rows in memory.
    """

    array: str
    sizes: tuple[Extent, ...]
    is_transposed: bool = False


Step: TypeAlias = Equation | Product


class Contraction(NamedTuple):
    """How an equation is a product.

    Attributes
    ----------
    batch, rows, columns, inner : tuple of int
        Its loops: those of both matrices and the result, of the left one and the result, of the
        right one and the result, and of both matrices, which are summed over.
    left, right : sympy.Expr
        The two factors.
    """

    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    inner: tuple[int, ...]
    left: Any
    right: Any


def contraction(program: Program, equation: Equation) -> Contraction | None:
    """Tell how an equation is a product of matrices; None if it is not.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> p = sd.trace(lambda a, b: np.tanh(a) @ b.T, np.ones((3, 4)), np.ones((5, 4)))
    >>> found = contraction(p, p.equations[-1])
    >>> found.rows, found.columns, found.inner
    ((0,), (1,), (2,))
    """
    target = _loops_of_target(program, equation)
    if target is None:
        return None
    inner = frozenset(range(len(equation.extents))) - frozenset(target)
    factors = _factors(equation)
    summed = [loops & set(target) for _, loops in factors if loops & inner]
    if not inner or len(summed) < 2:
        return None
    batch = frozenset.intersection(*summed)
    sides = _parted([loops - batch for loops in summed if loops - batch])
    if len(sides) != 2:
        return None
    if target.index(min(sides[0], key=target.index)) > target.index(
        min(sides[1], key=target.index)
    ):
        sides.reverse()  # rows come first in the result
    rows, columns = sides
    left, right = [], []
    for factor, loops in factors:
        if not loops & columns:
            left.append(factor)
        elif not loops & rows:
            right.append(factor)
        else:
            return None
    covered = _loops_of(equation, left) & _loops_of(equation, right)
    if not (batch | inner) <= covered or batch | rows | columns != frozenset(target):
        return None
    return Contraction(
        _in_order(batch, target),
        _in_order(rows, target),
        _in_order(columns, target),
        tuple(_order_of_inner(equation, inner)),
        sp.Mul(*left),
        sp.Mul(*right),
    )


def _loops_of_target(program: Program, equation: Equation) -> list[int] | None:
    """Give the loop of each axis of the result, if they cover it and all is of one dtype."""
    shape, dtype = program.types[equation.array]
    if isinstance(equation.pattern, Block) or equation.operator != "+=":
        return None
    if len(equation.target) < 2 or dtype not in ("float64", "float32"):
        return None
    read = [o.array for o in equation.operands if isinstance(o, Read)]
    if any(program.types[array].dtype != dtype for array in read):
        return None
    loops: list[int] = []
    for i, extent in zip(equation.target, shape, strict=True):
        k = i.single if isinstance(i, Affine) else None
        if k is None or k in loops or equation.extents[k] != extent:
            return None
        loops.append(k)
    return loops


def _factors(equation: Equation) -> list[tuple[Any, frozenset[int]]]:
    """Take the expression of an equation apart, with the loops that each factor depends on."""
    assert not isinstance(equation.pattern, Block)
    expression = equation.pattern.expression
    if not isinstance(expression, sp.Mul):
        return []
    return [(f, _loops_of(equation, [f])) for f in expression.args]


def _loops_of(equation: Equation, factors: Sequence[Any]) -> frozenset[int]:
    found: set[int] = set()
    symbols = {s for f in factors for s in f.free_symbols}
    for number, operand in enumerate(equation.operands):
        if placeholder(number) in symbols:
            found |= _loops_in(operand)
    return frozenset(found)


def _loops_in(operand: Operand | Index) -> set[int]:
    if isinstance(operand, IndexValue):
        operand = operand.value
    if isinstance(operand, Affine):
        return {k for k, _ in operand.terms}
    if isinstance(operand, Read):
        return {k for i in operand.indices for k in _loops_in(i)}
    return set()


def _parted(sets: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Join sets that have something in common."""
    found: list[frozenset[int]] = []
    for each in sets:
        joined = each
        for other in [f for f in found if f & joined]:
            found.remove(other)
            joined |= other
        found.append(joined)
    return found


def _in_order(loops: AbstractSet[int], target: Sequence[int]) -> tuple[int, ...]:
    return tuple(k for k in target if k in loops)


def _order_of_inner(equation: Equation, inner: AbstractSet[int]) -> list[int]:
    """Order what is summed over as it lies in memory, in the first array that has all of it."""
    for operand in equation.operands:
        if isinstance(operand, Read):
            axes = [i.single for i in operand.indices if isinstance(i, Affine)]
            order = [k for k in axes if k in inner]
            if len(order) == len(inner):
                return order  # type: ignore[return-value]
    return sorted(inner)


def with_matrices(program: Program, chosen: Sequence[int]) -> tuple[Program, list[Step]]:
    """Put products in for some equations, with equations that make their matrices.

    Parameters
    ----------
    program : Program
    chosen : sequence of int
        The numbers of equations that are contractions.

    Returns
    -------
    program : Program
        With the types of the arrays that are new; its equations are still the old ones.
    steps : list
        Its equations, and the products, in order.
    """
    maker = _Maker(program)
    for number, equation in enumerate(program.equations):
        if number in chosen:
            maker.product(equation)
        else:
            maker.steps.append(equation)
    return program.replace(types=maker.types), maker.steps


class _Maker:
    """Writes the steps, and notes the types."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.types = dict(program.types)
        self.steps: list[Step] = []

    def product(self, equation: Equation) -> None:
        found = contraction(self.program, equation)
        assert found is not None
        left = self._matrix(equation, found.left, found.batch, found.rows, found.inner)
        right = self._matrix(equation, found.right, found.batch, found.inner, found.columns)
        order = (*found.batch, *found.rows, *found.columns)
        target = [i.single for i in equation.target if isinstance(i, Affine)]
        sizes = _sizes(equation, found[:3])
        is_alone = self.program.n_contributions[equation.array] == 1
        if is_alone and target == [*order]:
            self.steps.append(Product(Matrix(equation.array, sizes), left, right))
            return
        dtype = self.types[equation.array].dtype
        shape = tuple(equation.extents[k] for k in order)
        name = self._new(f"{equation.array}_product", ArrayType(shape, dtype))
        self.steps.append(Product(Matrix(name, sizes), left, right))
        read = Read(name, tuple(index(target.index(k)) for k in order))
        extents = self.types[equation.array].shape
        copied = equation._replace(
            target=identity(len(target)), pattern=COPY, operands=(read,), extents=extents
        )
        self.steps.append(copied._replace(operator="=") if is_alone else copied)

    def _new(self, name: str, made: ArrayType) -> str:
        name = self.program.fresh_name(name, self.types)
        self.types[name] = made
        return name

    def _matrix(
        self,
        equation: Equation,
        factor: Any,
        batch: tuple[int, ...],
        rows: tuple[int, ...],
        columns: tuple[int, ...],
    ) -> Matrix:
        """Find the matrix that a factor is, or make it."""
        sizes = _sizes(equation, (batch, rows, columns))
        for number, operand in enumerate(equation.operands):
            if factor != placeholder(number) or not isinstance(operand, Read):
                continue
            axes = [i.single if isinstance(i, Affine) else None for i in operand.indices]
            shape = tuple(equation.extents[k] for k in axes if k is not None)
            if shape != self.types[operand.array].shape:
                continue
            if axes == [*batch, *rows, *columns]:
                return Matrix(operand.array, sizes)
            if axes == [*batch, *columns, *rows]:
                return Matrix(operand.array, sizes, is_transposed=True)
        loops = (*batch, *rows, *columns)
        dtype = self.types[equation.array].dtype
        made = ArrayType(tuple(equation.extents[k] for k in loops), dtype)
        name = self._new(f"{equation.array}_factor", made)
        self.steps.append(_made(equation, name, factor, loops))
        return Matrix(name, sizes)


def _sizes(equation: Equation, groups: Sequence[Sequence[int]]) -> tuple[Extent, ...]:
    return tuple(product(equation.extents[k] for k in group) for group in groups)


def _made(equation: Equation, name: str, factor: Any, loops: Sequence[int]) -> Equation:
    """Write the equation of an array that is a factor of another's."""
    numbers = [n for n in range(len(equation.operands)) if placeholder(n) in factor.free_symbols]
    by = [index(loops.index(k) if k in loops else 0) for k in range(len(equation.extents))]
    renamed = {placeholder(n): placeholder(k) for k, n in enumerate(numbers)}
    return Equation(
        name,
        identity(len(loops)),
        "=",
        pattern(factor.xreplace(renamed), len(numbers)),
        tuple(substitute_operand(equation.operands[n], by) for n in numbers),
        tuple(equation.extents[k] for k in loops),
        equation.location,
    )
