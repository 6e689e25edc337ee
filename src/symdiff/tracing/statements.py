"""What rewritten functions call: Python's statements, for plain and for traced values.

Whatever is plain is done as Python does it. A condition on a traced value becomes a branch of the
kernel, a loop with a traced condition or many steps a loop of the kernel.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import math
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from symdiff.config import config
from symdiff.errors import ShapeError, SymdiffError, TracingError, at_user_line
from symdiff.tracing.adjacent import merged
from symdiff.tracing.bodies import UNDEFINED, CannotKeep, current_value, is_traced
from symdiff.tracing.branches import conditional
from symdiff.tracing.context import active_context
from symdiff.tracing.conversion import convert, is_library, register
from symdiff.tracing.growing import elements
from symdiff.tracing.local_array import LocalArray
from symdiff.tracing.repetition import repeat
from symdiff.tracing.shapes import expand_dims
from symdiff.tracing.traced_size import TracedSize, as_size
from symdiff.tracing.tracer import TracedArray, as_traced
from symdiff.tracing.ufuncs import apply_ufunc

__all__ = [
    "UNDEFINED",
    "both",
    "callee",
    "chain",
    "chain_of_sizes",
    "choice",
    "either",
    "for_statement",
    "if_statement",
    "if_writable",
    "item",
    "keep",
    "opposite",
    "part",
    "unroll",
    "values",
    "while_statement",
]

getitem: Callable[[Any, Any], Any] = operator.getitem
State = tuple[Any, ...]
Get = Callable[[], State]
Put = Callable[[State], None]
FAILURES = (SymdiffError, TypeError, ValueError, IndexError, KeyError, AttributeError)
"""What a loop's body may raise because the step's number is no plain one."""


def values(*reads: Callable[[], Any]) -> State:
    """Read variables; those without a value are `UNDEFINED`."""
    found: list[Any] = []
    for read in reads:
        try:
            found.append(read())
        except (NameError, AttributeError):
            found.append(UNDEFINED)
    return tuple(found)


def if_writable(x: Any) -> Any:
    """Give an array that a function could write to, and leave everything else alone."""
    now = current_value(x)
    if isinstance(now, TracedArray):
        return x if now.ndim and now.buffer.refusal is None else UNDEFINED
    return x if isinstance(x, LocalArray) else UNDEFINED


def _restored(start: Any, result: Any) -> Any:
    """Put new elements into the list or dict that was there, which others may know."""
    if isinstance(start, list) and isinstance(result, list):
        before, after = elements(start), elements(result)
        kept = [_restored(a, b) for a, b in zip(before, after, strict=False)]
        list.__setitem__(start, slice(None), kept + after[len(kept) :])
        return start
    if type(start) is dict and type(result) is dict:
        new = {k: _restored(start.get(k), v) for k, v in result.items()}
        start.clear()
        start.update(new)
        return start
    return result


# conditions


def if_statement(
    test: Any,
    on_true: Callable[[], None],
    on_false: Callable[[], None],
    get: Get,
    put: Put,
    names: Sequence[str],
) -> None:
    """Do an ``if``; of the state, what has a name is live afterwards."""
    if not is_traced(test):
        if test:
            on_true()
        else:
            on_false()
        return
    start = get()
    n_live = len(names)

    def side(body: Callable[[], None]) -> Callable[[State], State]:
        def run(state: State) -> State:
            put(state)
            body()
            return (*get()[:n_live], *state[n_live:])

        return run

    try:
        titles = (*names, *["a variable"] * (len(start) - n_live))
        result = conditional(test, side(on_true), side(on_false), start, names=titles)
    except BaseException:
        put(start)
        raise
    put(tuple([_restored(a, b) for a, b in zip(start, result, strict=True)]))


def choice(test: Any, on_true: Callable[[], Any], on_false: Callable[[], Any]) -> Any:
    """Do ``a if test else b``."""
    if not is_traced(test):
        return on_true() if test else on_false()
    return conditional(test, lambda _: on_true(), lambda _: on_false())


def both(value: Any, *terms: Callable[[], Any]) -> Any:
    """Do ``a and b and c``."""
    if not terms:
        return value
    if not is_traced(value):
        return both(terms[0](), *terms[1:]) if value else value
    return conditional(value, lambda _: both(terms[0](), *terms[1:]), lambda _: _falsy(value))


def either(value: Any, *terms: Callable[[], Any]) -> Any:
    """Do ``a or b or c``."""
    if not terms:
        return value
    if not is_traced(value):
        return value or either(terms[0](), *terms[1:])
    return conditional(value, lambda _: _truthy(value), lambda _: either(terms[0](), *terms[1:]))


def _falsy(value: Any) -> Any:
    return False if as_traced(value).dtype_ == "bool" else value


def _truthy(value: Any) -> Any:
    return True if as_traced(value).dtype_ == "bool" else value


def opposite(value: Any) -> Any:
    """Do ``not a``."""
    if not is_traced(value):
        return not value
    traced = as_traced(value)
    if traced.shape_:
        raise ShapeError(
            at_user_line("not of an array is ambiguous. Use np.logical_not, np.any or np.all")
        )
    return np.logical_not(traced)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is": operator.is_,
    "is not": operator.is_not,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def chain(left: Any, *links: tuple[str, Callable[[], Any]]) -> Any:
    """Do ``a < b < c``."""
    (sign, later), *rest = links
    right = later()
    value = _OPERATORS[sign](left, right)
    if not rest:
        return value
    return both(value, lambda: chain(right, *rest))


def chain_of_sizes(left: Any, *links: tuple[str, Callable[[], Any]]) -> Any:
    """Do ``a < b < c`` in the condition of a ``while``, where sizes can be values of the kernel."""
    (sign, later), *rest = links
    right = later()
    has_sizes = all(isinstance(x, (int, np.integer, TracedSize)) for x in (left, right))
    if has_sizes and _sizes.are_values and not (type(left) is int and type(right) is int):
        left = as_traced(left)
        _sizes.n_compared += 1
    value = _OPERATORS[sign](left, right)
    if not rest:
        return value
    return both(value, lambda: chain_of_sizes(right, *rest))


class _Sizes(threading.local):
    """Whether sizes are compared in the kernel."""

    are_values = False
    n_compared = 0


_sizes = _Sizes()


def _asked(test: Callable[[], Any], *, sizes_are_values: bool) -> tuple[Any, bool]:
    """Ask a condition, and tell whether sizes were compared in the kernel for it."""
    before = (_sizes.are_values, _sizes.n_compared)
    _sizes.are_values, _sizes.n_compared = sizes_are_values, 0
    try:
        return test(), _sizes.n_compared > 0
    finally:
        _sizes.are_values, _sizes.n_compared = before


def part(start: Any, stop: Any, step: Any) -> slice:
    """Write ``start:stop:step`` as a value."""
    return slice(start, stop, step)


def item(items: Any, index: Any) -> Any:
    """Do ``items[index]``: plain arrays and lists are looked up at traced places too."""
    places: tuple[Any, ...] = index if isinstance(index, tuple) else (index,)
    if is_traced(items) or not any(is_traced(i) for i in places):
        return getitem(items, index)
    if isinstance(items, np.ndarray) and items.dtype != object:
        return as_traced(items)[index]
    if isinstance(items, (list, tuple)) and items and len(places) == 1:
        rows: Any = items
        return as_traced(np.stack(rows))[index]
    return getitem(items, index)


# loops


def while_statement(
    test: Callable[[], Any], body: Callable[[], None], get: Get, put: Put, names: Sequence[str]
) -> None:
    """Do a ``while``: by Python as long as the condition is plain."""
    sizes_are_values = active_context() is not None
    while True:
        go, has_sizes = _asked(test, sizes_are_values=sizes_are_values)
        if is_traced(go):
            if _kept_while(test, body, get, put, names, has_sizes=has_sizes):
                return
            sizes_are_values = False
        elif go:
            body()
        else:
            return


def _kept_while(
    test: Callable[[], Any],
    body: Callable[[], None],
    get: Get,
    put: Put,
    names: Sequence[str],
    *,
    has_sizes: bool,
) -> bool:
    """Do a ``while`` in the kernel; if that cannot be, and only sizes are unknown, tell so."""
    start = get()

    def step(_: Any, state: State) -> State:
        put(state)
        body()
        return get()

    def condition(state: State) -> Any:
        put(state)
        return _asked(test, sizes_are_values=has_sizes)[0]

    try:
        result = repeat(step, start, condition=condition, names=names)
    except FAILURES:
        put(start)
        if not has_sizes or is_traced(_asked(test, sizes_are_values=False)[0]):
            raise
        return False
    except BaseException:
        put(start)
        raise
    put(tuple([_restored(a, b) for a, b in zip(start, result, strict=True)]))
    return True


class Rows:
    """Something with rows that are known by their numbers: what a loop of the kernel runs over."""

    def __init__(self, count: Any, at: Callable[[Any], Any], *, how: str = "") -> None:
        self.count = count
        self.at = at
        self.how = how
        self.checkpoint: int | bool = False

    def __iter__(self) -> Iterator[Any]:
        count = self.count
        if is_traced(count):
            raise TracingError(
                at_user_line(
                    "a range of a traced number of steps is for loops: it is no sequence. Write "
                    "for i in range(n), or np.arange and np.where"
                )
            )
        return (self.at(i) for i in builtins.range(int(count)))

    def __len__(self) -> int:
        return int(self.count)

    def __getitem__(self, i: Any) -> Any:
        return self.at(i)


class _Unrolled:
    """A loop that is to be unrolled."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def unroll(iterable: Iterable[Any]) -> Iterable[Any]:
    """Mark a loop that is written out step by step, however long it is.

    Examples
    --------
    >>> import symdiff as sd
    >>> def f(x):
    ...     for _ in sd.unroll(range(20)):
    ...         x = 0.5 * x
    ...     return x
    >>> sd.grad(f)(1.0) == 0.5**20
    True
    """
    return _Unrolled(iterable)


