"""What the CPU does for each step of a pattern: one row a step.

Every row takes an emitter and typed values and gives a typed value. Functions of the C library
are declared free of side effects, so that LLVM merges and moves calls of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from symdiff.errors import UnsupportedOperationError

__all__ = ["STEPS", "Emitter", "Value", "constant", "convert", "llvm_type", "promote"]


class Value(NamedTuple):
    """An LLVM value and the dtype it has; Booleans are ``i1``."""

    name: str
    dtype: str


class Emitter(Protocol):
    """Where instructions go."""

    def emit(self, instruction: str) -> str:
        """Append an instruction and name its result."""
        ...

    def define(self, name: str, text: str) -> str:
        """Add a function of our own once; return its name."""
        ...

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        """Declare an external function once; return its name."""
        ...


_INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_UNSIGNED = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
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
    return f"i{_INTEGERS.get(dtype) or _UNSIGNED[dtype]}"


def promote(*dtypes: str) -> str:
    """The dtype in which values of several dtypes are compared."""
    return np.result_type(*dtypes).name


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
    from_unsigned = value.dtype == "bool" or value.dtype in _UNSIGNED
    if from_float and to_float:
        opcode = "fpext" if dtype == "float64" else "fptrunc"
    elif from_float:
        opcode = "fptoui" if dtype in _UNSIGNED else "fptosi"
    elif to_float:
        opcode = "uitofp" if from_unsigned else "sitofp"
    else:
        wide, narrow = int(target[1:]), int(source[1:])
        if wide == narrow:
            return Value(value.name, dtype)
        opcode = "trunc" if wide < narrow else "zext" if from_unsigned else "sext"
    return Value(e.emit(f"{opcode} {source} {value.name} to {target}"), dtype)


Row = Callable[[Emitter, str, list[Value]], Value]


def _is_float(dtype: str) -> bool:
    return dtype.startswith("float")


def _arithmetic(float_opcode: str, int_opcode: str, bool_opcode: str | None = None) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype).name for x in arguments)
        if _is_float(dtype):
            opcode = float_opcode
        else:
            opcode = bool_opcode if dtype == "bool" and bool_opcode else int_opcode
        return Value(e.emit(f"{opcode} {llvm_type(dtype)} {a}, {b}"), dtype)

    return emit


def _neg(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a = convert(e, arguments[0], dtype).name
    kind = llvm_type(dtype)
    return Value(e.emit(f"fneg {kind} {a}" if _is_float(dtype) else f"sub {kind} 0, {a}"), dtype)


def _compare(ordered: str, signed: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        common = promote(*[x.dtype for x in arguments])
        a, b = (convert(e, x, common).name for x in arguments)
        kind = llvm_type(common)
        if _is_float(common):
            return Value(e.emit(f"fcmp {ordered} {kind} {a}, {b}"), "bool")
        relation = signed
        if relation not in ("eq", "ne"):
            relation = ("u" if common in _UNSIGNED or common == "bool" else "s") + signed
        return Value(e.emit(f"icmp {relation} {kind} {a}, {b}"), "bool")

    return emit


def _logic(opcode: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, "bool").name for x in arguments)
        return Value(e.emit(f"{opcode} i1 {a}, {b}"), "bool")

    return emit


def _not(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    return Value(e.emit(f"xor i1 {convert(e, arguments[0], 'bool').name}, true"), "bool")


def _select(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    condition = convert(e, arguments[0], "bool").name
    a, b = (convert(e, x, dtype).name for x in arguments[1:])
    kind = llvm_type(dtype)
    return Value(e.emit(f"select i1 {condition}, {kind} {a}, {kind} {b}"), dtype)


def _call(name: str, *, integer_is_identity: bool = False) -> Row:
    """A function of the C library; the float32 one has an ``f`` behind its name."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        if not _is_float(dtype):
            if integer_is_identity:
                return convert(e, arguments[0], dtype)
            raise UnsupportedOperationError(f"{name} of {dtype} values is not supported")
        kind = llvm_type(dtype)
        values = [convert(e, x, dtype).name for x in arguments]
        full = name + ("f" if dtype == "float32" else "")
        symbol = e.declare(full, kind, ", ".join([kind] * len(values)))
        given = ", ".join(f"{kind} {v}" for v in values)
        return Value(e.emit(f"call {kind} @{symbol}({given})"), dtype)

    return emit


