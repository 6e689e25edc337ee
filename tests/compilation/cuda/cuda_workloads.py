"""The workloads of the benchmarks as Programs for a GPU, with the way in which they are divided."""

import numpy as np
from scipy import special

import symdiff as sd
from symdiff.fitting.estimators import Estimator
from symdiff.fitting.lane_kernels import Kernels, Problem
from symdiff.optimizers.steps import Order, compiled_steps
from symdiff.optimizers.updates import init

RNG = np.random.default_rng(6)


def wave(x):
    return np.exp(-x * x) * np.sin(x) + np.tanh(x) + np.log(x)


def loss(params, x, y):
    w1, b1, w2, b2 = params
    logits = np.tanh(x @ w1 + b1) @ w2 + b2
    logits = logits - np.max(logits, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - np.sum(logits * y, axis=1))


def training(n_in=64, n_hidden=32):
    shapes = [(n_in, n_hidden), (n_hidden,), (n_hidden, 10), (10,), (1797, n_in), (1797, 10)]
    *params, x, y = (RNG.standard_normal(s).astype(np.float32) for s in shapes)
    optimizer = sd.optim.Adam(1e-3)
    order = Order(np.array([1, 0], np.uint32), np.uint32(1797), np.int64(15))
    start = tuple(params)
    args = (start, init(optimizer, start), (x, y), order, 0, 7, np.zeros(4096))
    return compiled_steps(loss, optimizer, 128, True).program(*args)


def products():
    f = sd.grad(lambda a, b: np.sum(np.tanh(a @ b) @ b.T), (0, 1))
    return f.program(sd.spec((1000, 300)), sd.spec((300, 200)))


def gaussian(x, amplitude, x0, y0, width, offset):
    square = (x[0] - x0) ** 2 + (x[1] - y0) ** 2
    return amplitude * np.exp(-square / (2 * width * width)) + offset


def fits(dtype):
    problem = Problem(
        n_points=25,
        n_predictors=2,
        has_own_x=False,
        n_params=5,
        free=(0, 1, 2, 3, 4),
        dtype=dtype,
        estimator=Estimator("least_squares"),
        weighting="none",
        has_bounds=False,
    )
    kernels = Kernels(gaussian, problem)
    real = np.dtype(dtype).type
    x, y, start = (np.ones(shape, dtype) for shape in ((25, 2), (8, 25, 1), (8, 5, 1)))
    fit = kernels.on_device((False, True, False, False, True))
    return fit.program(x, y, None, None, start, real(1e-4), real(1.0), real(10.0), False)


def populations(p):
    y = np.array([1.0, 0.8])
    for _ in range(1000):
        k1 = slope(y, p)
        k2 = slope(y + 0.005 * k1, p)
        k3 = slope(y + 0.005 * k2, p)
        k4 = slope(y + 0.01 * k3, p)
        y = y + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y[0]


def slope(y, p):
    prey, predator = y
    return np.array(
        [p[0] * prey - p[1] * prey * predator, p[2] * prey * predator - p[3] * predator]
    )


def price(spot, strike, years, rate, volatility):
    spread = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    return spot * special.ndtr(d1) - strike * np.exp(-rate * years) * special.ndtr(d1 - spread)


def greeks(*args):
    first, second = sd.value_and_grad(price, argnums=(0, 2, 3, 4)), sd.grad(sd.grad(price))
    return *first(*args), second(*args)


def energy(x):
    squares = np.sum((x[:, None, :] - x[None, :, :]) ** 2, -1) + np.eye(50)
    inverse = 1 / squares**3
    return 2 * np.sum(inverse**2 - inverse)


def wave_gradient(dtype):
    return sd.grad(lambda x: np.sum(wave(x))).program(sd.spec(1000, dtype))


WORKLOADS = {
    "W2 float32": (lambda: wave_gradient("float32"), {}),
    "W2 float64": (lambda: wave_gradient("float64"), {}),
    "W9, block": (training, {}),
    "W9, grid": (training, {"is_grid": True}),
    "W9 of 784 and 256, grid": (lambda: training(784, 256), {"is_grid": True}),
    "products, grid": (products, {"is_grid": True}),
    "W10 float32": (lambda: fits("float32"), {"by_row": True}),
    "W10 float64": (lambda: fits("float64"), {"by_row": True}),
    "W11": (
        lambda: sd.vmap(sd.value_and_grad(populations)).program(sd.spec((64, 4))),
        {"by_row": True},
    ),
    "W12 options": (
        lambda: sd.vmap(greeks).program(*[sd.spec(1000)] * 5),
        {"by_row": True},
    ),
    "W12 particles": (lambda: sd.value_and_grad(energy).program(sd.spec((50, 3))), {}),
}
