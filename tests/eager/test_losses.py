import numpy as np
import pytest

import symdiff.eager as tfe

T, losses = tfe.constant, tfe.losses
Reduction = losses.Reduction

Y = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
P = np.array([[0.2, 0.9, 0.4], [0.7, 0.1, 3.5]])
Q = P / 4


def _softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


CASES = {
    "mean_squared_error": (losses.mean_squared_error, Y, P, (P - Y) ** 2),
    "absolute_difference": (losses.absolute_difference, Y, P, np.abs(P - Y)),
    "huber_loss": (
        losses.huber_loss,
        Y,
        P,
        np.where(np.abs(P - Y) < 1, (P - Y) ** 2 / 2, np.abs(P - Y) - 0.5),
    ),
    "hinge_loss": (losses.hinge_loss, Y, P, np.maximum(0, 1 - (2 * Y - 1) * P)),
    "log_loss": (
        losses.log_loss,
        Y,
        Q,
        -Y * np.log(Q + 1e-7) - (1 - Y) * np.log(1 - Q + 1e-7),
    ),
    "cosine_distance": (losses.cosine_distance, Y, P, 1 - (Y * P).sum(-1, keepdims=True)),
    "sigmoid_cross_entropy": (
        losses.sigmoid_cross_entropy,
        Y,
        P,
        -Y * np.log(1 / (1 + np.exp(-P))) - (1 - Y) * np.log(1 - 1 / (1 + np.exp(-P))),
    ),
    "softmax_cross_entropy": (
        losses.softmax_cross_entropy,
        Y,
        P,
        -(Y * np.log(_softmax(P))).sum(-1),
    ),
    "sparse_softmax_cross_entropy": (
        losses.sparse_softmax_cross_entropy,
        np.array([2, 0]),
        P,
        -np.log(_softmax(P))[[0, 1], [2, 0]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_loss_one_by_one_and_reduced(name):
    loss, labels, predictions, expected = CASES[name]
    each = loss(labels, predictions, reduction=Reduction.NONE)
    assert each.shape == expected.shape
    assert np.allclose(each.numpy(), expected, rtol=1e-12)
    weights = np.linspace(0, 2, expected.size).reshape(expected.shape)
    for given in (T(weights), 3.0):
        w = np.broadcast_to(np.asarray(given), expected.shape)
        total = (expected * w).sum()
        for reduction, divisor in [
            (Reduction.SUM, 1),
            (Reduction.MEAN, w.sum()),
            (Reduction.SUM_OVER_BATCH_SIZE, w.size),
            (Reduction.SUM_BY_NONZERO_WEIGHTS, (w != 0).sum()),
        ]:
            found = loss(labels, predictions, weights=given, reduction=reduction)
            assert float(found) == pytest.approx(total / divisor, rel=1e-12)
        default = loss(labels, predictions, weights=given)
        assert float(default) == pytest.approx(total / (w != 0).sum(), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_against_differences(name):
    loss, labels, predictions, expected = CASES[name]
    weights = np.linspace(0.5, 2, expected.size).reshape(expected.shape)

    def f(p):
        return loss(labels, p, weights=weights)

    value, (slope,) = tfe.value_and_gradients_function(f)(predictions)
    assert float(value) == pytest.approx(float(f(predictions)), rel=1e-14)
    step = 1e-6 * np.cos(np.arange(predictions.size)).reshape(predictions.shape)
    change = float(f(predictions + step)) - float(f(predictions - step))
    assert np.sum(slope.numpy() * step) * 2 == pytest.approx(change, rel=1e-7)


def test_weights_of_rows_whole_numbers_and_nothing():
    y, p = [[1.0, 2.0], [3.0, 4.0]], [[2.0, 2.0], [3.0, 7.0]]
    assert float(losses.mean_squared_error(y, p, [0, 1])) == 4.5
    assert float(losses.mean_squared_error(y, p, [True, False])) == 0.5
    for reduction in (Reduction.MEAN, Reduction.SUM_BY_NONZERO_WEIGHTS):
        assert float(losses.mean_squared_error(y, p, 0.0, reduction)) == 0
        assert float(losses.mean_squared_error(y, p, [0.0, 0.0], reduction)) == 0
    f = tfe.gradients_function(lambda p: losses.mean_squared_error(y, p, [0.0, 0.0]))
    assert f(p)[0].numpy().tolist() == [[0, 0], [0, 0]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="weighted_mean"):
        losses.mean_squared_error([1.0], [1.0], reduction="mean")
    with pytest.raises(TypeError, match="float32 and float64"):
        losses.mean_squared_error([1.0], np.ones(1))
    with pytest.raises(TypeError, match="classes"):
        losses.sparse_softmax_cross_entropy([1.0], [[0.0, 0.0]])
    with pytest.raises(ValueError, match="one row for each"):
        losses.sparse_softmax_cross_entropy([1, 0], [[0.0, 0.0]])
    f = tfe.gradients_function(lambda z, y: losses.sparse_softmax_cross_entropy(y, z), [0])
    for classes in ([2], [-1]):
        with pytest.raises(IndexError):
            losses.sparse_softmax_cross_entropy(classes, [[0.0, 0.0]])
        with pytest.raises(IndexError):
            f([[0.0, 0.0]], T(classes))


def test_sparse_labels_are_those_marked_and_may_be_far_apart():
    z = np.array([[[1.0, -2.0], [0.5, 0.25]]], np.float32)
    sparse = losses.sparse_softmax_cross_entropy([[0, 1]], z)
    marked = losses.softmax_cross_entropy(tfe.one_hot([[0, 1]], 2), z)
    assert float(sparse) == float(marked)
    f = tfe.value_and_gradients_function(lambda z: losses.sparse_softmax_cross_entropy([0, 1], z))
    value, (slope,) = f(T([[1000.0, 0.0], [1000.0, 0.0]]))
    assert float(value) == 500
    assert slope.numpy().tolist() == [[0, 0], [0.5, -0.5]]


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
