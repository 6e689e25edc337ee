"""SciPy's special functions that are no ufuncs, and NumPy's one.

A ufunc finds its way here by itself; these are functions of Python, whose handlers are written with
NumPy's and SciPy's functions of tracers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.program.functions import Polygamma
from symdiff.program.patterns import pattern, placeholder
from symdiff.tracing.arguments import as_axes, refuse_keywords
from symdiff.tracing.operations import special_pattern
from symdiff.tracing.pointwise import stop_gradient, where
from symdiff.tracing.reductions import reduce_sum
from symdiff.tracing.tracer import TracedArray, as_traced, astype, elementwise, lift

__all__ = ["NUMPY_SPECIAL_TABLE", "SPECIAL_TABLE"]

_POLYGAMMA = pattern(Polygamma(placeholder(0), placeholder(1)), 2)


def _floating(x: Any) -> Any:
    """A tracer of a float: whole numbers are converted."""
    traced = as_traced(x)
    return traced if traced.dtype.kind == "f" else astype(traced, "float64")


def _whole(value: Any, name: str, what: str) -> int:
    """Take a number that has to be known while tracing."""
    number: Any = int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        return operator.index(number)
    except TypeError:
        raise UnsupportedOperationError(
            at_user_line(
                f"{name}: {what} has to be a whole number that is known while tracing, not "
                f"{value!r:.60}. Pass it from outside, by a closure or as a static argument"
            )
        ) from None


# exponentials


def _about_maximum(x: Any, axis: Any) -> Any:
    """The maximum, where it is finite, which carries no derivative: it cancels."""
    top: Any = stop_gradient(np.max(x, axis=axis, keepdims=True))
    return where(np.isfinite(top), top, 0)


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: Any = False
) -> Any:
    """Do `scipy.special.logsumexp`.

    The largest terms are counted apart from the rest, so that ``log1p`` keeps the digits of small
    ones (Blanchard, Higham, Higham, *Accurately computing the log-sum-exp and softmax functions*,
    IMA J. Numer. Anal. 41, 2021, algorithm 4.1). The derivative is that of the plain sum.
    """
    if return_sign:
        raise UnsupportedOperationError(
            at_user_line("scipy.special.logsumexp with return_sign=True is not supported")
        )
    x: Any = _floating(a)
    if b is not None:
        b = as_traced(b)
        x = where(b != 0, x, -np.inf) + b * 0
    top = _about_maximum(x, axis)
    powers = np.exp(x - top)
    terms: Any = powers if b is None else powers * b
    plain = np.log(np.sum(terms, axis=axis, keepdims=True))
    is_top = x == top
    most, rest = (
        reduce_sum(part, axis=axis, keepdims=True)
        for part in (where(is_top, terms, 0), where(is_top, 0, terms))
    )
    exact = stop_gradient(np.log1p(rest / most) + np.log(most))
    # What is added is zero but for rounding.
    sharper = where(np.isfinite(exact), stop_gradient(exact - plain), 0)
    total = (plain + sharper) + top
    return total if keepdims else np.squeeze(total, axis=tuple(as_axes(axis, x.ndim)))


def softmax(x: Any, axis: Any = None) -> Any:
    """Do `scipy.special.softmax`."""
    x = _floating(x)
    powers = np.exp(x - _about_maximum(x, axis))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Do `scipy.special.log_softmax`."""
    x = _floating(x)
    moved = x - _about_maximum(x, axis)
    return moved - np.log(np.sum(np.exp(moved), axis=axis, keepdims=True))


def softplus(x: Any, **kwargs: Any) -> Any:
    """Do `scipy.special.softplus`."""
    refuse_keywords("scipy.special.softplus", **kwargs)
    return np.log1p(np.exp(_floating(x)))


# the gamma function's family


def polygamma(n: Any, x: Any) -> Any:
    """Do `scipy.special.polygamma`, of a constant order."""
    order = _whole(n, "scipy.special.polygamma", "the order")
    traced = _floating(x)
    if order == 0:
        return scipy.special.psi(traced)
    context = traced.context
    return elementwise(context, _POLYGAMMA, [lift(context, order), traced], traced.dtype_)


