"""Vector math: LLVM's loop vectoriser is told of glibc's vector functions.

A scalar function carries the attribute ``vector-function-abi-variant``, which names, for a number
of lanes, the function of libmvec that does as many at once. The loop vectoriser then calls it in a
vectorized loop; scalar code and remainders of loops call the scalar function. glibc states an error
of at most 4 units in the last place; ``sd.config.precise_math`` turns it off.

References
----------
"Vector Function ABI Specification", x86-64: ``_ZGV<isa>N<lanes>v..._<name>``, with isa b (SSE4),
d (AVX2) or e (AVX-512).
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

import llvmlite.binding as llvm

from symdiff.config import config

__all__ = ["preferred_width", "variants", "vector_attributes"]

_LIBRARY = "libmvec.so.1"
_ISAS = (("e", 512, "avx512f"), ("d", 256, "avx2"), ("b", 128, "sse4.1"))


@cache
def _library() -> ctypes.CDLL | None:
    """The library of vector functions, where there is one."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    llvm.load_library_permanently(_LIBRARY)
    return library


@cache
def _isas() -> tuple[tuple[str, int], ...]:
    features = llvm.get_host_cpu_features()
    return tuple((isa, bits) for isa, bits, feature in _ISAS if features.get(feature))


def preferred_width() -> int | None:
    """The width of vectors in bits, None to leave it to LLVM."""
    isas = _isas()
    return isas[0][1] if isas and isas[0][1] == 512 else None


def vector_attributes() -> str:
    """What a function says of its vectors, behind its arguments: their width, and where they go.

    A vector that lives through a call is kept on the stack. LLVM can align the stack to vectors
    only in a function with a frame pointer; without, most of those it keeps lie across two lines
    of the cache, where reading back what was just written takes several times as long.
    """
    width = preferred_width()
    preferred = "" if width is None else f' "prefer-vector-width"="{width}"'
    return f'{preferred} "frame-pointer"="all"'


def variants(name: str, kind: str, n_arguments: int) -> list[tuple[int, str]]:
    """The vector functions that do what a scalar one does: lanes and symbol of each.

    Parameters
    ----------
    name : str
        The scalar function's name in the C library.
    kind : {"double", "float"}
        LLVM's type of its arguments.
    n_arguments : int
        How many there are.

    Examples
    --------
    >>> from symdiff.compilation.cpu.vector_math import variants
    >>> variants("lgamma", "double", 1)  # has none
    []
    """
    library = None if config.precise_math else _library()
    if library is None:
        return []
    bits = 64 if kind == "double" else 32
    found: list[tuple[int, str]] = []
    for isa, width in _isas():
        lanes = width // bits
        symbol = f"_ZGV{isa}N{lanes}{'v' * n_arguments}_{name}"
        if hasattr(library, symbol):
            found.append((lanes, symbol))
    return found
