"""Nested tuples, lists and dicts of tensors; anything else, a model say, is a leaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdiff.eager.tensor import as_tensor
from symdiff.trees import Tree, unflatten

__all__ = ["flatten", "map_structure", "pack", "unflatten"]


def flatten(value: Any) -> tuple[list[Any], Tree]:
    """Take a nested value apart; `unflatten` puts it together.

    Examples
    --------
    >>> leaves, tree = flatten([1, (2, {"a": 3, "b": None})])
    >>> leaves
    [1, 2, 3]
    >>> unflatten(tree, [10, 20, 30])
    [10, (20, {'a': 30, 'b': None})]
    """
    leaves: list[Any] = []
    return leaves, _flatten(value, leaves)


_LEAF = Tree(None)
_NONE = Tree(type(None))


def _flatten(value: Any, leaves: list[Any]) -> Tree:
    if isinstance(value, (tuple, list)):
        return Tree(type(value), (), tuple([_flatten(v, leaves) for v in value]))
    if isinstance(value, dict):
        return Tree(type(value), tuple(value), tuple([_flatten(v, leaves) for v in value.values()]))
    if value is None:
        return _NONE
    leaves.append(value)
    return _LEAF


def map_structure(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply a function to every leaf.

    Examples
    --------
    >>> map_structure(lambda x: 2 * x, [1, (2,)])
    [2, (4,)]
    """
    leaves, tree = flatten(value)
    return unflatten(tree, [function(x) for x in leaves])


def pack(value: Any) -> Any:
    """Make tensors of the leaves of a structure; a list of numbers is one tensor.

    Examples
    --------
    >>> pack({"x": [1, 2]})
    {'x': <Tensor shape=(2,) dtype=int32 numpy=array([1, 2], dtype=int32)>}
    """
    if isinstance(value, dict):
        return {k: pack(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and not _is_numbers(value):
        parts = [pack(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value if value is None else as_tensor(value)


def _is_numbers(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return all(_is_numbers(v) for v in x)
    return type(x) in (bool, int, float)
