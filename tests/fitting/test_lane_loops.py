"""Many parameters: linear algebra in loops is that which is written out for few."""

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.fitting import lane_driver, lanes
from symdiff.fitting.lane_algebra import WrittenOut
from symdiff.fitting.lane_loops import InLoops


def spectrum(x, *params):
    value = 0.0
    for k in range(0, len(params), 3):
        value = value + params[k] * np.exp(-(((x - params[k + 1]) / params[k + 2]) ** 2))
    return value


def spectra(n_peaks, n_fits, noise=0.05, seed=2):
    """Data of overlapping peaks, three parameters each, and a start."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, n_peaks, 20 * n_peaks)
    true = np.empty((n_fits, 3 * n_peaks))
    true[:, 0::3] = rng.uniform(2, 4, (n_fits, n_peaks))
    true[:, 1::3] = np.arange(n_peaks) + 0.5 + rng.uniform(-0.1, 0.1, (n_fits, n_peaks))
    true[:, 2::3] = rng.uniform(0.25, 0.35, (n_fits, n_peaks))
    y = np.array([spectrum(x, *p) for p in true]) + noise * rng.standard_normal((n_fits, x.size))
    start = np.tile([3.0, 0.0, 0.3], n_peaks)
    start[1::3] = np.arange(n_peaks) + 0.5
    return x, y, start


@pytest.fixture(scope="module")
def matrix():
    """The triangle of a matrix in five lanes, a vector; in the last a column depends on others."""
    rng = np.random.default_rng(4)
    J = rng.standard_normal((9, 6, 5))
    J[:, 3, 4] = J[:, 1, 4] + J[:, 2, 4]
    full = np.einsum("pil,pkl->ikl", J, J)
    rows, columns = np.tril_indices(6)
    return full, full[rows, columns], rng.standard_normal((6, 5))


@pytest.mark.parametrize("algebra", [WrittenOut(6), InLoops(6)], ids=["written out", "in loops"])
def test_algebra(matrix, algebra):
    full, rows, vector = matrix
    triangle = algebra.take(rows)
    np.testing.assert_array_equal(algebra.give(triangle), rows)
    additions = np.linspace(1, 2, 30).reshape(6, 5)
    damped = full + additions * np.eye(6)[:, :, None]
    found = np.stack(algebra.solve(triangle, list(additions), list(vector)))
    np.testing.assert_allclose(np.einsum("ikl,kl->il", damped, found), -vector, atol=1e-12)
    image = np.stack(algebra.image(triangle, list(vector)))
    np.testing.assert_allclose(image, np.einsum("ikl,kl->il", full, vector))
    inverse, is_singular = algebra.invert(triangle, 1e-12)
    assert is_singular.tolist() == [False] * 4 + [True]
    lengths = algebra.square_length(triangle, list(vector), 1e-12)
    for lane in range(4):
        exact = np.linalg.inv(full[..., lane])
        np.testing.assert_allclose(inverse[:, lane], exact[np.tril_indices(6)], rtol=1e-9)
        assert lengths[lane] == pytest.approx(vector[:, lane] @ exact @ vector[:, lane])
    rest = [0, 1, 2, 4, 5]
    exact = np.linalg.inv(full[np.ix_(rest, rest, [4])][..., 0])
    assert lengths[4] == pytest.approx(vector[rest, 4] @ exact @ vector[rest, 4])
    is_free = [np.full(5, k != 2) for k in range(6)]
    held = np.stack([np.asarray(v) for v in algebra.hold(triangle, is_free)])
    wanted = full.copy()
    wanted[2] = wanted[:, 2] = 0
    wanted[2, 2] = 1
    np.testing.assert_array_equal(held, wanted[np.tril_indices(6)])


def test_few_parameters_in_loops_are_fitted_alike(monkeypatch):
    x, y, start = spectra(2, 40)
    box = np.full(6, -np.inf), np.where(np.arange(6) == 0, 3.2, np.inf)
    want = sd.fit_many(spectrum, x, y, start, bounds=box)
    monkeypatch.setattr(lanes, "MAX_WRITTEN_OUT", 0)

    def other(x, *p):  # has kernels of its own
        return spectrum(x, *p)

    found = sd.fit_many(other, x, y, start, bounds=box)
    np.testing.assert_array_equal(found.status, want.status)
    np.testing.assert_allclose(found.params, want.params, rtol=1e-7)
    np.testing.assert_allclose(found.covariance, want.covariance, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("n_peaks", [5, 10])
def test_as_curve_fit_and_scipy(n_peaks):
    x, y, start = spectra(n_peaks, 40)
    result = sd.fit_many(spectrum, x, y, start)
    assert result.converged.all()
    for k in (0, 17, 39):
        popt, pcov = sd.curve_fit(spectrum, x, y[k], start)
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-6)
        np.testing.assert_allclose(result.covariance[k], pcov, rtol=1e-4, atol=1e-10)
        popt, pcov = scipy.optimize.curve_fit(spectrum, x, y[k], start, xtol=1e-12, ftol=1e-12)
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-5)
        np.testing.assert_allclose(result.stderr[k], np.sqrt(np.diag(pcov)), rtol=1e-3)


def test_every_way_to_end():
    x, y, start = spectra(5, 40)
    y[0, 14:] = np.nan
    y[1, 0] = np.inf
    result = sd.fit_many(spectrum, x, y, start)
    S = sd.FitStatus
    assert result.status[:3].tolist() == [S.TOO_FEW_POINTS, S.NOT_FINITE, S.CONVERGED]
    assert np.isinf(result.covariance[~result.converged]).all()
    short = sd.fit_many(spectrum, x, y, start, max_steps=1)
    assert (short.status[2:] == S.MAX_STEPS).all()

    def twice(x, *p):
        return spectrum(x, *p[:15]) + p[15] * 0.0

    idle = sd.fit_many(twice, x, y[2:], [*start, 1.0])
    assert (idle.status == S.SINGULAR).all()


def test_fixed_parameters_weights_and_counts():
    x, y, start = spectra(6, 40)
    fixed = np.arange(18) == 4
    result = sd.fit_many(spectrum, x, y, start, fixed=fixed, weights=np.full(x.size, 400.0))
    assert (result.params[:, 4] == start[4]).all()
    free = np.flatnonzero(~fixed)
    full = start.copy()

    def model(x, *p):
        parts = [*p[:4], full[4], *p[4:]]
        return spectrum(x, *parts)

    popt, pcov = sd.curve_fit(
        model, x, y[3], start[free], sigma=np.full(x.size, 0.05), absolute_sigma=True
    )
    np.testing.assert_allclose(result.params[3, free], popt, rtol=1e-6)
    np.testing.assert_allclose(result.covariance[3][np.ix_(free, free)], pcov, rtol=1e-4, atol=1e-9)
    counts = np.random.default_rng(5).poisson(100 * np.maximum(y, 0.3))
    begin = start * np.tile([100.0, 1.0, 1.0], 6)
    poisson = sd.fit_many(spectrum, x, counts, begin, estimator="poisson", max_steps=300)
    assert poisson.converged.mean() > 0.9


def test_the_same_bits_in_any_company(monkeypatch):
    x, y, start = spectra(5, 200, noise=0.4)
    whole = sd.fit_many(spectrum, x, y, start)
    order = np.random.default_rng(6).permutation(200)
    shuffled = sd.fit_many(spectrum, x, y[order], start)
    monkeypatch.setattr(lane_driver, "MAX_GROUPS", 2)
    pieces = sd.fit_many(spectrum, x, y, start)
    for name in ("params", "triangle", "status", "n_steps"):
        np.testing.assert_array_equal(getattr(whole, name)[order], getattr(shuffled, name))
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))
