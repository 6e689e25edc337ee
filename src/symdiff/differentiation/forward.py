"""Forward mode: tangents of inputs become tangents of outputs.

The equations are walked in order; each read with a tangent gives one equation of the same loops, ::

    tout[sigma(i)] += (partial derivative of the body) * tA[rho(i)]

A seed says what an input's tangent is: an array (`pushforward`), one, a unit vector, or every unit
vector at once. The last is no array either: the index map of the read becomes part of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from symdiff.differentiation.loops import push_nested
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
from symdiff.program.affine import Affine, constant, identity
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Index, Literal, Operand, Read, Whole
from symdiff.program.nested import group_key, group_members, nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent
from symdiff.program.splicing import Binding, make_room, shifted

__all__ = ["Direction", "constant_positions", "forward_jacobian", "jacobian_columns", "pushforward"]

Position = tuple[int, ...]


class Direction(NamedTuple):
    """One element of one input: the direction of a column of a Jacobian."""

    array: str
    position: Position


class Forward(Builder):
    """Forward walks over one Program; `batch` as in `Reverse`, for seeds of every unit vector."""

    def walk(
        self,
        seeds: Mapping[str, str | Position | None],
        batch: Sequence[Extent] = (),
        prefix: str = "d",
    ) -> dict[str, str]:
        """Append the equations of the tangents.

        Parameters
        ----------
        seeds : Mapping
            For each input with a tangent: the name of the array that it is, a position for the
            unit vector there, or None for all unit vectors, over `batch`.

        Returns
        -------
        dict
            The name of the tangent of each array that has one.
        """
        self.forget_conditions()
        active = depends_on(self.program, seeds)
        tangents = {a: seed for a, seed in seeds.items() if isinstance(seed, str)}
        groups = group_members(self.program.equations)
        for equation in self.program.equations:
            if nested_of(equation.pattern) is not None:
                members = groups[group_key(equation)]
                if equation is members[0]:
                    push_nested(self, members, seeds, tangents, batch, prefix, pushforward)
                continue
            if isinstance(equation.pattern, Block):
                self._push_block(equation, equation.pattern, seeds, tangents, batch, prefix)
                continue
            for k, read in active_reads(self.program, equation, active):
                seed = seeds.get(read.array)
                if read.array in tangents:
                    self._contribute(equation, k, read, tangents, batch, prefix)
                elif read.array in seeds and (seed is None or _hits(read, seed)):
                    front = read.indices if seed is None else ()
                    self._contribute(equation, k, read, tangents, batch, prefix, front)
        return tangents

    def _contribute(
        self,
        equation: Equation,
        k: int,
        read: Read,
        tangents: dict[str, str],
        batch: Sequence[Extent],
        prefix: str,
        front: Sequence[Index] | None = None,
    ) -> None:
        """Add one term of a tangent; `front` is where a unit vector points, None without one."""
        rank = len(batch) if front is None else 0
        here = make_room(equation, rank)
        cotangent: Operand | None = None
        if front is None:
            moved = here.operands[k]
            assert isinstance(moved, Read)
            front = identity(rank)
            cotangent = Read(tangents[read.array], (*front, *moved.indices))
        out = Read(here.array, here.target) if has_out(self.program, equation) else None
        term = self.term(here, k, cotangent, out, equation)
        if term is None:
            return
        body, operands, reads_values = term
        guard = self.guard(read.array)
        here_guard = at(guard, read.indices)
        if here_guard is not None and reads_values:
            body = guarded(body)
            operands.append(Read(here_guard.array, shifted(here_guard.indices, rank)))
        if equation.array not in tangents:
            shape, dtype = self.program.types[equation.array]
            name = self.new_array(f"{prefix}{equation.array}", (*batch, *shape), dtype)
            tangents[equation.array] = name
        self.note_condition(equation.array, equation.target, equation, k, here_guard)
        extents = (*batch[:rank], *equation.extents)
        self.add(
            tangents[equation.array], (*front, *here.target), body, operands, extents, equation
        )

    def _push_block(
        self,
        equation: Equation,
        block: Block,
        seeds: Mapping[str, str | Position | None],
        tangents: dict[str, str],
        batch: Sequence[Extent],
        prefix: str,
    ) -> None:
        """Add what a block's rule says its tangent is."""
        if not is_float(self.program, equation.array):
            return
        for o in equation.operands:
            if isinstance(o, Read) and o.array in seeds and o.array not in tangents:
                tangents[o.array] = self.seed(o.array, seeds[o.array], batch, prefix)
        reads = [o for o in equation.operands if isinstance(o, Read)]
        active = [k for k, o in enumerate(reads) if o.array in tangents]
        if not active:
            return
        types, out = whole_types(self.program, equation)
        program = block.rule.pushforward(block, types, out, active) if block.rule else None
        if not program:
            raise without_rule(equation)
        rank = len(batch)
        here = make_room(equation, rank)
        lead = tuple([i for i in here.target if not isinstance(i, Whole)])
        moved = [o for o in here.operands if isinstance(o, Read)]
        leads = [tuple([i for i in o.indices if not isinstance(i, Whole)]) for o in moved]
        bindings = [Binding(equation.array, lead)]
        bindings += [Binding(o.array, at_) for o, at_ in zip(moved, leads, strict=True)]
        bindings += [
            Binding(tangents[reads[k].array], (*identity(rank), *leads[k])) for k in active
        ]
        shapes = [t.shape for t in (out, *types, *[types[k] for k in active])]
        extents = (*batch, *here.extents)
        (made,) = self.splice(program, bindings, shapes, extents, equation)
        if equation.array not in tangents:
            shape, dtype = self.program.types[equation.array]
            tangents[equation.array] = self.new_array(
                f"{prefix}{equation.array}", (*batch, *shape), dtype
            )
        inner = identity(len(extents) + len(out.shape))[len(extents) :]
        self.conditions.setdefault(equation.array, []).append(None)
        self.add(
            tangents[equation.array],
            (*identity(rank), *lead, *inner),
            COPY,
            [Read(made.array, (*made.lead, *inner))],
            (*extents, *out.shape),
            equation,
        )

    def seed(
        self, array: str, seed: str | Position | None, batch: Sequence[Extent], prefix: str
    ) -> str:
        """Make an array of a unit vector, or of all of them, for a block that reads the input."""
        if isinstance(seed, str):
            return seed
        shape, dtype = self.program.types[array]
        name = self.new_array(f"{prefix}{array}", (*batch, *shape), dtype)
        whole = identity(len(batch))
        target = (*whole, *whole) if seed is None else tuple([constant(p) for p in seed])
        one = Literal(1, dtype)
        self.equations.append(Equation(name, target, "+=", COPY, (one,), tuple(batch)))
        return name

    def zeros(self, wanted: str, shape: Sequence[Extent], dtype: str) -> str:
        """Make an array of zeros."""
        name = self.new_array(wanted, shape, dtype)
        self.equations.append(
            Equation(
                name, identity(len(shape)), "=", COPY, (Literal(0, dtype),), tuple(shape), None
            )
        )
        return name

    def finish(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Program:
        """Make the Program with these inputs and outputs."""
        return self.finish_program(name, inputs, outputs)


def _hits(read: Read, position: str | Position) -> bool:
    """Whether a read at constant indices is at a position."""
    return all(
        isinstance(i, Affine) and i.offset == p for i, p in zip(read.indices, position, strict=True)
    )


def pushforward(
    program: Program, wrt: Sequence[str], outputs: Sequence[str]
) -> tuple[Program, dict[str, str]]:
    """Make the Program from inputs and their tangents to `outputs` and the tangents of outputs.

    Returns
    -------
    Program
        Inputs: those of the function, then one tangent for each of `wrt`. Outputs: `outputs`,
        then the tangents of all floating outputs.
    tangents : dict
        The name of each input's tangent.
    """
    walk = Forward(program)
    given: dict[str, str] = {}
    for array in wrt:
        shape, dtype = program.types[array]
        given[array] = walk.new_array(f"tangent_{array}", shape, dtype)
    tangents = walk.walk(dict(given))
    results = list(outputs)
    for array in program.outputs:
        if is_float(program, array):
            shape, dtype = program.types[array]
            results.append(tangents.get(array) or walk.zeros(f"d{array}", shape, dtype))
    inputs = [*program.inputs, *given.values()]
    return walk.finish(f"pushforward_{program.name}", inputs, results), given


def constant_positions(program: Program, array: str) -> list[Position] | None:
    """The positions at which an input is read, None where some index is not constant."""
    positions: dict[Position, None] = {}
    for equation in program.equations:
        for read in equation.reads:
            if read.array != array:
                continue
            position: list[int] = []
            for i in read.indices:
                if not isinstance(i, Affine) or i.terms or not isinstance(i.offset, int):
                    return None
                position.append(i.offset)
            positions[tuple(position)] = None
    return sorted(positions)


def jacobian_columns(
    program: Program, output: str, directions: Sequence[Direction]
) -> tuple[Program, list[str | None]]:
    """Differentiate by single elements of inputs, one walk an element, shared parts merged later.

    Returns
    -------
    Program
        The equations of all columns; its outputs are still those of the function.
    columns : list
        For each direction the array of the derivative of `output`, None where it is zero.
    """
    columns: list[str | None] = []
    walk = Forward(program)
    for direction in directions:
        label = "_".join(map(str, (direction.array, *direction.position)))
        tangents = walk.walk({direction.array: direction.position}, prefix=f"d{label}_")
        columns.append(tangents.get(output))
    return walk.finish(program.name, program.inputs, program.outputs), columns


def forward_jacobian(program: Program, output: str, wrt: Sequence[str]) -> Program:
    """Differentiate one output by every element of inputs: shapes output + input.

    Inputs that are read at constant positions only are taken element by element, so that zeros
    never enter; the others in one walk over all their elements.
    """
    walk = Forward(program)
    shape, dtype = program.types[output]
    rank = len(shape)
    results: list[str] = []
    for array in wrt:
        width = program.types[array].shape
        result = walk.new_array(f"d{output}_d{array}", (*shape, *width), dtype)
        results.append(result)
        positions = constant_positions(program, array)
        if positions is not None:
            for position in positions:
                label = "_".join(map(str, (array, *position)))
                column = walk.walk({array: position}, prefix=f"d{label}_").get(output)
                if column is not None:
                    target = (*identity(rank), *[constant(p) for p in position])
                    _store(walk, result, target, column, identity(rank), shape)
            continue
        column = walk.walk({array: None}, batch=width, prefix=f"d{array}_").get(output)
        if column is not None:
            moved = (*shifted(identity(len(width)), rank), *identity(rank))
            whole = (*identity(rank), *shifted(identity(len(width)), rank))
            _store(walk, result, whole, column, moved, (*shape, *width))
    for result in results:
        if all(e.array != result for e in walk.equations):
            width = walk.types[result].shape
            walk.equations.append(
                Equation(result, identity(len(width)), "=", COPY, (Literal(0, dtype),), width, None)
            )
    return walk.finish(f"jacobian_{program.name}", program.inputs, results)


def _store(
    walk: Forward,
    array: str,
    target: Sequence[Index],
    source: str,
    indices: Sequence[Index],
    extents: Sequence[Extent],
) -> None:
    walk.equations.append(
        Equation(
            array, tuple(target), "=", COPY, (Read(source, tuple(indices)),), tuple(extents), None
        )
    )
