"""Hypergeometric functions of real arguments.

References
----------
DLMF 13.2, 13.3, 13.4 and 13.7 (confluent ones), 15.2, 15.4 and 15.8 (Gauss's); Takahasi and Mori,
Publications of RIMS 9 (1974), for quadrature of a doubly exponential variable.
"""

from __future__ import annotations

import math

from symdiff.compilation.cuda.mathematics import (
    cosh,
    exp,
    fabs,
    floor,
    lgamma,
    log,
    log1p,
    pow,  # noqa: A004 - libdevice's name
    rint,
    sinh,
    sqrt,
    tgamma,
)
from symdiff.compilation.cuda.special.bessel import bessel_j
from symdiff.compilation.cuda.special.gamma import (
    digamma,
    gamma_sign,
    is_pole,
    reciprocal_gamma,
)

__all__ = ["PARTS", "STEPS"]

EULER = 0.5772156649015329


def limit_function(b: float, x: float) -> float:
    """Give ``0F1(b; x)``, far to the left by a Bessel function: DLMF 10.16.9."""
    if b != b or x != x:
        return b + x
    if is_pole(b) or fabs(x) == math.inf:
        return math.nan
    if x < -2.0 - (fabs(b) if b < 50.0 else 6.0 * b):
        root = sqrt(-x)
        size = bessel_j(b - 1.0, 2.0 * root)
        if b < 150.0:
            return tgamma(b) * pow(root, 1.0 - b) * size
        return exp(lgamma(b) + (1.0 - b) * log(root)) * size
    term = 1.0
    total = 1.0
    for k in range(100000):
        n = float(k)
        term = term * x / ((b + n) * (n + 1.0))
        total = total + term
        if not fabs(term) > 1e-17 * fabs(total):
            break
    return total


def confluent_series(a: float, b: float, x: float) -> tuple[float, float]:
    """Sum DLMF 13.2.2; give the largest term, too."""
    term = 1.0
    total = 1.0
    largest = 1.0
    for k in range(100000):
        n = float(k)
        term = term * (a + n) * x / ((b + n) * (n + 1.0))
        total = total + term
        largest = max(fabs(term), largest)
        if not fabs(term) > 1e-17 * fabs(total):
            break
    return total, largest


def confluent_right(a: float, b: float, x: float) -> float:
    """Give Kummer's function on the right, where its series may cancel for a negative `a`.

    There the recurrence of DLMF 13.3.1 leads down, as for Laguerre's polynomials. What an error at
    its start grows to is computed beside; NaN stands for what has fewer than nine digits.
    """
    now, largest = confluent_series(a, b, x)
    if fabs(now) > 1e-3 * largest:
        return now
    if a > -1.5 or b < 0.0 or a < -1e4:
        return now if largest < 1e6 or fabs(now) > 1e-7 * largest else math.nan
    steps = int(-floor(a))
    top = a + float(steps)
    above = 0.0
    for k in range(2):
        before, _ = confluent_series(top - float(k), b, x)
        if k == 0:
            above = before
        else:
            now = before
    error_above = fabs(above)
    error = fabs(now)
    for k in range(1, steps):
        c = top - float(k)
        before = (c * above - (2.0 * c - b + x) * now) / (b - c)
        error_before = (c * error_above - (2.0 * c - b + x) * error) / (b - c)
        above = now
        now = before
        error_above = error
        error = fabs(error_before) + fabs(now)
    size = fabs(now) + 0.01 * fabs(above)  # near a root the function is small, and not wrong
    return now if 1e-16 * error < 1e-9 * size else math.nan


def confluent_far(a: float, b: float, x: float) -> float:
    """Sum ``(b - a)_n (1 - a)_n / (n! x**n)`` of DLMF 13.7.2, until terms grow."""
    term = 1.0
    total = 1.0
    for k in range(200):
        n = float(k)
        after = term * (b - a + n) * (1.0 - a + n) / ((n + 1.0) * x)
        if fabs(after) > fabs(term) and n > fabs(a) + fabs(b):
            break
        term = after
        total = total + term
        if not fabs(term) > 1e-17 * fabs(total):
            break
    return total


def scaled_quotient(b: float, a: float, log_scale: float) -> float:
    """Give ``gamma(b) / gamma(a) exp(log_scale)``."""
    if is_pole(a):
        return 0.0
    if fabs(a) < 100.0 and fabs(b) < 100.0:
        half = exp(0.5 * log_scale)
        return tgamma(b) / tgamma(a) * half * half
    return gamma_sign(a) * gamma_sign(b) * exp(lgamma(b) - lgamma(a) + log_scale)


