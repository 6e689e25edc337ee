"""Factorizations of matrices, and solutions with them, by one thread.

Matrices lie row by row in flat arrays, each with a place to begin at. What is computed is said by
`symdiff.compilation.reference`.

References
----------
Golub and Van Loan, Matrix Computations, 4th edition: 3.4 (LU), 4.2 (Cholesky), 5.1 and 5.2
(Householder), 8.5 and 8.6 (Jacobi, of one side and of both).
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["PARTS", "WHOLE"]


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
    one = x / x  # of the dtype, so that nothing becomes a double
    half = (a[w + j * n + j] - a[w + i * n + i]) / (x + x)
    t = one / (abs(half) + math.sqrt(half * half + one))
    t = -t if half < 0 else t
    c = one / math.sqrt(t * t + one)
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


def column_size(a: Any, p: int, n: int, stride: int, zero: Any) -> Any:
    """Give the norm of a vector, whose squares may not be there."""
    scale = largest(a, p, n, stride, zero)
    if scale == zero:
        return zero
    total = zero
    for i in range(n):
        part = a[p + i * stride] / scale
        total = total + part * part
    return scale * math.sqrt(total)


def largest(a: Any, p: int, n: int, stride: int, zero: Any) -> Any:
    """Give the size of the largest element, NaN if there is one."""
    found = zero
    for i in range(n):
        size = abs(a[p + i * stride])
        if not size <= found:
            found = size
    return found


def qr(out: Any, o: int, a: Any, p: int, n: int, m: int, wide: bool, one: Any) -> int:
    """Give q and r by columns, of a matrix by columns, with LAPACK's signs.

    Vectors of Householder's reflections, with a leading one, lie where r has zeros until q is made.
    """
    k = m if wide else n
    r = o + k * m
    zero = one - one
    for i in range(n * m):
        out[r + i] = a[p + i]
    for j in range(k):
        d = r + j * m + j
        below = column_size(out, d + 1, m - j - 1, 1, zero)
        if below != zero:
            first = out[d]
            high = max(below, abs(first))
            size = high * math.sqrt(first / high * (first / high) + below / high * (below / high))
            new = size if first < zero else -size
            for i in range(1, m - j):
                out[d + i] = out[d + i] / (first - new)
            for c in range(j + 1, n):
                reflect(out, r + c * m + j, d, m - j, one)
            out[d] = new
    for c in range(k):
        q = o + c * m
        for i in range(m):
            out[q + i] = one if i == c else zero
        for back in range(c + 1):
            j = c - back
            reflect(out, q + j, r + j * m + j, m - j, one)
    for j in range(k):
        for i in range(j + 1, m):
            out[r + j * m + i] = zero
    return 0


def reflect(out: Any, x: int, v: int, n: int, one: Any) -> int:
    """Reflect a vector by another, whose first element stands for a one."""
    zero = one - one
    square = zero
    total = out[x]
    for i in range(1, n):
        square = square + out[v + i] * out[v + i]
        total = total + out[v + i] * out[x + i]
    if square == zero:
        return 0
    total = (total + total) / (one + square)
    out[x] = out[x] - total
    for i in range(1, n):
        out[x + i] = out[x + i] - total * out[v + i]
    return 0


def svd(out: Any, o: int, a: Any, p: int, m: int, n: int, wide: bool, one: Any, least: Any) -> int:
    """Give singular values, left vectors and right vectors, by Jacobi's rotations of one side.

    The columns of a tall matrix, or the rows of a wide one, are turned until they are orthogonal,
    to `least`. 16 says that they do not become so. Vectors have either sign.
    """
    k = m if wide else n
    left = o + k
    right = left + m * k
    # what is turned, and what turns along: where, from vector to vector, and within one
    w, wj, wi, length = (right, n, 1, n) if wide else (left, 1, k, m)
    v, vj, vi = (left, 1, k) if wide else (right, n, 1)
    zero = one - one
    scale = largest(a, p, m * n, 1, zero)
    scale = scale if scale > zero else one
    for i in range(m * n):
        out[w + i] = a[p + i] / scale
    for j in range(k):
        for i in range(k):
            out[v + j * vj + i * vi] = one if i == j else zero
    status = made_orthogonal(out, w, wj, wi, length, v, vj, vi, k, one, least)
    for j in range(k):
        size = column_size(out, w + j * wj, length, wi, zero)
        out[o + j] = size * scale
        if size - size != zero:
            status = 16
        if size > zero:
            for i in range(length):
                out[w + j * wj + i * wi] = out[w + j * wj + i * wi] / size
    sort_pairs(out, o, k, w, wj, wi, length, v, vj, vi)
    for j in range(k):
        if out[o + j] == zero:
            complete(out, w, wj, wi, length, j, one)
    return status


def made_orthogonal(
    out: Any,
    w: int,
    wj: int,
    wi: int,
    length: int,
    v: int,
    vj: int,
    vi: int,
    k: int,
    one: Any,
    least: Any,
) -> int:
    """Turn `k` vectors in pairs until all are orthogonal."""
    for _ in range(60):
        is_done = True
        for i in range(k):
            for j in range(i + 1, k):
                x, y = w + i * wj, w + j * wj
                if turn(out, x, y, wi, length, v + i * vj, v + j * vj, vi, k, one, least):
                    is_done = False
        if is_done:
            return 0
    return 16


def turn(
    out: Any,
    x: int,
    y: int,
    stride: int,
    n: int,
    u: int,
    v: int,
    other: int,
    k: int,
    one: Any,
    least: Any,
) -> bool:
    """Make two vectors orthogonal, and turn two others along; tell whether they were not."""
    zero = one - one
    a = zero
    b = zero
    c = zero
    for i in range(n):
        p = out[x + i * stride]
        q = out[y + i * stride]
        a = a + p * p
        b = b + q * q
        c = c + p * q
    if not abs(c) > least * math.sqrt(a) * math.sqrt(b):
        return False
    half = (b - a) / (c + c)
    t = one / (abs(half) + math.sqrt(one + half * half))
    t = -t if half < zero else t
    cosine = one / math.sqrt(one + t * t)
    sine = cosine * t
    for i in range(n):
        p = out[x + i * stride]
        q = out[y + i * stride]
        out[x + i * stride] = cosine * p - sine * q
        out[y + i * stride] = sine * p + cosine * q
    for i in range(k):
        p = out[u + i * other]
        q = out[v + i * other]
        out[u + i * other] = cosine * p - sine * q
        out[v + i * other] = sine * p + cosine * q
    return True


def sort_pairs(
    out: Any, o: int, k: int, w: int, wj: int, wi: int, length: int, v: int, vj: int, vi: int
) -> int:
    """Put `k` values in falling order, and two vectors of each along."""
    for i in range(k):
        best = i
        for j in range(i + 1, k):
            if out[o + j] > out[o + best]:
                best = j
        if best != i:
            exchange(out, o + i, o + best, 1, 1)
            exchange(out, w + i * wj, w + best * wj, wi, length)
            exchange(out, v + i * vj, v + best * vj, vi, k)
    return 0


def exchange(out: Any, x: int, y: int, stride: int, n: int) -> int:
    """Exchange two vectors."""
    for i in range(n):
        t = out[x + i * stride]
        out[x + i * stride] = out[y + i * stride]
        out[y + i * stride] = t
    return 0


def complete(out: Any, w: int, wj: int, wi: int, length: int, j: int, one: Any) -> int:
    """Make vector `j` a unit vector that is orthogonal to those before it.

    It is made of the axis that is furthest from their span.
    """
    zero = one - one
    best = 0
    furthest = zero
    for axis in range(length):
        rest = one
        for c in range(j):
            part = out[w + c * wj + axis * wi]
            rest = rest - part * part
        if rest > furthest:
            best = axis
            furthest = rest
    for i in range(length):
        out[w + j * wj + i * wi] = one if i == best else zero
    for _ in range(2):  # twice is enough: Golub and Van Loan, 5.2.9
        for c in range(j):
            total = zero
            for i in range(length):
                total = total + out[w + c * wj + i * wi] * out[w + j * wj + i * wi]
            for i in range(length):
                here = w + j * wj + i * wi
                out[here] = out[here] - total * out[w + c * wj + i * wi]
    size = column_size(out, w + j * wj, length, wi, zero)
    for i in range(length):
        out[w + j * wj + i * wi] = out[w + j * wj + i * wi] / size
    return 0


WHOLE = (lu, lu_solve, lu_sign, cholesky, solve_triangular, eigh, qr, svd)
"""The blocks; those that give an array take it, and where it begins, first, and give a status."""
PARTS = (
    *(
        solve_lu,
        solve_transposed_lu,
        rotate,
        sort_vectors,
        column_size,
        largest,
        reflect,
        made_orthogonal,
        turn,
    ),
    *(sort_pairs, exchange, complete),
)
"""What they call."""
