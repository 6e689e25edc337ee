"""A solver's state as few arrays: what a kernel is given and gives back.

A call costs time for each of its arguments, and a state has dozens of numbers. They travel in two
vectors, one of floating numbers and one of whole numbers and truth values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symdiff.trees import Tree, flatten, unflatten

__all__ = ["Layout", "layout_of"]


class Layout(NamedTuple):
    """Where each leaf of a state is: in the arrays, the numbers, the counts, or a truth value."""

    tree: Tree
    kinds: tuple[str, ...]

    def pack(self, state: Any) -> tuple[tuple[Any, ...], Any, Any]:
        """Give the arrays, the numbers and the counts of a state."""
        leaves = flatten(state)[0]
        arrays = [x for x, kind in zip(leaves, self.kinds, strict=True) if kind == "array"]
        numbers = [x for x, kind in zip(leaves, self.kinds, strict=True) if kind == "number"]
        counts = [
            np.where(x, 1, 0) if kind == "truth" else x
            for x, kind in zip(leaves, self.kinds, strict=True)
            if kind in ("count", "truth")
        ]
        return tuple(arrays), np.array(numbers), np.array(counts)

    def unpack(self, arrays: Any, numbers: Any, counts: Any) -> Any:
        """Put a state together."""
        positions = {"array": 0, "number": 0, "count": 0}
        leaves = []
        for kind in self.kinds:
            place = "count" if kind == "truth" else kind
            source = {"array": arrays, "number": numbers, "count": counts}[place]
            value = source[positions[place]]
            positions[place] += 1
            leaves.append(value != 0 if kind == "truth" else value)
        return unflatten(self.tree, leaves)


def layout_of(state: Any) -> Layout:
    """Lay out states like this one, which holds NumPy's arrays and numbers."""
    leaves, tree = flatten(state)
    kinds = {"f": "number", "i": "count", "b": "truth"}
    return Layout(tree, tuple(["array" if np.ndim(x) else kinds[x.dtype.kind] for x in leaves]))
