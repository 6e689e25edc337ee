"""`TracedArray`: what stands for an array while a function is traced.

A tracer is a view: an array of the Program and an index map. Slicing, transposing and
broadcasting make other views and no equation; an operation appends one equation.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import DTypeError, TracingError, UnsupportedOperationError, at_user_line
from symdiff.program.affine import identity
from symdiff.program.equations import Index, compose
from symdiff.program.sizes import Extent, product
from symdiff.tracing.buffers import DETACHED, ELEMENT, Buffer, box_of
from symdiff.tracing.context import Context
from symdiff.tracing.dispatch import FUNCTIONS
from symdiff.tracing.operators import Operators
from symdiff.tracing.traced_size import as_size

__all__ = ["TracedArray", "call_traced"]


def call_traced(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call one of NumPy's functions with traced arrays among its arguments."""
    handler = FUNCTIONS.get(function)
    if handler is None:
        name = f"{function.__module__}.{function.__name__}"
        raise UnsupportedOperationError(
            at_user_line(
                f"{name} is not supported on traced arrays. Write it with elementwise "
                "functions, reductions, indexing and @, or compute it before on plain arrays"
            )
        )
    return handler(*args, **kwargs)


class TracedArray(Operators):
    """An array without values, standing for an argument of the function that is traced.

    Parameters
    ----------
    context : Context
        The trace that it belongs to.
    array : str
        The array of the Program that it looks at.
    shape, dtype
        What it looks like.
    indices : tuple of Index, optional
        The index map from its own axes to those of `array`; by default the same axes.
    is_weak : bool
        Whether it stands for a Python number, which takes the dtype of what it meets.
    owns : bool
        Whether nothing else looks at `array`, so that in-place arithmetic may replace it.
    """

    __slots__ = (
        "_held",
        "buffer",
        "context",
        "dtype_",
        "is_weak",
        "map",
        "owns",
        "shape_",
    )
    __array_priority__ = 1000

    def __init__(
        self,
        context: Context,
        array: str,
        shape: tuple[Extent, ...],
        dtype: str,
        indices: tuple[Index, ...] | None = None,
        *,
        is_weak: bool = False,
        owns: bool = False,
    ) -> None:
        self.context = context
        self.buffer = Buffer(array)
        self.shape_ = shape
        self.dtype_ = dtype
        self.map = identity(len(shape)) if indices is None else indices
        self.is_weak = is_weak
        self.owns = owns
        self._held: tuple[TracedArray, int] | None = None

    @property
    def array(self) -> str:
        """The array that its buffer holds now, with all writes done."""
        return self.looked_at()[0]

    @property
    def indices(self) -> tuple[Index, ...]:
        """The index map from its own axes to those of `array`."""
        return self.looked_at()[1]

    def looked_at(self) -> tuple[str, tuple[Index, ...]]:
        """Give `array` and `indices`."""
        buffer = self.buffer
        if self._held is not None:
            value, version = self._held
            if version == buffer.version:
                return value.buffer.array, value.map
        if buffer.pending:
            return FUNCTIONS[Buffer](self), self.map
        return buffer.array, self.map

    def snapshot(self) -> TracedArray:
        """What it is now, whatever is written later."""
        return TracedArray(
            self.context,
            self.array,
            self.shape_,
            self.dtype_,
            self.indices,
            is_weak=self.is_weak,
        )

    def view(self, indices: tuple[Index, ...], shape: tuple[Extent, ...]) -> TracedArray:
        """Look at the same memory through another index map from the axes of `array`."""
        array, _ = self.looked_at()
        seen = TracedArray(self.context, array, shape, self.dtype_, indices)
        if self._held is None:
            seen.buffer = self.buffer
        else:
            seen.buffer.refusal = DETACHED
        return seen

    def part(
        self, indices: tuple[Index, ...], by: Sequence[Index], shape: tuple[Extent, ...]
    ) -> TracedArray:
        """Look at a part: `by` from its own axes, `indices` from those of the memory.

        A part that has been written whole, and is pending, is read as it was written. A single
        element is no view, as in NumPy.
        """
        buffer = self.buffer
        value: TracedArray | None = None
        if self._held is not None and self._held[1] == buffer.version:
            value = self._held[0]
            composed = compose(value.map, by)
            assert composed is not None
            value = TracedArray(self.context, value.buffer.array, shape, self.dtype_, composed)
        elif buffer.pending:
            box = box_of(indices, shape, self.context.types[buffer.array].shape)
            value = buffer.pending.get(box) if box is not None else None
        if value is None:
            array = FUNCTIONS[Buffer](self) if buffer.pending else buffer.array
            seen = TracedArray(self.context, array, shape, self.dtype_, indices)
        elif shape:
            seen = TracedArray(self.context, buffer.array, shape, self.dtype_, indices)
            seen._held = (value, buffer.version)
        else:
            seen = value.snapshot()
        if shape:
            seen.buffer = buffer
        else:
            seen.buffer.refusal = ELEMENT
        return seen

    # what it looks like

    @property
    def shape(self) -> tuple[Any, ...]:
        """Its size along each axis: numbers, and `TracedSize` where they may change."""
        return tuple(as_size(self.context, e) for e in self.shape_)

    @property
    def dtype(self) -> np.dtype:
        """The type of its elements."""
        return np.dtype(self.dtype_)

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.shape_)

    @property
    def size(self) -> Any:
        """The number of its elements."""
        return as_size(self.context, product(self.shape_))

    @property
    def example(self) -> Any:
        """What `numpy.result_type` takes for it: a Python number where it stands for one."""
        if self.is_weak:
            return 0.0 if self.dtype_.startswith("float") else 0
        return self.dtype

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The array with its axes in reverse order."""
        return FUNCTIONS[np.transpose](self)

    @property
    def real(self) -> TracedArray:
        """The array itself: it is real."""
        return self

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.shape_))
        return f"TracedArray({self.array}: {self.dtype_}[{shape}])"

    def __len__(self) -> int:
        if not self.shape_:
            raise TypeError("len() of unsized object")
        return self.context.pin(self.shape_[0])

    def __iter__(self) -> Iterator[TracedArray]:
        if not self.shape_:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(len(self))])

    # what it cannot do, for want of values

    def _lacks_value(self, what: str, cure: str) -> TracingError:
        return TracingError(
            at_user_line(
                f"{what} needs the value of {self!r}, which has none while "
                f"{self.context.name} is traced. {cure}"
            )
        )

    def __bool__(self) -> bool:
        raise self._lacks_value(
            "a condition (if, while, and, or, not)",
            "Write np.where(condition, a, b), or np.logical_and, np.logical_or, np.logical_not",
        )

    def __float__(self) -> float:
        raise self._lacks_value("float()", "Leave the conversion out, or use .astype(float)")

    def __int__(self) -> int:
        raise self._lacks_value("int()", "Leave the conversion out, or use .astype(int)")

    def __index__(self) -> int:
        raise self._lacks_value(
            "an index or a range",
            "Pass the number from outside by a closure, or select with np.where",
        )

    def __complex__(self) -> complex:
        raise self._lacks_value("complex()", "Treat real and imaginary parts as two arrays")

    def item(self) -> NoReturn:
        """Refuse: there is no value yet."""
        raise self._lacks_value(".item()", "Leave it out")

    def tolist(self) -> NoReturn:
        """Refuse: there are no values yet."""
        raise self._lacks_value(".tolist()", "Leave it out")

    # indexing, and arithmetic in place

    def __getitem__(self, key: Any) -> TracedArray:
        return FUNCTIONS[operator.getitem](self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        FUNCTIONS[operator.setitem](self, key, value)

    def in_place(self, ufunc: np.ufunc, other: Any) -> TracedArray:
        """Do ``self op= other``: what it looks at holds a new value, which all views see."""
        result = self._apply(ufunc, self, other)
        if not self.shape_:
            return result
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise DTypeError(
                at_user_line(
                    f"in-place arithmetic gives {result.dtype_}, which an array of "
                    f"{self.dtype_} cannot hold. Write x = x + y instead of x += y"
                )
            )
        self[...] = result
        return self

    def fill(self, value: Any) -> None:
        """Set all elements to one value."""
        self[...] = value

    def sort(self, axis: Any = -1, **kwargs: Any) -> None:
        """Sort in place."""
        self[...] = FUNCTIONS[np.sort](self, axis, **kwargs)

    # NumPy's protocols

    @property
    def __array__(self) -> Any:
        """Its values, if they depend on sizes alone; otherwise it has no such method."""
        values = FUNCTIONS[np.ndarray.__array__](self)
        if values is None:
            raise AttributeError("__array__")
        return lambda dtype=None, **_: values if dtype is None else values.astype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(hasattr(x, "full_mask") for x in inputs):
            return NotImplemented  # a selection by a mask knows what to do
        out = kwargs.pop("out", None) or ()
        if any(isinstance(o, np.ndarray) and hasattr(o, "__symdiff__") for o in out):
            return NotImplemented  # which is then asked of that array
        if not any(isinstance(o, TracedArray) for o in out):
            given = {**kwargs, "out": out} if out else kwargs
            return FUNCTIONS[np.ufunc](self.context, ufunc, method, inputs, given)
        result = FUNCTIONS[np.ufunc](self.context, ufunc, method, inputs, kwargs)
        results = result if isinstance(result, tuple) else (result,)
        for target, value in zip(out, results, strict=True):
            target[...] = value
        return out[0] if len(out) == 1 else out

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return call_traced(function, args, kwargs)

    # NumPy's methods, each with the parameters of the function

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.sum(self, ...)``."""
        return FUNCTIONS[np.sum](self, *args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.mean(self, ...)``."""
        return FUNCTIONS[np.mean](self, *args, **kwargs)

    def var(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.var(self, ...)``."""
        return FUNCTIONS[np.var](self, *args, **kwargs)

    def std(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.std(self, ...)``."""
        return FUNCTIONS[np.std](self, *args, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.max(self, ...)``."""
        return FUNCTIONS[np.max](self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.min(self, ...)``."""
        return FUNCTIONS[np.min](self, *args, **kwargs)

    def prod(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.prod(self, ...)``."""
        return FUNCTIONS[np.prod](self, *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.any(self, ...)``."""
        return FUNCTIONS[np.any](self, *args, **kwargs)

    def all(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.all(self, ...)``."""
        return FUNCTIONS[np.all](self, *args, **kwargs)

    def dot(self, b: Any, out: Any = None) -> Any:
        """Do ``np.dot(self, b)``."""
        return FUNCTIONS[np.dot](self, b, out)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.trace(self, ...)``."""
        return FUNCTIONS[np.trace](self, *args, **kwargs)

    def transpose(self, *axes: Any) -> Any:
        """Do ``np.transpose(self, axes)``; the axes may be arguments of their own."""
        return FUNCTIONS[np.transpose](self, axes[0] if len(axes) == 1 else axes or None)

    def swapaxes(self, axis1: Any, axis2: Any) -> Any:
        """Do ``np.swapaxes(self, axis1, axis2)``."""
        return FUNCTIONS[np.swapaxes](self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        """Do ``np.squeeze(self, axis)``."""
        return FUNCTIONS[np.squeeze](self, axis)

    def reshape(self, *shape: Any, order: Any = "C", copy: Any = None) -> Any:
        """Do ``np.reshape(self, shape)``; the sizes may be arguments of their own."""
        is_one = len(shape) == 1 and isinstance(shape[0], (tuple, list))
        return FUNCTIONS[np.reshape](self, shape[0] if is_one else shape, order, copy=copy)

    def ravel(self, order: Any = "C") -> Any:
        """Do ``np.ravel(self)``."""
        return FUNCTIONS[np.ravel](self, order)

    def flatten(self, order: Any = "C") -> Any:
        """Lay a copy out flat."""
        return FUNCTIONS[np.ndarray.flatten](self, order)

    def diagonal(self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Any:
        """Do ``np.diagonal(self, ...)``."""
        return FUNCTIONS[np.diagonal](self, offset, axis1, axis2)

    def clip(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.clip(self, ...)``."""
        return FUNCTIONS[np.clip](self, *args, **kwargs)

    def round(self, decimals: Any = 0, out: Any = None) -> Any:
        """Do ``np.round(self, decimals)``."""
        return FUNCTIONS[np.round](self, decimals, out)

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Convert to a dtype, with the parameters of `numpy.ndarray.astype`."""
        return FUNCTIONS[np.ndarray.astype](self, dtype, *args, **kwargs)

    def copy(self, order: Any = "C") -> Any:
        """Do ``np.copy(self)``."""
        return FUNCTIONS[np.copy](self, order)

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.argmax(self, ...)``."""
        return FUNCTIONS[np.argmax](self, *args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.argmin(self, ...)``."""
        return FUNCTIONS[np.argmin](self, *args, **kwargs)

    def argsort(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.argsort(self, ...)``."""
        return FUNCTIONS[np.argsort](self, *args, **kwargs)

    def cumsum(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.cumsum(self, ...)``."""
        return FUNCTIONS[np.cumsum](self, *args, **kwargs)

    def cumprod(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.cumprod(self, ...)``."""
        return FUNCTIONS[np.cumprod](self, *args, **kwargs)

    def searchsorted(self, *args: Any, **kwargs: Any) -> Any:
        """Do ``np.searchsorted(self, ...)``."""
        return FUNCTIONS[np.searchsorted](self, *args, **kwargs)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """Do ``np.repeat(self, ...)``."""
        return FUNCTIONS[np.repeat](self, repeats, axis)

    def take(self, indices: Any, axis: Any = None, **kwargs: Any) -> Any:
        """Do ``np.take(self, ...)``."""
        return FUNCTIONS[np.take](self, indices, axis, **kwargs)

    def compress(self, condition: Any, axis: Any = None) -> Any:
        """Do ``np.compress(condition, self)``."""
        return FUNCTIONS[np.compress](condition, self, axis)

    def choose(self, choices: Any, **kwargs: Any) -> Any:
        """Do ``np.choose(self, choices)``."""
        return FUNCTIONS[np.choose](self, choices, **kwargs)

    def conj(self) -> TracedArray:
        """Give the array itself: it is real."""
        return self

    @property
    def imag(self) -> Any:
        """Zeros: it is real."""
        return FUNCTIONS[np.zeros_like](self)

    @property
    def flat(self) -> Any:
        """Its elements in a row."""
        return FUNCTIONS[np.ravel](self)

    @property
    def mT(self) -> Any:  # noqa: N802 - NumPy's name
        """The array with its last two axes exchanged."""
        return FUNCTIONS[np.swapaxes](self, -1, -2)

    @property
    def nbytes(self) -> Any:
        """How many bytes its elements take."""
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """How many bytes an element takes."""
        return self.dtype.itemsize
