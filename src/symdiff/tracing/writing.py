"""NumPy's functions that write into their first argument, as assignments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, UnsupportedOperationError, at_user_line
from symdiff.tracing.arguments import refuse_keywords
from symdiff.tracing.assignment import setitem
from symdiff.tracing.pointwise import where
from symdiff.tracing.shapes import broadcast_to, ravel
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = ["WRITING"]


def _target(a: Any, name: str) -> TracedArray:
    if isinstance(a, TracedArray):
        return a
    raise UnsupportedOperationError(
        at_user_line(
            f"{name} of a traced value into an array from outside. Make the array inside the "
            "function"
        )
    )


def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Do `numpy.copyto`."""
    del casting  # assignment converts, as NumPy's own does
    x = _target(dst, "np.copyto")
    if where is True:
        setitem(x, Ellipsis, src)
    else:
        putmask(x, broadcast_to(where, x.shape), broadcast_to(src, x.shape))


def putmask(a: Any, mask: Any, values: Any) -> None:
    """Do `numpy.putmask` for values that need not be repeated."""
    x, new = _target(a, "np.putmask"), as_traced(values)
    if new.ndim and new.shape_ != x.shape_:
        raise UnsupportedOperationError(
            at_user_line("np.putmask repeats values of another shape, which is not supported")
        )
    setitem(x, Ellipsis, where(mask, new, x))


def place(arr: Any, mask: Any, vals: Any) -> None:
    """Do `numpy.place` for one value."""
    new = as_traced(vals)
    if new.ndim and not new.context.decide(new.shape_[0] - 1, "=="):
        raise UnsupportedOperationError(
            at_user_line("np.place of several values is not supported: use np.where")
        )
    putmask(arr, mask, new if not new.ndim else new[0])


def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    """Do `numpy.put` at places that are plain numbers."""
    refuse_keywords("np.put", mode=None if mode == "raise" else mode)
    x = _target(a, "np.put")
    if isinstance(ind, TracedArray):
        raise UnsupportedOperationError(
            at_user_line("np.put at places that are known only at the call: use np.add.at")
        )
    places, new = np.asarray(ind).ravel(), as_traced(v)
    if new.ndim:
        flat = ravel(new)
        new = flat[np.arange(places.size) % new.context.pin(flat.shape_[0])]
    shape = tuple([x.context.pin(e) for e in x.shape_])
    total = int(np.prod(shape))
    if np.any((places >= total) | (places < -total)):
        raise ShapeError(at_user_line(f"np.put: a place is out of bounds for size {total}"))
    setitem(x, np.unravel_index(places % max(total, 1), shape), new)


def fill_diagonal(a: Any, val: Any, wrap: Any = False) -> None:
    """Do `numpy.fill_diagonal`."""
    refuse_keywords("np.fill_diagonal", wrap=wrap or None)
    x = _target(a, "np.fill_diagonal")
    if x.ndim < 2:
        raise ValueError(at_user_line("array must be at least 2-d"))
    count = min(x.context.pin(e) for e in x.shape_)
    new = as_traced(val)
    if new.ndim:
        flat = ravel(new)
        new = flat[np.arange(count) % new.context.pin(flat.shape_[0])]
    setitem(x, tuple([np.arange(count)] * x.ndim), new)


WRITING: dict[Any, Callable[..., Any]] = {
    np.copyto: copyto,
    np.putmask: putmask,
    np.place: place,
    np.put: put,
    np.fill_diagonal: fill_diagonal,
}
