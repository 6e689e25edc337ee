"""``symdiff demo train``: a small network learns to read handwritten digits in one kernel."""

from __future__ import annotations

import gzip
import json
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

import symdiff as sd

__all__ = ["REQUIRED_ACCURACY", "Split", "as_report", "learn", "load", "run"]

REQUIRED_ACCURACY = 0.97
N_TEST = 360
HIDDEN, BATCH, EPOCHS, RATE = 64, 128, 60, 5e-3


class Split(NamedTuple):
    """Images, shape (n, 64), and digits as unit vectors, shape (n, 10), float32."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(seed: int = 0) -> Split:
    """Read the digits (see ``data/README.md`` for where they are from) and lay 360 aside.

    Examples
    --------
    >>> [a.shape for a in load()]
    [(1437, 64), (1437, 10), (360, 64), (360, 10)]
    """
    packed = resources.files("symdiff.cli").joinpath("data", "digits.csv.gz").read_bytes()
    table = np.loadtxt(gzip.decompress(packed).decode("ascii").splitlines(), delimiter=",")
    np.random.default_rng(seed).shuffle(table)
    x = (table[:, :-1] / 16).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[table[:, -1].astype(int)]
    return Split(x[N_TEST:], y[N_TEST:], x[:N_TEST], y[:N_TEST])


def start(seed: int = 0) -> dict[str, np.ndarray]:
    """Make weights to start from."""
    rng = np.random.default_rng(seed)
    shapes = {"W1": (64, HIDDEN), "b1": (HIDDEN,), "W2": (HIDDEN, 10), "b2": (10,)}
    return {
        name: (rng.standard_normal(shape) / np.sqrt(shape[0]) * (len(shape) > 1)).astype("float32")
        for name, shape in shapes.items()
    }


def scores(params: Any, x: Any) -> Any:
    """Give each digit's score, a layer of tanh between."""
    return np.tanh(x @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]


def cross_entropy(params: Any, x: Any, y: Any) -> Any:
    """Give the mean of minus the logarithm of the right digit's probability."""
    found = scores(params, x)
    found = found - np.max(found, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(found), axis=1)) - np.sum(found * y, axis=1))


def accuracy(params: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Give the share of images whose digit is found."""
    return float(np.mean(scores(params, x).argmax(axis=1) == y.argmax(axis=1)))


def learn(data: Split, *, progress: bool = True) -> sd.TrainResult:
    """Train the network.

    Examples
    --------
    >>> data = load()
    >>> result = learn(data, progress=False)
    >>> accuracy(result.params, data.x_test, data.y_test) > REQUIRED_ACCURACY
    True
    """
    steps = EPOCHS * -(-len(data.x) // BATCH)
    optimizer = sd.optim.AdamW(sd.optim.cosine(RATE, steps))
    return sd.train(
        cross_entropy,
        start(),
        (data.x, data.y),
        optimizer,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation=(data.x_test, data.y_test),
        progress=progress,
    )


def run(is_json: bool) -> int:
    """Train, print what came of it, and give the exit status.

    Returns
    -------
    int
        0 when the test accuracy is at least 97 %, else 1.
    """
    data = load()
    result = learn(data, progress=not is_json)
    facts = as_report(result, data)
    print(json.dumps(facts) if is_json else _text(facts, result))
    return 0 if facts["test_accuracy"] >= REQUIRED_ACCURACY else 1


def as_report(result: sd.TrainResult, data: Split) -> dict[str, Any]:
    """Give the facts, as they are written in JSON."""
    return {
        "status": result.status.name.lower(),
        "epochs": result.n_epochs,
        "steps": result.n_steps,
        "loss": float(result.history["loss"][-1]),
        "test_loss": float(result.history["validation"][-1]),
        "test_accuracy": accuracy(result.params, data.x_test, data.y_test),
        "train_accuracy": accuracy(result.params, data.x, data.y),
        "seconds": result.seconds,
        "us_per_step": 1e6 * result.seconds / max(result.n_steps, 1),
        "compile_seconds": result.compile_seconds,
    }


def _text(facts: dict[str, Any], result: sd.TrainResult) -> str:
    lines = [
        "UCI handwritten digits: 1437 images to learn from, 360 to test with",
        f"Network 64-{HIDDEN}-10, tanh, float32; AdamW with a cosine schedule; batches of {BATCH}",
        "",
        "epoch      loss  test loss",
    ]
    rows = zip(result.history["loss"], result.history["validation"], strict=True)
    lines += [
        f"{epoch:5d}  {loss:8.4f}  {test:9.4f}"
        for epoch, (loss, test) in enumerate(rows, 1)
        if epoch == 1 or epoch % 10 == 0
    ]
    times = (
        "{0.n_epochs} epochs, {0.n_steps} steps in {0.seconds:.3f} s, "
        "after {0.compile_seconds:.2f} s of compiling"
    )
    lines += [
        "",
        times.format(result),
        f"test accuracy {facts['test_accuracy']:.1%}, training {facts['train_accuracy']:.1%}",
    ]
    return "\n".join(lines)
