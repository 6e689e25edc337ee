"""`LocalArray`: a plain array that the traced function has made, until something traced goes in.

``y = np.zeros(3)`` has no traced argument and is a real NumPy array; ``y[0] = x`` then makes it
one that is traced. So it is an `numpy.ndarray` as long as that is enough, for every library, and
from then on hands all that is done with it to a `TracedArray`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, TracingError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import Affine, constant, index
from symdiff.program.equations import Index
from symdiff.tracing.assignment import assign_positions
from symdiff.tracing.context import Context, active_context, check_dtype
from symdiff.tracing.indexing import getitem
from symdiff.tracing.shapes import ravel
from symdiff.tracing.traced_array import call_traced
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced
from symdiff.tracing.ufuncs import apply_ufunc
from symdiff.tracing.writing import WRITING

__all__ = [
    "LocalArray",
    "current_tree",
    "has_traced",
    "localize",
    "make_traced",
    "plain",
    "root_of",
]

RESHAPED = (
    "assignment through a reshape of an array that has become traced. Write to the array itself, "
    "or reshape it afterwards"
)
_OWN = frozenset(
    [
        "_at",
        "home",
        "traced",
        "base",
        "__class__",
        "__symdiff__",
        "__dict__",
        "view",
        "__array_struct__",
    ]
)


class LocalArray(np.ndarray):
    """An array of the traced function's own."""

    traced: TracedArray | None = None
    home: Context | None = None

    @property
    def __symdiff__(self) -> TracedArray | None:
        """What it is now; `lift` asks for it."""
        return current(self)

    def __array_finalize__(self, obj: Any) -> None:
        self.home = active_context()

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, **more: Any) -> None:
        """Sort in place."""
        self[...] = np.sort(self, axis, kind, order, **more)

    def fill(self, value: Any) -> None:
        """Set all elements to one value."""
        self[...] = value

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return super().__getattribute__(name)
        now = current(self)
        return super().__getattribute__(name) if now is None else getattr(now, name)

    def __setitem__(self, key: Any, value: Any) -> None:
        root = root_of(self)
        if root.traced is None and not has_traced((key, value)):
            super().__setitem__(key, plain(value))
            return
        if root.traced is None:
            make_traced(root)
        now = current(self)
        assert now is not None
        if now.buffer.refusal is None:
            now[current_tree(key)] = current_tree(value)
            return
        assert root.traced is not None
        if has_traced(key):
            raise UnsupportedOperationError(at_user_line(now.buffer.refusal))
        assign_positions(root.traced, _places(root, self)[plain(key)], current_tree(value))

    def __getitem__(self, key: Any) -> Any:
        now = current(self)
        if now is not None:
            return now[current_tree(key)]
        if has_traced(key):
            return as_traced(plain(self))[current_tree(key)]
        return super().__getitem__(key)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        given = [current_tree(x) for x in inputs]
        if method == "at":
            return self._at(ufunc, inputs[0], given, kwargs)
        if has_traced((given, kwargs)) or (out is not None and has_traced(out)):
            result = apply_ufunc(_active(), ufunc, method, tuple(given), kwargs)
            return result if out is None else _written(out, result)
        plain_out = None if out is None else tuple([plain(o) for o in out])
        arguments = {**kwargs, "out": plain_out} if plain_out else kwargs
        result = getattr(ufunc, method)(*given, **arguments)
        if out is not None:
            return out[0] if len(out) == 1 else out
        return localize(result)

    def _at(self, ufunc: np.ufunc, target: Any, given: list[Any], kwargs: dict[str, Any]) -> None:
        if not has_traced(given) and not isinstance(target, TracedArray):
            ufunc.at(plain(target), *given[1:])
            return
        if isinstance(target, LocalArray):
            if root_of(target) is not target:
                raise UnsupportedOperationError(
                    at_user_line(f"np.{ufunc.__name__}.at on a view. Give it the array itself")
                )
            if target.traced is None:
                make_traced(target)
            given[0] = target.traced
        apply_ufunc(_active(), ufunc, "at", tuple(given), kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in WRITING and isinstance(args[0], LocalArray) and has_traced((args, kwargs)):
            root = root_of(args[0])
            if root.traced is None:
                make_traced(root)
        given, named = current_tree(tuple(args)), current_tree(dict(kwargs))
        if has_traced((given, named)):
            return call_traced(func, given, named)
        return _seen(func(*given, **named), (args, kwargs))

    def __len__(self) -> int:
        now = current(self)
        return super().__len__() if now is None else len(now)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))  # which may be traced before it is through

    def __float__(self) -> float:
        return float(_number(self))

    def __int__(self) -> int:
        return int(_number(self))

    def __bool__(self) -> bool:
        return bool(_number(self))

    def __index__(self) -> int:
        return _number(self).__index__()

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __repr__(self) -> str:
        now = current(self)
        return repr(plain(self)) if now is None else repr(now)

    __str__ = __repr__


