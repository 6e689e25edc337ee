"""Whether the parts of a Program make a Program: every name known, every index within range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.errors import CacheError
from symdiff.program.affine import Affine
from symdiff.program.blocks import BLOCKS, Block, core_shape, result_dtype
from symdiff.program.equations import ArrayType, Equation, Index, IndexValue, Read, Whole
from symdiff.program.nested import Nested, nested_of, result_number
from symdiff.program.sizes import Extent, symbols

__all__ = ["validate"]


def validate(parts: Mapping[str, Any], known: Iterable[str] = ()) -> None:
    """Check the parts that `from_dict` built.

    Parameters
    ----------
    known : iterable of str
        Size symbols that need not be found in the inputs' shapes.

    Raises
    ------
    CacheError
        They do not fit together.
    """
    types: Mapping[str, ArrayType] = parts["types"]
    sources = [*parts["inputs"], *parts["constants"]]
    if len(set(sources)) != len(sources):
        raise CacheError("an array that is an input or a constant twice")
    for name in [*sources, *parts["outputs"]]:
        if name not in types:
            raise CacheError(f"{name!r:.80} has no type")
    for name, data in parts["constants"].items():
        if (data.shape, data.dtype.name) != types[name]:
            raise CacheError(f"constant {name!r:.80} is not of its type {types[name]}")
    given = symbols(e for name in parts["inputs"] for e in types[name].shape)
    unknown = symbols(_all_extents(parts)) - given - {*known}
    if unknown:
        raise CacheError(f"sizes that no input has: {', '.join(sorted(unknown))}")
    _validate_order(parts["equations"], types, set(sources))


def _validate_order(
    equations: Sequence[Equation], types: Mapping[str, ArrayType], sources: set[str]
) -> None:
    known = set(sources)
    for equation in equations:
        if equation.array in sources:
            raise CacheError(f"an equation for {equation.array!r:.80}, which is given")
        for read in equation.reads:
            if read.array not in types:
                raise CacheError(f"{read.array!r:.80} is read and has no type")
            if read.array == equation.array or read.array not in known:
                raise CacheError(f"{read.array!r:.80} is read before there is an equation for it")
        _validate_equation(equation, types)
        known.add(equation.array)


def _validate_equation(equation: Equation, types: Mapping[str, ArrayType]) -> None:
    if equation.array not in types:
        raise CacheError(f"{equation.array!r:.80} is computed and has no type")
    if len(equation.operands) != equation.pattern.arity:
        raise CacheError(
            f"the equation of {equation.array!r:.80} has {len(equation.operands)} operands for a "
            f"pattern of {equation.pattern.arity}"
        )
    if any(isinstance(e, int) and e < 0 for e in equation.extents):
        raise CacheError(f"the equation of {equation.array!r:.80} has a negative extent")
    _validate_whole_axes(equation, types)
    extents = equation.extents
    _validate_indices(equation.array, equation.target, extents, types)
    for operand in equation.operands:
        if isinstance(operand, Read):
            _validate_indices(operand.array, operand.indices, extents, types)
        elif isinstance(operand, IndexValue):
            _require_loops(operand.value, extents)


def _validate_whole_axes(equation: Equation, types: Mapping[str, ArrayType]) -> None:
    """Check that a block's operands and result have the shapes it asks for, and patterns none."""
    body = equation.pattern
    if not isinstance(body, Block):
        maps = [equation.target, *[r.indices for r in equation.reads]]
        if any(isinstance(i, Whole) for indices in maps for i in indices):
            raise CacheError(f"the equation of {equation.array!r:.80} takes an axis whole")
        return
    maps = [Read(equation.array, equation.target)]
    maps += [o for o in equation.operands if isinstance(o, Read)]
    if equation.operator != "=" or len(maps) != 1 + body.arity:
        raise CacheError(f"the block of {equation.array!r:.80} is no plain assignment of arrays")
    shapes: list[tuple[Extent, ...]] = []
    for (array, indices), rank in zip(maps, (body.rank, *body.ranks), strict=True):
        lead = len(indices) - rank
        if lead < 0 or [isinstance(i, Whole) for i in indices] != [
            n >= lead for n in range(len(indices))
        ]:
            raise CacheError(f"{array!r:.80} is not taken whole in its last {rank} axes")
        shapes.append(types[array].shape[lead:])
    nested = nested_of(body)
    if nested is not None:
        _validate_nested(equation, nested, shapes, types)
        return
    try:
        result = core_shape(body, shapes[1:])
    except ValueError as error:
        raise CacheError(f"{equation.array!r:.80}: {error}") from None
    given = [types[o.array].dtype for o in equation.operands if isinstance(o, Read)]
    first = BLOCKS[body.name].places or len(given)
    if any(dtype != "int64" for dtype in given[first:]):
        raise CacheError(f"the places of {equation.array!r:.80} are no integers")
    dtypes = {*given[:first]}
    if shapes[0] != result or len(dtypes) != 1:
        raise CacheError(f"the block of {equation.array!r:.80} does not give its shape")
    if types[equation.array].dtype != result_dtype(body, *dtypes):
        raise CacheError(f"the block of {equation.array!r:.80} does not give its dtype")


