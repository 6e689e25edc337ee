"""Differential equations, integrated by loops: sensitivities of what comes out at the end."""

import numpy as np
import pytest
from against_numpy import check, check_jacobian, check_sizes, check_vmap, close, same

import symdiff as sd

RATES = np.array([0.67, 1.33, 1.0, 1.0])
START = np.array([1.0, 0.8])
STEPS = 1000


def lotka_volterra(y, p):
    prey, predator = y
    return np.array(
        [p[0] * prey - p[1] * prey * predator, p[2] * prey * predator - p[3] * predator]
    )


def rk4_step(f, y, h, p):
    k1 = f(y, p)
    k2 = f(y + h / 2 * k1, p)
    k3 = f(y + h / 2 * k2, p)
    k4 = f(y + h * k3, p)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def populations(p, y=START):
    """Prey and predators after ten units of time."""
    for _ in range(STEPS):
        y = rk4_step(lotka_volterra, y, 0.01, p)
    return y


def populations_by_fori_loop(p, y=START):
    return sd.fori_loop(0, STEPS, lambda i, y: rk4_step(lotka_volterra, y, 0.01, p), y)


def course(p):
    """Prey at every step, written one by one."""
    y = START
    prey = np.zeros(STEPS)
    for i in range(STEPS):
        y = rk4_step(lotka_volterra, y, 0.01, p)
        prey[i] = y[0]
    return prey


def sensitivities(p):
    """Integrate y and S = dy/dp together: S' = (df/dy) S + df/dp, by the same steps."""

    def extended(z, p):
        y, S = z[:2], z[2:].reshape(2, 4)
        by_y = np.array([[p[0] - p[1] * y[1], -p[1] * y[0]], [p[2] * y[1], p[2] * y[0] - p[3]]])
        by_p = np.array([[y[0], -y[0] * y[1], 0, 0], [0, 0, y[0] * y[1], -y[1]]])
        return np.concatenate([lotka_volterra(y, p), (by_y @ S + by_p).ravel()])

    z = np.concatenate([START, np.zeros(8)])
    for _ in range(STEPS):
        z = rk4_step(extended, z, 0.01, p)
    return z[:2], z[2:].reshape(2, 4)


@pytest.mark.parametrize("f", [populations, populations_by_fori_loop])
def test_a_thousand_steps_of_runge_kutta(f):
    value, want = sensitivities(RATES)
    same(f(RATES), value)
    close(sd.jit(f)(RATES), value, 1e-11)
    close(sd.jacobian(f)(RATES), want, 1e-10)
    for k in range(2):
        gradient = sd.grad(lambda p, k=k: f(p)[k])(RATES)
        close(gradient, want[k], 1e-10)
    _, tangent = sd.jvp(f, (RATES,), (np.eye(4)[1],))
    close(tangent, want[:, 1], 1e-10)


def test_second_derivatives_of_a_thousand_steps():
    def prey(p):
        return populations(p)[0]

    direction = np.array([0.3, -0.2, 0.5, 0.1])
    gradient, product = sd.hvp(prey, (RATES,), (direction,))
    _, first = sensitivities(RATES)
    close(gradient[0], first[0], 1e-10)
    h = 1e-4
    ahead, behind = (sensitivities(RATES + s * h * direction)[1][0] for s in (1, -1))
    close(product[0], (ahead - behind) / (2 * h), 1e-6)


def test_a_course_of_a_thousand_steps():
    close(sd.jit(course)(RATES), course(RATES), 1e-11)
    weights = np.cos(np.arange(STEPS))
    complex_steps = [
        np.imag(weights @ complex_course(RATES + 1e-30j * e)) / 1e-30 for e in np.eye(4)
    ]
    close(sd.grad(lambda p: weights @ course(p))(RATES), complex_steps, 1e-10)


def complex_course(p):
    """As `course`, of complex numbers."""
    y = START
    prey = []
    for _ in range(STEPS):
        y = rk4_step(lotka_volterra, y, 0.01, p)
        prey.append(y[0])
    return np.array(prey)