def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """Do `scipy.special.zeta`."""
    refuse_keywords("scipy.special.zeta", out=out)
    if q is None:
        x = _floating(x)
        return elementwise(x.context, special_pattern("riemann_zeta"), [x], x.dtype_)
    return _of_two("zeta", x, q)


def _of_two(step: str, x: Any, y: Any) -> TracedArray:
    traced = as_traced(x)
    a, b = lift(traced.context, x), lift(traced.context, y)
    dtype = np.result_type(traced.example, as_traced(y).example, np.float32)
    return elementwise(traced.context, special_pattern(step), [a, b], dtype.name)


def multigammaln(a: Any, d: Any) -> Any:
    """Do `scipy.special.multigammaln`."""
    n = _whole(d, "scipy.special.multigammaln", "the dimension")
    total: Any = n * (n - 1) / 4 * math.log(math.pi)
    for j in range(n):
        total = total + scipy.special.gammaln(_floating(a) - j / 2)
    return total


def _refuse_exact(name: str, *, exact: Any) -> None:
    if exact:
        raise UnsupportedOperationError(
            at_user_line(f"{name} with exact=True gives Python's integers. Leave it out")
        )


def factorial(n: Any, exact: Any = False, extend: Any = "zero") -> Any:
    """Do `scipy.special.factorial`, by the gamma function."""
    _refuse_exact("scipy.special.factorial", exact=exact)
    if extend != "zero":
        raise UnsupportedOperationError(
            at_user_line("scipy.special.factorial: only extend='zero' is supported")
        )
    n = _floating(n)
    return where(n < 0, 0, scipy.special.gamma(n + 1))


def comb(N: Any, k: Any, *, exact: Any = False, repetition: Any = False) -> Any:
    """Do `scipy.special.comb`, by the gamma function."""
    _refuse_exact("scipy.special.comb", exact=exact)
    if repetition:
        return comb(N + k - 1, k)
    return where(_can_choose(N, k), scipy.special.binom(_floating(N), _floating(k)), 0)


def perm(N: Any, k: Any, exact: Any = False) -> Any:
    """Do `scipy.special.perm`, by the gamma function."""
    _refuse_exact("scipy.special.perm", exact=exact)
    n, chosen = _floating(N), _floating(k)
    return where(_can_choose(N, k), scipy.special.poch(n - chosen + 1, chosen), 0)


def _can_choose(n: Any, k: Any) -> Any:
    n, k = as_traced(n), as_traced(k)
    return np.logical_and(np.logical_and(k <= n, n >= 0), k >= 0)


# Bessel functions


def _spherical(name: str) -> Callable[..., Any]:
    def compute(n: Any, z: Any, derivative: Any = False) -> Any:
        order = _whole(n, f"scipy.special.{name}", "the order")
        x = _floating(z)

        def of_order(m: int) -> Any:
            body = special_pattern(f"int_{name}")
            return elementwise(x.context, body, [lift(x.context, m), x], x.dtype_)

        if not derivative:
            return of_order(order)
        sign = -1 if name in ("spherical_jn", "spherical_yn") else 1
        outside = -1 if name == "spherical_kn" else 1
        up = sign * (order + 1) * of_order(order + 1)
        both = up + order * of_order(order - 1) if order else up
        return outside * both / (2 * order + 1)

    compute.__name__ = name
    return compute


def i0(x: Any) -> Any:
    """Do `numpy.i0`."""
    traced = _floating(x)
    return elementwise(traced.context, special_pattern("i0"), [traced], traced.dtype_)


SPECIAL_TABLE: dict[str, Callable[..., Any]] = {
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softplus": softplus,  # of SciPy 1.15 and newer
    "polygamma": polygamma,
    "zeta": zeta,
    "multigammaln": multigammaln,
    "factorial": factorial,
    "comb": comb,
    "perm": perm,
    **{n: _spherical(n) for n in ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn")},
}
"""The handler of each function, by its name in `scipy.special`."""

NUMPY_SPECIAL_TABLE: dict[Any, Callable[..., Any]] = {np.i0: i0}
"""The same for NumPy, which finds its handlers by itself."""
