"""The user's own primitives are called on a GPU where numba can compile them."""

import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numba
import numpy as np
import pytest
from emulator import agree, same

import symdiff as sd


def square(x):
    return x * x


@sd.primitive
def slope(x, y):
    return -2 * x * np.exp(-square(x)) * y


@sd.primitive(partials=lambda ans, x, y: (slope(x, y), ans / y))
def bump(x, y):
    return np.exp(-square(x)) * y


def total(x, y):
    return np.sum(bump(x, y) ** 2)


def settled(x):
    for _ in range(5):
        x = 0.3 * bump(x, x + 1)
    return x


def chosen(x):
    return bump(x, 2.0) if x > 0 else slope(x, 2.0)


X, COLUMN = np.linspace(0.1, 0.9, 6), np.array([[0.5], [1.0], [2.0]])
CASES = {
    "array": (sd.jit(bump), (X, X + 1)),
    "number": (sd.jit(bump), (0.5, 2.0)),
    "broadcast": (sd.jit(lambda x, y: bump(x, y) + 1), (X, COLUMN)),
    "gradient": (sd.value_and_grad(total, (0, 1)), (X, COLUMN)),
    "batch": (sd.vmap(sd.grad(lambda x: bump(x, 2.0))), (X,)),
    "steps": (sd.grad(settled), (0.5,)),
    "branch": (sd.vmap(chosen), (X - 0.5,)),
    "float32": (sd.jit(bump), (X.astype("f4"), X.astype("f4"))),
    "of numba": (sd.jit(sd.primitive(numba.njit(square))), (X,)),
    "of Python": (sd.jit(sd.vmap(sd.primitive(math.cos))), (X,)),
}


@pytest.mark.parametrize("name", CASES)
def test_simulator(name):
    f, args = CASES[name]
    same(f.with_target("cuda")(*args), f(*args))


@pytest.mark.parametrize("name", ["array", "broadcast", "gradient", "batch"])
def test_several_blocks(name):
    f, args = CASES[name]
    agree(f, args, (3, 8))


def test_whole_arrays_are_refused():
    whole = sd.primitive(np.cumsum, shape=lambda s: s)
    with pytest.raises(sd.UnsupportedOperationError, match="whole arrays") as info:
        sd.jit(lambda x: whole(x) + 1, target="cuda")(X)
    assert __file__ in str(info.value)
    assert "target='cpu'" in str(info.value)


def test_the_source_says_what_is_called():
    source = sd.jit(lambda x: bump(x, x)).source(X, target="cuda")
    assert "# bump is the primitive bump" in source


SCRIPT = """
import numpy as np
import scipy.special
import symdiff as sd
from symdiff.compilation.cuda.backend import cubin
from symdiff.compilation.cuda.module import write
from test_primitives import CASES, X

for name in ("gradient", "of numba", "of Python"):
    f, args = CASES[name]
    assert cubin(write(f.program(*args))).spills == 0, name
for f in (scipy.special.erf, lambda x: x - np.sum(x), lambda x: scipy.special.struve(0, x)):
    try:
        cubin(write(sd.jit(sd.primitive(f)).program(X)))
    except sd.UnsupportedOperationError as error:
        assert "cannot compile the primitive" in str(error)
        assert "<string>" in str(error), error
    else:
        raise AssertionError(f"{f} is no function of numbers")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs the extra 'cuda'")
def test_what_numba_compiles_and_what_not():
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": path}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
