import gc
import threading
import weakref

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimizers import certificate, conjugate_gradient, descent, driving, lbfgs
from symdiff.optimizers.certificate import Curvature, review
from symdiff.optimizers.inverse_hessian import InverseHessian
from symdiff.optimizers.kernels import Key, find
from symdiff.optimizers.objective import variables_of

Status = sd.MinimizeStatus
SMOOTH = ["lbfgs", "cg", "newton"]


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def residuals(x):
    return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


def kinked(x):
    return np.abs(x[0] - 1) + np.maximum(np.abs(x[1] + 2), 0.5 * np.abs(x[0] + x[1]))


def bowl(x, centre, weights):
    return np.sum(weights * (x - centre) ** 2) + np.sum(x) ** 4


def of_method(method):
    return residuals if method == "gauss-newton" else rosenbrock


@pytest.mark.parametrize("method", [*SMOOTH, "gauss-newton", "nelder-mead"])
@pytest.mark.parametrize("n", [2, 4])
def test_each_method_finds_the_minimum_of_rosenbrock(method, n):
    result = sd.minimize(of_method(method), np.full(n, 0.3), method=method)
    assert result.status is Status.CONVERGED
    assert result.success
    np.testing.assert_allclose(result.x, 1, rtol=1e-6)
    assert result.fun < 1e-12


@pytest.mark.parametrize("method", SMOOTH)
def test_arguments_are_data(method):
    centre, weights = np.array([1.0, -2.0, 3.0]), np.array([1.0, 10.0, 0.1])
    found = sd.minimize(bowl, np.zeros(3), (centre, weights), method=method)
    reference = scipy.optimize.minimize(bowl, np.zeros(3), (centre, weights), tol=1e-10)
    np.testing.assert_allclose(found.x, reference.x, atol=1e-5)
    other = sd.minimize(bowl, np.zeros(3), (centre, 2 * weights), method=method)
    assert other.fun > found.fun
    np.testing.assert_allclose(other.jac, 0, atol=1e-5)


def kkt_violation(x, gradient, lower, upper):
    """How far a point is from being stationary in a box, in units of the gradient."""
    is_low, is_high = x <= lower + 1e-9, x >= upper - 1e-9
    gradient = np.where(is_low, np.minimum(gradient, 0), gradient)
    return np.abs(np.where(is_high, np.maximum(gradient, 0), gradient)).max()


BOXES = [
    (np.full(6, -2.0), np.array([0.5, 0.1, 2.0, 2.0, 0.01, -1.0])),
    (np.array([-3.0, 1.5, -3.0, -3.0, 0.2, 0.0]), np.full(6, 3.0)),
    (np.full(6, -0.5), np.full(6, 0.5)),
    (np.array([-2.0, -2.0, 0.3, -2.0, -2.0, -2.0]), np.array([2.0, 2.0, 0.3, 2.0, 0.0, np.inf])),
]


@pytest.mark.parametrize("method", [*SMOOTH, "gauss-newton", "nelder-mead"])
@pytest.mark.parametrize("box", BOXES)
def test_bounded_solutions_are_stationary(method, box):
    lower, upper = box
    # A tree of bounds, a list of pairs, and SciPy's are the same.
    result = sd.minimize(of_method(method), np.full(6, -0.7), method=method, bounds=(lower, upper))
    assert result.status is Status.CONVERGED
    assert (result.x >= lower).all()
    assert (result.x <= upper).all()
    gradient = sd.grad(rosenbrock)(result.x)
    assert kkt_violation(result.x, gradient, lower, upper) < 1e-3
    if method == "nelder-mead":
        return
    assert kkt_violation(result.x, gradient, lower, upper) < 1e-5 * np.abs(gradient).max()
    pairs = list(zip(lower, upper, strict=True))
    again = sd.minimize(of_method(method), np.full(6, -0.7), method=method, bounds=pairs)
    assert (again.x == result.x).all()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["lbfgs", "cg", "newton"])
