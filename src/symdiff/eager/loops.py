"""The loop of a training: steps of a function of variables, and of an optimizer, as one kernel.

The gradients are those of a path through the function (see `differentiated`), put into the loop;
the update is the optimizer's own formula, given traced arrays. The loop ends before its time where
a step answers a question about a value otherwise than its path, or where a loss is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from symdiff.eager.paths import Path
from symdiff.optimizers.steps import Order, positions_of, samples_at
from symdiff.tracing.structured import cond, while_loop
from symdiff.tracing.tracer import as_number

__all__ = ["Feed", "Loop", "traced_loop", "traced_step"]


class Feed(NamedTuple):
    """How a step is fed: by rows of the data, or by all of them at each step (`size` is None).

    The last `n_sliced` of the arrays have rows. The last batch of an epoch has `rest` of them,
    unless that is zero.
    """

    size: int | None = None
    rest: int = 0
    shuffle: bool = False
    n_sliced: int = 0

    def batch(self, data: Sequence[Any], step: Any, order: Order, count: int | None) -> list[Any]:
        """Give what the function takes at a step."""
        if count is None:
            return list(data)
        assert self.size is not None
        position = positions_of(step, order, self.size, count)
        samples = samples_at(position, step, order, self.shuffle)
        whole = len(data) - self.n_sliced
        return [*data[:whole], *[a[samples] for a in data[whole:]]]

    def batch_now(self, data: Sequence[Any], step: int, order: Order) -> list[Any]:
        """Give what the function takes at a step, outside of the loop."""
        per_epoch = int(order.per_epoch)
        is_last = step % per_epoch == per_epoch - 1
        count = self.rest if is_last and self.rest else self.size
        return self.batch(data, np.int64(step), order, count)


class Loop(NamedTuple):
    """What is put into a kernel: the path of a batch, and of the short one at an epoch's end."""

    path: Path
    short: Path | None
    feed: Feed

    @property
    def variables(self) -> list[Any]:
        """The variables that are read."""
        return list(dict.fromkeys([v for p in (self.path, self.short) if p for v in p.variables]))

    @property
    def trained(self) -> list[Any]:
        """Those of them that change."""
        return list(dict.fromkeys([v for p in (self.path, self.short) if p for v in trained_by(p)]))


def trained_by(path: Path) -> list[Any]:
    """Name the variables that a path has gradients of."""
    return [v for v, c in zip(path.sources, path.connected, strict=True) if c]


class State(NamedTuple):
    """What a step changes: ``slots`` has a tuple for each variable that is trained."""

    values: tuple[Any, ...]
    slots: tuple[tuple[Any, ...], ...]


class _Carried(NamedTuple):
    """What the loop carries."""

    done: Any
    state: State
    losses: Any
    is_taken: Any
    is_finite: Any


def traced_loop(loop: Loop, optimizer: Any) -> Callable[..., Any]:
    """Make the function that is traced.

    Its arguments are arrays, one beside the other: a call takes those in a fraction of the time
    that trees take.

    Returns
    -------
    callable
        ``(first, count, rate, room, *order, *values, *slots, *data) -> (done, *values, *slots,
        losses, is_taken, is_finite)``: makes steps number ``first`` to ``first + count - 1``. The
        last of those done is wrong if it took another path, or is not finite.
    """
    feed = loop.feed
    widths = slot_counts(loop, optimizer)

    def steps(first: Any, count: Any, rate: Any, room: Any, *arrays: Any) -> Any:
        order, rest = Order(*arrays[:3]), arrays[3:]
        state, data = _taken_apart(rest, len(loop.variables), widths)
        rule = _rule(optimizer, rate)

        def one(path: Path, n_rows: int | None, carried: Any) -> _Carried:
            k, before, losses, *_ = carried
            batch = feed.batch(data, first + k, order, n_rows)
            loss, made, is_taken = _step(loop, path, rule, before, batch)
            losses[k] = loss
            return _Carried(k + 1, made, losses, is_taken, np.isfinite(loss))

        def go(carried: Any) -> Any:
            c = _Carried(*carried)
            return (c.done < count) & c.is_taken & c.is_finite

        def body(entries: Any) -> _Carried:
            carried = _Carried(*entries)  # a loop's state arrives as a plain tuple
            if loop.short is None:
                return one(loop.path, feed.size, carried)
            short = loop.short
            is_last = (first + carried.done) % order.per_epoch == order.per_epoch - 1
            return cond(
                is_last,
                lambda c: one(short, feed.rest, c),
                lambda c: one(loop.path, feed.size, c),
                carried,
            )

        start = _Carried(0, state, room + 0.0, np.True_, np.True_)
        end = _Carried(*while_loop(go, body, start))
        return end.done, *_flat(end.state), *end[2:]

    return steps


