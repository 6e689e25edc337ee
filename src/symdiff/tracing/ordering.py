"""Functions that sort, search and accumulate along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.blocks import Block
from symdiff.tracing.arguments import as_axis, is_given, refuse_keywords
from symdiff.tracing.construction import concatenate, counting, full_like
from symdiff.tracing.indexing import getitem
from symdiff.tracing.pointwise import stop_gradient, where
from symdiff.tracing.rules import TracedRule, apply_block, named_block
from symdiff.tracing.shapes import moveaxis, ravel
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["ACCUMULATIONS", "ORDERING", "cumsum", "gather_along", "recurrence", "sort"]


def _last(a: Any, axis: Any) -> tuple[TracedArray, int]:
    """Move an axis to the end; None takes the array flat."""
    x = as_traced(a)
    if axis is None:
        return ravel(x), 0
    number = as_axis(axis, x.ndim)
    return moveaxis(x, number, -1), number


# running sums and products


def _reversed(block: Block) -> Block:
    attributes = () if "reversed" in block.attributes else ("reversed",)
    return named_block(block.name, *attributes, rule=block.rule)


def _running_transpose(block: Block, _: Sequence[Any], cotangent: Any) -> Any:
    return apply_block(_reversed(block), [cotangent])


_RUNNING_SUM = TracedRule(transposes={0: _running_transpose})


def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Do `numpy.cumsum`."""
    refuse_keywords("np.cumsum", out=out)
    x, place = _last(_summable(a, dtype), axis)
    return moveaxis(apply_block(named_block("cumsum", rule=_RUNNING_SUM), [x]), -1, place)


def _summable(a: Any, dtype: Any) -> TracedArray:
    """Convert as NumPy does before it adds or multiplies: whole numbers to 64 bits."""
    x = as_traced(a)
    if dtype is not None:
        return astype(x, dtype)
    if x.dtype.kind in "bi":
        return astype(x, "int64")
    return astype(x, "uint64") if x.dtype.kind == "u" else x


def _ahead(x: Any) -> Any:
    """What stands one place further; a zero in the last place."""
    return concatenate([x[..., 1:], full_like(x[..., :1], 0)], -1)


def _behind(x: Any) -> Any:
    return concatenate([full_like(x[..., :1], 0), x[..., :-1]], -1)