def _intrinsic(name: str, *, integer_is_identity: bool = False) -> Row:
    """One of LLVM's own functions, which becomes an instruction or two."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        if integer_is_identity and not _is_float(dtype):
            return convert(e, arguments[0], dtype)
        kind = llvm_type(dtype)
        values = [convert(e, x, dtype).name for x in arguments]
        suffix = {"double": "f64", "float": "f32"}.get(kind, kind)
        symbol = e.declare(
            f"llvm.{name}.{suffix}", kind, ", ".join([kind] * len(values)), pure=False
        )
        given = ", ".join(f"{kind} {v}" for v in values)
        return Value(e.emit(f"call {kind} @{symbol}({given})"), dtype)

    return emit


def _extremum(float_name: str, relation: str) -> Row:
    floating = _intrinsic(float_name)
    compare = _compare("", relation)

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        if _is_float(dtype):
            return floating(e, dtype, arguments)
        a, b = (convert(e, x, dtype) for x in arguments)
        return _select(e, dtype, [compare(e, dtype, [a, b]), a, b])

    return emit


def _abs(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    if _is_float(dtype):
        return _intrinsic("fabs")(e, dtype, arguments)
    if dtype in _UNSIGNED or dtype == "bool":
        return convert(e, arguments[0], dtype)
    a = convert(e, arguments[0], dtype)
    is_negative = STEPS["lt"](e, dtype, [a, constant(0, dtype)])
    return _select(e, dtype, [is_negative, _neg(e, dtype, [a]), a])


def _sign(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a = convert(e, arguments[0], dtype)
    zero, one, minus = constant(0, dtype), constant(1, dtype), constant(-1, dtype)
    if dtype in _UNSIGNED or dtype == "bool":
        return _select(e, dtype, [STEPS["gt"](e, dtype, [a, zero]), one, zero])
    kept = _select(e, dtype, [STEPS["eq"](e, dtype, [a, zero]), zero, a])
    low = _select(e, dtype, [STEPS["lt"](e, dtype, [a, zero]), minus, kept])
    return _select(e, dtype, [STEPS["gt"](e, dtype, [a, zero]), one, low])


def _divide(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    if not _is_float(dtype):
        raise UnsupportedOperationError(f"division in {dtype} is not supported")
    return _arithmetic("fdiv", "sdiv")(e, dtype, arguments)


def _remainder(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """The remainder with the divisor's sign; of integers by zero, zero, as NumPy gives."""
    a, b = (convert(e, x, dtype) for x in arguments)
    zero = constant(0, dtype)
    if _is_float(dtype):
        rest = Value(e.emit(f"frem {llvm_type(dtype)} {a.name}, {b.name}"), dtype)
    else:
        rest = _integer_division(e, dtype, a, b)[1]
    if dtype in _UNSIGNED:
        return rest
    is_wrong = _has_wrong_sign(e, dtype, rest, b)
    moved = STEPS["add"](e, dtype, [rest, b])
    result = _select(e, dtype, [is_wrong, moved, rest])
    if not _is_float(dtype):
        return result
    is_zero = STEPS["eq"](e, dtype, [rest, zero])
    return _select(e, dtype, [is_zero, STEPS["copysign"](e, dtype, [zero, b]), result])


def _has_wrong_sign(e: Emitter, dtype: str, rest: Value, b: Value) -> Value:
    zero = constant(0, dtype)
    is_low, wants_low = (STEPS["lt"](e, dtype, [x, zero]) for x in (rest, b))
    differs = Value(e.emit(f"xor i1 {is_low.name}, {wants_low.name}"), "bool")
    return STEPS["and"](e, "bool", [STEPS["ne"](e, dtype, [rest, zero]), differs])


def _integer_division(e: Emitter, dtype: str, a: Value, b: Value) -> tuple[Value, Value]:
    """Quotient towards zero and remainder; a divisor of zero or -1 must not trap."""
    kind, prefix = llvm_type(dtype), "u" if dtype in _UNSIGNED else "s"
    zero, one = constant(0, dtype), constant(1, dtype)
    is_zero = STEPS["eq"](e, dtype, [b, zero])
    safe = _select(e, dtype, [is_zero, one, b])
    is_minus = is_zero
    if prefix == "s":
        is_minus = STEPS["eq"](e, dtype, [b, constant(-1, dtype)])
        safe = _select(e, dtype, [is_minus, one, safe])
    quotient = Value(e.emit(f"{prefix}div {kind} {a.name}, {safe.name}"), dtype)
    rest = Value(e.emit(f"{prefix}rem {kind} {a.name}, {safe.name}"), dtype)
    if prefix == "s":
        quotient = _select(e, dtype, [is_minus, _neg(e, dtype, [a]), quotient])
    return (
        _select(e, dtype, [is_zero, zero, quotient]),
        _select(e, dtype, [is_zero, zero, rest]),
    )


