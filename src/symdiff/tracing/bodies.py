"""What loops and branches share: bodies traced as Programs, in contexts of their own.

What a body takes from outside becomes an operand that is the same at each step; what it changes is
carried. Values that are no arrays (None, strings, functions) stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from symdiff.errors import TracingError, at_user_line
from symdiff.program.equations import WHOLE
from symdiff.program.nested import Nested, nested_block
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, symbol
from symdiff.program.splicing import size_symbols
from symdiff.tracing.buffers import Buffer
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.finishing import finish
from symdiff.tracing.local_array import LocalArray, root_of
from symdiff.tracing.rules import block_read
from symdiff.tracing.shapes import broadcast_to
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced, astype, elementwise
from symdiff.trees import Tree

__all__ = [
    "UNDEFINED",
    "ArrayKind",
    "CannotKeep",
    "Inside",
    "Place",
    "Start",
    "Undefined",
    "Unsettled",
    "add_output",
    "apply_nested",
    "blank",
    "check_aliases",
    "current_value",
    "fitted",
    "identity_sizes",
    "is_array",
    "is_mutated",
    "is_number",
    "is_same",
    "is_traced",
    "joined_kind",
    "kind_of",
    "leaf_names",
    "memory_of",
    "names_of_memory",
    "note_names",
    "step_program",
    "traced_number",
    "written_back",
]


class Undefined:
    """What stands for a variable that has no value yet."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = Undefined()


class CannotKeep(TracingError):  # noqa: N818 - it says what cannot be done
    """A loop or a branch cannot be kept as one; the message says why."""


class Unsettled(CannotKeep):
    """What a loop carries changes its type in a step, which the first step may cure."""


def is_traced(x: Any) -> bool:
    """Whether a value has none while the function is traced."""
    return isinstance(x, TracedArray) or getattr(x, "__symdiff__", None) is not None


class Inside(Context):
    """The context of a body: sizes, and what is assumed of them, are those of the trace around."""

    def __init__(self, around: Context, name: str, *, is_repeated: bool = False) -> None:
        super().__init__(name)
        self.around = around
        self.is_repeated = is_repeated or around.is_repeated
        self.values = around.values
        self.guards = around.guards
        self.reserved = around.reserved
        self._symbols = around._symbols
        self.used: list[Buffer] = []
        self.memory_outside: dict[str, Buffer] = {}
        self.data: list[np.ndarray] = []
        self.constant_names: set[str] = set()

    def _adopt(self, extent: Extent, outer: Context) -> Extent:
        return extent if outer.values is self.values else super()._adopt(extent, outer)

    def add_constant(self, data: np.ndarray) -> str:
        """Keep an array that the body has at hand, as a constant of the trace around."""
        name = self.around.add_constant(data)
        self.data.append(data)
        shape, dtype = self.around.types[name]
        mine = self.capture(TracedArray(self.around, name, shape, dtype))
        self.constant_names.add(mine)
        return mine

    def capture(self, outer: TracedArray) -> str:
        """Make an input of a value from outside."""
        self.used.append(outer.buffer)
        name = super().capture(outer)
        self.memory_outside[name] = outer.buffer
        return name


class ArrayKind(NamedTuple):
    """What a carried array is."""

    shape: tuple[Extent, ...]
    dtype: str
    is_weak: bool


def is_number(x: Any) -> bool:
    """Tell whether a value is a number."""
    return isinstance(x, (bool, int, float, np.generic))


def is_array(x: Any) -> bool:
    """Tell whether a value is, or stands for, an array."""
    return isinstance(x, (TracedArray, np.ndarray, TracedSize)) or is_traced(x)


def kind_of(x: TracedArray) -> ArrayKind:
    """Say what an array is."""
    return ArrayKind(x.shape_, x.dtype_, x.is_weak)


def traced_number(x: Any) -> TracedArray:
    """Make a tracer; a Python number keeps taking the dtype of what it meets."""
    made = as_traced(x)
    is_number = isinstance(x, (int, float)) and not isinstance(x, (bool, np.generic))
    if is_number and not made.is_weak:
        made = TracedArray(
            made.context, made.array, made.shape_, made.dtype_, made.indices, is_weak=True
        )
    return made


