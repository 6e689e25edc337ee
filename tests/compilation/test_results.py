"""Memory of large results: kept for the next call, never while it is used, and never much."""

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

import symdiff as sd

MIB = 1 << 20
N = MIB // 8  # numbers of one MiB


@pytest.fixture(scope="module")
def double():
    f = sd.jit(lambda x: 2 * x)
    f(np.ones(8))  # the first call goes another way
    return f


@pytest.fixture(autouse=True)
def nothing_kept(double):
    """Begin without what other tests have let go."""
    before, sd.config.result_memory = sd.config.result_memory, 0
    double(np.ones(N))
    sd.config.result_memory = before
    yield
    sd.config.result_memory = before


def address(array):
    return array.__array_interface__["data"][0]


def test_what_was_let_go_is_taken_again(double):
    x = np.arange(3.0 * N)
    first = address(double(x))
    assert [address(double(x)) for _ in range(5)] == [first] * 5
    np.testing.assert_array_equal(double(x), 2 * x)


def test_what_is_used_is_left_alone(double):
    x = np.arange(3.0 * N)
    kept = double(x)
    view = double(x)[::2][5:]
    others = [double(x + k) for k in range(4)]
    addresses = {address(a) for a in [kept, view.base, *others]}
    assert len(addresses) == 6
    np.testing.assert_array_equal(kept, 2 * x)
    np.testing.assert_array_equal(view, (2 * x)[::2][5:])
    for k, other in enumerate(others):
        np.testing.assert_array_equal(other, 2 * (x + k))


def test_one_that_is_much_too_large_is_not_taken(double):
    large = address(double(np.ones(8 * N)))
    assert address(double(np.ones(7 * N))) != large
    assert address(double(np.ones(8 * N - N // 2))) == large


def test_results_own_their_memory_like_any_array(double):
    y = double(np.arange(4.0 * N))
    assert y.flags.owndata
    assert y.base is None
    assert get_handler_name(y) == "symdiff"
    y.resize(5 * N, refcheck=False)
    np.testing.assert_array_equal(y[: 4 * N], 2 * np.arange(4.0 * N))
    assert not y[4 * N :].any()
    y.resize(100, refcheck=False)
    np.testing.assert_array_equal(y, 2 * np.arange(100.0))


def test_nobody_elses_arrays_come_to_it(double):
    double(np.ones(4 * N))
    assert get_handler_name(np.empty(4 * N)) == "default_allocator"
    assert get_handler_name(double(np.ones(10))) == "default_allocator"


def test_python_hears_of_it(double):
    x = np.ones(4 * N)
    double(x)
    tracemalloc.start()
    try:
        y = double(x)
        assert tracemalloc.get_traced_memory()[0] >= y.nbytes
        del y
        assert tracemalloc.get_traced_memory()[0] < MIB
    finally:
        tracemalloc.stop()


def test_where_there_is_no_memory_an_error_says_so(double):
    table = sd.jit(lambda x: x[:, None] * x)
    table(np.ones(10))
    with pytest.raises(MemoryError):
        table(np.ones(100_000_000))
    assert get_handler_name(np.empty(4 * N)) == "default_allocator"
    np.testing.assert_array_equal(double(np.ones(N)), 2)


def resident_mib():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / MIB


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_proc
def test_no_more_is_kept_than_the_limit(double):
    x = np.ones(40 * N)
    gc.collect()
    before = resident_mib()
    for size in range(4, 40, 2):
        double(x[: size * N])
        assert resident_mib() - before < 64 + 4
    assert resident_mib() - before > 30
    sd.config.result_memory = 20 * MIB
    double(x[:N])
    assert resident_mib() - before < 20 + 4
    sd.config.result_memory = 0
    double(x[:N])
    assert resident_mib() - before < 4


@needs_proc
def test_what_is_not_used_again_goes_back(double):
    x = np.ones(40 * N)
    gc.collect()
    before = resident_mib()
    double(x)
    assert resident_mib() - before > 30
    for _ in range(200):
        double(x[:N])
    assert resident_mib() - before < 6


def test_many_sizes_at_once(double):
    """More blocks than there are places for."""
    results = [double(np.full(N // 8 + 3000 * k, 1.0 * k)) for k in range(100)]
    for k, y in enumerate(results):
        np.testing.assert_array_equal(y, 2 * k)
    del results, y
    again = [double(np.full(N // 8 + 3000 * k, 1.0 * k)) for k in range(100)]
    assert len({address(a) for a in again}) == 100
    for k, y in enumerate(again):
        np.testing.assert_array_equal(y, 2 * k)


def test_threads(double):
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        held = []
        for step in range(150):
            x = np.full(int(rng.integers(N // 4, N)), seed + step / 1000)
            held.append((double(x), 2 * (seed + step / 1000)))
            if len(held) > 6:
                y, expected = held.pop(int(rng.integers(6)))
                if not (y == expected).all():
                    wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


CODE = """
import os, sys
import numpy as np
import symdiff as sd

double = sd.jit(lambda x: 2 * x)
x = np.arange(1e6)
here = double(x)
double(x)
child = os.fork()
if not child:
    good = (double(x) == here).all()
    del here
    good &= (double(x) == 2 * x).all()
    os._exit(0 if good else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sys.kept = [here, double(x)]  # until Python itself ends
np.kept = double(x)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forks_and_results_that_outlive_the_modules():
    env = {**os.environ, "PYTHONPATH": str(Path(sd.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
