"""The solver as plain Python: what is compiled can be stepped through, and gives the same."""

import types
from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff import nist
from symdiff.fitting import levenberg_marquardt as lm


class Fit(NamedTuple):
    """What `minimize` leaves."""

    status: int
    x: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    jacobian: np.ndarray
    counts: np.ndarray
    visited: np.ndarray


def run(
    function, jacobian, start, *, lower=-np.inf, upper=np.inf, fixed=(), loss=0, f_scale=1.0,
    max_steps=200, gtol=1e-8,
):  # fmt: skip
    """Bind the hooks to NumPy functions and run `minimize` without compiling anything."""
    start = np.asarray(start, float)
    n, p = function(start).size, start.size
    visited = []

    def evaluate(_problem, params, residuals):
        visited.append(params.copy())
        residuals[:] = function(params)

    def evaluate_with_jacobian(_problem, params, residuals, rows):
        evaluate(_problem, params, residuals)
        rows[:] = jacobian(params)

    namespace = dict(vars(lm), evaluate=evaluate, evaluate_with_jacobian=evaluate_with_jacobian)
    for f in lm.FUNCTIONS:
        namespace[f.__name__] = types.FunctionType(f.__code__, namespace, f.__name__)
    problem = np.zeros(lm.HOOK_DATA + 8, np.int64)
    problem[lm.HOOK_DATA : lm.HOOK_DATA + 4] = n, p, loss, max_steps
    # What is not written before it is read shows.
    work = np.full(lm.workspace_size(n, p), np.nan)
    work[:p], work[p : 2 * p], work[2 * p : 3 * p] = start, lower, upper
    work[3 * p : 4 * p] = [j in fixed for j in range(p)]
    work[-2:] = f_scale, gtol
    with np.errstate(all="ignore"):
        status = namespace["minimize"](problem, work)
    vectors, squares, rows, matrices = lm.divide(work, n, p)
    return Fit(status, vectors[0], squares[2], rows[0], matrices[0], problem[-4:], visited)


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def rosenbrock_rows(x):
    return np.array([[-20 * x[0], -1.0], [10.0, 0.0]])


T = np.linspace(0.1, 4.0, 20)
DATA = 2.5 * np.exp(-1.3 * T) + 0.5 + 0.05 * np.random.default_rng(0).standard_normal(T.size)


def decay(x):
    return x[0] * np.exp(-x[1] * T) + x[2] - DATA


def decay_rows(x):
    e = np.exp(-x[1] * T)
    return np.array([e, -x[0] * T * e, np.ones_like(T)])


def relative_offset(fit):
    """Bates and Watts' measure, by other means than the solver's."""
    q, _ = np.linalg.qr(fit.jacobian.T / np.linalg.norm(fit.jacobian, axis=1))
    return np.linalg.norm(q.T @ fit.residuals) / np.linalg.norm(fit.residuals)


def test_converges_with_residuals_jacobian_and_covariance_of_the_solution():
    fit = run(decay, decay_rows, [1.0, 1.0, 0.0])
    assert fit.status == lm.CONVERGED
    assert relative_offset(fit) <= 1e-8
    np.testing.assert_array_equal(fit.residuals, decay(fit.x))
    np.testing.assert_array_equal(fit.jacobian, decay_rows(fit.x))
    rows = decay_rows(fit.x)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(rows @ rows.T), rtol=1e-10)


def fit_exponential_rise(name, start, error=0.0):
    """Fit a data set of NIST, with a derivative that is wrong by a part; gives certified digits."""
    data = nist.load(name)

    def residuals(b):
        return nist.PROBLEMS[name].model(data.x, *b) - data.y

    def rows(b):
        e = np.exp(-b[1] * data.x)
        return np.array([1 - e, b[0] * data.x * e * (1 + error * data.x / data.x.max())])

    fit = run(residuals, rows, data.starts[start])
    stderr = np.sqrt(np.diag(fit.covariance) * (fit.residuals @ fit.residuals) / data.dof)
    digits = nist.certified_digits(fit.x, data.params), nist.certified_digits(stderr, data.stderr)
    return fit, min(digits)


@pytest.mark.parametrize("start", [0, 1])
def test_certified_digits_in_plain_python(start):
    fit, digits = fit_exponential_rise("Misra1a", start)
    assert fit.status == lm.CONVERGED
    assert digits >= 8


def test_a_derivative_wrong_by_a_thousandth_costs_the_digits():
    _, digits = fit_exponential_rise("Misra1a", 1, error=1e-3)
    assert digits < 6


