"""W4: value and gradient of ADBench's mixture of Gaussians."""

import ctypes
import math
from functools import partial
from typing import NamedTuple

import adbench_models as models
import climit
import numpy as np
from adbench import models_with
from contest import Case, Skip, Workload, close, flat


class Mixture(NamedTuple):
    name: str
    data: models.GMM


def load(name):
    return Mixture(name, models.read_gmm(name))


def constant(data):
    """The terms that no parameter is in."""
    n, d = data.x.shape
    k = len(data.alphas)
    nothing = np.zeros(k), np.zeros((k, d)), np.zeros(data.icf.shape)
    prior = models.log_wishart_prior(d, data.gamma, data.m, *nothing)
    return prior - n * d * 0.5 * math.log(2 * math.pi)


def with_symdiff(mixture):
    import symdiff as sd

    data = mixture.data

    def objective(alphas, means, icf):
        return models.gmm(alphas, means, icf, data.x, data.gamma, data.m)

    return partial(sd.value_and_grad(objective, argnums=(0, 1, 2)), *data[:3])


def with_c(mixture):
    data = mixture.data
    n, d = data.x.shape
    if d % 2:
        raise Skip("the C is written for an even number of dimensions")
    library = climit.build("gmm.c", D=d, K=len(data.alphas))
    tiles, tile = -(-n // 128), 128
    padded = np.zeros((tiles * tile, d))
    padded[:n] = data.x
    x = climit.aligned((tiles, d, tile))
    x[:] = padded.reshape(tiles, tile, d).swapaxes(1, 2)
    value, gradient = np.zeros(1), [np.zeros_like(a) for a in data[:3]]
    arguments = [
        ctypes.c_int(n),
        *map(climit.pointer, [*data[:3], x]),
        ctypes.c_double(data.gamma),
        ctypes.c_int(data.m),
        ctypes.c_double(constant(data)),
        *map(climit.pointer, [value, *gradient]),
    ]

    def call(_kept=(data, x)):
        library.gmm(*arguments)
        return value, gradient

    return call


def with_numba(mixture):
    from gmm_numba import value_and_gradient

    data = mixture.data
    return partial(value_and_gradient, *data, constant(data))


def natural(ns, logsumexp, data, x, factors):
    """The published formulation in another package's functions."""
    n, d = data.x.shape
    fixed = constant(data)

    def objective(alphas, means, icf):
        qdiags, sum_qs = ns.exp(icf[:, :d]), icf[:, :d].sum(1)
        centered = x[:, None, :] - means[None, :, :]
        qx = qdiags * centered + ns.einsum("kij,nkj->nki", factors(icf), centered)
        inner = alphas + sum_qs - 0.5 * (qx**2).sum(2)
        squares = (qdiags**2).sum() + (icf[:, d:] ** 2).sum()
        prior = 0.5 * data.gamma**2 * squares - data.m * sum_qs.sum()
        return logsumexp(inner, 1).sum() - n * logsumexp(alphas, 0) + prior + fixed

    return objective


def by_product(ns, logsumexp, data, x, factors):
    """The factors with their diagonal: one matrix product for all points and components."""
    n, d = data.x.shape
    k = len(data.alphas)
    fixed = constant(data)

    def objective(alphas, means, icf):
        sum_qs = icf[:, :d].sum(1)
        full = factors(icf) + ns.exp(icf[:, :d])[:, :, None] * ns.eye(d)
        qx = (x @ full.reshape(k * d, d).T).reshape(n, k, d)
        qx = qx - ns.einsum("kij,kj->ki", full, means)
        inner = alphas + sum_qs - 0.5 * (qx**2).sum(2)
        prior = 0.5 * data.gamma**2 * (full**2).sum() - data.m * sum_qs.sum()
        return logsumexp(inner, 1).sum() - n * logsumexp(alphas, 0) + prior + fixed

    return objective


def with_jax(formulation, mixture):
    import jax
    import jax.numpy as jnp

    data = mixture.data
    k, d = data.means.shape
    column, row = np.triu_indices(d, 1)

    def factors(icf):
        return jnp.zeros((k, d, d)).at[:, row, column].set(icf[:, d:])

    logsumexp = jax.scipy.special.logsumexp
    objective = formulation(jnp, logsumexp, data, jnp.asarray(data.x), factors)
    compiled = jax.jit(jax.value_and_grad(objective, argnums=(0, 1, 2)))
    parameters = [jnp.asarray(a) for a in data[:3]]
    return lambda: jax.block_until_ready(compiled(*parameters))


def with_torch(mixture):
    import torch

    data = mixture.data
    k, d = data.means.shape
    column, row = np.triu_indices(d, 1)

    def factors(icf):
        L = torch.zeros((k, d, d), dtype=torch.float64)
        L[:, row, column] = icf[:, d:]
        return L

    objective = by_product(_Torch(torch), torch.logsumexp, data, torch.tensor(data.x), factors)

    def call():
        parameters = [torch.tensor(a, requires_grad=True) for a in data[:3]]
        value = objective(*parameters)
        return value.detach(), torch.autograd.grad(value, parameters)

    return call


class _Torch:
    def __init__(self, torch):
        self.exp, self.einsum = torch.exp, torch.einsum
        self.eye = partial(torch.eye, dtype=torch.float64)


def with_autograd(mixture):
    import autograd.numpy as anp
    from autograd import value_and_grad

    data, own = mixture.data, models_with(anp)

    def objective(parameters):
        return own.gmm(*parameters, data.x, data.gamma, data.m)

    return partial(value_and_grad(objective), tuple(data[:3]))


def with_tensorflow(mixture):
    import tensorflow as tf

    data = mixture.data
    n, d = data.x.shape
    k, fixed = len(data.alphas), constant(data)
    column, row = np.triu_indices(d, 1)
    at = np.stack([row, column], 1)
    x = tf.constant(data.x)

    def objective(alphas, means, icf):
        qs = icf[:, :d]
        sum_qs = tf.reduce_sum(qs, 1)
        lower = tf.transpose(tf.scatter_nd(at, tf.transpose(icf[:, d:]), (d, d, k)), (2, 0, 1))
        full = lower + tf.linalg.diag(tf.exp(qs))
        qx = tf.reshape(tf.matmul(x, tf.reshape(full, (k * d, d)), transpose_b=True), (n, k, d))
        qx -= tf.einsum("kij,kj->ki", full, means)
        inner = alphas + sum_qs - 0.5 * tf.reduce_sum(qx**2, 2)
        prior = 0.5 * data.gamma**2 * tf.reduce_sum(full**2) - data.m * tf.reduce_sum(sum_qs)
        sums = tf.reduce_sum(tf.reduce_logsumexp(inner, 1)) - n * tf.reduce_logsumexp(alphas)
        return sums + prior + fixed

    def call():
        parameters = [tf.constant(a) for a in data[:3]]
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = objective(*parameters)
        return value, tape.gradient(value, parameters)

    return call


def check(mixture, answer):
    value, gradient = models.expected(mixture.name)
    answer = flat(answer)
    close(answer[:1], value.reshape(1), 1e-10)
    close(answer[1:], gradient, 1e-9)


SIZES = ("1k/gmm_d10_K50", "10k/gmm_d10_K25", "1k/gmm_d2_K200", "1k/gmm_d20_K25", "1k/gmm_d64_K10")
WORKLOAD = Workload(
    "W4",
    "ADBench's mixture of Gaussians, value and gradient",
    [Case(n.replace("/gmm", ""), partial(load, f"gmm/{n}"), n.endswith("K50")) for n in SIZES],
    {
        "symdiff": with_symdiff,
        "C": with_c,
        "numba": with_numba,
        "jax": partial(with_jax, natural),
        "jax as a product": partial(with_jax, by_product),
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
    limit=("C",),
)
