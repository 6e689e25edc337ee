"""Bessel functions of any real order, and spherical ones.

Orders are divided into a whole number and what is at most a half, for which Temme's series (small
arguments) or Steed's continued fraction gives a function and its neighbor; a second continued
fraction gives the quotient of the other kind at the whole order, and the Wronskian puts both
together. Far out Hankel's expansions hold.

References
----------
Temme, Journal of Computational Physics 19 (1975) and 21 (1976); Barnett, Computer Physics
Communications 27 (1982); Thompson and Barnett, Journal of Computational Physics 64 (1986); Press
et al., Numerical Recipes, 6.7; DLMF 10.4, 10.17, 10.27, 10.40, 10.47.
"""

from __future__ import annotations

import math

from symdiff.compilation.cuda.mathematics import (
    copysign,
    cos,
    cosh,
    cospi,
    exp,
    fabs,
    floor,
    fmod,
    log,
    sin,
    sinh,
    sinpi,
    sqrt,
)

__all__ = ["PARTS", "STEPS"]

EVEN = (
    1.0,
    -0.6558780715202539,
    0.16653861138229148,
    -0.009621971527876973,
    -0.0011651675918590652,
    0.0001280502823881162,
    -1.2504934821426706e-06,
    -2.056338416977607e-07,
    5.002007644469223e-09,
    1.0434267116911005e-10,
    -3.696805618642206e-12,
)
ODD = (
    0.5772156649015329,
    -0.04200263503409524,
    -0.04219773455554433,
    0.0072189432466631,
    -0.00021524167411495098,
    -2.013485478078824e-05,
    1.133027231981696e-06,
    6.116095104481416e-09,
    -1.18127457048702e-09,
    7.782263439905071e-12,
    5.100370287454476e-13,
)
"""The coefficients of ``1 / gamma(1 + z)``, of its even and odd powers; DLMF 5.7.1."""
TINY, HUGE = 1e-300, 1e200


def even_rest(mu: float) -> float:
    """Give ``(1/gamma(1 - mu) + 1/gamma(1 + mu)) / 2`` for up to a half."""
    s = 0.0
    for k in range(11):
        s = s * mu * mu + EVEN[10 - k]
    return s


def odd_rest(mu: float) -> float:
    """Give ``(1/gamma(1 - mu) - 1/gamma(1 + mu)) / (2 mu)`` for up to a half."""
    s = 0.0
    for k in range(11):
        s = s * mu * mu + ODD[10 - k]
    return -s


def quotient_of_sine(z: float) -> float:
    """Give ``z / sin(z)``."""
    return z / sin(z) if fabs(z) > 1e-9 else 1.0


def quotient_of_sinh(z: float) -> float:
    """Give ``sinh(z) / z``."""
    return sinh(z) / z if fabs(z) > 1e-9 else 1.0


def hankel(nu: float, x: float, wants_y: bool) -> float:
    """Give J or Y far out; DLMF 10.17.3 and 10.17.4."""
    square = 4.0 * nu * nu
    p = 1.0
    q = 0.0
    term = 1.0
    for k in range(1, 80):
        odd = float(2 * k - 1)
        after = term * (square - odd * odd) / (8.0 * float(k) * x)
        if fabs(after) > fabs(term) and k > nu:
            break
        term = after
        if k % 2 == 1:
            q = q + (term if k % 4 == 1 else -term)
        else:
            p = p + (-term if k % 4 == 2 else term)
        if fabs(term) < 1e-17:
            break
    phase = fmod(0.5 * nu + 0.25, 2.0)
    a = cospi(phase)
    b = sinpi(phase)
    c = cos(x)
    s = sin(x)
    cosine = c * a + s * b
    sine = s * a - c * b
    scale = sqrt(2.0 / (math.pi * x))
    return scale * (p * sine + q * cosine) if wants_y else scale * (p * cosine - q * sine)


def ordinary(nu: float, x: float, wants_y: bool) -> float:
    """Give J or Y of an order from 0 for positive numbers."""
    if x > 35.0 + 0.5 * nu * nu:
        return hankel(nu, x, wants_y)
    r = 1.0 / x
    n = int(nu + 0.5)
    if x >= 2.0:
        n = int(nu - x + 1.5) if nu - x + 1.5 > 0.0 else 0
    mu = nu - float(n)
    # J' / J at the order, by the first continued fraction
    sign = 1.0
    h = max(TINY, nu * r)
    b = 2.0 * r * nu
    d = 0.0
    c = h
    for _ in range(10000000):
        b = b + 2.0 * r
        d = b - d
        d = d if fabs(d) > TINY else TINY
        c = b - 1.0 / c
        c = c if fabs(c) > TINY else TINY
        d = 1.0 / d
        step = c * d
        h = h * step
        sign = -sign if d < 0.0 else sign
        if fabs(step - 1.0) < 2e-16:
            break
    # down to mu
    j = sign
    slope = h * j
    at_order = j
    for k in range(n):
        before = (nu - float(k)) * r * j + slope
        slope = (nu - float(k + 1)) * r * before - j
        j = before
        if fabs(j) > HUGE:
            j = j / HUGE
            slope = slope / HUGE
            at_order = at_order / HUGE
    f = slope / (j if j != 0.0 else 1e-16)
    if x < 2.0:
        y, next_y = temme_y(mu, x)
        slope_y = mu * r * y - next_y
        j_mu = 2.0 / (math.pi * x) / (slope_y - f * y)
    else:
        p, q = steed(mu, x)
        g = (p - f) / q
        j_mu = copysign(sqrt(2.0 / (math.pi * x) / ((p - f) * g + q)), j)
        y = j_mu * g
        slope_y = j_mu * (g * p + q)
        next_y = mu * r * y - slope_y
    if not wants_y:
        return at_order * (j_mu / (j if j != 0.0 else 1e-16))
    for k in range(n):
        after = 2.0 * r * (mu + float(k + 1)) * next_y - y
        y = next_y
        next_y = after
        if next_y == -math.inf:
            y = y if k == n - 1 else -math.inf
            break
    return y


