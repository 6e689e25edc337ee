"""Elements chosen by conditions or by positions, and the positions of extrema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import constant, index
from symdiff.program.equations import IndexValue
from symdiff.tracing.arguments import as_axis, is_given, refuse_keywords, refuse_layout
from symdiff.tracing.construction import stack
from symdiff.tracing.indexing import getitem
from symdiff.tracing.operations import SELECT
from symdiff.tracing.pointwise import where
from symdiff.tracing.reductions import keep_axes, reduce_max, reduce_min
from symdiff.tracing.shapes import along, at_least, broadcast_to, moveaxis, ravel, reshape
from symdiff.tracing.splitting import broadcast_arrays, unstack
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = ["SELECTION"]


def take(
    a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise"
) -> TracedArray:
    """Do `numpy.take`."""
    refuse_keywords("np.take", out=out)
    x = ravel(a) if axis is None else at_least(a, 1)
    axis = 0 if axis is None else as_axis(axis, x.ndim)
    positions: Any = indices if isinstance(indices, TracedArray) else np.asarray(indices)
    if positions.dtype.kind not in "iub" and positions.size:
        raise DTypeError(at_user_line(f"np.take: positions are integers, not {positions.dtype}"))
    positions = positions.astype("int64")
    if mode == "wrap":
        positions = np.remainder(positions, x.shape[axis])
    elif mode == "clip":
        positions = np.clip(positions, 0, x.shape[axis] - 1)
    elif mode != "raise":
        raise UnsupportedOperationError(at_user_line(f"np.take with mode={mode!r}"))
    return along(x, axis, positions)


def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> TracedArray:
    """Do `numpy.take_along_axis`."""
    x = ravel(arr) if axis is None else as_traced(arr)
    axis = 0 if axis is None else as_axis(axis, x.ndim)
    positions: Any = indices if isinstance(indices, TracedArray) else np.asarray(indices)
    if positions.ndim != x.ndim:
        raise ShapeError(at_user_line("`indices` and `arr` must have the same rank"))
    key: list[Any] = []
    for n in range(x.ndim):
        if n == axis:
            key.append(positions)
            continue
        shape = [1] * x.ndim
        shape[n] = -1
        key.append(np.arange(x.context.pin(x.shape_[n])).reshape(shape))
    return getitem(x, tuple(key))


def _constant_condition(condition: Any, name: str) -> np.ndarray:
    if isinstance(condition, TracedArray):
        raise UnsupportedOperationError(
            at_user_line(
                f"{name} with a traced condition gives a shape that depends on values. Write "
                "np.where(condition, a, b)"
            )
        )
    return np.asarray(condition)


def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> TracedArray:
    """Do `numpy.compress`."""
    kept = _constant_condition(condition, "np.compress")
    if kept.ndim != 1:
        raise ShapeError(at_user_line("np.compress: condition must be a 1-d array"))
    return take(a, np.flatnonzero(kept), axis, out)


def extract(condition: Any, arr: Any) -> TracedArray:
    """Do `numpy.extract`."""
    return take(arr, np.flatnonzero(_constant_condition(condition, "np.extract")))


def _common_dtype(values: Sequence[Any]) -> str:
    """What NumPy makes of these together; Python numbers take the type of what they meet."""
    weak = (bool, int, float)
    return np.result_type(*[v if type(v) in weak else as_traced(v).example for v in values]).name


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Do `numpy.select`: the first condition that holds decides."""
    conditions, choices = list(condlist), list(choicelist)
    if len(conditions) != len(choices) or not conditions:
        raise ShapeError(
            at_user_line(
                f"np.select: {len(conditions)} conditions for {len(choices)} choices; there have "
                "to be as many, and at least one"
            )
        )
    if any(as_traced(c).dtype_ != "bool" for c in conditions):
        raise DTypeError(at_user_line("np.select: conditions have to be Booleans"))
    dtype = _common_dtype([*choices, default])
    result = astype(default, dtype)
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = where(condition, astype(choice, dtype), result)
    return result


