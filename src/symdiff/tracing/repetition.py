"""Loops on traced values: a body is traced once, and stays a loop in the kernel.

The types of what a loop carries are found by tracing its body until they settle: Python's numbers
that no step changes stay numbers, and a variable that a step defines begins as a blank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import at_user_line
from symdiff.program.nested import Loop
from symdiff.program.program import Program
from symdiff.program.sizes import Extent
from symdiff.tracing.assembly import concatenate
from symdiff.tracing.bodies import (
    ArrayKind,
    CannotKeep,
    Inside,
    Place,
    Start,
    Undefined,
    Unsettled,
    add_output,
    apply_nested,
    blank,
    check_aliases,
    fitted,
    identity_sizes,
    is_array,
    is_mutated,
    is_number,
    is_same,
    is_traced,
    joined_kind,
    kind_of,
    leaf_names,
    names_of_memory,
    note_names,
    step_program,
    traced_number,
    written_back,
)
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.growing import extended, plain, without_appended
from symdiff.tracing.shapes import reshape
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced, astype
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["iterate", "repeat"]

MAX_ATTEMPTS = 8
"""How often a body is traced before the types of what it carries must have settled."""
MAX_PEELED = 2
"""How many first steps are done in front of a loop whose types settle only then."""
UNKNOWN_SEGMENT = 64
"""The steps from one recorded state to the next where nothing tells how many there are."""


class _Slot:
    """One leaf of the state: as it starts, and what carries it."""

    def __init__(self, value: Any, type_: ArrayKind | None = None) -> None:
        self.start = value
        self.type = type_


def _slot(value: Any) -> _Slot:
    return _Slot(value, kind_of(traced_number(value)) if is_array(value) else None)


class _Traced(NamedTuple):
    """A body that was traced with types that have settled."""

    program: Program
    shared: list[TracedArray]
    slots: list[_Slot]
    carried: list[int]
    mutated: list[bool]
    stacked: list[TracedArray]
    stacked_tree: Tree | None
    has_go: bool
    unchanged: list[int]
    names: list[tuple[int, Place]]


Body = Callable[[Any, Any], Any]


def repeat(
    body: Body,
    state: Any,
    *,
    count: Any = None,
    condition: Callable[[Any], Any] | None = None,
    names: Sequence[str] = (),
    checkpoint: int | bool = False,
) -> Any:
    """Do ``state = body(i, state)`` `count` times, or while a condition holds; it stays a loop.

    Parameters
    ----------
    body : callable
        Takes the number of the step, a traced integer, and the state; gives the new state.
    state : tree
        Arrays and numbers are carried; other leaves must stay what they are. `UNDEFINED` stands
        for what the first step defines.
    count : int, TracedSize or traced integer, optional
    condition : callable, optional
        Asked of the state before each step.
    names : sequence of str
        What the entries of the state, then a tuple, are called in messages.
    checkpoint : int or bool
        How many steps reverse mode does again from one recorded state; if true, the square root
        of their number.

    Raises
    ------
    CannotKeep
        It cannot be said as a loop.
    """
    is_open = condition is not None or is_traced(count)
    state, around = plain(state)
    result, rows = iterate(
        lambda i, s: without_appended(body, i, s, around, names, is_open=is_open),
        state,
        count=count,
        condition=condition,
        names=names,
        checkpoint=checkpoint,
    )
    return result if rows is None else extended(result, rows)


def iterate(
    body: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    *,
    count: Any = None,
    condition: Callable[[Any], Any] | None = None,
    names: Sequence[str] = (),
    is_reversed: bool = False,
    checkpoint: int | bool = False,
) -> tuple[Any, Any]:
    """Do as `repeat`, with a body that also gives what is stacked along a new first axis."""
    if checkpoint:
        return _in_segments(body, state, count, condition, names, is_reversed, checkpoint)
    offset = 0
    first: list[Any] = []
    while True:
        try:
            state, rows = _iterate(body, state, count, condition, names, is_reversed, offset)
            return state, _behind(first, rows)
        except Unsettled:
            can_peel = isinstance(count, (int, TracedSize)) and not is_reversed
            if not can_peel or offset == MAX_PEELED or not count > offset:
                raise
            go = True if condition is None else condition(state)
            if is_traced(go) or not go:
                raise
            state, rows = body(offset, _copied(state))
            first += [] if rows is None else [rows]
            offset += 1


def _copied(state: Any) -> Any:
    """Give lists and dicts of its own to what may write to them."""
    leaves, tree = flatten(state)
    return unflatten(tree, leaves)


def _behind(first: list[Any], rows: Any) -> Any:
    """Put the rows of steps that were done before a loop in front of those that it has stacked."""
    if not first:
        return rows
    heads = [[as_traced(x)[None] for x in flatten(r)[0]] for r in first]
    leaves, tree = flatten(rows)
    return unflatten(tree, [concatenate(parts) for parts in zip(*heads, leaves, strict=True)])


def _in_segments(
    body: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    count: Any,
    condition: Callable[[Any], Any] | None,
    names: Sequence[str],
    is_reversed: bool,
    checkpoint: int | bool,
) -> tuple[Any, Any]:
    """Nest a loop in another, so that reverse mode records the state once a segment only."""
    if count is None:
        length = UNKNOWN_SEGMENT if checkpoint is True else int(checkpoint)

        def segment(o: Any, s: Any) -> tuple[Any, Any]:
            return iterate(
                lambda j, t: body(o * length + j, t),
                s,
                count=length,
                condition=condition,
                names=names,
            )

        return iterate(segment, state, condition=condition, names=names)
    if is_traced(count):
        raise CannotKeep(at_user_line("checkpoints need a number of steps that is no traced value"))
    total = int(count)
    length = math.isqrt(max(total - 1, 0)) + 1 if checkpoint is True else int(checkpoint)
    whole = total // length
    rest = total - whole * length

    def run(start: Any, steps: int, s: Any) -> tuple[Any, Any]:
        return iterate(
            lambda j, t: body(start + j, t),
            s,
            count=steps,
            condition=condition,
            names=names,
            is_reversed=is_reversed,
        )

    parts: list[Any] = []
    behind = whole * length
    for is_rest in (True, False) if is_reversed else (False, True):
        if is_rest and rest:
            state, rows = run(behind, rest, state)
            parts.append(rows)
        elif not is_rest and whole:
            state, rows = iterate(
                lambda o, s: run(o * length, length, s),
                state,
                count=whole,
                condition=condition,
                names=names,
                is_reversed=is_reversed,
            )
            if rows is not None:
                leaves, tree = flatten(rows)
                flat = [reshape(x, (behind, *x.shape_[2:])) for x in leaves]
                rows = unflatten(tree, flat)
            parts.append(rows)
    if not parts or parts[0] is None:
        return state, None
    if is_reversed:
        parts.reverse()
    trees = [flatten(p) for p in parts]
    joined = [concatenate(xs) for xs in zip(*[leaves for leaves, _ in trees], strict=True)]
    return state, unflatten(trees[0][1], joined)


def _iterate(
    body: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    count: Any,
    condition: Callable[[Any], Any] | None,
    names: Sequence[str],
    is_reversed: bool,
    offset: int,
) -> tuple[Any, Any]:
    context = active_context()
    assert context is not None
    go = None
    if condition is not None:
        go = condition(state)
        if not is_traced(go):
            if not go:
                return state, None
            go = bool(go)
    leaves, tree = flatten(state)
    slots = [_slot(x) for x in leaves]
    wanted = leaf_names(tree, names)
    is_dynamic = condition is not None or not isinstance(count, int)
    for _ in range(MAX_ATTEMPTS):
        found = _attempt(
            context, body, condition, slots, tree, wanted, names, offset, is_dynamic=is_dynamic
        )
        if isinstance(found, _Traced):
            break
        if isinstance(found, list):
            slots = found
        else:
            slots, tree = found
            wanted = leaf_names(tree, names)
    else:
        raise CannotKeep(at_user_line("what the loop carries never settles on a type"))
    return _applied(found, go, count, is_reversed, tree, offset)


def _applied(
    body: _Traced, go: Any, count: Any, is_reversed: bool, tree: Tree, offset: int
) -> tuple[Any, Any]:
    """Append a loop to the trace that is going on, and put its results into the state."""
    context = active_context()
    assert context is not None
    types = [body.slots[n].type for n in body.carried]
    starts = [
        blank(t) if isinstance(body.slots[n].start, _Blank) else fitted(body.slots[n].start, t)
        for n, t in zip(body.carried, types, strict=True)
        if t is not None
    ]
    if body.has_go:
        starts.insert(0, fitted(True if go is None else go, ArrayKind((), "bool", False)))
    extent: Extent | None = None
    limit: list[TracedArray] = []
    if isinstance(count, (int, np.integer)):
        extent = max(int(count) - offset, 0)
    elif isinstance(count, TracedSize):
        extent = count.size - offset
    elif count is not None:
        limit = [astype(as_traced(count), "int64")]
        assert not offset
    loop = Loop(
        identity_sizes(body.program),
        body.program,
        len(body.shared),
        len(starts),
        count=extent,
        has_limit=bool(limit),
        has_condition=body.has_go,
        is_reversed=is_reversed,
    )
    shared = [as_traced(x) for x in body.shared]
    numbers = range(loop.n_carried + len(loop.stacked))
    results = apply_nested(loop, [*limit, *shared, *starts], numbers)
    stacked = results[loop.n_carried :]
    carried = results[1 : loop.n_carried] if body.has_go else results[: loop.n_carried]
    starts = [slot.start for slot in body.slots]
    leaves = list(starts)
    for n, t, result in zip(body.carried, types, carried, strict=True):
        assert t is not None
        if n in body.unchanged and is_array(starts[n]):
            continue
        value = result
        if t.is_weak:
            value = TracedArray(context, result.array, t.shape, t.dtype, is_weak=True)
        leaves[n] = value
        if body.mutated[n]:
            leaves[n] = written_back(body.slots[n].start, value)
    note_names(body.names, starts, leaves)
    rows = None if body.stacked_tree is None else unflatten(body.stacked_tree, stacked)
    return unflatten(tree, leaves), rows


def _attempt(
    context: Context,
    body: Callable[[Any, Any], tuple[Any, Any]],
    condition: Callable[[Any], Any] | None,
    slots: list[_Slot],
    tree: Tree,
    names: Sequence[str],
    entry_names: Sequence[str],
    offset: int,
    *,
    is_dynamic: bool,
) -> _Traced | list[_Slot] | tuple[list[_Slot], Tree]:
    """Trace a body; where types have not settled give better ones."""
    inside = Inside(context, f"{context.name}_step", is_repeated=True)
    with inside:
        number = inside.add_input("step", (), "int64")
        inside.natural.add(number)
        i: Any = TracedArray(inside, number, (), "int64", is_weak=True)
        inputs = [number]
        given: list[Any] = []
        versions: list[int] = []
        for slot, name in zip(slots, names, strict=True):
            if slot.type is None:
                given.append(slot.start)
                versions.append(0)
                continue
            array = inside.add_input(name, slot.type.shape, slot.type.dtype)
            inputs.append(array)
            given.append(
                TracedArray(
                    inside, array, slot.type.shape, slot.type.dtype, is_weak=slot.type.is_weak
                )
            )
            versions.append(given[-1].buffer.version)
        after, rows = body(i + offset if offset else i, unflatten(tree, given))
        leaves, out_tree = flatten(after)
        if out_tree != tree:
            return _defined(slots, tree, after, entry_names)
        better = _better(slots, given, leaves, names)
        if better is not None:
            return better
        go: TracedArray | None = None
        if condition is not None:
            go = as_traced(condition(after))
        mutated = [
            out is x and is_mutated(x, v) for out, x, v in zip(leaves, given, versions, strict=True)
        ]
        changed = [
            n
            for n, slot in enumerate(slots)
            if slot.type is not None and (leaves[n] is not given[n] or mutated[n])
        ]
        if not (is_dynamic or rows is not None or _has_traced(inside, slots, changed)):
            raise CannotKeep(at_user_line("nothing in the loop depends on an argument"))
        check_aliases(inside, [s.start for s in slots], mutated, names)
        pairs = names_of_memory(inside, given, leaves)
        _check_names(pairs, given, versions, names)
        unchanged = [n for n, s in enumerate(slots) if s.type is not None and n not in changed]
        outputs: list[str] = []
        if go is not None:
            inputs.insert(1, inside.add_input("go", (), "bool"))
            outputs.append(add_output(inside, astype(go, "bool")))
        for n in [*changed, *unchanged]:
            t = slots[n].type
            assert t is not None
            outputs.append(add_output(inside, fitted(leaves[n], t)))
        stacked, stacked_tree = flatten(rows) if rows is not None else ([], None)
        arrays = [as_traced(x) for x in stacked]
        outputs += [add_output(inside, x) for x in arrays]
    carried = [n for n, s in enumerate(slots) if s.type is not None]
    first = 1 if go is None else 2
    places = dict(zip(carried, inputs[first:], strict=True))
    order = [*changed, *unchanged]
    inputs = [*inputs[:first], *[places[n] for n in order]]
    program, shared = step_program(inside, inputs, outputs)
    has_go = go is not None
    return _Traced(
        program, shared, slots, order, mutated, arrays, stacked_tree, has_go, unchanged, pairs
    )


def _has_traced(inside: Inside, slots: Sequence[_Slot], changed: Sequence[int]) -> bool:
    """Whether a loop computes anything that Python could not."""
    starts = any(is_traced(slots[n].start) for n in changed)
    return starts or bool(inside.captured.keys() - inside.constant_names)


def _check_names(
    pairs: Sequence[tuple[int, Place]],
    given: Sequence[Any],
    versions: Sequence[int],
    names: Sequence[str],
) -> None:
    """Refuse steps that write to what the next one knows under two names."""
    for n, other in pairs:
        places = [n, other.position if isinstance(other, Start) else other]
        written = [
            m
            for m in places
            if isinstance(m, int) and m < len(given) and is_mutated(given[m], versions[m])
        ]
        if written:
            text = f"{names[n]} is written to, and seen under another name as well"
            raise CannotKeep(at_user_line(f"{text}. Use one name, or a copy"))


def _better(
    slots: Sequence[_Slot], given: Sequence[Any], leaves: Sequence[Any], names: Sequence[str]
) -> list[_Slot] | None:
    """Types that hold what came out of a step too; None where they do already."""
    is_settled = True
    result: list[_Slot] = []
    for slot, x, out, name in zip(slots, given, leaves, names, strict=True):
        made = _Slot(slot.start, slot.type)
        result.append(made)
        if slot.type is None:
            if is_same(x, out):
                continue
            if isinstance(slot.start, Undefined):
                result[-1] = _blank_slot(out)
                is_settled = False
                continue
            if not (is_array(out) or is_number(out)) or not is_number(slot.start):
                raise Unsettled(at_user_line(f"{name} is {x!r} at first and {out!r} afterwards"))
            outer = traced_number(slot.start)
            made.type = joined_kind(
                _number_type(slot.start, outer), kind_of(traced_number(out)), name
            )
        elif out is not x:
            if not (is_array(out) or is_number(out)):
                raise Unsettled(at_user_line(f"{name} is an array at first and {out!r} afterwards"))
            can_widen = slot.type.is_weak or not slot.type.shape
            made.type = joined_kind(
                slot.type, kind_of(traced_number(out)), name, can_widen=can_widen
            )
        is_settled = is_settled and made.type == slot.type
    return None if is_settled else result


def _number_type(value: Any, traced: TracedArray) -> ArrayKind:
    is_weak = isinstance(value, (int, float)) and not isinstance(value, (bool, np.generic))
    return ArrayKind((), traced.dtype_, is_weak)


class _Blank(NamedTuple):
    """What a variable that a step defines is before the first step, when nothing reads it."""

    type: ArrayKind


def _defined(
    starts: Sequence[_Slot], tree: Tree, after: Any, names: Sequence[str]
) -> tuple[list[_Slot], Tree]:
    """Start what a step defines from blanks."""
    state = unflatten(tree, list(starts))
    is_named = isinstance(state, tuple) and isinstance(after, tuple) and len(state) == len(after)
    if not is_named:
        raise Unsettled(at_user_line("the state has another structure after a step"))
    entries: list[Any] = []
    for n, (old, new) in enumerate(zip(state, after, strict=True)):
        is_new = isinstance(old, _Slot) and isinstance(old.start, Undefined)
        leaves, new_tree = flatten(new)
        if is_new and not isinstance(new, Undefined):
            entries.append(unflatten(new_tree, [_blank_slot(x) for x in leaves]))
            continue
        if flatten(old)[1] != new_tree:
            name = names[n] if n < len(names) else f"entry {n} of the state"
            raise Unsettled(at_user_line(f"{name} has another structure after a step"))
        entries.append(old)
    return flatten(tuple(entries))


def _blank_slot(x: Any) -> _Slot:
    if not (is_array(x) or is_number(x)):
        return _Slot(x)
    t = kind_of(traced_number(x))
    return _Slot(_Blank(t), t)
