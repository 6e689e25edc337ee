"""Schedules, alone and within a compiled training."""

import math

import numpy as np
import pytest

import symdiff as sd

SCHEDULES = [
    (sd.optim.constant(0.3), lambda k: 0.3),
    (sd.optim.step(0.3, 4, 0.5), lambda k: 0.3 * 0.5 ** (k // 4)),
    (sd.optim.piecewise([0.3, 0.2, 0.1], [3, 6]), lambda k: (0.3, 0.2, 0.1)[(k >= 3) + (k >= 6)]),
    (sd.optim.exponential(0.3, 5, 0.5), lambda k: 0.3 * 0.5 ** (k / 5)),
    (
        sd.optim.cosine(0.3, 6, 0.1),
        lambda k: 0.1 + 0.2 * 0.5 * (1 + math.cos(math.pi * min(k / 6, 1))),
    ),
    (sd.optim.warmup(0.3, 4), lambda k: 0.3 * min((k + 1) / 4, 1)),
    (lambda step: 0.3 / (1 + step), lambda k: 0.3 / (1 + k)),
]


@pytest.mark.parametrize(("schedule", "wanted"), SCHEDULES)
def test_values_at_steps(schedule, wanted):
    for k in range(10):
        assert float(schedule(k)) == pytest.approx(wanted(k), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("schedule", "wanted"), SCHEDULES)
def test_within_training(schedule, wanted, dtype):
    # The gradient is 1, so that the parameter falls by the sum of the rates.
    result = sd.train(
        lambda p, x: np.sum(p) + 0 * np.sum(x),
        np.zeros(1, dtype),
        (np.zeros(2, dtype),),
        sd.optim.GradientDescent(schedule),
        batch_size=1,
        epochs=5,
        progress=False,
    )
    assert result.params.dtype == dtype
    total = sum(wanted(k) for k in range(10))
    assert -result.params[0] == pytest.approx(total, rel=1e-5 if dtype == np.float32 else 1e-12)


def test_equal_schedules_are_equal():
    assert sd.optim.Adam(sd.optim.cosine(0.1, 5)) == sd.optim.Adam(sd.optim.cosine(0.1, 5))
    assert sd.optim.cosine(0.1, 5) != sd.optim.cosine(0.1, 6)
    assert repr(sd.optim.cosine(0.1, 5)) == "cosine(0.1, 5, 0.0)"


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="2 rates and 2 boundaries"):
        sd.optim.piecewise([1.0, 0.1], [3, 6])
    with pytest.raises(ValueError, match="not rising"):
        sd.optim.piecewise([1.0, 0.1, 0.2], [6, 3])
    with pytest.raises(ValueError, match="decay_steps is 0"):
        sd.optim.cosine(1.0, 0)
