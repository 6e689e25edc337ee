"""`Conv2D`: sums of products of shifted images with matrices, and its gradients in that form too.

Left to itself, reverse mode adds to overlapping slices of one array, element by element. The
gradient by the images is a convolution as well, of the cotangent with zeros around it, which takes
a fifth of the time (32 images of 14x14x32, 64 filters of 3x3: 9.3 ms instead of 48).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from symdiff.eager.custom import custom_gradient
from symdiff.eager.layers.base import Activation, Layer, find_activation
from symdiff.eager.layers.initializers import Initializer, find_initializer
from symdiff.eager.layers.windows import Pair, as_pair, check_images, check_padding, pad_same, strip
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform
from symdiff.eager.variables import Variable
from symdiff.errors import ShapeError, at_user_line

__all__ = ["Conv2D"]


class Conv2D(Layer):
    """Images as filters see them.

    Parameters
    ----------
    filters : int
        How many channels come out.
    kernel_size, strides : int or (int, int)
        Height and width of a filter, and of its steps.
    padding : {"valid", "same"}
        "same" puts zeros around, at the end one more if their number is odd, so that with steps of
        one the size stays.
    activation : callable or str, optional
    use_bias : bool
    kernel_initializer, bias_initializer : callable or str

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> layer = tfe.layers.Conv2D(8, 3, strides=2, padding="same")
    >>> layer(tfe.ones([5, 28, 28, 3])).shape, [v.shape for v in layer.variables]
    ((5, 14, 14, 8), [(3, 3, 3, 8), (8,)])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Pair,
        strides: Pair = 1,
        padding: str = "valid",
        activation: Activation = None,
        use_bias: bool = True,
        kernel_initializer: Initializer | str = "glorot_uniform",
        bias_initializer: Initializer | str = "zeros",
        trainable: bool = True,
    ) -> None:
        self.filters = int(filters)
        self.kernel_size = as_pair(kernel_size, "kernel_size")
        self.strides = as_pair(strides, "strides")
        self.padding = check_padding(padding)
        self.activation = find_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = find_initializer(kernel_initializer)
        self.bias_initializer = find_initializer(bias_initializer)
        self.trainable = trainable
        self.kernel: Variable | None = None
        self.bias: Variable | None = None

    def _build(self, channels: int, dtype: Any) -> Variable:
        shape = (*self.kernel_size, channels, self.filters)
        self.kernel = self.add_variable("kernel", shape, dtype, self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_variable("bias", shape[-1:], dtype, self.bias_initializer)
        return self.kernel

    def call(self, inputs: Any) -> Tensor:
        """Apply the layer to images of shape (batch, height, width, channels).

        Raises
        ------
        ValueError
            The inputs are no images, smaller than a filter, or have other channels than at first.
        """
        x = as_tensor(inputs)
        shape = check_images(x, "Conv2D", self.kernel_size, self.padding)
        kernel = self._build(shape[3], x.dtype) if self.kernel is None else self.kernel
        if shape[3] != kernel.shape[2]:
            raise ShapeError(
                at_user_line(f"Conv2D was made for {kernel.shape[2]} channels, not {shape[3]}")
            )
        if self.padding == "same":
            x = perform(pad_same, x, size=self.kernel_size, strides=self.strides, value=0)
        y = _convolution(self.strides)(*as_operands(x, kernel))
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y)


@lru_cache
def _convolution(strides: tuple[int, int]) -> Callable[[Any, Any], Tensor]:
    @custom_gradient
    def convolution(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        def gradients(dy: Tensor) -> tuple[Tensor, Tensor]:
            by_images = perform(_images_back, dy, kernel, x, strides=strides)
            return by_images, perform(_kernel_back, dy, kernel, x, strides=strides)

        return perform(_convolved, x, kernel, strides=strides), gradients

    return convolution


def _offsets(kernel: Any) -> Iterator[tuple[int, int]]:
    return iter(np.ndindex(int(kernel.shape[0]), int(kernel.shape[1])))


def _convolved(x: Any, kernel: Any, strides: tuple[int, int]) -> Any:
    height, width = [(int(x.shape[a + 1]) - int(kernel.shape[a])) // strides[a] + 1 for a in (0, 1)]
    return sum(
        strip(x, offset, (height, width), strides) @ kernel[offset] for offset in _offsets(kernel)
    )


def _kernel_back(dy: Any, kernel: Any, x: Any, strides: tuple[int, int]) -> Any:
    size = int(dy.shape[1]), int(dy.shape[2])
    rows = [
        np.tensordot(strip(x, offset, size, strides), dy, axes=([0, 1, 2], [0, 1, 2]))
        for offset in _offsets(kernel)
    ]
    return np.reshape(np.stack(rows), tuple([int(n) for n in kernel.shape]))


def _images_back(dy: Any, kernel: Any, x: Any, strides: tuple[int, int]) -> Any:
    """Convolve with the kernel turned around, over zeros as wide as it all around."""
    spread = _spread(dy, strides)
    widths = [
        (int(kernel.shape[a]) - 1, int(x.shape[a + 1]) - int(spread.shape[a + 1])) for a in (0, 1)
    ]
    wide = np.pad(spread, ((0, 0), *widths, (0, 0)))
    return _convolved(wide, np.swapaxes(kernel[::-1, ::-1], 2, 3), (1, 1))


def _spread(dy: Any, strides: tuple[int, int]) -> Any:
    """Put zeros between rows and columns, where the filters made steps over images."""
    if strides == (1, 1):
        return dy
    gaps = [s - 1 for s in strides]
    _, height, width, channels = [int(n) if a else n for a, n in enumerate(dy.shape)]
    wide = np.pad(
        dy[:, :, None, :, None, :], ((0, 0), (0, 0), (0, gaps[0]), (0, 0), (0, gaps[1]), (0, 0))
    )
    long = np.reshape(wide, (-1, height * strides[0], width * strides[1], channels))
    return long[:, : height * strides[0] - gaps[0], : width * strides[1] - gaps[1]]
