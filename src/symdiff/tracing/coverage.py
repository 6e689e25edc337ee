"""What of NumPy and SciPy can be traced, and why the rest cannot: the page docs/numpy.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np
import scipy

from symdiff.tracing.dispatch import FUNCTIONS
from symdiff.tracing.linear_algebra import SCIPY_LINEAR_ALGEBRA
from symdiff.tracing.numpy_names import CREATION, LOCAL
from symdiff.tracing.operations import UFUNCS, UFUNCS_WITH_TWO_RESULTS, scipy_ufuncs
from symdiff.tracing.special_functions import SPECIAL_TABLE
from symdiff.tracing.vectors import UFUNC_PRODUCTS

__all__ = ["REASONS", "functions", "is_supported", "page", "share"]

REASONS: dict[str, str] = {
    "They could have a derivative and are missing": """
        nanmedian nanpercentile nanquantile polydiv put_along_axis
        """,
    "The result's shape depends on values": """
        argwhere flatnonzero intersect1d mask_indices nonzero setdiff1d setxor1d trim_zeros union1d
        unique unique_all unique_counts unique_inverse unique_values histogram_bin_edges
        """,
    "Complex numbers, which have no place here": """
        fft.fft fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.irfft
        fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn linalg.eig linalg.eigvals roots
        sort_complex
        """,
    "Counts of values, whose derivative is zero": "histogram histogram2d histogramdd",
    "Of whole numbers or shapes alone: call them on plain ones": """
        bartlett blackman broadcast_shapes diag_indices fft.fftfreq fft.rfftfreq hamming hanning
        indices ix_ kaiser ravel_multi_index tril_indices triu_indices
        """,
    "They call a Python function for each element: use np.where, or sd.vmap": """
        fromfunction frompyfunc
        """,
    "Bits, text, dates, files and the settings of NumPy": """
        asmatrix base_repr binary_repr bmat busday_count busday_offset datetime_as_string
        datetime_data format_float_positional format_float_scientific from_dlpack frombuffer
        fromfile fromiter fromregex fromstring genfromtxt get_include get_printoptions getbufsize
        geterr geterrcall info is_busday isdtype isfortran isnat isscalar issubdtype iterable load
        loadtxt may_share_memory mintypecode nested_iters packbits printoptions promote_types save
        savetxt savez savez_compressed set_printoptions setbufsize seterr seterrcall shares_memory
        show_config show_runtime test typename unpackbits
        """,
}
"""The names that are not supported, by the reason; those of a submodule with its name."""

_MODULES: list[tuple[str, ModuleType]] = [("", np), ("linalg.", np.linalg), ("fft.", np.fft)]


def functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """List a module's public functions and ufuncs by name."""
    found: dict[str, Callable[..., Any]] = {}
    for name in sorted(getattr(module, "__all__", dir(module))):
        value = getattr(module, name)
        if not name.startswith("_") and callable(value) and not isinstance(value, type):
            found[name] = value
    return found


def is_supported(function: Any) -> bool:
    """Whether a function of NumPy can be called on traced arrays."""
    tables: tuple[Any, ...] = (
        FUNCTIONS,
        UFUNCS,
        UFUNCS_WITH_TWO_RESULTS,
        UFUNC_PRODUCTS,
        _WHOLE_NUMBERS,
    )
    return any(function in table for table in tables)


_WHOLE_NUMBERS = {np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift}
_WHOLE_NUMBERS |= {np.right_shift, np.bitwise_count, np.gcd, np.lcm}


def _supported_names(prefix: str, module: ModuleType) -> list[str]:
    made = {*CREATION, *LOCAL} if module is np else set()
    return [
        prefix + name for name, f in functions(module).items() if name in made or is_supported(f)
    ]


def share() -> float:
    """Give the share of functions that are supported, of those and the ones that could be."""
    supported = sum(len(_supported_names(p, m)) for p, m in _MODULES)
    missing = REASONS["They could have a derivative and are missing"].split()
    return supported / (supported + len(missing))


def page() -> str:
    """Write the page."""
    lines = [
        "# What of NumPy and SciPy can be traced",
        "",
        "This page is made from the code (`symdiff.tracing.coverage.page`), and a test holds it to",
        "NumPy's own namespace. Every function takes NumPy's arguments; one that is not supported,",
        "such as `order='F'`, raises an error with your line.",
        "",
        "Counted are functions of real arrays in `numpy`, `numpy.linalg` and `numpy.fft`: of those",
        f"that are supported or could be, {100 * share():.1f} % are.",
        "",
        "Beside functions: operators, indexing by integers, slices, None, Ellipsis, arrays of",
        "integers (constant or traced) and masks, assignment into arrays that the function has",
        "made, methods of arrays, `ufunc.reduce`, `accumulate`, `outer` and `at` where they make",
        "sense, and `numpy.lib.stride_tricks.sliding_window_view`.",
        "",
        "## numpy",
        "",
        _listed(_supported_names("", np)),
        "",
        "## numpy.linalg",
        "",
        _listed(_supported_names("", np.linalg)),
        "",
        "## numpy.fft",
        "",
        _listed(_supported_names("", np.fft)),
        "",
        "## scipy.special",
        "",
        "Ufuncs, and functions of Python however they were imported:",
        "",
        _listed(_special_names()),
        "",
        "## scipy.linalg",
        "",
        "However they were imported:",
        "",
        _listed(sorted(SCIPY_LINEAR_ALGEBRA)),
        "",
        "## What is not supported, and why",
        "",
    ]
    for reason, names in REASONS.items():
        lines += [f"**{reason}.**", _listed(sorted(names.split())), ""]
    return "\n".join(lines)


def _special_names() -> list[str]:
    ufuncs = {ufunc for table in scipy_ufuncs() for ufunc in table}
    return [
        name
        for name, f in functions(scipy.special).items()
        if name in SPECIAL_TABLE or f in ufuncs or is_supported(f)
    ]


def _listed(names: Iterable[str]) -> str:
    """Write names as code, in lines of at most 100 characters."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 95:
            lines.append("")
        lines[-1] += f"`{name}` "
    return "\n".join(line.rstrip() for line in lines)
