"""`vmap`: a function over a batch axis, as one more loop of its equations."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from symdiff.errors import ShapeError, at_user_line
from symdiff.program.sizes import Extent, evaluate
from symdiff.runtime.function import Function, sign_traced
from symdiff.runtime.signatures import Signature
from symdiff.runtime.transforms import as_function
from symdiff.tracing.inlining import inline
from symdiff.tracing.shapes import broadcast_to, moveaxis
from symdiff.tracing.trace import Spec, Trace, trace_function
from symdiff.tracing.tracer import TracedArray, as_traced
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["vmap"]


def vmap(
    f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, *, target: str = "auto"
) -> Function:
    """Apply a function to every element of a batch, in one kernel.

    Parameters
    ----------
    f : callable
        As for `jit`; may be a `Function`, such as a gradient.
    in_axes : int, None, or tuple of those, or of trees of those
        Which axis of each positional argument is the batch's; None for an argument that is the
        same for all. One int goes for all arguments, one for a tree goes for all its arrays.
        Arguments passed by keyword are mapped over axis 0 if they are arrays, and are the same
        for all if they are numbers.
    out_axes : int, None, or tree of those
        Where the axis goes in the results; None for a result that does not depend on the batch.
    target : {"auto", "cpu", "cuda"}

    Returns
    -------
    Function
        Takes and gives arrays with one more axis.

    Raises
    ------
    ShapeError
        At the call: sizes along the batch differ, or an axis is not there.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> distance = lambda x, y: np.sqrt(np.sum((x - y) ** 2))
    >>> table = sd.vmap(sd.vmap(distance, (None, 0)), (0, None))
    >>> table(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]]))
    array([[4.],
           [5.]])
    """
    base = as_function(f, target)
    _check_axes(in_axes, "in_axes")
    _check_axes(out_axes, "out_axes")

    def build(signature: Signature) -> Trace:
        @functools.wraps(base.__wrapped__)
        def run(*args: Any, **kwargs: Any) -> Any:
            return _batched(base, in_axes, out_axes, args, kwargs)

        return trace_function(run, signature.tree, signature.leaves, name=f"vmap_{base.__name__}")

    return Function(build, f"vmap_{base.__name__}", f, target=target)


def _check_axes(axes: Any, name: str) -> None:
    for axis in flatten(axes)[0]:
        try:
            operator.index(axis)
        except TypeError:
            raise TypeError(
                at_user_line(f"{name} takes int, None, or trees of those, not {axis!r}")
            ) from None


def _batched(
    base: Function,
    in_axes: Any,
    out_axes: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Trace the function for one element, and put it into the trace for all of them."""
    leaves, tree = flatten((args, kwargs))
    axes = _argument_axes(tree, in_axes, len(args))
    axes += [0 if _rank(x) else None for x in leaves[len(axes) :]]
    moved = [
        x if axis is None or not isinstance(x, TracedArray) else _in_front(x, axis)
        for x, axis in zip(leaves, axes, strict=True)
    ]
    is_mapped = [
        axis is not None and isinstance(x, TracedArray) for x, axis in zip(moved, axes, strict=True)
    ]
    batch = _batch_size(moved, is_mapped, base.__name__)
    signature, _ = sign_traced(args, kwargs)
    specs = [
        _one_of(x, s) if m and isinstance(s, Spec) else s
        for x, s, m in zip(moved, signature.leaves, is_mapped, strict=True)
    ]
    trace = base.trace(Signature(tree, tuple(specs)))
    arrays = [
        (x, m) for x, s, m in zip(moved, specs, is_mapped, strict=True) if isinstance(s, Spec)
    ]
    made = inline(trace, [as_traced(x) for x, _ in arrays], batch, [m for _, m in arrays])
    places = _tree_axes(trace.out_tree, out_axes, "out_axes")
    outputs = [
        _placed(x, m, batch, place)
        for x, m, place in zip(made, made.is_mapped, places, strict=True)
    ]
    return unflatten(trace.out_tree, outputs)


def _rank(x: Any) -> int:
    return x.ndim if isinstance(x, TracedArray) else 0


def _argument_axes(tree: Tree, in_axes: Any, count: int) -> list[int | None]:
    """Give each leaf of the positional arguments its axis."""
    arguments = tree.children[0]
    if isinstance(in_axes, (tuple, list)) and len(in_axes) != count:
        raise ShapeError(
            at_user_line(f"in_axes has {len(in_axes)} entries for {count} positional arguments")
        )
    wanted = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    axes = _tree_axes(arguments, wanted, "in_axes")
    if all(a is None for a in axes) and not any(c.n_leaves for c in tree.children[1].children):
        raise ShapeError(at_user_line("vmap: in_axes has no axis: nothing is mapped"))
    return axes


def _tree_axes(tree: Tree, axes: Any, name: str) -> list[int | None]:
    """Spread axes over the leaves of a tree; one for a subtree goes for all of it."""
    if axes is None or not isinstance(axes, (tuple, list, dict)):
        axis = None if axes is None else operator.index(axes)
        return [axis] * tree.n_leaves
    given = flatten(axes)[1]
    if isinstance(axes, dict):
        is_like = tree.kind is not None and set(given.keys) == set(tree.keys)
        parts = [axes[k] for k in tree.keys] if is_like else []
    else:
        parts = list(axes)
        is_like = tree.kind is not None and len(parts) == len(tree.children)
    if not is_like:
        raise ShapeError(at_user_line(f"{name} {axes!r} has not the structure of the values"))
    return [
        a
        for child, part in zip(tree.children, parts, strict=True)
        for a in _tree_axes(child, part, name)
    ]


def _in_front(x: TracedArray, axis: int) -> TracedArray:
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(
            at_user_line(
                f"vmap: there is no axis {axis} in an argument of shape "
                f"{x.context.show_shape(x.shape_)}. Use in_axes=None for what is the same for all"
            )
        )
    return moveaxis(x, axis, 0)


def _batch_size(moved: Sequence[Any], is_mapped: Sequence[bool], name: str) -> Extent:
    sizes = [x.shape_[0] for x, m in zip(moved, is_mapped, strict=True) if m]
    if not sizes:
        raise ShapeError(at_user_line(f"vmap of {name}: no argument is mapped; see in_axes"))
    context = next(x for x, m in zip(moved, is_mapped, strict=True) if m).context
    for size in sizes[1:]:
        if size != sizes[0] and not context.decide(size - sizes[0], "=="):
            numbers = ", ".join(str(evaluate(s, context.values)) for s in sizes)
            raise ShapeError(
                at_user_line(f"vmap of {name}: the arguments' batches differ in size: {numbers}")
            )
    return sizes[0]


def _one_of(x: TracedArray, spec: Spec) -> Spec:
    """Describe one element of a batch."""
    shape = tuple([evaluate(e, x.context.values) for e in x.shape_[1:]])
    return Spec(shape, spec.dtype)


def _placed(x: TracedArray, is_mapped: bool, batch: Extent, place: int | None) -> Any:
    """Put the axis of the batch where it is wanted."""
    if place is None:
        if is_mapped:
            raise ShapeError(
                at_user_line("vmap: out_axes is None for a result that depends on the batch")
            )
        return x
    whole = x if is_mapped else broadcast_to(x, (batch, *x.shape_))
    if not -whole.ndim <= place < whole.ndim:
        raise ShapeError(
            at_user_line(f"vmap: out_axes {place} is not there in a result of rank {whole.ndim}")
        )
    return moveaxis(whole, 0, place)
