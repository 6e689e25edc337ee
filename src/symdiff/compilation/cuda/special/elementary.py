"""Powers, angles in degrees, entropies and losses: formulas of elementary functions.

Each is written so that it does not cancel where the function is small, and has SciPy's values
where a formula has none.
"""

from __future__ import annotations

import math

from symdiff.compilation.cuda.mathematics import (
    cospi,
    exp,
    expm1,
    fabs,
    floor,
    fmod,
    log,
    log1p,
    pow,  # noqa: A004 - libdevice's name
    sin,
    sinpi,
    sqrt,
)

__all__ = ["PARTS", "STEPS"]


def logistic_quantile(x: float) -> float:
    """Give ``log(x / (1 - x))``; around the middle by logarithms of what is close to one."""
    if 0.3 <= x <= 0.65:
        s = 2.0 * (x - 0.5)
        return log1p(s) - log1p(-s)
    return log(x / (1.0 - x))


def entropy(x: float) -> float:
    """Give ``-x log(x)``."""
    if x > 0.0:
        return -x * log(x)
    if x == 0.0:
        return 0.0 * x
    return x if x != x else -math.inf


def relative_entropy(x: float, y: float) -> float:
    """Give ``x log(x / y)``."""
    if x != x or y != y:
        return x + y
    if x > 0.0 and y > 0.0:
        ratio = x / y
        if 0.5 < ratio < 2.0:
            return x * log1p((x - y) / y)
        if 2.2250738585072014e-308 < ratio < math.inf:
            return x * log(ratio)
        return x * (log(x) - log(y))
    return 0.0 if x == 0.0 and y >= 0.0 else math.inf


def kullback_leibler(x: float, y: float) -> float:
    """Give ``x log(x / y) - x + y``."""
    if x != x or y != y:
        return x + y
    if x > 0.0 and y > 0.0:
        return x * log(x / y) - x + y
    return y if x == 0.0 and y >= 0.0 else math.inf


def huber_loss(delta: float, r: float) -> float:
    """Give a square that goes on as a line."""
    if delta < 0.0:
        return math.inf
    if fabs(r) <= delta:
        return 0.5 * r * r
    return delta * (fabs(r) - 0.5 * delta)


def smooth_huber_loss(delta: float, r: float) -> float:
    """Give ``delta**2 (sqrt(1 + (r / delta)**2) - 1)``."""
    if delta < 0.0:
        return math.inf
    if delta == 0.0 or r == 0.0:
        return 0.0
    v = r / delta
    if fabs(v) < 1.0:
        return delta * delta * (v * v / (sqrt(1.0 + v * v) + 1.0))
    return delta * delta * (sqrt(1.0 + v * v) - 1.0)


def cosine_minus_one(x: float) -> float:
    """Give ``cos(x) - 1``."""
    s = sin(0.5 * x)
    return -2.0 * s * s


def of_degrees(x: float, shift: float) -> float:
    """Give the sine of an angle in degrees; SciPy gives 0 where it knows no digit."""
    if fabs(x) > 1e14:
        return 0.0
    r = fmod(fabs(x), 360.0)
    if shift == 0.0:
        value = sinpi(r / 180.0)
        return -value if x < 0.0 else value
    return cospi(r / 180.0)


def sine_of_degrees(x: float) -> float:
    """Give the sine of an angle in degrees."""
    return of_degrees(x, 0.0)


def cosine_of_degrees(x: float) -> float:
    """Give the cosine of an angle in degrees."""
    return of_degrees(x, 90.0)


def tangent_of_degrees(x: float) -> float:
    """Give the tangent of an angle in degrees."""
    if fabs(x) > 1e14:
        return 0.0
    r = fmod(fabs(x), 180.0) / 180.0
    value = math.inf if r == 0.5 else sinpi(r) / cospi(r)
    return -value if x < 0.0 else value


def cotangent_of_degrees(x: float) -> float:
    """Give the cotangent of an angle in degrees."""
    if fabs(x) > 1e14:
        return 0.0
    r = fmod(fabs(x), 180.0) / 180.0
    if r == 0.0:
        return math.inf
    value = cospi(r) / sinpi(r)
    return -value if x < 0.0 else value


