"""Layers of products, of rows of tables, and those without variables; and layers in a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.eager.layers.base import Activation, Layer, find_activation
from symdiff.eager.layers.initializers import Initializer, find_initializer
from symdiff.eager.operations import matmul
from symdiff.eager.random_numbers import random_uniform
from symdiff.eager.selection import places_from_front, where
from symdiff.eager.shapes import reshape
from symdiff.eager.tensor import Tensor, as_tensor, perform, shape_now
from symdiff.eager.variables import Variable
from symdiff.errors import DTypeError, ShapeError, at_user_line

__all__ = ["Dense", "Dropout", "Embedding", "Flatten", "Sequential"]


class Dense(Layer):
    """``activation(x @ kernel + bias)`` along the last axis.

    Parameters
    ----------
    units : int
    activation : callable or str, optional
    use_bias : bool
    kernel_initializer, bias_initializer : callable or str, optional
        Take a shape and a dtype.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> layer = tfe.layers.Dense(2)
    >>> layer(tfe.ones([5, 3])).shape, [v.shape for v in layer.variables]
    ((5, 2), [(3, 2), (2,)])
    """

    def __init__(
        self,
        units: int,
        activation: Activation = None,
        use_bias: bool = True,
        kernel_initializer: Initializer | str | None = None,
        bias_initializer: Initializer | str = "zeros",
        trainable: bool = True,
    ) -> None:
        self.units = int(units)
        self.activation = find_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = find_initializer(kernel_initializer or "glorot_uniform")
        self.bias_initializer = find_initializer(bias_initializer)
        self.trainable = trainable
        self.kernel: Variable | None = None
        self.bias: Variable | None = None

    def _build(self, width: int, dtype: Any) -> Variable:
        shape = (width, self.units)
        self.kernel = self.add_variable("kernel", shape, dtype, self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_variable("bias", shape[1:], dtype, self.bias_initializer)
        return self.kernel

    def call(self, inputs: Any) -> Tensor:
        """Apply the layer.

        Raises
        ------
        ValueError
            The last axis is missing, or of another length than at the first call.
        """
        x = as_tensor(inputs)
        if not x.ndim:
            raise ShapeError(at_user_line("Dense takes a tensor with at least one axis"))
        width = int(shape_now(x)[-1])
        kernel = self._build(width, x.dtype) if self.kernel is None else self.kernel
        if width != kernel.shape[0]:
            raise ShapeError(
                at_user_line(
                    f"Dense was made for a last axis of length {kernel.shape[0]}, not {width}"
                )
            )
        y = matmul(x, kernel)
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y)


class Embedding(Layer):
    """The rows of a table that numbers stand for.

    Parameters
    ----------
    input_dim, output_dim : int
        How many rows there are, and how long they are.
    embeddings_initializer : callable or str
    dtype : dtype

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> layer = tfe.layers.Embedding(10, 4)
    >>> layer([[1, 2, 1]]).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Initializer | str = "random_uniform",
        trainable: bool = True,
        dtype: Any = "float32",
    ) -> None:
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = find_initializer(embeddings_initializer)
        self.trainable = trainable
        self.dtype = np.dtype(dtype)
        self.embeddings: Variable | None = None

    def call(self, inputs: Any) -> Tensor:
        """Look rows up.

        Raises
        ------
        IndexError
            There is no such row.
        TypeError
            The inputs are no integers.
        """
        places = as_tensor(inputs)
        if places.dtype.kind not in "iu":
            raise DTypeError(at_user_line(f"Embedding takes integers, not {places.dtype}"))
        if self.embeddings is None:
            shape = (self.input_dim, self.output_dim)
            self.embeddings = self.add_variable(
                "embeddings", shape, self.dtype, self.embeddings_initializer
            )
        return perform(_rows, self.embeddings.value(), places)


def _rows(table: Any, places: Any) -> Any:
    return np.take(table, places_from_front(places, table.shape[0]), axis=0)


class Dropout(Layer):
    """While training, leave out elements at random, and scale the others up.

    Parameters
    ----------
    rate : float
        Which part of the elements is left out.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> layer = tfe.layers.Dropout(0.5)
    >>> layer(tfe.ones(2)).numpy(), sorted(set(layer(tfe.ones(99), training=True).numpy().tolist()))
    (array([1., 1.], dtype=float32), [0.0, 2.0])
    """

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ValueError(at_user_line(f"rate {rate} is not in [0, 1)"))
        self.rate = rate

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Apply the layer."""
        x = as_tensor(inputs)
        if not training or not self.rate:
            return x
        kept = random_uniform(x.shape, dtype=x.dtype) >= self.rate
        return where(kept, x * (1 / (1 - self.rate)), 0.0)


class Flatten(Layer):
    """Make one axis of all but the first.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.Flatten()(tfe.ones([2, 3, 4])).shape
    (2, 12)
    """

    def call(self, inputs: Any) -> Tensor:
        """Apply the layer."""
        x = as_tensor(inputs)
        return reshape(x, (-1, math.prod(shape_now(x)[1:])))


class Sequential(Layer):
    """Layers one behind the other.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> model = tfe.layers.Sequential([tfe.layers.Dense(4, "relu"), tfe.layers.Dense(1)])
    >>> model(tfe.ones([2, 3])).shape, len(model.variables)
    ((2, 1), 4)
    """

    def __init__(self, layers: Sequence[Callable[[Any], Any]] = ()) -> None:
        self.layers = list(layers)

    def add(self, layer: Callable[[Any], Any]) -> None:
        """Put a layer behind the others."""
        self.layers.append(layer)

    def call(self, inputs: Any) -> Any:
        """Apply all layers."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs
