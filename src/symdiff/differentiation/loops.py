"""Differentiation of loops, branches and runs: each becomes another of its kind.

The tangent of a loop is a loop whose step also carries the tangents. The cotangent of a loop is a
loop over the same steps backwards, whose step is the pullback of the step: it reads the states
that the forward loop has recorded, carries the cotangents of the state, and adds up those of what
all steps share. A loop that finds out by itself how many steps it does is done again, inside a
`Run`, as a loop of as many steps as it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from symdiff.differentiation.terms import Builder, depends_on, is_float
from symdiff.program.affine import identity
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    WHOLE,
    ArrayType,
    Equation,
    Index,
    Literal,
    Operand,
    Read,
    Whole,
)
from symdiff.program.nested import (
    Branch,
    Loop,
    Nested,
    Run,
    group_key,
    nested_block,
    nested_of,
    result_number,
)
from symdiff.program.patterns import COPY, Pattern
from symdiff.program.printing import fresh_name
from symdiff.program.program import Program, remove_dead_equations
from symdiff.program.sizes import Extent, Size, evaluate, product, put_sizes, symbol
from symdiff.program.splicing import Binding, make_room, shifted, size_symbols

if TYPE_CHECKING:
    from symdiff.differentiation.forward import Forward
    from symdiff.differentiation.reverse import Reverse

__all__ = ["pull_nested", "push_nested"]

Transform = Callable[..., tuple[Program, dict[str, str]]]
"""`forward.pushforward` or `reverse.pullback`, which call the functions here."""


class _Place(NamedTuple):
    """Where a group's equations stand: its loops, behind those of a batch."""

    equation: Equation
    extents: tuple[Extent, ...]
    lead: tuple[Index, ...]
    operands: tuple[Read, ...]
    batch_rank: int


def _place(equation: Equation, batch: Sequence[Extent]) -> _Place:
    here = make_room(equation, len(batch))
    lead = tuple([i for i in here.target if not isinstance(i, Whole)])
    operands = tuple([o for o in here.operands if isinstance(o, Read)])
    return _Place(equation, (*batch, *here.extents), lead, operands, len(batch))


def _whole(array: str, lead: Sequence[Index], rank: int) -> Read:
    return Read(array, (*lead, *[WHOLE] * rank))


def _zeros(walk: Builder, array_type: ArrayType) -> Read:
    """Make an array of zeros that is the same for all of a batch."""
    shape, dtype = array_type
    name = walk.new_array("zero", shape, dtype)
    zero = Literal(0, dtype)
    walk.equations.append(Equation(name, identity(len(shape)), "=", COPY, (zero,), shape))
    return _whole(name, (), len(shape))


def _applied(
    walk: Builder,
    place: _Place,
    nested: Nested,
    operands: Sequence[Operand],
    names: Mapping[int, str],
) -> dict[int, Binding]:
    """Append a group with some of its results, named as wished."""
    rank = len(place.extents)
    types = nested.results()
    made: dict[int, Binding] = {}
    for number, wanted in names.items():
        shape, dtype = types[number]
        name = walk.new_array(wanted, (*place.extents, *shape), dtype)
        target = (*identity(rank), *[WHOLE] * len(shape))
        walk.equations.append(
            Equation(
                name,
                target,
                "=",
                nested_block(nested, number),
                tuple(operands),
                place.extents,
                place.equation.location,
            )
        )
        made[number] = Binding(name, identity(rank))
    return made


def _assume(walk: Builder, nested: Nested) -> Nested:
    """Take over what the Programs inside take for granted about sizes."""
    known = dict(nested.sizes)
    for program in nested.programs:
        for guard in program.guards:
            walk.assumed[guard._replace(size=put_sizes(guard.size, known))] = None
    return nested.with_programs([p.replace(guards=()) for p in nested.programs])


def _with_sizes(nested: Nested, sizes: Mapping[str, Extent], without: str = "") -> Nested:
    """Say what all size symbols of the Programs inside are outside."""
    names = dict.fromkeys(s for p in nested.programs for s in size_symbols(p))
    kept = tuple([(name, sizes[name]) for name in names if name != without])
    return replace(nested, sizes=kept)


# forward mode


