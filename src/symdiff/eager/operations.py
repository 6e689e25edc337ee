"""Functions of tensors. Each is one NumPy function, or a few, on arrays that may be traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.eager.arithmetic import quietly
from symdiff.eager.devices import BUSY, CPU, common_device, move
from symdiff.eager.dtypes import to_array
from symdiff.eager.tensor import Tensor, as_operands, as_tensor, perform, wrap
from symdiff.errors import DTypeError, at_user_line
from symdiff.tracing.pointwise import stop_gradient as stopped

__all__ = [
    "abs",
    "argmax",
    "argmin",
    "cast",
    "concat",
    "constant",
    "convert_to_tensor",
    "cos",
    "exp",
    "floor",
    "identity",
    "log",
    "matmul",
    "maximum",
    "minimum",
    "negative",
    "ones",
    "ones_like",
    "reduce_all",
    "reduce_any",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "relu",
    "reshape",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "stop_gradient",
    "tanh",
    "transpose",
    "where",
    "zeros",
    "zeros_like",
]

Axis = int | Sequence[int] | None


def constant(value: Any, dtype: Any = None) -> Tensor:
    """Make a tensor of numbers, nested lists of numbers, or NumPy data, which is copied.

    Raises
    ------
    ValueError
        Lists are ragged, or mix bool with numbers.
    TypeError
        A float for an integer dtype.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.constant([1, 2.5])
    <Tensor shape=(2,) dtype=float32 numpy=array([1. , 2.5], dtype=float32)>
    >>> tfe.constant(3), tfe.constant(2**33).dtype
    (<Tensor shape=() dtype=int32 numpy=3>, dtype('int64'))
    """
    if isinstance(value, Tensor):
        return convert_to_tensor(value, dtype)
    if isinstance(value, (list, tuple)) and any(isinstance(x, Tensor) for x in value):
        return convert_to_tensor(stack(value), dtype)
    place = common_device([])
    return wrap(move(to_array(value, dtype), CPU, place, is_asked=True), place)


def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """Give a tensor as it is, a variable's value, and make a `constant` of anything else.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.constant(1.0)
    >>> tfe.convert_to_tensor(x) is x
    True
    """
    if not isinstance(value, Tensor) and not hasattr(value, "as_tensor"):
        return constant(value, dtype)
    made = as_tensor(value)
    if dtype is not None and made.dtype != dtype:
        raise DTypeError(at_user_line(f"a tensor of dtype {made.dtype} is not {dtype}; use cast"))
    return made


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Make a tensor of zeros.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.zeros(2).numpy()
    array([0., 0.], dtype=float32)
    """
    return constant(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Make a tensor of ones.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.ones([1, 2], "int32").numpy()
    array([[1, 1]], dtype=int32)
    """
    return constant(np.ones(shape, dtype))


def zeros_like(x: Any) -> Tensor:
    """Make zeros of the shape and dtype of a tensor."""
    return perform(np.zeros_like, as_tensor(x))


def ones_like(x: Any) -> Tensor:
    """Make ones of the shape and dtype of a tensor."""
    return perform(np.ones_like, as_tensor(x))


def cast(x: Any, dtype: Any) -> Tensor:
    """Convert to another dtype.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.cast(tfe.constant([1.7, -1.7]), "int32").numpy()
    array([ 1, -1], dtype=int32)
    """
    return perform(_cast, as_tensor(x), dtype=np.dtype(dtype))


def _cast(x: Any, dtype: np.dtype) -> Any:
    return x.astype(dtype)


def _example(name: str, example: str) -> str:
    """Write a docstring's example of a function that is made."""
    given, shown = example.split(" -> ")
    lines = ["", "", "Examples", "--------", ">>> import symdiff.eager as tfe"]
    return "\n    ".join([*lines, f">>> tfe.{name}({given}).numpy()", shown, ""])


def _unary(
    function: Callable[..., Any], name: str, example: str, *, is_quiet: bool = False
) -> Callable[[Any], Tensor]:
    """Make a function of one tensor, element by element; a quiet one does not warn of inf, nan."""
    used = quietly(function) if is_quiet else function

    def apply(x: Any) -> Tensor:
        if type(x) is Tensor and not BUSY:
            return wrap(used(x.data), x.place)
        return perform(used, x if isinstance(x, Tensor) else as_tensor(x))

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"Compute {name} element by element.{_example(name, example)}"
    return apply


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _relu(x: Any) -> Any:
    return np.where(x > 0, x, x.dtype.type(0))


def _softplus(x: Any) -> Any:
    return (
        np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
        if isinstance(x, (np.ndarray, np.generic))
        else np.log(1 + np.exp(x))
    )


abs = _unary(np.abs, "abs", "-1.5 -> np.float32(1.5)")
negative = _unary(np.negative, "negative", "1.5 -> np.float32(-1.5)")
sign = _unary(np.sign, "sign", "-2.0 -> np.float32(-1.0)")
floor = _unary(np.floor, "floor", "1.5 -> np.float32(1.0)")
round = _unary(np.rint, "round", "2.5 -> np.float32(2.0)")
square = _unary(np.square, "square", "3.0 -> np.float32(9.0)")
sqrt = _unary(np.sqrt, "sqrt", "9.0 -> np.float32(3.0)", is_quiet=True)
exp = _unary(np.exp, "exp", "0.0 -> np.float32(1.0)", is_quiet=True)
log = _unary(np.log, "log", "1.0 -> np.float32(0.0)", is_quiet=True)
sin = _unary(np.sin, "sin", "0.0 -> np.float32(0.0)")
cos = _unary(np.cos, "cos", "0.0 -> np.float32(1.0)")
tanh = _unary(np.tanh, "tanh", "0.0 -> np.float32(0.0)")
sigmoid = _unary(_sigmoid, "sigmoid", "0.0 -> np.float32(0.5)", is_quiet=True)
relu = _unary(_relu, "relu", "[-1.0, 2.0] -> array([0., 2.], dtype=float32)")
softplus = _unary(_softplus, "softplus", "100.0 -> np.float32(100.0)", is_quiet=True)


def identity(x: Any) -> Tensor:
    """Give a tensor of the same value."""
    return perform(np.positive, as_tensor(x))


def stop_gradient(x: Any) -> Tensor:
    """Give the value, and let derivatives take it for a constant.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.gradients_function(lambda x: x * tfe.stop_gradient(x))(3.0)[0].numpy()
    np.float32(3.0)
    """
    return perform(stopped, as_tensor(x))


def maximum(x: Any, y: Any) -> Tensor:
    """Give the larger element; at a tie each has half of the derivative."""
    return perform(np.maximum, *as_operands(x, y))


def minimum(x: Any, y: Any) -> Tensor:
    """Give the smaller element; at a tie each has half of the derivative."""
    return perform(np.minimum, *as_operands(x, y))


def matmul(a: Any, b: Any) -> Tensor:
    """Multiply matrices.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy()
    array([[11.]], dtype=float32)
    """
    return perform(np.matmul, *as_operands(a, b))


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """Choose element by element; the branch not taken adds nothing to derivatives.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.where([True, False], [1.0, 2.0], 0.5).numpy()
    array([1. , 0.5], dtype=float32)
    """
    chosen = as_tensor(condition)
    if chosen.dtype.kind != "b":
        raise DTypeError(at_user_line(f"where takes a bool condition, not {chosen.dtype}"))
    return perform(np.where, chosen, *as_operands(x, y))


def _reduction(function: Callable[..., Any], name: str, example: str) -> Callable[..., Tensor]:
    def apply(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        axes = tuple(axis) if isinstance(axis, (list, tuple)) else axis
        made = x if isinstance(x, Tensor) else as_tensor(x)
        return perform(function, made, axis=axes, keepdims=keepdims)

    apply.__name__ = apply.__qualname__ = name
    text = f"Reduce by {name[7:]} over one axis, several, or all."
    apply.__doc__ = text + _example(name, example)
    return apply


def _sum(x: Any, axis: Axis, keepdims: bool) -> Any:
    kind = x.dtype.kind
    return np.sum(x, axis=axis, keepdims=keepdims, **({"dtype": x.dtype} if kind in "iu" else {}))


reduce_sum = _reduction(_sum, "reduce_sum", "[1.0, 2.0] -> np.float32(3.0)")
reduce_mean = _reduction(np.mean, "reduce_mean", "[1.0, 2.0] -> np.float32(1.5)")
reduce_max = _reduction(np.max, "reduce_max", "[1.0, 2.0] -> np.float32(2.0)")
reduce_min = _reduction(np.min, "reduce_min", "[1.0, 2.0] -> np.float32(1.0)")
reduce_prod = _reduction(np.prod, "reduce_prod", "[2.0, 3.0] -> np.float32(6.0)")
reduce_all = _reduction(np.all, "reduce_all", "[True, False] -> np.False_")
reduce_any = _reduction(np.any, "reduce_any", "[True, False] -> np.True_")


def argmax(x: Any, axis: int = 0) -> Tensor:
    """Give the place of the largest element along an axis."""
    return perform(np.argmax, as_tensor(x), axis=axis)


def argmin(x: Any, axis: int = 0) -> Tensor:
    """Give the place of the smallest element along an axis."""
    return perform(np.argmin, as_tensor(x), axis=axis)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Give exponentials that add up to one along an axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.softmax([1000.0, 1000.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return perform(_softmax, as_tensor(x), axis=axis)


def _softmax(x: Any, axis: int) -> Any:
    e = np.exp(x - stopped(np.max(x, axis=axis, keepdims=True)))
    return e / np.sum(e, axis=axis, keepdims=True)


def reshape(x: Any, shape: Any) -> Tensor:
    """Give the elements another shape; one length may be -1.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.reshape([[1, 2], [3, 4]], [-1]).numpy()
    array([1, 2, 3, 4], dtype=int32)
    """
    wanted = tuple(shape) if isinstance(shape, (list, tuple)) else shape
    return perform(_reshape, as_tensor(x), shape=wanted)


def _reshape(x: Any, shape: Any) -> Any:
    return np.reshape(x, shape)


def transpose(x: Any, axes: Any = None) -> Tensor:
    """Put the axes into another order, by default the reverse."""
    return perform(np.transpose, as_tensor(x), axes=None if axes is None else tuple(axes))


def stack(values: Sequence[Any], axis: int = 0) -> Tensor:
    """Put tensors of one shape side by side along a new axis.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> tfe.stack([1.0, tfe.constant(2.0)]).numpy()
    array([1., 2.], dtype=float32)
    """
    return perform(_stack, *as_operands(*[as_tensor(v) for v in values]), axis=axis)


def _stack(*values: Any, axis: int) -> Any:
    return np.stack(values, axis=axis)


def concat(values: Sequence[Any], axis: int) -> Tensor:
    """Join tensors along an axis."""
    return perform(_concat, *as_operands(*[as_tensor(v) for v in values]), axis=axis)


def _concat(*values: Any, axis: int) -> Any:
    return np.concatenate(values, axis=axis)
