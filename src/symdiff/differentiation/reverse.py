"""Reverse mode: cotangents of outputs become cotangents of inputs.

The equations are walked backwards. A read ``A[rho(i)]`` in the body of an equation with target
``out[sigma(i)]`` gives one equation of the same loops, ::

    dA[rho(i)] += dout[sigma(i)] * (partial derivative of the body)

whatever the index maps are. Where a condition chose another branch, the cotangent is zero and the
partial derivative may be anything; the condition is carried along as a *guard* and stands outermost
in every term behind it, so that zero times infinity never happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from symdiff.differentiation.loops import pull_nested
from symdiff.differentiation.terms import (
    COPY,
    Builder,
    active_reads,
    at,
    depends_on,
    guarded,
    has_out,
    is_float,
    whole_types,
    without_rule,
)
from symdiff.errors import TracingError, UnsupportedOperationError
from symdiff.program.affine import identity
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Literal, Read, Whole
from symdiff.program.nested import group_key, group_members, nested_of
from symdiff.program.program import Program, remove_dead_equations
from symdiff.program.sizes import Extent
from symdiff.program.splicing import Binding, make_room, shifted

__all__ = ["gradient", "is_block", "pullback", "reverse_jacobian"]


class Reverse(Builder):
    """One backward walk; `batch` is the shape of the outputs when all are seeded at once."""

    def __init__(self, program: Program, wrt: Sequence[str], batch: Sequence[Extent] = ()) -> None:
        super().__init__(program)
        self.wrt = wrt
        self.batch = tuple(batch)
        self.active = depends_on(program, wrt)
        self.adjoints: dict[str, str] = {}
        self.ones: set[str] = set()
        self.identity_seeds: set[str] = set()

    def adjoint(self, array: str) -> str:
        """The array of cotangents of an array, made when first asked for."""
        if array not in self.adjoints:
            shape, dtype = self.program.types[array]
            self.adjoints[array] = self.new_array(f"d{array}", (*self.batch, *shape), dtype)
        return self.adjoints[array]

    def walk(self) -> None:
        """Append the equations of all cotangents."""
        groups = group_members(self.program.equations) if self.program.has_blocks else {}
        for equation in reversed(self.program.equations):
            array = equation.array
            if groups and nested_of(equation.pattern) is not None:
                members = groups[group_key(equation)]
                if equation is members[0]:  # what reads any of them comes behind the first
                    pull_nested(self, members, pullback)
                continue
            if array in self.active and (array in self.adjoints or array in self.ones):
                self._visit(equation, seeded=False)
            if array in self.identity_seeds and array in self.active:
                self._visit(equation, seeded=True)

    def _visit(self, equation: Equation, *, seeded: bool) -> None:
        reads = active_reads(self.program, equation, self.active)
        if not reads:
            return
        if isinstance(equation.pattern, Block):
            assert not seeded
            self._pull_block(equation, equation.pattern, [k for k, _ in reads])
            return
        guard = self.guard(equation.array)
        out = Read(equation.array, equation.target) if has_out(self.program, equation) else None
        for k, read in reads:
            self._contribute(equation, k, read, guard, out, seeded=seeded)

    def _contribute(
        self,
        equation: Equation,
        k: int,
        read: Read,
        guard: Read | None,
        out: Read | None,
        *,
        seeded: bool,
    ) -> None:
        is_one = seeded or equation.array in self.ones
        rank = 0 if is_one else len(self.batch)
        here = equation
        if rank:
            here = make_room(equation, rank)
            out = out and Read(out.array, shifted(out.indices, rank))
        cotangent = None
        if not is_one:
            front = (*identity(rank), *here.target) if rank else here.target
            cotangent = Read(self.adjoints[equation.array], front)
        term = self.term(here, k, cotangent, out, equation)
        if term is None:
            return
        body, operands, reads_values = term
        here_guard = at(guard, equation.target)
        self.note_condition(read.array, read.indices, equation, k, here_guard)
        if here_guard is not None and reads_values:
            body = guarded(body)
            operands.append(Read(here_guard.array, shifted(here_guard.indices, rank)))
        source = here.operands[k]
        assert isinstance(source, Read)
        target, extents = source.indices, equation.extents
        if rank or seeded:
            target = (*(equation.target if seeded else identity(rank)), *target)
            extents = (*self.batch[:rank], *extents)
        self.add(self.adjoint(read.array), target, body, operands, extents, equation)

    def _pull_block(self, equation: Equation, block: Block, active: Sequence[int]) -> None:
        """Add what a block's rules say its operands' cotangents are."""
        rank = len(self.batch)
        types, out = whole_types(self.program, equation)
        here = make_room(equation, rank)
        lead = tuple([i for i in here.target if not isinstance(i, Whole)])
        operands = [
            Binding(o.array, tuple([i for i in o.indices if not isinstance(i, Whole)]))
            for o in here.operands
            if isinstance(o, Read)
        ]
        result = Binding(equation.array, lead)
        cotangent = Binding(self.adjoint(equation.array), (*identity(rank), *lead))
        extents = (*self.batch, *here.extents)
        for program, sources, given in cotangent_programs(equation, block, types, out, active):
            arguments = [*([result] if given else []), *operands, cotangent]
            given_types = [*([out] if given else []), *types, out]
            shapes = [t.shape for t in given_types]
            made = self.splice(program, arguments, shapes, extents, equation)
            for k, binding in zip(sources, made, strict=True):
                self._add_whole(here, k, binding, extents)

    def _add_whole(
        self, here: Equation, k: int, binding: Binding, extents: tuple[Extent, ...]
    ) -> None:
        """Add a cotangent that has been computed for all of an operand."""
        operand = here.operands[k]
        assert isinstance(operand, Read)
        rank = len(self.batch)
        lead = [i for i in operand.indices if not isinstance(i, Whole)]
        width = self.program.types[operand.array].shape[len(lead) :]
        inner = identity(len(extents) + len(width))[len(extents) :]
        source = Read(binding.array, (*binding.lead, *inner))
        target = (*identity(rank), *lead, *inner)
        self.conditions.setdefault(operand.array, []).append(None)
        self.add(self.adjoint(operand.array), target, COPY, [source], (*extents, *width), here)

    def finish(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Program:
        """Make the Program whose outputs are `outputs` and then the cotangents of ``wrt``."""
        results = list(outputs)
        for array in self.wrt:
            shape, dtype = self.program.types[array]
            if array in self.adjoints:
                results.append(self.adjoints[array])
                continue
            zero = self.new_array(f"d{array}", (*self.batch, *shape), dtype)
            extents = (*self.batch, *shape)
            self.equations.append(
                Equation(
                    zero, identity(len(extents)), "=", COPY, (Literal(0, dtype),), extents, None
                )
            )
            results.append(zero)
        return self.finish_program(name, inputs, results)


_in_progress: ContextVar[tuple[Any, ...]] = ContextVar("_in_progress", default=())


@contextmanager
def _transposing(block: Block, operands: Sequence[int]) -> Iterator[None]:
    """Transpose a block's tangent, which may contain the block itself only where that ends."""
    key = (block, tuple(operands))
    if key in _in_progress.get():
        raise UnsupportedOperationError(
            f"the tangent of {block.label} calls {block.label} itself on a tangent, so that it has "
            "no transpose. Say how a cotangent goes back through the arguments in which it is "
            "linear, with transposes="
        )
    token = _in_progress.set((*_in_progress.get(), key))
    try:
        yield
    finally:
        _in_progress.reset(token)