def relative_exponential(x: float) -> float:
    """Give ``(exp(x) - 1) / x``."""
    if fabs(x) < 1e-16:
        return 1.0
    return math.inf if x > 717.0 else expm1(x) / x


def grown(power: float, logarithm: float) -> float:
    """Give ``(exp(power logarithm) - 1) / power``, which may be finite where its parts are not."""
    product = power * logarithm
    if product > 709.78:
        sign = 1.0 if power > 0.0 else -1.0
        return sign * exp(product - log(fabs(power))) - 1.0 / power
    return expm1(product) / power


def box_cox(x: float, power: float) -> float:
    """Give ``(x**power - 1) / power``, the logarithm for a power of zero."""
    return log(x) if fabs(power) < 1e-19 else grown(power, log(x))


def box_cox_of_one_more(x: float, power: float) -> float:
    """Give the same of ``1 + x``."""
    size = log1p(x)
    if fabs(power) < 1e-19 or (fabs(size) < 1e-289 and fabs(power) < 1e273):
        return size
    return grown(power, size)


def inverse_box_cox(y: float, power: float) -> float:
    """Give ``(1 + power y)**(1 / power)``."""
    if power == 0.0:
        return exp(y)
    product = power * y
    if product < math.inf:
        return exp(log1p(product) / power)
    sign = 1.0 if power > 0.0 else -1.0
    return exp((log(sign * (y + 1.0 / power)) + log(fabs(power))) / power)


def inverse_box_cox_less_one(y: float, power: float) -> float:
    """Give ``(1 + power y)**(1 / power) - 1``."""
    if power == 0.0:
        return expm1(y)
    product = power * y
    if fabs(product) < 1e-154:
        return y
    if product < math.inf:
        return expm1(log1p(product) / power)
    sign = 1.0 if power > 0.0 else -1.0
    return expm1((log(sign * (y + 1.0 / power)) + log(fabs(power))) / power)


def power_minus_one(x: float, y: float) -> float:
    """Give ``x**y - 1``."""
    if x > 0.0:
        product = y * log(x)
        if fabs(product) < 0.5:
            return expm1(product)
    elif x < 0.0 and fabs(y) == math.inf:
        return math.nan
    elif x < 0.0 and y == floor(y):
        is_odd = fmod(y, 2.0) != 0.0
        if not is_odd:
            return power_minus_one_of_size(-x, y)
    return pow(x, y) - 1.0


def power_minus_one_of_size(x: float, y: float) -> float:
    """Give ``x**y - 1`` for a positive base."""
    product = y * log(x)
    return expm1(product) if fabs(product) < 0.5 else pow(x, y) - 1.0


def omega_of_wright(x: float) -> float:
    """Solve ``w + log(w) = x``; Fritsch, Shafer and Crowley, Algorithm 443, in two steps."""
    if x < -50.0:
        return exp(x)
    if not x < 1e20:
        return x
    if x < -2.0:
        w = exp(x)
    elif x < 1.0:
        w = exp(2.0 * (x - 1.0) / 3.0)
    else:
        w = x - log(x) + log(x) / x
    for _ in range(3):
        r = x - w - log(w)
        p = 1.0 + w
        q = 2.0 * p * (p + 2.0 / 3.0 * r)
        w = w * (1.0 + (r / p) * (q - r) / (q - 2.0 * r))
    return w


STEPS = {
    "logit": logistic_quantile,
    "entr": entropy,
    "rel_entr": relative_entropy,
    "kl_div": kullback_leibler,
    "huber": huber_loss,
    "pseudo_huber": smooth_huber_loss,
    "cosm1": cosine_minus_one,
    "sindg": sine_of_degrees,
    "cosdg": cosine_of_degrees,
    "tandg": tangent_of_degrees,
    "cotdg": cotangent_of_degrees,
    "exprel": relative_exponential,
    "boxcox": box_cox,
    "boxcox1p": box_cox_of_one_more,
    "inv_boxcox": inverse_box_cox,
    "inv_boxcox1p": inverse_box_cox_less_one,
    "powm1": power_minus_one,
    "wrightomega": omega_of_wright,
}
"""The function of each step."""
PARTS = (of_degrees, grown, power_minus_one_of_size)
"""What they call besides each other."""
