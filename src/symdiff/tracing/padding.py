"""`numpy.pad`, one axis after the other, as NumPy does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import index
from symdiff.program.patterns import COPY
from symdiff.tracing.arguments import as_axis
from symdiff.tracing.construction import concatenate, unshared
from symdiff.tracing.reductions import reduce_max, reduce_mean, reduce_min
from symdiff.tracing.shapes import along, broadcast_to
from symdiff.tracing.spacing import linspace
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["PADDING"]

Widths = tuple[int, int]

_KEYWORDS: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",),
    "edge": (),
    "empty": (),
    "linear_ramp": ("end_values",),
    "maximum": ("stat_length",),
    "mean": ("stat_length",),
    "minimum": ("stat_length",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    "wrap": (),
}


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> TracedArray:
    """Do `numpy.pad`, in every mode but ``"median"`` and a function of the user's."""
    x = as_traced(array)
    _check(mode, kwargs)
    widths = [(int(a), int(b)) for a, b in _pairs(_pad_widths(pad_width, x.ndim), x.ndim)]
    if any(w < 0 for pair in widths for w in pair):
        raise ShapeError(at_user_line("np.pad: pad_width can't contain negative values"))
    values = kwargs.get("constant_values", 0)
    if mode == "empty" or (mode == "constant" and isinstance(values, (int, float)) and values == 0):
        return _pad_with_zeros(x, widths)
    options = _pairs(next(iter(kwargs.values()), None), x.ndim)
    padded = x
    for axis, (width, option) in enumerate(zip(widths, options, strict=True)):
        if width == (0, 0):
            continue
        if mode != "constant" and not x.context.decide(x.shape_[axis] - 1, ">="):
            raise ShapeError(
                at_user_line(f"can't extend empty axis {axis} using modes other than 'constant'")
            )
        padded = _MODES[mode](padded, axis, width, option)
    return unshared(x, padded)


def _check(mode: Any, kwargs: dict[str, Any]) -> None:
    """Raise for a mode, or a keyword beside it, that is not known."""
    allowed = _KEYWORDS.get(mode) if isinstance(mode, str) else None
    if allowed is None:
        raise UnsupportedOperationError(
            at_user_line(
                f"np.pad with mode={mode!r} is not supported on traced arrays; allowed are "
                f"{', '.join(_KEYWORDS)}"
            )
        )
    strange = [k for k in kwargs if k not in allowed]
    if strange:
        raise UnsupportedOperationError(
            at_user_line(f"np.pad: mode {mode!r} takes no {', '.join(strange)}=")
        )


def _pad_widths(pad_width: Any, rank: int) -> Any:
    """Write out a dictionary of axes, which NumPy takes since 2.2."""
    if not isinstance(pad_width, dict):
        return pad_width
    widths: list[Any] = [(0, 0)] * rank
    for axis, width in pad_width.items():
        widths[as_axis(axis, rank)] = (width, width) if np.ndim(width) == 0 else width
    return widths


def _pairs(option: Any, rank: int) -> list[tuple[Any, Any]]:
    """Give every axis its pair, by NumPy's rules of broadcasting to ``(rank, 2)``."""
    if option is None or isinstance(option, str):
        return [(option, option)] * rank
    if isinstance(option, TracedArray):
        wide: Any = broadcast_to(option, (rank, 2))
        return [(wide[n, 0], wide[n, 1]) for n in range(rank)]
    pairs = np.broadcast_to(np.array(option, dtype=object), (rank, 2))
    return [(a, b) for a, b in pairs]


def _pad_with_zeros(x: TracedArray, widths: list[Widths]) -> TracedArray:
    """Copy the array into a larger one, by one equation."""
    shape = tuple(e + a + b for e, (a, b) in zip(x.shape_, widths, strict=True))
    target = tuple(index(n).shifted(a) for n, (a, _) in enumerate(widths))
    read = x.context.read(x, x.shape_)
    name = x.context.emit(COPY, [read], x.shape_, x.dtype_, target=target, shape=shape)
    return TracedArray(x.context, name, shape, x.dtype_, owns=True)


def _join(x: TracedArray, axis: int, width: Widths, before: Any, after: Any) -> TracedArray:
    """Broadcast what stands before and after along an axis, and join."""
    parts = [x]
    for value, length, place in ((before, width[0], 0), (after, width[1], len(parts) + 1)):
        if length:
            shape = list(x.shape)
            shape[axis] = length
            parts.insert(place, broadcast_to(astype(value, x.dtype_), tuple(shape)))
    return concatenate(parts, axis)


