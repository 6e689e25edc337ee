"""Blocks while a function is traced: how one is appended, and rules written with NumPy.

A rule is said once, as plain functions of traced arrays: what the block is in terms of simpler
ones, what its tangent is, and, for an operand in which it is linear, how a cotangent goes back.
Reverse mode of the rest is the transpose of the tangent, which differentiation derives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from symdiff.errors import TracingError
from symdiff.program.affine import Affine, index
from symdiff.program.blocks import Block, Rule, core_ranks, core_shape, result_dtype
from symdiff.program.equations import WHOLE, ArrayType, Index, Read
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size, evaluate
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.finishing import finish
from symdiff.tracing.tracer import TracedArray, as_traced, elementwise

__all__ = ["TracedRule", "apply_block", "block_read", "named_block"]

MAX_KNOWN = 256
"""How many kinds of operands a rule remembers."""

Value = Callable[..., Any]
Tangent = Callable[[Block, Any, Sequence[Any], Sequence[Any]], Any]
Transpose = Callable[[Block, Sequence[Any], Any], Any]


class TracedRule:
    """Rules as functions of traced arrays; each is traced once for each kind of operands.

    Parameters
    ----------
    value : callable, optional
        ``value(block, *operands)``: the block by simpler ones. Without it targets know the block.
    tangent : callable, optional
        ``tangent(block, result, operands, tangents)``, with None for a tangent that is zero.
    transposes : Mapping, optional
        For operands in which the block is linear: ``transpose(block, operands, cotangent)``, the
        cotangent of the operand. If it is linear in all, it needs no `tangent`.
    """

    def __init__(
        self,
        value: Value | None = None,
        tangent: Tangent | None = None,
        transposes: Mapping[int, Transpose] | None = None,
    ) -> None:
        self.value = value
        self.tangent = tangent
        self.transposes = dict(transposes or {})

    @cached_property
    def _known(self) -> dict[Any, Program]:
        return {}

    def expansion(self, block: Block, types: Sequence[ArrayType]) -> Program | None:
        """Compute the block by simpler ones, from its operands."""
        value = self.value
        if value is None:
            return None
        return self._traced(block, "value", types, types, lambda *xs: value(block, *xs))

    def pushforward(
        self, block: Block, types: Sequence[ArrayType], out: ArrayType, active: Sequence[int]
    ) -> Program | None:
        """Compute the tangent, from the result, the operands, and the tangents of the active."""
        tangent = self.tangent or (
            _linear_tangent if all(k in self.transposes for k in active) else None
        )
        if tangent is None:
            return None
        count = len(types)

        def run(result: Any, *rest: Any) -> Any:
            given = dict(zip(active, rest[count:], strict=True))
            tangents = [given.get(k) for k in range(count)]
            return tangent(block, result, rest[:count], tangents)

        inputs = [out, *types, *[types[k] for k in active]]
        return self._traced(block, ("tangent", *active), types, inputs, run)

    def transpose(
        self, block: Block, types: Sequence[ArrayType], out: ArrayType, operand: int
    ) -> Program | None:
        """Compute the cotangent of an operand in which the block is linear."""
        back = self.transposes.get(operand)
        if back is None:
            return None
        return self._traced(
            block,
            ("transpose", operand),
            types,
            [*types, out],
            lambda *xs: back(block, xs[:-1], xs[-1]),
        )

    def _traced(
        self,
        block: Block,
        what: Any,
        types: Sequence[ArrayType],
        inputs: Sequence[ArrayType],
        function: Callable[..., Any],
    ) -> Program:
        """Trace a function of arrays of these types, once for each."""
        values = _example_sizes(block, types)
        key = (block, what, tuple(inputs), tuple(values.items()))
        if key not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            context = Context(f"{block.label}_rule")
            context.values = {**values}
            with context:
                arguments: list[TracedArray] = []
                for n, (shape, dtype) in enumerate(inputs):
                    name = context.add_input(f"x{n}", shape, dtype)
                    arguments.append(TracedArray(context, name, shape, dtype))
                result = as_traced(function(*arguments))
                copy = elementwise(context, COPY, [result], result.dtype_)
                if context.captured:
                    raise TracingError(
                        f"the rule of {block.label} uses a traced value of the function around "
                        "it. Pass the value as an argument"
                    )
                self._known[key] = finish(context, [copy.array], keeps_sizes=True)
        return self._known[key]


def _linear_tangent(
    block: Block, _result: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    """Apply a block that is linear in each of its operands to each tangent."""
    total: Any = None
    for k, tangent in enumerate(tangents):
        if tangent is not None:
            replaced = [tangent if n == k else x for n, x in enumerate(operands)]
            term = apply_block(block, replaced)
            total = term if total is None else total + term
    return total


def _example_sizes(block: Block, types: Sequence[ArrayType]) -> dict[str, int]:
    """What the size symbols of a block's operands were when it was traced."""
    pairs: list[tuple[Size, int]] = []
    for array_type, example in zip(types, block.examples, strict=True):
        known = zip(array_type.shape, example, strict=True)
        pairs += [(extent, value) for extent, value in known if isinstance(extent, Size)]
    values = {e.name: value for e, value in pairs if e.name is not None}
    for extent, value in pairs:
        unknown = {s for monomial, _ in extent.terms for s in monomial} - values.keys()
        for name in sorted(unknown):
            others: dict[str, int] = {**values, **dict.fromkeys(unknown, 1)}
            rest = evaluate(extent, {**others, name: 0})
            slope = evaluate(extent, {**others, name: 1}) - rest
            values[name] = max(2, (value - rest) // slope) if slope else 2
    return values


def named_block(name: str, *attributes: Any, rule: Rule | None = None) -> Block:
    """Make one of the blocks that targets know."""
    ranks, rank = core_ranks(name, attributes)
    return Block(name, ranks, rank, attributes, rule)


def apply_block(
    block: Block,
    operands: Sequence[Any],
    shape: tuple[Extent, ...] | None = None,
    dtype: str | None = None,
) -> TracedArray:
    """Append the equation of a block; leading axes of its operands broadcast.

    Parameters
    ----------
    shape, dtype
        Of the result's whole axes, and of its elements; known for the blocks that targets know.
    """
    arrays = [as_traced(x) for x in operands]
    context = active_context()
    assert context is not None
    cores = [x.shape_[x.ndim - rank :] for x, rank in zip(arrays, block.ranks, strict=True)]
    extents = context.broadcast(
        [x.shape_[: x.ndim - rank] for x, rank in zip(arrays, block.ranks, strict=True)]
    )
    core = core_shape(block, cores) if shape is None else shape
    examples = tuple([tuple([evaluate(e, context.values) for e in c]) for c in cores])
    block = Block(block.name, block.ranks, block.rank, block.attributes, block.rule, examples)
    reads = [
        block_read(context, x, rank, extents) for x, rank in zip(arrays, block.ranks, strict=True)
    ]
    element = dtype or result_dtype(block, arrays[0].dtype_)
    name = context.emit(
        block,
        reads,
        extents,
        element,
        target=(*[index(n) for n in range(len(extents))], *[WHOLE] * block.rank),
        shape=(*extents, *core),
    )
    return TracedArray(context, name, (*extents, *core), element, owns=True)


def block_read(context: Context, x: TracedArray, rank: int, extents: tuple[Extent, ...]) -> Read:
    """Read whole trailing axes, of a copy where they do not lie so in memory."""
    if not _is_whole_behind(context, x, rank):
        x = elementwise(context, COPY, [x], x.dtype_)
    lead = x.ndim - rank
    outer = TracedArray(
        context, x.array, x.shape_[:lead], x.dtype_, x.indices[: len(x.indices) - rank]
    )
    if not outer.shape_:
        return Read(x.array, (*outer.indices, *[WHOLE] * rank))
    return Read(x.array, (*context.read(outer, extents).indices, *[WHOLE] * rank))


def _is_whole_behind(context: Context, x: TracedArray, rank: int) -> bool:
    """Whether the last axes of a view are those of its array, and the others without them."""
    lead = x.ndim - rank
    memory = context.types[x.array].shape
    if rank > len(memory) or memory[len(memory) - rank :] != x.shape_[lead:]:
        return False
    front, behind = x.indices[: len(memory) - rank], x.indices[len(memory) - rank :]
    is_plain = all(isinstance(i, Affine) and i.single == lead + n for n, i in enumerate(behind))
    return is_plain and all(_loops_below(i, lead) for i in front)


def _loops_below(i: Index, limit: int) -> bool:
    if isinstance(i, Read):
        return all(_loops_below(j, limit) for j in i.indices)
    return isinstance(i, Affine) and all(k < limit for k, _ in i.terms)
