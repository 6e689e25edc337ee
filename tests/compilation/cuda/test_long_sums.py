"""Long sums of few elements are shared by several threads of a block."""

import numpy as np
import pytest
from emulator import RaceError, agree, run, same

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.long_sums import most_lanes
from symdiff.compilation.cuda.module import write

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")

RNG = np.random.default_rng(9)
X, G = RNG.standard_normal((70, 3)), RNG.standard_normal((70, 2))
WIDE = RNG.standard_normal((3, 129))
ROWS = RNG.integers(0, 70, 65)


def softmax(x):
    z = np.exp(x - np.max(x, axis=1, keepdims=True))
    return z / np.sum(z, axis=1, keepdims=True)


def descent(w, b, x, y, n):
    for _ in range(n):
        h = np.tanh(x @ w + b) - y
        w, b = w - 0.01 * (x.T @ h), b - 0.01 * np.sum(h, axis=0)
    return w, b, np.sum(h * h)


def narrowed(x, limit):
    w = np.ones(3)
    while np.sum(np.abs(x @ w)) > limit:
        w = w - 0.02 * np.sign(x).T @ np.sign(x @ w)
    return w


CASES = {
    "gradient of weights": (sd.jit(lambda x, g: x.T @ g), (X, G)),
    "gradient of a bias": (sd.jit(lambda g: np.tanh(np.sum(g, axis=0))), (G,)),
    "a vector along memory": (sd.jit(lambda v: WIDE @ v), (WIDE[0],)),
    "two sums of an element": (
        sd.jit(lambda x: np.sum(x, axis=0) * np.max(x, axis=0)),
        (X,),
    ),
    "one sum needs another": (sd.jit(lambda x: np.var(x, axis=0)), (X,)),
    "a sum of sums": (sd.jit(lambda x: np.sum(np.sum(x, axis=0) ** 2)), (X,)),
    "rows": (sd.jit(softmax), (WIDE,)),
    "extrema": (sd.jit(lambda x: (np.min(x, axis=0), np.any(x > 2, axis=0))), (X,)),
    "gathered": (sd.jit(lambda x, k: np.sum(x[k], axis=0)), (X, ROWS)),
    "float32": (sd.jit(lambda x, g: x.T @ g), (X.astype("f4"), G.astype("f4"))),
    "whole numbers": (sd.jit(lambda k: np.sum(np.outer(k, np.arange(3)), axis=0)), (ROWS,)),
    "several axes": (sd.jit(lambda x: np.sum(x.reshape(35, 2, 3), axis=(0, 1))), (X,)),
    "training": (sd.jit(descent), (X[:3, :2], G[0], X, G, 3)),
    "while": (sd.jit(narrowed), (X, 20.0)),
}
NOT_SHARED = {"rows"}
"""Of which there may be many."""


@pytest.mark.parametrize("name", CASES)
def test_simulator(name):
    f, args = CASES[name]
    same(f.with_target("cuda")(*args), f(*args))


@pytest.mark.parametrize("blocks", [(1, 8), (1, 32), (3, 4), (2, 16)])
@pytest.mark.parametrize("name", CASES)
def test_no_races(name, blocks):
    f, args = CASES[name]
    text = write(f.program(*args), is_grid=blocks[0] > 1).text
    assert ("_of_lanes" in text) == (name not in NOT_SHARED)
    agree(f, args, blocks)


@pytest.mark.parametrize("n", [0, 1, 7, 63, 64, 65])
def test_any_length(n):
    agree(CASES["gradient of weights"][0], (X[:n], G[:n]), (2, 8))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_barrier_is_needed(number):
    f, args = CASES["gradient of weights"]
    module = write(f.program(*args))
    pieces = module.text.split("cuda.syncthreads()")
    assert len(pieces) == 4
    kept = ["cuda.syncthreads()" if k != number else "pass" for k in range(3)]
    text = "".join(x for pair in zip(pieces, [*kept, ""], strict=True) for x in pair)
    with pytest.raises(RaceError):
        run(module._replace(text=text), [X, G], 1, 8)


@pytest.mark.parametrize("name", ["gradient of weights", "training"])
def test_the_same_bits_for_any_number_of_blocks(name):
    f, args = CASES[name]
    program = f.program(*args)
    inputs = [
        np.asarray(x, program.types[n].dtype) for n, x in zip(program.inputs, args, strict=True)
    ]
    module = write(program, is_grid=True)
    made = {
        tuple(x.tobytes() for x in run(module, inputs, blocks, 8)[0][:2]) for blocks in (1, 2, 5)
    }
    assert len(made) == 1


def test_how_many_lanes():
    assert most_lanes(2048, is_grid=True) == 16
    assert most_lanes(10, is_grid=True) == 256
    assert most_lanes(10, is_grid=False) == 16
    assert most_lanes(100_000, is_grid=True) == 1