def _recurrence_tangent(
    block: Block, y: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    factor, _ = operands
    dfactor, right = tangents
    if dfactor is not None:
        before = _ahead(y) if "reversed" in block.attributes else _behind(y)
        moved = dfactor * before
        right = moved if right is None else right + moved
    return apply_block(block, [factor, right])


def _recurrence_transpose(block: Block, operands: Sequence[Any], cotangent: Any) -> Any:
    factor = operands[0]
    moved = _behind(factor) if "reversed" in block.attributes else _ahead(factor)
    return apply_block(_reversed(block), [moved, cotangent])


_RECURRENCE = TracedRule(None, _recurrence_tangent, {1: _recurrence_transpose})


def recurrence(factor: Any, term: Any) -> TracedArray:
    """Give ``y[i] = factor[i] * y[i-1] + term[i]`` along the last axis."""
    return apply_block(named_block("recurrence", rule=_RECURRENCE), [factor, term])


def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Do `numpy.cumprod`, whose derivative is right when factors are zero."""
    refuse_keywords("np.cumprod", out=out)
    x: Any
    x, place = _last(_summable(a, dtype), axis)
    start = concatenate([x[..., :1], full_like(x[..., 1:], 0)], -1)
    return moveaxis(recurrence(x, start), -1, place)


def _accumulate(ufunc: np.ufunc) -> Callable[..., Any]:
    """``ufunc.accumulate`` of an associative ufunc: each step doubles what is covered."""

    def run(array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        refuse_keywords(f"np.{ufunc.__name__}.accumulate", out=out)
        x: Any
        x, place = _last(array if dtype is None else astype(array, dtype), axis)
        length, step = x.context.pin(x.shape_[-1]), 1
        while step < length:
            x = concatenate([x[..., :step], ufunc(x[..., :-step], x[..., step:])], -1)
            step *= 2
        return moveaxis(x, -1, place)

    run.__doc__ = f"Do ``np.{ufunc.__name__}.accumulate``."
    return run


def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Do `numpy.nancumsum`."""
    return cumsum(where(np.isnan(a), 0, a), axis, dtype, out)


def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Do `numpy.nancumprod`."""
    return cumprod(where(np.isnan(a), 1, a), axis, dtype, out)


def _cumulative(function: Callable[..., Any], start: float) -> Callable[..., Any]:
    def run(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: Any = False,
    ) -> Any:
        array: Any = as_traced(x)
        if axis is None and array.ndim != 1:
            raise ValueError(at_user_line("the axis is needed for arrays of other ranks than 1"))
        number = 0 if axis is None else as_axis(axis, array.ndim)
        result: Any = function(array, number, dtype, out)
        if not include_initial:
            return result
        first = getitem(
            result, tuple(slice(0, 1) if n == number else slice(None) for n in range(array.ndim))
        )
        return concatenate([full_like(first, start), result], number)

    return run


# sorting


def argsort(
    a: Any,
    axis: Any = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: Any = None,
    descending: Any = None,
) -> Any:
    """Do `numpy.argsort`; it is always stable."""
    del kind, stable  # every sort is stable here
    refuse_keywords("np.argsort", order=order)
    x, place = _last(a, axis)
    return moveaxis(_order(x, descending), -1, place)


def _order(x: TracedArray, descending: Any) -> TracedArray:
    """Give the indices that sort the last axis; NaN goes last in both directions."""
    key: Any = stop_gradient(x)
    if is_given(descending) and descending:
        key = -key if key.dtype.kind == "f" else ~key  # which has no number without a partner
    return apply_block(named_block("argsort"), [key])


def gather_along(x: Any, indices: Any) -> Any:
    """Take elements along the last axis; leading axes are the same."""
    array = as_traced(x)
    places = as_traced(indices)
    lead = array.ndim - 1
    keys = [counting(array.context, array.shape_[a], a, places.ndim) for a in range(lead)]
    return getitem(array, (*keys, places))


def sort(
    a: Any,
    axis: Any = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: Any = None,
    descending: Any = None,
) -> Any:
    """Do `numpy.sort`; derivatives go through the permutation."""
    del kind, stable
    refuse_keywords("np.sort", order=order)
    x, place = _last(a, axis)
    return moveaxis(gather_along(x, _order(x, descending)), -1, place)


def partition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    """Do `numpy.partition`: sorted wholly, which is one of the answers."""
    del kth
    return sort(a, axis, kind, order)


def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    """Do `numpy.argpartition`: sorted wholly, which is one of the answers."""
    del kth
    return argsort(a, axis, kind, order)


def lexsort(keys: Any, axis: Any = -1) -> Any:
    """Do `numpy.lexsort`: the last key goes first."""
    columns = [moveaxis(as_traced(k), axis, -1) for k in keys]
    order: Any = argsort(columns[0], -1)
    for column in columns[1:]:
        order = gather_along(order, argsort(gather_along(column, order), -1))
    return moveaxis(order, -1, axis)


# searching


def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """Do `numpy.searchsorted`."""
    x: Any = as_traced(a)
    if x.ndim != 1:
        raise ShapeError(at_user_line("np.searchsorted looks in arrays of rank 1"))
    if sorter is not None:
        x = getitem(x, sorter)
    y = as_traced(v)
    dtype = np.result_type(x.dtype, y.dtype).name
    block = named_block("searchsorted", *(["right"] if side == "right" else []))
    sources = [astype(stop_gradient(z), dtype) for z in (x, y)]
    return apply_block(block, sources)


def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    """Do `numpy.digitize` for rising bins."""
    return searchsorted(bins, x, side="left" if right else "right")


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Do `numpy.interp`."""
    if period is not None:
        x, xp, fp = _wrapped(x, xp, fp, float(period))
    at = astype(x, "float64")
    knots, values = astype(xp, "float64"), astype(fp, "float64")
    if knots.ndim != 1 or values.ndim != 1:
        raise ShapeError(at_user_line("np.interp: xp and fp are of rank 1"))
    count = knots.shape[0]
    if count == 1:
        inside: Any = values[0] + 0 * at
    else:
        place = np.clip(searchsorted(knots, at, "right") - 1, 0, count - 2)
        low, high = getitem(knots, place), getitem(knots, place + 1)
        start, stop = getitem(values, place), getitem(values, place + 1)
        inside = start + (stop - start) / (high - low) * (at - low)
    below = values[0] if left is None else left
    above = values[-1] if right is None else right
    inside = where(at < knots[0], below, where(at > knots[-1], above, inside))
    return where(at == knots[-1], values[-1], inside)


def _wrapped(x: Any, xp: Any, fp: Any, period: float) -> tuple[Any, Any, Any]:
    """Repeat a table once on each side of its period."""
    if period == 0:
        raise ValueError(at_user_line("np.interp: the period must not be zero"))
    size = abs(period)
    at, knots, values = np.mod(x, size), np.mod(xp, size), as_traced(fp)
    order = argsort(knots)
    knots, values = getitem(as_traced(knots), order), getitem(values, order)
    knots = concatenate([knots[-1:] - size, knots, knots[:1] + size])
    return at, knots, concatenate([values[-1:], values, values[:1]])


# quantiles


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: Any = False,
    method: Any = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
    **kwargs: Any,
) -> Any:
    """Do `numpy.quantile`, by linear interpolation between sorted values."""
    del overwrite_input
    refuse_keywords("np.quantile", out=out, weights=weights, **kwargs)
    if method not in ("linear", "lower", "higher", "nearest", "midpoint"):
        raise UnsupportedOperationError(
            at_user_line(
                f"np.quantile with method={method!r} is not supported; allowed are 'linear', "
                "'lower', 'higher', 'nearest' and 'midpoint'"
            )
        )
    if isinstance(q, TracedArray):
        raise UnsupportedOperationError(at_user_line("np.quantile of a traced q: pass numbers"))
    x, reduced = _flat_axes(a, axis)
    ordered = sort(x if x.dtype.kind == "f" else astype(x, "float64"), -1)
    levels = np.asarray(q, float)
    result = _at_levels(ordered, levels, method)
    if is_given(keepdims) and keepdims:
        lead = (slice(None),) * levels.ndim
        shape = tuple(None if n in reduced else slice(None) for n in range(as_traced(a).ndim))
        result = getitem(result, (*lead, *shape))
    return result


