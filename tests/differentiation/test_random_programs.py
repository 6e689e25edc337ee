"""Random programs: forward mode is reverse mode is differences; branches not taken stay silent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import symdiff as sd
from symdiff.program import patterns
from symdiff.tracing.operations import UFUNCS, scipy_ufuncs

few = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Every operation maps numbers of moderate size to such, and is smooth: differences can be trusted.
# Complex arguments work too, so that a step along the imaginary axis gives derivatives to all
# digits (Squire & Trapp, SIAM Review 40, 1998).
UNARY: list[Callable[[Any], Any]] = [
    np.sin,
    np.cos,
    np.tanh,
    np.arctan,
    np.negative,
    lambda a: np.exp(-a * a),
    lambda a: np.log(a * a + 1.5),
    lambda a: np.sqrt(a * a + 0.5),
    lambda a: 1 / (a * a + 1.0),
    lambda a: (a * a + 0.7) ** 0.3,
    lambda a: np.expm1(np.sin(a)),
    lambda a: np.sinh(np.sin(a)),
    lambda a: np.arcsin(np.sin(a) / 2),
    lambda a: 0.5 * a**3 / (1 + a**4),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: np.sin(a) * b,
    lambda a, b: a / (b * b + 1.0),
    lambda a, b: np.tanh(a * b),
    lambda a, b: (a * a + 0.5) ** np.sin(b),
    lambda a, b: np.sin(a - 2 * b),
]
steps = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000)),
    min_size=1,
    max_size=12,
)
points = st.tuples(*[st.floats(-1.5, 1.5).map(lambda v: round(v, 3) + 0.0)] * 3)


def scalar_program(code: list[tuple[int, int, int]]) -> Callable[..., Any]:
    """A program of numbers: each step is an operation on earlier values."""

    def f(x, y, z):
        values = [x, y, z]
        for operation, left, right in code:
            a, b = values[-1 - left % len(values)], values[-1 - right % len(values)]
            number = operation % (len(UNARY) + len(BINARY))
            if number < len(UNARY):
                values.append(UNARY[number](a))
            else:
                values.append(BINARY[number - len(UNARY)](a, b))
        return values[-1] + 0.1 * values[0]

    return f


def complex_step(f: Callable[..., Any], at: tuple[float, ...], n: int) -> float:
    """The derivative by argument n, to all digits."""
    moved = [complex(v, 1e-30 * (k == n)) for k, v in enumerate(at)]
    return float(np.imag(f(*moved)) / 1e-30)


@few
@given(steps, points)
def test_random_programs_of_numbers(code, at):
    f = scalar_program(code)
    value, gradient = sd.value_and_grad(f, (0, 1, 2))(*at)
    assert value == pytest.approx(f(*at), rel=1e-12, abs=1e-13)
    want = [complex_step(f, at, n) for n in range(3)]
    np.testing.assert_allclose(gradient, want, rtol=1e-9, atol=1e-11)
    forward = [sd.jvp(f, at, tuple(map(float, e)))[1] for e in np.eye(3)]
    np.testing.assert_allclose(forward, want, rtol=1e-9, atol=1e-11)


@few
@given(steps, points)
def test_second_derivatives_of_random_programs(code, at):
    f = scalar_program(code)
    h = np.array(sd.hessian(f, (0, 1, 2))(*at))
    np.testing.assert_allclose(h, h.T, rtol=1e-9, atol=1e-10)
    forward = np.array([sd.hvp(f, at, tuple(map(float, e)))[1] for e in np.eye(3)])
    np.testing.assert_allclose(forward, h, rtol=1e-9, atol=1e-10)
    gradient = sd.grad(f, (0, 1, 2))
    for n in range(3):
        # Central differences of fourth order of the exact gradient.
        shift = np.eye(3)[n] * 1e-3
        g = [np.array(gradient(*(np.array(at) + k * shift).tolist())) for k in (1, -1, 2, -2)]
        difference = (8 * (g[0] - g[1]) - (g[2] - g[3])) / 12e-3
        np.testing.assert_allclose(h[n], difference, rtol=1e-4, atol=1e-4)


W = np.sin(np.arange(9.0)).reshape(3, 3)
PICK = np.array([2, 0, 2])
# Operations from a matrix (3, 3) to a matrix (3, 3), which mix and share elements.
ARRAY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: np.sin(a) + b,
    lambda a, b: a * np.cos(b),
    lambda a, b: np.tanh(a @ b),
    lambda a, b: a.T - 0.5 * b,
    lambda a, b: np.tanh(W @ a),
    lambda a, b: a - np.mean(b, axis=0),
    lambda a, b: a / (1 + np.sum(b * b, axis=1, keepdims=True)),
    lambda a, b: np.concatenate([a[1:], b[:1]]),
    lambda a, b: a[::-1] * b[:, ::-1],
    lambda a, b: np.tanh(np.outer(a[0], b[:, 1])),
    lambda a, b: np.stack([a[0], b[1], a[2] * b[2]], axis=1),
    lambda a, b: a[PICK] + b[:, PICK],
    lambda a, b: np.exp(-(a**2)) / (1 + np.sum(np.exp(-(a**2)))),
    lambda a, b: np.where(W > 0, a, b * a),
    lambda a, b: np.reshape(np.ravel(a)[::-1], (3, 3)) * b,
    lambda a, b: np.tanh(np.einsum("ij,kj->ik", a, b)),
    lambda a, b: a + np.diag(np.diagonal(b)),
    lambda a, b: np.broadcast_to(np.sum(a, axis=0), (3, 3)) * 0.3 + b,
    lambda a, b: a + np.trace(b) * W,
    lambda a, b: np.tanh(a[:, None, :] * b[None]).sum(axis=1),
    lambda a, b: a - np.logaddexp.reduce(b, axis=1, keepdims=True),
    lambda a, b: np.sqrt(1 + a * a) * np.swapaxes(b, 0, 1),
    lambda a, b: np.tanh(np.tensordot(a, b, ([0], [0]))),
    lambda a, b: np.arctan2(a, 2 + b * b),
]


def array_program(code: list[tuple[int, int, int]]) -> Callable[..., Any]:
    """A program of matrices."""

    def f(x, y):
        values = [x, y]
        for operation, left, right in code:
            a, b = values[-1 - left % len(values)], values[-1 - right % len(values)]
            values.append(ARRAY[operation % len(ARRAY)](a, b))
        return values[-1]

    return f


def matrices(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (3, 3)), rng.uniform(-1, 1, (3, 3))


array_steps = steps.map(lambda code: code[:6])
seeds = st.integers(0, 1000)


@settings(few, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(array_steps, seeds)
@example([(7, 0, 1)], 0)
def test_random_programs_of_arrays(code, seed):
    f = array_program(code)
    x, y = matrices(seed)
    np.testing.assert_allclose(sd.jit(f)(x, y), f(x, y), rtol=1e-11, atol=1e-12)
    kept = [np.full((3, 3), 77.0) for _ in range(20)]
    del kept  # memory that is used again is not zero
    sd.check_derivatives(f, x, y, n_directions=1, rtol=1e-4, atol=1e-6, orders=(1,))


@settings(few, max_examples=5)
@given(array_steps, seeds)
def test_second_derivatives_of_random_programs_of_arrays(code, seed):
    x, y = matrices(seed)

    def loss(x, y):
        return np.sum(np.sin(array_program(code[:4])(x, y)) * W)

    sd.check_derivatives(loss, x, y, n_directions=1, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", range(len(ARRAY)))
def test_every_operation_of_the_random_programs(number):
    f = array_program([(number, 1, 0), (number, 0, 1)])
    x, y = matrices(number)
    np.testing.assert_allclose(sd.jit(f)(x, y), f(x, y), rtol=1e-12, atol=1e-13)
    sd.check_derivatives(f, x, y, n_directions=1, rtol=1e-4, atol=1e-6)


# a derivative that is wrong is found


WRONG = [
    (np.sin, np.sin, 0.7),
    (np.tanh, np.tanh, 0.7),
    (np.sqrt, np.sqrt, 0.7),
    (np.log1p, np.log1p, 0.7),
    (np.arctan, np.arctan, 0.7),
    (np.multiply, lambda x: x * np.cos(x), 0.7),
    (np.divide, lambda x: np.exp(x) / x, 0.7),
    (np.square, lambda x: x * x, 0.7),
]


@pytest.fixture
def forget():
    """Derivatives made wrong here are forgotten afterwards."""
    known = dict(patterns.DIFFS)
    patterns._partial.cache_clear()
    yield
    patterns.DIFFS.clear()
    patterns.DIFFS.update(known)
    patterns._partial.cache_clear()


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize(("ufunc", "f", "at"), WRONG, ids=[w[0].__name__ for w in WRONG])
@pytest.mark.parametrize("factor", [1.001, -1])
def test_a_wrong_derivative_is_found(ufunc, f, at, factor):
    made = lambda x: np.sum(f(x))  # noqa: E731 - a new function, so that nothing is remembered
    x = np.array([at, at / 2, 1.3 * at])
    sd.check_derivatives(lambda x: np.sum(f(x)), x)
    pattern = {**UFUNCS, **scipy_ufuncs().patterns}[ufunc]
    for operand in range(pattern.arity):
        patterns.DIFFS[pattern, operand] = pattern.derivative(operand) * factor
    patterns._partial.cache_clear()
    with pytest.raises(sd.SymdiffError, match=r"order 1, forward mode.*central differences give"):
        sd.check_derivatives(made, x)


@pytest.mark.usefixtures("forget")
def test_a_wrong_second_derivative_is_found():
    x = np.array([0.3, 1.0])
    sd.check_derivatives(lambda x: np.sum(np.sin(x)), x)
    # The derivative of the sine is right; what is wrong is the derivative of that.
    for pattern in list(patterns._PATTERNS.values()):
        if pattern.expression.has(sp.cos):
            for operand in range(pattern.arity):
                patterns.DIFFS[pattern, operand] = pattern.derivative(operand) * 1.001
    patterns._partial.cache_clear()
    sd.check_derivatives(lambda x: np.sum(np.sin(x)), x, orders=(1,))
    with pytest.raises(sd.SymdiffError, match="order 2"):
        sd.check_derivatives(lambda x: np.sum(np.sin(x)), x)


def test_the_rest_of_the_tests_see_the_right_derivatives():
    assert sd.grad(lambda x: np.sin(x) + 0)(0.7) == pytest.approx(np.cos(0.7), rel=1e-15)


# branches not taken (casadi#1878, symforce#445, sympy#15014, jax#5798 and their kin)


def sinc(x):
    return np.where(x == 0, 1.0, np.sin(x) / x)


def nested(x):
    return np.where(x > 0, np.where(x > 1, np.log(x), np.sqrt(x)), np.where(x < -1, x**2, -x))


def guarded_twice(x):
    return np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)), 0.0)


def helper(x):
    root = np.sqrt(x)
    return np.where(x > 0, root * root * x, 0.0)


def norm_or_zero(x):
    square = x * x
    return np.where(square > 0, np.sqrt(square), 0.0)


def reciprocal_chain(x):
    y = 1 / x
    z = np.log(y)
    return np.where(x > 0, x * np.exp(z), 0.0)


# f, where, value, first and second derivative
BRANCHES = [
    ("sqrt(where)", lambda x: np.sqrt(np.where(x > 0, x, 1.0)), -1.0, 1.0, 0.0, 0.0),
    ("where(sqrt)", lambda x: np.where(x > 0, np.sqrt(x), 0.0), -1.0, 0.0, 0.0, 0.0),
    ("where(sqrt) at 0", lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0, 0.0, 0.0),
    ("where(log) at 0", lambda x: np.where(x > 0, np.log(x), 0.0), 0.0, 0.0, 0.0, 0.0),
    ("sqrt(where(x > 0, x, 0))", lambda x: np.sqrt(np.where(x > 0, x, 0)), -1.0, 0.0, 0.0, 0.0),
    ("sqrt(where(x > 0, x, 0)) at 0", lambda x: np.sqrt(np.where(x > 0, x, 0)), 0.0, 0.0, 0.0, 0.0),
    ("sqrt of a product", lambda x: np.sqrt(np.where(x > 0, x * x, 0)), -1.0, 0.0, 0.0, 0.0),
    ("sinc at 0", sinc, 0.0, 1.0, 0.0, 0.0),
    ("nested at 0", nested, 0.0, 0.0, -1.0, 0.0),
    ("nested above", nested, 2.0, np.log(2.0), 0.5, -0.25),
    ("nested below", nested, -2.0, 4.0, -4.0, 2.0),
    ("guarded twice", guarded_twice, 0.0, 0.0, 0.0, 0.0),
    ("a helper's root", helper, -1.0, 0.0, 0.0, 0.0),
    ("a helper's root at 0", helper, 0.0, 0.0, 0.0, 0.0),
    ("norm or zero", norm_or_zero, 0.0, 0.0, 0.0, 0.0),
    ("chain of poles", reciprocal_chain, 0.0, 0.0, 0.0, 0.0),
    ("chain of poles below", reciprocal_chain, -1.0, 0.0, 0.0, 0.0),
    ("maximum(a, sqrt(b))", lambda x: np.maximum(2.0, np.sqrt(x)), 0.0, 2.0, 0.0, 0.0),
    ("maximum(sqrt(b), a)", lambda x: np.maximum(np.sqrt(x), 2.0), 0.0, 2.0, 0.0, 0.0),
    ("minimum(a, 1/b)", lambda x: np.minimum(2.0, 1 / x), 0.0, 2.0, 0.0, 0.0),
    ("clip(1/x)", lambda x: np.clip(1 / x, -3.0, 3.0), 0.0, 3.0, 0.0, 0.0),
    ("overflow", lambda x: np.where(x > 500, x, np.log1p(np.exp(x))), 1000.0, 1000.0, 1.0, 0.0),
    ("overflow squared", lambda x: np.where(x > 500, x, np.exp(x) ** 2), 1000.0, 1000.0, 1.0, 0.0),
    ("division", lambda x: np.where(x != 0, x / x, 1.0), 0.0, 1.0, 0.0, 0.0),
    ("power", lambda x: np.where(x > 0, x**0.3, 0.0), 0.0, 0.0, 0.0, 0.0),
    ("traced power", lambda x: np.where(x > 0, x**x, 1.0), -1.0, 1.0, 0.0, 0.0),
    ("arccos", lambda x: np.where(np.abs(x) < 1, np.arccos(x), 0.0), 1.0, 0.0, 0.0, 0.0),
    ("scaled after", lambda x: 3 * np.where(x > 0, np.sqrt(x), x) ** 2, 0.0, 0.0, 0.0, 6.0),
    ("two uses", lambda x: np.where(x > 0, 1 / x, 0) + np.where(x > 0, 0, x), 0.0, 0.0, 1.0, 0.0),
    ("a constant condition", lambda x: np.where(np.array(True), x, 1 / x), 0.0, 0.0, 1.0, 0.0),
    ("reversed", lambda x: np.where(x <= 0, x**3, np.log(x) / x), 0.0, 0.0, 0.0, 0.0),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("f", "at", "value", "first", "second"), [pytest.param(*b[1:], id=b[0]) for b in BRANCHES]
)
def test_branches_not_taken(f, at, value, first, second):
    assert sd.value_and_grad(f)(at) == pytest.approx((value, first), abs=1e-15)
    assert sd.jvp(f, at, 1.0) == pytest.approx((value, first), abs=1e-15)
    assert sd.grad(sd.grad(f))(at) == pytest.approx(second, abs=1e-15)
    assert sd.hvp(f, at, 1.0) == pytest.approx((first, second), abs=1e-15)
    assert sd.jvp(lambda x: sd.jvp(f, x, 1.0)[1], at, 1.0)[1] == pytest.approx(second, abs=1e-15)
    assert sd.hessian(f)(at) == pytest.approx(second, abs=1e-15)


@pytest.mark.parametrize(
    ("f", "at", "value", "first", "second"), [pytest.param(*b[1:], id=b[0]) for b in BRANCHES]
)
def test_branches_not_taken_in_arrays_and_through_reductions(f, at, value, first, second):
    x = np.array([at, 0.3, at, 0.7])

    def total(x):
        return np.sum(f(x) * np.array([1.0, 0.0, 2.0, 0.0]))

    rest = sd.grad(f)(0.3)
    assert np.isfinite(rest)
    want = np.array([first, 0.0, 2 * first, 0.0])
    np.testing.assert_allclose(sd.grad(total)(x), want, atol=1e-15)
    forward = [sd.jvp(total, x, e)[1] for e in np.eye(4)]
    np.testing.assert_allclose(forward, want, atol=1e-15)
    want = np.array([second, 0.0, 2 * second, 0.0])
    np.testing.assert_allclose(sd.hvp(total, x, np.ones(4))[1], want, atol=1e-14)
    np.testing.assert_allclose(sd.grad(lambda x: np.sum(sd.grad(total)(x)))(x), want, atol=1e-14)
    assert sd.grad(lambda x: np.mean(np.stack([f(x), x])))(at) == pytest.approx((first + 1) / 2)


def masked_norms(x):
    squares = np.sum(x * x, axis=1)
    return np.sum(np.where(squares > 0, np.sqrt(squares), 0.0))


def masked_mean(x):
    return np.sum(np.where(x > 0, np.log(x), 0.0)) / np.sum(x > 0)


def masked_distances(x):
    d = x[:, None] - x[None]
    square = np.sum(d * d, axis=-1)
    return np.sum(np.where(np.eye(3) > 0, 0.0, np.sqrt(square)))


def masked_softmax(x):
    z = np.where(x > 0, x, -np.inf)
    return np.logaddexp.reduce(z)


def masked_sum_of_reductions(x):
    return np.where(x[0] > 0, np.sum(np.log(x)), np.sum(x))


ARRAYS = [
    ("norms", masked_norms, np.array([[0.0, 0.0], [3.0, 4.0]]), [[0, 0], [0.6, 0.8]]),
    ("mean", masked_mean, np.array([0.0, 2.0, -1.0, 4.0]), [0, 0.25, 0, 0.125]),
    ("softmax", masked_softmax, np.array([-1.0, 2.0, 2.0]), [0, 0.5, 0.5]),
    ("sum of reductions", masked_sum_of_reductions, np.array([-1.0, 0.0, 2.0]), [1, 1, 1]),
    ("max of roots", lambda x: np.max(np.sqrt(x)), np.array([0.0, 4.0]), [0, 0.25]),
    ("min of logs", lambda x: np.min(-np.log(x)), np.array([0.0, 4.0]), [0, -0.25]),
    ("picked", lambda x: np.sqrt(x)[1], np.array([0.0, 4.0]), [0, 0.25]),
    ("sliced", lambda x: np.sum(np.log(x)[1:]), np.array([0.0, 4.0]), [0, 0.25]),
    ("masked", lambda x: np.sum(np.log(x)[np.array([False, True])]), np.array([0, 4.0]), [0, 0.25]),
]


BEYOND = "a zero cotangent meets an infinite slope: 0 * inf"
FAULTS = {
    "picked": BEYOND,
    "sliced": BEYOND,
    "masked": BEYOND,
}


@pytest.mark.parametrize(
    ("f", "x", "want"),
    [
        pytest.param(
            *a[1:],
            id=a[0],
            marks=[pytest.mark.xfail(strict=True, reason=FAULTS[a[0]])] if a[0] in FAULTS else [],
        )
        for a in ARRAYS
    ],
)
def test_masked_reductions(f, x, want):
    np.testing.assert_allclose(sd.grad(f)(x), want, atol=1e-15)
    unit = np.eye(x.size).reshape(x.size, *x.shape)
    forward = [sd.jvp(f, x, e)[1] for e in unit]
    np.testing.assert_allclose(np.reshape(forward, x.shape), want, atol=1e-15)
    columns = [sd.hvp(f, x, e)[1] for e in unit]
    assert np.all(np.isfinite(columns))
    kept = [np.full(x.shape * 2, 77.0) for _ in range(20)]
    del kept  # memory that is used again is not zero
    np.testing.assert_allclose(sd.hessian(f)(x), np.reshape(columns, x.shape * 2), atol=1e-15)


def test_distances_with_a_masked_diagonal():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    got = sd.grad(masked_distances)(x)
    np.testing.assert_allclose(got, [[-2.4, -3.2], [0, 0], [2.4, 3.2]], atol=1e-14)
    assert np.all(np.isfinite(sd.hvp(masked_distances, x, np.ones_like(x))[1]))


def test_a_taken_branch_still_shows_its_nan():
    f = sd.grad(lambda x: np.where(x < 0, np.sqrt(x), x))
    assert np.isnan(f(-1.0))
    assert sd.grad(lambda x: np.where(x >= 0, np.sqrt(x), 0.0))(0.0) == np.inf