@pytest.mark.parametrize("f", [populations, populations_by_fori_loop])
def test_the_kernel_has_a_loop(f):
    """A thousand steps are no thousand times the text of one."""
    one = sd.jit(lambda p: rk4_step(lotka_volterra, START, 0.01, p)).source(RATES)
    assert len(sd.jit(f).source(RATES)) < 20 * len(one)


# Pendulum


def verlet(theta, omega, p, steps):
    """Positions and momenta leapfrog: symplectic, of second order."""
    h = 0.05
    for _ in range(steps):
        half = omega - h / 2 * p["g"] / p["length"] * np.sin(theta)
        theta = theta + h * half
        omega = half - h / 2 * p["g"] / p["length"] * np.sin(theta)
    return theta, omega


PENDULUM = {"g": 9.81, "length": 1.3}


@pytest.mark.parametrize("steps", [0, 1, 16, 17, 300])
def test_pendulum(steps):
    def end(theta, omega, p):
        return verlet(theta, omega, p, steps)

    def energy(theta, omega, p):
        theta, omega = end(theta, omega, p)
        return (p["length"] * omega) ** 2 / 2 + p["g"] * p["length"] * (1 - np.cos(theta))

    check(end, 0.7, -0.2, PENDULUM, step=1e-4)
    check(energy, 0.7, -0.2, PENDULUM, step=1e-4, rtol=1e-7)


def test_pendulum_for_a_number_of_steps_that_comes():
    check(verlet, 0.7, -0.2, PENDULUM, 30, step=1e-4)
    f = sd.grad(lambda theta, steps: verlet(theta, 0.0, PENDULUM, steps)[0])
    for steps in (0, 1, 5, 100, 2):
        h = 1e-5
        ahead, behind = (verlet(0.7 + s * h, 0.0, PENDULUM, steps)[0] for s in (1, -1))
        close(f(0.7, steps), (ahead - behind) / (2 * h), 1e-7)


def test_leapfrog_keeps_areas():
    """The Jacobian of a symplectic map has determinant one."""
    J = sd.jacobian(lambda z: np.array(verlet(z[0], z[1], PENDULUM, 200)))(np.array([0.4, 0.1]))
    assert np.linalg.det(J) == pytest.approx(1.0, rel=1e-11)


# Damped oscillator with steps of its own choice


def oscillator(y, damping, stiffness):
    return np.array([y[1], -damping * y[1] - stiffness * y[0]])


def oscillate_to(T, damping, stiffness, h=0.05):
    """Steps of Heun's rule until the time is over; the last is shorter."""
    t = 0.0
    y = np.array([1.0, 0.0])
    while t < T:
        step = np.minimum(h, T - t)
        k1 = oscillator(y, damping, stiffness)
        k2 = oscillator(y + step * k1, damping, stiffness)
        y = y + step / 2 * (k1 + k2)
        t = t + step
    return y


def adaptive(damping, stiffness, T=4.0, tol=1e-4):
    """Step-doubling: Euler against Heun decides whether a step counts and how long the next is."""
    t, h = 0.0, 0.1
    y = np.array([1.0, 0.0])
    accepted = 0
    rejected = 0
    while t < T:
        if t + h > T:
            h = T - t
        k1 = oscillator(y, damping, stiffness)
        k2 = oscillator(y + h * k1, damping, stiffness)
        error = np.max(np.abs(h / 2 * (k2 - k1)))
        if error <= tol:
            y = y + h / 2 * (k1 + k2)
            t = t + h
            accepted += 1
        else:
            rejected += 1
        h = h * np.clip(0.9 * np.sqrt(tol / error), 0.2, 2.0)
    return y, accepted, rejected


def test_steps_until_a_time():
    check(oscillate_to, 3.02, 0.3, 2.0, step=1e-4, rtol=1e-7)


