"""How kernels for CUDA are launched: with which memory, in how many blocks and parts."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_cases import CASES
from emulator import agree, same

import symdiff as sd
from symdiff.compilation.cuda import backend, launches, memory, pipeline
from symdiff.compilation.cuda import kernel as kernel_module
from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.memory import memory_is_short, put
from symdiff.compilation.cuda.module import write
from symdiff.compilation.rows import independent_rows
from symdiff.program.sizes import evaluate

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")


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
    launcher = kernel._launcher({})
    once = launcher.kernel

    class Interrupted:
        def __getitem__(self, how):
            def run(*args):
                once[how](*args)
                launcher.room = dict.fromkeys(launcher.room, 4096)

            return run

    launcher.kernel = Interrupted()
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
    launcher = kernel._launcher(kernel.program.sizes_of([x]))
    sizes = dict.fromkeys(launcher.module.sizes, 1000)
    own = [w for w in launcher.module.workspaces if w.is_per_thread]
    assert {w.count for w in own} == {3000}
    monkeypatch.setattr(backend, "threads", lambda: 256)
    assert launcher.blocks(sizes, {}) == 4
    monkeypatch.setattr("symdiff.compilation.cuda.launches.MAX_OWN", 3 * 256 * 8 * 3000 * len(own))
    assert launcher.blocks(sizes, {}) == 3
    monkeypatch.setattr("symdiff.compilation.cuda.launches.MAX_OWN", 1)
    assert launcher.blocks(sizes, {}) == 1


def test_no_more_blocks_than_there_is_memory_for(monkeypatch):
    """Where each thread needs less, more of them may run, for which other memory was made."""

    def halved(x):
        while np.sum(x) > 1.0:
            x = x / 2
        return x

    f, x = sd.vmap(halved), np.ones((200, 40))
    kernel = CudaKernel(f.program(x))
    launcher = kernel._launcher(kernel.program.sizes_of([x]))
    launch = launches.Launch(launcher, dict.fromkeys(launcher.module.sizes, 200))
    started = []
    monkeypatch.setattr(launcher, "blocks", lambda *_: launch._blocks + 3)
    monkeypatch.setattr(launcher, "kernel", ByConfiguration(started))
    launch.start([], dict.fromkeys(launcher.module.sizes, 100))
    assert started == [launch._blocks]


class ByConfiguration:
    """Notes in how many blocks it is launched."""

    def __init__(self, started):
        self.started = started

    def __getitem__(self, configuration):
        return lambda *_: self.started.append(configuration[0])


def spiral(x, rate):
    for _ in range(6):
        x = x + rate * np.array([x[1], -x[0]]) * x
    return x[0]


@pytest.mark.parametrize("blocks", [(1, 16), (3, 8)])
@pytest.mark.parametrize("with_function", [False, True])
def test_memory_of_threads_side_by_side(monkeypatch, blocks, with_function):
    """Elements of the same number lie side by side, unless a function takes an array whole."""
    monkeypatch.setattr("symdiff.compilation.cuda.code.MAX_LOCAL", 3)

    def f(x, rate):
        y = spiral(x, rate)
        return y + np.sort(x * rate)[0] if with_function else y

    g = sd.vmap(sd.value_and_grad(f, argnums=(0, 1)))
    x, rate = np.random.default_rng(1).uniform(0.5, 1.5, (11, 2)), np.linspace(0.1, 0.3, 11)
    module = write(g.program(x, rate), by_row=True)
    assert [w.is_per_thread for w in module.workspaces].count(True) >= 2
    assert ("*team + me]" in module.text) != with_function
    agree(g, (x, rate), blocks, by_row=True)


def fall(x, rate, shift):
    """A row of a batch: two results of different dtypes, a loop, and something shared."""
    while x[0] > rate:
        x = x * 0.5 + shift
    return np.sum(x), x.astype(np.float32)


def batch(n):
    rng = np.random.default_rng(n)
    return rng.uniform(1.0, 9.0, (n, 3)), rng.uniform(0.5, 2.0, n), np.array([0.0, 0.1, -0.2])


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 4 rows of `fall`, which takes 32 bytes a row."""
    made = []

    class Noted(pipeline._Part):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(pipeline, "PART_BYTES", 128)
    monkeypatch.setattr(pipeline, "_pinned", [])
    monkeypatch.setattr(pipeline, "_Part", Noted)
    return made


