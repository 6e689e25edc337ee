"""W11: gradients through loops: RK4 over Lotka-Volterra, and a recursion over 3 x 3 matrices."""

from functools import partial
from typing import NamedTuple

import numpy as np
from contest import Case, Skip, Workload, close, flat

STEPS, H = 1000, 0.01
RATES = np.array([0.67, 1.33, 1.0, 1.0])
START = np.array([1.0, 0.8])


class Loop(NamedTuple):
    """A parameter, and an input for every step (of the matrices only)."""

    p: np.ndarray
    inputs: np.ndarray | None


def load_populations():
    return Loop(RATES, None)


def load_matrices():
    rng = np.random.default_rng(11)
    return Loop(rng.standard_normal((3, 3)), rng.standard_normal(STEPS) / 10)


def slope(array, y, p):
    prey, predator = y
    return array([p[0] * prey - p[1] * prey * predator, p[2] * prey * predator - p[3] * predator])


def rk4(array, y, p):
    k1 = slope(array, y, p)
    k2 = slope(array, y + H / 2 * k1, p)
    k3 = slope(array, y + H / 2 * k2, p)
    k4 = slope(array, y + H * k3, p)
    return y + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def populations(p):
    """Prey after ten units of time."""
    y = START
    for _ in range(STEPS):
        y = rk4(np.array, y, p)
    return y[0]


def matrices(p, inputs):
    """A product of matrices near the identity, each by its input."""
    M = np.eye(3)
    for u in inputs:
        M = np.tanh(M @ (np.eye(3) + u * p))
    return np.sum(M**2)


def with_symdiff(data):
    import symdiff as sd

    if data.inputs is None:
        return partial(sd.value_and_grad(populations), data.p)
    return partial(sd.value_and_grad(matrices), data.p, data.inputs)


def with_jax(data):
    import jax
    import jax.numpy as jnp

    def populations(p, _):
        y, _ = jax.lax.scan(
            lambda y, _: (rk4(jnp.array, y, p), None), jnp.asarray(START), length=STEPS
        )
        return y[0]

    def matrices(p, inputs):
        def step(M, u):
            return jnp.tanh(M @ (jnp.eye(3) + u * p)), None

        M, _ = jax.lax.scan(step, jnp.eye(3), inputs)
        return jnp.sum(M**2)

    f = populations if data.inputs is None else matrices
    compiled = jax.jit(jax.value_and_grad(f))
    arguments = jnp.asarray(data.p), None if data.inputs is None else jnp.asarray(data.inputs)
    return lambda: jax.block_until_ready(compiled(*arguments))


def with_torch(data):
    import torch

    p = torch.tensor(data.p, requires_grad=True)
    eye = torch.eye(3, dtype=torch.float64)

    def call():
        if data.inputs is None:
            y = torch.tensor(START)
            for _ in range(STEPS):
                y = rk4(torch.stack, y, p)
            value = y[0]
        else:
            M = eye
            for u in data.inputs:
                M = torch.tanh(M @ (eye + u * p))
            value = (M**2).sum()
        return value.detach(), *torch.autograd.grad(value, p)

    return call


def with_autograd(data):
    import autograd.numpy as anp
    from autograd import value_and_grad

    def populations(p):
        y = START
        for _ in range(STEPS):
            y = rk4(anp.array, y, p)
        return y[0]

    def matrices(p):
        M = np.eye(3)
        for u in data.inputs:
            M = anp.tanh(anp.dot(M, np.eye(3) + u * p))
        return anp.sum(M**2)

    return partial(value_and_grad(populations if data.inputs is None else matrices), data.p)


