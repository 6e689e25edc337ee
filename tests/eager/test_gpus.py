"""GPUs by CuPy: on a stand-in for CuPy, with kernels in numba's simulator."""

import operator
import pickle
import sys
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import symdiff as sd
import symdiff.eager as tfe
from symdiff.eager import devices
from symdiff.eager.gpus import CudaGpu, find_gpus
from symdiff.errors import UnsupportedOperationError

T = tfe.constant


# finding them


def test_without_cupy_there_are_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert find_gpus().gpus == []
    monkeypatch.setattr(devices, "_why_no_other", None)
    with pytest.raises(sd.DeviceError, match=r"/cpu:0 .*symdiff-jit\[cuda\]"):
        tfe.device("/gpu:0")
    assert tfe.list_devices() == ["/cpu:0"]


def test_without_a_driver_there_are_none(cupy, monkeypatch):
    def fail():
        raise RuntimeError("cudaErrorInsufficientDriver")

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", fail)
    found = find_gpus()
    assert found.gpus == []
    assert "cudaErrorInsufficientDriver" in found.reason
    assert "symdiff-jit[cuda]" in found.reason


def test_they_are_found_when_somebody_asks(cupy, monkeypatch, fresh_options):
    monkeypatch.setattr(devices, "_devices", {"/cpu:0": devices.CPU})
    monkeypatch.setattr(devices, "_why_no_other", None)
    tfe.device("/cpu:0")
    T(1.0).cpu()
    assert len(devices._devices) == 1
    assert tfe.list_devices() == ["/cpu:0", "/gpu:0", "/gpu:1"]
    assert tfe.num_gpus() == 2
    with pytest.raises(sd.DeviceError, match="the driver knows of no others"):
        T(1.0).gpu(2)


def test_where_kernels_are_simulated_cupy_gets_none(cupy):
    assert not CudaGpu(0, cupy).has_kernels


# operations


def test_scopes_and_copies(gpus, cupy):
    with tfe.device("gpu:1"):
        x = T([1.0, 2.0])
    assert (x.device, x.data.device.id) == ("/gpu:1", 1)
    assert T(1.0).device == "/cpu:0"
    before = tfe.copies()
    y = x.gpu(0)
    assert (y.device, y.data.device.id, tfe.copies() - before) == ("/gpu:0", 0, 1)
    assert cupy.counts["between"] == 1
    assert cupy.counts["to_host"] == 0
    z = x + y  # on the device of the first
    assert (z.device, tfe.copies() - before) == ("/gpu:1", 2)
    assert (T([1.0, 1.0]) * y).device == "/gpu:0"
    assert tfe.copies() - before == 3
    assert z.cpu().numpy().tolist() == [2, 4]
    assert cupy.current.number == 0


def test_a_copy_of_what_is_not_contiguous(gpus):
    x = T([[1.0, 2.0], [3.0, 4.0]]).gpu(0)
    y = tfe.transpose(x)
    assert not y.data.flags.c_contiguous
    assert y.gpu(1).numpy().tolist() == [[1, 3], [2, 4]]
    slope = tfe.gradients_function(lambda a: tfe.reduce_sum(a * a * y))(y)[0]
    assert slope.numpy().tolist() == [[2, 18], [8, 32]]


def test_values(gpus):
    x = T(1.5).gpu(0)
    assert type(x.numpy()) is np.float32
    assert (float(x), int(x), bool(x > 1), f"{x:.2f}") == (1.5, 1, True, "1.50")
    assert repr(x) == "<Tensor shape=() dtype=float32 numpy=1.5>"
    assert [float(v) for v in T([1.0, 2.0]).gpu(1)] == [1, 2]
    assert np.asarray(T([1.0]).gpu(1)).tolist() == [1]
    again = pickle.loads(pickle.dumps(T([1.0, 2.0]).gpu(1)))  # noqa: S301 - made here
    assert again.device == "/cpu:0"
    assert again.numpy().tolist() == [1, 2]
    for empty in (tfe.zeros([0, 2]).gpu(0), tfe.reduce_sum(tfe.zeros([0, 2]).gpu(0), 0)):
        assert empty.numpy().sum() == 0


