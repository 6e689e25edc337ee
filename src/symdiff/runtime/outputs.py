"""Arrays that a caller gives for the results of a call, ``out=``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.compilation.cuda.arrays import (
    dtype_of,
    is_contiguous,
    is_on_device,
    is_read_only,
    overlap,
)
from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.trees import Tree, flatten

__all__ = ["apart", "check_outputs", "has_parameter"]


def has_parameter(function: Callable[..., Any], name: str) -> bool:
    """Whether a function of the user's has a parameter of this name; NumPy's count as ours.

    Examples
    --------
    >>> has_parameter(lambda x, out: x, "out"), has_parameter(np.sum, "out")
    (True, False)
    """
    module = getattr(function, "__module__", None) or ""
    if isinstance(function, np.ufunc) or module.split(".")[0] in ("numpy", "scipy"):
        return False
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # built-in functions may have none
        return False


def check_outputs(out: Any, tree: Tree, types: Sequence[tuple[tuple[int, ...], str]]) -> list[Any]:
    """Take the arrays out of ``out``, which has to have the results' structure and types.

    Raises
    ------
    ShapeError
        The structure or a shape is another.
    DTypeError
        A leaf is no array, or of another dtype.
    ValueError
        An array is read-only, or two of them share memory.
    """
    leaves, given = flatten(out)
    if given != tree:
        raise ShapeError(
            at_user_line(f"out has the structure {_text(given)}, the result {_text(tree)}")
        )
    for array, name, (shape, dtype) in zip(leaves, tree.paths("out"), types, strict=True):
        _check(array, name, tuple(shape), np.dtype(dtype))
    for n, array in enumerate(leaves):
        if any(_overlap(array, other) for other in leaves[:n]):
            raise ValueError(
                at_user_line("two arrays of out share memory: one result would spoil the other")
            )
    return leaves


def _overlap(a: Any, b: Any) -> bool:
    """Whether two arrays of the same side share memory."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.shares_memory(a, b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return overlap(a, b)


def _check(array: Any, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if is_on_device(array):
        _check_type(tuple(array.shape), dtype_of(array), name, shape, dtype)
        if not is_contiguous(array):
            raise ValueError(at_user_line(f"{name} is not contiguous, as it has to be on a GPU"))
        # JAX's arrays never change, but do not say so.
        is_locked = is_read_only(array) or type(array).__module__.startswith("jax")
    elif not isinstance(array, np.ndarray):
        hint = f"numpy.empty({shape}, numpy.{dtype})"
        raise DTypeError(
            at_user_line(f"{name} is of type {type(array).__name__}, not an array: pass {hint}")
        )
    else:
        _check_type(array.shape, array.dtype, name, shape, dtype)
        is_locked = not array.flags.writeable
    if is_locked:
        raise ValueError(at_user_line(f"{name} is read-only: pass an array that can be written to"))


def _check_type(
    given: tuple[int, ...], of: np.dtype, name: str, shape: tuple[int, ...], dtype: np.dtype
) -> None:
    if of != dtype:
        raise DTypeError(at_user_line(f"{name} has dtype {of}, the result {dtype}"))
    if given != shape:
        raise ShapeError(at_user_line(f"{name} has shape {given}, the result {shape}"))


def apart(outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Give arrays that a kernel can write to: those given, or new ones to be copied from.

    A kernel writes while it still reads, and only to contiguous memory. Arrays on a GPU stay: it
    is known there what lies where.

    Examples
    --------
    >>> x, y = np.ones(4), np.ones(4)
    >>> [a is b for a, b in zip(apart([x, y], [x]), [x, y])]
    [False, True]
    """
    return [y if _is_fit(y, inputs) else np.empty(y.shape, y.dtype) for y in outputs]


def _is_fit(output: Any, inputs: Sequence[Any]) -> bool:
    if is_on_device(output):
        return True
    flags = output.flags
    is_behaved = flags.c_contiguous and flags.aligned
    on_host = (x for x in inputs if isinstance(x, np.ndarray))  # others would be copied to it
    return is_behaved and not any(np.may_share_memory(output, x) for x in on_host)


def _text(tree: Tree) -> str:
    if tree.kind is None:
        return "array"
    if tree.kind is type(None):
        return "None"
    parts = [_text(c) for c in tree.children]
    if tree.keys:
        parts = [f"{key!r}: {part}" for key, part in zip(tree.keys, parts, strict=True)]
    return f"{tree.kind.__name__}({', '.join(parts)})"
