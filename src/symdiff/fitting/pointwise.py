"""Models of one point, from models of all points.

The solver of many fits runs over lanes, one a fit, innermost. A model that treats every point alike
is therefore taken apart: its Program has an axis of points, which all of its equations share, and
without that axis it is the Program of a single point. The loops around it are then ours to order.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr, Pow

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
from symdiff.program.patterns import COPY, pattern, placeholder
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, Size
from symdiff.rewriting.passes import optimize, simplify

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
    return optimize(made.replace(types=types, equations=tuple(equations), outputs=tuple(outputs)))


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
    reciprocals = Reciprocals(program, axes)
    equations: list[Equation] = []
    for equation in program.equations:
        made = _without_points(equation, axes, extent)
        if made is None:
            return None
        if any(_mentions(e, extent) for e in equation.extents):
            made = reciprocals.put_into(made, equations)
        equations.append(made)
    types = {
        name: ArrayType(tuple(_dropped(shape, axes.get(name))), dtype)
        for name, (shape, dtype) in reciprocals.types.items()
    }
    return program.replace(equations=tuple(equations), types=types)


class Reciprocals:
    """Divisions by what is the same for all points: done once, then multiplied with.

    A division takes as long as ten multiplications. What this changes is the last place.
    """

    def __init__(self, program: Program, axes: dict[str, int | None]) -> None:
        self.program = program
        self.types = dict(program.types)
        self._axes = axes
        self._known: dict[str, str] = {}

    def put_into(self, equation: Equation, equations: list[Equation]) -> Equation:
        """Divide less in an equation of every point; what it needs goes to `equations`."""
        if isinstance(equation.pattern, Block) or not isinstance(equation.pattern.expression, Expr):
            return equation
        expression, operands = equation.pattern.expression, [*equation.operands]
        for k, o in enumerate(equation.operands):
            if not isinstance(o, Read) or self._axes[o.array] is not None:
                continue
            powers = [
                e
                for e in expression.atoms(Pow)
                if e.base == placeholder(k) and e.exp.is_Integer and e.exp < 0
            ]
            if powers and self.types[o.array].dtype.startswith("float"):
                symbol = placeholder(len(operands))
                operands.append(Read(self._reciprocal(o.array, equations), o.indices))
                expression = expression.xreplace({e: symbol**-e.exp for e in powers})
        made = pattern(expression, len(operands))
        return equation._replace(pattern=made, operands=tuple(operands))

    def _reciprocal(self, array: str, equations: list[Equation]) -> str:
        if array not in self._known:
            name = self.program.fresh_name(f"inverse_{array}", self.types)
            shape = self.types[array].shape
            loops = tuple([index(k) for k in range(len(shape))])
            self.types[name] = self.types[array]
            inverse = pattern(1 / placeholder(0), 1)
            operands = (Read(array, loops),)
            equations.append(Equation(name, loops, "=", inverse, operands, shape, None))
            self._known[array] = name
        return self._known[array]


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