def cotangent_programs(
    equation: Equation,
    block: Block,
    types: Sequence[ArrayType],
    out: ArrayType,
    active: Sequence[int],
) -> Iterator[tuple[Program, Sequence[int], bool]]:
    """Derive a block's reverse rule: where it is linear by transposing it, else its tangent.

    Yields
    ------
    program, operands, takes_result
        From the result (if `takes_result`), the operands and the result's cotangent to the
        cotangents of these operands.
    """
    rest: list[int] = []
    for k in active:
        program = block.rule.transpose(block, types, out, k) if block.rule else None
        if program:
            yield program, [k], False
        else:
            rest.append(k)
    if not rest:
        return
    forward = block.rule.pushforward(block, types, out, rest) if block.rule else None
    if not forward:
        raise without_rule(equation)
    tangents = forward.inputs[1 + len(types) :]
    with _transposing(block, rest):
        program, cotangents = pullback(forward, tangents)
    (cotangent,) = cotangents.values()
    kept = (*forward.inputs[: 1 + len(types)], cotangent)
    needed = remove_dead_equations(program)
    if any(r.array in tangents for e in needed.equations for r in e.reads):
        raise TracingError(f"the rule of {block.label} is not linear in its tangents")
    yield needed.replace(inputs=kept), rest, True


