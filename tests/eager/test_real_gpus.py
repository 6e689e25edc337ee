"""The cases of `benchmarks/eager_gpu.py`: on CuPy's stand-in, and on a real GPU if there is one."""

import importlib.util
from pathlib import Path

import pytest

import symdiff.eager as tfe
from symdiff.compilation.cuda import backend

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "eager_gpu.py"


def loaded():
    spec = importlib.util.spec_from_file_location("eager_gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = loaded()


@pytest.mark.parametrize("case", CASES.CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("device", ["/gpu:0", "/gpu:1"])
def test_the_cases_on_a_stand_in(gpus, case, device):
    case(device)


def test_copies_between_devices_on_a_stand_in(gpus):
    CASES.copies_between("/gpu:1", "/gpu:0")


def test_an_error_is_told(gpus, monkeypatch):
    monkeypatch.setattr(CASES, "CASES", (CASES.memory, lambda device: tfe.constant([1.0])[5]))
    found = CASES.run()
    assert found["memory"] is None
    assert "IndexError" in found["<lambda>"]
    assert found["copies_to_gpu:1"] is None


@pytest.mark.gpu
def test_the_cases_on_every_gpu():
    if backend.is_simulated() or not tfe.num_gpus():
        pytest.skip("needs a GPU, CuPy, and the simulator off")
    for device in tfe.list_devices()[1:]:
        found = CASES.run(device)
        assert not any(found.values()), "\n".join(filter(None, found.values()))
