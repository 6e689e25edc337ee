"""Reverse mode: cotangents of outputs become cotangents of inputs.

The equations are walked backwards. A read ``A[rho(i)]`` in the body of an equation with target
``out[sigma(i)]`` gives one equation of the same loops, ::

    dA[rho(i)] += dout[sigma(i)] * (partial derivative of the body)

whatever the index maps are. Where a condition chose another branch, the cotangent is zero and the
partial derivative may be anything; the condition is carried along as a *guard* and stands outermost
in every term behind it, so that zero times infinity never happens.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.differentiation.terms import (
    COPY,
    Builder,
    active_reads,
    compose,
    depends_on,
    guarded,
    has_out,
    is_float,
    make_room,
    shifted,
)
from symdiff.program.affine import identity
from symdiff.program.equations import Equation, Literal, Read
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["gradient", "pullback", "reverse_jacobian"]


class _Reverse(Builder):
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
        for equation in reversed(self.program.equations):
            array = equation.array
            if array in self.active and (array in self.adjoints or array in self.ones):
                self._visit(equation, seeded=False)
            if array in self.identity_seeds and array in self.active:
                self._visit(equation, seeded=True)

    def _visit(self, equation: Equation, *, seeded: bool) -> None:
        reads = active_reads(self.program, equation, self.active)
        if not reads:
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
            cotangent = Read(self.adjoints[equation.array], (*identity(rank), *here.target))
        term = self.term(here, k, cotangent, out, equation)
        if term is None:
            return
        body, operands, reads_values = term
        at = guard and Read(guard.array, compose(guard.indices, equation.target))
        self.note_condition(read.array, read.indices, equation, k, at)
        if at is not None and reads_values:
            body = guarded(body)
            operands.append(Read(at.array, shifted(at.indices, rank)))
        source = here.operands[k]
        assert isinstance(source, Read)
        front = equation.target if seeded else identity(rank)
        extents = (*self.batch[:rank], *equation.extents)
        self.add(
            self.adjoint(read.array), (*front, *source.indices), body, operands, extents, equation
        )

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
        return self.program.replace(
            name=name,
            inputs=tuple(inputs),
            outputs=tuple(results),
            types=self.types,
            equations=tuple(self.equations),
        )


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
    walk = _Reverse(program, wrt)
    scalar = program.outputs[0]
    is_read = any(r.array == scalar for e in program.equations for r in e.reads)
    if is_read:
        seed = walk.adjoint(scalar)
        walk.conditions[scalar] = [None]
        one = Literal(1, program.types[scalar].dtype)
        walk.equations.append(Equation(seed, (), "=", COPY, (one,), ()))
    else:
        walk.ones.add(scalar)
        walk.conditions[scalar] = [None]
    walk.walk()
    return walk.finish(f"grad_{program.name}", program.inputs, outputs)


def pullback(program: Program, wrt: Sequence[str]) -> tuple[Program, dict[str, str]]:
    """Make the Program from inputs and cotangents of the outputs to cotangents of the inputs.

    Returns
    -------
    Program
        Inputs: those of the function, then one cotangent for each floating output. Outputs: the
        cotangents of `wrt`.
    cotangents : dict
        The name of each output's cotangent.
    """
    walk = _Reverse(program, wrt)
    cotangents: dict[str, str] = {}
    for array in dict.fromkeys(program.outputs):
        if not is_float(program, array):
            continue
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
    inputs = [*program.inputs, *cotangents.values()]
    return walk.finish(f"pullback_{program.name}", inputs, ()), cotangents


def reverse_jacobian(program: Program, output: str, wrt: Sequence[str]) -> Program:
    """Differentiate every element of one output at once: shapes output + input."""
    walk = _Reverse(program, wrt, batch=program.types[output].shape)
    is_read = any(r.array == output for e in program.equations for r in e.reads)
    assert not is_read, "an output that is read has been copied by the caller"
    walk.identity_seeds.add(output)
    walk.conditions[output] = [None]
    walk.walk()
    return walk.finish(f"jacobian_{program.name}", program.inputs, ())
