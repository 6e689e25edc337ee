"""Nested dicts, lists, tuples and dataclasses of arrays: taken apart and put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Tree", "flatten", "leaf", "map_leaves", "unflatten"]


@dataclasses.dataclass(frozen=True)
class Tree:
    """The structure of a nested value; hashable, so that it can be part of a signature.

    ``kind`` is the container's class, None for a leaf and NoneType for None; ``keys`` are the
    dict's keys or the dataclass's field names.
    """

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[Tree, ...] = ()

    @property
    def n_leaves(self) -> int:
        """How many leaves the value has."""
        return 1 if self.kind is None else sum(c.n_leaves for c in self.children)

    def paths(self, prefix: str) -> Iterator[str]:
        """Give each leaf a name from where it is: ``params_w``, ``layers_0_bias``."""
        if self.kind is None:
            yield prefix
        labels = self.keys or range(len(self.children))
        for label, child in zip(labels, self.children, strict=True):
            yield from child.paths(f"{prefix}_{label}")


leaf = Tree(None)


def flatten(value: Any) -> tuple[list[Any], Tree]:
    """Take a nested value apart.

    A class with a true attribute ``is_leaf`` counts as a leaf, whatever else it is.

    Returns
    -------
    leaves : list
        In the order of the containers.
    tree : Tree
        What `unflatten` needs to put them together.

    Examples
    --------
    >>> leaves, tree = flatten({"w": 1.0, "b": (2.0, None)})
    >>> leaves
    [1.0, 2.0]
    >>> unflatten(tree, [10.0, 20.0])
    {'w': 10.0, 'b': (20.0, None)}
    """
    leaves: list[Any] = []
    return leaves, _flatten(value, leaves)


def _flatten(value: Any, leaves: list[Any]) -> Tree:
    kind = type(value)
    if isinstance(value, (tuple, list)) and not getattr(kind, "is_leaf", False):
        return Tree(kind, (), tuple([_flatten(v, leaves) for v in value]))
    if isinstance(value, dict):
        children = tuple([_flatten(v, leaves) for v in value.values()])
        return Tree(kind, tuple(value), children)
    if value is None:
        return Tree(kind)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = tuple(f.name for f in dataclasses.fields(value))
        return Tree(kind, names, tuple([_flatten(getattr(value, n), leaves) for n in names]))
    leaves.append(value)
    return leaf


def unflatten(tree: Tree, leaves: list[Any]) -> Any:
    """Put a nested value together from its leaves."""
    if tree.kind is None:
        return leaves[0]
    return _unflatten(tree, iter(leaves))


def _unflatten(tree: Tree, leaves: Iterator[Any]) -> Any:
    kind = tree.kind
    if kind is None:
        return next(leaves)
    if kind is type(None):
        return None
    children = [_unflatten(c, leaves) for c in tree.children]
    if kind is tuple:
        return tuple(children)
    if kind is list:
        return children
    if issubclass(kind, tuple):
        return kind(*children) if hasattr(kind, "_fields") else kind(children)
    if issubclass(kind, list):
        return kind(children)
    mapping = dict(zip(tree.keys, children, strict=True))
    if kind is dict:
        return mapping
    return kind(mapping) if issubclass(kind, dict) else kind(**mapping)


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply a function to every leaf.

    Examples
    --------
    >>> map_leaves(lambda x: 2 * x, {"a": 1, "b": [2]})
    {'a': 2, 'b': [4]}
    """
    leaves, tree = flatten(value)
    return unflatten(tree, [function(x) for x in leaves])
