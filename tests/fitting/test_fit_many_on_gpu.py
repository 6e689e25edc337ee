"""`fit_many` for a GPU, in numba's simulator: a thread a fit, with the results of the CPU."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cuda import backend

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")

RNG = np.random.default_rng(4)
T = np.linspace(0.0, 4.0, 30)
RATES = RNG.uniform(0.4, 1.6, 12)


def decay(t, amplitude, rate):
    return amplitude * np.exp(-rate * t)


Y = decay(T, 2.0, RATES[:, None]) + RNG.normal(0.0, 0.01, (12, 30))
COUNTS = RNG.poisson(decay(T, 100.0, RATES[:, None])).astype(float)
GAPS = Y.copy()
GAPS[3, 4], GAPS[5, 1:] = np.nan, np.nan

CASES = {
    "plain": (Y, {}),
    "bounds": (Y, {"bounds": ([0.0, 0.5], [10.0, 1.2])}),
    "missing points": (GAPS, {}),
    "weights": (Y, {"weights": np.linspace(1.0, 2.0, 30)}),
    "own weights": (Y, {"weights": RNG.uniform(1.0, 2.0, Y.shape)}),
    "fixed": (Y, {"fixed": [True, False], "p0": [2.0, 0.7]}),
    "robust": (Y, {"loss": "huber", "f_scale": 0.1}),
    "counts": (COUNTS, {"estimator": "poisson", "p0": [90.0, 0.7]}),
    "few steps": (Y, {"max_steps": 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_the_cpu(name):
    y, options = CASES[name]
    options = {"p0": [1.0, 0.7], **options}
    want = sd.fit_many(decay, T, y, **options)
    got = sd.fit_many(decay, T, y, target="cuda", **options)
    np.testing.assert_array_equal(got.status, want.status)
    np.testing.assert_array_equal(got.n_steps, want.n_steps)
    np.testing.assert_allclose(got.params, want.params, rtol=1e-9)
    np.testing.assert_allclose(got.covariance, want.covariance, rtol=1e-6)


def test_single_precision():
    y = Y.astype(np.float32)
    got = sd.fit_many(decay, T, y, [1.0, 0.7], target="cuda")
    assert got.params.dtype == np.float32
    assert got.converged.all()
    np.testing.assert_allclose(got.params, sd.fit_many(decay, T, y, [1.0, 0.7]).params, rtol=1e-4)


def test_chunks_make_no_difference(monkeypatch):
    whole = sd.fit_many(decay, T, Y, [1.0, 0.7], target="cuda")
    monkeypatch.setattr("symdiff.fitting.device_driver.MAX_FITS", 5)
    parts = sd.fit_many(decay, T, Y, [1.0, 0.7], target="cuda")
    assert parts.params.tobytes() == whole.params.tobytes()
    assert parts.covariance.tobytes() == whole.covariance.tobytes()


def test_many_parameters():
    def model(x, *p):
        return sum(c * x**k for k, c in enumerate(p))

    x = np.linspace(-1.0, 1.0, 40)
    true = RNG.normal(size=(2, 14))
    y = np.stack([model(x, *row) for row in true])
    got = sd.fit_many(model, x, y, np.zeros(14), target="cuda")
    want = sd.fit_many(model, x, y, np.zeros(14))
    np.testing.assert_array_equal(got.status, want.status)
    np.testing.assert_allclose(got.params, want.params, rtol=1e-5, atol=1e-6)
