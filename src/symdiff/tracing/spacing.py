"""Numbers at even distances, or at even ratios, between traced ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.tracing.construction import concatenate
from symdiff.tracing.shapes import broadcast_to, moveaxis
from symdiff.tracing.tracer import as_traced, astype

__all__ = ["SPACING", "linspace"]


def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: Any = True,
    retstep: Any = False,
    dtype: Any = None,
    axis: Any = 0,
    *,
    device: Any = None,
) -> Any:
    """Do `numpy.linspace`."""
    del device  # there is one: NumPy itself refuses others
    count = int(num)
    if count < 0:
        raise ShapeError(at_user_line(f"Number of samples, {count}, must be non-negative."))
    parts = count - 1 if endpoint else count
    # a Python number takes the type of what stands at the other end
    ends = [as_traced(float(v) if type(v) in (int, float) else v) for v in (start, stop)]
    first, last = (v * 1.0 for v in ends)
    delta: Any = last - first
    computed: Any = np.result_type(first.example, last.example, float(count)).name
    step = delta / parts if parts > 0 else delta * np.nan
    ramp = np.arange(count, dtype=computed).reshape((-1,) + (1,) * delta.ndim)
    values: Any = ramp * step + first if parts > 0 else ramp * delta + first
    if endpoint and count > 1:
        values = concatenate([values[:-1], broadcast_to(last, delta.shape)[None]], 0)
    values = moveaxis(values, 0, axis)
    if dtype is not None and np.dtype(dtype).kind in "iu":
        values = np.floor(values)
    values = astype(values, computed if dtype is None else dtype)
    return (values, step) if retstep else values


def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: Any = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: Any = 0,
) -> Any:
    """Do `numpy.logspace`, of a base that is one number."""
    if np.ndim(base):
        raise UnsupportedOperationError(
            at_user_line("np.logspace with an array of bases is not supported. Use base**linspace")
        )
    values = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return values if dtype is None else astype(values, dtype)


def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, dtype: Any = None, axis: Any = 0
) -> Any:
    """Do `numpy.geomspace`, between numbers of one sign."""
    first, last = (as_traced(float(v) if type(v) in (int, float) else v) for v in (start, stop))
    sign = np.sign(first)
    values = logspace(np.log10(first * sign), np.log10(last * sign), num, endpoint)
    pieces = [values[1:-1]] if endpoint and int(num) > 1 else [values[1:]]
    if int(num) > 0:
        pieces.insert(0, broadcast_to(first * sign, values.shape[1:])[None])
    if endpoint and int(num) > 1:
        pieces.append(broadcast_to(last * sign, values.shape[1:])[None])
    whole: Any = moveaxis(concatenate(pieces, 0) * sign, 0, axis)
    return whole if dtype is None else astype(whole, dtype)


SPACING: dict[Any, Callable[..., Any]] = {
    np.linspace: linspace,
    np.logspace: logspace,
    np.geomspace: geomspace,
}
