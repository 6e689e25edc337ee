"""Products that sum over indices: each is one equation over all of its letters."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import constant, index
from symdiff.program.equations import Read
from symdiff.program.patterns import pattern, placeholder
from symdiff.program.sizes import Extent
from symdiff.tracing.arguments import as_axes, refuse_keywords
from symdiff.tracing.context import Context
from symdiff.tracing.indexing import compose_affine
from symdiff.tracing.shapes import ravel
from symdiff.tracing.tracer import TracedArray, as_traced, astype

__all__ = [
    "dot",
    "einsum",
    "einsum_path",
    "inner",
    "matmul",
    "multiply_outer",
    "outer",
    "tensordot",
    "vdot",
]


def matmul(a: Any, b: Any, dtype: Any = None) -> TracedArray:
    """Do `numpy.matmul`."""
    x, y = (as_traced(v) if dtype is None else astype(v, dtype) for v in (a, b))
    if not x.ndim or not y.ndim:
        raise ShapeError(at_user_line("matmul of a scalar: use *"))
    left = "ij" if x.ndim > 1 else "j"
    right = "jk" if y.ndim > 1 else "j"
    batch = "ABCDEFGH"[: max(x.ndim, y.ndim) - min(2, max(x.ndim, y.ndim))]
    x_letters = batch[len(batch) - max(0, x.ndim - 2) :] + left
    y_letters = batch[len(batch) - max(0, y.ndim - 2) :] + right
    result = batch + left.replace("j", "") + right.replace("j", "")
    return _contract([x_letters, y_letters], result, [x, y], "matmul")


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Do `numpy.dot`."""
    refuse_keywords("np.dot", out=out)
    x, y = as_traced(a), as_traced(b)
    if not x.ndim or not y.ndim:
        return x * y
    if y.ndim <= 2:
        letters = "ABCDEFGHIJ"[: x.ndim - 1]
        right = "jk" if y.ndim == 2 else "j"
        return _contract([letters + "j", right], letters + right[1:], [x, y], "dot")
    letters, others = "ABCDEFGH"[: x.ndim - 1], "abcdefgh"[: y.ndim - 2]
    return _contract([letters + "j", others + "jk"], letters + others + "k", [x, y], "dot")


def vdot(a: Any, b: Any) -> Any:
    """Do `numpy.vdot`."""
    return dot(ravel(a), ravel(b))


def inner(a: Any, b: Any) -> Any:
    """Do `numpy.inner`."""
    x, y = as_traced(a), as_traced(b)
    if not x.ndim or not y.ndim:
        return x * y
    left, right = "ABCDEFGH"[: x.ndim - 1], "abcdefgh"[: y.ndim - 1]
    return _contract([left + "z", right + "z"], left + right, [x, y], "inner")


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Do `numpy.outer`, which lays its arguments out flat."""
    refuse_keywords("np.outer", out=out)
    return multiply_outer(ravel(a), ravel(b))


def multiply_outer(a: Any, b: Any, **kwargs: Any) -> Any:
    """Do ``np.multiply.outer``, which keeps the axes of both."""
    refuse_keywords("np.multiply.outer", **kwargs)
    x, y = as_traced(a), as_traced(b)
    return x[(..., *[None] * y.ndim)] * y


def tensordot(a: Any, b: Any, axes: Any = 2) -> TracedArray:
    """Do `numpy.tensordot`."""
    x, y = as_traced(a), as_traced(b)
    if isinstance(axes, int):
        first, second = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        first, second = as_axes(axes[0], x.ndim), as_axes(axes[1], y.ndim)
    if len(first) != len(second):
        raise ShapeError(
            at_user_line(f"tensordot: {len(first)} axes of one array, {len(second)} of the other")
        )
    left = list("ABCDEFGHIJ"[: x.ndim])
    right = list("abcdefghij"[: y.ndim])
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    kept = [c for n, c in enumerate(left) if n not in first]
    kept += [c for n, c in enumerate(right) if n not in second]
    return _contract(["".join(left), "".join(right)], "".join(kept), [x, y], "tensordot")


def einsum(
    subscripts: Any, *operands: Any, out: Any = None, optimize: Any = None, **kwargs: Any
) -> TracedArray:
    """Do `numpy.einsum`, from left to right; ``optimize`` may only ask for an order of our own."""
    refuse_keywords("np.einsum", out=out, **kwargs)
    if not isinstance(subscripts, str):
        subscripts, operands = _written_subscripts([subscripts, *operands])
    terms, result, arrays = _parse(subscripts, operands)
    for places in _path(optimize, len(arrays)):
        chosen, given = [terms[n] for n in places], [arrays[n] for n in places]
        for n in sorted(places, reverse=True):
            del terms[n], arrays[n]
        rest = "".join(terms) + result
        kept = "".join(dict.fromkeys(c for c in "".join(chosen) if c in rest))
        made = _contract(chosen, kept if arrays else result, given, "einsum")
        terms.append(kept)
        arrays.append(made)
    return arrays[0]


def _path(optimize: Any, count: int) -> list[tuple[int, ...]]:
    """Which operands to contract in each step: the user's path, or from left to right."""
    if isinstance(optimize, (list, tuple)) and optimize and optimize[0] == "einsum_path":
        return [tuple(step) for step in optimize[1:]]
    if not (optimize is None or isinstance(optimize, (bool, str))):
        raise UnsupportedOperationError(
            at_user_line(
                f"np.einsum with optimize={optimize!r}; allowed are True, False, the name of a "
                "method, and a path ['einsum_path', (i, j), ...] as np.einsum_path gives it"
            )
        )
    if count <= 2:
        return [tuple(range(count))]
    # a result is put last, so that it is the last operand from the second step on
    return [(0, 1), *[(0, n) for n in range(count - 2, 0, -1)]]


