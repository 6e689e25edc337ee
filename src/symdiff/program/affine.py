"""Affine index expressions, of which every view of an array is a tuple."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symdiff.program.sizes import Extent

__all__ = ["Affine", "constant", "identity", "index"]


class Affine(NamedTuple):
    """``sum(coefficient * index) + offset`` over the loop indices of an equation.

    Examples
    --------
    >>> from symdiff.program.affine import index
    >>> (index(0).scaled(2).shifted(1)).substitute([index(3)])
    Affine(terms=((3, 2),), offset=1)
    """

    terms: tuple[tuple[int, Extent], ...]
    offset: Extent = 0

    def scaled(self, factor: Extent) -> Affine:
        """Multiply by a number."""
        if factor == 1:
            return self
        if factor == 0:
            return Affine(())
        return Affine(tuple((i, c * factor) for i, c in self.terms), self.offset * factor)

    def shifted(self, offset: Extent) -> Affine:
        """Add a number."""
        return Affine(self.terms, self.offset + offset)

    def plus(self, other: Affine) -> Affine:
        """Add another index expression."""
        total: dict[int, Extent] = dict(self.terms)
        for i, c in other.terms:
            total[i] = total.get(i, 0) + c
        terms = tuple((i, total[i]) for i in sorted(total) if total[i] != 0)
        return Affine(terms, self.offset + other.offset)

    def substitute(self, replacements: Sequence[Affine]) -> Affine:
        """Put ``replacements[i]`` in for index ``i``."""
        result = Affine((), self.offset)
        for i, c in self.terms:
            result = result.plus(replacements[i].scaled(c))
        return result

    @property
    def single(self) -> int | None:
        """The index this is, when it is one index and nothing else."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and self.offset == 0:
            return self.terms[0][0]
        return None


_INDICES = tuple(Affine(((i, 1),)) for i in range(64))


def index(number: int) -> Affine:
    """Make the expression that is loop index `number`."""
    return _INDICES[number]


def constant(value: Extent) -> Affine:
    """Make the expression that does not depend on any index."""
    return Affine((), value)


def identity(rank: int) -> tuple[Affine, ...]:
    """Make the index map of a whole array."""
    return _INDICES[:rank]
