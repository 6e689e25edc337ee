import numpy as np
import pytest

import symdiff.eager as tfe

T, layers, losses = tfe.constant, tfe.layers, tfe.losses


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


def test_names_of_activations_and_initializers():
    layer = layers.Dense(3, "relu", kernel_initializer="ones", bias_initializer="ones")
    assert layer([[-5.0, 1.0], [1.0, 1.0]]).numpy().tolist() == [[0] * 3, [3] * 3]
    with pytest.raises(ValueError, match="no activation 'swoosh'; there are elu, "):
        layers.Dense(3, "swoosh")
    with pytest.raises(ValueError, match="no initializer 'two'; there are zeros, "):
        layers.Dense(3, kernel_initializer="two")


def test_dense_is_glorot_uniform_by_default():
    tfe.set_random_seed(4)
    layer = layers.Dense(50)
    layer(tfe.ones([1, 70]))
    limit = np.sqrt(6 / 120)
    assert 0.98 * limit < np.abs(layer.kernel.numpy()).max() <= limit
    assert not layer.bias.numpy().any()


def test_rows_of_an_embedding():
    layer = layers.Embedding(4, 2, embeddings_initializer="ones")
    assert layer([[1, 0], [3, 3]]).shape == (2, 2, 2)
    (table,) = layer.variables
    table.assign([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5]])
    assert layer(2).numpy().tolist() == [2, 2.5]
    f = tfe.implicit_gradients(lambda m, i: m(i))
    for bad in ([4], [-1]):
        with pytest.raises(IndexError):
            layer(bad)
        f(layer, T([0]))
        with pytest.raises(IndexError):
            f(layer, T(bad))
    with pytest.raises(TypeError, match="integers"):
        layer([1.0])


def test_rows_that_repeat_are_summed_before_the_update():
    layer = layers.Embedding(3, 1, "zeros")
    loss = tfe.implicit_gradients(lambda m, i, w: tfe.reduce_sum(m(i)[:, 0] * w))
    pairs = loss(layer, T([1, 1, 0]), T([1.0, 2.0, 4.0]))
    assert pairs[0][0].numpy().tolist() == [[4], [3], [0]]
    tfe.train.AdagradOptimizer(1.0, 1.0).apply_gradients(pairs)
    expected = [-4 / np.sqrt(17), -3 / np.sqrt(10), 0]
    assert np.allclose(layer.embeddings.numpy()[:, 0], expected, rtol=1e-6)


def test_an_embedding_learns_with_layers_behind_it():
    tfe.set_random_seed(0)
    model = layers.Sequential([layers.Embedding(5, 3), layers.Flatten()])
    model.add(layers.Dense(2))
    x, y = T([[0, 1], [2, 3], [4, 0], [3, 1]]), T([0, 1, 1, 0])
    step = tfe.implicit_value_and_gradients(lambda m: losses.sparse_softmax_cross_entropy(y, m(x)))
    optimizer = tfe.train.AdamOptimizer(0.1)
    for _ in range(60):
        loss, pairs = step(model)
        optimizer.apply_gradients(pairs)
    assert float(loss) < 0.05
