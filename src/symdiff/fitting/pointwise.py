"""Models of one point, from models of all points.

The solver of many fits runs over lanes, one a fit, innermost. A model that treats every point alike
is therefore taken apart: its Program has an axis of points, which all of its equations share, and
without that axis it is the Program of a single point. The loops around it are then ours to order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symdiff.differentiation.forward import Direction, jacobian_columns
from symdiff.program.affine import Affine, index
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    IndexValue,
    Literal,
    Operand,
    Read,
    substitute,
    substitute_operand,
)
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size
from symdiff.rewriting.passes import COPY, optimize, simplify

__all__ = ["one_point", "with_columns"]


def with_columns(program: Program, params: Sequence[str]) -> Program:
    """Add the columns of the Jacobian of the one output by some numbers to the outputs.

    Parameters
    ----------
    program : Program
        Its output has one axis.
    params : sequence of str
        Inputs that are numbers.

    Returns
    -------
    Program
        Outputs: the value, then a column for each of `params`.
    """
    program = simplify(program)
    (output,) = program.outputs
    shape, dtype = program.types[output]
    made, columns = jacobian_columns(program, output, [Direction(p, ()) for p in params])
    types, equations, outputs = dict(made.types), list(made.equations), [output]
    for column in columns:
        name = made.fresh_name("column", outputs)
        types[name] = ArrayType(shape, dtype)
        loops = tuple([index(k) for k in range(len(shape))])
        source: Operand = Literal(0, dtype) if column is None else Read(column, loops)
        equations.append(Equation(name, loops, "=", COPY, (source,), shape, None))
        outputs.append(name)
    return optimize(
        made.replace(types=types, equations=tuple(equations), outputs=tuple(outputs))
    )


def one_point(program: Program) -> Program | None:
    """Take the axis of points away.

    Parameters
    ----------
    program : Program
        The first axis of its first input is that of the points, and so is the axis of each output.

    Returns
    -------
    Program or None
        The same for a single point; None where points depend on each other, or on their place.
    """
    extent = program.types[program.inputs[0]].shape[0]
    if not isinstance(extent, Size) or program.guards:
        return None
    axes: dict[str, int | None] = {}
    for name, (shape, _) in program.types.items():
        found = [axis for axis, e in enumerate(shape) if _mentions(e, extent)]
        if len(found) > 1 or any(shape[axis] != extent for axis in found):
            return None
        axes[name] = found[0] if found else None
    if any(axes[name] != 0 for name in program.outputs):
        return None
    if any(axes[name] is not None for name in program.constants):
        return None
    equations: list[Equation] = []
    for equation in program.equations:
        made = _without_points(equation, axes, extent)
        if made is None:
            return None
        equations.append(made)
    types = {
        name: ArrayType(tuple(_dropped(shape, axes[name])), dtype)
        for name, (shape, dtype) in program.types.items()
    }
    return program.replace(equations=tuple(equations), types=types)


def _mentions(extent: Extent, size: Size) -> bool:
    return isinstance(extent, Size) and any(size.name in monomial for monomial, _ in extent.terms)


def _dropped(items: Sequence, axis: int | None) -> list:
    return [item for n, item in enumerate(items) if n != axis]


def _without_points(
    equation: Equation, axes: dict[str, int | None], extent: Size
) -> Equation | None:
    """Take the loop over the points from an equation; None where it is not like any other's."""
    loops = [k for k, e in enumerate(equation.extents) if _mentions(e, extent)]
    if isinstance(equation.pattern, Block):
        arrays = [equation.array, *[r.array for r in equation.reads]]
        return None if loops or any(axes[a] is not None for a in arrays) else equation
    if len(loops) > 1 or any(equation.extents[k] != extent for k in loops):
        return None
    loop = loops[0] if loops else None
    point = None if loop is None else index(loop)

    def drop(array: str, indices: Sequence[Index]) -> tuple[Index, ...] | None:
        axis = axes[array]
        if axis is not None and (point is None or indices[axis] != point):
            return None
        rest = _dropped(indices, axis)
        if any(_uses(i, loop) or _reads_points(i, axes) for i in rest):
            return None
        return tuple(rest)

    target = drop(equation.array, equation.target)
    if target is None or (loop is not None and axes[equation.array] is None):
        return None
    operands: list[Operand] = []
    for o in equation.operands:
        if isinstance(o, Read):
            indices = drop(o.array, o.indices)
            if indices is None:
                return None
            operands.append(Read(o.array, indices))
        elif isinstance(o, IndexValue) and (
            _uses(o.value, loop) or _mentions_size(o.value, extent)
        ):
            return None
        else:
            operands.append(o)
    if loop is None:
        return equation._replace(target=target, operands=tuple(operands))
    renumber = _renumbering(loop, len(equation.extents))
    return equation._replace(
        target=substitute(target, renumber),
        operands=tuple([substitute_operand(o, renumber) for o in operands]),
        extents=tuple(_dropped(equation.extents, loop)),
    )


def _renumbering(loop: int, count: int) -> list[Affine]:
    return [index(k - (k > loop)) if k != loop else Affine(()) for k in range(count)]


def _uses(i: Index, loop: int | None) -> bool:
    if isinstance(i, Affine):
        return any(k == loop for k, _ in i.terms)
    return isinstance(i, Read) and any(_uses(j, loop) for j in i.indices)


def _reads_points(i: Index, axes: dict[str, int | None]) -> bool:
    return isinstance(i, Read) and (
        axes[i.array] is not None or any(_reads_points(j, axes) for j in i.indices)
    )


def _mentions_size(i: Affine, extent: Size) -> bool:
    return _mentions(i.offset, extent) or any(_mentions(c, extent) for _, c in i.terms)


