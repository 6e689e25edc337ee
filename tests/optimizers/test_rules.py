"""Each rule against the published formula in plain NumPy."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd

_spec = importlib.util.spec_from_file_location("plain", Path(__file__).with_name("plain.py"))
plain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain)

RULES = {
    "gradient_descent": sd.optim.GradientDescent(0.1),
    "momentum": sd.optim.Momentum(0.1, 0.8),
    "nesterov": sd.optim.Momentum(0.1, 0.8, nesterov=True),
    "adagrad": sd.optim.Adagrad(0.1),
    "rmsprop": sd.optim.RMSProp(0.1, decay=0.7, epsilon=1e-6),
    "adam": sd.optim.Adam(0.1, 0.8, 0.95, 1e-6),
    "adamw": sd.optim.AdamW(0.1, 0.8, 0.95, 1e-6, weight_decay=0.3),
    "lion": sd.optim.Lion(0.1, 0.8, 0.95, weight_decay=0.3),
}


def steps_of(rule, dtype, steps=7):
    """Some steps, compiled, with gradients that change."""

    @sd.jit
    def one(gradient, state, parameter, step):
        return sd.optim.update(rule, gradient, state, parameter, step)

    rng = np.random.default_rng(3)
    p = rng.standard_normal((3, 2)).astype(dtype)
    state, gradients, found = sd.optim.init(rule, p), [], []
    for k in range(steps):
        g = rng.standard_normal((3, 2)).astype(dtype)
        gradients.append(g)
        p, state = one(g, state, p, float(k))
        found.append(p)
    return gradients, found, state


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", RULES)
def test_follows_the_published_formula(name, dtype):
    gradients, found, state = steps_of(RULES[name], dtype)
    p = np.random.default_rng(3).standard_normal((3, 2)).astype(dtype).astype(float)
    memory = {}
    for k, (g, now) in enumerate(zip(gradients, found, strict=True)):
        getattr(plain, name)(p, g.astype(float), memory, k)
        assert now.dtype == dtype
        np.testing.assert_allclose(now, p, rtol=1e-12 if dtype is np.float64 else 2e-5, atol=1e-6)
    leaves = state if isinstance(state, tuple) else (state,)
    assert all(x.dtype == dtype for x in leaves)


def test_rules_are_plain_numpy_too():
    rule = sd.optim.Adam(0.1)
    p, _ = rule.update(np.ones(2, np.float32), rule.init(np.ones(2, np.float32)), np.ones(2), 0)
    np.testing.assert_allclose(p, 0.9, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sd.optim.Adam(-1.0), "learning_rate is -1.0"),
        (lambda: sd.optim.Adam(beta2=1.0), "beta2 is 1.0"),
        (lambda: sd.optim.Momentum(0.1, -0.5), "momentum is -0.5"),
        (lambda: sd.optim.RMSProp(0.1, epsilon=0), "epsilon is 0"),
    ],
)
def test_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
