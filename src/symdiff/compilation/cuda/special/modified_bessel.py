"""Modified Bessel functions of any real order, and spherical ones; methods as in `bessel`.

References
----------
Those of `symdiff.compilation.cuda.special.bessel`; DLMF 10.27, 10.29, 10.40, 10.47.
"""

from __future__ import annotations

import math

from symdiff.compilation.cuda.mathematics import (
    cosh,
    exp,
    fabs,
    floor,
    log,
    sinh,
    sinpi,
    sqrt,
)
from symdiff.compilation.cuda.special.bessel import (
    even_rest,
    is_odd,
    odd_rest,
    quotient_of_sine,
    quotient_of_sinh,
)

__all__ = ["PARTS", "STEPS"]

TINY, HUGE = 1e-300, 1e200


def modified(nu: float, x: float, wants_k: bool, scale: float) -> float:
    """Give ``exp(-x) I``, or ``scale exp(x) K``, of an order from 0 for positive numbers."""
    if not wants_k and x > 35.0 + 0.5 * nu * nu:
        return modified_far(nu, x)
    r = 1.0 / x
    n = int(nu + 0.5)
    mu = nu - float(n)
    if x < 2.0:
        k_mu, k_next = temme_k(mu, x)
    else:
        k_mu, k_next = steed_k(mu, x)
    if wants_k:
        k_mu = k_mu * scale
        k_next = k_next * scale
        for m in range(n):
            after = 2.0 * r * (mu + float(m + 1)) * k_next + k_mu
            k_mu = k_next
            k_next = after
        return k_mu
    h = max(TINY, nu * r)
    b = 2.0 * r * nu
    d = 0.0
    c = h
    for _ in range(10000000):
        b = b + 2.0 * r
        d = 1.0 / (b + d)
        c = b + 1.0 / c
        step = c * d
        h = h * step
        if fabs(step - 1.0) < 2e-16:
            break
    i = 1.0
    slope = h
    at_order = 1.0
    for m in range(n):
        before = (nu - float(m)) * r * i + slope
        slope = (nu - float(m + 1)) * r * before + i
        i = before
        if i > HUGE:
            i = i / HUGE
            slope = slope / HUGE
            at_order = at_order / HUGE
    f = slope / i
    return r / (f * k_mu - mu * r * k_mu + k_next) * at_order / i


def modified_far(nu: float, x: float) -> float:
    """Give ``exp(-x) I`` far out; DLMF 10.40.1."""
    square = 4.0 * nu * nu
    total = 1.0
    term = 1.0
    for k in range(1, 80):
        odd = float(2 * k - 1)
        after = -term * (square - odd * odd) / (8.0 * float(k) * x)
        if fabs(after) > fabs(term) and k > nu:
            break
        term = after
        total = total + term
        if fabs(term) < 1e-17:
            break
    return total / sqrt(2.0 * math.pi * x)


def temme_k(mu: float, x: float) -> tuple[float, float]:
    """Give ``exp(x) K`` of orders `mu` and ``mu + 1``, for small numbers."""
    d = -log(0.5 * x)
    e = mu * d
    g = even_rest(mu)
    o = odd_rest(mu)
    plus = g - mu * o
    minus = g + mu * o
    f = quotient_of_sine(math.pi * mu) * (o * cosh(e) + g * quotient_of_sinh(e) * d)
    e = exp(e)
    p = 0.5 * e / plus
    q = 0.5 / (e * minus)
    c = 1.0
    total = f
    other = p
    for k in range(1, 100):
        n = float(k)
        f = (n * f + p + q) / (n * n - mu * mu)
        c = c * 0.25 * x * x / n
        p = p / (n - mu)
        q = q / (n + mu)
        more = c * f
        total = total + more
        other = other + c * (p - n * f)
        if fabs(more) < 1e-17 * fabs(total):
            break
    scale = exp(x)
    return scale * total, scale * other * 2.0 / x


def steed_k(mu: float, x: float) -> tuple[float, float]:
    """Give the same for others."""
    b = 2.0 * (1.0 + x)
    d = 1.0 / b
    h = d
    delta = d
    q_before = 0.0
    q_now = 1.0
    first = 0.25 - mu * mu
    q = first
    c = first
    a = -first
    s = 1.0 + q * delta
    for k in range(2, 10000):
        a = a - 2.0 * float(k - 1)
        c = -a * c / float(k)
        after = (q_before - b * q_now) / a
        q_before = q_now
        q_now = after
        q = q + c * after
        b = b + 2.0
        d = 1.0 / (b + a * d)
        delta = (b * d - 1.0) * delta
        h = h + delta
        more = q * delta
        s = s + more
        if fabs(more) < 1e-17 * fabs(s):
            break
    value = sqrt(math.pi / (2.0 * x)) / s
    return value, value * (mu + x + 0.5 - first * h) / x


