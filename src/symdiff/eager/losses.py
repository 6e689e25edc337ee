"""Losses: labels first; weighted, and reduced to one number, as `Reduction` says.

Examples
--------
>>> import symdiff.eager as tfe
>>> labels, predictions = [1.0, 2.0, 3.0], [1.0, 4.0, 9.0]
>>> float(tfe.losses.mean_squared_error(labels, predictions, weights=[1.0, 1.0, 0.0]))
2.0
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.eager.elementwise import abs as absolute
from symdiff.eager.elementwise import log, minimum, relu, softplus, square
from symdiff.eager.operations import cast
from symdiff.eager.reductions import log_softmax, reduce_sum
from symdiff.eager.selection import places_from_front
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform, shape_now
from symdiff.errors import DTypeError, ShapeError, at_user_line

__all__ = [
    "Reduction",
    "absolute_difference",
    "cosine_distance",
    "hinge_loss",
    "huber_loss",
    "log_loss",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


class Reduction:
    """What becomes of the weighted losses.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> total = tfe.losses.Reduction.SUM
    >>> float(tfe.losses.absolute_difference([1.0, 2.0], [1.0, 4.0], reduction=total))
    2.0
    """

    NONE = "none"
    """They stay one by one."""
    SUM = "weighted_sum"
    MEAN = "weighted_mean"
    """Their sum, divided by that of the weights."""
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    """Their sum, divided by their number."""
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    """Their sum, divided by the number of those whose weight is not zero."""


BY_NONZERO = Reduction.SUM_BY_NONZERO_WEIGHTS


def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = 1.0, reduction: str = BY_NONZERO
) -> Tensor:
    """Give the mean of the squared differences.

    Parameters
    ----------
    labels, predictions : array_like
        Of one shape.
    weights : array_like
        One for all; or one for each of the losses, where an axis may have length one or the last
        ones be missing.
    reduction : str
        One of `Reduction`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.mean_squared_error([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    y, p = _pair(labels, predictions)
    return _reduced(square(p - y), weights, reduction)


def absolute_difference(
    labels: Any, predictions: Any, weights: Any = 1.0, reduction: str = BY_NONZERO
) -> Tensor:
    """Give the mean of the absolute differences.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.absolute_difference([1.0, 2.0], [1.0, 4.0]))
    1.0
    """
    y, p = _pair(labels, predictions)
    return _reduced(absolute(p - y), weights, reduction)


def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    reduction: str = BY_NONZERO,
) -> Tensor:
    """Give the mean of half the squared differences, of large ones' lengths: linear from delta on.

    References
    ----------
    Huber, *Robust estimation of a location parameter*, Ann. Math. Statist. 35 (1964), section 3.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.huber_loss([0.0, 0.0], [1.0, 3.0]))
    1.5
    """
    y, p = _pair(labels, predictions)
    error = absolute(p - y)
    curved = minimum(error, delta)
    return _reduced(0.5 * square(curved) + delta * (error - curved), weights, reduction)


def hinge_loss(labels: Any, logits: Any, weights: Any = 1.0, reduction: str = BY_NONZERO) -> Tensor:
    """Give the mean of how much the logits fall short of a margin of one; labels are 0 and 1.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.hinge_loss([0.0, 1.0], [-2.0, 0.5]))
    0.25
    """
    y, z = _pair(labels, logits)
    return _reduced(relu(1.0 - (2.0 * y - 1.0) * z), weights, reduction)


def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    reduction: str = BY_NONZERO,
) -> Tensor:
    """Give the mean cross entropy of independent probabilities.

    Parameters
    ----------
    labels, predictions, weights, reduction
        As for `mean_squared_error`.
    epsilon : float
        What is added before logarithms are taken.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> round(float(tfe.losses.log_loss([1.0], [0.5])), 4)
    0.6931
    """
    y, p = _pair(labels, predictions)
    entropy = -y * log(p + epsilon) - (1.0 - y) * log(1.0 - p + epsilon)
    return _reduced(entropy, weights, reduction)


def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: int = -1,
    weights: Any = 1.0,
    reduction: str = BY_NONZERO,
) -> Tensor:
    """Give the mean of one minus the product of vectors of length one along an axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.cosine_distance([[1.0, 0.0]], [[0.0, 1.0]]))
    1.0
    """
    y, p = _pair(labels, predictions)
    return _reduced(1.0 - reduce_sum(y * p, axis, keepdims=True), weights, reduction)


