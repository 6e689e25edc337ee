"""Checkpoints: whole or not there, and to the bit as if the training had not stopped."""

import os
import time

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimizers import checkpoints, loop, training

RNG = np.random.default_rng(6)
X = RNG.standard_normal((40, 3)).astype(np.float32)
Y = X @ np.array([1.0, -2.0, 0.5], np.float32)


def loss(p, x, y):
    return np.mean((x @ p[0] + p[1] - y) ** 2)


def fit(**changes):
    arguments = {"batch_size": 8, "epochs": 12, "progress": False, **changes}
    optimizer = arguments.pop("optimizer", sd.optim.Adam(0.05))
    params = (np.zeros(3, np.float32), np.float32(0))
    return sd.train(loss, params, arguments.pop("data", (X, Y)), optimizer, **arguments)


def same(a, b):
    assert all(map(np.array_equal, a.params, b.params))
    for x, y in zip(a.state, b.state, strict=True):
        assert all(map(np.array_equal, x, y))
    assert a.history.keys() == b.history.keys()
    assert all(np.array_equal(a.history[k], b.history[k]) for k in a.history)
    assert (a.n_steps, a.status) == (b.n_steps, b.status)


@pytest.mark.parametrize("stop", [5, 20, 37])
def test_goes_on_to_the_bit(tmp_path, stop):
    path = tmp_path / "run.npz"
    whole = fit(validation=(X, Y))
    first = fit(
        validation=(X, Y), checkpoint=path, callback=lambda p: p.step >= stop, callback_every=1
    )
    assert first.n_steps == stop
    assert first.params[0].dtype == np.float32
    same(fit(validation=(X, Y), resume=path), whole)


def test_goes_on_with_patience(tmp_path):
    path = tmp_path / "run.npz"
    options = {"validation": (X, 0 * Y), "patience": 8}
    fit(epochs=4, checkpoint=path, **options)
    same(fit(epochs=30, resume=path, **options), fit(epochs=30, **options))


def test_a_finished_training_has_nothing_left_to_do(tmp_path):
    path = tmp_path / "run.npz"
    whole = fit(checkpoint=path)
    same(fit(resume=path), whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "differs in seed"),
        ({"data": (X[:-1], Y[:-1])}, "differs in samples"),
        ({"optimizer": sd.optim.Adam(0.06)}, "differs in loss, optimizer"),
        ({"optimizer": sd.optim.GradientDescent(0.05)}, "differs in loss, optimizer"),
        ({"shuffle": False}, "differs in loss, optimizer"),
    ],
)
def test_refuses_a_checkpoint_of_something_else(tmp_path, changes, message):
    path = tmp_path / "run.npz"
    fit(checkpoint=path, epochs=1)
    with pytest.raises(sd.CacheError, match=message):
        fit(resume=path, **changes)


@pytest.mark.parametrize("content", [b"", b"PK not really", b"\x93NUMPY"])
def test_refuses_what_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    with pytest.raises(sd.CacheError, match="no checkpoint"):
        fit(resume=path)


def test_refuses_other_archives_and_half_a_file(tmp_path):
    path = tmp_path / "run.npz"
    np.savez(path, x=X)
    with pytest.raises(sd.CacheError, match="no checkpoint"):
        fit(resume=path)
    fit(checkpoint=path, epochs=1)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(sd.CacheError, match="no checkpoint"):
        fit(resume=path)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "run.npz"
    np.savez(path, header=np.array([{"symdiff checkpoint": 1}], dtype=object))
    with pytest.raises(sd.CacheError, match="no checkpoint"):
        fit(resume=path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    fit(checkpoint=path, epochs=1)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(RuntimeWarning, match="no space left"):
        result = fit(checkpoint=path, epochs=2)
    assert result.success  # which a full disk must not spoil
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.npz"]


def test_is_written_while_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "run.npz"
    seen = []

    def look(progress):
        deadline = time.monotonic() + 10
        while progress.epoch > 1 and not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(path.exists())

    fit(checkpoint=path, callback=look, epochs=3)
    assert seen[1:] == [True, True]


def test_an_interruption_is_saved(tmp_path):
    path = tmp_path / "run.npz"

    def interrupt(progress):
        raise KeyboardInterrupt

    assert fit(checkpoint=path, callback=interrupt).status is sd.TrainStatus.INTERRUPTED
    header, arrays = checkpoints.read(path)
    assert header["step"] == 5
    assert arrays["losses"].shape == (1,)


def test_an_interruption_within_a_validation_loses_no_epoch(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    options = {"validation": (X, 0 * Y), "patience": 8}
    whole = fit(**options)
    validation_of = training._validation

    def interrupted(*arguments):
        validate, calls = validation_of(*arguments), []

        def interrupt(params):
            calls.append(params)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return validate(params)

        return interrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "_validation", interrupted)
        first = fit(checkpoint=path, **options)
    assert first.status is sd.TrainStatus.INTERRUPTED
    assert len(first.history["loss"]) == len(first.history["validation"]) == 2
    same(fit(resume=path, **options), whole)
