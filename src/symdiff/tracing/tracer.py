"""`TracedArray`: what stands for an array while a function is traced.

A tracer is a view: an array of the Program and an index map. Slicing, transposing and
broadcasting make other views and no equation; an operation appends one equation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import (
    DTypeError,
    ShapeError,
    TracingError,
    UnsupportedOperationError,
    at_user_line,
)
from symdiff.program.affine import Affine, constant, identity
from symdiff.program.equations import Index, IndexValue, Literal, Operand
from symdiff.program.patterns import Pattern
from symdiff.program.sizes import Extent, Size
from symdiff.tracing.context import Context, active_context, check_dtype
from symdiff.tracing.operations import COPY, SQUARE, UFUNCS, power_pattern

__all__ = ["FUNCTIONS", "TracedArray", "TracedSize", "apply_ufunc", "as_traced", "elementwise", "lift"]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What is not elementwise, by NumPy's function; filled by `trace`, the root of this package."""

METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}
"""Methods of ufuncs, such as ``np.add.reduce``; likewise."""


class TracedSize:
    """A size of a traced array, which is known but may differ at the next call.

    Arithmetic on it stays symbolic. Turning it into a number (``int``, ``range``, a comparison)
    is remembered, and the function is traced anew when the answer would be another.
    """

    __slots__ = ("context", "size")
    __array_priority__ = 1000

    def __init__(self, context: Context, size: Extent) -> None:
        self.context = context
        self.size = size

    def _other(self, other: object) -> Extent | None:
        if isinstance(other, TracedSize):
            return other.size
        if isinstance(other, (int, np.integer)) and not isinstance(other, bool):
            return int(other)
        return None

    def _wrap(self, size: Extent) -> TracedSize | int:
        return size if isinstance(size, int) else TracedSize(self.context, size)

    def __add__(self, other: object) -> Any:
        size = self._other(other)
        return as_traced(self) + other if size is None else self._wrap(self.size + size)

    __radd__ = __add__

    def __sub__(self, other: object) -> Any:
        size = self._other(other)
        return as_traced(self) - other if size is None else self._wrap(self.size - size)

    def __rsub__(self, other: object) -> Any:
        size = self._other(other)
        return other - as_traced(self) if size is None else self._wrap(size - self.size)

    def __mul__(self, other: object) -> Any:
        size = self._other(other)
        return as_traced(self) * other if size is None else self._wrap(self.size * size)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Any:
        return as_traced(self) / other

    def __rtruediv__(self, other: object) -> Any:
        return other / as_traced(self)

    def __pow__(self, other: object) -> Any:
        return as_traced(self) ** other

    def __rpow__(self, other: object) -> Any:
        return other ** as_traced(self)

    def __neg__(self) -> Any:
        return -as_traced(self)

    def __int__(self) -> int:
        return self.context.pin(self.size)

    __index__ = __int__

    def __hash__(self) -> int:
        return hash(int(self))

    def __float__(self) -> float:
        return float(int(self))

    def __floordiv__(self, other: Any) -> Any:
        return int(self) // other

    def __rfloordiv__(self, other: Any) -> Any:
        return other // int(self)

    def __mod__(self, other: Any) -> Any:
        return int(self) % other

    def __rmod__(self, other: Any) -> Any:
        return other % int(self)

    def __bool__(self) -> bool:
        return self.context.decide(self.size, "!=")

    def _compare(self, other: object, relation: str) -> bool:
        size = self._other(other)
        if size is None:
            return getattr(operator, {"==": "eq", "!=": "ne", ">=": "ge", "<": "lt"}[relation])(
                int(self), other
            )
        return self.context.decide(self.size - size, relation)

    def __eq__(self, other: object) -> bool:
        return self._compare(other, "==")

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, ">=")

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, "<")

    def __gt__(self, other: Any) -> bool:
        size = self._other(other)
        return int(self) > other if size is None else self >= size + 1

    def __le__(self, other: Any) -> bool:
        size = self._other(other)
        return int(self) <= other if size is None else self < size + 1

    def __repr__(self) -> str:
        return repr(self.size)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return apply_ufunc(self.context, ufunc, method, inputs, kwargs)


