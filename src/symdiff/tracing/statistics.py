"""Averages, covariances, and the reductions that leave NaN out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import index
from symdiff.program.equations import Read
from symdiff.program.patterns import COPY
from symdiff.tracing.arguments import as_axes, is_given, refuse_keywords
from symdiff.tracing.construction import concatenate, diag, filled
from symdiff.tracing.pointwise import where as choose
from symdiff.tracing.products import dot
from symdiff.tracing.reductions import (
    count_elements,
    is_masked,
    keep_axes,
    reduce_all,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    reduce_var,
)
from symdiff.tracing.shapes import at_least, broadcast_to, squeeze, transpose
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["STATISTICS"]


def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """Do `numpy.count_nonzero`."""
    return reduce_sum(astype(a, "bool"), axis=axis, keepdims=keepdims)


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """Do `numpy.ptp`."""
    refuse_keywords("np.ptp", out=out)
    low: Any = reduce_min(a, axis, keepdims=keepdims)
    return reduce_max(a, axis, keepdims=keepdims) - low


def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: Any = False,
    *,
    keepdims: Any = False,
) -> Any:
    """Do `numpy.average`; a sum of traced weights that is zero gives NaN rather than an error."""
    x = as_traced(a)
    if weights is None:
        mean = reduce_mean(x, axis, keepdims=keepdims)
        scale = as_traced(count_elements(x, axis))
    else:
        whole = ["f8"] if x.dtype.kind in "biu" else []
        w = _fit_weights(x, as_traced(weights), axis)
        dtype = np.result_type(x.dtype, w.dtype, *whole).name
        scale = reduce_sum(w, axis, dtype, keepdims=keepdims)
        mean = reduce_sum(astype(x, dtype) * astype(w, dtype), axis, keepdims=keepdims) / scale
    if not returned:
        return mean
    return mean, broadcast_to(astype(scale, mean.dtype_), mean.shape)


def _fit_weights(x: TracedArray, w: TracedArray, axis: Any) -> TracedArray:
    """Put the axes of the weights where those of the array are."""
    same = len(w.shape_) == len(x.shape_) and all(
        x.context.decide(p - q, "==") for p, q in zip(w.shape_, x.shape_, strict=True)
    )
    if same:
        return w
    if axis is None:
        raise ShapeError(
            at_user_line("Axis must be specified when shapes of a and weights differ.")
        )
    axes = as_axes(axis, x.ndim)
    if w.ndim != len(axes) or not all(
        x.context.decide(x.shape_[n] - e, "==") for n, e in zip(axes, w.shape_, strict=True)
    ):
        raise ShapeError(
            at_user_line("The shape of the weights must be that of the axes of the array.")
        )
    ordered = transpose(w, [int(n) for n in np.argsort(axes)])
    return keep_axes(ordered, [n for n in range(x.ndim) if n not in axes], x.ndim)


def cov(
    m: Any,
    y: Any = None,
    rowvar: Any = True,
    bias: Any = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Do `numpy.cov`."""
    data = _observations(m, y, rowvar, dtype)
    weights = _product_of_weights(fweights, aweights)
    ddof = (0 if bias else 1) if ddof is None else int(ddof)
    if weights is None:
        factor: Any = data.shape[1] - ddof
        factor = factor if factor > 0 else 0.0
    else:
        total = reduce_sum(weights)
        spent: Any = ddof
        if ddof and aweights is not None:
            spent = ddof * reduce_sum(weights * aweights) / total
        factor = np.maximum(total - spent, 0.0)
    deviation: Any = data - average(data, 1, weights)[:, None]
    weighted = deviation if weights is None else astype(deviation * weights, data.dtype_)
    scale: Any = as_traced(factor)
    return squeeze(dot(deviation, transpose(weighted)) * (1 / scale))


def _observations(m: Any, y: Any, rowvar: Any, dtype: Any) -> TracedArray:
    """Give a row for each variable."""
    parts = [as_traced(v) for v in (m, y) if v is not None]
    if any(x.ndim > 2 for x in parts):
        raise ShapeError(at_user_line("a covariance of an array with more than 2 dimensions"))
    computed = np.result_type(*[x.example for x in parts], np.float64) if dtype is None else dtype
    rows = []
    for n, x in enumerate(parts):
        table = at_least(astype(x, computed), 2)
        is_table = x.ndim != 1 if n == 0 else not table.context.decide(table.shape_[0] - 1, "==")
        rows.append(transpose(table) if not rowvar and is_table else table)
    return concatenate(rows, 0) if len(rows) > 1 else rows[0]


