import numpy as np
import pytest

import symdiff.eager as tfe


def _draw():
    return [tfe.random_normal([3]), tfe.random_uniform([2, 2]), tfe.random_normal(())]


def test_a_seed_gives_the_same_sequence():
    tfe.set_random_seed(5)
    first = _draw()
    tfe.set_random_seed(5)
    for a, b in zip(first, _draw(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
    assert not np.array_equal(first[0].numpy(), tfe.random_normal([3]).numpy())


def test_moments():
    tfe.set_random_seed(0)
    x = tfe.random_normal([100_000], 3.0, 2.0, "float64").numpy()
    assert abs(x.mean() - 3) < 0.03
    assert abs(x.std() - 2) < 0.02
    u = tfe.random_uniform([100_000], -1.0, 3.0)
    assert u.dtype == "float32"
    assert -1 <= u.numpy().min() < -0.99
    assert 2.99 < u.numpy().max() < 3


def test_it_lies_on_the_device_of_the_scope(gpu):
    with tfe.device("/gpu:0"):
        assert tfe.random_normal([2]).device == "/gpu:0"


def test_whole_numbers_are_refused():
    with pytest.raises(TypeError, match="float32 or float64"):
        tfe.random_uniform([2], dtype="int32")