def test_explicit_copies(gpus, fresh_options):
    tfe.enable_eager_execution(device_policy="explicit")
    x, y = T(3.0), T(2.0).gpu(0)
    for refused in [
        lambda: x + y,
        lambda: y + x.gpu(1),
        lambda: tfe.gradients_function(lambda a, b: a * b)(x, y),
        lambda: tfe.Variable(y).assign(x),
        lambda: np.spacing(y),
    ]:
        with pytest.raises(sd.DeviceError, match="device_policy='silent'"):
            refused()
    v = tfe.Variable(y)
    v.assign_add(1.0)
    with pytest.raises(sd.DeviceError, match="device_policy='silent'"):
        tfe.implicit_gradients(lambda x: v * x)(x)
    assert float(tfe.gradients_function(lambda a: a * a)(y)[0]) == 4
    assert float(tfe.implicit_gradients(lambda x: v * x)(y)[0][0]) == 2


WHOLE = [7, -7, 7, -7, 0, -1]
BY = [3, 3, -3, -3, 5, 5]
FLOATS = [1.0, 5.0, -5.0, 5.0, -5.0, 0.0, np.inf, 7.0, -7.0, -0.0, 1e17, 0.3, np.nan]
DIVISORS = [0.1, np.inf, np.inf, 0.0, 0.0, 0.0, 2.0, -3.0, 3.0, 3.0, 3.0, -0.1, 1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("operation", [operator.floordiv, operator.mod, operator.truediv])
def test_division_of_floats_is_numpys(gpus, operation, dtype):
    a, b = np.array(FLOATS, dtype), np.array(DIVISORS, dtype)
    with np.errstate(all="ignore"):
        want = operation(a, b)
        number = operation(a, a.dtype.type(0.7)), operation(a.dtype.type(0.7), b)
    found = operation(T(a).gpu(0), T(b).gpu(0)).numpy()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(want))
    assert operation(T(a).gpu(0), 0.7).numpy().tolist() == pytest.approx(
        number[0].tolist(), nan_ok=True, rel=1e-6
    )
    np.testing.assert_array_equal(operation(0.7, T(b).gpu(0)).numpy(), number[1])


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_division_of_whole_numbers(gpus, dtype):
    a, b = np.array(WHOLE, dtype), np.array(BY, dtype)
    for operation in (operator.floordiv, operator.mod, operator.truediv):
        found = operation(T(a).gpu(0), T(b).gpu(0))
        want = operation(T(a), T(b))
        assert (found.device, found.dtype) == ("/gpu:0", want.dtype)
        assert found.numpy().tolist() == want.numpy().tolist()
        with pytest.raises(ZeroDivisionError):
            (operator.mod if operation is operator.truediv else operation)(
                T(a).gpu(0), T(b * 0).gpu(0)
            )
    with pytest.raises(ValueError, match="negative integer power"):
        T(a).gpu(0) ** T(-abs(b)).gpu(0)
    with pytest.raises(ZeroDivisionError):
        T(a).gpu(0) // 0


def test_errors_are_those_of_the_cpu(gpus):
    x = T([1.0, 2.0, 3.0]).gpu(0)
    n = T([0, 2]).gpu(0)
    for call, error in [
        (lambda: x + T([1.0, 2.0]).gpu(0), "do not broadcast together: "),
        (lambda: x + n, "float32 and int32"),
        (lambda: tfe.gather(x, T([3]).gpu(0)), "out of bounds for an axis of length 3"),
        (lambda: tfe.gather(x, T([-4]).gpu(0)), "out of bounds"),
        (lambda: x[n + 1], "out of bounds"),
        (lambda: x[[0, 3]], "out of bounds"),
        (lambda: x[3], "index 3"),
        (lambda: x & x, "bool"),
        (lambda: tfe.losses.sparse_softmax_cross_entropy(n, tfe.ones([2, 2]).gpu(0)), "of bounds"),
    ]:
        with pytest.raises(Exception, match=error):
            call()


