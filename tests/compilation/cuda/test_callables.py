"""Functions that kernels of the user's own call, each thread for itself."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from cuda_cases import CASES, A, W, Y, likelihood
from emulator import same

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.trees import flatten

cuda = backend.cuda()  # a global, which the simulator puts its own in for

COMPUTED = {"steps counted"}
"""What needs memory of a computed size."""


def called(f, args):
    """Call a function in one thread, and give its results in their order."""
    made = f.numba(*args, target="cuda")
    leaves = [np.asarray(x) for x in flatten(args)[0]]
    want = [np.asarray(x) for x in flatten(f(*args))[0]]
    outputs = [np.full(x.shape, -1, x.dtype) for x in want]

    def kernel(*given):
        numbers = made(*given[len(outputs) :])
        numbers = numbers if isinstance(numbers, tuple) else (numbers,)
        empty = [x for x in given[: len(outputs)] if not x.ndim]
        for place, number in zip(empty, numbers, strict=False):
            place[()] = number

    inputs = [x if x.ndim else x[()] for x in leaves]
    with backend.quiet():
        cuda.jit(kernel)[1, 1](*outputs, *inputs, *[x for x in outputs if x.ndim])
    return outputs, want


@pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")
@pytest.mark.parametrize("name", [name for name in CASES if name not in COMPUTED])
def test_simulator(name):
    f, args = CASES[name]
    same(*called(f, args))


@pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")
def test_each_thread_has_its_own():
    f = sd.value_and_grad(likelihood)
    made = f.numba(W, A, Y, target="cuda")
    starts = np.linspace(-1, 1, 28).reshape(4, 7)
    values, slopes = np.zeros(4), np.zeros((4, 7))

    @cuda.jit
    def kernel(starts, a, y, values, slopes):
        i = cuda.grid(1)
        if i < values.size:
            values[i] = made(starts[i], a, y, slopes[i])

    kernel[2, 3](starts, A, Y, values, slopes)
    for w, value, slope in zip(starts, values, slopes, strict=True):
        same((value, slope), f(w, A, Y))


def test_a_size_that_is_computed_is_refused():
    f, args = CASES["steps counted"]
    with pytest.raises(sd.UnsupportedOperationError, match="memory") as info:
        f.numba(*args, target="cuda")
    assert __file__ in str(info.value)


def test_too_much_for_a_thread_is_refused():
    f = sd.jit(lambda x: np.cumsum(np.cumsum(x))[-1])
    with pytest.raises(sd.UnsupportedOperationError, match="memory"):
        f.numba(np.ones(2000), target="cuda")


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="target"):
        sd.jit(np.sin).numba(1.0, target="tpu")


SCRIPT = """
import math
import numpy as np
import symdiff as sd
from symdiff.compilation.cuda import backend

def step(x, a):
    return x - np.linalg.solve(a @ a.T + np.eye(3), a @ np.sin(x)), np.sum(x * x)

f = sd.jit(step).numba(np.ones(3), np.ones((3, 3)), target="cuda")
g = sd.value_and_grad(lambda x, y: np.exp(x) * y, (0, 1)).numba(1.0, 2.0, target="cuda")
cuda = backend.cuda()

def kernel(starts, a, out):
    i = cuda.grid(1)
    if i < out.size:
        x = cuda.local.array(3, np.float64)
        m = cuda.local.array((3, 3), np.float64)
        y = cuda.local.array(3, np.float64)
        for k in range(3):
            x[k] = starts[i, k]
            for j in range(3):
                m[k, j] = a[k, j]
        size = f(x, m, y)
        value, by_x, by_y = g(y[0], y[1])
        out[i] = size + value + by_x + by_y + f(starts[i], a, y)

from numba import types
matrix, vector = types.Array(types.float64, 2, "C"), types.Array(types.float64, 1, "C")
with backend._capability((9, 0)):
    code, _ = cuda.compile(
        kernel, (matrix, matrix, vector), device=False, abi="numba", cc=(9, 0), output="ltoir"
    )
assert len(code) > 1000
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs the extra 'cuda'")
def test_a_kernel_that_calls_them_is_compiled():
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
