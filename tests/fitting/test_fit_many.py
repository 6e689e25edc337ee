"""`fit_many` against `curve_fit`, `least_squares` and SciPy, and against what it promises."""

import tracemalloc

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.fitting import lane_driver
from symdiff.nist import PROBLEMS, certified_digits, load

X = np.linspace(0.0, 4.0, 40)
START = np.array([1.0, 1.0, 0.0])


def decay(x, a, b, c):
    return a * np.exp(-b * x) + c


def peak(x, a, x0, y0, s, b):
    return a * np.exp(-((x[0] - x0) ** 2 + (x[1] - y0) ** 2) / (2 * s * s)) + b


def saturation(x, a, k):
    return a * x / (k + x)


def normalized(x, a, b):  # points depend on each other
    shape = np.exp(-b * x)
    return a * shape / np.sum(shape)


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def decays():
    rng = np.random.default_rng(1)
    true = rng.uniform([1.0, 0.5, 0.0], [3.0, 2.0, 1.0], (70, 3))
    return decay(X, *true.T[:, :, None]) + 0.05 * rng.standard_normal((70, X.size))


@pytest.mark.parametrize(
    ("model", "start"),
    [(decay, START), (saturation, [1.0, 1.0]), (normalized, [30.0, 0.5])],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_as_curve_fit(model, start, rng):
    true = np.array(start) * rng.uniform(0.7, 1.6, (40, len(start)))
    y = np.array([model(X, *p) for p in true])
    y += 0.02 * np.ptp(y) * rng.standard_normal(y.shape)
    result = sd.fit_many(model, X, y, start)
    assert result.converged.all()
    for k in range(0, 40, 7):
        popt, pcov = sd.curve_fit(model, X, y[k], start)
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(result.covariance[k], pcov, rtol=1e-5)
        np.testing.assert_allclose(result.stderr[k], np.sqrt(np.diag(pcov)), rtol=1e-5)
        squares = np.sum((model(X, *popt) - y[k]) ** 2)
        assert result.objective[k] == pytest.approx(squares, rel=1e-12)


def test_points_that_depend_on_each_other_are_not_taken_apart():
    y = np.array([normalized(X, a, 0.8) for a in (10.0, 20.0)])
    result = sd.fit_many(normalized, X, y, [5.0, 0.5])
    np.testing.assert_allclose(result.params, [[10, 0.8], [20, 0.8]], rtol=1e-8)


@pytest.mark.parametrize("name", PROBLEMS)
def test_nist_from_the_second_start(name):
    """Solved, each of them; and from the first start never silently wrong."""
    dataset, model = load(name), PROBLEMS[name].model
    y = np.stack([dataset.y, dataset.y])
    result = sd.fit_many(model, dataset.x, y, dataset.starts[::-1], max_steps=1000, own_x=False)
    digits = [certified_digits(p, dataset.params) for p in result.params]
    assert result.converged[0]
    assert digits[0] >= 6
    assert digits[1] >= 6 or not result.converged[1]
    assert result.converged[1] or np.isinf(result.covariance[1]).all()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scaled_data_give_scaled_parameters(decays, scale):
    plain = sd.fit_many(decay, X, decays, START)
    factors = np.array([scale, 1.0, scale])
    scaled = sd.fit_many(decay, X, decays * scale, START * factors)
    np.testing.assert_allclose(scaled.params / factors, plain.params, rtol=1e-8, atol=1e-8)
    assert np.abs(scaled.n_steps - plain.n_steps).max() <= 1
    other = sd.fit_many(decay, X * scale, decays, START / [1.0, scale, 1.0])
    np.testing.assert_allclose(other.params * [1.0, scale, 1.0], plain.params, rtol=1e-8, atol=1e-8)
    assert np.abs(other.n_steps - plain.n_steps).max() <= 1


def test_bounds(decays, rng):
    lower, upper = np.array([0.0, 0.0, 0.3]), np.array([2.0, 1.2, 5.0])
    result = sd.fit_many(decay, X, decays, [1.0, 1.0, 0.5], bounds=(lower, upper))
    assert (result.params >= lower).all()
    assert (result.params <= upper).all()
    assert result.converged.mean() > 0.95
    for k in range(0, 70, 9):
        best = scipy.optimize.least_squares(
            lambda p, k=k: decay(X, *p) - decays[k], [1.0, 1.0, 0.5], bounds=(lower, upper)
        )
        assert result.objective[k] <= 2 * best.cost * (1 + 1e-6)


def test_bounds_of_each_fit(decays):
    plain = sd.fit_many(decay, X, decays, START)
    lower = np.full((70, 3), -np.inf)
    lower[::2, 2] = plain.params[::2, 2] + 0.1
    start = np.maximum(START, np.where(np.isfinite(lower), lower, START))
    result = sd.fit_many(decay, X, decays, start, bounds=(lower, np.inf))
    np.testing.assert_allclose(result.params[1::2], plain.params[1::2], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(result.params[::2, 2], lower[::2, 2])


def test_fixed_parameters(decays):
    result = sd.fit_many(decay, X, decays, [1.0, 1.0, 0.25], fixed=[False, False, True])
    assert (result.params[:, 2] == 0.25).all()
    assert (result.covariance[:, 2] == 0).all()
    popt, pcov = sd.curve_fit(lambda x, a, b: decay(x, a, b, 0.25), X, decays[3], [1.0, 1.0])
    np.testing.assert_allclose(result.params[3, :2], popt, rtol=1e-6)
    np.testing.assert_allclose(result.covariance[3, :2, :2], pcov, rtol=1e-5)


@pytest.mark.parametrize("own", [False, True])
def test_weights_are_inverse_variances(decays, rng, own):
    sigma = rng.uniform(0.02, 0.2, decays.shape if own else X.shape)
    result = sd.fit_many(decay, X, decays, START, weights=sigma**-2)
    scaled = sd.fit_many(decay, X, decays, START, weights=sigma**-2, absolute_sigma=False)
    for k in (0, 33, 69):
        s = sigma[k] if own else sigma
        popt, pcov = sd.curve_fit(decay, X, decays[k], START, sigma=s, absolute_sigma=True)
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(result.covariance[k], pcov, rtol=1e-5)
        _, pcov = sd.curve_fit(decay, X, decays[k], START, sigma=s)
        np.testing.assert_allclose(scaled.covariance[k], pcov, rtol=1e-5)


def test_missing_points(decays, rng):
    y = decays.copy()
    y[rng.random(y.shape) < 0.2] = np.nan
    result = sd.fit_many(decay, X, y, START)
    weights = np.isfinite(y).astype(float)
    same = sd.fit_many(
        decay, X, np.where(weights > 0, y, 1e9), START, weights=weights, absolute_sigma=False
    )
    np.testing.assert_array_equal(result.params, same.params)
    np.testing.assert_array_equal(result.covariance, same.covariance)
    for k in range(0, 70, 11):
        there = np.isfinite(y[k])
        popt, pcov = sd.curve_fit(decay, X[there], y[k, there], START)
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(result.covariance[k], pcov, rtol=1e-5)


def test_different_lengths(decays):
    lengths = [40, 25, 33]
    xs = [X[:n] * (1 + k) for k, n in enumerate(lengths)]
    ys = [decay(x, 2.0, 0.7, 0.3) + 0.01 * np.sin(9 * x) for x in xs]
    result = sd.fit_many(decay, xs, ys, START)
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        popt, pcov = sd.curve_fit(decay, x, y, START)
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(result.covariance[k], pcov, rtol=1e-5)


def test_x_and_start_of_each_fit(rng):
    x = rng.uniform(0, 5, (50, 2, 30))
    true = rng.uniform([5, 2, 2, 1, 0], [9, 3, 3, 1.5, 1], (50, 5))
    y = np.array([peak(a, *p) for a, p in zip(x, true, strict=True)])
    y += 0.01 * rng.standard_normal(y.shape)
    start = true * rng.uniform(0.9, 1.1, true.shape)
    result = sd.fit_many(peak, x, y, start)
    assert result.converged.all()
    for k in (0, 31, 49):
        popt, _ = sd.curve_fit(peak, x[k], y[k], start[k])
        np.testing.assert_allclose(result.params[k], popt, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_robust_losses_as_least_squares(decays, rng, loss):
    y = decays.copy()
    y[:, rng.integers(0, X.size, 4)] += 3.0
    start = np.array([2.0, 1.0, 0.3])
    result = sd.fit_many(decay, X, y, start, loss=loss, f_scale=0.1, max_steps=300)
    assert result.converged.mean() > 0.8
    for k in np.flatnonzero(result.converged)[::13]:
        best = sd.least_squares(
            lambda p, y: decay(X, p[0], p[1], p[2]) - y,
            start,
            loss=loss,
            f_scale=0.1,
            args=(y[k],),
        )
        if best.success and abs(best.x - result.params[k]).max() < 0.1:  # the same minimum
            assert result.objective[k] == pytest.approx(2 * best.cost, rel=1e-9)
            np.testing.assert_allclose(result.params[k], best.x, rtol=1e-5, atol=1e-6)


def test_poisson_maximizes_the_likelihood(rng):
    true = rng.uniform([20.0, 0.5, 2.0], [60.0, 1.5, 5.0], (40, 3))
    y = rng.poisson(decay(X, *true.T[:, :, None]))
    result = sd.fit_many(decay, X, y, [30.0, 1.0, 3.0], estimator="poisson")
    assert result.converged.all()

    def likelihood(p, y):
        mean = decay(X, *p)
        return np.sum(mean - y * np.log(mean))

    for k in (0, 17, 39):
        best = scipy.optimize.minimize(
            likelihood, true[k], args=(y[k],), method="Nelder-Mead", tol=1e-10
        )
        np.testing.assert_allclose(result.params[k], best.x, rtol=1e-5)
        mean = decay(X, *result.params[k])
        logs = np.where(y[k] > 0, y[k] * np.log(np.maximum(y[k], 1) / mean), 0.0)
        deviance = 2 * np.sum(mean - y[k] + logs)
        assert result.objective[k] == pytest.approx(deviance, rel=1e-10)
        J = sd.jacobian(lambda p: decay(X, p[0], p[1], p[2]))(result.params[k])
        fisher = J.T @ (J / mean[:, None])
        np.testing.assert_allclose(result.covariance[k], np.linalg.inv(fisher), rtol=1e-6)


def test_a_poisson_start_without_counts_is_a_failure():
    y = np.ones((2, X.size))
    result = sd.fit_many(decay, X, y, [[-1.0, 1.0, 0.0], [1.0, 1.0, 0.5]], estimator="poisson")
    assert result.status[0] == sd.FitStatus.NOT_FINITE
    assert result.converged[1] or result.status[1] == sd.FitStatus.SINGULAR


def test_every_way_to_end(decays):
    y = np.concatenate([decays[:5], np.full((1, X.size), np.nan)])
    y[1, 2:] = np.nan
    y[2, 0] = np.inf
    start = np.tile(START, (6, 1))
    start[3] = np.nan
    result = sd.fit_many(decay, X, y, start)
    S = sd.FitStatus
    want = [S.CONVERGED, S.TOO_FEW_POINTS, S.NOT_FINITE, S.NOT_FINITE, S.CONVERGED]
    assert result.status.tolist() == [*want, S.TOO_FEW_POINTS]
    assert np.isinf(result.covariance[~result.converged]).all()
    assert np.isfinite(result.covariance[result.converged]).all()
    np.testing.assert_array_equal(result.params[1], START)
    assert all(S(int(code)).message for code in result.status)
    short = sd.fit_many(decay, X, decays, START, max_steps=1)
    assert (short.status == S.MAX_STEPS).all()
    assert (short.n_steps == 1).all()
    assert np.isinf(short.stderr).all()
    twice = sd.fit_many(lambda x, a, b: (a + b) * x, X, decays, [1.0, 1.0])
    assert (twice.status == S.SINGULAR).all()
    idle = sd.fit_many(lambda x, a, b: a * x + 0 * b, X, decays, [1.0, 1.0])
    assert (idle.status == S.SINGULAR).all()


def test_as_many_points_as_parameters_leave_no_residual_variance():
    x = np.array([0.0, 1.0])
    result = sd.fit_many(lambda x, a, b: a + b * x, x, [[1.0, 3.0]], [0.0, 0.0], own_x=False)
    np.testing.assert_allclose(result.params, [[1.0, 2.0]])
    assert np.isinf(result.covariance).all()
    sure = sd.fit_many(
        lambda x, a, b: a + b * x, x, [[1.0, 3.0]], [0.0, 0.0], weights=np.ones(2), own_x=False
    )
    np.testing.assert_allclose(sure.covariance, [[[1.0, -1.0], [-1.0, 2.0]]])


def bits(result):
    return [a.tobytes() for a in (result.params, result.triangle, result.n_steps, result.status)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("has_gaps", [False, True])
def test_the_same_bits_in_any_company(monkeypatch, rng, dtype, has_gaps):
    true = rng.uniform([1.0, 0.3, 0.0], [3.0, 3.0, 1.0], (3000, 3))
    y = (decay(X, *true.T[:, :, None]) + 0.3 * rng.standard_normal((3000, X.size))).astype(dtype)
    if has_gaps:
        y[rng.random(y.shape) < 0.1] = np.nan
    monkeypatch.setattr(sd.config, "_threads", type(sd.config._threads)(1))
    whole = sd.fit_many(decay, X, y, START)
    assert whole.n_steps.max() > 20  # some are gathered several times
    order = rng.permutation(3000)
    shuffled = sd.fit_many(decay, X, y[order], START)
    for a, b in (
        (whole.params, shuffled.params),
        (whole.triangle, shuffled.triangle),
        (whole.n_steps, shuffled.n_steps),
        (whole.status, shuffled.status),
    ):
        np.testing.assert_array_equal(a[order], b)
    monkeypatch.setattr(lane_driver, "MAX_GROUPS", 3)
    monkeypatch.setattr(lane_driver, "STAGES", (2.0, 3.0))
    assert bits(sd.fit_many(decay, X, y, START)) == bits(whole)
    sd.config.threads = 4
    assert bits(sd.fit_many(decay, X, y, START)) == bits(whole)


def test_float32_stays_float32(rng):
    grid = np.stack([g.ravel() for g in np.mgrid[:5, :5]]).astype(np.float32)
    true = np.full((500, 5), [500.0, 2.0, 2.0, 1.0, 10.0])
    y = rng.poisson(peak(grid, *true.T[:, :, None]))
    start = true * rng.uniform(0.85, 1.15, true.shape)
    single = sd.fit_many(peak, grid, y.astype(np.float32), start)
    double = sd.fit_many(peak, grid, y, start)
    for array in (single.params, single.covariance, single.stderr, single.objective):
        assert array.dtype == np.float32
    assert double.params.dtype == np.float64
    assert single.converged.all()
    assert (np.abs(single.params - double.params) < 3e-3 * double.stderr).all()
    np.testing.assert_allclose(single.stderr, double.stderr, rtol=2e-2)


def test_data_on_disk(tmp_path, decays):
    np.save(tmp_path / "y.npy", np.tile(decays, (50, 1)))
    y = np.load(tmp_path / "y.npy", mmap_mode="r")
    result = sd.fit_many(decay, X, y, START)
    want = sd.fit_many(decay, X, decays, START)
    np.testing.assert_array_equal(result.params, np.tile(want.params, (50, 1)))


@pytest.mark.parametrize("has_bounds", [False, True])
def test_data_on_disk_are_never_in_memory_as_a_whole(tmp_path, has_bounds):
    """Beside the results, memory is that of a few chunks."""
    rng = np.random.default_rng(8)
    grid = np.stack([g.ravel() for g in np.mgrid[:5, :5]]).astype(np.float32)
    n_fits, start = 200_000, [500.0, 2.0, 2.0, 1.0, 10.0]
    path = tmp_path / "y.npy"
    y = np.lib.format.open_memmap(path, "w+", np.float32, (n_fits, 25))
    y[...] = rng.poisson(peak(grid, *start), y.shape)
    y = np.load(path, mmap_mode="r")
    box = ([0.0] * 5, [1e4] * 5) if has_bounds else None
    sd.fit_many(peak, grid, y[:64], start, bounds=box, own_x=False)  # compiles
    tracemalloc.start()
    try:
        result = sd.fit_many(peak, grid, y, start, bounds=box, own_x=False)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.converged.all()
    arrays = (result.params, result.triangle, result.objective, result.n_steps, result.status)
    assert peak_bytes - sum(a.nbytes for a in arrays) < y.nbytes / 5


def test_huge_data_and_weights_are_not_refused():
    x = np.arange(6.0)
    huge = sd.fit_many(lambda x, a: a * x, x, np.full((2, 6), 1e308), [1.0])
    assert (huge.status == sd.FitStatus.NOT_FINITE).all()
    x = x / 10
    y = np.float32(2e-18) * x[None].astype(np.float32)
    weights = np.full((1, 6), 1e38, np.float32)  # their sum overflows, times x**2 it does not
    result = sd.fit_many(lambda x, a: a * x, x, y, [1e-18], weights=weights)
    assert result.converged.all()
    np.testing.assert_allclose(result.params, 2e-18, rtol=1e-6)


def test_no_fits_at_all():
    result = sd.fit_many(decay, X, np.empty((0, X.size)), START, own_x=False)
    assert result.params.shape == (0, 3)
    assert result.covariance.shape == (0, 3, 3)
    assert "0 fits" in result.summary()


def test_one_predictor_of_shape_one_by_n(decays):
    result = sd.fit_many(lambda x, a, b, c: decay(x[0], a, b, c), X[None], decays, START)
    np.testing.assert_allclose(
        result.params, sd.fit_many(decay, X, decays, START).params, rtol=1e-9, atol=1e-9
    )


def test_a_constant_model(decays):
    result = sd.fit_many(lambda x, a: a, X, decays, [0.0])
    np.testing.assert_allclose(result.params[:, 0], decays.mean(axis=1))


def test_progress_is_said(decays, capsys):
    sd.fit_many(decay, X, decays, START, progress=True)
    assert "70 of 70 fits" in capsys.readouterr().err
