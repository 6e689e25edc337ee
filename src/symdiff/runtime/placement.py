"""Where a solver's data lie: copied to a GPU once, and results brought back at each call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.errors import DeviceError, at_user_line
from symdiff.runtime.function import Function, check_target
from symdiff.trees import flatten, map_leaves

__all__ = [
    "ResultsOnHost",
    "converted",
    "copied",
    "is_for_device",
    "is_on_device",
    "taken",
    "to_host",
]


def is_for_device(target: str, *data: Any) -> bool:
    """Whether a target is a GPU, which is then there; "auto" is where the data lie.

    Raises
    ------
    ValueError
        It is no target.
    DeviceError
        There is no GPU, or data lie on one while the target is the CPU.
    """
    check_target(target)
    if target != "cuda":
        if not any(map(is_on_device, flatten(data)[0])):
            return False
        if target == "cpu":
            raise DeviceError(
                at_user_line("data lie on a GPU, the target is 'cpu'; leave target='auto'")
            )
    from symdiff.compilation.cuda.backend import require_device  # noqa: PLC0415 - seldom needed

    require_device()
    return True


def copied(tree: Any) -> Any:
    """Copy the arrays of a tree to the GPU; numbers stay."""
    from symdiff.compilation.cuda.memory import put  # noqa: PLC0415 - seldom needed

    return map_leaves(lambda x: put(x) if isinstance(x, np.ndarray) and x.ndim else x, tree)


def taken(x: Any) -> Any:
    """Take an array of any library's on a GPU as one that has NumPy's dtypes."""
    from symdiff.compilation.cuda.memory import put  # noqa: PLC0415 - seldom needed

    return put(x) if is_on_device(x) else x


def converted(x: Any, dtype: Any) -> Any:
    """Give an array on a GPU in a dtype; another's is converted on the host."""
    from symdiff.compilation.cuda.memory import prepared  # noqa: PLC0415 - seldom needed

    return prepared(x, np.dtype(dtype))


def to_host(tree: Any) -> Any:
    """Copy the arrays of a tree from the GPU."""
    from symdiff.compilation.cuda.memory import get  # noqa: PLC0415 - seldom needed

    return map_leaves(lambda x: get(x) if is_on_device(x) else x, tree)


class ResultsOnHost:
    """A Function for the GPU whose results are NumPy's, wherever its arguments lie."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self.program: Callable[..., Any] = function.program

    @property
    def n_compiled(self) -> int:
        """How often the function has been compiled."""
        return self._function.n_compiled

    def __call__(self, *args: Any) -> Any:
        """Run on the GPU."""
        return to_host(self._function(*args))
