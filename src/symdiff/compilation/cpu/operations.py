"""What the CPU does for each step of a pattern: one row a step.

Every row takes an emitter and typed values and gives a typed value. Functions of the C library
are declared free of side effects, so that LLVM merges and moves calls of them.
"""

from __future__ import annotations

import math

from symdiff.compilation.compositions import Target, by_kind, compositions
from symdiff.compilation.cpu.elementary import inlined_function, is_inlined
from symdiff.compilation.cpu.special_rows import (
    given_values,
    special,
    special_loop,
    special_rows,
)
from symdiff.compilation.cpu.values import (
    INTEGERS,
    UNSIGNED,
    Emitter,
    Row,
    Value,
    constant,
    convert,
    is_float,
    llvm_type,
)
from symdiff.compilation.dtypes import promote, start_number
from symdiff.errors import UnsupportedOperationError

__all__ = ["LIBRARY_STEPS", "STEPS", "start_value"]


def _arithmetic(float_opcode: str, int_opcode: str, bool_opcode: str | None = None) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype).name for x in arguments)
        if is_float(dtype):
            opcode = float_opcode
        else:
            opcode = bool_opcode if dtype == "bool" and bool_opcode else int_opcode
        return Value(e.emit(f"{opcode} {llvm_type(dtype)} {a}, {b}"), dtype)

    return emit


