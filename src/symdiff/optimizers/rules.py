"""Update rules, each a few lines that are traced like the user's own.

A rule has ``init(parameter) -> state`` and ``update(gradient, state, parameter, step) ->
(parameter, state)``. A parameter is one array, the state a tree, the step counts from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.optimizers.schedules import Schedule, require_positive

__all__ = ["Adagrad", "Adam", "AdamW", "GradientDescent", "Lion", "Momentum", "RMSProp"]

Rate = float | Schedule


def value_at(rate: Rate, step: Any, parameter: Any) -> Any:
    """Give a rate at a step, in the precision of a parameter."""
    value = rate(step) if callable(rate) else rate
    return in_precision_of(parameter, value)


def in_precision_of(parameter: Any, value: Any) -> Any:
    """Let a number not widen what it meets; Python's numbers never do."""
    return value.astype(parameter.dtype) if hasattr(value, "astype") else value


def _check_rate(rate: Rate) -> None:
    if not callable(rate):
        require_positive(rate, "learning_rate")


def _check_fraction(value: float, name: str) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 0 and less than 1")


@dataclass(frozen=True)
class GradientDescent:
    """``p - rate*g``.

    Parameters
    ----------
    learning_rate : float or schedule

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.GradientDescent(0.1)
    >>> rule.update(np.array([1.0]), rule.init(np.ones(1)), np.ones(1), 0)[0]
    array([0.9])
    """

    learning_rate: Rate

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)

    def init(self, parameter: Any) -> Any:  # noqa: ARG002 - there is no state
        """Give the state at the start."""
        return ()

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        return parameter - value_at(self.learning_rate, step, parameter) * gradient, state


@dataclass(frozen=True)
class Momentum:
    """The velocity ``v = momentum*v + g`` moves the parameter, ``p - rate*v``.

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float
    nesterov : bool
        Move by ``g + momentum*v`` instead, the velocity at the point to which it leads.

    References
    ----------
    Polyak, USSR Comput. Math. Math. Phys. 4 (1964) 1; Sutskever, Martens, Dahl, Hinton, *On the
    importance of initialization and momentum in deep learning*, ICML 2013, with the rate taken out
    of the velocity.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.Momentum(0.1, 0.9)
    >>> p, v = rule.update(np.array([1.0]), np.array([1.0]), np.ones(1), 1)
    >>> p, v
    (array([0.81]), array([1.9]))
    """

    learning_rate: Rate
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        _check_fraction(self.momentum, "momentum")

    def init(self, parameter: Any) -> Any:
        """Give the state at the start: no velocity."""
        return np.zeros_like(parameter)

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        velocity = self.momentum * state + gradient
        move = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - value_at(self.learning_rate, step, parameter) * move, velocity


@dataclass(frozen=True)
class Adagrad:
    """``p - rate*g/(sqrt(s) + epsilon)`` with the sum of squares ``s = s + g*g``.

    Parameters
    ----------
    learning_rate : float or schedule
    epsilon : float
    initial : float
        Where the sum starts.

    References
    ----------
    Duchi, Hazan, Singer, *Adaptive Subgradient Methods*, JMLR 12 (2011) 2121, figure 1, with
    diagonal matrices.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.Adagrad(0.1)
    >>> rule.update(np.array([3.0]), rule.init(np.ones(1)), np.ones(1), 0)
    (array([0.9]), array([9.]))
    """

    learning_rate: Rate
    epsilon: float = 1e-10
    initial: float = 0.0

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        require_positive(self.epsilon, "epsilon")

    def init(self, parameter: Any) -> Any:
        """Give the state at the start."""
        return np.full_like(parameter, self.initial)

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        total = state + gradient * gradient
        rate = value_at(self.learning_rate, step, parameter)
        return parameter - rate * gradient / (np.sqrt(total) + self.epsilon), total


