"""Putting temporaries back into the equation that reads them, for people who read a Program.

Each traced operation is an equation of its own; ``x*exp(-x)`` is three. Where a value is read
once, and nothing it depends on changes in between, the reader can show it in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import sympy as sp

from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, IndexValue, Literal, Operand, Read, substitute
from symdiff.program.nested import nested_of
from symdiff.program.patterns import Pattern, placeholder

if TYPE_CHECKING:
    from symdiff.program.program import Program

__all__ = ["Inlined", "Line", "Term", "put_back"]

Term: TypeAlias = "Operand | Inlined"


class Inlined(NamedTuple):
    """The value of a temporary where it is read."""

    pattern: Pattern | Block
    operands: tuple[Term, ...]


class Line(NamedTuple):
    """An equation with temporaries put back into its operands."""

    equation: Equation
    operands: tuple[Term, ...]

    @property
    def reads(self) -> list[Read]:
        """Every read that is left, those inside indices included."""
        leaves = tuple(_leaves(self.operands))
        return self.equation._replace(operands=leaves).reads


def _leaves(terms: Sequence[Term]) -> Iterator[Operand]:
    for term in terms:
        if isinstance(term, Inlined):
            yield from _leaves(term.operands)
        else:
            yield term


class _Candidate(NamedTuple):
    position: int
    line: Line
    width: int


def put_back(program: Program, limit: int = 120) -> list[Line]:
    """Put temporaries back into their readers while lines stay short.

    Parameters
    ----------
    limit : int
        About how many characters a line may grow to.
    """
    once = _read_once(program)
    last_write = {e.array: position for position, e in enumerate(program.equations)}
    candidates: dict[str, _Candidate] = {}
    lines: list[Line | None] = []
    for position, equation in enumerate(program.equations):
        operands, width = _inline(equation, candidates, lines, limit)
        line = Line(equation, operands)
        lines.append(line)
        if equation.array in once and _can_move(program, equation, position, last_write):
            candidates[equation.array] = _Candidate(position, line, width)
    return [line for line in lines if line is not None]


def _read_once(program: Program) -> set[str]:
    """Find the arrays that are one whole equation and one occurrence in one pattern."""
    reads: Counter[str] = Counter()
    for equation in program.equations:
        for read in equation.reads:
            reads[read.array] += 1
        for operand, times in zip(equation.operands, _occurrences(equation.pattern), strict=True):
            if isinstance(operand, Read):
                reads[operand.array] += times - 1
    writes = Counter(e.array for e in program.equations)
    kept = {*program.inputs, *program.outputs}
    return {
        e.array
        for e in program.equations
        if e.operator == "="
        and e.is_whole
        and reads[e.array] == writes[e.array] == 1
        and e.array not in kept
    }


def _can_move(
    program: Program, equation: Equation, position: int, last_write: dict[str, int]
) -> bool:
    """Whether the value is the same wherever it is computed later."""
    if nested_of(equation.pattern) is not None:  # which has lines of its own
        return False
    settled = all(last_write.get(r.array, -1) < position for r in equation.reads)
    return settled and not _is_lossy_cast(program, equation)


def _is_lossy_cast(program: Program, equation: Equation) -> bool:
    if not equation.pattern.is_copy:
        return False
    (operand,) = equation.operands
    source = program.types[operand.array].dtype if isinstance(operand, Read) else "int64"
    if isinstance(operand, Literal):
        source = operand.dtype
    return not np.can_cast(source, program.types[equation.array].dtype)


def _inline(
    equation: Equation,
    candidates: dict[str, _Candidate],
    lines: list[Line | None],
    limit: int,
) -> tuple[tuple[Term, ...], int]:
    total = _pattern_width(equation.pattern) + sum(map(_width, equation.operands))
    operands: list[Term] = list(equation.operands)
    for number, operand in enumerate(equation.operands):
        if not isinstance(operand, Read) or operand.array not in candidates:
            continue
        by = [i for i in operand.indices if isinstance(i, Affine)]
        position, line, width = candidates[operand.array]
        grown = total - _width(operand) + width
        if len(by) == len(operand.indices) and grown <= limit:
            operands[number] = _compose(Inlined(line.equation.pattern, line.operands), by)
            lines[position] = None
            total = grown
    return tuple(operands), total


def _compose(term: Term, by: Sequence[Affine]) -> Term:
    """Put index expressions in for the loop indices."""
    if isinstance(term, Inlined):
        return Inlined(term.pattern, tuple(_compose(o, by) for o in term.operands))
    if isinstance(term, Read):
        return Read(term.array, substitute(term.indices, by))
    if isinstance(term, IndexValue):
        return IndexValue(term.value.substitute(by))
    return term


def _width(operand: Operand) -> int:
    if isinstance(operand, Read):
        return len(operand.array) + 3 * len(operand.indices)
    return 4


@cache
def _pattern_width(pattern: Pattern | Block) -> int:
    if isinstance(pattern, Block):
        return len(pattern.label)
    return len(str(pattern.expression)) - 2 * sum(_occurrences(pattern))


@cache
def _occurrences(pattern: Pattern | Block) -> tuple[int, ...]:
    if isinstance(pattern, Block):
        return (1,) * pattern.arity
    counts = Counter(sp.preorder_traversal(pattern.expression))
    return tuple(counts[placeholder(i)] for i in range(pattern.arity))
