"""Gradients of functions of tensors: of their arguments, and of the variables that they read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from symdiff.eager.differentiated import Differentiated
from symdiff.eager.operations import zeros_like
from symdiff.eager.paths import Call
from symdiff.eager.structures import flatten, pack, unflatten
from symdiff.eager.tensor import Tensor, as_tensor
from symdiff.errors import at_user_line
from symdiff.tracing.trace import function_name
from symdiff.trees import Tree

__all__ = [
    "gradients_function",
    "implicit_gradients",
    "implicit_value_and_gradients",
    "make_vjp",
    "value_and_gradients_function",
]

Params = Sequence[int] | Sequence[str] | None


def gradients_function(
    f: Callable[..., Any], params: Params = None, unconnected_gradients: str = "none"
) -> Callable[..., tuple[Any, ...]]:
    """Differentiate a function by its arguments.

    Parameters
    ----------
    f : callable
        A function of tensors. What it gives may be nested; the gradient is that of the sum of all
        elements of all of it.
    params : sequence of int or of str, optional
        The positional arguments to differentiate by, by place or by name; by default all that are
        passed. Others reach `f` as they are.
    unconnected_gradients : {"none", "zero"}
        What stands for the gradient of an argument that the result does not depend on.

    Returns
    -------
    callable
        Takes what `f` takes, and ``dy=``, weights structured like the result; gives a tuple of
        gradients, one for each of `params`.

    Raises
    ------
    ValueError
        `params` are mixed or unknown; at the call, `f` gives None.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> f = tfe.gradients_function(lambda x, y: x**2 - 2 * x * y + 3 * y)
    >>> [float(g) for g in f(2.0, 1.0)]
    [2.0, -1.0]
    """
    value_and_gradients = _by_arguments(f, params, unconnected_gradients, wants_value=False)

    def gradients(*args: Any, dy: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        return value_and_gradients(args, kwargs, dy)[1]

    return gradients


def value_and_gradients_function(
    f: Callable[..., Any], params: Params = None, unconnected_gradients: str = "none"
) -> Callable[..., tuple[Any, tuple[Any, ...]]]:
    """Give a function's value beside its gradients; see `gradients_function`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> value, (slope,) = tfe.value_and_gradients_function(lambda x: x * x)(3.0)
    >>> float(value), float(slope)
    (9.0, 6.0)
    """
    value_and_gradients = _by_arguments(f, params, unconnected_gradients, wants_value=True)

    def call(*args: Any, dy: Any = None, **kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
        return value_and_gradients(args, kwargs, dy)

    return call


def make_vjp(
    f: Callable[..., Any], params: Params = None
) -> Callable[..., tuple[Any, Callable[..., tuple[Any, ...]]]]:
    """Give a function's value, and a function that pulls weights of it back, as often as wanted.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> value, vjp = tfe.make_vjp(lambda x: x * x)(3.0)
    >>> float(value), float(vjp(10.0)[0])
    (9.0, 60.0)
    """
    whole = _by_arguments(f, params, "none", wants_value=True)
    pulled = _by_arguments(f, params, "none", wants_value=False)

    def call(*args: Any, **kwargs: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
        value, _ = whole(args, kwargs, None)

        def vjp(dy: Any = None) -> tuple[Any, ...]:
            return pulled(args, kwargs, dy)[1]

        return value, vjp

    return call


def _by_arguments(
    f: Callable[..., Any], params: Params, unconnected: str, *, wants_value: bool
) -> Callable[[tuple[Any, ...], dict[str, Any], Any], tuple[Any, tuple[Any, ...]]]:
    if unconnected not in ("none", "zero"):
        raise ValueError(
            at_user_line(f"unconnected_gradients={unconnected!r}; allowed are 'none' and 'zero'")
        )
    numbers = _numbers(f, params)
    differentiated = Differentiated(f)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any], dy: Any) -> Any:
        is_plain = dy is None and not kwargs and unconnected == "none"
        if is_plain:
            found = differentiated.quick(args)
            if found is not None:
                path, values, gradients = found
                return _value(path, values) if wants_value else None, tuple(gradients)
        chosen = range(len(args)) if numbers is None else numbers
        made, wrt, trees = _arguments(f, args, chosen)
        leaves, tree = flatten((made, kwargs))
        leaves = [x if _passes(x) else as_tensor(x) for x in leaves]
        weights = None if dy is None else _weights(dy)
        path, values, gradients = differentiated(Call(tree, leaves, wrt, weights, wants_value))
        if unconnected == "zero":
            gradients = [
                zeros_like(leaves[n]) if g is None else g
                for n, g in zip(wrt, gradients, strict=True)
            ]
        if is_plain and all(t.kind is None for t in trees):
            differentiated.remember(args, path)
        found = iter(gradients)
        return _value(path, values) if wants_value else None, tuple(
            [_like(t, found) for t in trees]
        )

    return call


def _value(path: Any, values: list[Any]) -> Any:
    return values[0] if path.is_number else unflatten(path.out_tree, values)


def _passes(x: Any) -> bool:
    """Whether an argument that is not differentiated by stays what it is: a model, a flag."""
    if isinstance(x, (Tensor, bool, int, float)) or hasattr(x, "as_tensor"):
        return True
    return not hasattr(x, "__array__")


def _arguments(
    f: Callable[..., Any], args: tuple[Any, ...], chosen: Sequence[int]
) -> tuple[tuple[Any, ...], tuple[int, ...], list[Tree]]:
    """Make tensors of the chosen arguments; give the places of their leaves and their trees."""
    made = list(args)
    trees: list[Tree] = []
    places: dict[int, range] = {}
    start = 0
    for n, x in enumerate(args):
        if n in chosen:
            made[n] = pack(x)
        leaves, _ = flatten(made[n])
        places[n] = range(start, start + len(leaves))
        start += len(leaves)
    wrt: list[int] = []
    for n in chosen:
        if n not in places:
            raise ValueError(
                at_user_line(
                    f"{function_name(f)} is to be differentiated by argument {n}, but was called "
                    f"with {len(args)} positional arguments"
                )
            )
        wrt += places[n]
        trees.append(flatten(made[n])[1])
    return tuple(made), tuple(wrt), trees


def _like(tree: Tree, found: Any) -> Any:
    return unflatten(tree, [next(found) for _ in range(tree.n_leaves)])


def _weights(dy: Any) -> tuple[Tensor | None, ...]:
    packed = pack(dy)
    parts = packed if isinstance(packed, (tuple, list)) else (packed,)
    leaves: list[Tensor | None] = []
    for part in parts:
        leaves += [None] if part is None else flatten(part)[0]
    return tuple(leaves)


def _numbers(f: Callable[..., Any], params: Params) -> tuple[int, ...] | None:
    """Find the places of parameters."""
    if params is None:
        return None
    if all(type(p) is int for p in params):
        return tuple([int(p) for p in params])
    if not all(isinstance(p, str) for p in params):
        raise ValueError(at_user_line(f"params {params!r} are to be all ints or all names"))
    names = list(inspect.signature(f).parameters)
    for p in params:
        if p not in names:
            raise ValueError(
                at_user_line(f"{function_name(f)} has no parameter {p!r}; it has {names}")
            )
    return tuple([names.index(str(p)) for p in params])


def implicit_value_and_gradients(
    f: Callable[..., Any],
) -> Callable[..., tuple[Any, list[tuple[Any, Any]]]]:
    """Give a function's value, and its gradients by the variables that it reads.

    Parameters
    ----------
    f : callable
        Reads at least one trainable variable. Its arguments, a model say, pass through; arrays
        become tensors.

    Returns
    -------
    callable
        Takes what `f` takes; gives ``(value, [(gradient, variable), ...])``, the variables in the
        order in which they were made, the gradient None for one that is not connected.

    Raises
    ------
    ValueError
        At the call: no trainable variable was read.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> v = tfe.Variable(3.0)
    >>> value, [(gradient, _)] = tfe.implicit_value_and_gradients(lambda: v * v)()
    >>> float(value), float(gradient)
    (9.0, 6.0)
    """
    return _implicit(f, wants_value=True)


def implicit_call(args: tuple[Any, ...], kwargs: dict[str, Any], *, wants_value: bool) -> Call:
    """Take the arguments of a function of variables apart."""
    leaves, tree = flatten((args, kwargs))
    return Call(tree, [*as_arguments(leaves)], None, None, wants_value)


def as_arguments(values: Sequence[Any]) -> tuple[Any, ...]:
    """Make tensors of arrays; what else there is, a model say, stays what it is."""
    return tuple([x if type(x) is Tensor or _passes(x) else as_tensor(x) for x in values])


def implicit_gradients(f: Callable[..., Any]) -> Callable[..., list[tuple[Any, Any]]]:
    """Differentiate a function by the variables it reads; see `implicit_value_and_gradients`.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> v = tfe.Variable(3.0)
    >>> [(float(g), u is v) for g, u in tfe.implicit_gradients(lambda: v * v)()]
    [(6.0, True)]
    """
    call = _implicit(f, wants_value=False)
    return lambda *args, **kwargs: call(*args, **kwargs)[1]


def _implicit(f: Callable[..., Any], *, wants_value: bool) -> Callable[..., Any]:
    differentiated = Differentiated(f)

    def finish(found: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        path, values, gradients = found
        pairs = [(gradients[n], path.sources[n]) for n in path.order]
        if not wants_value:
            return None, pairs
        return _value(path, values), pairs

    def call(*args: Any, **kwargs: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        found = None if kwargs else differentiated.quick(args)
        if found is not None:
            return finish(found)
        found = differentiated(implicit_call(args, kwargs, wants_value=wants_value))
        if not found[0].sources:
            raise ValueError(
                at_user_line(f"{function_name(f)} read no trainable variable to differentiate by")
            )
        if not kwargs:
            differentiated.remember(args, found[0])
        return finish(found)

    return call