def _validate_nested(
    equation: Equation,
    nested: Nested,
    shapes: Sequence[tuple[Extent, ...]],
    types: Mapping[str, ArrayType],
) -> None:
    """Check that a loop, a branch or a run is given, and gives, what it says."""
    wanted = [nested.results()[result_number(equation)]]
    wanted += [nested.outside(t) for t in nested.operand_types()]
    arrays = [equation.array, *[o.array for o in equation.operands if isinstance(o, Read)]]
    found = [ArrayType(shape, types[n].dtype) for shape, n in zip(shapes, arrays, strict=True)]
    if found != wanted:
        raise CacheError(f"the {nested.kind} of {equation.array!r:.80} has operands of other types")


def _validate_indices(
    array: str,
    indices: Sequence[Index],
    extents: tuple[Extent, ...],
    types: Mapping[str, ArrayType],
) -> None:
    shape = types[array].shape
    if len(indices) != len(shape):
        raise CacheError(f"{array!r:.80} has {len(shape)} axes and {len(indices)} indices")
    for index, length in zip(indices, shape, strict=True):
        if isinstance(index, Read):
            if np.dtype(types[index.array].dtype).kind not in "iu":
                raise CacheError(f"{index.array!r:.80} is used as an index and not of integers")
            _validate_indices(index.array, index.indices, extents, types)
            continue
        if isinstance(index, Whole):
            continue
        _require_loops(index, extents)
        if 0 not in extents and not _may_be_within(index, extents, length):
            raise CacheError(f"index {index} is outside an axis of {array!r:.80} of {length}")


def _require_loops(index: Affine, extents: tuple[Extent, ...]) -> None:
    for number, _ in index.terms:
        if number >= len(extents):
            raise CacheError(f"loop index {number} in an equation with {len(extents)} loops")


def _may_be_within(index: Affine, extents: tuple[Extent, ...], length: Extent) -> bool:
    """Whether nothing shows that an index leaves ``0 ... length - 1``.

    Only differences that are plain numbers show it; what depends on sizes is left to the guards.
    """
    if not all(isinstance(c, int) for _, c in index.terms):
        return True
    lowest: Extent = index.offset
    highest: Extent = index.offset
    for number, coefficient in index.terms:
        reach = coefficient * (extents[number] - 1)
        if isinstance(coefficient, int) and coefficient < 0:
            lowest = lowest + reach
        else:
            highest = highest + reach
    room = length - 1 - highest
    return not (_is_negative(lowest) or _is_negative(room))


def _is_negative(extent: Extent) -> bool:
    return isinstance(extent, int) and extent < 0


def _all_extents(parts: Mapping[str, Any]) -> Iterable[Extent]:
    for shape, _ in parts["types"].values():
        yield from shape
    for equation in parts["equations"]:
        yield from equation.extents
        nested = nested_of(equation.pattern)
        if nested is not None:
            yield from (extent for _, extent in nested.sizes)
        for operand in equation.operands:
            if isinstance(operand, IndexValue):
                yield from _in_index(operand.value)
        for index in equation.target:
            yield from _in_index(index)
        for read in equation.reads:
            for index in read.indices:
                yield from _in_index(index)
    for size, _ in parts["guards"]:
        yield size


def _in_index(index: Index) -> Iterable[Extent]:
    if isinstance(index, Affine):
        yield index.offset
        yield from (c for _, c in index.terms)
