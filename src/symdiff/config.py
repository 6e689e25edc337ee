"""Settings, read once from the environment and changed at will."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Config", "config"]


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
    precise_math : bool
        Compile without vector functions, whose error is up to 4 units in the last place instead of
        1; environment ``SYMDIFF_PRECISE_MATH``.
    background_compile : bool
        Interpret long programs of numbers while their machine code is made in another thread;
        environment ``SYMDIFF_BACKGROUND_COMPILE``. Without it the first call waits for the code.

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


def _from_environment() -> Config:
    made = Config()
    limit = os.environ.get("SYMDIFF_MAX_EQUATIONS")
    if limit:
        made.max_equations = int(limit)
    unrolled = os.environ.get("SYMDIFF_UNROLL_LIMIT")
    if unrolled:
        made.unroll_limit = int(unrolled)
    made.precise_math = os.environ.get("SYMDIFF_PRECISE_MATH", "0") not in ("", "0")
    made.background_compile = os.environ.get("SYMDIFF_BACKGROUND_COMPILE", "1") not in ("", "0")
    return made


config = _from_environment()
