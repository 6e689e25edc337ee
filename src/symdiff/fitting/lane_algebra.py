"""Linear algebra of small symmetric matrices over lanes, written out while it is traced.

A matrix is the list of its lower triangle, row by row; each element is an array over lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["at", "backward", "factor", "forward", "invert", "total"]


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
