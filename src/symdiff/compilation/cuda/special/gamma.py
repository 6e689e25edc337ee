"""The gamma and beta functions and their quotients.

References
----------
DLMF 5.11.1 (Stirling's series); DiDonato and Morris, Algorithm 708, ACM Transactions on
Mathematical Software 18 (1992), whose quotients of large arguments do not cancel.
"""

from __future__ import annotations

import math

from symdiff.compilation.cuda.mathematics import (
    copysign,
    exp,
    fabs,
    floor,
    fmod,
    lgamma,
    log,
    log1p,
    pow,  # noqa: A004 - libdevice's name
    sinpi,
    sqrt,
    tan,
    tgamma,
)

__all__ = ["PARTS", "STEPS"]


def stirling_rest(x: float) -> float:
    """Give what Stirling's formula lacks of ``log(gamma(x))``, for 10 and more."""
    r = 1.0 / (x * x)
    s = 1.0 / 1188.0 - r * (691.0 / 360360.0 - r * (1.0 / 156.0 - r * (3617.0 / 122400.0)))
    s = 1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r * s)))
    return s / x


def gamma_sign(x: float) -> float:
    """Give the sign of the gamma function."""
    return -1.0 if x < 0.0 and fmod(floor(x), 2.0) != 0.0 else 1.0


def is_pole(x: float) -> bool:
    """Whether the gamma function has a pole."""
    return x <= 0.0 and x == floor(x)


def reciprocal_gamma(x: float) -> float:
    """Give the reciprocal of the gamma function."""
    if fabs(x) < 1e-300:
        return x
    if is_pole(x) or x == math.inf:
        return 0.0
    if x > 160.0:
        scale = sqrt(x / (2.0 * math.pi)) * exp(-stirling_rest(x))
        half = pow(math.e / x, 0.5 * x)
        return scale * half * half
    if x < -160.0:
        return sinpi(x) * tgamma(1.0 - x) / math.pi
    return 1.0 / tgamma(x)


def real_loggamma(x: float) -> float:
    """Give the logarithm of the gamma function where that is positive."""
    return math.nan if x < 0.0 else lgamma(x)


def log_quotient(b: float, a: float) -> float:
    """Give ``log(gamma(b) / gamma(a + b))`` for `b` of 10 and more, and `a` from 0."""
    c = b + a
    rest = stirling_rest(b) - stirling_rest(c)
    return rest - (c - 0.5) * log1p(a / b) - a * (log(b) - 1.0)


def log_beta(a: float, b: float) -> float:
    """Give the logarithm of the beta function's size."""
    low = min(b, a)
    high = max(a, b)
    if not low > 0.0:
        return log_beta_of_negative(low, high)
    if high < 10.0:
        return lgamma(low) + lgamma(high) - lgamma(low + high)
    if high == math.inf:
        return -math.inf
    if low < 10.0:
        return lgamma(low) + log_quotient(high, low)
    h = low / high
    rest = stirling_rest(low) + stirling_rest(high) - stirling_rest(low + high)
    logs = (low - 0.5) * log(h / (1.0 + h)) - high * log1p(h)
    return 0.5 * (log(2.0 * math.pi) - log(high)) + rest + logs


def log_beta_of_negative(low: float, high: float) -> float:
    """Give the same where the smaller argument is not positive."""
    if low != low or high != high:
        return low + high
    if is_pole(low):
        if high == floor(high) and low + high < 1.0:
            low = 1.0 - low - high  # DLMF 5.5.3 in both gamma functions
            return lgamma(low) + lgamma(high) - lgamma(low + high)
        return math.inf
    if is_pole(low + high):
        return -math.inf
    if low + high >= 10.0:
        return lgamma(low) - log_quotient(low + high, -low)
    return lgamma(low) + lgamma(high) - lgamma(low + high)


def beta_function(a: float, b: float) -> float:
    """Give ``gamma(a) gamma(b) / gamma(a + b)``."""
    low = min(b, a)
    high = max(a, b)
    if is_pole(high):
        t = low
        low = high
        high = t
    sign = 1.0
    if is_pole(low):
        if is_pole(high):
            return math.inf if fmod(high, 2.0) == 0.0 else -math.inf
        if high != floor(high) or low + high >= 1.0:
            return math.inf
        sign = 1.0 if fmod(high, 2.0) == 0.0 else -1.0
        low = 1.0 - low - high  # DLMF 5.5.3 in both gamma functions
    elif is_pole(low + high):
        return 0.0
    if fabs(low) < 150.0 and high < 150.0 and fabs(low + high) < 150.0:
        total = tgamma(low + high)
        x = tgamma(low)
        y = tgamma(high)
        return sign * ((x / total) * y if fabs(x) > fabs(y) else (y / total) * x)
    sign = sign * gamma_sign(low) * gamma_sign(low + high) * gamma_sign(high)
    return sign * exp(log_beta(low, high))


