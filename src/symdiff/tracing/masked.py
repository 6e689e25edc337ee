"""`Masked`: what ``x[x > 0]`` is while values are unknown.

How many elements a traced mask selects is not known, so all are kept, and the mask beside them.
Arithmetic goes element by element, sums leave out what the mask leaves out, and assignment through
the same mask, ``y[x > 0] = np.log(x[x > 0])``, is a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import ShapeError, TracingError, UnsupportedOperationError, at_user_line
from symdiff.program.equations import Read
from symdiff.tracing.context import Context
from symdiff.tracing.dispatch import FUNCTIONS
from symdiff.tracing.operators import Operators
from symdiff.tracing.traced_array import TracedArray

__all__ = ["ELEMENTWISE", "Masked", "is_same_value", "masked_ufunc"]


class Masked(Operators):
    """The elements that a mask selects, in a row, with their number unknown.

    Parameters
    ----------
    values : TracedArray
        All elements.
    mask : TracedArray
        Which are meant; its axes are the first of those of `values`.
    """

    __slots__ = ("context", "mask", "values")
    __array_priority__ = 1000

    def __init__(self, values: TracedArray, mask: TracedArray) -> None:
        self.context = values.context
        self.values = values
        self.mask = mask

    @property
    def dtype(self) -> np.dtype:
        """The type of its elements."""
        return self.values.dtype

    @property
    def ndim(self) -> int:
        """The number of its axes: that of the selected elements, and what is behind the mask."""
        return 1 + self.values.ndim - self.mask.ndim

    @property
    def size(self) -> Any:
        """The number of its elements, which is known only at the call."""
        behind = self.values.shape[self.mask.ndim :]
        count: Any = FUNCTIONS[np.sum](self.mask)
        for extent in behind:
            count = count * extent
        return count

    @property
    def shape(self) -> NoReturn:
        """Refuse: it is known only at the call."""
        raise self._unknown("its shape")

    def __len__(self) -> int:
        raise self._unknown("len()")

    def __iter__(self) -> NoReturn:
        raise self._unknown("iteration")

    def __getitem__(self, key: Any) -> NoReturn:
        raise self._unknown("indexing")

    def __bool__(self) -> NoReturn:
        raise self._unknown("a condition")

    def _unknown(self, what: str) -> TracingError:
        return TracingError(
            at_user_line(
                f"{what} of elements selected by a mask depends on how many there are, which is "
                "known only at the call. Write np.where(mask, a, b), or use np.sum(mask) for "
                "their number"
            )
        )

    def full_mask(self) -> Any:
        """Give the mask all axes of the values."""
        behind = self.values.ndim - self.mask.ndim
        return self.mask[(..., *[None] * behind)] if behind else self.mask

    def in_place(self, ufunc: np.ufunc, other: Any) -> Any:
        """Do ``self op= other``: a new value, which the assignment behind it puts back."""
        return self._apply(ufunc, self, other)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return masked_ufunc(self.context, ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if function in ELEMENTWISE and args and isinstance(args[0], Masked):
            x = args[0]
            rest = [_unwrapped(a, x) for a in args[1:]]
            return Masked(FUNCTIONS[function](x.values, *rest, **kwargs), x.mask)
        reduce = _REDUCTIONS.get(function)
        if reduce is None or not args or not isinstance(args[0], Masked):
            name = f"np.{function.__name__}"
            raise self._unknown(name)
        return reduce(args[0], *args[1:], **kwargs)

    def sum(self, **kwargs: Any) -> Any:
        """Do ``np.sum(self)``."""
        return np.sum(self, **kwargs)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def mean(self, **kwargs: Any) -> Any:
        """Do ``np.mean(self)``."""
        return np.mean(self, **kwargs)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def max(self, **kwargs: Any) -> Any:
        """Do ``np.max(self)``."""
        return np.max(self, **kwargs)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def min(self, **kwargs: Any) -> Any:
        """Do ``np.min(self)``."""
        return np.min(self, **kwargs)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def copy(self) -> Masked:
        """Give itself: it is never changed."""
        return self


def masked_ufunc(
    context: Context, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a ufunc to all elements, and keep the mask."""
    first = next(x for x in inputs if isinstance(x, Masked))
    if method != "__call__":
        raise UnsupportedOperationError(
            at_user_line(f"np.{ufunc.__name__}.{method} of elements selected by a mask")
        )
    given = tuple([_unwrapped(x, first) for x in inputs])
    result = FUNCTIONS[np.ufunc](context, ufunc, method, given, kwargs)
    if isinstance(result, tuple):
        return tuple([Masked(r, first.mask) for r in result])
    return Masked(result, first.mask)


def _unwrapped(x: Any, like: Masked) -> Any:
    """Take the values of what stands beside a selection, if the same elements are meant."""
    if isinstance(x, Masked):
        if not is_same_value(like.context, x.mask, like.mask):
            raise ShapeError(
                at_user_line(
                    "elements selected by two different masks do not fit together. Write both "
                    "masks in the same way, or use np.where"
                )
            )
        return x.values
    rank = np.ndim(x) if not isinstance(x, TracedArray) else x.ndim
    if rank > like.ndim - 1:
        raise ShapeError(
            at_user_line(
                f"an array of rank {rank} beside elements selected by a mask, whose number is "
                "known only at the call. Select from it by the same mask"
            )
        )
    return x


