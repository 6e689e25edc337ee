"""Pooling: the largest or the mean of each window over images."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.eager.indexing import beside
from symdiff.eager.layers.base import Layer
from symdiff.eager.layers.windows import Pair, as_pair, check_images, check_padding, pad_same, strip
from symdiff.eager.tensor import Tensor, as_tensor, perform

__all__ = ["AveragePooling2D", "MaxPooling2D"]


class _Pooling(Layer):
    """Windows over images of shape (batch, height, width, channels)."""

    def __init__(self, pool_size: Pair, strides: Pair | None = None, padding: str = "valid"):
        self.pool_size = as_pair(pool_size, "pool_size")
        self.strides = self.pool_size if strides is None else as_pair(strides, "strides")
        self.padding = check_padding(padding)

    def _pooled(self, inputs: Any, function: Any) -> Tensor:
        x = as_tensor(inputs)
        check_images(x, type(self).__name__, self.pool_size, self.padding)
        is_same = self.padding == "same"
        return perform(function, x, size=self.pool_size, strides=self.strides, is_padded=is_same)


class MaxPooling2D(_Pooling):
    """The largest element of each window; of equal ones each has its part of the derivative.

    Parameters
    ----------
    pool_size : int or (int, int)
    strides : int or (int, int), optional
        By default windows lie side by side.
    padding : {"valid", "same"}
        See `Conv2D`; what is around the image does not count.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.reshape(tfe.range(16.0), [1, 4, 4, 1])
    >>> tfe.layers.MaxPooling2D(2)(x).numpy()[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """

    def call(self, inputs: Any) -> Tensor:
        """Apply the layer."""
        return self._pooled(inputs, _largest)


class AveragePooling2D(_Pooling):
    """The mean of each window; see `MaxPooling2D`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.reshape(tfe.range(16.0), [1, 4, 4, 1])
    >>> tfe.layers.AveragePooling2D(2)(x).numpy()[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """

    def call(self, inputs: Any) -> Tensor:
        """Apply the layer."""
        return self._pooled(inputs, _mean)


def _strips(x: Any, size: tuple[int, int], strides: tuple[int, int]) -> list[Any]:
    height, width = [(int(x.shape[a + 1]) - size[a]) // strides[a] + 1 for a in (0, 1)]
    return [strip(x, offset, (height, width), strides) for offset in np.ndindex(*size)]


def _largest(x: Any, size: Any, strides: Any, is_padded: bool) -> Any:
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    wide = pad_same(x, size, strides, lowest) if is_padded else x
    return np.max(np.stack(_strips(wide, size, strides)), axis=0)


def _mean(x: Any, size: Any, strides: Any, is_padded: bool) -> Any:
    if not is_padded:
        return sum(_strips(x, size, strides)) / x.dtype.type(size[0] * size[1])
    inside = beside(np.ones((1, int(x.shape[1]), int(x.shape[2]), 1), x.dtype), x)
    counts: Any = sum(_strips(pad_same(inside, size, strides, 0), size, strides))
    return sum(_strips(pad_same(x, size, strides, 0), size, strides)) / counts
