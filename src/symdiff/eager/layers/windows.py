"""Windows over images of shape (batch, height, width, channels), for convolutions and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.eager.tensor import Tensor, shape_now
from symdiff.errors import ShapeError, at_user_line

__all__ = ["Pair", "as_pair", "check_images", "check_padding", "pad_same", "strip"]

Pair = int | tuple[int, int]


def as_pair(given: Any, name: str) -> tuple[int, int]:
    """Give height and width, of one number or two.

    Examples
    --------
    >>> as_pair(3, "strides"), as_pair([1, 2], "strides")
    ((3, 3), (1, 2))
    """
    pair = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2 or any(int(n) != n or n < 1 for n in pair):
        raise ValueError(at_user_line(f"{name}={given!r}: one or two numbers from 1 on"))
    return int(pair[0]), int(pair[1])


def check_padding(padding: str) -> str:
    """Give the name of a padding in small letters."""
    lower = str(padding).lower()
    if lower not in ("valid", "same"):
        raise ValueError(at_user_line(f"padding={padding!r}; allowed are 'valid' and 'same'"))
    return lower


def check_images(x: Tensor, name: str, size: tuple[int, int], padding: str) -> tuple[int, ...]:
    """Give the shape of images that windows fit into."""
    shape = shape_now(x)
    if len(shape) != 4:
        raise ShapeError(
            at_user_line(f"{name} takes (batch, height, width, channels), not shape {shape}")
        )
    if padding == "valid" and (shape[1] < size[0] or shape[2] < size[1]):
        raise ShapeError(
            at_user_line(f"{name}: windows of {size} do not fit into images of {shape[1:3]}")
        )
    return shape


def pad_same(x: Any, size: tuple[int, int], strides: tuple[int, int], value: float) -> Any:
    """Put so much around that there are ``ceil(length / stride)`` windows, the odd one behind.

    Examples
    --------
    >>> pad_same(np.ones((1, 4, 4, 1)), (3, 2), (2, 1), 0)[0, :, :, 0]
    array([[1., 1., 1., 1., 0.],
           [1., 1., 1., 1., 0.],
           [1., 1., 1., 1., 0.],
           [1., 1., 1., 1., 0.],
           [0., 0., 0., 0., 0.]])
    """
    widths = []
    for axis in (0, 1):
        length = int(x.shape[axis + 1])
        count = -(-length // strides[axis])
        total = max((count - 1) * strides[axis] + size[axis] - length, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=value)


def strip(x: Any, offset: tuple[int, ...], count: tuple[int, int], strides: tuple[int, int]) -> Any:
    """Give what all windows have at one place in them."""
    ends = [o + s * (n - 1) + 1 for o, n, s in zip(offset, count, strides, strict=True)]
    return x[:, offset[0] : ends[0] : strides[0], offset[1] : ends[1] : strides[1], :]
