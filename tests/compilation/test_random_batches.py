"""Random models of a row, in batches: tiles and chunks against a loop of Python over the rows.

Everything is divided into chunks, however short, and has the same bits for any number of threads.
"""

import numpy as np
import pytest

import symdiff as sd

SEEDS = range(30)
BATCHES = (2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300)


def logarithm_or_root(a, s, k):
    total = np.sum(a)
    if total > 0:
        return np.log(total) * a + s
    return a + np.sqrt(-total) * k


def in_branches(a, s, k):
    if k > 2:
        if s > 0:
            made, count = a * k, 1
        else:
            made, count = a / (1 + s * s), 2
    else:
        made, count = np.exp(-a * a), k
    return made * count


def steps(a, s, k):
    for i in range(30):
        a = 0.5 * np.sin(a + s) + 0.1 * i
    return a + k


def steps_while(a, s, k):
    i = 0
    while i < 5 and np.sum(a * a) < 3.0:
        a = a * 1.3 + 0.1
        i += 1
    return a * i


def softmax(a, s, k):
    e = np.exp(a - np.max(a))
    return e / np.sum(e)


OPERATIONS = [
    *[logarithm_or_root, in_branches, steps, steps_while, softmax],
    lambda a, s, k: np.sin(a),
    lambda a, s, k: 2 * np.tanh(a),
    lambda a, s, k: a * k,
    lambda a, s, k: a + (k > 2),
    lambda a, s, k: np.where(a > s, np.sqrt(np.abs(a)), s),
    lambda a, s, k: np.max(a, axis=0) * a,
    lambda a, s, k: a * np.min(a, axis=-1, keepdims=True) if a.ndim else None,
    lambda a, s, k: a * np.any(a > 0.7) - np.all(a > -1),
    lambda a, s, k: a[::-1] * np.mean(a) if a.ndim else None,
    lambda a, s, k: a[1:] * a[:-1] if a.ndim and a.shape[0] > 1 else None,
    lambda a, s, k: a[k % a.shape[0]] if a.ndim else None,
    lambda a, s, k: a[np.array([0, 1, 0]) % a.shape[0]] if a.ndim else None,
    lambda a, s, k: np.cumsum(a, axis=0) if a.ndim else None,
    lambda a, s, k: np.concatenate([a, 2 * a], axis=-1) if a.ndim else None,
    lambda a, s, k: np.sum(a, axis=-1) if a.ndim else None,
    lambda a, s, k: a.T @ a * 0.1 if a.ndim == 2 else None,
    lambda a, s, k: a[:, None] * a if a.ndim == 1 and a.shape[0] < 7 else None,
]


def make(seed):
    """Make a function of a row, and a batch of rows for it."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.choice(BATCHES)), int(rng.integers(1, 21 if seed % 3 else 8))
    args = [rng.normal(size=(n, m)), rng.normal(size=n), rng.normal(size=(n, 2, m))]
    if seed % 6 == 5:
        args = [a.astype(np.float32) for a in args]
    chosen = rng.integers(0, 1000, size=(int(rng.integers(2, 8)), 2))

    def f(x, s, z, k):
        pool = [x, z]
        for which, i in chosen:
            made = OPERATIONS[which % len(OPERATIONS)](pool[i % len(pool)], s, k)
            if made is not None and made.ndim and int(made.size) <= 200:
                pool.append(made)
        made = pool[2:] or [1.0 * x]
        return made[-1], made[len(made) // 2].T, sum(np.sum(np.sin(a)) for a in made)

    return f, [*args, rng.integers(0, 5, n)]


def leaves(result):
    if isinstance(result, tuple):
        return [x for r in result for x in leaves(r)]
    return [np.asarray(result)]


@pytest.fixture
def run(monkeypatch):
    """Call with several numbers of threads; the results are the same."""
    monkeypatch.setattr(sd.config, "cache_dir", None)  # which knows nothing of these constants
    monkeypatch.setattr("symdiff.compilation.parallel.GRAIN", 1)
    for constant in ("GRAIN", "STEP", "MIN_ITERATIONS"):
        monkeypatch.setattr(f"symdiff.compilation.cpu.chunks.{constant}", 1)
    before = sd.config.threads

    def call(f, args):
        found = []
        for n in (2, 1, 5):
            sd.config.threads = n
            found.append(leaves(f(*args)))
        bits = [[x.tobytes() for x in result] for result in found]
        assert bits[0] == bits[1] == bits[2]
        return found[0]

    yield call
    sd.config.threads = before


def check(run, f, by_row, args):
    rows = [leaves(by_row(*row)) for row in zip(*args, strict=True)]
    tolerance = 1e-8 if args[0].dtype == np.float64 else 1e-3
    for got, parts in zip(run(sd.jit(sd.vmap(f)), args), zip(*rows, strict=True), strict=True):
        expected = np.stack(parts)
        scale = 1 + np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("seed", SEEDS)
def test_values(seed, run):
    f, args = make(seed)
    check(run, f, f, args)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients(seed, run):
    f, args = make(seed)
    gradient = sd.grad(lambda *row: f(*row)[2], (0, 1, 2))
    check(run, gradient, gradient, args)


@pytest.mark.parametrize("seed", SEEDS[::4])
def test_second_derivatives(seed, run):
    f, args = make(seed)
    for g in (sd.hessian(lambda *row: f(*row)[2], 1), sd.jacobian(lambda *row: f(*row)[1], 1)):
        check(run, g, g, args)
