"""Functions that kernels for CUDA call, in the part of Python that numba compiles for a GPU.

They are plain functions of numbers and of flat arrays with a place to begin at; matrices lie row
by row. What they compute is said by `symdiff.compilation.reference`.
"""

# ruff: noqa: PLR0124 - NaN is what differs from itself, which also simulated numbers do
from __future__ import annotations

import math
from typing import Any

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


def digamma(x: float) -> float:
    """Give the derivative of the logarithm of the gamma function; Abramowitz & Stegun 6.3."""
    total = 0.0
    if x <= 0.0:
        if x == 0.0:
            return math.copysign(math.inf, -x)
        if x == math.floor(x):
            return math.nan
        total = -math.pi / math.tan(math.pi * x)
        x = 1.0 - x
    while x < 12.0:
        total -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132)))))
    return total + math.log(x) - 0.5 / x - series


def hurwitz_zeta(s: float, q: float) -> float:
    """Sum ``(q + k)**-s`` over all k, by Euler and Maclaurin's formula."""
    if s <= 1.0:
        return math.inf if s == 1.0 else math.nan
    if q <= 0.0 and q == math.floor(q):
        return math.inf
    total = 0.0
    while q < 12.0 + s:  # where the formula holds, unless nothing is left to add before
        term = q**-s
        total += term
        if term <= 1e-18 * total:
            return total
        q += 1.0
    power = q**-s
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


def lu(out: Any, o: int, a: Any, p: int, n: int) -> int:
    """Factor the transpose with row pivoting; the last row holds the pivots, as numbers."""
    for i in range(n * n):
        out[o + i] = a[p + i]
    status = 0
    for k in range(n):
        best = k
        size = abs(out[o + k * n + k])
        for i in range(k + 1, n):  # column k of the transpose lies in row k
            other = abs(out[o + k * n + i])
            if other > size:
                best = i
                size = other
        out[o + n * n + k] = best
        if best != k:
            for j in range(n):
                t = out[o + j * n + k]
                out[o + j * n + k] = out[o + j * n + best]
                out[o + j * n + best] = t
        pivot = out[o + k * n + k]
        if pivot != 0:
            for i in range(k + 1, n):
                factor = out[o + k * n + i] / pivot
                out[o + k * n + i] = factor
                for j in range(k + 1, n):
                    out[o + j * n + i] = out[o + j * n + i] - factor * out[o + j * n + k]
    return status


def lu_solve(
    out: Any, o: int, f: Any, p: int, b: Any, q: int, n: int, m: int, transposed: bool
) -> int:
    """Solve for each of `m` rows; a zero pivot is a status of 4."""
    status = 0
    for k in range(n):
        if f[p + k * n + k] == 0:
            status = 4
    for i in range(m * n):
        out[o + i] = b[q + i]
    for r in range(m):
        if transposed:
            solve_lu(out, o + r * n, f, p, n)
        else:
            solve_transposed_lu(out, o + r * n, f, p, n)
    return status


def solve_lu(y: Any, o: int, f: Any, p: int, n: int) -> int:
    """Solve with ``P L U``, in place; column k of L and U lies in row k."""
    for k in range(n):
        s = int(f[p + n * n + k])
        t = y[o + k]
        y[o + k] = y[o + s]
        y[o + s] = t
    for k in range(n):
        for i in range(k + 1, n):
            y[o + i] = y[o + i] - f[p + k * n + i] * y[o + k]
    for d in range(n):
        k = n - 1 - d
        y[o + k] = y[o + k] / f[p + k * n + k]
        for i in range(k):
            y[o + i] = y[o + i] - f[p + k * n + i] * y[o + k]
    return 0


def solve_transposed_lu(y: Any, o: int, f: Any, p: int, n: int) -> int:
    """Solve with the transpose of ``P L U``, in place."""
    for k in range(n):
        for i in range(k):
            y[o + k] = y[o + k] - f[p + k * n + i] * y[o + i]
        y[o + k] = y[o + k] / f[p + k * n + k]
    for d in range(n):
        k = n - 1 - d
        for i in range(k + 1, n):
            y[o + k] = y[o + k] - f[p + k * n + i] * y[o + i]
    for d in range(n):
        k = n - 1 - d
        s = int(f[p + n * n + k])
        t = y[o + k]
        y[o + k] = y[o + s]
        y[o + s] = t
    return 0


def lu_sign(f: Any, p: int, n: int) -> int:
    """Give the sign of the permutation."""
    sign = 1
    for k in range(n):
        if f[p + n * n + k] != k:
            sign = -sign
    return sign


