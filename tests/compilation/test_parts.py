"""Long straight-line code is the same function however it is cut."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu import parts
from symdiff.compilation.cpu.kernel import compile_program, kernel_text
from symdiff.compilation.straight_line import is_straight_line, straight_line_schedule


@pytest.fixture
def short_parts(monkeypatch):
    """Cut every few equations, and let few parts share a module."""
    monkeypatch.setattr(parts, "LONG", 4)
    monkeypatch.setattr(parts, "PART", 5)
    monkeypatch.setattr(parts, "PARTS_OF_MODULE", 2)


def chain(x, y):
    for k in range(12):
        x = np.where(x > y, np.sin(x) * y + k, x / (1.0 + x * x)) - np.maximum(x, 0.5 * y)
    return x


def mixed(x, y):
    """Truth values, whole numbers and powers that several parts need."""
    is_large = x > 2.0
    count = (x * 3.0).astype(np.int64)
    total = x * y
    for k in range(6):
        total = total + np.where(is_large, total * count, y) ** (k % 3)
        count = count + 2 * (count % 7)
    return total, is_large, count


def compiled_both_ways(monkeypatch, program):
    cut = compile_program(program)
    with monkeypatch.context() as other:
        other.setattr(parts, "LONG", 10**9)
        return cut, compile_program(program)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("function", [sd.jit(chain), sd.value_and_grad(chain, argnums=(0, 1))])
def test_parts_compute_what_the_whole_does(short_parts, monkeypatch, function, dtype):
    program = function.program(dtype(0.3), dtype(0.7))
    assert kernel_text(program).count("define void @kernel_part_") > 4
    cut, whole = compiled_both_ways(monkeypatch, program)
    for values in ((0.3, 0.7), (-2.0, 5.0), (1e9, 0.0), (np.nan, 1.0)):
        inputs = [np.array(v, dtype) for v in values]
        for a, b in zip(cut(inputs), whole(inputs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5 if dtype is np.float32 else 1e-12)


def test_numbers_of_all_kinds_pass_between_parts(short_parts, monkeypatch):
    program = sd.trace(mixed, 1.5, 2.5)
    cut, whole = compiled_both_ways(monkeypatch, program)
    for values in ((1.5, 2.5), (3.5, -1.0), (-4.0, 2.0)):
        inputs = [np.array(v) for v in values]
        for a, b in zip(cut(inputs), whole(inputs), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_memory_between_parts_may_lie_on_the_heap(short_parts, monkeypatch):
    monkeypatch.setattr(parts, "MAX_ON_STACK", 0)
    program = sd.value_and_grad(chain, argnums=(0, 1)).program(0.3, 0.7)
    assert "@malloc" in kernel_text(program)
    cut, whole = compiled_both_ways(monkeypatch, program)
    inputs = [np.array(0.3), np.array(0.7)]
    np.testing.assert_allclose(cut(inputs), whole(inputs), rtol=1e-12)


def test_memory_is_used_again(short_parts):
    """A chain needs a few numbers at a time, however long it is."""

    def f(x):
        for _ in range(200):
            x = np.cos(x) * 0.5
        return x

    with_limit = sd.config.unroll_limit
    sd.config.unroll_limit = 1000
    try:
        text = kernel_text(sd.trace(f, 1.0))
    finally:
        sd.config.unroll_limit = with_limit
    assert text.count("define void @kernel_part_") > 50
    assert "%memory = alloca [16 x i8]" in text or "%memory = alloca [8 x i8]" in text


def test_zeros_of_both_signs_are_kept(short_parts):
    def f(x):
        for _ in range(6):
            x = np.copysign(x, -0.0) + np.copysign(x, 0.0) + x
        return x, np.copysign(x, 0.0), np.copysign(x, -0.0)

    assert sd.jit(f)(2.0) == f(2.0)


def test_schedule_of_numbers_keeps_the_order():
    program = sd.value_and_grad(chain, argnums=(0, 1)).program(0.3, 0.7)
    assert is_straight_line(program)
    made = [n.equation for n in straight_line_schedule(program).body if hasattr(n, "equation")]
    assert tuple(made) == program.equations
    assert not is_straight_line(sd.trace(np.sum, np.ones(3)))
