"""Lists that a loop appends to: stacked where no step looks at them, unrolled otherwise."""

import numpy as np
import pytest

import symdiff as sd

X = np.linspace(-1.0, 2.0, 40)


def states(x):
    h, found = 0.1, []
    for v in x:
        h = np.tanh(h + v)
        found.append(h)
    return np.stack(found)


def several(x):
    h, found, pairs = np.zeros(2), [], [(0.0, 0)]
    for k in range(40):
        h = np.tanh(h * x[k] + 1.0)
        pairs.append((h[0], k))
        found.append(h)
        found.append(h**2)
    return np.array(found[1:]), sum(a * k for a, k in pairs), found[-1], len(found)


def nested(x):
    found, last = [], x[0]
    for i in range(20):
        for j in range(18):
            last = np.sin(last) + 0.1 * j
            found.append(last)
        found.append(i * last)
    return np.array(found)


def in_a_later_loop(x):
    found = []
    for v in x:
        found.append(v**2)  # noqa: PERF401 - a loop is what is tested
    s = 0.0
    for k, v in enumerate(found):
        s = 0.9 * s + k * v
    return s


def reads_its_end(x):
    found = [x[0]]
    for _ in range(30):
        found.append(np.sin(found[-1]) + 1.0)
    return np.array(found)


def reads_its_end_inside(x):
    found, last = [x[0]], x[1]
    for i in range(20):
        for j in range(18):
            last = np.sin(last) + 0.1 * j + found[-1]
        found.append(i * last / 20)
    return np.array(found)


def reads_its_length(x):
    found = []
    for v in x:
        found.append(v * len(found))
    return np.array(found)


def reads_what_was_there(x):
    found = [x[1]]
    for v in x:
        found.append(np.sin(v) + found[0])
        found[0] = found[0] * 0.5
    return np.array(found)


def appends_what_it_writes_to(x):
    """Every element is the same array."""
    h, found = np.zeros(3), []
    for v in x:
        h[0] = h[0] + v
        found.append(h)
    return np.array(found)


def appends_an_element_of_what_it_writes_to(x):
    h, found = np.zeros(3), []
    for k in range(30):
        h[k % 3] = h[k % 3] + x[k]
        found.append(h[0])
    return np.array(found)


def begins_unset(x):
    found, last = [], None
    for k in range(30):
        last = x[0] if last is None else 0.9 * last + x[k]
        found.append(last)
    return np.array(found)


def starts_anew(x):
    s = 0.0
    for v in x:
        found = []
        for k in range(3):
            found.append(v**k)  # noqa: PERF401
        s = s + sum(found)
    return s


def copies(x):
    found = []
    for v in x:
        found = [*found, v**2]
    return np.array(found)


KEPT = [states, in_a_later_loop, begins_unset, appends_an_element_of_what_it_writes_to]
UNROLLED = [
    *[several, nested, reads_its_end, reads_its_end_inside, reads_its_length, reads_what_was_there],
    *[appends_what_it_writes_to, starts_anew, copies],
]


@pytest.mark.parametrize("f", [*KEPT, *UNROLLED])
def test_lists_hold_what_python_puts_there(f):
    got, want = sd.jit(f)(X), f(X)
    if not isinstance(want, tuple):
        got, want = (got,), (want,)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("f", KEPT)
def test_loops_that_append_stay_loops(f):
    assert len(sd.trace(f, X).equations) < 20


def test_gradients_pass_through_lists():
    weight = np.cos(np.arange(40))

    def by_row(x):
        h, found = 0.1, np.zeros(len(x))
        for k in range(len(x)):
            h = np.tanh(h + x[k])
            found[k] = h
        return np.sum(weight * found)

    got = sd.grad(lambda x: np.sum(weight * states(x)))(X)
    np.testing.assert_allclose(got, sd.grad(by_row)(X), rtol=1e-13)


def test_every_length_has_its_own_list():
    f = sd.jit(states)
    for n in (30, 40, 17, 30):
        np.testing.assert_allclose(f(X[:n]), states(X[:n]), rtol=1e-13)


def test_a_list_of_unknown_length_is_refused():
    def f(x, n):
        found = []
        for k in range(n):
            found.append(x[k])  # noqa: PERF401
        return found[0]

    with pytest.raises(sd.TracingError, match="found grows in a loop of which nobody knows"):
        sd.jit(f)(X, 3)
