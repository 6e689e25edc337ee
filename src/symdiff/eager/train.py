"""Optimizers: each is one formula, element by element, and a state for each variable.

Examples
--------
>>> import symdiff.eager as tfe
>>> v = tfe.Variable(2.0)
>>> step = tfe.implicit_gradients(lambda: v * v)
>>> tfe.train.GradientDescentOptimizer(0.25).apply_gradients(step())
>>> float(v)
1.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from symdiff.eager.devices import CPU, move
from symdiff.eager.gradients import implicit_value_and_gradients
from symdiff.eager.places import Cpu
from symdiff.eager.saving import Checkpoint, Saver
from symdiff.eager.tensor import Tensor, as_tensor, wrap
from symdiff.eager.variables import Variable
from symdiff.errors import DTypeError, ShapeError, at_user_line

__all__ = [
    "AdagradOptimizer",
    "AdamOptimizer",
    "Checkpoint",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "RMSPropOptimizer",
    "Saver",
    "moved_slot",
]


class Optimizer:
    """What all have: pairs of gradients and variables, and state by the variable's identity.

    Subclasses give the state to begin with in `start` and the formula in `update`, which depends on
    what it is given and on attributes only: `compile_step` traces it.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._slots: dict[int, list[Any]] = {}

    def start(self, value: Any) -> list[Any]:
        """Make a variable's state."""
        del value
        return []

    def update(self, value: Any, gradient: Any, slots: list[Any]) -> Any:
        """Give a variable's next value, and put its next state into `slots`."""
        raise NotImplementedError

    def slots(self, variable: Variable) -> list[Any]:
        """Give a variable's state: arrays where it lies, and the number of steps for Adam."""
        if not self.has_slots:
            return []
        found = self._slots.get(variable.number)
        if found is None:
            tensor = variable.tensor
            found = self._slots[variable.number] = tensor.place.run(self.start, tensor.data)
        return found

    def constants(self) -> tuple[Any, ...]:
        """Give what a kernel of `update` depends on, besides the learning rate."""
        found = [v for k, v in vars(self).items() if k not in ("learning_rate", "_slots")]
        return (type(self), *found)

    def apply_gradients(self, pairs: Iterable[tuple[Any, Variable]]) -> None:
        """Update variables, all or none; pairs without a gradient are left out.

        Parameters
        ----------
        pairs : iterable of (gradient, variable)

        Raises
        ------
        ValueError
            There is no pair, none has a gradient, or a shape is another.
        TypeError
            A dtype is another.
        """
        ready = [(v, _checked(g, v)) for g, v in pairs if g is not None]
        if not ready:
            raise ValueError(at_user_line("apply_gradients was given no gradient"))
        for variable, gradient in ready:
            tensor = variable.tensor
            place = tensor.place
            update = self.update if place is CPU else partial(place.run, self.update)
            variable.put(wrap(update(tensor.data, gradient, self.slots(variable)), place))

    has_slots = True

    def minimize(self, loss: Callable[[], Any]) -> Any:
        """Take one step down a function of variables, and give its value before that.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> v = tfe.Variable(2.0)
        >>> float(tfe.train.GradientDescentOptimizer(0.25).minimize(lambda: v * v)), float(v)
        (4.0, 1.0)
        """
        value, pairs = implicit_value_and_gradients(loss)()
        self.apply_gradients(pairs)
        return value

    def saved_slots(self, variable: Variable) -> list[Any] | None:
        """Give a variable's state to a `Checkpoint`, on the host, if there is any yet."""
        found = self._slots.get(variable.number)
        return found and [moved_slot(x, variable.place, CPU) for x in found]

    def restore_slots(self, variable: Variable, slots: list[Any] | None) -> None:
        """Take a variable's state from a `Checkpoint`."""
        if slots is None:
            self._slots.pop(variable.number, None)
        else:
            self._slots[variable.number] = [moved_slot(x, CPU, variable.place) for x in slots]


def moved_slot(slot: Any, source: Cpu, target: Cpu) -> Any:
    """Copy what a slot holds; a number of steps lies nowhere."""
    return slot if type(slot) is int else move(slot, source, target, is_asked=True)