class TracedArray:
    """An array without values, standing for an argument of the function that is traced."""

    __slots__ = ("array", "context", "dtype_", "indices", "is_weak", "owns", "shape_")
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
        self.array = array
        self.shape_ = shape
        self.dtype_ = dtype
        self.indices = identity(len(shape)) if indices is None else indices
        self.is_weak = is_weak
        self.owns = owns

    def view(self, indices: tuple[Index, ...], shape: tuple[Extent, ...]) -> TracedArray:
        """Look at the same array through another index map."""
        self.owns = False
        return TracedArray(self.context, self.array, shape, self.dtype_, indices)

    # what it looks like

    @property
    def shape(self) -> tuple[Any, ...]:
        return tuple(e if isinstance(e, int) else TracedSize(self.context, e) for e in self.shape_)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.dtype_)

    @property
    def ndim(self) -> int:
        return len(self.shape_)

    @property
    def size(self) -> Any:
        total: Extent = 1
        for extent in self.shape_:
            total = total * extent
        return TracedSize(self.context, total) if isinstance(total, Size) else total

    @property
    def example(self) -> Any:
        """What `numpy.result_type` takes for it: a Python number where it stands for one."""
        if self.is_weak:
            return 0.0 if self.dtype_.startswith("float") else 0
        return self.dtype

    @property
    def T(self) -> TracedArray:
        return FUNCTIONS[np.transpose](self)

    @property
    def real(self) -> TracedArray:
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

    # what it cannot do

    def _refuse_value(self, what: str, cure: str) -> NoReturn:
        raise TracingError(
            at_user_line(
                f"{what} needs the value of {self!r}, which has none while "
                f"{self.context.name} is traced. {cure}"
            )
        )

    def __bool__(self) -> bool:
        self._refuse_value(
            "a condition (if, while, and, or, not)",
            "Write np.where(condition, a, b), or np.logical_and, np.logical_or, np.logical_not",
        )

    def __float__(self) -> float:
        self._refuse_value("float()", "Leave the conversion out, or use .astype(float)")

    def __int__(self) -> int:
        self._refuse_value("int()", "Leave the conversion out, or use .astype(int)")

    def __index__(self) -> int:
        self._refuse_value(
            "an index or a range",
            "Pass the number from outside by a closure, or select with np.where",
        )

    def __complex__(self) -> complex:
        self._refuse_value("complex()", "Treat real and imaginary parts as two arrays")

    def item(self) -> NoReturn:
        self._refuse_value(".item()", "Leave it out")

    def tolist(self) -> NoReturn:
        self._refuse_value(".tolist()", "Leave it out")

    def __hash__(self) -> int:
        return id(self)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise UnsupportedOperationError(
            at_user_line(
                "assignment into a traced array is not supported. Build the new array with "
                "np.where, np.stack or np.concatenate"
            )
        )

    # indexing

    def __getitem__(self, key: Any) -> TracedArray:
        return FUNCTIONS[operator.getitem](self, key)

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return apply_ufunc(self.context, ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
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

    def in_place(self, ufunc: np.ufunc, other: Any) -> TracedArray:
        """Do ``self op= other``: a new value, which every holder of this one sees too."""
        result = apply_ufunc(self.context, ufunc, "__call__", (self, other), {})
        if not self.shape_:
            return result
        if not self.owns or result.shape_ != self.shape_:
            raise UnsupportedOperationError(
                at_user_line(
                    "in-place arithmetic on an argument, or on an array that has views, is not "
                    "supported. Write x = x + y instead of x += y"
                )
            )
        self.array, self.indices = result.array, result.indices
        return self


def _binary(ufunc: np.ufunc) -> tuple[Any, Any, Any]:
    def forward(self: TracedArray, other: Any) -> Any:
        return apply_ufunc(self.context, ufunc, "__call__", (self, other), {})

    def reflected(self: TracedArray, other: Any) -> Any:
        return apply_ufunc(self.context, ufunc, "__call__", (other, self), {})

    def in_place(self: TracedArray, other: Any) -> Any:
        return self.in_place(ufunc, other)

    return forward, reflected, in_place


def _unary(ufunc: np.ufunc) -> Any:
    return lambda self: apply_ufunc(self.context, ufunc, "__call__", (self,), {})


_OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
for _name, _ufunc in _OPERATORS.items():
    _forward, _reflected, _in_place = _binary(_ufunc)
    setattr(TracedArray, f"__{_name}__", _forward)
    setattr(TracedArray, f"__r{_name}__", _reflected)
    setattr(TracedArray, f"__i{_name}__", _in_place)
for _name, _ufunc in {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}.items():
    setattr(TracedArray, f"__{_name}__", _binary(_ufunc)[0])
for _name, _ufunc in {
    "neg": np.negative,
    "pos": np.positive,
    "abs": np.absolute,
    "invert": np.invert,
}.items():
    setattr(TracedArray, f"__{_name}__", _unary(_ufunc))
for _name in "exp log sqrt sin cos tan tanh sinh cosh arctan conjugate square".split():
    # NumPy calls these on the elements of an object array, such as np.array([x, y]).
    if _name == "conjugate":
        setattr(TracedArray, _name, lambda self: self)
    else:
        setattr(TracedArray, _name, _unary(getattr(np, _name)))


def apply_ufunc(
    context: Context, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Trace a call of a ufunc."""
    active = active_context()
    if active is not None:
        context = active
    if method != "__call__":
        handler = METHODS.get((ufunc, method))
        if handler is None:
            raise UnsupportedOperationError(
                at_user_line(f"np.{ufunc.__name__}.{method} is not supported on traced arrays")
            )
        return handler(*inputs, **kwargs)
    if kwargs:
        return _with_keywords(context, ufunc, inputs, kwargs)
    if ufunc is np.matmul:
        return FUNCTIONS[np.matmul](*inputs)
    operands = [lift(context, x) for x in inputs]
    if any(x is NotImplemented for x in operands):
        return NotImplemented
    pattern = UFUNCS.get(ufunc)
    if pattern is None:
        pattern = _logical(ufunc, operands)
    if ufunc is np.power:
        pattern = _power(operands, pattern)
    elif ufunc is np.multiply and _is_same_view(*operands):
        pattern = SQUARE
    if pattern.arity < len(operands):
        dtype = _result_dtype(ufunc, *[_type_of(x) for x in operands])
        operands = operands[: pattern.arity]
        return elementwise(context, pattern, operands, dtype)
    return elementwise(context, pattern, operands, _result_dtype(ufunc, *map(_type_of, operands)))


def _with_keywords(
    context: Context, ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    dtype = kwargs.pop("dtype", None)
    out = kwargs.pop("out", None)
    if out is not None and any(isinstance(o, np.ndarray) for o in out):
        raise TracingError(
            at_user_line(
                "a traced value cannot be written into a plain NumPy array. Write "
                "x = x + y instead of x += y, or build the array with np.stack"
            )
        )
    if kwargs or out is not None:
        names = ", ".join([*kwargs, *(["out"] if out is not None else [])])
        raise UnsupportedOperationError(
            at_user_line(f"np.{ufunc.__name__} with {names}= is not supported on traced arrays")
        )
    result = apply_ufunc(context, ufunc, "__call__", inputs, {})
    return result if dtype is None else astype(result, dtype)


_LOGICAL = {
    np.bitwise_and: np.logical_and,
    np.bitwise_or: np.logical_or,
    np.bitwise_xor: np.logical_xor,
    np.invert: np.logical_not,
}


def _logical(ufunc: np.ufunc, operands: Sequence[Any]) -> Pattern:
    if ufunc not in _LOGICAL:
        raise UnsupportedOperationError(
            at_user_line(f"np.{ufunc.__name__} is not supported on traced arrays")
        )
    if any(np.dtype(_type_of(x)) != np.bool_ for x in operands):
        raise UnsupportedOperationError(
            at_user_line(
                f"np.{ufunc.__name__} works on traced Booleans only. Compare first, as in "
                "(x > 0) & (y > 0)"
            )
        )
    return UFUNCS[_LOGICAL[ufunc]]


def _power(operands: Sequence[Any], pattern: Pattern) -> Pattern:
    exponent = operands[1]
    if not isinstance(exponent, Literal):
        return pattern
    is_integer = np.dtype(_type_of(operands[0])).kind in "iub"
    if is_integer and isinstance(exponent.value, int) and exponent.value < 0:
        raise UnsupportedOperationError(
            at_user_line(
                "integers to negative integer powers are not allowed. Make the base a float"
            )
        )
    return power_pattern(exponent.value) or pattern


def _is_same_view(a: Any, b: Any) -> bool:
    return (
        isinstance(a, TracedArray)
        and isinstance(b, TracedArray)
        and a.array == b.array
        and a.indices == b.indices
        and a.dtype_.startswith("float")
    )


def _type_of(x: Any) -> Any:
    """What NumPy's promotion takes for an operand: a Python type where that is weak."""
    if isinstance(x, TracedArray):
        return type(x.example) if x.is_weak else x.dtype_
    if isinstance(x, Literal):
        return {"weak_float": float, "weak_int": int}.get(x.dtype, x.dtype)
    return "int64"


@cache
def _result_dtype(ufunc: np.ufunc, *types: Any) -> str:
    given = [t if isinstance(t, type) else np.dtype(t) for t in types]
    try:
        dtype = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))[ufunc.nin]
    except TypeError as error:
        raise DTypeError(at_user_line(str(error))) from None
    if dtype == np.float16:
        return "float64"
    return check_dtype(dtype)


