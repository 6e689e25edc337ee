"""How the function of an operation is applied to arrays, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from symdiff.eager.devices import CPU, move
from symdiff.eager.places import Cpu
from symdiff.errors import ShapeError, at_user_line

__all__ = ["apply", "apply_away"]


def apply(function: Callable[..., Any], values: list[Any], static: dict[str, Any]) -> Any:
    """Apply a function to arrays on the CPU; shapes that do not fit are named."""
    try:
        return function(*values, **static)
    except ValueError as error:
        if isinstance(error, ShapeError) or "operands could not be broadcast" not in str(error):
            raise
        shapes = " and ".join(str(np.shape(v)) for v in values)
        raise ShapeError(at_user_line(f"shapes do not broadcast together: {shapes}")) from None


def apply_away(
    function: Callable[..., Any], values: list[Any], static: dict[str, Any], place: Cpu
) -> Any:
    """Apply a function on another device than the CPU, or where that cannot: copy there and back.

    The copies count, or are refused, as those of operands are.
    """
    if place.can(function, static):
        return apply(partial(place.run, function), values, static)
    there = [move(v, place, CPU) if hasattr(v, "dtype") else v for v in values]
    return move(apply(function, there, static), CPU, place)
