import numpy as np
import pytest

import symdiff.eager as tfe

layers = tfe.layers

SPREADS = {
    "glorot_uniform": lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out)),
    "glorot_normal": lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out)),
    "he_uniform": lambda fan_in, fan_out: np.sqrt(2 / fan_in),
    "he_normal": lambda fan_in, fan_out: np.sqrt(2 / fan_in),
    "lecun_normal": lambda fan_in, fan_out: np.sqrt(1 / fan_in),
    "random_normal": lambda fan_in, fan_out: 0.05,
    "random_uniform": lambda fan_in, fan_out: 0.05 / np.sqrt(3),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPREADS)
def test_the_spread_follows_what_goes_in_and_out(name, dtype):
    tfe.set_random_seed(11)
    draw = getattr(layers, name)
    for shape, fans in [((200, 300), (200, 300)), ((3, 5, 40, 60), (600, 900))]:
        x = np.asarray(draw(shape, dtype))
        assert (x.shape, x.dtype) == (shape, dtype)
        assert x.std() == pytest.approx(SPREADS[name](*fans), rel=0.02)
        assert abs(x.mean()) < 0.02 * x.std()


def test_vectors_and_empty_shapes():
    for name in SPREADS:
        assert getattr(layers, name)((3,)).shape == (3,)
        assert getattr(layers, name)((0, 3)).shape == (0, 3)
    assert layers.ones((2,), "int32").tolist() == [1, 1]
    assert layers.zeros((2,)).dtype == np.float32