def _number(x: LocalArray) -> Any:
    now = current(x)
    return plain(x) if now is None else now


def _active() -> Context:
    context = active_context()
    assert context is not None
    return context


def plain(x: Any) -> Any:
    """Take a local array for the plain array that it is."""
    return np.ndarray.view(x, np.ndarray) if isinstance(x, LocalArray) else x


def localize(x: Any) -> Any:
    """Let a new array be one that may become traced."""
    if type(x) is np.ndarray and x.dtype != object:
        return np.ndarray.view(np.asarray(x, order="C"), LocalArray)
    if isinstance(x, (tuple, list)) and type(x) in (tuple, list):
        return type(x)([localize(v) for v in x])
    return x


def _seen(x: Any, given: Any) -> Any:
    """Localize what a function of NumPy gives; a view of a local array is one of the same root."""
    if type(x) in (tuple, list):
        return type(x)([_seen(v, given) for v in x])
    if type(x) is not np.ndarray:
        return x
    for root in _roots_in(given):
        if np.may_share_memory(x, plain(root)):
            start = x.__array_interface__["data"][0] - _address(root)
            seen = np.ndarray.__new__(LocalArray, x.shape, x.dtype, root, start, x.strides)
            seen.flags.writeable = x.flags.writeable
            return seen
    return localize(x)


def _roots_in(x: Any) -> list[LocalArray]:
    if isinstance(x, LocalArray):
        return [root_of(x)]
    values = x.values() if isinstance(x, dict) else x if isinstance(x, (tuple, list)) else ()
    return [root for v in values for root in _roots_in(v)]


def root_of(x: LocalArray) -> LocalArray:
    """The array of which another is a view, or itself."""
    return x.base if isinstance(x.base, LocalArray) else x


def current(x: LocalArray) -> TracedArray | None:
    """What a local array is now, if something traced went into its memory."""
    root = root_of(x)
    if root.traced is None:
        return None
    if root is x:
        return root.traced
    places = _places(root, x)
    indices = _index_map(root, places)
    memory = root.traced
    if indices is None:  # a reshape, which no index map says
        copy = getitem(ravel(memory.snapshot()), places)
        copy.buffer.refusal = RESHAPED
        memory.buffer.alias(copy.buffer)
        return copy
    seen = TracedArray(memory.context, memory.array, places.shape, memory.dtype_, indices)
    seen.buffer = memory.buffer
    return seen


