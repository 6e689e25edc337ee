"""Values of traced arrays that depend on sizes alone, such as ``np.arange(x.shape[0]) + 1``.

Where such an array meets plain NumPy (an index into a plain array), its sizes are taken for the
numbers that they are, and it is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.program.affine import Affine
from symdiff.program.equations import Equation, Index, IndexValue, Literal, Read
from symdiff.program.patterns import Pattern
from symdiff.tracing.context import Context
from symdiff.tracing.traced_array import TracedArray

__all__ = ["static_value"]

_STEPS: dict[str, Callable[..., Any]] = {
    "copy": lambda x: x,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "select": np.where,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def static_value(x: TracedArray) -> np.ndarray | None:
    """Compute an array that depends on sizes alone; None for any other."""
    values: dict[str, np.ndarray] = {}
    context = x.context
    if x.buffer.pending or not _compute(context, x.array, values):
        return None
    shape = tuple([context.pin(e) for e in x.shape_])
    loops = list(np.indices(shape, sparse=True))
    places = tuple([_place(context, i, loops, values) for i in x.indices])
    return np.array(np.broadcast_to(values[x.array][places], shape), x.dtype)


def _compute(context: Context, array: str, values: dict[str, np.ndarray]) -> bool:
    """Compute an array and what it reads; whether that can be done."""
    if array in values:
        return True
    if array in context.constants:
        values[array] = context.constants[array]
        return True
    made = [e for e in context.equations if e.array == array]
    if not made or not all(_is_known(context, e, values) for e in made):
        return False
    shape, dtype = context.types[array]
    result = np.zeros([context.pin(e) for e in shape], dtype)
    for equation in made:
        loops = list(np.indices([context.pin(e) for e in equation.extents], sparse=True))
        target = tuple([_place(context, i, loops, values) for i in equation.target])
        result[target] = _value(context, equation, loops, values)
    values[array] = result
    return True


def _is_known(context: Context, equation: Equation, values: dict[str, np.ndarray]) -> bool:
    body = equation.pattern
    return (
        equation.operator == "="
        and isinstance(body, Pattern)
        and all(step.name in _STEPS or step.name == "literal" for step in body.steps)
        and all(_compute(context, r.array, values) for r in equation.reads)
    )


def _value(
    context: Context, equation: Equation, loops: list[Any], values: dict[str, np.ndarray]
) -> Any:
    body = equation.pattern
    assert isinstance(body, Pattern)
    known: list[Any] = []
    for o in equation.operands:
        if isinstance(o, Literal):
            known.append(o.value)
        elif isinstance(o, IndexValue):
            known.append(_place(context, o.value, loops, values))
        else:
            places = tuple([_place(context, i, loops, values) for i in o.indices])
            known.append(values[o.array][places])
    for step in body.steps:
        arguments = [known[a] for a in step.arguments]
        known.append(step.literal if step.name == "literal" else _STEPS[step.name](*arguments))
    return known[-1]


def _place(context: Context, i: Index, loops: list[Any], values: dict[str, np.ndarray]) -> Any:
    if isinstance(i, Read):
        return values[i.array][tuple([_place(context, j, loops, values) for j in i.indices])]
    assert isinstance(i, Affine)
    total: Any = context.pin(i.offset)
    for k, c in i.terms:
        total = total + context.pin(c) * loops[k]
    return total
