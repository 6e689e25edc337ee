"""`jit`, `grad` and their kin: each makes a `Function` that builds another Program."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.differentiation import forward, reverse
from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate
from symdiff.rewriting.passes import simplify
from symdiff.runtime.function import Function
from symdiff.runtime.signatures import Signature, check_differentiable, sign
from symdiff.tracing.trace import Spec, Static, Trace, function_name, trace_function
from symdiff.trees import Tree, flatten, leaf

__all__ = [
    "as_function",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "trace",
    "value_and_grad",
    "vjp",
]

Argnums = int | Sequence[int]


def as_function(f: Callable[..., Any], target: str) -> Function:
    """Take a Function as it is, unless it has another target; trace anything else."""
    if isinstance(f, Function):
        return f if target in ("auto", f.target) else f.with_target(target)
    if not callable(f):
        raise DTypeError(at_user_line(f"expected a function, got {type(f).__name__}"))

    def build(signature: Signature) -> Trace:
        return trace_function(f, signature.tree, signature.leaves)

    return Function(build, function_name(f), f, target=target)


def jit(f: Callable[..., Any], *, target: str = "auto") -> Function:
    """Compile a function; it is called as before.

    Parameters
    ----------
    f : callable
        A function of numbers, arrays, or trees (dict, list, tuple, dataclass) of those, written
        with NumPy, returning the like. Other hashable arguments are taken for constants.
    target : {"auto", "cpu", "cuda"}

    Returns
    -------
    Function

    Raises
    ------
    TracingError, UnsupportedOperationError, ShapeError, DTypeError
        At the first call, naming the line of `f` that cannot be traced and what to write.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.jit(lambda x: np.sum(x * x))(np.arange(4.0))
    np.float64(14.0)
    """
    return as_function(f, target)


def trace(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Program:
    """Trace a function and give its Program, optimised.

    Parameters
    ----------
    f : callable
    *args, **kwargs
        Examples of its arguments: values, or `sd.spec` for arrays that are not at hand.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> print(sd.trace(lambda x, y: np.exp(-x) * y, 1.0, 2.0))
    f(x, y):
        result = exp(-x)*y
        return result
    """
    return as_function(f, "auto").program(*args, **kwargs)


class _Wrt(NamedTuple):
    """The arguments to differentiate by: for each its tree and the names of its leaves."""

    trees: list[Tree]
    names: list[list[str]]
    is_single: bool

    @property
    def flat(self) -> list[str]:
        return [name for names in self.names for name in names]

    def tree(self) -> Tree:
        """The structure of one value for each of the arguments."""
        return self.trees[0] if self.is_single else Tree(tuple, (), tuple(self.trees))


def _select(signature: Signature, argnums: Argnums, name: str) -> tuple[Signature, list[range]]:
    """Find the leaves of the chosen arguments; Python ints among them count as floats."""
    chosen = [argnums] if isinstance(argnums, (int, np.integer)) else list(argnums)
    args_tree = signature.tree.children[0]
    count = len(args_tree.children)
    starts = np.cumsum([0, *[c.n_leaves for c in args_tree.children]]).tolist()
    leaves = list(signature.leaves)
    ranges: list[range] = []
    for number in chosen:
        if not -count <= number < count:
            raise ShapeError(
                at_user_line(
                    f"argnums {number} is out of range: {name} was called with {count} positional "
                    "arguments"
                )
            )
        n = number % count
        ranges.append(range(starts[n], starts[n + 1]))
        for position in ranges[-1]:
            leaves[position] = check_differentiable(leaves[position], f"argument {n} of {name}")
    return Signature(signature.tree, tuple(leaves)), ranges


def _wrt(signature: Signature, trace: Trace, ranges: list[range], argnums: Argnums) -> _Wrt:
    """Name the inputs behind the chosen leaves."""
    names: dict[int, str] = {}
    inputs = iter(trace.program.inputs)
    for n, described in enumerate(signature.leaves):
        if isinstance(described, Spec):
            names[n] = next(inputs)
    chosen = [argnums] if isinstance(argnums, (int, np.integer)) else list(argnums)
    arguments = signature.tree.children[0].children
    return _Wrt(
        [arguments[number] for number in chosen],
        [[names[n] for n in r] for r in ranges],
        isinstance(argnums, (int, np.integer)),
    )


def _require_scalar(trace: Trace, name: str, what: str) -> None:
    program = trace.program
    shape, dtype = program.types[program.outputs[0]]
    if shape != ():
        shown = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
        raise ShapeError(
            at_user_line(
                f"{what} needs a function with one number for its value; {name} gives an array of "
                f"shape {shown}. Use sd.jacobian, or reduce it with np.sum or np.mean"
            )
        )
    if not dtype.startswith("float"):
        raise DTypeError(at_user_line(f"{what} needs a floating value; {name} gives dtype {dtype}"))


def grad(f: Callable[..., Any], argnums: Argnums = 0, *, target: str = "auto") -> Function:
    """Differentiate a function whose value is one number.

    Parameters
    ----------
    f : callable
        As for `jit`; may be a `Function` itself.
    argnums : int or sequence of int
        The positional arguments to differentiate by. An int gives one gradient, shaped like that
        argument (an array, or a tree); a sequence gives a tuple.
    target : {"auto", "cpu", "cuda"}

    Returns
    -------
    Function
        Takes what `f` takes.

    Raises
    ------
    ShapeError
        At the call, when the value of `f` is not one number.
    DTypeError
        At the call, when an argument to differentiate by is an integer array. A Python int counts
        as a float.

    References
    ----------
    Griewank, Walther, *Evaluating Derivatives*, SIAM 2008, section 3.2 (reverse mode).

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.grad(lambda x, y: x**2 - 2 * x * y + 3 * y, argnums=(0, 1))(2.0, 1.0)
    (2.0, -1.0)
    >>> sd.grad(lambda p: p["a"] * np.sum(p["b"] ** 2))({"a": 2.0, "b": np.ones(2)})
    {'a': np.float64(2.0), 'b': array([4., 4.])}
    """
    base = as_function(f, target)

    def build(signature: Signature) -> Trace:
        signature, ranges = _select(signature, argnums, base.__name__)
        primal = base.trace(signature)
        if primal.out_tree != leaf:
            raise ShapeError(
                at_user_line(
                    f"grad needs a function with one number for its value; {base.__name__} gives "
                    f"{len(primal.program.outputs)} values. Use sd.jacobian, or "
                    "sd.value_and_grad with has_aux=True for (value, rest)"
                )
            )
        _require_scalar(primal, base.__name__, "grad")
        wrt = _wrt(signature, primal, ranges, argnums)
        program = reverse.gradient(primal.program, wrt.flat)
        return Trace(program, wrt.tree(), primal.captured)

    return Function(build, f"grad_{base.__name__}", f, primal=base, target=target)


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, target: str = "auto"
) -> Function:
    """Give a function's value beside its gradient, at little more than the gradient's cost.

    Parameters
    ----------
    f, argnums, target
        As for `grad`.
    has_aux : bool
        Whether `f` gives ``(value, aux)``, of which only the value is differentiated.

    Returns
    -------
    Function
        Gives ``(value, gradient)``, or ``((value, aux), gradient)``.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.value_and_grad(lambda x: x**3)(2.0)
    (8.0, 12.0)
    >>> sd.value_and_grad(lambda x: (x**3, {"twice": 2 * x}), has_aux=True)(2.0)
    ((8.0, {'twice': 4.0}), 12.0)
    """
    base = as_function(f, target)

    def build(signature: Signature) -> Trace:
        signature, ranges = _select(signature, argnums, base.__name__)
        primal = base.trace(signature)
        tree = primal.out_tree
        is_pair = tree.kind is tuple and len(tree.children) == 2 and tree.children[0] == leaf
        if has_aux and not is_pair:
            raise ShapeError(
                at_user_line(f"with has_aux=True {base.__name__} has to give (value, aux)")
            )
        if not has_aux and tree != leaf:
            raise ShapeError(
                at_user_line(
                    f"value_and_grad needs a function with one number for its value; "
                    f"{base.__name__} gives {len(primal.program.outputs)} values. Use "
                    "has_aux=True for (value, rest)"
                )
            )
        _require_scalar(primal, base.__name__, "value_and_grad")
        wrt = _wrt(signature, primal, ranges, argnums)
        program = reverse.gradient(primal.program, wrt.flat, primal.program.outputs)
        return Trace(program, Tree(tuple, (), (tree, wrt.tree())), primal.captured)

    return Function(build, f"value_and_grad_{base.__name__}", f, primal=base, target=target)


def _nest(outer: Tree, inner: Tree) -> Tree:
    """Put a tree in for each leaf of another."""
    if outer.kind is None:
        return inner
    return Tree(outer.kind, outer.keys, tuple([_nest(c, inner) for c in outer.children]))


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, sparse: bool = False, *, target: str = "auto"
) -> Function | Callable[..., Any]:
    """Differentiate every element of a function's value.

    Forward mode where the value has at least as many elements as the arguments, else reverse;
    an argument that is read at constant positions only is taken element by element.

    Parameters
    ----------
    f, argnums, target
        As for `grad`, with values of any shape, and trees of those.
    sparse : bool
        Give ``scipy.sparse.csr_array`` of the flattened value by the flattened argument, whose
        pattern is exact. `f` then gives one array.

    Returns
    -------
    Function
        Gives an array of shape ``value.shape + argument.shape``, a tuple of those for several
        arguments, in the tree of the value.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.jacobian(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    base = as_function(f, target)

    def build(signature: Signature) -> Trace:
        signature, ranges = _select(signature, argnums, base.__name__)
        primal = base.trace(signature)
        wrt = _wrt(signature, primal, ranges, argnums)
        program = _jacobian_program(simplify(primal.program), signature, wrt)
        return Trace(program, _nest(primal.out_tree, wrt.tree()), primal.captured)

    function = Function(build, f"jacobian_{base.__name__}", f, primal=base, target=target)
    return _sparse_jacobian(base, function, argnums) if sparse else function


def _jacobian_program(program: Program, signature: Signature, wrt: _Wrt) -> Program:
    """Make one Program of the Jacobians of all outputs."""
    specs = [s for s in signature.leaves if isinstance(s, Spec)]
    sizes = {
        symbol: specs[program.inputs.index(source)].shape[axis]
        for symbol, (source, axis) in program.size_sources.items()
        if program.inputs.index(source) < len(specs)
    }
    outputs: list[str] = []
    for output in program.outputs:
        dtype = program.types[output].dtype
        if not dtype.startswith("float"):
            raise DTypeError(at_user_line(f"jacobian of a value of dtype {dtype}"))
        program, names = _one_jacobian(program, output, wrt.flat, sizes)
        outputs += names
    return program.replace(outputs=tuple(outputs))


def _one_jacobian(
    program: Program, output: str, wrt: Sequence[str], sizes: dict[str, int]
) -> tuple[Program, tuple[str, ...]]:
    def elements(names: Sequence[str]) -> int:
        return sum(
            int(np.prod([evaluate(e, sizes) for e in program.types[n].shape])) for n in names
        )

    is_read = any(r.array == output for e in program.equations for r in e.reads)
    is_apart = not is_read and not reverse.is_block(program, output)
    if elements([output]) < elements(wrt) and is_apart:
        made = reverse.reverse_jacobian(program, output, wrt)
    else:
        made = forward.forward_jacobian(program, output, wrt)
    return made.replace(outputs=program.outputs), made.outputs


def _sparse_jacobian(base: Function, dense: Function, argnums: Argnums) -> Callable[..., Any]:
    if not isinstance(argnums, (int, np.integer)):
        raise ShapeError(at_user_line("jacobian with sparse=True takes one argument: an int"))

    def call(*args: Any, **kwargs: Any) -> Any:
        import scipy.sparse  # noqa: PLC0415 - 0.1 s, for sparse results only

        signature, _ = sign(args, kwargs)
        program = base.program(*args, **kwargs)
        position = sum(c.n_leaves for c in signature.tree.children[0].children[:argnums])
        sizes = {
            symbol: signature.leaves[program.inputs.index(source)].shape[axis]  # type: ignore[union-attr]
            for symbol, (source, axis) in program.size_sources.items()
        }
        pattern = program.sparsity(program.outputs[0], program.inputs[position], **sizes)
        values = np.asarray(dense(*args, **kwargs)).reshape(pattern.shape)
        rows, columns = pattern.nonzero()
        return scipy.sparse.csr_array((values[rows, columns], (rows, columns)), pattern.shape)

    return call


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, sparse: bool = False, *, target: str = "auto"
) -> Function | Callable[..., Any]:
    """Differentiate the gradient of a function whose value is one number.

    Parameters
    ----------
    f, argnums, sparse, target
        As for `jacobian`.

    Returns
    -------
    Function
        Gives an array of shape ``argument.shape + argument.shape``; for several arguments a tuple
        of tuples.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    return jacobian(grad(f, argnums, target=target), argnums, sparse, target=target)


_of_ufuncs: dict[np.ufunc, dict[str, Function]] = {}


def _derive(f: Callable[..., Any], kind: str, make: Callable[[], Function]) -> Function:
    """Remember what is derived from a function, so that the next call finds its kernels.

    It is kept on the function itself and goes with it. Other callables are not written to, and
    are compiled at each call: wrap them once with `jit`.
    """
    if isinstance(f, np.ufunc):
        known = _of_ufuncs.setdefault(f, {})
    elif isinstance(f, (types.FunctionType, Function)):
        known = f.__dict__.setdefault("__symdiff__", {})
    else:
        return make()
    if kind not in known:
        known[kind] = make()
    return known[kind]


def _as_primals(x: Any) -> tuple[tuple[Any, ...], bool]:
    return (x, False) if isinstance(x, tuple) else ((x,), True)


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Give a function's value and its derivative along a direction.

    Parameters
    ----------
    f : callable
    primals : array, tree, or tuple of those
        The arguments; a tuple is taken for several arguments.
    tangents : like `primals`
        The direction. An argument whose tangent is None is not differentiated, and stays what it
        is: a number of steps, an index, a name.

    Returns
    -------
    value, tangent
        Both like the value of `f`.

    Raises
    ------
    ShapeError
        The tangents are not like the primals.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0))
    (6.0, 3.0)
    >>> sd.jvp(lambda x, n: x**n, (2.0, 3), (1.0, None))
    (8.0, 12.0)
    """
    point, _ = _as_primals(primals)
    direction, _ = _as_primals(tangents)
    fixed = _fixed(point, direction, "jvp")
    moving = tuple([p for k, p in enumerate(point) if k not in fixed])
    given = tuple([t for t in direction if t is not None])
    if flatten(moving)[1] != flatten(given)[1]:
        raise ShapeError(at_user_line("jvp: tangents must have the structure of primals"))
    return _derive(f, f"jvp{fixed or ''}", lambda: _pushforward(f, fixed))(point, given)


