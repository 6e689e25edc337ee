"""`Dataset`: rows of arrays in an order, in batches; each `Iterator` goes its own way.

Examples
--------
>>> import symdiff.eager as tfe
>>> rows = tfe.data.Dataset.from_tensor_slices([1.0, 2.0, 3.0]).map(lambda x: 2 * x).batch(2)
>>> [x.numpy().tolist() for x in rows]
[[2.0, 4.0], [6.0]]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Iterator as PythonIterator
from typing import Any

import numpy as np

from symdiff.eager.shapes import stack
from symdiff.eager.structures import flatten, pack, unflatten
from symdiff.errors import ShapeError, at_user_line

__all__ = ["Dataset", "Iterator"]


class Dataset:
    """A sequence of tensors, or of tuples or dicts of tensors, that can be gone through often."""

    def __init__(self, begin: Callable[[], PythonIterator[Any]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator:
        return Iterator(self)

    def begin(self) -> PythonIterator[Any]:
        """Start from the beginning."""
        return self._begin()

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """Go along the first axis of a tensor, or of several in a tuple or dict at once.

        Raises
        ------
        ValueError
            The first axes differ in length.
        """
        given = [pack(x) for x in tensors] if type(tensors) is tuple else pack(tensors)
        made, tree = flatten(tuple(given) if type(tensors) is tuple else given)
        lengths = {len(x) for x in made}
        if len(lengths) != 1:
            raise ShapeError(at_user_line(f"first axes of different lengths: {sorted(lengths)}"))
        (length,) = lengths

        def rows() -> PythonIterator[Any]:
            for n in range(length):
                yield unflatten(tree, [x[n] for x in made])

        return Dataset(rows)

    def map(self, function: Callable[..., Any]) -> Dataset:
        """Apply a function to every element; a tuple's parts are its arguments."""

        def mapped() -> PythonIterator[Any]:
            for x in self.begin():
                yield function(*x) if isinstance(x, tuple) else function(x)

        return Dataset(mapped)

    def batch(self, size: int) -> Dataset:
        """Stack elements; the last batch may be shorter."""
        if size < 1:
            raise ValueError(at_user_line(f"a batch has at least one element, not {size}"))

        def batches() -> PythonIterator[Any]:
            source = self.begin()
            while rows := list(itertools.islice(source, size)):
                leaves = [flatten(row)[0] for row in rows]
                columns = [stack(list(column)) for column in zip(*leaves, strict=True)]
                yield unflatten(flatten(rows[0])[1], columns)

        return Dataset(batches)

    def repeat(self, count: int | None = None) -> Dataset:
        """Go through it so many times, or without end."""

        def repeated() -> PythonIterator[Any]:
            for _ in itertools.count() if count is None else range(count):
                is_empty = True
                for x in self.begin():
                    is_empty = False
                    yield x
                if is_empty:
                    return

        return Dataset(repeated)

    def shuffle(self, buffer_size: int, seed: int | None = None) -> Dataset:
        """Give elements in random order, each drawn from so many at a time.

        With a seed every pass has the same order.
        """
        if buffer_size < 1:
            raise ValueError(at_user_line(f"buffer_size is at least 1, not {buffer_size}"))

        def shuffled() -> PythonIterator[Any]:
            generator = np.random.Generator(np.random.Philox(seed))
            source = self.begin()
            held = list(itertools.islice(source, buffer_size))
            for x in source:
                n = int(generator.integers(len(held)))
                yield held[n]
                held[n] = x
            for n in generator.permutation(len(held)):
                yield held[n]

        return Dataset(shuffled)


class Iterator:
    """One way through a dataset.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> steps = tfe.data.Iterator(tfe.data.Dataset.from_tensor_slices([1, 2]))
    >>> int(steps.next()), int(next(steps)), next(steps, None)
    (1, 2, None)
    """

    def __init__(self, dataset: Dataset) -> None:
        self._source = dataset.begin()

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        return next(self._source)

    next = __next__
