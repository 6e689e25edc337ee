"""`compile_step` and `fit`: the steps of an eager script, as loops in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symdiff.eager.data import Dataset
from symdiff.eager.devices import CPU, common_device, move
from symdiff.eager.gradients import as_arguments, implicit_call
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.loops import Feed
from symdiff.eager.tensor import Tensor, as_tensor, wrap
from symdiff.eager.train import Optimizer
from symdiff.eager.training import Kernels, Training
from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.optimizers.data import as_data, check_count, check_samples
from symdiff.optimizers.status import TrainStatus
from symdiff.optimizers.training import check_batch_size, order_of

__all__ = ["CompiledStep", "FitResult", "compile_step", "fit"]

DEFAULT_BATCH = 32


@dataclass(frozen=True, repr=False)
class FitResult:
    """How a compiled loop went; the variables hold what it has found.

    Attributes
    ----------
    losses : ndarray
        The loss of each step, before its update.
    history : dict of str to ndarray
        ``"loss"``, the mean of the losses of each whole epoch.
    status : TrainStatus
        Where the last loss is not finite, its step was not made.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> v = tfe.Variable(1.0)
    >>> step = tfe.compile_step(lambda: v * v, tfe.train.GradientDescentOptimizer(0.25))
    >>> step.run(steps=3)
    <FitResult finished: 3 epochs, 3 steps, loss 0.0625>
    """

    losses: np.ndarray
    history: dict[str, np.ndarray]
    status: TrainStatus

    @property
    def n_steps(self) -> int:
        """How many steps were made."""
        return len(self.losses) - (self.status is TrainStatus.NOT_FINITE)

    @property
    def n_epochs(self) -> int:
        """How many epochs are done to their end."""
        return len(self.history["loss"])

    @property
    def message(self) -> str:
        """Say in a sentence how it ended."""
        return self.status.message

    @property
    def success(self) -> bool:
        """Whether all steps were made."""
        return self.status is TrainStatus.FINISHED

    def __repr__(self) -> str:
        last = f", loss {self.losses[-1]:.6g}" if len(self.losses) else ""
        status = self.status.name.lower()
        return f"<FitResult {status}: {self.n_epochs} epochs, {self.n_steps} steps{last}>"


class CompiledStep:
    """A step of training in one kernel, or many of them; made by `compile_step`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> v = tfe.Variable(1.0)
    >>> step = tfe.compile_step(lambda x: (v - x) ** 2, tfe.train.GradientDescentOptimizer(0.25))
    >>> float(step(3.0)), float(v)
    (4.0, 2.0)
    """

    def __init__(self, loss: Callable[..., Any], optimizer: Optimizer) -> None:
        if not callable(loss):
            raise DTypeError(at_user_line(f"the loss is {loss!r}, which is no function"))
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(
                at_user_line(
                    f"the optimizer is {optimizer!r}; use one of tfe.train, such as "
                    "tfe.train.AdamOptimizer()"
                )
            )
        self._kernels = Kernels(loss, optimizer)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Make one step with what the loss takes, and give the loss before it."""
        if not kwargs and not LISTENERS.recordings:
            given = as_arguments(args)
            loss = self._kernels.step(given)
            if loss is None:  # such arguments are new, or their values take another path
                self._kernels.remember(given)
                loss = self._kernels.step(given)
            if loss is not None:
                return loss
        training = self._whole(args, kwargs)
        training.go(0, 1)
        return wrap(training.loss_dtype.type(training.losses[0][0])).to(training.place)

    def run(self, *args: Any, steps: int, **kwargs: Any) -> FitResult:
        """Make steps, all with the same arguments; each counts as an epoch.

        Parameters
        ----------
        *args, **kwargs
            What the loss takes.
        steps : int

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> v = tfe.Variable(1.0)
        >>> step = tfe.compile_step(lambda: v * v, tfe.train.GradientDescentOptimizer(0.25))
        >>> step.run(steps=3).losses, float(v)
        (array([1.    , 0.25  , 0.0625]), 0.125)
        """
        last = check_count(steps, "steps", 0)
        return _through([_Pass(self._whole(args, kwargs), 0, last, 1)], None)

    def _whole(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Training:
        call = implicit_call(args, kwargs, wants_value=True)
        return Training(self._kernels, call, Feed(), order_of(1, 1, 0))

    def fit(
        self,
        data: Any,
        *,
        args: Sequence[Any] = (),
        epochs: int = 1,
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> FitResult:
        """Go through data in batches; see `symdiff.eager.fit`.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> v = tfe.Variable(0.0)
        >>> loss = lambda x: tfe.reduce_mean((v - x) ** 2)
        >>> step = tfe.compile_step(loss, tfe.train.GradientDescentOptimizer(0.1))
        >>> step.fit((tfe.constant([1.0, 2.0, 3.0]),), batch_size=2, epochs=3)
        <FitResult finished: 3 epochs, 6 steps, loss ...>
        """
        count = check_count(epochs, "epochs", 0)
        if isinstance(data, Dataset):
            if batch_size is not None:
                raise ValueError(at_user_line("a Dataset has batches of its own: leave batch_size"))
            return _through(self._passes_of_dataset(data, tuple(args), count), callback)
        arrays = _arrays(data)
        n = len(arrays[0])
        size = check_batch_size(min(DEFAULT_BATCH, n) if batch_size is None else batch_size, n)
        training, per_epoch = self._batches(tuple(args), arrays, size, bool(shuffle), seed)
        spans = [(0, count)] if callback is None else [(e, e + 1) for e in range(count)]
        passes = [_Pass(training, a * per_epoch, b * per_epoch, per_epoch) for a, b in spans]
        return _through(passes, callback)

    def _passes_of_dataset(
        self, dataset: Dataset, args: tuple[Any, ...], epochs: int
    ) -> Iterator[_Pass]:
        """Go through a dataset anew in each epoch: it may have another order then."""
        for _ in range(epochs):
            training, per_epoch = self._batches(args, *_collected(dataset), shuffle=False, seed=0)
            yield _Pass(training, 0, per_epoch, per_epoch)

    def _batches(
        self, args: tuple[Any, ...], data: Sequence[Tensor], size: int, shuffle: bool, seed: int
    ) -> tuple[Training, int]:
        n = len(data[0])
        call = implicit_call((*args, *data), {}, wants_value=True)
        order = order_of(n, size, seed)
        feed = Feed(size, n % size, shuffle, len(data))
        return Training(self._kernels, call, feed, order), int(order.per_epoch)


class _Pass(NamedTuple):
    """Steps from one number to another, of so many an epoch."""

    training: Training
    first: int
    last: int
    per_epoch: int


def _through(passes: Iterable[_Pass], callback: Callable[[int, float], Any] | None) -> FitResult:
    """Make the steps of all passes, and tell of each."""
    losses: list[np.ndarray] = [np.zeros(0)]
    means: list[np.ndarray] = [np.zeros(0)]
    status = TrainStatus.FINISHED
    for training, first, last, per_epoch in passes:
        begun = len(training.losses)
        status = training.go(first, last)
        made = np.concatenate([np.zeros(0), *training.losses[begun:]])
        losses.append(made)
        n_epochs = (len(made) - (status is TrainStatus.NOT_FINITE)) // per_epoch
        means.append(made[: n_epochs * per_epoch].reshape(n_epochs, per_epoch).mean(axis=1))
        if status is not TrainStatus.FINISHED:
            break
        if callback is not None and callback(len(means) - 1, float(means[-1][0])) is True:
            status = TrainStatus.STOPPED
            break
    return FitResult(np.concatenate(losses), {"loss": np.concatenate(means)}, status)


def _arrays(data: Any) -> tuple[Tensor, ...]:
    """Take a tuple of what can be tensors."""
    if isinstance(data, (tuple, list)):
        tensors = tuple([as_tensor(x) for x in data])
        if any(x.place is not CPU for x in tensors):
            check_samples([x.data for x in tensors])
            return tensors
        data = tuple([x.data for x in tensors])
    return tuple([wrap(a) for a in as_data(data)])


def _collected(dataset: Dataset) -> tuple[tuple[Tensor, ...], int]:
    """Put the batches of a dataset behind each other; give the number of rows of one."""
    batches = [_arrays(x if isinstance(x, tuple) else (x,)) for x in dataset]
    if not batches:
        raise ShapeError(at_user_line("the dataset is empty"))
    sizes = [len(b[0]) for b in batches]
    if any(n != sizes[0] for n in sizes[:-1]) or sizes[-1] > sizes[0]:
        raise ShapeError(
            at_user_line(
                f"the batches of the dataset have {sorted(set(sizes))} rows; only the last may be "
                "shorter. Use Dataset.batch(n) as the last step before repeat"
            )
        )
    try:
        return tuple([_joined(column) for column in zip(*batches, strict=True)]), sizes[0]
    except ValueError as error:
        raise ShapeError(at_user_line(f"the batches of the dataset do not fit: {error}")) from None


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Put tensors behind each other, on the GPU that one of them lies on."""
    place = common_device([x.place for x in tensors])
    arrays = [move(x.data, x.place, place) for x in tensors]
    return wrap(place.run(np.concatenate, arrays), place)


def compile_step(loss: Callable[..., Any], optimizer: Optimizer) -> CompiledStep:
    """Make one kernel of a loss, its gradients, and the update of the variables that it reads.

    Parameters
    ----------
    loss : callable
        As for `implicit_value_and_gradients`: it reads variables, and gives one number. It may
        branch on values: a loop ends where a step takes another path, and goes on with that one's.
    optimizer : Optimizer
        Its state is used and kept, so steps may alternate with `apply_gradients`.

    Returns
    -------
    CompiledStep
        Called with what the loss takes, it makes one step and gives the loss before it;
        ``.run(*args, steps=n)`` makes n steps with the same arguments in one kernel,
        ``.fit(data, ...)`` goes through batches (see `fit`). Both give a `FitResult`. A step whose
        loss is not finite is not made.

    Raises
    ------
    NotImplementedError
        At the call: the loss draws random numbers.
    ValueError
        At the call: the loss is no single number, or depends on no trainable variable.

    Examples
    --------
    >>> import numpy as np, symdiff.eager as tfe
    >>> model = tfe.layers.Dense(1, kernel_initializer=np.ones)
    >>> def loss(model, x, y):
    ...     return tfe.reduce_sum(tfe.square(model(x) - y))
    >>> x, y = tfe.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), tfe.constant([[10.0], [20.0]])
    >>> step = tfe.compile_step(loss, tfe.train.GradientDescentOptimizer(0.01))
    >>> float(step(model, x, y)), round(float(step(model, x, y)), 4)
    (41.0, 29.8436)
    >>> step.run(model, x, y, steps=1000)
    <FitResult finished: 1000 epochs, 1000 steps, loss ...>
    """
    return CompiledStep(loss, optimizer)


def fit(
    loss: Callable[..., Any],
    optimizer: Optimizer,
    data: Any,
    *,
    args: Sequence[Any] = (),
    epochs: int = 1,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    callback: Callable[[int, float], Any] | None = None,
) -> FitResult:
    """Train the variables that a loss reads on batches of data, in one kernel.

    Parameters
    ----------
    loss : callable
        ``loss(*args, *batch)``; see `compile_step`.
    optimizer : Optimizer
    data : tuple of array_like, or Dataset
        Arrays with one leading axis of n samples; or a finite dataset of batches, gone through
        anew in each epoch, with the order and the batches that it has.
    args : sequence
        What the loss takes before a batch, a model say.
    epochs : int
    batch_size : int, optional
        At most n, by default 32; the last batch of an epoch may be shorter.
    shuffle : bool
        Whether each epoch of arrays has an order of its own.
    seed : int
        Of that order.
    callback : callable, optional
        Is given after each epoch its number, from 1, and the mean of its losses; training stops
        when it returns True.

    Returns
    -------
    FitResult
        Nothing is raised where the loss is no longer finite (that step is not made), or at Ctrl-C:
        the status says so.

    Examples
    --------
    >>> import numpy as np, symdiff.eager as tfe
    >>> model = tfe.layers.Dense(1)
    >>> def loss(model, x, y):
    ...     return tfe.losses.mean_squared_error(y, model(x))
    >>> x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    >>> optimizer = tfe.train.AdamOptimizer(0.05)
    >>> result = tfe.fit(loss, optimizer, (x, 3 * x + 1), args=(model,), epochs=200, batch_size=16)
    >>> result
    <FitResult finished: 200 epochs, 800 steps, loss ...>
    >>> [round(v.numpy().item(), 2) for v in model.variables]
    [3.0, 1.0]
    """
    return compile_step(loss, optimizer).fit(
        data,
        args=args,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        callback=callback,
    )
