"""The dtypes in which every target computes, and the numbers with which sums begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["computed_in", "literal_dtype", "promote", "start_number"]


def promote(*dtypes: str) -> str:
    """The dtype in which values of several dtypes are compared."""
    return dtypes[0] if len(set(dtypes)) == 1 else np.result_type(*dtypes).name


def literal_dtype(value: float | bool, dtype: str) -> str:
    """The dtype of a number in a pattern: that of the equation, where that is a number's.

    Examples
    --------
    >>> literal_dtype(2, "float32"), literal_dtype(2, "bool"), literal_dtype(True, "float64")
    ('float32', 'int64', 'bool')
    """
    if isinstance(value, bool):
        return "bool"
    if dtype == "bool":
        return "int64" if isinstance(value, int) else "float64"
    return dtype


def computed_in(dtype: str, arguments: Sequence[str]) -> str:
    """The dtype in which a step of an equation is computed, whose arguments have these dtypes.

    Examples
    --------
    >>> computed_in("float32", ["float32", "bool"]), computed_in("bool", ["float32", "float64"])
    ('float32', 'float64')
    """
    if dtype == "bool" and any(a != "bool" for a in arguments):
        return promote(*arguments)
    return dtype


def start_number(operator: str, dtype: str) -> float | bool:
    """What an operator leaves unchanged.

    Examples
    --------
    >>> start_number("+=", "int32"), start_number("max=", "float64"), start_number("min=", "int8")
    (0, -inf, 127)
    """
    if operator in ("or=", "and="):
        return operator == "and="
    if operator not in ("max=", "min="):
        return 0
    if dtype.startswith("float"):
        return -np.inf if operator == "max=" else np.inf
    limits = np.iinfo(dtype)
    return int(limits.min if operator == "max=" else limits.max)
