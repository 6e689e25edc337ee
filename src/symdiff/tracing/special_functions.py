"""SciPy's special functions that are no ufuncs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SPECIAL_TABLE"]

SPECIAL_TABLE: dict[Any, Callable[..., Any]] = {}
"""The handler of each function."""
