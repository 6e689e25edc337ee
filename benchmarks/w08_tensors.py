"""W8: Hessians of tensor expressions, from Laue, Mitterreiter and Giesen, NeurIPS 2018."""

from functools import partial
from typing import NamedTuple

import numpy as np
from contest import Case, Workload, close

RANK = 5


class Form(NamedTuple):
    """``x @ A @ x``."""

    x: np.ndarray
    A: np.ndarray


class Factors(NamedTuple):
    """The squared error of ``U @ V.T`` beside T, by U."""

    U: np.ndarray
    V: np.ndarray
    T: np.ndarray


def load_form(n):
    rng = np.random.default_rng(8)
    return Form(rng.standard_normal(n), rng.standard_normal((n, n)))


def load_factors(n):
    rng = np.random.default_rng(8)
    return Factors(*(rng.standard_normal(shape) for shape in ((n, RANK), (n, RANK), (n, n))))


def objective(data):
    if isinstance(data, Form):
        return lambda x, A: x @ A @ x
    return lambda U, V, T: ((T - U @ V.T) ** 2).sum()


def closed_form(data):
    if isinstance(data, Form):
        return data.A + data.A.T
    return np.einsum("ik,jl->ijkl", np.eye(len(data.U)), 2 * data.V.T @ data.V)


def with_symdiff(data):
    import symdiff as sd

    return partial(sd.hessian(objective(data)), *data)


def with_numpy(data):
    """The closed form."""
    return partial(closed_form, data)


def with_jax(data):
    import jax
    import jax.numpy as jnp

    compiled = jax.jit(jax.jacfwd(jax.grad(objective(data))))
    arguments = [jnp.asarray(a) for a in data]
    return lambda: jax.block_until_ready(compiled(*arguments))


def with_torch(data):
    import torch

    return partial(torch.func.hessian(objective(data)), *map(torch.tensor, data))


def check(data, answer):
    close(answer, closed_form(data), 1e-10)


WORKLOAD = Workload(
    "W8",
    "Hessians of tensor expressions",
    [
        Case("x'Ax, 1000", partial(load_form, 1000), quick=True),
        Case("matrix factorization, 200 x 5", partial(load_factors, 200), quick=True),
    ],
    {"symdiff": with_symdiff, "numpy": with_numpy, "jax": with_jax, "torch": with_torch},
    check,
)
