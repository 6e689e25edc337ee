"""Blocks that hold Programs: loops, branches, and Programs of which a size is computed.

A loop has several results. Each is an equation of its own, whose block says which result it is;
equations of the same loop with the same operands are one group, which differentiation treats as
one and targets run once. Nothing depends on their being together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from symdiff.program.blocks import Block
from symdiff.program.sizes import Extent, put_sizes

if TYPE_CHECKING:
    from symdiff.program.equations import ArrayType, Equation
    from symdiff.program.program import Program

__all__ = [
    "Branch",
    "Loop",
    "Nested",
    "Run",
    "group_key",
    "group_members",
    "nested_block",
    "nested_of",
    "result_number",
]


@dataclass(frozen=True)
class Nested:
    """What the blocks have in common.

    Attributes
    ----------
    sizes : tuple of (str, Extent)
        What the size symbols of the Programs inside are outside.
    """

    sizes: tuple[tuple[str, Extent], ...]

    kind = ""

    @property
    def programs(self) -> tuple[Program, ...]:
        """The Programs inside."""
        raise NotImplementedError

    def with_programs(self, programs: Sequence[Program]) -> Self:
        """Hold other Programs with the same inputs and outputs."""
        raise NotImplementedError

    def map_sizes(self, size: Callable[[Extent], Extent]) -> Self:
        """Put other sizes in for those outside."""
        return replace(self, sizes=tuple([(name, size(e)) for name, e in self.sizes]))

    def results(self) -> list[ArrayType]:
        """The types of the results, in the sizes outside."""
        raise NotImplementedError

    def outside(self, array_type: ArrayType) -> ArrayType:
        """Say a type in the sizes outside."""
        known = dict(self.sizes)
        return array_type._replace(shape=tuple([put_sizes(e, known) for e in array_type.shape]))

    def operand_types(self) -> list[ArrayType]:
        """The types of the operands, in the sizes inside."""
        raise NotImplementedError


@dataclass(frozen=True)
class Loop(Nested):
    """Repeat a step.

    Inputs of the step are its number, what is the same at each step (`n_shared` arrays), and what
    is carried from step to step (`n_carried`); outputs are the carried arrays and those that are
    stacked along a new first axis. Operands are the limit, if there is one, the shared arrays and
    those that are carried into the first step; results are what is carried out of the last one,
    what is stacked, and the number of steps that were done.

    Attributes
    ----------
    step : Program
    n_shared, n_carried : int
    count : Extent or None
        How many steps, where the sizes tell.
    has_limit : bool
        Whether the first operand is the largest number of steps.
    has_condition : bool
        Whether steps are done only while the first carried array, a Boolean, is true.
    is_reversed : bool
        Whether the last step is done first.
    """

    step: Program
    n_shared: int
    n_carried: int
    count: Extent | None = None
    has_limit: bool = False
    has_condition: bool = False
    is_reversed: bool = False

    kind = "loop"

    @property
    def programs(self) -> tuple[Program, ...]:
        """The Programs inside."""
        return (self.step,)

    def with_programs(self, programs: Sequence[Program]) -> Self:
        """Hold other Programs with the same inputs and outputs."""
        return replace(self, step=programs[0])

    def map_sizes(self, size: Callable[[Extent], Extent]) -> Self:
        """Put other sizes in for those outside."""
        mapped = super().map_sizes(size)
        return mapped if self.count is None else replace(mapped, count=size(self.count))

    @property
    def shared(self) -> tuple[str, ...]:
        """The step's inputs that are the same at each step."""
        return self.step.inputs[1 : 1 + self.n_shared]

    @property
    def carried(self) -> tuple[str, ...]:
        """The step's inputs that are carried."""
        return self.step.inputs[1 + self.n_shared :]

    @property
    def carried_out(self) -> tuple[str, ...]:
        """The step's outputs that are carried."""
        return self.step.outputs[: self.n_carried]

    @property
    def stacked(self) -> tuple[str, ...]:
        """The step's outputs that are stacked."""
        return self.step.outputs[self.n_carried :]

    def results(self) -> list[ArrayType]:
        """The types of the results, in the sizes outside."""
        types = self.step.types
        found = [self.outside(types[name]) for name in self.step.outputs]
        for k in range(self.n_carried, len(found)):
            assert self.count is not None
            found[k] = found[k]._replace(shape=(self.count, *found[k].shape))
        return [*found, types[self.step.inputs[0]]]

    def operand_types(self) -> list[ArrayType]:
        """The types of the operands, in the sizes inside."""
        types = self.step.types
        number = [types[self.step.inputs[0]]] if self.has_limit else []
        return [*number, *[types[name] for name in self.step.inputs[1:]]]


