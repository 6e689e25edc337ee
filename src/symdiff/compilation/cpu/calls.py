"""What is known of a call from Python when a kernel is compiled for it."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import UnsupportedOperationError
from symdiff.program.program import Program
from symdiff.trees import Tree

__all__ = ["Call", "Given", "describe", "known_objects"]


class Given(NamedTuple):
    """What is known of one leaf of the arguments.

    ``kind`` is ``"float"`` or ``"int"`` for Python's numbers, ``"scalar"`` or ``"array"`` for
    NumPy's of a dtype, ``"same"`` for an object that must be this very one.
    """

    kind: str
    dtype: str = ""
    value: Any = None


class Call(NamedTuple):
    """What a kernel's arguments from Python are, and what is made of its results.

    Attributes
    ----------
    arguments : Tree
        The structure of the tuple of arguments.
    given : sequence of Given or None
        Its leaves; None for one that has to be converted.
    results : Tree
        The structure of the result.
    is_plain : bool
        Whether numbers are given as Python's, not as NumPy's.
    """

    arguments: Tree
    given: Sequence[Given | None]
    results: Tree
    is_plain: bool

    @property
    def is_simple(self) -> bool:
        """Whether all arguments and results are of kinds that machine code can read and make."""
        return (
            sys.implementation.name == "cpython"
            and not sysconfig.get_config_var("Py_GIL_DISABLED")
            and all(g is not None for g in self.given)
            and self.arguments.kind is tuple
            and all(_is_simple(c) for c in self.arguments.children)
            and _is_simple(self.results)
        )


_CONTAINERS = (tuple, list, dict, type(None))


def _is_simple(tree: Tree) -> bool:
    if tree.kind is None:
        return True
    return tree.kind in _CONTAINERS and all(map(_is_simple, tree.children))


def describe(call: Call) -> list[Any]:
    """Say a simple call in plain data, equal for equal calls in every process.

    Raises
    ------
    UnsupportedOperationError
        A dict has keys other than strings and whole numbers.
    """
    given = [(g.kind, g.dtype, _plain(g.value)) for g in call.given if g is not None]
    return [_structure(call.arguments), given, _structure(call.results), call.is_plain]


def _structure(tree: Tree) -> list[Any]:
    kind = "" if tree.kind is None else tree.kind.__name__
    return [kind, [_plain(k) for k in tree.keys], [_structure(c) for c in tree.children]]


def _plain(value: Any) -> tuple[str, Any]:
    if value is not None and type(value) not in (str, int, bool):
        raise UnsupportedOperationError(f"{value!r} has no plain name")
    return type(value).__name__, value


def known_objects(program: Program, call: Call) -> list[Any]:
    """List the objects that the code of an entry may point to, in an order of their own.

    What has the same place in the lists of two processes is equal, if the calls are.
    """
    dtypes = [np.dtype(d) for d in sorted({kind.dtype for kind in program.types.values()})]
    return [
        *(None, True, False, float, int, tuple, list, dict, np.ndarray),
        *dtypes,
        *(d.type for d in dtypes),
        *(g.value for g in call.given if g is not None),
        *_keys(call.arguments),
        *_keys(call.results),
        *program.constants.values(),
    ]


def _keys(tree: Tree) -> Iterator[Any]:
    yield from tree.keys
    for child in tree.children:
        yield from _keys(child)
