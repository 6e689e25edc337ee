"""`Tensor`: an immutable array on a device; its operators run at once.

While a function is traced its tensors are `TracedTensor`: they hold what the tracer knows, and a
`Later`, from which the value for the arguments at hand is computed when Python code asks for it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from symdiff.eager import arithmetic
from symdiff.eager.applying import apply, apply_away
from symdiff.eager.devices import BUSY, CPU, common_device, find_device, move
from symdiff.eager.dtypes import check_number, to_array
from symdiff.eager.indexing import item, template
from symdiff.eager.listeners import LISTENERS, Later
from symdiff.eager.places import Cpu
from symdiff.errors import DTypeError, TracingError, at_user_line
from symdiff.program.sizes import evaluate

__all__ = [
    "Tensor",
    "TracedTensor",
    "as_operands",
    "as_tensor",
    "on_host",
    "perform",
    "shape_now",
    "traced_tensor",
    "wrap",
]


def _binary(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if type(other) is Tensor and not BUSY:
            a, b = self.data, other.data
            if a.dtype == b.dtype and self.place is CPU and other.place is CPU:
                made = _new(Tensor)
                try:
                    made.data = function(a, b)
                except ValueError:
                    return perform(function, self, other)  # which says what is wrong
                made.place = CPU
                return made
        elif other is None:
            return NotImplemented
        elif (
            type(other) is float
            and not BUSY
            and self.place is CPU
            and self.data.dtype.kind == "f"
            and -BIG < other < BIG
        ):
            return wrap(function(self.data, other))
        return perform(function, *as_operands(self, other))

    return method


def _reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        return perform(function, *as_operands(other, self))

    return method


class Tensor:
    """An immutable array on a device, made by `constant` and by operations.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.constant([1.0, 2.0])
    >>> x * 2 + x
    <Tensor shape=(2,) dtype=float32 numpy=array([3., 6.], dtype=float32)>
    >>> (x > 1).numpy()
    array([False,  True])
    """

    __slots__ = ("__weakref__", "data", "place")
    __array_priority__ = 2000
    is_leaf = True
    data: Any
    place: Cpu

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype."""
        return self.data.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self.data.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def device(self) -> str:
        """The name of the device that the data lies on."""
        return self.place.name

    def numpy(self) -> Any:
        """Give the data on the host: a read-only array, or a NumPy scalar for rank 0."""
        value = self.place.get(self.data)
        if not isinstance(value, np.ndarray) or not value.ndim:
            return value[()]
        value = value.view()
        value.flags.writeable = False
        return value

    def cpu(self) -> Tensor:
        """Copy to the CPU."""
        return self.to(CPU)

    def gpu(self, number: int = 0) -> Tensor:
        """Copy to a GPU."""
        return self.to(find_device(f"/gpu:{number}"))

    def to(self, target: Cpu) -> Tensor:
        """Copy to a device."""
        made = wrap(move(self.data, self.place, target, is_asked=True), target)
        for tape in LISTENERS.tapes:
            tape.record(_same, (self,), {}, made)
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":  # np.sum is np.add.reduce
            static = {k: v for k, v in kwargs.items() if v is not None or k == "axis"}
            if "out" in static:
                return NotImplemented
            return perform(getattr(ufunc, method), *[_as_data(x) for x in inputs], **static)
        if kwargs:
            return NotImplemented
        function = _UFUNCS.get(ufunc, ufunc)
        operands = as_operands(*[_as_data(x) for x in inputs])
        return perform(function, *operands)

    def __reduce__(self) -> Any:
        return wrap, (np.array(self.numpy())[()],)

    def __bool__(self) -> bool:
        self._check_single("bool")
        return bool(self.data)

    def __int__(self) -> int:
        self._check_single("int")
        return int(self.numpy())

    def __float__(self) -> float:
        self._check_single("float")
        return float(self.numpy())

    def __index__(self) -> int:
        return operator.index(self.numpy())

    def _check_single(self, what: str) -> None:
        if self.data.size != 1:
            raise ValueError(
                at_user_line(
                    f"{what}() of a tensor of shape {self.shape}: it needs one element; reduce it, "
                    "say with reduce_all"
                )
            )

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec)

    def __repr__(self) -> str:
        value = self.numpy()
        shown = repr(value if isinstance(value, np.ndarray) else value.item())
        return f"<Tensor shape={self.shape} dtype={self.dtype} numpy={shown}>"

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError(at_user_line("a tensor of rank 0 has no length"))
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[n] for n in range(len(self))])

    def __getitem__(self, key: Any) -> Tensor:
        tensors: list[Any] = []
        places = template(key, Tensor, tensors)
        return perform(item, self, *tensors, key=places)

    __hash__ = object.__hash__
    __add__, __radd__ = _binary(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _binary(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _binary(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _binary(arithmetic.divide), _reflected(arithmetic.divide)
    __floordiv__ = _binary(arithmetic.floor_divide)
    __rfloordiv__ = _reflected(arithmetic.floor_divide)
    __mod__, __rmod__ = _binary(arithmetic.remainder), _reflected(arithmetic.remainder)
    __pow__, __rpow__ = _binary(arithmetic.power), _reflected(arithmetic.power)
    __matmul__, __rmatmul__ = _binary(operator.matmul), _reflected(operator.matmul)
    __and__, __rand__ = _binary(arithmetic.logical_and), _reflected(arithmetic.logical_and)
    __or__, __ror__ = _binary(arithmetic.logical_or), _reflected(arithmetic.logical_or)
    __xor__, __rxor__ = _binary(arithmetic.logical_xor), _reflected(arithmetic.logical_xor)
    __eq__, __ne__ = _binary(operator.eq), _binary(operator.ne)
    __lt__, __le__ = _binary(operator.lt), _binary(operator.le)
    __gt__, __ge__ = _binary(operator.gt), _binary(operator.ge)

    def __neg__(self) -> Tensor:
        return perform(np.negative, self)

    def __abs__(self) -> Tensor:
        return perform(np.abs, self)

    def __invert__(self) -> Tensor:
        if self.dtype.kind != "b":
            raise DTypeError(at_user_line(f"~ takes bool tensors, not {self.dtype}"))
        return perform(np.logical_not, self)


class TracedTensor(Tensor):
    """A tensor of a function that is being traced; see `Recording`."""

    __slots__ = ("now",)
    now: Later

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes, which become part of the kernel."""
        context = self.data.context
        return tuple([e if type(e) is int else context.pin(e) for e in self.data.shape_])

    def __bool__(self) -> bool:
        self._check_single("bool")
        is_true = bool(self.now.get())
        LISTENERS.recordings[-1].add_guard(self.data, is_true)
        return is_true

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return Tensor.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)

    def numpy(self) -> NoReturn:
        """Refuse: while a function is traced there is no value to take away."""
        raise TracingError(
            at_user_line(
                "the value of a tensor was asked for inside a function that is compiled; write it "
                "with tfe's functions, or take the value of what the function returns"
            )
        )

    def to(self, target: Cpu) -> Tensor:
        """Stay: a kernel runs on one device."""
        del target
        return self

    def __repr__(self) -> str:
        return f"<Tensor shape={self.shape} dtype={self.dtype} traced>"


_UFUNCS: dict[Any, Any] = {
    np.true_divide: arithmetic.divide,
    np.floor_divide: arithmetic.floor_divide,
    np.remainder: arithmetic.remainder,
    np.power: arithmetic.power,
    np.bitwise_and: arithmetic.logical_and,
    np.bitwise_or: arithmetic.logical_or,
    np.bitwise_xor: arithmetic.logical_xor,
}

_new = object.__new__
BIG = 3e38
"""Numbers below it fit any floating dtype."""


def wrap(value: Any, place: Cpu = CPU) -> Tensor:
    """Make a tensor of data that nobody else will change."""
    made = _new(Tensor)
    made.data = value if place is CPU else place.hold(value)
    made.place = place
    return made


def _same(value: Any) -> Any:
    return value


def _as_data(x: Any) -> Any:
    return as_tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x


def as_tensor(value: Any) -> Tensor:
    """Make a tensor of anything that can be one; see `symdiff.eager.constant`."""
    if isinstance(value, Tensor):
        return value
    now = getattr(value, "as_tensor", None)  # a variable
    if now is not None:
        return now()
    place = common_device([])
    return wrap(move(to_array(value), CPU, place, is_asked=True), place)


def as_operands(*operands: Any) -> list[Any]:
    """Take what stands beside each other: one dtype, and numbers that fit it.

    Raises
    ------
    TypeError
        Two dtypes meet, or a number that the dtype of the tensor would change.
    """
    made = [x if type(x) in (bool, int, float) else as_tensor(x) for x in operands]
    dtypes = [x.dtype for x in made if isinstance(x, Tensor)]
    for dtype in dtypes[1:]:
        if dtype != dtypes[0]:
            raise DTypeError(
                at_user_line(f"tensors of dtypes {dtypes[0]} and {dtype} meet; convert one by cast")
            )
    if len(made) == len(dtypes):
        return made
    if not dtypes:
        return [as_tensor(x) for x in made]
    return [x if isinstance(x, Tensor) else check_number(x, dtypes[0]) for x in made]


def perform(function: Callable[..., Any], *operands: Any, **static: Any) -> Tensor:
    """Apply a function of arrays to tensors: at once, and in the trace that is going on.

    Parameters
    ----------
    function : callable
        Written with NumPy; gives one array. Its keyword arguments are not differentiated by.
    """
    if any(type(x) is TracedTensor for x in operands):
        result = _trace(function, operands, static)
    else:
        tensors = [x for x in operands if isinstance(x, Tensor)]
        place = common_device([x.place for x in tensors])
        values = [
            x.data
            if isinstance(x, Tensor) and x.place is place
            else (move(x.data, x.place, place) if isinstance(x, Tensor) else x)
            for x in operands
        ]
        if place is CPU:
            result = wrap(apply(function, values, static))
        else:
            result = wrap(apply_away(function, values, static, place), place)
    for tape in LISTENERS.tapes:
        tape.record(function, operands, static, result)
    return result


def _trace(
    function: Callable[..., Any], operands: tuple[Any, ...], static: dict[str, Any]
) -> TracedTensor:
    check = arithmetic.integer_check(function)
    if check is not None:
        _check_integers(check, operands[1])
    values = [on_host(x) if isinstance(x, Tensor) else x for x in operands]
    made = _new(TracedTensor)
    made.data = function(*values, **static)
    made.place = CPU
    made.now = Later(function, tuple([_now(x) for x in operands]), static)
    LISTENERS.recordings[-1].made.append(made)
    return made


def _check_integers(check: arithmetic.IntegerCheck, divisor: Any) -> None:
    """Ask what a kernel would not: a call that fails the check leaves the path, and raises."""
    if type(divisor) is TracedTensor and divisor.dtype.kind in "iu":
        check.require(bool(perform(check.is_wrong, divisor)))


def on_host(x: Tensor) -> Any:
    """Give what a tensor holds to a trace, for which it is a constant unless it is traced."""
    return x.data if x.place is CPU else move(x.data, x.place, CPU, is_asked=True)


def _now(x: Any) -> Any:
    if type(x) is TracedTensor:
        return x.now
    return on_host(x) if isinstance(x, Tensor) else x


def shape_now(x: Tensor) -> tuple[int, ...]:
    """Give the lengths of the axes, and let them stay what the kernel does not know."""
    if type(x) is not TracedTensor:
        return x.shape
    return tuple([evaluate(e, x.data.context.values) for e in x.data.shape_])


def traced_tensor(value: Any, now: Any) -> TracedTensor:
    """Make a tensor of the trace that is going on; `now` is its value, or a `Later`."""
    made = _new(TracedTensor)
    made.data = value
    made.place = CPU
    made.now = now if isinstance(now, Later) else Later(_same, (now,), {})
    LISTENERS.recordings[-1].made.append(made)
    return made