def _fixed(point: Sequence[Any], direction: Sequence[Any], what: str) -> tuple[int, ...]:
    """Which arguments are not differentiated: those that have None for a tangent."""
    if len(point) != len(direction):
        message = f"{what}: {len(point)} primals and {len(direction)} tangents"
        raise ShapeError(at_user_line(message))
    fixed = tuple([k for k, t in enumerate(direction) if t is None])
    if len(fixed) == len(point):
        raise ShapeError(at_user_line(f"{what}: no argument has a tangent"))
    return fixed


def _pushforward(f: Callable[..., Any], fixed: tuple[int, ...]) -> Function:
    base = as_function(f, "auto")

    def build(signature: Signature) -> Trace:
        inner, given, is_moving = _split(signature, "jvp", base.__name__, fixed)
        primal = base.trace(inner)
        count = len(is_moving)
        inputs = primal.program.inputs
        names = [n for n, moves in zip(inputs, is_moving, strict=False) if moves]
        program, tangents = forward.pushforward(primal.program, names, list(primal.program.outputs))
        order = [*program.inputs[:count], *[tangents[n] for n in names]]
        order += program.inputs[count : len(inputs)]
        _require_same_shapes(program, names, tangents, given)
        floats = [program.types[o].dtype.startswith("float") for o in primal.program.outputs]
        if not all(floats):
            raise DTypeError(at_user_line(f"jvp: {base.__name__} gives values that do not float"))
        tree = Tree(tuple, (), (primal.out_tree, primal.out_tree))
        return Trace(program.replace(inputs=tuple(order)), tree, primal.captured)

    return Function(build, f"jvp_{base.__name__}", base.__wrapped__, primal=None)


