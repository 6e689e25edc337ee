"""Differences, integrals and convolutions of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import index
from symdiff.program.equations import Read
from symdiff.tracing.arguments import as_axes, as_axis, is_given
from symdiff.tracing.assembly import roll
from symdiff.tracing.construction import concatenate
from symdiff.tracing.indexing import compose_affine, getitem
from symdiff.tracing.operations import PRODUCT
from symdiff.tracing.ordering import cumsum
from symdiff.tracing.pointwise import stop_gradient, where
from symdiff.tracing.reductions import reduce_sum
from symdiff.tracing.shapes import along, at_least, broadcast_to, flip, moveaxis, ravel
from symdiff.tracing.traced_size import as_size
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["SIGNALS", "convolve"]


def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
    """Do `numpy.diff`."""
    count = int(n)
    x = as_traced(a)
    if count == 0:
        return x
    if count < 0:
        raise ShapeError(at_user_line(f"order must be non-negative but got {count}"))
    if x.ndim == 0:
        raise ShapeError(at_user_line("diff requires input that is at least one dimensional"))
    axis = as_axis(axis, x.ndim)
    parts = [x]
    if is_given(prepend):
        parts.insert(0, _as_part(x, prepend, axis))
    if is_given(append):
        parts.append(_as_part(x, append, axis))
    if len(parts) > 1:
        x = concatenate(parts, axis)
    subtract: Any = np.not_equal if x.dtype_ == "bool" else np.subtract
    for _ in range(count):
        x = subtract(along(x, axis, slice(1, None)), along(x, axis, slice(None, -1)))
    return x


def _as_part(x: TracedArray, value: Any, axis: int) -> TracedArray:
    part = as_traced(value)
    if part.ndim:
        return part
    shape = list(x.shape)
    shape[axis] = 1
    return broadcast_to(part, tuple(shape))


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Do `numpy.ediff1d`."""
    flat: Any = ravel(ary)
    parts = [flat[1:] - flat[:-1]]
    for extra, place in ((to_begin, 0), (to_end, 2)):
        if extra is not None:
            part = ravel(extra)
            if not np.can_cast(part.example, flat.dtype, "same_kind"):
                raise DTypeError(
                    at_user_line(f"np.ediff1d: {part.dtype_} beside {flat.dtype_} is not allowed")
                )
            parts.insert(place, astype(part, flat.dtype_))
    return concatenate(parts, 0)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """Do `numpy.gradient`: one array for one axis, a tuple for several."""
    x = as_traced(f)
    axes = as_axes(axis, x.ndim)
    if edge_order not in (1, 2):
        raise UnsupportedOperationError(at_user_line("'edge_order' greater than 2 not supported"))
    spacings = varargs or (1.0,)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise ShapeError(at_user_line(f"{len(spacings)} spacings for {len(axes)} axes"))
    if x.dtype_ == "bool":
        raise DTypeError(at_user_line("np.gradient of Booleans. Convert with .astype(float)"))
    if x.dtype.kind != "f":
        x = astype(x, "float64")
    slopes = [_slope(x, n, h, edge_order) for n, h in zip(axes, spacings, strict=True)]
    return slopes[0] if len(axes) == 1 else tuple(slopes)


