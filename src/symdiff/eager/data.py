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

from symdiff.eager.operations import constant
from symdiff.eager.random_numbers import draw_seed
from symdiff.eager.shapes import stack
from symdiff.eager.structures import flatten, pack, unflatten
from symdiff.errors import ShapeError, at_user_line

__all__ = ["Dataset", "Iterator"]


class Dataset:
    """A sequence of tensors, or of tuples or dicts of tensors, that can be gone through often.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> rows = tfe.data.Dataset.from_tensor_slices(([[1.0], [2.0]], [0, 1]))
    >>> for x, label in rows.repeat(2).batch(3):
    ...     print(x.shape, label.numpy())
    (3, 1) [0 1 0]
    (1, 1) [1]
    """

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
        made, tree = flatten(_packed(tensors))
        lengths = {len(x) for x in made}
        if len(lengths) != 1:
            raise ShapeError(at_user_line(f"first axes of different lengths: {sorted(lengths)}"))
        (length,) = lengths

        def rows() -> PythonIterator[Any]:
            for n in range(length):
                yield unflatten(tree, [x[n] for x in made])

        return Dataset(rows)

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """Give tensors, whole, as the one element."""
        made, tree = flatten(_packed(tensors))
        return Dataset(lambda: iter([unflatten(tree, made)]))

    @staticmethod
    def range(*bounds: int) -> Dataset:
        """Count, like Python's `range`, in int64.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> [int(n) for n in tfe.data.Dataset.range(1, 6, 2)]
        [1, 3, 5]
        """
        numbers = range(*bounds)
        return Dataset(lambda: (constant(n, "int64") for n in numbers))

    @staticmethod
    def zip(datasets: Any) -> Dataset:
        """Go through datasets in a tuple or dict side by side, until one of them ends.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> numbers = tfe.data.Dataset.range(9)
        >>> [(int(a), int(b)) for a, b in tfe.data.Dataset.zip((numbers.skip(1), numbers.take(2)))]
        [(1, 0), (2, 1)]
        """
        parts, tree = flatten(datasets)

        def rows() -> PythonIterator[Any]:
            for row in zip(*[part.begin() for part in parts], strict=False):
                yield unflatten(tree, list(row))

        return Dataset(rows)

    def map(self, function: Callable[..., Any]) -> Dataset:
        """Apply a function to every element; a tuple's parts are its arguments."""

        def mapped() -> PythonIterator[Any]:
            for x in self.begin():
                yield function(*x) if isinstance(x, tuple) else function(x)

        return Dataset(mapped)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """Keep the elements for which a function is true; a tuple's parts are its arguments."""

        def kept() -> PythonIterator[Any]:
            for x in self.begin():
                if predicate(*x) if isinstance(x, tuple) else predicate(x):
                    yield x

        return Dataset(kept)

    def take(self, count: int) -> Dataset:
        """Give the first elements; -1 means all."""
        return Dataset(lambda: itertools.islice(self.begin(), None if count < 0 else count))

    def skip(self, count: int) -> Dataset:
        """Leave out the first elements; -1 means all."""
        if count < 0:
            return Dataset(lambda: iter(()))
        return Dataset(lambda: itertools.islice(self.begin(), count, None))

    def concatenate(self, other: Dataset) -> Dataset:
        """Go through another dataset after this one."""
        return Dataset(lambda: itertools.chain(self.begin(), _later(other)))

    def prefetch(self, buffer_size: int) -> Dataset:
        """Give the same elements; they are made when they are asked for."""
        del buffer_size
        return self

    def batch(self, size: int, drop_remainder: bool = False) -> Dataset:
        """Stack elements; the last batch may be shorter, unless it is dropped.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> rows = tfe.data.Dataset.range(5)
        >>> [x.shape for x in rows.batch(2)], [x.shape for x in rows.batch(2, drop_remainder=True)]
        ([(2,), (2,), (1,)], [(2,), (2,)])
        """
        if size < 1:
            raise ValueError(at_user_line(f"a batch has at least one element, not {size}"))

        def batches() -> PythonIterator[Any]:
            source = self.begin()
            while rows := list(itertools.islice(source, size)):
                if drop_remainder and len(rows) < size:
                    return
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

        With a seed every pass has the same order; without one each has its own, which goes by
        `set_random_seed`.
        """
        if buffer_size < 1:
            raise ValueError(at_user_line(f"buffer_size is at least 1, not {buffer_size}"))

        def shuffled() -> PythonIterator[Any]:
            generator = np.random.Generator(np.random.Philox(draw_seed() if seed is None else seed))
            source = self.begin()
            held = list(itertools.islice(source, buffer_size))
            for x in source:
                n = int(generator.integers(len(held)))
                yield held[n]
                held[n] = x
            for n in generator.permutation(len(held)):
                yield held[n]

        return Dataset(shuffled)


def _packed(tensors: Any) -> Any:
    """Make tensors; a tuple is a structure, whatever is in it."""
    return tuple([pack(x) for x in tensors]) if type(tensors) is tuple else pack(tensors)


def _later(dataset: Dataset) -> PythonIterator[Any]:
    """Start from the beginning when the first element is asked for."""
    yield from dataset.begin()


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
