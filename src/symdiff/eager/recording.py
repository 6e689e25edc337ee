"""From a function of tensors to a Program: what it read, what it gave, and the path that it took.

A variable that is read becomes an input of the outermost trace. Where Python asks for the truth of
a tensor, the value for the arguments at hand decides, and the condition becomes an output of the
Program, a guard: a call for which it comes out otherwise belongs to another path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from symdiff.eager.devices import BUSY, CPU
from symdiff.eager.dtypes import TENSOR_DTYPES, to_array
from symdiff.eager.listeners import LISTENERS, Later
from symdiff.eager.structures import flatten, unflatten
from symdiff.eager.tensor import Tensor, TracedTensor, on_host, shape_now, traced_tensor
from symdiff.errors import ShapeError, TracingError, UnsupportedOperationError, at_user_line
from symdiff.tracing.context import active_context
from symdiff.tracing.trace import Spec, Trace, function_name, trace_function
from symdiff.tracing.tracer import TracedArray, as_traced
from symdiff.trees import Tree

__all__ = ["MAX_DECISIONS", "Recorded", "Recording", "as_trace_value", "record", "spec_of"]

MAX_DECISIONS = 1000
"""So many questions about values a path may ask: each is an output of the kernel."""


class Recording:
    """A trace of a function of tensors that is going on."""

    def __init__(self, *, refuses_variables: bool = False) -> None:
        context = active_context()
        assert context is not None
        self.context = context
        self.refuses_variables = refuses_variables
        self.guards: list[TracedArray] = []
        self.path: list[bool] = []
        self.tapes: list[Any] = []
        self.variables: dict[int, tuple[Any, str, TracedTensor]] = {}
        self.given: dict[int, Tensor] = {}
        """What stands for variables whose value is an operand of an operation on a tape."""
        self.made: list[TracedTensor] = []

    def __enter__(self) -> Self:
        LISTENERS.recordings.append(self)
        self.tapes, LISTENERS.tapes = LISTENERS.tapes, []  # which are of the world around
        BUSY.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        LISTENERS.recordings.remove(self)
        LISTENERS.tapes = self.tapes
        BUSY.remove(self)

    def add_guard(self, condition: TracedArray, is_true: bool) -> None:
        """Note how a question about a value was answered."""
        if len(self.path) >= MAX_DECISIONS:
            raise TracingError(
                at_user_line(
                    f"more than {MAX_DECISIONS} questions about values of tensors on one path; a "
                    "loop that long is for symdiff.while_loop, or outside of the function"
                )
            )
        self.guards.append(as_traced(condition))
        self.path.append(is_true)

    def read(self, variable: Any) -> Tensor:
        """Make a variable an input, once."""
        if self.refuses_variables:
            raise UnsupportedOperationError(
                at_user_line(
                    "a function with a custom gradient read a variable, or drew random numbers; "
                    "pass them to it as arguments"
                )
            )
        if id(variable) in self.given:
            return self.given[id(variable)]
        known = self.variables.get(id(variable))
        if known is None:
            shape, dtype = variable.shape, TENSOR_DTYPES[variable.dtype]
            name = self.context.add_input(variable.name, shape, dtype)
            array = TracedArray(self.context, name, shape, dtype)
            known = (variable, name, traced_tensor(array, variable.value_first()))
            self.variables[id(variable)] = known
        return known[2]


class Recorded(NamedTuple):
    """What a trace of a function of tensors has given.

    The outputs of the Program are the sum to differentiate, the results, and the guards.
    """

    trace: Trace
    out_tree: Tree
    n_results: int
    path: tuple[bool, ...]
    variables: tuple[Any, ...]
    variable_inputs: tuple[str, ...]
    captured: tuple[Later, ...]


def spec_of(tensor: Tensor) -> Spec:
    """Say what is known of a tensor."""
    return Spec(shape_now(tensor), TENSOR_DTYPES[tensor.dtype])


def as_trace_value(x: Any) -> Any:
    """Take what a tensor holds, with the sizes of now."""
    return on_host(x) if isinstance(x, Tensor) else x


def record(
    f: Callable[..., Any],
    tree: Tree,
    leaves: Sequence[Any],
    weights: Sequence[Tensor | None] | None,
) -> Recorded:
    """Run a function on traced tensors.

    Parameters
    ----------
    f : callable
    tree : Tree
        The structure ``(args, kwargs)``.
    leaves : sequence
        Its leaves; those that are tensors are traced, others are part of the function.
    weights : sequence of Tensor or None, optional
        What the results are weighted by, by default one.
    """
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    given = [w for w in weights or () if w is not None]
    every = [*tensors, *given]
    made: list[Any] = []

    def body(*values: Any) -> tuple[Any, ...]:
        with Recording() as recording:
            traced = [traced_tensor(v, _now(x)) for v, x in zip(values, every, strict=True)]
            arguments, seeds = iter(traced[: len(tensors)]), iter(traced[len(tensors) :])
            args, kwargs = unflatten(
                tree, [next(arguments) if isinstance(x, Tensor) else x for x in leaves]
            )
            result = f(*args, **kwargs)  # as it is written: values decide its branches
            results, out_tree = check_result(f, result)
            if weights is not None and len(weights) != len(results):
                raise ShapeError(
                    at_user_line(f"{len(weights)} weights were given for {len(results)} results")
                )
            chosen = [None if w is None else next(seeds) for w in weights or [None] * len(results)]
            total = _weighted_sum(results, chosen)
        made.extend([out_tree, len(results), recording])
        return (total, *results, *recording.guards)

    flat = Tree(tuple, (), (Tree(None),) * len(every))
    specs = [spec_of(x) for x in every]
    trace = trace_function(body, Tree(tuple, (), (flat, Tree(dict))), specs, name=function_name(f))
    return _recorded(trace, len(every), *made)


def _recorded(
    trace: Trace, count: int, out_tree: Tree, n_results: int, made: Recording
) -> Recorded:
    """Put the inputs in order: those given, variables that are needed, and what was captured."""
    program = trace.program
    read = {r.array for e in program.equations for r in e.reads}
    variables = [(v, n) for v, n, _ in made.variables.values()]
    kept = [(v, n) for v, n in variables if v.trainable or n in read]
    names = tuple([n for _, n in kept])
    captured = [n for n in program.inputs[count:] if n not in {n for _, n in variables}]
    program = program.replace(inputs=(*program.inputs[:count], *names, *captured))
    return Recorded(
        trace._replace(program=program),
        out_tree,
        n_results,
        tuple(made.path),
        tuple([v for v, _ in kept]),
        names,
        tuple([_later(x) for x in trace.captured]),
    )


def _later(captured: TracedArray) -> Later:
    """Find the tensor of an enclosing trace that was captured."""
    for recording in reversed(LISTENERS.recordings):
        for tensor in recording.made:
            x = as_trace_value(tensor)
            if x.context is captured.context and x.looked_at() == captured.looked_at():
                return tensor.now
    raise TracingError(at_user_line("a traced array is used that is no tensor"))


def _now(x: Tensor) -> Any:
    """Give the value, or what copies it to the host when somebody asks."""
    if isinstance(x, TracedTensor):
        return x.now
    return x.data if x.place is CPU else Later(on_host, (x,), {})


def check_result(f: Callable[..., Any], result: Any) -> tuple[list[TracedArray], Tree]:
    """Take the result of a function apart.

    Raises
    ------
    ValueError
        It is None.
    """
    if result is None:
        raise ValueError(at_user_line(f"{function_name(f)} returned None; return a tensor"))
    leaves, tree = flatten(result)
    made: list[TracedArray] = []
    for x in leaves:
        x = x.as_tensor() if hasattr(x, "as_tensor") else x  # noqa: PLW2901 - a variable's value
        value = x if isinstance(x, Tensor) else to_array(x)
        made.append(as_traced(as_trace_value(value)))
    return made, tree


def _weighted_sum(results: Sequence[TracedArray], weights: Sequence[Tensor | None]) -> Any:
    total: Any = None
    for y, w in zip(results, weights, strict=True):
        if y.dtype.kind == "f":
            weighted: Any = y if w is None else y * as_trace_value(w)
            term = np.sum(weighted)
            total = term if total is None else total + term
    return as_traced(np.float32(0)) if total is None else total