@pytest.mark.parametrize("n", [1, 7, 8, 9, 12, 37])
def test_large_batches_go_part_by_part(n, small_parts):
    f = sd.vmap(fall, in_axes=(0, 0, None))
    args = batch(n)
    same(f.with_target("cuda")(*args), f(*args))
    assert len(small_parts) == (0 if n < 8 else min(-(-n // 4), 3))


def test_parts_write_where_results_are_wanted(small_parts):
    f = sd.vmap(fall, in_axes=(0, 0, None))
    x, rate, shift = batch(21)
    out = np.empty(21), np.empty((21, 3), np.float32)
    f.with_target("cuda")(x, rate, shift, out=out)
    same(out, f(x, rate, shift))
    assert len(small_parts) == 3
    strided = np.empty(42)[::2], np.empty((3, 21), np.float32).T
    f.with_target("cuda")(x, rate, shift, out=strided)
    same(strided, f(x, rate, shift))


def test_parts_of_which_one_fails(small_parts):
    f = sd.vmap(np.linalg.cholesky, target="cuda")
    x = np.tile(4.0 * np.eye(2), (30, 1, 1))
    same(f(x), np.linalg.cholesky(x))
    x[23] *= -1.0
    with pytest.raises(np.linalg.LinAlgError):
        f(x)
    assert len(small_parts) == 6
    same(f(x[:20]), np.linalg.cholesky(x[:20]))  # what was wrong is not remembered


def test_parts_with_sizes_that_are_computed(small_parts):
    def f(x):
        y = x
        while y > 1.0:
            y = y * 0.9
        return y

    g = sd.vmap(sd.grad(f))
    x = np.array([1.5] * 30 + [1e6] + [1e3] * 9)  # 132 steps, for which there is no room at first
    same(g.with_target("cuda")(x), g(x))
    assert len(small_parts) == 3


def test_parts_keep_within_the_memory(monkeypatch, small_parts):
    monkeypatch.setattr(pipeline, "PART_BYTES", 1 << 10)
    f = sd.vmap(lambda x: np.exp(x) + np.sum(x))
    x = np.linspace(0.0, 1.0, 4000).reshape(1000, 4)
    program = f.program(x)
    made = pipeline.Pipeline(program, "n", CudaKernel(program)._launcher, None)
    sizes = {"n": 1000}
    assert made.rows(sizes) == 32
    found = []
    for free in (1 << 20, 6000, 3000, 10):
        monkeypatch.setattr(pipeline, "free_memory", lambda free=free: free)
        found.append(made.rows(sizes))
        assert made._memory(found[-1], sizes) <= 0.8 * free or found[-1] == 1
        assert made._memory(2 * found[-1], sizes) > 0.8 * free or found[-1] == 32
    assert found[0] == 32
    assert found[-1] == 1
    monkeypatch.setattr(pipeline, "free_memory", lambda: 3000)
    same(f.with_target("cuda")(x), f(x))


def test_smaller_parts_where_memory_is_in_pieces(monkeypatch, small_parts):
    f = sd.vmap(fall, in_axes=(0, 0, None))
    x, rate, shift = batch(21)
    asked = []

    def empty(shape, dtype):
        asked.append(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        if len(asked) == 6:  # for the second part
            raise MemoryError
        return memory.empty(shape, dtype)

    monkeypatch.setattr(pipeline, "empty", empty)
    same(f.with_target("cuda")(x, rate, shift), f(x, rate, shift))
    assert len(small_parts) == 1 + 3
    assert max(asked[6:]) == max(asked[:6]) // 2
    assert len(pipeline._pinned) == 6  # all were given back


def test_half_of_the_rows_at_a_time_where_memory_is_short(monkeypatch):
    taken = []

    class Short(kernel_module.Launch):
        def __init__(self, launcher, sizes):
            if sizes["n"] > 3:
                raise MemoryError(f"no memory for {sizes['n']} rows")
            super().__init__(launcher, sizes)
            taken.append(sizes["n"])

    monkeypatch.setattr(kernel_module, "Launch", Short)
    f = sd.vmap(fall, in_axes=(0, 0, None))
    args = batch(9)
    same(f.with_target("cuda")(*args), f(*args))
    assert taken == [2, 2, 2, 3]
    on_device = [put(a) for a in args]
    same([x.copy_to_host() for x in f(*on_device)], f(*args))
    total = sd.jit(lambda x: np.sum(np.exp(x)), target="cuda")
    with pytest.raises(MemoryError, match="9 rows"):
        total(args[0])


def test_what_libraries_say_of_memory_that_is_short(monkeypatch):
    what = "on the GPU for 80 bytes"
    with pytest.raises(MemoryError, match=rf"no memory {what}: .* are free"), memory_is_short(what):
        raise RuntimeError("[CUresult.CUDA_ERROR_OUT_OF_MEMORY] Call to cuMemAlloc failed")
    with pytest.raises(KeyError), memory_is_short("anywhere"):
        raise KeyError("x")
    started = []

    class Narrow(kernel_module.Launcher):
        """A kernel whose threads have no memory to work in if there are many."""

        def __getitem__(self, how):
            def run(*args):
                rows = int(args[-1])
                if rows > 3:
                    raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
                started.append(rows)
                self.right[how](*args)

            return run

        @property
        def kernel(self):
            self.right = backend.compiled(self.module)
            return self

    monkeypatch.setattr(kernel_module, "Launcher", Narrow)
    f = sd.vmap(fall, in_axes=(0, 0, None))
    args = batch(9)
    same(f.with_target("cuda")(*args), f(*args))
    assert started == [2, 2, 2, 3]


def test_results_of_a_call_may_lie_on_the_device():
    f = sd.jit(lambda x: (2.0 * x, np.sum(x)), target="cuda")
    x = np.arange(5.0)
    out = put(np.zeros(5)), put(np.zeros(()))
    assert f(put(x), out=out) is out
    same([a.copy_to_host() for a in out], (2.0 * x, np.array(10.0)))
    mixed = np.zeros(5), put(np.zeros(()))
    f(x, out=mixed)
    same((mixed[0], mixed[1].copy_to_host()), (2.0 * x, np.array(10.0)))
    with pytest.raises(ValueError, match="share memory"):
        f(put(x), out=(out[0], out[0][:1].reshape(())))
    with pytest.raises(ValueError, match="not contiguous"):
        f(put(x), out=(put(np.zeros(10))[::2], out[1]))
    with pytest.raises(sd.ShapeError, match="out"):
        f(put(x), out=(put(np.zeros(4)), out[1]))
    with pytest.raises(sd.DTypeError, match="float32"):
        f(put(x), out=(put(np.zeros(5, np.float32)), out[1]))


def test_results_are_not_written_to_what_is_read_only():
    class Locked:
        shape = (4,)

        def __init__(self):
            self.__cuda_array_interface__ = {"shape": (4,), "typestr": "<f8", "data": (4096, True)}

    with pytest.raises(ValueError, match="out is read-only"):
        sd.jit(lambda x: 2.0 * x)(put(np.ones(4)), out=Locked())


class ByDlpack:
    """An array that is known by DLPack alone, as TensorFlow's are."""

    def __init__(self, array, kind=2):
        self.array = array
        self.shape = tuple(array.shape)
        self.kind = kind

    def __dlpack_device__(self):
        return self.kind, 0


def test_arrays_that_speak_dlpack(monkeypatch):
    f = sd.jit(lambda x: 2.0 * x)
    x = ByDlpack(put(np.arange(4.0)))
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(sd.DeviceError, match="CuPy"):
        f(x)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(from_dlpack=lambda x: x.array))
    same(f(x).copy_to_host(), 2.0 * np.arange(4.0))
    assert is_on_device(x)
    assert not is_on_device(ByDlpack(np.arange(4.0), kind=1))


def test_numbers_on_the_device_are_not_fetched(monkeypatch):
    f = sd.value_and_grad(lambda w, b, x: np.sum(np.tanh(w * x + b)), argnums=(0, 1))
    w, b, x = np.float64(0.5), np.float64(-0.25), np.linspace(0.0, 1.0, 7)
    want, (dw, db) = f(w, b, x)
    monkeypatch.setattr(kernel_module, "get", None)
    for given in ((put(w), put(b), put(x)), (put(w), b, put(x)), (put(w), put(b), x)):
        value, (gw, gb) = f(*given)
        same([a.copy_to_host() for a in (value, gw, gb)], [want, dw, db])
    g = sd.jit(lambda w: 2.0 * w)
    same(g(put(w)).copy_to_host(), np.array(1.0))


def test_a_result_may_replace_what_it_is_made_of():
    f = sd.jit(lambda x: x[::-1] + x, target="cuda")
    x = put(np.arange(5.0))
    f(x, out=x)
    same(x.copy_to_host(), np.full(5, 4.0))


def gathered(x, k, table):
    return table[k] * x


ROWS = {
    "map": (lambda x: np.exp(x) * 2.0, True),
    "sum in a row": (lambda x: x / np.sum(x, axis=1, keepdims=True), True),
    "sum over rows": (lambda x: x / np.sum(x), False),
    "no rows in the result": (lambda x: np.sum(x, axis=0), False),
    "the row before": (lambda x: np.concatenate([x[:1], x[:-1]]), False),
    "reversed": (lambda x: x[::-1], False),
    "number of the row": (lambda x: x * np.arange(len(x))[:, None], False),
    "number of rows": (lambda x: x / len(x), False),
    "all pairs": (lambda x: x[:, None, :] - x[None, :, :], False),
    "transposed": (lambda x: x.T, False),
    "product with a matrix": (lambda x: x @ np.ones((3, 2)), True),
    "product of both": (lambda x: (x @ x.T) @ np.ones((50, 2)), False),
    "running sum": (lambda x: np.cumsum(x, axis=0), False),
    "sorted in a row": (sd.vmap(np.sort), True),
    "gathered from rows": (lambda x: x[np.argsort(x[:, 0])], False),
    "a loop in each row": (
        sd.vmap(lambda x: sd.while_loop(lambda v: v[0] < 9.0, lambda v: v * 2.0, x)),
        True,
    ),
    "a loop over all": (
        lambda x: sd.while_loop(lambda v: v[0, 0] < 9.0, lambda v: v * 2.0, x),
        False,
    ),
    "first row": (lambda x: x - x[0], False),
}


@pytest.mark.parametrize("name", ROWS)
def test_which_rows_are_independent(name):
    f, are_apart = ROWS[name]
    x = np.random.default_rng(0).uniform(0.5, 2.0, (50, 3))
    program = sd.jit(f).program(x)
    assert (independent_rows(program) is not None) == are_apart
    if are_apart:
        whole = np.asarray(sd.jit(f)(x))
        np.testing.assert_array_equal(whole[10:20], sd.jit(f)(x[10:20]))


def test_rows_that_are_gathered_from_what_is_shared():
    f = sd.vmap(gathered, in_axes=(0, 0, None))
    x, k, table = np.arange(50.0), np.arange(50) % 7, np.linspace(1.0, 2.0, 7)
    assert independent_rows(f.program(x, k, table)) is not None
    assert independent_rows(sd.jit(lambda x, k: x[k]).program(x, k)) is None


def descent(w, x, n):
    for _ in range(n):
        w = w - 0.01 * x.T @ np.tanh(x @ w)
    return w


@pytest.mark.parametrize(("n", "by_all"), [(8, False), (256, True)])
def test_one_block_or_all_of_them(n, by_all, monkeypatch):
    """Steps of little work are not worth the time that blocks take to wait for each other."""
    monkeypatch.setattr(backend, "is_simulated", lambda: False)
    monkeypatch.setattr(backend, "require_device", lambda: None)
    w, x = np.zeros((n, n)), np.zeros((2 * n, n))
    kernel = CudaKernel(sd.jit(descent).program(w, x, 3))
    launcher = kernel._launcher(kernel.program.sizes_of([w, x, np.int64(3)]))
    assert evaluate(launcher.module.waits, {}) > 0
    assert ("grid.sync" in launcher.module.text) == by_all
    sizes = dict.fromkeys(launcher.module.sizes, 2 * n)
    assert launcher.nanoseconds(sizes, 1, 0.0) >= 10.0 * n**3
    assert launcher.nanoseconds(sizes, 1 << 20, 7.0) >= 7.0 * evaluate(launcher.module.waits, {})
