"""Arrays that are changed copies of others, made ready to be changed in place.

A changed copy may take over the memory of its original if nothing reads that afterwards. So what
changes is put off for as long as possible, and a value that is read from the original while it is
added to the copy is computed first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.program.affine import Affine, identity, index
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation, Index, Read, substitute
from symdiff.program.patterns import COPY
from symdiff.program.program import Program

__all__ = ["is_same_part", "prepared", "updated_array"]


def updated_array(equation: Equation) -> str | None:
    """The array of which an equation changes a part, or copies elements to the same places."""
    first = equation.operands[0] if equation.operands else None
    if not isinstance(first, Read):
        return None
    if isinstance(equation.pattern, Block):
        is_put = equation.pattern.name == "put" and not equation.extents
        return first.array if is_put else None
    return first.array if is_same_part(equation, first.array) else None


def is_same_part(equation: Equation, old: str) -> bool:
    """Whether an equation copies elements to where they are in another array."""
    if isinstance(equation.pattern, Block) or not equation.pattern.is_copy:
        return False
    source = equation.operands[0]
    return (
        isinstance(source, Read)
        and source.array == old
        and equation.operator in ("=", "+=")
        and source.indices == equation.target
        and all(isinstance(i, Affine) for i in equation.target)
    )


def prepared(program: Program, carried: Mapping[str, str]) -> tuple[Program, set[str]]:
    """Put changes off, and compute what they read of the original before.

    Returns
    -------
    Program
    changed : set of str
        The arrays whose equations must stay in this order.
    """
    families = _families(program)
    has_put = any(
        isinstance(e.pattern, Block) and e.pattern.name == "put" for e in program.equations
    )
    if not families or not (has_put or carried):
        return program, set()
    types = dict(program.types)
    equations: list[Equation] = []
    for equation in program.equations:
        equations += _split(program, equation, families, types)
    changed = {a for a in families if a not in carried and a not in program.inputs}
    return program.replace(types=types, equations=tuple(_put_off(equations, changed))), changed


def _families(program: Program) -> dict[str, str]:
    """Arrays that could share memory, each with the first of them."""
    first: dict[str, str] = {}
    for equation in program.equations:
        old = updated_array(equation)
        if old is None or program.types[old] != program.types[equation.array]:
            continue
        if not program.types[old].shape or old in program.constants:
            continue
        first.setdefault(old, old)
        first.setdefault(equation.array, first[old])
    return first


def _split(
    program: Program,
    equation: Equation,
    families: Mapping[str, str],
    types: dict[str, ArrayType],
) -> list[Equation]:
    """Part an equation that reads an array which is changed, and itself changes one."""
    is_scatter = not equation.extents or any(isinstance(i, Read) for i in equation.target)
    reads_original = any(r.array in families for r in equation.reads)
    if equation.array not in families or not is_scatter or not reads_original:
        return [equation]
    if updated_array(equation) is not None:
        return [equation]
    if isinstance(equation.pattern, Block) or equation.operator != "+=":
        return [equation]
    loops = sorted(_loops_in(equation.target))
    name = program.fresh_name("part", types)
    extents = tuple([equation.extents[k] for k in loops])
    types[name] = ArrayType(extents, types[equation.array].dtype)
    place = {k: index(n) for n, k in enumerate(loops)}
    by = [place.get(k, Affine(())) for k in range(len(equation.extents))]
    value = equation._replace(array=name, target=tuple([index(k) for k in loops]))
    if len(loops) == len(equation.extents):
        value = value._replace(operator="=")
    change = equation._replace(
        target=substitute(equation.target, by),
        pattern=COPY,
        operands=(Read(name, identity(len(loops))),),
        extents=extents,
    )
    return [value, change]


def _loops_in(indices: Sequence[Index]) -> set[int]:
    found: set[int] = set()
    for i in indices:
        if isinstance(i, Affine):
            found.update(k for k, _ in i.terms)
        elif isinstance(i, Read):
            found |= _loops_in(i.indices)
    return found


def _put_off(equations: Sequence[Equation], changed: set[str]) -> list[Equation]:
    """Move the equations of some arrays to where these are first read."""
    result: list[Equation] = []
    waiting: list[Equation] = []
    for equation in equations:
        if equation.array in changed:
            waiting.append(equation)
            continue
        needed = {r.array for r in equation.reads}
        for earlier in reversed(waiting):
            if earlier.array in needed:
                needed.update(r.array for r in earlier.reads)
        result += [e for e in waiting if e.array in needed]
        waiting = [e for e in waiting if e.array not in needed]
        result.append(equation)
    return result + waiting
