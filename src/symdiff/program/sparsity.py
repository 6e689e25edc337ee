"""Which elements of an output depend on which elements of an input, read off the index maps.

Every equation is a sparse Boolean matrix from the elements that it reads to those that it writes;
the pattern is their product along the Program. A read counts where the derivative of the
equation's pattern is not identically zero: conditions and comparisons carry none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from symdiff.errors import ShapeError, UnsupportedOperationError
from symdiff.program.affine import Affine
from symdiff.program.affine import index as loop
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Index, Read, Whole
from symdiff.program.patterns import Pattern, placeholder
from symdiff.program.patterns import pattern as pattern_of
from symdiff.program.sizes import evaluate, symbols

if TYPE_CHECKING:
    from symdiff.program.program import Program

__all__ = ["pattern"]


def pattern(
    program: Program, output: str, input: str, sizes: Mapping[str, int]
) -> scipy.sparse.csr_array:
    """Compute the sparsity pattern of the derivative of one array by another.

    Parameters
    ----------
    output, input : str
        Names of arrays of the Program, taken flat in C order.
    sizes : Mapping[str, int]
        Values of the size symbols.

    Returns
    -------
    scipy.sparse.csr_array
        Boolean, of shape (elements of `output`, elements of `input`).

    Raises
    ------
    ShapeError
        There is no such array, or a size has no value.
    UnsupportedOperationError
        An index is read from an array whose values are known only at the call.
    """
    for name in (output, input):
        if name not in program.types:
            raise ShapeError(
                f"{program.name} has no array {name!r}; it has {', '.join(program.types)}"
            )
    _require_sizes(program, sizes)
    return _Walk(program, sizes, input).dependence(output)


def _require_sizes(program: Program, sizes: Mapping[str, int]) -> None:
    found: set[str] = set()
    for shape in [t.shape for t in program.types.values()]:
        found |= symbols(shape)
    for equation in program.equations:
        found |= symbols(equation.extents)
    missing = sorted(found - sizes.keys())
    if missing:
        example = ", ".join(f"{s}=10" for s in missing)
        raise ShapeError(
            f"the sparsity of {program.name} depends on {', '.join(missing)}: give "
            f"{'them' if len(missing) > 1 else 'it'} as {example}"
        )


def _as_sum(program: Program, equation: Equation, k: int) -> Equation:
    """An equation in which every element of a block's result depends on all of one operand."""
    operand = equation.operands[k]
    assert isinstance(operand, Read)
    extents = list(equation.extents)
    maps: list[tuple[Index, ...]] = []
    for array, indices in ((equation.array, equation.target), (operand.array, operand.indices)):
        plain: list[Index] = []
        for i, extent in zip(indices, program.types[array].shape, strict=True):
            if isinstance(i, Whole):
                i = loop(len(extents))  # noqa: PLW2901 - a loop of its own
                extents.append(extent)
            plain.append(i)
        maps.append(tuple(plain))
    read = Read(operand.array, maps[1])
    copy = pattern_of(placeholder(0), 1)
    return Equation(equation.array, maps[0], "+=", copy, (read,), tuple(extents))


class _Walk:
    """Goes through the equations and keeps, for each array, its dependence on one source."""

    def __init__(self, program: Program, sizes: Mapping[str, int], source: str) -> None:
        self.program = program
        self.sizes = sizes
        self.shapes = {
            name: tuple(evaluate(e, sizes) for e in array_type.shape)
            for name, array_type in program.types.items()
        }
        self.width = self._elements(source)
        eye = scipy.sparse.eye_array(self.width, format="csr").astype(np.bool_)
        self.dependences = {source: eye}
        for equation in program.equations:
            if equation.array != source:
                self._follow(equation)

    def dependence(self, array: str) -> scipy.sparse.csr_array:
        known = self.dependences.get(array)
        if known is None:
            shape = (self._elements(array), self.width)
            return scipy.sparse.csr_array(shape, dtype=np.bool_)
        return scipy.sparse.csr_array(known)

    def _elements(self, array: str) -> int:
        return int(np.prod(self.shapes[array], dtype=np.int64))

    def _follow(self, equation: Equation) -> None:
        if isinstance(equation.pattern, Block):
            for k in range(equation.pattern.arity):
                self._follow_read(_as_sum(self.program, equation, k))
            return
        self._follow_read(equation)

    def _follow_read(self, equation: Equation) -> None:
        assert isinstance(equation.pattern, Pattern)
        operands = [
            operand
            for number, operand in enumerate(equation.operands)
            if isinstance(operand, Read)
            and operand.array in self.dependences
            and not self._is_rounded(operand, equation)
            and equation.pattern.derivative(number) != 0
        ]
        is_overwriting = equation.operator == "=" and equation.array in self.dependences
        if not operands and not is_overwriting:
            return
        loops = self._loops(equation)
        rows = self._flat(equation.array, equation.target, loops)
        total = self.dependence(equation.array)
        height = self._elements(equation.array)
        if is_overwriting:
            kept = np.ones(height, dtype=np.bool_)
            kept[rows] = False
            total = scipy.sparse.csr_array(total.multiply(kept[:, np.newaxis]))
        for operand in operands:
            columns = self._flat(operand.array, operand.indices, loops)
            shape = (height, self._elements(operand.array))
            ones = np.ones(len(rows), dtype=np.bool_)
            step = scipy.sparse.csr_array((ones, (rows, columns)), shape=shape)
            total = total + step @ self.dependences[operand.array]
        total.sum_duplicates()
        self.dependences[equation.array] = total.astype(np.bool_)

    def _is_rounded(self, operand: Read, equation: Equation) -> bool:
        """Whether a float goes into an array that cannot carry a derivative."""
        kinds = [
            np.dtype(self.program.types[name].dtype).kind
            for name in (operand.array, equation.array)
        ]
        return kinds[0] == "f" and kinds[1] != "f"

    def _loops(self, equation: Equation) -> list[np.ndarray]:
        extents = [evaluate(e, self.sizes) for e in equation.extents]
        return list(np.indices(extents, dtype=np.int64, sparse=True))

    def _flat(self, array: str, indices: Sequence[Index], loops: list[np.ndarray]) -> np.ndarray:
        """Give the flat number of each element that the loops visit, in their order."""
        shape = self.shapes[array]
        full = np.broadcast_shapes((), *[loop.shape for loop in loops])
        flat: np.ndarray = np.zeros(full, dtype=np.int64)
        for index, extent in zip(indices, shape, strict=True):
            flat = flat * extent + self._values(index, loops)
        return flat.ravel()

    def _values(self, index: Index, loops: list[np.ndarray]) -> np.ndarray:
        if isinstance(index, Affine):
            total = np.asarray(evaluate(index.offset, self.sizes), dtype=np.int64)
            for number, coefficient in index.terms:
                total = total + evaluate(coefficient, self.sizes) * loops[number]
            return total
        assert isinstance(index, Read)
        data = self.program.constants.get(index.array)
        if data is None:
            raise UnsupportedOperationError(
                f"the sparsity depends on the values of {index.array}, by which an array is "
                "indexed. Close over the index array instead of passing it, so that it is a "
                "constant of the Program"
            )
        return data[tuple(self._values(i, loops) for i in index.indices)]
