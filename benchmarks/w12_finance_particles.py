"""W12: Black-Scholes prices with all Greeks, and Lennard-Jones energy with forces."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from contest import Case, Skip, Workload, close
from scipy import special

OPTIONS, PARTICLES = 1_000_000, 2000


class Market(NamedTuple):
    """Spot, strike, years, rate, volatility; each (n,)."""

    spot: np.ndarray
    strike: np.ndarray
    years: np.ndarray
    rate: np.ndarray
    volatility: np.ndarray


class Gas(NamedTuple):
    """Positions (n, 3)."""

    x: np.ndarray


def load_market():
    rng = np.random.default_rng(12)
    low_high = [(80, 120), (80, 120), (0.2, 2), (0.01, 0.05), (0.1, 0.5)]
    return Market(*(rng.uniform(low, high, OPTIONS) for low, high in low_high))


def load_gas():
    """A cubic lattice, shaken."""
    side = math.ceil(PARTICLES ** (1 / 3))
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)[:PARTICLES]
    shake = np.random.default_rng(12).uniform(-0.1, 0.1, (PARTICLES, 3))
    return Gas(1.1 * lattice + shake)


def price(ns, ndtr, spot, strike, years, rate, volatility):
    """A call option's."""
    spread = volatility * ns.sqrt(years)
    d1 = (ns.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    return spot * ndtr(d1) - strike * ns.exp(-rate * years) * ndtr(d1 - spread)


def energy(ns, eye, x):
    """Of all pairs; a particle is put at distance 1 from itself, where the energy is 0."""
    squares = ns.sum((x[:, None, :] - x[None, :, :]) ** 2, -1) + eye
    inverse = 1 / squares**3
    return 2 * ns.sum(inverse**2 - inverse)


def with_symdiff(data):
    import symdiff as sd

    if isinstance(data, Gas):
        eye = np.eye(len(data.x))
        return partial(sd.value_and_grad(partial(energy, np, eye)), data.x)
    one = partial(price, np, special.ndtr)
    first, second = sd.value_and_grad(one, argnums=(0, 2, 3, 4)), sd.grad(sd.grad(one))

    def greeks(*args):
        return *first(*args), second(*args)

    return partial(sd.jit(sd.vmap(greeks)), *data)


def by_hand(data):
    """The closed form in NumPy: price; delta, -theta, rho, vega; gamma."""
    spot, strike, years, rate, volatility = data
    root = np.sqrt(years)
    spread = volatility * root
    d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    delta, other = special.ndtr(d1), special.ndtr(d1 - spread)
    density = np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    discounted = strike * np.exp(-rate * years)
    by_years = spot * density * volatility / (2 * root) + rate * discounted * other
    firsts = delta, by_years, years * discounted * other, spot * density * root
    return spot * delta - discounted * other, firsts, density / (spot * spread)


def by_matrix(x):
    """Energy and gradient of the particles in NumPy, a row of pairs at a time."""
    total, gradient = 0.0, np.zeros_like(x)
    for i in range(len(x)):
        apart = x[i] - x
        squares = np.sum(apart**2, axis=1)
        squares[i] = 1
        inverse = 1 / squares**3
        total += 2 * np.sum(inverse**2 - inverse)
        gradient[i] = (4 * (6 * inverse - 12 * inverse**2) / squares) @ apart
    return total, gradient


def with_numpy(data):
    return partial(by_matrix, data.x) if isinstance(data, Gas) else partial(by_hand, data)


def with_numba(data):
    """By hand, in loops; of the particles each pair once."""
    import numba

    if isinstance(data, Market):
        raise Skip("written by hand for the particles only")

    @numba.njit(fastmath=True, error_model="numpy")
    def run(x):
        total, gradient = 0.0, np.zeros_like(x)
        for i in range(len(x)):
            for j in range(i):
                a, b, c = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1], x[i, 2] - x[j, 2]
                inverse_square = 1 / (a * a + b * b + c * c)
                inverse = inverse_square**3
                total += 4 * (inverse * inverse - inverse)
                slope = 4 * (6 * inverse - 12 * inverse * inverse) * inverse_square
                for k, part in enumerate((a, b, c)):
                    gradient[i, k] += slope * part
                    gradient[j, k] -= slope * part
        return total, gradient

    return partial(run, data.x)


