import copy
import operator

import numpy as np
import pytest

import symdiff as sd
import symdiff.eager as tfe
from symdiff.eager.differentiated import Call, Differentiated
from symdiff.eager.structures import flatten

T, V = tfe.constant, tfe.Variable


def test_assignments():
    v = V([1.0, 2.0])
    before = v.value()
    v.assign([3.0, 4.0])
    v.assign_add([1.0, 1.0])
    v.assign_sub(T([0.0, 5.0]))
    assert v.numpy().tolist() == [4, 0]
    assert before.numpy().tolist() == [1, 2]
    assert (v.dtype, v.shape, v.device) == ("float32", (2,), "/cpu:0")
    assert (2 * v + v[0]).numpy().tolist() == [12, 4]
    assert repr(V(1.0, name="w")) == "<Variable w shape=() dtype=float32 numpy=1.0>"


def test_what_does_not_fit_is_refused():
    v = V([1.0, 2.0])
    with pytest.raises(ValueError, match=r"\(3,\) for a variable of shape \(2,\)"):
        v.assign([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="int32"):
        v.assign([1, 2])
    with pytest.raises(TypeError, match="assign_add"):
        v += 1.0
    assert V(1.0, dtype="float64").dtype == "float64"


def test_implicit_gradients():
    v0, v1 = V(1.0), V(2.0)
    f = tfe.implicit_gradients(lambda: v1 * v1 + v0 * v0)
    (g0, u0), (g1, u1) = f()
    assert (u0 is v0, u1 is v1, float(g0), float(g1)) == (True, True, 2, 4)
    v1.assign(5.0)
    assert [float(g) for g, _ in f()] == [2, 10]


def test_read_but_unconnected_and_none_read():
    v = V(1.0)
    fixed = V(2.0, trainable=False)

    def reads(x):
        v.value()
        return T(1.0)

    assert tfe.implicit_gradients(reads)(1.0) == [(None, v)]
    with pytest.raises(ValueError, match="no trainable variable"):
        tfe.implicit_gradients(lambda: fixed * 1.0)()


def test_values_arguments_and_sizes():
    w = V(np.ones((3, 1), np.float32))

    def loss(x, y):
        return tfe.reduce_sum(tfe.square(tfe.matmul(x, w) - y))

    f = tfe.implicit_value_and_gradients(loss)
    for n in (2, 5, 3, 1):
        value, [(gradient, _)] = f(tfe.ones([n, 3]), tfe.zeros([n, 1]))
        assert float(value) == 9 * n
        assert gradient.numpy().tolist() == [[6.0 * n]] * 3


def test_variables_made_in_the_first_call_count():
    class Model:
        w = None

        def __call__(self, x):
            if self.w is None:
                self.w = V(2.0)
            return self.w * x

    model = Model()
    f = tfe.implicit_value_and_gradients(lambda model, x: model(x) * model(x))
    for _ in range(2):
        value, [(gradient, variable)] = f(model, T(3.0))
        assert (float(value), float(gradient), variable is model.w) == (36, 36, True)


def test_branches_on_variables():
    v = V(1.0)
    f = tfe.implicit_gradients(lambda: v * v if v > 0 else -v)
    assert float(f()[0][0]) == 2
    v.assign(-3.0)
    assert float(f()[0][0]) == -1


def test_variables_in_functions_of_functions():
    v = V(3.0)
    inner = tfe.gradients_function(lambda x: v * x * x)
    outer = tfe.implicit_gradients(lambda x: inner(x)[0] * v)
    assert [float(g) for g, _ in outer(2.0)] == [24]
    nested = tfe.implicit_gradients(lambda x: tfe.implicit_gradients(lambda: v**3 * x)()[0][0])
    assert [float(g) for g, _ in nested(T(2.0))] == [36]


def test_assignment_inside_is_refused():
    v = V(1.0)

    def f(x):
        v.assign(x)
        return v * x

    with pytest.raises(sd.UnsupportedOperationError, match="outside"):
        tfe.implicit_gradients(f)(T(1.0))


def test_a_variable_made_of_random_numbers_in_the_first_call():
    made = []

    def f(x):
        if not made:
            made.append(V(tfe.random_normal([])))
        return made[0] * x

    call = tfe.implicit_value_and_gradients(f)
    values = {float(call(T(2.0))[0]) for _ in range(3)}
    assert values == {2 * float(made[0])}


def test_a_copy_is_another_variable():
    v = V([1.0], name="w")
    u = copy.deepcopy(v)
    u.assign([2.0])
    assert (u.name, u.number != v.number, v.numpy()[0], u.numpy()[0]) == ("w", True, 1, 2)
    assert copy.deepcopy(v.value()).device == "/cpu:0"
    assert (copy.deepcopy(v.value()) + v.value()).numpy() == [2]


def test_batches_of_a_model_share_a_kernel():
    model = tfe.layers.Sequential([tfe.layers.Flatten(), tfe.layers.Dense(2)])
    f = Differentiated(lambda x: tfe.losses.mean_squared_error(tfe.zeros_like(model(x)), model(x)))
    for n in (7, 3, 5):
        leaves, tree = flatten(((tfe.ones([n, 3]),), {}))
        f(Call(tree, leaves, None))
    assert f.n_paths == 1


def test_an_optional_argument_by_name():
    v = V(2.0)
    f = tfe.implicit_value_and_gradients(lambda x, scale=1.0: v * x * scale)
    value, [(slope, _)] = f(T(3.0), scale=T(5.0))
    assert (float(value), float(slope)) == (30, 15)
    assert float(f(T(3.0))[0]) == 6


def test_assignments_that_do_not_fit_are_refused_whatever_they_are():
    v = V([1.0, 2.0])
    for change in (v.assign, v.assign_add, v.assign_sub):
        with pytest.raises(ValueError, match="shape"):
            change([1.0])
        with pytest.raises(TypeError, match="float64"):
            change(np.ones(2))
    for change in (operator.isub, operator.imul, operator.itruediv):
        with pytest.raises(TypeError, match="assign"):
            change(v, 1.0)
    assert v.numpy().tolist() == [1, 2]


def test_layers_that_are_built_in_the_first_call_count_in_it():
    model = tfe.layers.Sequential([tfe.layers.Dense(4, tfe.relu), tfe.layers.Dense(1)])
    f = tfe.implicit_gradients(lambda m, x: tfe.reduce_sum(m(x)))
    pairs = f(model, tfe.ones([2, 3]))
    assert [v for _, v in pairs] == model.variables
    assert [g.shape for g, _ in pairs] == [(3, 4), (4,), (4, 1), (1,)]
