"""Recurrent networks, a step at a time as they are written in NumPy: the loop stays a loop."""

import adbench_models as models
import numpy as np
import pytest
from against_numpy import check, check_sizes, check_vmap, close, flat, same

import symdiff as sd

rng = np.random.default_rng(5)
N_IN, N_HIDDEN, STEPS = 3, 4, 24
INPUTS = rng.normal(size=(STEPS, N_IN))
TARGETS = rng.normal(size=(STEPS, 2))


def normal(*shape):
    return 0.5 * rng.normal(size=shape)


GRU = {
    "Wz": normal(N_HIDDEN, N_IN),
    "Uz": normal(N_HIDDEN, N_HIDDEN),
    "bz": normal(N_HIDDEN),
    "Wr": normal(N_HIDDEN, N_IN),
    "Ur": normal(N_HIDDEN, N_HIDDEN),
    "br": normal(N_HIDDEN),
    "Wh": normal(N_HIDDEN, N_IN),
    "Uh": normal(N_HIDDEN, N_HIDDEN),
    "bh": normal(N_HIDDEN),
}
READOUT = normal(2, N_HIDDEN)
ELMAN = {
    "W": normal(N_HIDDEN, N_IN),
    "U": normal(N_HIDDEN, N_HIDDEN),
    "b": normal(N_HIDDEN),
    "V": normal(2, N_HIDDEN),
    "c": normal(2),
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_cell(p, h, x):
    """Gated recurrent unit of K. Cho et al., EMNLP 2014, equations 5 to 8."""
    z = sigmoid(p["Wz"] @ x + p["Uz"] @ h + p["bz"])
    r = sigmoid(p["Wr"] @ x + p["Ur"] @ h + p["br"])
    candidate = np.tanh(p["Wh"] @ x + p["Uh"] @ (r * h) + p["bh"])
    return z * h + (1 - z) * candidate


def gru_by_rows(p, inputs):
    h = np.zeros(N_HIDDEN)
    for x in inputs:
        h = gru_cell(p, h, x)
    return np.sum(READOUT @ h)


def gru_by_index(p, inputs):
    h = np.zeros(N_HIDDEN)
    for t in range(len(inputs)):
        h = gru_cell(p, h, inputs[t])
    return np.sum(READOUT @ h)


def gru_by_while(p, inputs):
    h = np.zeros(N_HIDDEN)
    t = 0
    while t < inputs.shape[0]:
        h = gru_cell(p, h, inputs[t])
        t += 1
    return np.sum(READOUT @ h)


def gru_by_scan(p, inputs):
    h, _ = sd.scan(lambda h, x: (gru_cell(p, h, x), h), np.zeros(N_HIDDEN), inputs)
    return np.sum(READOUT @ h)


def gru_by_fori_loop(p, inputs):
    h = sd.fori_loop(
        0, len(inputs), lambda t, h: gru_cell(p, h, inputs[t]), np.zeros(N_HIDDEN)
    )  # fmt: skip
    return np.sum(READOUT @ h)


WAYS = [gru_by_rows, gru_by_index, gru_by_while, gru_by_scan, gru_by_fori_loop]
ways = pytest.mark.parametrize("f", WAYS, ids=[f.__name__ for f in WAYS])


@ways
def test_gated_recurrent_unit(f):
    same(gru_by_scan(GRU, INPUTS), gru_by_rows(GRU, INPUTS))
    check(f, GRU, INPUTS)


@ways
def test_gated_recurrent_unit_of_texts_of_every_length(f):
    sequences = np.random.default_rng(6).normal(size=(60, N_IN))
    check_sizes(lambda x, p: f(p, x), lambda n: (sequences[:n], GRU), sizes=(5, 2, 60, 17))


def elman_loss(p, inputs, targets):
    """Mean squared error of a simple recurrent network's output at every step."""
    h = np.zeros(N_HIDDEN)
    loss = 0.0
    for x, target in zip(inputs, targets, strict=True):
        h = np.tanh(p["W"] @ x + p["U"] @ h + p["b"])
        y = p["V"] @ h + p["c"]
        loss += np.sum((y - target) ** 2)
    return loss / len(inputs)


def elman_outputs(p, inputs):
    """Outputs (steps, 2) that are written one row at a time."""
    h = np.zeros(N_HIDDEN)
    outputs = np.zeros((len(inputs), 2))
    for t, x in enumerate(inputs):
        h = np.tanh(p["W"] @ x + p["U"] @ h + p["b"])
        outputs[t] = p["V"] @ h + p["c"]
    return outputs


def elman_last_state_above(p, inputs):
    """Steps whose output is negative leave the state alone."""
    h = np.zeros(N_HIDDEN)
    for x in inputs:
        new = np.tanh(p["W"] @ x + p["U"] @ h + p["b"])
        if p["V"][0] @ new > 0:
            h = new
    return p["V"] @ h


def test_elman_network():
    check(elman_loss, ELMAN, INPUTS, TARGETS)


def test_elman_networks_outputs():
    check(elman_outputs, ELMAN, INPUTS)
    residual = sd.grad(lambda p: np.sum((elman_outputs(p, INPUTS) - TARGETS) ** 2) / STEPS)(ELMAN)
    close(residual, sd.grad(elman_loss)(ELMAN, INPUTS, TARGETS), 1e-11)


def test_elman_network_with_a_gate():
    skipped = [
        np.any(elman_last_state_above(ELMAN, INPUTS[: n + 1]) != want)
        for n in range(1, STEPS)
        for want in [elman_last_state_above(ELMAN, INPUTS[:n])]
    ]
    assert 0 < sum(skipped) < len(skipped), "both branches are to be taken"
    check(elman_last_state_above, ELMAN, INPUTS)


def test_elman_network_of_a_batch():
    inputs = np.random.default_rng(7).normal(size=(3, STEPS, N_IN))

    def last(inputs):
        return elman_outputs(ELMAN, inputs)[-1]

    check_vmap(last, inputs)


# ADBench's long short-term memory


def lstm_objective(main, extra, state, text):
    """ADBench's loop as it stands there: by an index, with a state that is replaced."""
    total = 0.0
    count = 0
    now = text[0]
    for t in range(len(text) - 1):
        logits, state = models.lstm_predict(main, extra, state, now)
        normalised = logits - np.log(np.sum(np.exp(logits)) + 2)
        now = text[t + 1]
        total += np.sum(now * normalised)
        count += len(now)
    return -total / count


def lstm_by_scan(main, extra, state, text):
    def step(state, pair):
        now, then = pair
        logits, state = models.lstm_predict(main, extra, state, now)
        return state, np.sum(then * (logits - np.log(np.sum(np.exp(logits)) + 2)))

    _, terms = sd.scan(step, state, (text[:-1], text[1:]))
    return -np.sum(terms) / (len(terms) * text.shape[1])


NAME = "lstm/lstm_l2_c1024"
LSTMS = [lstm_objective, lstm_by_scan]
lstms = pytest.mark.parametrize("f", LSTMS, ids=[f.__name__ for f in LSTMS])


@lstms
def test_plain_numpy_gives_adbenchs_value(f):
    close(f(*models.read_lstm(NAME)), models.expected(NAME)[0], 1e-11)


@lstms
def test_adbenchs_value_and_gradient(f):
    """ADBench differentiates by the weights, which it keeps in one vector."""
    value, gradient = sd.value_and_grad(f, argnums=(0, 1))(*models.read_lstm(NAME))
    want, want_gradient = models.expected(NAME)
    close(value, want, 1e-10)
    close(flat(gradient), want_gradient, 1e-10)


@lstms
def test_second_derivatives_of_a_short_text(f):
    data = models.read_lstm(NAME)
    text = data.text[:20]
    check(lambda main, extra: f(main, extra, data.state, text), data.main, data.extra, count=2)


def test_texts_of_every_length():
    data = models.read_lstm(NAME)

    def of_text(text, main, extra, state):
        return lstm_objective(main, extra, state, text)

    check_sizes(of_text, lambda n: (data.text[:n], *data[:3]), sizes=(30, 3, 100))