def binomial(n: float, k: float) -> float:
    """Give the number of ways to choose `k` of `n`, for any numbers."""
    if n < 0.0 and n == floor(n):
        return math.nan
    if k == -math.inf:
        return 0.0
    whole = floor(k)
    if k == whole and (fabs(n) > 1e-8 or n == 0.0):
        if n == floor(n) and whole > 0.5 * n and n > 0.0:
            whole = n - whole
        if 0.0 <= whole < 20.0:
            return chosen(n, int(whole))
    if n >= 1e10 * k and k > 0.0:
        return exp(-log_beta(1.0 + n - k, 1.0 + k) - log(n + 1.0))
    if k > 1e8 * fabs(n):
        size = tgamma(1.0 + n) / fabs(k) + tgamma(1.0 + n) * n / (2.0 * k * k)
        size = size / (math.pi * pow(fabs(k), n))
        rest = k - floor(k)
        if whole == floor(whole) and fabs(k) < 9e15:
            sign = 1.0 if fmod(floor(k), 2.0) == 0.0 else -1.0
            return size * sinpi(rest - n) * sign
        return size * sinpi(k - n)
    return 1.0 / (n + 1.0) / beta_function(1.0 + n - k, 1.0 + k)


def chosen(n: float, k: int) -> float:
    """Multiply the binomial coefficient for a small `k`."""
    top = 1.0
    bottom = 1.0
    for i in range(1, k + 1):
        top = top * (n + float(i) - float(k))
        bottom = bottom * float(i)
        if fabs(top) > 1e50:
            top = top / bottom
            bottom = 1.0
    return top / bottom


def rising_power(z: float, m: float) -> float:
    """Give ``gamma(z + m) / gamma(z)``."""
    if z != z or m != m:
        return z + m
    if z == math.inf:
        return 1.0 if m == 0.0 else (math.inf if m > 0.0 else 0.0)
    if m == floor(m) and fabs(m) <= 60.0:
        return whole_rising_power(z, int(m))
    total = z + m
    sign = 1.0
    if is_pole(total):
        if not is_pole(z):
            return math.inf
        sign = 1.0 if fmod(m, 2.0) == 0.0 else -1.0
        z = 1.0 - total
        total = z + m
    if is_pole(z):
        return 0.0
    if fabs(z) < 150.0 and fabs(total) < 150.0:
        return sign * (tgamma(total) / tgamma(z))
    sign = sign * gamma_sign(z) * gamma_sign(total)
    if z >= 10.0 and m >= 0.0:
        return sign * exp(-log_quotient(z, m))
    if total >= 10.0 and m < 0.0:
        return sign * exp(log_quotient(total, -m))
    return sign * exp(lgamma(total) - lgamma(z))


def whole_rising_power(z: float, m: int) -> float:
    """Multiply ``z (z + 1) ...``, or divide by what is before."""
    product = z - z + 1.0
    for k in range(m):
        product = product * (z + float(k))
    for k in range(1, 1 - m):
        product = product / (z - float(k))
    return product


def digamma(x: float) -> float:
    """Give the derivative of the logarithm of the gamma function; Abramowitz & Stegun 6.3."""
    total = 0.0
    if x <= 0.0:
        if x == 0.0:
            return copysign(math.inf, -x)
        if x == floor(x):
            return math.nan
        total = -math.pi / tan(math.pi * x)
        x = 1.0 - x
    while x < 12.0:
        total -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132)))))
    return total + log(x) - 0.5 / x - series


