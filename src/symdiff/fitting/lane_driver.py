"""Driving the kernels of many fits on the CPU: chunks, stages of steps, and who still runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symdiff.config import config
from symdiff.fitting import levenberg_marquardt as lm
from symdiff.fitting.lane_kernels import Kernels, Problem, without_gaps
from symdiff.fitting.lanes import Layout
from symdiff.fitting.status import FitStatus

__all__ = ["Data", "Options", "Results", "fit_all", "report", "selected"]

CHUNK_BYTES = 1 << 20
"""The data of a chunk, which stay in the second cache while its fits go on."""
MAX_GROUPS = 64
STAGES = (6.0, 4.0, 8.0, 16.0, 32.0)
"""Steps between looks at who still runs; then as the last. The first evaluation is a step here."""
FEW = 0.75
"""Fits that run are gathered when they are no more than this part of the lanes."""


@dataclass
class Data:
    """What is fitted; the first axis of what each fit has of its own is that of the fits.

    Attributes
    ----------
    x : ndarray
        Of shape (n_points,) or (n_points, k), or with an axis of fits in front.
    y : ndarray, shape (n_fits, n_points)
    weights : ndarray or None
        Shared, of shape (n_points,), or one row a fit.
    box : ndarray or None, shape (n_fits, 2 n_free)
        Lower, then upper bounds.
    starts : ndarray, shape (n_fits, n_params)
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    box: np.ndarray | None
    starts: np.ndarray


@dataclass
class Options:
    """How the fits go; see `fit_many`."""

    tol: float
    f_scale: float
    max_steps: int
    is_absolute: bool
    progress: bool