def _slope(x: TracedArray, axis: int, spacing: Any, edge_order: int) -> TracedArray:
    """Differentiate samples along an axis (Fornberg, 1988, for the weights)."""
    if not x.context.decide(x.shape_[axis] - edge_order - 1, ">="):
        raise ShapeError(
            at_user_line(
                f"np.gradient: at least {edge_order + 1} elements are needed along axis {axis} of "
                f"shape {x.context.show_shape(x.shape_)}"
            )
        )
    steps = _steps(x, axis, spacing)
    left: Any = along(x, axis, slice(None, -2))
    middle: Any = along(x, axis, slice(1, -1))
    right: Any = along(x, axis, slice(2, None))
    if steps is None:
        h: Any = spacing if np.ndim(spacing) == 0 else spacing[1] - spacing[0]
        inner = (right - left) / (2.0 * h)
        first = last = second = before_last = h
    else:
        h1, h2 = along(steps, 0, slice(None, -1)), along(steps, 0, slice(1, None))
        inner = _weighted((left, middle, right), _central(h1, h2))
        first, second = along(steps, 0, slice(0, 1)), along(steps, 0, slice(1, 2))
        last, before_last = along(steps, 0, slice(-1, None)), along(steps, 0, slice(-2, -1))
    ends: list[Any] = [along(x, axis, slice(n, n + 1)) for n in range(edge_order + 1)]
    backs: list[Any] = [along(x, axis, slice(-n - 1, -n or None)) for n in range(edge_order + 1)]
    if edge_order == 1:
        edges = (ends[1] - ends[0]) / first, (backs[0] - backs[1]) / last
    else:
        begin = _weighted(ends, _one_sided(first, second))
        edges = begin, -_weighted(backs, _one_sided(last, before_last))
    parts = [edges[0], inner, edges[1]]
    return concatenate([astype(part, x.dtype_) for part in parts], axis)


def _weighted(values: Any, weights: Any) -> Any:
    a, b, c = (w * v for w, v in zip(weights, values, strict=True))
    return a + b + c


def _central(h1: Any, h2: Any) -> tuple[Any, Any, Any]:
    """Weights of the values before, at and after a point between steps `h1` and `h2`."""
    total = h1 + h2
    return -h2 / (h1 * total), (h2 - h1) / (h1 * h2), h1 / (h2 * total)


def _one_sided(h1: Any, h2: Any) -> tuple[Any, Any, Any]:
    """Weights of the value at an end and of the two next to it."""
    total = h1 + h2
    return -(2.0 * h1 + h2) / (h1 * total), total / (h1 * h2), -h1 / (h2 * total)


def _steps(x: TracedArray, axis: int, spacing: Any) -> Any:
    """Give the steps between coordinates, as a first axis that broadcasts along the one meant.

    None where all of them are plainly the same.
    """
    if np.ndim(spacing) == 0:
        return None
    if np.ndim(spacing) != 1:
        raise ShapeError(at_user_line("distances must be either scalars or 1d"))
    coordinates = spacing if isinstance(spacing, TracedArray) else np.asarray(spacing)
    if not isinstance(coordinates, TracedArray):
        if coordinates.dtype.kind in "iu":
            coordinates = coordinates.astype(np.float64)
        steps = np.diff(coordinates)
        if (steps == steps[0]).all():
            return None
    points = as_traced(coordinates)
    if not x.context.decide(points.shape_[0] - x.shape_[axis], "=="):
        raise ShapeError(
            at_user_line("when 1d, distances must match the length of the corresponding dimension")
        )
    points = astype(points, "float64") if points.dtype.kind in "iu" else points
    return getitem(diff(points), (slice(None), *[None] * (x.ndim - axis - 1)))


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    """Do `numpy.trapezoid`."""
    values: Any = as_traced(y)
    axis = as_axis(axis, values.ndim)
    step: Any = dx
    if x is not None:
        points = as_traced(x)
        step = diff(points, axis=axis if points.ndim > 1 else 0)
        if points.ndim == 1:
            step = getitem(step, (slice(None), *[None] * (values.ndim - axis - 1)))
    pairs = along(values, axis, slice(1, None)) + along(values, axis, slice(None, -1))
    return reduce_sum(step * pairs / 2.0, axis=axis)


def convolve(a: Any, v: Any, mode: Any = "full") -> TracedArray:
    """Do `numpy.convolve`."""
    x, y = _vectors(a, v, "np.convolve")
    if x.context.decide(x.shape_[0] - y.shape_[0], "<"):
        x, y = y, x
    return _correlate(x, flip(y), mode)


def correlate(a: Any, v: Any, mode: Any = "valid") -> TracedArray:
    """Do `numpy.correlate`."""
    x, y = _vectors(a, v, "np.correlate")
    if x.context.decide(x.shape_[0] - y.shape_[0], "<"):
        return flip(_correlate(y, x, mode))
    return _correlate(x, y, mode)


