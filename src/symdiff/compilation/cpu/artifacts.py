"""What is kept of a compiled kernel for other processes: its key, its object code, what that needs.

An object file has no addresses in it. What it calls is found by name when it is loaded, and the
Python objects that an entry compares with or makes its results of are put in then: the artifact
says which of `known_objects` they are.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy
import sympy

from symdiff._version import __version__
from symdiff.compilation.cpu.calls import Call, describe
from symdiff.compilation.cpu.engine import machine_name
from symdiff.compilation.cpu.vector_math import variants
from symdiff.config import config
from symdiff.errors import UnsupportedOperationError
from symdiff.program.program import Program
from symdiff.program.serialization import digest

__all__ = ["Artifact", "key_of", "places_of"]

_PACKAGE = Path(__file__).parents[2]
_NO_CODE = ("cache_dir", "cache_size", "max_equations", "unroll_limit")
"""Settings that do not change the code of a Program."""


class Artifact(NamedTuple):
    """A compiled module.

    Attributes
    ----------
    content : bytes
        The object file.
    symbols : sequence of str
        What it calls.
    places : sequence of int or None
        Which of the `known_objects` it points to; None where it has no entry for objects.
    """

    content: bytes
    symbols: Sequence[str]
    places: Sequence[int] | None

    def dump(self) -> bytes:
        """Write it as a line of JSON and the object file."""
        head = json.dumps({"symbols": list(self.symbols), "places": self.places})
        return head.encode() + b"\n" + self.content

    @classmethod
    def load(cls, data: bytes) -> Artifact:
        """Read what `dump` wrote, whose digest has been checked."""
        head, _, content = data.partition(b"\n")
        described = json.loads(head)
        return cls(content, described["symbols"], described["places"])


def places_of(held: Sequence[Any] | None, known: Sequence[Any]) -> list[int] | None:
    """Find each object among those known, where all are."""
    if held is None:
        return None
    numbers = {id(x): n for n, x in reversed(list(enumerate(known)))}
    return [numbers[id(x)] for x in held]


def key_of(program: Program, call: Call | None, kind: str = "kernel") -> str | None:
    """Name the code of a Program on this machine; None where no other process could have it."""
    settings = [(f.name, getattr(config, f.name)) for f in fields(config) if f.name not in _NO_CODE]
    try:
        described = (kind, digest(program), None if call is None else describe(call), settings)
    except UnsupportedOperationError:  # such as a user's own primitive
        return None
    text = f"{_environment()}\n{described!r}"
    return hashlib.blake2b(text.encode(), digest_size=24).hexdigest()


@cache
def _environment() -> str:
    """Say all that code depends on beside what is compiled."""
    try:
        numba = importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        numba = None
    versions = (__version__, sys.version, np.__version__, scipy.__version__, sympy.__version__)
    vector_math = variants("exp", "double", 1), variants("exp", "float", 1)
    return repr((machine_name(), versions, numba, vector_math, _source_digest()))


def _source_digest() -> str:
    """Tell apart the states of a working copy, which all have one version."""
    hashed = hashlib.blake2b(digest_size=16)
    for path in _sources():
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def _sources() -> Iterator[Path]:
    for folder in ("compilation", "program"):
        yield from sorted((_PACKAGE / folder).rglob("*.py"))
