"""W9: a step of training a small network: value, gradient and the update by Adam, float32.

The contestants' state goes round: a call is one step from Python, whose batch is given by a slice.
"scan" is an epoch in one call, "train" some epochs of sd.train, both divided by their steps.
The first call makes a few steps, whose losses are compared with NumPy's.
"""

import gzip
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contest import Case, Workload, close

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
BATCH = 128
FIRST_STEPS = 5
EPOCHS = 60
"""Of a call of sd.train."""


class Training(NamedTuple):
    params: tuple  # W1, b1, W2, b2
    x: np.ndarray
    y: np.ndarray  # one-hot


def load(n_in, n_hidden):
    """The digits, their images repeated where the network has more inputs than they have pixels."""
    path = Path(__file__).parent / "data" / "digits.csv.gz"
    with gzip.open(path, "rt", encoding="ascii") as lines:
        table = np.loadtxt(lines, delimiter=",")
    x = np.resize(table[:, :-1].T / 16, (n_in, len(table))).T
    y = np.eye(10)[table[:, -1].astype(int)]
    rng = np.random.default_rng(9)
    params = (
        rng.standard_normal((n_in, n_hidden)) / n_in**0.5,
        np.zeros(n_hidden),
        rng.standard_normal((n_hidden, 10)) / n_hidden**0.5,
        np.zeros(10),
    )
    single = [np.ascontiguousarray(a, dtype=np.float32) for a in (*params, x, y)]
    return Training(tuple(single[:4]), *single[4:])


def loss(np_, params, x, y):
    W1, b1, W2, b2 = params
    logits = np_.tanh(x @ W1 + b1) @ W2 + b2
    logits = logits - np_.max(logits, axis=1, keepdims=True)
    return np_.mean(np_.log(np_.sum(np_.exp(logits), axis=1)) - np_.sum(logits * y, axis=1))


def adam(np_, params, m, v, t, gradient):
    """One step, as published: Kingma and Ba, ICLR 2015, algorithm 1."""
    rate = RATE * np_.sqrt(1 - BETA2**t) / (1 - BETA1**t)
    m = tuple(BETA1 * a + (1 - BETA1) * g for a, g in zip(m, gradient, strict=True))
    v = tuple(BETA2 * a + (1 - BETA2) * g * g for a, g in zip(v, gradient, strict=True))
    params = tuple(
        p - rate * a / (np_.sqrt(b) + EPSILON) for p, a, b in zip(params, m, v, strict=True)
    )
    return params, m, v


def batches(data):
    """Yield batches for ever, as views."""
    while True:
        for begin in range(0, len(data.x) - BATCH + 1, BATCH):
            yield data.x[begin : begin + BATCH], data.y[begin : begin + BATCH]


def going_round(step, data, as_state=lambda a: a):
    """Make a call that is one step; it gives the losses of the first ones."""
    zeros = tuple(np.zeros_like(p) for p in data.params)
    state = [tuple(map(as_state, part)) for part in (data.params, zeros, zeros)]
    source, t = batches(data), np.float32(0)

    def one():
        nonlocal state, t
        t += np.float32(1)
        value, *state = step(*state, t, *next(source))
        return value

    return first_steps(one)


def first_steps(one):
    losses = []

    def call():
        if losses:
            one()
        else:
            losses.extend(one() for _ in range(FIRST_STEPS))
        return losses

    return call


def with_numpy(data):
    """By hand."""

    def step(params, m, v, t, x, y):
        W1, b1, W2, b2 = params
        hidden = np.tanh(x @ W1 + b1)
        logits = hidden @ W2 + b2
        logits -= logits.max(axis=1, keepdims=True)
        e = np.exp(logits)
        total = e.sum(axis=1)
        value = np.mean(np.log(total) - (logits * y).sum(axis=1))
        by_logits = (e / total[:, None] - y) / np.float32(len(x))
        back = (by_logits @ W2.T) * (1 - hidden * hidden)
        gradient = x.T @ back, back.sum(axis=0), hidden.T @ by_logits, by_logits.sum(axis=0)
        return value, *adam(np, params, m, v, t, gradient)

    return going_round(step, data)


def with_symdiff(data):
    import symdiff as sd

    gradient_of = sd.value_and_grad(partial(loss, np))

    @sd.jit
    def step(params, m, v, t, x, y):
        value, gradient = gradient_of(params, x, y)
        params, m, v = adam(np, params, m, v, t, gradient)
        return value, params, m, v

    return going_round(step, data)


def with_symdiff_scan(data):
    """An epoch in one call; a plain loop over the batches."""
    import symdiff as sd

    gradient_of = sd.value_and_grad(partial(loss, np))

    @sd.jit
    def epoch(state, xs, ys):
        params, m, v, t = state
        losses = []
        for x, y in zip(xs, ys, strict=True):
            t = t + np.float32(1)
            value, gradient = gradient_of(params, x, y)
            params, m, v = adam(np, params, m, v, t, gradient)
            losses.append(value)
        return (params, m, v, t), np.array(losses)

    return epochs(epoch, data, np)


