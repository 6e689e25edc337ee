"""Compare a function's kernels with the same function run by Python and NumPy.

The value is that of the plain run, the derivatives are differences of plain runs, the second
derivatives differences of the first.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import symdiff as sd


def children(tree: Any) -> list[Any] | None:
    """Parts of a dictionary, tuple or list, in order; None for anything else."""
    if isinstance(tree, dict):
        return list(tree.values())
    return list(tree) if isinstance(tree, (tuple, list)) else None


def rebuilt(tree: Any, parts: list[Any]) -> Any:
    """Give new parts the structure of a tree."""
    if isinstance(tree, dict):
        return dict(zip(tree, parts, strict=True))
    if hasattr(tree, "_fields"):
        return type(tree)(*parts)
    return type(tree)(parts)


def flat(tree: Any) -> np.ndarray:
    """Concatenate a tree's numbers, as floats."""
    parts = children(tree)
    if parts is None:
        return np.ravel(tree).astype(float)
    return np.concatenate([np.zeros(0), *map(flat, parts)])


def like(tree: Any, numbers: np.ndarray) -> Any:
    """Give `numbers` the structure of a tree; where it has Python's float it gets one."""
    parts = children(tree)
    if parts is None:
        if isinstance(tree, float):
            return float(numbers.item())
        return numbers.reshape(np.shape(tree)).copy()
    ends = np.cumsum([flat(p).size for p in parts])[:-1]
    split = np.split(numbers, ends)
    return rebuilt(tree, [like(p, n) for p, n in zip(parts, split, strict=True)])


def is_floating(tree: Any) -> bool:
    """Whether all numbers of a tree are floating, so that there is a derivative by them."""
    parts = children(tree)
    if parts is None:
        return np.asarray(tree).dtype.kind == "f"
    return all(map(is_floating, parts))


def same(got: Any, want: Any, rtol: float = 1e-12) -> None:
    """Assert the same structure, kinds of numbers, shapes and numbers."""
    parts = children(want)
    if parts is None:
        assert children(got) is None
        got, want = np.asarray(got), np.asarray(want)
        assert got.shape == want.shape
        assert got.dtype.kind == want.dtype.kind, f"{got.dtype} where NumPy gives {want.dtype}"
        if want.dtype.kind in "bi":
            np.testing.assert_array_equal(got, want)
        else:
            scale = np.max(np.abs(want), initial=0.0, where=np.isfinite(want))
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale)
        return
    others = children(got)
    assert others is not None
    assert isinstance(got, type(want)) or isinstance(want, type(got))
    if isinstance(want, dict):
        assert list(got) == list(want)
    for a, b in zip(others, parts, strict=True):
        same(a, b, rtol)


def close(got: Any, want: Any, rtol: float) -> None:
    """Assert that the largest difference is small beside the largest number."""
    got, want = flat(got), flat(want)
    assert got.shape == want.shape
    assert np.all(np.isfinite(got))
    scale = np.max(np.abs(want), initial=0.0)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(scale, 1e-3))


def weights(tree: Any) -> Any:
    """Numbers that make one of many outputs, all different and none zero."""
    return like(tree, np.cos(0.3 + 0.7 * np.arange(flat(tree).size)))


def total(tree: Any, factors: Any) -> Any:
    """Sum of a tree's numbers, each times a factor."""
    parts = children(tree)
    if parts is None:
        return np.sum(tree * factors)
    sums = [total(p, w) for p, w in zip(parts, children(factors) or [], strict=True)]
    return sum(sums[1:], sums[0])


def scalar(f: Callable[..., Any], args: Sequence[Any]) -> Callable[..., Any]:
    """Give `f` itself where it gives one number, or else a weighted sum of what it gives."""
    value = f(*args)
    if children(value) is None and np.shape(value) == ():
        return f
    assert is_floating(value)
    factors = weights(value)

    def weighted(*given: Any) -> Any:
        return total(f(*given), factors)

    return weighted


def moved(args: Sequence[Any], argnums: Sequence[int], direction: Any, step: float) -> list[Any]:
    """Go a step along a direction in the space of some of the arguments."""
    at = list(args)
    for k, v in zip(argnums, direction, strict=True):
        at[k] = like(args[k], flat(args[k]) + step * flat(v))
    return at


def differences(
    f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], direction: Any, step: float
) -> np.ndarray:
    """Sixth-order central differences of `f` along a direction, flat."""
    at = {k: flat(f(*moved(args, argnums, direction, k * step))) for k in range(-3, 4) if k}
    return (45 * (at[1] - at[-1]) - 9 * (at[2] - at[-2]) + at[3] - at[-3]) / (60 * step)


