import numpy as np
import pytest

import symdiff as sd
import symdiff.eager as tfe
from symdiff.eager import training as training_module
from symdiff.optimizers.steps import positions_of, samples_at
from symdiff.optimizers.training import order_of

T, V, train = tfe.constant, tfe.Variable, tfe.train

OPTIMIZERS = {
    "descent": lambda: train.GradientDescentOptimizer(0.02),
    "momentum": lambda: train.MomentumOptimizer(0.01, 0.9),
    "Nesterov": lambda: train.MomentumOptimizer(0.01, 0.8, use_nesterov=True),
    "Adagrad": lambda: train.AdagradOptimizer(0.1),
    "RMSProp": lambda: train.RMSPropOptimizer(0.01),
    "RMSProp with momentum": lambda: train.RMSPropOptimizer(0.01, 0.95, 0.5),
    "Adam": lambda: train.AdamOptimizer(0.05),
}


def data(n=23, dtype="float32"):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 3)).astype(dtype)
    return x, np.sin(x @ np.ones((3, 1), dtype)).astype(dtype)


def network(dtype="float32"):
    rng = np.random.default_rng(2)

    def make(shape, _):
        return (rng.normal(size=shape) / 2).astype(dtype)

    first = tfe.layers.Dense(4, tfe.tanh, kernel_initializer=make)
    return tfe.layers.Sequential([first, tfe.layers.Dense(1, kernel_initializer=make)])


def loss(model, x, y):
    return tfe.losses.mean_squared_error(y, model(x))


def step_as_written(optimizer, f, *args):
    value, pairs = tfe.implicit_value_and_gradients(f)(*args)
    optimizer.apply_gradients(pairs)
    return float(value)


def same(found, expected, rtol=2e-5):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loops_go_on_where_steps_as_written_end_and_these_where_loops_end(name, dtype):
    x, y = map(T, data(dtype=dtype))
    models, optimizers = [network(dtype), network(dtype)], [OPTIMIZERS[name]() for _ in range(2)]
    expected = [step_as_written(optimizers[0], loss, models[0], x, y) for _ in range(16)]
    step = tfe.compile_step(loss, optimizers[1])
    found = [step_as_written(optimizers[1], loss, models[1], x, y) for _ in range(3)]
    found += step.run(models[1], x, y, steps=6).losses.tolist()
    found += [float(step(models[1], x, y)) for _ in range(4)]
    found += [step_as_written(optimizers[1], loss, models[1], x, y) for _ in range(3)]
    rtol = 2e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(found, expected, rtol=rtol)
    same(models[1].variables, models[0].variables, rtol)
    for v, u in zip(models[0].variables, models[1].variables, strict=True):
        slots = [o.slots(w) for o, w in zip(optimizers, (v, u), strict=True)]
        assert [type(s) for s in slots[0]] == [type(s) for s in slots[1]]
        for a, b in zip(*slots, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol * 10, atol=rtol)
            assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize("size", [23, 22, 8, 5, 1])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_those_of_the_order(size, shuffle):
    x, y = data()
    models, optimizers = [network(), network()], [train.AdamOptimizer(0.05) for _ in range(2)]
    order = order_of(len(x), size, 7)
    expected = []
    for step in np.arange(2 * int(order.per_epoch)):
        position = positions_of(step, order, size, size)
        rows = samples_at(position[position < len(x)], step, order, shuffle)
        expected.append(step_as_written(optimizers[0], loss, models[0], T(x[rows]), T(y[rows])))
    result = tfe.fit(
        loss,
        optimizers[1],
        (x, y),
        args=(models[1],),
        epochs=2,
        batch_size=size,
        shuffle=shuffle,
        seed=7,
    )
    np.testing.assert_allclose(result.losses, expected, rtol=5e-5)
    means = np.reshape(expected, (2, -1)).mean(axis=1)
    np.testing.assert_allclose(result.history["loss"], means, rtol=5e-5)
    assert result.success
    assert (result.n_epochs, result.n_steps) == (2, len(expected))
    same(models[1].variables, models[0].variables, 1e-4)


