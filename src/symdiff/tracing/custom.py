"""`custom_derivative` and `primitive`: the user's own rules.

One description serves both modes: partial derivatives, or the tangent as a function of tangents,
which reverse mode transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.program.blocks import BLOCKS, Block
from symdiff.tracing.arguments import as_extent
from symdiff.tracing.context import active_context, check_dtype
from symdiff.tracing.conversion import convert
from symdiff.tracing.local_array import current_tree, has_traced
from symdiff.tracing.pointwise import stop_gradient
from symdiff.tracing.products import tensordot
from symdiff.tracing.rules import TracedRule, apply_block
from symdiff.tracing.shapes import broadcast_to
from symdiff.tracing.tracer import TracedArray, as_traced, astype
from symdiff.trees import Tree, flatten, unflatten

__all__ = ["Primitive", "custom_derivative", "primitive"]

Partials = Callable[..., Any]
Tangents = Callable[[Any, tuple[Any, ...], tuple[Any, ...]], Any]


class _Own:
    """What both have: a function of arrays, or trees of them, and a rule."""

    def __init__(
        self, function: Callable[..., Any], partials: Partials | None, jvp: Tangents | None
    ) -> None:
        if partials is not None and jvp is not None:
            raise TypeError("give partials= or jvp=, not both")
        self.function = function
        self.partials = partials
        self.jvp = jvp
        self.__name__ = str(getattr(function, "__name__", "f"))
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def _taken_apart(self, args: tuple[Any, ...]) -> tuple[list[TracedArray], Tree]:
        leaves, tree = flatten(current_tree(args))
        return [as_traced(x) for x in leaves], tree

    def _tangent(
        self, result: Any, operands: Sequence[Any], tangents: Sequence[Any], tree: Tree
    ) -> Any:
        """Compute the tangent of the result by the rule."""
        primals = unflatten(tree, list(operands))
        if self.jvp is not None:
            given = [
                np.zeros_like(x) if t is None else t
                for x, t in zip(operands, tangents, strict=True)
            ]
            total = self.jvp(result, primals, unflatten(tree, given))
            return broadcast_to(astype(total, result.dtype_), result.shape_)
        assert self.partials is not None
        slopes = self._slopes(result, primals, tree)
        total = None
        for slope, x, t in zip(slopes, operands, tangents, strict=True):
            if t is not None:
                term = self._product(slope, x, t, result)
                total = term if total is None else total + term
        return broadcast_to(astype(total, result.dtype_), result.shape_)

    def _slopes(self, result: Any, primals: Any, tree: Tree) -> list[Any]:
        assert self.partials is not None
        given = convert(self.partials)(result, *primals)
        given = given if isinstance(given, tuple) else (given,)
        slopes, structure = flatten(given)
        if structure != tree:
            raise ShapeError(
                f"the partials of {self.__name__} are {len(given)} values for "
                f"{len(tree.children)} arguments; one is needed for each, structured like it"
            )
        return [as_traced(s) for s in slopes]

    def _product(self, slope: Any, x: Any, tangent: Any, result: Any) -> Any:
        """Multiply element by element, or contract where the slope is a Jacobian."""
        if x.ndim and slope.ndim == result.ndim + x.ndim:
            return tensordot(slope, tangent, x.ndim)
        if max(slope.ndim, x.ndim) > result.ndim:
            raise ShapeError(
                f"a partial of {self.__name__} has rank {slope.ndim} for an argument of rank "
                f"{x.ndim} and a value of rank {result.ndim}; it is elementwise, or has the axes "
                "of the value and then those of the argument"
            )
        return slope * tangent

    def __repr__(self) -> str:
        return f"<symdiff {type(self).__name__} {self.__name__}>"


class _CustomDerivative(_Own):
    """A traced function whose derivative is given; see `custom_derivative`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does."""
        if active_context() is None or not has_traced((args, kwargs)):
            return self.function(*args, **kwargs)
        leaves, tree = self._taken_apart(args)
        value = convert(self.function)(*unflatten(tree, list(leaves)), **current_tree(kwargs))
        raw = stop_gradient(as_traced(current_tree(value)))
        rule = TracedRule(
            lambda _b, raw, *_rest: raw,
            lambda _b, result, operands, tangents: self._tangent(
                result, operands[1:], tangents[1:], tree
            ),
        )
        ranks = (raw.ndim, *[x.ndim for x in leaves])
        block = Block(_identifier(self.__name__), ranks, raw.ndim, (self, tree), rule)
        return apply_block(block, [raw, *leaves], raw.shape_, raw.dtype_)


class Primitive(_Own):
    """A function that kernels call back; see `primitive`."""

    def __init__(
        self,
        function: Callable[..., Any],
        partials: Partials | None,
        jvp: Tangents | None,
        shape: Callable[..., Any] | None,
        dtype: Any,
        transposes: Mapping[int, Callable[..., Any]],
    ) -> None:
        super().__init__(function, partials, jvp)
        self.transposes = dict(transposes)
        self.shape = shape
        self.dtype = None if dtype is None else check_dtype(dtype)

    def __call__(self, *args: Any) -> Any:
        """Call the function, or let the kernel that is being traced call it."""
        if active_context() is None or not has_traced(args):
            return self.function(*args)
        leaves, tree = self._taken_apart(args)
        if tree != Tree(tuple, (), tuple([Tree(None)] * len(args))):
            raise DTypeError(at_user_line(f"{self.__name__}: a primitive takes arrays, not trees"))
        context = active_context()
        assert context is not None
        if self.shape is None:
            shape = context.broadcast([x.shape_ for x in leaves])
        else:
            given = self.shape(*[x.shape for x in leaves])
            sizes = given if isinstance(given, (tuple, list)) else (given,)
            shape = tuple([as_extent(n) for n in sizes])
        dtype = self.dtype or np.result_type(*[x.dtype for x in leaves], np.float32).name
        has_rule = self.partials is not None or self.jvp is not None
        back = {k: _transpose(t) for k, t in self.transposes.items()}
        rule = TracedRule(None, self._rule(tree) if has_rule else None, back)
        ranks = tuple([x.ndim for x in leaves])
        block = Block(_identifier(self.__name__), ranks, len(shape), (self,), rule)
        return apply_block(block, leaves, shape, dtype)

    def _rule(self, tree: Tree) -> Callable[..., Any]:
        return lambda _b, result, operands, tangents: self._tangent(
            result, operands, tangents, tree
        )


def _transpose(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _block, operands, cotangent: convert(function)(*operands, cotangent)


def _identifier(name: str) -> str:
    if name in BLOCKS:  # targets would take it for theirs
        return f"{name}_"
    return name if name.isidentifier() else "f"


def custom_derivative(
    f: Callable[..., Any] | None = None,
    partials: Partials | None = None,
    *,
    jvp: Tangents | None = None,
) -> Any:
    """Give a function a derivative of one's own; its value stays what it is.

    Parameters
    ----------
    f : callable
        Traced as usual. Its positional arguments are arrays, numbers, or trees of those; its value
        is one array. Keyword arguments are not differentiated by. Without it, a decorator.
    partials : callable
        ``partials(ans, *args)`` gives a tuple with one partial derivative for each argument,
        written with NumPy: elementwise (shaped like the value or broadcast to it), or with the
        axes of the value and then those of the argument, so that for a scalar value it is the
        gradient.
    jvp : callable
        Instead of `partials`: ``jvp(ans, primals, tangents)`` gives the tangent of the value. It
        is linear in the tangents; reverse mode is its transpose.

    Returns
    -------
    callable
        To be called like `f`.

    Raises
    ------
    TypeError
        Neither or both of `partials` and `jvp` are given.
    ShapeError
        At differentiation, when the rule does not fit the arguments.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> clipped = sd.custom_derivative(lambda x: np.clip(x, 0, 1), partials=lambda ans, x: (1.0,))
    >>> sd.value_and_grad(lambda x: clipped(3 * x))(5.0)
    (1.0, 3.0)
    """
    if f is None:
        return lambda function: custom_derivative(function, partials, jvp=jvp)
    if partials is None and jvp is None:
        raise TypeError("custom_derivative needs partials= or jvp=")
    return _CustomDerivative(f, partials, jvp)


def primitive(
    f: Callable[..., Any] | None = None,
    *,
    shape: Callable[..., Any] | None = None,
    dtype: Any = None,
    partials: Partials | None = None,
    jvp: Tangents | None = None,
    transposes: Mapping[int, Callable[..., Any]] | None = None,
) -> Any:
    """Let kernels call a Python function that cannot be traced: SciPy's, a C library's, a table's.

    The kernel calls back into Python, which costs some microseconds a call. Under `vmap` the
    function is called once for each element of the batch.

    Parameters
    ----------
    f : callable
        Takes NumPy arrays and gives one. Without it, a decorator.
    shape : callable, optional
        ``shape(*shapes)`` gives the value's shape; by default those of the arguments, broadcast.
    dtype : dtype, optional
        Of the value; by default that of the arguments, as a float.
    partials, jvp : callable, optional
        The derivative, as for `custom_derivative`. Without, it is an error to differentiate.
    transposes : Mapping, optional
        For arguments, by number, in which the function is linear: ``transpose(*args, cotangent)``
        gives the cotangent of the argument. Needed for reverse mode where the tangent calls the
        primitive itself, as that of a linear solve does.

    Returns
    -------
    callable
        To be called like `f`.

    Raises
    ------
    UnsupportedOperationError
        At differentiation, when there is no rule.

    Examples
    --------
    >>> import scipy.special, symdiff as sd
    >>> struve = sd.primitive(
    ...     lambda x: scipy.special.struve(0, x),
    ...     partials=lambda ans, x: (2 / np.pi - order_one(x),),
    ... )
    >>> order_one = sd.primitive(lambda x: scipy.special.struve(1, x))
    >>> round(sd.grad(struve)(1.0), 6)
    0.438162
    """
    if f is None:
        return lambda function: primitive(
            function,
            shape=shape,
            dtype=dtype,
            partials=partials,
            jvp=jvp,
            transposes=transposes,
        )
    return Primitive(f, partials, jvp, shape, dtype, transposes or {})
