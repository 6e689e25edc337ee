"""W9b: a step of eager training as it is written: `Dense(1)` on 5 rows of 3, gradient descent."""

from functools import partial

import numpy as np
from contest import Case, Workload, close

RATE = 0.01
STEPS = 3
ROWS, COLUMNS = 5, 3


def load():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    return x, (x @ np.ones((COLUMNS, 1)) + 0.5).astype(np.float32)


def with_symdiff(data):
    import symdiff.eager as tfe

    x, y = (tfe.constant(a) for a in data)
    model = tfe.layers.Dense(1, kernel_initializer=np.zeros)
    optimizer = tfe.train.GradientDescentOptimizer(RATE)

    def loss(model, x, y):
        return tfe.reduce_sum(tfe.square(model(x) - y))

    value_and_gradients = tfe.implicit_value_and_gradients(loss)

    def step():
        value, gradients = value_and_gradients(model, x, y)
        optimizer.apply_gradients(gradients)
        return value

    return _falling(step)


def with_numpy(data):
    x, y = data
    state = [np.zeros((COLUMNS, 1), np.float32), np.zeros(1, np.float32)]

    def step():
        w, b = state
        error = x @ w + b - y
        state[:] = w - RATE * 2 * (x.T @ error), b - RATE * 2 * error.sum(0)
        return np.sum(error * error)

    return _falling(step)


def with_tensorflow(data):
    import tensorflow as tf

    x, y = (tf.constant(a) for a in data)
    w, b = tf.Variable(tf.zeros((COLUMNS, 1))), tf.Variable(tf.zeros(1))

    def step():
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(tf.square(x @ w + b - y))
        for v, g in zip((w, b), tape.gradient(value, [w, b]), strict=True):
            v.assign_sub(RATE * g)
        return value

    return _falling(step)


def _falling(step):
    """Give the losses of the first steps at the first call, which are checked, then of one."""
    first = [step() for _ in range(STEPS)]

    def call():
        step()
        return first

    return call


def check(data, losses):
    close(np.array([float(v) for v in losses]), np.array(with_numpy(data)(), float), 1e-4)


WORKLOAD = Workload(
    "W9b",
    "a step of eager training, float32, as written",
    [Case("Dense(1) on 5x3", partial(load), quick=True)],
    {"symdiff": with_symdiff, "numpy": with_numpy, "tensorflow": with_tensorflow},
    check,
)
