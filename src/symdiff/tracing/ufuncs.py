"""What a call of a ufunc becomes when tracers are among its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, TracingError, UnsupportedOperationError, at_user_line
from symdiff.program.equations import Literal
from symdiff.program.patterns import Pattern
from symdiff.tracing.context import Context, active_context, check_dtype
from symdiff.tracing.dispatch import FUNCTIONS, METHODS
from symdiff.tracing.operations import SQUARE, UFUNCS, power_pattern
from symdiff.tracing.tracer import Lifted, TracedArray, astype, elementwise, lift

__all__ = ["apply_ufunc"]


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
    pattern = _pattern(ufunc, operands)
    dtype = _result_dtype(ufunc, *map(_type_of, operands))
    if not dtype.startswith("float") and pattern in _FLOATING_ONLY:
        raise UnsupportedOperationError(
            at_user_line(
                f"np.{ufunc.__name__} of {dtype} values is not supported. Convert with "
                ".astype(float)"
            )
        )
    return elementwise(context, pattern, operands[: pattern.arity], dtype)


_FLOATING_ONLY = (UFUNCS[np.reciprocal], UFUNCS[np.power])
"""Operations that NumPy also does on integers, and kernels do not."""


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
    others = [k for k, v in kwargs.items() if k != "dtype" and not (k == "out" and v is None)]
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
    pattern = UFUNCS.get(ufunc)
    if pattern is None:
        return _logical(ufunc, operands)
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


def _logical(ufunc: np.ufunc, operands: Sequence[Lifted]) -> Pattern:
    if ufunc not in _LOGICAL:
        raise UnsupportedOperationError(
            at_user_line(f"np.{ufunc.__name__} is not supported on traced arrays")
        )
    if any(np.dtype(_type_of(x)) != np.bool_ for x in operands):
        raise UnsupportedOperationError(
            at_user_line(
                f"np.{ufunc.__name__} works on traced Booleans only. Compare first, as in "
                "(x > 0) & (y > 0)"
            )
        )
    return UFUNCS[_LOGICAL[ufunc]]


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
        return {"weak_float": float, "weak_int": int}.get(x.dtype, x.dtype)
    return int


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


def _result_dtype(ufunc: np.ufunc, *types: Any) -> str:
    dtype = _loop_dtypes(ufunc, None, *types)[ufunc.nin]
    # NumPy takes the square root of an int8 in half precision, which no kernel computes in.
    return "float64" if dtype == np.float16 else check_dtype(dtype)
