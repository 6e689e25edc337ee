"""Random programs of loops, branches, writes and jumps: kernels compute what Python does."""

import importlib.util
import random
import warnings

import numpy as np
import pytest

import symdiff as sd

HEAD = """import numpy as np

def helper(p, q):
    if p > q:
        return np.sin(p) - q * 0.5
    return p * q * 0.5

def change(arr, v):
    if v > 0.2:
        arr[1] = np.tanh(v + arr[3])
    arr[2] = arr[2] * 0.5

def f(x, n):
    a, b, c = x[0], 0.3, x[2] * 0.5
    k = 2
    flag = False
    out = [a]
    d = {"q": b}
    t = (c, a)
    y = np.zeros(5)
    z = 0.5 * x
    w = 0.0
    acc = 0.1

    def add(v):
        nonlocal acc
        if v > 0:
            acc = acc * 0.5 + v
        return acc

"""
RESULT = (
    "a + 0.5 * b - c + np.sum(y * z) + k * 0.1 + d['q'] + w * 0.1 + t[1] + out[-1] + acc "
    "+ sum(out) * 0.1"
)
WHOLE = [
    *["a, b = b, a", "z = y", "z = y.copy()", "z = np.tanh(y + a)", "y = np.tanh(z * b)"],
    *["z = x + y", "z[1:3] = np.tanh(y[:2] * a)", "y *= 0.9", "z += 0.1 * a", "y[:] = z * 0.5"],
    *["v = y[1:]; v[0] = np.tanh(c)", "k += 1", "k = (k * 3 + 1) % 7", "flag = not flag"],
    *["flag = a < b", "k -= 1", "out.append(a)", "out.append(y[1])", "t = (a, b)"],
    *["d['q'] = d['q'] * 0.5 + a", "a = d['q'] + t[0] * 0.1", "c = helper(a, b)", "change(y, a)"],
    *["c = np.tanh(add(b))"],
]
ITEMS = [
    *["range(3)", "range(20)", "range(len(x))", "range(n)", "range(1, n)", "range(n, 0, -1)"],
    *["range(0, 20, 3)", "range(18)"],
]


class Writer:
    """Writes one function."""

    def __init__(self, seed):
        self.random = random.Random(seed)  # noqa: S311
        self.lines = []
        self.n_loops = 0

    def pick(self, *choices):
        return self.random.choice(choices)

    def number(self, loops, depth=0):
        kind = self.random.random()
        simple = ["a", "b", "c", "x[0]", "x[-1]", "y[0]", "y[2]", "z[1]", "0.5", "1.5", "k * 0.1"]
        if depth > 2 or kind < 0.35:
            return self.pick(*simple, *loops, *loops)
        inner = lambda: self.number(loops, depth + 1)  # noqa: E731
        if kind < 0.55:
            return f"({inner()} {self.pick('+', '-', '*')} {inner()})"
        if kind < 0.68:
            return f"np.{self.pick('sin', 'tanh')}({inner()})"
        if kind < 0.76 and loops:
            return f"x[{self.pick(*loops)} % 5]"
        if kind < 0.84 and loops:
            return f"y[({self.pick(*loops)} + {self.pick(0, 1, 2)}) % 5]"
        if kind < 0.9:
            return f"np.sum({self.pick('x', 'y', 'y[1:3]', 'z * x')}) * 0.2"
        return f"({inner()} if {self.condition(loops, depth + 1)} else {inner()})"

    def condition(self, loops, depth=0):
        kind = self.random.random()
        if depth < 2 and kind > 0.6:
            first, second = self.condition(loops, depth + 1), self.condition(loops, depth + 1)
            return self.pick(f"({first} and {second})", f"({first} or {second})", f"not {first}")
        if kind > 0.5:
            return self.pick("flag", "k % 2 == 0", "-1.0 < a < 1.0", "k > 3", "a > c")
        return f"{self.number(loops, 2)} {self.pick('<', '>')} {self.number(loops, 1)}"

    def add(self, depth, text):
        self.lines.append("    " * depth + text)

    def block(self, depth, loops, budget):
        for _ in range(self.pick(1, 2, 3)):
            self.statement(depth, loops, budget)

    def statement(self, depth, loops, budget):
        kind = self.random.random() * (0.5 if budget <= 0 else 1.0)
        if kind < 0.2:
            sign = self.pick("=", "=", "+=", "-=")
            self.add(depth, f"{self.pick(*'abc')} {sign} 0.9 * np.tanh({self.number(loops)})")
        elif kind < 0.28:
            place = self.pick("0", "3", *[f"{i} % 5" for i in loops])
            self.add(depth, f"y[{place}] {self.pick('=', '+=')} np.tanh({self.number(loops)})")
        elif kind < 0.45:
            self.add(depth, self.pick(*WHOLE))
        elif kind < 0.5 and loops:
            self.add(depth, f"if {self.condition(loops)}:")
            self.add(depth + 1, self.pick("break", "continue", "return a + np.sum(y)"))
        elif kind < 0.7:
            self.add(depth, f"if {self.condition(loops)}:")
            self.block(depth + 1, loops, budget - 1)
            if self.pick(True, False):
                self.add(depth, "else:")
                self.block(depth + 1, loops, budget - 1)
        else:
            self.loop(depth, loops, budget)

    def loop(self, depth, loops, budget):
        self.n_loops += 1
        i = f"i{self.n_loops}"
        kind = self.random.random()
        if kind < 0.6:
            self.add(depth, f"for {i} in {self.pick(*ITEMS)}:")
        elif kind < 0.75:
            self.add(depth, f"for {i}, u in enumerate({self.pick('x', 'y', 'z')}):")
        else:
            self.add(depth, f"{i} = 0")
            limit = self.pick("6", "n", "25", "len(x)")
            self.add(depth, f"while {self.condition(loops)} and {i} < {limit}:")
            self.add(depth + 1, f"{i} += 1")
        self.block(depth + 1, [*loops, i], budget - 1)
        if kind < 0.15:
            self.add(depth, "else:")
            self.add(depth + 1, "a = a + 0.25")

    def text(self):
        for _ in range(self.pick(2, 3, 4)):
            self.statement(1, [], 3)
        return HEAD + "\n".join([*self.lines, f"    return {RESULT}", ""])


