"""`train`: batches, gradients and updates in one kernel, for as many epochs as asked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.errors import CacheError, at_user_line
from symdiff.optimizers import checkpoints, loop
from symdiff.optimizers.bar import progress_bar
from symdiff.optimizers.data import as_data, as_params, check_count, check_validation
from symdiff.optimizers.history import Done
from symdiff.optimizers.status import TrainProgress, TrainResult, TrainStatus
from symdiff.optimizers.steps import MAX_STEPS, Order, compiled_steps
from symdiff.optimizers.updates import check_rule, init
from symdiff.program.serialization import digest
from symdiff.runtime.placement import ResultsOnHost, copied, is_for_device, to_host
from symdiff.runtime.transforms import jit
from symdiff.trees import flatten

__all__ = ["train"]


def train(
    loss: Callable[..., Any],
    params: Any,
    data: Any,
    optimizer: Any,
    *,
    batch_size: int,
    epochs: int,
    shuffle: bool = True,
    seed: int = 0,
    validation: Any = None,
    validation_batch_size: int | None = None,
    patience: int | None = None,
    checkpoint: Any = None,
    resume: Any = None,
    callback: Callable[[TrainProgress], Any] | None = None,
    callback_every: int | None = None,
    progress: bool = True,
    target: str = "auto",
) -> TrainResult:
    """Minimize a loss over batches of data; all steps run in one compiled loop.

    An epoch takes ``ceil(n/batch_size)`` steps. All batches have one size: the last of an epoch is
    filled up with samples from that epoch's beginning. The order is a function of seed, epoch and
    position alone (`symdiff.optimizers.order`), so equal arguments give equal bits.

    Parameters
    ----------
    loss : callable
        ``loss(params, *batch)`` gives one number, such as the mean over the batch.
    params : tree of array_like
        Where to start; float32 stays float32. It is not changed.
    data : tuple of array_like
        Arrays with one leading axis of n samples. Contiguous ones are not copied, those that
        are mapped from a file (``np.load(path, mmap_mode="r")``) among them.
    optimizer : rule
        One of `sd.optim`, a `sd.optim.chain`, an object with ``init(parameter) -> state`` and
        ``update(gradient, state, parameter, step) -> (parameter, state)``, or a function like
        ``update``.
    batch_size : int
        At most n.
    epochs : int
        How many in all, those before a checkpoint included.
    shuffle : bool
        Whether each epoch has an order of its own; else it is that of the data.
    seed : int
        Of the order, 0 to 2**64 - 1.
    validation : tuple of array_like, optional
        Data like `data`, whose loss is computed after each epoch.
    validation_batch_size : int, optional
        How many of them at a time, by default all at once. The validation loss is then the mean of
        the batches' losses, weighted by their sizes: the same where the loss is a mean.
    patience : int, optional
        Stop when the validation loss (without validation data the loss) has been no better than its
        best for more than so many epochs; parameters and state are then those of the best epoch.
    checkpoint : path, optional
        Where to write what `resume` needs: every 10 seconds, by a thread beside the training, and
        at the end, also after an interruption. The file is replaced in one piece.
    resume : path, optional
        Go on from a checkpoint of the same training, to the bit as if it had not stopped.
    callback : callable, optional
        Is given a `TrainProgress`; training stops when it returns True.
    callback_every : int, optional
        After so many steps; by default after each epoch.
    progress : bool
        Show progress on a terminal, by tqdm where that is installed. ``sd.config.progress`` turns
        it off everywhere.
    target : {"auto", "cpu", "cuda"}
        Where to train; "auto" is where the data lie. A GPU gets the data once, if they are not
        there, and the parameters at each call of the kernel, which makes up to 4096 steps.
        Results are NumPy's, and validation is on the CPU.

    Returns
    -------
    TrainResult
        It says how the training ended: nothing is raised where the loss is no longer finite (the
        parameters are then the last before which it was), or at Ctrl-C.

    Raises
    ------
    ShapeError, DTypeError, ValueError, TypeError
        The arguments do not fit each other.
    CacheError
        There is no place for a checkpoint, or the one to resume from cannot be read or is of
        something else. One that cannot be written later is told by a `RuntimeWarning`.
    TracingError, UnsupportedOperationError
        The loss or the rule cannot be traced; the message names the line.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> x = np.linspace(-1.0, 1.0, 64)
    >>> def loss(p, x, y):
    ...     return np.mean((p["a"] * x + p["b"] - y) ** 2)
    >>> result = sd.train(loss, {"a": 0.0, "b": 0.0}, (x, 3 * x + 1), sd.optim.Adam(0.05),
    ...                   batch_size=16, epochs=200, progress=False)
    >>> result
    <TrainResult finished: 200 epochs, 800 steps, loss ...>
    >>> round(float(result.params["a"]), 3), round(float(result.params["b"]), 3)
    (3.0, 1.0)
    """
    check_rule(optimizer)
    on_device = is_for_device(target, data)
    arrays: Any = as_data(data)
    checked = check_validation(validation, arrays)
    start = as_params(to_host(params))
    n = arrays[0].shape[0]
    size = check_batch_size(batch_size, n)
    order = order_of(n, size, seed)
    per_epoch = int(order.per_epoch)
    kernel: Any = compiled_steps(
        loss, optimizer, size, bool(shuffle), "cuda" if on_device else "auto"
    )
    if on_device:
        kernel, arrays = ResultsOnHost(kernel), copied(arrays)
    total = check_count(epochs, "epochs", 0) * per_epoch
    every = per_epoch if callback_every is None else check_count(callback_every, "callback_every")
    if patience is not None:
        check_count(patience, "patience", 0)
    writer = _writer(checkpoint)
    began = time.perf_counter()
    done = Done(start, init(optimizer, start))
    example = (done.params, done.state, arrays, order, 0, 0, np.zeros(MAX_STEPS))
    kernel(*example)
    validate = _validation(loss, checked, validation_batch_size, start)
    header: dict[str, Any] = {}
    if writer is not None or resume is not None:
        header = _header(kernel, example, n, int(seed), per_epoch)
    if resume is not None:
        done = _resumed(Path(resume), header, done)
    compiled = time.perf_counter()
    plan = loop.Plan(
        kernel, arrays, order, total, validate, patience, callback, every, writer, header
    )
    try:
        status = loop.run(plan, done, progress_bar(progress, total, done.step))
        seconds = time.perf_counter() - compiled
        loop.save(plan, done)
    finally:
        if writer is not None:
            writer.close()
    return _result(done, status, per_epoch, patience, (seconds, compiled - began))


def check_batch_size(batch_size: Any, n: int) -> int:
    """Take a number of samples, at most all of them."""
    size = check_count(batch_size, "batch_size")
    if size > n:
        raise ValueError(
            at_user_line(f"batch_size is {size}, the data have {n} samples: use at most {n}")
        )
    return size


def order_of(n: int, batch_size: int, seed: int) -> Order:
    """Make what the order of the samples depends on."""
    number = check_count(seed, "seed", 0)
    if number >= 2**64:
        raise ValueError(at_user_line(f"seed is {number}; it must be less than 2**64"))
    words = np.array([number % 2**32, number // 2**32], dtype=np.uint32)
    return Order(words, np.uint32(n), np.int64(-(-n // batch_size)))


def _writer(checkpoint: Any) -> checkpoints.Writer | None:
    if checkpoint is None:
        return None
    path = Path(checkpoint)
    checkpoints.check_writable(path)
    return checkpoints.Writer(path)


def _validation(
    loss: Callable[..., Any], data: tuple[np.ndarray, ...] | None, batch_size: Any, params: Any
) -> Callable[[Any], float] | None:
    """Make the function that gives the validation loss, and compile what it calls."""
    if data is None:
        return None
    n = len(data[0])
    size = n if batch_size is None else check_count(batch_size, "validation_batch_size")
    batches = [tuple([a[k : k + size] for a in data]) for k in range(0, n, size)]
    value = jit(loss)
    value(params, *batches[0])

    def validate(params: Any) -> float:
        parts = [len(batch[0]) / n * float(value(params, *batch)) for batch in batches]
        return math.fsum(parts)

    return validate


def _header(
    kernel: Any, example: tuple[Any, ...], n: int, seed: int, per_epoch: int
) -> dict[str, Any]:
    """Say what a checkpoint is of, in what JSON gives back as it was.

    The Program names loss, rule, structure and batches.
    """
    return {
        "samples": n,
        "steps an epoch": per_epoch,
        "seed": seed,
        "shapes of params": [[*np.shape(p)] for p in flatten(example[0])[0]],
        "loss, optimizer, batch_size, shuffle, or the version of symdiff": digest(
            kernel.program(*example)
        ),
    }


def _resumed(path: Path, header: dict[str, Any], done: Done) -> Done:
    found, arrays = checkpoints.read(path)
    other = [name for name, value in header.items() if found.get(name) != value]
    if other:
        raise CacheError(
            f"{path} is a checkpoint of another training: it differs in {'; '.join(other)}. Resume "
            "with the arguments it was written with, or leave resume out to start anew"
        )
    return done.resumed(found, arrays)


def _result(
    done: Done,
    status: TrainStatus,
    per_epoch: int,
    patience: int | None,
    seconds: tuple[float, float],
) -> TrainResult:
    params, state = done.params, done.state
    if patience is not None and done.best is not None:
        params, state = done.best
    history = {"loss": np.array(done.losses)}
    if done.validation:
        history["validation"] = np.array(done.validation)
    return TrainResult(
        params,
        state,
        history,
        status,
        status.message,
        done.step,
        done.step // per_epoch,
        *seconds,
    )
