"""`Variable`: a value that changes, read by reference by the functions that are compiled."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

import numpy as np

from symdiff.eager.devices import CPU, move
from symdiff.eager.dtypes import check_number
from symdiff.eager.listeners import LISTENERS, Later, outside_recordings
from symdiff.eager.operations import convert_to_tensor
from symdiff.eager.places import Cpu
from symdiff.eager.tensor import Tensor, TracedTensor, as_tensor, wrap
from symdiff.errors import DTypeError, ShapeError, UnsupportedOperationError, at_user_line

__all__ = ["Variable"]

_numbers = count()


class Variable:
    """A tensor's worth of state.

    Parameters
    ----------
    initial : array_like, or callable
        The value to begin with; a callable gives it.
    trainable : bool
        Whether implicit gradients are by this variable, and tapes watch it.
    name : str, optional
    dtype : dtype, optional

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> v = tfe.Variable([1.0, 2.0])
    >>> v.assign_add([1.0, 1.0])
    >>> (v * 2).numpy()
    array([4., 6.], dtype=float32)
    """

    __array_priority__ = 3000
    __array_ufunc__ = Tensor.__array_ufunc__

    def __init__(
        self, initial: Any, trainable: bool = True, name: str | None = None, dtype: Any = None
    ) -> None:
        if callable(initial):
            with outside_recordings():
                initial = initial()
        made = convert_to_tensor(initial, dtype)
        self.tensor = wrap(made.now.get()) if isinstance(made, TracedTensor) else made
        """The value, unseen by traces and tapes."""
        self.number = next(_numbers)
        self.name = name if name and name.isidentifier() else "variable"
        self.trainable = trainable

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype, which stays."""
        return self.tensor.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes, which stay."""
        return self.tensor.shape

    @property
    def device(self) -> str:
        """The device that the value lies on."""
        return self.tensor.device

    @property
    def place(self) -> Cpu:
        """The device itself."""
        return self.tensor.place

    def value(self) -> Tensor:
        """Read the value, which later assignments do not change."""
        recordings = LISTENERS.recordings
        if recordings:
            return recordings[-1].read(self)
        for tape in LISTENERS.tapes:
            tape.read(self, self.tensor)
        return self.tensor

    as_tensor = value

    def value_at(self, place: Cpu) -> Any:
        """Give the array for a kernel on a device, unseen by traces and tapes."""
        tensor = self.tensor
        if tensor.place is place:
            return tensor.data
        return move(tensor.data, tensor.place, place, is_asked=True)

    def value_now(self) -> Any:
        """Give the array on the host."""
        return self.value_at(CPU)

    def value_first(self) -> Any:
        """Give the value that a trace goes by, or what copies it when somebody asks."""
        return self.tensor.data if self.place is CPU else Later(self.value_at, (CPU,), {})

    def numpy(self) -> Any:
        """Give the value on the host."""
        return self.value().numpy()

    def assign(self, value: Any) -> None:
        """Take another value.

        Raises
        ------
        ValueError
            Its shape is another.
        TypeError
            Its dtype is another.
        """
        self.put(self._fitting(value))

    def assign_add(self, delta: Any) -> None:
        """Add to the value."""
        self._put_array(operator.add, self._fitting(delta).data)

    def assign_sub(self, delta: Any) -> None:
        """Subtract from the value."""
        self._put_array(operator.sub, self._fitting(delta).data)

    def _put_array(self, function: Callable[..., Any], delta: Any) -> None:
        """Compute the next value where the value lies; no tape follows an assignment."""
        place = self.tensor.place
        if place is CPU:
            self.put(wrap(function(self.tensor.data, delta)))
        elif LISTENERS.recordings:
            self.put(self.tensor)  # which is refused
        else:
            self.put(wrap(place.run(function, self.tensor.data, delta), place))

    def put(self, made: Tensor) -> None:
        """Take a tensor that fits for the value."""
        if LISTENERS.recordings:
            raise UnsupportedOperationError(
                at_user_line(
                    "a variable was assigned to inside a function that is differentiated; return "
                    "the new value, and assign it outside"
                )
            )
        self.tensor = made

    def _fitting(self, value: Any) -> Tensor:
        dtype = self.dtype
        if type(value) in (bool, int, float):
            made = wrap(dtype.type(check_number(value, dtype)))
        else:
            made = as_tensor(value)
        if made.shape != self.shape:
            raise ShapeError(
                at_user_line(f"a value of shape {made.shape} for a variable of shape {self.shape}")
            )
        if made.dtype != dtype:
            raise DTypeError(
                at_user_line(f"a value of dtype {made.dtype} for a variable of dtype {dtype}")
            )
        if isinstance(made, TracedTensor):
            return made
        place = self.tensor.place
        if made.place is place:
            return wrap(made.data, place)
        is_asked = not isinstance(value, (Tensor, Variable))  # numbers and lists lie nowhere
        return wrap(move(made.data, made.place, place, is_asked=is_asked), place)

    def __reduce__(self) -> Any:
        value = np.array(self.tensor.numpy())[()]
        return Variable, (value, self.trainable, self.name, self.dtype)

    def __iadd__(self, other: Any) -> NoReturn:
        raise TypeError(at_user_line("a variable does not change by +=; use v.assign_add(x)"))

    def __isub__(self, other: Any) -> NoReturn:
        raise TypeError(at_user_line("a variable does not change by -=; use v.assign_sub(x)"))

    def __imul__(self, other: Any) -> NoReturn:
        raise TypeError(at_user_line("a variable does not change by *=; use v.assign(v * x)"))

    __itruediv__ = __imul__
    __hash__ = object.__hash__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value().__array__(dtype, copy)

    def __repr__(self) -> str:
        value = self.tensor.numpy()
        shown = repr(value if isinstance(value, np.ndarray) else value.item())
        return f"<Variable {self.name} shape={self.shape} dtype={self.dtype} numpy={shown}>"


def _through_value(name: str) -> Callable[..., Any]:
    method = getattr(Tensor, name)

    def apply(self: Variable, *args: Any) -> Any:
        value = self.value()
        return (
            getattr(value, name)(*args) if isinstance(value, TracedTensor) else method(value, *args)
        )

    apply.__name__ = name
    return apply


_OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
]
for _name in [
    *[f"__{n}__" for n in _OPERATORS],
    *[f"__r{n}__" for n in _OPERATORS],
    *[f"__{n}__" for n in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "abs", "invert")],
    *[f"__{n}__" for n in ("bool", "int", "float", "index", "format", "len", "iter", "getitem")],
    "cpu",
    "gpu",
]:
    setattr(Variable, _name, _through_value(_name))