def test_what_comes_before_a_batch_is_not_cut_and_sizes_may_be_asked_for():
    x, y = data(11)
    scale = T(np.arange(3, dtype="float32"))
    ends = []

    def f(v, scale, x, y):
        return tfe.reduce_sum((x * scale) @ v - y) ** 2 / x.shape[0] ** 2

    for compiled in (False, True):
        v, optimizer = V(np.ones((3, 1), "float32")), train.GradientDescentOptimizer(0.1)
        if compiled:
            args = (v, scale)
            tfe.fit(f, optimizer, (x, y), args=args, epochs=2, batch_size=4, shuffle=False)
        else:
            for _ in range(2):
                for k in range(0, 11, 4):
                    step_as_written(optimizer, f, v, scale, T(x[k : k + 4]), T(y[k : k + 4]))
        ends.append(v.numpy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-5)


def test_each_epoch_of_a_shuffle_sees_every_row_once():
    v = V(np.zeros(10, "float32"))
    rows = np.eye(10, dtype="float32")

    def f(x):
        return tfe.reduce_sum(x @ v)

    tfe.fit(f, train.GradientDescentOptimizer(1.0), (rows,), batch_size=3, epochs=5)
    assert v.numpy().tolist() == [-5.0] * 10


def test_a_dataset_gives_its_own_batches():
    x, y = data()
    rows = tfe.data.Dataset.from_tensor_slices((x, y)).shuffle(10, seed=3).batch(5)
    models, optimizers = [network(), network()], [train.MomentumOptimizer(0.05) for _ in range(2)]
    expected = [step_as_written(optimizers[0], loss, models[0], *b) for _ in range(3) for b in rows]
    result = tfe.fit(loss, optimizers[1], rows, args=(models[1],), epochs=3)
    np.testing.assert_allclose(result.losses, expected, rtol=5e-5)
    assert result.n_epochs == 3
    same(models[1].variables, models[0].variables)


def test_a_branch_on_a_value_is_followed_step_by_step():
    def f(x, seen):
        error = reduce_error(x)
        if error > 4.0:
            seen.append("far")
            return error
        return 0.5 * error * error if error > 1.0 else 3.0 * error

    def reduce_error(x):
        return tfe.reduce_sum(tfe.square(v - x))

    x = T([1.0, -2.0])
    found = {}
    for how in ("as written", "compiled"):
        v = V([4.0, 3.0])
        optimizer = train.MomentumOptimizer(0.03, 0.5)
        if how == "compiled":
            found[how] = tfe.compile_step(f, optimizer).run(x, [], steps=60).losses
        else:
            found[how] = [step_as_written(optimizer, f, x, []) for _ in range(60)]
        found[how + ", end"] = v.numpy()
    assert found["as written"][0] > 4.0
    assert found["as written"][-1] < 1.0
    np.testing.assert_allclose(found["compiled"], found["as written"], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found["compiled, end"], found["as written, end"], rtol=1e-5)


def test_a_branch_within_batches():
    def f(w, x):
        total = tfe.reduce_sum((w - x) ** 2)
        return total if total > 2.0 else 0.5 * total

    x = np.arange(11, dtype="float32") / 5
    ends = []
    for compiled in (False, True):
        w = V(3.0)
        optimizer = train.GradientDescentOptimizer(0.05)
        if compiled:
            tfe.fit(f, optimizer, (x,), args=(w,), epochs=3, batch_size=4, shuffle=False)
        else:
            for _ in range(3):
                for k in range(0, 11, 4):
                    step_as_written(optimizer, f, w, T(x[k : k + 4]))
        ends.append(float(w))
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)


def test_a_step_whose_loss_is_not_finite_is_not_made():
    v, count = V(1.0), train.AdamOptimizer(0.3)

    def f():
        return tfe.log(v) + v

    result = tfe.compile_step(f, count).run(steps=100)
    assert result.status is sd.TrainStatus.NOT_FINITE
    assert not result.success
    assert not np.isfinite(result.losses[-1])
    assert np.isfinite(result.losses[:-1]).all()
    assert count.slots(v)[2] == result.n_steps == len(result.losses) - 1
    assert np.isfinite(count.slots(v)[0])
    before = float(v)
    assert not np.isfinite(float(tfe.compile_step(f, count)()))
    assert float(v) == before