def hurwitz_zeta(s: float, q: float) -> float:
    """Sum ``(q + k)**-s`` over all k, by Euler and Maclaurin's formula."""
    if s <= 1.0:
        return math.inf if s == 1.0 else math.nan
    if q <= 0.0 and q == floor(q):
        return math.inf
    total = 0.0
    while q < 12.0 + s:  # where the formula holds, unless nothing is left to add before
        term = pow(q, -s)
        total += term
        if term <= 1e-18 * total:
            return total
        q += 1.0
    power = pow(q, -s)
    total += power * (q / (s - 1.0) + 0.5)
    # Bernoulli numbers over factorials: B2 / 2!, B4 / 4!, ...
    factor = power * s / q
    total += factor / 12.0
    factor *= (s + 1.0) * (s + 2.0) / (q * q)
    total -= factor / 720.0
    factor *= (s + 3.0) * (s + 4.0) / (q * q)
    total += factor / 30240.0
    factor *= (s + 5.0) * (s + 6.0) / (q * q)
    total -= factor / 1209600.0
    factor *= (s + 7.0) * (s + 8.0) / (q * q)
    total += factor / 47900160.0
    factor *= (s + 9.0) * (s + 10.0) / (q * q)
    return total - factor * 691.0 / 1307674368000.0


def polygamma(n: float, x: float) -> float:
    """``(-1)^(n+1) n! zeta(n+1, x)``; Abramowitz & Stegun 6.4.10."""
    factorial = 1.0
    k = 2.0
    while k <= n:
        factorial *= k
        k += 1.0
    size = factorial * hurwitz_zeta(n + 1.0, x)
    return size if n % 2.0 == 1.0 else -size


def zeta_sum(s: float, first: float) -> float:
    """Sum ``k**-s`` from `first` on, by Euler and Maclaurin's formula, for any `s` from 0 but 1."""
    total = 0.0
    q = first
    while q < 14.0:
        term = pow(q, -s)
        total = total + term
        if term < 1e-18 * total:
            return total
        q = q + 1.0
    power = pow(q, -s)
    total = total + power * (q / (s - 1.0) + 0.5)
    r = 1.0 / (q * q)
    factor = power * s / q
    total = total + factor / 12.0
    factor = factor * (s + 1.0) * (s + 2.0) * r
    total = total - factor / 720.0
    factor = factor * (s + 3.0) * (s + 4.0) * r
    total = total + factor / 30240.0
    factor = factor * (s + 5.0) * (s + 6.0) * r
    total = total - factor / 1209600.0
    factor = factor * (s + 7.0) * (s + 8.0) * r
    total = total + factor / 47900160.0
    factor = factor * (s + 9.0) * (s + 10.0) * r
    total = total - factor * 691.0 / 1307674368000.0
    factor = factor * (s + 11.0) * (s + 12.0) * r
    return total + factor / 74724249600.0


def zeta_of_riemann(s: float) -> float:
    """Give the zeta function; of negative numbers by DLMF 25.4.1."""
    if s == 1.0:
        return math.inf
    if s >= 0.0:
        return 1.0 if s > 60.0 else zeta_sum(s, 1.0)
    if s != s or s == -math.inf:
        return math.nan
    if s > -0.01:
        return zeta_sum(s, 1.0)
    z = 1.0 - s
    wave = fmod(s, 4.0)
    if wave in (-2.0, 0.0):
        return 0.0
    factor = 2.0 * sinpi(0.5 * wave) * zeta_sum(z, 1.0) if z < 60.0 else 2.0 * sinpi(0.5 * wave)
    if z < 100.0:
        return factor * tgamma(z) * pow(2.0 * math.pi, -z)
    half = pow(z / (2.0 * math.pi * math.e), 0.5 * z)
    return factor * sqrt(2.0 * math.pi / z) * exp(stirling_rest(z)) * half * half


def zeta_less_one(s: float) -> float:
    """Give the zeta function of Riemann less one."""
    if s == 1.0:
        return math.inf
    if s == math.inf:
        return 0.0
    if s > 1.0:
        return zeta_sum(s, 2.0)
    return zeta_of_riemann(s) - 1.0


STEPS = {
    "digamma": digamma,
    "polygamma": polygamma,
    "zeta": hurwitz_zeta,
    "rgamma": reciprocal_gamma,
    "loggamma": real_loggamma,
    "beta": beta_function,
    "betaln": log_beta,
    "binom": binomial,
    "poch": rising_power,
    "riemann_zeta": zeta_of_riemann,
    "zetac": zeta_less_one,
}
"""The function of each step."""
PARTS = (
    *(stirling_rest, gamma_sign, is_pole, log_quotient, log_beta_of_negative, chosen),
    *(whole_rising_power, zeta_sum),
)
"""What they call besides each other."""
