"""Putting a traced function into the trace that is going on: once, or once for each of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.program.affine import identity, index
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size, put_sizes
from symdiff.program.splicing import Binding, splice
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.trace import Trace
from symdiff.tracing.tracer import TracedArray, as_traced, elementwise

__all__ = ["Inlined", "inline"]


class Inlined(Sequence[TracedArray]):
    """The outputs of a function that was put into a trace.

    Attributes
    ----------
    is_mapped : list of bool
        Which of them depend on the batch, and have its axis in front.
    """

    def __init__(self, outputs: list[TracedArray], is_mapped: list[bool]) -> None:
        self.outputs = outputs
        self.is_mapped = is_mapped

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, n):  # type: ignore[no-untyped-def]
        return self.outputs[n]


def inline(
    trace: Trace,
    arguments: Sequence[TracedArray],
    batch: Extent | None = None,
    is_mapped: Sequence[bool] = (),
) -> Inlined:
    """Append the equations of a traced function to the trace that is going on.

    Parameters
    ----------
    arguments : sequence of TracedArray
        One for each input that is not captured. Those of a batch have its axis in front.
    batch : Extent, optional
        How often to do it at once.
    is_mapped : sequence of bool
        Which arguments have the axis of the batch.
    """
    context = active_context()
    assert context is not None
    program = trace.program
    inputs = [*arguments, *[as_traced(x, context) for x in trace.captured]]
    mapped = [*is_mapped, *[False] * (len(inputs) - len(is_mapped))]
    sizes: dict[str, Extent] = {}
    bound: dict[str, Binding] = {}
    for name, value, has_batch in zip(program.inputs, inputs, mapped, strict=True):
        _match(context, program, name, value.shape_[has_batch:], sizes)
        array = _whole(context, value, program.types[name].dtype)
        bound[name] = Binding(array, (index(0),) if has_batch else ())
    for guard in program.guards:
        context.decide(put_sizes(guard.size, sizes), guard.relation)
    for name, data in program.constants.items():
        bound[name] = Binding(context.add_constant(data))

    def new_array(wanted: str, shape: tuple[Extent, ...], dtype: str) -> str:
        del wanted  # it is named by the line that it comes from
        return context.new_array(shape, dtype)

    extents = () if batch is None else (batch,)
    equations, bindings = splice(program, bound, extents, new_array, sizes)
    context.equations += equations
    outputs: list[TracedArray] = []
    for name in program.outputs:
        shape, dtype = context.types[bindings[name].array]
        outputs.append(TracedArray(context, bindings[name].array, shape, dtype, owns=True))
    return Inlined(outputs, [bool(bindings[name].lead) for name in program.outputs])


def _match(
    context: Context,
    program: Program,
    name: str,
    shape: Sequence[Extent],
    sizes: dict[str, Extent],
) -> None:
    """Find the sizes of an input, and take for granted what was when it was traced."""
    for mine, theirs in zip(program.types[name].shape, shape, strict=True):
        if isinstance(mine, Size) and mine.name is not None:
            mine = sizes.setdefault(mine.name, theirs)  # noqa: PLW2901 - what it is here
        elif isinstance(mine, Size):
            mine = put_sizes(mine, sizes)  # noqa: PLW2901
        if mine != theirs:
            context.decide(theirs - mine, "==")


def _whole(context: Context, value: TracedArray, dtype: str) -> str:
    """Name the array that a value is, or a copy of it."""
    is_whole = context.types[value.array].shape == value.shape_
    if is_whole and value.indices == identity(value.ndim) and value.dtype_ == dtype:
        return value.array
    return elementwise(context, COPY, [value], dtype).array
