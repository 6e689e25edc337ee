import numpy as np
import pytest

import symdiff.eager as tfe

layers = tfe.layers


def by_loops(x, size, strides, padding, reduce):
    counts = [
        -(-x.shape[a + 1] // strides[a])
        if padding == "same"
        else (x.shape[a + 1] - size[a]) // strides[a] + 1
        for a in (0, 1)
    ]
    before = [
        max((counts[a] - 1) * strides[a] + size[a] - x.shape[a + 1], 0) // 2
        if padding == "same"
        else 0
        for a in (0, 1)
    ]
    y = np.zeros((len(x), *counts, x.shape[3]))
    for n, i, j, c in np.ndindex(y.shape):
        top, left = i * strides[0] - before[0], j * strides[1] - before[1]
        window = x[n, max(top, 0) : top + size[0], max(left, 0) : left + size[1], c]
        y[n, i, j, c] = reduce(window)
    return y


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("size", "strides"), [((2, 2), None), ((3, 2), (1, 2)), ((2, 3), (3, 1)), ((1, 1), None)]
)
@pytest.mark.parametrize(
    ("kind", "reduce"), [(layers.MaxPooling2D, np.max), (layers.AveragePooling2D, np.mean)]
)
def test_against_loops(kind, reduce, size, strides, padding):
    x = np.random.default_rng(0).normal(size=(2, 7, 5, 1)) - 3
    layer = kind(size, strides, padding)
    expected = by_loops(x, size, strides or size, padding, reduce)
    assert np.allclose(layer(x).numpy(), expected, rtol=1e-13)
    value, (slope,) = tfe.value_and_gradients_function(layer)(x)
    assert np.allclose(value.numpy(), expected, rtol=1e-13)
    step = 1e-6 * np.cos(np.arange(x.size)).reshape(x.shape)
    change = by_loops(x + step, size, strides or size, padding, reduce)
    change -= by_loops(x - step, size, strides or size, padding, reduce)
    assert np.sum(slope.numpy() * step) * 2 == pytest.approx(change.sum(), rel=1e-7)


def test_equal_elements_share_the_derivative():
    (slope,) = tfe.gradients_function(layers.MaxPooling2D(2))(tfe.zeros([1, 2, 2, 1]))
    assert slope.numpy().ravel().tolist() == [0.25] * 4


def test_whole_numbers_and_what_does_not_fit():
    x = -tfe.ones([1, 3, 3, 1], "int32")
    assert layers.MaxPooling2D(2, padding="same")(x).numpy().ravel().tolist() == [-1] * 4
    with pytest.raises(ValueError, match="MaxPooling2D: windows"):
        layers.MaxPooling2D(4)(x)
    with pytest.raises(ValueError, match="pool_size"):
        layers.MaxPooling2D(0)
