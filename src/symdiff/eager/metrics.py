"""Metrics: numbers that are gathered over batches, and asked for at the end.

Examples
--------
>>> import symdiff.eager as tfe
>>> accuracy = tfe.metrics.Accuracy()
>>> for labels, predictions in [([1, 2], [1, 0]), ([3, 4], [3, 4])]:
...     accuracy(labels, predictions)
>>> accuracy.result().numpy()
np.float64(0.75)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.eager.elementwise import equal
from symdiff.eager.operations import cast
from symdiff.eager.reductions import reduce_sum
from symdiff.eager.tensor import Tensor, as_tensor, perform, shape_now
from symdiff.eager.variables import Variable
from symdiff.errors import ShapeError, at_user_line

__all__ = ["Accuracy", "Mean", "Metric"]


class Metric:
    """What all have: a call takes a batch, `result` says what has come, and it can start anew.

    The state is in variables that are not trained, so that a `Checkpoint` saves it.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> class Total(tfe.metrics.Metric):
    ...     def __init__(self):
    ...         self.total = tfe.Variable(0.0, trainable=False)
    ...     def __call__(self, x):
    ...         self.total.assign_add(tfe.reduce_sum(x))
    ...     def result(self):
    ...         return self.total.value()
    >>> total = Total()
    >>> total([1.0, 2.0])
    >>> total.result().numpy()
    np.float32(3.0)
    """

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch."""
        raise NotImplementedError

    def result(self) -> Tensor:
        """Give what has been gathered."""
        raise NotImplementedError

    def init_variables(self) -> None:
        """Start anew: with zeros, and metrics that this one is made of as well."""
        for part in vars(self).values():
            if isinstance(part, Variable):
                part.assign(np.zeros(part.shape, part.dtype))
            elif isinstance(part, Metric):
                part.init_variables()


class Mean(Metric):
    """The weighted mean of all values; NaN before there is any.

    Parameters
    ----------
    dtype : dtype
        In what it is summed up.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> mean = tfe.metrics.Mean()
    >>> mean(3.0)
    >>> mean([5.0, 7.0], weights=[1.0, 0.0])
    >>> mean.result().numpy()
    np.float64(4.0)
    """

    def __init__(self, dtype: Any = "float64") -> None:
        self.total = Variable(np.zeros((), dtype), trainable=False, name="total")
        self.count = Variable(np.zeros((), dtype), trainable=False, name="count")

    def __call__(self, values: Any, weights: Any = None) -> None:
        """Take values.

        Parameters
        ----------
        values : array_like
        weights : array_like, optional
            One for all, or one for each value, where an axis may have length one or the last ones
            be missing; by default one.
        """
        dtype = self.total.dtype
        x = cast(values, dtype)
        w = cast(1 if weights is None else weights, dtype)
        shapes = shape_now(x), shape_now(w)
        while 0 < w.ndim < x.ndim:
            w = w[..., None]
        weight = perform(_spread, w, x)
        if shape_now(weight) != shapes[0]:
            raise ShapeError(
                at_user_line(f"weights of shape {shapes[1]} for values of {shapes[0]}")
            )
        self.total.assign_add(reduce_sum(x * weight))
        self.count.assign_add(reduce_sum(weight))

    def result(self) -> Tensor:
        """Give the mean."""
        return self.total.value() / self.count.value()


def _spread(weights: Any, values: Any) -> Any:
    return weights + np.zeros_like(values)


class Accuracy(Metric):
    """The weighted part of predictions that are what the labels say.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> accuracy = tfe.metrics.Accuracy()
    >>> accuracy([1, 2, 3], tfe.argmax([[0.0, 1.0], [0.5, 0.1], [0.2, 0.3]], 1))
    >>> accuracy.result().numpy()
    np.float64(0.3333333333333333)
    """

    def __init__(self, dtype: Any = "float64") -> None:
        self.mean = Mean(dtype)

    def __call__(self, labels: Any, predictions: Any, weights: Any = None) -> None:
        """Take labels, and predictions of their shape; whole numbers may have different dtypes."""
        y, p = as_tensor(labels), as_tensor(predictions)
        if shape_now(y) != shape_now(p):
            raise ShapeError(
                at_user_line(f"labels have shape {shape_now(y)}, predictions {shape_now(p)}")
            )
        if y.dtype.kind in "iu" and p.dtype.kind in "iu":
            common = np.result_type(y.dtype, p.dtype)
            y, p = cast(y, common), cast(p, common)
        self.mean(equal(y, p), weights)

    def result(self) -> Tensor:
        """Give the part that is right."""
        return self.mean.result()
