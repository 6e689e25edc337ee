"""Polynomials as arrays of coefficients, the highest power first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.tracing.construction import concatenate, filled, full_like
from symdiff.tracing.shapes import at_least
from symdiff.tracing.signals import convolve
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = ["POLYNOMIALS"]


def _refuse_objects(*given: Any) -> None:
    if any(isinstance(p, np.poly1d) for p in given):
        raise UnsupportedOperationError(
            at_user_line("np.poly1d beside traced arrays is not supported. Pass its .coeffs")
        )


def _coefficients(p: Any) -> TracedArray:
    _refuse_objects(p)
    x = at_least(p, 1)
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"coefficients of a polynomial of rank {x.ndim}, not 1"))
    return x


def polyval(p: Any, x: Any) -> Any:
    """Do `numpy.polyval`, by Horner's scheme."""
    _refuse_objects(p, x)
    at = as_traced(x)
    value: Any = full_like(at, 0)
    coefficients = as_traced(p)
    if coefficients.ndim == 0:
        raise ShapeError(at_user_line("np.polyval: the coefficients have to be a sequence"))
    for n in range(coefficients.context.pin(coefficients.shape_[0])):
        value = value * at + coefficients[n]
    return value


def _sum(combine: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make `numpy.polyadd` or `numpy.polysub`."""

    def add(a1: Any, a2: Any) -> Any:
        x, y = _coefficients(a1), _coefficients(a2)
        shorter = x.context.decide(x.shape_[0] - y.shape_[0], "<")
        if shorter:
            x = _lengthened(x, y)
        else:
            y = _lengthened(y, x)
        return combine(x, y)

    return add


def _lengthened(x: TracedArray, other: TracedArray) -> TracedArray:
    missing = other.shape_[0] - x.shape_[0]
    if missing == 0:
        return x
    return concatenate([filled(x.context, 0, (missing,), x.dtype_), x], 0)


def polymul(a1: Any, a2: Any) -> Any:
    """Do `numpy.polymul`; leading zeros, which depend on values, stay."""
    return convolve(_coefficients(a1), _coefficients(a2))


def polyder(p: Any, m: Any = 1) -> Any:
    """Do `numpy.polyder`."""
    order = int(m)
    if order < 0:
        raise ShapeError(at_user_line("Order of derivative must be positive (see polyint)"))
    x: Any = _coefficients(p)
    for _ in range(order):
        x = x[:-1] * np.arange(x.context.pin(x.shape_[0]) - 1, 0, -1)
    return x


def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """Do `numpy.polyint`."""
    order = int(m)
    if order < 0:
        raise ShapeError(at_user_line("Order of integral must be positive (see polyder)"))
    x: Any = _coefficients(p)
    added: Any = np.zeros(order) if k is None else at_least(k, 1)
    count = as_traced(added).context.pin(as_traced(added).shape_[0]) if order else 0
    if count == 1 and order > 1:
        added, count = [added[0]] * order, order
    if count < order:
        raise ShapeError(at_user_line("k must be a scalar or a rank-1 array of length 1 or >m."))
    for n in range(order):
        length = x.context.pin(x.shape_[0])
        x = concatenate([x / np.arange(length, 0, -1), at_least(added[n], 1)], 0)
    return x


def poly(seq_of_zeros: Any) -> Any:
    """Do `numpy.poly` for a sequence of zeros."""
    zeros: Any = at_least(seq_of_zeros, 1)
    if zeros.ndim != 1:
        raise UnsupportedOperationError(
            at_user_line("np.poly of a matrix needs eigenvalues, which is not supported")
        )
    count = zeros.context.pin(zeros.shape_[0])
    one = np.ones(1, dtype=zeros.dtype)
    result: Any = as_traced(np.ones(1, dtype=zeros.dtype) if count else 1.0)
    for n in range(count):
        result = convolve(result, concatenate([one, -zeros[n : n + 1]], 0))
    return result


POLYNOMIALS: dict[Any, Callable[..., Any]] = {
    np.polyval: polyval,
    np.polyadd: _sum(np.add),
    np.polysub: _sum(np.subtract),
    np.polymul: polymul,
    np.polyder: polyder,
    np.polyint: polyint,
    np.poly: poly,
}
