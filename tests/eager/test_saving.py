import os

import numpy as np
import pytest

import symdiff as sd
import symdiff.eager as tfe
from symdiff.optimizers import checkpoints

T, V, train = tfe.constant, tfe.Variable, tfe.train


@pytest.mark.parametrize(
    "value",
    [
        T(1.5),
        T([[1, 2]]),
        T([True, False]),
        T(np.arange(3.0)),
        T(np.zeros((0, 2), np.float32)),
        T(np.uint8(200)),
    ],
)
def test_values_come_back_as_they_were(tmp_path, value):
    v = V(value)
    saver = tfe.Saver({"a name/with:signs": v, "file": V(1.0)})
    path = saver.save(tmp_path / "model")
    v.assign(tfe.zeros_like(value))
    saver.restore(path)
    assert (v.dtype, v.shape) == (value.dtype, value.shape)
    assert np.array_equal(v.numpy(), value.numpy())


def test_equal_names_are_numbered_and_steps_are_part_of_the_path(tmp_path):
    variables = [V(float(n), name="w") for n in range(3)]
    saver = train.Saver(variables)
    paths = [saver.save(tmp_path / "model", global_step=V(n)) for n in (1, 2)]
    assert [os.path.basename(p) for p in paths] == ["model-1", "model-2"]
    others = [V(-1.0, name="w") for _ in range(3)]
    tfe.Saver(others).restore(paths[0])
    assert [float(v) for v in others] == [0, 1, 2]


def test_a_missing_variable_is_named_and_nothing_is_assigned(tmp_path):
    path = tfe.Saver({"a": V(1.0), "b": V(2.0)}).save(tmp_path / "model")
    a, c = V(10.0), V(30.0)
    with pytest.raises(ValueError, match=r"'c' is not in .*model; there is a, b"):
        tfe.Saver({"a": a, "c": c}).restore(path)
    assert (float(a), float(c)) == (10, 30)
    tfe.Saver({"a": a}).restore(path)
    assert float(a) == 1


@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        (V([2.0]), ValueError, r"'b' has shape \(\) in the file, here \(1,\)"),
        (V(2), TypeError, "'b' has dtype float32 in the file, here int32"),
    ],
)
def test_another_shape_or_dtype_is_refused_before_anything_changes(tmp_path, other, error, words):
    path = tfe.Saver({"a": V(1.0), "b": V(2.0)}).save(tmp_path / "model")
    a = V(10.0)
    for kind in (lambda **named: tfe.Saver(named), tfe.Checkpoint):
        with pytest.raises(error, match=words):
            kind(a=a, b=other).restore(path)
        assert float(a) == 10


def test_an_interrupted_save_leaves_the_file_before(tmp_path, monkeypatch):
    v = V(1.0, name="v")
    saver = tfe.Saver([v])
    path = saver.save(tmp_path / "model")
    v.assign(2.0)
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.os, name, _fail)
            with pytest.raises(OSError, match="no space"):
                saver.save(path)
        assert os.listdir(tmp_path) == ["model"]
    saver.restore(path)
    assert float(v) == 1


def _fail(*_):
    raise OSError("no space left")


def test_files_that_are_none_of_ours(tmp_path):
    v = V(1.0)
    with pytest.raises(sd.CacheError, match="no such file"):
        tfe.Saver([v]).restore(tmp_path / "nothing")
    with pytest.raises(sd.CacheError, match="cannot be written"):
        tfe.Saver([v]).save(tmp_path / "no_folder" / "model")
    checkpoints.write(tmp_path / "other", {}, {})
    with pytest.raises(ValueError, match="not written by a Saver"):
        tfe.Saver([v]).restore(tmp_path / "other")
    with pytest.raises(TypeError, match="takes variables"):
        tfe.Saver([1.0])


def _training(make):
    tfe.set_random_seed(2)
    model = tfe.layers.Sequential([tfe.layers.Dense(4, tfe.tanh), tfe.layers.Dense(1)])
    scale = V(1.0)
    x = tfe.random_normal([16, 3], seed=5)
    y = tfe.reduce_sum(x, 1, keepdims=True)
    loss = tfe.implicit_gradients(lambda m: tfe.losses.mean_squared_error(y, m(x) * scale))
    optimizer = make()

    def steps(count):
        for _ in range(count):
            optimizer.apply_gradients(loss(model))
        return [v.numpy().copy() for v in [*model.variables, scale]]

    return steps, {"model": model, "more": {"scale": [scale]}, "optimizer": optimizer}


