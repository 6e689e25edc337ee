"""Products of matrices that a BLAS computes: transposed, symmetric or not, of every size."""

import threading

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu import engine
from symdiff.compilation.ordering import rows_of
from symdiff.compilation.products import with_products
from symdiff.program.blocks import Block

rng = np.random.default_rng(6)
FORMS = {
    "plain": lambda x, d: (x * d) @ x,
    "left": lambda x, d: (x.T * d) @ x,
    "right": lambda x, d: (x * d) @ x.T,
    "both": lambda x, d: (x * d).T @ x.T,
    "columns": lambda x, d: (x * d).T @ x,
    "rows": lambda x, d: (x * d[:, None]).T @ x,
    "rows, right": lambda x, d: x.T @ (x * d[:, None]),
    "rows, in steps": lambda x, d: ((x * d[:, None]) * np.sin(d)[:, None] / 3).T @ x,
    "squared, in steps": lambda x, d: ((x * d[:, None]) * x).T @ x,
    "outer axis": lambda x, d: (x * d[:, None]) @ x.T,
    "not linear": lambda x, d: x.T @ (x * d[:, None] * 2 + 1),
    "squared": lambda x, d: x.T @ (x * x * d[:, None]),
    "itself": lambda x, d: x @ x,
    "with more": lambda x, d: x @ x.T + x * d,
}


@pytest.mark.parametrize("n", [64, 65, 80, 130])
@pytest.mark.parametrize("form", FORMS)
def test_square_matrices(form, n):
    x, d = rng.normal(size=(n, n)), rng.normal(size=n)
    f = FORMS[form]
    np.testing.assert_allclose(sd.jit(f)(x, d), f(x, d), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", ["rows", "rows, right", "not linear", "squared", "left"])
def test_batches_of_every_size(form):
    f = FORMS[form]
    compiled = sd.jit(f)
    for n in (70, 1, 2, 15, 16, 17, 63, 64, 65, 200):
        x, d = rng.normal(size=(n, 90)), rng.normal(size=n)
        np.testing.assert_allclose(compiled(x, d), f(x, d), rtol=1e-10, atol=1e-10)


def test_no_rows():
    f = sd.jit(lambda x, w: np.sin(x[2:]) @ w)
    w = rng.normal(size=(64, 64))
    for n in (100, 3, 2):
        x = rng.normal(size=(n, 64))
        np.testing.assert_allclose(f(x, w), np.sin(x[2:]) @ w, rtol=1e-10, atol=1e-12)


def test_the_blas_keeps_its_threads():
    """Calls that overlap must not take each other's setting for the one to go back to."""
    f = sd.jit(lambda x, w: np.sin(x) @ w)
    x, w = rng.normal(size=(300, 128)), rng.normal(size=(128, 64))
    f(x, w)
    blas = engine._loaded_openblas()
    if blas is None:
        pytest.skip("SciPy has no OpenBLAS of its own here")
    before = blas.scipy_openblas_get_num_threads()
    blas.scipy_openblas_set_num_threads(2)
    callers = [threading.Thread(target=lambda: [f(x, w) for _ in range(700)]) for _ in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    found = blas.scipy_openblas_get_num_threads()
    blas.scipy_openblas_set_num_threads(before)
    assert found == 2


@pytest.mark.parametrize(
    ("form", "is_symmetric"),
    [("rows", True), ("rows, in steps", True), ("squared, in steps", False), ("squared", False)],
)
def test_what_is_symmetric_is_computed_once(form, is_symmetric):
    program = sd.jit(FORMS[form]).program(rng.normal(size=(300, 90)), rng.normal(size=300))
    blocks = [
        e.pattern
        for e in with_products(program, rows_of(program)).equations
        if isinstance(e.pattern, Block)
    ]
    assert [("symmetric" in b.attributes) for b in blocks] == [is_symmetric]