def _places(root: LocalArray, x: LocalArray) -> np.ndarray:
    """The flat place in the root of each element of a view."""
    ndarray: Any = np.ndarray
    item = plain(root).itemsize
    numbers = np.arange(plain(root).size)
    start = (_address(x) - _address(root)) // item
    strides = tuple([8 * s // item for s in ndarray.strides.__get__(x)])
    return np.lib.stride_tricks.as_strided(numbers[start:], ndarray.shape.__get__(x), strides)


def _index_map(root: LocalArray, places: np.ndarray) -> tuple[Index, ...] | None:
    """Say a view of the root as an index map of it; None where it is none."""
    memory = plain(root)
    strides = [s // memory.itemsize for s in memory.strides]
    start = int(places.flat[0]) if places.size else 0
    if not memory.flags.c_contiguous:
        return None
    first = [start // s % n if s else 0 for s, n in zip(strides, memory.shape, strict=True)]
    indices: list[Affine] = [constant(i) for i in first]
    for axis, count in enumerate(places.shape):
        if count < 2:
            continue
        (stride,) = np.unique(np.diff(places, axis=axis))[:1]
        for k, (s, n) in enumerate(zip(strides, memory.shape, strict=True)):
            step = int(stride) // s if s and stride % s == 0 else 0
            if step and 0 <= first[k] + step * (count - 1) < n and not indices[k].terms:
                indices[k] = index(axis).scaled(step).shifted(first[k])
                break
    loops = list(np.indices(places.shape, sparse=True))
    flat: Any = np.zeros(places.shape, np.int64)
    for i, n in zip(indices, memory.shape, strict=True):
        assert isinstance(i.offset, int)
        flat = flat * n + i.offset + sum(c * loops[k] for k, c in i.terms)
    return tuple(indices) if np.array_equal(flat, places) else None


def _address(x: LocalArray) -> int:
    return plain(x).__array_interface__["data"][0]


def make_traced(root: LocalArray) -> None:
    """Go over to a traced array; the memory keeps NaN, so that no stale number can get out."""
    if active_context() is not root.home:
        raise UnsupportedOperationError(
            at_user_line(
                "assignment of a traced value into an array of another function's trace. Make "
                "the array inside the function, or return the new values instead"
            )
        )
    data = plain(root)
    context = _active()
    dtype = check_dtype(data.dtype)
    root.traced = TracedArray(context, context.add_constant(data.copy()), data.shape, dtype)
    if data.dtype.kind in "iu":
        data.fill(np.iinfo(data.dtype).min)
    elif data.dtype.kind == "f":
        data.fill(np.nan)


def _written(out: tuple[Any, ...], result: Any) -> Any:
    results = result if isinstance(result, tuple) else (result,)
    for target, value in zip(out, results, strict=True):
        if isinstance(target, np.ndarray) and not isinstance(target, LocalArray):
            raise TracingError(
                at_user_line(
                    "a traced value cannot be written into an array from outside. Write x = x + y "
                    "instead of x += y, or make the array inside the function"
                )
            )
        if not np.can_cast(value.dtype, target.dtype, "same_kind"):
            raise DTypeError(
                at_user_line(
                    f"in-place arithmetic gives {value.dtype}, which an array of {target.dtype} "
                    "cannot hold. Write x = x + y instead of x += y"
                )
            )
        target[...] = value
    return out[0] if len(out) == 1 else out


def current_tree(x: Any) -> Any:
    """Put what local arrays are now in for them, also in tuples, lists and dicts."""
    if isinstance(x, LocalArray):
        now = current(x)
        return plain(x) if now is None else now
    if type(x) in (tuple, list):
        return type(x)([current_tree(v) for v in x])
    if type(x) is dict:
        return {k: current_tree(v) for k, v in x.items()}
    return x


def has_traced(x: Any) -> bool:
    """Whether there is something traced in it."""
    if isinstance(x, (TracedArray, TracedSize)):
        return True
    if isinstance(x, LocalArray):
        return root_of(x).traced is not None
    if isinstance(x, (tuple, list)):
        return any(has_traced(v) for v in x)
    if isinstance(x, dict):
        return any(has_traced(v) for v in x.values())
    return isinstance(x, np.ndarray) and x.dtype == object and any(has_traced(v) for v in x.flat)
