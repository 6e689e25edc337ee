"""Loops call vector functions where there are some, to their stated accuracy; or none, if asked."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu.engine import assembly
from symdiff.compilation.cpu.kernel import kernel_text
from symdiff.compilation.cpu.vector_math import preferred_width, variants

needs_vectors = pytest.mark.skipif(
    not variants("exp", "double", 1), reason="no vector functions on this machine"
)


@pytest.fixture
def precise():
    sd.config.precise_math = True
    yield
    sd.config.precise_math = False


def code():
    return assembly(kernel_text(sd.trace(lambda x: np.exp(x) * np.sin(x), np.ones(8))))


@needs_vectors
def test_the_loop_is_vectorized():
    assert "_ZGV" in code()


@needs_vectors
@pytest.mark.skipif(preferred_width() != 512, reason="no vectors as wide as a line of the cache")
def test_vectors_that_live_through_a_call_do_not_lie_across_two_lines():
    kept = [line for line in code().splitlines() if "(%rsp)" in line and "%zmm" in line]
    assert kept
    assert not any("vmovup" in line for line in kept)


def test_precise_math_calls_scalar_functions(precise):
    assert "_ZGV" not in code()


@needs_vectors
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos", "tanh", "log1p", "arctan", "cosh"])
def test_error_is_at_most_four_units_in_the_last_place(name, dtype):
    x = np.linspace(0.01, 20.0, 10_001).astype(dtype)
    function = getattr(np, name)
    expected = function(x.astype(np.longdouble))
    error = np.abs(sd.jit(function)(x) - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert error.max() <= 4


@needs_vectors
def test_special_values_are_those_of_scalar_functions():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324] * 4)
    with np.errstate(all="ignore"):
        for function in (np.exp, np.log, np.sin, np.tanh):
            np.testing.assert_allclose(sd.jit(function)(x), function(x), rtol=1e-15)


@pytest.mark.parametrize("width", [5, 6, 7, 10, 13, 23])
def test_steps_that_are_repeated_have_the_values_they_had(width):
    """Of a value that a minimum was taken of there must not be another one in memory."""

    def count(x):
        t = np.tanh(1.5 * np.min(x, axis=0, keepdims=True))
        return np.sum(t == np.min(t)), np.sum(t == np.max(t))

    compiled = sd.jit(count)
    rng = np.random.default_rng(width)
    assert {compiled(x) for x in rng.normal(size=(100, 1, width))} == {(1, 1)}
