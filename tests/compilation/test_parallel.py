"""Chunks and threads: the same bits for any number of threads, and the right ones."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from scipy import special

import symdiff as sd
from symdiff.compilation.cpu import chunks
from symdiff.compilation.cpu.kernel import kernel_text

rng = np.random.default_rng(11)
N = 3000
X = rng.normal(size=(N, 3))
Y = rng.normal(size=N)
W = np.array([0.3, -0.2, 0.5])
K = rng.integers(0, 7, N)


def mixture(means, x):
    d = x[:, None, :] - means[None, :, :]
    inner = -0.5 * np.sum(d**2, axis=2)
    top = np.max(inner, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(inner - top), axis=1)) + top[:, 0])


def energy(x):
    d = x[:, None, :] - x[None, :, :]
    r2 = np.sum(d**2, axis=2) + np.eye(x.shape[0])
    return np.sum((r2**-3 - 1) * (1 - np.eye(x.shape[0])))


def grouped(table, x, k):
    return np.sum(np.sin(table[k] * x))


CASES = {
    "map": (lambda x: np.exp(-(x**2)) * np.sin(x), (Y,)),
    "sum": (lambda x: np.sum(np.exp(-(x**2))), (Y,)),
    "float32": (lambda x: np.sum(np.exp(-(x**2))), (Y.astype(np.float32),)),
    "logistic": (sd.value_and_grad(lambda w, x, y: np.mean(np.logaddexp(0, -y * (x @ w)))), None),
    "extrema": (lambda x: (x.max(), x.min(), np.sum(x > 0), (x > 4).any()), (Y,)),
    "mixture": (sd.value_and_grad(mixture), (X[:5], X)),
    "pairs": (sd.value_and_grad(energy), (X[:700],)),
    "gathers": (sd.value_and_grad(grouped), (rng.normal(size=7), Y, K)),
    "every second": (sd.grad(lambda x: np.sum(np.exp(-(x[::2] ** 2)))), (Y,)),
    "interleaved": (lambda x: np.stack([np.sin(x), np.cos(x)], axis=1).reshape(-1), (Y,)),
    "rows": (lambda x: np.cumsum(np.tanh(x), axis=1), (X,)),
    "jacobians": (sd.vmap(sd.jacobian(lambda x: np.sin(x) * np.sum(x**2))), (X,)),
    "solutions": (
        lambda x: np.linalg.solve(x[:, :, None] * x[:, None, :] + np.eye(3), x[:, :, None]),
        (X,),
    ),
    "special": (lambda x: np.sum(special.gammaln(x**2 + 1)), (Y,)),
}
CASES["logistic"] = (CASES["logistic"][0], (W, X, np.sign(Y)))


@pytest.fixture(autouse=True)
def _compiled_anew(monkeypatch):
    """Kernels on disk know nothing of constants that a test sets."""
    monkeypatch.setattr(sd.config, "cache_dir", None)


@pytest.fixture
def short_chunks(monkeypatch):
    """Divide loops however short they are."""
    monkeypatch.setattr(chunks, "GRAIN", 1000)
    monkeypatch.setattr("symdiff.compilation.parallel.GRAIN", 1)


@pytest.fixture
def threads():
    before = sd.config.threads
    yield lambda n: setattr(sd.config, "threads", n)
    sd.config.threads = before


def compiled_anew(f):
    def run(*args):
        return f(*args)

    return sd.jit(run)


def bits(result):
    leaves = result if isinstance(result, tuple) else (result,)
    return [
        b for x in leaves for b in (bits(x) if isinstance(x, tuple) else [np.asarray(x).tobytes()])
    ]


@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_depend_on_threads(case, short_chunks, threads):
    f, args = CASES[case]
    compiled = sd.jit(f)
    found = []
    for n in (1, 2, 4, 3):
        threads(n)
        found += [bits(compiled(*args)) for _ in range(5)]
    assert all(b == found[0] for b in found)


@pytest.mark.parametrize("case", CASES)
def test_chunks_give_what_one_loop_gives(case, monkeypatch, threads):
    f, args = CASES[case]
    plain = compiled_anew(f)(*args)
    monkeypatch.setattr(chunks, "GRAIN", 1000)
    monkeypatch.setattr("symdiff.compilation.parallel.GRAIN", 1)
    threads(3)
    divided = compiled_anew(f)(*args)
    tolerance = 1e-5 if case == "float32" else 1e-11

    def compare(a, b):
        if isinstance(a, tuple):
            for x, y in zip(a, b, strict=True):
                compare(x, y)
        else:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

    compare(plain, divided)


@pytest.mark.parametrize("n", [1, 5, 63, 64, 65, 255, 256, 257, 1000, 1024, 2999])
def test_batches_of_every_size(n, short_chunks, threads):
    threads(4)
    gradient = sd.grad(lambda w, x, y: np.mean((np.tanh(x @ w) - y) ** 2))
    gradient(W, X[:1000], Y[:1000])
    t = np.tanh(X[:n] @ W)
    expected = 2 / n * X[:n].T @ ((t - Y[:n]) * (1 - t**2))
    np.testing.assert_allclose(gradient(W, X[:n], Y[:n]), expected, rtol=1e-12, atol=1e-14)


def test_loops_without_iterations(short_chunks, threads):
    threads(2)
    f = sd.jit(lambda x: (np.sum(np.diff(x)), np.diff(x) * 2))
    f(np.arange(5.0))
    total, differences = f(np.ones(1))
    assert total == 0
    assert differences.shape == (0,)


def test_loops_over_nothing():
    f = sd.jit(lambda x: (np.sin(x[2:]), np.sum(np.sin(x[2:]))))
    for n in (400, 3, 2):
        mapped, total = f(Y[:n])
        np.testing.assert_allclose(mapped, np.sin(Y[2:n]), rtol=1e-14)
        np.testing.assert_allclose(total, np.sin(Y[2:n]).sum(), rtol=1e-12, atol=1e-14)


def test_sizes_that_only_scratch_memory_has(short_chunks, threads):
    """Two loops, each with a matrix for itself whose number of elements nothing else needs."""
    threads(2)

    def f(x, y, z):
        a = np.sin(x[:, None, None] * y[None, :, None] * z)
        b = np.sum(a[:, ::-1, :] * a, axis=(1, 2))
        c = np.cos(x[:, None, None] + y[None, :, None] * z)
        return b, np.sum(c[:, ::-1, :] * c[:, :, ::-1], axis=(1, 2)) * np.sum(b)

    args = Y[:300], Y[300:320], Y[320:350]
    for got, expected in zip(sd.jit(f)(*args), f(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_errors_in_a_chunk_are_raised(short_chunks, threads):
    threads(2)
    f = sd.jit(lambda table, k: np.sum(table[k]))
    places = np.zeros(N, dtype=np.int64)
    assert f(np.ones(3), places) == N
    places[-1] = 3
    with pytest.raises(IndexError):
        f(np.ones(3), places)


def test_many_threads_of_python_call_at_once(short_chunks, threads):
    """One call at a time has the pool; the others do their chunks alone, with the same result."""
    threads(2)
    f = sd.value_and_grad(mixture)
    expected = bits(f(X[:5], X))
    wrong = []

    def call():
        for _ in range(30):
            wrong.extend([1] * (bits(f(X[:5], X)) != expected))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert not wrong


FORK = """
import os, sys
import numpy as np
import symdiff as sd
sd.config.threads = 3
x = np.linspace(0, 1, 400_000)
f = sd.jit(lambda x: np.sum(np.exp(np.sin(x))))
before = f(x)
child = os.fork()
if not child:
    os._exit(0 if f(x) == before and sd.grad(lambda x: np.sum(x**3))(x)[-1] == 3 else 1)
_, status = os.waitpid(child, 0)
assert status == 0 and f(x) == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_makes_threads_of_its_own(tmp_path):
    script = tmp_path / "fork.py"
    script.write_text(FORK)
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)


def test_the_number_of_threads_is_checked():
    with pytest.raises(ValueError, match="threads is 0"):
        sd.config.threads = 0


def test_many_loops_share_what_a_loop_needs_of_the_stack():
    def f(x):
        for k in range(16):
            x = np.sin(x)[::-1] + k * np.sum(x)
        return x

    text = kernel_text(sd.jit(f).program(Y))  # sizes are symbols: all loops may be divided
    assert text.count("call i32 @symdiff_parallel_for(") > 10
    assert text.count("%chunk_table = alloca") == text.count("%chunk_sums = alloca") == 1