def gradient(program: Program, wrt: Sequence[str], outputs: Sequence[str] = ()) -> Program:
    """Differentiate a scalar program.

    Parameters
    ----------
    program : Program
        Its first output is the scalar to differentiate.
    wrt : sequence of str
        Inputs to differentiate by.
    outputs : sequence of str
        Outputs of the function to give as well, in front.

    Returns
    -------
    Program
        With outputs `outputs`, then one gradient for each of `wrt`, shaped like it.
    """
    walk = Reverse(program, wrt)
    scalar = program.outputs[0]
    is_read = any(r.array == scalar for e in program.equations for r in e.reads)
    if is_read or is_block(program, scalar):
        seed = walk.adjoint(scalar)
        walk.conditions[scalar] = [None]
        one = Literal(1, program.types[scalar].dtype)
        walk.equations.append(Equation(seed, (), "=", COPY, (one,), ()))
    else:
        walk.ones.add(scalar)
        walk.conditions[scalar] = [None]
    walk.walk()
    return walk.finish(f"grad_{program.name}", program.inputs, outputs)


def pullback(
    program: Program,
    wrt: Sequence[str],
    outputs: Sequence[str] | None = None,
    starts: Sequence[str] = (),
) -> tuple[Program, dict[str, str]]:
    """Make the Program from inputs and cotangents of the outputs to cotangents of the inputs.

    Parameters
    ----------
    outputs : sequence of str, optional
        The outputs that have cotangents; by default all floating ones.
    starts : sequence of str
        Those of `wrt` whose cotangent is added to one that is given.

    Returns
    -------
    Program
        Inputs: those of the function, one array for each of `starts`, then one cotangent for each
        output. Outputs: the cotangents of `wrt`.
    cotangents : dict
        The name of each output's cotangent.
    """
    walk = Reverse(program, wrt)
    cotangents: dict[str, str] = {}
    begun: list[str] = []
    for array in starts:
        shape, dtype = program.types[array]
        whole = identity(len(shape))
        begun.append(walk.new_array(f"start_{array}", shape, dtype))
        walk.conditions[array] = [None]
        read = Read(begun[-1], whole)
        walk.equations.append(
            Equation(walk.adjoint(array), whole, "+=", COPY, (read,), tuple(shape))
        )
    floating = [o for o in dict.fromkeys(program.outputs) if is_float(program, o)]
    for array in floating if outputs is None else outputs:
        shape, dtype = program.types[array]
        given = walk.new_array(f"cotangent_{array}", shape, dtype)
        cotangents[array] = given
        seed = walk.adjoint(array)
        walk.conditions[array] = [None]
        walk.equations.append(
            Equation(
                seed,
                identity(len(shape)),
                "+=",
                COPY,
                (Read(given, identity(len(shape))),),
                tuple(shape),
            )
        )
    walk.walk()
    inputs = [*program.inputs, *begun, *cotangents.values()]
    return walk.finish(f"pullback_{program.name}", inputs, ()), cotangents


def is_block(program: Program, array: str) -> bool:
    """Whether an array is the result of a block."""
    made = program.contributions.get(array, ())
    return any(isinstance(e.pattern, Block) for e in made)


def reverse_jacobian(program: Program, output: str, wrt: Sequence[str]) -> Program:
    """Differentiate every element of one output at once: shapes output + input."""
    walk = Reverse(program, wrt, batch=program.types[output].shape)
    is_read = any(r.array == output for e in program.equations for r in e.reads)
    assert not is_read, "an output that is read has been copied by the caller"
    assert not is_block(program, output), "so has the result of a block"
    walk.identity_seeds.add(output)
    walk.conditions[output] = [None]
    walk.walk()
    return walk.finish(f"jacobian_{program.name}", program.inputs, ())