def _checked(gradient: Any, variable: Variable) -> Any:
    """Give the array of a gradient that fits a variable, where that lies."""
    given = gradient if type(gradient) is Tensor else as_tensor(gradient)
    value = variable.tensor
    g = given.data
    if given.place is not value.place:
        g = move(g, given.place, value.place, is_asked=True)
    value = value.data
    if g.shape != value.shape:
        raise ShapeError(
            at_user_line(f"a gradient of shape {g.shape} for a variable of {variable.shape}")
        )
    if g.dtype != value.dtype:
        raise DTypeError(
            at_user_line(f"a gradient of dtype {g.dtype} for a variable of {variable.dtype}")
        )
    return g


class GradientDescentOptimizer(Optimizer):
    """``v -= lr * g``."""

    has_slots = False

    def update(self, value: Any, gradient: Any, slots: list[Any]) -> Any:
        """Give the next value."""
        del slots
        return value - gradient * self.learning_rate


class MomentumOptimizer(Optimizer):
    """``a = mu * a + g; v -= lr * a``; Nesterov's ``v -= lr * (g + mu * a)``."""

    def __init__(
        self, learning_rate: float, momentum: float = 0.9, use_nesterov: bool = False
    ) -> None:
        super().__init__(learning_rate)
        self.momentum = momentum
        self.use_nesterov = use_nesterov

    def start(self, value: Any) -> list[Any]:
        """Begin without momentum."""
        return [np.zeros_like(value)]

    def update(self, value: Any, gradient: Any, slots: list[Any]) -> Any:
        """Give the next value."""
        slots[0] = a = slots[0] * self.momentum + gradient
        direction = gradient + a * self.momentum if self.use_nesterov else a
        return value - direction * self.learning_rate


class AdagradOptimizer(Optimizer):
    """``a += g * g; v -= lr * g / sqrt(a)``."""

    def __init__(self, learning_rate: float, initial_accumulator_value: float = 0.1) -> None:
        super().__init__(learning_rate)
        self.initial_accumulator_value = initial_accumulator_value

    def start(self, value: Any) -> list[Any]:
        """Begin with the accumulator's first value."""
        return [np.full_like(value, self.initial_accumulator_value)]

    def update(self, value: Any, gradient: Any, slots: list[Any]) -> Any:
        """Give the next value."""
        slots[0] = a = slots[0] + gradient * gradient
        return value - gradient * self.learning_rate / np.sqrt(a)


class RMSPropOptimizer(Optimizer):
    """``s = rho*s + (1-rho)*g*g; m = mu*m + lr*g/sqrt(s + eps); v -= m``."""

    def __init__(
        self,
        learning_rate: float,
        decay: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-10,
    ) -> None:
        super().__init__(learning_rate)
        self.decay, self.momentum, self.epsilon = decay, momentum, epsilon

    def start(self, value: Any) -> list[Any]:
        """Begin with mean squares of one, and without momentum."""
        return [np.ones_like(value), np.zeros_like(value)]

    def update(self, value: Any, gradient: Any, slots: list[Any]) -> Any:
        """Give the next value."""
        s, m = slots
        slots[0] = s = s * self.decay + gradient * gradient * (1 - self.decay)
        step = gradient * self.learning_rate / np.sqrt(s + self.epsilon)
        slots[1] = m = m * self.momentum + step
        return value - m


class AdamOptimizer(Optimizer):
    """Moments ``m, s``; ``v -= lr * sqrt(1 - b2**t) / (1 - b1**t) * m / (sqrt(s) + eps)``.

    References
    ----------
    Kingma, Ba, *Adam: a method for stochastic optimization*, ICLR 2015, end of section 2.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def start(self, value: Any) -> list[Any]:
        """Begin with moments of zero, before the first step."""
        return [np.zeros_like(value), np.zeros_like(value), 0]

    def update(self, value: Any, gradient: Any, slots: list[Any]) -> Any:
        """Give the next value."""
        m, s, t = slots
        m = m * self.beta1 + gradient * (1 - self.beta1)
        s = s * self.beta2 + gradient * gradient * (1 - self.beta2)
        slots[:] = m, s, t + 1
        rate = self.learning_rate * (1 - self.beta2 ** (t + 1)) ** 0.5 / (1 - self.beta1 ** (t + 1))
        return value - m * rate / (np.sqrt(s) + self.epsilon)
