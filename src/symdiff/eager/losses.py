"""Losses: labels first; weighted, summed, divided by the number of weights that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.eager.operations import (
    abs as absolute,
)
from symdiff.eager.operations import (
    exp,
    log,
    reduce_max,
    reduce_mean,
    reduce_sum,
    softplus,
    square,
    stop_gradient,
)
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform, shape_now
from symdiff.errors import ShapeError, at_user_line

__all__ = [
    "absolute_difference",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]


def mean_squared_error(labels: Any, predictions: Any, weights: Any = 1.0) -> Tensor:
    """Give the mean of the squared differences.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.mean_squared_error([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    y, p = _pair(labels, predictions)
    return _reduced(square(p - y), weights)


def absolute_difference(labels: Any, predictions: Any, weights: Any = 1.0) -> Tensor:
    """Give the mean of the absolute differences.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> float(tfe.losses.absolute_difference([1.0, 2.0], [1.0, 4.0]))
    1.0
    """
    y, p = _pair(labels, predictions)
    return _reduced(absolute(p - y), weights)


def softmax_cross_entropy(onehot_labels: Any, logits: Any, weights: Any = 1.0) -> Tensor:
    """Give the mean cross entropy of rows of probabilities and of logits.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> loss = tfe.losses.softmax_cross_entropy([[1.0, 0.0]], [[0.0, 0.0]])
    >>> round(float(loss), 6)
    0.693147
    """
    y, z = _pair(onehot_labels, logits)
    shifted = z - stop_gradient(reduce_max(z, axis=-1, keepdims=True))
    total = log(reduce_sum(exp(shifted), axis=-1, keepdims=True))
    return _reduced(reduce_sum(y * (total - shifted), axis=-1), weights)


def sigmoid_cross_entropy(multi_class_labels: Any, logits: Any, weights: Any = 1.0) -> Tensor:
    """Give the mean cross entropy of independent probabilities and logits.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> round(float(tfe.losses.sigmoid_cross_entropy([1.0], [0.0])), 6)
    0.693147
    """
    y, z = _pair(multi_class_labels, logits)
    return _reduced(softplus(z) - z * y, weights)


def _pair(labels: Any, predictions: Any) -> list[Tensor]:
    y, p = as_operands(as_tensor(labels), as_tensor(predictions))
    shapes = shape_now(y), shape_now(p)
    if shapes[0] != shapes[1]:
        raise ShapeError(at_user_line(f"labels have shape {shapes[0]}, predictions {shapes[1]}"))
    return [y, p]


def _reduced(losses: Tensor, weights: Any) -> Tensor:
    if type(weights) in (int, float):
        return reduce_mean(losses) * weights
    w = as_tensor(weights)
    while 0 < w.ndim < losses.ndim:
        w = w[..., None]
    weighted, present = losses * w, losses * 0.0 + w
    return perform(_safe_quotient, reduce_sum(weighted), present)


def _safe_quotient(total: Any, weights: Any) -> Any:
    count = np.sum((weights != 0).astype(weights.dtype))
    return total / np.maximum(count, 1)
