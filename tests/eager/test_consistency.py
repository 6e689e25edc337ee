"""What a function gives when it is compiled is what its operations give one by one."""

import numpy as np
import pytest

import symdiff.eager as tfe

ONE = {
    "abs": tfe.abs,
    "exp": tfe.exp,
    "log": lambda x: tfe.log(tfe.abs(x) + 1),
    "sqrt": lambda x: tfe.sqrt(tfe.square(x) + 2.0),
    "tanh": tfe.tanh,
    "sigmoid": tfe.sigmoid,
    "relu": tfe.relu,
    "softplus": tfe.softplus,
    "softmax": tfe.softmax,
    "sin": tfe.sin,
    "cos": tfe.cos,
    "sign": tfe.sign,
    "floor": tfe.floor,
    "round": tfe.round,
    "negative": lambda x: -x,
    "power": lambda x: x**2 + 2.0**x,
    "reflected": lambda x: 1.0 / (2 + x * x) - 3,
    "remainder": lambda x: x % 2.0,
    "floor_divide": lambda x: x // 2.0,
    "sum": lambda x: tfe.reduce_sum(x, axis=1),
    "mean": tfe.reduce_mean,
    "max": lambda x: tfe.reduce_max(x, 0, keepdims=True),
    "min": tfe.reduce_min,
    "prod": lambda x: tfe.reduce_prod(x, axis=-1),
    "all": lambda x: tfe.reduce_all(x > 0),
    "any": lambda x: tfe.reduce_any(x > 0, axis=0),
    "argmax": tfe.argmax,
    "logic": lambda x: ((x > 0) & ~(x > 1)) | (x < -1) ^ (x == 0),
    "cast": lambda x: tfe.cast(x * 3, "int32") // 2,
    "int_division": lambda x: tfe.cast(x * 3, "int32") / 2,
    "short_division": lambda x: tfe.cast(x * 3, "int8") / tfe.cast(x * 0 + 2, "int8"),
    "int_sum": lambda x: tfe.reduce_sum(tfe.cast(x * 3, "int32")),
    "where": lambda x: tfe.where(x > 0, x, -1.0),
    "maximum": lambda x: tfe.maximum(x, 0.5) + tfe.minimum(x, x * x),
    "matmul": lambda x: tfe.matmul(x, tfe.transpose(x)),
    "reshape": lambda x: tfe.reshape(x, [-1]),
    "stack": lambda x: tfe.stack([x, x + 1], axis=1),
    "concat": lambda x: tfe.concat([x, x[:1]], 0),
    "slices": lambda x: x[1:, ::-1] + x[0],
    "iteration": lambda x: sum(list(x), tfe.zeros([3])) if x.dtype == "float32" else x,
    "numpy": lambda x: np.exp(x) + np.float32(1) if x.dtype == "float32" else np.exp(x),
    "zeros_like": lambda x: x + tfe.zeros_like(x) + tfe.ones(x.shape, x.dtype),
    "identity": tfe.identity,
    "trigonometry": lambda x: tfe.tan(x) + tfe.atan(x) + tfe.asin(x / 3.0) + tfe.acos(x / 3.0),
    "hyperbolic": lambda x: tfe.sinh(x) * tfe.cosh(x),
    "log1p": lambda x: tfe.log1p(tfe.abs(x)) - tfe.expm1(x),
    "rsqrt": lambda x: tfe.rsqrt(x * x + 1.0) + tfe.reciprocal(x * x + 1.0),
    "erf": tfe.erf,
    "elu": tfe.elu,
    "ceil": tfe.ceil,
    "named_arithmetic": lambda x: tfe.add(
        tfe.multiply(x, x), tfe.subtract(tfe.divide(x, 2.0), tfe.pow(tfe.abs(x), 1.5))
    ),
    "named_remainders": lambda x: tfe.mod(x, 0.75) + tfe.floordiv(x, 0.75),
    "named_comparisons": lambda x: tfe.stack(
        [
            tfe.equal(x, 0.0),
            tfe.not_equal(x, 0.0),
            tfe.less(x, 0.0),
            tfe.less_equal(x, 0.0),
            tfe.greater(x, 0.0),
            tfe.greater_equal(x, 0.0),
        ]
    ),
    "named_logic": lambda x: tfe.logical_xor(
        tfe.logical_and(x > 0, x < 2), tfe.logical_or(tfe.logical_not(x > 1), x == 0)
    ),
    "squared_difference": lambda x: tfe.squared_difference(x, x[0]),
    "clip_by_value": lambda x: tfe.clip_by_value(x, -1.0, x[0]),
    "logsumexp": lambda x: tfe.reduce_logsumexp(x * 500.0, axis=1),
    "logsumexp_of_all": lambda x: tfe.reduce_logsumexp(x, keepdims=True),
    "log_softmax": lambda x: tfe.log_softmax(x * 500.0, 0),
    "expand_dims": lambda x: tfe.expand_dims(x, 1),
    "squeeze": lambda x: tfe.squeeze(tfe.reduce_sum(x, 0, keepdims=True), [0]),
    "tile": lambda x: tfe.tile(x, [2, 3]),
    "pad": lambda x: tfe.pad(x, [[1, 0], [2, 3]], 1.5),
    "gather": lambda x: tfe.gather(x, [[1, 0], [0, 0]]) + tfe.gather(x, 1),
    "gather_columns": lambda x: tfe.gather(x, [2, -3, 2], axis=1),
    "gather_computed": lambda x: tfe.gather(x, tfe.argmax(x, 1), axis=1),
    "one_hot": lambda x: tfe.one_hot(tfe.argmax(x, 1), 3, 2.0, -1.0, x.dtype),
    "sort": lambda x: tfe.sort(x) + tfe.sort(x, 0),
    "argsort": tfe.argsort,
    "eye": lambda x: x + tfe.eye(2, 3, x.dtype) + tfe.fill([3], x[0, 0].dtype.type(2)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ONE)
def test_compiled_is_eager(name, dtype):
    x = tfe.constant(np.array([[0.3, -1.7, 2.5], [1.25, 0.0, -0.6]], dtype))
    expected = ONE[name](x)
    found, _ = tfe.value_and_gradients_function(ONE[name])(x)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    rtol = 2e-6 if dtype == "float32" else 1e-14
    assert np.allclose(found.numpy(), expected.numpy(), rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_have_the_dtype_of_their_source(dtype):
    x = tfe.constant(np.array([0.3, 1.7], dtype))
    (slope,) = tfe.gradients_function(lambda x: tfe.reduce_mean(x**3) * 2 + 1)(x)
    assert slope.dtype == dtype
    assert np.allclose(slope.numpy(), 3 * x.numpy() ** 2, rtol=1e-6)


def test_random_numbers_are_drawn_at_each_call():
    def f(x):
        return x * tfe.random_normal([4])

    compiled = tfe.value_and_gradients_function(f)
    x = tfe.ones([4])
    for _ in range(2):
        tfe.set_random_seed(3)
        expected = [f(x).numpy() for _ in range(3)]
        tfe.set_random_seed(3)
        for e in expected:
            value, (slope,) = compiled(x)
            assert np.array_equal(value.numpy(), e)
            assert np.array_equal(slope.numpy(), e)


def test_dropout_in_a_compiled_function():
    layer = tfe.layers.Dropout(0.25)
    f = tfe.gradients_function(lambda x: tfe.reduce_sum(layer(x, training=True)))
    x = tfe.ones([1000])
    a, b = f(x)[0].numpy(), f(x)[0].numpy()
    assert not np.array_equal(a, b)
    assert set(np.unique(a)) == {np.float32(0), np.float32(4 / 3)}
    assert abs(a.mean() - 1) < 0.1
