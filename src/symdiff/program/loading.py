"""From plain data to the parts of a Program; everything in the data is doubted.

A file may be cut off, edited or hostile: each value is checked for its type and meaning, names
for being known, and the whole for being a Program (`symdiff.program.validation`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.errors import CacheError
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block, load_block
from symdiff.program.equations import (
    WHOLE,
    ArrayType,
    Equation,
    Index,
    IndexValue,
    Literal,
    Operand,
    Read,
)
from symdiff.program.nested import Branch, Loop, Nested, Run, nested_block
from symdiff.program.pattern_data import load_pattern
from symdiff.program.patterns import Pattern
from symdiff.program.sizes import Extent, symbol
from symdiff.program.validation import validate

if TYPE_CHECKING:
    from symdiff.program.program import Program

__all__ = ["DTYPES", "FORMAT", "VERSION", "from_dict"]

FORMAT = "symdiff program"
VERSION = 1
DTYPES = frozenset(
    ["bool", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
_OPERATORS = frozenset(["=", "+=", "max=", "min=", "or=", "and="])
_RELATIONS = frozenset(["==", "!=", ">=", "<"])
_MAX_DEPTH = 32


Make = Callable[[dict[str, Any]], "Program"]


def from_dict(
    data: Mapping[str, Any], make: Make, known: Iterable[str] = (), depth: int = 0
) -> Program:
    """Build a Program from what `to_dict` gave.

    Parameters
    ----------
    make : callable
        Makes a Program of its parts: ``name inputs outputs types equations constants guards``;
        guards are pairs of size and relation.
    known : iterable of str
        Size symbols that need not be found in the inputs' shapes.
    depth : int
        In how many other Programs it stands.

    Raises
    ------
    CacheError
        The data are not those of a Program, or of another version of the format.
    """
    _require_format(data)
    if depth > _MAX_DEPTH:
        raise CacheError(f"Programs are nested more than {_MAX_DEPTH} deep")
    try:
        parts = _parts(data, make, depth)
    except KeyError as error:
        raise CacheError(f"a saved Program without {error}") from None
    validate(parts, known)
    return make(parts)


def _require_format(data: Any) -> None:
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise CacheError("these data are not a saved Program of symdiff")
    if data.get("version") != VERSION:
        raise CacheError(
            f"a saved Program of format version {data.get('version')!r:.20}; this symdiff reads "
            f"version {VERSION}. Save it again with this version"
        )


def _parts(data: Mapping[str, Any], make: Make, depth: int) -> dict[str, Any]:
    types = {_name(n): _type(t) for n, t in _dict(data["types"]).items()}
    nested = [_nested(n, make, depth) for n in _list(data.get("nested", []))]
    patterns = [_pattern(p, nested) for p in _list(data["patterns"])]
    files = [_string(f) for f in _list(data["files"])]
    return {
        "name": _string(data["name"]),
        "inputs": tuple(_name(n) for n in _list(data["inputs"])),
        "outputs": tuple(_name(n) for n in _list(data["outputs"])),
        "types": types,
        "equations": tuple(_equation(e, patterns, files) for e in _list(data["equations"])),
        "constants": {_name(n): _array(a) for n, a in _dict(data["constants"]).items()},
        "guards": [_guard(g) for g in _list(data["guards"])],
    }


def _list(value: Any, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        what = "a list" if length is None else f"a list of {length}"
        raise CacheError(f"expected {what}, got {value!r:.80}")
    return value


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise CacheError(f"expected a dict, got {value!r:.80}")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise CacheError(f"expected a string, got {value!r:.80}")
    return value


def _name(value: Any) -> str:
    if not _string(value) or len(value) > 1000:
        raise CacheError(f"expected a name, got {value!r:.80}")
    return value


def _one_of(value: Any, allowed: frozenset[str], what: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise CacheError(f"unknown {what} {value!r:.80}; allowed are {', '.join(sorted(allowed))}")
    return value


def _whole(value: Any, least: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise CacheError(f"expected a whole number, got {value!r:.80}")
    if least is not None and value < least:
        raise CacheError(f"expected a whole number of at least {least}, got {value!r:.80}")
    return value


def _extent(value: Any) -> Extent:
    if not isinstance(value, list):
        return _whole(value)
    total: Extent = 0
    for term in value:
        monomial, coefficient = _list(term, 2)
        product: Extent = _whole(coefficient)
        for name in _list(monomial):
            if not _name(name).isidentifier():
                raise CacheError(f"expected the name of a size, got {name!r:.80}")
            product = product * symbol(name)
        total = total + product
    return total


def _type(value: Any) -> ArrayType:
    shape, dtype = _list(value, 2)
    extents = tuple(_extent(e) for e in _list(shape))
    if any(isinstance(e, int) and e < 0 for e in extents):
        raise CacheError(f"a shape with a negative extent: {shape!r:.80}")
    return ArrayType(extents, _one_of(dtype, DTYPES, "dtype"))


def _pattern(value: Any, nested: list[Nested]) -> Pattern | Block:
    kind = value[0] if isinstance(value, list) and value else None
    if kind == "nested":
        _, which, number = _list(value, 3)
        held = nested[_below(which, len(nested), "nested Program")]
        return nested_block(held, _below(number, len(held.results()), "result"))
    return load_block(value) if kind == "block" else load_pattern(value)


def _nested(value: Any, make: Make, depth: int) -> Nested:
    """Build a loop, a branch or a run."""
    kind, pairs, more, data = _list(value, 4)
    sizes = tuple([(_name(_list(pair, 2)[0]), _extent(pair[1])) for pair in _list(pairs)])
    known = [name for name, _ in sizes]
    if kind == "run":
        known.append(_name(_list(more, 1)[0]))
    programs = [from_dict(_dict(p), make, known, depth + 1) for p in _list(data)]
    return _nested_of_kind(kind, sizes, _list(more), programs)


def _nested_of_kind(
    kind: Any, sizes: tuple[tuple[str, Extent], ...], more: list[Any], programs: list[Program]
) -> Nested:
    if kind == "branch" and len(programs) == 2 and not more:
        on_true, on_false = programs
        inputs = [[p.types[n] for n in p.inputs] for p in programs]
        outputs = [[p.types[n] for n in p.outputs] for p in programs]
        if inputs[0] != inputs[1] or outputs[0] != outputs[1] or not outputs[0]:
            raise CacheError("a branch whose sides have other inputs or outputs")
        return Branch(sizes, on_true, on_false)
    if kind == "run" and len(programs) == 1:
        (program,) = programs
        if not program.inputs or program.types[program.inputs[0]] != ((), "int64"):
            raise CacheError("a run whose first input is no integer")
        return Run(sizes, program, more[0])
    if kind == "loop" and len(programs) == 1:
        return _loop(sizes, more, programs[0])
    raise CacheError(f"unknown kind of nested Program {kind!r:.80}")


def _loop(sizes: tuple[tuple[str, Extent], ...], more: list[Any], step: Program) -> Loop:
    n_shared, n_carried, count, *flags = _list(more, 6)
    if not all(isinstance(flag, bool) for flag in flags):
        raise CacheError(f"flags of a loop that are no truth values: {flags!r:.80}")
    extent = None if count is None else _extent(count)
    loop = Loop(sizes, step, _whole(n_shared, 0), _whole(n_carried, 0), extent, *flags)
    types = step.types
    if len(step.inputs) != 1 + loop.n_shared + loop.n_carried:
        raise CacheError("a loop whose step has another number of inputs")
    if types[step.inputs[0]] != ((), "int64") or len(step.outputs) < loop.n_carried:
        raise CacheError("a loop whose step lacks its number or an output")
    pairs = zip(loop.carried, loop.carried_out, strict=True)
    if any(types[a] != types[b] for a, b in pairs):
        raise CacheError("a loop that carries arrays of changing types")
    is_endless = extent is None and not loop.has_limit and not loop.has_condition
    if is_endless or (loop.is_reversed and extent is None and not loop.has_limit):
        raise CacheError("a loop without an end")
    if loop.stacked and extent is None:
        raise CacheError("a loop of unknown length that stacks arrays")
    if loop.has_condition and (not n_carried or types[loop.carried[0]] != ((), "bool")):
        raise CacheError("a loop whose condition is no truth value")
    return loop


def _equation(value: Any, patterns: list[Pattern | Block], files: list[str]) -> Equation:
    array, target, operator, number, operands, extents, location = _list(value, 7)
    return Equation(
        _name(array),
        tuple(_index(i) for i in _list(target)),
        _one_of(operator, _OPERATORS, "operator"),
        patterns[_below(number, len(patterns), "pattern")],
        tuple(_operand(o) for o in _list(operands)),
        tuple(_extent(e) for e in _list(extents)),
        _location(location, files),
    )


def _below(value: Any, end: int, what: str) -> int:
    if _whole(value, 0) >= end:
        raise CacheError(f"{what} {value} of {end}")
    return value


def _location(value: Any, files: list[str]) -> tuple[str, int] | None:
    if value is None:
        return None
    file, line = _list(value, 2)
    return files[_below(file, len(files), "file")], _whole(line)


def _index(value: Any, depth: int = 0) -> Index:
    if depth > _MAX_DEPTH:
        raise CacheError(f"an index is nested more than {_MAX_DEPTH} deep")
    kind, first, second = _list(value, 3)
    if kind == "affine":
        return _affine(first, second)
    if kind == "whole" and first is second is None:
        return WHOLE
    if kind == "read":
        return Read(_name(first), tuple(_index(i, depth + 1) for i in _list(second)))
    raise CacheError(f"unknown kind of index {kind!r:.80}")


def _affine(terms: Any, offset: Any) -> Affine:
    loaded: list[tuple[int, Extent]] = []
    for term in _list(terms):
        number, coefficient = _list(term, 2)
        loaded.append((_whole(number, 0), _extent(coefficient)))
    numbers = [number for number, _ in loaded]
    if numbers != sorted(set(numbers)) or any(c == 0 for _, c in loaded):
        raise CacheError(f"an index expression out of order: {terms!r:.80}")
    return Affine(tuple(loaded), _extent(offset))


def _operand(value: Any) -> Operand:
    kind = value[0] if isinstance(value, list) and value else None
    if kind == "literal":
        _, number, dtype = _list(value, 3)
        return Literal(_number(number), _one_of(dtype, DTYPES, "dtype"))
    if kind == "index":
        index = _index(_list(value, 2)[1])
        if isinstance(index, Affine):
            return IndexValue(index)
    if kind == "read":
        read = _index(value)
        assert isinstance(read, Read)
        return read
    raise CacheError(f"unknown kind of operand {value!r:.80}")


def _number(value: Any) -> bool | int | float:
    if isinstance(value, bool | int):
        return value
    try:
        return float.fromhex(value)
    except (TypeError, ValueError, OverflowError):
        raise CacheError(f"expected a number, got {value!r:.80}") from None


def _guard(value: Any) -> tuple[Extent, str]:
    size, relation = _list(value, 2)
    return _extent(size), _one_of(relation, _RELATIONS, "relation")


def _array(value: Any) -> np.ndarray:
    parts = _dict(value)
    dtype = np.dtype(_one_of(parts["dtype"], DTYPES, "dtype"))
    shape = tuple(_whole(e, 0) for e in _list(parts["shape"]))
    try:
        content = base64.b64decode(_string(parts["data"]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CacheError(f"a constant that is not base64: {error}") from None
    if len(content) != prod(shape) * dtype.itemsize:
        raise CacheError(f"a constant of shape {shape} and {dtype} with {len(content)} bytes")
    if dtype.kind == "b" and content.strip(b"\0\1"):
        raise CacheError("a constant of truth values that are neither 0 nor 1")
    try:
        data = np.frombuffer(content, dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    except ValueError as error:  # more axes, or longer ones, than NumPy can have
        raise CacheError(f"a constant of shape {shape!r:.80}: {error}") from None
    data.setflags(write=False)
    return data
