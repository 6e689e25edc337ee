"""Typed values of LLVM code: their dtypes, conversions between them, and where code goes."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = [
    "INTEGERS",
    "ITEM_SIZES",
    "UNSIGNED",
    "Emitter",
    "Row",
    "Value",
    "constant",
    "convert",
    "is_float",
    "llvm_type",
    "memory_type",
]


class Value(NamedTuple):
    """An LLVM value and the dtype it has; Booleans are ``i1``."""

    name: str
    dtype: str


class Emitter(Protocol):
    """Where instructions go.

    Attributes
    ----------
    in_loop : bool
        Whether they are repeated for the elements of an array, by lanes if LLVM finds that it can.
    n_functions : int
        How many of them are mathematical functions.
    """

    in_loop: bool
    n_functions: int

    def emit(self, instruction: str) -> str:
        """Append an instruction and name its result."""
        ...

    def define(self, name: str, text: str) -> str:
        """Add a function of our own once; return its name."""
        ...

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        """Declare an external function once; return its name."""
        ...


INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
UNSIGNED = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
_RANK = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
_RANK += ["float32", "float64"]


def llvm_type(dtype: str) -> str:
    """Name the LLVM type of values of a dtype."""
    if dtype == "float64":
        return "double"
    if dtype == "float32":
        return "float"
    if dtype == "bool":
        return "i1"
    return f"i{INTEGERS.get(dtype) or UNSIGNED[dtype]}"


def memory_type(dtype: str) -> str:
    """Name the LLVM type of elements in memory: a Boolean is a byte there."""
    return "i8" if dtype == "bool" else llvm_type(dtype)


ITEM_SIZES = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4}
ITEM_SIZES |= {"uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8}
"""Bytes of an element in memory."""


def constant(value: float | bool, dtype: str) -> Value:
    """Write a number as an LLVM constant."""
    if dtype == "bool":
        return Value("true" if value else "false", dtype)
    if not dtype.startswith("float"):
        return Value(str(int(value)), dtype)
    number = float(value)
    if dtype == "float32":
        number = _round_to_single(number)
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    return Value(f"0x{bits:016X}", dtype)


def _round_to_single(number: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)


def convert(e: Emitter, value: Value, dtype: str) -> Value:
    """Convert a value to a dtype as C does; to Boolean by comparison with zero."""
    if value.dtype == dtype:
        return value
    source, target = llvm_type(value.dtype), llvm_type(dtype)
    from_float, to_float = value.dtype.startswith("float"), dtype.startswith("float")
    if dtype == "bool":
        zero = constant(0, value.dtype).name
        compare = f"fcmp une {source}" if from_float else f"icmp ne {source}"
        return Value(e.emit(f"{compare} {value.name}, {zero}"), dtype)
    from_unsigned = value.dtype == "bool" or value.dtype in UNSIGNED
    if from_float and to_float:
        opcode = "fpext" if dtype == "float64" else "fptrunc"
    elif from_float:
        opcode = "fptoui" if dtype in UNSIGNED else "fptosi"
    elif to_float:
        opcode = "uitofp" if from_unsigned else "sitofp"
    else:
        wide, narrow = int(target[1:]), int(source[1:])
        if wide == narrow:
            return Value(value.name, dtype)
        opcode = "trunc" if wide < narrow else "zext" if from_unsigned else "sext"
    return Value(e.emit(f"{opcode} {source} {value.name} to {target}"), dtype)


Row = Callable[[Emitter, str, list[Value]], Value]


def is_float(dtype: str) -> bool:
    """Whether values of a dtype are floating."""
    return dtype.startswith("float")