def lift(context: Context, x: Any) -> TracedArray | Literal | IndexValue:
    """Make an operand of whatever stands beside a tracer."""
    if isinstance(x, TracedArray):
        if x.context is context:
            return x
        return TracedArray(
            context, context.capture(x), _shape_in(context, x), x.dtype_, is_weak=x.is_weak
        )
    if isinstance(x, TracedSize):
        return IndexValue(constant(x.size))
    if isinstance(x, bool):
        return Literal(x, "bool")
    if isinstance(x, float) and not isinstance(x, np.floating):
        return Literal(x, "weak_float")
    if isinstance(x, int):
        return Literal(x, "weak_int")
    if isinstance(x, np.generic):
        return Literal(x.item(), check_dtype(x.dtype))
    if isinstance(x, (list, tuple)):
        x = np.array(x)
    if isinstance(x, np.ndarray):
        return _lift_array(context, x)
    raise DTypeError(
        at_user_line(
            f"a {type(x).__name__} cannot be used with traced arrays; allowed are numbers and "
            "NumPy arrays of numbers"
        )
    )


def _shape_in(context: Context, outer: TracedArray) -> tuple[Extent, ...]:
    return context.types[context.capture(outer)].shape


def _lift_array(context: Context, x: np.ndarray) -> TracedArray | Literal:
    if x.dtype == object:
        return stack_objects(context, x)
    if x.ndim == 0:
        return Literal(x.item(), check_dtype(x.dtype))
    return TracedArray(context, context.add_constant(x), x.shape, check_dtype(x.dtype))