def keep(iterable: Iterable[Any], *, checkpoint: int | bool = False) -> Iterable[Any]:
    """Mark a loop that has to stay a loop in the kernel; if it cannot, the reason is raised.

    Parameters
    ----------
    iterable : range, or traced array
    checkpoint : int or bool
        How many steps reverse mode does again from one recorded state, instead of recording each;
        if true, the square root of the number of steps.

    Examples
    --------
    >>> import symdiff as sd
    >>> def f(x):
    ...     for _ in sd.loop(range(4), checkpoint=2):
    ...         x = x * x
    ...     return x
    >>> sd.grad(f)(1.0)
    16.0
    """
    if active_context() is None:
        return iterable
    rows = _rows(iterable)
    if rows is None:
        kind = type(iterable).__name__
        raise CannotKeep(at_user_line(f"sd.loop over a {kind}: it takes ranges and arrays"))
    kept = Rows(rows.count, rows.at, how="kept")
    kept.checkpoint = checkpoint
    return kept


def _rows(items: Any) -> Rows | None:
    """Say what can be a loop of the kernel by number and row."""
    if isinstance(items, Rows):
        return items
    if isinstance(items, builtins.range):
        start, step = items.start, items.step
        return Rows(len(items), lambda i: start + i * step if start or step != 1 else i)
    if is_traced(items):
        array = as_traced(items)
        if array.shape_:
            return Rows(as_size(array.context, array.shape_[0]), lambda i: items[i])
    if _is_long_data(items):
        return Rows(len(items), lambda i: items[i] if isinstance(i, int) else as_traced(items)[i])
    whole = _array_of(items)
    return None if whole is None else Rows(len(items), lambda i: whole[i])