def test_search_that_runs_off_begins_again_with_more_damping():
    """BoxBOD: from its first start the rate runs off to infinity, where it is lost."""
    fit, digits = fit_exponential_rise("BoxBOD", 0)
    assert fit.status == lm.CONVERGED
    assert fit.counts[3] > 1
    assert digits >= 7


def test_plain_python_and_compiled_take_the_same_steps():
    fit = run(rosenbrock, rosenbrock_rows, [-1.2, 1.0])
    compiled = sd.least_squares(rosenbrock, [-1.2, 1.0])
    assert fit.status == lm.CONVERGED
    assert fit.counts[0] == compiled.nit
    np.testing.assert_allclose(fit.x, compiled.x, rtol=1e-12)


def test_counts():
    fit = run(decay, decay_rows, [1.0, 1.0, 0.0])
    steps, with_jacobian, without, searches = fit.counts
    assert searches == 1
    assert with_jacobian + without == len(fit.visited)
    assert with_jacobian <= steps + 1 <= without + 1


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_unit_of_the_data(factor):
    plain = run(decay, decay_rows, [1.0, 1.0, 0.0])
    other = run(lambda x: factor * decay(x), lambda x: factor * decay_rows(x), [1.0, 1.0, 0.0])
    assert other.status == lm.CONVERGED
    assert abs(other.counts[0] - plain.counts[0]) <= 1
    np.testing.assert_allclose(other.x, plain.x, rtol=1e-8)
    np.testing.assert_allclose(other.covariance * factor**2, plain.covariance, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_unit_of_a_parameter(k, factor):
    unit = np.where(np.arange(3) == k, factor, 1.0)
    start = np.array([1.0, 1.0, 0.1])
    plain = run(decay, decay_rows, start)
    other = run(lambda x: decay(x / unit), lambda x: decay_rows(x / unit) / unit[:, None],
                start * unit)  # fmt: skip
    assert other.status == lm.CONVERGED
    assert abs(other.counts[0] - plain.counts[0]) <= 1
    np.testing.assert_allclose(other.x / unit, plain.x, rtol=1e-8)
    np.testing.assert_allclose(other.covariance / np.outer(unit, unit), plain.covariance, rtol=1e-6)


def test_unit_of_a_parameter_that_has_no_effect_at_the_start():
    """The scale of a column that is zero at first must not be an absolute number."""

    def residuals(x):
        return np.array([x[0] ** 2 - x[1] ** 3, 2 * x[0] - 3.0, x[0] * x[1] - 2.0])

    def rows(x):
        return np.array([[2 * x[0], 2.0, x[1]], [-3 * x[1] ** 2, 0.0, x[0]]])

    plain = run(residuals, rows, [0.0, 0.0])
    for unit in (1e-6, 1e6):
        u = np.array([1.0, unit])
        other = run(
            lambda x, u=u: residuals(x / u), lambda x, u=u: rows(x / u) / u[:, None], [0, 0]
        )
        assert other.status == plain.status == lm.CONVERGED
        assert abs(other.counts[0] - plain.counts[0]) <= 1
        np.testing.assert_allclose(other.x / u, plain.x, rtol=1e-8)


BOXES = [
    ([0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    ([0.0, 1.5, -1.0], [np.inf, 3.0, 1.0]),
    ([0.0, 0.0, 0.7], np.inf),
    ([0.0, 1.5, 0.7], [2.0, np.inf, np.inf]),
]


@pytest.mark.parametrize(("lower", "upper"), BOXES)
def test_bounds(lower, upper):
    start = [1.0, 1.6, 0.8]
    fit = run(decay, decay_rows, start, lower=lower, upper=upper)
    assert fit.status == lm.CONVERGED
    assert (fit.visited >= np.broadcast_to(lower, 3)).all()
    assert (fit.visited <= np.broadcast_to(upper, 3)).all()
    theirs = scipy.optimize.least_squares(
        decay, start, lambda x: decay_rows(x).T, (lower, upper), xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    np.testing.assert_allclose(fit.x, theirs.x, rtol=1e-5, atol=1e-5)
    assert fit.residuals @ fit.residuals <= 2 * theirs.cost * (1 + 1e-9)
    # Parameters at a bound count as free in the covariance, as in curve_fit.
    rows = decay_rows(fit.x)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(rows @ rows.T), rtol=1e-9)


def test_leaves_a_bound_at_which_it_starts():
    fit = run(decay, decay_rows, [0.0, 1.0, 0.0], lower=0.0)
    free = run(decay, decay_rows, [1.0, 1.0, 0.0])
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, free.x, rtol=1e-7)


def test_infinite_derivative_at_a_bound_is_a_rejected_step():
    """A full step would end at zero, where the root has no derivative."""
    with np.errstate(all="ignore"):
        fit = run(
            lambda x: np.array([np.sqrt(x[0]) - 0.05, 0.1 * np.sqrt(x[0])]),
            lambda x: np.array([[0.5, 0.05]]) / np.sqrt(x[0]),
            [1.0],
            lower=0.0,
        )
    assert [0.0] in fit.visited
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, [(0.05 / 1.01) ** 2], rtol=1e-7)


def test_fixed_parameters_stay_and_have_no_covariance():
    fit = run(decay, decay_rows, [1.0, 1.5, 0.0], fixed=(1,))
    assert fit.status == lm.CONVERGED
    assert (np.array(fit.visited)[:, 1] == 1.5).all()
    rows = decay_rows(fit.x)[[0, 2]]
    np.testing.assert_allclose(rows @ fit.residuals, 0.0, atol=1e-8)
    np.testing.assert_allclose(fit.covariance[::2, ::2], np.linalg.inv(rows @ rows.T), rtol=1e-10)
    assert (fit.covariance[1] == 0).all()
    assert (fit.covariance[:, 1] == 0).all()


def test_derivative_of_a_fixed_parameter_is_not_looked_at():
    def rows(x):
        return np.array([decay_rows(x)[0], np.full(T.size, np.nan), decay_rows(x)[2]])

    fit = run(decay, rows, [1.0, 1.5, 0.0], fixed=(1,))
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, run(decay, decay_rows, [1.0, 1.5, 0.0], fixed=(1,)).x)


