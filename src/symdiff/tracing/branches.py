"""Branches on traced values: both sides are traced, and the kernel runs or selects one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import ShapeError, at_user_line
from symdiff.program.affine import identity
from symdiff.program.blocks import Block
from symdiff.program.equations import Read
from symdiff.program.nested import Branch
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.sizes import Extent
from symdiff.program.splicing import Binding, splice
from symdiff.tracing.bodies import (
    ArrayKind,
    CannotKeep,
    Inside,
    Undefined,
    Unsettled,
    add_output,
    apply_nested,
    blank,
    check_aliases,
    current_value,
    fitted,
    identity_sizes,
    is_array,
    is_mutated,
    is_number,
    is_same,
    joined_kind,
    kind_of,
    leaf_names,
    names_of_memory,
    note_names,
    traced_number,
    written_back,
)
from symdiff.tracing.context import Context, active_context
from symdiff.tracing.finishing import finish
from symdiff.tracing.local_array import LocalArray, make_traced, root_of
from symdiff.tracing.selection import where
from symdiff.tracing.tracer import TracedArray, as_traced, elementwise
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["conditional"]

MAX_INLINE = 64
"""Branches of up to so many equations on numbers are both computed, and one is selected."""


def conditional(
    test: Any,
    on_true: Callable[[Any], Any],
    on_false: Callable[[Any], Any],
    state: Any = (),
    *,
    names: Sequence[str] = (),
) -> Any:
    """Give ``on_true(state)`` or ``on_false(state)``, whichever a traced Boolean says.

    Small branches on numbers are both computed and one is selected; others stay branches.

    Raises
    ------
    CannotKeep
        The two give values that cannot be one.
    """
    context = active_context()
    assert context is not None
    truth = as_traced(test)
    if truth.shape_:
        raise ShapeError(
            at_user_line(
                f"the condition is an array of shape {context.show_shape(truth.shape_)}. Use "
                "np.any or np.all, or np.where for a choice element by element"
            )
        )
    if truth.dtype_ != "bool":
        truth = truth != 0
    leaves, tree = flatten(state)
    first = _trace_branch(context, on_true, leaves, tree)
    second = _trace_branch(context, on_false, leaves, tree)
    written = {id(r): r for side in (first, second) for r in _plain_written(leaves, side)}
    if written:  # which are traced from here on; the branches have to see it
        for root in written.values():
            make_traced(root)
        return conditional(test, on_true, on_false, state, names=names)
    first, second = _aligned(first, second)
    return _merge(context, truth, first, second, leaves, names)


def _aligned(first: _Side, second: _Side) -> tuple[_Side, _Side]:
    """Give a variable that has a value in one branch only the structure of that value."""
    a, b = unflatten(first.tree, first.leaves), unflatten(second.tree, second.leaves)
    is_state = isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b)
    if first.tree == second.tree or not is_state:
        return first, second
    pairs = [_with_structure(x, y) for x, y in zip(a, b, strict=True)]
    made: list[_Side] = []
    for side, values in ((first, [x for x, _ in pairs]), (second, [y for _, y in pairs])):
        leaves, tree = flatten(tuple(values))
        made.append(side._replace(leaves=leaves, tree=tree))
    return made[0], made[1]


def _with_structure(a: Any, b: Any) -> tuple[Any, Any]:
    if isinstance(a, Undefined) and not isinstance(b, Undefined):
        tree = flatten(b)[1]
        return unflatten(tree, [a] * tree.n_leaves), b
    if isinstance(b, Undefined) and not isinstance(a, Undefined):
        y, x = _with_structure(b, a)
        return x, y
    return a, b


def _with_blank(first: _Side, second: _Side, a: Any, b: Any) -> tuple[Any, Any]:
    """Put a blank where one branch leaves a variable without a value, as nothing will read it."""
    is_first = isinstance(a, Undefined)
    side, other, value = (first, second, b) if is_first else (second, first, a)
    with other.context:
        t = kind_of(traced_number(value))
    with side.context:
        array = blank(t).array
        empty = TracedArray(side.context, array, t.shape, t.dtype, is_weak=t.is_weak)
    return (empty, value) if is_first else (value, empty)


class _Side(NamedTuple):
    """One branch that was traced."""

    context: Inside
    given: list[Any]
    versions: list[int]
    leaves: list[Any]
    tree: Tree


def _trace_branch(
    context: Context, function: Callable[[Any], Any], leaves: Sequence[Any], tree: Tree
) -> _Side:
    inside = Inside(context, f"{context.name}_branch")
    with inside:
        given: list[Any] = []
        for x in leaves:
            if not isinstance(x, np.ndarray) and not isinstance(x, TracedArray):
                given.append(x)
                continue
            outer = current_value(x)
            with_values = outer if isinstance(outer, TracedArray) else as_traced(x)
            if with_values.context is inside:
                name = with_values.array
            else:
                name = Context.capture(inside, with_values)
            shape, dtype = inside.types[name]
            made = TracedArray(inside, name, shape, dtype, is_weak=with_values.is_weak)
            given.append(made)
        versions = [getattr(getattr(x, "buffer", None), "version", 0) for x in given]
        out, out_tree = flatten(function(unflatten(tree, given)))
    return _Side(inside, given, versions, out, out_tree)


def _merge(
    context: Context,
    test: TracedArray,
    first: _Side,
    second: _Side,
    starts: Sequence[Any],
    names: Sequence[str],
) -> Any:
    """Make one state of those that two branches leave."""
    if first.tree != second.tree:
        raise CannotKeep(at_user_line(_difference(first, second, names)))
    titles = leaf_names(first.tree, names)
    for side in (first, second):
        mutated = [_is_mutated_at(n, side) for n in range(len(starts))]
        is_like = len(titles) == len(starts)
        check_aliases(side.context, starts, mutated, titles if is_like else ["it"] * len(starts))
    outputs: tuple[list[str], list[str]] = ([], [])
    kinds: list[ArrayKind] = []
    merged: list[Any] = []
    positions: list[int] = []
    for n, (a, b) in enumerate(zip(first.leaves, second.leaves, strict=True)):
        if _unchanged(n, first, second, starts):
            merged.append(starts[n])
        elif is_same(a, b):
            merged.append(a)
        else:
            merged.append(None)
            positions.append(n)
            kinds.append(_joined_sides(first, second, a, b, titles[n], outputs))
    results = _chosen(context, test, first.context, second.context, outputs, kinds)
    for n, value in zip(positions, results, strict=True):
        is_changed = _is_mutated_at(n, first) or _is_mutated_at(n, second)
        merged[n] = written_back(starts[n], value) if is_changed else value
    for side in (first, second):
        pairs = names_of_memory(side.context, side.given[: len(starts)], side.leaves)
        note_names([p for p in pairs if p[0] in positions], starts, merged)
    return unflatten(first.tree, merged)


def _difference(first: _Side, second: _Side, names: Sequence[str]) -> str:
    """Say which value has another structure in the other branch."""
    pairs = zip(first.tree.children, second.tree.children, strict=False)
    apart = [n for n, (a, b) in enumerate(pairs) if a != b]
    text = "the two branches leave values of different structure"
    if len(names) != len(first.tree.children) or not apart:
        return text
    a, b = first.tree.children[apart[0]], second.tree.children[apart[0]]
    if a.kind == b.kind and isinstance(a.kind, type) and issubclass(a.kind, list):
        what = f"a list of {len(a.children)} and of {len(b.children)} elements"
    else:
        what = " and ".join(
            "a number or array" if t.kind is None else t.kind.__name__ for t in (a, b)
        )
    return f"{text}: {names[apart[0]]} is {what}"


def _joined_sides(
    first: _Side, second: _Side, a: Any, b: Any, title: str, outputs: tuple[list[str], list[str]]
) -> ArrayKind:
    """Make a value of each branch an output, of one kind."""
    if isinstance(a, Undefined) or isinstance(b, Undefined):
        a, b = _with_blank(first, second, a, b)
    if not all(is_array(x) or is_number(x) for x in (a, b)):
        raise CannotKeep(
            at_user_line(
                f"{title} is {a!r} in one branch and {b!r} in the other: a condition on a traced "
                "value can choose between numbers and arrays"
            )
        )
    sides: list[TracedArray] = []
    for side, x in ((first, a), (second, b)):
        with side.context:
            sides.append(traced_number(x))
    try:
        kind = joined_kind(kind_of(sides[0]), kind_of(sides[1]), title)
    except Unsettled as error:
        text = str(error).replace("at first", "in one branch")
        raise CannotKeep(text.replace("afterwards", "in the other")) from None
    for side, x, names in zip((first, second), sides, outputs, strict=True):
        with side.context:
            names.append(add_output(side.context, fitted(x, kind)))
    return kind


def _unchanged(n: int, first: _Side, second: _Side, starts: Sequence[Any]) -> bool:
    if n >= len(starts):
        return False
    return all(
        n < len(s.given) and s.leaves[n] is s.given[n] and not _is_mutated_at(n, s)
        for s in (first, second)
    )


def _is_mutated_at(n: int, side: _Side) -> bool:
    if n >= len(side.given) or n >= len(side.leaves):
        return False
    return side.leaves[n] is side.given[n] and is_mutated(side.given[n], side.versions[n])


def _plain_written(starts: Sequence[Any], side: _Side) -> list[LocalArray]:
    """Find the arrays of plain numbers that a branch writes to."""
    return [
        root_of(x)
        for n, x in enumerate(starts)
        if isinstance(x, LocalArray) and root_of(x).traced is None and _is_mutated_at(n, side)
    ]


def _chosen(
    context: Context,
    test: TracedArray,
    first: Inside,
    second: Inside,
    outputs: tuple[list[str], list[str]],
    types: Sequence[ArrayKind],
) -> list[TracedArray]:
    """Append both branches and a choice, or a branch."""
    if not types:
        return []
    programs: list[Program] = []
    taken: list[dict[str, TracedArray]] = []
    for inside, names in zip((first, second), outputs, strict=True):
        taken.append(dict(inside.captured))
        programs.append(finish(inside, names, keeps_sizes=True).replace(guards=()))
    if all(_is_simple(p) for p in programs):
        sides = [
            _inlined(context, p, [as_traced(x) for x in captured.values()])
            for p, captured in zip(programs, taken, strict=True)
        ]
        chosen = [where(test, a, b) for a, b in zip(*sides, strict=True)]
    else:
        chosen = _branched(test, programs, taken)
    return [
        TracedArray(context, x.array, t.shape, t.dtype, x.indices, is_weak=t.is_weak, owns=True)
        for x, t in zip(chosen, types, strict=True)
    ]


def _is_simple(program: Program) -> bool:
    """Whether a branch is a few operations on numbers, none of which can fail."""
    return len(program.equations) <= MAX_INLINE and all(
        not isinstance(e.pattern, Block)
        and not e.extents
        and not any(isinstance(i, Read) for i in e.target)
        and all(not any(isinstance(i, Read) for i in r.indices) for r in e.reads)
        for e in program.equations
    )


def _inlined(
    context: Context, program: Program, arguments: Sequence[TracedArray]
) -> list[TracedArray]:
    """Append a branch's equations to the trace around it, whose sizes it shares."""
    bound: dict[str, Binding] = {}
    for name, value in zip(program.inputs, arguments, strict=True):
        is_whole = context.types[value.array].shape == value.shape_
        if not (is_whole and value.indices == identity(value.ndim)):
            value = elementwise(context, COPY, [value], value.dtype_)  # noqa: PLW2901
        bound[name] = Binding(value.array)

    def new_array(_: str, shape: tuple[Extent, ...], dtype: str) -> str:
        return context.new_array(shape, dtype)

    equations, bindings = splice(program, bound, (), new_array, {})
    context.equations += equations
    made: list[TracedArray] = []
    for name in program.outputs:
        array = bindings[name].array
        shape, dtype = context.types[array]
        made.append(TracedArray(context, array, shape, dtype))
    return made


def _branched(
    test: TracedArray,
    programs: Sequence[Program],
    taken: Sequence[dict[str, TracedArray]],
) -> list[TracedArray]:
    """Append a branch, whose Programs get the same inputs."""
    first, second = programs
    operands = [as_traced(x) for captured in taken for x in captured.values()]
    on_true = _with_inputs(first, second, taken[1])
    on_false = _with_inputs(second, first, taken[0])
    on_false = on_false.replace(inputs=(*on_false.inputs[len(second.inputs) :], *second.inputs))
    branch = Branch(identity_sizes(on_true, on_false), on_true, on_false)
    return apply_nested(branch, [test, *operands], range(len(on_true.outputs)))


def _with_inputs(program: Program, other: Program, names: Iterable[str]) -> Program:
    """Give a Program the inputs of another as well, which it does not read."""
    types = dict(program.types)
    more: list[str] = []
    for name in names:
        fresh = program.fresh_name(f"other_{name}", more)
        types[fresh] = other.types[name]
        more.append(fresh)
    return program.replace(inputs=(*program.inputs, *more), types=types)