def test_a_learning_rate_may_change_without_a_new_kernel():
    v, optimizer = V(1.0), train.GradientDescentOptimizer(0.5)
    step = tfe.compile_step(lambda: v * v * 0.5, optimizer)
    step.run(steps=1)
    optimizer.learning_rate = 0.25
    step.run(steps=1)
    step()
    assert float(v) == 0.5 * 0.75 * 0.75


def test_constants_of_an_optimizer_may_change():
    v, optimizer = V(0.0), train.MomentumOptimizer(1.0, 0.5)
    step = tfe.compile_step(lambda x: v * x, optimizer)
    for momentum in (0.5, 0.25):
        optimizer.momentum = momentum
        step(1.0)
        step(1.0)
    assert optimizer.slots(v)[0] == 0.25 * (0.25 * 1.5 + 1) + 1


def test_what_the_loss_refers_to_may_change():
    v, scale = V(0.0), 1.0

    def f(x):
        return v * x * scale

    step = tfe.compile_step(f, train.GradientDescentOptimizer(1.0))
    step(T(1.0))
    step(T(1.0))
    scale = 10.0
    step(T(1.0))
    assert float(v) == -12.0


def test_variables_that_are_not_trained_are_read_and_left():
    fixed, free, idle = V(2.0, trainable=False), V(1.0), V(5.0)
    optimizer = train.AdamOptimizer(0.1)
    step = tfe.compile_step(lambda: free * fixed + tfe.stop_gradient(idle), optimizer)
    step.run(steps=2)
    fixed.assign(3.0)
    assert float(step()) == pytest.approx(0.8 * 3 + 5)
    assert (float(fixed), float(idle)) == (3.0, 5.0)
    assert optimizer.slots(free)[2] == 3


def test_variables_may_lie_on_a_device(gpu):
    v = V([1.0, 2.0])
    with tfe.device("/gpu:0"):
        u = V([1.0, 2.0])
    for w in (v, u):
        step = tfe.compile_step(lambda x, w=w: tfe.reduce_sum(w * x * w), train.AdamOptimizer(0.1))
        step(T([1.0, 2.0]))
        step.run(T([1.0, 2.0]), steps=3)
    assert u.device == "/gpu:0"
    assert u.numpy().tolist() == v.numpy().tolist()


def test_a_callback_hears_of_epochs_and_stops_them():
    x, y = data()
    heard = []

    def stop(epoch, mean):
        heard.append((epoch, mean))
        return epoch == 3

    result = tfe.fit(
        loss,
        train.AdamOptimizer(),
        (x, y),
        args=(network(),),
        epochs=9,
        callback=stop,
        batch_size=10,
    )
    assert result.status is sd.TrainStatus.STOPPED
    assert [e for e, _ in heard] == [1, 2, 3]
    assert [m for _, m in heard] == result.history["loss"].tolist()


@pytest.mark.parametrize("after", range(4))
def test_an_interruption_leaves_all_variables_of_one_step(monkeypatch, after):
    model, optimizer = network(), train.AdamOptimizer(0.05)
    x, y = map(T, data())
    step = tfe.compile_step(loss, optimizer)
    step.run(model, x, y, steps=2)
    puts = []
    put = V.put

    def interrupted(self, made):
        puts.append(self)
        put(self, made)
        if len(puts) == after + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(V, "put", interrupted)
        result = step.run(model, x, y, steps=1)
    assert result.status is sd.TrainStatus.INTERRUPTED
    assert result.n_steps == 1
    assert {optimizer.slots(v)[2] for v in model.variables} == {3}
    other, plain = network(), train.AdamOptimizer(0.05)
    for _ in range(3):
        step_as_written(plain, loss, other, x, y)
    same(model.variables, other.variables)


