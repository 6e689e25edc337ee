"""Functions of tensors that go along axes: sums and their kin, places of extremes, softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.eager.examples import with_example
from symdiff.eager.tensor import Tensor, as_tensor, perform
from symdiff.tracing.pointwise import stop_gradient as stopped

__all__ = [
    "argmax",
    "argmin",
    "log_softmax",
    "reduce_all",
    "reduce_any",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "softmax",
]

Axis = int | Sequence[int] | None


def _reduction(function: Callable[..., Any], name: str, example: str) -> Callable[..., Tensor]:
    def apply(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        axes = tuple(axis) if isinstance(axis, (list, tuple)) else axis
        made = x if isinstance(x, Tensor) else as_tensor(x)
        return perform(function, made, axis=axes, keepdims=keepdims)

    text = f"Reduce by {name[7:]} over one axis, several, or all."
    return with_example(apply, name, text, example)


def _sum(x: Any, axis: Axis, keepdims: bool) -> Any:
    kind = x.dtype.kind
    return np.sum(x, axis=axis, keepdims=keepdims, **({"dtype": x.dtype} if kind in "iu" else {}))


def _logsumexp(x: Any, axis: Axis, keepdims: bool) -> Any:
    e, highest = _exponentials(x, axis)
    made = np.log(np.sum(e, axis=axis, keepdims=True)) + highest
    if keepdims:
        return made
    return np.reshape(made, ()) if axis is None else np.squeeze(made, axis)


def _exponentials(x: Any, axis: Axis) -> tuple[Any, Any]:
    """Give exponentials of differences to the highest, which do not overflow, and the highest."""
    highest = stopped(np.max(x, axis=axis, keepdims=True))
    highest = np.where(np.isfinite(highest), highest, x.dtype.type(0))
    return np.exp(x - highest), highest


reduce_sum = _reduction(_sum, "reduce_sum", "[1.0, 2.0] -> np.float32(3.0)")
reduce_mean = _reduction(np.mean, "reduce_mean", "[1.0, 2.0] -> np.float32(1.5)")
reduce_max = _reduction(np.max, "reduce_max", "[1.0, 2.0] -> np.float32(2.0)")
reduce_min = _reduction(np.min, "reduce_min", "[1.0, 2.0] -> np.float32(1.0)")
reduce_prod = _reduction(np.prod, "reduce_prod", "[2.0, 3.0] -> np.float32(6.0)")
reduce_all = _reduction(np.all, "reduce_all", "[True, False] -> np.False_")
reduce_any = _reduction(np.any, "reduce_any", "[True, False] -> np.True_")
reduce_logsumexp = _reduction(
    _logsumexp, "reduce_logsumexp", "[1000.0, 1000.0] -> np.float32(1000.6932)"
)


def argmax(x: Any, axis: int = 0) -> Tensor:
    """Give the place of the largest element along an axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.argmax([1.0, 3.0, 2.0]).numpy()
    np.int64(1)
    """
    return perform(np.argmax, as_tensor(x), axis=axis)


def argmin(x: Any, axis: int = 0) -> Tensor:
    """Give the place of the smallest element along an axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.argmin([[1, 3], [2, 0]], axis=1).numpy()
    array([0, 1])
    """
    return perform(np.argmin, as_tensor(x), axis=axis)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Give exponentials that add up to one along an axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.softmax([1000.0, 1000.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return perform(_softmax, as_tensor(x), axis=axis)


def _softmax(x: Any, axis: int) -> Any:
    e, _ = _exponentials(x, axis)
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Give the logarithm of `softmax`, also where that is too small for a float.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.log_softmax([0.0, 1000.0]).numpy()
    array([-1000.,     0.], dtype=float32)
    """
    return perform(_log_softmax, as_tensor(x), axis=axis)


def _log_softmax(x: Any, axis: int) -> Any:
    return x - _logsumexp(x, axis, keepdims=True)
