"""`fit_many` for a GPU, in numba's simulator: a thread a fit, with the results of the CPU."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.cuda.memory import get, put

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
    monkeypatch.setattr("symdiff.fitting.device_driver.PIECE_BYTES", 5 * 2 * 30 * 8)
    monkeypatch.setattr("symdiff.compilation.cuda.pipeline.PART_BYTES", 2 * 30 * 8)
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


ON_DEVICE = {
    **CASES,
    "own starts": (Y, {"p0": np.column_stack([np.full(12, 1.5), RATES * 1.1])}),
    "own x": (Y, {"x": np.tile(T, (12, 1))}),
    "weights of zero": (Y, {"weights": np.where(RNG.uniform(size=Y.shape) < 0.1, 0.0, 1.0)}),
    "gaps and weights": (GAPS, {"weights": RNG.uniform(1.0, 2.0, Y.shape)}),
}


@pytest.mark.parametrize("name", ON_DEVICE)
def test_data_on_the_device_stay_there(name):
    y, options = ON_DEVICE[name]
    options = {"x": T, "p0": [1.0, 0.7], **options}
    want = sd.fit_many(decay, y=y, **options)
    there = {
        k: put(np.asarray(v)) if k in ("x", "p0", "weights") else v for k, v in options.items()
    }
    got = sd.fit_many(decay, y=put(y), **there)
    for field in ("params", "objective", "n_steps", "status", "triangle"):
        assert is_on_device(getattr(got, field))
    np.testing.assert_array_equal(get(got.status), want.status)
    np.testing.assert_array_equal(got.to_host().n_steps, want.n_steps)
    np.testing.assert_allclose(get(got.params), want.params, rtol=1e-9)
    np.testing.assert_allclose(got.covariance, want.covariance, rtol=1e-6)
    np.testing.assert_allclose(got.stderr, want.stderr, rtol=1e-6)
    assert repr(got) == repr(want)
    assert got.summary().splitlines()[:2] == want.summary().splitlines()[:2]
    assert got.to_host() is got.to_host()
    assert want.to_host() is want


def test_misuse_of_data_on_the_device():
    y, p0 = put(Y), [1.0, 0.7]
    with pytest.raises(sd.DeviceError, match="target is 'cpu'"):
        sd.fit_many(decay, T, y, p0, target="cpu")
    with pytest.raises(sd.DTypeError, match="float32 or float64"):
        sd.fit_many(decay, T, put(Y.astype(int)), p0)
    with pytest.raises(ValueError, match="negative"):
        sd.fit_many(decay, T, put(-Y), p0, estimator="poisson")
    with pytest.raises(ValueError, match="weights must be"):
        sd.fit_many(decay, T, y, p0, weights=put(-np.ones_like(Y)))
    with pytest.raises(ValueError, match="outside of the bounds"):
        sd.fit_many(decay, T, y, put(np.ones((12, 2))), bounds=(0.0, 0.5))
    with pytest.raises(sd.ShapeError, match="two axes"):
        sd.fit_many(decay, T, put(Y[0]), p0)


def test_single_precision_on_the_device():
    y, p0 = put(Y.astype(np.float32)), put(np.tile([1.0, 0.7], (12, 1)))  # float64 is converted
    got = sd.fit_many(decay, T, y, p0)
    assert got.params.dtype == np.float32
    want = sd.fit_many(decay, T, Y.astype(np.float32), [1.0, 0.7])
    np.testing.assert_allclose(get(got.params), want.params, rtol=1e-4)