def test_a_loss_that_fails_changes_nothing():
    v, optimizer = V([1.0, 2.0]), train.AdamOptimizer()

    def f(x):
        return tfe.reduce_sum(v * x)

    step = tfe.compile_step(f, optimizer)
    step(T([1.0, 1.0]))
    before = v.numpy().tolist()
    with pytest.raises(ValueError, match="broadcast"):
        step(T([1.0, 1.0, 1.0]))
    with pytest.raises(TypeError, match="float64"):
        step.run(np.ones(2), steps=3)
    assert v.numpy().tolist() == before
    assert optimizer.slots(v)[2] == 1


def test_random_numbers_are_refused():
    layer, v = tfe.layers.Dropout(0.5), V(np.ones(4, "float32"))
    step = tfe.compile_step(
        lambda: tfe.reduce_sum(layer(v, training=True)), train.GradientDescentOptimizer(0.1)
    )
    with pytest.raises(sd.UnsupportedOperationError, match="random"):
        step()
    assert v.numpy().tolist() == [1.0] * 4


CASES = {
    "a vector": (lambda v, x: v * x, "single floating number"),
    "several": (lambda v, x: (tfe.reduce_sum(v), tfe.reduce_sum(v)), "single floating number"),
    "no variable": (lambda v, x: tfe.reduce_sum(x), "no trainable variable"),
    "nothing": (lambda v, x: None, "returned None"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_loss_is_refused(name):
    f, message = CASES[name]
    v = V([1.0, 2.0])
    step = tfe.compile_step(f, train.GradientDescentOptimizer(0.1))
    with pytest.raises(ValueError, match=message):
        step(v, T([1.0, 2.0]))
    assert v.numpy().tolist() == [1.0, 2.0]


def test_arguments_are_checked():
    x, y = data()
    adam, model = train.AdamOptimizer(), network()

    def fit(data=(x, y), **kwargs):
        return tfe.fit(loss, adam, data, args=(model,), **kwargs)

    with pytest.raises(TypeError, match=r"tfe\.train"):
        tfe.compile_step(loss, sd.optim.Adam())
    with pytest.raises(TypeError, match="no function"):
        tfe.compile_step(3.0, adam)
    with pytest.raises(ValueError, match="batch_size is 24"):
        fit(batch_size=24)
    with pytest.raises(ValueError, match="first axis"):
        fit((x, y[1:]))
    with pytest.raises(TypeError, match="tuple of arrays"):
        fit(x)
    with pytest.raises(ValueError, match="epochs is -1"):
        fit(epochs=-1)
    with pytest.raises(ValueError, match="seed is -1"):
        fit(seed=-1)
    rows = tfe.data.Dataset.from_tensor_slices((x, y))
    with pytest.raises(ValueError, match="batches of its own"):
        fit(rows.batch(2), batch_size=2)
    with pytest.raises(ValueError, match="only the last may be shorter"):
        fit(rows.batch(5).repeat(2))
    step = tfe.compile_step(loss, adam)
    with pytest.raises(TypeError, match="whole number"):
        step.run(model, T(x), T(y), steps=2.0)
    with pytest.raises(NotImplementedError, match="is differentiated"):
        tfe.gradients_function(lambda x: step(model, x, T(y)))(x)


def test_no_steps_and_no_epochs_change_nothing():
    x, y = data()
    model = network()
    model(T(x))
    before = [v.numpy().tolist() for v in model.variables]
    step = tfe.compile_step(loss, train.AdamOptimizer())
    for result in (
        step.run(model, T(x), T(y), steps=0),
        step.fit((x, y), args=(model,), epochs=0),
        step.fit(tfe.data.Dataset.from_tensor_slices((x, y)).batch(9), args=(model,), epochs=0),
    ):
        assert result.success
        assert (result.n_steps, result.n_epochs, result.losses.shape) == (0, 0, (0,))
    assert [v.numpy().tolist() for v in model.variables] == before


def test_the_interpreter_has_no_part_in_the_steps(monkeypatch):
    calls = []
    run = training_module.Training._run

    def counted(self, *args):
        calls.append(args[-1])
        return run(self, *args)

    monkeypatch.setattr(training_module.Training, "_run", counted)
    x, y = map(T, data())
    model = network()
    step = tfe.compile_step(loss, train.AdamOptimizer())
    for _ in range(8):
        step.run(model, x, y, steps=2000)
    calls.clear()
    step.run(model, x, y, steps=2000)
    assert len(calls) <= 2
    assert sum(calls) == 2000


class Signs(train.Optimizer):
    """A formula of a user's own, with a slot that counts."""

    def start(self, value):
        return [0]

    def update(self, value, gradient, slots):
        slots[0] = slots[0] + 1
        return value - np.sign(gradient) * (self.learning_rate / slots[0])


def test_an_optimizer_of_ones_own():
    ends = []
    for compiled in (False, True):
        v, optimizer = V([5.0, -5.0]), Signs(0.5)

        def f(v=v):
            return tfe.reduce_sum(v * v)

        if compiled:
            tfe.compile_step(f, optimizer).run(steps=4)
        else:
            for _ in range(4):
                step_as_written(optimizer, f)
        assert optimizer.slots(v) == [4]
        ends.append(v.numpy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-6)


def test_steps_that_a_loop_never_takes_for_its_own_are_made_as_written(monkeypatch):
    run = training_module.Training._run
    monkeypatch.setattr(
        training_module.Training,
        "_run",
        lambda self, *args: run(self, *args[:-1], 1)._replace(is_taken=False),
    )
    models, optimizers = [network(), network()], [train.AdamOptimizer(0.05) for _ in range(2)]
    x, y = data(9)
    result = tfe.fit(
        loss, optimizers[1], (x, y), args=(models[1],), epochs=2, batch_size=4, shuffle=False
    )
    expected = [
        step_as_written(optimizers[0], loss, models[0], T(x[k : k + 4]), T(y[k : k + 4]))
        for _ in range(2)
        for k in range(0, 9, 4)
    ]
    np.testing.assert_allclose(result.losses, expected, rtol=2e-5)
    same(models[1].variables, models[0].variables)


def test_a_step_that_fails_in_a_loop_leaves_what_whole_steps_made():
    v, optimizer = V(1.0), train.AdamOptimizer(0.1)

    def f(n):
        return v * tfe.reduce_sum(tfe.cast(12 // n, "float32"))

    counts = np.array([1, 2, 3, 0, 5], dtype="int32")
    with pytest.raises(ZeroDivisionError):
        tfe.fit(f, optimizer, (counts,), batch_size=1, shuffle=False)
    n_steps = optimizer.slots(v)[2]
    u, other = V(1.0), train.AdamOptimizer(0.1)
    for n in counts[:n_steps]:
        step_as_written(other, lambda n: u * tfe.reduce_sum(tfe.cast(12 // n, "float32")), T([n]))
    assert n_steps <= 3
    assert float(v) == pytest.approx(float(u), rel=1e-6)


LAYERS = {
    "convolution": (
        lambda: [tfe.layers.Conv2D(2, 3, activation=tfe.relu), tfe.layers.Flatten()],
        lambda rng: rng.normal(size=(10, 6, 6, 1)).astype("float32"),
    ),
    "embedding": (
        lambda: [tfe.layers.Embedding(7, 3), tfe.layers.Flatten()],
        lambda rng: rng.integers(7, size=(10, 5)).astype("int32"),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_other_layers(name):
    make, draw = LAYERS[name]
    rng = np.random.default_rng(0)
    x, y = draw(rng), rng.normal(size=(10, 1)).astype("float32")
    losses = []
    for compiled in (False, True):
        tfe.set_random_seed(1)
        model = tfe.layers.Sequential([*make(), tfe.layers.Dense(1)])
        model(T(x))
        optimizer = train.AdamOptimizer(0.01)
        if compiled:
            result = tfe.fit(
                loss, optimizer, (x, y), args=(model,), epochs=2, batch_size=4, shuffle=False
            )
            losses.append(result.losses)
        else:
            batches = [(T(x[k : k + 4]), T(y[k : k + 4])) for k in (0, 4, 8)]
            losses.append(
                [step_as_written(optimizer, loss, model, *b) for _ in range(2) for b in batches]
            )
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-5)
