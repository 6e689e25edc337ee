import numpy as np
import pytest

import symdiff.eager as tfe

T, V, train = tfe.constant, tfe.Variable, tfe.train


def _descend(optimizer, start, gradients):
    v = V(start)
    found = []
    for g in gradients:
        optimizer.apply_gradients([(T(g), v)])
        found.append(v.numpy().tolist())
    return found


def test_adam():
    found = _descend(train.AdamOptimizer(0.1), [1.0, 2.0], [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]])
    expected = [
        [0.900000316, 2.099999842],
        [0.808222296, 2.063389515],
        [0.824313718, 1.995253628],
    ]
    assert np.allclose(found, expected, rtol=0, atol=2e-7)


def test_rmsprop_and_adagrad():
    found = _descend(train.RMSPropOptimizer(0.1), 1.0, [0.1] * 3)
    assert np.allclose(found, [0.989464926, 0.978366823, 0.966676393], rtol=0, atol=2e-7)
    (found,) = _descend(train.AdagradOptimizer(3.0), 1.0, [0.1])
    assert found == pytest.approx(0.095465966, abs=2e-7)


@pytest.mark.parametrize(("nesterov", "expected"), [(False, [0.9, 0.71]), (True, [0.81, 0.539])])
def test_momentum(nesterov, expected):
    found = _descend(train.MomentumOptimizer(0.1, 0.9, nesterov), 1.0, [1.0, 1.0])
    assert np.allclose(found, expected, rtol=0, atol=2e-7)


def _momentum(v, g, s, nesterov):
    s["a"] = 0.9 * s.get("a", 0) + g
    return v - 0.1 * (g + 0.9 * s["a"] if nesterov else s["a"])


def _adagrad(v, g, s):
    s["a"] = s.get("a", 0.1) + g * g
    return v - 0.1 * g / np.sqrt(s["a"])


def _rmsprop(v, g, s):
    s["s"] = 0.9 * s.get("s", 1) + 0.1 * g * g
    s["m"] = 0.5 * s.get("m", 0) + 0.1 * g / np.sqrt(s["s"] + 1e-10)
    return v - s["m"]


def _adam(v, g, s):
    s["t"] = t = s.get("t", 0) + 1
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["s"] = 0.999 * s.get("s", 0) + 0.001 * g * g
    return v - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["s"]) + 1e-8)


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        (train.GradientDescentOptimizer(0.1), lambda v, g, s: v - 0.1 * g),
        (train.MomentumOptimizer(0.1, 0.9), lambda v, g, s: _momentum(v, g, s, False)),
        (train.MomentumOptimizer(0.1, 0.9, True), lambda v, g, s: _momentum(v, g, s, True)),
        (train.AdagradOptimizer(0.1), _adagrad),
        (train.RMSPropOptimizer(0.1, momentum=0.5), _rmsprop),
        (train.AdamOptimizer(0.1), _adam),
    ],
)
def test_formulas_element_by_element(optimizer, rule):
    rng = np.random.default_rng(1)
    value = rng.normal(size=(2, 3))
    gradients = rng.normal(size=(5, 2, 3))
    v, state = V(value), {}
    for g in gradients:
        optimizer.apply_gradients([(T(g), v)])
        value = rule(value, g, state)
        assert np.allclose(v.numpy(), value, rtol=1e-13)


def test_dense_regression_step():
    layer = tfe.layers.Dense(1, kernel_initializer=np.ones)
    x, y = T([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), T([[10.0], [20.0]])
    f = tfe.implicit_value_and_gradients(
        lambda model, x, y: tfe.reduce_sum(tfe.square(model(x) - y))
    )
    loss, pairs = f(layer, x, y)
    assert float(loss) == 41
    assert [g.numpy().ravel().tolist() for g, _ in pairs] == [[-48, -66, -84], [-18]]
    assert [v for _, v in pairs] == layer.variables
    train.GradientDescentOptimizer(0.01).apply_gradients(pairs)
    assert np.allclose(layer.kernel.numpy().ravel(), [1.48, 1.66, 1.84])
    assert np.allclose(layer.bias.numpy(), 0.18)
    assert float(f(layer, x, y)[0]) == pytest.approx(29.8436, abs=1e-5)


def test_linear_regression():
    x = T([0.0, 1.0, 2.0, 3.0])
    y = 3 * x + 2
    w, b = V(5.0), V(10.0)
    f = tfe.implicit_value_and_gradients(lambda: tfe.reduce_mean(tfe.square(w * x + b - y)))
    optimizer = train.GradientDescentOptimizer(0.1)
    losses = []
    for _ in range(100):
        loss, pairs = f()
        losses.append(float(loss))
        optimizer.apply_gradients(iter(pairs))
    assert np.allclose(losses[:3], [126, 13.66, 9.5956], rtol=1e-6)
    assert np.allclose([float(w), float(b)], [2.9941127, 2.0125697], rtol=0, atol=2e-6)


def test_minimize():
    v = V(3.0)
    optimizer = train.GradientDescentOptimizer(0.5)
    assert float(optimizer.minimize(lambda: v * v)) == 9
    assert float(v) == 0


def test_pairs_without_gradients():
    v, u = V(1.0), V(1.0)
    optimizer = train.GradientDescentOptimizer(0.1)
    optimizer.apply_gradients([(None, u), (T(1.0), v)])
    assert float(u) == 1
    for pairs in ([], [(None, v)]):
        with pytest.raises(ValueError, match="no gradient"):
            optimizer.apply_gradients(pairs)
    with pytest.raises(ValueError, match="shape"):
        optimizer.apply_gradients([(T([1.0]), v)])
    with pytest.raises(TypeError, match="float64"):
        optimizer.apply_gradients([(np.float64(1), v)])


def test_state_is_kept_by_identity():
    a, b = V(1.0, name="same"), V(1.0, name="same")
    optimizer = train.MomentumOptimizer(0.1)
    optimizer.apply_gradients([(T(1.0), a)])
    optimizer.apply_gradients([(T(1.0), a), (T(1.0), b)])
    assert float(optimizer.slots(a)[0]) == pytest.approx(1.9)
    assert float(optimizer.slots(b)[0]) == 1.0


def test_a_variable_stays_float32():
    v = V([1.0, 2.0])
    for make in (train.AdamOptimizer, train.MomentumOptimizer, train.RMSPropOptimizer):
        make(0.1).apply_gradients([(T([1.0, 1.0]), v)])
        assert v.dtype == "float32"


def test_a_gradient_that_does_not_fit_leaves_all_variables():
    v, u = V([1.0, 2.0]), V([3.0])
    optimizer = train.AdamOptimizer()
    for wrong, error in (([1.0, 2.0], ValueError), (np.ones(1), TypeError)):
        with pytest.raises(error, match="a gradient of"):
            optimizer.apply_gradients([(T([1.0, 1.0]), v), (wrong, u)])
    assert v.numpy().tolist() == [1.0, 2.0]
    assert optimizer.slots(v)[2] == 0
