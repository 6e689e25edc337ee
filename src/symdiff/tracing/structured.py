"""`cond`, `while_loop`, `fori_loop` and `scan`: loops and branches said as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.program.sizes import Extent
from symdiff.tracing.bodies import is_traced
from symdiff.tracing.branches import conditional
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.conversion import convert
from symdiff.tracing.repetition import iterate, repeat
from symdiff.tracing.traced_size import TracedSize, as_size
from symdiff.tracing.tracer import TracedArray, as_traced
from symdiff.trees import flatten, unflatten

__all__ = ["cond", "fori_loop", "scan", "while_loop"]

State = Any


def cond(
    pred: Any, on_true: Callable[..., State], on_false: Callable[..., State], *args: Any
) -> State:
    """Call one of two functions; in a kernel, only that one is run.

    Parameters
    ----------
    pred : bool, or traced Boolean
        A number counts as true if it is not zero.
    on_true, on_false : callable
        Take `args` and give trees of the same structure, shapes and dtypes.

    Raises
    ------
    TracingError
        The functions give what cannot be one value.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> f = lambda x: sd.cond(x > 0, np.sqrt, np.zeros_like, x)
    >>> sd.grad(f)(4.0), sd.grad(f)(-1.0)
    (0.25, 0.0)
    """
    on_true, on_false = convert(on_true), convert(on_false)
    if not is_traced(pred):
        return on_true(*args) if pred else on_false(*args)
    return conditional(pred, lambda s: on_true(*s), lambda s: on_false(*s), args)


def while_loop(
    cond: Callable[[State], Any],
    body: Callable[[State], State],
    init: State,
    *,
    checkpoint: int | bool = False,
) -> State:
    """Do ``state = body(state)`` while ``cond(state)`` holds.

    Parameters
    ----------
    cond, body : callable
        Take the state, a tree. The state keeps its structure, shapes and dtypes.
    init : tree
        The state at the start.
    checkpoint : int or bool
        Reverse mode records the state before each step. With a number it records each so-many-th
        and does the steps between again; true stands for 64.

    Returns
    -------
    tree
        The state for which the condition does not hold.

    Raises
    ------
    TracingError
        The state changes its structure or types.

    Examples
    --------
    Newton's square root, differentiated through a number of steps that nobody knows before:

    >>> import symdiff as sd
    >>> def root(x):
    ...     far = lambda y: abs(y * y - x) > 1e-12 * x
    ...     return sd.while_loop(far, lambda y: 0.5 * (y + x / y), x)
    >>> sd.jit(root)(9.0), sd.grad(root)(9.0)
    (3.0, 0.16666666666666669)
    """
    cond, body, state = convert(cond), convert(body), _with_truth_values(init)
    while True:
        if active_context() is not None:
            go = cond(state)
            if is_traced(go):
                return repeat(lambda _, s: body(s), state, condition=cond, checkpoint=checkpoint)
            if not go:
                return state
        elif not cond(state):
            return state
        state = body(state)


def fori_loop(
    lo: Any,
    hi: Any,
    body: Callable[[Any, State], State],
    init: State,
    *,
    checkpoint: int | bool = False,
) -> State:
    """Do ``state = body(i, state)`` for i from `lo` to ``hi - 1``.

    Parameters
    ----------
    lo, hi : int, size, or traced integer
    body : callable
        Takes the number of the step and the state, a tree that keeps its structure and types.
    init : tree
        The state at the start.
    checkpoint : int or bool
        As for `while_loop`; true stands for the square root of the number of steps.

    Examples
    --------
    >>> import symdiff as sd
    >>> power = lambda x, n: sd.fori_loop(0, n, lambda i, y: y * x, 1.0)
    >>> sd.grad(power)(2.0, 10)
    5120.0
    """
    body, init = convert(body), _with_truth_values(init)
    if active_context() is None:
        state = init
        for i in range(int(lo), int(hi)):
            state = body(i, state)
        return state
    count = hi - lo
    if is_traced(count):
        count = as_traced(count)
    is_zero = isinstance(lo, (int, np.integer)) and lo == 0
    return repeat(
        body if is_zero else lambda i, s: body(i + lo, s),
        init,
        count=count,
        checkpoint=checkpoint,
    )


def scan(
    step: Callable[[State, Any], tuple[State, Any]],
    init: State,
    xs: Any,
    length: int | None = None,
    *,
    reverse: bool = False,
    checkpoint: int | bool = False,
) -> tuple[State, Any]:
    """Carry a state along the first axis of arrays, and stack what each step gives.

    Parameters
    ----------
    step : callable
        ``step(state, x) -> (state, y)``, with x the row of each array of `xs`.
    init : tree
        The state at the start; it keeps its structure and types.
    xs : tree of arrays, or None
        All as long as each other; None with a `length`.
    length : int, optional
        How many steps, where `xs` does not tell.
    reverse : bool
        Begin with the last row. What is stacked lies as in `xs`.
    checkpoint : int or bool
        As for `fori_loop`.

    Returns
    -------
    state, ys
        The last state, and the tree of `y`, each with one more axis in front.

    Raises
    ------
    ShapeError
        The arrays differ in length.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> decayed = lambda x: sd.scan(lambda s, v: (0.5 * s + v, s), 0.0, x)[1]
    >>> sd.jit(decayed)(np.ones(4))
    array([0.  , 1.  , 1.5 , 1.75])
    """
    step, init = convert(step), _with_truth_values(init)
    rows, tree = flatten(xs)
    context = active_context()
    if context is None:
        return _plain_scan(step, init, [np.asarray(x) for x in rows], tree, length, reverse)
    arrays = [as_traced(x) for x in rows]
    count = _length(context, arrays, length)

    def body(i: Any, state: State) -> tuple[State, Any]:
        return step(state, unflatten(tree, [x[i] for x in arrays]))

    return iterate(
        body, init, count=as_size(context, count), is_reversed=reverse, checkpoint=checkpoint
    )


def _with_truth_values(state: State) -> State:
    """Take NumPy's truth values for Python's, of which ``~`` makes -1 and -2."""
    leaves, tree = flatten(state)
    return unflatten(tree, [np.bool_(x) if isinstance(x, bool) else x for x in leaves])


def _length(context: Context, arrays: list[TracedArray], length: Any) -> Extent:
    sizes = [x.shape_[0] if x.shape_ else None for x in arrays]
    if length is not None:
        sizes.append(length.size if isinstance(length, TracedSize) else int(length))
    if not sizes:
        raise ShapeError(at_user_line("scan without arrays needs a length"))
    first = sizes[0]
    for size in sizes:
        if first is None or size is None:
            raise ShapeError(at_user_line("scan over a number: xs are arrays"))
        if not context.decide(size - first, "=="):
            shapes = ", ".join(context.show_shape(x.shape_) for x in arrays)
            raise ShapeError(at_user_line(f"scan over arrays of different length: {shapes}"))
    assert first is not None
    return first


def _plain_scan(
    step: Callable[[State, Any], tuple[State, Any]],
    init: State,
    arrays: list[np.ndarray],
    tree: Any,
    length: int | None,
    reverse: bool,
) -> tuple[State, Any]:
    counts = {len(x) for x in arrays} | ({length} if length is not None else set())
    if len(counts) != 1:
        raise ShapeError(at_user_line(f"scan over arrays of different length: {sorted(counts)}"))
    (count,) = counts
    state, made = init, []
    for i in reversed(range(count)) if reverse else range(count):
        state, y = step(state, unflatten(tree, [x[i] for x in arrays]))
        made.append(flatten(y))
    if not made:
        return state, None
    if reverse:
        made.reverse()
    stacked = [np.stack(ys) for ys in zip(*[leaves for leaves, _ in made], strict=True)]
    return state, unflatten(made[0][1], stacked)