def with_symdiff_train(data):
    """Some epochs of sd.train in one call, shuffled, with all that it does around a step."""
    import symdiff as sd

    optimizer = sd.optim.Adam(RATE, BETA1, BETA2, EPSILON)

    def train(epochs, **options):
        return sd.train(
            partial_loss,
            data.params,
            (data.x, data.y),
            optimizer,
            batch_size=BATCH,
            epochs=epochs,
            progress=False,
            **options,
        )

    partial_loss, losses = partial(loss, np), []

    def see(progress):
        losses.append(progress.loss)
        return len(losses) == FIRST_STEPS

    def call():
        if losses:
            train(EPOCHS)
        else:
            train(1, shuffle=False, callback=see, callback_every=1)
        return losses

    call.calls = EPOCHS * -(-len(data.x) // BATCH)
    return call


def with_jax(data):
    import jax
    import jax.numpy as jnp

    @jax.jit
    def step(params, m, v, t, x, y):
        value, gradient = jax.value_and_grad(partial(loss, jnp))(params, x, y)
        return value, *adam(jnp, params, m, v, t, gradient)

    return going_round(lambda *args: jax.block_until_ready(step(*args)), data, jnp.asarray)


def with_jax_scan(data):
    """An epoch in one call."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def epoch(state, xs, ys):
        def step(state, batch):
            params, m, v, t = state
            t = t + 1
            value, gradient = jax.value_and_grad(partial(loss, jnp))(params, *batch)
            return (*adam(jnp, params, m, v, t, gradient), t), value

        return jax.lax.scan(step, state, (xs, ys))

    return epochs(lambda *args: jax.block_until_ready(epoch(*args)), data, jnp)


def epochs(epoch, data, np_):
    """Make a call that is an epoch, which the worker divides by its steps."""
    steps = len(data.x) // BATCH
    batched = [np_.asarray(a[: steps * BATCH].reshape(steps, BATCH, -1)) for a in data[1:]]
    params = tuple(map(np_.asarray, data.params))
    zeros = tuple(map(np_.zeros_like, params))
    state, losses = (params, zeros, zeros, np_.float32(0)), []

    def call():
        nonlocal state
        state, values = epoch(state, *batched)
        losses.extend(values[: FIRST_STEPS - len(losses)])
        return losses

    call.calls = steps
    return call


def with_torch(data):
    import torch

    x, y = torch.tensor(data.x), torch.tensor(data.y)
    W1, b1, W2, b2 = params = [torch.tensor(p, requires_grad=True) for p in data.params]
    optimizer = torch.optim.Adam(params, lr=RATE, betas=(BETA1, BETA2), eps=EPSILON)
    source = batches(data._replace(x=x, y=y))

    def one():
        images, labels = next(source)
        logits = torch.tanh(images @ W1 + b1) @ W2 + b2
        value = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.detach()

    return first_steps(one)


def with_autograd(data):
    import autograd.numpy as anp
    from autograd import value_and_grad

    gradient_of = value_and_grad(partial(loss, anp))

    def step(params, m, v, t, x, y):
        value, gradient = gradient_of(params, x, y)
        return value, *adam(np, params, m, v, t, gradient)

    return going_round(step, data)


def with_tensorflow(data):
    import tensorflow as tf

    def step(params, m, v, t, x, y):
        W1, b1, W2, b2 = params
        with tf.GradientTape() as tape:
            tape.watch(params)
            logits = tf.tanh(x @ W1 + b1) @ W2 + b2
            value = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(y, logits))
        gradient = tape.gradient(value, params)
        return value, *adam(np_like, params, m, v, t, gradient)

    np_like = _TensorFlow(tf)
    images, labels = tf.constant(data.x), tf.constant(data.y)
    return going_round(step, data._replace(x=images, y=labels), tf.constant)


class _TensorFlow:
    def __init__(self, tf):
        self.sqrt = tf.sqrt


def check(data, losses):
    assert len(losses) == FIRST_STEPS
    close(np.array([float(v) for v in losses]), np.array(with_numpy(data)(), float), 1e-4)


WORKLOAD = Workload(
    "W9",
    "a step of training with Adam, float32, batch 128",
    [
        Case("64-32-10", partial(load, 64, 32), quick=True),
        Case("784-256-10", partial(load, 784, 256)),
    ],
    {
        "symdiff": with_symdiff,
        "symdiff scan": with_symdiff_scan,
        "symdiff train": with_symdiff_train,
        "numpy": with_numpy,
        "jax": with_jax,
        "jax scan": with_jax_scan,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
)
