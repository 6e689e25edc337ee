"""Algorithms that stop when they are done: their number of steps depends on what is computed."""

import math

import numpy as np
import pytest
from against_numpy import check, check_vmap, close, same

import symdiff as sd

# Roots


def kepler(e, M):
    """Solve E - e sin E = M for the eccentric anomaly by Newton's method."""
    E = M
    step = 1.0
    while abs(step) > 1e-13:
        step = (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
        E = E - step
    return E


def kepler_by_while_loop(e, M):
    def more(state):
        return np.abs(state[1]) > 1e-13

    def newton(state):
        E, _ = state
        step = (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
        return E - step, step

    return sd.while_loop(more, newton, (M, 1.0))[0]


def square_root(a):
    x = a
    while abs(x * x - a) > 1e-14 * a:
        x = 0.5 * (x + a / x)
    # One more step, so that the derivatives have converged as well.
    return 0.5 * (x + a / x)


def cube_root(a, tries=50):
    """Newton's method for x**3 = a, for at most so many steps."""
    x = np.maximum(a, 1.0)
    for _ in range(tries):
        new = x - (x**3 - a) / (3 * x**2)
        if abs(new - x) <= 1e-12 * abs(x):
            return new
        x = new
    return x


def secant(a):
    """Root of cos(a x) = x, with two points that are carried."""
    x0, x1 = 0.0, 1.0
    f0 = np.cos(a * x0) - x0
    n = 0
    while abs(x1 - x0) > 1e-13 and n < 50:
        f1 = np.cos(a * x1) - x1
        if f1 == f0:
            break
        x0, x1, f0 = x1, x1 - f1 * (x1 - x0) / (f1 - f0), f1
        n += 1
    return x1


def fixed_point(a):
    """Solve x = cos(a x), by going there."""
    x = 0.5
    n = 0
    while True:
        new = np.cos(a * x)
        n += 1
        if abs(new - x) < 1e-12 or n >= 200:
            return new
        x = new


def halley_w(y):
    """Lambert's function on the main branch: x exp(x) = y."""
    x = np.log(1 + y)
    last = x + 1
    while not abs(x - last) <= 1e-13 * (1 + abs(x)):
        last = x
        g = x * np.exp(x) - y
        x = x - g / (np.exp(x) * (x + 1) - (x + 2) * g / (2 * x + 2))
    return x


def solved(a):
    """Newton's method in two dimensions: x**2 + y**2 = 4, x y = a."""
    z = np.array([2.0, 0.5])
    residual = np.ones(2)
    while np.max(np.abs(residual)) > 1e-12:
        residual = np.array([z[0] ** 2 + z[1] ** 2 - 4, z[0] * z[1] - a])
        J = np.array([[2 * z[0], 2 * z[1]], [z[1], z[0]]])
        z = z - np.linalg.solve(J, residual)
    return z


# Each with its arguments, and the known derivative by the first of them.
ROOTS = [
    (kepler, (0.3, 1.2)),
    (kepler, (0.9, 0.1)),
    (kepler_by_while_loop, (0.3, 1.2)),
    (square_root, (2.0,)),
    (square_root, (1e4,)),
    (cube_root, (5.0,)),
    (cube_root, (0.01,)),
    (secant, (0.8,)),
    (fixed_point, (0.8,)),
    (halley_w, (1.5,)),
    (solved, (1.1,)),
]


@pytest.mark.parametrize(("f", "args"), ROOTS, ids=[f"{f.__name__}{a}" for f, a in ROOTS])
def test_roots(f, args):
    check(f, *args, step=1e-3 * args[0], rtol=1e-6, value_rtol=1e-11)


def test_keplers_derivatives_are_the_implicit_functions():
    e, M = 0.3, 1.2
    E = kepler(e, M)
    slope = 1 / (1 - e * np.cos(E))
    for f in (kepler, kepler_by_while_loop):
        close(sd.grad(f, argnums=(0, 1))(e, M), [np.sin(E) * slope, slope], 1e-11)
        close(sd.hessian(f, argnums=1)(e, M), -e * np.sin(E) * slope**3, 1e-9)


def test_square_roots_derivatives():
    f = sd.value_and_grad(square_root)
    for a in (1e-3, 1.0, 2.0, 1e5):
        close(f(a), [math.sqrt(a), 0.5 / math.sqrt(a)], 1e-10)
    assert f.n_compiled == 1


@pytest.mark.parametrize(
    ("f", "a"),
    [
        (square_root, np.array([0.5, 2.0, 1e4, 1.0])),
        (cube_root, np.array([5.0, 0.01, 1e3])),
        (fixed_point, np.array([0.1, 0.8])),
        (halley_w, np.array([0.1, 10.0])),
        (solved, np.array([0.3, 1.1])),
        (secant, np.array([0.3, 0.8, 1.1])),
    ],
)
def test_roots_of_many_equations(f, a):
    check_vmap(f, a, rtol=1e-11)


def test_orbits_of_many_planets():
    e = np.array([0.01, 0.3, 0.9, 0.0])
    M = np.array([0.5, 3.0, 0.2, 1.0])
    for f in (kepler, kepler_by_while_loop):
        check_vmap(f, e, M, rtol=1e-11)


# Bisection: the answer is made of signs


def bisection(a, tol=1e-9):
    """Root of x**3 + x = a between 0 and a, which must be positive."""
    lo, hi = 0.0, a
    while hi - lo > tol:
        mid = 0.5 * (lo + hi)
        if mid**3 + mid > a:
            hi = mid
        else:
            lo = mid
    return 0.5 * (lo + hi)


def bisection_of_a_fixed_interval(a):
    lo, hi = 0.0, 4.0
    for _ in range(50):
        mid = 0.5 * (lo + hi)
        if np.sign(mid**3 + mid - a) > 0:
            hi = mid
        else:
            lo = mid
    return 0.5 * (lo + hi)


def test_bisection_moves_with_its_interval():
    """The derivative is the program's: the ends are multiples of a, and signs have no slope."""
    a = 3.7
    root = bisection(a)
    same(sd.jit(bisection)(a), root)
    value, slope = sd.value_and_grad(bisection)(a)
    assert value == root
    assert slope == pytest.approx(root / a, rel=1e-12)
    assert sd.jvp(bisection, (a,), (1.0,))[1] == pytest.approx(root / a, rel=1e-12)
    assert sd.hessian(bisection)(a) == pytest.approx(0.0, abs=1e-14)


def test_bisection_of_a_fixed_interval_has_no_slope():
    a = 3.7
    value, slope = sd.value_and_grad(bisection_of_a_fixed_interval)(a)
    assert value == bisection_of_a_fixed_interval(a)
    assert slope == 0.0
    assert sd.jvp(bisection_of_a_fixed_interval, (a,), (1.0,))[1] == 0.0
    many = np.array([0.1, 2.0, 3.7, 30.0])
    want = [bisection_of_a_fixed_interval(v) for v in many]
    same(sd.vmap(bisection_of_a_fixed_interval)(many), np.array(want))


def bisection_with_a_last_newton_step(a):
    x = bisection_of_a_fixed_interval(a)
    return x - (x**3 + x - a) / (3 * x**2 + 1)


def test_a_newton_step_gives_bisection_its_slope():
    x = bisection_with_a_last_newton_step(3.7)
    close(sd.grad(bisection_with_a_last_newton_step)(3.7), 1 / (3 * x**2 + 1), 1e-10)


# Whole numbers


def mandelbrot(cr, ci):
    """Steps until z -> z**2 + c leaves the circle of radius 2, at most 100."""
    x, y = 0.0, 0.0
    n = 0
    while x * x + y * y <= 4.0 and n < 100:
        x, y = x * x - y * y + cr, 2 * x * y + ci
        n += 1
    return n


def mandelbrot_by_for(cr, ci):
    x, y = 0.0, 0.0
    for n in range(100):
        if x * x + y * y > 4.0:
            return n
        x, y = x * x - y * y + cr, 2 * x * y + ci
    return 100


def mandelbrot_picture(cr, ci):
    """Counts over arrays, at once: those that are out stay where they are."""
    x, y = np.zeros(cr.shape), np.zeros(cr.shape)
    n = np.zeros(cr.shape, dtype=int)
    for _ in range(100):
        inside = x * x + y * y <= 4.0
        x, y = np.where(inside, x * x - y * y + cr, x), np.where(inside, 2 * x * y + ci, y)
        n = n + inside
    return n


def mandelbrot_loops(re, im):
    """Counts pixel by pixel, written to a picture."""
    n = np.zeros((len(im), len(re)), dtype=int)
    for i in range(len(im)):
        for j in range(len(re)):
            n[i, j] = mandelbrot(re[j], im[i])
    return n


def escape_value(cr, ci):
    """Smooth number of steps until |z| > 20: it has a derivative, and a loop of unknown length."""
    x, y = cr, ci
    n = 1.0
    while x * x + y * y <= 400.0:
        x, y = x * x - y * y + cr, 2 * x * y + ci
        n += 1.0
    return n + 1 - np.log2(0.5 * np.log(x * x + y * y))


def collatz(n):
    """Steps of the Collatz sequence to 1."""
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def collatz_peak(n):
    """Largest number on the way, and the steps."""
    peak, steps = n, 0
    while n > 1:
        if n % 2:
            n = 3 * n + 1
        else:
            n //= 2
        if n > peak:  # noqa: PLR1730 - a branch is what is tested
            peak = n
        steps += 1
    return peak, steps


def gcd(a, b):
    """Euclid's algorithm."""
    while b:
        a, b = b, a % b
    return a


def gcd_by_while_loop(a, b):
    return sd.while_loop(lambda s: s[1] != 0, lambda s: (s[1], s[0] % s[1]), (a, b))[0]


def integer_square_root(n):
    x = n
    y = (x + 1) // 2
    while y < x:
        x = y
        y = (x + n // x) // 2
    return x


def digits_sum(n):
    total = 0
    while n > 0:
        n, digit = divmod(n, 10)
        total += digit
    return total


def is_prime(n):
    if n < 2:
        return False
    d = 2
    while d * d <= n:
        if n % d == 0:
            return False
        d += 1
    return True


def power_by_squaring(x, n):
    result = 1.0
    while n > 0:
        if n % 2 == 1:
            result = result * x
        x = x * x
        n = n // 2
    return result


INTEGERS = [
    (collatz, [(n,) for n in (1, 2, 27, 97, 6)]),
    (collatz_peak, [(n,) for n in (1, 27, 8)]),
    (gcd, [(48, 36), (36, 48), (17, 5), (7, 0), (0, 7), (1071, 462)]),
    (gcd_by_while_loop, [(48, 36), (17, 5), (7, 0)]),
    (integer_square_root, [(n,) for n in (1, 15, 16, 17, 10**12)]),
    (digits_sum, [(n,) for n in (0, 7, 1234567)]),
    (is_prime, [(n,) for n in (0, 1, 2, 9, 97, 7919, 7921)]),
]


@pytest.mark.parametrize(("f", "cases"), INTEGERS, ids=[f.__name__ for f, _ in INTEGERS])
def test_whole_numbers(f, cases):
    kernel = sd.jit(f)
    for args in cases:
        same(kernel(*args), f(*args))
    assert kernel.n_compiled == 1
    columns = tuple(np.array(c) for c in zip(*cases, strict=True))
    check_vmap(f, *columns)


def test_known_whole_numbers():
    assert [collatz(n) for n in (1, 27, 97)] == [0, 111, 118]
    for a, b in INTEGERS[2][1]:
        assert gcd(a, b) == gcd_by_while_loop(a, b) == math.gcd(a, b)
    assert integer_square_root(10**12) == math.isqrt(10**12)
    assert [n for n in range(30) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]


RE, IM = np.linspace(-2.0, 0.5, 9), np.linspace(-1.1, 1.1, 5)
GRID = tuple(v.ravel() for v in np.meshgrid(RE, IM))


@pytest.mark.parametrize("f", [mandelbrot, mandelbrot_by_for])
def test_mandelbrot_counts(f):
    want = np.array([mandelbrot(*c) for c in zip(*GRID, strict=True)])
    assert len(set(want)) > 5
    assert 100 in want
    assert [f(*c) for c in zip(*GRID, strict=True)] == want.tolist()
    kernel = sd.jit(f)
    assert [kernel(*c) for c in zip(*GRID, strict=True)] == want.tolist()
    same(sd.vmap(f)(*GRID), want)


def test_mandelbrot_pictures():
    want = np.array([mandelbrot(*c) for c in zip(*GRID, strict=True)])
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(mandelbrot_picture(*GRID), want)
    same(sd.jit(mandelbrot_picture)(*GRID), want)
    same(sd.jit(mandelbrot_loops)(RE, IM), want.reshape(len(IM), len(RE)))
    rows = sd.vmap(sd.vmap(mandelbrot, in_axes=(0, None)), in_axes=(None, 0))
    same(rows(RE, IM), want.reshape(len(IM), len(RE)))


@pytest.mark.parametrize("c", [(0.6, 0.4), (-0.75, 0.2), (2.0, 2.0), (30.0, 0.0)])
def test_smooth_escape(c):
    check(escape_value, *c, step=1e-6, rtol=1e-5)


def test_smooth_escape_of_many():
    check_vmap(escape_value, np.array([0.6, -0.75, 2.0]), np.array([0.4, 0.2, 2.0]), rtol=1e-11)


@pytest.mark.parametrize("n", [0, 1, 2, 13, 40])
def test_power_by_squaring(n):
    check(power_by_squaring, 1.1, n)
    assert sd.grad(power_by_squaring)(1.1, n) == pytest.approx(n * 1.1 ** (n - 1), rel=1e-12)


def test_powers_by_squaring():
    check_vmap(power_by_squaring, np.array([1.1, 0.9, 0.0, -2.0]), np.array([40, 0, 3, 5]))


# Series that stop


def power_iteration(A):
    """Largest eigenvalue of a symmetric matrix."""
    v = np.ones(len(A))
    value, last = 0.0, 1.0
    while abs(value - last) > 1e-14 * abs(last):
        w = A @ v
        v = w / np.sqrt(np.sum(w**2))
        value, last = v @ A @ v, value
    for _ in range(40):
        w = A @ v
        v = w / np.sqrt(np.sum(w**2))
    return v @ A @ v


MATRIX = np.array([[4.0, 1.0, 0.2], [1.0, 2.0, 0.5], [0.2, 0.5, 1.0]])


def test_power_iteration():
    check(power_iteration, MATRIX, rtol=1e-7)
    values, vectors = np.linalg.eigh(MATRIX)
    value, gradient = sd.value_and_grad(power_iteration)(MATRIX)
    close(value, values[-1], 1e-13)
    close(gradient, np.outer(vectors[:, -1], vectors[:, -1]), 1e-8)


def continued_fraction_of_tan(x):
    """Lentz's algorithm for tan x = x/(1 - x**2/(3 - x**2/(5 - ...))), until it stands still."""
    f = 1e-30
    C, D = f, 0.0
    for n in range(100):
        a = x if n == 0 else -x * x
        b = 2.0 * n + 1
        D = 1 / (b + a * D)
        C = b + a / C
        delta = C * D
        f = f * delta
        if abs(delta - 1) < 1e-15:
            break
    return f


def exponential(x):
    """Taylor series, until a term no longer counts."""
    term, value, n = 1.0, 1.0, 0
    while abs(term) > 1e-17 * abs(value):
        n += 1
        term = term * x / n
        value += term
    return value


def expansion(x, terms=30):
    """Digits of x as a continued fraction, evaluated again from the last that was found."""
    found = np.zeros(30)
    used = 0
    rest = x
    for i in range(terms):
        whole = np.floor(rest)
        found[i] = whole
        used = i + 1
        rest = rest - whole
        if rest < 1e-3:
            break
        rest = 1 / rest
    value = found[used - 1]
    for i in range(used - 2, -1, -1):
        value = found[i] + 1 / value
    return value, used


def agm(a, b):
    """Arithmetic-geometric mean."""
    while abs(a - b) > 1e-8 * abs(a):
        a, b = (a + b) / 2, np.sqrt(a * b)
    a, b = (a + b) / 2, np.sqrt(a * b)
    return (a + b) / 2


@pytest.mark.parametrize(
    ("f", "args", "want"),
    [
        (continued_fraction_of_tan, (0.8,), math.tan(0.8)),
        (continued_fraction_of_tan, (1.3,), math.tan(1.3)),
        (exponential, (0.25,), math.exp(0.25)),
        (exponential, (3.0,), math.exp(3.0)),
        (agm, (24.0, 6.0), 13.458171481725615),
    ],
)
def test_series_that_stop(f, args, want):
    assert f(*args) == pytest.approx(want, rel=1e-12)
    check(f, *args, rtol=1e-7, value_rtol=1e-11)


def test_derivatives_of_series_are_the_functions():
    for x in (0.3, 0.8, 1.3):
        tan = math.tan(x)
        close(sd.grad(continued_fraction_of_tan)(x), 1 + tan**2, 1e-11)
        close(sd.hessian(continued_fraction_of_tan)(x), 2 * tan * (1 + tan**2), 1e-10)
    for x in (-1.0, 0.5, 5.0):
        close(sd.grad(exponential)(x), math.exp(x), 1e-11)


@pytest.mark.parametrize("x", [math.pi, math.sqrt(2), 0.375, 3.0])
def test_digits_of_a_continued_fraction(x):
    """Whole parts have no slope, so the fraction that is put together has none."""
    want, used = expansion(x)
    same(sd.jit(expansion)(x), (want, used))
    assert sd.grad(lambda x: expansion(x)[0])(x) == 0.0


# Early returns


def huber(x):
    if abs(x) <= 1.0:
        return 0.5 * x * x
    return abs(x) - 0.5


def piecewise(x):
    """Four branches; the logarithm and the root are of numbers that have them."""
    if x < -1:
        return -x - 1
    if x < 0:
        return 0.0 * x
    if x == 0:
        return 3.0 * x
    if x > 2 and x < 5:
        return np.log(x)
    return np.sqrt(x)


def nested_returns(x, y):
    if x > 0:
        if y > 0:
            return x * y
        return x**2 - y
    if y > 0:
        return np.exp(x) * y
    return x - y**3


def first_above(x, level):
    """Value and place of the first entry above a level; the last otherwise."""
    for i, v in enumerate(x):
        if v > level:
            return v**2 * level, i
    return x[-1] * level, len(x)


def first_of_rows(X, level):
    """Leave two loops at once."""
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            if X[i, j] > level:
                return X[i, j] ** 2 + level * i + j
    return level**3


def quadratic_root(a, b, c):
    """Real root of larger modulus, or the real part of both; without cancellation."""
    if a == 0:
        return -c / b
    disc = b * b - 4 * a * c
    if disc < 0:
        return -b / (2 * a)
    q = -0.5 * (b + np.sign(b) * np.sqrt(disc)) if b != 0 else 0.5 * np.sqrt(disc)
    return q / a


@pytest.mark.parametrize("x", [-2.0, -0.5, 0.3, 1.5])
def test_huber(x):
    check(huber, x)


@pytest.mark.parametrize("x", [-3.0, -0.5, 1.5, 3.0, 7.0])
def test_piecewise(x):
    check(piecewise, x)


def test_no_branch_leaks_into_another():
    """At 0 the root and the logarithm have no slope; the branch that is taken has."""
    f = sd.value_and_grad(piecewise)
    assert f(0.0) == (0.0, 3.0)
    assert sd.hessian(piecewise)(0.0) == 0.0
    assert sd.jvp(piecewise, (0.0,), (1.0,)) == (0.0, 3.0)
    assert f(-0.5) == (0.0, 0.0)
    assert f(4.0) == (math.log(4.0), 0.25)
    x = np.array([-3.0, -0.5, 0.0, 1.0, 4.0, 9.0])
    slopes = sd.vmap(sd.grad(piecewise))(x)
    np.testing.assert_allclose(slopes, [-1.0, 0.0, 3.0, 0.5, 0.25, 1 / 6], rtol=1e-14)


@pytest.mark.parametrize(("x", "y"), [(1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0)])
def test_nested_returns(x, y):
    check(nested_returns, x, y)


@pytest.mark.parametrize("abc", [(0.0, 2.0, 3.0), (1.0, -3.0, 2.0), (1.0, 1.0, 2.0), (2.0, 4.0, 1)])
def test_quadratic_root(abc):
    a, b, c = (float(v) for v in abc)
    if a == 0:
        check(lambda b, c: quadratic_root(0.0, b, c), b, c)
        assert sd.grad(quadratic_root, argnums=1)(a, b, c) == pytest.approx(c / b**2)
    else:
        check(quadratic_root, a, b, c)


LONG = np.sin(0.4 * np.arange(30))


@pytest.mark.parametrize("level", [-0.5, 0.1, 0.95, 2.0])
def test_return_from_a_loop(level):
    check(lambda x, at: first_above(x, at)[0], LONG, level, step=1e-4)
    same(sd.jit(first_above)(LONG, level), first_above(LONG, level))


@pytest.mark.parametrize("level", [-0.5, 0.99, 2.0])
def test_return_from_two_loops(level):
    check(first_of_rows, np.cos(np.arange(20.0 * 3)).reshape(20, 3), level, step=1e-4)


def test_return_from_loops_of_many():
    check_vmap(first_above, np.stack([LONG, LONG[::-1], -LONG]), np.array([0.9, 0.1, 5.0]))


# Descent inside of a function


def descent(rate, steps=200):
    """Rosenbrock's function after steps of gradient descent with a hand-written gradient."""
    x, y = -0.5, 0.5
    for _ in range(steps):
        gx = -2 * (1 - x) - 40 * x * (y - x * x)
        gy = 20 * (y - x * x)
        x, y = x - rate * gx, y - rate * gy
    return (1 - x) ** 2 + 10 * (y - x * x) ** 2


def rosenbrock(z):
    return (1 - z[0]) ** 2 + 10 * (z[1] - z[0] ** 2) ** 2


def descent_by_grad(rate, steps=200):
    """The same, whose gradient is symdiff's."""
    z = np.array([-0.5, 0.5])
    gradient = sd.grad(rosenbrock)
    for _ in range(steps):
        z = z - rate * gradient(z)
    return rosenbrock(z)


def descent_until_flat(rate, momentum):
    """Stops where the slope is small; gives the value there."""
    x, v = 3.0, 0.0
    slope = 1.0
    n = 0
    while abs(slope) > 1e-3 and n < 1000:
        slope = x + np.sin(2 * x)
        v = momentum * v - rate * slope
        x = x + v
        n += 1
    return 0.5 * x**2 - 0.5 * np.cos(2 * x)


def descent_with_backtracking(rate):
    """Halve the step until the value falls: a loop in a loop, of unknown lengths."""
    x = 2.5
    for _ in range(20):
        g = 4 * x**3 - 2 * x
        t = rate
        while (x - t * g) ** 4 - (x - t * g) ** 2 > x**4 - x**2 - 0.5 * t * g * g:
            t = 0.5 * t
        x = x - t * g
    return x**4 - x**2


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (descent, (0.01,)),
        (descent_by_grad, (0.01,)),
        (descent_until_flat, (0.05, 0.5)),
        (descent_with_backtracking, (0.01,)),
        (descent_with_backtracking, (0.4,)),
    ],
    ids=["rosenbrock", "nested grad", "until flat", "backtracking", "backtracking often"],
)
def test_descent_by_its_learning_rate(f, args):
    check(f, *args, step=1e-5, rtol=1e-6)


def test_descents_agree():
    same(descent_by_grad(0.01), descent(0.01), 1e-11)
    close(sd.grad(descent_by_grad)(0.01), sd.grad(descent)(0.01), 1e-9)
    rates = np.array([0.001, 0.005, 0.01])
    check_vmap(descent, rates, rtol=1e-11)
    check_vmap(descent_until_flat, rates * 10, np.array([0.0, 0.9, 0.5]), rtol=1e-11)