def traced_step(path: Path, optimizer: Any) -> Callable[..., Any]:
    """Make the function of one step that is traced.

    Returns
    -------
    callable
        ``(rate, *values, *slots, *data) -> (loss, *values, *slots, is_good)``
    """
    loop = Loop(path, None, Feed())
    widths = slot_counts(loop, optimizer)

    def step(rate: Any, *arrays: Any) -> Any:
        state, data = _taken_apart(arrays, len(loop.variables), widths)
        loss, made, is_taken = _step(loop, path, _rule(optimizer, rate), state, data)
        return loss, *_flat(made), is_taken & np.isfinite(loss)

    return step


def slot_counts(loop: Loop, optimizer: Any) -> list[int]:
    """Say how many slots each variable that is trained has."""
    return [len(optimizer.slots(v)) for v in loop.trained]


def _taken_apart(
    arrays: Sequence[Any], n_values: int, widths: Sequence[int]
) -> tuple[State, Sequence[Any]]:
    rest = iter(arrays[n_values:])
    slots = tuple([tuple([next(rest) for _ in range(n)]) for n in widths])
    return State(tuple(arrays[:n_values]), slots), list(rest)


def _flat(state: State) -> list[Any]:
    return [*state.values, *[x for slots in state.slots for x in slots]]


def _rule(optimizer: Any, rate: Any) -> Any:
    """Give the optimizer with a rate that is an operand: it may change without a new kernel."""
    rule = copy(optimizer)
    rule.learning_rate = rate
    return rule


def _step(
    loop: Loop, path: Path, rule: Any, state: State, batch: Sequence[Any]
) -> tuple[Any, State, Any]:
    """Give the loss of a batch, what the step makes of the state, and whether the path is right."""
    now = dict(zip(loop.variables, state.values, strict=True))
    kept = dict(zip(loop.trained, state.slots, strict=True))
    outputs = path.function(*batch, *[now[v] for v in path.variables])
    n_gradients = len(outputs) - 1 - len(path.path)
    gradients, answers = outputs[1 : 1 + n_gradients], outputs[1 + n_gradients :]
    for v, g in zip(trained_by(path), gradients, strict=True):
        now[v], kept[v] = _updated(rule, now[v], g, kept[v])
    is_taken: Any = np.True_
    for answer, expected in zip(answers, path.path, strict=True):
        is_taken = is_taken & (answer if expected else ~answer)
    return outputs[0], State(tuple(now.values()), tuple(kept.values())), is_taken


def _updated(rule: Any, value: Any, gradient: Any, slots: tuple[Any, ...]) -> tuple[Any, Any]:
    """Apply an optimizer's formula; counts meet arrays as Python's numbers do."""
    given = [as_number(x) if x.dtype.kind == "i" else x for x in slots]
    made = rule.update(value, gradient, given)
    kept = [
        x.astype(old.dtype) if old.dtype.kind == "i" else x
        for x, old in zip(given, slots, strict=True)
    ]
    return made, tuple(kept)
