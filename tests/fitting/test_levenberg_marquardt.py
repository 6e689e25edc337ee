"""The solver as plain Python: what is compiled can be stepped through, and gives the same."""

import types

import numpy as np
import pytest

import symdiff as sd
from symdiff.fitting import levenberg_marquardt as lm


def run(function, jacobian, start, *, fixed=(), loss=0, max_steps=200):
    """Bind the hooks to NumPy functions and run `minimize` without compiling anything."""
    start = np.asarray(start, float)
    n, p = function(start).size, start.size

    def evaluate(_problem, params, residuals):
        with np.errstate(all="ignore"):
            residuals[:] = function(params)

    def evaluate_with_jacobian(_problem, params, residuals, rows):
        with np.errstate(all="ignore"):
            residuals[:] = function(params)
            rows[:] = jacobian(params)

    namespace = dict(vars(lm), evaluate=evaluate, evaluate_with_jacobian=evaluate_with_jacobian)
    for f in lm.FUNCTIONS:
        namespace[f.__name__] = types.FunctionType(f.__code__, namespace, f.__name__)
    problem = np.zeros(lm.HOOK_DATA + 8, np.int64)
    problem[lm.HOOK_DATA : lm.HOOK_DATA + 4] = n, p, loss, max_steps
    work = np.zeros(lm.workspace_size(n, p))
    work[:p], work[p : 2 * p], work[2 * p : 3 * p] = start, -np.inf, np.inf
    work[3 * p : 4 * p] = [j in fixed for j in range(p)]
    work[-2:] = 1.0, 1e-8
    status = namespace["minimize"](problem, work)
    return status, work[:p].copy(), problem[-4:].copy()


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def rosenbrock_rows(x):
    return np.array([[-20 * x[0], -1.0], [10.0, 0.0]])


def test_plain_python_and_compiled_take_the_same_steps():
    status, x, counts = run(rosenbrock, rosenbrock_rows, [-1.2, 1.0])
    compiled = sd.least_squares(rosenbrock, [-1.2, 1.0])
    assert status == lm.CONVERGED
    assert counts[0] == compiled.nit
    np.testing.assert_allclose(x, compiled.x, rtol=1e-12)


def test_fixed_parameters_stay():
    status, x, _ = run(rosenbrock, rosenbrock_rows, [0.5, 3.0], fixed=(1,))
    assert status == lm.CONVERGED
    assert x[1] == 3.0
    slope = rosenbrock_rows(x) @ rosenbrock(x)
    assert abs(slope[0]) < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_at_the_start(bad):
    status, x, _ = run(lambda x: x * bad, lambda x: np.eye(2), [1.0, 1.0])
    assert status == lm.NOT_FINITE
    np.testing.assert_array_equal(x, [1.0, 1.0])


def test_wrong_jacobian_is_not_called_converged():
    status, _, _ = run(rosenbrock, lambda x: -rosenbrock_rows(x), [-1.2, 1.0])
    assert status in (lm.STALLED, lm.MAX_STEPS)


def test_singular_jacobian():
    status, _, counts = run(
        lambda x: np.array([x[0] + x[1] - 1, 2 * (x[0] + x[1]) - 3.0]),
        lambda x: np.array([[1.0, 2.0], [1.0, 2.0]]),
        [0.0, 0.0],
    )
    assert status == lm.SINGULAR
    assert counts[3] == lm.N_STRATEGIES


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