def _split(
    signature: Signature, what: str, name: str, fixed: Sequence[int] = ()
) -> tuple[Signature, list[Spec | Static], list[bool]]:
    """Take the signature of ``(primals, others)`` apart; those primals float that are not fixed.

    Given too is for each array among the primals whether it is differentiated.
    """
    first = signature.tree.children[0].children[0]
    arguments = [k for k, tree in enumerate(first.children) for _ in range(tree.n_leaves)]
    leaves: list[Spec | Static] = []
    is_moving: list[bool] = []
    for k, given in zip(arguments, signature.leaves, strict=False):
        moves = k not in fixed
        text = f"an argument of {name} ({what})"
        leaves.append(check_differentiable(given, text) if moves else given)
        if isinstance(given, Spec):
            is_moving.append(moves)
    tree = Tree(tuple, (), (first, Tree(dict)))
    return Signature(tree, tuple(leaves)), list(signature.leaves[len(leaves) :]), is_moving


def _require_same_shapes(
    program: Program, names: Sequence[str], partners: dict[str, str], given: Sequence[Any]
) -> None:
    for name, described in zip(names, given, strict=True):
        if len(described.shape) != len(program.types[partners[name]].shape):
            raise ShapeError(
                at_user_line(f"the tangent or cotangent of {name} has another rank than {name}")
            )


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Give a function's value, and the function that pulls cotangents of it back.

    Parameters
    ----------
    f : callable
    *primals : arrays or trees
        The arguments.

    Returns
    -------
    value
        ``f(*primals)``.
    pullback : callable
        Takes a cotangent like `value`; gives a tuple of cotangents, one for each argument.

    Examples
    --------
    >>> import symdiff as sd
    >>> value, pullback = sd.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> value, pullback(10.0)
    (6.0, (30.0, 20.0))
    """
    base = _derive(f, "jit", lambda: as_function(f, "auto"))
    value = base(*primals)
    back = _derive(f, "vjp", lambda: _pullback_function(f))

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if flatten(value)[1] != flatten(cotangent)[1]:
            raise ShapeError(at_user_line("pullback: the cotangent must be like the value"))
        return back(primals, cotangent)

    return value, pullback


def _pullback_function(f: Callable[..., Any]) -> Function:
    base = as_function(f, "auto")

    def build(signature: Signature) -> Trace:
        inner, given, is_moving = _split(signature, "vjp", base.__name__)
        primal = base.trace(inner)
        names = list(primal.program.inputs[: len(is_moving)])
        program, cotangents = reverse.pullback(primal.program, names)
        outputs = primal.program.outputs
        if set(cotangents) != set(outputs):
            raise DTypeError(at_user_line(f"vjp: {base.__name__} gives values that do not float"))
        _require_same_shapes(program, outputs, cotangents, given)
        count = len(names)
        order = [*program.inputs[:count], *[cotangents[o] for o in outputs]]
        order += program.inputs[count : len(primal.program.inputs)]
        return Trace(program.replace(inputs=tuple(order)), inner.tree.children[0], primal.captured)

    return Function(build, f"vjp_{base.__name__}", base.__wrapped__, primal=None)


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Give a function's gradient and the product of its Hessian with a direction.

    Parameters
    ----------
    f : callable
        Gives one number.
    primals, tangents
        As for `jvp`.

    Returns
    -------
    gradient, product
        Both like `tangents`.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.hvp(lambda x: x**3, 2.0, 1.0)
    (12.0, 12.0)
    """
    point, is_bare = _as_primals(primals)
    direction, _ = _as_primals(tangents)
    fixed = _fixed(point, direction, "hvp")
    moving = tuple([k for k in range(len(point)) if k not in fixed])
    argnums: Argnums = 0 if is_bare else moving
    gradient = _derive(f, f"gradient{'' if is_bare else moving}", lambda: grad(f, argnums))
    found = jvp(gradient, primals, tangents)
    if not fixed:
        return found
    values, products = (iter(part) for part in found)
    filled = [
        [None if k in fixed else next(part) for k in range(len(point))]
        for part in (values, products)
    ]
    return tuple(filled[0]), tuple(filled[1])
