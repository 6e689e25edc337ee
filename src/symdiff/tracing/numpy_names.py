"""Names of NumPy and SciPy that their own protocols do not reach, while a function is traced.

``np.zeros(n)`` has no traced argument, ``np.array([x, y])`` and SciPy's functions do not ask their
arguments. While a trace goes on, and only for the thread in which it does, those names in NumPy,
in SciPy, and in the module of the traced function stand for functions that know traced values.
Everybody else's calls go to the originals.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.locks import global_lock
from symdiff.program.affine import index
from symdiff.program.equations import IndexValue, Literal
from symdiff.program.patterns import COPY
from symdiff.program.sizes import Extent
from symdiff.tracing.arguments import as_extent
from symdiff.tracing.construction import copy
from symdiff.tracing.context import Context, active_context, check_dtype
from symdiff.tracing.conversion import is_library
from symdiff.tracing.dispatch import FUNCTIONS
from symdiff.tracing.linear_algebra import SCIPY_LINEAR_ALGEBRA
from symdiff.tracing.local_array import current_tree, has_traced, localize
from symdiff.tracing.matrices import identity_matrix
from symdiff.tracing.shapes import broadcast_to
from symdiff.tracing.special_functions import SPECIAL_TABLE
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced, astype, stack_nested

__all__ = ["CREATION", "LOCAL", "imported_scipy", "traced_names"]

_SCIPY = {"scipy.linalg": SCIPY_LINEAR_ALGEBRA, "scipy.special": SPECIAL_TABLE}


def _context() -> Context:
    context = active_context()
    assert context is not None
    return context


def _shape(shape: Any) -> tuple[Extent, ...]:
    sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple([as_extent(n) for n in sizes])


def _full(shape: Any, fill_value: Any, dtype: Any = None, *_: Any, **__: Any) -> TracedArray:
    value = as_traced(fill_value)
    if dtype is not None:
        value = astype(value, dtype)
    return copy(broadcast_to(value, _shape(shape)))


def _filled(number: int) -> Callable[..., TracedArray]:
    def make(shape: Any, dtype: Any = float, *_: Any, **__: Any) -> TracedArray:
        context, extents = _context(), _shape(shape)
        name = check_dtype(dtype)
        array = context.emit(COPY, [Literal(number, name)], extents, name)
        return TracedArray(context, array, extents, name, owns=True)

    return make


def _arange(*args: Any, dtype: Any = None, **_: Any) -> TracedArray:
    numbers = [args[0] if args else 0, *args[1:]]
    if len(numbers) == 1:
        numbers = [0, *numbers]
    if any(
        isinstance(a, float) and a.is_integer() for a in numbers
    ):  # np.arange(1.0, n + 1): whole numbers too
        whole = [int(a) if isinstance(a, float) and a.is_integer() else a for a in numbers]
        return _arange(*whole, dtype=dtype or float)
    low, high = numbers[:2]
    is_known = all(isinstance(a, (int, np.integer, TracedSize)) for a in (low, high))
    if not is_known or (len(numbers) > 2 and numbers[2] != 1):
        raise ShapeError(
            at_user_line(
                "np.arange of traced numbers has a size that is known only at the call. Write "
                "start + step * np.arange(count)"
            )
        )
    start = as_extent(low)
    context = _context()
    count = as_extent(high) - start
    extents = (count if context.decide(count, ">=") else 0,)
    name = check_dtype(dtype or "int64")
    array = context.emit(COPY, [IndexValue(index(0).shifted(start))], extents, name)
    if name == "int64":  # shorter ones begin anew where their numbers end
        context.progressions[array] = start
    return TracedArray(context, array, extents, name, owns=True)


def _eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, *_: Any, **__: Any) -> TracedArray:
    columns = None if M is None else as_extent(M)
    return identity_matrix(as_extent(N), check_dtype(dtype), columns, int(k))


def _array(object: Any, dtype: Any = None, *, copy: Any = True, ndmin: Any = 0, **_: Any) -> Any:
    x = current_tree(object)
    made = isinstance(x, (list, tuple))
    result = stack_nested(_context(), x, dtype) if made else x
    traced = as_traced(result)
    if dtype is not None:
        traced = astype(traced, dtype)
    if traced is result and not made and copy and traced.ndim:
        traced = FUNCTIONS[np.copy](traced)
    while traced.ndim < ndmin:
        traced = traced[None]
    return traced


def _asarray(a: Any, dtype: Any = None, order: Any = None, **_: Any) -> Any:
    del order  # traced arrays have no order in memory
    return _array(a, dtype, copy=False)


CREATION: dict[str, Callable[..., Any]] = {
    "zeros": _filled(0),
    "empty": _filled(0),
    "ones": _filled(1),
    "full": _full,
    "eye": _eye,
    "identity": lambda n, dtype=float, **_: _eye(n, dtype=dtype),
    "arange": _arange,
    "array": _array,
    "asarray": _asarray,
    "asanyarray": _asarray,
    "ascontiguousarray": _asarray,
    "asfortranarray": _asarray,
    "asarray_chkfinite": _asarray,
    "require": _asarray,
}
"""What makes arrays of shapes and of nested lists; with nothing traced the result is local."""

LOCAL = ["zeros_like", "ones_like", "empty_like", "full_like", "linspace", "logspace", "geomspace"]
LOCAL += ["copy", "tri", "tile", "repeat", "concatenate", "stack", "vstack", "hstack", "diag"]
"""Functions that dispatch, but whose result of plain arguments the function may write to."""


def _replacement(original: Any, handler: Callable[..., Any] | None) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        frame = inspect.currentframe()
        caller = frame.f_back if frame is not None else None
        if active_context() is None or caller is None or _is_library(caller.f_globals):
            return original(*args, **kwargs)
        if handler is not None and has_traced((args, kwargs)):
            return handler(*args, **kwargs)
        result = original(*args, **kwargs)
        is_new = not any(result is a for a in args)
        shares = isinstance(result, np.ndarray) and result.base is not None
        return localize(result) if is_new and not shares else result

    return call


def _is_library(namespace: Mapping[str, Any]) -> bool:
    return is_library(namespace.get("__name__"))


def _dispatching(original: Any, handler: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SciPy that gives way to ours when something traced comes."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if active_context() is not None and has_traced((args, kwargs)):
            return handler(*current_tree(args), **current_tree(kwargs))
        return original(*args, **kwargs)

    return call


class _Names:
    """The replacements, which are in place while any thread traces."""

    def __init__(self) -> None:
        self.lock = global_lock()
        self.depth = 0
        self.by_original: dict[int, tuple[Any, Callable[..., Any]]] = {}
        self.places: list[tuple[Any, str, Any]] = []
        self.borrowed: dict[int, _Borrowed] = {}

    def fill(self) -> None:
        """Make the replacements, once."""
        if self.by_original:
            return
        for name, handler in CREATION.items():
            self._add(np, name, _replacement(getattr(np, name), handler))
        for name in LOCAL:
            self._add(np, name, _replacement(getattr(np, name), None))

    def _add(self, module: Any, name: str, replacement: Callable[..., Any]) -> None:
        original = getattr(module, name)
        self.by_original[id(original)] = (original, replacement)
        if original in FUNCTIONS:  # for those who look a handler up by the name in NumPy
            FUNCTIONS[replacement] = FUNCTIONS[original]
        self.places.append((module, name, original))

    def add_scipy(self) -> None:
        """Add SciPy's functions, once the user has imported their module."""
        for path, handlers in _SCIPY.items():
            module = sys.modules.get(path)
            if module is None or any(m is module for m, _, _ in self.places):
                continue
            for name, handler in handlers.items():
                if hasattr(module, name):
                    self._add(module, name, _dispatching(getattr(module, name), handler))

    def enter(self) -> None:
        """Put the replacements in place."""
        with self.lock:
            if self.depth == 0:
                self.fill()
                self.add_scipy()
                for module, name, original in self.places:
                    setattr(module, name, self.by_original[id(original)][1])
            self.depth += 1

    def leave(self) -> None:
        """Put the originals back."""
        with self.lock:
            self.depth -= 1
            if self.depth == 0:
                for module, name, original in self.places:
                    setattr(module, name, original)

    def borrow(self, namespace: dict[str, Any]) -> None:
        """Replace what a module has imported by name, until all who borrowed have given back."""
        with self.lock:
            known = self.borrowed.get(id(namespace))
            if known is None:
                found = [
                    (name, value)
                    for name, value in list(namespace.items())
                    if self.by_original.get(id(value), (_NOTHING,))[0] is value
                ]
                known = self.borrowed[id(namespace)] = _Borrowed(namespace, found)
                namespace.update({name: self.by_original[id(v)][1] for name, v in found})
            known.count += 1

    def give_back(self, namespace: dict[str, Any]) -> None:
        """Put the originals back into a module when nobody traces its functions any more."""
        with self.lock:
            known = self.borrowed[id(namespace)]
            known.count -= 1
            if not known.count:
                del self.borrowed[id(namespace)]
                namespace.update(known.found)


