"""`Layer`: what layers and models have in common, users' own included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from symdiff.eager import elementwise, reductions
from symdiff.eager.layers.initializers import Initializer, find_initializer
from symdiff.eager.tensor import Tensor, as_tensor, shape_now
from symdiff.eager.variables import Variable
from symdiff.errors import at_user_line

__all__ = ["Activation", "Layer", "Model", "find_activation"]

Activation = Callable[[Any], Any] | str | None


class Layer:
    """A function with variables; subclasses make those in `build`, and compute in `call`.

    Variables, layers, and lists and dicts of them count when they are attributes. A class that
    only puts layers together needs no `build`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> class Scale(tfe.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_variable("factor", input_shape[-1:], initializer="ones")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> class Net(tfe.Model):
    ...     def __init__(self):
    ...         self.scales = [Scale(), Scale()]
    ...     def call(self, x):
    ...         for scale in self.scales:
    ...             x = scale(x)
    ...         return x
    >>> net = Net()
    >>> net(tfe.ones([2, 3])).shape, [v.name for v in net.variables]
    ((2, 3), ['factor', 'factor'])
    """

    trainable = True
    is_built = False
    dtype: Any = np.dtype("float32")
    """That of the inputs of the first call."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the variables, once, for inputs of a shape."""

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute."""
        raise NotImplementedError(f"{type(self).__name__} needs a method call(self, inputs)")

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the layer; the first call builds it."""
        if not self.is_built:
            if type(self).build is not Layer.build:
                x = as_tensor(inputs)
                self.dtype = x.dtype
                self.build(shape_now(x))
            self.is_built = True
        return self.call(inputs, *args, **kwargs)

    def add_variable(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any = None,
        initializer: str | Initializer = "glorot_uniform",
        trainable: bool = True,
    ) -> Variable:
        """Make a variable, which counts once it is an attribute.

        Parameters
        ----------
        name : str
        shape : sequence of int
        dtype : dtype, optional
            By default that of the inputs of the first call.
        initializer : callable or str
            Takes a shape and a dtype.
        trainable : bool
        """
        start = find_initializer(initializer)
        kind = self.dtype if dtype is None else dtype
        sizes = tuple(shape)
        return Variable(lambda: start(sizes, kind), self.trainable and trainable, name, kind)

    @property
    def variables(self) -> list[Variable]:
        """The variables of this layer and of those in it, once each, in order of attributes."""
        found: dict[int, Variable] = {}
        for v in _variables(list(vars(self).values()), {id(self)}):
            found.setdefault(id(v), v)
        return list(found.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of them that are trained."""
        return [v for v in self.variables if v.trainable]


class Model(Layer):
    """Layers put together: what a user's model is made from.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> class Net(tfe.Model):
    ...     def __init__(self):
    ...         self.hidden, self.out = tfe.layers.Dense(8, "tanh"), tfe.layers.Dense(1)
    ...     def call(self, x):
    ...         return self.out(self.hidden(x))
    >>> net = Net()
    >>> net(tfe.ones([4, 3])).shape, len(net.trainable_variables)
    ((4, 1), 4)
    """


def _variables(value: Any, seen: set[int]) -> Iterator[Variable]:
    if isinstance(value, Variable):
        yield value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Layer):
        parts: Any = vars(value).values()
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    else:  # another object that says what it has
        parts = list(getattr(value, "variables", ()))
    for part in parts:
        yield from _variables(part, seen)


def find_activation(given: Activation) -> Callable[[Any], Any]:
    """Give a function by its name, or the function itself; None is the identity."""
    if given is None:
        return _same
    if callable(given):
        return given
    if given not in _NAMED:
        raise ValueError(
            at_user_line(f"there is no activation {given!r}; there are {', '.join(_NAMED)}")
        )
    return _NAMED[given]


def _same(x: Any) -> Any:
    return x


_NAMED: dict[str, Callable[[Any], Tensor]] = {
    "elu": elementwise.elu,
    "linear": _same,
    "relu": elementwise.relu,
    "sigmoid": elementwise.sigmoid,
    "softmax": reductions.softmax,
    "softplus": elementwise.softplus,
    "tanh": elementwise.tanh,
}
