"""`train` for a GPU, in numba's simulator: the loop in one kernel, with the results of the CPU."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.memory import put

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")

RNG = np.random.default_rng(5)
X = RNG.standard_normal((24, 3)).astype(np.float32)
Y = np.tanh(X @ np.ones(3, np.float32))
START = {"w": RNG.standard_normal((3, 4)).astype(np.float32), "v": np.ones(4, np.float32)}


def loss(p, x, y):
    return np.mean((np.tanh(x @ p["w"]) @ p["v"] - y) ** 2)


def fit(optimizer, **options):
    given = {"batch_size": 10, "epochs": 3, "progress": False, **options}
    return sd.train(loss, START, (X, Y), optimizer, **given)


@pytest.mark.parametrize(
    "optimizer", [sd.optim.GradientDescent(0.1), sd.optim.Adam(0.01)], ids=["descent", "Adam"]
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_results_are_those_of_the_cpu(optimizer, shuffle):
    options = {"shuffle": shuffle, "validation": (X, Y)}
    want = fit(optimizer, **options)
    got = fit(optimizer, target="cuda", **options)
    for name in ("loss", "validation"):
        np.testing.assert_allclose(got.history[name], want.history[name], rtol=1e-4)
    for name, x in want.params.items():
        assert isinstance(got.params[name], np.ndarray)
        assert got.params[name].dtype == x.dtype
        np.testing.assert_allclose(got.params[name], x, rtol=1e-3, atol=1e-5)


def test_checkpoints_are_of_numpy(tmp_path):
    path = tmp_path / "run.npz"
    whole = fit(sd.optim.Adam(0.01), target="cuda")
    fit(sd.optim.Adam(0.01), target="cuda", epochs=2, checkpoint=path)
    rest = fit(sd.optim.Adam(0.01), target="cuda", resume=path)
    for name, x in whole.params.items():
        assert rest.params[name].tobytes() == x.tobytes()


def test_a_target_that_is_none():
    with pytest.raises(ValueError, match="gpu"):
        fit(sd.optim.Adam(0.01), target="gpu")


def test_data_that_lie_on_the_device():
    want = fit(sd.optim.Adam(0.01), target="cuda", validation=(X, Y))
    data, params = (put(X), put(Y)), {name: put(x) for name, x in START.items()}
    given = {"batch_size": 10, "epochs": 3, "progress": False, "validation": data}
    got = sd.train(loss, params, data, sd.optim.Adam(0.01), **given)
    for name, x in want.params.items():
        assert got.params[name].tobytes() == x.tobytes()
    np.testing.assert_array_equal(got.history["validation"], want.history["validation"])
    with pytest.raises(sd.DeviceError, match="target is 'cpu'"):
        sd.train(loss, START, data, sd.optim.Adam(0.01), target="cpu", **given)
    with pytest.raises(sd.ShapeError, match="differ in their first axis"):
        sd.train(loss, START, (put(X), put(Y[1:])), sd.optim.Adam(0.01), **given)