_NOTHING = object()


@dataclass(eq=False)
class _Borrowed:
    """A module's names that are replaced, and by how many traces."""

    namespace: dict[str, Any]
    found: list[tuple[str, Any]]
    count: int = 0


def _namespaces(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """The module of a function, and those of what it and its module refer to."""
    found: dict[int, dict[str, Any]] = {}

    def add(value: Any) -> None:
        namespace = vars(value) if isinstance(value, ModuleType) else None
        if namespace is None:
            namespace = getattr(value, "__globals__", None)
        if isinstance(namespace, dict) and not _is_library(namespace):
            found.setdefault(id(namespace), namespace)

    add(function)
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # a name that has no value yet
            add(cell.cell_contents)
    for namespace in list(found.values()):
        for value in list(namespace.values()):
            if isinstance(value, (ModuleType, FunctionType)):
                add(value)
    return list(found.values())


_names = _Names()


def imported_scipy() -> frozenset[str]:
    """Say which modules of SciPy are imported whose functions are replaced in a trace."""
    return frozenset(_SCIPY.keys() & sys.modules.keys())


@contextmanager
def traced_names(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Let the names stand for functions that know traced values, for a call of `function`.

    What is given is to be called in its stead: the function itself may be one of them.
    """
    _names.enter()
    namespaces = _namespaces(function)
    try:
        for namespace in namespaces:
            _names.borrow(namespace)
        yield _names.by_original.get(id(function), (function, function))[1]
    finally:
        for namespace in namespaces:
            _names.give_back(namespace)
        _names.leave()
