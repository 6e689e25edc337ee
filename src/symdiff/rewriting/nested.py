"""Rewrites of loops, branches and runs: their Programs inside, and what nobody wants of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from symdiff.program.affine import identity
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Operand, Read, Whole, is_plain, map_sizes
from symdiff.program.nested import (
    Branch,
    Loop,
    Nested,
    group_key,
    group_members,
    nested_block,
    nested_of,
    result_number,
)
from symdiff.program.patterns import COPY
from symdiff.program.program import Program, remove_dead_equations
from symdiff.program.sizes import Extent, put_sizes
from symdiff.program.splicing import size_symbols

__all__ = ["rewrite_nested"]


Rewrite = Callable[[Program], Program]


def rewrite_nested(program: Program, rewrite: Rewrite) -> Program:
    """Rewrite the Programs inside, and leave out results and operands that are not needed."""
    groups = group_members(program.equations)
    if not groups:
        return program
    changed: dict[Any, dict[int, Equation]] = {}
    for key, members in groups.items():
        changed[key] = _rewritten(program, members, rewrite)
    equations: list[Equation] = []
    for equation in program.equations:
        if nested_of(equation.pattern) is None:
            equations.append(equation)
        else:
            equations.append(changed[group_key(equation)][result_number(equation)])
    return program.replace(equations=tuple(equations))


def _rewritten(
    program: Program, members: Sequence[Equation], rewrite: Rewrite
) -> dict[int, Equation]:
    first = members[0]
    nested = nested_of(first.pattern)
    assert nested is not None
    nested = _with_known_sizes(nested)
    nested = nested.with_programs([rewrite(p) for p in nested.programs])
    wanted = {result_number(m) for m in members}
    operands = first.operands
    constant: dict[int, int] = {}
    numbers: dict[int, int] = {n: n for n in wanted}
    if isinstance(nested, Loop):
        nested, operands, numbers, constant = _pruned_loop(nested, operands, wanted)
    elif isinstance(nested, Branch):
        nested, operands, numbers = _pruned_branch(nested, operands, wanted)
    made: dict[int, Equation] = {}
    for member in members:
        k = result_number(member)
        if k in constant:
            made[k] = _copied(program, member, first.operands[constant[k]])
        else:
            block = nested_block(nested, numbers[k])
            made[k] = member._replace(pattern=block, operands=operands)
    return made


def _with_known_sizes(nested: Nested) -> Nested:
    """Put the sizes that are known to be numbers into the Programs inside."""
    known: dict[str, Extent] = {n: e for n, e in nested.sizes if isinstance(e, int)}
    if not known:
        return nested

    def size(extent: Extent) -> Extent:
        return put_sizes(extent, known)

    programs = [
        p.replace(
            types={
                n: t._replace(shape=tuple([size(e) for e in t.shape])) for n, t in p.types.items()
            },
            equations=tuple([map_sizes(e, size) for e in p.equations]),
        )
        for p in nested.programs
    ]
    sizes = tuple([(n, e) for n, e in nested.sizes if n not in known])
    return replace(nested.with_programs(programs), sizes=sizes)


def _copied(program: Program, member: Equation, operand: Operand) -> Equation:
    """Give a result what the loop began with."""
    assert isinstance(operand, Read)
    assert isinstance(member.pattern, Block)
    rank = len(member.extents)
    shape = program.types[member.array].shape
    width = shape[len(shape) - member.pattern.rank :]
    inner = identity(rank + len(width))[rank:]
    lead = [i for i in member.target if not isinstance(i, Whole)]
    source = [i for i in operand.indices if not isinstance(i, Whole)]
    return member._replace(
        target=(*lead, *inner),
        pattern=COPY,
        operands=(Read(operand.array, (*source, *inner)),),
        extents=(*member.extents, *width),
    )


def _needs(program: Program) -> dict[str, set[str]]:
    """Which inputs each array depends on."""
    found: dict[str, set[str]] = {name: {name} for name in program.inputs}
    for equation in program.equations:
        mine = found.setdefault(equation.array, set())
        for read in equation.reads:
            mine |= found.get(read.array, set())
    return found


def _is_unchanged(step: Program, name: str, out: str) -> bool:
    """Whether a step gives out what it got."""
    made = step.contributions.get(out, [])
    if len(made) != 1 or not made[0].pattern.is_copy or not made[0].is_whole:
        return False
    source = made[0].operands[0]
    return (
        isinstance(source, Read)
        and source.array == name
        and is_plain(source.indices)
        and made[0].extents == step.types[name].shape
        and step.types[name] == step.types[out]
    )


def _pruned_loop(
    loop: Loop, operands: tuple[Operand, ...], wanted: AbstractSet[int]
) -> tuple[Loop, tuple[Operand, ...], dict[int, int], dict[int, int]]:
    """Carry only what is needed.

    Returns
    -------
    loop, operands
    numbers
        What the number of each wanted result is now.
    constant
        For each result that is what its operand was, the operand.
    """
    step = loop.step
    first = 1 if loop.has_limit else 0
    same = {
        k
        for k, (name, out) in enumerate(zip(loop.carried, loop.carried_out, strict=True))
        if _is_unchanged(step, name, out) and not (k == 0 and loop.has_condition)
    }
    needs = _needs(step)
    rows = [k for k in range(len(loop.stacked)) if loop.n_carried + k in wanted]
    kept = {k for k in wanted if k < loop.n_carried and k not in same}
    if loop.has_condition:
        kept.add(0)
    while True:
        reached: set[str] = set()
        for out in [*[loop.carried_out[k] for k in kept], *[loop.stacked[k] for k in rows]]:
            reached |= needs.get(out, set())
        more = {k for k, n in enumerate(loop.carried) if n in reached and k not in same} - kept
        if not more:
            break
        kept |= more
    carried = sorted(kept)
    sources = dict(zip([*loop.shared, *loop.carried], operands[first:], strict=True))
    shared = [n for n in loop.shared if n in reached]
    shared += [loop.carried[k] for k in sorted(same) if loop.carried[k] in reached]
    renamed, shared = _merged(shared, sources)
    body = step.replace(
        inputs=(step.inputs[0], *shared, *[loop.carried[k] for k in carried]),
        outputs=(*[loop.carried_out[k] for k in carried], *[loop.stacked[k] for k in rows]),
    )
    if renamed:
        body = _renamed(body, renamed)
    body = remove_dead_equations(body)
    sizes = {*size_symbols(body)}
    made = replace(
        loop,
        sizes=tuple([(n, e) for n, e in loop.sizes if n in sizes]),
        step=body,
        n_shared=len(shared),
        n_carried=len(carried),
    )
    numbers = {k: n for n, k in enumerate(carried)}
    numbers |= {loop.n_carried + k: len(carried) + n for n, k in enumerate(rows)}
    numbers[loop.n_carried + len(loop.stacked)] = len(carried) + len(rows)
    chosen = [*operands[:first], *[sources[n] for n in shared]]
    chosen += [sources[loop.carried[k]] for k in carried]
    constant = {k: first + loop.n_shared + k for k in same if k in wanted}
    return made, tuple(chosen), numbers, constant


def _merged(
    names: Sequence[str], sources: Mapping[str, Operand]
) -> tuple[dict[str, str], list[str]]:
    """Take each operand once."""
    known: dict[Operand, str] = {}
    renamed: dict[str, str] = {}
    kept: list[str] = []
    for name in names:
        first = known.setdefault(sources[name], name)
        if first == name:
            kept.append(name)
        else:
            renamed[name] = first
    return renamed, kept


def _renamed(program: Program, names: Mapping[str, str]) -> Program:
    def visit(read: Read) -> Read:
        indices = tuple([visit(i) if isinstance(i, Read) else i for i in read.indices])
        return Read(names.get(read.array, read.array), indices)

    return program.replace(
        equations=tuple(
            [
                e._replace(
                    target=tuple([visit(i) if isinstance(i, Read) else i for i in e.target]),
                    operands=tuple([visit(o) if isinstance(o, Read) else o for o in e.operands]),
                )
                for e in program.equations
            ]
        )
    )


def _pruned_branch(
    branch: Branch, operands: tuple[Operand, ...], wanted: AbstractSet[int]
) -> tuple[Branch, tuple[Operand, ...], dict[int, int]]:
    """Compute only what is wanted, from what is read."""
    numbers = {k: n for n, k in enumerate(sorted(wanted))}
    bodies = [
        remove_dead_equations(p.replace(outputs=tuple([p.outputs[k] for k in numbers])))
        for p in branch.programs
    ]
    first = {operand: k for k, operand in reversed([*enumerate(operands[1:])])}
    same = {k: first[operand] for k, operand in enumerate(operands[1:]) if first[operand] != k}
    bodies = [_renamed(p, {p.inputs[k]: p.inputs[n] for k, n in same.items()}) for p in bodies]
    used = [{r.array for e in p.equations for r in e.reads} for p in bodies]
    kept = [
        k
        for k in range(len(branch.on_true.inputs))
        if any(p.inputs[k] in u for p, u in zip(bodies, used, strict=True))
    ]
    bodies = [
        remove_dead_equations(p.replace(inputs=tuple([p.inputs[k] for k in kept]))) for p in bodies
    ]
    symbols = {s for p in bodies for s in size_symbols(p)}
    made = replace(
        branch.with_programs(bodies), sizes=tuple([(n, e) for n, e in branch.sizes if n in symbols])
    )
    return made, (operands[0], *[operands[1 + k] for k in kept]), numbers
