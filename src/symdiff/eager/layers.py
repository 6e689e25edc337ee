"""Layers: functions that keep their variables, which they make when they are first called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.eager.operations import matmul
from symdiff.eager.random_numbers import random_uniform
from symdiff.eager.selection import where
from symdiff.eager.shapes import reshape
from symdiff.eager.tensor import Tensor, as_tensor, shape_now
from symdiff.eager.variables import Variable
from symdiff.errors import ShapeError, at_user_line

__all__ = ["Dense", "Dropout", "Flatten", "Sequential", "glorot_uniform", "zeros"]

Initializer = Callable[..., Any]


def glorot_uniform(shape: Sequence[int], dtype: Any = "float32") -> Tensor:
    """Draw uniformly from ``+-sqrt(6 / (in + out))``.

    References
    ----------
    Glorot, Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
    AISTATS 2010, equation 16.
    """
    limit = float(np.sqrt(6 / (shape[0] + shape[-1])))
    return random_uniform(shape, -limit, limit, dtype)


def zeros(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Begin with zeros."""
    return np.zeros(shape, dtype)


class Dense:
    """``activation(x @ kernel + bias)`` along the last axis.

    Parameters
    ----------
    units : int
    activation : callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : callable, optional
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
        activation: Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: Initializer | None = None,
        bias_initializer: Initializer = zeros,
        trainable: bool = True,
    ) -> None:
        self.units = int(units)
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer or glorot_uniform
        self.bias_initializer = bias_initializer
        self.trainable = trainable
        self.kernel: Variable | None = None
        self.bias: Variable | None = None

    @property
    def variables(self) -> list[Variable]:
        """Kernel and bias, once there are any."""
        return [v for v in (self.kernel, self.bias) if v is not None]

    def _build(self, width: int, dtype: Any) -> Variable:
        shape = (width, self.units)
        made = lambda: self.kernel_initializer(shape, dtype)  # noqa: E731 - outside of a trace
        self.kernel = Variable(made, self.trainable, "kernel", dtype)
        if self.use_bias:
            made = lambda: self.bias_initializer(shape[1:], dtype)  # noqa: E731
            self.bias = Variable(made, self.trainable, "bias", dtype)
        return self.kernel

    def __call__(self, inputs: Any) -> Tensor:
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
        return y if self.activation is None else self.activation(y)


class Dropout:
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

    variables: tuple[Variable, ...] = ()

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ValueError(at_user_line(f"rate {rate} is not in [0, 1)"))
        self.rate = rate

    def __call__(self, inputs: Any, training: bool = False) -> Tensor:
        """Apply the layer."""
        x = as_tensor(inputs)
        if not training or not self.rate:
            return x
        kept = random_uniform(x.shape, dtype=x.dtype) >= self.rate
        return where(kept, x * (1 / (1 - self.rate)), 0.0)


class Flatten:
    """Make one axis of all but the first.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.layers.Flatten()(tfe.ones([2, 3, 4])).shape
    (2, 12)
    """

    variables: tuple[Variable, ...] = ()

    def __call__(self, inputs: Any) -> Tensor:
        """Apply the layer."""
        x = as_tensor(inputs)
        return reshape(x, (-1, int(np.prod(shape_now(x)[1:]))))


class Sequential:
    """Layers one behind the other.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> model = tfe.layers.Sequential([tfe.layers.Dense(4, tfe.relu), tfe.layers.Dense(1)])
    >>> model(tfe.ones([2, 3])).shape, len(model.variables)
    ((2, 1), 4)
    """

    def __init__(self, layers: Sequence[Callable[[Any], Any]] = ()) -> None:
        self.layers = list(layers)

    @property
    def variables(self) -> list[Variable]:
        """The variables of all layers, in order."""
        return [v for layer in self.layers for v in getattr(layer, "variables", ())]

    def __call__(self, inputs: Any) -> Any:
        """Apply all layers."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs
