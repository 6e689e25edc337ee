"""Recursions over data: filters, hidden states, volatilities, polynomials."""

import itertools

import numpy as np
import pytest
from against_numpy import check, check_jacobian, check_sizes, check_vmap, close, same
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import symdiff as sd

rng = np.random.default_rng(8)

# Kalman filter of a position and a velocity, of which the position and a mixture are seen

SEEN = np.cumsum(rng.normal(size=(30, 2)), axis=0)
H = np.array([[1.0, 0.0], [0.5, 1.0]])
NOISE = np.array([0.3, -0.2, 0.4])


def system(p):
    """Transition, noise of the process and of the observation, from logarithms."""
    F = np.array([[1.0, 1.0], [0.0, 0.9]])
    Q = np.exp(p[0]) * np.array([[0.25, 0.5], [0.5, 1.0]]) + 0.01 * np.eye(2)
    R = np.array([[np.exp(p[1]), 0.1], [0.1, np.exp(p[2])]])
    return F, Q, R


def kalman(p, seen):
    """Log likelihood, by solving for the gain and taking the determinant of each innovation."""
    F, Q, R = system(p)
    m, P = np.zeros(2), 10.0 * np.eye(2)
    loglik = 0.0
    for y in seen:
        m = F @ m
        P = F @ P @ F.T + Q
        r = y - H @ m
        S = H @ P @ H.T + R
        gain = np.linalg.solve(S, H @ P).T
        loglik += -0.5 * (r @ np.linalg.solve(S, r) + np.linalg.slogdet(S)[1])
        loglik -= np.log(2 * np.pi)
        m = m + gain @ r
        P = P - gain @ H @ P
    return loglik


def kalman_by_scan(p, seen):
    F, Q, R = system(p)

    def step(state, y):
        m, P = F @ state["mean"], F @ state["cov"] @ F.T + Q
        r, S = y - H @ m, H @ P @ H.T + R
        gain = np.linalg.solve(S, H @ P).T
        term = -0.5 * (r @ np.linalg.solve(S, r) + np.linalg.slogdet(2 * np.pi * S)[1])
        return {"mean": m + gain @ r, "cov": P - gain @ H @ P}, term

    start = {"mean": np.zeros(2), "cov": 10.0 * np.eye(2)}
    return np.sum(sd.scan(step, start, seen)[1])


def test_plain_kalman_filter_is_the_joint_density():
    seen = SEEN[:5]
    F, Q, R = system(NOISE)
    n = len(seen)
    covariances = []
    P = 10.0 * np.eye(2)
    for _ in range(n):
        P = F @ P @ F.T + Q
        covariances.append(P)
    joint = np.zeros((n, 2, n, 2))
    for i in range(n):
        for j in range(i, n):
            block = H @ np.linalg.matrix_power(F, j - i) @ covariances[i] @ H.T
            joint[j, :, i] = block
            joint[i, :, j] = block.T
        joint[i, :, i] += R
    want = multivariate_normal(cov=joint.reshape(2 * n, 2 * n)).logpdf(seen.ravel())
    assert kalman(NOISE, seen) == pytest.approx(want, rel=1e-11)
    assert kalman_by_scan(NOISE, seen) == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("f", [kalman, kalman_by_scan])
def test_kalman_filter(f):
    check(f, NOISE, SEEN[:25])


@pytest.mark.parametrize("f", [kalman, kalman_by_scan])
def test_kalman_filter_of_any_length(f):
    seen = np.random.default_rng(9).normal(size=(300, 2))
    check_sizes(lambda y, p: f(p, y), lambda n: (seen[:n], NOISE), sizes=(5, 2, 300, 17))


# Hidden Markov model

LOG_A = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]]))
LOG_B = rng.normal(size=(40, 3))
LOG_START = np.log(np.array([0.5, 0.3, 0.2]))


def forward(log_a, log_b, log_start):
    """Log likelihood by the forward algorithm; `log_b` is (steps, states)."""
    alpha = log_start + log_b[0]
    for emission in log_b[1:]:
        alpha = logsumexp(alpha[:, None] + log_a, axis=0) + emission
    return logsumexp(alpha)


def forward_by_hand(log_a, log_b, log_start):
    """As `forward`, with loops over the states and a largest exponent found by comparing."""
    steps, states = log_b.shape
    alpha = log_start + log_b[0]
    for t in range(1, steps):
        after = np.zeros(states)
        for j in range(states):
            top = alpha[0] + log_a[0, j]
            for i in range(1, states):
                candidate = alpha[i] + log_a[i, j]
                if candidate > top:  # noqa: PLR1730 - a branch is what is tested
                    top = candidate
            total = 0.0
            for i in range(states):
                total += np.exp(alpha[i] + log_a[i, j] - top)
            after[j] = top + np.log(total) + log_b[t, j]
        alpha = after
    return np.log(np.sum(np.exp(alpha - np.max(alpha)))) + np.max(alpha)


def viterbi(log_a, log_b, log_start):
    """Log probability of the likeliest path."""
    best = log_start + log_b[0]
    for t in range(1, len(log_b)):
        best = np.max(best[:, None] + log_a, axis=0) + log_b[t]
    return np.max(best)


def viterbi_path(log_a, log_b, log_start):
    """States of the likeliest path, traced back through a table of integers."""
    steps, states = log_b.shape
    best = log_start + log_b[0]
    came_from = np.zeros((steps, states), dtype=int)
    for t in range(1, steps):
        scores = best[:, None] + log_a
        came_from[t] = np.argmax(scores, axis=0)
        best = np.max(scores, axis=0) + log_b[t]
    path = np.zeros(steps, dtype=int)
    path[steps - 1] = np.argmax(best)
    for t in range(steps - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def test_plain_forward_and_viterbi_are_the_sum_and_largest_of_all_paths():
    log_b = LOG_B[:4]
    scores = {}
    for path in np.ndindex(3, 3, 3, 3):
        score = LOG_START[path[0]] + sum(log_b[t, s] for t, s in enumerate(path))
        scores[path] = score + sum(LOG_A[a, b] for a, b in itertools.pairwise(path))
    values = np.array(list(scores.values()))
    assert forward(LOG_A, log_b, LOG_START) == pytest.approx(logsumexp(values), rel=1e-13)
    assert forward_by_hand(LOG_A, log_b, LOG_START) == pytest.approx(logsumexp(values), rel=1e-13)
    assert viterbi(LOG_A, log_b, LOG_START) == pytest.approx(np.max(values), rel=1e-13)
    likeliest = max(scores, key=scores.get)
    assert tuple(viterbi_path(LOG_A, log_b, LOG_START)) == likeliest


@pytest.mark.parametrize("f", [forward, forward_by_hand, viterbi])
def test_hidden_markov_model(f):
    check(f, LOG_A, LOG_B, LOG_START, count=4)


@pytest.mark.parametrize("f", [forward, viterbi])
def test_hidden_markov_models_of_any_length(f):
    log_b = np.random.default_rng(10).normal(size=(200, 3))
    check_sizes(
        lambda b, a, start: f(a, b, start),
        lambda n: (log_b[:n], LOG_A, LOG_START),
        sizes=(5, 2, 200, 3, 17),
    )


def test_gradient_of_the_likeliest_path_counts_it():
    gradient = sd.grad(viterbi, argnums=1)(LOG_A, LOG_B, LOG_START)
    path = viterbi_path(LOG_A, LOG_B, LOG_START)
    np.testing.assert_array_equal(gradient, np.eye(3)[path])
    same(sd.jit(viterbi_path)(LOG_A, LOG_B, LOG_START), path)


def test_gradient_of_the_forward_algorithm_is_a_probability():
    gradient = sd.grad(forward, argnums=1)(LOG_A, LOG_B, LOG_START)
    np.testing.assert_allclose(gradient.sum(axis=1), 1.0, rtol=1e-12)


# Volatility

RETURNS = rng.normal(size=250)
GARCH = np.array([0.1, 0.15, 0.8])


def garch(p, returns):
    """Negative log likelihood of GARCH(1,1): T. Bollerslev, J. Econometrics 31 (1986)."""
    omega, alpha, beta = p
    variance = np.var(returns)
    loss = 0.0
    for r in returns:
        loss += 0.5 * (np.log(2 * np.pi * variance) + r**2 / variance)
        variance = omega + alpha * r**2 + beta * variance
    return loss


def garch_in_place(p, returns):
    """As `garch`, with all variances kept."""
    n = len(returns)
    variance = np.zeros(n)
    variance[0] = np.var(returns)
    for t in range(1, n):
        variance[t] = p[0] + p[1] * returns[t - 1] ** 2 + p[2] * variance[t - 1]
    return 0.5 * np.sum(np.log(2 * np.pi * variance) + returns**2 / variance)


def gjr(p, returns):
    """Falls weigh more than rises: L. Glosten, R. Jagannathan, D. Runkle, J. Finance 48 (1993)."""
    variance = np.var(returns)
    loss = 0.0
    for r in returns:
        loss += 0.5 * (np.log(2 * np.pi * variance) + r**2 / variance)
        shock = p[1] if r >= 0 else p[1] + 0.1
        variance = p[0] + shock * r**2 + p[2] * variance
    return loss


def ar1(p, x):
    """Negative log likelihood of x[t] = c + phi x[t-1] + noise, x[0] stationary."""
    c, phi, log_sigma = p
    sigma = np.exp(log_sigma)
    scale = sigma / np.sqrt(1 - phi**2)
    loss = 0.5 * ((x[0] - c / (1 - phi)) / scale) ** 2 + np.log(scale)
    for t in range(1, len(x)):
        residual = x[t] - c - phi * x[t - 1]
        loss = loss + 0.5 * (residual / sigma) ** 2 + log_sigma
    return loss


def ar1_at_once(p, x):
    """As `ar1`, without a loop."""
    c, phi, log_sigma = p
    scale = np.exp(log_sigma) / np.sqrt(1 - phi**2)
    residual = (x[1:] - c - phi * x[:-1]) / np.exp(log_sigma)
    first = 0.5 * ((x[0] - c / (1 - phi)) / scale) ** 2 + np.log(scale)
    return first + 0.5 * np.sum(residual**2) + (len(x) - 1) * log_sigma


def simulated(p, noise):
    """A path from its noise."""
    x = np.zeros(len(noise))
    last = p[0] / (1 - p[1])
    for t, e in enumerate(noise):
        last = p[0] + p[1] * last + np.exp(p[2]) * e
        x[t] = last
    return x


AR1 = np.array([0.2, 0.6, -0.3])
SERIES = [(garch, GARCH), (garch_in_place, GARCH), (gjr, GARCH), (ar1, AR1), (simulated, AR1)]
series = pytest.mark.parametrize(("f", "p"), SERIES, ids=[f.__name__ for f, _ in SERIES])


@series
def test_series(f, p):
    check(f, p, RETURNS)


@series
def test_series_of_any_length(f, p):
    returns = np.random.default_rng(12).normal(size=1000)
    weight = np.sin(np.arange(1000.0))

    def of_series(x, p, w):
        return np.sum(w * f(p, x))

    check_sizes(of_series, lambda n: (returns[:n], p, weight[:n]), sizes=(5, 2, 1000, 17))


@series
def test_many_series(f, p):
    draws = np.random.default_rng(13).normal(size=(4, 30))
    check_vmap(lambda x: f(p, x), draws, rtol=1e-11)


def test_two_ways_to_write_a_series():
    same(sd.jit(garch_in_place)(GARCH, RETURNS), sd.jit(garch)(GARCH, RETURNS), 1e-11)
    close(sd.grad(garch_in_place)(GARCH, RETURNS), sd.grad(garch)(GARCH, RETURNS), 1e-11)
    close(sd.grad(ar1)(AR1, RETURNS), sd.grad(ar1_at_once)(AR1, RETURNS), 1e-11)
    close(sd.hessian(ar1)(AR1, RETURNS), sd.hessian(ar1_at_once)(AR1, RETURNS), 1e-11)


# Polynomials and products

COEFFICIENTS = rng.normal(size=20)
FACTORS = rng.uniform(0.5, 1.5, 20)
WITH_ZEROS = np.where(np.arange(20) % 7 == 3, 0.0, FACTORS)


def horner(x, coefficients):
    """Polynomial with the highest power first."""
    value = 0.0
    for c in coefficients:
        value = value * x + c
    return value


def horner_backwards(x, coefficients):
    value = 0.0
    for i in range(len(coefficients) - 1, -1, -1):
        value = value * x + coefficients[len(coefficients) - 1 - i]
    return value


def clenshaw(x, coefficients):
    """Chebyshev series, the lowest degree first: C. Clenshaw, Math. Comp. 9 (1955)."""
    b1, b2 = 0.0, 0.0
    for c in coefficients[:0:-1]:
        b1, b2 = 2 * x * b1 - b2 + c, b1
    return x * b1 - b2 + coefficients[0]


POLYNOMIALS = [
    (horner, np.polyval),
    (horner_backwards, np.polyval),
    (clenshaw, lambda c, x: np.polynomial.chebyshev.chebval(x, c)),
]
polynomials = pytest.mark.parametrize(
    ("f", "known"), POLYNOMIALS, ids=[f.__name__ for f, _ in POLYNOMIALS]
)


@polynomials
def test_polynomials(f, known):
    assert f(0.7, COEFFICIENTS) == pytest.approx(known(COEFFICIENTS, 0.7), rel=1e-12)
    check(f, 0.7, COEFFICIENTS)


@polynomials
def test_polynomials_of_any_degree(f, known):
    check_sizes(lambda c, x: f(x, c), lambda n: (np.cos(np.arange(n)), 0.9))


@polynomials
def test_polynomials_at_many_places(f, known):
    x = np.linspace(-1, 1, 7)
    np.testing.assert_allclose(
        sd.vmap(lambda x: f(x, COEFFICIENTS))(x), known(COEFFICIENTS, x), rtol=1e-11, atol=1e-12
    )
    if f is not horner_backwards:
        slopes = sd.grad(lambda x: np.sum(f(x, COEFFICIENTS)))(x)
        close(slopes, sd.vmap(sd.grad(lambda x: f(x, COEFFICIENTS)))(x), 1e-11)


def product(x):
    p = 1.0
    for v in x:
        p *= v
    return p


def cumulative_product(x):
    y = np.zeros(len(x))
    p = 1.0
    for i in range(len(x)):
        p = p * x[i]
        y[i] = p
    return y


def cumulative_product_in_place(x):
    y = x.copy()
    for i in range(1, len(y)):
        y[i] *= y[i - 1]
    return y


def cumulative_product_by_scan(x):
    def step(p, v):
        return p * v, p * v

    return sd.scan(step, 1.0, x)[1]


CUMULATIVE = [cumulative_product, cumulative_product_in_place, cumulative_product_by_scan]


@pytest.mark.parametrize("x", [FACTORS, WITH_ZEROS], ids=["positive", "zeros"])
@pytest.mark.parametrize("f", [product, *CUMULATIVE])
def test_products(f, x):
    """No division: a zero among the factors is a factor like others."""
    check(f, x)


@pytest.mark.parametrize("f", CUMULATIVE)
def test_cumulative_products(f):
    same(sd.jit(f)(WITH_ZEROS), np.cumprod(WITH_ZEROS))
    check_jacobian(f, WITH_ZEROS[:6])
    weight = np.cos(np.arange(100.0))
    check_sizes(
        lambda x, w: np.sum(w * f(x)),
        lambda n: (np.linspace(0.9, 1.1, n), weight[:n]),
        sizes=(5, 2, 100, 17),
    )
