"""Special functions in the part of Python that numba compiles for a GPU, in double precision.

Each module is a family, written after what is published about it, with SciPy's values at poles,
at infinity and outside of the domain. On a CPU the same steps are SciPy's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdiff.compilation.cuda.special import (
    bessel,
    elementary,
    error,
    gamma,
    hypergeometric,
    incomplete,
    integrals,
    modified_bessel,
    polynomials,
)

__all__ = ["FAMILIES", "FUNCTIONS", "STEPS"]

FAMILIES = (
    *(
        elementary,
        error,
        gamma,
        incomplete,
        integrals,
        hypergeometric,
        bessel,
        modified_bessel,
        polynomials,
    ),
)
"""The modules, each of which has a table of its steps."""
STEPS: dict[str, Callable[..., Any]] = {k: f for each in FAMILIES for k, f in each.STEPS.items()}
"""The function of each step."""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for each in FAMILIES for f in (*each.STEPS.values(), *each.PARTS)
}
"""All by name, with those that they call."""
