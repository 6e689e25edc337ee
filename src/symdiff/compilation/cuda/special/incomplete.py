"""The incomplete gamma and beta functions, and their inverses.

References
----------
DLMF 8.7 and 8.9 (series and continued fraction), 8.12 (Temme's uniform expansion), 8.17; Loader,
Fast and Accurate Computation of Binomial Probabilities (2000), for factors that keep their digits.
"""

from __future__ import annotations

import math

import numpy as np

from symdiff.compilation.cuda.mathematics import (
    erfc,
    erfcinv,
    exp,
    expm1,
    fabs,
    lgamma,
    log,
    log1p,
    pow,  # noqa: A004 - libdevice's name
    sqrt,
    tgamma,
)
from symdiff.compilation.cuda.special.gamma import log_beta, stirling_rest, zeta_sum

__all__ = ["PARTS", "STEPS"]

ZETA_RESTS = np.array([float(zeta_sum(float(k), 2.0)) / k for k in range(2, 30)])
"""``(zeta(k) - 1) / k`` from 2 on."""


def log_gap(u: float) -> float:
    """Give ``u - log(1 + u)``."""
    if fabs(u) > 0.4:
        return u - log1p(u)
    r = u / (2.0 + u)  # log(1 + u) = 2 artanh(r)
    square = r * r
    total = 0.0
    power = 1.0
    for k in range(1, 40):
        power = power * square
        more = power / (2.0 * float(k) + 1.0)
        total = total + more
        if more < 1e-18:
            break
    return r * (u - 2.0 * total)


def gamma_factor(a: float, x: float) -> float:
    """Give ``x**a exp(-x) / gamma(a + 1)``."""
    if a < 10.0:
        half = exp(-0.5 * x)
        return pow(x, a) * half / tgamma(a + 1.0) * half
    gap = log_gap((x - a) / a) if x > 0.5 * a else x / a - 1.0 - log(x / a)
    return exp(-a * gap - stirling_rest(a)) / sqrt(2.0 * math.pi * a)


def lower_series(a: float, x: float) -> float:
    """Sum DLMF 8.7.1, without the factor."""
    term = 1.0
    total = 1.0
    n = a
    for _ in range(2000000):
        n = n + 1.0
        term = term * x / n
        total = total + term
        if term <= 1e-17 * total:
            break
    return total


def upper_fraction(a: float, x: float) -> float:
    """Evaluate DLMF 8.9.2, times `a`, without the factor."""
    b = x + 1.0 - a
    c = 1e300
    d = 1.0 / b
    h = d
    for k in range(1, 2000000):
        n = float(k)
        top = -n * (n - a)
        b = b + 2.0
        d = 1.0 / (top * d + b)
        c = b + top / c
        step = c * d
        h = h * step
        if fabs(step - 1.0) < 2e-16:
            break
    return h * a


def log_gamma_of_one_more(a: float) -> float:
    """Give ``log(gamma(1 + a))`` for `a` up to a half; DLMF 5.7.3."""
    total = 0.0
    power = -a
    for k in range(len(ZETA_RESTS)):
        power = -power * a
        total = total + power * ZETA_RESTS[k]
    return total + a * (1.0 - 0.5772156649015329) - log1p(a)


def small_upper(a: float, x: float) -> float:
    """Give the upper function for small arguments, where one less the lower one would cancel."""
    term = 1.0
    total = 0.0
    for k in range(1, 60):
        n = float(k)
        term = -term * x / n
        more = term / (a + n)
        total = total + more
        if fabs(more) <= 1e-17 * fabs(total):
            break
    size = a * log(x) - log_gamma_of_one_more(a)
    return -expm1(size) - exp(size) * a * total


