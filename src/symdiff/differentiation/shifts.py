"""Shifts that change nothing: the maximum that is subtracted before `exp`.

``m + log(sum(exp(x - m)))`` is the same for every `m`, so the maximum that stands there carries no
derivative, and no program need share it among ties. A shift is followed through a Program: an
array may change with it by a number of times the shift, or be multiplied by the exponential of
that, or not change. Where the outputs do not, its derivative is zero, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Index, Read
from symdiff.program.patterns import placeholder
from symdiff.program.program import Program

__all__ = ["shifts_without_effect"]


class _Change(NamedTuple):
    """How an array changes with a shift ``c``.

    ``v + rate * c[place]``, or ``v * exp(rate * c[place])`` with `is_factor`; the place is given by
    axes of the array (integers), or constants (`Affine`).
    """

    rate: Any
    is_factor: bool = False
    place: tuple[Any, ...] = ()


_NONE = _Change(sp.S.Zero)


class _Unknown(Exception):  # noqa: N818 - it is no error
    """An array changes in another way."""


def shifts_without_effect(program: Program) -> set[str]:
    """The maxima and minima on which the outputs of a Program do not depend.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> def f(x):
    ...     m = np.max(x)
    ...     return m + np.log(np.sum(np.exp(x - m)))
    >>> shifts_without_effect(sd.trace(f, np.ones(3)))
    {'m'}
    """
    found: set[str] = set()
    if not any(e.operator in ("max=", "min=") for e in program.equations):
        return found
    for array, made in program.contributions.items():
        is_extremum = len(made) == 1 and made[0].operator in ("max=", "min=")
        if is_extremum and program.types[array].dtype.startswith("float"):
            try:
                if not _has_effect(program, array):
                    found.add(array)
            except _Unknown:
                continue
    return found


def _has_effect(program: Program, shift: str) -> bool:
    """Whether an output changes with a shift."""
    rank = len(program.types[shift].shape)
    changes = {shift: _Change(sp.S.One, place=tuple(range(rank)))}
    begun = False
    for equation in program.equations:
        begun = begun or equation.array == shift
        if equation.array == shift or not begun:
            continue
        if any(r.array in changes for r in equation.reads):
            _follow(program, equation, changes)
    return any(o in changes and changes[o].rate != 0 for o in program.outputs)


def _follow(program: Program, equation: Equation, changes: dict[str, _Change]) -> None:
    """Note how the array of an equation changes."""
    if isinstance(equation.pattern, Block):
        raise _Unknown
    given: dict[Any, _Change] = {}
    places: set[tuple[Index, ...]] = set()
    for k, operand in enumerate(equation.operands):
        change = changes.get(operand.array, _NONE) if isinstance(operand, Read) else _NONE
        if isinstance(operand, Read) and any(
            isinstance(i, Read) and i.array in changes for i in operand.indices
        ):
            raise _Unknown
        given[placeholder(k)] = change
        if change.rate != 0 and isinstance(operand, Read):
            places.add(
                tuple([operand.indices[p] if isinstance(p, int) else p for p in change.place])
            )
    if len(places) > 1:  # shifts of different elements do not cancel
        raise _Unknown
    made = _value(equation.pattern.expression, given)
    if made.rate == 0:
        if len(program.contributions[equation.array]) > 1 and equation.array in changes:
            _join(program, equation, changes, made)
        return
    (place,) = places
    target = [_target_axis(i, equation.target) for i in place]
    if not _keeps_kind(program, equation, is_factor=made.is_factor):
        raise _Unknown
    _join(program, equation, changes, made._replace(place=tuple(target)))


def _keeps_kind(program: Program, equation: Equation, *, is_factor: bool) -> bool:
    """Whether an array changes as what contributes to it: all of its elements, by as much.

    Elements to which nothing contributes are zero, which a factor leaves as it is.
    """
    if equation.operator in ("max=", "min="):
        return not is_factor and _covers(program, equation)
    if equation.operator not in ("=", "+="):
        return False
    shown = {i.single for i in equation.target if isinstance(i, Affine)}
    is_sum = equation.operator == "+=" and not shown.issuperset(range(len(equation.extents)))
    return is_factor or (not is_sum and _covers(program, equation))


def _covers(program: Program, equation: Equation) -> bool:
    """Whether an equation contributes to each element of its array."""
    shape = program.types[equation.array].shape
    seen: set[int] = set()
    for i, extent in zip(equation.target, shape, strict=True):
        if not isinstance(i, Affine):
            return False
        if i.single is None:
            if extent != 1:
                return False
        elif i.single in seen or equation.extents[i.single] != extent:
            return False
        else:
            seen.add(i.single)
    return True


def _join(program: Program, equation: Equation, changes: dict[str, _Change], made: _Change) -> None:
    """Add what an equation contributes; several have to change alike."""
    if len(program.contributions[equation.array]) > 1:
        raise _Unknown
    changes[equation.array] = made


def _target_axis(index: Index, target: Sequence[Index]) -> Any:
    """Where an index of the shift stands in the array that is written."""
    if isinstance(index, Affine) and not index.terms:
        return index
    if index not in target:
        raise _Unknown
    return list(target).index(index)


def _value(e: Any, given: dict[Any, _Change]) -> _Change:
    """How an expression changes; the places are compared by the caller."""
    if e in given:
        return given[e]._replace(place=())
    if not e.args:
        return _NONE
    parts = [_value(a, given) for a in e.args]
    if all(p.rate == 0 for p in parts):
        return _NONE
    if isinstance(e, sp.Add):
        return _of_sum(parts)
    if isinstance(e, sp.Mul):
        return _of_product(e.args, parts)
    if isinstance(e, sp.Pow) and e.args[1].is_number and parts[0].is_factor:
        return parts[0]._replace(rate=parts[0].rate * e.args[1])
    if isinstance(e, sp.exp) and not parts[0].is_factor:
        return _Change(parts[0].rate, is_factor=True)
    if isinstance(e, sp.log) and parts[0].is_factor:
        return _Change(parts[0].rate)
    if isinstance(e, sp.core.relational.Relational) and parts[0] == parts[1]:
        return _NONE
    if isinstance(e, fn.Select) and parts[0].rate == 0 and parts[1] == parts[2]:
        return parts[1]
    raise _Unknown


def _of_sum(parts: Sequence[_Change]) -> _Change:
    if any(p.is_factor and p.rate != 0 for p in parts):
        if all(p == parts[0] for p in parts):
            return parts[0]
        raise _Unknown
    return _Change(sum((p.rate for p in parts), sp.S.Zero))


def _of_product(factors: Sequence[Any], parts: Sequence[_Change]) -> _Change:
    moved = [p for p in parts if p.rate != 0]
    if all(p.is_factor for p in moved):
        return _Change(sum((p.rate for p in moved), sp.S.Zero), is_factor=True)
    others = [f for f, p in zip(factors, parts, strict=True) if p.rate == 0]
    if len(moved) > 1 or not all(f.is_number for f in others):
        raise _Unknown
    return _Change(moved[0].rate * sp.prod(others))
