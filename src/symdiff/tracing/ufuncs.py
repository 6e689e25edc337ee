"""What a call of a ufunc becomes when tracers are among its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import DTypeError, TracingError, UnsupportedOperationError, at_user_line
from symdiff.program.equations import Literal, Operand, Read
from symdiff.program.patterns import Pattern
from symdiff.tracing.context import Context, active_context, check_dtype
from symdiff.tracing.dispatch import FUNCTIONS, METHODS
from symdiff.tracing.operations import (
    RECIPROCAL,
    SOFTPLUS,
    SQUARE,
    UFUNCS,
    UFUNCS_OF_WHOLE_NUMBERS,
    UFUNCS_WITH_TWO_RESULTS,
    Ufuncs,
    power_pattern,
    scipy_ufuncs,
)
from symdiff.tracing.stability import softplus_argument
from symdiff.tracing.tracer import Lifted, TracedArray, astype, elementwise, lift

__all__ = ["apply_ufunc"]

_NUMPY = Ufuncs(UFUNCS, {}, UFUNCS_WITH_TWO_RESULTS)


def _tables(ufunc: np.ufunc) -> Ufuncs:
    """Give the tables that know a ufunc, if any do."""
    tables = (UFUNCS, UFUNCS_OF_WHOLE_NUMBERS, UFUNCS_WITH_TWO_RESULTS)
    return _NUMPY if any(ufunc in table for table in tables) else scipy_ufuncs()


def apply_ufunc(
    context: Context, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Trace a call of a ufunc.

    Parameters
    ----------
    context : Context
        The trace that one of the inputs belongs to; the trace that is going on goes before it.
    ufunc, method, inputs, kwargs
        As `__array_ufunc__` gets them.
    """
    active = active_context()
    if active is None:
        raise TracingError(
            at_user_line(
                f"a traced value of {context.name} was used after its trace had ended. Return it "
                "from the function instead of keeping it in a global or an attribute"
            )
        )
    context = active
    if not kwargs and method == "__call__":
        made = _apply_to_numbers(context, ufunc, inputs)
        if made is not None:
            return made
    if method == "outer":
        return METHODS[np.ufunc, method](ufunc, *inputs, **kwargs)
    if method != "__call__":
        handler = METHODS.get((ufunc, method))
        if handler is None:
            raise UnsupportedOperationError(
                at_user_line(f"np.{ufunc.__name__}.{method} is not supported on traced arrays")
            )
        return handler(*inputs, **kwargs)
    computed_in = _only_dtype(ufunc, kwargs) if kwargs else None
    if ufunc is np.matmul:
        return FUNCTIONS[np.matmul](*inputs, dtype=computed_in)
    if computed_in is None:
        operands = [lift(context, x) for x in inputs]
    else:
        operands = _cast(context, ufunc, inputs, computed_in)
    two = _tables(ufunc).with_two_results.get(ufunc)
    if two is not None:
        return tuple([_apply(context, ufunc, p, operands, n) for n, p in enumerate(two)])
    stable = _stable(context, ufunc, operands)
    if stable is not None:
        return stable
    return _apply(context, ufunc, _pattern(ufunc, operands), operands)


def _stable(context: Context, ufunc: np.ufunc, operands: Sequence[Lifted]) -> TracedArray | None:
    """Trace what would overflow as it is written as a function that does not."""
    if ufunc in (np.log, np.log1p) and isinstance(operands[0], TracedArray):
        inner = softplus_argument(context, ufunc, operands[0])
        if inner is not None:
            return elementwise(context, SOFTPLUS, [inner], inner.dtype_)
    if ufunc is np.logaddexp:
        others = [x for x in operands if not (isinstance(x, Literal) and x.value == 0)]
        if len(others) == 1 and isinstance(others[0], TracedArray):
            dtype = _result_dtype(ufunc, 0, *map(_type_of, operands))
            return elementwise(context, SOFTPLUS, others, dtype)
    return None


class _Rule(NamedTuple):
    """What a ufunc of numbers becomes, and the dtype that Python floats take beside the others."""

    pattern: Pattern
    dtype: str
    is_weak: bool
    literal: str


_NOT_PLAIN = {np.log, np.log1p, np.logaddexp, np.power, *UFUNCS_OF_WHOLE_NUMBERS}
"""Ufuncs of one result for which the types of the operands do not say all."""


