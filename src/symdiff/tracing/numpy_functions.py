"""The table of NumPy's functions that are not ufuncs, and of the methods of ufuncs.

A function is one row here; its handler, in terms of views and few equations, is in the module of
its kind.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.tracing.assembly import ASSEMBLY
from symdiff.tracing.construction import (
    column_stack,
    concatenate,
    convert,
    copy,
    diag,
    flatten,
    full_like,
    hstack,
    make_like,
    stack,
    vstack,
)
from symdiff.tracing.context import Context
from symdiff.tracing.indexing import getitem
from symdiff.tracing.linear_algebra import LINEAR_ALGEBRA
from symdiff.tracing.ordering import ACCUMULATIONS, ORDERING
from symdiff.tracing.padding import PADDING
from symdiff.tracing.pointwise import clip, round_to, where
from symdiff.tracing.polynomials import POLYNOMIALS
from symdiff.tracing.products import (
    dot,
    einsum,
    einsum_path,
    inner,
    matmul,
    outer,
    tensordot,
    vdot,
)
from symdiff.tracing.questions import QUESTIONS
from symdiff.tracing.reductions import (
    reduce_all,
    reduce_any,
    reduce_logaddexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_std,
    reduce_sum,
    reduce_var,
    sum_diagonal,
)
from symdiff.tracing.selection import SELECTION
from symdiff.tracing.shapes import (
    atleast_1d,
    atleast_2d,
    broadcast_to,
    diagonal,
    expand_dims,
    flip,
    moveaxis,
    ravel,
    reshape,
    size,
    squeeze,
    swapaxes,
    transpose,
)
from symdiff.tracing.signals import SIGNALS
from symdiff.tracing.spacing import SPACING
from symdiff.tracing.special_functions import NUMPY_SPECIAL_TABLE
from symdiff.tracing.splitting import SPLITTING
from symdiff.tracing.statistics import STATISTICS
from symdiff.tracing.tracer import as_traced
from symdiff.tracing.ufuncs import apply_ufunc
from symdiff.tracing.vectors import UFUNC_PRODUCTS, VECTORS

__all__ = ["FUNCTION_TABLE", "UFUNC_METHODS"]


def _along_first(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """``np.add.reduce`` is ``np.sum``, but along the first axis unless told otherwise."""
    return lambda array, axis=0, **kwargs: reduce(array, axis, **kwargs)


def _call_ufunc(
    context: Context, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Do a ufunc over vectors and matrices here; `apply_ufunc` does those over elements."""
    if method == "__call__" and ufunc in UFUNC_PRODUCTS:
        return UFUNC_PRODUCTS[ufunc](*inputs, **kwargs)
    return apply_ufunc(context, ufunc, method, inputs, kwargs)


def _outer(ufunc: np.ufunc, a: Any, b: Any, **kwargs: Any) -> Any:
    """Combine each element of one array with each of another."""
    return ufunc(getitem(as_traced(a), (..., *[None] * np.ndim(b))), b, **kwargs)


FUNCTION_TABLE: dict[Any, Callable[..., Any]] = {
    **ASSEMBLY,
    **VECTORS,
    **LINEAR_ALGEBRA,
    **ORDERING,
    **PADDING,
    **POLYNOMIALS,
    **QUESTIONS,
    **SELECTION,
    **SIGNALS,
    **SPACING,
    **NUMPY_SPECIAL_TABLE,
    **SPLITTING,
    **STATISTICS,
    np.ufunc: _call_ufunc,
    operator.getitem: getitem,
    # reductions
    np.sum: reduce_sum,
    np.mean: reduce_mean,
    np.var: reduce_var,
    np.std: reduce_std,
    np.max: reduce_max,
    np.amax: reduce_max,
    np.min: reduce_min,
    np.amin: reduce_min,
    np.prod: reduce_prod,
    np.any: reduce_any,
    np.all: reduce_all,
    np.trace: sum_diagonal,
    # products
    np.matmul: matmul,
    np.dot: dot,
    np.vdot: vdot,
    np.inner: inner,
    np.outer: outer,
    np.tensordot: tensordot,
    np.einsum: einsum,
    np.einsum_path: einsum_path,
    # shapes
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: size,
    np.transpose: transpose,
    np.swapaxes: swapaxes,
    np.moveaxis: moveaxis,
    np.expand_dims: expand_dims,
    np.squeeze: squeeze,
    np.atleast_1d: atleast_1d,
    np.atleast_2d: atleast_2d,
    np.broadcast_to: broadcast_to,
    np.flip: flip,
    np.reshape: reshape,
    np.ravel: ravel,
    np.diagonal: diagonal,
    # construction
    np.concatenate: concatenate,
    np.stack: stack,
    np.vstack: vstack,
    getattr(np, "row_stack", np.vstack): vstack,  # its old name
    np.hstack: hstack,
    np.column_stack: column_stack,
    np.diag: diag,
    np.full_like: full_like,
    np.zeros_like: make_like(0),
    np.ones_like: make_like(1),
    np.copy: copy,
    np.ndarray.flatten: flatten,
    np.ndarray.astype: convert,
    # element by element
    np.where: where,
    np.clip: clip,
    np.round: round_to,
    np.around: round_to,
    np.real: lambda val: val,
}
"""The handler of each function; a method of arrays that is no function stands for itself."""

UFUNC_METHODS: dict[tuple[Any, str], Callable[..., Any]] = {
    **ACCUMULATIONS,
    (np.ufunc, "outer"): _outer,
    (np.add, "reduce"): _along_first(reduce_sum),
    (np.multiply, "reduce"): _along_first(reduce_prod),
    (np.maximum, "reduce"): _along_first(reduce_max),
    (np.minimum, "reduce"): _along_first(reduce_min),
    (np.logical_or, "reduce"): _along_first(reduce_any),
    (np.logical_and, "reduce"): _along_first(reduce_all),
    (np.fmax, "reduce"): _along_first(STATISTICS[np.nanmax]),
    (np.fmin, "reduce"): _along_first(STATISTICS[np.nanmin]),
    (np.logaddexp, "reduce"): reduce_logaddexp,
}
