"""``symdiff demo pixels``: a T2 map, a fit for each pixel of a picture series."""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import symdiff as sd

__all__ = ["Series", "make_series", "run"]

SIDE, N_ECHOES, NOISE, MAX_STEPS = 512, 16, 0.02, 20
# Shepp and Logan's head of 1974: center, half axes, angle; then density and T2 in milliseconds,
# which are ours, of the order of those of skull, brain, fluid and lesions.
_ELLIPSES = (
    (0.0, 0.0, 0.69, 0.92, 0.0, 0.6, 40.0),
    (0.0, -0.0184, 0.6624, 0.874, 0.0, 0.8, 80.0),
    (0.22, 0.0, 0.11, 0.31, -18.0, 1.0, 300.0),
    (-0.22, 0.0, 0.16, 0.41, 18.0, 1.0, 300.0),
    (0.0, 0.35, 0.21, 0.25, 0.0, 0.85, 95.0),
    (0.0, 0.1, 0.046, 0.046, 0.0, 0.9, 120.0),
    (0.0, -0.1, 0.046, 0.046, 0.0, 0.9, 120.0),
    (-0.08, -0.605, 0.046, 0.023, 0.0, 0.7, 60.0),
    (0.0, -0.606, 0.023, 0.023, 0.0, 0.7, 60.0),
    (0.06, -0.605, 0.023, 0.046, 0.0, 0.7, 60.0),
)


@dataclass(frozen=True)
class Series:
    """A synthetic spin-echo series.

    Parameters
    ----------
    times
        Of the echoes, in milliseconds.
    pictures
        Shape ``(n_pixels, n_echoes)``, float32.
    density, t2
        What they were made of, shape ``(n_pixels,)``; zero outside of the head.
    """

    times: NDArray[np.float32]
    pictures: NDArray[np.float32]
    density: NDArray[np.float64]
    t2: NDArray[np.float64]


@dataclass(frozen=True)
class _Report:
    """What is told; times in seconds, errors of T2 relative."""

    n_pixels: int
    n_echoes: int
    n_head: int
    converged_percent: float
    compile_s: float
    fit_s: float
    fits_per_s: float
    threads: int
    median_error: float
    predicted_error: float
    spread: float


def make_series(side: int = SIDE, seed: int = 0) -> Series:
    """Make the pictures of a head at several times after its excitation, with noise.

    Parameters
    ----------
    side
        Pixels of a side.
    seed
        Of the noise.

    Examples
    --------
    >>> make_series(side=16).pictures.shape
    (256, 16)
    """
    y, x = np.mgrid[1 : -1 : side * 1j, -1 : 1 : side * 1j]
    density, t2 = np.zeros((side, side)), np.zeros((side, side))
    for x0, y0, a, b, degrees, new_density, new_t2 in _ELLIPSES:
        angle = np.deg2rad(degrees)
        u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        v = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
        is_inside = (u / a) ** 2 + (v / b) ** 2 <= 1
        density[is_inside], t2[is_inside] = new_density, new_t2
    times = np.arange(10.0, 10.0 + 20.0 * N_ECHOES, 20.0)
    density, t2 = density.ravel(), t2.ravel()
    signal = density[:, None] * np.exp(-times / np.where(t2 > 0, t2, 1.0)[:, None])
    noise = NOISE * np.random.default_rng(seed).standard_normal(signal.shape)
    return Series(times.astype(np.float32), (signal + noise).astype(np.float32), density, t2)


def decay(time, density, t2):  # type: ignore[no-untyped-def]
    """The signal of one pixel."""
    return density * np.exp(-time / t2)


def _starts(series: Series) -> NDArray[np.float32]:
    """Guess density and T2 of each pixel from its first echo and the sum of all."""
    y = np.maximum(series.pictures, 1e-3)
    step = series.times[1] - series.times[0]
    t2 = np.clip(step * y.sum(axis=1) / y[:, 0], 15.0, 500.0)
    return np.stack([y[:, 0], t2], axis=1)


