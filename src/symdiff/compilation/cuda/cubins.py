"""Machine code for GPUs as it is kept for other processes, and the key it has in the disk cache."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from symdiff._version import __version__

__all__ = ["Cubin", "key_of"]

_FORMAT = "cubin 1"
_COMPILERS = ("numba", "numba-cuda", "llvmlite", "cuda-core", "cuda-bindings", "nvidia-nvvm")
_LINKERS = ("nvidia-nvjitlink", "nvidia-nvjitlink-cu12")
_SETTINGS = ("CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX")
"""Variables of the environment that say which toolkit is taken, where no package brings one."""


class Cubin(NamedTuple):
    """Machine code for a kind of GPU, and what the assembler says of it.

    Attributes
    ----------
    code : bytes
    registers : int
        Of each thread.
    stack, spills : int
        Bytes of each thread.
    name : str
        The kernel, as the code calls it.
    is_cooperative : bool
        Whether blocks wait for each other, so that all must be launched together.
    """

    code: bytes
    registers: int
    stack: int
    spills: int
    name: str
    is_cooperative: bool

    def dump(self) -> bytes:
        """Write it as a line of JSON and the code."""
        head = {k: v for k, v in self._asdict().items() if k != "code"}
        return b"".join([json.dumps(head).encode(), b"\n", self.code])

    @classmethod
    def load(cls, data: bytes) -> Cubin:
        """Read what `dump` wrote, whose digest has been checked."""
        head, _, code = data.partition(b"\n")
        return cls(code=code, **json.loads(head))


def key_of(text: str, signature: Any, options: Any) -> str:
    """Name the machine code of a source.

    Parameters
    ----------
    text : str
        The source; functions that it calls count with the whole of this package.
    signature
        The types of its parameters, which ``repr`` tells apart.
    options
        What else it is compiled for, as `signature`.
    """
    described = repr((_FORMAT, _environment(), signature, options, text))
    return hashlib.blake2b(described.encode(), digest_size=24).hexdigest()


@cache
def _environment() -> str:
    """Say all that code depends on beside what is compiled."""
    versions = (__version__, sys.version, *map(_version, _COMPILERS), _linker())
    return repr((versions, [os.environ.get(name) for name in _SETTINGS], _source_digest()))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _linker() -> str:
    """Give the linker's version; to ask the library itself takes half a second."""
    found = [version for version in map(_version, _LINKERS) if version is not None]
    return repr(found or import_module("cuda.bindings.nvjitlink").version())


def _source_digest() -> str:
    """Tell apart the states of a working copy, and what the functions that kernels call are."""
    hashed = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()
