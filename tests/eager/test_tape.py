import numpy as np
import pytest

import symdiff.eager as tfe
from symdiff.eager import devices, tape

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
    before = len(tape._known)
    for n in range(3):
        x = T(np.full(4, n + 1.0))
        with tfe.GradientTape() as t:
            t.watch(x)
            y = tfe.reduce_sum(tfe.tanh(x) * x[1:2])
        assert t.gradient(y, x).shape == (4,)
    assert len(tape._known) == before + 1


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
