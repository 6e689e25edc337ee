"""W10: many small fits: Gpufit's own workload, 5 x 5 pixels, a 2-D Gaussian with 5 parameters.

Least squares of Poisson counts, tolerance 1e-4, at most 10 steps, start moved by up to 20 %. The
others stop when chi square changes by less than 1e-4 of itself, as Gpufit does; symdiff when the
relative offset is below 1e-4, which is later, and it gives covariances besides.
"""

import ctypes
from functools import partial
from typing import NamedTuple

import climit
import numpy as np
from contest import Case, Skip, Workload

SIDE, TOL, MAX_STEPS = 5, 1e-4, 10
MAX_SCIPY = 1000


class Fits(NamedTuple):
    """Pixels ``(2, n_points)``, counts ``(n_fits, n_points)``, starts ``(n_fits, 5)``."""

    x: np.ndarray
    y: np.ndarray
    p0: np.ndarray


def model(exp, x, amplitude, x0, y0, width, offset):
    square = (x[0] - x0) ** 2 + (x[1] - y0) ** 2
    return amplitude * exp(-square / (2 * width * width)) + offset


def load(count, dtype):
    rng = np.random.default_rng(10)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    x = np.stack([columns.ravel(), rows.ravel()])
    true = np.full((count, 5), [500.0, 2.0, 2.0, 1.0, 10.0])
    true[:, 1:3] += rng.uniform(-0.4, 0.4, (count, 2))
    y = rng.poisson(model(np.exp, x, *true.T[:, :, None]))
    p0 = true * rng.uniform(0.8, 1.2, true.shape)
    return Fits(x.astype(dtype), y.astype(dtype), p0.astype(dtype))


def gaussian(x, amplitude, x0, y0, width, offset):
    return model(np.exp, x, amplitude, x0, y0, width, offset)


def with_symdiff(data):
    import symdiff as sd

    fit = partial(sd.fit_many, gaussian, data.x, data.y, data.p0, tol=TOL, max_steps=MAX_STEPS)
    return lambda: fit().params


def with_c(data):
    is_single = data.y.dtype == np.float32
    library = climit.build("cpufit.c", REAL="float" if is_single else "double", S=SIDE)
    real = ctypes.c_float if is_single else ctypes.c_double

    def call():
        params = data.p0.copy()
        library.cpufit(
            ctypes.c_long(len(params)),
            climit.pointer(data.y),
            climit.pointer(params),
            real(TOL),
            MAX_STEPS,
        )
        return params

    return call


def with_jax(data):
    """The same method, a ``while_loop`` under ``vmap``."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(data.x)

    def residuals(p, y):
        return model(jnp.exp, x, *p) - y

    def sums(p, y):
        r, J = residuals(p, y), jax.jacfwd(residuals)(p, y)
        return r @ r, J.T @ r, J.T @ J

    def fit(p, y):
        def step(state):
            p, chi, g, H, damping, n, _ = state
            diagonal = jnp.diag(jnp.diag(H))
            trial = p - jnp.linalg.solve(H + damping * diagonal, g)
            there, g_there, H_there = sums(trial, y)
            is_better = there < chi
            is_done = jnp.abs(there - chi) < TOL * jnp.maximum(1, there)
            return (
                jnp.where(is_better, trial, p),
                jnp.where(is_better, there, chi),
                jnp.where(is_better, g_there, g),
                jnp.where(is_better, H_there, H),
                damping * jnp.where(is_better, 0.1, 10.0).astype(p.dtype),
                n + 1,
                is_done,
            )

        start = (p, *sums(p, y), jnp.asarray(0.001, p.dtype), 0, False)
        return jax.lax.while_loop(lambda s: (s[-2] < MAX_STEPS) & ~s[-1], step, start)[0]

    run = jax.jit(jax.vmap(fit))
    p0, y = jnp.asarray(data.p0), jnp.asarray(data.y)
    return lambda: jax.block_until_ready(run(p0, y))


def with_scipy(data):
    import scipy.optimize

    if len(data.y) > MAX_SCIPY:
        raise Skip(f"it takes minutes for more than {MAX_SCIPY} fits")
    fit = partial(scipy.optimize.curve_fit, gaussian, data.x, ftol=TOL)
    return lambda: np.array([fit(ydata=y, p0=p)[0] for y, p in zip(data.y, data.p0, strict=True)])


def check(data, answer):
    """Near SciPy's optimum, for the first fits: the noise of the data is far larger."""
    import scipy.optimize

    answer = np.array(answer, float)
    assert answer.shape == data.p0.shape
    assert np.isfinite(answer).all()
    distances = []
    x, y, p0 = (a.astype(float) for a in data)
    for counts, start, found in zip(y[:100], p0, answer, strict=False):
        best, covariance = scipy.optimize.curve_fit(gaussian, x, counts, start)
        found[3], best[3] = abs(found[3]), abs(best[3])
        distances.append(np.abs(found - best) / np.sqrt(np.diag(covariance)))
    assert np.median(distances) < 0.01
    assert np.quantile(distances, 0.99) < 0.1


WORKLOAD = Workload(
    "W10",
    "many small fits, Gpufit's workload",
    [
        Case("1000 fits, float64", partial(load, 1000, np.float64), quick=True),
        Case("1e5 fits, float32", partial(load, 100_000, np.float32)),
        Case("1e5 fits, float64", partial(load, 100_000, np.float64)),
    ],
    {
        "symdiff": with_symdiff,
        "C as Cpufit": with_c,
        "jax": with_jax,
        "scipy": with_scipy,
    },
    check,
)