def _is_long_data(items: Any) -> bool:
    """Whether a loop over a plain array is better none of Python's."""
    is_data = isinstance(items, np.ndarray) and items.dtype.kind in "iufb"
    return is_data and items.ndim > 0 and len(items) > config.unroll_limit


def _array_of(items: Any) -> TracedArray | None:
    """The array of which a long list holds the rows one after the other."""
    is_long = isinstance(items, list) and len(elements(items)) > config.unroll_limit
    if not is_long or not all(type(x) is TracedArray for x in items):
        return None
    if len({x.array for x in items}) > 1:
        return None
    parts = merged([expand_dims(x, 0) for x in items], 0)
    return parts[0] if len(parts) == 1 else None


def for_statement(
    items: Any,
    test: Callable[[], Any] | None,
    body: Callable[[Any], None],
    get: Get,
    put: Put,
    names: Sequence[str],
) -> None:
    """Do a ``for``; `test` says whether nothing has left the loop."""
    rows = None if isinstance(items, _Unrolled) or active_context() is None else _rows(items)
    if rows is not None and _is_long(rows) and _kept(rows, test, body, get, put, names):
        return
    source = iter(items)
    while True:
        go = True if test is None else test()
        if not is_traced(go):
            if not go:
                return
            try:
                item = next(source)
            except StopIteration:
                return
            body(item)
            continue
        try:
            item = next(source)
        except StopIteration:
            return
        if_statement(go, lambda item=item: body(item), lambda: None, get, put, names)


SHORT = 8
"""Within a loop, others over sizes that are at most this are unrolled: over layers, say."""