def confluent(a: float, b: float, x: float) -> float:
    """Give Kummer's function ``1F1(a; b; x)``; DLMF 13.2.39 turns what would cancel."""
    if not fabs(a) + fabs(b) + fabs(x) < math.inf:
        return math.nan
    if is_pole(b):
        return math.inf
    if a == 0.0 or x == 0.0:
        return 1.0
    if a == b:
        return exp(x)
    is_end = is_pole(a)
    reach = 30.0 + (fabs(a) + 1.0) * (fabs(b - a) + 1.0)
    if x > reach and not is_end:
        grown = scaled_quotient(b, a, x + (a - b) * log(x))
        return grown * confluent_far(a, b, x) if grown != 0.0 else 0.0
    if x < -reach and not is_end and not is_pole(b - a):
        return scaled_quotient(b, b - a, -a * log(-x)) * confluent_far(b - a, b, -x)
    if x < 0.0 and is_end:
        total, _ = confluent_series(a, b, x)
        return total
    half = 1.0
    if x < 0.0:
        half = exp(0.5 * x)
        a = b - a
    return half * confluent_right(a, b, fabs(x)) * half


def second_confluent_integral(a: float, b: float, x: float) -> float:
    """Integrate DLMF 13.4.4 for `a` from a half on, of ``t = exp(pi/2 sinh(u))``."""
    total = 0.0
    width = sqrt(fabs(a) + fabs(b - a - 1.0)) * (1.0 + fabs(log(x)) / 9.0)  # of the peak
    n = int(190.0 * (1.0 + 0.25 * width))
    step = 190.0 / 24.0 / float(n)
    shift = lgamma(a)
    for k in range(-n, n + 1):
        u = step * float(k)
        size = 0.5 * math.pi * sinh(u)
        t = exp(size)
        rest = log1p(t) if size < 700.0 else size
        power = a * size + (b - a - 1.0) * rest - x * t - shift
        if power > -745.0:
            total = total + exp(power) * cosh(u)
    return total * step * 0.5 * math.pi


def second_confluent_far(a: float, b: float, x: float) -> float:
    """Sum DLMF 13.7.3."""
    term = 1.0
    total = 1.0
    for k in range(100):
        n = float(k)
        after = -term * (a + n) * (a - b + 1.0 + n) / ((n + 1.0) * x)
        if fabs(after) > fabs(term):
            break
        term = after
        total = total + term
        if not fabs(term) > 1e-17 * fabs(total):
            break
    return total * pow(x, -a)


def second_confluent(a: float, b: float, x: float) -> float:
    """Give Tricomi's function; DLMF 13.3.7 leads down to negative `a`."""
    if fabs(a) + fabs(b) > 1e4 or not x >= 0.0:
        return math.nan
    if a == 0.0:
        return 1.0
    if x == 0.0:
        if b >= 1.0 and not is_pole(a):
            return math.inf
        if b > 1.0:  # a polynomial: (-1)^n (b)_n
            product = 1.0
            for k in range(int(-a)):
                product = -product * (b + float(k))
            return product
        return tgamma(1.0 - b) * reciprocal_gamma(a - b + 1.0)
    scale = 1.0
    if a < 0.0 < a - b + 1.0:
        scale = pow(x, 1.0 - b)
        a = a - b + 1.0
        b = 2.0 - b
    if x > 40.0 + fabs(a * (a - b + 1.0)) * 4.0:
        return scale * second_confluent_far(a, b, x)
    steps = 0
    if a < 0.5:
        steps = int(-a) if a == floor(a) else int(-floor(a - 0.5))
    top = a + float(steps)
    now = 1.0
    above = 0.0
    if top != 0.0:
        now = second_confluent_integral(top, b, x)
        if steps > 0:
            above = second_confluent_integral(top + 1.0, b, x)
    for k in range(steps):
        c = top - float(k)
        before = (x + 2.0 * c - b) * now - c * (c - b + 1.0) * above
        above = now
        now = before
    return scale * now


def gauss_series(a: float, b: float, c: float, x: float) -> float:
    """Sum DLMF 15.2.1."""
    term = 1.0
    total = 1.0
    for k in range(200000):
        n = float(k)
        term = term * (a + n) * (b + n) * x / ((c + n) * (n + 1.0))
        total = total + term
        if not fabs(term) > 1e-17 * fabs(total):
            break
    return total


def plain_reciprocal(x: float) -> float:
    """Give the reciprocal of the gamma function for what is not large."""
    return 0.0 if is_pole(x) else 1.0 / tgamma(x)