def _floor_divide(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """Round the quotient down, as NumPy's ``npy_divmod`` does."""
    a, b = (convert(e, x, dtype) for x in arguments)
    zero, one = constant(0, dtype), constant(1, dtype)
    if not _is_float(dtype):
        quotient, rest = _integer_division(e, dtype, a, b)
        if dtype in _UNSIGNED:
            return quotient
        lower = STEPS["sub"](e, dtype, [quotient, one])
        return _select(e, dtype, [_has_wrong_sign(e, dtype, rest, b), lower, quotient])
    ratio = _divide(e, dtype, [a, b])
    rest = Value(e.emit(f"frem {llvm_type(dtype)} {a.name}, {b.name}"), dtype)
    quotient = _divide(e, dtype, [STEPS["sub"](e, dtype, [a, rest]), b])
    lower = STEPS["sub"](e, dtype, [quotient, one])
    quotient = _select(e, dtype, [_has_wrong_sign(e, dtype, rest, b), lower, quotient])
    whole = STEPS["floor"](e, dtype, [quotient])
    excess = STEPS["sub"](e, dtype, [quotient, whole])
    is_above = STEPS["gt"](e, dtype, [excess, constant(0.5, dtype)])
    whole = _select(e, dtype, [is_above, STEPS["add"](e, dtype, [whole, one]), whole])
    is_zero = STEPS["eq"](e, dtype, [quotient, zero])
    whole = _select(e, dtype, [is_zero, STEPS["copysign"](e, dtype, [zero, ratio]), whole])
    by_zero = STEPS["eq"](e, dtype, [b, zero])
    return _select(e, dtype, [by_zero, ratio, whole])


def _fmod(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a, b = (convert(e, x, dtype) for x in arguments)
    if _is_float(dtype):
        return Value(e.emit(f"frem {llvm_type(dtype)} {a.name}, {b.name}"), dtype)
    return _integer_division(e, dtype, a, b)[1]


def _classify(kind: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        (x,) = arguments
        if not _is_float(x.dtype):
            return constant(kind == "isfinite", "bool")
        size = _intrinsic("fabs")(e, x.dtype, [x])
        infinity = constant(math.inf, x.dtype)
        relation = {"isnan": "uno", "isinf": "oeq", "isfinite": "olt"}[kind]
        return Value(
            e.emit(f"fcmp {relation} {llvm_type(x.dtype)} {size.name}, {infinity.name}"), "bool"
        )

    return emit


def _signbit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    (x,) = arguments
    if not _is_float(x.dtype):
        return STEPS["lt"](e, x.dtype, [x, constant(0, x.dtype)])
    bits = "i64" if x.dtype == "float64" else "i32"
    cast = e.emit(f"bitcast {llvm_type(x.dtype)} {x.name} to {bits}")
    return Value(e.emit(f"icmp slt {bits} {cast}, 0"), "bool")


def _sigmoid(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    growth = STEPS["exp"](e, dtype, [_neg(e, dtype, arguments)])
    one = constant(1, dtype)
    return _divide(e, dtype, [one, STEPS["add"](e, dtype, [one, growth])])


def _logaddexp(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a, b = (convert(e, x, dtype) for x in arguments)
    top = STEPS["maximum"](e, dtype, [a, b])
    gap = _neg(e, dtype, [_abs(e, dtype, [STEPS["sub"](e, dtype, [a, b])])])
    rest = STEPS["log1p"](e, dtype, [STEPS["exp"](e, dtype, [gap])])
    tie = constant(math.log(2.0), dtype)
    rest = _select(e, dtype, [STEPS["eq"](e, dtype, [a, b]), tie, rest])
    return STEPS["add"](e, dtype, [top, rest])


def _special(name: str) -> Row:
    """A function of SciPy's compiled library, in double precision."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        values = [convert(e, x, "float64").name for x in arguments]
        symbol = e.declare(f"symdiff_{name}", "double", ", ".join(["double"] * len(values)))
        given = ", ".join(f"double {v}" for v in values)
        wide = Value(e.emit(f"call double @{symbol}({given})"), "float64")
        return convert(e, wide, dtype)

    return emit


def _zeta_text(e: Emitter) -> str:
    """The Hurwitz zeta function of s >= 2, which SciPy's compiled interface lacks.

    Terms are added one by one until their argument is 10; Euler-Maclaurin's formula gives the rest
    (https://dlmf.nist.gov/25.11.E5, B_2 to B_14).
    """
    e.declare("pow", "double", "double, double")
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
    lines = [
        "define internal double @symdiff_zeta(double %s, double %q) memory(none) {",
        "entry:",
        "  %m = fneg double %s",
        "  br label %test",
        "test:",
        "  %a = phi double [ %q, %entry ], [ %b, %body ]",
        "  %sum = phi double [ 0.0, %entry ], [ %more, %body ]",
        f"  %small = fcmp olt double %a, {constant(10, 'float64').name}",
        "  br i1 %small, label %body, label %tail",
        "body:",
        "  %term = call double @pow(double %a, double %m)",
        "  %more = fadd double %sum, %term",
        f"  %b = fadd double %a, {constant(1, 'float64').name}",
        "  br label %test",
        "tail:",
        "  %p = call double @pow(double %a, double %m)",
        "  %half = fmul double %p, 0.5",
        "  %pa = fmul double %p, %a",
        f"  %s1 = fsub double %s, {constant(1, 'float64').name}",
        "  %first = fdiv double %pa, %s1",
        "  %t0a = fadd double %sum, %first",
        "  %t0 = fadd double %t0a, %half",
        "  %c1a = fmul double %s, %p",
        "  %c1 = fdiv double %c1a, %a",
        "  %aa = fmul double %a, %a",
    ]
    for j, b in enumerate(bernoulli, 1):  # c_j = s (s+1) ... (s+2j-2) a^(-s-2j+1)
        scale = constant(b / math.factorial(2 * j), "float64").name
        lines += [
            f"  %d{j} = fmul double %c{j}, {scale}",
            f"  %t{j} = fadd double %t{j - 1}, %d{j}",
            f"  %e{j} = fadd double %s, {constant(2 * j - 1, 'float64').name}",
            f"  %f{j} = fadd double %s, {constant(2 * j, 'float64').name}",
            f"  %g{j} = fmul double %e{j}, %f{j}",
            f"  %h{j} = fmul double %c{j}, %g{j}",
            f"  %c{j + 1} = fdiv double %h{j}, %aa",
        ]
    return "\n".join([*lines, f"  ret double %t{len(bernoulli)}", "}"])


def _polygamma(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """``(-1)^(n+1) n! zeta(n+1, x)``; Abramowitz & Stegun 6.4.10."""
    order, x = (convert(e, v, "float64") for v in arguments)
    n = order.name
    one = constant(1, "float64")
    above = STEPS["add"](e, "float64", [order, one])
    factorial = STEPS["gamma"](e, "float64", [above])
    symbol = e.define("symdiff_zeta", _zeta_text(e))
    zeta = Value(e.emit(f"call double @{symbol}(double {above.name}, double {x.name})"), "float64")
    size = STEPS["mul"](e, "float64", [factorial, zeta])
    whole = e.emit(f"fptosi double {n} to i64")
    odd = e.emit(f"trunc i64 {whole} to i1")
    return convert(
        e, _select(e, "float64", [Value(odd, "bool"), size, _neg(e, "float64", [size])]), dtype
    )


_round = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "nearbyint"}

STEPS: dict[str, Row] = {
    "copy": lambda e, dtype, a: convert(e, a[0], dtype),
    "add": _arithmetic("fadd contract", "add", "or"),
    "sub": _arithmetic("fsub contract", "sub"),
    "mul": _arithmetic("fmul contract", "mul", "and"),
    "div": _divide,
    "neg": _neg,
    "abs": _abs,
    "sign": _sign,
    "sqrt": _intrinsic("sqrt"),
    **{name: _intrinsic(llvm, integer_is_identity=True) for name, llvm in _round.items()},
    "copysign": _intrinsic("copysign"),
    "maximum": _extremum("maximum", "gt"),
    "minimum": _extremum("minimum", "lt"),
    "fmax": _extremum("maxnum", "gt"),
    "fmin": _extremum("minnum", "lt"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "select": _select,
    "lt": _compare("olt", "lt"),
    "le": _compare("ole", "le"),
    "gt": _compare("ogt", "gt"),
    "ge": _compare("oge", "ge"),
    "eq": _compare("oeq", "eq"),
    "ne": _compare("une", "ne"),
    "and": _logic("and"),
    "or": _logic("or"),
    "xor": _logic("xor"),
    "not": _not,
    "isnan": _classify("isnan"),
    "isinf": _classify("isinf"),
    "isfinite": _classify("isfinite"),
    "signbit": _signbit,
    "sigmoid": _sigmoid,
    "logaddexp": _logaddexp,
    "gamma": _call("tgamma"),
    "digamma": _special("digamma"),
    "polygamma": _polygamma,
    **{
        name: _call(name)
        for name in [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "atan2",
            "pow",
            "hypot",
            "cbrt",
            "erf",
            "erfc",
            "lgamma",
        ]
    },
}
"""What can be compiled for the CPU is the keys of this table."""
