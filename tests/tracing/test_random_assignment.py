"""Random programs that take views and write to them, against NumPy: values and Jacobians."""

import numpy as np
import pytest

import symdiff as sd

X = np.array([0.31, -0.7, 1.13])


def random_key(rng, shape):
    key = []
    for length in shape:
        kind = rng.integers(0, 6) if length else 1
        if kind == 0:
            key.append(int(rng.integers(-length, length)))
        elif kind == 2:
            key.append(slice(None, None, -1))
        elif kind == 3:
            key.append(slice(int(rng.integers(0, length)), None))
        elif kind == 4:
            key.append(slice(None, None, 2))
        else:
            key.append(slice(None))
    return tuple(key)


STARTS = [
    lambda x, shape: np.zeros(shape) + x[0],
    lambda x, shape: np.arange(float(np.prod(shape))).reshape(shape) * 1.0,
    lambda x, shape: x[0] * np.ones(shape),
    lambda x, shape: np.cos(np.arange(float(np.prod(shape)))).reshape(shape) + x[1],
]


def step(rng, views, x):
    """Take a view, or write through one."""
    view = views[int(rng.integers(0, len(views)))]
    key, number, kind = random_key(rng, view.shape), float(rng.normal()), rng.integers(0, 9)
    if kind == 0:
        view[key] = number * x[2]
    elif kind == 1:
        view[key] += number * x[1]
    elif kind == 2 and view.ndim and np.ndim(view[key]):
        views.append(view[key])
    elif kind == 3:
        views.append(view.T)
    elif kind == 4:
        view *= 1 + 0.1 * x[0]
    elif kind == 5:
        view[key] = 2 * view[key] + x[0]
    elif kind == 6:
        view[...] = 0.1 * np.sum(view)
    elif kind == 7 and view.shape[0]:
        view[int(rng.integers(0, view.shape[0]))] = x[1] * number
    else:
        view[view > 0.5] = x[2] * number


def program(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(1, 4)))
    start = STARTS[int(rng.integers(0, 4))]
    seeds = rng.integers(0, 2**31, size=int(rng.integers(2, 8)))

    def f(x):
        views = [start(x, shape)]
        for s in seeds:
            step(np.random.default_rng(s), views, x)
        total = sum(np.sum(np.sin(view) * (n + 1)) for n, view in enumerate(views))
        return np.concatenate([np.ravel(views[0]), np.ravel(total)])

    return f


@pytest.mark.parametrize("seed", range(120))
def test_values(seed):
    f = program(seed)
    np.testing.assert_allclose(sd.jit(f)(X), f(X.copy()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(0, 120, 4))
def test_jacobians(seed):
    f = program(seed)
    h = 1e-6
    columns = [(f(X + h * e) - f(X - h * e)) / (2 * h) for e in np.eye(3)]
    rows = sd.jacobian(f)(X)
    np.testing.assert_allclose(rows, np.stack(columns, -1), rtol=1e-5, atol=1e-6)
    back = sd.vjp(f, X)[1]
    np.testing.assert_allclose(np.stack([back(e)[0] for e in np.eye(len(rows))]), rows, atol=1e-10)
