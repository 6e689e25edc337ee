"""A Program as text and as LaTeX, with temporaries put back where they are read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from typing import TYPE_CHECKING

from symdiff.collector import collection_paused
from symdiff.errors import ProgramTooLargeError
from symdiff.program.affine import Affine
from symdiff.program.equations import Equation, Index, Read
from symdiff.program.latex import Latex
from symdiff.program.nested import (
    Branch,
    Loop,
    Nested,
    Run,
    group_key,
    group_members,
    nested_of,
    result_number,
)
from symdiff.program.notation import COMPARE, MUL, Notation, Text
from symdiff.program.sizes import Size
from symdiff.program.temporaries import Line, put_back

if TYPE_CHECKING:
    import numpy as np

    from symdiff.program.program import Program

__all__ = ["MAX_LATEX_EQUATIONS", "fresh_name", "index_names", "to_latex", "to_line", "to_text"]

MAX_LATEX_EQUATIONS = 500
_SHORT_CONSTANT = 6
_LETTERS = "ijklmpqrsuvw"


def fresh_name(wanted: str, taken: AbstractSet[str]) -> str:
    """Find a name that is not taken: ``t``, ``t_1``, ``t_2``, ....

    Examples
    --------
    >>> fresh_name("t", {"t", "t_1"})
    't_2'
    """
    if wanted not in taken:
        return wanted
    return next(name for n in count(1) if (name := f"{wanted}_{n}") not in taken)


def index_names(program: Program) -> list[str]:
    """Name the loop indices: ``i, j, k, ...``, less the names of arrays and sizes."""
    taken = {*program.types}
    for array_type in program.types.values():
        for extent in array_type.shape:
            if isinstance(extent, Size):
                taken.update(s for monomial, _ in extent.terms for s in monomial)
    wanted = max((len(e.extents) for e in program.equations), default=0)
    names = [letter for letter in _LETTERS if letter not in taken][:wanted]
    while len(names) < wanted:
        names.append(fresh_name("i", {*taken, *names}))
    return names


@collection_paused()
def to_text(program: Program) -> str:
    """Write a Program in the manner of Python.

    A loop index runs over the axis of the target on which it stands alone; the range of any
    other (a reduction, ``y[2*i]``) follows as ``for i < n``.
    """
    text = Text(index_names(program))
    lines = [f"{program.name}({', '.join(_declare(program, text, n) for n in program.inputs)}):"]
    for name, data in program.constants.items():
        lines.append(f"    constant {_declare(program, text, name)}{_show_values(text, data)}")
    lines += [f"    {line}" for line in _body(program, text)]
    lines.append(f"    return {', '.join(program.outputs)}")
    return "\n".join(lines)


def _body(program: Program, text: Text) -> list[str]:
    """Write all equations; those of one loop or branch together, around what it does."""
    groups = group_members(program.equations)
    done: set[int] = set()
    lines: list[str] = []
    for line in put_back(program):
        equation = line.equation
        nested = nested_of(equation.pattern)
        if nested is None:
            lines.append(to_line(program, text, line))
        elif id(equation) not in done:
            members = groups[group_key(equation)]
            done.update(id(m) for m in members)
            lines += _nested_lines(text, nested, line, members)
    return lines


def _nested_lines(text: Text, nested: Nested, line: Line, members: Sequence[Equation]) -> list[str]:
    """Write a loop, a branch or a run as Python would have it."""
    operands = [text.term(o)[0] for o in line.operands]
    results = {
        result_number(m): text.element(m.array, [text.subscript(i) for i in m.target])
        for m in members
    }
    if isinstance(nested, Loop):
        lines = _loop_lines(nested, operands, results, text)
    elif isinstance(nested, Branch):
        lines = [f"if {operands[0]}:"]
        lines += _inside(nested.on_true, operands[1:], results)
        lines += ["else:", *_inside(nested.on_false, operands[1:], results)]
    else:
        assert isinstance(nested, Run)
        head = f"with {nested.symbol} = {operands[0]}:"
        lines = [head, *_inside(nested.program, operands, results)]
    ranges = ", ".join(
        f"{text.index_names[i]} < {text.extent(e)}" for i, e in enumerate(line.equation.extents)
    )
    return [f"for {ranges}:", *[f"    {row}" for row in lines]] if ranges else lines


def _inside(program: Program, operands: Sequence[str], results: Mapping[int, str]) -> list[str]:
    text = Text(index_names(program))
    lines = _bound(program.inputs, operands)
    lines += _body(program, text)
    lines += [f"{name} = {program.outputs[k]}" for k, name in sorted(results.items())]
    return [f"    {row}" for row in lines]


def _bound(names: Sequence[str], operands: Sequence[str]) -> list[str]:
    """Say what the names inside are, where they are not the same outside."""
    pairs = zip(names, operands, strict=True)
    return [f"{n} = {o}" for n, o in pairs if o.partition("[:")[0] != n.partition("[:")[0]]


def _loop_lines(
    loop: Loop, operands: Sequence[str], results: Mapping[int, str], text: Text
) -> list[str]:
    first = 1 if loop.has_limit else 0
    lines = _bound((*loop.shared, *loop.carried), operands[first:])
    number = loop.step.inputs[0]
    limit = operands[0] if first else None if loop.count is None else text.extent(loop.count)
    order = ", backwards" if loop.is_reversed else ""
    head = f"for {number} < {limit}{order}" if limit is not None else "while"
    if loop.has_condition:
        head += f"{', while' if limit is not None else ''} {loop.carried[0]}"
    lines.append(f"{head}:")
    inner = Text(index_names(loop.step))
    body = _body(loop.step, inner)
    body += [
        f"next {name} = {out}" for name, out in zip(loop.carried, loop.carried_out, strict=True)
    ]
    stacked = {k: n for k, n in results.items() if loop.n_carried <= k < len(loop.step.outputs)}
    body += [f"stack {name} = {loop.step.outputs[k]}" for k, name in sorted(stacked.items())]
    lines += [f"    {row}" for row in body]
    for k, name in sorted(results.items()):
        if k < loop.n_carried:
            lines += _bound([name], [loop.carried[k]])
        elif k == len(loop.step.outputs):
            lines.append(f"{name} = steps done")
    return lines


def to_line(program: Program, text: Text, line: Line) -> str:
    """Write one equation."""
    equation = line.equation
    left = text.element(equation.array, [text.subscript(i) for i in equation.target])
    right, _ = text.body(equation.pattern, line.operands)
    ranges = ", ".join(
        f"{text.index_names[i]} < {text.extent(equation.extents[i])}"
        for i in _unclear_loops(program, equation)
    )
    suffix = f"  for {ranges}" if ranges else ""
    return f"{left} {equation.operator} {right}{suffix}"


def _declare(program: Program, text: Notation, name: str) -> str:
    return text.element(name, [text.extent(e) for e in program.types[name].shape])


def _show_values(text: Notation, data: np.ndarray) -> str:
    if data.size > _SHORT_CONSTANT:
        return ""
    values = data.tolist()
    return f" = {_show(text, values)}"


def _show(text: Notation, value: list | float) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_show(text, v) for v in value)}]"
    return text.number(value)[0]


def _unclear_loops(program: Program, equation: Equation) -> list[int]:
    """Find the loop indices whose ranges the target does not show."""
    clear: set[int] = set()
    shape = program.types[equation.array].shape
    for index, extent in zip(equation.target, shape, strict=True):
        number = index.single if isinstance(index, Affine) else None
        if number is not None and equation.extents[number] == extent:
            clear.add(number)
    return [i for i in range(len(equation.extents)) if i not in clear]


def _loops_in(indices: tuple[Index, ...]) -> set[int]:
    found: set[int] = set()
    for index in indices:
        if isinstance(index, Affine):
            found.update(i for i, _ in index.terms)
        elif isinstance(index, Read):
            found |= _loops_in(index.indices)
    return found


_REDUCTIONS = {
    "+=": r"\sum",
    "max=": r"\max",
    "min=": r"\min",
    "or=": r"\bigvee",
    "and=": r"\bigwedge",
}
_JOINED = {"+=": "+", "max=": r"\max", "min=": r"\min", "or=": r"\vee", "and=": r"\wedge"}


def to_latex(program: Program) -> str:
    r"""Typeset a Program as an ``aligned`` block.

    The first contribution to an array is written ``y = ...``, with a sum sign over the loops
    that the target lacks; further ones are written ``y \mathrel{+}= ...``.

    Raises
    ------
    ProgramTooLargeError
        The Program has more than 500 equations.
    """
    if len(program.equations) > MAX_LATEX_EQUATIONS:
        raise ProgramTooLargeError(
            f"{program.name} has {len(program.equations)} equations, and LaTeX is written for at "
            f"most {MAX_LATEX_EQUATIONS}. Use str(program), which has no limit"
        )
    latex = Latex(index_names(program))
    seen: set[str] = set()
    rows: list[str] = []
    for line in put_back(program):
        rows.append(_latex_row(program, latex, line, line.equation.array in seen))
        seen.add(line.equation.array)
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])


def _latex_row(program: Program, latex: Latex, line: Line, is_repeated: bool) -> str:
    equation = line.equation
    piece = latex.body(equation.pattern, line.operands)
    operator = equation.operator
    in_target = _loops_in(equation.target)
    unclear = _unclear_loops(program, equation)
    reduced = [i for i in unclear if i not in in_target]
    others = [i for i in unclear if i in in_target]
    # a target that is hit more than once accumulates, which an equals sign would hide
    is_sum = not is_repeated and operator in _REDUCTIONS and not others
    right = piece[0] if piece[1] != COMPARE else rf"\left[{piece[0]}\right]"  # 0 or 1
    if operator in _REDUCTIONS and reduced:
        body = right if piece[1] >= MUL or right != piece[0] else rf"\left({right}\right)"
        right = f"{_reduction(latex, operator, equation, reduced)} {body}"
    left = latex.element(equation.array, [latex.subscript(i) for i in equation.target])
    sign = "=" if operator == "=" or is_sum else rf"\mathrel{{{_JOINED[operator]}}}="
    ranges = ", ".join(
        f"{latex.index_names[i]} < {latex.extent(equation.extents[i])}" for i in others
    )
    return f"{left} &{sign} {right}" + (rf" \quad ({ranges})" if ranges else "")


def _reduction(latex: Latex, operator: str, equation: Equation, loops: list[int]) -> str:
    signs = []
    for i in loops:
        name, extent = latex.index_names[i], equation.extents[i]
        if operator == "+=":
            signs.append(rf"\sum_{{{name}=0}}^{{{latex.extent(extent - 1)}}}")
        else:
            signs.append(rf"{_REDUCTIONS[operator]}_{{{name} < {latex.extent(extent)}}}")
    return " ".join(signs)
