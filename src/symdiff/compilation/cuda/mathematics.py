"""The functions of libdevice that functions for kernels call, in NumPy and SciPy.

On a GPU libdevice's of the same names take their places; the simulator, and Python, call these.
They give infinity and NaN where Python's ``math`` raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["MATHEMATICS"]


def _special(name: str) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        from scipy import special  # noqa: PLC0415 - 0.1 s at import

        return getattr(special, name)(*arguments)

    return function


copysign: Any = np.copysign
cos: Any = np.cos
cosh: Any = np.cosh
exp: Any = np.exp
expm1: Any = np.expm1
fabs: Any = np.fabs
floor: Any = np.floor
fmod: Any = np.fmod
log: Any = np.log
log1p: Any = np.log1p
pow: Any = np.power  # noqa: A001 - libdevice's name
rint: Any = np.rint
sin: Any = np.sin
sinh: Any = np.sinh
sqrt: Any = np.sqrt
tan: Any = np.tan
erf: Any = _special("erf")
erfc: Any = _special("erfc")
erfcx: Any = _special("erfcx")
erfcinv: Any = _special("erfcinv")
exp10: Any = _special("exp10")
lgamma: Any = _special("gammaln")
tgamma: Any = _special("gamma")


def sinpi(x: Any) -> Any:
    """Give ``sin(pi x)``, exact where that is 0, 1 or -1."""
    r = np.fmod(x, 2.0)
    if abs(r) == 1.0:
        return r * 0.0
    if abs(r) > 0.5 and abs(r) < 1.5:
        r = np.copysign(1.0, r) - r
    elif abs(r) >= 1.5:
        r = r - np.copysign(2.0, r)
    return np.sin(np.pi * r)


def cospi(x: Any) -> Any:
    """Give ``cos(pi x)``, exact where that is 0, 1 or -1."""
    r = abs(np.fmod(x, 2.0))
    if r in (0.5, 1.5):
        return r * 0.0
    return np.cos(np.pi * r) if r < 0.25 else sinpi(0.5 - r)


MATHEMATICS: dict[str, Callable[..., Any]] = {
    **{
        f"a{name}": getattr(np, f"arc{name}")
        for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")
    },
    **{
        name: getattr(np, name)
        for name in ("exp2", "log2", "log10", "tanh", "hypot", "cbrt", "nextafter", "frexp")
    },
    **{name: getattr(np, name) for name in ("ceil", "trunc")},
    **{
        f.__name__: f
        for f in (copysign, cos, cosh, exp, expm1, fabs, floor, fmod, log, log1p, rint, sin, sinh)
    },
    **{f.__name__: f for f in (sqrt, tan, sinpi, cospi)},
    "pow": pow,
    "erf": erf,
    "erfc": erfc,
    "erfcx": erfcx,
    "exp10": exp10,
    "lgamma": lgamma,
    "tgamma": tgamma,
    "erfinv": _special("erfinv"),
    "erfcinv": erfcinv,
    "normcdfinv": _special("ndtri"),
    **{name: _special(name) for name in ("j0", "j1", "y0", "y1")},
    "signbitd": np.signbit,
    "signbitf": np.signbit,
}
"""Each by its name in C."""
