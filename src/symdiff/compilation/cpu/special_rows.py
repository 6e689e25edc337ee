"""SciPy's special functions as steps: calls of its compiled library, in double precision."""

from __future__ import annotations

from symdiff.compilation.cpu.special import data_symbol, function_symbol, loop_symbol
from symdiff.compilation.cpu.values import Emitter, Row, Value, convert, llvm_type
from symdiff.program.special_functions import NAMES, SPECIAL

__all__ = ["given_values", "special", "special_loop", "special_rows"]


def special(name: str, kinds: str) -> Row:
    """A function of SciPy's compiled library, in double precision."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        values = given_values(e, kinds, arguments)
        types = ["i64" if k == "l" else "double" for k in kinds]
        # Cython's functions take two more arguments, which only Python's calls have a use for.
        declared = ", ".join([*types, "i32", "ptr"])
        symbol = e.declare(function_symbol(name, kinds), "double", declared)
        call = f"call double @{symbol}({', '.join([*values, 'i32 0', 'ptr null'])})"
        return convert(e, Value(e.emit(call), "float64"), dtype)

    return emit


def given_values(e: Emitter, kinds: str, arguments: list[Value]) -> list[str]:
    """Convert arguments and write them as a call does."""
    values = [
        convert(e, x, "int64" if k == "l" else "float64")
        for k, x in zip(kinds, arguments, strict=True)
    ]
    return [f"{llvm_type(v.dtype)} {v.name}" for v in values]


def _special_result(name: str, number: int) -> Row:
    """One of two results that a function of SciPy's writes to pointers."""

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        symbol = e.declare(function_symbol(name, "dpp"), "void", "double, ptr, ptr", pure=False)
        head = f"define internal double @symdiff_{name}_{number}(double %x)"
        text = f"""{head} noinline memory(none) {{
  %r0 = alloca double
  %r1 = alloca double
  call void @{symbol}(double %x, ptr %r0, ptr %r1)
  %r = load double, ptr %r{number}
  ret double %r
}}"""
        own = e.define(f"symdiff_{name}_{number}", text)
        (given,) = given_values(e, "d", arguments)
        return convert(e, Value(e.emit(f"call double @{own}({given})"), "float64"), dtype)

    return emit


def special_loop(name: str, kinds: str) -> Row:
    """A function that SciPy has as a ufunc only: its inner loop, over one element."""
    n = len(kinds)
    types = ["i64" if k == "l" else "double" for k in kinds]

    def emit(e: Emitter, dtype: str, arguments: list[Value]) -> Value:
        loop = e.declare(loop_symbol(name, kinds), "void", "ptr, ptr, ptr, ptr", pure=False)
        data = e.declare(data_symbol(name, kinds), "void", "", pure=False)
        taken = ", ".join(f"{t} %x{k}" for k, t in enumerate(types))
        lines = [f"define internal double @symdiff{name}({taken}) noinline memory(none) {{"]
        lines += [f"  %a{k} = alloca {t}" for k, t in enumerate([*types, "double"])]
        lines += [f"  %args = alloca [{n + 1} x ptr]", f"  %steps = alloca [{n + 1} x i64]"]
        lines += ["  %count = alloca i64", "  store i64 1, ptr %count"]
        lines += [f"  store {t} %x{k}, ptr %a{k}" for k, t in enumerate(types)]
        for k in range(n + 1):
            lines += [
                f"  %p{k} = getelementptr ptr, ptr %args, i64 {k}",
                f"  store ptr %a{k}, ptr %p{k}",
                f"  %s{k} = getelementptr i64, ptr %steps, i64 {k}",
                f"  store i64 8, ptr %s{k}",
            ]
        lines += [
            f"  call void @{loop}(ptr %args, ptr %count, ptr %steps, ptr @{data})",
            f"  %r = load double, ptr %a{n}",
            "  ret double %r",
            "}",
        ]
        own = e.define(f"symdiff{name}", "\n".join(lines))
        given = ", ".join(given_values(e, kinds, arguments))
        return convert(e, Value(e.emit(f"call double @{own}({given})"), "float64"), dtype)

    return emit


def special_rows() -> dict[str, Row]:
    """A row for each of SciPy's functions, by its name and the kinds of its arguments."""
    rows: dict[str, Row] = {}
    for step, function in SPECIAL.items():
        name, _, result = NAMES[function].partition("[")
        if result:
            rows[step] = _special_result(name, int(result[0]))
            continue
        first = "l" if step.startswith("int_") else "d"
        rows[step] = special(name, first + "d" * (len(function.rules) - 1))
    return rows