def _edges(x: TracedArray, axis: int) -> tuple[TracedArray, TracedArray]:
    return along(x, axis, slice(0, 1)), along(x, axis, slice(-1, None))


def _constant(x: TracedArray, axis: int, width: Widths, values: Any) -> TracedArray:
    return _join(x, axis, width, *values)


def _edge(x: TracedArray, axis: int, width: Widths, _: Any) -> TracedArray:
    return _join(x, axis, width, *_edges(x, axis))


def _linear_ramp(x: TracedArray, axis: int, width: Widths, ends: Any) -> TracedArray:
    ramps = []
    for edge, end, length, step in zip(_edges(x, axis), ends, width, (1, -1), strict=True):
        # NumPy computes ramps in double precision, and converts them
        inner, outer = along(edge, axis, 0), astype(0 if end is None else end, "float64")
        ramp = linspace(outer, inner, length, endpoint=False, dtype=x.dtype_, axis=axis)
        ramps.append(along(ramp, axis, slice(None, None, step)))
    return _join(x, axis, width, *ramps)


def _statistic(reduce: Callable[..., Any]) -> Callable[..., TracedArray]:
    """Make the mode that pads with a statistic of the elements next to an edge."""

    def extend(x: TracedArray, axis: int, width: Widths, lengths: Any) -> TracedArray:
        values = []
        for length, is_first in zip(lengths, (True, False), strict=True):
            part = x
            if length is not None and x.context.decide(x.shape_[axis] - int(length), ">="):
                n = int(length)
                if n < 1:
                    raise ShapeError(at_user_line(f"np.pad: stat_length={n} yields no value"))
                part = along(x, axis, slice(n) if is_first else slice(-n, None))
            value: Any = reduce(part, axis, keepdims=True)
            values.append(np.rint(value) if x.dtype.kind in "iu" else value)
        return _join(x, axis, width, *values)

    return extend


def _mirror(mode: Any) -> Callable[..., TracedArray]:
    """Make the mode that continues an array by itself: by a gather where once is not enough."""
    skipped = 1 if mode == "reflect" else 0

    def extend(x: TracedArray, axis: int, width: Widths, kinds: Any) -> TracedArray:
        kind = kinds[0]
        if kind not in (None, "even", "odd"):
            raise UnsupportedOperationError(
                at_user_line(f"np.pad with reflect_type={kind!r}; allowed are 'even' and 'odd'")
            )
        is_odd = kind == "odd"
        if not x.context.decide(x.shape_[axis] - skipped - max(width), ">="):
            if is_odd:
                raise UnsupportedOperationError(
                    at_user_line(
                        "np.pad with reflect_type='odd' by more than the length of the axis is not "
                        "supported on traced arrays. Pad several times"
                    )
                )
            length = x.context.pin(x.shape_[axis])
            order = np.pad(np.arange(length), width, mode)
            return along(x, axis, order)
        first, last = skipped, x.shape[axis] - skipped
        before: Any = along(x, axis, slice(first, first + width[0]))
        after: Any = along(x, axis, slice(last - width[1], last))
        backwards = slice(None, None, -1)
        before, after = along(before, axis, backwards), along(after, axis, backwards)
        if is_odd:
            low, high = _edges(x, axis)
            before, after = 2 * low - before, 2 * high - after
        return concatenate([before, x, after], axis)

    return extend


def _wrap(x: TracedArray, axis: int, width: Widths, _: Any) -> TracedArray:
    if not x.context.decide(x.shape_[axis] - max(width), ">="):
        length = x.context.pin(x.shape_[axis])
        return along(x, axis, np.pad(np.arange(length), width, mode="wrap"))
    before = along(x, axis, slice(x.shape[axis] - width[0], None))
    return concatenate([before, x, along(x, axis, slice(width[1]))], axis)


_MODES: dict[str, Callable[..., TracedArray]] = {
    "constant": _constant,
    "edge": _edge,
    "linear_ramp": _linear_ramp,
    "maximum": _statistic(reduce_max),
    "mean": _statistic(reduce_mean),
    "minimum": _statistic(reduce_min),
    "reflect": _mirror("reflect"),
    "symmetric": _mirror("symmetric"),
    "wrap": _wrap,
}

PADDING: dict[Any, Callable[..., Any]] = {np.pad: pad}
