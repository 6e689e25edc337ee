"""Where tensors lie: device names and scopes, memory, and copies between devices.

Everything that a device can do is in its class. `Cpu` is there always; `CudaGpu` is looked for when
a GPU is asked for the first time; `SimulatedGpu` has memory of its own in the sense that data gets
there by counted copies only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from symdiff.eager.gpus import find_gpus
from symdiff.eager.memory import MemoryInfo, Pool
from symdiff.eager.places import ConfigProto, Cpu, GPUOptions
from symdiff.errors import DeviceError, at_user_line
from symdiff.locks import LocalLock

__all__ = [
    "BUSY",
    "CPU",
    "ConfigProto",
    "Cpu",
    "GPUOptions",
    "MemoryInfo",
    "SimulatedGpu",
    "add_device",
    "check_copy",
    "common_device",
    "copies",
    "device",
    "enable_eager_execution",
    "find_device",
    "home_of",
    "list_devices",
    "memory_info",
    "move",
    "num_gpus",
    "remove_device",
    "scope_device",
]

BUSY: list[Any] = []
"""Scopes, tapes and traces that are open in any thread; while it is empty, operations take a short
way."""


class SimulatedGpu(Cpu):
    """A GPU for tests: computes with NumPy, but data comes and goes by copies, which it counts.

    It has no kernels: compiled functions copy to the CPU and back.

    Parameters
    ----------
    number : int
    total : int
        Bytes of memory.

    Examples
    --------
    >>> gpu = SimulatedGpu(3)
    >>> gpu.name, gpu.memory().total
    ('/gpu:3', 1073741824)
    """

    has_kernels = False
    has_generator = False

    def __init__(self, number: int, total: int = 2**30) -> None:
        self.name = f"/gpu:{number}"
        self.put_count = 0
        self.get_count = 0
        self._pool = Pool(self.name, total)

    @property
    def limit(self) -> int:
        """The bytes that the options allow."""
        options = GPUOptions() if _config is None else _config.gpu_options
        limit = int(self._pool.total * options.per_process_gpu_memory_fraction)
        if not options.allow_growth:
            self._pool.take(limit)
        return limit

    def put(self, array: Any) -> Any:
        """Copy an array from the host."""
        self.put_count += 1
        return self.hold(np.array(array))

    def get(self, value: Any) -> Any:
        """Copy an array to the host."""
        self.get_count += 1
        return np.array(value)[()]

    def hold(self, value: Any) -> Any:
        """Account for data that has been computed here."""
        return self._pool.hold(value, self.limit)

    def memory(self) -> MemoryInfo:
        """Say how much memory there is."""
        return self._pool.info()


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.stack: list[Cpu] = []


CPU = Cpu()
_devices: dict[str, Cpu] = {CPU.name: CPU}
_searching = LocalLock()
_why_no_other: str | None = None
"""Why there are no other GPUs; None while nobody has looked."""
_scopes = _Scopes()
_config: ConfigProto | None = None
_policy = "silent"
_copies = 0


def enable_eager_execution(
    config: ConfigProto | None = None, device_policy: str = "silent"
) -> None:
    """Choose options; eager mode itself needs no enabling.

    Parameters
    ----------
    config : ConfigProto, optional
    device_policy : {"silent", "explicit"}
        Whether operands on different devices are copied and counted, or refused.

    Raises
    ------
    ValueError
        It was called before with other options.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.enable_eager_execution()
    """
    global _config, _policy
    if device_policy not in ("silent", "explicit"):
        raise ValueError(
            at_user_line(f"device_policy {device_policy!r}; allowed are 'silent' and 'explicit'")
        )
    wanted = deepcopy(config) if config is not None else ConfigProto()
    if _config is not None and (_config, _policy) != (wanted, device_policy):
        raise ValueError(
            at_user_line("enable_eager_execution was called before with other options")
        )
    _config, _policy = wanted, device_policy
    for known in _devices.values():
        known.configure(wanted.gpu_options)


def add_device(made: Cpu) -> None:
    """Add a device; its name must be new."""
    if made.name in _devices:
        raise ValueError(f"there is a device {made.name} already")
    _devices[made.name] = made


def remove_device(name: str) -> None:
    """Take a device away again; the CPU stays."""
    if name != CPU.name:
        del _devices[name]


def find_device(name: str) -> Cpu:
    """Find a device by any of its names: ``/gpu:0``, ``gpu:0``, ``GPU:0``.

    Raises
    ------
    ValueError
        That is no name of a device.
    DeviceError
        There is no such device; with ``allow_soft_placement`` it is the CPU instead.
    """
    match = re.fullmatch(r"/?(?:device:)?(cpu|gpu):(\d+)", str(name).lower())
    if match is None:
        raise ValueError(
            at_user_line(f"{name!r} is no name of a device; names are like '/cpu:0' and '/gpu:0'")
        )
    full = f"/{match[1]}:{int(match[2])}"
    found = _devices.get(full) or _all_devices().get(full)
    if found is not None:
        return found
    if _config is not None and _config.allow_soft_placement:
        return CPU
    there = ", ".join(list_devices())
    raise DeviceError(
        at_user_line(f"there is no device {name!r}; there are {there} ({_why_no_other})")
    )


def _all_devices() -> dict[str, Cpu]:
    """Give all devices, and look for GPUs first, once."""
    global _why_no_other  # noqa: PLW0603 - the devices are the process's
    if _why_no_other is None:
        with _searching:
            if _why_no_other is None:
                found = find_gpus()
                for gpu in found.gpus:
                    if _config is not None:
                        gpu.configure(_config.gpu_options)
                    _devices.setdefault(gpu.name, gpu)
                _why_no_other = found.reason
    return _devices


def home_of(array: Any) -> Cpu:
    """Give the device that an array lies on."""
    if isinstance(array, (np.ndarray, np.generic)):
        return CPU
    return find_device(f"/gpu:{array.device.id}")


def device(name: str) -> AbstractContextManager[None]:
    """Place what is made, and compute, on a device within a ``with`` block, in this thread.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> with tfe.device("/cpu:0"):
    ...     x = tfe.constant(1.0)
    >>> x.device
    '/cpu:0'
    """
    return _scope(find_device(name))


@contextmanager
def _scope(found: Cpu) -> Iterator[None]:
    _scopes.stack.append(found)
    BUSY.append(found)
    try:
        yield
    finally:
        _scopes.stack.pop()
        BUSY.remove(found)


def scope_device() -> Cpu | None:
    """Give the device of the innermost scope of this thread."""
    stack = _scopes.stack
    return stack[-1] if stack else None


def common_device(places: list[Cpu]) -> Cpu:
    """Choose where to compute: the scope's device, else a GPU that has an operand, else the CPU."""
    scope = scope_device()
    if scope is not None:
        return scope
    return next((p for p in places if p is not CPU), CPU)