def test_random_bounded_quadratics(method, seed):
    """Convex, so the solution is unique: it is compared with SciPy's solver for that problem."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((12, 8)), rng.standard_normal(12)
    lower = np.where(rng.random(8) < 0.3, -np.inf, -0.3 * rng.random(8))
    upper = np.where(rng.random(8) < 0.3, np.inf, 0.3 * rng.random(8))
    result = sd.minimize(quadratic, np.zeros(8), (A, b), method=method, bounds=(lower, upper))
    reference = scipy.optimize.lsq_linear(A, b, (lower, upper), tol=1e-14)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x, reference.x, atol=1e-6)


def quadratic(x, A, b):
    return np.sum((A @ x - b) ** 2)


def test_bounds_as_scipy_gives_them():
    bounds = scipy.optimize.Bounds([-2, -2], [0.5, 0.5])
    assert sd.minimize(rosenbrock, [-1.0, 0.0], bounds=bounds).x[0] == 0.5
    one_sided = sd.minimize(rosenbrock, [3.0, 3.0], bounds=[(1.5, None), (None, None)])
    np.testing.assert_allclose(one_sided.x, [1.5, 2.25])


def test_a_start_outside_is_moved_inside():
    result = sd.minimize(rosenbrock, [9.0, 9.0], bounds=(-2.0, 0.5))
    np.testing.assert_allclose(result.x, [0.5, 0.25])


def scaled(x, units, factor):
    return factor * rosenbrock(x * units)


@pytest.mark.parametrize("method", [*SMOOTH, "nelder-mead"])
@pytest.mark.parametrize("factor", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_units_change_nothing(method, factor, unit):
    units = np.full(2, unit)
    start = np.array([-1.2, 1.0]) / units
    result = sd.minimize(scaled, start, (units, factor), method=method)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x * units, 1, rtol=1e-6)


def test_newton_is_independent_of_each_variable_s_unit():
    units = np.array([1e-6, 1e5])
    result = sd.minimize(scaled, np.array([-1.2, 1.0]) / units, (units, 1.0), method="newton")
    np.testing.assert_allclose(result.x * units, 1, rtol=1e-6)


@pytest.mark.parametrize("method", [*SMOOTH, "gauss-newton", "nelder-mead"])
def test_float32_stays_float32(method):
    start = np.array([-1.2, 1.0], np.float32)
    result = sd.minimize(of_method(method), start, method=method)
    assert result.x.dtype == np.float32
    assert result.fun.dtype == np.float32
    assert result.history.dtype == np.float32
    np.testing.assert_allclose(result.x, 1, rtol=2e-3)


@pytest.mark.parametrize("method", [*SMOOTH, "nelder-mead"])
def test_trees_numbers_and_matrices(method):
    def f(p):
        return (p["a"] - 3) ** 2 + np.sum((p["b"][0] - p["a"]) ** 2) + (p["b"][1] + 1) ** 2

    start = {"a": 1.0, "b": (np.ones((2, 2)), 0.5)}
    result = sd.minimize(f, start, method=method)
    assert set(result.x) == {"a", "b"}
    np.testing.assert_allclose(result.x["b"][0], np.full((2, 2), 3.0), rtol=1e-5)
    np.testing.assert_allclose(result.x["b"][1], -1, rtol=1e-5)
    if method != "nelder-mead":
        assert result.jac["b"][0].shape == (2, 2)
    bounded = sd.minimize(f, start, method=method, bounds=({"a": -1, "b": (0, 0)}, None))
    np.testing.assert_allclose(bounded.x["b"][1], 0, atol=1e-9)
    assert sd.minimize(lambda x: (x - 2.0) ** 4 + x, 0.0, method=method).x == pytest.approx(
        2 - 0.25 ** (1 / 3)
    )


def test_functions_of_ours_are_taken():
    f = sd.jit(rosenbrock)
    assert sd.minimize(f, [0.0, 0.0]).success
    assert f.n_compiled == 0


@pytest.mark.parametrize("method", SMOOTH)
def test_trials_that_are_not_finite_are_steps_that_failed(method):
    def barrier(x):
        return np.sum(x) - np.sum(np.log(x)) - np.log(3 - x[0] - x[1])

    with np.errstate(all="raise"):
        result = sd.minimize(barrier, [1e-3, 2.9], method=method)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(sd.grad(barrier)(result.x), 0, atol=1e-5)


@pytest.mark.parametrize("method", [*SMOOTH, "nelder-mead"])
def test_what_is_not_finite_at_the_start_says_so(method):
    result = sd.minimize(lambda x: np.sum(np.log(x)), [-1.0, 1.0], method=method)
    assert result.status is Status.NOT_FINITE
    assert not result.success
    assert "finite" in result.message


@pytest.mark.parametrize("method", SMOOTH)
@pytest.mark.parametrize(
    "f", [lambda x: -np.sum(x**2), lambda x: -np.sum(x), lambda x: x[0] ** 3 + x[1] ** 2]
)
def test_unbounded_functions_say_so(method, f):
    result = sd.minimize(f, [-1.0, 2.0], method=method)
    assert result.status is Status.UNBOUNDED
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("method", [*SMOOTH, "nelder-mead"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_max_steps(method, count):
    result = sd.minimize(rosenbrock, [-1.2, 1.0], method=method, max_steps=count)
    assert result.status is Status.MAX_STEPS
    assert result.nit == count
    assert len(result.history) == count
    assert result.fun == pytest.approx(rosenbrock(result.x))


@pytest.mark.parametrize("method", SMOOTH)
def test_a_start_at_the_minimum(method):
    result = sd.minimize(rosenbrock, np.ones(3), method=method)
    assert result.status is Status.CONVERGED
    assert result.nfev <= 2
    assert (result.x == 1).all()


def test_newton_leaves_a_saddle():
    result = sd.minimize(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, [1.0, 0.0], method="newton")
    assert result.fun == pytest.approx(-0.25)


def test_functions_that_are_not_smooth():
    result = sd.minimize(kinked, [3.0, 4.0], method="nelder-mead")
    np.testing.assert_allclose(result.x, [1, -5 / 3], atol=1e-6)


def test_history_decreases_and_ends_at_the_value():
    result = sd.minimize(rosenbrock, np.full(1200, -1.0))
    assert len(result.history) == result.nit > 2 * 1024  # several pieces of the kernel
    assert (np.diff(result.history) <= 1e-9 * np.abs(result.history[:-1])).all()
    assert result.history[-1] == result.fun


@pytest.mark.parametrize("method", [*SMOOTH, "nelder-mead"])
def test_pieces_give_the_same_as_the_whole(method):
    whole = sd.minimize(rosenbrock, [-1.2, 1.0, 0.4], method=method, max_steps=20)
    seen = []
    pieces = sd.minimize(
        rosenbrock, [-1.2, 1.0, 0.4], method=method, max_steps=20, callback=seen.append
    )
    np.testing.assert_allclose(pieces.x, whole.x, rtol=1e-9)
    assert len(seen) == 20
    assert (seen[-1] == pieces.x).all()


def test_callback_is_given_a_result_and_may_stop():
    seen = []

    def look(intermediate_result):
        seen.append(intermediate_result.nit)
        if len(seen) == 3:
            raise StopIteration

    result = sd.minimize(rosenbrock, [-1.2, 1.0], callback=look, callback_every=4)
    assert seen == [4, 8, 12]
    assert result.status is Status.INTERRUPTED
    assert result.nit == 12
    assert result.fun == pytest.approx(rosenbrock(result.x))


def test_an_error_in_a_callback_is_the_user_s():
    def look(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sd.minimize(rosenbrock, [-1.2, 1.0], callback=look)


def test_a_stop_iteration_of_the_function_is_an_error():
    with pytest.raises(StopIteration):
        sd.minimize(lambda x: np.sum(x**2) + next(iter(())), [1.0, 2.0])


def test_an_interrupt_keeps_what_there_is():
    def look(_):
        raise KeyboardInterrupt

    result = sd.minimize(rosenbrock, [-1.2, 1.0], callback=look)
    assert result.status is Status.INTERRUPTED
    assert result.nit == 1


def test_pieces_are_short():
    """The first piece is small, and later ones take about a tenth of a second."""
    assert driving._next_pace(16, 16, 1e-6) == 128
    assert driving._next_pace(100_000, 100_000, 1.0) == 10_000
    assert driving._next_pace(16, 16, 100.0) == driving.FEWEST
    assert driving._next_pace(128, 3, 1e-6) == 128


def test_progress(capsys):
    sd.minimize(rosenbrock, [-1.2, 1.0], progress=True)
    assert "step 1: f = " in capsys.readouterr().err


def peaks(x):
    return np.sum(x**2 - 10 * np.cos(2 * np.pi * x)) + 10 * x.size


def test_multistart_finds_the_best_of_many_minima():
    one = sd.minimize(peaks, [4.0, -3.0])
    result = sd.minimize(peaks, [4.0, -3.0], bounds=(-5.0, 5.0), multistart=64)
    assert len(result.starts) == 64
    assert result.fun == min(r.fun for r in result.starts)
    assert result.fun < 1.1 < one.fun
    again = sd.minimize(peaks, [4.0, -3.0], bounds=(-5.0, 5.0), multistart=64)
    assert (again.x == result.x).all()


def test_multistart_takes_starts():
    result = sd.minimize(peaks, [4.4, -3.3], multistart=[[0.1, 0.1], [2.2, 3.1]])
    np.testing.assert_allclose(result.x, 0, atol=1e-8)
    assert [len(r.x) for r in result.starts] == [2, 2, 2]


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_one_kernel_for_all_sizes_and_settings(method):
    def f(x):
        return np.sum((x - 1) ** 4)

    for n in (3, 5, 50, 700):
        assert sd.minimize(f, np.zeros(n), method=method, max_steps=n).nit > 0
    sd.minimize(f, np.ones(3), method=method, tol=1e-3)
    variables, _ = variables_of(np.zeros(3))
    assert find(f, Key(method, variables, False)).run.n_compiled == 1


def test_kernels_go_with_their_function():
    def f(x):
        return np.sum((x - 1) ** 4)

    sd.minimize(f, np.zeros(3))
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_threads_may_share_a_function():
    found = []

    def run(k):
        found.append(sd.minimize(rosenbrock, np.full(3, float(k))).fun)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert max(found) < 1e-12
    assert len(found) == 6


def meyer(x):
    t = 45.0 + 5 * np.arange(1, 17)
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427]
    y = np.array([*y, 3820, 3307, 2872])
    return np.sum((x[0] * np.exp(x[1] / (t + x[2])) - y) ** 2)


def test_cg_is_not_believed_where_it_knows_no_scale():
    """Its own step is tiny at 1.1e5; Newton's is not."""
    result = sd.minimize(meyer, [0.02, 4000.0, 250.0], method="cg")
    assert result.status is Status.CONVERGED
    assert result.fun == pytest.approx(87.94585517)