def _vectors(a: Any, v: Any, name: str) -> tuple[TracedArray, TracedArray]:
    x, y = at_least(a, 1), at_least(v, 1)
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(at_user_line(f"{name} of arrays of ranks {x.ndim} and {y.ndim}, not 1"))
    if any(x.context.decide(e, "==") for e in (x.shape_[0], y.shape_[0])):
        raise ShapeError(at_user_line(f"{name}: an array is empty"))
    return x, y


def _correlate(x: TracedArray, y: TracedArray, mode: Any) -> TracedArray:
    """Slide the shorter `y` along `x`: one equation."""
    n, m = x.shape_[0], y.shape_[0]
    context = x.context
    if mode == "valid":
        # result[i] += x[i + j] y[j]
        extents, target, shape = (n - m + 1, m), index(0), n - m + 1
        by = index(0).plus(index(1)), index(1)
    elif mode in ("full", "same"):
        # result[i + j] += x[i] y[m - 1 - j]
        extents, target, shape = (n, m), index(0).plus(index(1)), n + m - 1
        by = index(0), index(1).scaled(-1).shifted(m - 1)
    else:
        raise UnsupportedOperationError(
            at_user_line(f"mode={mode!r} is not one of 'full', 'same', 'valid'")
        )
    dtype = np.result_type(x.example, y.example).name
    reads = [Read(v.array, compose_affine(v.indices, [i])) for v, i in zip((x, y), by, strict=True)]
    operator = "or=" if dtype == "bool" else "+="
    name = context.emit(
        PRODUCT, reads, extents, dtype, operator=operator, target=(target,), shape=(shape,)
    )
    result = TracedArray(context, name, (shape,), dtype, owns=True)
    if mode != "same":
        return result
    start = (context.pin(m) - 1) // 2
    return along(result, 0, slice(start, as_size(context, n + start)))


def sinc(x: Any) -> Any:
    """Do `numpy.sinc`: next to zero by its series, so that derivatives there are right too."""
    y: Any = np.pi * as_traced(x)
    is_small = np.abs(y) < 0.01
    safe = where(is_small, 1.0, y)
    square = where(is_small, y, 0.0)
    square = square * square
    series = 1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0))
    return where(is_small, series, np.sin(safe) / safe)


def _shifted(backwards: bool) -> Callable[..., Any]:
    def shift(x: Any, axes: Any = None) -> Any:
        array = as_traced(x)
        chosen = as_axes(axes, array.ndim)
        halves = [array.context.pin(array.shape_[a]) // 2 for a in chosen]
        return roll(array, [-h if backwards else h for h in halves], chosen)

    shift.__doc__ = f"Do `numpy.fft.{'i' * backwards}fftshift`."
    return shift


def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * np.pi) -> Any:
    """Do `numpy.unwrap`; the turns that are added are constants for derivatives."""
    x: Any = as_traced(p)
    x = x if x.dtype.kind == "f" else astype(x, "float64")
    x = moveaxis(x, axis, -1)
    steps: Any = stop_gradient(x[..., 1:] - x[..., :-1])
    half = period / 2
    turned: Any = np.mod(steps + half, period) - half
    turned = where((turned == -half) & (steps > 0), half, turned)
    largest = half if discont is None else max(discont, half)
    turns = where(abs(steps) < largest, 0, turned - steps)
    moved = x[..., 1:] + cumsum(turns, -1)
    return moveaxis(concatenate([x[..., :1], moved], -1), -1, axis)


SIGNALS: dict[Any, Callable[..., Any]] = {
    np.diff: diff,
    np.unwrap: unwrap,
    np.fft.fftshift: _shifted(False),
    np.fft.ifftshift: _shifted(True),
    np.ediff1d: ediff1d,
    np.gradient: gradient,
    np.trapezoid: trapezoid,
    np.convolve: convolve,
    np.correlate: correlate,
    np.sinc: sinc,
}
if hasattr(np, "trapz"):  # until NumPy 2.4
    SIGNALS[getattr(np, "trapz")] = trapezoid  # noqa: B009 - a name that types do not know
