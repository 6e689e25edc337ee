"""Arrays that are assembled of pieces, some of them zero: only what is not zero is computed.

A triangular matrix that a function fills column by column is a sum of pieces, and half of it is
zero. What multiplies it and adds up need not look at the zeros, and of its cotangent only the part
is needed that the pieces are::

    L[k, l+1, p] = v[...]  for each p        y[k, l+1] += v[...]*x[k, p]  for each p
    y[k, l] += L[k, l, p]*x[k, p]       ->

    dL[k, l, p] += dy[k, l]*x[k, p]          dv[...] += dy[k, l+1]*x[k, p]  for each p
    dv[...] += dL[k, l+1, p]  for each p ->

A zero of a piece adds nothing, whatever it is multiplied with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from symdiff.program.affine import Affine, constant, index
from symdiff.program.equations import (
    Equation,
    Index,
    Literal,
    Read,
    Whole,
    substitute,
    substitute_operand,
)
from symdiff.program.patterns import COPY, Pattern
from symdiff.program.program import Program, remove_dead_equations
from symdiff.program.sizes import Extent

__all__ = ["compute_pieces"]

MAX_PIECES = 128
"""An array of more pieces stays an array."""
USEFUL = 0.8
"""Of an array at most this part may be other than zero, or needed, for its pieces to pay."""


def compute_pieces(program: Program) -> Program:
    """Compute what is not zero, and what is needed, of arrays that consist of pieces."""
    if not any(e.extents for e in program.equations):
        return program
    split = _without_zeros(program)
    return _needed_only(program if split is program else remove_dead_equations(split))


# boxes


class _Axis(NamedTuple):
    """Which places of an axis an index takes: all of a loop's, moved by an offset, or one."""

    loop: int | None
    offset: Extent


def _axes(indices: Sequence[Index]) -> tuple[_Axis, ...] | None:
    """Describe an index map that takes a box, each loop along one axis; None if it does not."""
    found: list[_Axis] = []
    for i in indices:
        if not isinstance(i, Affine) or len(i.terms) > 1:
            return None
        if not i.terms:
            found.append(_Axis(None, i.offset))
            continue
        ((loop, factor),) = i.terms
        if factor != 1:
            return None
        found.append(_Axis(loop, i.offset))
    loops = [a.loop for a in found if a.loop is not None]
    return tuple(found) if len(loops) == len(set(loops)) else None


def _known_count(extents: Sequence[Extent]) -> int:
    """Multiply the extents that are numbers."""
    total = 1
    for extent in extents:
        total *= extent if isinstance(extent, int) else 1
    return total


# what is not zero


def _without_zeros(program: Program) -> Program:
    """Let what reads an assembled array linearly read the pieces that are not zero."""
    pieces: dict[str, list[Equation]] = {}
    equations: list[Equation] = []
    counts = {name: len(made) for name, made in program.contributions.items()}
    made: dict[str, list[Equation]] = {}
    for equation in program.equations:
        split = _split(program, equation, pieces) or [equation]
        equations += split
        made.setdefault(equation.array, []).extend(split)
        counts[equation.array] -= 1
        if not counts[equation.array] and _is_assembled(program, made[equation.array]):
            pieces[equation.array] = made[equation.array]
    is_same = len(equations) == len(program.equations)
    if is_same and all(a is b for a, b in zip(equations, program.equations, strict=True)):
        return program
    return program.replace(equations=tuple(equations))


def _is_assembled(program: Program, made: Sequence[Equation]) -> bool:
    """Whether an array is a sum of copies of boxes, with zeros beside them."""
    array = made[0].array
    if array in program.outputs or len(made) > MAX_PIECES:
        return False
    for e in made:
        is_copy = isinstance(e.pattern, Pattern) and e.pattern.is_copy
        if not is_copy or e.operator not in ("=", "+=") or not _has_dtype_of(program, e):
            return False
        axes = _axes(e.target)
        if axes is None or len([a for a in axes if a.loop is not None]) != len(e.extents):
            return False
    return True


def _has_dtype_of(program: Program, copy: Equation) -> bool:
    """Whether a copy's source has the dtype of its array: else it is a conversion too."""
    (operand,) = copy.operands
    dtype = program.types[copy.array].dtype
    if isinstance(operand, Literal):
        return operand.dtype == dtype
    return isinstance(operand, Read) and program.types[operand.array].dtype == dtype


