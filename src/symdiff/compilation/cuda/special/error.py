"""The error function's relatives: of imaginary numbers, of Dawson, Fresnel and Owen.

References
----------
DLMF 7.6 (series), 7.9 (continued fraction), 7.12 (large arguments); Owen, Annals of Mathematical
Statistics 27 (1956), for the T function.
"""

from __future__ import annotations

import math

import numpy as np

from symdiff.compilation.cuda.mathematics import (
    copysign,
    cospi,
    erfc,
    erfcx,
    exp,
    fabs,
    log,
    log1p,
    rint,
    sinpi,
    sqrt,
)

__all__ = ["PARTS", "STEPS", "complex_fraction"]

NODES, WEIGHTS = (x.astype(np.float64) for x in np.polynomial.legendre.leggauss(40))
"""Of Gauss's quadrature between -1 and 1."""


def exp_of_square(x: float, sign: float) -> float:
    """Give ``exp(sign x**2)``, of a square in two parts so that it keeps its digits."""
    top = rint(x * 32.0) / 32.0
    return exp(sign * top * top) * exp(sign * (x - top) * (x + top))


def imaginary_series(x: float) -> float:
    """Integrate ``exp(t**2)`` from zero; DLMF 7.6.1, whose terms are of one sign."""
    square = x * x
    term = x
    total = x
    for k in range(1, 200):
        n = float(k)
        term = term * square / n
        more = term / (2.0 * n + 1.0)
        total = total + more
        if fabs(more) <= 1e-17 * fabs(total):
            break
    return total


def dawson_far(x: float) -> float:
    """Give Dawson's integral of 6.5 and more; DLMF 7.12.1."""
    r = 0.5 / (x * x)
    term = 1.0
    total = 1.0
    for k in range(40):
        after = term * float(2 * k + 1) * r
        if after < 1e-17 or after > term:
            break
        term = after
        total = total + term
    return total / (2.0 * x)


def dawson(x: float) -> float:
    """Give ``exp(-x**2)`` times the integral of ``exp(t**2)`` from zero to `x`."""
    if x != x:
        return x
    if fabs(x) < 6.5:
        return exp_of_square(x, -1.0) * imaginary_series(x)
    return 0.5 / x if fabs(x) > 1e9 else dawson_far(x)


def imaginary_error(x: float) -> float:
    """Give ``-i erf(i x)``."""
    if x != x:
        return x
    if fabs(x) < 6.5:
        return 2.0 / sqrt(math.pi) * imaginary_series(x)
    if fabs(x) > 27.0:
        return copysign(math.inf, x)
    return 2.0 / sqrt(math.pi) * dawson_far(x) * exp_of_square(x, 1.0)


def log_normal_distribution(x: float) -> float:
    """Give the logarithm of the normal distribution function."""
    t = x * math.sqrt(0.5)
    if x < -1.0:
        return log(erfcx(-t) / 2.0) - t * t
    return log1p(-erfc(t) / 2.0)


def upper_tail(x: float) -> float:
    """Give the normal distribution function of minus a number."""
    return 0.5 * erfc(x * math.sqrt(0.5))


def owen_near(h: float, a: float) -> float:
    """Integrate for `a` up to 1, as far as the integrand has digits."""
    end = a
    if h * a > 9.0:
        end = 9.0 / h
    total = 0.0
    half = 0.5 * end
    for k in range(40):
        t = half * (NODES[k] + 1.0)
        total = total + WEIGHTS[k] * exp(-0.5 * h * h * t * t) / (1.0 + t * t)
    return exp(-0.5 * h * h) * total * half / (2.0 * math.pi)


def owen(h: float, a: float) -> float:
    """Give Owen's T function."""
    if h != h or a != a:
        return h + a
    h = fabs(h)
    size = fabs(a)
    if size == math.inf:
        value = 0.5 * upper_tail(h)
    elif h == math.inf:
        value = 0.0
    elif size <= 1.0:
        value = owen_near(h, size)
    else:
        p = upper_tail(h)
        q = upper_tail(h * size)
        value = 0.5 * (p + q) - p * q - owen_near(h * size, 1.0 / size)
    return -value if a < 0.0 else value