def _written_subscripts(arguments: list[Any]) -> tuple[str, tuple[Any, ...]]:
    """Write the form ``einsum(a, [0, 1], b, [1, 2], [0, 2])`` with letters."""
    count = len(arguments) // 2
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def write(labels: Any) -> str:
        return "".join("..." if n is Ellipsis else letters[operator.index(n)] for n in labels)

    text = ",".join(write(labels) for labels in arguments[1 : 2 * count : 2])
    if len(arguments) % 2:
        text += "->" + write(arguments[-1])
    return text, tuple(arguments[: 2 * count : 2])


def _parse(subscripts: str, operands: Sequence[Any]) -> tuple[list[str], str, list[TracedArray]]:
    """Give the letters of each operand and of the result, without dots."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    arrays = [as_traced(x) for x in operands]
    if len(terms) != len(arrays):
        raise ShapeError(at_user_line("np.einsum: as many operands as subscripts, please"))
    if "." in subscripts:
        terms, result = _expand_ellipsis(terms, result if arrow else None, arrays)
    elif not arrow:
        result = _implied_result("".join(terms))
    strange = [c for c in result if c not in "".join(terms)]
    if strange or len(set(result)) < len(result):
        raise ShapeError(
            at_user_line(
                f"np.einsum: the result {result!r} has a letter twice, or one that no operand has"
            )
        )
    return terms, result, arrays


def einsum_path(subscripts: Any, *operands: Any, optimize: Any = "greedy") -> Any:
    """Do `numpy.einsum_path`, for the sizes of now."""
    examples = [
        np.broadcast_to(0.0, tuple(v.context.pin(e) for e in v.shape_))
        if isinstance(v, TracedArray)
        else v
        for v in (subscripts, *operands)
    ]
    return np.einsum_path(*examples, optimize=optimize)


def _implied_result(letters: str) -> str:
    """The letters that stand once, in order: what `numpy.einsum` gives without an arrow."""
    return "".join(sorted(c for c in set(letters) if letters.count(c) == 1))


def _expand_ellipsis(
    terms: list[str], result: str | None, arrays: Sequence[TracedArray]
) -> tuple[list[str], str]:
    """Put letters of our own in for the dots."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    spare = [c for c in letters if all(c not in t for t in terms)]
    widths = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, arrays, strict=True)]
    block = "".join(spare[: max(widths)])
    expanded = [
        t.replace("...", block[len(block) - w :]) for t, w in zip(terms, widths, strict=True)
    ]
    if result is not None and block and "." not in result:
        raise ShapeError(at_user_line("np.einsum: the subscripts of the result lack the dots"))
    if result is None:
        result = "..." + _implied_result("".join(terms).replace(".", ""))
    return expanded, result.replace("...", block)


def _contract(
    terms: Sequence[str], result: str, arrays: Sequence[TracedArray], name: str
) -> TracedArray:
    """Multiply and sum by index letters: one equation."""
    context = arrays[0].context
    extents = _extents_of_letters(context, terms, arrays, name)
    order = [*result, *[c for c in extents if c not in result]]
    number = {c: n for n, c in enumerate(order)}
    reads = []
    for term, x in zip(terms, arrays, strict=True):
        by = [
            constant(0)
            if x.shape_[a] != extents[c] and context.decide(x.shape_[a] - 1, "==")
            else index(number[c])
            for a, c in enumerate(term)
        ]
        reads.append(Read(x.array, compose_affine(x.indices, by)))
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
        operator=("or=" if dtype == "bool" else "+=") if len(order) > len(result) else "=",
        target=tuple(index(n) for n in range(len(result))),
        shape=shape,
    )
    return TracedArray(context, array, shape, dtype, owns=True)


def _extents_of_letters(
    context: Context, terms: Sequence[str], arrays: Sequence[TracedArray], name: str
) -> dict[str, Extent]:
    """Give every letter the one size that its axes have."""
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
    return extents
