import gc
import subprocess
import sys

import numpy as np
import pytest

import symdiff.eager as tfe
from symdiff.eager.memory import Pool


def test_views_count_once_and_what_is_let_go_is_kept():
    pool = Pool("/gpu:0", 1000)
    x = pool.hold(np.zeros(50), 1000)
    view = pool.hold(x[::2], 1000)
    number = pool.hold(np.float32(1), 1000)
    assert pool.info() == (404, 0, 1000)
    del x
    assert pool.info().used == 404
    del view
    assert pool.info() == (4, 400, 1000)
    assert number.shape == ()


def test_what_is_kept_serves_later_arrays():
    pool = Pool("/gpu:0", 1000)
    for _ in range(5):
        pool.hold(np.zeros(100), 1000)
    assert pool.info() == (0, 800, 1000)


def test_the_limit_is_of_all_that_is_used():
    pool = Pool("/gpu:0", 1000)
    x = pool.hold(np.zeros(50), 500)
    with pytest.raises(MemoryError, match=r"/gpu:0: 240 bytes are wanted, 500 .* 400 are used"):
        pool.hold(np.zeros(30), 500)
    assert pool.info().used == 400
    del x
    assert pool.hold(np.zeros(30), 500).nbytes == 240


def test_tensors_use_the_memory_of_their_device(gpu):
    assert tfe.memory_info("/gpu:0") == (0, 0, 1000)
    x = tfe.zeros(50).gpu(0)
    y = x + x
    z = tfe.reduce_sum(y)
    assert tfe.memory_info("/gpu:0").used == 404
    with pytest.raises(MemoryError, match="800 bytes are wanted"):
        tfe.zeros(200).gpu(0)
    host = y.cpu()
    del x, y, z
    assert tfe.memory_info("/gpu:0").used == 0
    assert tfe.memory_info("/gpu:0").pooled >= 404
    assert host.shape == (50,)
    with pytest.raises(ValueError, match="GPUs"):
        tfe.memory_info("/cpu:0")


def test_gradients_use_the_memory_of_their_device(gpu):
    x = tfe.ones(50).gpu(0)
    (slope,) = tfe.gradients_function(lambda x: x * x)(x)
    assert tfe.memory_info("/gpu:0").used == 400
    assert slope.device == "/gpu:0"


def test_without_growth_all_that_is_allowed_is_taken_at_once(gpu, fresh_options):
    options = tfe.GPUOptions(allow_growth=False, per_process_gpu_memory_fraction=0.5)
    tfe.enable_eager_execution(tfe.ConfigProto(gpu_options=options))
    x = tfe.zeros(25).gpu(0)
    assert tfe.memory_info("/gpu:0") == (100, 400, 1000)
    del x


def test_nothing_is_taken_at_import():
    code = """if True:
        import sys
        import symdiff.eager as tfe
        assert tfe.ConfigProto().gpu_options.allow_growth
        assert not {"cupy", "numba.cuda"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_training_on_a_device_gives_its_memory_back(gpu, fresh_options):
    def train():
        model = tfe.layers.Sequential(
            [tfe.layers.Conv2D(1, 2, activation="relu"), tfe.layers.Flatten(), tfe.layers.Dense(2)]
        )
        x = tfe.random_normal([2, 3, 3, 1], seed=1)
        step = tfe.implicit_value_and_gradients(
            lambda m: tfe.losses.sparse_softmax_cross_entropy([0, 1], m(x))
        )
        optimizer = tfe.train.AdamOptimizer(0.1)
        for _ in range(20):
            loss, pairs = step(model)
            optimizer.apply_gradients(pairs)
        assert {loss.device, *[v.device for v in model.variables]} == {"/gpu:0"}
        assert {g.device for g, _ in pairs} == {"/gpu:0"}
        assert tfe.memory_info("/gpu:0").used > sum(4 * v.numpy().size for v in model.variables)
        return float(loss)

    with tfe.device("/gpu:0"):
        assert train() < 0.3
    gc.collect()
    assert tfe.memory_info("/gpu:0").used == 0
    assert tfe.memory_info("/gpu:0").pooled > 0