def load(seed, folder):
    """The function with its source in a file."""
    path = folder / f"program_{seed}.py"
    path.write_text(Writer(seed).text())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.f


# What such programs have found


def buffers_that_change_places(x, n):
    """LLVM moved a load from one step of the recorded loop to another."""
    a, b, c, y = x[0], 0.3, 0.5 * x[2], np.zeros(5)
    for i in range(0, 3 * n, 3):
        for j in range(5):
            m = 0
            while b * j < np.exp(-abs(np.tanh(y[2]))) and m < 6:
                m += 1
                y[m % 5] = np.tanh(x[-1])
                c += 0.9 * np.tanh(x[1] + a)
            for k, _ in enumerate(y):
                y[j % 5] = np.tanh(np.sin(a) if x[k] > x[0] else np.tanh(y[2]) + y[(i + 1) % 5])
                a += 0.9 * np.tanh(x[1] * c)
    return a + np.sum(y)


def returns_from_a_loop_in_a_branch(x, n):
    a = x[0]
    if x[1] > 0:
        pass
    else:
        m = 0
        while a < 0.5 and m < n:
            return a + 1.0
    return a + 0.5


def binds_around(x, n):
    total = 0.1

    def add(v):
        nonlocal total
        if v > 0:
            total = total * 0.5 + v
        return total

    s = 0.0
    for i in range(n):
        s = np.sin(s + add(x[1] * i - 0.3))
    if x[0] > 0.1:
        add(2 * x[0])
    return s + total


def leaves_for_the_other_branch(x, n):
    a, b = x[0], x[1]
    if a > b:
        c = a
        a = 7.0
        b = c * a
    else:
        b = a * n
    return b


POINTS = [(np.random.default_rng(k).normal(size=5), n) for k in range(6) for n in (0, 1, 2, 5)]


@pytest.mark.parametrize("unroll_limit", [0, 16])
@pytest.mark.parametrize(
    "f",
    [
        buffers_that_change_places,
        returns_from_a_loop_in_a_branch,
        binds_around,
        leaves_for_the_other_branch,
    ],
)
def test_programs_that_went_wrong(f, unroll_limit, monkeypatch):
    monkeypatch.setattr(sd.config, "unroll_limit", unroll_limit)
    kernel, gradient = sd.jit(f), sd.grad(f)
    tangent = sd.jit(lambda x, n, v: sd.jvp(f, (x, n), (v, None))[1])
    for x, n in POINTS:
        np.testing.assert_allclose(kernel(x, n), f(x.copy(), n), rtol=1e-11)
        v = np.cos(np.arange(5))
        np.testing.assert_allclose(gradient(x, n) @ v, tangent(x, n, v), rtol=1e-8, atol=1e-9)


def second_name(x, n):
    y, z = np.zeros(5) + x, x * 1.0
    for _ in range(n):
        z = y
    y[0] = 9.0
    return np.sum(y * z)


def second_name_of_a_plain_array(x, n):
    y, z = np.zeros(5), x * 1.0
    for _ in range(n):
        z = y
    y[0] = x[1]
    return np.sum(y * z)