def test_no_step_where_the_time_is_over():
    for T in (0.0, -1.0):
        np.testing.assert_array_equal(sd.jit(oscillate_to)(T, 0.3, 2.0), [1.0, 0.0])
        J = sd.jacobian(oscillate_to, argnums=(0, 1, 2))(T, 0.3, 2.0)
        np.testing.assert_array_equal(J, np.zeros((3, 2)))


def test_adaptive_steps():
    y, accepted, rejected = adaptive(0.3, 2.0)
    assert accepted > 20
    assert rejected > 0
    got, n_accepted, n_rejected = sd.jit(adaptive)(0.3, 2.0)
    close(got, y, 1e-11)
    assert (n_accepted, n_rejected) == (accepted, rejected)


def test_adaptive_steps_are_differentiated_as_they_were_taken():
    """The derivative of the program: step lengths depend on the parameters too."""
    check(lambda d, s: adaptive(d, s)[0], 0.3, 2.0, step=1e-6, rtol=1e-6, order=1)
    gradient = sd.grad(lambda d, s: adaptive(d, s)[0][0], argnums=(0, 1))
    _, product = sd.hvp(lambda d, s: adaptive(d, s)[0][0], (0.3, 2.0), (1.0, 0.0))
    h = 1e-6
    curve = np.subtract(gradient(0.3 + h, 2.0), gradient(0.3 - h, 2.0)) / (2 * h)
    close(product, curve, 1e-5)


def test_adaptive_steps_of_many_oscillators():
    """Each takes its own number of steps."""
    damping, stiffness = np.array([0.1, 0.3, 0.9]), np.array([2.0, 40.0, 0.5])
    counts = [adaptive(d, s)[1] for d, s in zip(damping, stiffness, strict=True)]
    assert len(set(counts)) == 3
    assert sd.vmap(lambda d, s: adaptive(d, s)[1])(damping, stiffness).tolist() == counts
    check_vmap(lambda d, s: adaptive(d, s)[0], damping, stiffness, rtol=1e-10)


# Scans of 3 by 3 matrices


def rotation(w):
    """Rotate about the vector w by its length, to second order (a Cayley map)."""
    W = np.zeros((3, 3))
    W[0, 1], W[0, 2], W[1, 2] = -w[2], w[1], -w[0]
    W = W - W.T
    identity = np.eye(3)
    return np.linalg.solve(identity - W / 2, identity + W / 2)


SPINS = np.random.default_rng(3).normal(size=(40, 3)) * 0.3


def attitude(spins):
    R = np.eye(3)
    for w in spins:
        R = R @ rotation(w)
    return R


def attitude_by_scan(spins):
    R, _ = sd.scan(lambda R, w: (R @ rotation(w), None), np.eye(3), spins)
    return R


def directions_by_scan(spins):
    """Where the first axis points at every step."""
    _, axes = sd.scan(lambda R, w: (R @ rotation(w), R[:, 0]), np.eye(3), spins)
    return axes


def directions_by_rows(spins):
    R = np.eye(3)
    axes = np.zeros((len(spins), 3))
    for i, w in enumerate(spins):
        axes[i] = R[:, 0]
        R = R @ rotation(w)
    return axes


@pytest.mark.parametrize("f", [attitude, attitude_by_scan, directions_by_scan, directions_by_rows])
def test_products_of_rotations(f):
    check(f, SPINS)


def test_the_ways_agree():
    same(attitude_by_scan(SPINS), attitude(SPINS))
    same(directions_by_scan(SPINS), directions_by_rows(SPINS))
    R = sd.jit(attitude)(SPINS)
    close(R @ R.T, np.eye(3), 1e-13)


def test_jacobian_of_few_rotations():
    check_jacobian(attitude, SPINS[:4])


@pytest.mark.parametrize("f", [attitude, attitude_by_scan])
def test_any_number_of_rotations(f):
    many = np.random.default_rng(4).normal(size=(200, 3)) * 0.1
    weight = np.cos(np.arange(9.0)).reshape(3, 3)
    check_sizes(lambda w: np.sum(weight * f(w)), lambda n: (many[:n],), sizes=(3, 200, 2, 17))