def push_nested(
    walk: Forward,
    members: Sequence[Equation],
    seeds: Mapping[str, Any],
    tangents: dict[str, str],
    batch: Sequence[Extent],
    prefix: str,
    pushforward: Transform,
) -> None:
    """Add the tangents of a group's results."""
    equation = members[0]
    nested = nested_of(equation.pattern)
    assert nested is not None
    if not any(is_float(walk.program, m.array) for m in members):
        return
    for o in equation.operands:
        assert isinstance(o, Read)
        if o.array in seeds and o.array not in tangents:
            tangents[o.array] = walk.seed(o.array, seeds[o.array], batch, prefix)
    place = _place(equation, batch)
    has_tangent = [o.array in tangents for o in place.operands]
    if not any(has_tangent):
        return
    given = [
        Read(tangents[o.array], (*identity(place.batch_rank), *o.indices)) if h else None
        for o, h in zip(place.operands, has_tangent, strict=True)
    ]
    pushed, operands, numbers = _pushed(walk, nested, place, given, pushforward)
    names = {
        numbers[k]: f"{prefix}{m.array}" for m in members if (k := result_number(m)) in numbers
    }
    made = _applied(walk, place, _assume(walk, pushed), operands, names)
    for member in members:
        number = numbers.get(result_number(member))
        if number is not None:
            _store_tangent(walk, member, made[number], tangents, batch, prefix, place)


def _store_tangent(
    walk: Forward,
    member: Equation,
    made: Binding,
    tangents: dict[str, str],
    batch: Sequence[Extent],
    prefix: str,
    place: _Place,
) -> None:
    """Put a tangent where the result is put."""
    shape, dtype = walk.program.types[member.array]
    assert isinstance(member.pattern, Block)
    if member.array not in tangents:
        name = walk.new_array(f"{prefix}{member.array}", (*batch, *shape), dtype)
        tangents[member.array] = name
    width = shape[len(shape) - member.pattern.rank :]
    rank = len(place.extents)
    inner = identity(rank + len(width))[rank:]
    lead = [i for i in make_room(member, len(batch)).target if not isinstance(i, Whole)]
    walk.conditions.setdefault(member.array, []).append(None)
    walk.add(
        tangents[member.array],
        (*identity(len(batch)), *lead, *inner),
        COPY,
        [Read(made.array, (*made.lead, *inner))],
        (*place.extents, *width),
        member,
    )


def _pushed(
    walk: Builder,
    nested: Nested,
    place: _Place,
    given: Sequence[Read | None],
    pushforward: Transform,
) -> tuple[Nested, list[Read], dict[int, int]]:
    """The tangent of a block: its operands, and which of its results is the tangent of which."""
    if isinstance(nested, Loop):
        return _pushed_loop(walk, nested, place, given, pushforward)
    first = 1 if isinstance(nested, Branch) else 0
    positions = [k for k, g in enumerate(given) if g is not None]
    inputs = [k - first for k in positions]
    programs = [_pushed_program(p, inputs, pushforward) for p in nested.programs]
    floating = [k for k, t in enumerate(nested.results()) if t.dtype.startswith("float")]
    operands = [*place.operands, *[g for g in given if g is not None]]
    pushed = _with_sizes(nested.with_programs(programs), dict(nested.sizes), _dynamic(nested))
    return pushed, operands, {k: n for n, k in enumerate(floating)}


def _dynamic(nested: Nested) -> str:
    return nested.symbol if isinstance(nested, Run) else ""


def _pushed_program(program: Program, positions: Sequence[int], pushforward: Transform) -> Program:
    """From inputs, and the tangents of some of them, to the tangents of floating outputs."""
    made, _ = pushforward(program, [program.inputs[k] for k in positions], ())
    return remove_dead_equations(made)


def _active_carried(loop: Loop, shared: Sequence[str], carried: Sequence[str]) -> list[str]:
    """What is carried and depends on active inputs of the step, through any number of steps."""
    active = dict.fromkeys([*shared, *carried])
    while True:
        reached = depends_on(loop.step, active)
        more = [
            name
            for name, out in zip(loop.carried, loop.carried_out, strict=True)
            if name not in active and out in reached and is_float(loop.step, name)
        ]
        if not more:
            return [name for name in loop.carried if name in active]
        active.update(dict.fromkeys(more))


