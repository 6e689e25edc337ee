"""Kernels for CUDA compute what those for the CPU do: in the simulator, and with several blocks."""

import gc
import linecache
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_cases import CASES, A, W, X, Y, likelihood
from emulator import agree, run, same
from scipy import special

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.memory import prepared, put
from symdiff.compilation.cuda.module import write

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")


@pytest.mark.parametrize("name", CASES)
def test_simulator(name):
    f, args = CASES[name]
    same(f.with_target("cuda")(*args), f(*args))


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("blocks", [(1, 16), (3, 8)])
@pytest.mark.parametrize("name", CASES)
def test_blocks_that_wait_for_each_other(name, blocks, by_row):
    f, args = CASES[name]
    agree(f, args, blocks, by_row=by_row)


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


def test_calls_from_several_threads():
    f = sd.grad(lambda x: np.sum(np.sin(x) * x), target="cuda")

    def right(n):
        x = np.linspace(0.0, 1.0, n)
        return all(np.allclose(f(x), np.cos(x) * x + np.sin(x)) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(40, 44)))
    assert f.n_compiled == 1


def test_memory_that_another_thread_lets_grow_meanwhile():
    def f(x):
        y = x
        while y > 1.0:
            y = y * 0.99
        return y

    g = sd.grad(f)
    kernel = CudaKernel(g.program(1.5))
    launch = kernel._launch({})
    once = launch._launch

    def interrupted(*args):
        made = once(*args)
        launch.room = dict.fromkeys(launch.room, 4096)
        return made

    launch._launch = interrupted
    (got,) = kernel([np.float64(1e3)])
    assert got == pytest.approx(g(1e3), rel=1e-12)


def test_how_many_blocks_wait_is_asked_of_a_kernel_that_is_compiled():
    """A kernel has machine code for no arguments before it is launched."""

    class Dispatcher:
        overloads = {}  # noqa: RUF012 - as numba has it

        def compile(self, signature):
            made = SimpleNamespace(max_cooperative_grid_blocks=lambda n: 1024 // n)
            return self.overloads.setdefault(signature, made)

    f, args = CASES["sum"]
    module = write(f.program(*args), is_grid=True)
    assert backend.most_blocks(Dispatcher(), module, 256) == 4


def test_memory_of_single_threads_is_limited(monkeypatch):
    """Fewer threads run where each needs much, and take more rows of a batch."""

    def halved(x):
        while np.sum(x) > 1.0:
            x = x / 2
        return x

    f, x = sd.vmap(halved), np.ones((2, 3000))
    kernel = CudaKernel(f.program(x))
    launch = kernel._launch(kernel._sizes([x]))
    sizes = dict.fromkeys(launch.module.sizes, 1000)
    own = [w for w in launch.module.workspaces if w.is_per_thread]
    assert {w.count for w in own} == {3000}
    assert launch._blocks(256, sizes, {}) == 4
    monkeypatch.setattr("symdiff.compilation.cuda.kernel.MAX_OWN", 3 * 256 * 8 * 3000 * len(own))
    assert launch._blocks(256, sizes, {}) == 3
    monkeypatch.setattr("symdiff.compilation.cuda.kernel.MAX_OWN", 1)
    assert launch._blocks(256, sizes, {}) == 1


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint32", "uint64"])
def test_shifts(dtype):
    x = np.array([1, 3, 100, 77, -5 if dtype.startswith("i") else 5], dtype)
    by = np.array([0, 2, 7, 64, 3], dtype)
    for shift in (np.left_shift, np.right_shift):
        np.testing.assert_array_equal(sd.jit(shift, target="cuda")(x, by), sd.jit(shift)(x, by))


def test_functions_at_their_ends():
    x = np.array([0.0, -0.0, -1.0, 0.3, 30.0])
    np.testing.assert_allclose(sd.jit(special.psi, target="cuda")(x), special.psi(x), rtol=1e-12)
    s, q = np.array([1.5, 3.0, 47.0, 60.0, 200.0]), np.array([0.3, 40.0, 30.0, 2.5, 1000.0])
    want = special.zeta(s, q)
    np.testing.assert_allclose(sd.jit(special.zeta, target="cuda")(s, q), want, rtol=1e-11)


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


def test_numbers_of_the_device():
    x = backend.cuda().to_device(np.array(3.0))
    assert put(np.array(3.0)).shape == prepared(x, np.dtype("float32")).shape == ()
    assert sd.jit(lambda s, x: s * x)(x, X).copy_to_host() == pytest.approx(3 * X)


class OfOthers:
    """An array that another library computes on a stream of its own."""

    def __init__(self, stream):
        self.__cuda_array_interface__ = {"stream": stream}


@pytest.mark.parametrize(("stream", "waits"), [(None, False), (1, False), (1234, True)])
def test_other_streams_are_waited_for(stream, waits, monkeypatch):
    asked = []
    cuda = SimpleNamespace(as_cuda_array=lambda x, sync: asked.append(sync))
    monkeypatch.setattr("symdiff.compilation.cuda.memory.cuda", lambda: cuda)
    put(OfOthers(stream))
    assert asked == [waits]


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


def test_loops_whose_lengths_are_products_with_a_size():
    """A number of an iteration is divided by the whole product."""
    x = np.random.default_rng(0).normal(size=(2, 5, 7))

    def largest(x):
        strips = [x[:, a : a + 3 : 2, b : b + 5 : 2] for a in range(2) for b in range(2)]
        return np.sum(np.max(np.stack(strips), axis=0) ** 2)

    f = sd.grad(largest)
    np.testing.assert_allclose(f.with_target("cuda")(x), f(x), rtol=1e-12)
