import numpy as np
import pytest

import symdiff.eager as tfe
from symdiff.eager.differentiated import Call, Differentiated
from symdiff.eager.structures import flatten

T, Conv2D = tfe.constant, tfe.layers.Conv2D


def padded(x, size, strides, padding):
    """Put zeros around as TensorFlow documents it: half of them before, the odd one behind."""
    if padding == "valid":
        return x
    widths = []
    for length, k, s in zip(x.shape[1:3], size, strides, strict=True):
        left = k - s if length % s == 0 else k - length % s
        widths.append((max(left, 0) // 2, max(left, 0) - max(left, 0) // 2))
    return np.pad(x, ((0, 0), *widths, (0, 0)))


def by_loops(x, kernel, strides, padding):
    x = padded(x, kernel.shape[:2], strides, padding)
    size = [(x.shape[a + 1] - kernel.shape[a]) // strides[a] + 1 for a in (0, 1)]
    y = np.zeros((len(x), *size, kernel.shape[3]), x.dtype)
    for n, i, j, c in np.ndindex(y.shape):
        top, left = i * strides[0], j * strides[1]
        window = x[n, top : top + kernel.shape[0], left : left + kernel.shape[1]]
        y[n, i, j, c] = np.sum(window * kernel[..., c])
    return y


def gradients_by_loops(x, kernel, dy, strides, padding):
    whole = padded(x, kernel.shape[:2], strides, padding)
    dwhole, dkernel = np.zeros_like(whole), np.zeros_like(kernel)
    for n, i, j, c in np.ndindex(dy.shape):
        rows = slice(i * strides[0], i * strides[0] + kernel.shape[0])
        columns = slice(j * strides[1], j * strides[1] + kernel.shape[1])
        dwhole[n, rows, columns] += dy[n, i, j, c] * kernel[..., c]
        dkernel[..., c] += dy[n, i, j, c] * whole[n, rows, columns]
    before = (
        np.array(padded(np.ones_like(x), kernel.shape[:2], strides, padding).shape[1:3])
        - x.shape[1:3]
    ) // 2
    top, left = before
    return dwhole[:, top : top + x.shape[1], left : left + x.shape[2]], dkernel


def random_case(size, dtype, image=(7, 6)):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, *image, 2)).astype(dtype)
    kernel = rng.normal(size=(*size, 2, 3)).astype(dtype)
    return x, kernel


CASES = [
    ("valid", (1, 1), (2, 3), "float32"),
    ("same", (1, 1), (3, 2), "float64"),
    ("same", (2, 2), (3, 3), "float64"),
    ("valid", (3, 2), (2, 3), "float64"),
    ("same", (2, 1), (2, 2), "float32"),
    ("same", (3, 2), (1, 1), "float64"),
]


@pytest.mark.parametrize(("padding", "strides", "size", "dtype"), CASES)
def test_against_loops(padding, strides, size, dtype):
    x, kernel = random_case(size, dtype)
    layer = Conv2D(3, size, strides, padding, kernel_initializer=lambda *_: kernel)
    expected = by_loops(x, kernel, strides, padding)
    tolerance = {"float32": 2e-5, "float64": 1e-13}[dtype]
    found = layer(x)
    assert found.dtype == dtype
    assert found.shape == expected.shape
    assert np.allclose(found.numpy(), expected, rtol=0, atol=tolerance)

    weights = np.cos(np.arange(expected.size)).reshape(expected.shape).astype(dtype)
    with tfe.GradientTape() as tape:
        tape.watch(images := T(x))
        y = tfe.reduce_sum(layer(images) * T(weights))
    by_tape = tape.gradient(y, [images, layer.kernel, layer.bias])
    by_images, by_kernel = gradients_by_loops(x, kernel, weights, strides, padding)
    for found, wanted in [
        (by_tape[0], by_images),
        (by_tape[1], by_kernel),
        (by_tape[2], weights.sum((0, 1, 2))),
    ]:
        assert (found.dtype, found.shape) == (dtype, wanted.shape)
        assert np.allclose(found.numpy(), wanted, rtol=0, atol=10 * tolerance)


def test_same_puts_the_odd_zero_behind():
    layer = Conv2D(1, (1, 2), padding="same", kernel_initializer="ones")
    x = tfe.reshape(tfe.range(1.0, 5.0), [1, 1, 4, 1])
    assert layer(x).numpy().ravel().tolist() == [3, 5, 7, 4]
    layer = Conv2D(1, (1, 3), strides=2, padding="same", kernel_initializer="ones")
    assert layer(x).numpy().ravel().tolist() == [6, 7]


def test_second_derivatives():
    x, kernel = random_case((2, 2), "float64", image=(3, 4))
    layer = Conv2D(3, 2, strides=(1, 2), kernel_initializer=lambda *_: kernel)
    layer(x)

    def energy(x):
        return tfe.reduce_sum(tfe.tanh(layer(x)))

    first = tfe.gradients_function(energy)
    direction = np.cos(np.arange(x.size)).reshape(x.shape)
    (product,) = tfe.gradients_function(lambda x: first(x)[0] * T(direction))(x)
    h = 1e-6
    expected = (first(x + h * direction)[0] - first(x - h * direction)[0]).numpy() / (2 * h)
    assert np.allclose(product.numpy(), expected, rtol=0, atol=1e-8)


def test_batches_share_a_kernel_and_images_of_another_size_do_not():
    layer = Conv2D(2, 3, padding="SAME", activation="relu", use_bias=False)
    f = Differentiated(lambda x: tfe.reduce_sum(layer(x)))

    def value(x):
        leaves, tree = flatten(((x,), {}))
        return float(f(Call(tree, leaves, None))[1][0])

    for n in (2, 5, 3, 1):
        x = tfe.random_normal([n, 5, 5, 1], seed=n)
        assert value(x) == pytest.approx(float(tfe.reduce_sum(layer(x))), rel=1e-5)
    assert f.n_paths == 1
    x = tfe.random_normal([2, 6, 7, 1], seed=9)
    assert value(x) == pytest.approx(float(tfe.reduce_sum(layer(x))), rel=1e-5)
    assert f.n_paths == 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Conv2D(2, 3)(tfe.ones([5, 5, 1])), ValueError, "batch, height, width, channels"),
        (lambda: Conv2D(2, 6)(tfe.ones([1, 5, 5, 1])), ValueError, r"\(6, 6\) do not fit"),
        (lambda: Conv2D(2, 3, padding="full"), ValueError, "'valid' and 'same'"),
        (lambda: Conv2D(2, (3, 3, 3)), ValueError, "kernel_size"),
        (lambda: Conv2D(2, 3, strides=0), ValueError, "strides=0"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_other_channels_and_dtypes_are_refused_later():
    layer = Conv2D(2, 3)
    layer(tfe.ones([1, 5, 5, 2]))
    with pytest.raises(ValueError, match="2 channels, not 3"):
        layer(tfe.ones([1, 5, 5, 3]))
    with pytest.raises(TypeError, match="float64 and float32"):
        layer(np.ones((1, 5, 5, 2)))
