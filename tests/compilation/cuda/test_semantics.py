"""Kernels for CUDA compute what those for the CPU do: in the simulator, and with several blocks."""

import gc
import linecache
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_cases import CASES, A, W, X, Y, likelihood
from emulator import agree, run, same
from scipy import special

import symdiff as sd
from symdiff.compilation.cuda import backend, memory
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

    def taken(x, sync):
        asked.append(sync)
        return SimpleNamespace(stream=stream)

    cuda = SimpleNamespace(as_cuda_array=taken)
    monkeypatch.setattr("symdiff.compilation.cuda.memory.cuda", lambda: cuda)
    assert put(OfOthers(stream)).stream == 0  # where copies are waited for
    assert asked == [waits]


@pytest.mark.parametrize(("stream", "waits"), [(None, 0), (1, 0), (1234, 1)])
def test_other_streams_get_what_is_written(stream, waits, monkeypatch):
    asked = []
    cuda = SimpleNamespace(
        default_stream=lambda: SimpleNamespace(synchronize=lambda: asked.append(True))
    )
    monkeypatch.setattr(memory, "cuda", lambda: cuda)
    monkeypatch.setattr(memory, "is_simulated", lambda: False)
    memory.hand_over([np.ones(2), OfOthers(None), OfOthers(stream), OfOthers(stream)])
    assert len(asked) == waits


@pytest.mark.parametrize(("stream", "waits"), [(0, 0), (1, 0), (1234, 1)])
def test_results_for_another_stream_are_there(stream, waits, monkeypatch):
    asked = []
    null = SimpleNamespace(synchronize=lambda: asked.append(True))
    cuda = SimpleNamespace(
        get_current_stream=lambda: SimpleNamespace(ptr=stream), Stream=SimpleNamespace(null=null)
    )
    pool = SimpleNamespace(cuda=cuda, asarray=lambda x: x.__cuda_array_interface__)
    monkeypatch.setattr(memory, "_pool", lambda: pool)
    assert memory.shown(OfOthers(1)) == {"stream": None}
    assert len(asked) == waits


def test_an_array_of_the_device_and_the_cpu_as_target():
    x = backend.cuda().to_device(X)
    with pytest.raises(sd.DeviceError, match="target='auto'") as info:
        sd.jit(np.sin, target="cpu")(x)
    assert __file__ in str(info.value)


def test_what_is_not_there_says_so_with_the_line():
    whole = sd.primitive(np.sort, shape=lambda s: s)
    with pytest.raises(sd.UnsupportedOperationError, match="sort") as info:
        sd.jit(whole, target="cuda")(np.ones(3))
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
