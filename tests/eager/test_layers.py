import numpy as np
import pytest

import symdiff.eager as tfe

layers, losses = tfe.layers, tfe.losses


def test_dense_keeps_its_width_and_contracts_the_last_axis():
    layer = layers.Dense(2, tfe.relu, use_bias=False)
    assert layer.variables == []
    assert layer(tfe.ones([4, 5, 3])).shape == (4, 5, 2)
    assert layer.kernel.shape == (3, 2)
    with pytest.raises(ValueError, match="length 3, not 4"):
        layer(tfe.ones([5, 4]))


def test_glorot():
    tfe.set_random_seed(0)
    x = layers.glorot_uniform((100, 200)).numpy()
    assert 0.98 * np.sqrt(6 / 300) < np.abs(x).max() <= np.sqrt(6 / 300)


def test_a_model_learns():
    tfe.set_random_seed(1)
    model = layers.Sequential([layers.Flatten(), layers.Dense(8, tfe.tanh), layers.Dense(1)])
    x = tfe.random_uniform([32, 1, 2], -1.0, 1.0)
    y = x[:, 0, :1] * x[:, 0, 1:]
    step = tfe.implicit_value_and_gradients(lambda m: losses.mean_squared_error(y, m(x)))
    optimizer = tfe.train.AdamOptimizer(0.03)
    first, _ = step(model)
    for _ in range(300):
        loss, pairs = step(model)
        optimizer.apply_gradients(pairs)
    assert float(loss) < 0.05 * float(first)
    assert [v.shape for _, v in pairs] == [(2, 8), (8,), (8, 1), (1,)]


def test_weights_of_losses():
    y, p = [[1.0, 2.0], [3.0, 4.0]], [[2.0, 2.0], [3.0, 7.0]]
    assert float(losses.mean_squared_error(y, p)) == 2.5
    assert float(losses.mean_squared_error(y, p, [[1.0], [0.0]])) == 0.5
    assert float(losses.mean_squared_error(y, p, [[0.0, 1.0], [0.0, 2.0]])) == 9.0
    assert float(losses.mean_squared_error(y, p, [[0.0], [0.0]])) == 0.0
    assert float(losses.absolute_difference(y, p)) == 1.0
    with pytest.raises(ValueError, match="labels have shape"):
        losses.mean_squared_error([1.0], [1.0, 2.0])


def test_cross_entropies_are_stable():
    big = tfe.constant([[1000.0, 0.0]])
    f = tfe.value_and_gradients_function(lambda z: losses.softmax_cross_entropy([[1.0, 0.0]], z))
    value, (slope,) = f(big)
    assert float(value) == 0
    assert slope.numpy().tolist() == [[0, 0]]
    g = tfe.value_and_gradients_function(lambda z: losses.sigmoid_cross_entropy([0.0, 1.0], z))
    value, (slope,) = g(tfe.constant([500.0, 500.0]))
    assert float(value) == 250
    assert slope.numpy().tolist() == [0.5, 0]