def _split(loop: Loop, items: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Part what stands for operands: the limit, what is shared, what is carried."""
    first = 1 if loop.has_limit else 0
    cut = first + loop.n_shared
    return list(items[:first]), list(items[first:cut]), list(items[cut:])


def _pushed_loop(
    walk: Builder,
    loop: Loop,
    place: _Place,
    given: Sequence[Read | None],
    pushforward: Transform,
) -> tuple[Nested, list[Read], dict[int, int]]:
    step = loop.step
    limit, shared, carried = _split(loop, place.operands)
    _, of_shared, of_carried = _split(loop, given)
    active_shared = [n for n, g in zip(loop.shared, of_shared, strict=True) if g is not None]
    begun = [n for n, g in zip(loop.carried, of_carried, strict=True) if g is not None]
    active = _active_carried(loop, active_shared, begun)
    pushed, names = pushforward(step, [*active_shared, *active], step.outputs)
    floating = [o for o in step.outputs if is_float(step, o)]
    tangent_of = dict(zip(floating, pushed.outputs[len(step.outputs) :], strict=True))
    kept = [k for k, name in enumerate(loop.carried) if name in active]
    reached = depends_on(step, [*active_shared, *active])
    rows = [k for k, name in enumerate(loop.stacked) if name in reached]
    inputs = (
        step.inputs[0],
        *loop.shared,
        *[names[n] for n in active_shared],
        *loop.carried,
        *[names[n] for n in active],
    )
    outputs = (
        *loop.carried_out,
        *[tangent_of[loop.carried_out[k]] for k in kept],
        *loop.stacked,
        *[tangent_of[loop.stacked[k]] for k in rows],
    )
    body = remove_dead_equations(pushed.replace(inputs=inputs, outputs=outputs))
    made = replace(
        loop,
        step=body,
        n_shared=loop.n_shared + len(active_shared),
        n_carried=loop.n_carried + len(kept),
    )
    tangents = [g for g in of_shared if g is not None]
    starts = [
        of_carried[k] or _zeros(walk, loop.outside(step.types[loop.carried[k]])) for k in kept
    ]
    numbers = {k: loop.n_carried + n for n, k in enumerate(kept)}
    before = loop.n_carried + len(kept) + len(loop.stacked)
    numbers |= {loop.n_carried + k: before + n for n, k in enumerate(rows)}
    with_sizes = _with_sizes(made, dict(loop.sizes))
    return with_sizes, [*limit, *shared, *tangents, *carried, *starts], numbers


# reverse mode


def pull_nested(walk: Reverse, members: Sequence[Equation], pullback: Transform) -> None:
    """Add what the cotangents of a group's results give to those of its operands."""
    equation = members[0]
    nested = nested_of(equation.pattern)
    assert nested is not None
    wanted = {
        result_number(m): m for m in members if m.array in walk.adjoints and m.array in walk.active
    }
    if not wanted:
        return
    place = _place(equation, walk.batch)
    cotangents: dict[int, Read] = {}
    for number, member in wanted.items():
        assert isinstance(member.pattern, Block)
        lead = [i for i in make_room(member, place.batch_rank).target if not isinstance(i, Whole)]
        front = (*identity(place.batch_rank), *lead)
        cotangents[number] = _whole(walk.adjoint(member.array), front, member.pattern.rank)
    if isinstance(nested, Loop):
        if nested.count is None or nested.has_condition:
            _pull_unknown(walk, members, nested, place, cotangents, pullback)
        else:
            _pull_loop(walk, members, nested, place, cotangents, pullback)
        return
    first = 1 if isinstance(nested, Branch) else 0
    active = _active_operands(walk, place)
    inputs = [k - first for k in active]
    programs = [_pulled_program(p, inputs, [*cotangents], pullback) for p in nested.programs]
    pulled = _with_sizes(nested.with_programs(programs), dict(nested.sizes), _dynamic(nested))
    operands = [*place.operands, *cotangents.values()]
    _pull_some(walk, place, pulled, operands, list(enumerate(active)))


def _active_operands(walk: Reverse, place: _Place) -> list[int]:
    return [k for k, o in enumerate(place.operands) if o.array in walk.active]


def _pulled_program(
    program: Program, inputs: Sequence[int], outputs: Sequence[int], pullback: Transform
) -> Program:
    """From inputs, and the cotangents of some outputs, to the cotangents of some inputs."""
    wrt = [program.inputs[k] for k in inputs]
    made, _ = pullback(program, wrt, [program.outputs[k] for k in outputs])
    return remove_dead_equations(made)


def _pull_loop(
    walk: Reverse,
    members: Sequence[Equation],
    loop: Loop,
    place: _Place,
    cotangents: Mapping[int, Read],
    pullback: Transform,
) -> None:
    """Append the loop backwards."""
    loop = _with_gathers(loop)
    step = loop.step
    active_operands = {*_active_operands(walk, place)}
    _, of_shared, of_carried = _split(
        loop, [k in active_operands for k in range(len(place.operands))]
    )
    shared = [n for n, a in zip(loop.shared, of_shared, strict=True) if a]
    begun = [n for n, a in zip(loop.carried, of_carried, strict=True) if a]
    carried = _active_carried(loop, shared, begun)
    kept = [k for k, name in enumerate(loop.carried) if name in carried]
    rows = [k for k in range(len(loop.stacked)) if loop.n_carried + k in cotangents]
    outputs = [*[loop.carried_out[k] for k in kept], *[loop.stacked[k] for k in rows]]
    body, given = pullback(step, [*carried, *shared], outputs, shared)
    starts = body.inputs[len(step.inputs) : len(step.inputs) + len(shared)]
    body, recorded = _what_to_record(loop, remove_dead_equations(body))
    known = dict(loop.sizes)
    assert loop.count is not None
    count: Extent = loop.count
    if not isinstance(count, int):
        name = fresh_name("steps", {*known, *size_symbols(body)})
        known[name] = loop.count
        count = symbol(name)
    body, rows_in = _read_rows(
        body,
        count,
        [*recorded, *[given[loop.stacked[k]] for k in rows]],
    )
    inputs = (
        step.inputs[0],
        *loop.shared,
        *rows_in,
        *[given[loop.carried_out[k]] for k in kept],
        *starts,
    )
    backward = replace(
        loop,
        step=body.replace(inputs=inputs),
        n_shared=loop.n_shared + len(rows_in),
        n_carried=len(kept) + len(shared),
        is_reversed=not loop.is_reversed,
    )
    backward = _with_sizes(backward, known)
    records = _record(walk, members, loop, recorded)
    rank = place.batch_rank
    lead = shifted(identity(len(place.extents) - rank), rank)
    reads = [
        _whole(states, lead, 1 + len(step.types[name].shape))
        for states, name in zip(records, recorded, strict=True)
    ]
    first = 1 if loop.has_limit else 0
    all_shared = place.operands[first : first + loop.n_shared]
    operands: list[Operand] = [*all_shared, *reads]
    operands += [cotangents[loop.n_carried + k] for k in rows]
    operands += [
        cotangents.get(k) or _zeros(walk, loop.outside(step.types[loop.carried[k]])) for k in kept
    ]
    operands += [_zeros(walk, loop.outside(step.types[name])) for name in shared]
    if first:
        operands = [place.operands[0], *operands]
    positions = {name: first + k for k, name in enumerate([*loop.shared, *loop.carried])}
    wanted = [(n, positions[name]) for n, name in enumerate([*carried, *shared])]
    results = [(n, k) for n, k in wanted if k in active_operands]
    _pull_some(walk, place, backward, operands, results)


def _with_gathers(loop: Loop) -> Loop:
    """Give what a step reads of a large carried array a name, so that it can be recorded."""
    step = loop.step
    large = {n for n in loop.carried if step.types[n].shape}
    if not large:
        return loop
    types = dict(step.types)
    equations: list[Equation] = []
    parts: dict[Any, str] = {}
    for e in step.equations:
        if _is_changed_copy(e, large) and types[e.array].shape:
            large.add(e.array)
        operands = list(e.operands)
        for k, o in enumerate(operands):
            is_part = isinstance(o, Read) and o.array in large and not isinstance(e.pattern, Block)
            if not is_part or e.array in large:
                continue
            assert isinstance(o, Read)
            if not _count(e.extents) < _count(types[o.array].shape):
                continue
            whole = identity(len(e.extents))
            if (o, e.extents) not in parts:
                name = parts[o, e.extents] = fresh_name("part", types.keys())
                types[name] = ArrayType(e.extents, types[o.array].dtype)
                equations.append(Equation(name, whole, "=", COPY, (o,), e.extents, e.location))
            operands[k] = Read(parts[o, e.extents], whole)
        equations.append(e._replace(operands=tuple(operands)))
    if len(equations) == len(step.equations):
        return loop
    return replace(loop, step=step.replace(types=types, equations=tuple(equations)))


def _what_to_record(loop: Loop, body: Program) -> tuple[Program, list[str]]:
    """Choose what the forward loop records for the pullback of its step.

    That is what the step is given; but where it reads little of a large array, it is what was
    read. Filling an array element by element would otherwise record all of it at each step.
    """
    step = loop.step
    live = {r.array for e in body.equations for r in e.reads}
    large = {n for n in loop.carried if n in live and step.types[n].shape}
    read: dict[str, None] = {}
    mine = {id(e) for e in step.equations}
    for e in body.equations:
        if id(e) not in mine or not any(r.array in large for r in e.reads):
            continue
        if _is_changed_copy(e, large) and step.types[e.array].shape:
            large.add(e.array)
        elif e.array not in large:
            read[e.array] = None
    given = [n for n in loop.carried if n in live]
    if not large or not _size(step, read) < _size(step, [n for n in given if n in large]):
        read = {}
    read.update(dict.fromkeys(_dear(step, [e for e in body.equations if id(e) in mine], given)))
    if not read:
        return body, given
    kept = [e for e in body.equations if e.array not in read or id(e) not in mine]
    smaller = remove_dead_equations(
        body.replace(inputs=(*body.inputs, *read), equations=tuple(kept))
    )
    live = {r.array for e in smaller.equations for r in e.reads}
    return smaller, [n for n in (*loop.carried, *read) if n in live]


MAX_DEAR = 320
"""Elements of functions' values that a step records; beyond that memory is the dearer."""


def _dear(step: Program, equations: Sequence[Equation], given: Sequence[str]) -> list[str]:
    """Choose the arrays that take less time to write and read than to compute again.

    Those are the values of transcendental functions, if they are not much more than the states.
    """
    found = [
        e.array
        for e in equations
        if isinstance(e.pattern, Pattern)
        and e.pattern.is_transcendental
        and is_float(step, e.array)
        and len(step.contributions[e.array]) == 1
    ]
    is_little = _size(step, found) <= min(MAX_DEAR, 4 * _size(step, given))
    return found if is_little else []


def _is_changed_copy(equation: Equation, arrays: AbstractSet[str]) -> bool:
    """Whether an equation copies an array to the same places, or puts something into it."""
    source = equation.operands[0] if equation.operands else None
    if not isinstance(source, Read) or source.array not in arrays:
        return False
    if isinstance(equation.pattern, Block):
        return equation.pattern.name == "put"
    return equation.pattern.is_copy and source.indices == equation.target


def _size(program: Program, names: Iterable[str]) -> int:
    """How many elements some arrays have, with a large number for each size."""
    return sum(_count(program.types[name].shape) for name in names)


def _count(extents: Sequence[Extent]) -> int:
    count = product(extents)
    symbols = {s for m, _ in count.terms for s in m} if isinstance(count, Size) else ()
    return evaluate(count, dict.fromkeys(symbols, 1000))


def _pull_some(
    walk: Reverse,
    place: _Place,
    nested: Nested,
    operands: Sequence[Operand],
    results: Sequence[tuple[int, int]],
) -> None:
    """Append a block of which some results are the cotangents of operands."""
    names = {n: f"d{place.operands[k].array}_part" for n, k in results}
    made = _applied(walk, place, _assume(walk, nested), operands, names)
    for n, k in results:
        _add_to_operand(walk, place, place.operands[k], made[n])


def _add_to_operand(walk: Reverse, place: _Place, operand: Read, made: Binding) -> None:
    lead = [i for i in operand.indices if not isinstance(i, Whole)]
    width = walk.program.types[operand.array].shape[len(lead) :]
    rank = len(place.extents)
    inner = identity(rank + len(width))[rank:]
    source = Read(made.array, (*made.lead, *inner))
    target = (*identity(place.batch_rank), *lead, *inner)
    walk.conditions.setdefault(operand.array, []).append(None)
    extents = (*place.extents, *width)
    walk.add(walk.adjoint(operand.array), target, COPY, [source], extents, place.equation)


def _read_rows(body: Program, count: Extent, names: Sequence[str]) -> tuple[Program, list[str]]:
    """Read inputs of a step from the rows of arrays, at the step's number."""
    types = dict(body.types)
    made: list[str] = []
    equations: list[Equation] = []
    number = Read(body.inputs[0], ())
    for name in names:
        shape, dtype = types.get(name, (None, None))
        if shape is None or dtype is None:
            continue
        row = fresh_name(f"{name}_rows", types.keys())
        types[row] = ArrayType((count, *shape), dtype)
        whole = identity(len(shape))
        source = Read(row, (number, *whole))
        equations.append(Equation(name, whole, "=", COPY, (source,), shape))
        made.append(row)
    inputs = tuple([n for n in body.inputs if n not in names])
    return (
        body.replace(inputs=inputs, types=types, equations=(*equations, *body.equations)),
        made,
    )


def _record(
    walk: Reverse, members: Sequence[Equation], loop: Loop, names: Sequence[str]
) -> list[str]:
    """Let the forward loop stack arrays of each step; give the names of what it stacks."""
    step = loop.step
    types = dict(step.types)
    equations = list(step.equations)
    outputs = list(step.outputs)
    for name in names:
        shape, dtype = types[name]
        record = fresh_name(f"{name}_now", types.keys())
        types[record] = ArrayType(shape, dtype)
        whole = identity(len(shape))
        equations.append(Equation(record, whole, "=", COPY, (Read(name, whole),), shape))
        outputs.append(record)
    more = len(names)
    if not more:
        return []
    body = step.replace(types=types, equations=tuple(equations), outputs=tuple(outputs))
    recording = replace(loop, step=body)
    first = loop.n_carried + len(loop.stacked)
    key = group_key(members[0])
    place = _place(members[0], ())
    made: list[Equation] = []
    states: list[str] = []
    for n, name in enumerate(names):
        shape, dtype = recording.results()[first + n]
        states.append(walk.new_array(f"{name}_states", (*place.extents, *shape), dtype))
        made.append(
            members[0]._replace(
                array=states[-1],
                target=(*identity(len(place.extents)), *[WHOLE] * len(shape)),
                pattern=nested_block(recording, first + n),
            )
        )
    changed: list[Equation] = []
    for equation in walk.equations:
        if nested_of(equation.pattern) is None or group_key(equation) != key:
            changed.append(equation)
            continue
        number = result_number(equation)
        number += more if number >= first else 0
        changed.append(equation._replace(pattern=nested_block(recording, number)))
        changed += made
        made = []
    walk.equations[:] = changed
    return states


def _pull_unknown(
    walk: Reverse,
    members: Sequence[Equation],
    loop: Loop,
    place: _Place,
    cotangents: Mapping[int, Read],
    pullback: Transform,
) -> None:
    """Append the cotangents of a loop whose number of steps is known only when it is done."""
    step = loop.step
    number_name = "n_steps"
    name = fresh_name("steps", {n for n, _ in loop.sizes} | {*size_symbols(step)})
    types: dict[str, ArrayType] = {}
    number_name = fresh_name(number_name, {*step.inputs})
    types[number_name] = ArrayType((), "int64")
    inputs = [*loop.shared, *loop.carried]
    for n in inputs:
        types[n] = step.types[n]
    known = {s: symbol(s) for s, _ in loop.sizes}
    again = Loop(
        tuple(known.items()),
        step,
        loop.n_shared,
        loop.n_carried,
        count=symbol(name),
        is_reversed=loop.is_reversed,
    )
    operands = tuple([_whole(n, (), len(types[n].shape)) for n in inputs])
    outputs: list[str] = []
    equations: list[Equation] = []
    for k in cotangents:
        shape, dtype = step.types[loop.carried_out[k]]
        out = fresh_name(f"{loop.carried_out[k]}_last", types.keys())
        types[out] = ArrayType(shape, dtype)
        block = nested_block(again, k)
        equations.append(Equation(out, (WHOLE,) * len(shape), "=", block, operands, ()))
        outputs.append(out)
    program = Program(step.name, (number_name, *inputs), tuple(outputs), types, tuple(equations))
    first = 1 if loop.has_limit else 0
    active = [k for k in _active_operands(walk, place) if k >= first]
    pulled = _pulled_program(
        program, [1 + k - first for k in active], range(len(outputs)), pullback
    )
    run = Run((), pulled, name)
    with_sizes = _with_sizes(run, dict(loop.sizes), name)
    steps = _steps_done(walk, members, loop, place)
    given = [steps, *place.operands[first:], *cotangents.values()]
    _pull_some(walk, place, with_sizes, given, list(enumerate(active)))


def _steps_done(walk: Reverse, members: Sequence[Equation], loop: Loop, place: _Place) -> Read:
    """Have the forward loop say how many steps it did."""
    number = len(loop.results()) - 1
    rank = place.batch_rank
    lead = shifted(identity(len(place.extents) - rank), rank)
    key = group_key(members[0])
    for equation in walk.equations:
        is_member = nested_of(equation.pattern) is not None and group_key(equation) == key
        if is_member and result_number(equation) == number:
            return Read(equation.array, lead)
    extents = place.extents[rank:]
    name = walk.new_array("n_steps", extents, "int64")
    made = members[0]._replace(
        array=name, target=identity(len(extents)), pattern=nested_block(loop, number)
    )
    walk.equations.insert(walk.equations.index(members[0]) + 1, made)
    return Read(name, lead)
