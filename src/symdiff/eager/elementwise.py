"""Functions of tensors, element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.eager import arithmetic
from symdiff.eager.arithmetic import quietly
from symdiff.eager.devices import BUSY, CPU
from symdiff.eager.examples import with_example
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform

__all__ = [
    "abs",
    "acos",
    "add",
    "asin",
    "atan",
    "ceil",
    "clip_by_value",
    "cos",
    "cosh",
    "divide",
    "elu",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floordiv",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "pow",
    "reciprocal",
    "relu",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "square",
    "squared_difference",
    "subtract",
    "tan",
    "tanh",
]


_new = object.__new__


def _unary(
    function: Callable[..., Any], name: str, example: str, *, is_quiet: bool = False
) -> Callable[[Any], Tensor]:
    """Make a function of one tensor, element by element; a quiet one does not warn of inf, nan."""
    used = quietly(function) if is_quiet else function

    def apply(x: Any) -> Tensor:
        if type(x) is Tensor and not BUSY and x.place is CPU:
            made = _new(Tensor)
            made.data = used(x.data)
            made.place = CPU
            return made
        return perform(used, x if isinstance(x, Tensor) else as_tensor(x))

    return with_example(apply, name, f"Compute {name} element by element.", example)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _relu(x: Any) -> Any:
    return np.where(x > 0, x, x.dtype.type(0))


def _softplus(x: Any) -> Any:
    return (
        np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
        if isinstance(x, (np.ndarray, np.generic)) or is_on_device(x)
        else np.log(1 + np.exp(x))
    )


def _rsqrt(x: Any) -> Any:
    return 1 / np.sqrt(x)


def _reciprocal(x: Any) -> Any:
    return 1 / x


def _elu(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


abs = _unary(np.abs, "abs", "-1.5 -> np.float32(1.5)")
negative = _unary(np.negative, "negative", "1.5 -> np.float32(-1.5)")
sign = _unary(np.sign, "sign", "-2.0 -> np.float32(-1.0)")
floor = _unary(np.floor, "floor", "1.5 -> np.float32(1.0)")
ceil = _unary(np.ceil, "ceil", "1.5 -> np.float32(2.0)")
round = _unary(np.rint, "round", "2.5 -> np.float32(2.0)")
square = _unary(np.square, "square", "3.0 -> np.float32(9.0)")
sqrt = _unary(np.sqrt, "sqrt", "9.0 -> np.float32(3.0)", is_quiet=True)
exp = _unary(np.exp, "exp", "0.0 -> np.float32(1.0)", is_quiet=True)
log = _unary(np.log, "log", "1.0 -> np.float32(0.0)", is_quiet=True)
log1p = _unary(np.log1p, "log1p", "0.0 -> np.float32(0.0)", is_quiet=True)
expm1 = _unary(np.expm1, "expm1", "0.0 -> np.float32(0.0)", is_quiet=True)
rsqrt = _unary(_rsqrt, "rsqrt", "4.0 -> np.float32(0.5)", is_quiet=True)
reciprocal = _unary(_reciprocal, "reciprocal", "4.0 -> np.float32(0.25)", is_quiet=True)
erf = _unary(scipy.special.erf, "erf", "0.0 -> np.float32(0.0)")
sin = _unary(np.sin, "sin", "0.0 -> np.float32(0.0)")
cos = _unary(np.cos, "cos", "0.0 -> np.float32(1.0)")
tan = _unary(np.tan, "tan", "0.0 -> np.float32(0.0)")
asin = _unary(np.arcsin, "asin", "0.0 -> np.float32(0.0)", is_quiet=True)
acos = _unary(np.arccos, "acos", "1.0 -> np.float32(0.0)", is_quiet=True)
atan = _unary(np.arctan, "atan", "0.0 -> np.float32(0.0)")
sinh = _unary(np.sinh, "sinh", "0.0 -> np.float32(0.0)", is_quiet=True)
cosh = _unary(np.cosh, "cosh", "0.0 -> np.float32(1.0)", is_quiet=True)
tanh = _unary(np.tanh, "tanh", "0.0 -> np.float32(0.0)")
sigmoid = _unary(_sigmoid, "sigmoid", "0.0 -> np.float32(0.5)", is_quiet=True)
relu = _unary(_relu, "relu", "[-1.0, 2.0] -> array([0., 2.], dtype=float32)")
elu = _unary(_elu, "elu", "[0.0, 2.0] -> array([0., 2.], dtype=float32)", is_quiet=True)
softplus = _unary(_softplus, "softplus", "100.0 -> np.float32(100.0)", is_quiet=True)


def _binary(function: Callable[..., Any], name: str, example: str) -> Callable[..., Tensor]:
    def apply(x: Any, y: Any) -> Tensor:
        return perform(function, *as_operands(x, y))

    return with_example(apply, name, f"Compute {name} element by element.", example)


add = _binary(operator.add, "add", "1.0, 2.0 -> np.float32(3.0)")
subtract = _binary(operator.sub, "subtract", "1.0, 2.0 -> np.float32(-1.0)")
multiply = _binary(operator.mul, "multiply", "3.0, 2.0 -> np.float32(6.0)")
divide = _binary(arithmetic.divide, "divide", "3, 2 -> np.float64(1.5)")
floordiv = _binary(arithmetic.floor_divide, "floordiv", "-7, 2 -> np.int32(-4)")
mod = _binary(arithmetic.remainder, "mod", "-7, 2 -> np.int32(1)")
pow = _binary(arithmetic.power, "pow", "2, 3 -> np.int32(8)")
equal = _binary(operator.eq, "equal", "[1, 2], [1, 3] -> array([ True, False])")
not_equal = _binary(operator.ne, "not_equal", "[1, 2], [1, 3] -> array([False, True])")
less = _binary(operator.lt, "less", "1, 2 -> np.True_")
less_equal = _binary(operator.le, "less_equal", "2, 2 -> np.True_")
greater = _binary(operator.gt, "greater", "1, 2 -> np.False_")
greater_equal = _binary(operator.ge, "greater_equal", "2, 2 -> np.True_")
logical_and = _binary(arithmetic.logical_and, "logical_and", "True, False -> np.False_")
logical_or = _binary(arithmetic.logical_or, "logical_or", "True, False -> np.True_")
logical_xor = _binary(arithmetic.logical_xor, "logical_xor", "True, True -> np.False_")


def logical_not(x: Any) -> Tensor:
    """Turn truth values around.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.logical_not([True, False]).numpy()
    array([False, True])
    """
    return ~as_tensor(x)


def squared_difference(x: Any, y: Any) -> Tensor:
    """Square the difference of elements.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.squared_difference([1.0, 2.0], 4.0).numpy()
    array([9., 4.], dtype=float32)
    """
    return square(subtract(x, y))


def clip_by_value(x: Any, lower: Any, upper: Any) -> Tensor:
    """Give what lies outside of two bounds the value of the nearer one.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.clip_by_value([-3.0, 0.5, 3.0], -1.0, 1.0).numpy()
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return minimum(maximum(x, lower), upper)


def maximum(x: Any, y: Any) -> Tensor:
    """Give the larger element; at a tie each has half of the derivative.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.maximum([1.0, 5.0], 3.0).numpy()
    array([3., 5.], dtype=float32)
    """
    return perform(np.maximum, *as_operands(x, y))


def minimum(x: Any, y: Any) -> Tensor:
    """Give the smaller element; at a tie each has half of the derivative.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.minimum([1.0, 5.0], 3.0).numpy()
    array([1., 3.], dtype=float32)
    """
    return perform(np.minimum, *as_operands(x, y))