def softmax_cross_entropy(
    onehot_labels: Any, logits: Any, weights: Any = 1.0, reduction: str = BY_NONZERO
) -> Tensor:
    """Give the mean cross entropy of rows of probabilities and of logits.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> loss = tfe.losses.softmax_cross_entropy([[1.0, 0.0]], [[0.0, 0.0]])
    >>> round(float(loss), 6)
    0.693147
    """
    y, z = _pair(onehot_labels, logits)
    return _reduced(-reduce_sum(y * log_softmax(z), axis=-1), weights, reduction)


def sparse_softmax_cross_entropy(
    labels: Any, logits: Any, weights: Any = 1.0, reduction: str = BY_NONZERO
) -> Tensor:
    """Give the mean cross entropy of classes, by their numbers, and of rows of logits.

    Raises
    ------
    IndexError
        A label is no class.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> loss = tfe.losses.sparse_softmax_cross_entropy([1], [[0.0, 0.0]])
    >>> round(float(loss), 6)
    0.693147
    """
    y, z = as_tensor(labels), as_tensor(logits)
    if y.dtype.kind not in "iu":
        raise DTypeError(at_user_line(f"labels are numbers of classes, integers, not {y.dtype}"))
    shapes = shape_now(y), shape_now(z)
    if shapes[0] != shapes[1][:-1]:
        raise ShapeError(
            at_user_line(f"labels have shape {shapes[0]}, logits {shapes[1]}: one row for each")
        )
    chosen = perform(_along_last_axis, log_softmax(z), y)
    return _reduced(-chosen, weights, reduction)


def _along_last_axis(rows: Any, places: Any) -> Any:
    inside = places_from_front(places, rows.shape[-1])
    return np.take_along_axis(rows, inside[..., None], axis=-1)[..., 0]


def sigmoid_cross_entropy(
    multi_class_labels: Any, logits: Any, weights: Any = 1.0, reduction: str = BY_NONZERO
) -> Tensor:
    """Give the mean cross entropy of independent probabilities and logits.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> round(float(tfe.losses.sigmoid_cross_entropy([1.0], [0.0])), 6)
    0.693147
    """
    y, z = _pair(multi_class_labels, logits)
    return _reduced(softplus(z) - z * y, weights, reduction)


def _pair(labels: Any, predictions: Any) -> list[Tensor]:
    y, p = as_operands(as_tensor(labels), as_tensor(predictions))
    shapes = shape_now(y), shape_now(p)
    if shapes[0] != shapes[1]:
        raise ShapeError(at_user_line(f"labels have shape {shapes[0]}, predictions {shapes[1]}"))
    return [y, p]


def _reduced(losses: Tensor, weights: Any, reduction: str) -> Tensor:
    w = as_tensor(weights)
    w = cast(w, losses.dtype) if w.dtype.kind in "iub" or not w.ndim else w
    while 0 < w.ndim < losses.ndim:
        w = w[..., None]
    reduce = _REDUCTIONS.get(reduction)
    if reduce is None:
        raise ValueError(
            at_user_line(f"reduction {reduction!r}; allowed are {', '.join(_REDUCTIONS)}")
        )
    return perform(reduce, *as_operands(losses, w))


def _alone(losses: Any, weights: Any) -> Any:
    return losses * weights


def _sum(losses: Any, weights: Any) -> Any:
    return np.sum(losses * weights)


def _mean(losses: Any, weights: Any) -> Any:
    total = np.sum(_everywhere(losses, weights))
    some = np.where(total == 0, losses.dtype.type(1), total)
    return np.where(total == 0, losses.dtype.type(0), np.sum(losses * weights) / some)


def _over_batch(losses: Any, weights: Any) -> Any:
    return np.mean(losses * weights)


def _by_nonzero(losses: Any, weights: Any) -> Any:
    present = _everywhere(losses, weights) != 0
    count = np.sum(present.astype(losses.dtype))
    return np.sum(losses * weights) / np.maximum(count, 1)


def _everywhere(losses: Any, weights: Any) -> Any:
    """Give the weight of each loss, whatever those are: inf and nan as well."""
    return weights + np.zeros_like(losses)


_REDUCTIONS = {
    Reduction.NONE: _alone,
    Reduction.SUM: _sum,
    Reduction.MEAN: _mean,
    Reduction.SUM_OVER_BATCH_SIZE: _over_batch,
    Reduction.SUM_BY_NONZERO_WEIGHTS: _by_nonzero,
}
