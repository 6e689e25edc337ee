"""Functions that kernels for CUDA call, in the part of Python that numba compiles for a GPU.

They are plain functions of numbers and of flat arrays with a place to begin at; matrices lie row
by row. What they compute is said by `symdiff.compilation.reference`.
"""

# ruff: noqa: PLR0124 - NaN is what differs from itself, which also simulated numbers do
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdiff.compilation.cuda import factorizations, special

__all__ = ["BLOCKS", "FUNCTIONS", "select"]


def select(condition: Any, a: Any, b: Any) -> Any:
    """Choose one of two, both of which are computed; on a GPU it is one instruction."""
    return a if condition else b


def maximum(a: Any, b: Any) -> Any:
    """Give the greater of two, NaN if either is."""
    return a if a > b or a != a else b


def minimum(a: Any, b: Any) -> Any:
    """Give the smaller of two, NaN if either is."""
    return a if a < b or a != a else b


def greater_number(a: Any, b: Any) -> Any:
    """Give the greater of two, ignoring a NaN."""
    return a if a >= b or b != b else b


def lesser_number(a: Any, b: Any) -> Any:
    """Give the smaller of two, ignoring a NaN."""
    return a if a <= b or b != b else b


def integer_floor_divide(a: Any, b: Any) -> Any:
    """Divide, rounding down; by zero gives zero, and nothing overflows."""
    if b == 0:
        return a - a
    return a // b if b > 0 or b != b - b - 1 else -a


def integer_remainder(a: Any, b: Any) -> Any:
    """Give the remainder with the divisor's sign; of a division by zero it is zero."""
    if b == 0 or b == b - b - 1:
        return a - a
    return a % b


def integer_fmod(a: Any, b: Any) -> Any:
    """Give the remainder with the sign of what is divided."""
    if b == 0 or b == b - b - 1:
        return a - a
    rest = a % b
    return rest - b if rest != 0 and (a < 0) != (b < 0) else rest


def integer_power(base: Any, exponent: Any) -> Any:
    """Give a power modulo the width; of a negative exponent what is whole of it."""
    if exponent < 0:
        if base == 1 or (base == -1 and exponent % 2 == 0):
            return base * base
        return base if base == -1 else base - base
    product = base - base + 1
    while exponent > 0:
        if exponent % 2 == 1:
            product = product * base
        base = base * base
        exponent = exponent // 2
    return product


def gcd(a: Any, b: Any) -> Any:
    """Give the greatest common divisor."""
    while b != 0:
        rest = a % b
        a = b
        b = rest
    return a


def lcm(a: Any, b: Any) -> Any:
    """Give the least common multiple."""
    x = a
    y = b
    while y != 0:
        rest = x % y
        x = y
        y = rest
    return a // x * b if x != 0 else x


def bit_count(x: Any) -> int:
    """Count the bits that are set."""
    count = 0
    while x != 0:
        x = x & (x - x // x)
        count += 1
    return count


def shifted_left(a: Any, by: int, last: int) -> Any:
    """Move bits to the left; further than to the last, or by a negative number, none is left."""
    return a << by if 0 <= by <= last else a - a


def shifted_right(a: Any, by: int, last: int) -> Any:
    """Move bits to the right; further than the last, or by a negative number, the sign is left."""
    if 0 <= by <= last:
        return a >> by
    return a >> last if a < 0 else a - a


def scaled(x: float, n: int) -> float:
    """Give ``x * 2**n``."""
    n = min(n, 4096)
    n = max(n, -4096)
    while n > 1000:
        x = x * 2.0**1000
        n -= 1000
    while n < -1000:
        x = x * 2.0**-1000
        n += 1000
    return x * 2.0**n


def argsort(out: Any, o: int, x: Any, p: int, n: int) -> int:
    """Sort indices stably, NaN last, by insertion, which needs no memory of its own."""
    for i in range(n):
        v = x[p + i]
        j = i
        while j > 0:
            before = x[p + out[o + j - 1]]
            if not (before > v or (before != before and v == v)):
                break
            out[o + j] = out[o + j - 1]
            j -= 1
        out[o + j] = i
    return 0


def searchsorted(x: Any, p: int, v: Any, n: int, right: bool) -> int:
    """Find a place."""
    low = 0
    high = n
    while low < high:
        middle = (low + high) // 2
        m = x[p + middle]
        is_before = m <= v if right else m < v
        if v != v:
            is_before = m == m or right
        elif m != m:
            is_before = False
        if is_before:
            low = middle + 1
        else:
            high = middle
    return low


def cumsum(out: Any, o: int, x: Any, p: int, n: int, is_reversed: bool) -> int:
    """Add up."""
    if n > 0:
        first = n - 1 if is_reversed else 0
        total = x[p + first]
        out[o + first] = total
        for k in range(1, n):
            i = n - 1 - k if is_reversed else k
            total = total + x[p + i]
            out[o + i] = total
    return 0


def recurrence(out: Any, o: int, a: Any, p: int, b: Any, q: int, n: int, is_reversed: bool) -> int:
    """Do ``y[i] = a[i] * y[i-1] + b[i]``."""
    if n > 0:
        first = n - 1 if is_reversed else 0
        y = b[q + first]
        out[o + first] = y
        for k in range(1, n):
            i = n - 1 - k if is_reversed else k
            y = a[p + i] * y + b[q + i]
            out[o + i] = y
    return 0


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        f.__name__: f
        for f in (
            *(maximum, minimum, greater_number, lesser_number, integer_floor_divide),
            *(integer_remainder, integer_fmod, integer_power, gcd, lcm, bit_count),
            *(shifted_left, shifted_right, scaled),
        )
    },
    **{f.__name__: f for f in factorizations.PARTS},
    **special.FUNCTIONS,
}
"""Functions of numbers, and parts of others."""
BLOCKS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (argsort, searchsorted, cumsum, recurrence, *factorizations.WHOLE)
}
"""Blocks; those that give an array take it, and where it begins, first, and give a status."""
