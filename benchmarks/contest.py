"""What a file of benchmarks holds: a workload, its cases, and who enters.

A file ``wNN_name.py`` has one `Workload` named ``WORKLOAD``. A contestant is a function of a case's
data that returns a call without arguments; everything up to the end of the first call is its
first-call time, what follows is repeated. Its answer is checked before anything is timed. Nothing
here imports a rival, or symdiff: each contestant runs in a process of its own.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Case", "Skip", "Workload", "as_arrays", "close", "flat", "rival"]

# The module to import for a contestant whose name begins so; others need nothing.
MODULES = {
    "symdiff": "symdiff",
    "jax": "jax",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "autograd": "autograd",
    "casadi": "casadi",
    "heyoka": "heyoka",
    "numba": "numba",
    "scipy": "scipy",
}
# Those that keep compiled code on disk: they are timed again in a second process.
CACHED = ("symdiff", "jax")


class Skip(Exception):  # noqa: N818 - it is no error
    """A contestant does not enter; the message says why."""


@dataclass(frozen=True)
class Case:
    """One size of a workload.

    Parameters
    ----------
    name
        Part of the row's title.
    load
        Make the data, outside all times.
    quick
        Whether it is small enough for ``--quick`` and ``--check``.
    once
        The first call is all there is to time.
    """

    name: str
    load: Callable[[], Any]
    quick: bool = False
    once: bool = False


@dataclass(frozen=True)
class Workload:
    """What is computed, by whom, and how an answer is known to be right.

    Parameters
    ----------
    name, title
        Such as ``"W1"``, and what is computed.
    cases
        The sizes.
    contestants
        A name, which begins with the package's, to a function of the data that returns the call.
    check
        Takes the data and a contestant's answer, and raises `AssertionError` when it is wrong.
    limit
        The contestants that show what the machine can do; they are not rivals.
    """

    name: str
    title: str
    cases: Sequence[Case]
    contestants: dict[str, Callable[[Any], Callable[[], Any]]]
    check: Callable[[Any, Any], None]
    limit: tuple[str, ...] = ()


@functools.cache  # some can be given their number of threads only once
def rival(name: str) -> Any:
    """Import the package of a contestant and have it use one thread, or skip the contestant."""
    first, _, rest = name.partition(" ")
    if rest:
        return rival(first)
    module = MODULES.get(first)
    if module is None:
        return None
    try:
        loaded = importlib.import_module(module)
    except ImportError:
        raise Skip(f"{module} is not installed") from None
    _SETTINGS.get(module, lambda _: None)(loaded)
    return loaded


def _set_jax(jax: Any) -> None:
    jax.config.update("jax_enable_x64", True)
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if folder:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _set_torch(torch: Any) -> None:
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)


def _set_tensorflow(tensorflow: Any) -> None:
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)


_SETTINGS = {"jax": _set_jax, "torch": _set_torch, "tensorflow": _set_tensorflow}


def as_arrays(answer: Any) -> list[np.ndarray]:
    """Give the leaves of nested tuples, lists and dicts (by key) as NumPy arrays."""
    if isinstance(answer, dict):
        answer = [answer[key] for key in sorted(answer)]
    if isinstance(answer, list | tuple):
        return [array for part in answer for array in as_arrays(part)]
    return [np.asarray(answer)]


def flat(answer: Any) -> np.ndarray:
    """Give all numbers of an answer in one vector."""
    return np.concatenate([array.astype(float).ravel() for array in as_arrays(answer)])


def close(got: Any, want: Any, rtol: float = 1e-9) -> None:
    """Require the same numbers, to within `rtol` of the largest of each array."""
    got, want = as_arrays(got), as_arrays(want)
    assert len(got) == len(want), f"{len(got)} arrays, not {len(want)}"
    for a, b in zip(got, want, strict=True):
        assert a.size == b.size, f"shape {a.shape}, not {b.shape}"
        np.testing.assert_allclose(
            a.reshape(b.shape), b, rtol=rtol, atol=rtol * float(np.max(np.abs(b)))
        )