def uniform(a: float, x: float, is_upper: bool) -> float:
    """Give either for a million and more, next to the median; DLMF 8.12.3 to 8.12.8."""
    u = (x - a) / a
    half = log_gap(u)
    eta = sqrt(2.0 * half)
    eta = -eta if u < 0.0 else eta
    s = 1.0 / 12.0 + eta * (-2.0 / 135.0 + eta * (1.0 / 864.0 + eta * (1.0 / 2835.0)))
    s = -1.0 / 3.0 + eta * s + (-1.0 / 540.0 - eta / 288.0) / a
    rest = exp(-a * half) * s / sqrt(2.0 * math.pi * a)
    z = eta * sqrt(0.5 * a)
    return 0.5 * erfc(z) + rest if is_upper else 0.5 * erfc(-z) - rest


def incomplete_gamma(a: float, x: float, is_upper: bool) -> float:
    """Give either of the regularized incomplete gamma functions."""
    if not (a >= 0.0 and x >= 0.0) or (a == x and a in (0.0, math.inf)):
        return math.nan
    low = 0.0 if is_upper else 1.0  # where all lies below x
    if a == 0.0 or x == math.inf:
        return low
    if x == 0.0 or a == math.inf:
        return 1.0 - low
    if a > 1e6 and fabs(x - a) < 0.05 * a:
        return uniform(a, x, is_upper)
    if a < 0.5 and x < 1.1:
        if is_upper:
            return small_upper(a, x)
        return gamma_factor(a, x) * lower_series(a, x)
    factor = gamma_factor(a, x)
    if x < a + 1.0:
        value = factor * lower_series(a, x) if factor > 0.0 else 0.0
        return 1.0 - value if is_upper else value
    value = factor * upper_fraction(a, x) if factor > 0.0 else 0.0
    return value if is_upper else 1.0 - value


def lower_gamma(a: float, x: float) -> float:
    """Give the regularized lower incomplete gamma function."""
    return incomplete_gamma(a, x, False)


def upper_gamma(a: float, x: float) -> float:
    """Give the regularized upper incomplete gamma function."""
    return incomplete_gamma(a, x, True)


def gamma_start(a: float, y: float, is_upper: bool) -> float:
    """Guess the inverse: Wilson and Hilferty's for `a` from 1 on, else the ends of the series."""
    size = lgamma(a + 1.0)
    low = 1.0 - y if is_upper else y
    if low < 0.3 or a < 0.5:
        x = exp((log(low) + size) / a)
        if x < 0.3 * (a + 1.0):
            return x * (1.0 + x / (a + 1.0))
        if a < 0.5:
            return 1.0 - log(y if is_upper else 1.0 - y) - size + log(a)
    z = math.sqrt(2.0) * erfcinv(2.0 * y)
    if not is_upper:
        z = -z
    t = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * sqrt(a))
    return 0.001 * a if t < 0.1 else a * t * t * t


def inverse_gamma(a: float, y: float, is_upper: bool) -> float:
    """Solve for `x` by Halley's steps, which a bracket keeps from leaving."""
    if not (a >= 0.0 and 0.0 <= y <= 1.0):
        return math.nan
    if y == 0.0:
        return math.inf if is_upper else 0.0
    if y == 1.0:
        return 0.0 if is_upper else math.inf
    if a in (0.0, math.inf):
        return math.nan
    low = 0.0
    high = math.inf
    x = gamma_start(a, y, is_upper)
    if x == 0.0:  # which is below what there are numbers for
        return x
    if not 0.0 < x < math.inf:
        x = a
    for _ in range(100):
        value = incomplete_gamma(a, x, is_upper)
        rest = y - value if is_upper else value - y
        if rest == 0.0:
            break
        if rest > 0.0:
            high = x
        else:
            low = x
        slope = gamma_factor(a, x) * a / x
        step = rest / slope if slope > 0.0 else math.inf
        bend = 0.5 * step * ((a - 1.0) / x - 1.0)
        if value > 0.0 and fabs(rest) > 0.5 * y:  # in the tail, whose logarithm is nearly a line
            step = (value / slope if slope > 0.0 else math.inf) * log(value / y)
            after = x + step if is_upper else x * exp(-step / x)
        elif fabs(bend) < 1.0:
            after = x - step / (1.0 - bend if bend < 0.5 else 0.5)
        else:
            after = x - step
        before = x
        x = after
        if not (low < x < high):
            x = before * 4.0 if high == math.inf else 0.5 * (low + high)
            if low == 0.0 and high < math.inf:
                x = high * 0.125
        if fabs(x - before) <= 4e-16 * x:
            break
    return x


