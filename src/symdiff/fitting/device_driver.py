"""Many fits on a GPU: a thread for each, from its start to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from symdiff.fitting.lane_driver import Data, Options, Results, report
from symdiff.fitting.lane_kernels import Problem, kernels_for
from symdiff.fitting.status import FitStatus
from symdiff.runtime.placement import is_on_device, to_host
from symdiff.runtime.transforms import jit

__all__ = ["fit_all_on_device"]

PIECE_BYTES = 1 << 29
"""Of data that are given to a kernel at a time: progress is said between, and data that lie on disk
or have to be converted never lie in memory as a whole."""


def fit_all_on_device(
    model: Callable[..., Any], problem: Problem, data: Data, options: Options
) -> Results:
    """Fit everything; the results are those of `fit_all` but for rounding.

    They lie on the GPU if some of the data do. Whether there are missing points among those is
    asked only where a fit comes to nothing: to look takes a kernel of its own.
    """
    given = data.x, data.y, data.weights, data.starts
    if not any(is_on_device(a) for a in given):
        return _fit_pieces(model, problem, data, options)
    found = Results(*_fit(model, problem, data, options, slice(None)))
    if problem.weighting != "gaps" and is_on_device(data.y):
        is_lost = to_host(found.status) == FitStatus.NOT_FINITE
        if is_lost.any() and _has_missing(data.y):
            problem = problem._replace(weighting="gaps")
            found = Results(*_fit(model, problem, data, options, slice(None)))
    return found


@jit
def _count_missing(y: Any) -> Any:
    return np.sum(np.isnan(y))


def _has_missing(y: Any) -> bool:
    return bool(to_host(_count_missing(y)))


def _fit_pieces(
    model: Callable[..., Any], problem: Problem, data: Data, options: Options
) -> Results:
    p, n_fits = problem, len(data.y)
    results = Results.empty(n_fits, p.layout, np.dtype(p.dtype))
    row = p.n_points * (2 + p.has_own_x * (p.n_predictors or 1)) * np.dtype(p.dtype).itemsize
    size = max(PIECE_BYTES // row, 1)

    def pieces() -> Iterator[int]:
        for at in range(0, n_fits, size):
            piece = slice(at, min(at + size, n_fits))
            _fit(model, p, data, options, piece, tuple([a[piece] for a in results]))
            yield piece.stop - piece.start

    report(pieces(), n_fits, options.progress)
    return results


def _fit(
    model: Callable[..., Any],
    problem: Problem,
    data: Data,
    options: Options,
    piece: slice,
    out: Any = None,
) -> tuple[Any, ...]:
    real = np.dtype(problem.dtype).type
    box = data.box if data.box is None or _is_own(data.box) else data.box[0, :, None]
    arrays = (data.x, data.y, data.weights, box, data.starts)
    own = (
        problem.has_own_x,
        True,
        data.weights is not None and data.weights.ndim == 2,
        _is_own(data.box),
        True,  # what steps begin with each thread has for itself
    )
    fit = kernels_for(model, problem).on_device(own)
    found = fit(
        *[_taken(a, o, piece, problem.dtype) for a, o in zip(arrays, own, strict=True)],
        real(options.tol),
        real(options.f_scale),
        real(options.max_steps),
        options.is_absolute,
        out=None if out is None else tuple([a[..., None] for a in out]),
    )
    return found if out is not None else tuple([a.reshape(tuple(a.shape)[:-1]) for a in found])


def _is_own(rows: Any) -> bool:
    """Whether each fit has a row of its own: one that was spread over all of them has no stride."""
    return rows is not None and (is_on_device(rows) or rows.strides[0] != 0)


def _taken(a: Any, is_own: bool, piece: slice, dtype: str) -> Any:
    """Take what a kernel is given, in one lane: rows of some fits, or what is the same for all."""
    if a is None:
        return a
    if is_on_device(a):
        return a.reshape((*tuple(a.shape), 1))
    if is_own:
        return np.ascontiguousarray(a[piece], dtype)[..., None]
    return np.ascontiguousarray(a, dtype)
