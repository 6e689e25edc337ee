"""Tracers of whatever stands beside one, and the equations that work element by element."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from symdiff.errors import DTypeError, ShapeError, TracingError, at_user_line
from symdiff.program.affine import constant, identity, index
from symdiff.program.equations import IndexValue, Literal, Operand, Read, substitute
from symdiff.program.patterns import COPY, Pattern
from symdiff.program.sizes import Extent
from symdiff.tracing.adjacent import merged
from symdiff.tracing.context import Context, active_context, check_dtype
from symdiff.tracing.operations import NATURAL
from symdiff.tracing.traced_array import TracedArray
from symdiff.tracing.traced_size import TracedSize

__all__ = [
    "Lifted",
    "TracedArray",
    "TracedSize",
    "as_number",
    "as_traced",
    "astype",
    "elementwise",
    "lift",
    "stack_nested",
]

Lifted: TypeAlias = "TracedArray | Literal | IndexValue"
"""An operand before its loop indices are known."""


def lift(context: Context, x: Any) -> Lifted:
    """Make an operand of whatever stands beside a tracer."""
    if isinstance(x, TracedArray):
        if x.context is context:
            return x
        return TracedArray(
            context, context.capture(x), _shape_in(context, x), x.dtype_, is_weak=x.is_weak
        )
    if isinstance(x, TracedSize):
        return IndexValue(constant(x.size))
    if isinstance(x, bool):
        return Literal(x, "bool")
    if isinstance(x, float) and not isinstance(x, np.floating):
        return Literal(x, "weak_float")
    if isinstance(x, int):
        return Literal(x, "weak_int")
    if isinstance(x, np.generic):
        return Literal(x.item(), check_dtype(x.dtype))
    if isinstance(x, (list, tuple)):
        x = stack_nested(context, x)
        if isinstance(x, TracedArray):
            return x
    if isinstance(x, np.ndarray):
        now = getattr(x, "__symdiff__", None)  # of a local array that has become traced
        return _lift_array(context, x) if now is None else lift(context, now)
    if hasattr(x, "full_mask"):
        raise ShapeError(
            at_user_line(
                "elements selected by a mask have a number that is known only at the call. Reduce "
                "them (np.sum, np.mean, ...), assign them through the same mask, or use np.where"
            )
        )
    raise DTypeError(
        at_user_line(
            f"a {type(x).__name__} cannot be used with traced arrays; allowed are numbers and "
            "NumPy arrays of numbers"
        )
    )


def _shape_in(context: Context, outer: TracedArray) -> tuple[Extent, ...]:
    return context.types[context.capture(outer)].shape


def _lift_array(context: Context, x: np.ndarray) -> TracedArray | Literal:
    if x.dtype == object:
        return _stack_objects(context, x)
    if x.ndim == 0:
        return Literal(x.item(), check_dtype(x.dtype))
    return TracedArray(context, context.add_constant(x), x.shape, check_dtype(x.dtype))


def stack_nested(context: Context, x: Any, dtype: Any = None) -> Any:
    """Make an array of nested lists, a traced one if there is something traced in it."""
    if not isinstance(x, (list, tuple)):
        return x
    parts = [stack_nested(context, v) for v in x]
    if not any(_is_traced(v) for v in parts):
        return np.array(x, dtype)
    arrays = [as_traced(v, context) for v in parts]
    first = arrays[0]
    if not all(_has_shape(context, a, first.shape_) for a in arrays):
        shown = ", ".join(context.show_shape(a.shape_) for a in arrays)
        raise ShapeError(at_user_line(f"np.array of parts of different shapes: {shown}"))
    wanted = check_dtype(dtype or np.result_type(*[a.example for a in arrays]))
    shape = (len(arrays), *first.shape_)
    name = context.new_array(shape, wanted)
    behind = [index(n + 1) for n in range(first.ndim)]
    rows = [
        TracedArray(context, a.array, (1, *first.shape_), a.dtype_, substitute(a.indices, behind))
        for a in arrays
    ]
    position = 0
    for part in merged(rows, 0):
        count = part.shape_[0]
        assert isinstance(count, int)
        target, shape_of_part = (index(0).shifted(position), *behind), part.shape_
        if count == 1:
            part = arrays[position]  # noqa: PLW2901 - without an axis of length one
            target, shape_of_part = (constant(position), *identity(first.ndim)), first.shape_
        read = context.read(part, shape_of_part)
        context.emit(COPY, [read], shape_of_part, "", target=target, array=name)
        position += count
    return TracedArray(context, name, shape, wanted, owns=True)


def _has_shape(context: Context, x: TracedArray, shape: tuple[Extent, ...]) -> bool:
    return x.ndim == len(shape) and all(
        context.decide(a - b, "==") for a, b in zip(x.shape_, shape, strict=True)
    )


def _is_traced(x: Any) -> bool:
    if isinstance(x, (TracedArray, TracedSize)) or getattr(x, "__symdiff__", None) is not None:
        return True
    return isinstance(x, np.ndarray) and x.dtype == object


def _stack_objects(context: Context, x: np.ndarray) -> TracedArray:
    """Make one traced array of an object array such as ``np.array([a, b * c])``."""
    elements = [as_traced(e, context) for e in x.ravel()]
    if any(e.shape_ for e in elements):
        raise ShapeError(at_user_line("np.array of traced arrays of rank > 0: use np.stack"))
    if not elements:
        raise DTypeError(at_user_line("an empty object array cannot be traced"))
    dtype = np.result_type(*[e.example for e in elements]).name
    name = context.new_array(x.shape, dtype)
    for position, element in zip(np.ndindex(x.shape), elements, strict=True):
        context.emit(
            COPY,
            [context.read(element, ())],
            (),
            dtype,
            target=tuple(constant(i) for i in position),
            array=name,
        )
    return TracedArray(context, name, x.shape, dtype, owns=True)


def as_traced(x: Any, context: Context | None = None) -> TracedArray:
    """Make a tracer of anything that can stand beside one.

    Raises
    ------
    TracingError
        There is no trace going on.
    """
    context = active_context() or context
    if context is None:
        raise TracingError("as_traced outside of a trace")
    operand = lift(context, x)
    if isinstance(operand, TracedArray):
        return operand
    dtype = "int64"
    if isinstance(operand, Literal):
        dtype = {"weak_float": "float64", "weak_int": "int64"}.get(operand.dtype, operand.dtype)
        operand = Literal(operand.value, dtype)
    is_weak = dtype == "float64" and not isinstance(x, np.generic)
    return TracedArray(
        context, context.emit(COPY, [operand], (), dtype), (), dtype, is_weak=is_weak
    )


def as_number(x: Any) -> Any:
    """Let a traced number count as Python's float, which takes the precision of what it meets."""
    if not isinstance(x, TracedArray):
        return x
    number = astype(x, "float64")
    return TracedArray(number.context, number.array, (), "float64", number.indices, is_weak=True)


