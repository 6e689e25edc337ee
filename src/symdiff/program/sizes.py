"""Sizes of axes: whole numbers, or polynomials in the sizes that are known only at the call.

An extent is an ``int`` wherever it can be one and a `Size` otherwise; arithmetic moves between
the two by itself, so that the rest of the library never asks which it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TypeAlias

Extent: TypeAlias = "int | Size"
Monomial: TypeAlias = tuple[str, ...]

__all__ = ["Extent", "Size", "evaluate", "product", "put_sizes", "symbol", "symbols"]


class Size:
    """A polynomial with integer coefficients in size symbols, never a constant.

    Examples
    --------
    >>> n = symbol("n")
    >>> 2 * n + 1
    2*n + 1
    >>> (n + 1) - n
    1
    """

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)

    @property
    def name(self) -> str | None:
        """The symbol that this is, None for anything composed."""
        (monomial, coefficient), *more = self.terms
        return monomial[0] if coefficient == 1 and len(monomial) == 1 and not more else None

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __add__(self, other: Extent) -> Extent:
        return _from_terms([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __neg__(self) -> Extent:
        return _from_terms([(m, -c) for m, c in self.terms])

    def __sub__(self, other: Extent) -> Extent:
        return self + -other

    def __rsub__(self, other: Extent) -> Extent:
        return -self + other

    def __mul__(self, other: Extent) -> Extent:
        return _from_terms(
            [(tuple(sorted(m + k)), c * d) for m, c in self.terms for k, d in _terms(other)]
        )

    __rmul__ = __mul__

    def __repr__(self) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            factors = list(monomial)
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {'*'.join(factors)}"
        return text[3:] if text.startswith(" + ") else "-" + text[3:]


def symbol(name: str) -> Size:
    """Make the size that is called `name`."""
    return Size((((name,), 1),))


def symbols(extents: Iterable[Extent]) -> set[str]:
    """Give the names of the size symbols in extents.

    Examples
    --------
    >>> symbols([2, symbol("n") + 1])
    {'n'}
    """
    return {s for e in extents if isinstance(e, Size) for monomial, _ in e.terms for s in monomial}


def _terms(extent: Extent) -> tuple[tuple[Monomial, int], ...]:
    return extent.terms if isinstance(extent, Size) else (((), int(extent)),)


def _from_terms(terms: list[tuple[Monomial, int]]) -> Extent:
    total: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        total[monomial] = total.get(monomial, 0) + coefficient
    kept = tuple((m, c) for m, c in sorted(total.items(), key=_order) if c)
    if not kept:
        return 0
    if kept[0][0] == ():
        return kept[0][1]
    return Size(kept)


def _order(term: tuple[Monomial, int]) -> tuple[int, Monomial]:
    return (-len(term[0]), term[0])


def product(extents: Iterable[Extent]) -> Extent:
    """Multiply extents: the number of elements of a shape.

    Examples
    --------
    >>> product([2, symbol("n"), 3])
    6*n
    """
    total: Extent = 1
    for extent in extents:
        total = total * extent
    return total


def evaluate(extent: Extent, values: Mapping[str, int]) -> int:
    """Put numbers in for the symbols.

    Examples
    --------
    >>> evaluate(3 * symbol("n") - 1, {"n": 5})
    14
    """
    if isinstance(extent, int):
        return extent
    return sum(c * prod(values[s] for s in m) for m, c in extent.terms)


def put_sizes(extent: Extent, values: Mapping[str, Extent]) -> Extent:
    """Put extents in for some of the symbols.

    Examples
    --------
    >>> put_sizes(2 * symbol("n"), {"n": symbol("m") + 1})
    2*m + 2
    """
    if isinstance(extent, int):
        return extent
    total: Extent = 0
    for monomial, coefficient in extent.terms:
        term: Extent = coefficient
        for name in monomial:
            term = term * values.get(name, symbol(name))
        total = total + term
    return total