def cholesky(out: Any, o: int, a: Any, p: int, n: int) -> int:
    """Factor the lower triangle; what is not positive definite is a status of 8."""
    status = 0
    for i in range(n):
        for j in range(n):
            out[o + i * n + j] = a[p + i * n + j]
    for j in range(n):
        d = out[o + j * n + j]
        for k in range(j):
            d = d - out[o + j * n + k] * out[o + j * n + k]
        if d > 0:
            d = math.sqrt(d)
        else:
            status = 8
        out[o + j * n + j] = d
        for i in range(j + 1, n):
            t = out[o + i * n + j]
            for k in range(j):
                t = t - out[o + i * n + k] * out[o + j * n + k]
            out[o + i * n + j] = t / d
    return status


def solve_triangular(
    out: Any, o: int, a: Any, p: int, b: Any, q: int, n: int, m: int, upper: bool, transposed: bool
) -> int:
    """Solve with a triangle for each of `m` rows; a zero on the diagonal is a status of 4."""
    status = 0
    for k in range(n):
        if a[p + k * n + k] == 0:
            status = 4
    is_backward = upper != transposed
    for r in range(m):
        y = o + r * n
        for i in range(n):
            out[y + i] = b[q + r * n + i]
        for d in range(n):
            k = n - 1 - d if is_backward else d
            t = out[y + k]
            for c in range(d):
                i = n - 1 - c if is_backward else c
                t = t - (a[p + i * n + k] if transposed else a[p + k * n + i]) * out[y + i]
            out[y + k] = t / a[p + k * n + k]
    return status


def eigh(out: Any, o: int, a: Any, p: int, n: int, upper: bool, work: Any, w: int) -> int:
    """Give eigenvalues, then eigenvectors as rows, by Jacobi's rotations; 16 says that they fail.

    `work` has room for the matrix. Vectors have either sign.
    """
    for i in range(n):
        for j in range(n):
            is_given = (i <= j) if upper else (i >= j)
            work[w + i * n + j] = a[p + i * n + j] if is_given else a[p + j * n + i]
            out[o + n + i * n + j] = 1 if i == j else 0
    status = 16
    for _ in range(60):
        is_diagonal = True
        for i in range(n):
            for j in range(i + 1, n):
                if work[w + i * n + j] != 0:
                    is_diagonal = False
                    rotate(work, w, out, o + n, n, i, j)
        if is_diagonal:
            status = 0
            break
    for i in range(n):
        out[o + i] = work[w + i * n + i]
    sort_vectors(out, o, n)
    return status


def sort_vectors(out: Any, o: int, n: int) -> int:
    """Put `n` values in order, and the vectors behind them along."""
    for i in range(n):
        least = i
        for j in range(i + 1, n):
            if out[o + j] < out[o + least]:
                least = j
        if least != i:
            t = out[o + i]
            out[o + i] = out[o + least]
            out[o + least] = t
            for k in range(n):
                t = out[o + n + i * n + k]
                out[o + n + i * n + k] = out[o + n + least * n + k]
                out[o + n + least * n + k] = t
    return 0


def rotate(a: Any, w: int, v: Any, o: int, n: int, i: int, j: int) -> int:
    """Make an element of a symmetric matrix zero, and turn rows of vectors along."""
    x = a[w + i * n + j]
    size = abs(a[w + i * n + i]) + abs(a[w + j * n + j])
    if abs(x) + size == size:
        a[w + i * n + j] = 0  # lost in rounding
        a[w + j * n + i] = 0
        return 0
    half = (a[w + j * n + j] - a[w + i * n + i]) / (x + x)
    t = 1 / (abs(half) + math.sqrt(half * half + 1))
    t = -t if half < 0 else t
    c = 1 / math.sqrt(t * t + 1)
    s = t * c
    for k in range(n):
        p, q = a[w + i * n + k], a[w + j * n + k]
        a[w + i * n + k] = c * p - s * q
        a[w + j * n + k] = s * p + c * q
    for k in range(n):
        p, q = a[w + k * n + i], a[w + k * n + j]
        a[w + k * n + i] = c * p - s * q
        a[w + k * n + j] = s * p + c * q
    for k in range(n):
        p, q = v[o + i * n + k], v[o + j * n + k]
        v[o + i * n + k] = c * p - s * q
        v[o + j * n + k] = s * p + c * q
    a[w + i * n + j] = 0
    a[w + j * n + i] = 0
    return 0


FUNCTIONS = {
    f.__name__: f
    for f in (
        *(maximum, minimum, greater_number, lesser_number, integer_floor_divide),
        *(integer_remainder, integer_fmod, integer_power, gcd, lcm, bit_count),
        *(shifted_left, shifted_right, scaled, digamma, hurwitz_zeta, polygamma),
        *(solve_lu, solve_transposed_lu, rotate, sort_vectors),
    )
}
"""Functions of numbers, and parts of others."""
BLOCKS = {
    f.__name__: f
    for f in (
        *(argsort, searchsorted, cumsum, recurrence, lu, lu_solve, lu_sign, cholesky),
        *(solve_triangular, eigh),
    )
}
"""Blocks; those that give an array take it, and where it begins, first, and give a status."""
