"""A Program cut at its large products: Programs for kernels, and the products between them.

What a part needs of earlier ones are inputs of it, and what later ones need are its outputs. A
value that is needed nowhere behind its own part stays within it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from symdiff.compilation.cuda.contractions import Product, Step, with_matrices
from symdiff.program.affine import constant
from symdiff.program.equations import ArrayType, Equation, Read
from symdiff.program.nested import nested_of
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.splicing import size_symbols

__all__ = ["Launch", "Part", "cut"]


class Launch(NamedTuple):
    """A part that is a kernel.

    Attributes
    ----------
    program : Program
    given : tuple of str
        What each of its inputs is in the whole Program. A number that an earlier part has computed
        is an array of one element here.
    """

    program: Program
    given: tuple[str, ...]


Part: TypeAlias = Launch | Product


def cut(program: Program, chosen: Sequence[int]) -> tuple[Mapping[str, ArrayType], list[Part]]:
    """Cut an optimised Program at some of its products.

    Parameters
    ----------
    program : Program
    chosen : sequence of int
        The numbers of equations, each a `symdiff.compilation.cuda.contractions.contraction`.

    Returns
    -------
    types : Mapping[str, ArrayType]
        Those of the Program's arrays, and of those that products need besides.
    parts : list of Launch and Product
        In the order in which they run. The outputs of the Program are among those of the parts,
        and what is an input, a constant or an output twice is an output of the last kernel.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> p = sd.jit(lambda a, b: np.sum(np.tanh(a @ b))).program(np.ones((4, 3)), np.ones((3, 2)))
    >>> _, (product, rest) = cut(p, [0])
    >>> product.left.array, product.right.array, product.out.array, rest.given
    ('a', 'b', 't', ('t',))
    """
    program, steps = with_matrices(program, chosen)
    stages = _stages(steps)
    last = max(stages.values(), default=0)
    kernels: list[list[Equation]] = [[] for _ in range(last + 1)]
    products: list[list[Product]] = [[] for _ in range(last + 1)]
    for step in steps:
        if isinstance(step, Product):
            products[stages[step.out.array] - 1].append(step)
        else:
            kernels[stages[step.array]].append(step)
    needed = _needed_behind(program, kernels, products)
    parts: list[Part] = []
    for stage in range(last + 1):
        outputs = _outputs(program, kernels[stage], needed[stage])
        if stage == last:
            outputs += _once_more(program)
        if outputs:
            parts.append(_kernel(program, kernels[stage], outputs))
        parts += products[stage]
    return program.types, parts


def _reads(step: Step) -> list[str]:
    if isinstance(step, Product):
        return [step.left.array, step.right.array]
    return [r.array for r in step.reads]


def _stages(steps: Sequence[Step]) -> dict[str, int]:
    """Number the kernel that each array is computed in, or for a product the one behind it.

    What depends on inputs alone waits until it is needed, so that it is not handed on; but not
    the results of a loop, which runs once for all of them.
    """
    stages: dict[str, int] = {}
    for step in steps:
        after = max((stages.get(a, 0) for a in _reads(step)), default=0)
        if isinstance(step, Product):
            stages[step.out.array] = after + 1
        else:
            stages[step.array] = max(after, stages.get(step.array, 0))
    last = max(stages.values(), default=0)
    at_once = {s.array for s in steps if isinstance(s, Equation) and nested_of(s.pattern)}
    waits = dict.fromkeys((a for a, s in stages.items() if s == 0 and a not in at_once), last)
    for step in reversed(steps):
        if isinstance(step, Product):
            stage = stages[step.out.array] - 1
        else:
            stage = waits.get(step.array, stages[step.array])
        for array in _reads(step):
            if array in waits:
                waits[array] = min(waits[array], stage)
    return stages | waits


def _needed_behind(
    program: Program, kernels: Sequence[Sequence[Equation]], products: Sequence[Sequence[Product]]
) -> list[set[str]]:
    """Find for each stage what is needed behind its kernel."""
    needed: list[set[str]] = []
    behind = {*program.outputs}
    for equations, of_stage in zip(reversed(kernels), reversed(products), strict=True):
        behind = behind | {a for p in of_stage for a in _reads(p)}
        needed.append(behind)
        behind = behind | {a for e in equations for a in _reads(e)}
    return needed[::-1]


def _outputs(program: Program, equations: Iterable[Equation], needed: set[str]) -> list[str]:
    """Find what a kernel computes that is needed behind it; outputs of all come in their order."""
    made = dict.fromkeys(e.array for e in equations if e.array in needed)
    ours = [name for name in dict.fromkeys(program.outputs) if name in made]
    return [*ours, *[name for name in made if name not in program.outputs]]


def _once_more(program: Program) -> list[str]:
    """Find the outputs that nothing computes, or that are another output already."""
    seen: set[str] = {*program.inputs, *program.constants}
    found: list[str] = []
    for name in program.outputs:
        if name in seen:
            found.append(name)
        seen.add(name)
    return found


def _kernel(program: Program, equations: Sequence[Equation], outputs: Sequence[str]) -> Launch:
    """Make a part that is a kernel."""
    made = {e.array for e in equations}
    used = dict.fromkeys([*(a for e in equations for a in _reads(e)), *outputs])
    known = {*made, *program.inputs, *program.constants}
    types = {a: program.types[a] for a in [*used, *made]}
    given = {a: a for a in program.inputs if a in used}
    first: list[Equation] = []
    for name in used:
        if name in known:
            continue
        if types[name].shape:
            given[name] = name
            continue
        own = program.fresh_name(f"{name}_given", types)
        types[own] = ArrayType((1,), types[name].dtype)
        first.append(Equation(name, (), "=", COPY, (Read(own, (constant(0),)),), ()))
        given[own] = name
    constants = {a: data for a, data in program.constants.items() if a in used}
    part = Program(
        program.name, tuple(given), tuple(outputs), types, (*first, *equations), constants
    )
    missing = [s for s in size_symbols(part) if s not in part.size_sources]
    for size in missing:  # which are read off inputs that are there for nothing else
        source, _ = program.size_sources[size]
        types[source] = program.types[source]
        given[source] = source
    return Launch(part.replace(inputs=tuple(given), types=types), tuple(given.values()))