def stack_objects(context: Context, x: np.ndarray) -> TracedArray:
    """Make one traced array of an object array such as ``np.array([a, b * c])``."""
    elements = [as_traced(e, context) for e in x.ravel()]
    if any(e.shape_ for e in elements):
        raise ShapeError(at_user_line("np.array of traced arrays of rank > 0: use np.stack"))
    if not elements:
        raise DTypeError(at_user_line("an empty object array cannot be traced"))
    dtype = np.result_type(*[e.example for e in elements]).name
    name = context.new_array(x.shape, dtype)
    for position, element in zip(np.ndindex(x.shape), elements, strict=True):
        context.emit(
            COPY,
            [context.read(element, ())],
            (),
            dtype,
            target=tuple(constant(i) for i in position),
            array=name,
        )
    return TracedArray(context, name, x.shape, dtype, owns=True)


def as_traced(x: Any, context: Context | None = None) -> TracedArray:
    """Make a tracer of anything that can stand beside one.

    Raises
    ------
    TracingError
        There is no trace going on.
    """
    context = active_context() or context
    if context is None:
        raise TracingError("as_traced outside of a trace")
    operand = lift(context, x)
    if isinstance(operand, TracedArray):
        return operand
    dtype = "int64"
    if isinstance(operand, Literal):
        dtype = {"weak_float": "float64", "weak_int": "int64"}.get(operand.dtype, operand.dtype)
        operand = Literal(operand.value, dtype)
    is_weak = dtype == "float64" and not isinstance(x, np.generic)
    return TracedArray(
        context, context.emit(COPY, [operand], (), dtype), (), dtype, is_weak=is_weak
    )


def elementwise(
    context: Context, pattern: Pattern, operands: Sequence[Any], dtype: str
) -> TracedArray:
    """Append one elementwise equation over the broadcast shape of its operands."""
    shapes = [x.shape_ for x in operands if isinstance(x, TracedArray)]
    shape: tuple[Extent, ...] = ()
    if any(shapes):
        shape = shapes[0] if len(shapes) == 1 else context.broadcast(shapes)
    reads: list[Operand] = []
    for x in operands:
        if isinstance(x, TracedArray):
            reads.append(context.read(x, shape))
        elif isinstance(x, Literal) and x.dtype.startswith("weak"):
            reads.append(Literal(x.value, _strong_dtype(operands, x)))
        else:
            reads.append(x)
    is_weak = dtype == "float64" and all(
        x.is_weak if isinstance(x, TracedArray) else not isinstance(x, Literal) or "weak" in x.dtype
        for x in operands
    )
    name = context.emit(pattern, reads, shape, dtype)
    return TracedArray(context, name, shape, dtype, is_weak=is_weak, owns=True)


def astype(x: Any, dtype: Any) -> TracedArray:
    """Convert to a dtype."""
    traced = as_traced(x)
    name = check_dtype(dtype)
    if name == traced.dtype_ and not traced.is_weak:
        return traced
    return elementwise(traced.context, COPY, [traced], name)


def _strong_dtype(operands: Sequence[Any], literal: Literal) -> str:
    """The dtype that a Python number takes beside these operands."""
    strong = [x.dtype_ for x in operands if isinstance(x, TracedArray) and not x.is_weak]
    return np.result_type(*strong, literal.value).name
