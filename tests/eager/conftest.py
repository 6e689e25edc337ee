import sys
from types import SimpleNamespace

import cupy_standin
import pytest
from numba import cuda

from symdiff.compilation.cuda import backend
from symdiff.eager import devices, random_numbers
from symdiff.eager.gpus import CudaGpu


@pytest.fixture(autouse=True)
def no_gpus(request, monkeypatch):
    """Let there be no GPUs but those that a test adds, unless it needs a real one."""
    if "gpu" not in request.keywords:
        monkeypatch.setattr(devices, "_why_no_other", "tests bring their own")


@pytest.fixture
def gpu():
    made = devices.SimulatedGpu(0, total=1000)
    devices.add_device(made)
    yield made
    devices.remove_device(made.name)


@pytest.fixture
def cupy(monkeypatch):
    """Stand in for CuPy; the simulator's kernels take its arrays, on the device that is current."""
    if not backend.is_simulated():
        pytest.skip("the simulator is off")
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray  # noqa: PLC0415

    def as_cuda_array(x, sync=True):
        assert sync is False
        return FakeCUDAArray(cupy_standin.raw(x))

    def interface(self):
        described = self._ary.__array_interface__
        strides = None if self._ary.flags.c_contiguous else self._ary.strides
        return {**described, "strides": strides, "stream": 1, "version": 3}

    monkeypatch.setattr(cuda, "as_cuda_array", as_cuda_array, raising=False)
    monkeypatch.setattr(FakeCUDAArray, "__cuda_array_interface__", property(interface), False)
    scipy = SimpleNamespace(special=cupy_standin.special)
    for name, module in {
        "cupy": cupy_standin,
        "cupyx": SimpleNamespace(scipy=scipy),
        "cupyx.scipy": scipy,
        "cupyx.scipy.special": cupy_standin.special,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    cupy_standin.reset()
    return cupy_standin


@pytest.fixture
def gpus(cupy):
    """Two GPUs by CuPy's stand-in, with kernels in the simulator."""
    made = [CudaGpu(n, cupy) for n in range(2)]
    for each in made:
        each.has_kernels = True
        devices.add_device(each)
    yield made
    for each in made:
        devices.remove_device(each.name)
        random_numbers._generators.pop(each, None)


@pytest.fixture
def fresh_options(monkeypatch):
    """Let a test choose options, which a process chooses once."""
    monkeypatch.setattr(devices, "_config", None)
    monkeypatch.setattr(devices, "_policy", "silent")
