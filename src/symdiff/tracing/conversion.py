"""From a user's function to one whose control flow can be traced.

The function's own source is looked up, its syntax tree rewritten (`symdiff.tracing.syntax`) and
compiled under the same file name and lines. The new function has the same globals, defaults and
closure cells. What has no source, or is left alone, is given back as it is.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ref

from symdiff.locks import global_lock
from symdiff.tracing.syntax import HELPERS, CannotRewrite, rewritten

__all__ = ["as_written", "convert", "is_library", "register"]

LIBRARIES = frozenset(
    ["numpy", "scipy", "sympy", "symdiff", "numba", "llvmlite", "matplotlib", "pandas", "pytest"]
)
TRACED = "symdiff.optimizers."
"""Our own modules that are traced like the user's: solvers are plain NumPy functions."""
_SPECIAL = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_lock = global_lock()
_known: dict[int, tuple[ref[CodeType], CodeType | None]] = {}
"""By identity: the same lines in two files are equal code objects."""


def is_library(module: Any) -> bool:
    """Whether a module of this name is none of the user's."""
    name = str(module or "")
    root = name.partition(".")[0]
    if name.startswith(TRACED):
        return False
    return root in LIBRARIES or (root != "__main__" and root in sys.stdlib_module_names)


def as_written(f: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function whose source is never rewritten: its loops are unrolled by Python.

    Examples
    --------
    >>> import symdiff as sd
    >>> @sd.as_written
    ... def power(x):
    ...     y = 1.0
    ...     for _ in range(20):
    ...         y = y * x
    ...     return y
    >>> sd.grad(power)(1.0)
    20.0
    """
    code = getattr(f, "__code__", None) or getattr(type(f).__call__, "__code__", None)
    if code is not None:
        with _lock:
            _remembered(code, None)
    return f


def convert(f: Any) -> Any:
    """Give a function whose `if`, `while` and `for` work on traced values, if there is one."""
    if isinstance(f, FunctionType):
        return _converted(f)
    if isinstance(f, MethodType):
        inner = convert(f.__func__)
        return f if inner is f.__func__ else MethodType(inner, f.__self__)
    if isinstance(f, functools.partial):
        inner = convert(f.func)
        return f if inner is f.func else functools.partial(inner, *f.args, **f.keywords)
    if isinstance(f, (type, ModuleType)) or is_library(getattr(type(f), "__module__", "")):
        return f
    call = inspect.getattr_static(type(f), "__call__", None)
    if isinstance(call, FunctionType):
        inner = convert(call)
        return f if inner is call else MethodType(inner, f)
    return f


def _converted(f: FunctionType) -> FunctionType:
    code = f.__code__
    if is_library(f.__globals__.get("__name__")):
        return f
    with _lock:
        known = _known.get(id(code))
        made = known[1] if known is not None else _remembered(code, _compiled(f))
    if made is None:
        return f
    cells = dict(zip(code.co_freevars, f.__closure__ or (), strict=True))
    closure = [_helpers if name == HELPERS else cells[name] for name in made.co_freevars]
    new = FunctionType(made, f.__globals__, f.__name__, f.__defaults__, tuple(closure))
    new.__kwdefaults__ = f.__kwdefaults__
    new.__dict__.update(f.__dict__)
    new.__doc__, new.__module__, new.__qualname__ = f.__doc__, f.__module__, f.__qualname__
    new.__annotations__ = f.__annotations__
    return new


def _remembered(code: CodeType, made: CodeType | None) -> CodeType | None:
    """Keep what was made of a code object, which itself is not rewritten, as long as it lives."""
    results = (
        [(code, made)] if made is None else [(code, made), *[(c, None) for c in _all_codes(made)]]
    )
    for key, value in results:
        number = id(key)
        forget = functools.partial(_forget, _known, number)
        _known[number] = (ref(key, forget), value)
    return made


def _forget(known: dict[int, Any], number: int, _: Any) -> None:
    known.pop(number, None)


_helpers = CellType(None)


def register(statements: ModuleType) -> None:
    """Say what rewritten code calls: `symdiff.tracing.statements`, which knows this module."""
    _helpers.cell_contents = statements


def _compiled(f: FunctionType) -> CodeType | None:
    """Compile the rewritten source of a function; None where it is left alone."""
    code = f.__code__
    if code.co_flags & _SPECIAL:
        return None
    node = _definition(f)
    if node is None:
        return None
    try:
        made = rewritten(node)
    except CannotRewrite:
        return None
    _strip(made)
    name = "_sd_lambda" if isinstance(made, ast.Lambda) else made.name
    if isinstance(made, ast.Lambda):
        body: ast.stmt = ast.Assign([ast.Name(name, ast.Store())], made)
    else:
        made.decorator_list, made.returns = [], None
        body = made
    outer = ast.FunctionDef(
        "_sd_outer",
        ast.arguments(
            posonlyargs=[],
            args=[ast.arg(n) for n in [*code.co_freevars, HELPERS]],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        ),
        [body, ast.Return(ast.Name(name, ast.Load()))],
        [],
    )
    if "type_params" in ast.FunctionDef._fields:
        outer.type_params = []  # type: ignore[attr-defined]
    ast.copy_location(outer, node)
    module = ast.fix_missing_locations(ast.Module([outer], []))
    compiled = compile(module, code.co_filename, "exec", dont_inherit=True, flags=_future(code))
    (around,) = [c for c in compiled.co_consts if isinstance(c, CodeType)]
    inner = next(c for c in around.co_consts if isinstance(c, CodeType))
    inner = _named(inner, code.co_name, code.co_qualname)
    if not set(inner.co_freevars) <= {*code.co_freevars, HELPERS}:
        return None
    return inner


def _future(code: CodeType) -> int:
    import __future__  # noqa: PLC0415

    return code.co_flags & __future__.annotations.compiler_flag


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_codes(constant)


def _named(code: CodeType, name: str, qualname: str) -> CodeType:
    """Call our local functions by the name of the function that they are part of."""
    constants = tuple(
        [
            _named(c, name if c.co_name.startswith(HELPERS) else c.co_name, _inner(c, qualname))
            if isinstance(c, CodeType)
            else c
            for c in code.co_consts
        ]
    )
    return code.replace(co_name=name, co_qualname=qualname, co_consts=constants)


def _inner(code: CodeType, qualname: str) -> str:
    is_ours = code.co_name.startswith(HELPERS)
    return qualname if is_ours else f"{qualname}.<locals>.{code.co_name}"


def _strip(node: ast.FunctionDef | ast.Lambda) -> None:
    """Leave out what is done when a function is defined: defaults are those of the original."""
    args = node.args
    nothing = ast.Constant(None)
    args.defaults = [nothing for _ in args.defaults]
    args.kw_defaults = [None if d is None else nothing for d in args.kw_defaults]
    for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]:
        if arg is not None:
            arg.annotation = None


def _definition(f: FunctionType) -> ast.FunctionDef | ast.Lambda | None:
    """Find a function in its file's syntax tree."""
    code = f.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, f.__globals__))
    if not text:
        return None
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    is_lambda = code.co_name == "<lambda>"
    found: list[Any] = []
    for node in ast.walk(tree):
        if is_lambda and isinstance(node, ast.Lambda):
            if _holds(node.body, code):
                found.append(node)
        elif isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *[d.lineno for d in node.decorator_list]])
            if first == code.co_firstlineno:
                found.append(node)
    if is_lambda:  # of those around each other the innermost
        found.sort(key=lambda n: (n.body.lineno, n.body.col_offset), reverse=True)
        return found[0] if found and _has_arguments(found[0].args, code) else None
    return found[0] if len(found) == 1 else None


def _holds(body: ast.expr, code: CodeType) -> bool:
    """Whether the instructions of a code object are those of an expression."""
    start = (body.lineno, body.col_offset)
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    places = [p for p in code.co_positions() if p[0] is not None and p[2] is not None]
    inside = [(p[0], p[2]) for p in places if p[1] is not None and (p[0], p[2]) != (p[1], p[3])]
    return bool(inside) and all(start <= p <= end for p in inside)


def _has_arguments(args: ast.arguments, code: CodeType) -> bool:
    names = [a.arg for a in [*args.posonlyargs, *args.args, *args.kwonlyargs]]
    return tuple(names) == code.co_varnames[: len(names)]