def is_same(a: Any, b: Any) -> bool:
    """Whether a value that is no array is unchanged."""
    if a is b:
        return True
    if type(a) is not type(b) or is_array(a) or is_array(b):
        return False
    try:
        return bool(a == b) or (a != a and b != b)  # noqa: PLR0124 - NaN
    except Exception:  # noqa: BLE001 - of the user's own class
        return False


def joined_kind(a: ArrayKind, b: ArrayKind, name: str, *, can_widen: bool = True) -> ArrayKind:
    """The type that holds both."""
    context = active_context()
    assert context is not None
    is_like = len(a.shape) == len(b.shape) and all(
        x == y or context.decide(x - y, "==") for x, y in zip(a.shape, b.shape, strict=True)
    )
    if not is_like:
        first, second = context.show_shape(a.shape), context.show_shape(b.shape)
        raise Unsettled(at_user_line(f"{name} has shape {first} at first and {second} afterwards"))
    if a.dtype == b.dtype:
        return ArrayKind(a.shape, a.dtype, a.is_weak and b.is_weak)
    examples = [_example(a), _example(b)]
    dtype = np.result_type(*examples).name
    if not can_widen and dtype != a.dtype:
        raise Unsettled(at_user_line(f"{name} is {a.dtype} at first and {b.dtype} afterwards"))
    return ArrayKind(a.shape, dtype, a.is_weak and b.is_weak)


def _example(t: ArrayKind) -> Any:
    if t.is_weak:
        return 0.0 if t.dtype.startswith("float") else 0
    return np.dtype(t.dtype)


def fitted(x: Any, t: ArrayKind) -> TracedArray:
    """Give a value the type of what carries it, in the trace that is going on."""
    made = as_traced(x)
    if made.dtype_ != t.dtype:
        made = elementwise(made.context, COPY, [made], t.dtype)
    return made if made.shape_ == t.shape else broadcast_to(made, t.shape)


def blank(t: ArrayKind) -> TracedArray:
    """Make a value for a variable that has none, which nothing reads: NaN, or zero."""
    value = math.nan if t.dtype.startswith("float") else 0
    number = astype(as_traced(value), t.dtype)
    return number if not t.shape else broadcast_to(number, t.shape)


def add_output(context: Context, x: TracedArray) -> str:
    """Name an array that is this value, no other output, and no input."""
    plain = elementwise(context, COPY, [x], x.dtype_)
    return plain.array