def _is_zero(program: Program, equation: Equation) -> bool:
    """Whether a piece is a copy of zeros."""
    (operand,) = equation.operands
    if isinstance(operand, Read):
        data = program.constants.get(operand.array)
        return data is not None and not np.any(data)
    return isinstance(operand, Literal) and operand.value == 0


def _split(
    program: Program, equation: Equation, pieces: dict[str, list[Equation]]
) -> list[Equation] | None:
    """Write an equation once for each piece of an array that it reads; None if it stays."""
    found = [
        k for k, o in enumerate(equation.operands) if isinstance(o, Read) and o.array in pieces
    ]
    if len(found) != 1 or not isinstance(equation.pattern, Pattern):
        return None
    (k,) = found
    read = equation.operands[k]
    assert isinstance(read, Read)
    if equation.operator not in ("=", "+=") or not equation.pattern.is_multiple_of(k):
        return None
    if [r.array for r in equation.reads].count(read.array) > 1:
        return None
    axes = _axes(read.indices)
    target = _axes(equation.target)
    if axes is None or target is None:
        return None
    if equation.operator == "=" and not equation.pattern.is_copy:
        return None
    if not equation.pattern.is_copy and not _pays(program, pieces[read.array]):
        return None
    if any(piece.operator == "+=" for piece in pieces[read.array]):
        equation = equation._replace(operator="+=")  # some places may be in several pieces
    result: list[Equation] = []
    for piece in pieces[read.array]:
        if _is_zero(program, piece):
            continue
        made = _of_piece(program, equation, k, axes, piece)
        if made is None:
            return None
        result += made
    if not result:  # an array without any equation would be none
        zero = Literal(0, program.types[equation.array].dtype)
        result = [equation._replace(pattern=COPY, operands=(zero,))]
    return result


def _pays(program: Program, pieces: Sequence[Equation]) -> bool:
    """Whether enough of an array is zero."""
    shape = program.types[pieces[0].array].shape
    filled = sum(_known_count(e.extents) for e in pieces if not _is_zero(program, e))
    return filled <= USEFUL * _known_count(shape)


def _of_piece(
    program: Program, equation: Equation, k: int, axes: Sequence[_Axis], piece: Equation
) -> list[Equation] | None:
    """Restrict an equation to where it reads a piece; no equation if it is nowhere."""
    shape = program.types[piece.array].shape
    box = _axes(piece.target)
    assert box is not None
    extents = list(equation.extents)
    moved = [index(n) for n in range(len(extents))]
    inner: list[Affine] = [constant(0)] * len(piece.extents)
    for mine, theirs, extent in zip(axes, box, shape, strict=True):
        width = 1 if theirs.loop is None else piece.extents[theirs.loop]
        if mine.loop is None:
            low, high = mine.offset, mine.offset + 1
        else:
            low, high = mine.offset, mine.offset + extents[mine.loop]
        is_all = theirs.offset == 0 and width == extent
        if not is_all:
            numbers = (low, high, theirs.offset, width)
            if not all(isinstance(n, int) for n in numbers):
                return None
            first = max(low, theirs.offset)  # type: ignore[type-var]
            last = min(high, theirs.offset + width)  # type: ignore[type-var]
            if first >= last:
                return []
            if mine.loop is not None:
                moved[mine.loop] = moved[mine.loop].shifted(first - mine.offset)
                extents[mine.loop] = last - first
        if theirs.loop is not None:
            here = constant(0) if mine.loop is None else moved[mine.loop]
            inner[theirs.loop] = here.shifted(mine.offset - theirs.offset)
    source = piece.operands[0]
    if isinstance(source, Read):
        source = Read(source.array, substitute(source.indices, inner))
    operands = [substitute_operand(o, moved) for o in equation.operands]
    operands[k] = source
    return _without_single_steps(
        equation._replace(
            target=substitute(equation.target, moved),
            operands=tuple(operands),
            extents=tuple(extents),
        )
    )


def _without_single_steps(equation: Equation) -> list[Equation]:
    """Leave out loops of one step, and an equation with a loop of none."""
    if 0 in equation.extents:
        return []
    if 1 not in equation.extents:
        return [equation]
    by: list[Affine] = []
    extents: list[Extent] = []
    for extent in equation.extents:
        by.append(constant(0) if extent == 1 else index(len(extents)))
        extents += [] if extent == 1 else [extent]
    return [
        equation._replace(
            target=substitute(equation.target, by),
            operands=tuple([substitute_operand(o, by) for o in equation.operands]),
            extents=tuple(extents),
        )
    ]


# what is needed


