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

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.config.max_equations
    200000
    """

    max_equations: int = 200_000


def _from_environment() -> Config:
    limit = os.environ.get("SYMDIFF_MAX_EQUATIONS")
    return Config(max_equations=int(limit)) if limit else Config()


config = _from_environment()