def elementwise(
    context: Context, pattern: Pattern, operands: Sequence[Lifted], dtype: str
) -> TracedArray:
    """Append one elementwise equation over the broadcast shape of its operands."""
    shapes = [x.shape_ for x in operands if isinstance(x, TracedArray)]
    shape: tuple[Extent, ...] = ()
    if any(shapes):
        shape = shapes[0] if len(shapes) == 1 else context.broadcast(shapes)
    reads: list[Operand] = []
    is_weak = dtype == "float64"
    for x in operands:
        if isinstance(x, TracedArray):
            reads.append(context.read(x, shape))
            is_weak = is_weak and x.is_weak
        elif isinstance(x, Literal) and x.dtype.startswith("weak"):
            reads.append(Literal(x.value, _strong_dtype(operands, x, dtype)))
        else:
            reads.append(x)
            is_weak = is_weak and not isinstance(x, Literal)
    name = context.emit(pattern, reads, shape, dtype)
    if context.natural and pattern in NATURAL and all(_is_natural(context, o) for o in reads):
        context.natural.add(name)
    return TracedArray(context, name, shape, dtype, is_weak=is_weak, owns=True)


def _is_natural(context: Context, operand: Operand) -> bool:
    """Whether an integer is known not to be negative."""
    if isinstance(operand, Read):
        return operand.array in context.natural
    return isinstance(operand, Literal) and isinstance(operand.value, int) and operand.value >= 0


def astype(x: Any, dtype: Any) -> TracedArray:
    """Convert to a dtype."""
    traced = as_traced(x)
    name = check_dtype(dtype)
    if name == traced.dtype_ and not traced.is_weak:
        return traced
    return elementwise(traced.context, COPY, [traced], name)


def _strong_dtype(operands: Sequence[Lifted], literal: Literal, result: str) -> str:
    """The dtype that a Python number takes beside these operands."""
    strong = [x.dtype_ for x in operands if isinstance(x, TracedArray) and not x.is_weak]
    if literal.dtype == "weak_float":
        return _dtype_of_float(*strong)
    found = np.result_type(*strong, literal.value)
    if found.kind not in "iu" or isinstance(literal.value, bool):
        return found.name
    limits = np.iinfo(found)
    if limits.min <= literal.value <= limits.max:
        return found.name
    if result == "bool":  # comparisons are of the numbers as they are
        return "int64"
    raise DTypeError(at_user_line(f"the whole number {literal.value} is out of bounds for {found}"))


@cache
def _dtype_of_float(*strong: str) -> str:
    """The dtype that a Python float takes beside arrays."""
    return np.result_type(*strong, 0.0).name