def directions(parts: Any, count: int) -> list[Any]:
    """Unit vectors: every coordinate where there are few, else some, and directions at random."""
    size = flat(parts).size
    draw = np.random.default_rng(1)
    if size <= count:
        vectors = list(np.eye(size))
    else:
        vectors = [np.eye(size)[draw.integers(size)] for _ in range(count // 2)]
        vectors += list(draw.normal(size=(count - count // 2, size)))
    return [like(parts, v / np.linalg.norm(v)) for v in vectors]


def check(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    step: float = 1e-3,
    rtol: float = 1e-8,
    count: int = 4,
    value_rtol: float = 1e-12,
) -> None:
    """Value as NumPy's, gradient and forward mode as differences; the second order too.

    Arguments that are not floating are passed on as they are. A function that gives more than one
    number is differentiated as a weighted sum of them.
    """
    want = f(*args)
    same(sd.jit(f)(*args), want, value_rtol)
    argnums = tuple(k for k, a in enumerate(args) if is_floating(a))
    loss = scalar(f, args)
    expected = loss(*args)
    value_and_gradient = sd.value_and_grad(loss, argnums=argnums)
    value, gradient = value_and_gradient(*args)
    same(value, expected, value_rtol)
    parts = tuple(args[k] for k in argnums)
    for part, g in zip(parts, gradient, strict=True):
        same(like(g, 0.0 * flat(g)), like(part, 0.0 * flat(part)))
    for v in directions(parts, count):
        slope = differences(loss, args, argnums, v, step)
        along = flat(gradient) @ flat(v)
        close(along, slope, rtol)
        tangents = [v[argnums.index(k)] if k in argnums else None for k in range(len(args))]
        primal, tangent = sd.jvp(loss, tuple(args), tuple(tangents))
        same(primal, expected, value_rtol)
        close(tangent, along, 1e-9)
        if order < 2:
            continue
        curve = differences(lambda *at: value_and_gradient(*at)[1], args, argnums, v, step)
        again, product = sd.hvp(loss, tuple(args), tuple(tangents))
        close([again[k] for k in argnums], gradient, 1e-10)
        close([product[k] for k in argnums], curve, 10 * rtol)


def check_jacobian(f: Callable[..., Any], x: Any, step: float = 1e-3, rtol: float = 1e-8) -> None:
    """Jacobian as differences, and the same by columns (forward) and by rows (reverse)."""
    want = np.asarray(f(x))
    n = np.size(x)
    columns = [differences(f, (x,), (0,), (like(x, e),), step) for e in np.eye(n)]
    jacobian = np.asarray(sd.jacobian(f)(x))
    assert jacobian.shape == want.shape + np.shape(x)
    matrix = jacobian.reshape(want.size, n)
    close(matrix, np.stack(columns, axis=-1), rtol)
    forward = sd.jit(lambda y, v: sd.jvp(f, (y,), (v,)))
    for column, e in zip(matrix.T, np.eye(n), strict=True):
        value, tangent = forward(x, like(x, e))
        same(value, want)
        close(tangent, column, 1e-10)
    value, pullback = sd.vjp(f, x)
    same(value, want)
    for row, e in zip(matrix, np.eye(want.size), strict=True):
        close(pullback(like(want, e))[0], row, 1e-10)


def check_vmap(f: Callable[..., Any], *args: Any, rtol: float = 1e-12) -> None:
    """A map over leading axes as Python's loop; its gradients as those of each element."""
    size = len(flat_first(args[0]))
    each = [tuple(taken(a, k) for a in args) for k in range(size)]
    want = [flat(f(*a)) for a in each]
    got = sd.vmap(f)(*args)
    np.testing.assert_allclose(
        np.stack([flat(taken(got, k)) for k in range(size)]), np.stack(want), rtol=rtol, atol=rtol
    )
    if not is_floating(f(*each[0])):
        return
    argnums = tuple(k for k, a in enumerate(args) if is_floating(a))
    loss = scalar(f, each[0])
    gradient = sd.grad(loss, argnums=argnums)
    alone = [flat(gradient(*a)) for a in each]
    mapped = sd.vmap(gradient)(*args)
    for k in range(size):
        close(taken(mapped, k), alone[k], 1e-10)
    outside = sd.grad(lambda *given: np.sum(sd.vmap(loss)(*given)), argnums=argnums)(*args)
    for k in range(size):
        close(taken(outside, k), alone[k], 1e-10)


def flat_first(tree: Any) -> Any:
    """First array of a tree."""
    parts = children(tree)
    return tree if parts is None else flat_first(parts[0])


def taken(tree: Any, k: int) -> Any:
    """Take entry `k` of the leading axis of every array of a tree."""
    parts = children(tree)
    if parts is not None:
        return rebuilt(tree, [taken(p, k) for p in parts])
    entry = np.asarray(tree)[k]
    return entry.item() if np.ndim(entry) == 0 else entry


def check_sizes(
    f: Callable[..., Any],
    make: Callable[[int], tuple[Any, ...]],
    sizes: Sequence[int] = (5, 2, 100, 17, 1000, 16, 3),
    *,
    n_kernels: int = 1,
    step: float = 1e-3,
) -> None:
    """One kernel for all sizes, and no size gets another's numbers, for value and gradient."""
    loss = scalar(f, make(sizes[0]))
    assert loss is f, "sizes are checked of functions that give one number"
    value, gradient = sd.jit(f), sd.value_and_grad(f)
    for n in (*sizes, *sizes):
        args = make(n)
        want = f(*args)
        np.testing.assert_allclose(value(*args), want, rtol=1e-10, atol=1e-13)
        got, g = gradient(*args)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13)
        v = (like(args[0], np.sin(1.0 + np.arange(flat(args[0]).size))),)
        close(flat(g) @ flat(v), differences(f, args, (0,), v, step), 1e-7)
    assert value.n_compiled == n_kernels
    assert gradient.n_compiled == n_kernels
