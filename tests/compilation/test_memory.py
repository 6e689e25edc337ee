"""Kernels give back what they take, and take from the stack only little."""

import gc
import resource
import sys
import threading

import numpy as np
import pytest

import symdiff as sd


def resident_mib():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_functions_that_are_dropped_give_their_memory_back():
    def once(k):
        sd.value_and_grad(lambda x: np.sum(np.sin(k * x) ** 2))(np.ones(5))

    for k in range(50):
        once(float(k))
    gc.collect()
    before = resident_mib()
    for k in range(150):
        once(float(k))
    gc.collect()
    assert resident_mib() - before < 6.0  # 12 when only LLVM's pass managers stay


def test_many_small_arrays_do_not_fill_the_stack():
    """A thread's stack may be small; 150 arrays of 500 numbers would take 600 KiB."""

    def f(x):
        rows = [np.sin(x * k)[::-1] for k in range(150)]
        total = rows[0]
        for row in rows[1:]:
            total = total[::-1] + row
        return np.sum(total)

    x = np.linspace(0.0, 1.0, 500)
    function = sd.jit(f)
    results = []
    old = threading.stack_size(256 * 1024)
    try:
        function(x)
        thread = threading.Thread(target=lambda: results.append(function(x)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    np.testing.assert_allclose(results, [f(x)], rtol=1e-9)
