"""Many fits on a GPU: a thread for each, from its start to its end, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symdiff.fitting.lane_driver import Data, Options, Results, report, selected
from symdiff.fitting.lane_kernels import Kernels
from symdiff.fitting.status import FitStatus

__all__ = ["fit_all_on_device"]

MAX_FITS = 1 << 19
CHUNK_BYTES = 1 << 28
"""So many fits, and bytes of their data, are on the GPU at a time."""


def fit_all_on_device(kernels: Kernels, data: Data, options: Options) -> Results:
    """Fit everything; the results are those of `fit_all` but for rounding."""
    problem = kernels.problem
    n_fits = len(data.y)
    results = Results(n_fits, problem.layout, np.dtype(problem.dtype))
    row = problem.n_points * (2 + problem.has_own_x * (problem.n_predictors or 1))
    size = max(min(CHUNK_BYTES // (row * np.dtype(problem.dtype).itemsize), MAX_FITS), 1)

    def chunks() -> Iterator[int]:
        for at in range(0, n_fits, size):
            chunk = slice(at, min(at + size, n_fits))
            _fit(kernels, data, options, chunk, results)
            yield chunk.stop - chunk.start

    report(chunks(), n_fits, options.progress)
    return results


def _fit(kernels: Kernels, data: Data, options: Options, chunk: slice, results: Results) -> None:
    p = kernels.problem
    x, y, weights, box, counts = selected(p, data, chunk)
    status = np.zeros(len(y), p.dtype)
    status[counts < p.layout.n_free] = FitStatus.TOO_FEW_POINTS
    freedom = (counts - p.layout.n_free).astype(p.dtype)
    real = np.dtype(p.dtype).type
    found = kernels.fit_on_device(
        _lane(x) if p.has_own_x else x,
        _lane(y),
        _lane(weights) if p.weighting in ("own", "gaps") else weights,
        None if box is None else _lane(box),
        _lane(data.starts[chunk]),
        _lane(status),
        _lane(freedom),
        real(options.tol),
        real(options.f_scale),
        real(options.max_steps),
        options.is_absolute,
    )
    for array, values in zip(results.arrays, found, strict=True):
        array[chunk] = values[..., 0]


def _lane(rows: Any) -> np.ndarray:
    """Give each fit a group of one lane."""
    return np.ascontiguousarray(rows)[..., None]