def run(args: argparse.Namespace) -> int:
    """Make the series, fit each pixel, and print the report.

    Parameters
    ----------
    args
        ``json`` and ``plot`` (a path or None).

    Returns
    -------
    int
        0 when at least 99 % of the head's pixels converged and their errors are as predicted.
    """
    series = make_series()
    starts = _starts(series)
    limits = ([0.0, 1.0], [10.0, 5000.0])

    def fit(pictures: NDArray[np.float32], starts: NDArray[np.float32]) -> sd.FitManyResult:
        return sd.fit_many(
            decay, series.times, pictures, starts, bounds=limits, max_steps=MAX_STEPS
        )

    began = time.perf_counter()
    fit(series.pictures[:32], starts[:32])
    compiled = time.perf_counter()
    result = fit(series.pictures, starts)
    report = _summarize(series, result, compiled - began, time.perf_counter() - compiled)
    if args.json:
        print(json.dumps([asdict(report)]))
    else:
        print(_as_text(report))
    if args.plot is not None:
        _draw(series, result, args.plot)
        print(f"Picture written to {args.plot}", file=sys.stderr)
    return 0 if report.converged_percent >= 99 and 0.9 < report.spread < 1.1 else 1


def _summarize(series: Series, result: sd.FitManyResult, compile_s: float, fit_s: float) -> _Report:
    head = series.t2 > 0
    good = head & result.converged
    t2, true, sigma = result.params[good, 1], series.t2[good], result.stderr[good, 1]
    # The middle two thirds of a normal distribution lie within one standard deviation.
    spread = float(np.quantile(np.abs(t2 - true) / sigma, 0.6827))
    return _Report(
        len(series.pictures),
        len(series.times),
        int(head.sum()),
        float(100 * good.sum() / head.sum()),
        compile_s,
        fit_s,
        len(series.pictures) / fit_s,
        sd.config.threads,
        float(np.median(np.abs(t2 / true - 1))),
        float(np.median(0.6745 * sigma / true)),
        spread,
    )


def _as_text(r: _Report) -> str:
    side = round(r.n_pixels**0.5)
    return f"""\
A T2 map of {side} x {side} pixels, {r.n_echoes} echoes each: \
one fit of density and T2 a pixel, in float32.
The pictures are made, not measured: Shepp and Logan's head with {NOISE:.0%} of Gaussian noise.

{r.n_pixels} fits in {r.fit_s:.3f} s: {r.fits_per_s / 1e6:.2f} million a second on up to \
{r.threads} threads, after {r.compile_s:.2f} s to trace and compile.
Of {r.n_head} pixels of the head {r.converged_percent:.2f} % converged.
Median error of T2 {r.median_error:.2%}; {r.predicted_error:.2%} by the fits' own standard errors.
68.3 % of the errors are below {r.spread:.3f} standard errors."""


def _draw(series: Series, result: sd.FitManyResult, path: Path) -> None:
    """Draw the first echo, the map, and the errors."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    side = round(len(series.pictures) ** 0.5)
    head = series.t2 > 0
    t2 = np.where(head & result.converged, result.params[:, 1], np.nan)
    panels = (
        ("first echo", series.pictures[:, 0], "gray", None),
        ("T2 in ms", t2, "viridis", (0, 350)),
        (
            "relative error of T2",
            t2 / np.where(head, series.t2, np.nan) - 1,
            "coolwarm",
            (-0.2, 0.2),
        ),
    )
    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, (title, values, colors, limits) in zip(figure.subplots(1, 3), panels, strict=True):
        low, high = limits or (None, None)
        image = axes.imshow(values.reshape(side, side), cmap=colors, vmin=low, vmax=high)
        axes.set_title(title)
        axes.set_axis_off()
        figure.colorbar(image, ax=axes, shrink=0.8)
    figure.savefig(path, dpi=120)
