"""Steps of training as one traced function: batch, gradient, update, in a loop of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.order import permuted, round_keys
from symdiff.optimizers.updates import update
from symdiff.runtime.function import Function
from symdiff.runtime.transforms import jit, value_and_grad
from symdiff.tracing.structured import fori_loop
from symdiff.tracing.tracer import as_number

__all__ = ["MAX_STEPS", "Order", "compiled_steps", "positions_of", "samples_at"]

MAX_STEPS = 4096
"""How many steps one call of a kernel can make: so many losses it has room for."""


class Order(NamedTuple):
    """What the order of the samples depends on; numbers, so that one kernel serves all."""

    seed: np.ndarray
    """Shape (2,), uint32."""
    n: np.uint32
    """How many samples there are."""
    per_epoch: np.int64
    """How many steps make an epoch."""


def compiled_steps(
    loss: Callable[..., Any],
    optimizer: Any,
    batch_size: int,
    shuffle: bool,
    target: str = "auto",
) -> Function:
    """Give the kernel of some steps, the same one for the same functions.

    Returns
    -------
    Function
        ``(params, state, data, order, first, count, losses) -> (params, state, losses)``: makes
        steps number ``first`` to ``first + count - 1``, and writes the losses, each of its batch
        before the update, to the front of ``losses``.
    """
    try:
        return _remembered(target, loss, optimizer, batch_size, shuffle)
    except TypeError:  # one of them cannot be hashed
        return _compiled(target, loss, optimizer, batch_size, shuffle)


def traced_steps(
    loss: Callable[..., Any], optimizer: Any, batch_size: int, shuffle: bool
) -> Callable[..., Any]:
    """Make the function that is traced."""
    value_and_gradient = value_and_grad(loss)

    def train_steps(
        params: Any, state: Any, data: Any, order: Any, first: Any, count: Any, losses: Any
    ) -> Any:
        def one(k: Any, carried: Any) -> Any:
            params, state, losses = carried
            step = first + k
            samples = batch_of(step, order, batch_size, shuffle)
            value, gradient = value_and_gradient(params, *[a[samples] for a in data])
            params, state = update(optimizer, gradient, state, params, as_number(step))
            losses[k] = value
            return params, state, losses

        return fori_loop(0, count, one, (params, state, losses + 0.0))

    return train_steps


def _compiled(target: str, *args: Any) -> Function:
    return jit(traced_steps(*args), target=target)


_remembered = lru_cache(maxsize=32)(_compiled)


def batch_of(step: Any, order: Any, batch_size: int, shuffle: bool) -> Any:
    """Give the samples of a step.

    All batches have one size; the last of an epoch is filled up from that epoch's beginning.
    """
    position = positions_of(step, order, batch_size, batch_size)
    position = np.where(position >= order.n, position - order.n, position)
    return samples_at(position, step, order, shuffle)


def positions_of(step: Any, order: Order, batch_size: int, count: int) -> Any:
    """Give the first so many positions of a step's batch."""
    begin = (step % order.per_epoch * batch_size).astype(np.uint32)
    return begin + np.arange(count, dtype=np.uint32)


def samples_at(position: Any, step: Any, order: Order, shuffle: bool) -> Any:
    """Give the samples that stand at some positions in the epoch of a step."""
    if shuffle:
        epoch = (step // order.per_epoch).astype(np.uint32)
        position = permuted(position, order.n, *round_keys(order.seed, epoch, order.n))
    return position.astype(np.int64)