def _needed_only(program: Program) -> Program:
    """Put what is added up for boxes of an array at once to where these go."""
    equations = list(program.equations)
    arrays = [*dict.fromkeys(e.array for e in equations)]
    makers, readers = _users(equations)
    for array in reversed(arrays):
        changed = _through(program, equations, array, makers[array], readers[array])
        if changed is not None:
            equations = changed
            makers, readers = _users(equations)
    if len(equations) == len(program.equations) and all(
        a is b for a, b in zip(equations, program.equations, strict=True)
    ):
        return program
    return program.replace(equations=tuple(equations))


def _users(
    equations: list[Equation],
) -> tuple[defaultdict[str, list[Equation]], defaultdict[str, list[Equation]]]:
    """Find the equations that make, and those that read, each array."""
    makers, readers = defaultdict[str, list[Equation]](list), defaultdict[str, list[Equation]](list)
    for e in equations:
        makers[e.array].append(e)
        for array in {r.array for r in e.reads}:
            readers[array].append(e)
    return makers, readers


def _through(
    program: Program,
    equations: list[Equation],
    array: str,
    made: list[Equation],
    readers: list[Equation],
) -> list[Equation] | None:
    """Leave an array out whose boxes are only copied or added elsewhere; None if it is needed."""
    if array in program.outputs:
        return None
    if (
        not readers
        or len(made) * len(readers) > MAX_PIECES
        or (len(readers) == len(made) == 1 and (readers[0].extents == program.types[array].shape))
    ):
        return None
    shape = program.types[array].shape
    if not shape or not all(_is_summand(e, shape) for e in made):
        return None
    if not all(_is_box_copy(e, array) and _has_dtype_of(program, e) for e in readers):
        return None
    is_copied = all(e.pattern.is_copy for e in made if isinstance(e.pattern, Pattern))
    needed = sum(_known_count(e.extents) for e in readers)
    if needed > (1.0 if is_copied else USEFUL) * _known_count(shape):
        return None
    into = {e.array for e in readers}
    result: list[Equation] = []
    for e in equations:
        if e.array == array:
            continue
        if any(e is r for r in readers):
            result += [p for m in made for p in _without_single_steps(_put_through(m, e))]
        elif e.array in into:
            result.append(e._replace(operator="+="))  # like the others, from zero
        else:
            result.append(e)
    return result if into <= {e.array for e in result} else None


def _source(equation: Equation) -> tuple[Index, ...]:
    (read,) = equation.operands
    assert isinstance(read, Read)
    return read.indices


def _is_box_copy(equation: Equation, array: str) -> bool:
    """Whether an equation copies or adds a box of an array, each element once."""
    if not isinstance(equation.pattern, Pattern) or not equation.pattern.is_copy:
        return False
    if equation.operator not in ("=", "+="):
        return False
    (read,) = equation.operands
    if not isinstance(read, Read) or read.array != array:
        return False
    axes = _axes(read.indices)
    target = all(isinstance(i, Affine) for i in equation.target)
    used = {a.loop for a in axes or () if a.loop is not None}
    return axes is not None and target and used == {*range(len(equation.extents))}


def _is_summand(equation: Equation, shape: tuple[Extent, ...]) -> bool:
    """Whether an equation adds to all elements of an array, axis by axis."""
    if not isinstance(equation.pattern, Pattern) or equation.operator not in ("=", "+="):
        return False
    if any(isinstance(i, Whole) for i in equation.target):
        return False
    axes = _axes(equation.target)
    return axes is not None and all(
        a.loop is not None and a.offset == 0 and equation.extents[a.loop] == extent
        for a, extent in zip(axes, shape, strict=True)
    )


def _put_through(made: Equation, reader: Equation) -> Equation:
    """Contribute what an equation makes of a box to where a reader puts it."""
    rank = len(reader.extents)
    by = [constant(0)] * len(made.extents)
    for axis, i in zip(made.target, _source(reader), strict=True):
        assert isinstance(axis, Affine)
        assert isinstance(i, Affine)
        ((loop, _),) = axis.terms
        by[loop] = i
    kept = {axis.terms[0][0] for axis in made.target if isinstance(axis, Affine)}
    extents = list(reader.extents)
    for loop, extent in enumerate(made.extents):
        if loop not in kept:
            by[loop] = index(rank + len(extents) - rank)
            extents.append(extent)
    return made._replace(
        array=reader.array,
        target=reader.target,
        operator="+=",
        operands=tuple([substitute_operand(o, by) for o in made.operands]),
        extents=tuple(extents),
    )
