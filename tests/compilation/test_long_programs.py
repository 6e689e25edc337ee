"""What long programs of numbers take: counts of calls, which are the same on every machine."""

import sys
import time

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu import tiers


def chain(n):
    """A function of about n operations, which no algebra makes shorter."""

    def f(x, y):
        for _ in range(n // 8):
            x = (x * y + np.sin(x) - x / (1.0 + x * x)) * 0.9
        return x

    return f


@pytest.fixture(autouse=True)
def unrolled(monkeypatch):
    monkeypatch.setattr(sd.config, "unroll_limit", 10**6)
    monkeypatch.setattr(sd.config, "background_compile", True)


def count_calls(function, *args):
    """Count the functions of Python, and those of C, that a call calls in this thread."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
    return count


def test_first_value_takes_few_calls_an_operation(monkeypatch):
    """Tracing, differentiation, rewriting and the interpreter's table, all together."""
    monkeypatch.setattr(tiers, "LONG", 10)
    counts = {}
    for n in (80, 800, 4000):  # the first fills the tables of patterns
        counts[n] = count_calls(sd.value_and_grad(chain(n), argnums=(0, 1)), 0.3, 0.2)
    assert counts[4000] - counts[800] < 320 * 3200
    assert counts[4000] < 5.2 * counts[800]


@pytest.mark.slow
def test_ten_thousand_operations():
    """The bounds are four times what one core took."""
    sd.value_and_grad(chain(80), argnums=(0, 1))(0.3, 0.2)
    function = sd.value_and_grad(chain(10_000), argnums=(0, 1))
    began = time.process_time()
    first = function(0.3, 0.2)
    assert time.process_time() - began < 1.3
    (compiled,) = function._known.values()
    assert compiled.kernel.wait()
    assert time.process_time() - began < 4.0
    np.testing.assert_allclose(function(0.3, 0.2)[0], first[0], rtol=1e-10)