OPTIMIZERS = {
    "adam": lambda: train.AdamOptimizer(0.05),
    "momentum": lambda: train.MomentumOptimizer(0.05, 0.9, use_nesterov=True),
    "rmsprop": lambda: train.RMSPropOptimizer(0.01, momentum=0.5),
    "adagrad": lambda: train.AdagradOptimizer(0.1),
    "descent": lambda: train.GradientDescentOptimizer(0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_goes_on_bit_for_bit(tmp_path, name):
    steps, objects = _training(OPTIMIZERS[name])
    steps(7)
    path = tfe.Checkpoint(**objects).save(tmp_path / "state")
    expected = steps(5)
    tfe.Checkpoint(**objects).restore(path)
    again = steps(5)
    assert all(np.array_equal(a, b) for a, b in zip(expected, again, strict=True))

    steps, objects = _training(OPTIMIZERS[name])  # as in another process
    steps(1)
    tfe.train.Checkpoint(**objects).restore(path)
    anew = steps(5)
    assert all(np.array_equal(a, b) for a, b in zip(expected, anew, strict=True))


def test_state_of_a_later_time_is_forgotten(tmp_path):
    v = V(2.0)
    optimizer = train.AdamOptimizer(0.1)
    checkpoint = tfe.Checkpoint(v=v, optimizer=optimizer)
    path = checkpoint.save(tmp_path / "state")
    first = [float(optimizer.minimize(lambda: v * v)) for _ in range(3)]
    checkpoint.restore(path)
    assert [float(optimizer.minimize(lambda: v * v)) for _ in range(3)] == first


def test_what_a_checkpoint_lacks_or_has_too_much_is_named(tmp_path):
    steps, objects = _training(OPTIMIZERS["adam"])
    steps(1)
    path = tfe.Checkpoint(model=objects["model"]).save(tmp_path / "model")
    before = steps(1)
    with pytest.raises(ValueError, match="'optimizer' is not in"):
        tfe.Checkpoint(model=objects["model"], optimizer=objects["optimizer"]).restore(path)
    with pytest.raises(ValueError, match=r"'scale' is not in .* model/layers/0/bias"):
        tfe.Checkpoint(model=objects["model"], scale=V(1.0)).restore(path)
    assert all(
        np.array_equal(v.numpy(), b)
        for v, b in zip(objects["model"].variables, before[:-1], strict=True)
    )
    new = tfe.layers.Sequential([tfe.layers.Dense(4), tfe.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"model/layers/0/kernel.*call new layers once"):
        tfe.Checkpoint(model=new).restore(path)


def test_another_optimizer_is_refused(tmp_path):
    v = V(2.0)
    adam, momentum = train.AdamOptimizer(0.1), train.MomentumOptimizer(0.1)
    adam.minimize(lambda: v * v)
    path = tfe.Checkpoint(v=v, optimizer=adam).save(tmp_path / "state")
    with pytest.raises(ValueError, match="optimizer:v:"):
        tfe.Checkpoint(v=v, optimizer=momentum).restore(path)
    momentum.minimize(lambda: v * v)
    path = tfe.Checkpoint(v=v, optimizer=momentum).save(tmp_path / "state")
    with pytest.raises(ValueError, match="optimizer:v:1"):
        tfe.Checkpoint(v=v, optimizer=adam).restore(path)


def test_shared_variables_are_saved_once_and_cycles_end(tmp_path):
    class Model:
        def __init__(self):
            self.w = self.tied = V(3.0)
            self.me = self
            self.activation = tfe.relu

    model = Model()
    path = tfe.Checkpoint(model=model).save(tmp_path / "state")
    assert checkpoints.read(tmp_path / "state")[0]["names"] == ["model/w"]
    model.w.assign(0.0)
    tfe.Checkpoint(model=model).restore(path)
    assert float(model.tied) == 3


def test_what_cannot_be_saved_is_refused(tmp_path):
    for value in (3, T(1.0), np.ones(2), "text", tfe.relu):
        with pytest.raises(TypeError, match="step="):
            tfe.Checkpoint(step=value)
    with pytest.raises(ValueError, match="no variable to save"):
        tfe.Checkpoint(model=tfe.layers.Dense(2)).save(tmp_path / "state")


def test_two_things_of_one_name_are_refused(tmp_path):
    checkpoint = tfe.Checkpoint(net={"a/b": V(1.0), "a": {"b": V(2.0)}})
    with pytest.raises(ValueError, match="two things are called 'net/a/b'"):
        checkpoint.save(tmp_path / "state")


def test_a_variable_stays_on_its_device(tmp_path, gpu):
    with tfe.device("/gpu:0"):
        v = V([1.0, 2.0])
    path = tfe.Checkpoint(v=v).save(tmp_path / "state")
    v.assign([0.0, 0.0])
    tfe.Checkpoint(v=v).restore(path)
    assert (v.device, v.numpy().tolist()) == ("/gpu:0", [1, 2])