def _product_of_weights(fweights: Any, aweights: Any) -> Any:
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            w: Any = astype(given, "float64")
            if w.ndim != 1:
                raise ShapeError(at_user_line(f"weights of rank {w.ndim}; they have to be vectors"))
            weights = w if weights is None else weights * w
    return weights


def corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    """Do `numpy.corrcoef`."""
    c: Any = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation: Any = np.sqrt(diag(c))
    c = c / deviation[:, None] / deviation[None, :]
    return np.minimum(np.maximum(c, -1.0), 1.0)


def _without_nan(name: str, reduce: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    """Make `numpy.nansum` or `numpy.nanprod`."""

    def total(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        refuse_keywords(name, out=out)
        return reduce(_replaced(a, neutral), axis, dtype, None, keepdims, initial, where)

    return total


def _replaced(a: Any, value: float) -> TracedArray:
    """Put a number in the place of every NaN."""
    x = as_traced(a)
    return choose(np.isnan(x), value, x) if x.dtype.kind == "f" else x


def _present(x: Any, where: Any) -> Any:
    """Where there are numbers that are meant."""
    present = ~np.isnan(x)
    return present & as_traced(where) if is_masked(where) else present


def _extremum_without_nan(
    name: str, reduce: Callable[..., Any], worst: float
) -> Callable[..., TracedArray]:
    """Make `numpy.nanmax` or `numpy.nanmin`, which are NaN where there is nothing else."""

    def extremum(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        refuse_keywords(name, out=out)
        x: Any = as_traced(a)
        best = reduce(_replaced(x, worst), axis, None, keepdims, initial, where)
        if x.dtype.kind != "f" or is_given(initial):
            return best
        is_nothing = reduce_all(np.isnan(x), axis, keepdims=keepdims)
        return choose(is_nothing, np.nan, best)

    return extremum


def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = None,
) -> Any:
    """Do `numpy.nanmean`."""
    refuse_keywords("np.nanmean", out=out)
    x = as_traced(a)
    if x.dtype.kind == "f":
        where = _present(x, where)
    return reduce_mean(x, axis, dtype, None, keepdims, where)


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Do `numpy.nanvar`: NaN where there are no degrees of freedom."""
    refuse_keywords("np.nanvar", out=out)
    x = as_traced(a)
    options: dict[str, Any] = {"mean": mean, "correction": correction}
    if x.dtype.kind != "f":
        return reduce_var(x, axis, dtype, None, ddof, keepdims, where=where, **options)
    present = _present(x, where)
    variance = reduce_var(x, axis, dtype, None, ddof, keepdims, where=present, **options)
    count = count_elements(x, axis, present, keepdims)
    spent = correction if is_given(correction) else ddof
    return choose(count > spent, variance, np.nan)


def nanstd(a: Any, *args: Any, **kwargs: Any) -> Any:
    """Do `numpy.nanstd`."""
    return np.sqrt(nanvar(a, *args, **kwargs))


def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    """Do `numpy.bincount` of plain positions with traced weights."""
    if isinstance(x, TracedArray):
        raise UnsupportedOperationError(
            at_user_line(
                "np.bincount of traced values gives a shape that depends on values. Sum "
                "(x[:, None] == np.arange(n)) instead"
            )
        )
    bins = np.asarray(x)
    length = max(int(minlength), int(bins.max(initial=-1)) + 1)
    w = astype(weights, "float64")
    if bins.ndim != 1 or w.ndim != 1 or not w.context.decide(w.shape_[0] - bins.size, "=="):
        raise ShapeError(at_user_line("The weights and list don't have the same length."))
    if bins.size == 0:
        return filled(w.context, 0, (length,), "float64")
    context = w.context
    place = Read(context.add_constant(bins.astype(np.int64)), (index(0),))
    name = context.emit(
        COPY,
        [context.read(w, (bins.size,))],
        (bins.size,),
        "float64",
        operator="+=",
        target=(place,),
        shape=(length,),
    )
    return TracedArray(context, name, (length,), "float64", owns=True)


STATISTICS: dict[Any, Callable[..., Any]] = {
    np.count_nonzero: count_nonzero,
    np.ptp: ptp,
    np.average: average,
    np.cov: cov,
    np.corrcoef: corrcoef,
    np.nansum: _without_nan("np.nansum", reduce_sum, 0.0),
    np.nanprod: _without_nan("np.nanprod", reduce_prod, 1.0),
    np.nanmax: _extremum_without_nan("np.nanmax", reduce_max, -np.inf),
    np.nanmin: _extremum_without_nan("np.nanmin", reduce_min, np.inf),
    np.nanmean: nanmean,
    np.nanvar: nanvar,
    np.nanstd: nanstd,
    np.bincount: bincount,
}
