"""Exponential, trigonometric, elliptic and logarithmic integrals.

References
----------
DLMF 6.6 (series), 6.9 (continued fraction), 6.12 (large arguments), 8.19 (general order),
19.8 (arithmetic and geometric means), 25.12 (the dilogarithm).
"""

from __future__ import annotations

import math

from symdiff.compilation.cuda.mathematics import (
    copysign,
    cos,
    exp,
    fabs,
    log,
    log1p,
    sin,
    sqrt,
)
from symdiff.compilation.cuda.special.error import complex_fraction

__all__ = ["PARTS", "STEPS"]

EULER = 0.5772156649015329


def exponential_one(x: float) -> float:
    """Integrate ``exp(-t) / t`` from `x` on."""
    return exponential_of_order(1, x)


def exponential_of_order(n: int, x: float) -> float:
    """Integrate ``exp(-x t) / t**n`` from one on."""
    if n < 0 or x != x or x < 0.0:
        return math.nan
    if x == 0.0:
        return math.inf if n < 2 else 1.0 / float(n - 1)
    if x == math.inf:
        return 0.0
    if n == 0:
        return exp(-x) / x
    return exponential_fraction(n, x) if x > 1.0 else exponential_series(n, x)


def exponential_fraction(n: int, x: float) -> float:
    """Evaluate the continued fraction of DLMF 8.19.17 from its beginning."""
    order = float(n)
    b = x + order
    c = 1e300
    d = 1.0 / b
    h = d
    for k in range(1, 1000):
        m = float(k)
        a = -m * (order - 1.0 + m)
        b = b + 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        step = c * d
        h = h * step
        if fabs(step - 1.0) < 2e-16:
            break
    return h * exp(-x)


def exponential_series(n: int, x: float) -> float:
    """Sum DLMF 8.19.8, which has a logarithm in place of one term."""
    before = float(n - 1)
    total = -log(x) - EULER if n == 1 else 1.0 / before
    factor = 1.0
    for k in range(1, 1000):
        m = float(k)
        factor = -factor * x / m
        if k == n - 1:
            psi = -EULER
            for j in range(1, n):
                psi = psi + 1.0 / float(j)
            more = factor * (psi - log(x))
        else:
            more = -factor / (m - before)
        total = total + more
        if fabs(more) < 1e-17 * fabs(total) or factor == 0.0:
            break
    return total


def exponential_integral(x: float) -> float:
    """Integrate ``exp(t) / t`` up to `x`, a principal value."""
    if x < 0.0:
        return -exponential_of_order(1, -x)
    if x == 0.0:
        return -math.inf
    if x > 800.0:
        return math.inf
    if x > 40.0:
        return integral_far(x) * exp(x - 20.0) * exp(20.0)
    total = 0.0
    term = 1.0
    for k in range(1, 300):
        term = term * x / float(k)
        more = term / float(k)
        total = total + more
        if more < 1e-17 * total:
            break
    return total + EULER + log(x)


def integral_far(x: float) -> float:
    """Sum DLMF 6.12.2 for 40 and more, without the exponential function."""
    term = 1.0
    total = 1.0
    for k in range(1, 60):
        term = term * float(k) / x
        total = total + term
        if term < 1e-17:
            break
    return total / x


def sine_integral(x: float) -> float:
    """Integrate ``sin(t) / t`` from zero."""
    size = fabs(x)
    if x != x:
        return x
    if size > 1e9:
        return copysign(0.5 * math.pi - cos(size) / size if size < math.inf else 0.5 * math.pi, x)
    if size > 4.0:
        return copysign(0.5 * math.pi + trigonometric_fraction(size, True), x)
    term = x
    total = x
    square = x * x
    for k in range(1, 60):
        n = 2.0 * float(k)
        term = -term * square / (n * (n + 1.0))
        more = term / (n + 1.0)
        total = total + more
        if fabs(more) <= 1e-17 * fabs(total):
            break
    return total


def cosine_integral(x: float) -> float:
    """Integrate ``cos(t) / t`` from infinity."""
    size = fabs(x)
    if x != x or x == -math.inf:
        return math.nan
    if size == 0.0:
        return -math.inf
    if size > 1e9:
        return sin(size) / size if size < math.inf else 0.0
    if size > 4.0:
        return -trigonometric_fraction(size, False)
    term = 1.0
    total = 0.0
    square = x * x
    for k in range(1, 60):
        n = 2.0 * float(k)
        term = -term * square / (n * (n - 1.0))
        more = term / n
        total = total + more
        if fabs(more) <= 1e-17 * fabs(total):
            break
    return total + EULER + log(size)


def trigonometric_fraction(x: float, is_sine: bool) -> float:
    """Give the imaginary or the real part of ``E1(i x)``, by DLMF 6.9.1; numbers are pairs."""
    hr, hi = complex_fraction(x, 2.0, 1.0, 0.0)
    c = cos(x)
    d = sin(x)
    return c * hi - d * hr if is_sine else c * hr + d * hi


def hyperbolic_sine_integral(x: float) -> float:
    """Integrate ``sinh(t) / t`` from zero."""
    size = fabs(x)
    if x != x:
        return x
    if size > 40.0:
        return copysign(far_hyperbolic(size), x)
    term = x
    total = x
    square = x * x
    for k in range(1, 200):
        n = 2.0 * float(k)
        term = term * square / (n * (n + 1.0))
        more = term / (n + 1.0)
        total = total + more
        if fabs(more) <= 1e-17 * fabs(total):
            break
    return total


