"""Rules applied to a whole tree of parameters, and what changes gradients before a rule sees them.

A rule knows one array. What needs all of them, such as clipping by the norm of the whole gradient,
is a function ``(gradient, params, step) -> gradient`` of trees, which `chain` puts before a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.errors import DTypeError, ShapeError, TracingError, at_user_line
from symdiff.optimizers.rules import in_precision_of
from symdiff.optimizers.schedules import Made, require_positive
from symdiff.trees import Tree, flatten, map_leaves, unflatten

__all__ = [
    "Chain",
    "chain",
    "clip_by_norm",
    "clip_by_value",
    "init",
    "update",
    "weight_decay",
]

Transformation = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Chain:
    """A rule behind transformations of the gradient; made by `chain`."""

    transformations: tuple[Transformation, ...]
    rule: Any


def chain(*parts: Any) -> Chain:
    """Put transformations of the gradient before a rule.

    Parameters
    ----------
    *parts
        Functions ``(gradient, params, step) -> gradient`` of trees, applied in order, and a rule
        as the last.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> optimizer = sd.optim.chain(sd.optim.clip_by_norm(1.0), sd.optim.GradientDescent(0.1))
    >>> params = {"a": np.ones(1), "b": np.ones(1)}
    >>> gradient = {"a": np.array([30.0]), "b": np.array([40.0])}
    >>> sd.optim.update(optimizer, gradient, sd.optim.init(optimizer, params), params, 0)[0]
    {'a': array([0.94]), 'b': array([0.92])}
    """
    if not parts:
        raise ValueError("chain() needs a rule, such as sd.optim.Adam(), as its last argument")
    *transformations, rule = parts
    for part in transformations:
        if hasattr(part, "update") or isinstance(part, Chain) or not callable(part):
            raise TypeError(
                f"chain: {part!r} is no function (gradient, params, step) -> gradient; a rule can "
                "only be the last argument"
            )
    check_rule(rule)
    if isinstance(rule, Chain):
        return Chain((*transformations, *rule.transformations), rule.rule)
    return Chain(tuple(transformations), rule)


def clip_by_norm(limit: float) -> Transformation:
    """Scale the whole gradient down to a norm, if it is longer.

    References
    ----------
    Pascanu, Mikolov, Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013,
    algorithm 1.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.optim.clip_by_norm(1.0)([np.array([3.0]), np.array([4.0])], None, 0)
    [array([0.6]), array([0.8])]
    """
    require_positive(limit, "limit")

    return Made(_clip_by_norm, (limit,))


def _clip_by_norm(limit: float, gradient: Any, params: Any, step: Any) -> Any:  # noqa: ARG001 - one signature for all
    leaves, _ = flatten(gradient)
    norm = np.sqrt(sum(np.sum(g * g) for g in leaves))
    scale = limit / np.maximum(norm, limit)
    return map_leaves(lambda g: g * in_precision_of(g, scale), gradient)


def clip_by_value(limit: float) -> Transformation:
    """Keep each element of the gradient between minus a limit and the limit.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.optim.clip_by_value(1.0)({"a": np.array([3.0, -0.5])}, None, 0)
    {'a': array([ 1. , -0.5])}
    """
    require_positive(limit, "limit")

    return Made(_clip_by_value, (limit,))


def _clip_by_value(limit: float, gradient: Any, params: Any, step: Any) -> Any:  # noqa: ARG001 - as above
    return map_leaves(lambda g: np.clip(g, -limit, limit), gradient)


def weight_decay(factor: float) -> Transformation:
    """Add ``factor*p`` to the gradient, as of the penalty ``factor/2*p**2`` (see also `AdamW`).

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.optim.weight_decay(0.1)([np.array([3.0])], [np.array([5.0])], 0)
    [array([3.5])]
    """
    return Made(_weight_decay, (factor,))


def _weight_decay(factor: float, gradient: Any, params: Any, step: Any) -> Any:  # noqa: ARG001 - as above
    leaves, tree = flatten(gradient)
    pairs = zip(leaves, flatten(params)[0], strict=True)
    return unflatten(tree, [g + factor * p for g, p in pairs])


def check_rule(rule: Any) -> None:
    """Refuse what is no rule."""
    is_object = callable(getattr(rule, "update", None)) and callable(getattr(rule, "init", None))
    if isinstance(rule, type) or not (isinstance(rule, Chain) or is_object or callable(rule)):
        raise TypeError(
            f"the optimizer is {rule!r}; it needs init(parameter) and update(gradient, state, "
            "parameter, step), or is a function like update. sd.optim.Adam(1e-3) is one"
        )


def init(optimizer: Any, params: Any) -> Any:
    """Give the state of a rule for a tree of parameters: that tree with a state for each array.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.optim.init(sd.optim.Adam(), {"w": np.ones(2)})
    {'w': (array([0., 0.]), array([0., 0.]))}
    """
    check_rule(optimizer)
    rule = optimizer.rule if isinstance(optimizer, Chain) else optimizer
    begin = getattr(rule, "init", None)
    leaves, tree = flatten(params)
    return unflatten(tree, [() if begin is None else begin(p) for p in leaves])


def update(optimizer: Any, gradient: Any, state: Any, params: Any, step: Any) -> tuple[Any, Any]:
    """Make one step of a rule with a tree of parameters.

    Parameters
    ----------
    optimizer : rule, function or Chain
    gradient, params : tree
        Of one structure.
    state : tree
        As `init` gives it.
    step : int
        Counts from 0.

    Returns
    -------
    params, state

    Raises
    ------
    ShapeError, DTypeError
        The rule gives a parameter or a state of another shape or type than it was given.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> def descend(gradient, state, parameter, step):
    ...     return parameter - 0.1 * gradient, state
    >>> params = {"w": np.ones(2)}
    >>> sd.optim.update(descend, params, sd.optim.init(descend, params), params, 0)[0]
    {'w': array([0.9, 0.9])}
    """
    rule = optimizer
    if isinstance(optimizer, Chain):
        rule = optimizer.rule
        for transform in optimizer.transformations:
            gradient = transform(gradient, params, step)
    apply = getattr(rule, "update", rule)
    leaves, tree = flatten(params)
    gradients, gradient_tree = flatten(gradient)
    if gradient_tree != tree:
        raise ShapeError(at_user_line("the gradient has another structure than the parameters"))
    states = flatten_up_to(tree, state)
    made = []
    for name, g, s, p in zip(tree.paths("params"), gradients, states, leaves, strict=True):
        result = apply(g, s, p, step)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TracingError(
                at_user_line(f"the rule gives {type(result).__name__}, not (parameter, state)")
            )
        _check_same(name, result[0], p)
        _check_same(f"the state of {name}", result[1], s)
        made.append(result)
    return unflatten(tree, [p for p, _ in made]), unflatten(tree, [s for _, s in made])


def _check_same(name: str, new: Any, old: Any) -> None:
    """Refuse an update that changes structure, shape or type."""
    after, after_tree = flatten(new)
    before, before_tree = flatten(old)
    if after_tree != before_tree:
        raise ShapeError(at_user_line(f"the rule changes the structure of {name}"))
    for a, b in zip(after, before, strict=True):
        if np.ndim(a) != np.ndim(b):
            raise ShapeError(
                at_user_line(f"the rule turns {name} from {np.ndim(b)} axes into {np.ndim(a)}")
            )
        now, then = getattr(a, "dtype", None), getattr(b, "dtype", None)
        if now is not None and then is not None and now != then:
            raise DTypeError(
                at_user_line(
                    f"the rule turns {name} from {then} into {now}; multiply with Python's "
                    "numbers, or write .astype(parameter.dtype) behind the factor"
                )
            )


def flatten_up_to(tree: Tree, value: Any) -> list[Any]:
    """Take a value apart down to where the leaves of a tree are."""
    if tree.kind is None:
        return [value]
    if tree.kind is type(None):
        return []
    if isinstance(value, dict):
        parts = [value[key] for key in tree.keys]
    elif tree.keys:
        parts = [getattr(value, key) for key in tree.keys]
    else:
        parts = list(value)
    return [leaf for t, v in zip(tree.children, parts, strict=True) for leaf in flatten_up_to(t, v)]