def with_jax(data):
    import jax
    import jax.numpy as jnp

    if isinstance(data, Gas):
        run = jax.jit(jax.value_and_grad(partial(energy, jnp, jnp.eye(len(data.x)))))
    else:
        one = partial(price, jnp, jax.scipy.special.ndtr)
        first = jax.value_and_grad(one, argnums=(0, 2, 3, 4))
        second = jax.grad(jax.grad(one))
        run = jax.jit(jax.vmap(lambda *args: (*first(*args), second(*args))))
    arguments = [jnp.asarray(a) for a in data]
    return lambda: jax.block_until_ready(run(*arguments))


def with_torch(data):
    import torch

    leaves = [torch.tensor(a, requires_grad=True) for a in data]
    if isinstance(data, Gas):
        eye = torch.eye(len(data.x), dtype=torch.float64)

        def call():
            value = energy(torch, eye, leaves[0])
            return value.detach(), *torch.autograd.grad(value, leaves[0])

        return call

    def greeks():
        value = price(torch, torch.special.ndtr, *leaves)
        wanted = [leaves[k] for k in (0, 2, 3, 4)]
        firsts = torch.autograd.grad(value.sum(), wanted, create_graph=True)
        gamma = torch.autograd.grad(firsts[0].sum(), leaves[0])
        return value.detach(), [g.detach() for g in firsts], *gamma

    return greeks


def with_autograd(data):
    import autograd.numpy as anp
    from autograd import elementwise_grad, value_and_grad
    from autograd.scipy.stats import norm

    if isinstance(data, Gas):
        return partial(value_and_grad(partial(energy, anp, np.eye(len(data.x)))), data.x)
    one = partial(price, anp, norm.cdf)
    firsts, second = elementwise_grad(one, (0, 2, 3, 4)), elementwise_grad(elementwise_grad(one))
    return lambda: (one(*data), firsts(*data), second(*data))


def with_tensorflow(data):
    import tensorflow as tf

    leaves = [tf.constant(a) for a in data]

    def ndtr(x):
        return (1 + tf.math.erf(x / math.sqrt(2))) / 2

    ns = _TensorFlow(tf)
    if isinstance(data, Gas):
        eye = tf.eye(len(data.x), dtype=tf.float64)

        def call():
            with tf.GradientTape() as tape:
                tape.watch(leaves)
                value = energy(ns, eye, leaves[0])
            return value, tape.gradient(value, leaves[0])

        return call

    def greeks():
        with tf.GradientTape() as outer:
            outer.watch(leaves[0])
            with tf.GradientTape() as tape:
                tape.watch(leaves)
                value = price(ns, ndtr, *leaves)
            firsts = tape.gradient(value, [leaves[k] for k in (0, 2, 3, 4)])
        return value, firsts, outer.gradient(firsts[0], leaves[0])

    return greeks


class _TensorFlow:
    def __init__(self, tf):
        self.sqrt, self.exp, self.log, self.sum = tf.sqrt, tf.exp, tf.math.log, tf.reduce_sum


def check(data, answer):
    close(answer, with_numpy(data)(), 1e-9)


WORKLOAD = Workload(
    "W12",
    "prices with Greeks, energies with forces",
    [
        Case("Black-Scholes, 1e6 options", load_market, quick=True),
        Case("Lennard-Jones, 2000 particles", load_gas, quick=True),
    ],
    {
        "symdiff": with_symdiff,
        "numpy": with_numpy,
        "numba": with_numba,
        "jax": with_jax,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
)