def test_lbfgs_is_not_believed_soon_after_a_restart(monkeypatch):
    """With 10 pairs it once restarts at 5313, and finds that its next step is tiny."""
    monkeypatch.setattr(lbfgs, "PAIRS", 10)
    monkeypatch.setattr(lbfgs, "ROWS", 11)
    result = sd.minimize(meyer, [0.02, 4000.0, 250.0])
    assert result.status is Status.CONVERGED
    assert result.fun == pytest.approx(87.94585517)


@pytest.mark.parametrize("start", [[3.0, 4.0], [-1.6, 1.1], [-2.0, 1.05]])
def test_a_slope_that_ends_in_a_kink_is_no_minimum(start):
    """The least value is 1/3; along a kink's edge a gradient's step is tiny anywhere."""
    result = sd.minimize(kinked, start, method="cg")
    assert result.status is Status.STALLED
    assert result.fun == pytest.approx(1 / 3)


def test_claims_are_judged_by_the_hessian():
    """Where Newton's step leads further, a descent that says it has converged goes on."""
    hessian = np.diag([2.0, 200.0])
    curvature = Curvature(lambda x, _: hessian, lambda x, v, _: hessian @ v)
    state = descent.start(conjugate_gradient.RULE, np.array([1.0, 1.0]))
    claim = state._replace(
        value=np.float64(10.0), first_value=np.float64(20.0), status=np.int64(Status.CONVERGED)
    )

    def judge(gradient, box=None):
        found = claim._replace(gradient=np.array(gradient))
        return review(conjugate_gradient.RULE, curvature, found, box, 4e-11, ())

    assert judge([1e-6, 1e-4]).status == Status.CONVERGED
    stalled = claim._replace(gradient=np.array([1e-6, 1e-4]), status=np.int64(Status.STALLED))
    found = review(conjugate_gradient.RULE, curvature, stalled, None, 4e-11, ())
    assert found.status == Status.CONVERGED
    wrong = judge([1.0, 0.0])
    assert wrong.status == Status.RUNNING
    np.testing.assert_allclose(wrong.direction, [-0.5, 0.0])
    assert judge([1.0, np.nan]).status == Status.STALLED
    # The function pulls the first variable beyond its bound.
    box = np.array([1.0, -9.0]), np.array([9.0, 9.0])
    assert judge([1.0, 1e-4], box).status == Status.CONVERGED
    # In vain.
    assert judge([1.0, 0.0])._replace(status=Status.CONVERGED).direction.any()
    again = wrong._replace(status=np.int64(Status.CONVERGED), value=claim.value)
    rejected = review(conjugate_gradient.RULE, curvature, again, None, 4e-11, ())
    assert rejected.status == Status.STALLED


