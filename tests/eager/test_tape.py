import contextlib

import numpy as np
import pytest

import symdiff.eager as tfe
from symdiff.eager import devices, replay

T, V = tfe.constant, tfe.Variable


def test_a_persistent_tape():
    x = T(3.0)
    with tfe.GradientTape(persistent=True) as t:
        t.watch(x)
        y = x * x
        z = y * y
    assert t.gradient(z, x).numpy() == 108
    assert t.gradient(y, x).numpy() == 6
    assert t.gradient(z, y).numpy() == 18
    assert [float(g) for g in t.gradient(z, [x, y])] == [108, 18]
    assert not devices.BUSY


def test_a_tape_is_used_once():
    x = T(3.0)
    with tfe.GradientTape() as t:
        t.watch(x)
        y = x * x
    assert t.gradient(y, {"a": x, "b": [T(1.0)]})["b"] == [None]
    with pytest.raises(RuntimeError, match="persistent"):
        t.gradient(y, x)


def test_watch_after_use():
    x = T(3.0)
    with tfe.GradientTape() as t:
        y = x * x
        t.watch(x)
    assert t.gradient(y, x) is None


def test_variables_are_watched_on_read():
    v, fixed = V(2.0), V(5.0, trainable=False)
    with tfe.GradientTape() as t:
        y = v * v * fixed + v
    assert t.watched_variables() == (v,)
    assert t.gradient(y, v).numpy() == 21


def test_weights_zeros_and_structures():
    x, other = T([1.0, 2.0]), T([1.0])
    with tfe.GradientTape(persistent=True) as t:
        t.watch([x, other])
        y = x * x
    assert t.gradient(y, x, output_gradients=[T([10.0, 100.0])]).numpy().tolist() == [20, 400]
    assert t.gradient(y, other, unconnected_gradients="zero").numpy().tolist() == [0]
    assert t.gradient(y, (x, other))[1] is None


def test_tapes_nest():
    x = T(3.0)
    with tfe.GradientTape() as outer:
        outer.watch(x)
        with tfe.GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        slope = inner.gradient(y, x)
    assert slope.numpy() == 27
    assert outer.gradient(slope, x).numpy() == 18


def test_the_same_operations_share_a_kernel():
    before = len(replay._known)
    for n in range(3):
        x = T(np.full(4, n + 1.0))
        with tfe.GradientTape() as t:
            t.watch(x)
            y = tfe.reduce_sum(tfe.tanh(x) * x[1:2])
        assert t.gradient(y, x).shape == (4,)
    assert len(replay._known) == before + 1


def test_stop_recording_and_a_tape_in_a_function():
    def f(x):
        with tfe.GradientTape() as t:
            t.watch(x)
            y = x * x
        return t.gradient(y, x) * x

    assert float(tfe.gradients_function(f)(3.0)[0]) == 12
    x = T(2.0)
    with tfe.GradientTape() as t:
        t.watch(x)
        t.stop_recording()
        y = x * x
    assert t.gradient(y, x) is None


def test_copies_between_devices_are_differentiated(gpu):
    x = T(3.0)
    with tfe.GradientTape() as t:
        t.watch(x)
        y = x.gpu(0) * 2.0
    assert float(t.gradient(y, x)) == 2


def test_functions_that_are_differentiated_are_operations_of_a_tape():
    cube = tfe.value_and_gradients_function(lambda x: x**3)
    x = T(2.0)
    with tfe.GradientTape(persistent=True) as t:
        t.watch(x)
        value, (slope,) = cube(x * 1.0)
        total = value * slope
    assert float(t.gradient(slope, x)) == 12
    assert float(t.gradient(value, x)) == 12
    assert float(t.gradient(total, x)) == 12 * 12 + 8 * 12


def test_variables_that_a_differentiated_function_reads_are_watched():
    v, x = V(3.0), T(2.0)
    by_argument = tfe.gradients_function(lambda x: v * x * x)
    by_variable = tfe.implicit_gradients(lambda: v * v * v)
    with tfe.GradientTape(persistent=True) as t:
        (slope,) = by_argument(x)
        [(bend, _)] = by_variable()
        total = slope * v + bend
    assert float(t.gradient(slope, v)) == 4
    assert float(t.gradient(bend, v)) == 18
    assert float(t.gradient(total, v)) == 2 * 2 * 2 * 3 + 18


def test_reset_forgets():
    x = T(3.0)
    with tfe.GradientTape(persistent=True) as t:
        t.watch(x)
        y = x * x
        t.reset()
        t.watch(x)
        z = x * x * x
    assert t.gradient(y, x) is None
    assert float(t.gradient(z, x)) == 27