@dataclass(frozen=True)
class RMSProp:
    """``p - rate*g/(sqrt(s) + epsilon)`` with the moving mean ``s = decay*s + (1 - decay)*g*g``.

    Parameters
    ----------
    learning_rate : float or schedule
    decay : float
    epsilon : float

    References
    ----------
    Tieleman, Hinton, *Neural Networks for Machine Learning*, lecture 6.5, Coursera 2012. The mean
    starts at zero.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.RMSProp(0.1)
    >>> p, s = rule.update(np.array([3.0]), rule.init(np.ones(1)), np.ones(1), 0)
    >>> p.round(4), s.round(4)
    (array([0.6838]), array([0.9]))
    """

    learning_rate: Rate
    decay: float = 0.9
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        _check_fraction(self.decay, "decay")
        require_positive(self.epsilon, "epsilon")

    def init(self, parameter: Any) -> Any:
        """Give the state at the start."""
        return np.zeros_like(parameter)

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        mean = self.decay * state + (1 - self.decay) * gradient * gradient
        rate = value_at(self.learning_rate, step, parameter)
        return parameter - rate * gradient / (np.sqrt(mean) + self.epsilon), mean


@dataclass(frozen=True)
class Adam:
    """Moving means of the gradient and of its square, both corrected for their start at zero.

    Parameters
    ----------
    learning_rate : float or schedule
    beta1, beta2 : float
        How much of each mean stays at a step.
    epsilon : float

    References
    ----------
    Kingma, Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.Adam(0.1)
    >>> p, (m, v) = rule.update(np.array([3.0]), rule.init(np.ones(1)), np.ones(1), 0)
    >>> p.round(6), m.round(6), v.round(6)
    (array([0.9]), array([0.3]), array([0.009]))
    """

    learning_rate: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        _check_fraction(self.beta1, "beta1")
        _check_fraction(self.beta2, "beta2")
        require_positive(self.epsilon, "epsilon")

    def init(self, parameter: Any) -> Any:
        """Give the state at the start: both means."""
        return np.zeros_like(parameter), np.zeros_like(parameter)

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        m, v = state
        m = self.beta1 * m + (1 - self.beta1) * gradient
        v = self.beta2 * v + (1 - self.beta2) * gradient * gradient
        # The corrections are numbers: they are put together in double precision, once a step.
        rate = value_at(self.learning_rate, step, parameter)
        scale = in_precision_of(parameter, rate / (1 - self.beta1 ** (step + 1)))
        spread = in_precision_of(parameter, 1 / np.sqrt(1 - self.beta2 ** (step + 1)))
        return parameter - scale * m / (np.sqrt(v) * spread + self.epsilon), (m, v)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, and parameters that decay beside it: ``p - rate*weight_decay*p - (Adam's step)``.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon
        As for `Adam`.
    weight_decay : float

    References
    ----------
    Loshchilov, Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019, algorithm 2, with the
    decay scaled by the learning rate.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.AdamW(0.1, weight_decay=0.5)
    >>> p, _ = rule.update(np.array([3.0]), rule.init(np.ones(1)), np.ones(1), 0)
    >>> p.round(6)
    array([0.85])
    """

    weight_decay: float = 1e-2

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        rate = value_at(self.learning_rate, step, parameter)
        kept = parameter * (1 - rate * self.weight_decay)
        return Adam.update(self, gradient, state, kept, step)


@dataclass(frozen=True)
class Lion:
    """Steps of one length, along the sign of an interpolated momentum.

    Parameters
    ----------
    learning_rate : float or schedule
    beta1, beta2 : float
        How much of the momentum counts for the sign, and how much of it stays.
    weight_decay : float
        Scaled by the learning rate.

    References
    ----------
    Chen et al., *Symbolic Discovery of Optimization Algorithms*, NeurIPS 2023, algorithm 2.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> rule = sd.optim.Lion(0.1)
    >>> rule.update(np.array([3.0, -2.0]), rule.init(np.ones(2)), np.ones(2), 0)[0]
    array([0.9, 1.1])
    """

    learning_rate: Rate = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        _check_fraction(self.beta1, "beta1")
        _check_fraction(self.beta2, "beta2")

    def init(self, parameter: Any) -> Any:
        """Give the state at the start: no momentum."""
        return np.zeros_like(parameter)

    def update(self, gradient: Any, state: Any, parameter: Any, step: Any) -> tuple[Any, Any]:
        """Make one step."""
        rate = value_at(self.learning_rate, step, parameter)
        direction = np.sign(self.beta1 * state + (1 - self.beta1) * gradient)
        kept = parameter * (1 - rate * self.weight_decay)
        return kept - rate * direction, self.beta2 * state + (1 - self.beta2) * gradient
