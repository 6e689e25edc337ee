"""The user's function as solvers see it: of one vector, giving what the method needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.runtime.transforms import hessian, jacobian, value_and_grad
from symdiff.tracing.trace import function_name
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["Variables", "evaluator", "flat_function", "variables_of"]


class Variables(NamedTuple):
    """The structure of what is minimised over; hashable.

    `shapes` holds the shape of each leaf, or None for a single vector, whose length may be any.
    """

    tree: Tree
    shapes: tuple[tuple[int, ...] | None, ...]
    dtype: np.dtype

    def split(self, x: Any) -> Any:
        """Put a tree together from one vector."""
        leaves, begin = [], 0
        for shape in self.shapes:
            if shape is None:
                leaves.append(x)
                continue
            size = int(np.prod(shape, dtype=int))
            part = x[begin : begin + size]
            leaves.append(part.reshape(shape) if shape else part[0])
            begin += size
        return unflatten(self.tree, leaves)


def variables_of(x0: Any) -> tuple[Variables, np.ndarray]:
    """Take a start apart: its structure, and one vector of all numbers."""
    leaves, tree = flatten(x0)
    if tree.kind is list and all(isinstance(x, (int, float, np.number)) for x in leaves):
        leaves, tree = flatten(np.asarray(x0))  # a list of numbers is a vector, as in SciPy
    arrays = [np.asarray(x) for x in leaves]
    for array in arrays:
        if array.dtype.kind not in "fiu":
            raise DTypeError(
                at_user_line(f"x0 holds a value of dtype {array.dtype}; it needs real numbers")
            )
    sizes = sum(a.size for a in arrays)
    if not sizes:
        raise ShapeError(at_user_line("x0 holds no number: there is nothing to minimize over"))
    is_single = all(a.dtype == np.float32 for a in arrays)
    dtype = np.dtype(np.float32 if is_single else np.float64)
    flat = np.concatenate([a.ravel() for a in arrays], dtype=dtype)
    is_vector = tree.kind is None and arrays[0].ndim == 1
    shapes = (None,) if is_vector else tuple([a.shape for a in arrays])
    return Variables(tree, shapes, dtype), flat


def flat_function(f: Callable[..., Any], variables: Variables, method: str) -> Callable[..., Any]:
    """Make the function of one vector, and of the user's other arguments."""
    name = function_name(f)
    is_residuals = method == "gauss-newton"

    def function(x: Any, *args: Any) -> Any:
        value: Any = f(variables.split(x), *args)
        if is_residuals:
            if isinstance(value, (list, tuple)):
                value = np.array(value)
            return np.ravel(value).astype(variables.dtype)
        is_tree = isinstance(value, (tuple, list, dict))
        shape = () if is_tree else np.shape(value)
        if is_tree or shape:
            kind = f"shape {shape}" if shape else f"a {type(value).__name__}"
            raise ShapeError(
                at_user_line(
                    f"minimize needs a function with one number for its value; {name} gives "
                    f"{kind}. Reduce it with np.sum or np.mean, or minimize half the sum of "
                    "squares of residuals with method='gauss-newton'"
                )
            )
        return np.asarray(value, dtype=variables.dtype)

    function.__name__ = name
    return function


def evaluator(function: Callable[..., Any], needs: str, args: tuple[Any, ...]) -> Any:
    """Give what a method evaluates, of the flat function with these further arguments."""
    if needs == "value":
        return lambda x: function(x, *args)
    if needs == "gradient":
        both = value_and_grad(function)
        return lambda x: both(x, *args)
    if needs == "hessian":
        return _with_hessian(function, args)
    return _with_squares(function, args)


def _with_hessian(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    both, second = value_and_grad(function), hessian(function)

    def all_three(x: Any) -> Any:
        value, gradient = both(x, *args)
        return value, gradient, second(x, *args)

    return (lambda x: function(x, *args)), all_three


def _with_squares(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Half the sum of squares, with the Hessian of Gauss and Newton."""
    derivative = jacobian(function)

    def value(x: Any) -> Any:
        residuals = function(x, *args)
        return 0.5 * np.sum(residuals * residuals)

    def all_three(x: Any) -> Any:
        residuals, rows = function(x, *args), derivative(x, *args)
        squares = 0.5 * np.sum(residuals * residuals)
        return squares, residuals @ rows, rows.T @ rows

    return value, all_three
