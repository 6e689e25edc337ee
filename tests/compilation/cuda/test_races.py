"""No thread meets another at an element without a barrier between, which the emulator checks."""

import importlib.util

import numpy as np
import pytest
from emulator import Grid, RaceError, Watched, agree

import symdiff as sd
from symdiff.compilation.cuda import backend

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")

X = np.linspace(1.0, 2.0, 7)
BLOCKS = [(1, 8), (3, 4)]


def number_from_an_array(x, n):
    """Where an inner loop starts from an element that the next step overwrites."""
    total = 0.0
    for _ in range(n):
        y = np.sin(x + total)
        s = y[0]
        for j in range(n):
            s = np.cos(s) + j
        total = s
    return total


def no_step(x, n):
    """After a loop that may do no step, what was written before it is read."""
    y = np.sin(x)
    for _ in range(n):
        y = np.cos(y)
    return np.cumsum(y)


def in_one_thread(x, n):
    """Numbers that the first thread hands on, at each step."""
    for _ in range(n):
        m = np.searchsorted(np.sort(x), np.mean(x))
        sign = np.linalg.slogdet(np.outer(x, x) + np.eye(7))[0]
        x = x * (1 + 0.01 * m) * sign
    return x


CASES = {
    "a number from an array": (sd.jit(number_from_an_array), (X, 4)),
    "no step": (sd.jit(no_step), (X, 0)),
    "steps": (sd.jit(no_step), (X, 2)),
    "numbers of one thread": (sd.jit(in_one_thread), (X**3, 3)),
}


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("name", CASES)
def test_cases(name, blocks):
    f, args = CASES[name]
    agree(f, args, blocks)


N = 5
LINES = [
    "{x} = {r} * {x} + 0.1 * np.sin({y})",
    "{u} = {r} * {v} + 0.1 * np.mean({x})",
    "{x} = {x}[::-1] * {r} + 0.01 * {u}",
    "s, t = t, s",
    "{x}[{m}] = {r} * {u} + 0.3",
    "{x}[k] = np.cos({x}[{m}])",
    "{u} = {y}[{m}] * 0.5",
    "{x} = 0.2 * np.cumsum({x}) - 0.1 * {r} * np.max({x})",
]


def random_lines(rng, depth, counter):
    """Give lines that compute arrays a and b, and numbers s and t, in loops and branches."""
    lines = []
    for _ in range(rng.integers(1, 4)):
        (x, y), (u, v) = rng.permutation(["a", "b"]), rng.permutation(["s", "t"])
        r, m = round(rng.uniform(0.2, 0.8), 2), rng.integers(N)
        kind = rng.integers(len(LINES) + 3 if depth < 2 else len(LINES))
        if kind < len(LINES):
            lines.append(LINES[kind].format(x=x, y=y, u=u, v=v, r=r, m=m))
            continue
        inner = [f"    {line}" for line in random_lines(rng, depth + 1, counter)]
        i = f"i{next(counter)}"
        if kind == len(LINES):
            lines += [f"for {i} in range({rng.choice(['k', 'n'])}):", *inner]
            lines += [f"    {u} = {u} + 0.01 * {i}"]
        elif kind == len(LINES) + 1:
            lines += [f"{i} = 0", f"while {i} < n and np.sum({x} * {x}) > {r}:", *inner]
            lines += [f"    {x} = {x} * 0.7", f"    {i} = {i} + 1"]
        else:
            other = [f"    {line}" for line in random_lines(rng, depth + 1, counter)]
            lines += [f"if {u} > 0.2:", *inner, "else:", *other]
    return lines


@pytest.fixture
def random_function(tmp_path):
    def make(seed):
        lines = random_lines(np.random.default_rng(seed), 0, iter(range(100)))
        head = ["import numpy as np", "def f(a, b, s, t, k, n):", "    a, b = a.copy(), b.copy()"]
        text = "\n".join([*head, *[f"    {line}" for line in lines], "    return a, b, s, t\n"])
        path = tmp_path / "generated.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("generated", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.f

    return make


@pytest.mark.parametrize("seed", range(12))
def test_random_loops(seed, random_function):
    f = random_function(seed)
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, N))
    k = seed % 3

    def total(a, b, s, t, k, n):
        made = f(a, b, s, t, k, n)
        return np.sum(made[0] * made[1]) + made[2] * made[3]

    blocks = BLOCKS[seed % 2]
    agree(sd.jit(f), (a, b, 0.5, -0.3, k, 3), blocks)
    agree(sd.grad(total, (0, 1, 2, 3)), (a, b, 0.5, -0.3, k, 3), blocks)


def neighbour(cuda):
    def kernel(x, y):
        me = cuda.grid(1)
        x[me] = me
        y[me] = x[(me + 1) % 4]

    return kernel


def apart(cuda):
    def kernel(x, y):
        if cuda.grid(1) == 0:
            cuda.syncthreads()
        y[cuda.grid(1)] = 0
        cuda.syncthreads()

    return kernel


@pytest.mark.parametrize("kernel", [neighbour, apart])
@pytest.mark.parametrize("blocks", [(1, 4), (2, 2)])
def test_the_emulator_finds_races(kernel, blocks):
    grid = Grid(*blocks)
    arrays = [Watched(grid, np.zeros(4)) for _ in range(2)]
    with pytest.raises(RaceError):
        grid.run(kernel(grid), arrays)


def test_the_emulator_finds_what_nobody_has_written():
    grid = Grid(1, 2)
    x = Watched(grid, np.zeros(2))
    with pytest.raises(RaceError, match="nobody has written"):
        grid.run(lambda x: x[grid.grid(1)], [x])