def inverse_lower_gamma(a: float, y: float) -> float:
    """Give the inverse of the lower function."""
    return inverse_gamma(a, y, False)


def inverse_upper_gamma(a: float, y: float) -> float:
    """Give the inverse of the upper function."""
    return inverse_gamma(a, y, True)


def beta_factor(a: float, b: float, x: float, y: float) -> float:
    """Give ``x**a y**b / beta(a, b)`` for ``y = 1 - x``."""
    if a < 10.0 or b < 10.0:
        return exp(a * (log(x) if x < 0.5 else log1p(-y)) + b * log_of_rest(x, y) - log_beta(a, b))
    total = a + b
    gap = a - total * x if x < y else total * y - b
    u = -gap / a
    v = gap / b
    left = log_gap(u) if u > -0.5 else u - log(x * total / a)
    right = log_gap(v) if v > -0.5 else v - log(y * total / b)
    rest = stirling_rest(a) + stirling_rest(b) - stirling_rest(total)
    scale = sqrt(a / total * b / (2.0 * math.pi))
    return scale * exp(-(a * left + b * right) - rest)


def log_of_rest(x: float, y: float) -> float:
    """Give ``log(y)`` for ``y = 1 - x``."""
    return log(y) if y < 0.5 else log1p(-x)


def beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate DLMF 8.17.22."""
    total = a + b
    c = 1.0
    d = 1.0 - total * x / (a + 1.0)
    d = 1.0 / (d if d != 0.0 else 1e-300)
    h = d
    for k in range(1, 100000):
        m = float(k)
        n = a + 2.0 * m
        top = m * (b - m) * x / ((n - 1.0) * n)
        d = 1.0 + top * d
        c = 1.0 + top / c
        d = 1.0 / (d if d != 0.0 else 1e-300)
        c = c if c != 0.0 else 1e-300
        h = h * (c * d)
        top = -(a + m) * (total + m) * x / (n * (n + 1.0))
        d = 1.0 + top * d
        c = 1.0 + top / c
        d = 1.0 / (d if d != 0.0 else 1e-300)
        c = c if c != 0.0 else 1e-300
        step = c * d
        h = h * step
        if fabs(step - 1.0) < 2e-16:
            break
    return h


def incomplete_beta(a: float, b: float, x: float, is_upper: bool) -> float:
    """Give the regularized incomplete beta function, or one less it."""
    if not (a >= 0.0 and b >= 0.0 and 0.0 <= x <= 1.0):
        return math.nan
    if (a == 0.0 and b == 0.0) or (a == math.inf and b == math.inf):
        return math.nan
    low = 0.0 if is_upper else 1.0  # where all lies below x
    if a == 0.0 or b == math.inf:
        return low if x > 0.0 else 1.0 - low
    if b == 0.0 or a == math.inf:
        return 1.0 - low if x < 1.0 else low
    if x == 0.0:
        return 1.0 - low
    if x == 1.0:
        return low
    y = 1.0 - x
    factor = beta_factor(a, b, x, y)
    if x * (a + b + 2.0) < a + 1.0:
        value = factor * beta_fraction(a, b, x) / a
        return 1.0 - value if is_upper else value
    value = factor * beta_fraction(b, a, y) / b
    return value if is_upper else 1.0 - value


def lower_beta(a: float, b: float, x: float) -> float:
    """Give the regularized incomplete beta function."""
    return incomplete_beta(a, b, x, False)


def upper_beta(a: float, b: float, x: float) -> float:
    """Give one less it."""
    return incomplete_beta(a, b, x, True)


def beta_start(a: float, b: float, p: float) -> float:
    """Guess the inverse: Abramowitz and Stegun 26.5.22, or the ends of the series."""
    if a >= 1.0 and b >= 1.0:
        z = math.sqrt(2.0) * erfcinv(2.0 * p)
        k = (z * z - 3.0) / 6.0
        r = 1.0 / (2.0 * a - 1.0)
        s = 1.0 / (2.0 * b - 1.0)
        h = 2.0 / (r + s)
        w = z * sqrt(max(0.0, h + k)) / h - (s - r) * (k + 5.0 / 6.0 - 2.0 / 3.0 / h)
        return a / (a + b * exp(2.0 * w))
    total = a + b
    t = exp(a * log(a / total)) / a
    u = exp(b * log(b / total)) / b
    w = t + u
    if p < t / w:
        return pow(a * w * p, 1.0 / a)
    return 1.0 - pow(b * w * (1.0 - p), 1.0 / b)


def inverse_beta(a: float, b: float, p: float, is_upper: bool) -> float:
    """Solve for `x` by Halley's steps, which a bracket keeps from leaving."""
    if not (0.0 < a < math.inf and 0.0 < b < math.inf and 0.0 <= p <= 1.0):
        return math.nan
    if p == 0.0:
        return 1.0 if is_upper else 0.0
    if p == 1.0:
        return 0.0 if is_upper else 1.0
    low = 0.0
    high = 1.0
    x = beta_start(a, b, 1.0 - p if is_upper else p)
    if x < 1e-300:  # which is below what there are numbers for
        return 2.2250738585072014e-308
    if not 0.0 < x < 1.0:
        x = 0.5
    for _ in range(100):
        value = incomplete_beta(a, b, x, is_upper)
        rest = p - value if is_upper else value - p
        if rest == 0.0:
            break
        if rest > 0.0:
            high = x
        else:
            low = x
        y = 1.0 - x
        slope = beta_factor(a, b, x, y) / (x * y)
        step = rest / slope if slope > 0.0 else math.inf
        bend = 0.5 * step * ((a - 1.0) / x - (b - 1.0) / y)
        if value > 0.0 and fabs(rest) > 0.5 * p:  # in the tail, whose logarithm is nearly a line
            step = (value / slope if slope > 0.0 else math.inf) * log(value / p)
            after = 1.0 - y * exp(-step / y) if is_upper else x * exp(-step / x)
        elif fabs(bend) < 1.0:
            after = x - step / (1.0 - bend if bend < 0.5 else 0.5)
        else:
            after = x - step
        before = x
        x = after
        if not (low < x < high):
            x = 0.5 * (low + high)
            if low == 0.0 and high < 0.5:
                x = high * 0.125
        if fabs(x - before) <= 4e-16 * x:
            break
    return x


def inverse_lower_beta(a: float, b: float, p: float) -> float:
    """Give the inverse of the regularized incomplete beta function."""
    return inverse_beta(a, b, p, False)


def inverse_upper_beta(a: float, b: float, p: float) -> float:
    """Give the inverse of one less it."""
    return inverse_beta(a, b, p, True)


STEPS = {
    "gammainc": lower_gamma,
    "gammaincc": upper_gamma,
    "gammaincinv": inverse_lower_gamma,
    "gammainccinv": inverse_upper_gamma,
    "betainc": lower_beta,
    "betaincc": upper_beta,
    "betaincinv": inverse_lower_beta,
    "betainccinv": inverse_upper_beta,
}
"""The function of each step."""
PARTS = (
    *(log_gap, gamma_factor, lower_series, upper_fraction, log_gamma_of_one_more, small_upper),
    *(uniform, incomplete_gamma, gamma_start, inverse_gamma, beta_factor, log_of_rest),
    *(beta_fraction, incomplete_beta, beta_start, inverse_beta),
)
"""What they call besides each other."""
