"""`minimize` for a GPU, in numba's simulator: the method's loop in one kernel."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.memory import put

pytestmark = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")

RNG = np.random.default_rng(7)
A = RNG.standard_normal((12, 2))
B = A @ [1.0, 2.0]


def squares(x, a, b):
    return np.sum((a @ x + 0.1 * np.sin(a @ x) - b) ** 2)


def residuals(x, a, b):
    return a @ x + 0.1 * np.sin(a @ x) - b


@pytest.mark.parametrize(
    ("method", "f"),
    [("lbfgs", squares), ("cg", squares), ("newton", squares), ("gauss-newton", residuals)],
)
def test_results_are_those_of_the_cpu(method, f):
    options = {"args": (A, B), "method": method, "max_steps": 4}
    want = sd.minimize(f, np.zeros(2), **options)
    got = sd.minimize(f, np.zeros(2), target="cuda", **options)
    assert isinstance(got.x, np.ndarray)
    np.testing.assert_allclose(got.x, want.x, rtol=1e-8)
    np.testing.assert_allclose(got.history[:4], want.history[:4], rtol=1e-9)


def test_methods_of_scipy_stay_on_the_cpu():
    with pytest.raises(ValueError, match="CPU"):
        sd.minimize(squares, np.zeros(2), (A, B), method="scipy:BFGS", target="cuda")


def test_arguments_that_lie_on_the_device():
    want = sd.minimize(squares, np.zeros(2), (A, B), target="cuda", max_steps=4)
    got = sd.minimize(squares, put(np.zeros(2)), (put(A), put(B)), max_steps=4)
    assert got.x.tobytes() == want.x.tobytes()
    with pytest.raises(sd.DeviceError, match="target is 'cpu'"):
        sd.minimize(squares, np.zeros(2), (put(A), put(B)), target="cpu")
