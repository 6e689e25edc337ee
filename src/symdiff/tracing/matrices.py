"""Blocks of linear algebra with their rules; `linear_algebra` makes NumPy's functions of them.

Right-hand sides and solutions are rows here, since a kernel hands LAPACK rows as columns. Each
rule is the textbook's: Giles, *An extended collection of matrix derivative results for forward and
reverse mode algorithmic differentiation*, Oxford 2008; Golub and Pereyra, SIAM J. Numer. Anal. 10,
1973, for the pseudoinverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.affine import index
from symdiff.program.blocks import Block
from symdiff.program.equations import IndexValue
from symdiff.program.patterns import Pattern, pattern, placeholder
from symdiff.program.sizes import Extent
from symdiff.tracing.construction import concatenate
from symdiff.tracing.context import active_context
from symdiff.tracing.indexing import getitem
from symdiff.tracing.pointwise import stop_gradient, where
from symdiff.tracing.products import matmul
from symdiff.tracing.reductions import reduce_prod, reduce_sum
from symdiff.tracing.rules import TracedRule, apply_block, named_block
from symdiff.tracing.shapes import diagonal, reshape, swapaxes
from symdiff.tracing.traced_size import as_size
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = [
    "cholesky_factor",
    "determinant",
    "eigen",
    "eigenvalues",
    "identity_matrix",
    "log_determinant",
    "pseudoinverse",
    "qr_factors",
    "sign_of_determinant",
    "singular_values",
    "singular_vectors",
    "solve_rows",
    "solve_triangular_rows",
    "triangle",
]

p0, p1, p2 = (placeholder(i) for i in range(3))
_EQUAL = pattern(fn.Select(sp.Eq(p0, p1), 1, 0), 2)
_LOWER = pattern(fn.Select(sp.Ge(p1, p2), p0, 0), 3)


def _transposed(x: Any) -> TracedArray:
    return swapaxes(x, -1, -2)


def _masked(x: TracedArray, body: Pattern, first: Extent, second: Extent) -> TracedArray:
    """Choose elements by the numbers of their row and column."""
    context = x.context
    rank = x.ndim
    row = IndexValue(index(rank - 2).shifted(first))
    column = IndexValue(index(rank - 1).shifted(second))
    name = context.emit(body, [context.read(x, x.shape_), row, column], x.shape_, x.dtype_)
    return TracedArray(context, name, x.shape_, x.dtype_, owns=True)


def triangle(x: Any, k: int = 0, *, upper: bool = False) -> TracedArray:
    """Keep what is on and below the k-th diagonal, or on and above it."""
    matrix = as_traced(x)
    if upper:
        return _transposed(triangle(_transposed(matrix), -k))
    return _masked(matrix, _LOWER, k, 0)


def identity_matrix(
    n: Extent, dtype: str, columns: Extent | None = None, k: int = 0
) -> TracedArray:
    """Make a matrix of ones on the k-th diagonal."""
    context = active_context()
    assert context is not None
    shape = (n, n if columns is None else columns)
    row, column = IndexValue(index(0).shifted(k)), IndexValue(index(1))
    name = context.emit(_EQUAL, [row, column], shape, dtype)
    return TracedArray(context, name, shape, dtype, owns=True)


# solving


def _solve_value(block: Block, a: Any, b: Any) -> Any:
    return apply_block(named_block("lu_solve", *block.attributes), [_lu(a), b])


def _lu(a: Any) -> TracedArray:
    return apply_block(named_block("lu"), [a])


def _solve_tangent(block: Block, x: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Any:
    a, _ = operands
    da, db = tangents
    right = db
    if da is not None:
        moved = -matmul(x, da if "transposed" in block.attributes else _transposed(da))
        right = moved if right is None else right + moved
    return apply_block(block, [a, right], tuple(x.shape_), x.dtype_)


def _solve_transpose(block: Block, operands: Sequence[Any], cotangent: Any) -> Any:
    a, b = operands
    return apply_block(_flipped(block), [a, cotangent], tuple(b.shape_), b.dtype_)


def _flipped(block: Block) -> Block:
    """The block of the transposed matrix."""
    others = tuple([a for a in block.attributes if a != "transposed"])
    attributes = others if "transposed" in block.attributes else (*others, "transposed")
    return Block(block.name, block.ranks, block.rank, attributes, block.rule)


_SOLVE = TracedRule(_solve_value, _solve_tangent, {1: _solve_transpose})


def solve_rows(a: Any, b: Any, *, transposed: bool = False) -> TracedArray:
    """Solve ``a @ x = b`` (or ``a.T @ x = b``) for each row of `b`."""
    right = as_traced(b)
    attributes = ("transposed",) if transposed else ()
    block = Block("solve", (2, 2), 2, attributes, _SOLVE)
    return apply_block(block, [a, right], right.shape_[-2:], right.dtype_)


def _triangular_tangent(
    block: Block, x: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    matrix, _ = operands
    dmatrix, db = tangents
    right = db
    if dmatrix is not None:
        part = triangle(dmatrix, upper="upper" in block.attributes)
        moved = -matmul(x, part if "transposed" in block.attributes else _transposed(part))
        right = moved if right is None else right + moved
    return apply_block(block, [matrix, right])


def _triangular_transpose(block: Block, operands: Sequence[Any], cotangent: Any) -> Any:
    return apply_block(_flipped(block), [operands[0], cotangent])


_TRIANGULAR = TracedRule(None, _triangular_tangent, {1: _triangular_transpose})


def solve_triangular_rows(
    matrix: Any, b: Any, *, upper: bool = False, transposed: bool = False
) -> TracedArray:
    """Solve with one triangle of a matrix for each row of `b`."""
    attributes = [*(["upper"] if upper else []), *(["transposed"] if transposed else [])]
    return apply_block(named_block("solve_triangular", *attributes, rule=_TRIANGULAR), [matrix, b])


# determinants


def _diagonal(x: Any) -> TracedArray:
    return diagonal(x, 0, -2, -1)


def _lu_diagonal(factors: TracedArray) -> TracedArray:
    return _diagonal(getitem(factors, (..., slice(0, factors.shape_[-2] - 1), slice(None))))


def sign_of_determinant(a: Any) -> Any:
    """Give 1, -1 or 0, a constant for derivatives."""
    factors = _lu(stop_gradient(as_traced(a)))
    swaps = apply_block(named_block("lu_sign"), [factors])
    return swaps * reduce_prod(np.sign(_lu_diagonal(factors)), axis=-1)


def _trace_of_quotient(a: Any, da: Any) -> Any:
    """``trace(inv(a) @ da)``, without the inverse."""
    return reduce_sum(_diagonal(solve_rows(a, _transposed(da))), axis=-1)


def _log_determinant_value(_: Block, a: Any) -> Any:
    return reduce_sum(np.log(abs(_lu_diagonal(_lu(a)))), axis=-1)


_LOG_DETERMINANT = TracedRule(
    _log_determinant_value, lambda _b, _out, xs, ts: _trace_of_quotient(xs[0], ts[0])
)


def log_determinant(a: Any) -> TracedArray:
    """Give the logarithm of the determinant's absolute value."""
    x = as_traced(a)
    return apply_block(Block("log_determinant", (2,), 0, (), _LOG_DETERMINANT), [x], (), x.dtype_)


