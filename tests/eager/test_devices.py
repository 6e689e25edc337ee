import threading

import pytest

import symdiff as sd
import symdiff.eager as tfe
from symdiff.eager import devices


def test_without_a_gpu_there_is_the_cpu():
    assert tfe.list_devices() == ["/cpu:0"]
    assert tfe.num_gpus() == 0


@pytest.mark.parametrize("name", ["/gpu:0", "gpu:0", "GPU:0"])
def test_names_of_a_gpu(gpu, name):
    with tfe.device(name):
        assert tfe.constant(1.0).device == "/gpu:0"
    assert tfe.constant(1.0).device == "/cpu:0"


@pytest.mark.parametrize("name", ["gpu", "tpu:0", "/gpu:x", ""])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="name of a device"), tfe.device(name):
        pass


def test_a_device_that_is_not_there_names_those_that_are():
    with pytest.raises(sd.DeviceError, match="/cpu:0"), tfe.device("/gpu:7"):
        pass
    with pytest.raises(sd.DeviceError):
        tfe.constant(1.0).gpu(0)


def test_scopes_nest_and_restore_on_exception(gpu):
    def fail():
        with tfe.device("/cpu:0"):
            assert tfe.ones(1).device == "/cpu:0"
            raise KeyError

    with tfe.device("/gpu:0"):
        with pytest.raises(KeyError):
            fail()
        assert tfe.ones(1).device == "/gpu:0"
    assert not devices.BUSY


def test_scopes_are_per_thread(gpu):
    seen = []
    with tfe.device("/gpu:0"):
        thread = threading.Thread(target=lambda: seen.append(tfe.ones(1).device))
        thread.start()
        thread.join()
    assert seen == ["/cpu:0"]


def test_copies_are_counted(gpu):
    x = tfe.constant([1.0])
    before = tfe.copies()
    y = x.gpu(0)
    assert (y.device, gpu.put_count, tfe.copies() - before) == ("/gpu:0", 1, 1)
    z = x + y
    assert (z.device, tfe.copies() - before) == ("/gpu:0", 2)
    assert z.cpu().numpy() == [2.0]
    assert z.numpy() == [2.0]
    assert gpu.get_count == 2


def test_explicit_copies(gpu, fresh_options):
    tfe.enable_eager_execution(device_policy="explicit")
    x = tfe.constant(1.0)
    with pytest.raises(sd.DeviceError, match="/cpu:0"):
        x + x.gpu(0)
    assert (x + x.gpu(0).cpu()).numpy() == 2.0
    assert float(tfe.gradients_function(lambda x: x * x)(x.gpu(0))[0]) == 2.0


def test_soft_placement(fresh_options):
    tfe.enable_eager_execution(tfe.ConfigProto(allow_soft_placement=True))
    with tfe.device("/gpu:0"):
        assert tfe.constant(1.0).device == "/cpu:0"


def test_options_are_chosen_once(fresh_options):
    tfe.enable_eager_execution()
    tfe.enable_eager_execution(tfe.ConfigProto())
    with pytest.raises(ValueError, match="other options"):
        tfe.enable_eager_execution(device_policy="explicit")


def test_memory_is_capped(gpu, fresh_options):
    config = tfe.ConfigProto()
    config.gpu_options.per_process_gpu_memory_fraction = 0.5
    tfe.enable_eager_execution(config)
    config.gpu_options.per_process_gpu_memory_fraction = 1.0
    assert tfe.memory_info("/gpu:0").total == 1000
    tfe.zeros(100).gpu(0)
    with pytest.raises(MemoryError, match="800 bytes are wanted, 500"):
        tfe.zeros(200).gpu(0)


def test_a_copy_is_a_new_tensor():
    x = tfe.constant(1.0)
    assert x.cpu() is not x
    assert tfe.Variable(1.0).cpu().device == "/cpu:0"


def test_copies_are_differentiable_and_the_gradient_lies_with_its_source(gpu):
    slopes = tfe.gradients_function(lambda x, y: x.gpu(0) * y.cpu())
    for x, y in [(tfe.constant(3.0), tfe.constant(2.0).gpu(0))] * 2:
        a, b = slopes(x, y)
        assert (float(a), a.device) == (2, "/cpu:0")
        assert (float(b), b.device) == (3, "/gpu:0")
    with tfe.GradientTape() as tape:
        tape.watch([x, y])
        z = x.gpu(0) * y
    a, b = tape.gradient(z, [x, y])
    assert (float(a), a.device) == (2, "/cpu:0")
    assert (float(b), b.device) == (3, "/gpu:0")


def test_growth_is_the_default_and_one_device_is_no_place_for_copies(gpu, fresh_options):
    assert tfe.ConfigProto().gpu_options.allow_growth
    tfe.enable_eager_execution(device_policy="explicit")
    x = tfe.constant([1.0, 2.0]).gpu(0)
    before = tfe.copies()
    y = tfe.reduce_sum(x * x + 1.0)
    assert (y.device, tfe.copies()) == ("/gpu:0", before)


def test_the_same_seed_gives_the_same_numbers_on_a_device(gpu):
    drawn = []
    for _ in range(2):
        tfe.set_random_seed(3)
        with tfe.device("gpu:0"):
            drawn.append([tfe.random_normal([2]), tfe.random_normal([2], 1.0, 2.0, "float64")])
    for a, b in zip(*drawn, strict=True):
        assert a.device == "/gpu:0"
        assert a.numpy().tolist() == b.numpy().tolist()


def test_the_policy_holds_for_compiled_functions_too(gpu, fresh_options):
    product = tfe.gradients_function(lambda x, y: x * y)
    x, y = tfe.constant(3.0), tfe.constant(2.0).gpu(0)
    before = tfe.copies()
    assert [float(g) for g in product(x, y)] == [2, 3]
    assert tfe.copies() > before
    tfe.enable_eager_execution(device_policy="explicit")
    with pytest.raises(sd.DeviceError, match="device_policy='silent'"):
        product(x, y)
    assert [float(g) for g in product(x, y.cpu())] == [2, 3]
