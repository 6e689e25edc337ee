"""What a Program costs: operations by kind, and the memory that must be read and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation
from symdiff.program.nested import Loop, Nested, group_key, nested_of
from symdiff.program.patterns import Pattern
from symdiff.program.sizes import Extent, Size, evaluate, product, put_sizes

if TYPE_CHECKING:
    from symdiff.program.program import Program

__all__ = ["Cost", "count"]

_FREE = frozenset(["literal", "copy"])
_ACCUMULATIONS = {"+=": "add", "max=": "maximum", "min=": "minimum", "or=": "or", "and=": "and"}


@dataclass(frozen=True)
class Cost:
    """Counts of operations and bytes; each is a polynomial where sizes are symbolic.

    Attributes
    ----------
    operations : Mapping[str, Extent]
        How often each primitive operation is done, most frequent first. An accumulation counts
        as the operation it does; copies and literals are free. A block (a Cholesky factor, a
        sort) counts as one. A loop counts all its steps, or one where only the call tells how many
        there are; a branch counts its longer side.
    bytes_read, bytes_written : Extent
        Size of the inputs and constants, and of the outputs, each touched once.

    Examples
    --------
    >>> from symdiff.program.sizes import symbol
    >>> cost = Cost({"exp": symbol("n"), "add": symbol("n") - 1}, 8 * symbol("n"), 8)
    >>> print(cost)
    2*n - 1 operations: n exp, n - 1 add; 8*n bytes read, 8 bytes written
    >>> cost.evaluate(n=10).total
    19
    """

    operations: Mapping[str, Extent]
    bytes_read: Extent
    bytes_written: Extent

    @property
    def total(self) -> Extent:
        """All operations together."""
        total: Extent = 0
        for times in self.operations.values():
            total = total + times
        return total

    def evaluate(self, **sizes: int) -> Cost:
        """Put numbers in for the size symbols."""
        return Cost(
            {name: evaluate(times, sizes) for name, times in self.operations.items()},
            evaluate(self.bytes_read, sizes),
            evaluate(self.bytes_written, sizes),
        )

    def __str__(self) -> str:
        kinds = ", ".join(f"{times} {name}" for name, times in self.operations.items())
        return (
            f"{self.total} operations{': ' if kinds else ''}{kinds}; "
            f"{self.bytes_read} bytes read, {self.bytes_written} bytes written"
        )


def count(program: Program) -> Cost:
    """Count what a Program does when it is evaluated as it stands, equation by equation."""
    operations = _operations(program)
    kept = {name: times for name, times in operations.items() if times != 0}
    ordered = sorted(kept, key=lambda name: (-_magnitude(kept[name]), name))
    sources = [*program.inputs, *program.constants]
    return Cost(
        {name: kept[name] for name in ordered},
        _bytes(program.types, sources),
        _bytes(program.types, program.outputs),
    )


def _operations(program: Program) -> dict[str, Extent]:
    operations: dict[str, Extent] = {}
    written: set[str] = set()
    done: set[Any] = set()
    for equation in program.equations:
        points = product(equation.extents)
        nested = nested_of(equation.pattern)
        if nested is not None:
            key = group_key(equation)
            counts = {} if key in done else _inside(nested)
            done.add(key)
        else:
            counts = _counts(equation.pattern)
        for name, times in counts.items():
            operations[name] = operations.get(name, 0) + times * points
        if equation.operator in _ACCUMULATIONS:
            name = _ACCUMULATIONS[equation.operator]
            first = 0 if equation.array in written else _first_writes(equation)
            operations[name] = operations.get(name, 0) + points - first
        written.add(equation.array)
    return operations


def _inside(nested: Nested) -> dict[str, Extent]:
    """Count what a loop, a branch or a run does, in the sizes outside."""
    known = dict(nested.sizes)
    sides: list[dict[str, Extent]] = []
    for program in nested.programs:
        counts = _operations(program)
        times = nested.count if isinstance(nested, Loop) and nested.count is not None else 1
        sides.append({name: put_sizes(n, known) * times for name, n in counts.items()})
    return max(sides, key=lambda counts: sum(map(_magnitude, counts.values())))


@cache
def _counts(pattern: Pattern | Block) -> dict[str, int]:
    if isinstance(pattern, Block):
        return {pattern.label: 1}
    return dict(Counter(step.name for step in pattern.steps if step.name not in _FREE))


def _first_writes(equation: Equation) -> Extent:
    """Count the elements that an accumulation sets first, where the target shows it."""
    loops: set[int] = set()
    for index in equation.target:
        if not isinstance(index, Affine) or len(index.terms) > 1:
            return 0  # elements may coincide: the array starts from zero instead
        loops.update(number for number, _ in index.terms)
    return product(tuple(equation.extents[i] for i in sorted(loops)))


def _bytes(types: Mapping[str, ArrayType], names: list[str] | tuple[str, ...]) -> Extent:
    total: Extent = 0
    for name in dict.fromkeys(names):
        shape, dtype = types[name]
        total = total + product(shape) * np.dtype(dtype).itemsize
    return total


def _magnitude(extent: Extent) -> int:
    """Order polynomials as for large sizes."""
    if isinstance(extent, int):
        return extent
    return _at(extent, 1000)


def _at(size: Size, value: int) -> int:
    symbols = {s for monomial, _ in size.terms for s in monomial}
    return evaluate(size, dict.fromkeys(symbols, value))