def test_newton_step_by_products_is_that_of_the_matrix():
    rng = np.random.default_rng(3)
    A = rng.standard_normal((30, 30))
    hessian, slopes = A @ A.T + np.eye(30), rng.standard_normal(30)
    dense = certificate.newton_step(hessian, slopes, np.ones(30))
    np.testing.assert_allclose(hessian @ dense, -slopes, atol=1e-10)
    found = certificate.truncated_step(lambda v: hessian @ v, slopes)
    assert slopes @ found == pytest.approx(slopes @ dense, rel=1e-3)
    downhill = certificate.truncated_step(lambda v: -hessian @ v, slopes)
    assert slopes @ downhill < 0


def test_cg_in_many_variables_is_judged_by_products():
    scales = np.geomspace(1.0, 1e3, 150)
    result = sd.minimize(lambda x: np.sum(scales * (x - 1) ** 2), np.zeros(150), method="cg")
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x, 1, rtol=1e-6)


@pytest.mark.parametrize("method", ["lbfgs", "newton", "gauss-newton"])
def test_inverse_hessian(method):
    A = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.5], [1.0, 0.0, 0.0]])
    start = np.array([1.0, -2.0, 3.0])

    def f(x):
        r = A @ x - 1
        return r if method == "gauss-newton" else 0.5 * np.sum(r * r)

    result = sd.minimize(f, start, method=method)
    inverse = result.hess_inv if method != "lbfgs" else result.hess_inv.todense()
    np.testing.assert_allclose(inverse, np.linalg.inv(A.T @ A), rtol=2e-2, atol=2e-2)
    if method != "lbfgs":
        np.testing.assert_allclose(inverse, np.linalg.inv(A.T @ A), rtol=1e-9)
        return
    vector = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(result.hess_inv @ vector, inverse @ vector)
    np.testing.assert_allclose(inverse, inverse.T)
    np.testing.assert_allclose(result.hess_inv.T @ vector, inverse @ vector)


