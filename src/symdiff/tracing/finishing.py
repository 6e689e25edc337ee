"""The last step of a trace: arrays get names, and sizes that were taken for numbers become so."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symdiff.program.equations import ArrayType, map_sizes
from symdiff.program.program import Guard, Program
from symdiff.program.sizes import Extent, Size, evaluate, put_sizes
from symdiff.tracing.context import Context
from symdiff.tracing.naming import assigned_names, rename_equation

__all__ = ["finish"]


def finish(context: Context, outputs: list[str], *, keeps_sizes: bool = False) -> Program:
    """Make the Program of what a trace has collected.

    With `keeps_sizes` size symbols keep their names when others were taken for numbers.
    """
    names = assigned_names(
        context.equations,
        [*context.values, *[n for n in context.types if not n.startswith("%")]],
        outputs,
    )
    known = _known_sizes(context, keeps_sizes)
    size = _putting(known) if known else _same
    types = {
        names.get(name, name): ArrayType(tuple([size(e) for e in t.shape]), t.dtype) if known else t
        for name, t in context.types.items()
    }
    equations = [rename_equation(e, names) for e in context.equations]
    if known:
        equations = [map_sizes(e, size) for e in equations]
    guards = [Guard(size(g.size), g.relation) for g in context.guards]
    return Program(
        name=context.name,
        inputs=tuple(context.inputs),
        outputs=tuple(names.get(name, name) for name in outputs),
        types=types,
        equations=tuple(equations),
        constants=context.constants,
        guards=tuple(g for g in guards if not _always_holds(g)),
    )


def _same(extent: Extent) -> Extent:
    return extent


def _known_sizes(context: Context, keeps_names: bool) -> dict[str, Extent]:
    """The size symbols that were taken for numbers, and shorter names for the others."""
    pins: dict[str, Extent] = {}
    for size, relation in context.guards:
        symbols = {s for m, _ in size.terms for s in m} if isinstance(size, Size) else set()
        if relation == "==" and len(symbols) == 1:
            (symbol,) = symbols
            pins[symbol] = context.values[symbol]
    if not pins or keeps_names:
        return pins
    others = [name for name in context.values if name not in pins]
    return pins | {name: context.symbol_number(k) for k, name in enumerate(others)}


def _putting(values: Mapping[str, Extent]) -> Callable[[Extent], Extent]:
    return lambda extent: put_sizes(extent, values)


def _always_holds(guard: Guard) -> bool:
    """Whether a guard follows from leading sizes being at least one."""
    if isinstance(guard.size, int):
        return guard.holds({})
    smallest = {s: 1 for m, _ in guard.size.terms for s in m}
    is_rising = all(c > 0 for m, c in guard.size.terms if m)
    if not is_rising:
        return False
    least = evaluate(guard.size, smallest)
    return (guard.relation == ">=" and least >= 0) or (guard.relation == "!=" and least > 0)