def hyperbolic_cosine_integral(x: float) -> float:
    """Integrate ``(cosh(t) - 1) / t`` from zero, and add the logarithm and Euler's constant."""
    size = fabs(x)
    if x != x:
        return x
    if size == 0.0:
        return -math.inf
    if size > 40.0:
        return far_hyperbolic(size)
    term = 1.0
    total = 0.0
    square = x * x
    for k in range(1, 200):
        n = 2.0 * float(k)
        term = term * square / (n * (n - 1.0))
        more = term / n
        total = total + more
        if fabs(more) <= 1e-17 * fabs(total):
            break
    return total + EULER + log(size)


def far_hyperbolic(x: float) -> float:
    """Give either for 40 and more, where they are the same."""
    if x > 1e4:
        return math.inf
    return 0.5 * integral_far(x) * exp(x - 20.0) * exp(20.0)


def dilogarithm(x: float) -> float:
    """Integrate ``log(t) / (1 - t)`` from one; DLMF 25.12.4 and 25.12.6 bring `x` near one."""
    if not 0.0 <= x < math.inf:
        return math.nan
    if x == 0.0:
        return math.pi * math.pi / 6.0
    size = log(x)
    if x > 2.0:
        return -0.5 * size * size - near_dilogarithm(-size)
    if x < 0.5:
        return math.pi * math.pi / 6.0 - size * log1p(-x) - near_dilogarithm(log1p(-x))
    return near_dilogarithm(size)


def near_dilogarithm(size: float) -> float:
    """Give the dilogarithm of ``1 - exp(size)``, reflected once where that is above a half."""
    if size > -0.75:
        return debye(-size)
    other = log1p(-exp(size))
    return math.pi * math.pi / 6.0 - size * other - debye(-other)


def debye(u: float) -> float:
    """Sum ``u - u**2 / 4`` and the terms ``B[2 k] u**(2 k + 1) / (2 k + 1)!``."""
    r = u * u
    s = r * (1.0 / 1120863744000.0 - r * (3617.0 / 181400588328960000.0))
    s = r * (691.0 / 16999766784000.0 - s)
    s = r * (1.0 / 526901760.0 - s)
    s = r * (1.0 / 10886400.0 - s)
    s = r * (1.0 / 211680.0 - s)
    s = r * (1.0 / 3600.0 - s)
    return u - 0.25 * r + u * r * (1.0 / 36.0 - s)


def elliptic_k(m: float) -> float:
    """Give the complete elliptic integral of the first kind."""
    return elliptic_k_of_rest(1.0 - m)


def elliptic_k_of_rest(p: float) -> float:
    """Give the same of ``m = 1 - p``, by the mean of Gauss; DLMF 19.8.5."""
    if p < 0.0 or p != p:
        return math.nan
    if p == 0.0:
        return math.inf
    if p == math.inf:
        return 0.0
    a = 1.0
    b = sqrt(p)
    for _ in range(40):
        if fabs(a - b) <= 1e-8 * a:
            break
        t = 0.5 * (a + b)
        b = sqrt(a * b)
        a = t
    return math.pi / (a + b)


def elliptic_e(m: float) -> float:
    """Give the complete elliptic integral of the second kind; DLMF 19.8.6, 19.7.2."""
    if m > 1.0 or m != m:
        return math.nan
    if m == 1.0:
        return 1.0
    if m == -math.inf:
        return math.inf
    factor = 1.0
    rest = 1.0 - m
    if m < 0.0:
        factor = sqrt(rest)
        m = m / (m - 1.0)
        rest = 1.0 / rest
    if rest < 1e-3:
        return factor * elliptic_e_near_one(rest)
    a = 1.0
    b = sqrt(rest)
    total = 0.5 * m
    power = 0.5
    for _ in range(40):
        c = 0.5 * (a - b)
        t = 0.5 * (a + b)
        b = sqrt(a * b)
        a = t
        power = power * 2.0
        total = total + power * c * c
        if fabs(c) <= 1e-9 * a:
            break
    return factor * math.pi / (a + b) * (1.0 - total)


def elliptic_e_near_one(p: float) -> float:
    """Sum DLMF 19.12.2, for small ``p = 1 - m``."""
    if p == 0.0:
        return 1.0
    total = 0.0
    factor = 0.5 * p
    d = 0.5 * log(16.0 / p) - 0.5
    for k in range(12):
        n = float(k)
        total = total + factor * d
        factor = factor * (0.5 + n) * (1.5 + n) / ((1.0 + n) * (2.0 + n)) * p
        d = d - 0.25 / ((n + 0.5) * (n + 1.0)) - 0.25 / ((n + 1.5) * (n + 2.0))
    return 1.0 + total


STEPS = {
    "exp1": exponential_one,
    "expi": exponential_integral,
    "int_expn": exponential_of_order,
    "sine_integral": sine_integral,
    "cosine_integral": cosine_integral,
    "sinh_integral": hyperbolic_sine_integral,
    "cosh_integral": hyperbolic_cosine_integral,
    "spence": dilogarithm,
    "ellipk": elliptic_k,
    "ellipe": elliptic_e,
    "ellipkm1": elliptic_k_of_rest,
}
"""The function of each step."""
PARTS = (
    *(exponential_fraction, exponential_series, integral_far, trigonometric_fraction),
    *(far_hyperbolic, near_dilogarithm, debye, elliptic_e_near_one),
)
"""What they call besides each other."""
