"""Settings, read once from the environment and changed at will."""

from __future__ import annotations

import ctypes
import operator
import os
from dataclasses import dataclass

__all__ = ["Config", "config", "default_cache_dir"]


@dataclass
class Config:
    """What can be set. Fields are read when a function is traced or compiled, not at its calls.

    Attributes
    ----------
    max_equations : int
        A trace that passes this many operations stops with `ProgramTooLargeError`; environment
        ``SYMDIFF_MAX_EQUATIONS``.
    unroll_limit : int
        Loops of up to so many steps over a range that is known are unrolled, others stay loops;
        environment ``SYMDIFF_UNROLL_LIMIT``.
    threads : int
        How many threads a kernel may use, at least 1; from the start as many as the process may
        run on. Kernels look at each call, and long ones only. Results do not depend on it, not in
        a single bit; environment ``SYMDIFF_THREADS``.
    result_memory : int
        How many bytes of large results that have been let go are kept for those of later calls,
        at most: new memory costs as much as many a kernel. 64 MiB from the start, 0 keeps nothing.
        What is not used again goes back while other large results are made; environment
        ``SYMDIFF_RESULT_MEMORY``.
    precise_math : bool
        Compile without vector functions, whose error is up to 4 units in the last place instead of
        1; environment ``SYMDIFF_PRECISE_MATH``.
    background_compile : bool
        Interpret long programs of numbers while their machine code is made in another thread;
        environment ``SYMDIFF_BACKGROUND_COMPILE``. Without it the first call waits for the code.
    progress : bool
        Whether anything shows progress; environment ``SYMDIFF_PROGRESS``.
    cache_dir : str or None
        The directory in which compiled kernels are kept for other processes, made when it is first
        needed; None does without. Environment ``SYMDIFF_CACHE_DIR``, where the empty string stands
        for None; otherwise ``symdiff`` in ``XDG_CACHE_HOME``, or in ``~/.cache``.
    cache_size : int
        How many bytes may lie there; kernels that were used longest ago make room for new ones.
        Environment ``SYMDIFF_CACHE_SIZE``.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.config.max_equations
    200000
    """

    max_equations: int = 200_000
    unroll_limit: int = 16
    precise_math: bool = False
    background_compile: bool = True
    progress: bool = True
    cache_dir: str | None = None
    cache_size: int = 1 << 30

    def __post_init__(self) -> None:
        self._threads = ctypes.c_int64(_n_available())
        self._result_memory = ctypes.c_int64(64 << 20)
        # Results look at it when they are let go, which may be after everything else is gone.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._result_memory))

    @property
    def threads(self) -> int:
        """How many threads a kernel may use."""
        return self._threads.value

    @threads.setter
    def threads(self, count: int) -> None:
        number = operator.index(count)
        if number < 1:
            raise ValueError(f"threads is {number}; allowed are numbers from 1")
        self._threads.value = number

    @property
    def threads_address(self) -> int:
        """Where the number of threads is in memory, for kernels."""
        return ctypes.addressof(self._threads)

    @property
    def result_memory(self) -> int:
        """How many bytes of results that have been let go are kept."""
        return self._result_memory.value

    @result_memory.setter
    def result_memory(self, size: int) -> None:
        number = operator.index(size)
        if not 0 <= number < 1 << 62:
            raise ValueError(f"result_memory is {number}; allowed are numbers of bytes from 0")
        self._result_memory.value = number

    @property
    def result_memory_address(self) -> int:
        """Where that number is in memory."""
        return ctypes.addressof(self._result_memory)


def _n_available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _from_environment() -> Config:
    made = Config()
    for name in ("max_equations", "unroll_limit", "threads", "result_memory", "cache_size"):
        number = os.environ.get(f"SYMDIFF_{name.upper()}")
        if number:
            setattr(made, name, int(number))
    for name in ("precise_math", "background_compile", "progress"):
        truth = os.environ.get(f"SYMDIFF_{name.upper()}")
        if truth is not None:
            setattr(made, name, truth not in ("", "0"))
    made.cache_dir = os.environ.get("SYMDIFF_CACHE_DIR", default_cache_dir()) or None
    return made


def default_cache_dir() -> str | None:
    """Say where kernels are kept when nobody says so; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # which its specification says to ignore
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "symdiff") if os.path.isabs(base) else None


config = _from_environment()