KEYS = [
    1,
    -1,
    (slice(None), 1),
    (..., None, slice(0, 2)),
    [1, 0],
    np.array([[1, -1]]),
    (np.array([0, 1]), np.array([2, -1])),
    (slice(None), np.array([True, False, True])),
    np.array([[True, False, True], [False, False, True]]),
    (np.array([True, True]), np.array([True, False, True])),
    (None, ..., [-1]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_keys(gpus, key):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    found = T(x).gpu(1)[key]
    assert found.device == "/gpu:1"
    assert found.numpy().tolist() == x[key].tolist()


def test_keys_of_tensors(gpus):
    x = T(np.arange(6.0).reshape(2, 3)).gpu(1)
    places, mask = T([2, -1]).gpu(1), T([True, False]).gpu(1)
    before = tfe.copies()
    assert x[:, places].numpy().tolist() == [[2, 2], [5, 5]]
    assert x[mask].numpy().tolist() == [[0, 1, 2]]
    assert x[mask, places[:1]].numpy().tolist() == [2]
    assert tfe.copies() == before


def test_functions_of_numpy(gpus):
    x = np.array([[1.0, 4.0], [-2.0, 0.5]], "float32")
    t = T(x).gpu(0)
    before = tfe.copies()
    for function in (np.sum, np.prod, np.max, np.min):
        for axis in (None, 0, 1):
            found = function(t, axis=axis)
            assert found.device == "/gpu:0"
            np.testing.assert_allclose(found.numpy(), function(x, axis=axis))
    assert bool(np.all(t > -3)) is True
    assert bool(np.any(t > 4)) is False
    assert np.add(t, 1).device == "/gpu:0"
    assert np.cbrt(t).numpy().tolist() == np.cbrt(x).tolist()
    assert tfe.copies() == before


def test_what_cupy_lacks_is_computed_on_the_host_and_counted(gpus):
    x = np.array([1.0, 4.0], "float32")
    before = tfe.copies()
    found = np.spacing(T(x).gpu(0))
    assert (found.device, tfe.copies() - before) == ("/gpu:0", 3)
    assert found.numpy().tolist() == np.spacing(x).tolist()
    found = np.maximum.accumulate(T(x).gpu(0))
    assert found.device == "/gpu:0"
    assert found.numpy().tolist() == [1, 4]


def test_operations_do_not_wait(gpus, cupy):
    x = T(np.arange(1.0, 7.0, dtype="float32").reshape(2, 3)).gpu(0)
    n = T([[1, 2, 3]]).gpu(0)
    before = dict(cupy.counts)
    for made in [
        *(x + x, x * 2.0, -x, x / x, x // x, x % x, x**2, x < 2.0, n // 2, n / n, n * n),
        *(tfe.exp(x), tfe.reduce_sum(x), tfe.reduce_mean(x, 0), tfe.argmax(x), tfe.softmax(x)),
        *(x @ tfe.transpose(x), x[0, 1:], tfe.where(x > 1, x, 0.0), tfe.concat([x, x], 0)),
        *(tfe.cast(x, "int32"), tfe.reshape(x, [-1]), tfe.sort(x), tfe.logical_not(x > 1)),
    ]:
        assert made.device == "/gpu:0"
    assert cupy.counts == before


def test_two_threads_on_two_devices(gpus):
    found = {}

    def work(name):
        with tfe.device(name):
            x = T([1.0, 2.0])
            for _ in range(200):
                x = x * 1.5 - x * 0.5
            found[name] = x.device, x.numpy().tolist()

    threads = [threading.Thread(target=work, args=(g.name,)) for g in gpus]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {g.name: (g.name, [1, 2]) for g in gpus}


# memory


def test_memory(gpus, cupy, fresh_options):
    assert tfe.memory_info("/gpu:0") == (0, 0, 2**20)
    x = tfe.zeros([1000]).gpu(0)
    assert tfe.memory_info("/gpu:0") == (4096, 0, 2**20)
    assert tfe.memory_info("/gpu:1").used == 0
    del x
    assert tfe.memory_info("gpu:0") == (0, 4096, 2**20)


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_too_much_is_refused_with_the_figures(gpus, fresh_options, fraction):
    config = tfe.ConfigProto()
    config.gpu_options.per_process_gpu_memory_fraction = fraction
    tfe.enable_eager_execution(config)
    x = tfe.zeros([2**16]).gpu(1)
    y = tfe.concat([x], 0)
    assert y.shape == x.shape
    with pytest.raises(MemoryError) as caught:
        tfe.concat([x, y, x], 0)
    shown = str(caught.value)
    assert "/gpu:1" in shown
    assert "per_process_gpu_memory_fraction" in shown
    assert f"of {2**20} are free" in shown
    assert ("limit set to: 524,288" in shown) == (fraction < 1)


def test_all_memory_may_be_taken_at_once(gpus, cupy, fresh_options, monkeypatch):
    monkeypatch.setattr("symdiff.eager.gpus.RESERVE", 2**18)
    config = tfe.ConfigProto(gpu_options=tfe.GPUOptions(False, 0.5))
    tfe.enable_eager_execution(config)
    assert cupy.arenas[0].taken == 0
    x = T(1.0).gpu(0)
    assert tfe.memory_info("/gpu:0") == (512, 2**19 - 512, 2**20)
    assert cupy.arenas[1].taken == 0
    del x


# random numbers


def test_random_numbers(gpus, cupy):
    def drawn():
        tfe.set_random_seed(5)
        made = []
        for name in ("/gpu:0", "/cpu:0", "/gpu:1", "/gpu:0"):
            with tfe.device(name):
                made += [tfe.random_normal([3], 1.0, 2.0), tfe.random_uniform([2], dtype="float64")]
        return made

    first, second = drawn(), drawn()
    for a, b in zip(first, second, strict=True):
        assert (a.device, a.dtype) == (b.device, b.dtype)
        assert a.numpy().tolist() == b.numpy().tolist()
    assert first[0].numpy().tolist() == first[4].numpy().tolist()  # two devices of one kind
    assert first[0].numpy().tolist() != first[6].numpy().tolist()
    with tfe.device("/gpu:0"):
        before = dict(cupy.counts)
        a, b = [tfe.random_normal(2, seed=3) for _ in range(2)]
        assert cupy.counts == before
    assert a.numpy().tolist() == b.numpy().tolist()
    with tfe.device("/gpu:1"):
        assert tfe.random_uniform([0, 2]).shape == (0, 2)


def test_random_numbers_in_compiled_functions(gpus):
    def noisy(x):
        return x * tfe.random_normal([2])

    slopes = tfe.gradients_function(noisy)
    with tfe.device("/gpu:1"):
        x = T([1.0, 2.0])
        tfe.set_random_seed(1)
        found = [slopes(x)[0].numpy().tolist() for _ in range(2)]
        tfe.set_random_seed(1)
        want = [tfe.random_normal([2]).numpy().tolist() for _ in range(2)]
    assert found == want


# compiled functions


def test_kernels_run_where_their_arguments_lie(gpus, cupy):
    slopes = tfe.value_and_gradients_function(lambda x, y: tfe.reduce_sum(tfe.sin(x) * y))
    x, y = np.array([1.0, 2.0], "float32"), np.array([3.0, 4.0], "float32")
    for place in ("/gpu:0", "/gpu:1", "/cpu:0", "/gpu:1"):
        with tfe.device(place):
            a, b = T(x), T(y)
        copies, counts = tfe.copies(), dict(cupy.counts)
        value, (by_a, by_b) = slopes(a, b)
        assert (value.device, by_a.device, by_b.device) == (place,) * 3
        assert (tfe.copies(), cupy.counts) == (copies, counts)
        np.testing.assert_allclose(by_a.numpy(), np.cos(x) * y, rtol=1e-6)
        np.testing.assert_allclose(by_b.numpy(), np.sin(x), rtol=1e-6)
        np.testing.assert_allclose(value.numpy(), np.sin(x) @ y, rtol=1e-6)


def test_memory_of_results_is_taken_over(gpus, cupy):
    x = T([1.0, 2.0]).gpu(1).data
    pointer = x.__cuda_array_interface__["data"]
    for result in (x, SimpleNamespace(__cuda_array_interface__=x.__cuda_array_interface__)):
        (found,) = gpus[1].launch(lambda _, y=result: (y,), [x])
        assert isinstance(found, cupy.ndarray)
        assert (found.device.id, found.__cuda_array_interface__["data"]) == (1, pointer)
    assert cupy.counts["waits"] == 0


def test_a_gradient_lies_where_its_source_does(gpus):
    x, y = T(3.0), T(2.0).gpu(1)
    for _ in range(2):
        a, b = tfe.gradients_function(lambda x, y: x * y)(x, y)
        assert (a.device, b.device) == ("/cpu:0", "/gpu:1")
        assert (float(a), float(b)) == (2, 3)
    slopes = tfe.gradients_function(lambda x, y: x * y)
    a, b = slopes(T(3.0).gpu(0), y)
    assert (a.device, b.device) == ("/gpu:0", "/gpu:1")


def test_the_short_way_knows_devices(gpus):
    slopes = tfe.gradients_function(lambda x: x * x)
    for x in (T(3.0), T(4.0).gpu(0), T(5.0).gpu(1), T(6.0)) * 2:
        found = slopes(x)[0]
        assert (found.device, float(found)) == (x.device, 2 * float(x))


def test_branches_and_higher_orders(gpus, cupy):
    with tfe.device("/gpu:0"):
        f = tfe.gradients_function(lambda x: x * x if x > 0.0 else -x)
        assert [float(f(T(v))[0]) for v in (3.0, -3.0, 2.0)] == [6, -1, 4]
        g = tfe.gradients_function(lambda x: tfe.gradients_function(lambda z: z**3)(x)[0])
        assert float(g(T(2.0))[0]) == 12
        assert g(T(2.0))[0].device == "/gpu:0"


def test_constants_from_elsewhere(gpus):
    w = T([2.0, 3.0]).gpu(1)
    slopes = tfe.gradients_function(lambda x: tfe.reduce_sum(x * w * x))
    for place in ("/gpu:0", "/cpu:0"):
        with tfe.device(place):
            found = slopes(T([1.0, 1.0]))[0]
        assert (found.device, found.numpy().tolist()) == (place, [4, 6])


def test_tapes(gpus):
    with tfe.device("/gpu:1"):
        x = T([1.0, 2.0])
        with tfe.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
            z = tfe.reduce_sum(y[1:] * y[:1]) + tfe.softplus(x)[0] * 0.0
        before = tfe.copies()
        a, b = tape.gradient(z, [x, y])
        assert tfe.copies() == before
        jacobian = tape.jacobian(y, x)
    assert (a.device, b.device, jacobian.device) == ("/gpu:1",) * 3
    assert a.numpy().tolist() == [8, 4]
    assert b.numpy().tolist() == [4, 1]
    assert jacobian.numpy().tolist() == [[2, 0], [0, 4]]


def test_tapes_around_gradients(gpus):
    with tfe.device("/gpu:0"):
        x = T(2.0)
        with tfe.GradientTape() as outer:
            outer.watch(x)
            with tfe.GradientTape() as inner:
                inner.watch(x)
                y = x * x * x
            slope = inner.gradient(y, x)
        assert (float(slope), float(outer.gradient(slope, x))) == (12, 12)


def test_custom_gradients(gpus):
    @tfe.custom_gradient
    def doubled(x):
        return 2.0 * x, lambda dy: dy * 5.0

    x = T(3.0).gpu(1)
    assert (doubled(x).device, float(doubled(x))) == ("/gpu:1", 6)
    found = tfe.gradients_function(doubled)(x)[0]
    assert (found.device, float(found)) == ("/gpu:1", 5)


def test_a_result_that_is_a_constant(gpus):
    @tfe.custom_gradient
    def one(x):
        return np.float32(1), lambda dy: dy

    found = one(T(3.0).gpu(1))
    assert (found.device, float(found)) == ("/gpu:1", 1)


def test_what_the_compiler_for_gpus_lacks_runs_on_the_cpu(gpus, monkeypatch):
    def refuse(function, values):
        raise UnsupportedOperationError("no such operation")

    x = T(3.0).gpu(1)
    monkeypatch.setattr(gpus[1], "launch", refuse)
    slopes = tfe.gradients_function(lambda x: x * x)
    before = tfe.copies()
    for _ in range(2):
        found = slopes(x)[0]
        assert (found.device, float(found)) == ("/gpu:1", 6)
    assert tfe.copies() > before
    with tfe.device("/gpu:1"):
        v = tfe.Variable(1.0)
        step = tfe.compile_step(lambda: v * v, tfe.train.GradientDescentOptimizer(0.25))
        assert [float(step()), float(step())] == [1, 0.25]
        assert step.run(steps=2).losses.tolist() == [0.0625, 0.015625]
    assert v.device == "/gpu:1"


def test_a_variable_is_not_assigned_to_in_a_function(gpus):
    v = tfe.Variable(T(1.0).gpu(0))
    with pytest.raises(UnsupportedOperationError, match="assigned to inside"):
        tfe.gradients_function(v.assign_add)(T(1.0).gpu(0))


# variables and optimizers

OPTIMIZERS = {
    "descent": lambda: tfe.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: tfe.train.MomentumOptimizer(0.1),
    "Nesterov": lambda: tfe.train.MomentumOptimizer(0.1, use_nesterov=True),
    "Adagrad": lambda: tfe.train.AdagradOptimizer(0.1),
    "RMSProp": lambda: tfe.train.RMSPropOptimizer(0.1, momentum=0.5),
    "Adam": lambda: tfe.train.AdamOptimizer(0.1),
}


def test_variables(gpus, cupy):
    with tfe.device("/gpu:1"):
        v = tfe.Variable([1.0, 2.0])
    old = v.value()
    v.assign_add([1.0, 1.0])
    v.assign_sub(T([0.5, 0.5]).gpu(1))
    assert v.device == "/gpu:1"
    assert v.numpy().tolist() == [1.5, 2.5]
    assert old.numpy().tolist() == [1, 2]
    v.assign(T([3.0, 4.0]))
    assert (v.device, (v * 2.0).device, v.gpu(0).device) == ("/gpu:1", "/gpu:1", "/gpu:0")
    assert "3." in repr(v)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_made_where_variables_lie(gpus, cupy, name, tmp_path):
    x = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")

    def trained(place):
        optimizer = OPTIMIZERS[name]()
        with tfe.device(place):
            v = tfe.Variable([1.0, 2.0])
            data = T(x)
            step = tfe.implicit_gradients(lambda x: tfe.reduce_sum((x @ v[:, None]) ** 2.0))
            copies = tfe.copies()
            for _ in range(3):
                optimizer.apply_gradients(step(data))
            assert tfe.copies() == copies
        return v, optimizer, step, data

    (v, optimizer, step, data), (want, *_) = trained("/gpu:1"), trained("/cpu:0")
    assert v.device == "/gpu:1"
    np.testing.assert_allclose(v.numpy(), want.numpy(), rtol=1e-5)
    for slot in optimizer.slots(v):
        assert type(slot) is int or slot.device.id == 1

    path = tfe.Checkpoint(v=v, optimizer=optimizer).save(tmp_path / "state")
    with tfe.device("/gpu:1"):
        optimizer.apply_gradients(step(data))
        after = v.numpy()
        tfe.Checkpoint(v=v, optimizer=optimizer).restore(path)
        optimizer.apply_gradients(step(data))
    assert v.device == "/gpu:1"
    assert v.numpy().tolist() == after.tolist()


# compiled loops


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_steps_are_those_as_written(gpus, cupy, name):
    def made(place):
        with tfe.device(place):
            v, b = tfe.Variable([1.0, 2.0]), tfe.Variable(0.5)
            x = T([[1.0, -2.0], [0.5, 3.0]])

        def loss(x):
            return tfe.reduce_sum((x @ v[:, None] + b) ** 2.0)

        return loss, x, (v, b), OPTIMIZERS[name]()

    loss, x, variables, optimizer = made("/gpu:1")
    step = tfe.compile_step(loss, optimizer)
    copies, counts = tfe.copies(), dict(cupy.counts)
    first, second = step(x), step(x)
    assert (first.device, second.device, tfe.copies()) == ("/gpu:1", "/gpu:1", copies)
    assert cupy.counts["from_host"] == counts["from_host"]
    result = step.run(x, steps=2)
    assert result.success

    loss, x, want, optimizer = made("/cpu:0")
    gradients = tfe.implicit_value_and_gradients(loss)
    losses = []
    for _ in range(4):
        value, pairs = gradients(x)
        losses.append(float(value))
        optimizer.apply_gradients(pairs)
    np.testing.assert_allclose([first.numpy(), second.numpy(), *result.losses], losses, rtol=1e-4)
    for v, w in zip(variables, want, strict=True):
        assert v.device == "/gpu:1"
        np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=1e-4)


@pytest.mark.parametrize("data_on", ["/gpu:0", "/cpu:0"])
def test_fit(gpus, data_on):
    x = np.linspace(-1, 1, 5, dtype=np.float32)

    def fitted(place, data_on):
        with tfe.device(place):
            w, b = tfe.Variable(0.0), tfe.Variable(0.0)
        with tfe.device(data_on):
            data = T(x), T(3 * x + 1)

        def loss(x, y):
            return tfe.reduce_mean(tfe.square(w * x + b - y))

        optimizer = tfe.train.AdamOptimizer(0.05)
        copies = tfe.copies()
        result = tfe.fit(loss, optimizer, data, batch_size=2, epochs=2, seed=3)
        return result, w, b, tfe.copies() - copies

    found, w, b, copies = fitted("/gpu:0", data_on)
    want, w2, b2, _ = fitted("/cpu:0", "/cpu:0")
    assert (w.device, found.n_steps) == ("/gpu:0", 6)
    assert copies == (0 if data_on == "/gpu:0" else 2)  # the data, once
    np.testing.assert_allclose(found.losses, want.losses, rtol=1e-4)
    np.testing.assert_allclose([float(w), float(b)], [float(w2), float(b2)], rtol=1e-4)


def test_fit_with_batches_of_a_dataset(gpus):
    with tfe.device("/gpu:1"):
        w = tfe.Variable(0.0)
        rows = tfe.data.Dataset.from_tensor_slices(T([1.0, 2.0, 3.0])).batch(2)
        result = tfe.fit(
            lambda x: tfe.reduce_mean((w - x) ** 2.0),
            tfe.train.GradientDescentOptimizer(0.1),
            rows,
        )
    np.testing.assert_allclose(result.losses, [2.5, 7.29])
    assert w.device == "/gpu:1"


def test_a_step_whose_loss_is_not_finite_is_not_made(gpus):
    with tfe.device("/gpu:0"):
        v = tfe.Variable(1.0)
        step = tfe.compile_step(lambda x: v * x, tfe.train.GradientDescentOptimizer(0.25))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert not np.isfinite(float(step(T(np.float32(np.inf)))))
    assert float(v) == 1