def is_same_value(context: Context, a: TracedArray, b: TracedArray) -> bool:
    """Whether two arrays are computed in the same way, such as two times ``x > 0``."""
    if a.indices != b.indices or a.shape_ != b.shape_:
        return False
    made: dict[str, list[Any]] = {}
    for equation in context.equations:
        made.setdefault(equation.array, []).append(equation)

    def same(x: str, y: str, depth: int) -> bool:
        if x == y:
            return True
        ours, theirs = made.get(x, []), made.get(y, [])
        if len(ours) != 1 or len(theirs) != 1 or depth > 30:
            return False
        p, q = ours[0], theirs[0]
        if (p.pattern, p.operator, p.extents, p.target) != (
            q.pattern,
            q.operator,
            q.extents,
            q.target,
        ):
            return False
        return all(
            (o.indices == r.indices and same(o.array, r.array, depth + 1))
            if isinstance(o, Read) and isinstance(r, Read)
            else o == r
            for o, r in zip(p.operands, q.operands, strict=True)
        )

    return same(a.array, b.array, 0)


def _check_axis(x: Masked, axis: Any, rest: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Take the axes of the mask for the first axis of the selection."""
    rest = {k: v for k, v in rest.items() if v is not None}
    if rest:
        raise UnsupportedOperationError(
            at_user_line(f"{name} with {', '.join(rest)}= of elements selected by a mask")
        )
    count = x.mask.ndim
    if axis is None:
        return tuple(range(x.values.ndim))
    if axis in (0, -x.ndim):
        return tuple(range(count))
    raise UnsupportedOperationError(
        at_user_line(f"{name} of elements selected by a mask reduces axis 0, or all axes")
    )


def _sum(x: Masked, axis: Any = None, **rest: Any) -> Any:
    axes = _check_axis(x, axis, rest, "np.sum")
    kept: Any = FUNCTIONS[np.where](x.full_mask(), x.values, 0)
    return FUNCTIONS[np.sum](kept, axis=axes)


def _prod(x: Masked, axis: Any = None, **rest: Any) -> Any:
    axes = _check_axis(x, axis, rest, "np.prod")
    return FUNCTIONS[np.prod](FUNCTIONS[np.where](x.full_mask(), x.values, 1), axis=axes)


def _count(x: Masked, axis: Any) -> Any:
    return x.size if axis is None else FUNCTIONS[np.sum](x.mask)


def _mean(x: Masked, axis: Any = None, **rest: Any) -> Any:
    return _sum(x, axis, **rest) / _count(x, axis)


def _var(x: Masked, axis: Any = None, ddof: Any = 0, **rest: Any) -> Any:
    deviation = Masked(x.values - _mean(x, axis, **rest), x.mask)
    return _sum(deviation * deviation, axis) / (_count(x, axis) - ddof)


def _std(x: Masked, axis: Any = None, ddof: Any = 0, **rest: Any) -> Any:
    return np.sqrt(_var(x, axis, ddof, **rest))


def _extremum(function: Any, worst: float) -> Callable[..., Any]:
    def reduce(x: Masked, axis: Any = None, **rest: Any) -> Any:
        axes = _check_axis(x, axis, rest, f"np.{function.__name__}")
        if x.dtype.kind != "f":
            raise UnsupportedOperationError(
                at_user_line(f"np.{function.__name__} of whole numbers selected by a mask")
            )
        kept = FUNCTIONS[np.where](x.full_mask(), x.values, worst)
        found = FUNCTIONS[function](kept, axis=axes)
        # NumPy raises where nothing is selected; a kernel gives NaN, which cannot be overlooked.
        return FUNCTIONS[np.where](FUNCTIONS[np.any](x.mask), found, np.nan)

    return reduce


def _any(x: Masked, axis: Any = None, **rest: Any) -> Any:
    axes = _check_axis(x, axis, rest, "np.any")
    both: Any = x.full_mask() & (x.values != 0)
    return FUNCTIONS[np.any](both, axis=axes)


def _all(x: Masked, axis: Any = None, **rest: Any) -> Any:
    axes = _check_axis(x, axis, rest, "np.all")
    either: Any = ~x.full_mask() | (x.values != 0)
    return FUNCTIONS[np.all](either, axis=axes)


_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.prod: _prod,
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.max: _extremum(np.max, -np.inf),
    np.min: _extremum(np.min, np.inf),
    np.any: _any,
    np.all: _all,
    np.size: lambda x, axis=None: _count(x, axis),
    np.ndim: lambda x: x.ndim,
    np.count_nonzero: lambda x, axis=None: _sum(x != 0, axis),
}
ELEMENTWISE = frozenset([np.clip, np.round, np.around, np.nan_to_num, np.sinc, np.real])
"""Functions that are no ufuncs and work element by element."""
