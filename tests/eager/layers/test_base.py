import numpy as np
import pytest

import symdiff.eager as tfe

Layer, Model = tfe.layers.Layer, tfe.Model


class Scale(Layer):
    def __init__(self, trainable=True):
        self.trainable = trainable

    def build(self, input_shape):
        self.factor = self.add_variable("factor", input_shape[-1:], initializer="ones")
        self.count = self.add_variable("count", (), "int32", np.zeros, trainable=False)

    def call(self, x, times=1.0):
        return x * self.factor * times


def test_a_layer_is_built_once_for_what_it_is_first_given():
    layer = Scale()
    assert layer.variables == []
    assert layer(np.ones((2, 3)), times=2.0).numpy().tolist() == [[2] * 3] * 2
    assert (layer.factor.shape, layer.factor.dtype) == ((3,), "float64")
    factor = layer.factor
    layer(np.ones((5, 3)))
    assert layer.factor is factor
    assert layer.variables == [layer.factor, layer.count]
    assert layer.trainable_variables == [layer.factor]
    frozen = Scale(trainable=False)
    frozen([1.0])
    assert frozen.trainable_variables == []


def test_variables_are_found_in_attributes_lists_and_dicts_once():
    class Other:
        def __init__(self):
            self.variables = (tfe.Variable(1.0, name="other"),)

    class Net(Model):
        def __init__(self):
            self.head = Scale()
            self.more = [Scale(), {"a": tfe.Variable(2.0, name="a")}]
            self.again = self.head
            self.parent = self
            self.foreign = Other()
            self.text = "text"

        def call(self, x):
            return self.more[0](self.head(x)) * self.more[1]["a"]

    net = Net()
    net([1.0, 2.0])
    names = [v.name for v in net.variables]
    assert names == ["factor", "count", "factor", "count", "a", "other"]
    assert net.again.factor is net.variables[0]


def test_a_model_is_built_in_the_first_call_of_a_gradient():
    class Net(Model):
        def __init__(self):
            self.scales = [Scale(), Scale()]

        def call(self, x):
            for scale in self.scales:
                x = scale(x)
            return x

    net = Net()
    f = tfe.implicit_value_and_gradients(lambda net, x: tfe.reduce_sum(net(x)))
    value, pairs = f(net, tfe.constant([1.0, 2.0]))
    assert float(value) == 3
    assert [v for _, v in pairs] == net.trainable_variables
    assert [g.numpy().tolist() for g, _ in pairs] == [[1, 2], [1, 2]]


def test_a_layer_without_call_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="Layer needs a method call"):
        Layer()(1.0)
