"""Branches of a batch become choices, element by element.

A branch inside of a loop over a batch goes one way or the other for each element, which no vector
unit can do. Where both ways are short and cannot fail, both are computed and one is selected. The
ways have been differentiated by then, each for itself, so that nothing of the one that is not
taken is in any derivative.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symdiff.program import functions as fn
from symdiff.program.affine import identity
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Read, Whole
from symdiff.program.nested import Branch, group_key, group_members, nested_of, result_number
from symdiff.program.patterns import pattern, placeholder
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program
from symdiff.program.sizes import Extent
from symdiff.program.splicing import Binding, splice

__all__ = ["select_branches"]

SELECT = pattern(fn.Select(placeholder(0), placeholder(1), placeholder(2)), 3)
MAX_OPERATIONS = 1000
"""Operations for one element, of both ways together, that are done to select from."""

NewArray = Callable[[str, tuple[Extent, ...], str], str]


def select_branches(program: Program) -> Program:
    """Compute both ways of short branches in loops, and select."""
    while True:
        selected = _select(program)
        if selected is program:
            return program
        program = selected  # in which there may be branches that were within others


def _select(program: Program) -> Program:
    groups = {
        key for key, members in group_members(program.equations).items() if _can_select(members[0])
    }
    if not groups:
        return program
    types = dict(program.types)
    constants = dict(program.constants)

    def new_array(wanted: str, shape: tuple[Extent, ...], dtype: str) -> str:
        name = fresh_name(wanted, types.keys())
        types[name] = ArrayType(shape, dtype)
        return name

    equations: list[Equation] = []
    ways: dict[object, list[list[Binding]]] = {}
    for equation in program.equations:
        key = group_key(equation) if nested_of(equation.pattern) is not None else None
        if key not in groups:
            equations.append(equation)
            continue
        if key not in ways:
            ways[key] = []
            branch = nested_of(equation.pattern)
            assert isinstance(branch, Branch)
            for way in branch.programs:
                made, results = _way(equation, branch, way, new_array, constants)
                equations += made
                ways[key].append(results)
        number = result_number(equation)
        results = [way[number] for way in ways[key]]
        equations.append(_choice(equation, results, program.types[equation.array]))
    return program.replace(equations=tuple(equations), types=types, constants=constants)


def _can_select(equation: Equation) -> bool:
    """Whether a branch is in a loop, and both ways are short and cannot fail."""
    branch = nested_of(equation.pattern)
    if not isinstance(branch, Branch) or not equation.extents:
        return False
    return _operations(branch) <= MAX_OPERATIONS


def _operations(branch: Branch) -> float:
    """Count the operations of both ways; infinitely many where they are not known."""
    total = 0.0
    for equation in [e for way in branch.programs for e in way.equations]:
        if isinstance(equation.pattern, Block):
            inner = nested_of(equation.pattern)
            weight = _operations(inner) if isinstance(inner, Branch) else float("inf")
        else:
            weight = 1 + len(equation.pattern.steps)
        places = [equation.target, *[r.indices for r in equation.reads]]
        if any(isinstance(i, Read) for place in places for i in place):
            return float("inf")  # an index may be out of range
        for extent in equation.extents:
            weight = weight * extent if isinstance(extent, int) else float("inf")
        total += weight
    return total


def _way(
    equation: Equation,
    branch: Branch,
    way: Program,
    new_array: NewArray,
    constants: dict[str, np.ndarray],
) -> tuple[list[Equation], list[Binding]]:
    """Write the equations of one way, with the loops of the branch in front."""
    bound = {
        name: Binding(o.array, tuple([i for i in o.indices if not isinstance(i, Whole)]))
        for name, o in zip(way.inputs, equation.operands[1:], strict=True)
        if isinstance(o, Read)
    }
    for name, data in way.constants.items():
        bound[name] = Binding(new_array(name, data.shape, data.dtype.name))
        constants[bound[name].array] = data
    sizes = dict(branch.sizes)
    made, bindings = splice(way, bound, equation.extents, new_array, sizes, equation.location)
    return made, [bindings[name] for name in way.outputs]


def _choice(equation: Equation, results: list[Binding], array_type: ArrayType) -> Equation:
    """Select a result."""
    block = equation.pattern
    assert isinstance(block, Block)
    rank = len(equation.extents)
    width = array_type.shape[len(array_type.shape) - block.rank :]
    inner = identity(rank + len(width))[rank:]
    lead = [i for i in equation.target if not isinstance(i, Whole)]
    reads = [Read(r.array, (*r.lead, *inner)) for r in results]
    return equation._replace(
        target=(*lead, *inner),
        pattern=SELECT,
        operands=(equation.operands[0], *reads),
        extents=(*equation.extents, *width),
    )