def step_program(
    context: Inside, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[Program, list[TracedArray]]:
    """Make the Program of a body, and give what it takes from outside."""
    captured = dict(context.captured)
    program = finish(context, list(outputs), keeps_sizes=True)
    order = [*inputs[:1], *captured, *inputs[1:]]
    return program.replace(inputs=tuple(order), guards=()), list(captured.values())


def identity_sizes(*programs: Program) -> tuple[tuple[str, Extent], ...]:
    """List the size symbols of bodies, which are those outside."""
    names = dict.fromkeys(s for p in programs for s in size_symbols(p))
    return tuple([(name, symbol(name)) for name in names])


def apply_nested(
    nested: Nested, operands: Sequence[TracedArray], wanted: Sequence[int]
) -> list[Any]:
    """Append the equations of a loop or a branch, one for each result that may be wanted."""
    context = active_context()
    assert context is not None
    types = nested.results()
    reads = [block_read(context, as_traced(x), x.ndim, ()) for x in operands]
    made: list[Any] = []
    for k in wanted:
        shape, dtype = types[k]
        block = nested_block(nested, k)
        target = (WHOLE,) * len(shape)
        name = context.emit(block, reads, (), dtype, target=target, shape=shape)
        made.append(TracedArray(context, name, shape, dtype, owns=True))
    return made


def is_mutated(inside: Any, version: int) -> bool:
    """Whether an array has been written to."""
    return isinstance(inside, TracedArray) and inside.buffer.version != version


def check_aliases(
    context: Inside, starts: Sequence[Any], is_mutated: Sequence[bool], names: Sequence[str]
) -> None:
    """Refuse to write in a body to memory that the body also sees under another name."""
    for n, (start, mutated) in enumerate(zip(starts, is_mutated, strict=True)):
        if not mutated:
            continue
        now = getattr(start, "__symdiff__", None) if isinstance(start, np.ndarray) else start
        others = [s for m, s in enumerate(starts) if m != n]
        if isinstance(now, TracedArray):
            buffers = [getattr(current_value(s), "buffer", None) for s in others]
            seen = any(b is now.buffer for b in [*context.used, *buffers])
        else:
            arrays = [s for s in [*others, *context.data] if isinstance(s, np.ndarray)]
            seen = any(np.may_share_memory(np.asarray(a), np.asarray(start)) for a in arrays)
        if seen:
            raise CannotKeep(
                at_user_line(
                    f"{names[n]} is written to, and seen under another name as well. Use one name"
                )
            )


def memory_of(x: Any) -> Buffer | None:
    """Give the memory of a traced array that could be written to."""
    now = current_value(x)
    return now.buffer if isinstance(now, TracedArray) and now.ndim else None


class Start(NamedTuple):
    """What a variable was before the loop or the branch."""

    position: int


Place: TypeAlias = int | Start | Buffer | np.ndarray
"""A result, what a variable was before, or memory outside."""


def names_of_memory(
    inside: Inside, given: Sequence[Any], leaves: Sequence[Any]
) -> list[tuple[int, Place]]:
    """Say which results are the memory of something else as well, in NumPy."""
    found: list[tuple[int, Place]] = []
    starts = [memory_of(x) for x in given]
    for n, leaf in enumerate(leaves):
        memory = memory_of(leaf)
        if n < len(given) and leaf is given[n]:
            continue
        if memory is None:
            found += [(n, leaf)] if _is_from_outside(leaf, inside) else []
            continue
        for m, start in enumerate(starts):
            if start is not None and memory.is_same(start):
                is_kept = m < len(leaves) and leaves[m] is given[m]
                found.append((n, m if is_kept else Start(m)))
        others = [memory_of(x) for x in leaves[:n]]
        found += [(n, m) for m, x in enumerate(others) if x is not None and memory.is_same(x)]
        now = current_value(leaf)
        outside = inside.memory_outside.get(memory.array) if now.context is inside else memory
        if outside is not None:
            found.append((n, outside))
    return found


def _is_from_outside(x: Any, inside: Inside) -> bool:
    if isinstance(x, LocalArray):
        return root_of(x).home is not inside
    return isinstance(x, np.ndarray) and x.ndim > 0


def note_names(
    pairs: Sequence[tuple[int, Place]], starts: Sequence[Any], results: Sequence[Any]
) -> None:
    """Let nobody write to what is one array in NumPy and two here, while both are in use."""
    for n, other in pairs:
        mine = memory_of(results[n])
        if isinstance(other, Buffer):
            second: Buffer | None = other
        else:
            named = other
            if not isinstance(other, np.ndarray):
                named = starts[other.position] if isinstance(other, Start) else results[other]
            if isinstance(named, LocalArray) and memory_of(named) is None:
                named[...] = as_traced(named)  # so that writing to it is noticed
            second = memory_of(named)
        if mine is not None and second is not None and mine is not second:
            mine.alias(second)
        elif mine is not None and second is None:
            mine.refusal = OUTSIDE


OUTSIDE = (
    "assignment into what may be an array from outside the function. Work on a copy: y = x.copy()"
)


def current_value(x: Any) -> Any:
    """Give what an array of the function's own has become."""
    now = getattr(x, "__symdiff__", None)
    return x if now is None else now


def written_back(start: Any, result: TracedArray) -> Any:
    """Write to what was there before, so that all views of it see the new values."""
    start[...] = result
    return start


def leaf_names(tree: Tree, names: Sequence[str]) -> list[str]:
    """Name every leaf of a state, a tuple with one entry a name."""
    if names and len(names) == len(tree.children):
        parts = zip(names, tree.children, strict=True)
        return [path for name, child in parts for path in child.paths(name)]
    return [f"state_{n}" if tree.n_leaves > 1 else "state" for n in range(tree.n_leaves)]