def choose(a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
    """Do `numpy.choose`; a traced choice out of range takes the last, since nothing can raise."""
    refuse_keywords("np.choose", out=out)
    options = list(choices) if isinstance(choices, (list, tuple)) else list(unstack(choices))
    last = len(options) - 1
    if mode not in ("raise", "wrap", "clip"):
        raise UnsupportedOperationError(at_user_line(f"np.choose with mode={mode!r}"))
    chosen: Any = a if isinstance(a, TracedArray) else np.asarray(a)
    if chosen.dtype.kind not in "iub":
        raise DTypeError(at_user_line(f"np.choose: choices are integers, not {chosen.dtype}"))
    if (
        mode == "raise"
        and isinstance(chosen, np.ndarray)
        and not np.all((chosen >= 0) & (chosen <= last))
    ):
        raise ShapeError(at_user_line("np.choose: invalid entry in choice array"))
    if mode == "wrap":
        chosen = np.remainder(chosen, last + 1)
    dtype = _common_dtype(options)
    result = astype(options[last], dtype)
    for n in range(last - 1, -1, -1):
        reached = chosen <= n if mode == "clip" and n == 0 else chosen == n
        result = where(reached, astype(options[n], dtype), result)
    return broadcast_arrays(chosen, result)[1]


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Do `numpy.piecewise`, whose functions have to be pointwise: they get all of `x`."""
    x = as_traced(x)
    conditions = _conditions(x, condlist)
    functions = list(funclist)
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise ShapeError(
            at_user_line(
                f"with {len(conditions)} condition(s), either {len(conditions)} or "
                f"{len(conditions) + 1} functions are expected"
            )
        )
    otherwise = functions.pop() if len(functions) > len(conditions) else 0
    result = broadcast_to(_piece(x, otherwise, args, kw), x.shape)
    for condition, function in zip(conditions, functions, strict=True):
        result = where(condition, _piece(x, function, args, kw), result)
    return result


def _conditions(x: TracedArray, condlist: Any) -> list[Any]:
    """Give a list of conditions; one alone need not stand in a list."""
    if isinstance(condlist, TracedArray):
        return [condlist] if condlist.ndim <= min(x.ndim, 1) else list(unstack(condlist))
    if not isinstance(condlist, (list, tuple, np.ndarray)) or not len(condlist):
        return [condlist]
    first = condlist[0]
    is_list = isinstance(first, list) or getattr(first, "ndim", 0) > 0
    return list(condlist) if is_list or x.ndim == 0 else [np.asarray(condlist)]


def _piece(x: TracedArray, function: Any, args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
    value = function(x, *args, **kw) if callable(function) else function
    return astype(value, x.dtype_)


def _arg_extremum(name: str, kind: str) -> Callable[..., TracedArray]:
    """Make `numpy.argmax` or `numpy.argmin`: the extremum, and the first place where it is."""

    def find(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> TracedArray:
        refuse_keywords(name, out=out)
        x: Any = as_traced(a)
        if isinstance(axis, (tuple, list)):
            raise ShapeError(at_user_line(f"{name} takes one axis, or None, not {axis}"))
        if axis is not None:
            number = as_axis(axis, max(x.ndim, 1))
            axis = number if x.ndim else None
        if x.dtype_ == "bool":
            x = astype(x, "uint8")
        best: Any = (reduce_max if kind == "max=" else reduce_min)(x, axis, keepdims=True)
        found = x == best
        if x.dtype.kind == "f":
            found = found | np.isnan(x)
        return _first(found, axis, keepdims=is_given(keepdims) and bool(keepdims))

    return find


def _first(found: TracedArray, axis: int | None, *, keepdims: bool) -> TracedArray:
    """Give the first place along an axis, or in the whole array, that is marked."""
    context = found.context
    axes = list(range(found.ndim)) if axis is None else [axis]
    place, length = constant(0), constant(1)
    for n in axes:
        place = place.scaled(found.shape_[n]).plus(index(n))
        length = length.scaled(found.shape_[n])
    kept = [n for n in range(found.ndim) if n not in axes]
    shape = tuple(found.shape_[n] for n in kept)
    name = context.emit(
        SELECT,
        [context.read(found, found.shape_), IndexValue(place), IndexValue(length)],
        found.shape_,
        "int64",
        operator="min=" if axes else "=",
        target=tuple(index(n) for n in kept),
        shape=shape,
    )
    result = TracedArray(context, name, shape, "int64", owns=True)
    return keep_axes(result, axes, found.ndim) if keepdims else result


def _nan_arg_extremum(name: str, kind: str) -> Callable[..., TracedArray]:
    """Make `numpy.nanargmax` or `numpy.nanargmin`; of nothing but NaN it gives the first place."""
    find = _arg_extremum(name, kind)
    worst = -np.inf if kind == "max=" else np.inf

    def search(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> TracedArray:
        x = as_traced(a)
        if x.dtype.kind == "f":
            x = where(np.isnan(x), worst, x)
        return find(x, axis, out, keepdims=keepdims)

    return search


def unravel_index(indices: Any, shape: Any, order: Any = "C") -> tuple[Any, ...]:
    """Do `numpy.unravel_index`, without a check of what is traced."""
    refuse_layout("np.unravel_index", order, ("C",))
    rest: Any = as_traced(indices)
    places: list[Any] = []
    for length in reversed(tuple(shape) if np.iterable(shape) else (shape,)):
        places.append(rest % length)
        rest = rest // length
    return tuple(reversed(places))


def _shape_now(arr: TracedArray) -> tuple[int, ...]:
    return tuple(arr.context.pin(e) for e in arr.shape_)


def _diagonal_indices(arr: Any) -> Any:
    """Do `numpy.diag_indices_from`."""
    return np.diag_indices_from(np.broadcast_to(0, _shape_now(arr)))


def _lower_indices(arr: Any, k: Any = 0) -> Any:
    """Do `numpy.tril_indices_from`."""
    return np.tril_indices_from(np.broadcast_to(0, _shape_now(arr)), k)


def _upper_indices(arr: Any, k: Any = 0) -> Any:
    """Do `numpy.triu_indices_from`."""
    return np.triu_indices_from(np.broadcast_to(0, _shape_now(arr)), k)


def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> TracedArray:
    """Do `numpy.apply_along_axis`: the function is traced once for each of the slices."""
    x = as_traced(arr)
    axis = as_axis(axis, x.ndim)
    rows = moveaxis(x, axis, -1)
    outer = tuple(x.context.pin(e) for e in rows.shape_[:-1])
    if 0 in outer:
        raise ShapeError(at_user_line("np.apply_along_axis of an empty array"))
    results = [as_traced(func1d(rows[place], *args, **kwargs)) for place in np.ndindex(outer)]
    inner = results[0].shape
    made = reshape(stack(results), (*outer, *inner))
    for n in range(len(inner)):
        made = moveaxis(made, len(outer) + n, axis + n)
    return made


def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """Do `numpy.apply_over_axes`."""
    result = x = as_traced(a)
    for axis in np.atleast_1d(axes):
        n = as_axis(axis, max(x.ndim, 1))
        result = as_traced(func(result, n))
        if result.ndim == x.ndim - 1:
            result = keep_axes(result, [n], x.ndim)
        elif result.ndim != x.ndim:
            raise ShapeError(at_user_line("np.apply_over_axes: the result has a wrong rank"))
        x = result
    return result


SELECTION: dict[Any, Callable[..., Any]] = {
    np.take: take,
    np.take_along_axis: take_along_axis,
    np.compress: compress,
    np.extract: extract,
    np.select: select,
    np.choose: choose,
    np.piecewise: piecewise,
    np.argmax: _arg_extremum("np.argmax", "max="),
    np.argmin: _arg_extremum("np.argmin", "min="),
    np.nanargmax: _nan_arg_extremum("np.nanargmax", "max="),
    np.nanargmin: _nan_arg_extremum("np.nanargmin", "min="),
    np.unravel_index: unravel_index,
    np.diag_indices_from: _diagonal_indices,
    np.tril_indices_from: _lower_indices,
    np.triu_indices_from: _upper_indices,
    np.apply_along_axis: apply_along_axis,
    np.apply_over_axes: apply_over_axes,
}
