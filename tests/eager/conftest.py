import pytest

from symdiff.eager import devices


@pytest.fixture
def gpu():
    made = devices.SimulatedGpu(0, total=1000)
    devices.add_device(made)
    yield made
    devices.remove_device(made.name)


@pytest.fixture
def fresh_options(monkeypatch):
    """Let a test choose options, which a process chooses once."""
    monkeypatch.setattr(devices, "_config", None)
    monkeypatch.setattr(devices, "_policy", "silent")