@cache
def _rule(ufunc: np.ufunc, *types: Any) -> _Rule | None:
    tables = _tables(ufunc)
    pattern = tables.patterns.get(ufunc)
    is_plain = ufunc not in tables.of_orders and ufunc not in _NOT_PLAIN
    if pattern is None or not is_plain or len(types) != ufunc.nin:
        return None
    dtype = _result_dtype(ufunc, 0, *types)
    strong = [t for t in types if isinstance(t, str)]
    is_weak = dtype == "float64" and not strong
    return _Rule(pattern, dtype, is_weak, np.result_type(*strong, 0.0).name)


def _apply_to_numbers(
    context: Context, ufunc: np.ufunc, inputs: tuple[Any, ...]
) -> TracedArray | None:
    """Do at once what is most frequent in long programs: an operation on floating numbers."""
    types: list[Any] = []
    for x in inputs:
        if type(x) is float:
            types.append(float)
        elif type(x) is TracedArray and not x.shape_ and x.context is context:
            if x.dtype_ not in ("float64", "float32"):
                return None
            types.append(float if x.is_weak else x.dtype_)
        else:
            return None
    rule = _rule(ufunc, *types)
    if rule is None:
        return None
    pattern, dtype, is_weak, literal = rule
    operands: list[Operand] = []
    for x in inputs:
        if type(x) is float:
            operands.append(Literal(x, literal))
        else:
            array, indices = x.looked_at()
            operands.append(Read(array, indices))
    if ufunc is np.multiply and operands[0] == operands[1]:
        pattern = SQUARE
        del operands[1]
    elif ufunc is np.divide and _is_one(operands[0]):
        pattern = RECIPROCAL
        del operands[0]
    name = context.emit(pattern, operands, (), dtype)
    return TracedArray(context, name, (), dtype, (), is_weak=is_weak, owns=True)


def _is_one(operand: Lifted | Operand) -> bool:
    """Whether it is one: the derivative of ``1/x`` needs no division, that of ``y/x`` does."""
    return isinstance(operand, Literal) and operand.value == 1


def _apply(
    context: Context, ufunc: np.ufunc, pattern: Pattern, operands: list[Lifted], result: int = 0
) -> TracedArray:
    """Append the equation of one of a ufunc's results."""
    dtype = _result_dtype(ufunc, result, *map(_type_of, operands))
    if ufunc is np.divide and _is_one(operands[0]):
        pattern, operands = RECIPROCAL, operands[1:]
    return elementwise(context, pattern, operands[: pattern.arity], dtype)


def _only_dtype(ufunc: np.ufunc, kwargs: dict[str, Any]) -> Any:
    """Give the keyword ``dtype``, and refuse the others."""
    out = kwargs.get("out")
    if out is not None and any(isinstance(o, np.ndarray) for o in out):
        raise TracingError(
            at_user_line(
                "a traced value cannot be written into an array from outside. Write x = x + y "
                "instead of x += y, or make the array inside the function"
            )
        )
    left_out = {"out": None, "where": True}
    others = [k for k, v in kwargs.items() if k != "dtype" and left_out.get(k, kwargs) is not v]
    if others:
        raise UnsupportedOperationError(
            at_user_line(
                f"np.{ufunc.__name__} with {', '.join(others)}= is not supported on traced arrays"
            )
        )
    return kwargs.get("dtype")


def _cast(context: Context, ufunc: np.ufunc, inputs: Sequence[Any], dtype: Any) -> list[Lifted]:
    """Convert operands to the types from which the ufunc computes a result of `dtype`."""
    operands = [lift(context, x) for x in inputs]
    wanted = _loop_dtypes(ufunc, np.dtype(dtype), *map(_type_of, operands))
    return [
        lift(context, t.type(operand.value) if isinstance(operand, Literal) else astype(x, t))
        for x, operand, t in zip(inputs, operands, wanted, strict=False)
    ]


