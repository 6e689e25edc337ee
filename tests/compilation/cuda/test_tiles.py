"""Products within a kernel are computed in tiles, by all of its threads."""

import numpy as np
import pytest
from emulator import RaceError, agree, run, same

import symdiff as sd
from symdiff.compilation.cuda import backend, products
from symdiff.compilation.cuda.module import write
from symdiff.compilation.cuda.products import with_tiles
from symdiff.program.blocks import Block

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")

RNG = np.random.default_rng(8)
A, B, C = (RNG.standard_normal(s) for s in ((7, 19), (19, 9), (9, 7)))
STACK, OTHERS = RNG.standard_normal((3, 5, 17)), RNG.standard_normal((3, 17, 4))


def descent(w, b, x, y, n):
    for _ in range(n):
        h = np.tanh(x @ w + b) - y
        g = h * (1 - (h + y) ** 2)
        w, b = w - 0.1 * (x.T @ g), b - 0.1 * np.sum(g, axis=0)
    return w, b


def powers(a, limit):
    b = a
    while np.sum(b * b) < limit:
        b = b @ a + b
    return b


DENSE = (B * 0.1, RNG.standard_normal(9), A, RNG.standard_normal((7, 9)))
CASES = {
    "plain": (sd.jit(lambda a, b: a @ b), (A, B), 1),
    "left transposed": (sd.jit(lambda a, c: a.T @ c), (A, A * 2), 1),
    "right transposed": (sd.jit(lambda a: a @ (a + 1).T), (A,), 1),
    "both transposed": (sd.jit(lambda a, c: a.T @ c.T), (A, C), 1),
    "float32": (sd.jit(lambda a, b: a @ b), (A.astype("f4"), B.astype("f4")), 1),
    "one after the other": (sd.jit(lambda a, b, c: (a @ b) @ (c @ a)), (A, B, C), 3),
    "batch": (sd.jit(lambda a, b: np.exp(a @ b)), (STACK, OTHERS), 1),
    "gathered": (sd.jit(lambda a, b, k: a[k] @ b), (A, B, np.array([6, 0, 0, 2])), 1),
    "numbers of places": (sd.jit(lambda a, b: (a * np.arange(19)) @ b * 3 - 1), (A, B), 1),
    "gradient": (sd.grad(lambda a, b: np.sum(np.sin(a @ b) @ b.T), (0, 1)), (A, B), 3),
    "training": (sd.jit(descent), (*DENSE, 2), 2),
    "while": (sd.jit(powers), (0.4 * RNG.standard_normal((9, 9)), 50.0), 1),
}


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch):
    for name in ("LARGE", "MANY", "LONG"):
        monkeypatch.setattr(products, name, 1)


@pytest.mark.parametrize("name", CASES)
def test_simulator(name):
    f, args, _ = CASES[name]
    same(f.with_target("cuda")(*args), f(*args))


@pytest.mark.parametrize("blocks", [(1, 8), (3, 4), (2, 16)])
@pytest.mark.parametrize("name", CASES)
def test_no_races(name, blocks):
    f, args, count = CASES[name]
    assert write(f.program(*args)).text.count("    multiply_4_") == count
    agree(f, args, blocks)


@pytest.mark.parametrize("number", [0, 1])
def test_each_barrier_is_needed(number):
    f, (a, b), _ = CASES["plain"]
    module = write(f.program(a, b))
    pieces = module.text.split("cuda.syncthreads()")
    assert len(pieces) == 5  # two in each function
    kept = ["cuda.syncthreads()" if k % 2 != number else "pass" for k in range(4)]
    text = "".join(x for pair in zip(pieces, [*kept, ""], strict=True) for x in pair)
    with pytest.raises(RaceError):
        run(module._replace(text=text), [a, b], 1, 8)


@pytest.mark.parametrize("n", products.PER_THREAD)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 16, 3), (3, 17, 5), (8, 33, 2), (13, 5, 11)])
def test_both_tiles_whatever_the_sizes(n, shape, monkeypatch):
    monkeypatch.setattr(products, "PER_THREAD", (n, n))
    rows, terms, columns = shape
    a, b = RNG.standard_normal((rows, terms)), RNG.standard_normal((terms, columns))
    agree(sd.jit(lambda a, b: a @ b), (a, b), (2, 4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_blocks(dtype, monkeypatch):
    a, b = A.astype(dtype), B.astype(dtype)
    f = sd.jit(lambda a, b: a @ b)
    program = f.program(a, b)
    made = set()
    for per_thread in ((4, 1), (1, 1), (4, 4)):
        monkeypatch.setattr(products, "PER_THREAD", per_thread)
        for is_grid, blocks in ((False, (1, 8)), (True, (2, 8)), (True, (5, 4)), (True, (20, 4))):
            (out,), _ = run(write(program, is_grid=is_grid), [a, b], *blocks)
            made.add(out.tobytes())
    assert len(made) == 1


def test_nothing_to_multiply():
    f = sd.jit(lambda a, b: a @ b)
    for rows, terms, columns in ((0, 3, 2), (2, 0, 3), (2, 3, 0)):
        agree(f, (np.ones((rows, terms)), np.ones((terms, columns))), (2, 4))


def test_what_is_not_a_number_stays_where_it_belongs():
    a, b = A.copy(), B.copy()
    a[3, 18], b[18, 8], b[0, 0] = np.nan, np.inf, -np.inf
    agree(sd.jit(lambda a, b: a @ b), (a, b), (2, 8))


def test_small_products_stay_in_their_nests(monkeypatch):
    def blocks_of(a, b):
        f = sd.jit(lambda a, b: np.tanh(a @ b))
        equations = with_tiles(f.program(a, b)).equations
        return sum(isinstance(e.pattern, Block) for e in equations)

    monkeypatch.undo()
    ones = np.ones
    assert blocks_of(ones((1000, 784)), ones((784, 256))) == 1
    assert blocks_of(ones((1000, 64)), ones((64, 32))) == 1  # as there may be so many rows
    assert blocks_of(ones((1000, 16)), ones((16, 512))) == 0  # a short sum
    assert blocks_of(ones((1000, 512)), ones((512, 4))) == 0  # few columns
    assert blocks_of(A, B) == 0