def move(value: Any, source: Cpu, target: Cpu, *, is_asked: bool = False) -> Any:
    """Copy data from one device to another, and count that."""
    global _copies  # noqa: PLW0603 - a counter
    if source is target:
        return value
    if not is_asked:
        check_copy(source, target)
    _copies += 1
    return target.take(value, source)


def check_copy(source: Cpu, target: Cpu) -> None:
    """Refuse to copy an operand where nobody has asked for it, and the policy is explicit."""
    if source is not target and _policy == "explicit":
        raise DeviceError(
            at_user_line(
                f"an operand lies on {source.name}, the operation is on {target.name}; copy it "
                "with .cpu() or .gpu(), or choose device_policy='silent'"
            )
        )


def copies() -> int:
    """Count the copies between devices so far.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.constant(1.0).cpu() is not None and tfe.copies() >= 0
    True
    """
    return _copies


def list_devices() -> list[str]:
    """Name the devices that are there.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.list_devices()[0]
    '/cpu:0'
    """
    return list(_all_devices())


def num_gpus() -> int:
    """Count the GPUs that are there.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.num_gpus() == len(tfe.list_devices()) - 1
    True
    """
    return len(_all_devices()) - 1


def memory_info(name: str) -> MemoryInfo:
    """Say how many bytes of a GPU's memory are used, pooled, and there in total.

    Raises
    ------
    ValueError
        That is no name of a GPU.
    DeviceError
        There is no such device.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> for name in tfe.list_devices()[1:]:
    ...     assert tfe.memory_info(name).used <= tfe.memory_info(name).total
    """
    return find_device(name).memory()
