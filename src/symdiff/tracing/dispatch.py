"""The tables through which tracers find what is done with them.

A tracer's methods need functions that are themselves written with tracers: ``x.sum()`` is
``np.sum(x)``, whose handler makes tracers. The class cannot import the modules that import it, so
it looks its handlers up here, and `trace`, which imports both sides, fills the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["FUNCTIONS", "METHODS"]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""The handler of each NumPy function; that of `numpy.ufunc` takes the calls of every ufunc."""

METHODS: dict[tuple[Any, str], Callable[..., Any]] = {}
"""The handlers of methods of ufuncs, such as ``np.add.reduce``."""