def _flat_axes(a: Any, axis: Any) -> tuple[TracedArray, list[int]]:
    """Move axes to the end and lay them out flat."""
    x = as_traced(a)
    if axis is None:
        return ravel(x), list(range(x.ndim))
    axes = [as_axis(n, x.ndim) for n in (axis if isinstance(axis, (tuple, list)) else [axis])]
    moved: Any = moveaxis(x, axes, list(range(x.ndim - len(axes), x.ndim)))
    kept = x.ndim - len(axes)
    return (moved if len(axes) == 1 else moved.reshape((*moved.shape[:kept], -1))), axes


def _at_levels(ordered: Any, levels: np.ndarray, method: str) -> Any:
    count = ordered.context.pin(ordered.shape_[-1])
    places = levels * (count - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, count - 1)
    share = places - low
    if method == "lower":
        share = np.zeros_like(share)
    elif method == "higher":
        share = np.where(share > 0, 1.0, 0.0)
    elif method == "midpoint":
        share = np.where(share > 0, 0.5, 0.0)
    elif method == "nearest":
        share = np.rint(places) - low
    start, stop = ordered[..., low], ordered[..., high]
    result: Any = start + (stop - start) * share.astype(ordered.dtype)
    # NaN is sorted to the end, and makes every quantile NaN.
    has_nan = np.isnan(ordered[..., -1])[(..., *[None] * levels.ndim)]
    result = where(has_nan, np.nan, result)
    behind = list(range(result.ndim - levels.ndim, result.ndim))
    return moveaxis(result, behind, list(range(levels.ndim)))


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: Any = False,
    method: Any = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
    **kwargs: Any,
) -> Any:
    """Do `numpy.percentile`."""
    if isinstance(q, TracedArray):
        quantile(a, q)
    levels = np.asarray(q, float) / 100
    return quantile(
        a, levels, axis, out, overwrite_input, method, keepdims, weights=weights, **kwargs
    )


def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False
) -> Any:
    """Do `numpy.median`."""
    del overwrite_input
    return quantile(a, 0.5, axis, out, keepdims=keepdims)


ORDERING: dict[Any, Callable[..., Any]] = {
    np.cumsum: cumsum,
    np.cumprod: cumprod,
    np.nancumsum: nancumsum,
    np.nancumprod: nancumprod,
    np.cumulative_sum: _cumulative(cumsum, 0),
    np.cumulative_prod: _cumulative(cumprod, 1),
    np.sort: sort,
    np.argsort: argsort,
    np.partition: partition,
    np.argpartition: argpartition,
    np.lexsort: lexsort,
    np.searchsorted: searchsorted,
    np.digitize: digitize,
    np.interp: interp,
    np.quantile: quantile,
    np.percentile: percentile,
    np.median: median,
}

ACCUMULATIONS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {
    (np.add, "accumulate"): lambda array, axis=0, dtype=None, out=None: cumsum(
        array, axis, dtype, out
    ),
    (np.multiply, "accumulate"): lambda array, axis=0, dtype=None, out=None: cumprod(
        array, axis, dtype, out
    ),
    **{
        (ufunc, "accumulate"): _accumulate(ufunc)
        for ufunc in (np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp)
    },
    **{
        (ufunc, "accumulate"): _accumulate(ufunc)
        for ufunc in (np.logical_and, np.logical_or, np.logical_xor)
    },
}
