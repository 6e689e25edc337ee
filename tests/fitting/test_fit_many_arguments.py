"""Misuse of `fit_many` raises at once, and says what is allowed."""

import numpy as np
import pytest

import symdiff as sd

X = np.linspace(0.0, 1.0, 6)
Y = np.ones((4, 6))


def line(x, a, b):
    return a * x + b


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"y": np.ones(6)}, sd.ShapeError, "two axes"),
        ({"y": np.ones((4, 0))}, sd.ShapeError, "no points"),
        ({"y": [["a"] * 6]}, sd.DTypeError, "real numbers"),
        ({"y": [[1.0], []]}, sd.ShapeError, "empty"),
        ({"x": np.ones(5)}, sd.ShapeError, "allowed are"),
        ({"x": np.ones((3, 6)), "own_x": True}, sd.ShapeError, "allowed are"),
        ({"p0": np.ones((3, 2))}, sd.ShapeError, "p0"),
        ({"p0": []}, sd.ShapeError, "p0"),
        ({"p0": 1.0}, sd.ShapeError, "p0"),
        ({"weights": np.ones(5)}, sd.ShapeError, "weights"),
        ({"weights": -np.ones(6)}, ValueError, "1/variance"),
        ({"weights": np.full(6, np.nan)}, ValueError, "1/variance"),
        ({"bounds": ([0, 0, 0], 1)}, sd.ShapeError, "bounds"),
        ({"bounds": (1, 0)}, ValueError, "strictly less"),
        ({"bounds": (2, 3)}, ValueError, "fit 0"),
        ({"fixed": [0, 1]}, sd.DTypeError, "Boolean"),
        ({"fixed": [True]}, sd.ShapeError, "fixed"),
        ({"fixed": [True, True]}, ValueError, "no parameter"),
        ({"estimator": "mle"}, ValueError, "poisson"),
        ({"estimator": "poisson", "loss": "huber"}, ValueError, "least_squares"),
        ({"estimator": "poisson", "y": -Y}, ValueError, "counts"),
        ({"loss": "l1"}, ValueError, "soft_l1"),
        ({"tol": 0.0}, ValueError, "tol"),
        ({"max_steps": 0}, ValueError, "max_steps"),
        ({"f_scale": -1.0}, ValueError, "f_scale"),
        ({"target": "tpu"}, ValueError, "tpu"),
        ({"model": lambda x, a, b: np.outer(x, x) * a}, sd.ShapeError, "rank 2"),
        ({"model": lambda x, a, b: a * x[1:]}, sd.ShapeError, "length"),
        ({"model": lambda x, a, b: np.fft.fft(x) * a}, NotImplementedError, "fft"),
    ],
)
def test_misuse(changes, error, words):
    arguments = {"model": line, "x": X, "y": Y, "p0": [1.0, 1.0], **changes}
    positional = [arguments.pop(name) for name in ("model", "x", "y", "p0")]
    with pytest.raises(error, match=words):
        sd.fit_many(*positional, **arguments)