class Results(NamedTuple):
    """Arrays with a row for each fit; of the covariance the lower triangle of free parameters."""

    params: np.ndarray
    covariance: np.ndarray
    objective: np.ndarray
    n_steps: np.ndarray
    status: np.ndarray

    @classmethod
    def empty(cls, n_fits: int, layout: Layout, dtype: np.dtype) -> Results:
        """Make room for results."""
        return cls(
            np.empty((n_fits, layout.n_params), dtype),
            np.empty((n_fits, layout.n_free * (layout.n_free + 1) // 2), dtype),
            np.empty(n_fits, dtype),
            np.empty(n_fits, np.int32),
            np.empty(n_fits, np.int8),
        )


def fit_all(kernels: Kernels, data: Data, options: Options) -> Results:
    """Fit everything, chunk by chunk, by as many threads as there may be."""
    n_fits = len(data.y)
    results = Results.empty(n_fits, kernels.problem.layout, np.dtype(kernels.problem.dtype))
    size = _chunk_size(kernels)
    chunks = [slice(at, min(at + size, n_fits)) for at in range(0, n_fits, size)]
    if not chunks:
        return results

    def fit(chunk: slice) -> int:
        Chunk(kernels, data, options, chunk).fit(results)
        return chunk.stop - chunk.start

    first, *rest = chunks  # by itself: it may have to compile
    report(_each(fit, first, rest), n_fits, options.progress)
    return results


def _each(fit: Callable[[slice], int], first: slice, rest: list[slice]) -> Iterable[int]:
    yield fit(first)
    threads = min(config.threads, len(rest))
    if threads < 2:
        yield from map(fit, rest)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(fit, rest)


def report(counts: Iterable[int], n_fits: int, progress: bool) -> None:
    """Go through the chunks; say on standard error how far we are."""
    began = last = time.monotonic()
    done = 0
    for count in counts:
        done += count
        now = time.monotonic()
        if progress and (now - last > 0.2 or done == n_fits):
            last = now
            rate = done / max(now - began, 1e-9)
            end = "\n" if done == n_fits else ""
            text = f"\rfit_many: {done} of {n_fits} fits, {rate:.3g} a second"
            print(text, end=end, file=sys.stderr, flush=True)  # noqa: T201 - asked for


def _chunk_size(kernels: Kernels) -> int:
    p = kernels.problem
    arrays = 1 + (p.weighting in ("own", "gaps")) + p.has_own_x * (p.n_predictors or 1)
    numbers = arrays * p.n_points + p.layout.n_rows
    groups = CHUNK_BYTES // (numbers * np.dtype(p.dtype).itemsize * p.lanes)
    return p.lanes * min(max(groups, 1), MAX_GROUPS)


def _in_lanes(rows: np.ndarray, lanes: int) -> np.ndarray:
    """Put fits in lanes: (fits, ...) to (groups, ..., lanes); the first fills up the last group."""
    missing = -len(rows) % lanes
    if missing:
        rows = np.concatenate([rows, np.broadcast_to(rows[:1], (missing, *rows.shape[1:]))])
    groups = rows.reshape(-1, lanes, *rows.shape[1:])
    return np.ascontiguousarray(np.moveaxis(groups, 1, -1))


def _put(place: np.ndarray, groups: np.ndarray) -> None:
    """Undo `_in_lanes`, into an array with a row for each fit."""
    values = np.moveaxis(groups, -1, 1)
    whole, rest = divmod(len(place), groups.shape[-1])
    place[: len(place) - rest].reshape(-1, *values.shape[1:])[...] = values[:whole]
    if rest:
        place[-rest:] = values[whole, :rest]


def selected(p: Problem, data: Data, chunk: slice) -> tuple[Any, ...]:
    """Read the data of some fits: x, y, weights, box, and how many points each fit has."""
    y, weights, x = np.ascontiguousarray(data.y[chunk], p.dtype), data.weights, data.x
    if weights is not None and weights.ndim == 2:
        weights = weights[chunk]
    counts = np.full(len(y), p.n_points)
    if p.weighting == "gaps":
        y, weights = without_gaps(y, weights)
        counts = np.count_nonzero(weights, axis=1)
    if weights is not None and weights.ndim == 2:
        weights = np.ascontiguousarray(weights, p.dtype)
    if p.has_own_x:
        x = np.ascontiguousarray(x[chunk], p.dtype)
    return x, y, weights, None if data.box is None else data.box[chunk], counts


class Chunk:
    """Some fits, from their data to their results."""

    def __init__(self, kernels: Kernels, data: Data, options: Options, chunk: slice) -> None:
        p = kernels.problem
        self.kernels, self.options, self.chunk = kernels, options, chunk
        self.lanes = p.lanes
        *self.data, self.counts = selected(p, data, chunk)
        self.is_own = (p.has_own_x, True, p.weighting in ("own", "gaps"), p.has_bounds)
        self.state = p.layout.begin(_in_lanes(data.starts[chunk], p.lanes))
        is_short = _in_lanes(self.counts, p.lanes) < p.layout.n_free
        self.state[:, p.layout.status][is_short] = FitStatus.TOO_FEW_POINTS

    def _operands(self, who: np.ndarray | slice) -> list[np.ndarray | None]:
        """Give x, y, weights and box as the kernel takes them, for some of the fits."""
        return [
            _in_lanes(a[who], self.lanes) if is_own and a is not None else a
            for a, is_own in zip(self.data, self.is_own, strict=True)
        ]

    def fit(self, results: Results) -> None:
        """Run until every fit is done, and write what came out."""
        self._run()
        layout = self.kernels.problem.layout
        freedom = (self.counts - layout.n_free).astype(self.state.dtype)
        freedom = _in_lanes(freedom, self.lanes)
        found = self.kernels.finish(self.state, freedom, self.options.is_absolute)
        for array, groups in zip(results, (self.state[:, : layout.n_params], *found), strict=True):
            _put(array[self.chunk], groups)

    def _run(self) -> None:
        """Step in stages; between them gather the fits that still run."""
        status, options = self.kernels.problem.layout.status, self.options
        operands, state, who = self._operands(slice(None)), self.state, None
        stages = iter(STAGES)
        steps = STAGES[0]
        while True:
            steps = next(stages, steps)
            numbers = options.tol, options.f_scale, float(options.max_steps), steps
            state = self.kernels.advance(*operands, state, *numbers)
            (running,) = np.nonzero(state[:, status].reshape(-1) == lm.RUNNING)
            if running.size > FEW * state.shape[0] * self.lanes:
                continue
            if who is None:
                self.state = state
                who = running[running < len(self.counts)]
            else:
                groups, lanes = np.divmod(who, self.lanes)
                rows = state.transpose(0, 2, 1).reshape(-1, state.shape[1])
                self.state[groups, :, lanes] = rows[: who.size]
                who = who[running[running < who.size]]
            if not who.size:
                return
            groups, lanes = np.divmod(who, self.lanes)
            state = _in_lanes(self.state[groups, :, lanes], self.lanes)
            operands = self._operands(who)