def test_inverse_hessian_is_scipy_s_but_for_its_scale():
    result = sd.minimize(rosenbrock, np.full(40, -1.0), max_steps=60)
    ours = result.hess_inv
    assert ours.sk.shape == (15, 40)
    np.testing.assert_allclose(ours @ ours.yk[-1], ours.sk[-1])  # the secant equation
    reference = scipy.optimize.LbfgsInvHessProduct(ours.sk, ours.yk)
    plain = InverseHessian(ours.sk, ours.yk, 1.0)
    np.testing.assert_allclose(plain.todense(), reference.todense(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", [*SMOOTH, "gauss-newton", "nelder-mead"])
def test_results_have_scipy_s_fields(method):
    result = sd.minimize(of_method(method), [-1.2, 1.0], method=method)
    fields = {"x", "fun", "nit", "nfev", "status", "message", "success"}
    assert fields <= set(result)
    assert ("jac" in result) == (method != "nelder-mead")
    assert ("hess_inv" in result) == (method not in ("cg", "nelder-mead"))


SCIPY = ["BFGS", "L-BFGS-B", "CG", "Newton-CG", "TNC", "SLSQP", "trust-ncg", "trust-krylov"]
SCIPY += ["trust-exact", "dogleg", "trust-constr", "Nelder-Mead", "Powell", "COBYLA"]


@pytest.mark.parametrize("name", SCIPY)
def test_methods_of_scipy(name):
    start = [0.99, 0.99] if name == "dogleg" else [-1.2, 1.0]
    options = {"maxiter": 5000} if name == "COBYLA" else {}
    tol = 1e-10 if name in ("COBYLA", "CG") else None
    result = sd.minimize(rosenbrock, start, method=f"scipy:{name}", options=options, tol=tol)
    np.testing.assert_allclose(result.x, 1, atol=2e-2)


def test_scipy_with_constraints_and_products():
    circle = scipy.optimize.NonlinearConstraint(lambda x: x @ x, -np.inf, 1.0)
    for name in ("trust-constr", "SLSQP"):
        result = sd.minimize(
            rosenbrock, [0.0, 0.0], method=f"scipy:{name}", constraints=circle, tol=1e-9
        )
        np.testing.assert_allclose(result.x, [0.786415, 0.617698], rtol=1e-4)
    large = sd.minimize(rosenbrock, np.full(250, 0.9), method="scipy:trust-krylov")
    np.testing.assert_allclose(large.x, 1, rtol=1e-4)
    tree = sd.minimize(lambda p: (p["a"] - 1) ** 2, {"a": 3.0}, method="scipy:BFGS", bounds=None)
    assert tree.x["a"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sd.minimize(rosenbrock, [0, 0], method="magic"), ValueError, "magic"),
        (lambda: sd.minimize(lambda x: 2 * x, [0.0, 0.0]), sd.ShapeError, "gauss-newton"),
        (lambda: sd.minimize(lambda x: (x, x), 1.0), sd.ShapeError, "one number"),
        (lambda: sd.minimize(rosenbrock, ["a"]), sd.DTypeError, "real numbers"),
        (lambda: sd.minimize(rosenbrock, [1j, 0]), sd.DTypeError, "complex"),
        (lambda: sd.minimize(rosenbrock, []), sd.ShapeError, "nothing to minimize"),
        (lambda: sd.minimize(3, [0.0]), TypeError, "expected a function"),
        (lambda: sd.minimize(rosenbrock, [0, 0], bounds=(1, 0)), ValueError, "lower bound"),
        (lambda: sd.minimize(rosenbrock, [0, 0], bounds=[(0, 1)] * 3), sd.ShapeError, "3 pairs"),
        (lambda: sd.minimize(rosenbrock, [0, 0], bounds=(np.zeros(3), 1)), sd.ShapeError, "fit"),
        (lambda: sd.minimize(rosenbrock, [0, 0], multistart=4), ValueError, "finite bounds"),
        (lambda: sd.minimize(rosenbrock, [0, 0], multistart=0), ValueError, "at least 1"),
        (lambda: sd.minimize(rosenbrock, [0, 0], callback_every=0), ValueError, "at least 1"),
        (lambda: sd.minimize(rosenbrock, [0, 0], constraints={"type": "eq"}), ValueError, "SLSQP"),
    ],
)
def test_misuse_raises_at_once(call, error, words):
    with pytest.raises(error, match=words):
        call()