def with_casadi(data):
    """A function of one step, repeated by ``mapaccum``."""
    import casadi

    if data.inputs is None:
        y, p = casadi.SX.sym("y", 2), casadi.SX.sym("p", 4)

        def array(parts):
            return casadi.vertcat(*parts)

        def pair(y):
            return casadi.vertsplit(y) if isinstance(y, casadi.SX) else y

        k1 = slope(array, pair(y), p)
        k2 = slope(array, pair(y + H / 2 * k1), p)
        k3 = slope(array, pair(y + H / 2 * k2), p)
        k4 = slope(array, pair(y + H * k3), p)
        step = casadi.Function("step", [y, p], [y + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)])
        P = casadi.MX.sym("P", 4)
        value = step.fold(STEPS)(START, casadi.repmat(P, 1, STEPS))[0]
    else:
        M, q, u = casadi.SX.sym("M", 3, 3), casadi.SX.sym("q", 3, 3), casadi.SX.sym("u")
        step = casadi.Function("step", [M, q, u], [casadi.tanh(M @ (casadi.SX.eye(3) + u * q))])
        P = casadi.MX.sym("P", 3, 3)
        last = step.fold(STEPS)(np.eye(3), casadi.repmat(P, 1, STEPS), data.inputs[None])
        value = casadi.sumsqr(last)
    run = casadi.Function("f", [P], [value, casadi.gradient(value, P)])
    return partial(run, data.p)


def with_numba(data):
    """By hand, forward: the sensitivities go through the same steps."""
    import numba

    if data.inputs is not None:
        raise Skip("written by hand for the populations only")

    @numba.njit(fastmath=True)
    def slopes(z, p, out):
        a, b = z[0], z[1]
        out[0], out[1] = p[0] * a - p[1] * a * b, p[2] * a * b - p[3] * b
        own = ((a, 0.0), (-a * b, 0.0), (0.0, a * b), (0.0, -b))
        for k in range(4):
            s, t = z[2 + 2 * k], z[3 + 2 * k]
            out[2 + 2 * k] = (p[0] - p[1] * b) * s - p[1] * a * t + own[k][0]
            out[3 + 2 * k] = p[2] * b * s + (p[2] * a - p[3]) * t + own[k][1]

    @numba.njit(fastmath=True)
    def run(p, start):
        z, at, total, k = np.zeros(10), np.zeros(10), np.zeros(10), np.zeros(10)
        z[:2] = start
        for _ in range(STEPS):
            slopes(z, p, total)
            k[:] = total
            for factor, weight in ((H / 2, 2.0), (H / 2, 2.0), (H, 1.0)):
                for i in range(10):
                    at[i] = z[i] + factor * k[i]
                slopes(at, p, k)
                for i in range(10):
                    total[i] += weight * k[i]
            for i in range(10):
                z[i] += H / 6 * total[i]
        return z[0], z[2:].reshape(4, 2)[:, 0].copy()

    return partial(run, data.p, START)


def with_heyoka(data):
    """Its own integrator, of order 20, with the variational equations: the same answer to 1e-9."""
    import heyoka

    if data.inputs is not None:
        raise Skip("it integrates differential equations")
    x, y = heyoka.make_vars("x", "y")
    par = heyoka.par
    system = [
        (x, par[0] * x - par[1] * x * y),
        (y, par[2] * x * y - par[3] * y),
    ]
    varied = heyoka.var_ode_sys(system, [par[k] for k in range(4)])
    integrator = heyoka.taylor_adaptive(varied, START, pars=RATES, compact_mode=False)
    begin = integrator.state.copy()

    def call():
        integrator.time = 0.0
        integrator.state[:] = begin
        integrator.propagate_until(STEPS * H)
        return integrator.state[0], integrator.state[2:6].copy()

    return call


def check(data, answer):
    """Against NumPy: the value, and the gradient by central differences."""
    if data.inputs is None:
        f = populations
    else:

        def f(p):
            return matrices(p, data.inputs)

    want, h = [], 1e-5
    for i in np.ndindex(data.p.shape):
        change = np.zeros(data.p.shape)
        change[i] = h
        want.append((f(data.p + change) - f(data.p - change)) / (2 * h))
    answer = flat(answer)
    close(answer[:1], np.array([f(data.p)]), 1e-8)
    close(answer[1:], np.array(want), 1e-6)


WORKLOAD = Workload(
    "W11",
    "value and gradient through a loop of 1000 steps",
    [
        Case("Lotka-Volterra by RK4", load_populations, quick=True),
        Case("3 x 3 matrices", load_matrices, quick=True),
    ],
    {
        "symdiff": with_symdiff,
        "numba": with_numba,
        "heyoka": with_heyoka,
        "jax": with_jax,
        "casadi": with_casadi,
        "torch": with_torch,
        "autograd": with_autograd,
    },
    check,
)
