"""What loops cost: compile time, time a step, memory; and their other forms."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.source import compile_source
from symdiff.program.program import Program


def lotka_volterra(rate, n_steps):
    """Runge-Kutta steps of fourth order."""
    y, h = np.array([10.0, 5.0]), 0.01

    def slope(y):
        return np.array([rate * y[0] - 0.1 * y[0] * y[1], 0.075 * y[0] * y[1] - 1.5 * y[1]])

    for _ in range(n_steps):
        a = slope(y)
        b = slope(y + h / 2 * a)
        c = slope(y + h / 2 * b)
        d = slope(y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return np.sum(y)


def filled(x):
    y = np.zeros(len(x))
    y[0] = x[0]
    for i in range(len(x) - 1):
        y[i + 1] = 0.5 * x[i] + np.sin(y[i])
    return np.sum(y**2)


def filled_table(x):
    """Two written arrays, one of them a table whose rows are read back."""
    table, total = np.zeros((len(x), 3)), np.zeros(3)
    for i, v in enumerate(x):
        table[i] = np.sin(v + total)
        total += table[i] / 2
        table[i, 1] *= v
    return np.sum(table**2) + np.sum(total)


def newton(x):
    y = x[0]
    while abs(y - x[1] * np.sin(y) - x[0]) > 1e-13:
        y = y - (y - x[1] * np.sin(y) - x[0]) / (1 - x[1] * np.cos(y))
    return y


def branches(x):
    if x[0] > 0:
        return np.sum(np.log(x) ** 2)
    return np.sum(x**3)


def scanned(x):
    last, rows = sd.scan(lambda s, v: (0.5 * s + np.sin(v), s * v), 0.1, x, reverse=True)
    return last + np.sum(rows**2)


X = np.linspace(0.1, 1.0, 40)
FORMS = [(filled, X), (filled_table, X), (newton, X[5:7]), (branches, X), (branches, -X)]
FORMS += [(scanned, X)]


def curvature(f):
    return sd.grad(lambda x: np.sum(sd.grad(f)(x) ** 2))


@pytest.mark.parametrize("transform", [sd.jit, sd.grad, curvature])
@pytest.mark.parametrize(("f", "x"), FORMS)
def test_source_and_saved_programs_compute_the_same(f, x, transform, tmp_path):
    function = transform(f)
    want, program = function(x), function.program(x)
    np.testing.assert_allclose(compile_source(program)(x), want, rtol=1e-12, atol=1e-14)
    again = Program.from_dict(json.loads(json.dumps(program.to_dict(), allow_nan=False)))
    assert str(again) == str(program)
    function.save(tmp_path / "f.symdiff")
    np.testing.assert_array_equal(sd.load(tmp_path / "f.symdiff")(x), want)


def best(call, repeats=7):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("transform", [sd.jit, sd.grad])
def test_programs_do_not_grow_with_the_number_of_steps(transform):
    programs = [
        transform(lambda r, n=n: lotka_volterra(r, n)).program(1.1) for n in (20, 1000, 10**6)
    ]
    assert len({len(p.equations) for p in programs}) == 1
    costs = [sum(p.count_operations().operations.values()) for p in programs]
    assert costs[2] / costs[1] == pytest.approx(1000, rel=0.05)


@pytest.mark.parametrize("transform", [sd.jit, sd.grad])
@pytest.mark.parametrize("f", [filled, filled_table])
def test_a_step_takes_as_long_however_many_there_are(f, transform):
    """What a loop writes to is changed in place, and not copied, in both modes."""
    compiled = transform(f)
    times = []
    for n in (1000, 32_000):
        x = np.linspace(0.0, 1.0, n)
        compiled(x)
        times.append(best(lambda x=x: compiled(x)) / n)
    assert compiled.n_compiled == 1
    assert times[1] < 3 * times[0]


def test_one_kernel_from_one_row_to_a_million():
    def loss(x):
        s = 0.0
        for v in x:
            s = s + v * np.exp(-s) if v > 0 else 0.5 * s
        return s / len(x) + np.mean(x**2)

    value, gradient = sd.jit(loss), sd.grad(loss)
    x = np.sin(np.arange(1.0, 1e6 + 1))
    for n in (1, 10, 3, 1000, 10**6, 2, 10**5):
        y = x[:n]
        assert gradient(y).shape == (n,)
        got = value(y)
        assert got == pytest.approx(loss(y) if n <= 1000 else got, rel=1e-12)
    step = 1e-6 * np.cos(np.arange(1000))
    y = x[:1000]
    slope = (loss(y + step) - loss(y - step)) / 2
    assert gradient(y) @ step == pytest.approx(slope, rel=1e-6)
    assert value.n_compiled == gradient.n_compiled == 1


MEASURE = """
import re
import numpy as np
import symdiff as sd

sd.config.cache_dir = None  # the first gradient compiles, and with it what compilers take
N, WIDTH = 100_000, 400

def last(x):
    h = x
    for k in sd.loop(range(N), checkpoint={checkpoint}):
        h = np.sin(h) + x * (k / N)
    return np.sum(h)

gradient = sd.grad(last)
x = np.linspace(0.1, 1.0, WIDTH)
sd.grad(lambda x: np.sum(np.sin(x)))(x)
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
print(repr(float(np.sum(gradient(x)))), (peak() - before) * 1024 / (N * WIDTH * 8))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of resident memory")
def test_memory_of_reverse_mode(tmp_path):
    """As much as the states before all steps, or with checkpoints before few of them."""
    found = []
    for checkpoint in (False, True):
        script = tmp_path / f"measure_{checkpoint}.py"
        script.write_text(MEASURE.format(checkpoint=checkpoint))
        command = [sys.executable, str(script)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append([float(v) for v in answer.split()])
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    assert 0.7 < found[0][1] < 1.2
    assert found[1][1] < 0.1


@pytest.mark.parametrize("n_numbers", [0, 1, 2, 3])
def test_a_loop_runs_once_whatever_results_are_wanted(n_numbers):
    calls = []

    def noted(x):
        calls.append(1)
        return np.asarray(x) + 1

    note = sd.primitive(noted, shape=lambda shape: shape)

    def count(x, n_steps):
        k, half, least = 0, 0.0, 1e3
        while k < n_steps:
            x = note(x)
            half += 0.5
            least = np.minimum(least, x[0])
            k += 1
        return (x, *(k, half, least)[:n_numbers])

    x, *numbers = sd.jit(count)(np.zeros(3), 5)
    assert len(calls) == 5
    np.testing.assert_array_equal(x, 5.0)
    assert numbers == [5, 2.5, 1.0][:n_numbers]