@dataclass(frozen=True)
class Branch(Nested):
    """Run one of two Programs of the same inputs and outputs.

    The first operand is a Boolean, the others are the inputs; results are the outputs.
    """

    on_true: Program
    on_false: Program

    kind = "branch"

    @property
    def programs(self) -> tuple[Program, ...]:
        """The Programs inside."""
        return (self.on_true, self.on_false)

    def with_programs(self, programs: Sequence[Program]) -> Self:
        """Hold other Programs with the same inputs and outputs."""
        return replace(self, on_true=programs[0], on_false=programs[1])

    def results(self) -> list[ArrayType]:
        """The types of the results, in the sizes outside."""
        return [self.outside(self.on_true.types[name]) for name in self.on_true.outputs]

    def operand_types(self) -> list[ArrayType]:
        """The types of the operands, in the sizes inside."""
        types = self.on_true.types
        truth = types[self.on_true.outputs[0]]._replace(shape=(), dtype="bool")
        return [truth, *[types[name] for name in self.on_true.inputs]]


@dataclass(frozen=True)
class Run(Nested):
    """Run a Program in which the size `symbol` is the value of its first input.

    Operands are its inputs, results its outputs.
    """

    program: Program
    symbol: str

    kind = "run"

    @property
    def programs(self) -> tuple[Program, ...]:
        """The Programs inside."""
        return (self.program,)

    def with_programs(self, programs: Sequence[Program]) -> Self:
        """Hold other Programs with the same inputs and outputs."""
        return replace(self, program=programs[0])

    def results(self) -> list[ArrayType]:
        """The types of the results, in the sizes outside."""
        return [self.outside(self.program.types[name]) for name in self.program.outputs]

    def operand_types(self) -> list[ArrayType]:
        """The types of the operands, in the sizes inside."""
        return [self.program.types[name] for name in self.program.inputs]


def nested_block(nested: Nested, number: int) -> Block:
    """Make the block that is one result of a loop, a branch or a run."""
    ranks = tuple([len(t.shape) for t in nested.operand_types()])
    return Block(nested.kind, ranks, len(nested.results()[number].shape), (nested, number))


def nested_of(pattern: Any) -> Nested | None:
    """Give what a block does that holds Programs, None for everything else."""
    if isinstance(pattern, Block) and pattern.attributes:
        first = pattern.attributes[0]
        return first if isinstance(first, Nested) else None
    return None


def result_number(equation: Equation) -> int:
    """Tell which result of its loop, branch or run an equation is."""
    assert isinstance(equation.pattern, Block)
    return equation.pattern.attributes[1]


def group_key(equation: Equation) -> Any:
    """Tell groups apart: equations of one loop with the same operands and loops around it."""
    return (nested_of(equation.pattern), equation.operands, equation.extents)


def group_members(equations: Iterable[Equation]) -> dict[Any, list[Equation]]:
    """Find all groups, each with its equations in order."""
    groups: dict[Any, list[Equation]] = {}
    for equation in equations:
        if nested_of(equation.pattern) is not None:
            groups.setdefault(group_key(equation), []).append(equation)
    return groups
