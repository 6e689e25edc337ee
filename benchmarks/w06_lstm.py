"""W6: value and gradient of ADBench's LSTM; a rival's loop stays a loop where it has one."""

import ctypes
import itertools
from functools import partial
from typing import NamedTuple

import adbench_models as models
import climit
import numpy as np
from contest import Case, Skip, Workload, close, flat


class Network(NamedTuple):
    name: str
    data: models.LSTM


def load(name):
    return Network(name, models.read_lstm(name))


def with_symdiff(network):
    import symdiff as sd

    data = network.data
    gradient = sd.value_and_grad(models.lstm, argnums=(0, 1))
    return partial(gradient, data.main, data.extra, data.state, data.text)


def with_c(network):
    data, width = network.data, 16
    layers, n = len(data.state) // 2, data.text.shape[1]
    if n > width:
        raise Skip(f"the C is written for texts of up to {width} different characters")
    library = climit.build("lstm.c", L=layers)
    steps = len(data.text) - 1

    def padded(rows, shape, fill=0.0):
        array = climit.aligned((*shape, width))
        array[..., n:] = fill
        array[..., :n] = rows.reshape(*shape, n)
        return array

    extra = padded(data.extra, (3,))
    extra[2, n:] = -700
    inputs = [
        *(padded(data.main[k::2], (layers, 4)) for k in (0, 1)),
        extra,
        padded(data.state, (2 * layers,)),
        padded(data.text, (len(data.text),)),
    ]
    work = [climit.aligned((steps, size)) for size in (layers * 6 * width, width, 2)]
    gradient = [climit.aligned((*shape, width)) for shape in ((layers, 4), (layers, 4), (3,))]
    value = np.zeros(1)
    arguments = [
        ctypes.c_int(steps),
        *map(climit.pointer, [*inputs, *work, value, *gradient]),
    ]

    def call(_kept=(inputs, work)):
        library.lstm(*arguments)
        scale = -1 / (steps * n)
        main = np.stack([g[..., :n].reshape(layers, -1) for g in gradient[:2]], 1)
        return value * scale, main.reshape(2 * layers, -1) * scale, gradient[2][:, :n] * scale

    return call


def cell(ns, sigmoid, concatenate, main, state, x):
    """All layers, in another package's functions: the next states, and the last one's output."""
    after = []
    for i in range(0, len(state), 2):
        hidden, memory = state[i], state[i + 1]
        n = len(hidden)
        gates = concatenate([x, hidden, x, hidden]) * main[i] + main[i + 1]
        forget, ingate, outgate, change = (gates[k * n : (k + 1) * n] for k in range(4))
        memory = memory * sigmoid(forget) + sigmoid(ingate) * ns.tanh(change)
        x = sigmoid(outgate) * ns.tanh(memory)
        after += [x, memory]
    return after, x


def tape_loss(ns, sigmoid, concatenate, total_of, main, extra, state, text):
    """The loss by a Python loop, for packages that record it."""
    state, total = list(state), 0.0
    for now, then in itertools.pairwise(text):
        state, x = cell(ns, sigmoid, concatenate, main, state, now * extra[0])
        logits = x * extra[1] + extra[2]
        total = total + total_of(then * (logits - ns.log(total_of(ns.exp(logits)) + 2)))
    return -total / ((len(text) - 1) * text.shape[1])


def with_jax(network):
    import jax
    import jax.numpy as jnp

    data = network.data
    n = data.text.shape[1]

    def loss(main, extra, state, text):
        def step(state, pair):
            now, then = pair
            state, x = cell(jnp, jax.nn.sigmoid, jnp.concatenate, main, state, now * extra[0])
            logits = x * extra[1] + extra[2]
            return state, (then * (logits - jnp.log(jnp.exp(logits).sum() + 2))).sum()

        _, losses = jax.lax.scan(step, list(state), (text[:-1], text[1:]))
        return -losses.sum() / (len(losses) * n)

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    arguments = [jnp.asarray(a) for a in data]
    return lambda: jax.block_until_ready(compiled(*arguments))


def with_torch(network):
    import torch

    data = [torch.tensor(a) for a in network.data]
    leaves = [a.requires_grad_() for a in data[:2]]

    def call():
        value = tape_loss(torch, torch.sigmoid, torch.cat, torch.sum, *data)
        return value.detach(), torch.autograd.grad(value, leaves)

    return call


def with_autograd(network):
    import autograd.numpy as anp
    from autograd import value_and_grad

    data = network.data
    loss = partial(tape_loss, anp, lambda x: 1 / (1 + anp.exp(-x)), anp.concatenate, anp.sum)
    return partial(value_and_grad(lambda p: loss(*p, *data[2:])), tuple(data[:2]))


def with_tensorflow(network):
    import tensorflow as tf

    if len(network.data.text) > 1024:
        raise Skip("its tape takes about half a minute a call")
    data = [tf.constant(a) for a in network.data]

    def concatenate(parts):
        return tf.concat(parts, 0)

    ns = _TensorFlow(tf)

    def call():
        with tf.GradientTape() as tape:
            tape.watch(data[:2])
            state, text = tf.unstack(data[2]), data[3]
            value = tape_loss(
                ns, tf.sigmoid, concatenate, tf.reduce_sum, *map(tf.unstack, data[:2]), state, text
            )
        return value, tape.gradient(value, data[:2])

    return call


class _TensorFlow:
    def __init__(self, tf):
        self.tanh, self.log, self.exp = tf.tanh, tf.math.log, tf.exp


def check(network, answer):
    value, gradient = models.expected(network.name)
    answer = flat(answer)
    close(answer[:1], value.reshape(1), 1e-10)
    close(answer[1:], gradient, 1e-8)


WORKLOAD = Workload(
    "W6",
    "ADBench's LSTM, value and gradient",
    [
        Case("l2_c1024", partial(load, "lstm/lstm_l2_c1024"), quick=True),
        Case("l4_c4096", partial(load, "lstm/lstm_l4_c4096")),
    ],
    {
        "symdiff": with_symdiff,
        "C": with_c,
        "jax": with_jax,
        "torch": with_torch,
        "autograd": with_autograd,
        "tensorflow": with_tensorflow,
    },
    check,
    limit=("C",),
)
