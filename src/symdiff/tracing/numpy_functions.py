"""NumPy's functions that are not elementwise, each in terms of views and few equations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import Affine, constant, index
from symdiff.program.equations import Read
from symdiff.program.patterns import pattern, placeholder
from symdiff.program.sizes import Extent, Size
from symdiff.tracing.indexing import compose, getitem
from symdiff.tracing.operations import COPY, SELECT, STOP
from symdiff.tracing.tracer import (
    TracedArray,
    TracedSize,
    as_traced,
    astype,
    elementwise,
    lift,
)

__all__ = ["ARRAY_METHODS", "FUNCTION_TABLE", "UFUNC_METHODS", "stop_gradient"]

Shape = tuple[Extent, ...]


def _extent(value: Any) -> Extent:
    return value.size if isinstance(value, TracedSize) else operator.index(value)


def _axis(axis: Any, rank: int) -> int:
    number = operator.index(axis)
    if not -rank <= number < rank:
        raise ShapeError(at_user_line(f"axis {number} is out of bounds for rank {rank}"))
    return number % rank


def _axes(axis: Any, rank: int) -> list[int]:
    if axis is None:
        return list(range(rank))
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    return [_axis(a, rank) for a in axes]


def _refuse_keywords(name: str, **given: Any) -> None:
    used = [k for k, v in given.items() if v is not None and v is not np._NoValue]
    if used:
        raise UnsupportedOperationError(
            at_user_line(f"{name} with {', '.join(used)}= is not supported on traced arrays")
        )


# reductions


def _reduce(x: Any, axis: Any, keepdims: Any, kind: str, dtype: str | None = None) -> TracedArray:
    """Reduce over axes by one equation whose target lacks them."""
    x = as_traced(x)
    context = x.context
    axes = _axes(axis, x.ndim)
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = tuple(x.shape_[a] for a in kept)
    dtype = dtype or x.dtype_
    target = tuple(index(a) for a in kept)
    if kind in ("max=", "min="):
        for a in axes:
            if context.decide(x.shape_[a], "=="):
                raise ShapeError(at_user_line("maximum or minimum of no elements"))
    name = context.emit(
        COPY,
        [context.read(x, x.shape_)],
        x.shape_,
        dtype,
        operator=kind if axes else "=",
        target=target,
        shape=shape,
    )
    result = TracedArray(context, name, shape, dtype, owns=True, is_weak=x.is_weak and not axes)
    return _keep(result, axes, x.ndim) if keepdims and keepdims is not np._NoValue else result


def _keep(x: TracedArray, axes: list[int], rank: int) -> TracedArray:
    return getitem(x, tuple(None if a in axes else slice(None) for a in range(rank)))


def _sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    _refuse_keywords("np.sum", out=out)
    x = as_traced(a) if dtype is None else astype(a, dtype)
    if where is not None and where is not np._NoValue and where is not True:
        x = _where(where, x, 0)
    accumulator = "int64" if x.dtype.kind in "bi" else "uint64" if x.dtype.kind == "u" else None
    total = _reduce(x, axis, keepdims, "+=", None if dtype is not None else accumulator)
    has_initial = initial is not None and initial is not np._NoValue
    return total + initial if has_initial else total


def _count(x: TracedArray, axes: list[int]) -> Any:
    total: Extent = 1
    for a in axes:
        total = total * x.shape_[a]
    return TracedSize(x.context, total) if isinstance(total, Size) else total


def _mean(a, axis=None, dtype=None, out=None, keepdims=False, where=None):
    _refuse_keywords("np.mean", out=out, where=where)
    x = as_traced(a) if dtype is None else astype(a, dtype)
    if x.dtype.kind in "biu":
        x = astype(x, "float64")
    return _sum(x, axis=axis, keepdims=keepdims) / _count(x, _axes(axis, x.ndim))


def _var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, **kwargs):
    _refuse_keywords("np.var", out=out, **kwargs)
    x = as_traced(a) if dtype is None else astype(a, dtype)
    deviation = x - _mean(x, axis=axis, keepdims=True)
    squares = _sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / (_count(x, _axes(axis, x.ndim)) - ddof)


def _std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, **kwargs):
    return np.sqrt(_var(a, axis, dtype, out, ddof, keepdims, **kwargs))


def _extremum(kind: str, name: str) -> Callable[..., Any]:
    def reduce(a, axis=None, out=None, keepdims=False, initial=None, where=None):
        _refuse_keywords(name, out=out, initial=initial, where=where)
        return _reduce(a, axis, keepdims, kind)

    return reduce


def _truth(kind: str, name: str) -> Callable[..., Any]:
    def reduce(a, axis=None, out=None, keepdims=False, where=None):
        _refuse_keywords(name, out=out, where=where)
        return _reduce(astype(a, "bool"), axis, keepdims, kind)

    return reduce


def _prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    """Multiply in pairs, level by level: the derivative is right when factors are zero."""
    _refuse_keywords("np.prod", out=out, where=where)
    x = as_traced(a) if dtype is None else astype(a, dtype)
    axes = _axes(axis, x.ndim)
    for a_ in sorted(axes, reverse=True):
        x = _multiply_along(x, a_)
    if initial is not None and initial is not np._NoValue:
        x = x * initial
    return _keep(x, axes, x.ndim + len(axes)) if keepdims is True else x


def _multiply_along(x: TracedArray, axis: int) -> TracedArray:
    length = x.context.pin(x.shape_[axis])
    before = (slice(None),) * axis
    if length == 0:
        return _full_like(_sum(x, axis=axis), 1)
    while length > 1:
        half = length // 2
        product = x[(*before, slice(0, half))] * x[(*before, slice(half, 2 * half))]
        if length % 2:
            product = _concatenate([product, x[(*before, slice(length - 1, length))]], axis)
        x, length = product, half + length % 2
    return x[(*before, 0)]


def _norm(x, ord=None, axis=None, keepdims=False):
    x = as_traced(x)
    rank = x.ndim if axis is None else len(_axes(axis, x.ndim))
    if ord is None or (ord == 2 and rank == 1) or (ord == "fro" and rank == 2):
        return np.sqrt(_sum(x * x, axis=axis, keepdims=keepdims))
    if rank == 1 and ord == 1:
        return _sum(abs(x), axis=axis, keepdims=keepdims)
    if rank == 1 and ord in (np.inf, -np.inf):
        return _reduce(abs(x), axis, keepdims, "max=" if ord > 0 else "min=")
    if rank == 1 and isinstance(ord, (int, float)):
        return _sum(abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)
    raise UnsupportedOperationError(
        at_user_line(f"np.linalg.norm with ord={ord!r} of rank {rank} is not supported")
    )


def _logsumexp(a, axis=0, dtype=None, out=None, keepdims=False):
    """``log(sum(exp(a)))`` about the maximum, which carries no derivative: it cancels."""
    _refuse_keywords("np.logaddexp.reduce", out=out)
    x = as_traced(a) if dtype is None else astype(a, dtype)
    axes = _axes(axis, x.ndim)
    top = stop_gradient(_reduce(x, axis, True, "max="))
    top = _where(np.isfinite(top), top, 0)
    total = np.log(_sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    if keepdims:
        return total
    return getitem(total, tuple(0 if a in axes else slice(None) for a in range(x.ndim)))


def stop_gradient(x: Any) -> Any:
    """Give the value, and let derivatives take it for a constant.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    Like `x`.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.grad(lambda x: x * sd.stop_gradient(x))(3.0)
    3.0
    """
    if not isinstance(x, TracedArray):
        return x
    return elementwise(x.context, STOP, [x], x.dtype_)


# products


def _matmul(a, b, out=None):
    _refuse_keywords("np.matmul", out=out)
    x, y = as_traced(a), as_traced(b)
    if not x.ndim or not y.ndim:
        raise ShapeError(at_user_line("matmul of a scalar: use *"))
    left = "ij" if x.ndim > 1 else "j"
    right = "jk" if y.ndim > 1 else "j"
    batch = "ABCDEFGH"[: max(x.ndim, y.ndim) - min(2, max(x.ndim, y.ndim))]
    x_letters = batch[len(batch) - max(0, x.ndim - 2) :] + left
    y_letters = batch[len(batch) - max(0, y.ndim - 2) :] + right
    result = batch + left.replace("j", "") + right.replace("j", "")
    return _contract([x_letters, y_letters], result, [x, y], "matmul")


def _dot(a, b, out=None):
    _refuse_keywords("np.dot", out=out)
    x, y = as_traced(a), as_traced(b)
    if not x.ndim or not y.ndim:
        return x * y
    if y.ndim <= 2:
        letters = "ABCDEFGHIJ"[: x.ndim - 1]
        right = "jk" if y.ndim == 2 else "j"
        return _contract([letters + "j", right], letters + right[1:], [x, y], "dot")
    letters, others = "ABCDEFGH"[: x.ndim - 1], "abcdefgh"[: y.ndim - 2]
    return _contract([letters + "j", others + "jk"], letters + others + "k", [x, y], "dot")


def _inner(a, b):
    x, y = as_traced(a), as_traced(b)
    if not x.ndim or not y.ndim:
        return x * y
    left, right = "ABCDEFGH"[: x.ndim - 1], "abcdefgh"[: y.ndim - 1]
    return _contract([left + "z", right + "z"], left + right, [x, y], "inner")


def _outer(a, b, out=None):
    _refuse_keywords("np.outer", out=out)
    x, y = (_ravel(as_traced(v)) for v in (a, b))
    return x[:, None] * y[None, :]


def _tensordot(a, b, axes=2):
    x, y = as_traced(a), as_traced(b)
    if isinstance(axes, int):
        first, second = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        first, second = _axes(axes[0], x.ndim), _axes(axes[1], y.ndim)
    left = list("ABCDEFGHIJ"[: x.ndim])
    right = list("abcdefghij"[: y.ndim])
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    kept = [c for n, c in enumerate(left) if n not in first]
    kept += [c for n, c in enumerate(right) if n not in second]
    return _contract(["".join(left), "".join(right)], "".join(kept), [x, y], "tensordot")


def _einsum(subscripts, *operands, out=None, optimize=None, **kwargs):
    _refuse_keywords("np.einsum", out=out, **kwargs)
    if not isinstance(subscripts, str):
        raise UnsupportedOperationError(at_user_line("np.einsum needs its subscripts as a string"))
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    arrays = [as_traced(x) for x in operands]
    if len(terms) != len(arrays):
        raise ShapeError(at_user_line("np.einsum: as many operands as subscripts, please"))
    if "." in subscripts:
        terms, result = _expand_ellipsis(terms, result if arrow else None, arrays)
    elif not arrow:
        everything = "".join(terms)
        result = "".join(sorted(c for c in set(everything) if everything.count(c) == 1))
    while len(arrays) > 2:  # from left to right, as np.einsum does without optimize
        rest = "".join(terms[2:]) + result
        kept = "".join(dict.fromkeys(c for c in terms[0] + terms[1] if c in rest))
        arrays[:2] = [_contract(terms[:2], kept, arrays[:2], "einsum")]
        terms[:2] = [kept]
    return _contract(terms, result, arrays, "einsum")


def _expand_ellipsis(
    terms: list[str], result: str | None, arrays: Sequence[TracedArray]
) -> tuple[list[str], str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    spare = [c for c in letters if all(c not in t for t in terms)]
    widths = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, arrays, strict=True)]
    block = "".join(spare[: max(widths)])
    expanded = [
        t.replace("...", block[len(block) - w :]) for t, w in zip(terms, widths, strict=True)
    ]
    if result is None:
        everything = "".join(terms).replace(".", "")
        result = "..." + "".join(sorted(c for c in set(everything) if everything.count(c) == 1))
    return expanded, result.replace("...", block)


def _contract(
    terms: Sequence[str], result: str, arrays: Sequence[TracedArray], name: str
) -> TracedArray:
    """Multiply and sum by index letters: one equation."""
    context = arrays[0].context
    extents: dict[str, Extent] = {}
    for term, x in zip(terms, arrays, strict=True):
        if len(term) != x.ndim:
            raise ShapeError(
                at_user_line(f"{name}: subscripts {term!r} for an array of rank {x.ndim}")
            )
        for letter, extent in zip(term, x.shape_, strict=True):
            try:
                extents[letter] = context.unify(extents.get(letter, extent), extent)
            except ShapeError:
                shapes = " and ".join(context.show_shape(y.shape_) for y in arrays)
                raise ShapeError(at_user_line(f"{name}: shapes do not match: {shapes}")) from None
    order = [*result, *[c for c in extents if c not in result]]
    number = {c: n for n, c in enumerate(order)}
    reads = []
    for term, x in zip(terms, arrays, strict=True):
        by = [
            constant(0) if x.shape_[a] == 1 != extents[c] else index(number[c])
            for a, c in enumerate(term)
        ]
        reads.append(Read(x.array, compose(x.indices, by)))
    dtype = np.result_type(*[x.example for x in arrays]).name
    shape = tuple(extents[c] for c in result)
    product = placeholder(0)
    for n in range(1, len(arrays)):
        product = product * placeholder(n)
    array = context.emit(
        pattern(product, len(arrays)),
        reads,
        tuple(extents[c] for c in order),
        dtype,
        operator="+=" if len(order) > len(result) else "=",
        target=tuple(index(n) for n in range(len(result))),
        shape=shape,
    )
    return TracedArray(context, array, shape, dtype, owns=True)


# shapes


def _transpose(a, axes=None):
    x = as_traced(a)
    order = list(reversed(range(x.ndim))) if axes is None else _axes(axes, x.ndim)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(at_user_line("axes don't match array"))
    by: list[Affine] = [constant(0)] * x.ndim
    for new, old in enumerate(order):
        by[old] = index(new)
    return x.view(compose(x.indices, by), tuple(x.shape_[a] for a in order))


def _swapaxes(a, axis1, axis2):
    x = as_traced(a)
    order = list(range(x.ndim))
    i, j = _axis(axis1, x.ndim), _axis(axis2, x.ndim)
    order[i], order[j] = j, i
    return _transpose(x, order)


def _moveaxis(a, source, destination):
    x = as_traced(a)
    sources, places = _axes(source, x.ndim), _axes(destination, x.ndim)
    order = [n for n in range(x.ndim) if n not in sources]
    for place, s in sorted(zip(places, sources, strict=True)):
        order.insert(place, s)
    return _transpose(x, order)


def _expand_dims(a, axis):
    x = as_traced(a)
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    rank = x.ndim + len(axes)
    places = {_axis(a_, rank) for a_ in axes}
    return getitem(x, tuple(None if n in places else slice(None) for n in range(rank)))


def _squeeze(a, axis=None):
    x = as_traced(a)
    if axis is None:
        axes = [n for n, e in enumerate(x.shape_) if x.context.decide(e - 1, "==")]
    else:
        axes = _axes(axis, x.ndim)
        if any(not x.context.decide(x.shape_[n] - 1, "==") for n in axes):
            raise ShapeError(at_user_line("cannot squeeze an axis whose size is not one"))
    return getitem(x, tuple(0 if n in axes else slice(None) for n in range(x.ndim)))


def _broadcast_to(array, shape, subok=False):
    x = as_traced(array)
    wide = shape if isinstance(shape, (tuple, list)) else (shape,)
    extents = tuple(_extent(e) for e in wide)
    if x.context.broadcast([x.shape_, extents]) != extents:
        raise ShapeError(at_user_line("the shape cannot be broadcast to the one asked for"))
    return TracedArray(x.context, x.array, extents, x.dtype_, x.context.read(x, extents).indices)


def _flip(m, axis=None):
    x = as_traced(m)
    axes = _axes(axis, x.ndim)
    step = slice(None, None, -1)
    return getitem(x, tuple(step if n in axes else slice(None) for n in range(x.ndim)))


def _reshape(a, *shape, order="C", newshape=None, copy=None):
    x = as_traced(a)
    if order != "C":
        raise UnsupportedOperationError(at_user_line("reshape with order other than 'C'"))
    wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    extents = _fill_in(x, [_extent(e) for e in (newshape or wanted)])
    if extents == x.shape_:
        return x
    flat = _ravel(x)
    offset = constant(0)
    for n, extent in enumerate(extents):
        offset = offset.scaled(extent) if extent == 1 else offset.scaled(extent).plus(index(n))
    return flat.view(compose(flat.indices, [offset]), extents)


def _fill_in(x: TracedArray, extents: list[Extent]) -> Shape:
    context = x.context
    known: Extent = 1
    unknown = [n for n, e in enumerate(extents) if isinstance(e, int) and e == -1]
    for n, e in enumerate(extents):
        known = known if n in unknown else known * e
    total = x.size.size if isinstance(x.size, TracedSize) else x.size
    if len(unknown) == 1:
        extents[unknown[0]] = _divide(x, total, known)
    elif not context.decide(total - known, "=="):
        raise ShapeError(
            at_user_line(
                f"cannot reshape an array of shape {context.show_shape(x.shape_)} into "
                f"{context.show_shape(tuple(extents))}"
            )
        )
    return tuple(extents)


def _divide(x: TracedArray, total: Extent, known: Extent) -> Extent:
    """Divide sizes, symbolically where every coefficient allows it."""
    if total == known:
        return 1
    if isinstance(total, Size) and isinstance(known, int) and known > 0:
        if all(c % known == 0 for _, c in total.terms):
            return Size(tuple((m, c // known) for m, c in total.terms))
    for extent in x.shape_:
        if isinstance(extent, Size) and extent * known == total:
            return extent
    whole, part = x.context.pin(total), x.context.pin(known)
    if part == 0 or whole % part:
        raise ShapeError(
            at_user_line(f"cannot reshape an array of {whole} elements: {part} does not divide it")
        )
    return whole // part


def _ravel(a, order="C"):
    """Lay an array out flat: a view where it is one already, one copying equation otherwise."""
    x = as_traced(a)
    if order != "C":
        raise UnsupportedOperationError(at_user_line("ravel with order other than 'C'"))
    if x.ndim == 1:
        return x
    context = x.context
    total: Extent = 1
    offset = constant(0)
    for n, extent in enumerate(x.shape_):
        offset = offset.scaled(extent).plus(index(n))
        total = total * extent
    name = context.emit(
        COPY,
        [context.read(x, x.shape_)],
        x.shape_,
        x.dtype_,
        target=(offset,),
        shape=(total,),
    )
    return TracedArray(context, name, (total,), x.dtype_, owns=True)


def _concatenate(arrays, axis=0, out=None, dtype=None, casting=None):
    _refuse_keywords("np.concatenate", out=out)
    parts = [as_traced(x) for x in arrays]
    if axis is None:
        parts, axis = [_ravel(x) for x in parts], 0
    context = parts[0].context
    axis = _axis(axis, parts[0].ndim)
    total: Extent = 0
    shape = list(parts[0].shape_)
    for x in parts:
        total = total + x.shape_[axis]
        for n in range(len(shape)):
            if n != axis and not context.decide(x.shape_[n] - shape[n], "=="):
                shapes = " and ".join(context.show_shape(p.shape_) for p in parts)
                raise ShapeError(at_user_line(f"np.concatenate: shapes do not match: {shapes}"))
    shape[axis] = total
    promoted = dtype or np.result_type(*[x.example for x in parts])
    name = context.new_array(tuple(shape), np.dtype(promoted).name)
    start: Extent = 0
    for x in parts:
        target = [index(n) for n in range(x.ndim)]
        target[axis] = target[axis].shifted(start)
        context.emit(
            COPY,
            [context.read(x, x.shape_)],
            x.shape_,
            "",
            target=tuple(target),
            array=name,
        )
        start = start + x.shape_[axis]
    return TracedArray(context, name, tuple(shape), np.dtype(promoted).name, owns=True)


def _stack(arrays, axis=0, out=None, dtype=None, casting=None):
    _refuse_keywords("np.stack", out=out)
    parts = [as_traced(x) for x in arrays]
    return _concatenate([_expand_dims(x, axis) for x in parts], axis, dtype=dtype)


def _vstack(tup, **kwargs):
    return _concatenate([_at_least(x, 2) for x in tup], 0, **kwargs)


def _hstack(tup, **kwargs):
    parts = [_at_least(x, 1) for x in tup]
    return _concatenate(parts, 0 if parts[0].ndim == 1 else 1, **kwargs)


def _column_stack(tup):
    parts = [as_traced(x) for x in tup]
    return _concatenate([x[:, None] if x.ndim == 1 else x for x in parts], 1)


def _at_least(x: Any, rank: int) -> TracedArray:
    x = as_traced(x)
    return x if x.ndim >= rank else getitem(x, (None,) * (rank - x.ndim))


def _diagonal(a, offset=0, axis1=0, axis2=1):
    x = as_traced(a)
    i, j = _axis(axis1, x.ndim), _axis(axis2, x.ndim)
    rows, columns = x.context.pin(x.shape_[i]), x.context.pin(x.shape_[j])
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    others = [n for n in range(x.ndim) if n not in (i, j)]
    by: list[Affine] = [constant(0)] * x.ndim
    for new, old in enumerate(others):
        by[old] = index(new)
    last = index(len(others))
    by[i], by[j] = last.shifted(max(-offset, 0)), last.shifted(max(offset, 0))
    return x.view(compose(x.indices, by), (*[x.shape_[n] for n in others], length))


def _trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    _refuse_keywords("np.trace", out=out)
    return _sum(_diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def _diag(v, k=0):
    x = as_traced(v)
    if x.ndim == 2:
        return _diagonal(x, k)
    side = x.shape_[0] + abs(k)
    i = index(0)
    name = x.context.emit(
        COPY,
        [x.context.read(x, x.shape_)],
        x.shape_,
        x.dtype_,
        target=(i.shifted(max(-k, 0)), i.shifted(max(k, 0))),
        shape=(side, side),
    )
    return TracedArray(x.context, name, (side, side), x.dtype_, owns=True)


def _full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None):
    x = as_traced(a)
    _refuse_keywords("np.full_like", shape=shape)
    name = np.dtype(dtype or x.dtype_).name
    value = as_traced(fill_value)
    return elementwise(x.context, COPY, [_broadcast_shape(value, x.shape_)], name)


def _broadcast_shape(value: TracedArray, shape: Shape) -> TracedArray:
    read = value.context.read(value, shape)
    return TracedArray(value.context, value.array, shape, value.dtype_, read.indices)


# choice


def _where(condition, x=None, y=None):
    if x is None or y is None:
        raise UnsupportedOperationError(
            at_user_line(
                "np.where(condition) alone gives a shape that depends on values. Write "
                "np.where(condition, a, b)"
            )
        )
    c = astype(condition, "bool")
    a, b = lift(c.context, x), lift(c.context, y)
    dtype = np.result_type(*[_promotable(v) for v in (a, b)]).name
    return elementwise(c.context, SELECT, [c, a, b], dtype)


def _promotable(x: Any) -> Any:
    """What `numpy.result_type` takes for an operand: a Python number where that is weak."""
    if isinstance(x, TracedArray):
        return x.example
    return x.value if x.dtype.startswith("weak") else x.dtype


def _clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None, **kwargs):
    _refuse_keywords("np.clip", out=out, **kwargs)
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    x = as_traced(a)
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _like(value: Any) -> Callable[..., Any]:
    def make(a, dtype=None, order="K", subok=True, shape=None):
        return _full_like(a, value, dtype, shape=shape)

    return make


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    return call


def _round(a, decimals=0, out=None):
    _refuse_keywords("np.round", out=out)
    if decimals == 0:
        return np.rint(a)
    return np.rint(as_traced(a) * 10.0**decimals) / 10.0**decimals


_amax, _amin = _extremum("max=", "np.max"), _extremum("min=", "np.min")
_any, _all = _truth("or=", "np.any"), _truth("and=", "np.all")

FUNCTION_TABLE: dict[Any, Callable[..., Any]] = {
    operator.getitem: getitem,
    np.sum: _sum,
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.max: _amax,
    np.amax: _amax,
    np.min: _amin,
    np.amin: _amin,
    np.prod: _prod,
    np.any: _any,
    np.all: _all,
    np.linalg.norm: _norm,
    np.matmul: _matmul,
    np.dot: _dot,
    np.vdot: lambda a, b: _dot(_ravel(a), _ravel(b)),
    np.inner: _inner,
    np.outer: _outer,
    np.tensordot: _tensordot,
    np.einsum: _einsum,
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.expand_dims: _expand_dims,
    np.squeeze: _squeeze,
    np.broadcast_to: _broadcast_to,
    np.flip: _flip,
    np.reshape: _reshape,
    np.ravel: _ravel,
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.vstack: _vstack,
    np.hstack: _hstack,
    np.column_stack: _column_stack,
    np.diagonal: _diagonal,
    np.diag: _diag,
    np.trace: _trace,
    np.full_like: _full_like,
    np.zeros_like: _like(0),
    np.ones_like: _like(1),
    np.where: _where,
    np.clip: _clip,
    np.round: _round,
    np.around: _round,
    np.copy: lambda a, order="K", subok=False: elementwise(
        as_traced(a).context, COPY, [as_traced(a)], as_traced(a).dtype_
    ),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
    np.real: lambda val: val,
    np.atleast_1d: lambda *arys: _at_least(arys[0], 1),
    np.atleast_2d: lambda *arys: _at_least(arys[0], 2),
}

UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {
    (np.add, "reduce"): lambda a, axis=0, **k: _sum(a, axis, **k),
    (np.multiply, "reduce"): lambda a, axis=0, **k: _prod(a, axis, **k),
    (np.maximum, "reduce"): lambda a, axis=0, **k: _amax(a, axis, **k),
    (np.minimum, "reduce"): lambda a, axis=0, **k: _amin(a, axis, **k),
    (np.logical_or, "reduce"): lambda a, axis=0, **k: _any(a, axis, **k),
    (np.logical_and, "reduce"): lambda a, axis=0, **k: _all(a, axis, **k),
    (np.logaddexp, "reduce"): _logsumexp,
    (np.multiply, "outer"): lambda a, b: _outer(a, b),
}

ARRAY_METHODS: dict[str, Callable[..., Any]] = {
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "max": _amax,
    "min": _amin,
    "prod": _prod,
    "any": _any,
    "all": _all,
    "dot": _dot,
    "transpose": lambda a, *axes: _transpose(a, axes[0] if len(axes) == 1 else axes or None),
    "swapaxes": _swapaxes,
    "squeeze": _squeeze,
    "reshape": _reshape,
    "ravel": _ravel,
    "flatten": _ravel,
    "diagonal": _diagonal,
    "trace": _trace,
    "clip": _clip,
    "round": _round,
    "astype": lambda a, dtype, **_: astype(a, dtype),
    "copy": FUNCTION_TABLE[np.copy],
}
