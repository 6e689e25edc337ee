"""Questions about arrays: are they close, equal, real; of which type; and numbers made finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.tracing.arguments import refuse_keywords
from symdiff.tracing.construction import convert, copy, filled, unshared
from symdiff.tracing.pointwise import where
from symdiff.tracing.reductions import reduce_all, reduce_any
from symdiff.tracing.shapes import ravel
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["QUESTIONS"]


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Do `numpy.isclose`."""
    x: Any = as_traced(a)
    y: Any = as_traced(b)
    if y.dtype.kind != "f":
        y = astype(y, "float64")
    close = (np.abs(x - y) <= atol + rtol * np.abs(y)) & np.isfinite(y) | (x == y)
    return close | np.isnan(x) & np.isnan(y) if equal_nan else close


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Do `numpy.allclose`."""
    return reduce_all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: Any = False) -> Any:
    """Do `numpy.array_equal`."""
    x: Any = as_traced(a1)
    y: Any = as_traced(a2)
    same = x.ndim == y.ndim and all(
        x.context.decide(p - q, "==") for p, q in zip(x.shape_, y.shape_, strict=True)
    )
    if not same:
        return filled(x.context, value=False, shape=(), dtype="bool")
    equal = x == y
    return reduce_all(equal | np.isnan(x) & np.isnan(y) if equal_nan else equal)


def array_equiv(a1: Any, a2: Any) -> Any:
    """Do `numpy.array_equiv`: equal, one repeated to the shape of the other."""
    x: Any = as_traced(a1)
    y: Any = as_traced(a2)
    for p, q in zip(reversed(x.shape_), reversed(y.shape_), strict=False):
        decide = x.context.decide
        if not (decide(p - q, "==") or decide(p - 1, "==") or decide(q - 1, "==")):
            return filled(x.context, value=False, shape=(), dtype="bool")
    return reduce_all(x == y)


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: Any = False,
    invert: Any = False,
    *,
    kind: Any = None,
) -> Any:
    """Do `numpy.isin`, by comparing each with each; the two hints change nothing in the result."""
    del assume_unique, kind
    x: Any = as_traced(element)
    found = reduce_any(x[..., None] == ravel(test_elements), -1)
    return ~found if invert else found


def _always(answer: bool) -> Callable[..., TracedArray]:
    """Make a question that has one answer for every element."""

    def ask(x: Any) -> TracedArray:
        x = as_traced(x)
        return copy(filled(x.context, answer, x.shape_, "bool"))

    return ask


def _infinite(sign: int) -> Callable[..., Any]:
    """Make `numpy.isposinf` or `numpy.isneginf`."""

    def ask(x: Any, out: Any = None) -> Any:
        refuse_keywords("np.isposinf" if sign > 0 else "np.isneginf", out=out)
        array: Any = as_traced(x)
        return array == sign * np.inf

    return ask


def nan_to_num(
    x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Do `numpy.nan_to_num`."""
    if not copy:
        raise UnsupportedOperationError(
            at_user_line("np.nan_to_num with copy=False is not supported on traced arrays")
        )
    x = as_traced(x)
    if x.dtype.kind != "f":
        return unshared(x, x)
    limits = np.finfo(x.dtype)
    largest = float(limits.max) if posinf is None else posinf
    smallest = float(limits.min) if neginf is None else neginf
    result = where(np.isnan(x), astype(nan, x.dtype_), x)
    result = where(x == np.inf, astype(largest, x.dtype_), result)
    return where(x == -np.inf, astype(smallest, x.dtype_), result)


def angle(z: Any, deg: Any = False) -> Any:
    """Do `numpy.angle` of real numbers: zero or pi."""
    x: Any = as_traced(z)
    angles: Any = np.arctan2(0, x)
    return angles * (180 / np.pi) if deg else angles


def imag(val: Any) -> TracedArray:
    """Do `numpy.imag` of real numbers."""
    x = as_traced(val)
    return copy(filled(x.context, 0, x.shape_, x.dtype_))


def _already_real(a: Any, tol: Any = 100) -> TracedArray:
    """Do `numpy.real_if_close`."""
    del tol  # there is no imaginary part to compare with it
    return as_traced(a)


def fix(x: Any, out: Any = None) -> Any:
    """Do `numpy.fix`."""
    refuse_keywords("np.fix", out=out)
    return np.trunc(as_traced(x))


def to_dtype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> TracedArray:
    """Do `numpy.astype`."""
    refuse_keywords("np.astype", device=None if device == "cpu" else device)
    return convert(x, dtype, copy=copy)


def _example(value: Any) -> Any:
    """What NumPy's questions about types take for an array."""
    return value.example if isinstance(value, TracedArray) else value


def _common_type(*arrays: Any) -> Any:
    """Do `numpy.common_type`."""
    return np.common_type(*[np.empty(0, dtype=as_traced(x).dtype) for x in arrays])


def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Do `numpy.can_cast`."""
    source, target = (v.dtype if isinstance(v, TracedArray) else v for v in (from_, to))
    return np.can_cast(source, target, casting)


def _same_size_zeros(prototype: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> TracedArray:
    """Do `numpy.empty_like`: what was never written reads as zero."""
    return np.zeros_like(prototype, dtype, *args, **kwargs)


QUESTIONS: dict[Any, Callable[..., Any]] = {
    np.isclose: isclose,
    np.allclose: allclose,
    np.array_equal: array_equal,
    np.array_equiv: array_equiv,
    np.isin: isin,
    np.isreal: _always(True),
    np.iscomplex: _always(False),
    np.iscomplexobj: lambda x: np.iscomplexobj(x.dtype.type(0)),
    np.isrealobj: lambda x: np.isrealobj(x.dtype.type(0)),
    np.isposinf: _infinite(1),
    np.isneginf: _infinite(-1),
    np.nan_to_num: nan_to_num,
    np.angle: angle,
    np.imag: imag,
    np.real_if_close: _already_real,
    np.fix: fix,
    np.astype: to_dtype,
    np.empty_like: _same_size_zeros,
    np.result_type: lambda *arrays_and_dtypes: np.result_type(*map(_example, arrays_and_dtypes)),
    np.common_type: _common_type,
    np.can_cast: _can_cast,
    np.min_scalar_type: lambda a, /: a.dtype,
    np.array_repr: lambda arr, *_, **__: repr(arr),
    np.array_str: lambda a, *_, **__: repr(a),
    np.array2string: lambda a, *_, **__: repr(a),
}
