"""From a Python function and the types of its arguments to a Program."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import DTypeError, TracingError
from symdiff.program.affine import identity
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size, evaluate
from symdiff.tracing.assignment import add_at, setitem, settle, subtract_at
from symdiff.tracing.buffers import ARGUMENT, Buffer
from symdiff.tracing.context import Context
from symdiff.tracing.conversion import convert
from symdiff.tracing.dispatch import FUNCTIONS, METHODS
from symdiff.tracing.finishing import finish
from symdiff.tracing.numpy_functions import FUNCTION_TABLE, UFUNC_METHODS
from symdiff.tracing.numpy_names import imported_scipy, traced_names
from symdiff.tracing.static_values import static_value
from symdiff.tracing.tracer import TracedArray, as_traced, elementwise
from symdiff.tracing.writing import WRITING
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["Spec", "Static", "Trace", "input_names", "matches", "trace_function"]

# Tracers look these up at run time, since they cannot import what imports them (see `dispatch`).
FUNCTIONS.update({operator.setitem: setitem, Buffer: settle})
FUNCTIONS[np.ndarray.__array__] = static_value
FUNCTIONS.update({**FUNCTION_TABLE, **WRITING})
METHODS.update({(np.add, "at"): add_at, (np.subtract, "at"): subtract_at})
METHODS.update(UFUNC_METHODS)


class Spec(NamedTuple):
    """What is known of an array argument before its values.

    ``is_weak`` marks a Python number, which takes the dtype of what it meets.
    """

    shape: tuple[int, ...]
    dtype: str
    is_weak: bool = False
    is_leaf = True


class Static(NamedTuple):
    """An argument that is part of the function rather than data: a string, a flag."""

    value: Any
    kind: type
    is_leaf = True


class Trace(NamedTuple):
    """A Program, and how its outputs make the result of the function.

    ``captured`` are values of an enclosing trace; they are the Program's last inputs.
    """

    program: Program
    out_tree: Tree
    captured: tuple[TracedArray, ...] = ()


def input_names(function: Callable[..., Any], in_tree: Tree) -> list[str]:
    """Name every leaf of the arguments ``(args, kwargs)`` after the function's parameters."""
    args_tree, kwargs_tree = in_tree.children
    n_args = len(args_tree.children)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), None)
    if not parameters:
        names = list("xyzuvw")
    extra = [f"{rest or 'x'}{n}" for n in range(n_args)]
    names = (names + extra)[:n_args] if len(names) < n_args else names[:n_args]
    names += list(kwargs_tree.keys)
    children = [*args_tree.children, *kwargs_tree.children]
    return [p for name, child in zip(names, children, strict=True) for p in child.paths(name)]


def trace_function(
    function: Callable[..., Any],
    in_tree: Tree,
    leaves: Sequence[Spec | Static],
    *,
    name: str | None = None,
) -> Trace:
    """Run a function on tracers and collect its equations.

    Parameters
    ----------
    function : callable
        Takes the arguments whose structure ``(args, kwargs)`` is `in_tree`.
    leaves : sequence of Spec or Static
        One for each leaf. Leading axes longer than 1 become symbolic sizes, the same symbol for
        the same length.
    name : str, optional
        The Program's name.
    """
    title = name or function_name(function)
    imported = imported_scipy()
    try:
        return _traced(function, in_tree, leaves, title)
    except Exception:
        if imported_scipy() == imported:
            raise
        # The function was the first to import these: now they give way to ours.
        return _traced(function, in_tree, leaves, title)


def _traced(
    function: Callable[..., Any], in_tree: Tree, leaves: Sequence[Spec | Static], title: str
) -> Trace:
    context = Context(title)
    arguments: list[Any] = []
    names = input_names(function, in_tree)
    context.reserved = frozenset(names)
    with context, traced_names(function) as called:
        for wanted, spec in zip(names, leaves, strict=True):
            if isinstance(spec, Static):
                arguments.append(spec.value)
                continue
            shape = _symbolic_shape(context, spec.shape)
            array = context.add_input(wanted, shape, spec.dtype)
            argument = TracedArray(context, array, shape, spec.dtype, is_weak=spec.is_weak)
            argument.buffer.refusal = ARGUMENT
            arguments.append(argument)
        args, kwargs = unflatten(in_tree, arguments)
        try:
            result = convert(called)(*args, **kwargs)
        except (ValueError, TypeError) as error:
            # NumPy hides why a traced value cannot go into a plain array.
            if isinstance(error.__cause__, TracingError):
                raise TracingError(
                    f"{error}: a traced value cannot be written into an array from outside, or "
                    f"made a number. Make the array inside the function.\n{error.__cause__}"
                ) from error
            raise
        outputs, out_tree = _collect_outputs(context, result, title)
    return Trace(finish(context, outputs), out_tree, tuple(context.captured.values()))


def function_name(function: Callable[..., Any]) -> str:
    """Name a function for printing."""
    name = getattr(function, "__name__", "f")
    return name if name.isidentifier() else "f"


def _symbolic_shape(context: Context, shape: tuple[int, ...]) -> tuple[Extent, ...]:
    if not shape or shape[0] == 0:
        return tuple(shape)
    return (context.leading_symbol(shape[0]), *shape[1:])


def _collect_outputs(context: Context, result: Any, name: str) -> tuple[list[str], Tree]:
    if isinstance(result, np.ndarray) and result.dtype == object:
        result = as_traced(result)
    leaves, out_tree = flatten(result)
    if not leaves:
        raise DTypeError(
            f"{name} returned {result!r}: a traced function returns an array, a number, or a "
            "tree of those"
        )
    outputs: list[str] = []
    for value in leaves:
        traced = as_traced(value)
        is_array = (
            traced.owns
            and traced.indices == identity(traced.ndim)
            and context.types[traced.array].shape == traced.shape_
            and traced.array not in context.inputs
            and traced.array not in outputs
        )
        if not is_array:
            traced = elementwise(context, COPY, [traced], traced.dtype_)
        outputs.append(traced.array)
    return outputs, out_tree


def matches(program: Program, names: Sequence[str], specs: Sequence[Spec]) -> bool:
    """Whether a Program that was traced for other sizes holds for these."""
    sizes: dict[str, int] = {}
    pairs: list[tuple[Extent, int]] = []
    for name, leaf in zip(names, specs, strict=True):
        shape = program.types[name].shape
        if len(shape) != len(leaf.shape):
            return False
        pairs += zip(shape, leaf.shape, strict=True)
    for extent, actual in pairs:  # sizes that are a symbol say what it is, the others must agree
        name = extent.name if isinstance(extent, Size) else None
        if name is not None and (actual < 1 or sizes.setdefault(name, actual) != actual):
            return False
    if any(evaluate(extent, sizes) != actual for extent, actual in pairs):
        return False
    return all(guard.holds(sizes) for guard in program.guards)
