"""Arrays that a caller gives for the results of a call, ``out=``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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


def check_outputs(
    out: Any, tree: Tree, types: Sequence[tuple[tuple[int, ...], str]]
) -> list[np.ndarray]:
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
        if any(np.shares_memory(array, other) for other in leaves[:n]):
            raise ValueError(
                at_user_line("two arrays of out share memory: one result would spoil the other")
            )
    return leaves


def _check(array: Any, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if not isinstance(array, np.ndarray):
        hint = f"numpy.empty({shape}, numpy.{dtype})"
        raise DTypeError(
            at_user_line(f"{name} is of type {type(array).__name__}, not an array: pass {hint}")
        )
    if array.dtype != dtype:
        raise DTypeError(at_user_line(f"{name} has dtype {array.dtype}, the result {dtype}"))
    if array.shape != shape:
        raise ShapeError(at_user_line(f"{name} has shape {array.shape}, the result {shape}"))
    if not array.flags.writeable:
        raise ValueError(at_user_line(f"{name} is read-only: pass an array that can be written to"))


def apart(outputs: Sequence[np.ndarray], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Give arrays that a kernel can write to: those given, or new ones to be copied from.

    A kernel writes while it still reads, and only to contiguous memory.

    Examples
    --------
    >>> x, y = np.ones(4), np.ones(4)
    >>> [a is b for a, b in zip(apart([x, y], [x]), [x, y])]
    [False, True]
    """
    return [y if _is_fit(y, inputs) else np.empty(y.shape, y.dtype) for y in outputs]


def _is_fit(output: np.ndarray, inputs: Sequence[np.ndarray]) -> bool:
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