def test_recording_goes_on_behind_a_pause():
    x = T(3.0)
    with tfe.GradientTape() as t:
        t.watch(x)
        with contextlib.suppress(KeyError), t.stop_recording():
            hidden = x * x
            raise KeyError
        y = hidden * x
    assert float(t.gradient(y, x)) == 9
    assert not devices.BUSY


def test_a_variable_that_is_assigned_to_between_reads():
    v = V(2.0)
    with tfe.GradientTape(persistent=True) as t:
        y = v * v
        v.assign_add(3.0)
        z = v * v
        v.assign(1.0)
        total = y * 10.0 + z * v
    assert float(t.gradient(y, v)) == 4
    assert float(t.gradient(z, v)) == 10
    assert float(t.gradient(total, v)) == 40 + 10 + 25
    assert t.watched_variables() == (v,)


def test_a_jacobian_has_the_axes_of_target_and_source():
    rng = np.random.default_rng(0)
    a, x = T(rng.normal(size=(2, 3))), T(rng.normal(size=(3, 4)))
    v, other = V(T(2.0, "float64")), T([1.0, 2.0])
    with tfe.GradientTape() as t:
        t.watch([a, x, other])
        y = tfe.matmul(a, x) * v
    found = t.jacobian(y, {"a": a, "rest": [x, v, (other,)]})
    by_a = np.einsum("ij,kl->ikjl", np.eye(2), 2 * x.numpy().T)
    by_x = np.einsum("ik,lm->ilkm", 2 * a.numpy(), np.eye(4))
    assert found["a"].shape == (2, 4, 2, 3)
    assert np.allclose(found["a"].numpy(), by_a, rtol=1e-14)
    assert np.allclose(found["rest"][0].numpy(), by_x, rtol=1e-14)
    assert np.allclose(found["rest"][1].numpy(), a.numpy() @ x.numpy(), rtol=1e-14)
    assert found["rest"][2] == (None,)
    with pytest.raises(RuntimeError, match="persistent"):
        t.jacobian(y, a)


def test_jacobians_of_numbers_of_nothing_and_zeros():
    x, other = T([1.0, 2.0]), T([[1.0]])
    with tfe.GradientTape(persistent=True) as t:
        t.watch([x, other])
        y = tfe.reduce_sum(x * x)
        z = x[:0] * 2.0
    assert t.jacobian(y, x).numpy().tolist() == [2, 4]
    assert t.jacobian(z, x).shape == (0, 2)
    assert t.jacobian(x[:1] * 1.0, x) is None
    assert t.jacobian(y, other, unconnected_gradients="zero").shape == (1, 1)
    assert t.jacobian(z, other, unconnected_gradients="zero").shape == (0, 1, 1)
    with pytest.raises(ValueError, match="'none' or 'zero'"):
        t.jacobian(y, x, unconnected_gradients="nil")


def test_a_jacobian_of_a_gradient_is_a_hessian():
    x = T([1.0, 2.0])
    with tfe.GradientTape() as outer:
        outer.watch(x)
        with tfe.GradientTape() as inner:
            inner.watch(x)
            y = x[0] ** 2 * x[1]
        slope = inner.gradient(y, x)
    assert outer.jacobian(slope, x).numpy().tolist() == [[4, 2], [2, 0]]


def test_a_gradient_of_a_jacobian():
    x = T([1.0, 2.0])
    with tfe.GradientTape() as outer:
        outer.watch(x)
        with tfe.GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        slopes = inner.jacobian(y, x)
        total = tfe.reduce_sum(slopes)
    assert outer.gradient(total, x).numpy().tolist() == [6, 12]

    def f(x):
        with tfe.GradientTape() as t:
            t.watch(x)
            y = x * x * x
        return t.jacobian(y, x)

    assert tfe.gradients_function(f)(x)[0].numpy().tolist() == [6, 12]


def test_an_exception_ends_the_recording():
    x = T(3.0)
    tape = tfe.GradientTape()
    with contextlib.suppress(KeyError), tape:
        tape.watch(x)
        y = x * x
        raise KeyError
    assert not devices.BUSY
    z = y * x
    assert tape.gradient([y, z], x).numpy() == 6


def test_a_tape_is_stable_where_its_operations_overflow():
    x = T(100.0)
    with tfe.GradientTape() as t:
        t.watch(x)
        y = tfe.log(1 + tfe.exp(x))
    assert t.gradient(y, x).numpy() == 1
