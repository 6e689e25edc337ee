"""Every step of a pattern as source. What can be compiled for CUDA is the keys of `STEPS`.

Functions of the mathematical library are libdevice's, under their names in C: ``exp`` of a
``float64``, ``expf`` of a ``float32``.
"""

# ruff: noqa: ARG001 - rows of a table have the same parameters
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.compilation.compositions import Target, by_kind, compositions
from symdiff.compilation.cuda import library, special
from symdiff.compilation.cuda.values import (
    DTYPES,
    Emitter,
    Row,
    Value,
    constant,
    convert,
    is_float,
    kept,
    scalar_name,
    typed,
)
from symdiff.compilation.dtypes import promote, start_number
from symdiff.errors import UnsupportedOperationError

__all__ = ["RESERVED", "STEPS", "start_value"]


def _infix(operator: str, of_bools: str | None = None) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype).text for x in arguments)
        if dtype == "bool":
            assert of_bools is not None
            return Value(f"({a} {of_bools} {b})", dtype)
        return typed(e, f"{a} {operator} {b}", dtype)

    return emit


def _divide(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    if not is_float(dtype):
        raise UnsupportedOperationError(f"division in {dtype} is not supported")
    return _infix("/")(e, dtype, arguments)


def _neg(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    return typed(e, f"-{convert(e, arguments[0], dtype).text}", dtype)


def _compare(operator: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        common = promote(*[x.dtype for x in arguments])
        a, b = (convert(e, x, common).text for x in arguments)
        return Value(f"({a} {operator} {b})", "bool")

    return emit


def _logic(operator: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, "bool").text for x in arguments)
        return Value(f"({a} {operator} {b})", "bool")

    return emit


def _not(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    return Value(f"(not {convert(e, arguments[0], 'bool').text})", "bool")


def _select(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """Choose without a branch: numba takes long for code with many."""
    condition = convert(e, arguments[0], "bool").text
    a, b = (convert(e, x, dtype).text for x in arguments[1:])
    return Value(f"{e.need('select')}({condition}, {a}, {b})", dtype)


def _library(name: str, *, integer_is_identity: bool = False) -> Row:
    """Call a function of libdevice; the float32 one has an ``f`` behind its name."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        if not is_float(dtype):
            if integer_is_identity:
                return convert(e, arguments[0], dtype)
            raise UnsupportedOperationError(f"{name} of {dtype} values is not supported")
        values = ", ".join(convert(e, x, dtype).text for x in arguments)
        symbol = e.need(name + ("f" if dtype == "float32" else ""))
        return Value(f"{symbol}({values})", dtype)

    return emit


def _helper(name: str, dtype_inside: str | None = None) -> Row:
    """Call a function of `symdiff.compilation.cuda.library`, in the dtype or in a wider one."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        inside = dtype_inside or dtype
        values = ", ".join(convert(e, x, inside).text for x in arguments)
        return convert(e, typed(e, f"{e.need(name)}({values})", inside), dtype)

    return emit


def _special(step: str, function: Callable[..., Any]) -> Row:
    """Call a function of `symdiff.compilation.cuda.special`, which computes in double precision."""
    first = "int64" if step.startswith("int_") else "float64"

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        values = [
            convert(e, x, first if k == 0 else "float64").text for k, x in enumerate(arguments)
        ]
        called = f"{e.need(function.__name__)}({', '.join(values)})"
        return convert(e, Value(called, "float64"), dtype)

    return emit


def _extremum(of_floats: str, relation: str) -> Row:
    floating = _helper(of_floats)

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        if is_float(dtype):
            return floating(e, dtype, arguments)
        a, b = (kept(e, convert(e, x, dtype)) for x in arguments)
        return _select(e, dtype, [Value(f"({a.text} {relation} {b.text})", "bool"), a, b])

    return emit


def _classify(kind: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        (x,) = arguments
        if not is_float(x.dtype):
            return Value(str(kind == "isfinite"), "bool")
        if kind == "isnan":
            x = kept(e, x)
            return Value(f"({x.text} != {x.text})", "bool")
        size = _library("fabs")(e, x.dtype, [x]).text
        infinity = constant(e, float("inf"), x.dtype).text
        return Value(f"({size} {'==' if kind == 'isinf' else '<'} {infinity})", "bool")

    return emit


def _signbit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    (x,) = arguments
    if not is_float(x.dtype):
        return Value(f"({x.text} < 0)", "bool")
    name = e.need("signbitd" if x.dtype == "float64" else "signbitf")
    return Value(f"({name}({x.text}) != 0)", "bool")


def _taken_apart(number: int) -> Row:
    """Give the mantissa, or the power of two, as C's ``frexp`` does."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        x = convert(e, arguments[0], "float64").text
        made = Value(f"{e.need('frexp')}({x})[{number}]", "float64" if number == 0 else "int32")
        return convert(e, made, dtype)

    return emit


def _ldexp(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    x, n = convert(e, arguments[0], "float64").text, convert(e, arguments[1], "int64").text
    return convert(e, Value(f"{e.need('scaled')}({x}, {n})", "float64"), dtype)


def _bits(operator: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype).text for x in arguments)
        return typed(e, f"{a} {operator} {b}", dtype)

    return emit


def _bit_not(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    return typed(e, f"~{convert(e, arguments[0], dtype).text}", dtype)


def _shift(name: str) -> Row:
    """Move bits; by the width or more, or by a negative number, nothing but the sign is left."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype) for x in arguments)
        wide = "uint64" if dtype.startswith("u") else "int64"
        last = constant(e, np.iinfo(dtype).bits - 1, wide)
        made = f"{e.need(name)}({a.text}, {convert(e, b, wide).text}, {last.text})"
        return Value(f"{e.need(dtype)}({made})", dtype)

    return emit


def _bit_count(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    (x,) = arguments
    x = convert(e, x, "uint8") if x.dtype == "bool" else x
    size = STEPS["abs"](e, x.dtype, [x])
    wide = convert(e, convert(e, size, _unsigned(x.dtype)), "uint64").text
    return convert(e, Value(f"{e.need('bit_count')}({wide})", "int64"), dtype)


def _unsigned(dtype: str) -> str:
    return dtype if dtype.startswith("u") else "u" + dtype


def _of_sizes(name: str) -> Row:
    """Call a helper of absolute values in 64 bits."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        sizes = [STEPS["abs"](e, dtype, [convert(e, x, dtype)]) for x in arguments]
        wide = [convert(e, convert(e, s, _unsigned(dtype)), "uint64").text for s in sizes]
        return convert(e, Value(f"{e.need(name)}({', '.join(wide)})", "uint64"), dtype)

    return emit


def _integer_power(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a, b = (convert(e, convert(e, x, dtype), "int64").text for x in arguments)
    return convert(e, Value(f"{e.need('integer_power')}({a}, {b})", "int64"), dtype)


_LIBRARY = [
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *("asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan2"),
    *("hypot", "cbrt", "erf", "erfc", "lgamma", "sqrt", "copysign", "nextafter"),
]
_DOUBLE = {
    **{name: name for name in ("erfcx", "erfinv", "erfcinv", "exp10", "j0", "j1", "y0", "y1")},
    "ndtri": "normcdfinv",
}
"""Functions of libdevice that are computed in double precision, as on the CPU."""
_ROUNDING = ("floor", "ceil", "trunc", "rint")

STEPS: dict[str, Row] = {
    "copy": lambda e, dtype, a: convert(e, a[0], dtype),
    "add": _infix("+", "|"),
    "sub": _infix("-"),
    "mul": _infix("*", "&"),
    "div": _divide,
    "neg": _neg,
    **{name: _library(name, integer_is_identity=True) for name in _ROUNDING},
    "maximum": _extremum("maximum", ">"),
    "minimum": _extremum("minimum", "<"),
    "fmax": _extremum("greater_number", ">"),
    "fmin": _extremum("lesser_number", "<"),
    "fmod": by_kind(_library("fmod"), _helper("integer_fmod")),
    "select": _select,
    "lt": _compare("<"),
    "le": _compare("<="),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "and": _logic("&"),
    "or": _logic("|"),
    "xor": _logic("!="),
    "not": _not,
    "isnan": _classify("isnan"),
    "isinf": _classify("isinf"),
    "isfinite": _classify("isfinite"),
    "signbit": _signbit,
    "gamma": _library("tgamma"),
    "pow": by_kind(_library("pow"), _integer_power),
    "bit_and": _bits("&"),
    "bit_or": _bits("|"),
    "bit_xor": _bits("^"),
    "bit_not": _bit_not,
    "bit_count": _bit_count,
    "left_shift": _shift("shifted_left"),
    "right_shift": _shift("shifted_right"),
    "gcd": _of_sizes("gcd"),
    "lcm": _of_sizes("lcm"),
    "mantissa": _taken_apart(0),
    "exponent": _taken_apart(1),
    "ldexp": _ldexp,
    **{name: _library(name) for name in _LIBRARY},
    **{step: _helper(name, "float64") for step, name in _DOUBLE.items()},
    **{step: _special(step, function) for step, function in special.STEPS.items()},
}


def _step(e: Emitter, name: str, dtype: str, arguments: list[Value]) -> Value:
    return kept(e, STEPS[name](e, dtype, arguments))


def _composed(row: Row) -> Row:
    """Write a row that uses its arguments more than once."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        return row(e, dtype, [kept(e, x) for x in arguments])

    return emit


_COMPOSITIONS = compositions(Target(_step, constant, convert, is_float))
STEPS |= {name: _composed(row) for name, row in _COMPOSITIONS.items()}
STEPS["abs"] = by_kind(_library("fabs"), STEPS["integer_abs"])
STEPS["remainder"] = by_kind(STEPS["remainder"], _helper("integer_remainder"))
STEPS["floor_divide"] = by_kind(STEPS["floor_divide"], _helper("integer_floor_divide"))

RESERVED = frozenset(
    [
        *(
            name + end
            for name in (*_LIBRARY, *_ROUNDING, "tgamma", "fabs", "fmod", "pow")
            for end in ("", "f")
        ),
        *("signbitd", "signbitf", "frexp", "nan", "inf", "select"),
        *(scalar_name(d) for d in DTYPES),
        *_DOUBLE.values(),
        *library.FUNCTIONS,
        *library.BLOCKS,
    ]
)
"""The names that a kernel's source may refer to."""


def start_value(e: Emitter, operator: str, dtype: str) -> Value:
    """Write what an operator leaves unchanged."""
    return constant(e, start_number(operator, dtype), dtype)
