"""What a device does for tensors, done by the CPU; and the options that devices are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdiff.eager.memory import MemoryInfo
from symdiff.errors import at_user_line
from symdiff.runtime.function import Function

__all__ = ["ConfigProto", "Cpu", "GPUOptions"]


@dataclass
class GPUOptions:
    """How device memory is taken.

    Examples
    --------
    >>> GPUOptions().allow_growth
    True
    """

    allow_growth: bool = True
    per_process_gpu_memory_fraction: float = 1.0


@dataclass
class ConfigProto:
    """Options of `enable_eager_execution`.

    Examples
    --------
    >>> ConfigProto(allow_soft_placement=True).gpu_options.allow_growth
    True
    """

    allow_soft_placement: bool = False
    gpu_options: GPUOptions = field(default_factory=GPUOptions)


class Cpu:
    """The memory and the arithmetic of NumPy."""

    name = "/cpu:0"
    has_kernels = True
    """Whether compiled functions run here, on arrays that lie here."""
    has_generator = True
    """Whether random numbers are drawn here."""

    def configure(self, options: GPUOptions) -> None:
        """Hear of the options that were chosen."""

    def put(self, array: Any) -> Any:
        """Take an array from the host."""
        return array

    def get(self, value: Any) -> Any:
        """Give an array to the host."""
        return value

    def take(self, value: Any, source: Cpu) -> Any:
        """Take an array from another device."""
        return self.put(source.get(value))

    def hold(self, value: Any) -> Any:
        """Account for data that has been computed here."""
        return value

    def can(self, function: Callable[..., Any], static: Mapping[str, Any]) -> bool:
        """Whether a function of arrays can be computed here."""
        del function, static
        return True

    def run(self, function: Callable[..., Any], *values: Any, **static: Any) -> Any:
        """Apply a function that is written with NumPy to arrays that lie here."""
        return function(*values, **static)

    def function_for(self, function: Function) -> Function:
        """Give a function that is compiled, to be launched here."""
        return function

    def launch(self, function: Function, values: Sequence[Any]) -> tuple[Any, ...]:
        """Run a kernel, which gives a tuple, on arrays that lie here."""
        return function(*values)

    def generator(self, seed: int | None) -> Any:
        """Make a generator of random numbers."""
        return np.random.Generator(np.random.Philox(seed))

    def memory(self) -> MemoryInfo:
        """Say how much memory there is."""
        raise ValueError(
            at_user_line("memory_info is about GPUs; the CPU's memory is the system's")
        )

    def __repr__(self) -> str:
        return f"<device {self.name}>"
