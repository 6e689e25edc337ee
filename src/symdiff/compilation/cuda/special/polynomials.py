"""Orthogonal polynomials of whole degree, by their recurrences: DLMF 18.9."""

from __future__ import annotations

import math

__all__ = ["PARTS", "STEPS"]


def legendre(n: int, x: float) -> float:
    """Give Legendre's polynomial; that of degree ``-n - 1`` is the same."""
    if n < 0:
        n = -n - 1
    p = 1.0
    slope = 0.0  # of degrees: p_k - p_(k-1), which does not cancel at the ends
    for k in range(n):
        slope = (float(2 * k + 1) * (x - 1.0) * p + float(k) * slope) / float(k + 1)
        p = p + slope
    return p


def shifted_legendre(n: int, x: float) -> float:
    """Give Legendre's polynomial on the interval from 0 to 1."""
    return legendre(n, 2.0 * x - 1.0)


def chebyshev_t(n: int, x: float) -> float:
    """Give Chebyshev's polynomial of the first kind."""
    before = x
    p = 1.0
    for _ in range(abs(n)):
        after = 2.0 * x * p - before
        before = p
        p = after
    return p


def chebyshev_u(n: int, x: float) -> float:
    """Give Chebyshev's polynomial of the second kind; ``U_(-n-2) = -U_n``."""
    sign = 1.0
    if n < -1:
        n = -n - 2
        sign = -1.0
    before = 0.0
    p = 1.0
    if n == -1:
        return 0.0
    for _ in range(n):
        after = 2.0 * x * p - before
        before = p
        p = after
    return sign * p


def shifted_chebyshev_t(n: int, x: float) -> float:
    """Give Chebyshev's polynomial of the first kind on the interval from 0 to 1."""
    return chebyshev_t(n, 2.0 * x - 1.0)


def shifted_chebyshev_u(n: int, x: float) -> float:
    """Give Chebyshev's polynomial of the second kind on the interval from 0 to 1."""
    return chebyshev_u(n, 2.0 * x - 1.0)


def probabilist_hermite(n: int, x: float) -> float:
    """Give the polynomial of Hermite whose leading coefficient is one."""
    before = 0.0
    p = 1.0
    for k in range(n):
        after = x * p - float(k) * before
        before = p
        p = after
    return p


def hermite(n: int, x: float) -> float:
    """Give Hermite's polynomial."""
    before = 0.0
    p = 1.0
    for k in range(n):
        after = 2.0 * (x * p - float(k) * before)
        before = p
        p = after
    return p


def associated_laguerre(n: int, alpha: float, x: float) -> float:
    """Give the associated polynomial of Laguerre, for what SciPy has it."""
    if not alpha > -1.0:
        return math.nan
    before = 0.0
    p = 1.0
    for k in range(n):
        m = float(k)
        after = ((2.0 * m + 1.0 + alpha - x) * p - (m + alpha) * before) / (m + 1.0)
        before = p
        p = after
    return p


def laguerre(n: int, x: float) -> float:
    """Give Laguerre's polynomial."""
    return associated_laguerre(n, 0.0, x)


def ultraspherical(n: int, alpha: float, x: float) -> float:
    """Give Gegenbauer's polynomial."""
    before = 0.0
    p = 1.0
    for k in range(n):
        m = float(k)
        after = (2.0 * (m + alpha) * x * p - (m - 1.0 + 2.0 * alpha) * before) / (m + 1.0)
        before = p
        p = after
    return p


def jacobi(n: int, alpha: float, beta: float, x: float) -> float:
    """Give Jacobi's polynomial."""
    if n < 1:
        return 1.0
    both = alpha + beta
    before = 1.0
    p = 0.5 * (2.0 * (alpha + 1.0) + (both + 2.0) * (x - 1.0))
    for k in range(2, n + 1):
        m = float(k)
        t = 2.0 * m + both
        left = 2.0 * m * (m + both) * (t - 2.0)
        middle = (t - 1.0) * (t * (t - 2.0) * x + (alpha - beta) * both)
        last = 2.0 * (m + alpha - 1.0) * (m + beta - 1.0) * t
        after = (middle * p - last * before) / left
        before = p
        p = after
    return p


STEPS = {
    "int_eval_legendre": legendre,
    "int_eval_sh_legendre": shifted_legendre,
    "int_eval_chebyt": chebyshev_t,
    "int_eval_chebyu": chebyshev_u,
    "int_eval_sh_chebyt": shifted_chebyshev_t,
    "int_eval_sh_chebyu": shifted_chebyshev_u,
    "int_eval_hermite": hermite,
    "int_eval_hermitenorm": probabilist_hermite,
    "int_eval_genlaguerre": associated_laguerre,
    "int_eval_laguerre": laguerre,
    "int_eval_gegenbauer": ultraspherical,
    "int_eval_jacobi": jacobi,
}
"""The function of each step."""
PARTS = ()
"""What they call besides each other."""