LOSSES = ["linear", "soft_l1", "huber", "cauchy", "arctan"]


@pytest.mark.parametrize("f_scale", [0.05, 0.3])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_those_of_scipy(loss, f_scale):
    outlier = np.where(np.arange(T.size) % 7 == 3, 1.0, 0.0)
    start = [2.0, 1.0, 0.4]
    code = LOSSES.index(loss)
    fit = run(lambda x: decay(x) + outlier, decay_rows, start, loss=code, f_scale=f_scale)
    theirs = scipy.optimize.least_squares(
        lambda x: decay(x) + outlier, start, lambda x: decay_rows(x).T, loss=loss, f_scale=f_scale,
        xtol=1e-14, ftol=1e-14, gtol=1e-12,
    )  # fmt: skip
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, theirs.x, rtol=1e-5)
    # Residuals and Jacobian are left as the model gives them, not as the loss scales them.
    np.testing.assert_array_equal(fit.residuals, decay(fit.x) + outlier)
    np.testing.assert_array_equal(fit.jacobian, decay_rows(fit.x))
    np.testing.assert_allclose(lm.apply_loss(code, f_scale, fit.residuals), 2 * theirs.cost)


@pytest.mark.parametrize("loss", ["soft_l1", "huber"])
def test_start_where_all_residuals_are_outliers(loss):
    """Huber's loss then has no curvature at all, and the damping must carry the steps."""
    data = nist.load("Misra1a")
    scale = np.sqrt(data.residual_sum / data.dof)
    rng = np.random.default_rng(2)
    y, k = data.y.copy(), rng.choice(14, 1, replace=False)
    y[k] += 10 * scale * rng.standard_normal(1)

    def residuals(b):
        return b[0] * (1 - np.exp(-b[1] * data.x)) - y

    def rows(b):
        e = np.exp(-b[1] * data.x)
        return np.array([1 - e, b[0] * data.x * e])

    code = LOSSES.index(loss)
    fit = run(residuals, rows, data.starts[1], loss=code, f_scale=3 * scale)
    theirs = scipy.optimize.least_squares(
        residuals, data.starts[1], lambda b: rows(b).T, loss=loss, f_scale=3 * scale, x_scale="jac",
        xtol=1e-14, ftol=1e-14, gtol=1e-14,
    )  # fmt: skip
    assert (np.abs(residuals(data.starts[1])) > 3 * scale).all()
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(
        lm.apply_loss(code, 3 * scale, fit.residuals), 2 * theirs.cost, rtol=1e-8
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_residuals_not_finite_at_the_start(bad):
    fit = run(lambda x: x * bad, lambda x: np.eye(2), [1.0, 1.0])
    assert fit.status == lm.NOT_FINITE
    np.testing.assert_array_equal(fit.x, [1.0, 1.0])
    assert np.isinf(fit.covariance).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_jacobian_not_finite_at_the_start(bad):
    fit = run(rosenbrock, lambda x: rosenbrock_rows(x) * bad, [1.0, 2.0])
    assert fit.status == lm.NOT_FINITE
    np.testing.assert_array_equal(fit.x, [1.0, 2.0])


def test_residuals_not_finite_on_the_way_are_rejected_steps():
    y = 2.0 * np.sqrt(T - 0.05)
    with np.errstate(all="ignore"):
        fit = run(
            lambda x: x[0] * np.sqrt(T - x[1]) - y,
            lambda x: np.array([np.sqrt(T - x[1]), -0.5 * x[0] / np.sqrt(T - x[1])]),
            [1.0, -3.0],
        )
    assert any(x[1] > T[0] for x in fit.visited)
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, [2.0, 0.05], rtol=1e-7)


