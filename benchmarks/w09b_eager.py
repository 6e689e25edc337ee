"""W9b: steps of eager training, `Dense(1)` on 5 rows of 3, gradient descent: one, and a thousand.

The contestants take them as they are written, one after the other; "symdiff step" by a kernel for
each step, "symdiff loop" by one for all of them.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from contest import Case, Workload, close

RATE = 0.01
STEPS = 3
ROWS, COLUMNS = 5, 3


class Data(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    n_steps: int


def load(n_steps):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    return Data(x, (x @ np.ones((COLUMNS, 1)) + 0.5).astype(np.float32), n_steps)


def _script(data):
    import symdiff.eager as tfe

    x, y = tfe.constant(data.x), tfe.constant(data.y)
    model = tfe.layers.Dense(1, kernel_initializer=np.zeros)
    optimizer = tfe.train.GradientDescentOptimizer(RATE)

    def loss(model, x, y):
        return tfe.reduce_sum(tfe.square(model(x) - y))

    return tfe, loss, optimizer, (model, x, y)


def with_symdiff(data):
    tfe, loss, optimizer, (model, x, y) = _script(data)
    value_and_gradients = tfe.implicit_value_and_gradients(loss)

    def step():
        value, gradients = value_and_gradients(model, x, y)
        optimizer.apply_gradients(gradients)
        return value

    return _falling(step, data)


def with_steps(data):
    tfe, loss, optimizer, args = _script(data)
    step = tfe.compile_step(loss, optimizer)
    return _falling(lambda: step(*args), data)


def with_a_loop(data):
    tfe, loss, optimizer, args = _script(data)
    step = tfe.compile_step(loss, optimizer)
    first = step.run(*args, steps=STEPS).losses

    def call():
        step.run(*args, steps=data.n_steps)
        return first

    return call


def with_numpy(data):
    x, y, _ = data
    state = [np.zeros((COLUMNS, 1), np.float32), np.zeros(1, np.float32)]

    def step():
        w, b = state
        error = x @ w + b - y
        state[:] = w - RATE * 2 * (x.T @ error), b - RATE * 2 * error.sum(0)
        return np.sum(error * error)

    return _falling(step, data)


def with_tensorflow(data):
    import tensorflow as tf

    x, y = tf.constant(data.x), tf.constant(data.y)
    w, b = tf.Variable(tf.zeros((COLUMNS, 1))), tf.Variable(tf.zeros(1))

    def step():
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(tf.square(x @ w + b - y))
        for v, g in zip((w, b), tape.gradient(value, [w, b]), strict=True):
            v.assign_sub(RATE * g)
        return value

    return _falling(step, data)


def _falling(step, data):
    """Give the losses of the first steps, which are checked, and make as many as the case has."""
    first = [step() for _ in range(STEPS)]

    def call():
        for _ in range(data.n_steps):
            step()
        return first

    return call


def check(data, losses):
    close(np.array([float(v) for v in losses]), np.array(with_numpy(data)(), float), 1e-4)


WORKLOAD = Workload(
    "W9b",
    "steps of eager training, float32",
    [
        Case("Dense(1) on 5x3", partial(load, 1), quick=True),
        Case("1000 steps of that", partial(load, 1000)),
    ],
    {
        "symdiff": with_symdiff,
        "symdiff step": with_steps,
        "symdiff loop": with_a_loop,
        "numpy": with_numpy,
        "tensorflow": with_tensorflow,
    },
    check,
)