def _determinant_value(_: Block, a: Any) -> Any:
    factors = _lu(a)
    swaps = apply_block(named_block("lu_sign"), [factors])
    return swaps * reduce_prod(_lu_diagonal(factors), axis=-1)


_DETERMINANT = TracedRule(
    _determinant_value, lambda _b, out, xs, ts: out * _trace_of_quotient(xs[0], ts[0])
)


def determinant(a: Any) -> Any:
    """Give the determinant: written out for up to three rows, which has derivatives everywhere."""
    x: Any = as_traced(a)
    n = x.shape_[-1]
    if isinstance(n, int) and n <= 3:
        return _written_out(x, n)
    return apply_block(Block("determinant", (2,), 0, (), _DETERMINANT), [x], (), x.dtype_)


def _written_out(x: Any, n: int) -> Any:
    if n == 0:
        return reduce_prod(reduce_sum(x, axis=-1), axis=-1)
    if n == 1:
        return x[..., 0, 0]
    if n == 2:
        return x[..., 0, 0] * x[..., 1, 1] - x[..., 0, 1] * x[..., 1, 0]
    minors = [
        x[..., 1, i] * x[..., 2, j] - x[..., 1, j] * x[..., 2, i]
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    return x[..., 0, 0] * minors[0] - x[..., 0, 1] * minors[1] + x[..., 0, 2] * minors[2]


# factorisations


def _cholesky_value(_: Block, a: Any) -> Any:
    return triangle(apply_block(named_block("cholesky"), [a]))


def _symmetric(da: Any) -> Any:
    """The change of a symmetric matrix of which the lower triangle is read."""
    return triangle(da) + _transposed(triangle(da, -1))


def _cholesky_tangent(_: Block, factor: Any, _xs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    half = solve_triangular_rows(factor, _symmetric(tangents[0]))
    middle: Any = solve_triangular_rows(factor, _transposed(half))
    return matmul(factor, (triangle(middle) + triangle(middle, -1)) * 0.5)


_CHOLESKY = TracedRule(_cholesky_value, _cholesky_tangent)


def cholesky_factor(a: Any) -> TracedArray:
    """Factor the lower triangle of a symmetric matrix."""
    x = as_traced(a)
    return apply_block(
        Block("cholesky_factor", (2,), 2, (), _CHOLESKY), [x], x.shape_[-2:], x.dtype_
    )


def _safe_quotient(top: Any, bottom: Any) -> Any:
    """Divide, with zero where the divisor is zero."""
    is_zero = bottom == 0
    return where(is_zero, 0, top / where(is_zero, 1, bottom))


def _gaps(values: Any) -> Any:
    """``values[j] - values[i]``."""
    return values[..., None, :] - values[..., :, None]


def _eigen_tangent(_: Block, packed: Any, _xs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    values, rows = packed[..., 0, :], packed[..., 1:, :]
    mixed: Any = matmul(matmul(rows, _symmetric(tangents[0])), _transposed(rows))
    turned = matmul(_transposed(_safe_quotient(mixed, _gaps(values))), rows)
    return concatenate([_diagonal(mixed)[..., None, :], turned], -2)


_EIGEN = TracedRule(None, _eigen_tangent)


def eigen(a: Any) -> TracedArray:
    """Give eigenvalues, then eigenvectors as rows, of the lower triangle."""
    return apply_block(named_block("eigh", rule=_EIGEN), [a])


def _eigenvalues_tangent(
    _: Block, _out: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    rows = eigen(operands[0])[..., 1:, :]
    return reduce_sum(matmul(rows, _symmetric(tangents[0])) * rows, axis=-1)


_EIGENVALUES = TracedRule(lambda _, a: eigen(a)[..., 0, :], _eigenvalues_tangent)


def eigenvalues(a: Any) -> TracedArray:
    """Give the eigenvalues of the lower triangle of a symmetric matrix."""
    x = as_traced(a)
    block = Block("eigenvalues", (2,), 1, (), _EIGENVALUES)
    return apply_block(block, [x], x.shape_[-1:], x.dtype_)


def _parts_of_svd(packed: Any, m: Extent, n: Extent, k: Extent) -> tuple[Any, Any, Any]:
    """Take values, left vectors (m, k) and right vectors (k, n) apart."""
    middle = k + m * k
    lead = packed.shape[:-1]
    context = packed.context
    left = getitem(packed, (..., slice(as_size(context, k), as_size(context, middle))))
    right = getitem(packed, (..., slice(as_size(context, middle), None)))
    values = getitem(packed, (..., slice(0, as_size(context, k))))
    sizes = [as_size(context, e) for e in (m, n, k)]
    return (
        values,
        reshape(left, (*lead, sizes[0], sizes[2])),
        reshape(right, (*lead, sizes[2], sizes[1])),
    )


def _smaller(x: TracedArray) -> tuple[Extent, Extent, Extent, bool]:
    """The sizes of a matrix, the smaller of them, and whether it is the rows."""
    m, n = x.shape_[-2:]
    is_wide = x.context.decide(n - m - 1, ">=")
    return m, n, m if is_wide else n, is_wide


def singular_vectors(a: Any) -> tuple[Any, Any, Any]:
    """Give left vectors (m, k), values, and right vectors (k, n)."""
    x = as_traced(a)
    m, n, k, is_wide = _smaller(x)
    block = named_block("svd", *(["wide"] if is_wide else []), rule=_SVD)
    values, left, right = _parts_of_svd(apply_block(block, [x]), m, n, k)
    return left, values, right


def _svd_tangent(_: Block, packed: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Any:
    a, da = operands[0], tangents[0]
    m, n, k, is_wide = _smaller(a)
    s, u, vt = _parts_of_svd(packed, m, n, k)
    p: Any = matmul(matmul(_transposed(u), da), _transposed(vt))
    row, column = s[..., None, :], s[..., :, None]
    gaps = (row - column) * (row + column)
    du = matmul(u, _safe_quotient(p * row + column * _transposed(p), gaps))
    dv = matmul(_transposed(vt), _safe_quotient(column * p + _transposed(p) * row, gaps))
    if not is_wide:
        rest = matmul(da, _transposed(vt))
        du = du + (rest - matmul(u, matmul(_transposed(u), rest))) / row
    if is_wide:
        rest = matmul(_transposed(da), u)
        dv = dv + (rest - matmul(_transposed(vt), matmul(vt, rest))) / row
    return concatenate([_diagonal(p), _flat(du), _flat(_transposed(dv))], -1)


def _flat(x: Any) -> TracedArray:
    return reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))


_SVD = TracedRule(None, _svd_tangent)


def _singular_value_tangent(
    _: Block, _out: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    u, _s, vt = singular_vectors(operands[0])
    return reduce_sum(matmul(_transposed(u), tangents[0]) * vt, axis=-1)


_SINGULAR_VALUES = TracedRule(lambda _, a: singular_vectors(a)[1], _singular_value_tangent)


def singular_values(a: Any) -> TracedArray:
    """Give the singular values."""
    x = as_traced(a)
    _, _, k, _ = _smaller(x)
    block = Block("singular_values", (2,), 1, (), _SINGULAR_VALUES)
    return apply_block(block, [x], (k,), x.dtype_)


def _pseudoinverse_value(block: Block, a: Any) -> Any:
    (cutoff,) = block.attributes
    u, s, vt = singular_vectors(a)
    top = np.max(s, axis=-1, keepdims=True) if s.shape_[-1] != 0 else 0.0
    is_kept = s > cutoff * top
    inverse = where(is_kept, 1 / where(is_kept, s, 1), 0)
    return matmul(_transposed(vt), inverse[..., :, None] * _transposed(u))


def _pseudoinverse_tangent(
    _: Block, inverse: Any, operands: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    a, da = operands[0], tangents[0]
    pt, dat = _transposed(inverse), _transposed(da)
    left = matmul(inverse, matmul(pt, dat))
    right = matmul(matmul(dat, pt), inverse)
    return (
        left
        - matmul(matmul(left, a), inverse)
        + right
        - matmul(inverse, matmul(a, right))
        - matmul(inverse, matmul(da, inverse))
    )


_PSEUDOINVERSE = TracedRule(_pseudoinverse_value, _pseudoinverse_tangent)


def pseudoinverse(a: Any, cutoff: float) -> TracedArray:
    """Give the pseudoinverse; singular values below `cutoff` times the largest count as zero."""
    x = as_traced(a)
    m, n = x.shape_[-2:]
    block = Block("pseudoinverse", (2,), 2, (cutoff,), _PSEUDOINVERSE)
    return apply_block(block, [x], (n, m), x.dtype_)


def _qr_value(_: Block, a: Any) -> Any:
    m, n = a.shape_[-2:]
    packed: Any = apply_block(named_block("qr"), [_transposed(a)])
    context = packed.context
    lead = packed.shape[:-1]
    columns = as_size(context, n), as_size(context, m)
    split = as_size(context, n * m)
    q = reshape(packed[..., :split], (*lead, *columns))
    r = triangle(reshape(packed[..., split:], (*lead, *columns)))
    return concatenate([q, r], -2)


def _qr_tangent(_: Block, packed: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Any:
    n = as_size(packed.context, operands[0].shape_[-1])
    q = _transposed(packed[..., :n, :])
    upper = _transposed(packed[..., n:, :n])
    # da @ inv(r): rows of it solve r.T @ row = row of da
    quotient: Any = solve_triangular_rows(upper, tangents[0], upper=True, transposed=True)
    inner = matmul(_transposed(q), quotient)
    below = triangle(inner, -1)
    turn = below - _transposed(below)
    dq = quotient - matmul(q, inner - turn)
    dr = matmul(inner - turn, upper)
    rows = _transposed(dr)
    missing = packed.shape_[-1] - operands[0].shape_[-1]
    if missing != 0:
        zeros = 0 * packed[..., :n, n:]
        rows = concatenate([rows, zeros], -1)
    return concatenate([_transposed(dq), rows], -2)


_QR = TracedRule(_qr_value, _qr_tangent)


def qr_factors(a: Any) -> tuple[Any, Any]:
    """Factor a matrix with at least as many rows as columns into q (m, n) and r (n, n)."""
    x = as_traced(a)
    m, n = x.shape_[-2:]
    packed = apply_block(Block("qr_factors", (2,), 2, (), _QR), [x], (n + n, m), x.dtype_)
    size = as_size(x.context, n)
    return _transposed(packed[..., :size, :]), _transposed(packed[..., size:, :size])
