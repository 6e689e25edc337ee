"""Kernels for CUDA compute what those for the CPU do: in the simulator, and with several blocks."""

import gc
import linecache

import numpy as np
import pytest
from cuda_cases import CASES, A, W, X, Y, likelihood
from emulator import run

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.module import write
from symdiff.trees import flatten

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")


def same(got, want):
    for a, b in zip(flatten(got)[0], flatten(want)[0], strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        rtol = 1e-5 if np.asarray(b).dtype == np.float32 else 1e-11
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 100)


@pytest.mark.parametrize("name", CASES)
def test_simulator(name):
    f, args = CASES[name]
    same(f.with_target("cuda")(*args), f(*args))


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("blocks", [(1, 16), (3, 8)])
@pytest.mark.parametrize("name", CASES)
def test_blocks_that_wait_for_each_other(name, blocks, by_row):
    f, args = CASES[name]
    program = f.program(*args)
    leaves = [np.asarray(x) for x in flatten(args)[0]]
    inputs = [
        np.asarray(x, program.types[n].dtype) for n, x in zip(program.inputs, leaves, strict=True)
    ]
    module = write(program, by_row=by_row, is_grid=blocks[0] > 1)
    outputs, status = run(module, inputs, *blocks)
    assert not status.any()
    want = [np.asarray(x, o.dtype) for x, o in zip(flatten(f(*args))[0], outputs, strict=True)]
    same(outputs, want)


def test_results_do_not_depend_on_luck():
    f = sd.value_and_grad(likelihood)
    module = write(f.program(W, A, Y), is_grid=True)
    first, _ = run(module, [W, A, Y], 4, 8)
    for _ in range(5):
        again, _ = run(module, [W, A, Y], 4, 8)
        assert [x.tobytes() for x in again] == [x.tobytes() for x in first]


def test_a_row_for_a_thread_where_there_are_many(monkeypatch):
    monkeypatch.setattr("symdiff.compilation.cuda.kernel.MIN_ROWS", 20)
    f, (w, a, y) = CASES["sum"]
    same(f.with_target("cuda")(w, a, y), f(w, a, y))
    kernel = CudaKernel(f.program(w, a, y))
    assert not kernel._is_by_row({"n": 10})
    assert kernel._is_by_row({"n": 50})
    assert kernel._is_by_row({"n": 10})  # for what has been compiled already


def test_memory_grows_with_what_is_computed():
    def f(x):
        y = x
        while y > 1.0:
            y = y * 0.99
        return y

    g = sd.grad(f, target="cuda")
    assert g(1e3) == pytest.approx(sd.grad(f)(1e3), rel=1e-12)  # 688 steps
    assert g(1.5) == pytest.approx(sd.grad(f)(1.5), rel=1e-12)


def test_an_index_out_of_bounds():
    f = sd.jit(lambda x, k: x[k], target="cuda")
    assert f(X, 3) == X[3]
    with pytest.raises(IndexError):
        f(X, 50)


def test_a_singular_matrix():
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        sd.jit(np.linalg.inv, target="cuda")(np.zeros((3, 3)))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        sd.jit(np.linalg.cholesky, target="cuda")(-np.eye(3))


def test_sizes_that_differ_share_a_kernel():
    f = sd.grad(lambda x: np.sum(x**3), target="cuda")
    for n in (2, 5, 100):
        np.testing.assert_allclose(f(X[:n]), 3 * X[:n] ** 2)
    assert f.n_compiled == 1


def test_results_stay_where_the_arguments_are():
    x = backend.cuda().to_device(X)
    f = sd.value_and_grad(lambda x: np.sum(x**3))
    value, gradient = f(x)
    assert not isinstance(value, np.ndarray)
    np.testing.assert_allclose(gradient.copy_to_host(), 3 * X**2)
    np.testing.assert_allclose(value.copy_to_host(), np.sum(X**3))
    again = sd.jit(lambda v, g: g / v)(value, gradient)
    np.testing.assert_allclose(again.copy_to_host(), 3 * X**2 / np.sum(X**3))
    assert isinstance(f(X)[1], np.ndarray)


def test_an_array_of_the_device_and_the_cpu_as_target():
    x = backend.cuda().to_device(X)
    with pytest.raises(sd.DeviceError, match="target='auto'") as info:
        sd.jit(np.sin, target="cpu")(x)
    assert __file__ in str(info.value)


def test_what_is_not_there_says_so_with_the_line():
    with pytest.raises(sd.UnsupportedOperationError, match="svd") as info:
        sd.jit(np.linalg.svdvals, target="cuda")(np.eye(3))
    assert __file__ in str(info.value)
    assert "target='cpu'" in str(info.value)


def test_results_into_arrays_of_the_caller():
    out = np.empty(50)
    f = sd.grad(lambda x: np.sum(x**3), target="cuda")
    assert f(X, out=out) is out
    np.testing.assert_allclose(out, 3 * X**2)


def test_functions_that_are_dropped_leave_nothing():
    def sources():
        gc.collect()
        return [name for name in linecache.cache if "for CUDA" in name]

    before = len(sources())
    for k in range(3):
        f = sd.grad(lambda x, k=k: np.sum(x**3) * k, target="cuda")
        f(X, 2.0)
        del f
    assert len(sources()) <= before


def test_empty_arrays():
    f = sd.value_and_grad(lambda x: np.sum(x**3), target="cuda")
    value, gradient = f(np.empty(0))
    assert value == 0
    assert gradient.shape == (0,)
