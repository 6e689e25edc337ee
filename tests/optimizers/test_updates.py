"""Rules on trees, transformations of gradients, and rules that are wrong."""

import numpy as np
import pytest

import symdiff as sd

PARAMS = {"a": np.ones(2), "b": [np.full((2, 2), 2.0), np.float64(3.0)]}
GRADIENT = {"a": np.array([3.0, 0.0]), "b": [np.zeros((2, 2)), np.float64(4.0)]}


def made(optimizer):
    state = sd.optim.init(optimizer, PARAMS)
    step = sd.jit(lambda g, s, p: sd.optim.update(optimizer, g, s, p, 0))
    return step(GRADIENT, state, PARAMS)[0]


def test_clipping_by_norm_needs_the_whole_tree():
    params = made(sd.optim.chain(sd.optim.clip_by_norm(1.0), sd.optim.GradientDescent(1.0)))
    np.testing.assert_allclose(params["a"], [0.4, 1.0])
    np.testing.assert_allclose(params["b"][1], 2.2)


def test_short_gradients_are_left_alone():
    params = made(sd.optim.chain(sd.optim.clip_by_norm(5.1), sd.optim.GradientDescent(1.0)))
    np.testing.assert_array_equal(params["a"], [-2.0, 1.0])


def test_zero_gradients_are_not_divided_by_their_norm():
    assert sd.optim.clip_by_norm(1.0)([np.zeros(2)], None, 0)[0].tolist() == [0.0, 0.0]


def test_chains_go_in_order():
    decay, clip = sd.optim.weight_decay(0.5), sd.optim.clip_by_value(1.0)
    params = made(sd.optim.chain(decay, clip, sd.optim.GradientDescent(1.0)))
    np.testing.assert_allclose(params["a"], [0.0, 0.5])
    np.testing.assert_allclose(params["b"][0], 1.0)
    params = made(sd.optim.chain(clip, sd.optim.chain(decay, sd.optim.GradientDescent(1.0))))
    np.testing.assert_allclose(params["a"], [-0.5, 0.5])


def test_a_function_is_a_rule_and_may_have_an_init():
    def rule(gradient, state, parameter, step):
        return parameter - 0.1 * gradient - state["n"], {"n": state["n"] + 1}

    rule.init = lambda parameter: {"n": np.zeros_like(parameter)}
    state = sd.optim.init(rule, PARAMS)
    params, state = sd.optim.update(rule, GRADIENT, state, PARAMS, 0)
    params, state = sd.optim.update(rule, GRADIENT, state, params, 1)
    np.testing.assert_allclose(params["a"], [-0.6, 0.0])
    assert state["b"][1] == {"n": 2.0}


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (lambda g, s, p, k: p - g, sd.TracingError, "not \\(parameter, state\\)"),
        (lambda g, s, p, k: (p[None] - g, s), sd.ShapeError, "params_a from 1 axes into 2"),
        (lambda g, s, p, k: (p - g, (p,)), sd.ShapeError, "structure of the state of params_a"),
        (lambda g, s, p, k: (np.float32(1) * p.astype("float32"), s), sd.DTypeError, "float32"),
    ],
)
def test_wrong_rules(rule, error, message):
    with pytest.raises(error, match=message):
        sd.optim.update(rule, GRADIENT, sd.optim.init(rule, PARAMS), PARAMS, 0)


def test_wrong_chains():
    with pytest.raises(TypeError, match="only be the last"):
        sd.optim.chain(sd.optim.Adam(), sd.optim.clip_by_norm(1.0))
    with pytest.raises(TypeError, match="init\\(parameter\\)"):
        sd.optim.chain(sd.optim.clip_by_norm(1.0), 0.1)
    with pytest.raises(ValueError, match="needs a rule"):
        sd.optim.chain()
