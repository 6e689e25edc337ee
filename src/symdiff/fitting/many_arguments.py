"""Arguments of `fit_many`: what came, checked, as the driver takes it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.fitting.estimators import LOSSES, Estimator
from symdiff.fitting.lane_driver import Data
from symdiff.fitting.lane_kernels import Problem
from symdiff.runtime.placement import converted, is_on_device, taken, to_host
from symdiff.runtime.transforms import jit

__all__ = ["read_arguments"]

BAD_COUNTS = "y has negative elements; estimator 'poisson' takes counts"
BAD_WEIGHTS = "weights must be finite and not negative: they are 1/variance"
BLOCK = 1 << 18
"""Numbers that are looked at together, so that data on disk are never read as a whole."""


def read_arguments(
    x: Any,
    y: Any,
    p0: Any,
    weights: Any,
    bounds: Any,
    fixed: Any,
    estimator: str,
    loss: str,
    absolute_sigma: bool | None,
    own_x: bool | None,
) -> tuple[Problem, Data, bool]:
    """Check the arguments of `fit_many`.

    Returns
    -------
    problem : Problem
        What kernels are made for.
    data : Data
    is_absolute : bool
        Whether the covariance is not to be scaled.
    """
    kind = _estimator(estimator, loss)
    x, y, p0, weights = _on_either_side(x, y, p0, weights)
    data_y = _read_data(y)
    n_fits, n_points = data_y.shape
    dtype = data_y.dtype if data_y.dtype == np.float32 else np.dtype(np.float64)
    starts = _spread(_reals(p0, "p0", dtype), "p0", n_fits)
    n_params = starts.shape[1]
    free = _free(fixed, n_params)
    data_x, has_own_x = _read_x(x, n_fits, n_points, dtype, own_x)
    given = None if weights is None else _read_weights(weights, n_fits, n_points)
    has_gaps = _scan(data_y, given, kind)
    form = "gaps" if has_gaps else "none" if given is None else ("shared", "own")[given.ndim - 1]
    if given is not None and given.ndim == 1:
        given = given.astype(dtype)
    box = None if bounds is None else _box(bounds, to_host(starts), free)
    predictors = data_x.ndim - has_own_x
    problem = Problem(
        n_points,
        None if predictors == 1 else data_x.shape[-1],
        has_own_x,
        n_params,
        free,
        dtype.name,
        kind,
        form,
        box is not None,
    )
    if absolute_sigma is None:
        absolute_sigma = weights is not None or estimator == "poisson"
    return problem, Data(data_x, data_y, given, box, starts), bool(absolute_sigma)


def _on_either_side(x: Any, y: Any, p0: Any, weights: Any) -> list[Any]:
    """Take arrays on a GPU; what is the same for all fits is needed on the host."""
    found = [taken(a) for a in (x, y, p0, weights)]
    rank = 2 if is_on_device(found[1]) else 3
    return [a if getattr(a, "ndim", 0) == rank else to_host(a) for a in found]


def _estimator(name: str, loss: str) -> Estimator:
    if name not in ("least_squares", "poisson"):
        raise ValueError(f"estimator {name!r} is unknown; allowed are 'least_squares', 'poisson'")
    if loss not in LOSSES:
        raise ValueError(f"loss {loss!r} is unknown; allowed are {', '.join(map(repr, LOSSES))}")
    if name == "poisson" and loss != "linear":
        raise ValueError(f"loss {loss!r} goes with estimator 'least_squares' only")
    return Estimator(name, loss)


def _reals(values: Any, name: str, dtype: Any = None) -> np.ndarray:
    """Take an array of real numbers, converted only where a dtype is given."""
    if is_on_device(values):
        if values.dtype not in (np.float32, np.float64):
            raise DTypeError(
                at_user_line(
                    f"{name} has dtype {values.dtype}; on a GPU it needs float32 or float64"
                )
            )
        return values if dtype is None else converted(values, dtype)
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DTypeError(at_user_line(f"{name} has dtype {array.dtype}; it needs real numbers"))
    return array if dtype is None else np.asarray(array, dtype=dtype)


def _read_data(y: Any) -> np.ndarray:
    if not isinstance(y, np.ndarray) and _is_ragged(y):
        y = _padded(y, "y", np.nan)
    array = _reals(y, "y")
    if array.ndim != 2:
        raise ShapeError(
            at_user_line(f"y has shape {array.shape}; it needs two axes, of fits and of points")
        )
    if not array.shape[1]:
        raise ShapeError(at_user_line(f"y has shape {array.shape}; there are no points"))
    return array


def _is_ragged(values: Any) -> bool:
    if not isinstance(values, Sequence) or isinstance(values, str):
        return False
    return len({np.shape(v)[-1:] for v in values}) > 1


def _padded(rows: Sequence[Any], name: str, fill: float | None) -> np.ndarray:
    """Fill up arrays along their last axis; with their last element if `fill` is None."""
    arrays = [_reals(r, f"{name}[{n}]") for n, r in enumerate(rows)]
    lengths = [a.shape[-1] if a.ndim else 0 for a in arrays]
    if len({a.shape[:-1] for a in arrays}) > 1 or min(lengths) == 0:
        raise ShapeError(at_user_line(f"{name} has empty arrays, or arrays of different ranks"))
    dtype = np.result_type(*arrays)
    if dtype.kind != "f":
        dtype = np.dtype(np.float64)
    longest = max(lengths)
    result = np.empty((len(arrays), *arrays[0].shape[:-1], longest), dtype)
    for row, array in zip(result, arrays, strict=True):
        row[..., : array.shape[-1]] = array
        row[..., array.shape[-1] :] = array[..., -1:] if fill is None else fill
    return result


def _read_x(
    x: Any, n_fits: int, n_points: int, dtype: np.dtype, own_x: bool | None
) -> tuple[np.ndarray, bool]:
    """Give x, points before predictors, and whether each fit has its own."""
    if not isinstance(x, np.ndarray) and _is_ragged(x):
        x = _padded(x, "x", None)
    array = _reals(x, "x")
    if own_x is None:
        own_x = array.ndim == 3 or (array.ndim == 2 and array.shape[0] == n_fits)
    rank = array.ndim - bool(own_x)
    shape = tuple(array.shape)
    if rank not in (1, 2) or shape[-1] != n_points or (own_x and shape[0] != n_fits):
        raise ShapeError(
            at_user_line(
                f"x has shape {shape}, y has {n_fits} fits of {n_points} points; allowed are "
                f"({n_points},) and (k, {n_points}), for all fits or with {n_fits} in front"
            )
        )
    if rank == 2:
        array = to_host(array).swapaxes(-1, -2)
    return array if own_x else np.ascontiguousarray(array, dtype), bool(own_x)


def _read_weights(weights: Any, n_fits: int, n_points: int) -> np.ndarray:
    if not isinstance(weights, np.ndarray) and _is_ragged(weights):
        weights = _padded(weights, "weights", 0.0)
    array = _reals(weights, "weights")
    if array.shape not in ((n_points,), (n_fits, n_points)):
        raise ShapeError(
            at_user_line(
                f"weights have shape {array.shape}; allowed are {(n_points,)}, {(n_fits, n_points)}"
            )
        )
    return array


def _scan(y: np.ndarray, weights: np.ndarray | None, kind: Estimator) -> bool:
    """Look for misuse, and whether there are missing points or weights of zero."""
    if is_on_device(y):
        return _scan_on_device(y, weights, kind)
    has_gaps = False
    for rows in _blocks(y):
        with np.errstate(over="ignore", invalid="ignore"):  # a sum is the fastest look
            is_plain = y.dtype.kind != "f" or bool(np.isfinite(np.sum(rows)))
        has_gaps = has_gaps or (not is_plain and bool(np.isnan(rows).any()))
        if kind.name == "poisson" and (rows < 0).any():
            raise ValueError(BAD_COUNTS)
    return has_gaps if weights is None else _scan_weights(weights) or has_gaps


def _scan_weights(weights: np.ndarray) -> bool:
    """Look for misuse, and whether there are weights of zero."""
    has_zeros = False
    for rows in _blocks(np.atleast_2d(weights)):
        least = rows.min(initial=np.inf)
        if not least >= 0 or not rows.max(initial=0.0) < np.inf:
            raise ValueError(BAD_WEIGHTS)
        has_zeros = has_zeros or bool(least == 0)
    return has_zeros


def _scan_on_device(y: Any, weights: Any, kind: Estimator) -> bool:
    """Look at data on a GPU; whether points are missing is seen by what comes out."""
    if kind.name == "poisson" and to_host(_count_negative(y)):
        raise ValueError(BAD_COUNTS)
    if weights is None or not is_on_device(weights):
        return weights is not None and _scan_weights(weights)
    n_bad, n_zero = to_host(_look_at_weights(weights))
    if n_bad:
        raise ValueError(BAD_WEIGHTS)
    return bool(n_zero)


@jit
def _count_negative(y: Any) -> Any:
    return np.sum(y < 0)


@jit
def _look_at_weights(weights: Any) -> tuple[Any, Any]:
    is_good = (weights >= 0) & np.isfinite(weights)
    return np.sum(~is_good), np.sum(weights == 0)


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BLOCK // max(array.shape[1], 1))
    for begin, end in itertools.pairwise([*range(0, len(array), step), len(array)]):
        yield array[begin:end]


def _spread(values: np.ndarray, name: str, n_fits: int, n_params: int | None = None) -> np.ndarray:
    """Give each fit a row of parameters."""
    if values.ndim == 0 and n_params is not None:
        values = np.broadcast_to(values, (n_params,))
    fits = values.ndim == 2 and values.shape[0] == n_fits
    is_long = values.shape[-1:] != (0,) if n_params is None else values.shape[-1:] == (n_params,)
    if not is_long or not (values.ndim == 1 or fits):
        count = "n_params" if n_params is None else n_params
        raise ShapeError(
            at_user_line(
                f"{name} has shape {values.shape}; allowed are ({count},) and ({n_fits}, {count})"
            )
        )
    if is_on_device(values):
        return values
    return np.broadcast_to(values, (n_fits, values.shape[-1]))


def _free(fixed: Any, n_params: int) -> tuple[int, ...]:
    if fixed is None:
        return tuple(range(n_params))
    mask = np.asarray(fixed)
    if mask.dtype != bool:
        raise DTypeError(at_user_line(f"fixed has dtype {mask.dtype}; it needs to be Boolean"))
    if mask.shape != (n_params,):
        raise ShapeError(at_user_line(f"fixed has shape {mask.shape}, p0 {n_params} parameters"))
    if mask.all():
        raise ValueError("fixed leaves no parameter to fit")
    return tuple(np.flatnonzero(~mask).tolist())


def _box(bounds: Any, starts: np.ndarray, free: tuple[int, ...]) -> np.ndarray | None:
    """Lower and upper bounds of the free parameters, side by side; None where there are none."""
    if hasattr(bounds, "lb"):
        bounds = (bounds.lb, bounds.ub)
    n_fits, n_params = starts.shape
    columns = list(free)
    lower, upper = (
        _given(_spread(_reals(b, "bounds", starts.dtype), "bounds", n_fits, n_params))[:, columns]
        for b in bounds
    )
    if not (lower < upper).all():
        raise ValueError("each lower bound must be strictly less than its upper bound")
    if np.isinf(lower).all() and np.isinf(upper).all():
        return None
    at = _given(starts)[:, columns]
    is_outside = ((at < lower) | (at > upper)).any(axis=1)
    if is_outside.any():
        k = int(np.argmax(is_outside))
        p, low, high = (rows[k] for rows in np.broadcast_arrays(at, lower, upper))
        raise ValueError(
            f"p0 is outside of the bounds, first in fit {k}: {p} not in [{low}, {high}]"
        )
    box = np.concatenate(np.broadcast_arrays(lower, upper), axis=1)
    return np.broadcast_to(box, (n_fits, box.shape[1]))


def _given(rows: np.ndarray) -> np.ndarray:
    """What was given for all fits is one row: millions of them need no memory of their own."""
    return rows if rows.strides[0] else rows[:1]
