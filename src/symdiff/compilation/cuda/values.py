"""Typed pieces of source: expressions of which the dtype is known, and conversions between them.

numba types expressions by rules of its own (a sum of two ``int32`` is an ``int64``), so every
operation is written with its dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

__all__ = [
    "DTYPES",
    "Emitter",
    "Row",
    "Value",
    "constant",
    "convert",
    "is_atom",
    "is_float",
    "kept",
    "scalar_name",
    "typed",
]


class Value(NamedTuple):
    """An expression in the source, and the dtype it has."""

    text: str
    dtype: str


class Emitter(Protocol):
    """Where lines go."""

    def hold(self, value: Value) -> Value:
        """Give a value a name, so that it is computed once."""
        ...

    def need(self, name: str) -> str:
        """Note that the source refers to a function, a dtype or a constant; give its name."""
        ...


Row = Callable[[Emitter, str, list[Value]], Value]

_PLAIN = frozenset(["float64", "float32", "int64", "uint64", "bool"])
"""Dtypes that numba's operators keep."""


def is_float(dtype: str) -> bool:
    """Whether values of a dtype are floating."""
    return dtype.startswith("float")


def is_atom(text: str) -> bool:
    """Whether an expression costs nothing to write twice.

    Examples
    --------
    >>> is_atom("x_1"), is_atom("-2.5"), is_atom("float32(0.5)"), is_atom("x[i]")
    (True, True, True, False)
    """
    inner = text.removeprefix("-")
    head, bracket, argument = inner.partition("(")
    if bracket and head in DTYPES and argument.endswith(")"):
        inner = argument[:-1].removeprefix("-")
        return inner.isidentifier() is False and inner.replace(".", "").replace("e", "").isalnum()
    return inner.isidentifier() or inner.replace(".", "").isdigit()


DTYPES = (
    *("bool", "float32", "float64", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)


def scalar_name(dtype: str) -> str:
    """Name the scalar type of a dtype."""
    return "bool_" if dtype == "bool" else dtype


def constant(e: Emitter, value: float | bool, dtype: str) -> Value:
    """Write a number with its dtype."""
    if dtype == "bool":
        return Value(str(bool(value)), dtype)
    if not is_float(dtype):
        number = int(np.array(int(value) % 2**64, np.uint64).astype(dtype))
        text = str(number)
        if dtype == "int64" and number > -(2**63):
            return Value(text if number >= 0 else f"({text})", dtype)
        return Value(f"{e.need(dtype)}({text})", dtype)
    number = float(value)
    if math.isfinite(number):
        text = repr(number)
    else:
        text = e.need("nan" if math.isnan(number) else "inf")
        text = f"-{text}" if number < 0 else text
    if dtype == "float64":
        return Value(f"({text})" if text.startswith("-") else text, dtype)
    return Value(f"{e.need(dtype)}({text})", dtype)


def convert(e: Emitter, value: Value, dtype: str) -> Value:
    """Convert a value to a dtype as C does; to Boolean by comparison with zero."""
    if value.dtype == dtype:
        return value
    if dtype == "bool":
        return Value(f"({value.text} != 0)", dtype)
    return Value(f"{e.need(dtype)}({value.text})", dtype)


def typed(e: Emitter, text: str, dtype: str) -> Value:
    """Keep the dtype of an operation on two values of it."""
    return (
        Value(f"({text})", dtype) if dtype in _PLAIN else Value(f"{e.need(dtype)}({text})", dtype)
    )


def kept(e: Emitter, value: Value) -> Value:
    """Give a name to what costs something."""
    return value if is_atom(value.text) else e.hold(value)