def gauss_at_one(a: float, b: float, c: float) -> float:
    """Give DLMF 15.4.20, where it converges."""
    if c - a - b <= 0.0:
        return math.inf
    if is_pole(c - a) or is_pole(c - b):
        return 0.0
    sign = gamma_sign(c) * gamma_sign(c - a) * gamma_sign(c - b)
    return sign * exp(lgamma(c) - lgamma(c - a) + (lgamma(c - a - b) - lgamma(c - b)))


def gauss_near_one(a: float, b: float, c: float, y: float) -> float:
    """Give DLMF 15.8.4 for ``y = 1 - x``."""
    s = c - a - b
    total = 0.0
    power = 1.0
    after = pow(y, s)
    for _ in range(2):  # the second term is the first of other numbers
        weight = tgamma(s) * plain_reciprocal(c - a) * plain_reciprocal(c - b) * power
        total = total + weight * gauss_series(a, b, 1.0 - s, y)
        a = c - a
        b = c - b
        s = -s
        power = after
    return tgamma(c) * total


def gauss_with_logarithm(a: float, b: float, c: float, y: float) -> float:
    """Give DLMF 15.8.10 for ``y = 1 - x`` where ``c - a - b`` is a whole number."""
    m = rint(c - a - b)
    scale = tgamma(c)
    if m < 0.0:  # DLMF 15.8.1 changes the sign
        scale = scale * pow(y, m)
        a = c - a
        b = c - b
        m = -m
    n = int(m)
    first = plain_reciprocal(a + m) * plain_reciprocal(b + m)
    factorial = 1.0
    for k in range(1, n):
        factorial = factorial * float(k)
    term = first * factorial
    total = 0.0
    rising = 1.0
    for k in range(n):
        j = float(k)
        total = total + term
        rising = rising * (a + j) * (b + j)
        term = term * (a + j) * (b + j) * y / ((j + 1.0) * (1.0 - m + j)) if k < n - 1 else 0.0
    factorial = factorial * m if n > 0 else 1.0
    term = first * rising * pow(-y, m) / factorial
    d = -EULER + digamma(1.0 + m) - digamma(a + m) - digamma(b + m) - log(y)
    for k in range(2000):
        j = float(k)
        more = term * d
        total = total + more
        if not fabs(more) > 1e-17 * fabs(total):
            break
        term = term * (a + m + j) * (b + m + j) * y / ((j + 1.0) * (j + 1.0 + m))
        d = d + 1.0 / (1.0 + j) + 1.0 / (1.0 + m + j) - 1.0 / (a + m + j) - 1.0 / (b + m + j)
    return scale * total


def gauss(a: float, b: float, c: float, x: float) -> float:
    """Give Gauss's hypergeometric function; DLMF 15.8.1 turns what is on the left."""
    if not fabs(a) + fabs(b) + fabs(c) + fabs(x) < math.inf:
        return math.nan
    if x == 0.0 or a == 0.0 or b == 0.0:
        return 1.0
    ends = 1.0  # the degree of a polynomial, less one
    if is_pole(a):
        ends = a
    if is_pole(b) and (ends > 0.0 or b > ends):
        ends = b
    if is_pole(c) and (ends > 0.0 or ends < c):
        return math.inf
    if c in (a, b):
        return pow(1.0 - x, -b if a == c else -a)
    is_end = ends <= 0.0 and (fabs(x) <= 1.0 or ends > -60.0)
    if x >= 1.0 and not is_end:
        return math.inf if x > 1.0 else gauss_at_one(a, b, c)
    factor = 1.0
    if not is_end:
        y = 1.0 - x
        if x < -0.5:
            if fabs(b) < fabs(a):
                t = a
                a = b
                b = t
            y = 1.0 / y
            factor = pow(y, a)
            b = c - b
            x = x / (x - 1.0)
        s = c - a - b
        is_whole = s == rint(s)
        is_near = not is_whole and fabs(s - rint(s)) < 1e-3
        if x > 0.8 and (is_pole(c - a) or is_pole(c - b)):  # DLMF 15.8.1: a polynomial
            factor = factor * pow(y, s)
            a = c - a
            b = c - b
        elif x > 0.8 and s <= 20.0 and not (is_near and x < 0.999):
            if is_whole:
                return factor * gauss_with_logarithm(a, b, c, y)
            return factor * gauss_near_one(a, b, c, y)
    return factor * gauss_series(a, b, c, x)


STEPS = {
    "hyp0f1": limit_function,
    "hyp1f1": confluent,
    "hyp2f1": gauss,
    "hyperu": second_confluent,
}
"""The function of each step."""
PARTS = (
    *(confluent_series, confluent_right, confluent_far, scaled_quotient, second_confluent_integral),
    *(second_confluent_far, gauss_series, gauss_at_one, gauss_near_one),
    *(gauss_with_logarithm, plain_reciprocal),
)
"""What they call besides each other."""