def modified_k(v: float, x: float, scale: float) -> float:
    """Give ``scale exp(x) K``."""
    if v != v or x != x:
        return v + x
    if x < 0.0:
        return math.nan
    if x == 0.0:
        return math.inf
    if x == math.inf:
        return 0.0
    return modified(fabs(v), x, True, scale)


def scaled_bessel_i(v: float, x: float) -> float:
    """Give ``exp(-abs(x))`` times the modified Bessel function of the first kind."""
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
    value = sign * modified(fabs(v), x, False, 1.0)
    if v < 0.0 and not is_whole:
        value = value - 2.0 / math.pi * sinpi(v) * modified(-v, x, True, 1.0) * exp(-2.0 * x)
    return value


def bessel_i(v: float, x: float) -> float:
    """Give the modified Bessel function of the first kind."""
    if fabs(x) == math.inf:
        whole = v == floor(v)
        if x > 0.0:
            return x
        return math.nan if not whole else (x if is_odd(v) else -x)
    half = exp(0.5 * fabs(x))
    return scaled_bessel_i(v, x) * half * half


def scaled_bessel_k(v: float, x: float) -> float:
    """Give ``exp(x)`` times the modified Bessel function of the second kind."""
    return modified_k(v, x, 1.0)


def bessel_k(v: float, x: float) -> float:
    """Give the modified Bessel function of the second kind."""
    if x > 700.0:
        half = exp(-0.5 * x)
        return modified_k(v, x, half) * half
    return modified_k(v, x, exp(-x))


def bessel_i0(x: float) -> float:
    """Give the modified Bessel function of the first kind, of order 0."""
    return bessel_i(0.0, x)


def bessel_i1(x: float) -> float:
    """Give the modified Bessel function of the first kind, of order 1."""
    return bessel_i(1.0, x)


def bessel_k0(x: float) -> float:
    """Give the modified Bessel function of the second kind, of order 0."""
    return bessel_k(0.0, x)


def bessel_k1(x: float) -> float:
    """Give the modified Bessel function of the second kind, of order 1."""
    return bessel_k(1.0, x)


def scaled_bessel_i0(x: float) -> float:
    """Give ``exp(-abs(x))`` times the function of order 0."""
    return scaled_bessel_i(0.0, x)


def scaled_bessel_i1(x: float) -> float:
    """Give ``exp(-abs(x))`` times the function of order 1."""
    return scaled_bessel_i(1.0, x)


def scaled_bessel_k0(x: float) -> float:
    """Give ``exp(x)`` times the function of order 0."""
    return scaled_bessel_k(0.0, x)


def scaled_bessel_k1(x: float) -> float:
    """Give ``exp(x)`` times the function of order 1."""
    return scaled_bessel_k(1.0, x)


def whole_bessel_k(n: int, x: float) -> float:
    """Give the modified Bessel function of the second kind of a whole order."""
    return bessel_k(float(n), x)


def spherical_bessel_i(n: int, x: float) -> float:
    """Give the modified spherical Bessel function of the first kind."""
    if n < 0 or x != x:
        return math.nan
    size = fabs(x)
    if size == 0.0:
        return 1.0 if n == 0 else 0.0
    if size == math.inf:
        value = math.inf
    elif n == 0:
        value = sinh(size) / size
    else:
        half = exp(0.5 * size)
        value = (
            sqrt(0.5 * math.pi / size) * modified(float(n) + 0.5, size, False, 1.0) * half * half
        )
    return -value if x < 0.0 and n % 2 == 1 else value


def spherical_bessel_k(n: int, x: float) -> float:
    """Give the modified spherical Bessel function of the second kind."""
    if n < 0 or x != x:
        return math.nan
    if x == 0.0:
        return math.inf
    if x == math.inf:
        return 0.0
    before = 0.5 * math.pi * exp(-x) / x
    now = before * (1.0 + 1.0 / x)
    if n == 0:
        return before
    for k in range(1, n):
        after = float(2 * k + 1) / x * now + before
        before = now
        now = after
    return now


STEPS = {
    "iv": bessel_i,
    "kv": bessel_k,
    "ive": scaled_bessel_i,
    "kve": scaled_bessel_k,
    "i0": bessel_i0,
    "i1": bessel_i1,
    "k0": bessel_k0,
    "k1": bessel_k1,
    "i0e": scaled_bessel_i0,
    "i1e": scaled_bessel_i1,
    "k0e": scaled_bessel_k0,
    "k1e": scaled_bessel_k1,
    "int_kn": whole_bessel_k,
    "int_spherical_in": spherical_bessel_i,
    "int_spherical_kn": spherical_bessel_k,
}
"""The function of each step."""
PARTS = (modified, modified_far, temme_k, steed_k, modified_k)
"""What they call besides each other."""