def second_name_in_a_branch(x, n):
    y, z = np.zeros(5) + x, x * n
    if x[0] > 0:
        z = y
    y[0] = 9.0
    return np.sum(y * z)


def second_name_in_each_step(x, n):
    y, z = np.zeros(5) + x, x * 1.0
    for _ in range(n):
        y[0] += 1.0
        if x[1] > 0:
            z = y
    return np.sum(y * z)


def name_of_a_row(x, n):
    y, z = np.zeros((5, 2)) + x[:, None], np.zeros(2)
    for i in range(n):
        z = y[i]
    y[0, 0] = 2.0
    return np.sum(y) * np.sum(z)


@pytest.mark.parametrize(
    "f",
    [
        second_name,
        second_name_of_a_plain_array,
        second_name_in_a_branch,
        second_name_in_each_step,
        name_of_a_row,
    ],
)
def test_writing_under_one_of_two_names_is_refused(f):
    with pytest.raises(sd.SymdiffError, match="name"):
        sd.jit(f)(np.arange(1.0, 6.0), 3)


def first_is_old(x, n):
    y, old = np.zeros(5) + x, np.zeros(5)
    for _ in range(n):
        old = y
        y = np.sin(y)
    y[0] = 2.0
    return np.sum(y * old)


def copied(x, n):
    y, z = np.zeros(5) + x, x * 1.0
    for _ in range(n):
        z = y.copy()
    y[0] = 9.0
    return np.sum(y * z)


@pytest.mark.parametrize("f", [first_is_old, copied])
def test_writing_to_what_has_one_name(f):
    x = np.arange(1.0, 6.0)
    for n in (0, 1, 4):
        np.testing.assert_allclose(sd.jit(f)(x, n), f(x, n), rtol=1e-14)


def compare(f, rng):
    """Values for several sizes of loops with one kernel, and derivatives of both modes."""
    points = [(rng.normal(size=5), n) for n in (3, 1, 20, 0)]
    wants = [f(x.copy(), n) for x, n in points]
    kernel, gradient = sd.jit(f), sd.grad(f)
    for (x, n), want in zip(points, wants, strict=True):
        np.testing.assert_allclose(kernel(x, n), want, rtol=1e-9, atol=1e-11)
    for x, n in points[:2]:
        v = rng.normal(size=5)
        slopes = [(f(x + h * v, n) - f(x - h * v, n)) / (2 * h) for h in (1e-5, 1e-6)]
        if abs(slopes[0] - slopes[1]) > 1e-5 * (1 + abs(slopes[1])):
            continue  # not smooth there
        along = gradient(x, n) @ v
        assert along == pytest.approx(slopes[1], rel=1e-4, abs=1e-4)
        assert sd.jvp(f, (x, n), (v, None))[1] == pytest.approx(along, rel=1e-9, abs=1e-9)


def run(seeds, folder):
    """Compare many programs; some are refused, which they have to say."""
    n_compared = 0
    for seed in seeds:
        f = load(seed, folder)
        rng = np.random.default_rng(seed)
        try:
            compare(f, rng)
        except sd.SymdiffError:
            continue
        except AssertionError as error:
            error.add_note(f"program {seed}:\n{Writer(seed).text()}")
            raise
        n_compared += 1
    return n_compared


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_programs(first, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # which Python's own run gives
        assert run(range(first, first + 10), tmp_path) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1100, 50))
def test_many_random_programs(first, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert run(range(first, first + 50), tmp_path) >= 20


def change(array, value):
    array[1] = value


def writes_by_a_helper(x, n):
    y = np.zeros(5) + x
    for _ in range(n):
        change(y, np.sin(y[0]) * 0.5)
        if y[1] > 0.1:
            change(y[1:], y[0])
    return np.sum(y * x)


def writes_through_a_view(x, n):
    y = np.zeros(5) + x
    for k in range(n):
        if y[0] > 0.5:
            v = y[1:]
            v[0] = np.sin(y[0]) + 0.1 * k
        y[0] = y[1] * 0.5 + 0.6
    return np.sum(y * x)


@pytest.mark.parametrize("f", [writes_by_a_helper, writes_through_a_view])
def test_writes_of_helpers_and_through_views(f):
    kernel, gradient = sd.jit(f), sd.grad(f)
    v = np.cos(np.arange(5))
    for x, n in POINTS:
        np.testing.assert_allclose(kernel(x, n), f(x.copy(), n), rtol=1e-12)
        slope = (f(x + 1e-6 * v, n) - f(x - 1e-6 * v, n)) / 2e-6
        np.testing.assert_allclose(gradient(x, n) @ v, slope, rtol=1e-6, atol=1e-8)
