"""Linear algebra of small symmetric matrices over lanes, written out while it is traced.

A matrix is the list of its lower triangle, row by row; each element is an array over lanes.
`lane_loops` has the same for larger ones, and `Algebra` is what the two have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

__all__ = ["Algebra", "WrittenOut", "at", "total"]


class Algebra(Protocol):
    """Symmetric matrices over lanes, carried as the rows of their lower triangles.

    A vector is a sequence of arrays over lanes. Element ``at(i, k)`` of a triangle is one, too.
    """

    def take(self, rows: Any) -> Any:
        """Take a triangle from the rows of a state."""
        ...

    def give(self, triangle: Any) -> Any:
        """Give the rows of a triangle, an array."""
        ...

    def choose(self, which: Any, new: Any, old: Any) -> Any:
        """Take the new triangle in lanes where `which` is true, else the old."""
        ...

    def products(self, scaled: Sequence[Any], columns: Sequence[Any]) -> Any:
        """Sums over points, the first axis, of the products of columns."""
        ...

    def hold(self, triangle: Any, is_free: Sequence[Any]) -> Any:
        """Put rows of the unit matrix where a parameter is not free."""
        ...

    def solve(self, triangle: Any, additions: Sequence[Any], vector: Sequence[Any]) -> list[Any]:
        """Solve with something added to the diagonal, for the vector's negative."""
        ...

    def square_length(self, triangle: Any, vector: Sequence[Any], floor: float) -> Any:
        """Give ``v' A^-1 v``; pivots below `floor` of their diagonal count for nothing."""
        ...

    def image(self, triangle: Any, vector: Sequence[Any]) -> list[Any]:
        """Multiply with a vector."""
        ...

    def invert(self, triangle: Any, floor: float) -> tuple[Any, Any]:
        """Give the rows of the inverse's triangle, and whether the matrix is singular."""
        ...


class WrittenOut:
    """The algebra of a few parameters: each element is a value of its own."""

    def __init__(self, m: int) -> None:
        self.m = m

    def take(self, rows: Any) -> list[Any]:
        """Take a triangle from the rows of a state."""
        return [rows[k] for k in range(self.m * (self.m + 1) // 2)]

    def give(self, triangle: list[Any]) -> Any:
        """Give the rows of a triangle, an array."""
        return np.stack(triangle)

    def choose(self, which: Any, new: list[Any], old: list[Any]) -> list[Any]:
        """Take the new triangle in lanes where `which` is true, else the old."""
        return [np.where(which, u, v) for u, v in zip(new, old, strict=True)]

    def products(self, scaled: Sequence[Any], columns: Sequence[Any]) -> list[Any]:
        """Sums over points, the first axis, of the products of columns."""
        return [np.sum(scaled[i] * columns[k], axis=0) for i in range(self.m) for k in range(i + 1)]

    def hold(self, triangle: list[Any], is_free: Sequence[Any]) -> list[Any]:
        """Put rows of the unit matrix where a parameter is not free."""
        matrix: list[Any] = []
        for i in range(self.m):
            matrix += [np.where(is_free[i] & is_free[k], triangle[at(i, k)], 0.0) for k in range(i)]
            matrix.append(np.where(is_free[i], triangle[at(i, i)], 1.0))
        return matrix

    def solve(
        self, triangle: list[Any], additions: Sequence[Any], vector: Sequence[Any]
    ) -> list[Any]:
        """Solve with something added to the diagonal, for the vector's negative."""
        matrix = [*triangle]
        for i, addition in enumerate(additions):
            matrix[at(i, i)] = triangle[at(i, i)] + addition
        lower, inverse, _ = factor(matrix, self.m, 0.0)
        z = [-u * v for u, v in zip(forward(lower, vector), inverse, strict=True)]
        return backward(lower, z)

    def square_length(self, triangle: list[Any], vector: Sequence[Any], floor: float) -> Any:
        """Give ``v' A^-1 v``; pivots below `floor` of their diagonal count for nothing."""
        lower, inverse, _ = factor(triangle, self.m, floor)
        z = forward(lower, vector)
        return total([u * u * v for u, v in zip(z, inverse, strict=True)])

    def image(self, triangle: list[Any], vector: Sequence[Any]) -> list[Any]:
        """Multiply with a vector."""
        ranks = range(self.m)
        return [total([triangle[at(i, k)] * vector[k] for k in ranks]) for i in ranks]

    def invert(self, triangle: list[Any], floor: float) -> tuple[Any, Any]:
        """Give the rows of the inverse's triangle, and whether the matrix is singular."""
        rows, is_singular = invert(triangle, self.m, floor)
        return np.stack(rows), is_singular


def at(i: int, j: int) -> int:
    """Where an element of a symmetric matrix is in its lower triangle."""
    return i * (i + 1) // 2 + j if i >= j else j * (j + 1) // 2 + i


def factor(matrix: Sequence[Any], m: int, floor: float) -> tuple[list[Any], list[Any], Any]:
    """Factor ``L D L'``.

    Returns
    -------
    lower : list
        The lower triangle of L, its diagonal unused.
    inverse : list
        The reciprocals of D; 0 where a column depends on those before it.
    is_singular : array
        Whether there is such a column.
    """
    lower: list[Any] = [None] * (m * (m + 1) // 2)
    inverse: list[Any] = []
    is_singular: Any = None
    for i in range(m):
        scaled = []
        for k in range(i):
            v = matrix[at(i, k)]
            for c in range(k):
                v = v - scaled[c] * lower[at(k, c)]
            scaled.append(v)
            lower[at(i, k)] = v * inverse[k]
        pivot = matrix[at(i, i)]
        for c in range(i):
            pivot = pivot - scaled[c] * lower[at(i, c)]
        is_regular = pivot > floor * matrix[at(i, i)]
        inverse.append(np.where(is_regular, 1.0 / np.where(is_regular, pivot, 1.0), 0.0))
        lost = ~is_regular
        is_singular = lost if is_singular is None else is_singular | lost
    return lower, inverse, is_singular


def forward(lower: Sequence[Any], vector: Sequence[Any]) -> list[Any]:
    """Solve ``L z = vector``."""
    z: list[Any] = []
    for i, v in enumerate(vector):
        for k in range(i):
            v = v - lower[at(i, k)] * z[k]  # noqa: PLW2901 - a sum
        z.append(v)
    return z


def backward(lower: Sequence[Any], vector: Sequence[Any]) -> list[Any]:
    """Solve ``L' z = vector``."""
    z = [*vector]
    for i in reversed(range(len(z))):
        for k in range(i + 1, len(z)):
            z[i] = z[i] - lower[at(k, i)] * z[k]
    return z


def total(values: Sequence[Any]) -> Any:
    """Add up."""
    result = values[0]
    for v in values[1:]:
        result = result + v
    return result


def invert(curvature: Sequence[Any], m: int, floor: float) -> tuple[list[Any], Any]:
    """Invert a matrix, lower triangle to lower triangle, and say whether it is singular."""
    lower, inverse, is_singular = factor(curvature, m, floor)
    result: list[Any] = [None] * (m * (m + 1) // 2)
    columns: list[dict[int, Any]] = []
    for k in range(m):  # columns of inv(L), from the diagonal down
        column: dict[int, Any] = {k: 1.0}
        for i in range(k + 1, m):
            column[i] = -total([lower[at(i, c)] * column[c] for c in range(k, i)])
        columns.append(column)
    for i in range(m):
        for k in range(i + 1):
            result[at(i, k)] = total(
                [columns[i][c] * columns[k][c] * inverse[c] for c in range(i, m)]
            )
    return result, is_singular
