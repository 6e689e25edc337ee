"""`sd.train` against a plain loop, how it ends, and what it refuses."""

import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimizers import loop
from symdiff.optimizers.data import as_data
from symdiff.optimizers.order import permuted, round_keys
from symdiff.optimizers.steps import Order, compiled_steps

RNG = np.random.default_rng(5)
X = RNG.standard_normal((50, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3


def loss(p, x, y):
    return np.mean((x @ p["w"] + p["b"] - y) ** 2)


def start(dtype=np.float64):
    return {"w": np.zeros(3, dtype), "b": dtype(0)}


def fit(**changes):
    arguments = {"batch_size": 8, "epochs": 5, "progress": False, **changes}
    optimizer = arguments.pop("optimizer", sd.optim.Adam(0.05))
    return sd.train(
        arguments.pop("loss", loss),
        arguments.pop("params", start()),
        arguments.pop("data", (X, Y)),
        optimizer,
        **arguments,
    )


def samples_of(step, n, batch_size, shuffle, seed=0):
    per_epoch = -(-n // batch_size)
    epoch, number = divmod(step, per_epoch)
    places = ((number * batch_size + np.arange(batch_size)) % n).astype(np.uint32)
    if not shuffle:
        return places
    words = np.array([seed % 2**32, seed >> 32], np.uint32)
    with np.errstate(over="ignore"):
        return permuted(places, np.uint32(n), *round_keys(words, np.uint32(epoch), np.uint32(n)))


@pytest.mark.parametrize("shuffle", [False, True])
def test_equals_a_plain_loop(shuffle):
    seed = 2**40 + 3
    result = fit(shuffle=shuffle, seed=seed)
    w, b, losses = np.zeros(3), 0.0, []
    m, v = np.zeros(4), np.zeros(4)
    for k in range(5 * 7):
        i = samples_of(k, 50, 8, shuffle, seed)
        r = X[i] @ w + b - Y[i]
        losses.append(np.mean(r**2))
        g = np.append(2 * X[i].T @ r / 8, 2 * np.mean(r))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        move = 0.05 * m / (1 - 0.9 ** (k + 1)) / (np.sqrt(v / (1 - 0.999 ** (k + 1))) + 1e-8)
        w, b = w - move[:3], b - move[3]
    np.testing.assert_allclose(result.params["w"], w, rtol=1e-10)
    np.testing.assert_allclose(result.params["b"], b, rtol=1e-10)
    np.testing.assert_allclose(
        result.history["loss"], np.reshape(losses, (5, 7)).mean(axis=1), rtol=1e-10
    )
    np.testing.assert_allclose(result.state["w"][0], m[:3], rtol=1e-10)
    assert (result.status, result.n_steps, result.n_epochs) == (sd.TrainStatus.FINISHED, 35, 5)
    assert result.success


def test_the_params_given_are_left_alone():
    params = start()
    fit(params=params)
    assert params["w"].tolist() == [0.0, 0.0, 0.0]


def test_float32_stays():
    result = fit(params=start(np.float32), data=(X.astype("float32"), Y.astype("float32")))
    assert result.params["w"].dtype == result.state["w"][0].dtype == np.float32


def test_a_users_rule_and_integer_labels():
    def classes(p, x, label):
        z = x @ p
        z = z - np.max(z, axis=1, keepdims=True)
        picked = z[np.arange(len(label)), label]
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - picked)

    def descend(gradient, state, parameter, step):
        return parameter - 0.5 * gradient, state

    label = (Y > 0.3).astype(np.uint8)
    result = fit(
        loss=classes, params=np.zeros((3, 2)), data=(X, label), optimizer=descend, epochs=40
    )
    assert np.mean((X @ result.params).argmax(axis=1) == label) > 0.9


def test_no_epochs():
    result = fit(epochs=0)
    assert result.n_steps == 0
    assert result.history["loss"].size == 0


def test_one_kernel_serves_other_lengths_and_seeds():
    optimizer = sd.optim.Adam(0.0123)
    fit(optimizer=optimizer)
    kernel = compiled_steps(loss, optimizer, 8, True)
    assert kernel.n_compiled == 1
    fit(optimizer=optimizer, data=(X[:30], Y[:30]), seed=4, epochs=1)
    assert compiled_steps(loss, optimizer, 8, True) is kernel
    assert kernel.n_compiled == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_thread_and_many_give_the_same_bits(dtype, monkeypatch):
    def network(p, x, y):
        return np.mean((np.tanh(x @ p[0]) @ p[1] - y[:, None]) ** 2)

    params = [RNG.standard_normal((3, 700)).astype(dtype), RNG.standard_normal((700, 90))]
    params[1] = params[1].astype(dtype)
    results = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(sd.config, "threads", threads)
        data = (X.astype(dtype), Y.astype(dtype))
        results.append(fit(loss=network, params=params, data=data, batch_size=32, epochs=3))
    for other in results[1:]:
        assert all(map(np.array_equal, results[0].params, other.params))
        assert np.array_equal(results[0].history["loss"], other.history["loss"])


def test_memory_mapped_data_are_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(as_data((x, Y))[0], x)
    np.testing.assert_array_equal(fit(data=(x, Y)).params["w"], fit().params["w"])


def test_a_million_samples_on_disk(tmp_path):
    """Batches are gathered from the file; nothing as large as the data is ever made."""
    n, true = 1_000_000, np.array([1.0, -2.0, 0.5], np.float32)
    rng = np.random.default_rng(11)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (n, 3))
    x[...] = rng.standard_normal((n, 3), np.float32)
    y = x @ true + np.float32(0.3) + 0.1 * rng.standard_normal(n, np.float32)
    np.save(tmp_path / "y.npy", y)
    x, y = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy")
    arguments = {"params": start(np.float32), "data": (x, y), "batch_size": 1000, "epochs": 1}
    fit(**{**arguments, "data": (x[:2000], y[:2000])})  # compiles
    tracemalloc.start()
    try:
        result = fit(**arguments, validation=(x, y), validation_batch_size=10_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.n_steps == 1000
    np.testing.assert_allclose(result.params["w"], true, atol=0.01)
    assert result.history["validation"][0] == pytest.approx(0.01, rel=0.02)
    assert peak < x.nbytes / 4


def test_strided_data_are_fine():
    wide = np.repeat(X, 2, axis=1)
    np.testing.assert_array_equal(fit(data=(wide[:, ::2], Y)).params["w"], fit().params["w"])


def test_validation_after_each_epoch():
    result = fit(validation=(X[:20], Y[:20]))
    assert result.history["validation"].shape == (5,)
    last = loss(result.params, X[:20], Y[:20])
    np.testing.assert_allclose(result.history["validation"][-1], last, rtol=1e-12)
    np.testing.assert_array_equal(result.params["w"], fit().params["w"])


@pytest.mark.parametrize("size", [1, 7, 20, 33])
def test_validation_in_batches(size):
    """The loss is a mean, so that the batches' means by their sizes are that of all."""
    whole = fit(validation=(X[:20], Y[:20]))
    result = fit(validation=(X[:20], Y[:20]), validation_batch_size=size)
    np.testing.assert_allclose(
        result.history["validation"], whole.history["validation"], rtol=1e-12
    )


def test_patience_ends_it_and_gives_the_best_params():
    rising = (X[:20], Y[:20] * 0)  # the better the fit, the worse this is
    result = fit(validation=rising, patience=2, epochs=50, params={"w": X[0], "b": 1.0})
    losses = result.history["validation"]
    best = int(losses.argmin())
    assert result.status is sd.TrainStatus.STOPPED_EARLY
    assert result.n_epochs == best + 1 + 3
    np.testing.assert_allclose(loss(result.params, *rising), losses[best], rtol=1e-12)


def test_a_loss_that_is_not_finite_ends_it():
    result = fit(optimizer=sd.optim.GradientDescent(1e12), epochs=100)
    assert result.status is sd.TrainStatus.NOT_FINITE
    assert "learning rate" in result.message
    assert not result.success
    assert np.isfinite(result.params["w"]).all()


def test_callbacks():
    seen = []
    result = fit(callback=seen.append)
    assert [(p.epoch, p.step) for p in seen] == [(k, 7 * k) for k in range(1, 6)]
    np.testing.assert_allclose([p.loss for p in seen], result.history["loss"], rtol=1e-12)
    seen.clear()
    result = fit(callback=lambda p: seen.append(p) or p.step >= 9, callback_every=3)
    assert [p.step for p in seen] == [3, 6, 9]
    assert result.status is sd.TrainStatus.STOPPED
    assert (result.n_steps, result.n_epochs) == (9, 1)
    np.testing.assert_array_equal(seen[-1].params["w"], result.params["w"])


def test_callbacks_cannot_change_the_training():
    def spoil(progress):
        progress.params["w"][...] = np.nan

    np.testing.assert_array_equal(fit(callback=spoil).params["w"], fit().params["w"])


def test_ctrl_c_keeps_what_there_is():
    main = threading.main_thread().ident
    began = []

    def interrupt():
        while len(began) < 20:  # thousands of steps
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
    try:
        thread.start()
        result = fit(epochs=100_000_000, callback=began.append, callback_every=1000)
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.status is sd.TrainStatus.INTERRUPTED
    assert result.n_steps > 0
    np.testing.assert_allclose(result.params["w"], [1.0, -2.0, 0.5], atol=0.1)


def test_calls_of_the_kernel_are_short(monkeypatch):
    pace = loop.Pace()
    pace.saw(1, 1e-5)
    assert pace.steps == loop.GROWTH
    for _ in range(5):
        pace.saw(pace.steps, 1e-6 * pace.steps)
    assert pace.steps == loop.MAX_STEPS
    pace.saw(pace.steps, 2.0 * pace.steps)
    assert pace.steps == 1


def test_plot():
    pytest.importorskip("matplotlib").use("Agg")
    axes = fit(validation=(X, Y)).plot()
    assert [line.get_label() for line in axes.get_lines()] == ["loss", "validation"]
    assert axes.get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": X}, sd.DTypeError, "tuple of arrays"),
        ({"data": ()}, sd.ShapeError, "empty"),
        ({"data": (X, Y[:-1])}, sd.ShapeError, r"\(50, 3\), \(49,\)"),
        ({"data": (X, 1.0)}, sd.ShapeError, r"data\[1\] is a number"),
        ({"data": (X, np.array(["a"] * 50))}, sd.DTypeError, r"data\[1\] has dtype <U1"),
        ({"batch_size": 51}, ValueError, "batch_size is 51, the data have 50"),
        ({"batch_size": 0}, ValueError, "at least 1"),
        ({"batch_size": 2.5}, sd.DTypeError, "whole number"),
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"patience": -1}, ValueError, "patience"),
        ({"callback_every": 0}, ValueError, "callback_every"),
        ({"validation": (X,)}, sd.ShapeError, "validation has 1 arrays, data 2"),
        ({"validation": (X, Y), "validation_batch_size": 0}, ValueError, "validation_batch_size"),
        ({"validation": (X[:, :2], Y)}, sd.ShapeError, r"validation\[0\] has shape \(50, 2\)"),
        ({"params": {}}, sd.ShapeError, "no arrays"),
        ({"params": {"w": np.zeros(3, int), "b": 0.0}}, sd.DTypeError, "params_w has dtype int64"),
        ({"optimizer": 0.1}, TypeError, "sd.optim.Adam"),
        ({"optimizer": sd.optim.Adam}, TypeError, "sd.optim.Adam"),
        ({"loss": lambda p, x, y: x @ p["w"]}, sd.ShapeError, "one number"),
        ({"checkpoint": "/nowhere/at/all"}, sd.CacheError, "directory that exists"),
        ({"resume": "/nowhere/at/all"}, sd.CacheError, "no such file"),
    ],
)
def test_misuse_raises_at_once(changes, error, message):
    with pytest.raises(error, match=message):
        fit(**changes)


def test_order_is_numbers_only():
    assert Order._fields == ("seed", "n", "per_epoch")
