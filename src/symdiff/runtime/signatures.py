"""What a call's arguments look like: the key under which a kernel is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda.arrays import dtype_of, is_on_device
from symdiff.errors import DTypeError, at_user_line
from symdiff.tracing.context import check_dtype
from symdiff.tracing.trace import Spec, Static
from symdiff.tracing.tracer import TracedArray
from symdiff.trees import Tree, flatten

__all__ = ["Signature", "describe", "is_traced", "sign", "spec"]

FLOAT = Spec((), "float64", is_weak=True)
INTEGER = Spec((), "int64", is_weak=True)


class Signature(NamedTuple):
    """The structure of the arguments ``(args, kwargs)`` and what is known of each leaf."""

    tree: Tree
    leaves: tuple[Spec | Static, ...]

    @property
    def is_plain(self) -> bool:
        """Whether every argument is a Python number, so that results are Python numbers too."""
        return all(isinstance(leaf, Static) or leaf.is_weak for leaf in self.leaves)


def spec(shape: Sequence[int] | int, dtype: Any = "float64") -> Spec:
    """Stand for an array that is not at hand when a function is traced.

    Parameters
    ----------
    shape : sequence of int
        The leading axis is symbolic in the Program if it is longer than 1.
    dtype : dtype, optional

    Examples
    --------
    >>> import symdiff as sd
    >>> print(sd.trace(lambda x: 2 * x, sd.spec((100, 3), "float32")))
    f(x[n,3]):
        result[i,j] = 2*x[i,j]
        return result
    """
    dimensions = (shape,) if isinstance(shape, (int, np.integer)) else shape
    return Spec(tuple(int(n) for n in dimensions), check_dtype(dtype))


def describe(value: Any) -> Spec | Static:
    """Say what is known of one argument."""
    kind = type(value)
    if kind is float:
        return FLOAT
    if kind is np.ndarray or isinstance(value, (np.ndarray, np.generic)):
        return Spec(value.shape, check_dtype(value.dtype))
    if kind is int:
        return INTEGER
    if isinstance(value, Spec):
        return value
    if isinstance(value, float):
        return FLOAT
    if is_on_device(value):
        return Spec(tuple(value.shape), check_dtype(dtype_of(value)))
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return Spec(array.shape, check_dtype(array.dtype))
    if isinstance(value, complex):
        check_dtype(complex)
    try:
        hash(value)
    except TypeError:
        raise DTypeError(
            at_user_line(
                f"an argument of type {kind.__name__} cannot be traced; allowed are numbers, "
                "arrays, trees (dict, list, tuple, dataclass) of those, and hashable objects, "
                "which are taken for constants"
            )
        ) from None
    return Static(value, kind)


def is_traced(leaves: Sequence[Any]) -> bool:
    """Whether some argument belongs to a trace that is going on."""
    return any(isinstance(leaf, TracedArray) for leaf in leaves)


def sign(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Signature, list[Any]]:
    """Describe a call; give its leaves too."""
    leaves, tree = flatten((args, kwargs))
    return Signature(tree, tuple([describe(x) for x in leaves])), leaves


def check_differentiable(leaf: Spec | Static, name: str) -> Spec:
    """Take a leaf that is to be differentiated by: floating, or a Python int, which counts so."""
    if isinstance(leaf, Static):
        raise DTypeError(
            at_user_line(
                f"cannot differentiate by {name}, which is {leaf.value!r}. Choose other argnums"
            )
        )
    if leaf.dtype.startswith("float"):
        return leaf
    if leaf is INTEGER or leaf == INTEGER:
        return FLOAT
    raise DTypeError(
        at_user_line(
            f"cannot differentiate by {name}, which has dtype {leaf.dtype}; allowed are float32 "
            "and float64. Convert with .astype(float)"
        )
    )
