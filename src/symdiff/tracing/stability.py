"""Formulas that overflow where their value does not, and what is computed instead.

``log(1 + exp(x))`` and ``log1p(exp(x))`` are `Softplus` of `x`. The rule is applied while tracing:
the logarithm looks at the equations of its argument, so that derivatives of any order, by whatever
transform, are already those of the stable function. Equations that nothing needs any more go with
the rest of dead code.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from symdiff.program.equations import Equation, Literal, Read, compose
from symdiff.tracing.context import Context
from symdiff.tracing.operations import UFUNCS
from symdiff.tracing.traced_array import TracedArray

__all__ = ["softplus_argument"]

_FAR = 256
"""How many equations back the parts of a formula are looked for."""


def softplus_argument(context: Context, ufunc: np.ufunc, x: TracedArray) -> TracedArray | None:
    """Give `y` where ``ufunc(x)`` is ``log(1 + exp(y))``.

    Parameters
    ----------
    context : Context
    ufunc : numpy.ufunc
        `numpy.log`, or `numpy.log1p`.
    x : TracedArray
        Its argument.
    """
    read = Read(x.array, x.indices)
    if ufunc is np.log:
        total = _definition(context, read.array)
        if total is None or total.pattern is not UFUNCS[np.add]:
            return None
        found = _other_than_one(total)
        if found is None:
            return None
        read = _through(found, read)
    power = None if read is None else _definition(context, read.array)
    if read is None or power is None or power.pattern is not UFUNCS[np.exp]:
        return None
    (exponent,) = power.operands
    if not isinstance(exponent, Read):
        return None
    read = _through(exponent, read)
    if read is None or context.types[read.array].dtype != x.dtype_:
        return None
    return TracedArray(context, read.array, x.shape_, x.dtype_, read.indices, is_weak=x.is_weak)


def _other_than_one(total: Equation) -> Read | None:
    """The other term of a sum with one."""
    a, b = total.operands
    if isinstance(a, Literal):
        a, b = b, a
    is_one = isinstance(b, Literal) and b.value == 1
    return a if is_one and isinstance(a, Read) else None


def _through(operand: Read, outer: Read) -> Read | None:
    """What is read of an operand's array where `outer` is read of the equation's array."""
    indices = compose(operand.indices, outer.indices)
    return None if indices is None else Read(operand.array, indices)


def _definition(context: Context, array: str) -> Equation | None:
    """The equation that an array is made by, where its operands are still what they were."""
    written: set[str] = set()
    for equation in islice(reversed(context.equations), _FAR):
        if equation.array == array:
            is_all = equation.operator == "=" and equation.is_whole
            is_all = is_all and equation.extents == context.types[array].shape
            is_kept = not any(r.array in written for r in equation.reads)
            return equation if is_all and is_kept else None
        written.add(equation.array)
    return None