def _pattern(ufunc: np.ufunc, operands: Sequence[Lifted]) -> Pattern:
    tables = _tables(ufunc)
    pattern = tables.patterns.get(ufunc)
    if ufunc in tables.of_orders:
        _require_order(ufunc, operands[0])
        return tables.of_orders[ufunc]
    if ufunc in UFUNCS_OF_WHOLE_NUMBERS:
        kinds = _kinds(ufunc, operands)
        if "f" not in kinds:
            is_logical = ufunc in _LOGICAL and kinds[0] == "b"
            return UFUNCS[_LOGICAL[ufunc]] if is_logical else UFUNCS_OF_WHOLE_NUMBERS[ufunc]
    if pattern is None:
        raise UnsupportedOperationError(at_user_line(_refusal(ufunc)))
    if ufunc is np.power:
        return _power(operands, pattern)
    if ufunc is np.multiply and _is_same_view(*operands):
        return SQUARE
    return pattern


_LOGICAL = {
    np.bitwise_and: np.logical_and,
    np.bitwise_or: np.logical_or,
    np.bitwise_xor: np.logical_xor,
    np.invert: np.logical_not,
}


def _refusal(ufunc: np.ufunc) -> str:
    module = "np" if getattr(np, ufunc.__name__, None) is ufunc else "scipy.special"
    if ufunc is np.isnat:
        return "np.isnat is not supported: dates cannot be traced. For floats write np.isnan"
    return (
        f"{module}.{ufunc.__name__} is not supported on traced arrays. Write it with other "
        "functions, make it an sd.primitive, or compute it before on plain arrays"
    )


def _kinds(ufunc: np.ufunc, operands: Sequence[Lifted]) -> str:
    """Tell the kinds of the numbers that a ufunc computes with: ``b``, ``i``, ``u``, ``f``."""
    return "".join([t.kind for t in _loop_dtypes(ufunc, None, *map(_type_of, operands))])


def _require_order(ufunc: np.ufunc, order: Lifted) -> None:
    """Refuse an order that is no whole number: the recurrences are those of whole ones."""
    is_whole = np.dtype(_type_of(order)).kind in "iub"
    if isinstance(order, Literal):
        is_whole = float(order.value).is_integer()
    if not is_whole:
        raise UnsupportedOperationError(
            at_user_line(
                f"scipy.special.{ufunc.__name__} of an order that is a float is not supported. "
                "Pass a whole number, or convert with .astype(int)"
            )
        )


def _power(operands: Sequence[Lifted], pattern: Pattern) -> Pattern:
    exponent = operands[1]
    if not isinstance(exponent, Literal):
        return pattern
    is_integer = np.dtype(_type_of(operands[0])).kind in "iub"
    if is_integer and isinstance(exponent.value, int) and exponent.value < 0:
        raise UnsupportedOperationError(
            at_user_line(
                "integers to negative integer powers are not allowed. Make the base a float"
            )
        )
    return power_pattern(exponent.value) or pattern


def _is_same_view(a: Lifted, b: Lifted) -> bool:
    return (
        isinstance(a, TracedArray)
        and isinstance(b, TracedArray)
        and a.array == b.array
        and a.indices == b.indices
        and a.shape_ == b.shape_
        and a.dtype_.startswith("float")
    )


def _type_of(x: Lifted) -> Any:
    """What NumPy's promotion takes for an operand: a Python type where that is weak."""
    if isinstance(x, TracedArray):
        return type(x.example) if x.is_weak else x.dtype_
    if isinstance(x, Literal):
        return _WEAK.get(x.dtype, x.dtype)
    return int


_WEAK = {"weak_float": float, "weak_int": int}


@cache
def _loop_dtypes(ufunc: np.ufunc, wanted: np.dtype | None, *types: Any) -> tuple[np.dtype, ...]:
    """Ask NumPy for the types that a ufunc computes with, inputs first.

    `wanted` is that of the result, as the keyword ``dtype`` gives it.
    """
    signature = (*[None] * ufunc.nin, *[wanted] * ufunc.nout)
    given = [t if isinstance(t, type) else np.dtype(t) for t in types]
    try:
        return ufunc.resolve_dtypes((*given, *[None] * ufunc.nout), signature=signature)
    except TypeError as error:
        raise DTypeError(at_user_line(str(error))) from None


@cache
def _result_dtype(ufunc: np.ufunc, result: int, *types: Any) -> str:
    dtype = _loop_dtypes(ufunc, None, *types)[ufunc.nin + result]
    # NumPy takes the square root of an int8 in half precision, which no kernel computes in.
    return "float64" if dtype == np.float16 else check_dtype(dtype)
