"""Programs as plain data: lists, dicts, strings and numbers, fit for JSON. Nothing is executed.

Floats are written in hexadecimal, so that every bit, NaN and the sign of zero come back; arrays
as little-endian bytes in base64. Patterns and file names stand in tables and are referred to by
number.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.errors import CacheError
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block, dump_block
from symdiff.program.equations import Equation, Index, IndexValue, Literal, Operand, Whole
from symdiff.program.loading import FORMAT, VERSION
from symdiff.program.nested import Loop, Nested, Run, nested_of
from symdiff.program.pattern_data import dump_expression, dump_pattern
from symdiff.program.sizes import Extent, Size

if TYPE_CHECKING:
    from symdiff.program.patterns import Pattern
    from symdiff.program.program import Program

__all__ = ["MAX_FILE_BYTES", "digest", "load_dict", "save", "to_dict"]

MAX_FILE_BYTES = 1 << 30


def to_dict(program: Program) -> dict[str, Any]:
    """Say a Program in plain data.

    Raises
    ------
    UnsupportedOperationError
        The Program has a function that is not one of ours, such as a user's primitive.
    """
    patterns: dict[Pattern | Block, int] = {}
    files: dict[str, int] = {}
    nested: dict[Nested, int] = {}
    equations = [_equation(e, patterns, files) for e in program.equations]
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": program.name,
        "inputs": list(program.inputs),
        "outputs": list(program.outputs),
        "types": {
            name: [[_extent(e) for e in shape], dtype]
            for name, (shape, dtype) in program.types.items()
        },
        "patterns": [_pattern(p, nested) for p in patterns],
        "nested": [_nested(n) for n in nested],
        "files": list(files),
        "equations": equations,
        "constants": {name: _array(data) for name, data in program.constants.items()},
        "guards": [[_extent(guard.size), guard.relation] for guard in program.guards],
    }


def _pattern(p: Pattern | Block, known: dict[Nested, int]) -> Any:
    nested = nested_of(p)
    if nested is not None and isinstance(p, Block):
        return ["nested", known.setdefault(nested, len(known)), p.attributes[1]]
    return dump_block(p) if isinstance(p, Block) else dump_pattern(p)


def _nested(nested: Nested) -> list[Any]:
    """Say a loop, a branch or a run, with the Programs inside."""
    return [*_nested_head(nested), [to_dict(p) for p in nested.programs]]


def _nested_head(nested: Nested) -> list[Any]:
    sizes = [[name, _extent(extent)] for name, extent in nested.sizes]
    more: list[Any] = []
    if isinstance(nested, Loop):
        count = None if nested.count is None else _extent(nested.count)
        flags = [nested.has_limit, nested.has_condition, nested.is_reversed]
        more = [nested.n_shared, nested.n_carried, count, *flags]
    elif isinstance(nested, Run):
        more = [nested.symbol]
    return [nested.kind, sizes, more]


def _equation(
    e: Equation, patterns: dict[Pattern | Block, int], files: dict[str, int]
) -> list[Any]:
    location = None
    if e.location is not None:
        file, line = e.location
        location = [files.setdefault(file, len(files)), line]
    return [
        e.array,
        [_index(i) for i in e.target],
        e.operator,
        patterns.setdefault(e.pattern, len(patterns)),
        [_operand(o) for o in e.operands],
        [_extent(n) for n in e.extents],
        location,
    ]


def _extent(extent: Extent) -> Any:
    if isinstance(extent, Size):
        return [[list(monomial), coefficient] for monomial, coefficient in extent.terms]
    return int(extent)


def _index(index: Index) -> list[Any]:
    if isinstance(index, Affine):
        terms = [[number, _extent(c)] for number, c in index.terms]
        return ["affine", terms, _extent(index.offset)]
    if isinstance(index, Whole):
        return ["whole", None, None]
    return ["read", index.array, [_index(i) for i in index.indices]]


def _operand(operand: Operand) -> list[Any]:
    if isinstance(operand, Literal):
        return ["literal", _number(operand.value), operand.dtype]
    if isinstance(operand, IndexValue):
        return ["index", _index(operand.value)]
    return _index(operand)


def _number(value: Any) -> bool | int | str:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return float(value).hex()


def _array(data: np.ndarray) -> dict[str, Any]:
    plain = np.asarray(data)
    little = plain.astype(plain.dtype.newbyteorder("<"), order="C")
    return {
        "dtype": plain.dtype.name,
        "shape": list(plain.shape),
        "data": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def digest(program: Program) -> str:
    """Name what a Program computes, by the same name in every process.

    The lines of the user's code that it came from do not count.

    Raises
    ------
    UnsupportedOperationError
        As for `to_dict`.

    Examples
    --------
    >>> import symdiff as sd
    >>> digest(sd.trace(lambda x: x * 2, 1.0)) == digest(sd.trace(lambda x: x * 2, 5.0))
    True
    >>> digest(sd.trace(lambda x: x * 2, 1.0)) == digest(sd.trace(lambda x: x * 3, 1.0))
    False
    """
    patterns: dict[Pattern | Block, int] = {}
    # Each equation becomes text at once: Python's collector would look at lists that stay, again
    # and again.
    equations = [_equation_text(e, patterns) for e in program.equations]
    nested: dict[Nested, str] = {}
    head = [
        program.name,
        program.inputs,
        program.outputs,
        [
            (name, [_extent(e) for e in shape], dtype)
            for name, (shape, dtype) in program.types.items()
        ],
        [_pattern_digest(p, nested) for p in patterns],
        [(_extent(guard.size), guard.relation) for guard in program.guards],
        [(name, data.dtype.str, data.shape) for name, data in program.constants.items()],
    ]
    hashed = hashlib.blake2b("\n".join((repr(head), *equations)).encode(), digest_size=32)
    for data in program.constants.values():
        hashed.update(np.ascontiguousarray(data).data)
    return hashed.hexdigest()


def _equation_text(e: Equation, patterns: dict[Pattern | Block, int]) -> str:
    target = [_index(i) for i in e.target]
    operands = [_operand(o) for o in e.operands]
    extents = [_extent(n) for n in e.extents]
    number = patterns.setdefault(e.pattern, len(patterns))
    return repr((e.array, target, e.operator, number, operands, extents))


def _pattern_digest(p: Pattern | Block, known: dict[Nested, str]) -> Any:
    if not isinstance(p, Block):
        return p.arity, dump_expression(p.expression)
    nested = nested_of(p)
    if nested is None:
        return dump_block(p)
    if nested not in known:
        known[nested] = repr((_nested_head(nested), [digest(q) for q in nested.programs]))
    return known[nested], p.attributes[1]


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write a Program as a JSON file, which is there as a whole or not at all.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    text = json.dumps(to_dict(program), separators=(",", ":"), allow_nan=False)
    target = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise CacheError(f"cannot write {target}: {error.strerror or error}") from error


def load_dict(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON file that `save` wrote, for `from_dict` to check and take apart.

    Raises
    ------
    CacheError
        The file cannot be read, is larger than 1 GiB, or is not a JSON object.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CacheError(f"cannot read {source}: {error.strerror or error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise CacheError(f"{source} is larger than {MAX_FILE_BYTES} bytes: not read")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CacheError(f"{source} is not a saved Program: {error}") from error
    if not isinstance(data, dict):
        raise CacheError(f"{source} is not a saved Program: it holds no JSON object")
    return data