def fresnel(x: float, is_sine: bool) -> float:
    """Give one of Fresnel's integrals."""
    size = fabs(x)
    if size < 1.6:
        value = fresnel_series(size, is_sine)
    elif size > 1e16:
        value = 0.5
    else:
        value = fresnel_far(size, is_sine)
    return -value if x < 0.0 else value


def fresnel_series(x: float, is_sine: bool) -> float:
    """Sum the series of DLMF 7.6.4 or 7.6.6."""
    t = 0.5 * math.pi * x * x
    square = t * t
    term = x * t if is_sine else x
    first = 1.0 if is_sine else 0.0
    total = term / (2.0 * first + 1.0)
    for k in range(1, 60):
        n = 2.0 * float(k) + first
        term = -term * square / (n * (n - 1.0))
        more = term / (2.0 * n + 1.0)
        total = total + more
        if fabs(more) <= 1e-18 * fabs(total):
            break
    return total


def complex_fraction(bi: float, rise: float, stride: float, shift: float) -> tuple[float, float]:
    """Give ``1/(b + a1/(b + rise + a2/(b + 2 rise + ...)))`` with ``b = 1 + i bi``.

    Its numerators are ``-n (n + shift)`` for n = 1, 1 + stride, ...; the method is Lentz's.
    """
    br = 1.0
    cr = 1e300
    ci = 0.0
    s = br * br + bi * bi
    dr = br / s
    di = -bi / s
    hr = dr
    hi = di
    n = 1.0 - stride
    for _ in range(300):
        n = n + stride
        a = -n * (n + shift)
        br = br + rise
        tr = a * dr + br
        ti = a * di + bi
        s = tr * tr + ti * ti
        dr = tr / s
        di = -ti / s
        s = cr * cr + ci * ci
        tr = br + a * cr / s
        ti = bi - a * ci / s
        cr = tr
        ci = ti
        er = cr * dr - ci * di
        ei = cr * di + ci * dr
        tr = hr * er - hi * ei
        hi = hr * ei + hi * er
        hr = tr
        if fabs(er - 1.0) + fabs(ei) < 2e-16:
            break
    return hr, hi


def fresnel_far(x: float, is_sine: bool) -> float:
    """Evaluate the continued fraction of the complementary error function, DLMF 7.9.3.

    Its argument is ``z**2 = -i pi x**2 / 2``; numbers are pairs.
    """
    # The even part of the fraction: 1/(b - 2/(b + 4 - 12/(b + 8 - ...))), with b = 1 + 2 z**2.
    hr, hi = complex_fraction(-math.pi * x * x, 4.0, 2.0, 1.0)
    # What is left of (1 + i)/2 is (x - i x) h, turned by the phase.
    c = cospi(0.5 * x * x)
    d = sinpi(0.5 * x * x)
    ur = x * (hr + hi)
    ui = x * (hi - hr)
    re = 1.0 - (c * ur - d * ui)
    im = -(c * ui + d * ur)
    return 0.5 * (re + im) if is_sine else 0.5 * (re - im)


def fresnel_sine(x: float) -> float:
    """Integrate ``sin(pi t**2 / 2)``."""
    return fresnel(x, True)


def fresnel_cosine(x: float) -> float:
    """Integrate ``cos(pi t**2 / 2)``."""
    return fresnel(x, False)


STEPS = {
    "erfi": imaginary_error,
    "dawsn": dawson,
    "log_ndtr": log_normal_distribution,
    "owens_t": owen,
    "fresnel_sine": fresnel_sine,
    "fresnel_cosine": fresnel_cosine,
}
"""The function of each step."""
PARTS = (
    *(exp_of_square, imaginary_series, dawson_far, upper_tail, owen_near),
    *(fresnel, fresnel_series, fresnel_far, complex_fraction),
)
"""What they call besides each other."""
