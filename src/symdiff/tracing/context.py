"""The state of one trace: equations as they come, and what was assumed on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from symdiff.config import config
from symdiff.errors import (
    DTypeError,
    ProgramTooLargeError,
    ShapeError,
    TracingError,
    at_user_line,
    user_frame,
)
from symdiff.program.affine import Affine, constant, identity, index
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    Location,
    Operand,
    Read,
    number_type,
    substitute,
)
from symdiff.program.patterns import Pattern
from symdiff.program.program import Guard
from symdiff.program.sizes import Extent, Size, evaluate, symbol

if TYPE_CHECKING:
    from symdiff.tracing.tracer import TracedArray

__all__ = [
    "DTYPES",
    "Context",
    "active_context",
    "check_dtype",
    "keeping_sizes",
    "keeps_sizes",
    "outside_traces",
]

_INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = frozenset(["bool", *_INTEGERS, "float32", "float64"])

_state = threading.local()


def active_context() -> Context | None:
    """Give the innermost trace that this thread is in."""
    stack = getattr(_state, "stack", None)
    return stack[-1] if stack else None


def check_dtype(dtype: Any) -> str:
    """Name a dtype, or say that it cannot be used."""
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    name = np.dtype(dtype).name
    if name not in DTYPES:
        raise DTypeError(
            at_user_line(
                f"dtype {name} cannot be traced; allowed are {', '.join(sorted(DTYPES))}. "
                "Convert with .astype(np.float64), or treat real and imaginary parts as two "
                "arrays."
            )
        )
    return name


@contextmanager
def outside_traces() -> Iterator[None]:
    """Let kernels run for values that are at hand, whatever is traced around."""
    before = getattr(_state, "stack", [])
    _state.stack = []
    try:
        yield
    finally:
        _state.stack = before


@contextmanager
def keeping_sizes() -> Iterator[None]:
    """Let no trace take a size for a number because it is small."""
    before = keeps_sizes()
    _state.keeps_sizes = True
    try:
        yield
    finally:
        _state.keeps_sizes = before


def keeps_sizes() -> bool:
    """Whether loops over few rows are to be loops for any number of rows."""
    return getattr(_state, "keeps_sizes", False)


class Context:
    """Collects the equations of one trace; a ``with`` block makes it the active one.

    Parameters
    ----------
    name : str
        The traced function's name, for messages and printing.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[str] = []
        self.types: dict[str, ArrayType] = {}
        self.equations: list[Equation] = []
        self.constants: dict[str, np.ndarray] = {}
        self.guards: dict[Guard, None] = {}
        self.values: dict[str, int] = {}
        self.captured: dict[str, TracedArray] = {}
        self.natural: set[str] = set()
        """Integers that are known not to be negative."""
        self.progressions: dict[str, Extent] = {}
        """Arrays made by ``np.arange(start, stop)``, and where they start."""
        self.reserved: frozenset[str] = frozenset()
        self.is_repeated = False
        """Whether this is the step of a loop, or in one."""
        self._counter = 0
        self._constant_names: dict[int, tuple[str, np.ndarray]] = {}
        self._symbols: dict[int, Size] = {}

    def __enter__(self) -> Self:
        if not hasattr(_state, "stack"):
            _state.stack = []
        _state.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _state.stack.pop()

    @property
    def is_active(self) -> bool:
        """Whether this trace is going on, here or in a caller."""
        return self in getattr(_state, "stack", ())

    def new_array(self, shape: tuple[Extent, ...], dtype: str, wanted: str | None = None) -> str:
        """Name a new array; without a wish the name is provisional (see `naming`)."""
        if wanted is None:
            self._counter += 1
            wanted = f"%{self._counter}"
        name = wanted
        number = 0
        while name in self.types:
            number += 1
            name = f"{wanted}_{number}"
        self.types[name] = ArrayType(shape, dtype) if shape else number_type(dtype)
        return name

    def add_input(self, wanted: str, shape: Sequence[Extent], dtype: str) -> str:
        """Add an input array."""
        name = self.new_array(tuple(shape), dtype, wanted)
        self.inputs.append(name)
        return name

    def leading_symbol(self, value: int) -> Size:
        """Give the size symbol of leading axes that are `value` long now."""
        if value not in self._symbols:
            made = self.symbol_number(len(self._symbols))
            self._symbols[value] = made
            self.values[repr(made)] = value
        return self._symbols[value]

    def symbol_number(self, number: int) -> Size:
        """Name the sizes of a Program n, n1, n2, ..., but for names of arguments."""
        free = (name for k in count() if (name := f"n{k or ''}") not in self.reserved)
        return symbol(next(islice(free, number, None)))

    def add_constant(self, data: np.ndarray) -> str:
        """Keep a copy of an array that the function had at hand; the same one is kept once."""
        known = self._constant_names.get(id(data))
        if known is not None and np.array_equal(self.constants[known[0]], data, equal_nan=True):
            return known[0]
        dtype = check_dtype(data.dtype)
        name = self.new_array(data.shape, dtype, "c")
        copy = np.array(data, dtype=dtype, order="C")
        copy.setflags(write=False)
        self.constants[name] = copy
        self._constant_names[id(data)] = (name, data)
        return name

    def decide(self, size: Extent, relation: str) -> bool:
        """Tell whether ``size (relation) 0`` holds now, and remember that it was asked."""
        if isinstance(size, int):
            return Guard(size, relation).holds({})
        opposite = {"==": "!=", "!=": "==", ">=": "<", "<": ">="}[relation]
        guard = Guard(size, relation)
        if guard.holds(self.values):
            self.guards[guard] = None
            return True
        self.guards[Guard(size, opposite)] = None
        return False

    def pin(self, size: Extent) -> int:
        """Take a size for the number that it is now."""
        value = evaluate(size, self.values)
        self.decide(size - value, "==")
        return value

    def emit(
        self,
        pattern: Pattern | Block,
        operands: Sequence[Operand],
        extents: tuple[Extent, ...],
        dtype: str,
        *,
        operator: str = "=",
        target: tuple[Index, ...] | None = None,
        shape: tuple[Extent, ...] | None = None,
        array: str | None = None,
    ) -> str:
        """Append an equation, to a new array unless one is given; return the array's name."""
        if array is None:
            array = self.new_array(extents if shape is None else shape, dtype)
        if target is None:
            target = identity(len(extents))
        if len(self.equations) >= config.max_equations:
            raise ProgramTooLargeError(
                at_user_line(
                    f"tracing {self.name} passed {config.max_equations} operations. Loops in "
                    "Python are unrolled: write them over arrays, or raise "
                    "sd.config.max_equations"
                )
            )
        self.equations.append(
            Equation(array, target, operator, pattern, tuple(operands), extents, _location())
        )
        return array

    def unify(self, a: Extent, b: Extent) -> Extent:
        """Give the extent of two axes that broadcast together."""
        if b in (a, 1):
            return a
        if a == 1:
            return b
        if self.decide(a - b, "=="):
            return a if isinstance(a, int) else b
        if self.decide(b - 1, "=="):
            return a
        if self.decide(a - 1, "=="):
            return b
        raise ShapeError

    def broadcast(self, shapes: Sequence[tuple[Extent, ...]]) -> tuple[Extent, ...]:
        """Broadcast shapes by NumPy's rules."""
        result: tuple[Extent, ...] = shapes[0]
        for shape in shapes[1:]:
            if shape == result:
                continue
            short, long = sorted((result, shape), key=len)
            offset = len(long) - len(short)
            try:
                tail = [self.unify(a, b) for a, b in zip(short, long[offset:], strict=True)]
            except ShapeError:
                raise ShapeError(
                    at_user_line(
                        "shapes do not broadcast together: "
                        + " and ".join(self.show_shape(s) for s in shapes)
                    )
                ) from None
            result = (*long[:offset], *tail)
        return result

    def show_shape(self, shape: tuple[Extent, ...]) -> str:
        """Write a shape with its sizes now."""
        return str(tuple(evaluate(e, self.values) for e in shape))

    def read(self, view: TracedArray, shape: tuple[Extent, ...]) -> Read:
        """Read a view at the loop indices of a shape that it broadcasts to."""
        array, indices = view.looked_at()
        if not indices:
            return Read(array, ())
        skipped = len(shape) - len(view.shape_)
        by: list[Affine] = []
        is_same = skipped == 0
        for axis, extent in enumerate(view.shape_):
            wide = shape[skipped + axis]
            if extent != wide and self.decide(extent - 1, "=="):
                by.append(constant(0))
                is_same = False
            else:
                by.append(index(skipped + axis))
        return Read(array, indices if is_same else substitute(indices, by))

    def capture(self, outer: TracedArray) -> str:
        """Make an input of a value that belongs to an enclosing trace."""
        if not outer.context.is_active:
            raise TracingError(
                at_user_line(
                    f"a traced value of {outer.context.name} was used after its trace had "
                    "ended. Return it from the function instead of keeping it in a global or "
                    "an attribute"
                )
            )
        for name, known in self.captured.items():
            is_same = known.context is outer.context and known.array == outer.array
            if is_same and (known.indices, known.shape_) == (outer.indices, outer.shape_):
                return name
        shape = tuple(self._adopt(e, outer.context) for e in outer.shape_)
        wanted = "captured" if outer.array.startswith("%") else outer.array
        name = self.add_input(wanted, shape, outer.dtype_)
        self.captured[name] = outer.snapshot()
        return name

    def _adopt(self, extent: Extent, outer: Context) -> Extent:
        if isinstance(extent, int):
            return extent
        return self.leading_symbol(evaluate(extent, outer.values))


def _location() -> Location | None:
    frame = user_frame()
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)
