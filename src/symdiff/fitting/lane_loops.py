"""Linear algebra of larger symmetric matrices over lanes, in loops that stay loops.

What `lane_algebra` writes out grows with the cube of the rows; here it is an equation a column. The
factors are the same, ``L D L'``; a matrix is an array of shape (rows, rows, lanes), and what is
carried from step to step the rows of its lower triangle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.tracing.structured import fori_loop

__all__ = ["InLoops"]


class Factors(NamedTuple):
    """``L D`` in its lower triangle, and the reciprocals of D, 0 where a column is dependent."""

    scaled: Any
    inverse: Any


class InLoops:
    """What `lane_algebra.WrittenOut` does, for as many parameters as there may be."""

    def __init__(self, m: int) -> None:
        self.m = m
        rows, columns = np.tril_indices(m)
        self._rows, self._columns = rows, columns
        self._is_diagonal = (rows == columns)[:, None]
        place = np.zeros((m, m), np.int64)
        place[rows, columns] = np.arange(rows.size)
        self._place = np.maximum(place, place.T)

    def take(self, rows: Any) -> Any:
        """Take a triangle from the rows of a state."""
        return rows

    def give(self, triangle: Any) -> Any:
        """Give the rows of a triangle."""
        return triangle

    def choose(self, which: Any, new: Any, old: Any) -> Any:
        """Take the new triangle where `which` is true."""
        return np.where(which, new, old)

    def products(self, scaled: Sequence[Any], columns: Sequence[Any]) -> Any:
        """Sums over points of the products of columns."""
        stacked = np.stack(columns)
        rows = [np.sum(s * stacked[: k + 1], axis=1) for k, s in enumerate(scaled)]
        return np.concatenate(rows)

    def hold(self, triangle: Any, is_free: Sequence[Any]) -> Any:
        """Put rows of the unit matrix where a parameter is not free."""
        free = np.stack(is_free)
        is_kept = free[self._rows] & free[self._columns]
        return np.where(is_kept, triangle, np.where(self._is_diagonal, 1.0, 0.0))

    def solve(self, triangle: Any, additions: Sequence[Any], vector: Sequence[Any]) -> list[Any]:
        """Solve with something added to the diagonal, for the vector's negative."""
        spread = np.stack(additions)[self._rows]
        factors, _ = self._factor(triangle + np.where(self._is_diagonal, spread, 0.0), 0.0)
        found = _backward(factors, -_forward(factors, np.stack(vector)[:, None]))
        return [found[k, 0] for k in range(self.m)]

    def square_length(self, triangle: Any, vector: Sequence[Any], floor: float) -> Any:
        """Give ``v' A^-1 v``."""
        factors, _ = self._factor(triangle, floor)
        z = _forward(factors, np.stack(vector)[:, None])[:, 0]
        pivots = np.stack([factors.scaled[k, k] for k in range(self.m)])
        return np.sum(z * z * pivots, axis=0)

    def image(self, triangle: Any, vector: Sequence[Any]) -> list[Any]:
        """Multiply with a vector."""
        product = np.sum(triangle[self._place] * np.stack(vector), axis=1)
        return [product[k] for k in range(self.m)]

    def invert(self, triangle: Any, floor: float) -> tuple[Any, Any]:
        """Invert, and say whether it is singular."""
        factors, is_singular = self._factor(triangle, floor)
        unit = np.eye(self.m)[:, :, None] * np.ones_like(triangle[0])
        inverse = _backward(factors, _forward(factors, unit))
        return inverse[self._rows, self._columns], is_singular

    def _factor(self, triangle: Any, floor: float) -> tuple[Factors, Any]:
        matrix = triangle[self._place]
        order = np.arange(self.m)[:, None]

        def column(k: Any, made: tuple[Any, Any]) -> tuple[Any, Any]:
            scaled, inverse = made
            v = matrix[k] - np.sum(scaled * (scaled[k] * inverse), axis=1)
            pivot, size = v[k], matrix[k, k]
            is_regular = pivot > floor * size
            scaled[:, k] = np.where(order >= k, v, 0.0)
            inverse[k] = np.where(is_regular, 1.0 / np.where(is_regular, pivot, 1.0), 0.0)
            return scaled, inverse

        start = np.zeros_like(matrix), np.zeros_like(matrix[0])
        factors = Factors(*fori_loop(0, self.m, column, start))
        return factors, np.any(factors.inverse == 0, axis=0)


def _forward(factors: Factors, vectors: Any) -> Any:
    """Solve ``L D z = vectors``; vectors are (rows, count, lanes)."""
    scaled, inverse = factors

    def row(k: Any, z: Any) -> Any:
        z[k] = inverse[k] * (vectors[k] - np.sum(scaled[k][:, None] * z, axis=0))
        return z

    return fori_loop(0, vectors.shape[0], row, np.zeros_like(vectors))


def _backward(factors: Factors, vectors: Any) -> Any:
    """Solve ``L' x = vectors``."""
    scaled, inverse = factors
    last = vectors.shape[0] - 1

    def row(n: Any, x: Any) -> Any:
        k = last - n
        below = np.sum(scaled[:, k][:, None] * x, axis=0)
        x[k] = vectors[k] - inverse[k] * below
        return x

    return fori_loop(0, last + 1, row, np.zeros_like(vectors))
