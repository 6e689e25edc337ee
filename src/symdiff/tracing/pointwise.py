"""Functions that work element by element and are no ufuncs."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.program.equations import IndexValue
from symdiff.tracing.arguments import is_given, refuse_keywords
from symdiff.tracing.construction import unshared
from symdiff.tracing.operations import SELECT, STOP
from symdiff.tracing.tracer import Lifted, TracedArray, as_traced, astype, elementwise, lift

__all__ = ["clip", "round_to", "stop_gradient", "where"]


def where(condition: Any, x: Any = None, y: Any = None) -> TracedArray:
    """Do `numpy.where` with three arguments."""
    if x is None or y is None:
        raise UnsupportedOperationError(
            at_user_line(
                "np.where(condition) alone gives a shape that depends on values. Write "
                "np.where(condition, a, b)"
            )
        )
    c = astype(condition, "bool")
    a, b = lift(c.context, x), lift(c.context, y)
    dtype = np.result_type(*[_promotable(v) for v in (a, b)]).name
    return elementwise(c.context, SELECT, [c, a, b], dtype)


def _promotable(x: Lifted) -> Any:
    """What `numpy.result_type` takes for an operand: a Python number where that is weak."""
    if isinstance(x, TracedArray):
        return x.example
    if isinstance(x, IndexValue):
        return "int64"
    return x.value if x.dtype.startswith("weak") else x.dtype


def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    **kwargs: Any,
) -> Any:
    """Do `numpy.clip`, whose bounds have two names each."""
    refuse_keywords("np.clip", out=out, **kwargs)
    if (is_given(a_min) or is_given(a_max)) and (is_given(min) or is_given(max)):
        raise UnsupportedOperationError(
            at_user_line("np.clip takes its bounds as a_min and a_max or as min and max, not both")
        )
    low = a_min if is_given(a_min) else min
    high = a_max if is_given(a_max) else max
    x: Any = as_traced(a)
    if is_given(low):
        x = np.maximum(x, low)
    return np.minimum(x, high) if is_given(high) else x


def round_to(a: Any, decimals: Any = 0, out: Any = None) -> Any:
    """Do `numpy.round`."""
    refuse_keywords("np.round", out=out)
    x: Any = as_traced(a)
    places = operator.index(decimals)
    if x.dtype.kind in "iu":
        return unshared(x, x) if places >= 0 else astype(_round_whole(x, 10.0**-places), x.dtype_)
    if places == 0:
        return np.rint(x)
    if places < 0:
        return _round_whole(x, 10.0**-places)
    return np.rint(x * 10.0**places) / 10.0**places


def _round_whole(x: Any, unit: float) -> Any:
    """Round to a multiple of a power of ten."""
    return np.rint(x / unit) * unit


def stop_gradient(x: Any) -> Any:
    """Give the value, and let derivatives take it for a constant.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    Like `x`.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.grad(lambda x: x * sd.stop_gradient(x))(3.0)
    3.0
    """
    if not isinstance(x, TracedArray):
        return x
    return elementwise(x.context, STOP, [x], x.dtype_)