def temme_y(mu: float, x: float) -> tuple[float, float]:
    """Give Y of orders `mu` and ``mu + 1``, for small numbers."""
    d = -log(0.5 * x)
    e = mu * d
    g = even_rest(mu)
    o = odd_rest(mu)
    plus = g - mu * o
    minus = g + mu * o
    fraction = 2.0 / math.pi * quotient_of_sine(math.pi * mu)
    f = fraction * (o * cosh(e) + g * quotient_of_sinh(e) * d)
    e = exp(e)
    p = e / (plus * math.pi)
    q = 1.0 / (e * math.pi * minus)
    half = 0.5 * math.pi * mu
    t = 1.0 / quotient_of_sine(half)
    r = math.pi * half * t * t
    c = 1.0
    total = f + r * q
    other = p
    for k in range(1, 100):
        n = float(k)
        f = (n * f + p + q) / (n * n - mu * mu)
        c = -c * 0.25 * x * x / n
        p = p / (n - mu)
        q = q / (n + mu)
        more = c * (f + r * q)
        total = total + more
        other = other + c * p - n * more
        if fabs(more) < 1e-17 * (1.0 + fabs(total)):
            break
    return -total, -other * 2.0 / x


def steed(mu: float, x: float) -> tuple[float, float]:
    """Give p and q, the logarithmic slope of ``J + i Y``, by the second continued fraction."""
    a = 0.25 - mu * mu
    p = -0.5 / x
    q = 1.0
    br = 2.0 * x
    bi = 2.0
    t = a / x / (p * p + q * q)
    cr = br + q * t
    ci = bi + p * t
    s = br * br + bi * bi
    dr = br / s
    di = -bi / s
    er = cr * dr - ci * di
    ei = cr * di + ci * dr
    t = p * er - q * ei
    q = p * ei + q * er
    p = t
    for k in range(2, 10000):
        a = a + 2.0 * float(k - 1)
        bi = bi + 2.0
        dr = a * dr + br
        di = a * di + bi
        t = a / (cr * cr + ci * ci)
        cr = br + cr * t
        ci = bi - ci * t
        s = dr * dr + di * di
        dr = dr / s
        di = -di / s
        er = cr * dr - ci * di
        ei = cr * di + ci * dr
        t = p * er - q * ei
        q = p * ei + q * er
        p = t
        if fabs(er - 1.0) + fabs(ei) < 2e-16:
            break
    return p, q


def is_odd(n: float) -> bool:
    """Whether a whole number is odd."""
    return fmod(n, 2.0) != 0.0


def bessel_j(v: float, x: float) -> float:
    """Give the Bessel function of the first kind."""
    if v != v or x != x:
        return v + x
    is_whole = v == floor(v)
    sign = 1.0
    if x < 0.0:
        if not is_whole:
            return math.nan
        sign = -1.0 if is_odd(v) else 1.0
        x = -x
    if x == 0.0:
        if v == 0.0:
            return 1.0
        return 0.0 if v > 0.0 or is_whole else math.inf
    if x == math.inf:
        return 0.0
    value = ordinary(fabs(v), x, False)
    if v < 0.0 and is_whole:
        value = -value if is_odd(v) else value
    elif v < 0.0:
        value = cospi(v) * value + sinpi(v) * ordinary(-v, x, True)
    return sign * value


def bessel_y(v: float, x: float) -> float:
    """Give the Bessel function of the second kind."""
    if v != v or x != x:
        return v + x
    if x < 0.0:
        return math.nan
    if x == 0.0:
        return -math.inf
    if x == math.inf:
        return 0.0
    value = ordinary(fabs(v), x, True)
    if v < 0.0 and v == floor(v):
        value = -value if is_odd(v) else value
    elif v < 0.0:
        value = cospi(v) * value - sinpi(v) * ordinary(-v, x, False)
    return value


def whole_bessel_y(n: int, x: float) -> float:
    """Give the Bessel function of the second kind of a whole order."""
    return bessel_y(float(n), x)


def spherical_bessel_j(n: int, x: float) -> float:
    """Give the spherical Bessel function of the first kind."""
    if n < 0 or x != x:
        return math.nan
    size = fabs(x)
    if size == 0.0:
        return 1.0 if n == 0 else 0.0
    if size == math.inf:
        return 0.0
    value = sin(size) / size
    if n > 0:
        value = sqrt(0.5 * math.pi / size) * ordinary(float(n) + 0.5, size, False)
    return -value if x < 0.0 and n % 2 == 1 else value


def spherical_bessel_y(n: int, x: float) -> float:
    """Give the spherical Bessel function of the second kind."""
    if n < 0 or x != x:
        return math.nan
    size = fabs(x)
    if size == 0.0:
        return -math.inf
    if size == math.inf:
        return 0.0
    value = -cos(size) / size
    if n > 0:
        value = sqrt(0.5 * math.pi / size) * ordinary(float(n) + 0.5, size, True)
    return -value if x < 0.0 and n % 2 == 0 else value


STEPS = {
    "jv": bessel_j,
    "yv": bessel_y,
    "int_yn": whole_bessel_y,
    "int_spherical_jn": spherical_bessel_j,
    "int_spherical_yn": spherical_bessel_y,
}
"""The function of each step."""
PARTS = (
    even_rest,
    odd_rest,
    quotient_of_sine,
    quotient_of_sinh,
    hankel,
    ordinary,
    temme_y,
    steed,
    is_odd,
)
"""What they call besides each other."""
