"""`curve_fit` against SciPy's, against certified answers, and against what it promises."""

import warnings

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.nist import PROBLEMS, certified_digits, is_solved, load

X = np.linspace(0.0, 4.0, 40)


def decay(x, a, b, c):
    return a * np.exp(-b * x) + c


@pytest.fixture
def noisy():
    rng = np.random.default_rng(1)
    return decay(X, 2.5, 1.3, 0.5) + 0.1 * rng.standard_normal(X.size)


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", PROBLEMS)
def test_nist_from_both_starts_with_defaults(name, start):
    dataset = load(name)
    popt, pcov, info, _, ier = sd.curve_fit(
        PROBLEMS[name].model, dataset.x, dataset.y, dataset.starts[start - 1], full_output=True
    )
    assert info["converged"]
    assert ier == 1
    digits = (
        certified_digits(popt, dataset.params),
        certified_digits(np.sqrt(np.diag(pcov)), dataset.stderr),
    )
    assert is_solved(name, *digits), digits


@pytest.mark.parametrize("name", ["Misra1a", "MGH09", "Thurber", "Eckerle4"])
def test_nist_from_perturbed_starts_never_says_converged_when_it_is_not(name):
    """Another local minimum is an answer; a point that is none would be a silent error."""
    dataset = load(name)
    model = PROBLEMS[name].model
    rng = np.random.default_rng(0)
    for _ in range(10):
        start = dataset.starts[1] * (1 + 0.3 * rng.uniform(-1, 1, dataset.starts[1].size))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", scipy.optimize.OptimizeWarning)
            popt, pcov, info, _, _ = sd.curve_fit(
                model, dataset.x, dataset.y, start, full_output=True
            )
        if not info["converged"]:
            assert np.isinf(pcov).all()
            continue
        residuals, rows = info["fvec"], info["fjac"]
        q, _ = np.linalg.qr(rows.T / np.linalg.norm(rows, axis=1))
        assert np.linalg.norm(q.T @ residuals) <= 1e-5 * np.linalg.norm(residuals)
        assert np.isfinite(popt).all()


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("name", ["Misra1a", "Chwirut2", "Rat42", "Gauss1", "Hahn1"])
def test_scale_of_the_data_changes_nothing_else(name, factor):
    """Linear parameters scale with the data; steps stay the same within one."""
    dataset = load(name)
    model = PROBLEMS[name].model

    def scaled(x, *params):
        return factor * model(x, *params)

    start = dataset.starts[1]
    plain, cov, info, _, _ = sd.curve_fit(model, dataset.x, dataset.y, start, full_output=True)
    other, cov2, info2, _, _ = sd.curve_fit(
        scaled, dataset.x, factor * dataset.y, start, full_output=True
    )
    assert info2["converged"]
    assert abs(info["nit"] - info2["nit"]) <= 1
    np.testing.assert_allclose(other, plain, rtol=1e-8)
    np.testing.assert_allclose(cov2, cov, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_of_a_parameter_change_nothing_else(noisy, factor):
    def other(x, a, b, c):
        return decay(x, a / factor, b, c)

    plain, _, info, _, _ = sd.curve_fit(decay, X, noisy, [1.0, 1.0, 1.0], full_output=True)
    moved, _, info2, _, _ = sd.curve_fit(other, X, noisy, [factor, 1.0, 1.0], full_output=True)
    assert abs(info["nit"] - info2["nit"]) <= 1
    np.testing.assert_allclose(moved / [factor, 1.0, 1.0], plain, rtol=1e-8)


SIGMA = 0.1 + 0.05 * np.cos(X) ** 2
COVARIANCE = np.diag(SIGMA**2) + 0.002 * np.exp(-np.abs(X[:, None] - X[None, :]))


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("sigma", [None, 0.1, SIGMA, COVARIANCE], ids=["none", "one", "each", "2d"])
def test_agrees_with_scipy(noisy, sigma, absolute):
    given = np.full(X.size, sigma) if isinstance(sigma, float) else sigma
    ours = sd.curve_fit(decay, X, noisy, [1.0, 1.0, 1.0], sigma=sigma, absolute_sigma=absolute)
    theirs = scipy.optimize.curve_fit(
        decay, X, noisy, [1.0, 1.0, 1.0], sigma=given, absolute_sigma=absolute
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4)


@pytest.mark.parametrize(
    "bounds",
    [([0, 0, 0], [2, 2, 2]), ([0, 1.5, -1], [np.inf, 3, 1]), (0, np.inf), ([0, 0, 0.6], np.inf)],
)
def test_bounds_agree_with_scipy(noisy, bounds):
    ours = sd.curve_fit(decay, X, noisy, [1.0, 1.6, 0.7], bounds=bounds)[0]
    theirs = scipy.optimize.curve_fit(decay, X, noisy, [1.0, 1.6, 0.7], bounds=bounds)[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert (ours >= np.asarray(bounds[0])).all()
    assert (ours <= np.asarray(bounds[1])).all()


def test_start_within_bounds_by_default(noisy):
    bounds = ([2.0, 1.0, 0.0], [3.0, 2.0, 1.0])
    ours = sd.curve_fit(decay, X, noisy, bounds=bounds)[0]
    np.testing.assert_allclose(ours, sd.curve_fit(decay, X, noisy, [2.5, 1.5, 0.5])[0], rtol=1e-6)


def test_lost_parameter_has_infinite_covariance_and_a_warning():
    def flat(x, a, b):
        return a + 0.0 * b * x

    with pytest.warns(scipy.optimize.OptimizeWarning, match="Jacobian is singular"):
        _, pcov = sd.curve_fit(flat, X, np.sin(X), [1.0, 1.0])
    assert np.isinf(pcov).all()


def test_nan_at_the_start_is_a_status():
    def broken(x, a):
        return np.sqrt(a) * x

    with pytest.warns(scipy.optimize.OptimizeWarning, match="not finite"):
        popt, pcov, info, message, ier = sd.curve_fit(broken, X, X, [-1.0], full_output=True)
    assert info["status"] is sd.FitStatus.NOT_FINITE
    assert "not finite" in message
    assert ier != 1
    np.testing.assert_array_equal(popt, [-1.0])
    assert np.isinf(pcov).all()


def test_too_few_steps_is_a_status(noisy):
    with pytest.warns(scipy.optimize.OptimizeWarning, match="limit"):
        _, pcov, info, _, _ = sd.curve_fit(
            decay, X, noisy, [1.0, 1.0, 1.0], max_steps=2, full_output=True
        )
    assert info["status"] is sd.FitStatus.MAX_STEPS
    assert np.isinf(pcov).all()


def test_nan_on_the_way_is_a_rejected_step():
    def root(x, a, b):
        return a * np.sqrt(x + b)

    y = root(X, 2.0, 0.1)
    popt = sd.curve_fit(root, X, y, [1.0, 3.0])[0]
    np.testing.assert_allclose(popt, [2.0, 0.1], rtol=1e-6)


def test_as_many_parameters_as_points():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.optimize.OptimizeWarning)
        popt, pcov = sd.curve_fit(lambda x, a, b: a + b * x, [1.0, 2.0], [3.0, 5.0], [0.0, 0.0])
    np.testing.assert_allclose(popt, [1.0, 2.0], rtol=1e-9)
    assert np.isinf(pcov).all()


def test_other_numbers_of_points_use_the_same_kernels():
    def line(x, a, b):
        return a + b * x

    for n in (5, 6, 100, 5000):
        x = np.linspace(0.0, 1.0, n)
        popt, _, info, _, _ = sd.curve_fit(line, x, 1.0 + 2.0 * x, [0.5, 0.5], full_output=True)
        np.testing.assert_allclose(popt, [1.0, 2.0], rtol=1e-9)
        if n > 5:
            assert info["compile_seconds"] < 0.02


def test_memory_is_not_shared_between_results(noisy):
    first = sd.curve_fit(decay, X, noisy, [1.0, 1.0, 1.0], full_output=True)
    kept = [np.copy(a) for a in (first[0], first[1], first[2]["fvec"], first[2]["fjac"])]
    sd.curve_fit(decay, X, noisy + 1.0, [1.0, 1.0, 1.0])
    now = (first[0], first[1], first[2]["fvec"], first[2]["fjac"])
    for before, after in zip(kept, now, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"ydata": [1.0, np.nan, 2.0]}, ValueError, "infinities or NaNs"),
        ({"ydata": [[1.0, 2.0, 3.0]]}, sd.ShapeError, "one axis of points"),
        ({"ydata": ["a", "b", "c"]}, sd.DTypeError, "real numbers"),
        ({"ydata": [1.0, 2.0]}, sd.ShapeError, "broadcast|length"),
        ({"p0": [[1.0, 2.0]]}, sd.ShapeError, "p0 has shape"),
        ({"p0": [1.0, np.inf]}, ValueError, "p0"),
        ({"p0": [1.0, 2.0, 3.0, 4.0]}, sd.ShapeError, "cannot determine"),
        ({"bounds": ([0, 0], [0, 1])}, ValueError, "strictly less"),
        ({"bounds": ([2, 2], [3, 3])}, ValueError, "outside of the bounds"),
        ({"bounds": ([0, 0, 0], [1, 1, 1])}, sd.ShapeError, "bounds of shapes"),
        ({"bounds": ([0, 0], [2, 2]), "method": "lm"}, ValueError, "does not take bounds"),
        ({"method": "newton"}, ValueError, "allowed are"),
        ({"jac": lambda x, a, b: x}, ValueError, "leave jac out"),
        ({"sigma": [1.0, 0.0, 1.0]}, ValueError, "positive"),
        ({"sigma": [1.0, 1.0]}, sd.ShapeError, "sigma has shape"),
        ({"sigma": -np.eye(3)}, ValueError, "positive definite"),
    ],
)
def test_misuse_raises_at_once(change, error, match):
    arguments = {"xdata": [1.0, 2.0, 3.0], "ydata": [1.0, 2.0, 3.0], "p0": [1.0, 1.0]} | change
    with pytest.raises(error, match=match):
        sd.curve_fit(lambda x, a, b: a + b * x, **arguments)


def test_untraceable_model_names_the_line():
    def model(x, a):
        if a > 0:
            return a * x
        return x

    with pytest.raises(sd.TracingError, match=r"test_curve_fit\.py:\d+, in model"):
        sd.curve_fit(model, X, X, [1.0])


def test_a_model_that_fails_is_not_finite():
    def model(x, a, b):
        matrix = a * np.eye(5) - b * np.ones((5, 5))
        return np.linalg.cholesky(matrix)[-1, -1] * x

    x = np.linspace(0, 1, 20)
    with pytest.warns(scipy.optimize.OptimizeWarning, match="not finite"):
        _, covariance = sd.curve_fit(model, x, x, p0=[1.0, 1.0])
    assert np.all(np.isinf(covariance))


def test_models_of_blocks():
    knots = np.linspace(0, 1, 20)

    def model(x, a, b, c):
        return np.interp(x, knots, np.cumsum(a * np.exp(-b * knots)) / 20 + c)

    x = np.linspace(0, 1, 50)
    params, _ = sd.curve_fit(model, x, model(x, 2.0, 3.0, 0.5), p0=[1, 1, 0])
    np.testing.assert_allclose(params, [2.0, 3.0, 0.5], rtol=1e-9)
