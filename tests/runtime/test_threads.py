"""Functions in many threads and in forked processes: one compilation a variant, right results."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import symdiff as sd

N_THREADS = 8
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    """Compile every time: what is tested is how compilations meet."""
    monkeypatch.setattr(sd.config, "cache_dir", None)


def at_once(work, n=N_THREADS):
    """Run ``work(k)`` in n threads that begin together; give the results, raise what they do."""
    barrier = threading.Barrier(n)

    def run(k):
        barrier.wait()
        return work(k)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n), timeout=120))


def test_first_calls_that_race_compile_once():
    for _ in range(5):
        traced = []

        def f(x, traced=traced):
            traced.append(1)
            return np.sum(np.sin(x) ** 2)

        g = sd.grad(f)
        x = np.linspace(0.0, 1.0, 7)
        for result in at_once(lambda k, g=g, x=x: g(x)):
            np.testing.assert_allclose(result, np.sin(2 * x))
        assert g.n_compiled == 1
        assert len(traced) == 1


def test_first_calls_with_out_that_race():
    f, x = sd.grad(lambda x: np.sum(x**3)), np.linspace(1.0, 2.0, 7)

    def work(k):
        out = np.empty(7)
        for _ in range(100):
            assert f(x, out=out) is out
        return out

    for out in at_once(work):
        np.testing.assert_allclose(out, 3 * x**2)
    assert f.n_compiled == 1


def test_variants_that_race():
    f = sd.jit(lambda x: x * 2 + 1)
    arguments = [1.0, np.float32(2), np.ones(3), np.ones((2, 2)), 5, np.arange(4), np.ones(9), 3.0]
    for k, result in enumerate(at_once(lambda k: f(arguments[k]))):
        np.testing.assert_array_equal(result, arguments[k] * 2 + 1)
    assert f.n_compiled == 6


def test_different_functions_compile_at_once():
    def work(k):
        found = []
        for j in range(5):
            scale = 1.0 + 10 * k + j
            f = sd.value_and_grad(lambda x, s=scale: np.sum(np.exp(-s * x)))
            found.append((scale, f(np.array([0.1, 0.2]))))
        return found

    x = np.array([0.1, 0.2])
    for found in at_once(work):
        for scale, (value, gradient) in found:
            np.testing.assert_allclose(value, np.sum(np.exp(-scale * x)))
            np.testing.assert_allclose(gradient, -scale * np.exp(-scale * x))


def test_many_calls_of_one_function():
    """Long enough to let go of Python's lock: each thread has its own memory."""
    f = sd.value_and_grad(lambda x: np.sum(np.cumsum(np.tanh(x)) ** 2))
    f(np.ones(3))

    def work(k):
        x = np.linspace(0.0, 1.0 + k, 2000)
        first = f(x)
        for _ in range(200):
            value, gradient = f(x)
            assert value == first[0]
            assert np.array_equal(gradient, first[1])
        return np.sum(np.cumsum(np.tanh(x)) ** 2), first[0]

    for expected, value in at_once(work):
        np.testing.assert_allclose(value, expected)


def test_an_error_in_one_thread_is_that_threads():
    inverse = sd.jit(np.linalg.inv)

    def work(k):
        matrix = np.eye(2) * (k % 2)
        for _ in range(200):
            try:
                assert np.array_equal(inverse(matrix), matrix)
                assert k % 2 == 1
            except np.linalg.LinAlgError:
                assert k % 2 == 0

    at_once(work)


def child_exit(work):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(60)
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(f, scale):
    x = np.linspace(0.0, 1.0, 5)
    np.testing.assert_allclose(f(x), scale * np.cos(scale * x))


def wave(scale):
    return sd.grad(lambda x: np.sum(np.sin(scale * x)))


def test_a_child_calls_what_its_parent_compiled_and_compiles_itself():
    f = wave(2.0)
    check(f, 2.0)

    def work():
        check(f, 2.0)
        assert f(0.0) == 2.0  # another variant
        check(wave(3.0), 3.0)

    assert child_exit(work) == 0
    check(f, 2.0)


def squares(k):
    f = sd.grad(lambda x: k * x**2)
    return [f(float(n)) for n in range(3)]


def test_a_pool_of_forked_processes():
    assert squares(1) == [0.0, 2.0, 4.0]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(squares, range(4)) == [[0.0, 2.0 * k, 4.0 * k] for k in range(4)]


def test_a_fork_while_other_threads_compile():
    shared, is_over = wave(0.5), threading.Event()

    def compile_on(k):
        n = 0
        while not is_over.is_set():
            n += 1
            check(wave(n + k / 10), n + k / 10)
            sd.grad(shared)(0.25)
        return n

    threads = [threading.Thread(target=compile_on, args=(k,)) for k in range(2)]
    for t in threads:
        t.start()
    try:
        statuses = [child_exit(lambda: check(wave(7.0), 7.0)) for _ in range(10)]
        statuses += [child_exit(lambda: check(shared, 0.5)) for _ in range(10)]
    finally:
        is_over.set()
        for t in threads:
            t.join()
    assert statuses == [0] * 20


def test_other_threads_run_during_a_loop_of_unknown_length():
    def steps(x, n):
        i = 0
        while i < n:
            x = np.sin(x) + 1.0
            i += 1
        return x

    f = sd.jit(steps)
    f(1.0, 1)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.wait(0.002):
            ticks.append(time.perf_counter())

    other = threading.Thread(target=tick)
    other.start()
    start = time.perf_counter()
    f(1.0, 4_000_000)
    end = time.perf_counter()
    done.set()
    other.join()
    assert any(start < t < end for t in ticks)