def _neg(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a = convert(e, arguments[0], dtype).name
    kind = llvm_type(dtype)
    return Value(e.emit(f"fneg {kind} {a}" if is_float(dtype) else f"sub {kind} 0, {a}"), dtype)


def _compare(ordered: str, signed: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        common = promote(*[x.dtype for x in arguments])
        a, b = (convert(e, x, common).name for x in arguments)
        kind = llvm_type(common)
        if is_float(common):
            return Value(e.emit(f"fcmp {ordered} {kind} {a}, {b}"), "bool")
        relation = signed
        if relation not in ("eq", "ne"):
            relation = ("u" if common in UNSIGNED or common == "bool" else "s") + signed
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
        if not is_float(dtype):
            if integer_is_identity:
                return convert(e, arguments[0], dtype)
            raise UnsupportedOperationError(f"{name} of {dtype} values is not supported")
        kind = llvm_type(dtype)
        values = [convert(e, x, dtype).name for x in arguments]
        e.n_functions += 1
        if e.in_loop and is_inlined(name):
            symbol = e.define(*inlined_function(name, kind))
        else:
            full = name + ("f" if dtype == "float32" else "")
            symbol = e.declare(full, kind, ", ".join([kind] * len(values)))
        given = ", ".join(f"{kind} {v}" for v in values)
        return Value(e.emit(f"call {kind} @{symbol}({given})"), dtype)

    return emit


def _intrinsic(name: str, *, integer_is_identity: bool = False) -> Row:
    """One of LLVM's own functions, which becomes an instruction or two."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        if integer_is_identity and not is_float(dtype):
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
        if is_float(dtype):
            return floating(e, dtype, arguments)
        a, b = (convert(e, x, dtype) for x in arguments)
        return _select(e, dtype, [compare(e, dtype, [a, b]), a, b])

    return emit


def _divide(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    if not is_float(dtype):
        raise UnsupportedOperationError(f"division in {dtype} is not supported")
    return _arithmetic("fdiv", "sdiv")(e, dtype, arguments)


def _integer_remainder(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """The remainder with the divisor's sign; by zero it is zero, as NumPy gives."""
    a, b = (convert(e, x, dtype) for x in arguments)
    rest = _integer_division(e, dtype, a, b)[1]
    if dtype in UNSIGNED:
        return rest
    moved = STEPS["add"](e, dtype, [rest, b])
    return _select(e, dtype, [_has_wrong_sign(e, dtype, rest, b), moved, rest])


def _has_wrong_sign(e: Emitter, dtype: str, rest: Value, b: Value) -> Value:
    zero = constant(0, dtype)
    is_low, wants_low = (STEPS["lt"](e, dtype, [x, zero]) for x in (rest, b))
    differs = Value(e.emit(f"xor i1 {is_low.name}, {wants_low.name}"), "bool")
    return STEPS["and"](e, "bool", [STEPS["ne"](e, dtype, [rest, zero]), differs])


def _integer_division(e: Emitter, dtype: str, a: Value, b: Value) -> tuple[Value, Value]:
    """Quotient towards zero and remainder; a divisor of zero or -1 must not trap."""
    kind, prefix = llvm_type(dtype), "u" if dtype in UNSIGNED else "s"
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


def _integer_floor_divide(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """The quotient rounded down; by zero it is zero, as NumPy gives."""
    a, b = (convert(e, x, dtype) for x in arguments)
    quotient, rest = _integer_division(e, dtype, a, b)
    if dtype in UNSIGNED:
        return quotient
    lower = STEPS["sub"](e, dtype, [quotient, constant(1, dtype)])
    return _select(e, dtype, [_has_wrong_sign(e, dtype, rest, b), lower, quotient])


def _fmod(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a, b = (convert(e, x, dtype) for x in arguments)
    if is_float(dtype):
        return Value(e.emit(f"frem {llvm_type(dtype)} {a.name}, {b.name}"), dtype)
    return _integer_division(e, dtype, a, b)[1]


def _classify(kind: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        (x,) = arguments
        if not is_float(x.dtype):
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
    if not is_float(x.dtype):
        return STEPS["lt"](e, x.dtype, [x, constant(0, x.dtype)])
    bits = "i64" if x.dtype == "float64" else "i32"
    cast = e.emit(f"bitcast {llvm_type(x.dtype)} {x.name} to {bits}")
    return Value(e.emit(f"icmp slt {bits} {cast}, 0"), "bool")


def _reflected(row: Row) -> Row:
    """``f_n(-x) = (-1)^n f_n(x)``, where SciPy's compiled functions give NaN."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        n, x = convert(e, arguments[0], "int64"), convert(e, arguments[1], dtype)
        value = row(e, dtype, [n, STEPS["abs"](e, dtype, [x])])
        is_odd = Value(e.emit(f"trunc i64 {n.name} to i1"), "bool")
        is_low = STEPS["lt"](e, dtype, [x, constant(0, dtype)])
        is_other = STEPS["and"](e, "bool", [is_odd, is_low])
        return _select(e, dtype, [is_other, _neg(e, dtype, [value]), value])

    return emit


_zeta = special_loop("_zeta", "dd")


def _polygamma(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """``(-1)^(n+1) n! zeta(n+1, x)``; Abramowitz & Stegun 6.4.10."""
    order, x = (convert(e, v, "float64") for v in arguments)
    n = order.name
    one = constant(1, "float64")
    above = STEPS["add"](e, "float64", [order, one])
    factorial = STEPS["gamma"](e, "float64", [above])
    size = STEPS["mul"](e, "float64", [factorial, _zeta(e, "float64", [above, x])])
    whole = e.emit(f"fptosi double {n} to i64")
    odd = e.emit(f"trunc i64 {whole} to i1")
    return convert(
        e, _select(e, "float64", [Value(odd, "bool"), size, _neg(e, "float64", [size])]), dtype
    )


# floats taken apart


def _taken_apart(number: int) -> Row:
    """The mantissa, or the power of two, as C's ``frexp`` gives them."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        e.declare("frexp", "double", "double, ptr", pure=False)
        result, kind = ("%m", "double") if number == 0 else ("%n", "i32")
        text = f"""define internal {kind} @symdiff_frexp_{number}(double %x) memory(none) {{
  %p = alloca i32
  store i32 0, ptr %p
  %m = call double @frexp(double %x, ptr %p)
  %n = load i32, ptr %p
  ret {kind} {result}
}}"""
        own = e.define(f"symdiff_frexp_{number}", text)
        (given,) = given_values(e, "d", arguments)
        made = e.emit(f"call {kind} @{own}({given})")
        return convert(e, Value(made, "float64" if number == 0 else "int32"), dtype)

    return emit


def _ldexp(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    x, n = convert(e, arguments[0], "float64"), convert(e, arguments[1], "int64")
    bound = 1 << 16
    n = STEPS["minimum"](e, "int64", [n, constant(bound, "int64")])
    n = convert(e, STEPS["maximum"](e, "int64", [n, constant(-bound, "int64")]), "int32")
    symbol = e.declare("ldexp", "double", "double, i32")
    wide = e.emit(f"call double @{symbol}(double {x.name}, i32 {n.name})")
    return convert(e, Value(wide, "float64"), dtype)


# whole numbers


def _bits(opcode: str) -> Row:
    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype).name for x in arguments)
        return Value(e.emit(f"{opcode} {llvm_type(dtype)} {a}, {b}"), dtype)

    return emit


def _bit_not(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a = convert(e, arguments[0], dtype).name
    return Value(e.emit(f"xor {llvm_type(dtype)} {a}, -1"), dtype)


def _bit_count(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    (x,) = arguments
    x = convert(e, x, "uint8") if x.dtype == "bool" else x
    x = STEPS["abs"](e, x.dtype, [x])
    return convert(e, _intrinsic("ctpop")(e, x.dtype, [x]), dtype)


def _shift(direction: str) -> Row:
    """Move bits; by the width or more, or by a negative number, nothing but the sign is left."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        a, b = (convert(e, x, dtype) for x in arguments)
        kind, zero = llvm_type(dtype), constant(0, dtype)
        is_inside = Value(e.emit(f"icmp ult {kind} {b.name}, {kind[1:]}"), "bool")
        by = _select(e, dtype, [is_inside, b, zero])
        signed = direction == "right" and dtype in INTEGERS
        opcode = "shl" if direction == "left" else "ashr" if signed else "lshr"
        moved = Value(e.emit(f"{opcode} {kind} {a.name}, {by.name}"), dtype)
        gone = zero
        if signed:
            gone = Value(e.emit(f"ashr {kind} {a.name}, {int(kind[1:]) - 1}"), dtype)
        return _select(e, dtype, [is_inside, moved, gone])

    return emit


_GCD = """define internal i64 @symdiff_gcd(i64 %a, i64 %b) memory(none) {
entry:
  br label %test
test:
  %x = phi i64 [ %a, %entry ], [ %y, %body ]
  %y = phi i64 [ %b, %entry ], [ %r, %body ]
  %done = icmp eq i64 %y, 0
  br i1 %done, label %end, label %body
body:
  %r = urem i64 %x, %y
  br label %test
end:
  ret i64 %x
}"""

_POWER = """define internal i64 @symdiff_power(i64 %b, i64 %n) memory(none) {
entry:
  br label %test
test:
  %base = phi i64 [ %b, %entry ], [ %square, %body ]
  %left = phi i64 [ %n, %entry ], [ %half, %body ]
  %product = phi i64 [ 1, %entry ], [ %next, %body ]
  %done = icmp eq i64 %left, 0
  br i1 %done, label %end, label %body
body:
  %odd = trunc i64 %left to i1
  %more = mul i64 %product, %base
  %next = select i1 %odd, i64 %more, i64 %product
  %square = mul i64 %base, %base
  %half = lshr i64 %left, 1
  br label %test
end:
  ret i64 %product
}"""


def _sizes(e: Emitter, dtype: str, arguments: list[Value]) -> list[Value]:
    """Absolute values in 64 bits, without a sign."""
    values = [STEPS["abs"](e, dtype, [convert(e, x, dtype)]) for x in arguments]
    unsigned = dtype if dtype.startswith("u") else "u" + dtype
    return [convert(e, convert(e, v, unsigned), "uint64") for v in values]


def _gcd(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a, b = _sizes(e, dtype, arguments)
    own = e.define("symdiff_gcd", _GCD)
    made = Value(e.emit(f"call i64 @{own}(i64 {a.name}, i64 {b.name})"), "uint64")
    return convert(e, made, dtype)


def _lcm(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    a, b = _sizes(e, dtype, arguments)
    own = e.define("symdiff_gcd", _GCD)
    common = Value(e.emit(f"call i64 @{own}(i64 {a.name}, i64 {b.name})"), "uint64")
    quotient = _integer_division(e, "uint64", a, common)[0]
    return convert(e, STEPS["mul"](e, "uint64", [quotient, b]), dtype)


_float_pow = _call("pow")


def _pow(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
    """A power; that of whole numbers modulo the width, with what is whole of a negative power."""
    if is_float(dtype):
        return _float_pow(e, dtype, arguments)
    a, b = (convert(e, x, dtype) for x in arguments)
    base, exponent = convert(e, a, "int64"), convert(e, b, "int64")
    own = e.define("symdiff_power", _POWER)
    zero, one = constant(0, dtype), constant(1, dtype)
    is_negative = STEPS["lt"](e, dtype, [b, zero])
    parity = Value(e.emit(f"and i64 {exponent.name}, 1"), "int64")
    is_one = STEPS["eq"](e, dtype, [a, one])
    is_unit = is_one
    if dtype in INTEGERS:
        is_unit = STEPS["or"](e, "bool", [is_one, STEPS["eq"](e, dtype, [a, constant(-1, dtype)])])
    exponent = _select(e, "int64", [is_negative, parity, exponent])
    made = Value(e.emit(f"call i64 @{own}(i64 {base.name}, i64 {exponent.name})"), "int64")
    power = convert(e, made, dtype)
    kept = STEPS["or"](e, "bool", [STEPS["not"](e, "bool", [is_negative]), is_unit])
    return _select(e, dtype, [kept, power, zero])


_LIBRARY = [
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *("asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan2"),
    *("hypot", "cbrt", "erf", "erfc", "lgamma"),
]
_round = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "nearbyint"}

STEPS: dict[str, Row] = {
    "copy": lambda e, dtype, a: convert(e, a[0], dtype),
    "add": _arithmetic("fadd contract", "add", "or"),
    "sub": _arithmetic("fsub contract", "sub"),
    "mul": _arithmetic("fmul contract", "mul", "and"),
    "div": _divide,
    "neg": _neg,
    "sqrt": _intrinsic("sqrt"),
    **{name: _intrinsic(llvm, integer_is_identity=True) for name, llvm in _round.items()},
    "copysign": _intrinsic("copysign"),
    "maximum": _extremum("maximum", "gt"),
    "minimum": _extremum("minimum", "lt"),
    "fmax": _extremum("maxnum", "gt"),
    "fmin": _extremum("minnum", "lt"),
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
    "gamma": _call("tgamma"),
    "digamma": special("psi", "d"),
    "polygamma": _polygamma,
    **special_rows(),
    "int_spherical_jn": _reflected(special("spherical_jn", "ld")),
    "int_spherical_in": _reflected(special("spherical_in", "ld")),
    "zeta": _zeta,
    "riemann_zeta": special_loop("_riemann_zeta", "d"),
    "pow": _pow,
    "bit_and": _bits("and"),
    "bit_or": _bits("or"),
    "bit_xor": _bits("xor"),
    "bit_not": _bit_not,
    "bit_count": _bit_count,
    "left_shift": _shift("left"),
    "right_shift": _shift("right"),
    "gcd": _gcd,
    "lcm": _lcm,
    "mantissa": _taken_apart(0),
    "exponent": _taken_apart(1),
    "ldexp": _ldexp,
    "nextafter": _call("nextafter"),
    **{name: _call(name) for name in _LIBRARY},
}
"""What can be compiled for the CPU is the keys of this table."""


def _step(e: Emitter, name: str, dtype: str, arguments: list[Value]) -> Value:
    return STEPS[name](e, dtype, arguments)


def _constant(_: Emitter, value: float, dtype: str) -> Value:
    return constant(value, dtype)


STEPS |= compositions(Target(_step, _constant, convert, is_float))
STEPS["abs"] = by_kind(_intrinsic("fabs"), STEPS["integer_abs"])
STEPS["remainder"] = by_kind(STEPS["remainder"], _integer_remainder)
STEPS["floor_divide"] = by_kind(STEPS["floor_divide"], _integer_floor_divide)

LIBRARY_STEPS = frozenset(
    [*_LIBRARY, "sigmoid", "logaddexp", "logaddexp2", "softplus", "log_expit", "ndtr"]
)
"""The steps that call functions of the mathematical library which have vector variants."""


def start_value(operator: str, dtype: str) -> Value:
    """What an operator leaves unchanged."""
    return constant(start_number(operator, dtype), dtype)