def test_too_few_steps():
    fit = run(rosenbrock, rosenbrock_rows, [-1.2, 1.0], max_steps=3)
    assert fit.status == lm.MAX_STEPS
    assert fit.counts[0] == 3 * lm.N_STRATEGIES
    assert np.isinf(fit.covariance).all()
    assert np.sum(fit.residuals**2) < np.sum(rosenbrock(np.array([-1.2, 1.0])) ** 2)


def test_wrong_sign_of_the_jacobian_is_stalled():
    fit = run(rosenbrock, lambda x: -rosenbrock_rows(x), [-1.2, 1.0])
    assert fit.status == lm.STALLED
    assert np.isinf(fit.covariance).all()


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
        np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]),
        np.eye(3)[:, :2],
    ],
    ids=["dependent", "zero", "more_parameters_than_points"],
)
def test_singular_jacobian(rows):
    fit = run(lambda x: x @ rows - 1.0, lambda x: rows, np.zeros(len(rows)))
    assert fit.status == lm.SINGULAR
    assert np.isinf(fit.covariance).all()


def test_singularity_that_the_diagonal_hides():
    """Kahan's triangle: singular up to rounding, though no diagonal element is small."""
    n, angle = 90, 1.2
    cosine, sine = np.cos(angle), np.sin(angle)
    triangle = np.eye(n) - cosine * np.triu(np.ones((n, n)), 1)
    r = np.diag(sine ** np.arange(n)) @ triangle
    r /= np.linalg.norm(r, axis=0)
    assert np.abs(np.diag(r)).min() > 1e-4
    condition = lm.invert_triangle(r, n, np.empty((n, n)))
    assert condition > lm.MAX_CONDITION
    assert condition > np.linalg.cond(r)


def test_local_minimum_at_a_singular_jacobian():
    """Freudenstein and Roth: as many residuals as parameters, and not zero."""

    def residuals(x):
        return np.array(
            [
                -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
                -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
            ]
        )

    def rows(x):
        return np.array([[1, 1], [(10 - 3 * x[1]) * x[1] - 2, (3 * x[1] + 2) * x[1] - 14]])

    fit = run(residuals, rows, [0.5, -2.0])
    assert fit.status == lm.SINGULAR
    np.testing.assert_allclose(fit.residuals @ fit.residuals, 48.98425367924, rtol=1e-10)


def test_residuals_that_are_rounding_errors():
    """Data that the model meets exactly: what remains has no direction to be judged by."""
    y = 2.5 * np.exp(-1.3 * T) + 1e3
    fit = run(lambda x: x[0] * np.exp(-x[1] * T) + 1e3 - y,
              lambda x: np.array([np.exp(-x[1] * T), -x[0] * T * np.exp(-x[1] * T)]),
              [1.0, 1.0])  # fmt: skip
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, [2.5, 1.3], rtol=1e-10)


def test_zero_residuals():
    fit = run(lambda x: np.array([x[0] - 1.0, x[1], 0.0]), lambda x: np.eye(3)[:2], [3.0, 2.0])
    assert fit.status == lm.CONVERGED
    np.testing.assert_allclose(fit.x, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(fit.covariance, np.eye(2), atol=1e-12)


def test_workspace_is_all_that_is_used():
    """`divide` covers what `workspace_size` gives but for the two options at its end."""
    n, p = 7, 3
    work = np.zeros(lm.workspace_size(n, p))
    vectors, squares, rows, matrices = lm.divide(work, n, p)
    for part in (*vectors, *squares, *rows, *matrices):
        part[...] = 1.0
    assert (work[: 12 * p] == 1).all()
    assert (work[14 * p : -2] == 1).all()
    assert (work[-2:] == 0).all()


def test_functions_are_listed_before_they_are_used():
    """A backend compiles them in this order."""
    known = {f.__name__ for f in lm.FUNCTIONS}
    seen = set(lm.HOOKS)
    for f in lm.FUNCTIONS:
        assert set(f.__code__.co_names) & known <= seen
        seen.add(f.__name__)
    assert f is lm.minimize
    assert set(lm.SUMS) <= known
