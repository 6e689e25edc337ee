"""Some steps of a training: which kernel makes them, how many at a time, and what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.eager.devices import CPU, check_copy, common_device, move
from symdiff.eager.differentiated import Differentiated
from symdiff.eager.gradients import implicit_call, implicit_value_and_gradients
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.loops import Feed, Loop, traced_loop, traced_step, trained_by
from symdiff.eager.paths import Call, Path
from symdiff.eager.places import Cpu
from symdiff.eager.structures import unflatten
from symdiff.eager.tensor import Tensor, wrap
from symdiff.eager.train import Optimizer, moved_slot
from symdiff.eager.variables import Variable
from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.optimizers.loop import Pace
from symdiff.optimizers.status import TrainStatus
from symdiff.optimizers.steps import Order
from symdiff.runtime.function import Function
from symdiff.runtime.transforms import jit
from symdiff.tracing.trace import function_name

__all__ = ["Kernels", "Training"]

MAX_LOOPS = 64
"""So many kernels of a step are kept."""


class Kernels:
    """The loops of a function of variables with an optimizer."""

    def __init__(self, loss: Callable[..., Any], optimizer: Optimizer) -> None:
        self.loss = loss
        self.optimizer = optimizer
        self.step_in_python = implicit_value_and_gradients(loss)
        self.differentiated = Differentiated(loss)
        self.unable: set[Cpu] = set()
        """GPUs whose compiler has not all that the loss needs; the CPU does it for them."""
        self._loops: dict[Any, tuple[Loop, Function, Pace]] = {}
        self._steps: dict[Any, tuple[Path, Function]] = {}

    def loop(self, loop: Loop, place: Cpu) -> tuple[Loop, Function, Pace]:
        """Give the kernel of a loop for a device, and how many steps it makes in good time."""
        key = (id(loop.path), id(loop.short), loop.feed, place, self.optimizer.constants())
        found = self._loops.get(key)
        if found is None:
            for path in (loop.path, loop.short):
                if path is not None:
                    self._check(path)
            if len(self._loops) >= MAX_LOOPS:
                self._loops.clear()
            function = place.function_for(jit(traced_loop(loop, self.optimizer)))
            found = self._loops[key] = (loop, function, Pace())
        return found

    def step(self, args: tuple[Any, ...]) -> Any:
        """Make one step with arguments like earlier ones; give the loss, or None.

        Nothing is changed where it gives None.
        """
        known = self.differentiated.known(args)
        if known is None or known[1] in self.unable:
            return None
        path, place = known
        key = (id(path), place, self.optimizer.constants())
        found = self._steps.get(key)
        if found is None:
            self._check(path)
            if len(self._steps) >= MAX_LOOPS:
                self._steps.clear()
            function = place.function_for(jit(traced_step(path, self.optimizer)))
            found = self._steps[key] = (path, function)
        variables, trained = path.variables, trained_by(path)
        given = [
            float(self.optimizer.learning_rate),
            *arrays_of(variables, trained, self.optimizer, place),
            *[x.data for x in args if type(x) is Tensor],
        ]
        made = self.launch(place, found[1], given)
        if made is None or not made[-1]:
            return None
        write(prepared(variables, trained, self.optimizer, made[1:-1], place))
        return wrap(made[0], place)

    def launch(self, place: Cpu, function: Function, values: Sequence[Any]) -> Any:
        """Run a kernel on a device; give None, for good, where that has no such operation."""
        try:
            return place.launch(function, values)
        except UnsupportedOperationError:
            if place is CPU:
                raise
            self.unable.add(place)
            return None

    def remember(self, args: tuple[Any, ...]) -> None:
        """Let `step` know the path of these arguments."""
        call = implicit_call(args, {}, wants_value=True)
        self.differentiated.remember(args, self.differentiated.find(call))

    def _check(self, path: Path) -> None:
        """Refuse what is no loss, or draws random numbers."""
        name = function_name(self.loss)
        if any(not isinstance(v, Variable) for v in path.variables):
            raise UnsupportedOperationError(
                at_user_line(
                    f"{name} draws random numbers (Dropout, random_normal), and a compiled loop "
                    "would repeat them at each step: give them as data, or take the steps by "
                    "apply_gradients"
                )
            )
        if not path.sources or not any(path.connected):
            raise ValueError(at_user_line(f"{name} depends on no trainable variable"))
        shape, dtype = path.trace.program.types[path.trace.program.outputs[0]]
        if not path.is_number or shape or not dtype.startswith("float"):
            raise ShapeError(
                at_user_line(
                    f"{name} gives no single floating number, which a loss has to be; reduce it, "
                    "say with tfe.reduce_mean"
                )
            )


class Training:
    """Steps with some data, and the losses so far; `losses` has those of a call of a kernel each.

    Parameters
    ----------
    kernels : Kernels
    call : Call
        All of the data.
    feed : Feed
    order : Order
    """

    def __init__(self, kernels: Kernels, call: Call, feed: Feed, order: Order) -> None:
        if LISTENERS.recordings:
            raise UnsupportedOperationError(
                at_user_line("a compiled step was called inside a function that is differentiated")
            )
        self.kernels, self.call, self.feed, self.order = kernels, call, feed, order
        self.place: Cpu = CPU
        self._data: dict[Cpu, tuple[Any, ...]] = {}
        self.losses: list[np.ndarray] = []
        self.loss_dtype = np.dtype("float32")

    def go(self, first: int, last: int) -> TrainStatus:
        """Make steps number `first` to ``last - 1``."""
        try:
            while first < last:
                made, is_finite = self._piece(first, last - first)
                first += made
                if not is_finite:
                    return TrainStatus.NOT_FINITE
        except KeyboardInterrupt:
            return TrainStatus.INTERRUPTED
        return TrainStatus.FINISHED

    def _piece(self, first: int, most: int) -> tuple[int, bool]:
        """Make some steps; say how many, and whether the loss of the next one is finite."""
        wanted = Loop(*self._paths(first), self.feed)
        self.place = place = self._place(wanted)
        loop, kernel, pace = self.kernels.loop(wanted, place)
        program = loop.path.trace.program
        self.loss_dtype = np.dtype(program.types[program.outputs[0]].dtype)
        count = min(pace.steps, most)
        began = time.perf_counter()
        made = self._run(loop, kernel, first, count)
        if made is None:
            return 0, True
        pace.saw(made.done, time.perf_counter() - began)
        if made.is_taken and made.is_finite:
            self._take_over(loop, made)
            return made.done, True
        good = made.done - 1  # the last step counts for nothing: those before it are made again
        again = self._run(loop, kernel, first, good) if good else None
        if again is not None:
            self._take_over(loop, again)
        if not made.is_taken:
            return (good, True) if good else self._in_python(first)
        self.losses.append(made.losses[good : good + 1])
        return good, False

    def _run(self, loop: Loop, kernel: Function, first: int, count: int) -> _Made | None:
        """Make steps without taking them over; give None where the device turns out unable."""
        optimizer, place = self.kernels.optimizer, self.place
        arrays = arrays_of(loop.variables, loop.trained, optimizer, place)
        room = np.zeros(max(count, 2))
        rate = float(optimizer.learning_rate)
        given = [first, count, rate, room, *self.order, *arrays, *self._data_at(place)]
        found = self.kernels.launch(place, kernel, given)
        if found is None:
            return None
        done, *state, losses, is_taken, is_finite = found
        return _Made(
            int(place.get(done)),
            state,
            place.get(losses),
            bool(place.get(is_taken)),
            bool(place.get(is_finite)),
        )

    def _place(self, loop: Loop) -> Cpu:
        """Choose where a loop runs, and check that copies for it are allowed."""
        places = [x.place for x in (*self.call.tensors, *loop.variables)]
        place = common_device(places)
        if not all(p is places[0] for p in places):
            for p in places:
                check_copy(p, place)
        is_able = places and place.has_kernels and place not in self.kernels.unable
        return place if is_able else CPU

    def _data_at(self, place: Cpu) -> tuple[Any, ...]:
        """Give the data on a device, copied there once."""
        if place not in self._data:
            tensors = self.call.tensors
            self._data[place] = tuple(
                [move(x.data, x.place, place, is_asked=True) for x in tensors]
            )
        return self._data[place]

    def _take_over(self, loop: Loop, made: _Made) -> None:
        optimizer = self.kernels.optimizer
        ready = prepared(loop.variables, loop.trained, optimizer, made.state, self.place)
        try:
            write(ready)
        finally:
            self.losses.append(made.losses[: made.done])

    def _paths(self, step: int) -> tuple[Path, Path | None]:
        """Find the path of a step, and that of the other length of batches, if there is one."""
        find = self.kernels.differentiated.find
        if not self.feed.rest:
            return find(self._call_at(step)), None
        per_epoch = int(self.order.per_epoch)
        begin = step - step % per_epoch
        last = begin + per_epoch - 1
        return find(self._call_at(begin if step == last else step)), find(self._call_at(last))

    def _call_at(self, step: int) -> Call:
        """Give the call with the batch of a step."""
        if self.feed.size is None:
            return self.call
        home = common_device([x.place for x in self.call.tensors])
        batch = iter(home.run(self.feed.batch_now, self._data_at(home), step, self.order))
        leaves = [wrap(next(batch), home) if isinstance(x, Tensor) else x for x in self.call.leaves]
        return self.call._replace(leaves=leaves)

    def _in_python(self, step: int) -> tuple[int, bool]:
        """Make a step whose questions the loop answers otherwise than the function by itself."""
        call = self._call_at(step)
        args, kwargs = unflatten(call.tree, call.leaves)
        value, pairs = self.kernels.step_in_python(*args, **kwargs)
        self.losses.append(np.array([float(value)]))
        is_finite = bool(np.isfinite(float(value)))
        if is_finite:
            self.kernels.optimizer.apply_gradients(pairs)
        return int(is_finite), is_finite


class _Made(NamedTuple):
    """What a call of a kernel gave."""

    done: int
    state: list[Any]
    losses: np.ndarray
    is_taken: bool
    is_finite: bool


def arrays_of(
    variables: Sequence[Any], trained: Sequence[Any], optimizer: Optimizer, place: Cpu
) -> list[Any]:
    """Give the values of variables, and behind them the slots of those that are trained."""
    return [
        *[v.value_at(place) for v in variables],
        *[
            np.int64(x) if type(x) is int else moved_slot(x, v.place, place)
            for v in trained
            for x in optimizer.slots(v)
        ],
    ]


class _Ready(NamedTuple):
    """What a variable and its slots are to hold."""

    variable: Variable
    value: Tensor
    slots: list[Any]
    new_slots: list[Any]


def prepared(
    variables: Sequence[Any],
    trained: Sequence[Any],
    optimizer: Optimizer,
    arrays: Sequence[Any],
    place: Cpu,
) -> list[_Ready]:
    """Sort what a kernel made of `arrays_of` on a device."""
    made = dict(zip(variables, arrays, strict=False))
    rest = iter(arrays[len(variables) :])
    ready: list[_Ready] = []
    for v in trained:
        slots = optimizer.slots(v)
        old, home = v.tensor.data, v.tensor.place
        value = wrap(_placed(made[v], old.dtype, place, home), home)
        ready.append(_Ready(v, value, slots, [_like(next(rest), x, place, home) for x in slots]))
    return ready


def write(ready: Sequence[_Ready]) -> None:
    """Take over new values: all of them, also when interrupted here."""
    try:
        _write(ready)
    except KeyboardInterrupt:
        _write(ready)
        raise


def _write(ready: Sequence[_Ready]) -> None:
    for variable, value, slots, new_slots in ready:
        variable.put(value)
        slots[:] = new_slots


def _like(new: Any, old: Any, source: Cpu, target: Cpu) -> Any:
    """Give a slot what a kernel made of it."""
    if type(old) is int:
        return int(source.get(new))
    return _placed(new, old.dtype, source, target)


def _placed(value: Any, dtype: np.dtype, source: Cpu, target: Cpu) -> Any:
    """Take what a kernel made on one device to another."""
    made = np.asarray(value, dtype)[()] if source is CPU else value
    return made if source is target else move(made, source, target, is_asked=True)