def _is_long(rows: Rows) -> bool:
    if rows.how == "kept":
        return True
    if isinstance(rows.count, TracedSize):
        return not rows.count.takes_numbers or rows.count.now > min(SHORT, config.unroll_limit)
    return not isinstance(rows.count, int) or rows.count > config.unroll_limit


def _kept(
    rows: Rows,
    test: Callable[[], Any] | None,
    body: Callable[[Any], None],
    get: Get,
    put: Put,
    names: Sequence[str],
) -> bool:
    """Do a loop in the kernel; if it cannot be done there but can be unrolled, tell so."""
    start = get()

    def step(i: Any, state: State) -> State:
        put(state)
        body(rows.at(i))
        return get()

    def condition(state: State) -> Any:
        put(state)
        assert test is not None
        return test()

    try:
        result = repeat(
            step,
            start,
            count=rows.count,
            condition=None if test is None else condition,
            names=names,
            checkpoint=rows.checkpoint,
        )
    except FAILURES:
        put(start)
        if rows.how == "kept" or is_traced(rows.count):
            raise
        return False
    except BaseException:
        put(start)
        raise
    put(tuple([_restored(a, b) for a, b in zip(start, result, strict=True)]))
    return True


# calls


def _range(*args: Any) -> Any:
    if not any(is_traced(a) or isinstance(a, TracedSize) for a in args):
        return builtins.range(*args)
    for a in args:
        if is_traced(a) and (as_traced(a).ndim or as_traced(a).dtype.kind not in "iub"):
            raise TracingError(at_user_line(f"range takes whole numbers, not {a!r}"))
    start, stop, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
    if not any(is_traced(a) for a in args):
        now = builtins.range(*[a.now if isinstance(a, TracedSize) else a for a in args])
        if len(now) <= min(SHORT, config.unroll_limit) and any(
            a.takes_numbers for a in args if isinstance(a, TracedSize)
        ):
            return builtins.range(*[int(a) for a in args])
    if is_traced(step) or isinstance(step, TracedSize):
        count = (stop - start + step - np.sign(step)) // step
    elif step in (1, -1):
        count = (stop - start) * step
    else:
        span = stop - start
        count = -(-(as_traced(span) if isinstance(span, TracedSize) else span) // step)
    if is_traced(count):
        count = np.maximum(count, 0)
    elif isinstance(count, TracedSize) and count < 0:
        count = 0
    return Rows(count, lambda i: start + i * step)


def _enumerate(items: Any, start: Any = 0) -> Any:
    rows = _rows(items) if _is_symbolic(items) else None
    if rows is None:
        return builtins.enumerate(items, start)
    is_shifted = is_traced(start) or start != 0
    return Rows(rows.count, lambda i: (i + start if is_shifted else i, rows.at(i)))


def _zip(*items: Any, strict: bool = False) -> Any:
    if not any(_is_symbolic(x) for x in items):
        return builtins.zip(*items, strict=strict)
    rows = [_rows(x) for x in items]
    known = [r for r in rows if r is not None]
    if len(known) < len(rows):
        return builtins.zip(*items, strict=strict)
    counts = [r.count for r in known]
    count = counts[0]
    for other in counts[1:]:
        if is_traced(other) or is_traced(count):
            count = np.minimum(other, count)
        elif other < count:
            count = other
    return Rows(count, lambda i: tuple([r.at(i) for r in known]))


def _reversed(items: Any) -> Any:
    rows = _rows(items) if _is_symbolic(items) else None
    if rows is None:
        return builtins.reversed(items)
    return Rows(rows.count, lambda i: rows.at(rows.count - 1 - i))


def _pairwise(items: Any) -> Any:
    rows = _rows(items) if _is_symbolic(items) else None
    if rows is None:
        return itertools.pairwise(items)
    count = rows.count - 1
    if is_traced(count):
        count = np.maximum(count, 0)
    elif count < 0:
        count = 0
    return Rows(count, lambda i: (rows.at(i), rows.at(i + 1)))


def _is_symbolic(items: Any) -> bool:
    if isinstance(items, list):
        return _array_of(items) is not None
    if not is_traced(items) and isinstance(items, np.ndarray):
        return _is_long_data(items)
    return isinstance(items, Rows) or (is_traced(items) and as_traced(items).ndim > 0)


def _len(x: Any) -> Any:
    if isinstance(x, Rows):
        return x.count
    return x.shape[0] if isinstance(x, TracedArray) and x.ndim else builtins.len(x)


def _float(*args: Any) -> Any:
    if len(args) == 1 and _is_value(args[0]):
        return as_traced(args[0]).astype(float)
    return float(*args)


def _int(*args: Any, **kwargs: Any) -> Any:
    if len(args) == 1 and not kwargs and is_traced(args[0]) and not as_traced(args[0]).ndim:
        x = as_traced(args[0])
        return (np.trunc(x) if x.dtype.kind == "f" else x).astype(int)
    return int(*args, **kwargs)


def _bool(*args: Any) -> Any:
    if len(args) == 1 and is_traced(args[0]) and not as_traced(args[0]).ndim:
        return as_traced(args[0]) != 0
    return bool(*args)


def _is_value(x: Any) -> bool:
    return isinstance(x, TracedSize) or (is_traced(x) and not as_traced(x).ndim)


def _extreme(plain: Callable[..., Any], is_better: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        items = args if len(args) != 1 else args[0]
        if kwargs or isinstance(items, TracedArray) or not isinstance(items, (tuple, list)):
            if isinstance(items, TracedArray) and items.ndim == 1 and not kwargs:
                return items.max() if plain is builtins.max else items.min()
            return plain(*args, **kwargs)
        if not any(is_traced(x) for x in items):
            return plain(*args, **kwargs)
        best = items[0]
        for x in items[1:]:
            test = is_better(x, best)
            best = choice(test, lambda x=x: x, lambda best=best: best)
        return best

    return call


def _sum(items: Any, start: Any = 0) -> Any:
    if isinstance(items, TracedArray):
        return items.sum(axis=0) + start
    return builtins.sum(items, start)


def _any(items: Any) -> Any:
    if isinstance(items, TracedArray):
        return items.any()
    return either(False, *[lambda x=x: _bool(x) for x in items])


def _all(items: Any) -> Any:
    if isinstance(items, TracedArray):
        return items.all()
    return both(True, *[lambda x=x: _bool(x) for x in items])


_BUILTINS: dict[Any, Callable[..., Any]] = {
    builtins.range: _range,
    builtins.enumerate: _enumerate,
    builtins.zip: _zip,
    builtins.reversed: _reversed,
    itertools.pairwise: _pairwise,
    builtins.len: _len,
    builtins.float: _float,
    builtins.int: _int,
    builtins.bool: _bool,
    builtins.max: _extreme(builtins.max, operator.gt),
    builtins.min: _extreme(builtins.min, operator.lt),
    builtins.sum: _sum,
}
_MATH: dict[str, np.ufunc] = {
    name: getattr(np, name)
    for name in [
        *["sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "exp2", "expm1", "log", "log2"],
        *["log10", "log1p", "sqrt", "cbrt", "floor", "ceil", "trunc", "fabs", "hypot", "copysign"],
        *["degrees", "radians", "fmod", "isnan", "isinf", "isfinite", "ldexp", "nextafter"],
    ]
    if isinstance(getattr(np, name, None), np.ufunc) and hasattr(math, name)
}
_MATH |= {"asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2}
_MATH |= {"asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power}


def _mathematical(plain: Callable[..., Any], ufunc: np.ufunc) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        context = active_context()
        if context is None or not any(_is_value(a) for a in args):
            return plain(*args)
        if plain is math.log and len(args) == 2:
            return np.log(args[0]) / np.log(args[1])
        return apply_ufunc(context, ufunc, "__call__", tuple(args), {})

    return call


_CALLEES: dict[Any, Callable[..., Any]] = {
    **_BUILTINS,
    **{getattr(math, n): _mathematical(getattr(math, n), u) for n, u in _MATH.items()},
}
for _of_function in (builtins.map, builtins.filter, functools.reduce):
    _CALLEES[_of_function] = lambda f, *args, call=_of_function: call(callee(f), *args)
_CALLEES[builtins.any] = lambda items: _any(items) if _has_traced(items) else builtins.any(items)
_CALLEES[builtins.all] = lambda items: _all(items) if _has_traced(items) else builtins.all(items)


def _has_traced(items: Any) -> bool:
    if isinstance(items, (list, tuple)):
        return any(is_traced(x) for x in items)
    return isinstance(items, TracedArray)


def callee(f: Any) -> Any:
    """Give what is called in the place of a function: it knows traced values."""
    try:
        found = _CALLEES.get(f)
    except TypeError:  # which cannot be hashed
        found = None
    if found is not None:
        return found if active_context() is not None else f
    module = getattr(f, "__module__", None)
    if module is not None and is_library(module) and not isinstance(f, functools.partial):
        return f
    return convert(f)


register(sys.modules[__name__])
