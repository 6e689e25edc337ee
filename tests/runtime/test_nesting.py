"""Every transform in every other, compared with SymPy; batches compared with Python loops."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp

import symdiff as sd

X = np.array([0.7, -1.2, 0.4])
Expressions = tuple[sp.Expr, ...]
SYMBOLS = sp.symbols("x0:3", real=True)


@dataclasses.dataclass
class Line:
    slope: Any
    offset: Any


class Pair(NamedTuple):
    a: Any
    b: Any


# Each transform, as it is called and as SymPy would do it, takes a function from vectors to vectors
# to another such. Directions depend on the argument, so that an outer derivative has to go through
# them, and the weights of a sum are not all equal.


def weights(n: int) -> np.ndarray:
    return 1 + 0.5 * np.arange(n) % 2


def weighted(f):
    def total(x):
        y = f(x)
        return np.sum(weights(len(y)) * y)

    return total


def flat(y):
    return np.reshape(y, (-1,))


def use_jit(f):
    return sd.jit(f)


def use_grad(f):
    return sd.grad(weighted(f))


def use_value_and_grad(f):
    def both(x):
        value, gradient = sd.value_and_grad(weighted(f))(x)
        return np.concatenate([np.reshape(value, (1,)), gradient])

    return both


def use_jacobian(f):
    return lambda x: flat(sd.jacobian(f)(x))


def use_hessian(f):
    return lambda x: flat(sd.hessian(weighted(f))(x))


def use_jvp(f):
    return lambda x: sd.jvp(f, x, x**2)[1]


def use_vjp(f):
    def pulled(x):
        value, pullback = sd.vjp(f, x)
        return pullback(weights(len(value)) * x[0])[0]

    return pulled


def use_hvp(f):
    return lambda x: sd.hvp(weighted(f), x, x**2)[1]


def use_vmap(f):
    return lambda x: flat(sd.vmap(f)(np.stack([x, 0.5 * x**2, x[::-1]])))


def total(f: Expressions) -> sp.Expr:
    return sp.Add(*(sp.Rational(w) * e for w, e in zip(weights(len(f)).tolist(), f, strict=True)))


def the_same(f: Expressions) -> Expressions:
    return f


def by_grad(f: Expressions) -> Expressions:
    return tuple(total(f).diff(x) for x in SYMBOLS)


def by_value_and_grad(f: Expressions) -> Expressions:
    return (total(f), *by_grad(f))


def by_jacobian(f: Expressions) -> Expressions:
    return tuple(e.diff(x) for e in f for x in SYMBOLS)


def by_hessian(f: Expressions) -> Expressions:
    return by_jacobian(by_grad(f))


def by_jvp(f: Expressions) -> Expressions:
    return tuple(sp.Add(*(e.diff(x) * x**2 for x in SYMBOLS)) for e in f)


def by_vjp(f: Expressions) -> Expressions:
    return tuple(SYMBOLS[0] * g for g in by_grad(f))


def by_hvp(f: Expressions) -> Expressions:
    return by_jvp(by_grad(f))


def by_vmap(f: Expressions) -> Expressions:
    points = [SYMBOLS, [x**2 / 2 for x in SYMBOLS], SYMBOLS[::-1]]
    return tuple(
        e.subs(dict(zip(SYMBOLS, p, strict=True)), simultaneous=True) for p in points for e in f
    )


TRANSFORMS: dict[str, tuple[Callable[..., Any], Callable[[Expressions], Expressions]]] = {
    "jit": (use_jit, the_same),
    "grad": (use_grad, by_grad),
    "value_and_grad": (use_value_and_grad, by_value_and_grad),
    "jacobian": (use_jacobian, by_jacobian),
    "hessian": (use_hessian, by_hessian),
    "jvp": (use_jvp, by_jvp),
    "vjp": (use_vjp, by_vjp),
    "hvp": (use_hvp, by_hvp),
    "vmap": (use_vmap, by_vmap),
}


def base(x):
    return np.stack([np.sin(x[0]) * x[1] ** 3 + x[2], np.exp(x[1] * x[2] / 2) * x[0] ** 2])


def base_expressions() -> Expressions:
    a, b, c = SYMBOLS
    return (sp.sin(a) * b**3 + c, sp.exp(b * c / 2) * a**2)


@functools.cache
def inner_expressions(names: tuple[str, ...]) -> Expressions:
    """Apply transforms, the last name first."""
    if not names:
        return base_expressions()
    return TRANSFORMS[names[0]][1](inner_expressions(names[1:]))


def check(names: tuple[str, ...]) -> None:
    f = base
    for name in reversed(names):
        f = TRANSFORMS[name][0](f)
    at = dict(zip(SYMBOLS, X.tolist(), strict=True))
    want = [float(e.subs(at)) for e in inner_expressions(names)]
    for _ in range(2):
        got = f(X)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_one(name):
    check((name,))


@pytest.mark.parametrize("inner", TRANSFORMS)
@pytest.mark.parametrize("outer", TRANSFORMS)
def test_two(outer, inner):
    check((outer, inner))


TRIPLES = [
    ("grad", "jacobian", "grad"),
    ("jacobian", "jacobian", "jacobian"),
    ("jit", "hvp", "jit"),
    ("jvp", "vjp", "jvp"),
    ("vjp", "jvp", "vjp"),
    ("vmap", "grad", "vmap"),
    ("grad", "vmap", "grad"),
    ("hessian", "vmap", "jvp"),
    ("vmap", "hessian", "jit"),
    ("vmap", "vmap", "vjp"),
    ("jvp", "jvp", "jvp"),
    ("vjp", "hvp", "vmap"),
    ("value_and_grad", "jvp", "jacobian"),
    ("grad", "grad", "grad", "grad"),
    ("jacobian", "vmap", "vjp", "grad"),
]


@pytest.mark.parametrize("names", TRIPLES, ids=" of ".join)
def test_three_and_more(names):
    check(names)


# Perturbations of different transforms are not confused


def test_inner_derivatives_of_what_is_closed_over():
    def f(x):
        return x * sd.grad(lambda y: x + y)(1.0)

    assert sd.grad(f)(2.0) == 1.0

    def g(x):
        return x * sd.grad(lambda y: x * y)(2.0)

    assert sd.grad(g)(3.0) == 6.0
    assert sd.hessian(g)(3.0) == 2.0

    def h(x):
        return sd.grad(lambda y: sd.grad(lambda z: x * y**2 * z**3)(y))(x)

    # d/dy (3 x y^4) = 12 x y^3 at y = x is 12 x^4.
    assert h(2.0) == 192.0
    assert sd.grad(h)(2.0) == 384.0


def test_forward_mode_of_what_is_closed_over():
    def f(x):
        return x * sd.jvp(lambda y: x + y, 1.0, 1.0)[1]

    assert sd.jvp(f, 2.0, 1.0) == (2.0, 1.0)

    def g(x):
        return sd.jvp(lambda y: x * y**2, x, x)[1]

    # 2 x y t at y = t = x is 2 x^3.
    assert sd.jvp(g, 2.0, 1.0) == (16.0, 24.0)
    assert sd.grad(g)(2.0) == 24.0


def test_reverse_mode_of_what_is_closed_over():
    def f(x):
        value, pullback = sd.vjp(lambda y: np.sin(x) * y * np.ones(2), x)
        return np.sum(value) * pullback(np.stack([x, x**2]))[0]

    def plain(x):
        return 2 * np.sin(x) * x * np.sin(x) * (x + x**2)

    x = 0.8
    assert sd.jit(f)(x) == pytest.approx(plain(x), rel=1e-14)
    want = (plain(x + 1e-6) - plain(x - 1e-6)) / 2e-6
    assert sd.grad(f)(x) == pytest.approx(want, rel=1e-8)


def test_a_pullback_that_is_called_inside_another_transform():
    _, pullback = sd.vjp(lambda x: x**3, 2.0)
    assert sd.grad(lambda ct: pullback(ct**2)[0])(3.0) == 72.0
    np.testing.assert_allclose(sd.jit(lambda ct: pullback(ct)[0])(2.0), 24.0)


def test_one_function_at_several_depths():
    g = sd.grad(lambda x: np.sum(x**3) * x[0])

    def f(x):
        return np.sum(g(x) * sd.jacobian(g)(x)[0])

    def plain(x):
        gradient = 3 * x**2 * x[0]
        gradient[0] += np.sum(x**3)
        row = 3 * x**2
        row[0] += 6 * x[0] ** 2 + 3 * x[0] ** 2
        return np.sum(gradient * row)

    assert f(X) == pytest.approx(plain(X), rel=1e-13)
    want = [(plain(X + 1e-6 * e) - plain(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(sd.grad(f)(X), want, rtol=1e-7)


def test_a_recursive_function():
    def derivative(f, n):
        return f if n == 0 else derivative(sd.grad(f), n - 1)

    for n in range(6):
        assert derivative(lambda x: x**5, n)(1.0) == [1, 5, 20, 60, 120, 120][n]


def test_what_is_closed_over_may_be_a_traced_tree():
    def outer(p):
        def inner(q):
            return p["w"] @ q * p["b"][0] + np.sum(q**2)

        return np.sum(sd.grad(inner)(p["w"]) ** 2)

    p = {"w": X, "b": [2.0]}
    # The inner gradient is b w + 2 w.
    got = sd.grad(outer)(p)
    np.testing.assert_allclose(got["w"], 2 * 16 * X, rtol=1e-14)
    np.testing.assert_allclose(got["b"][0], 2 * 4 * np.sum(X**2), rtol=1e-14)


def test_a_jitted_function_that_holds_a_traced_value():
    def f(x):
        inner = sd.jit(lambda y: np.sin(x) * y)
        return inner(x) + inner(2.0)

    x = 0.3
    want = np.cos(x) * x + np.sin(x) + 2 * np.cos(x)
    assert sd.grad(f)(x) == pytest.approx(want, rel=1e-14)
    assert sd.grad(f)(2 * x) == pytest.approx(
        np.cos(2 * x) * 2 * x + np.sin(2 * x) + 2 * np.cos(2 * x), rel=1e-14
    )


def test_a_function_traced_again_has_forgotten_the_last_trace():
    held = []

    def f(x):
        inner = sd.jit(lambda y: x * y)
        held.append(inner)
        return inner(3.0)

    assert sd.grad(f)(2.0) == 3.0
    assert sd.jit(f)(5.0) == 15.0
    assert sd.grad(f)(np.array(2.0)) == 3.0


def test_static_arguments_inside():
    @sd.jit
    def power(x, kind, *, twice=False, nothing=None):
        assert nothing is None
        y = {"square": x**2, "cube": x**3}[kind]
        return 2 * y if twice else y

    def f(x):
        return power(x, "square") + power(x, "cube", twice=True, nothing=None)

    assert f(2.0) == 20.0
    assert sd.grad(f)(2.0) == 4.0 + 24.0
    assert sd.hessian(f)(2.0) == 2.0 + 24.0


def test_argnums_of_an_inner_transform():
    def f(x, y, *, scale=1.0):
        return np.sum(x**2 * y) * scale

    def g(x):
        a, b = sd.grad(f, (1, 0))(x, 2 * x, scale=3.0)
        return np.sum(a * b)

    # a = 3 x^2, b = 12 x^2
    np.testing.assert_allclose(sd.grad(g)(X), 144 * X**3, rtol=1e-13)
    np.testing.assert_allclose(
        sd.grad(lambda y: np.sum(sd.grad(f, -1)(X, y) * y))(X), X**2, rtol=1e-13
    )


def test_aux_of_an_inner_transform():
    def f(p):
        return np.sum(p.a**2) * p.b, {"sum": np.sum(p.a), "parts": [p.b, Line(p.a, p.b)]}

    def g(p):
        (value, aux), gradient = sd.value_and_grad(f, has_aux=True)(p)
        return value * aux["sum"] + np.sum(gradient.a * aux["parts"][1].slope) * gradient.b

    def plain(a, b):
        return np.sum(a**2) * b * np.sum(a) + np.sum(2 * a * b * a) * np.sum(a**2)

    p = Pair(X, 1.5)
    np.testing.assert_allclose(sd.jit(g)(p), plain(*p), rtol=1e-13)
    got = sd.grad(g)(p)
    assert type(got) is Pair
    want = [(plain(X + 1e-6 * e, 1.5) - plain(X - 1e-6 * e, 1.5)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(got.a, want, rtol=1e-7)
    want_b = (plain(X, 1.5 + 1e-6) - plain(X, 1.5 - 1e-6)) / 2e-6
    np.testing.assert_allclose(got.b, want_b, rtol=1e-7)


def test_trees_through_jvp_vjp_and_hvp_inside():
    def f(p):
        return {"y": p["x"] * p["z"][0], "n": np.sum(p["x"] ** 3)}

    def outer(x):
        p = {"x": x, "z": (x[0],)}
        value, tangent = sd.jvp(f, (p,), (p,))
        again, pullback = sd.vjp(f, p)
        (pulled,) = pullback(tangent)
        return np.sum(value["y"] * tangent["y"]) + again["n"] * pulled["z"][0]

    def plain(x):
        tangent = 2 * x * x[0]
        return np.sum(x * x[0] * tangent) + np.sum(x**3) * np.sum(tangent * x)

    np.testing.assert_allclose(sd.jit(outer)(X), plain(X), rtol=1e-13)
    want = [(plain(X + 1e-6 * e) - plain(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(sd.grad(outer)(X), want, rtol=1e-7, atol=1e-8)


def test_stopped_gradients_inside():
    def f(x):
        return sd.grad(lambda y: y**2 * sd.stop_gradient(y * x))(x)

    # 2 y (y x) at y = x, of which y x is not differentiated by y, but by x outside.
    assert f(2.0) == 16.0
    assert sd.grad(lambda x: x * sd.stop_gradient(sd.grad(np.sin)(x)))(0.0) == 1.0


# vmap

B = np.array([[0.5, 1.0, -0.3], [1.5, -0.2, 0.8], [0.1, 0.9, 2.0], [2.0, -1.0, 0.4]])
C = np.array([0.3, 1.7, -0.6, 1.1])


def tree_equal(got: Any, want: Any, rtol: float = 1e-12) -> None:
    """Equal structure; arrays of equal shapes and dtypes."""
    if isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            tree_equal(got[key], want[key], rtol)
    elif dataclasses.is_dataclass(want):
        assert type(got) is type(want)
        tree_equal(vars(got), vars(want), rtol)
    elif isinstance(want, (list, tuple)):
        assert type(got) is type(want)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            tree_equal(g, w, rtol)
    else:
        assert np.shape(got) == np.shape(want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-14)


def loop(f, *batches, out_axis=0):
    """Stack results of a Python loop."""
    return np.stack([np.asarray(f(*args)) for args in zip(*batches, strict=True)], axis=out_axis)


ELEMENTWISE = [
    ("numbers to numbers", lambda c: np.sin(c) * c, (C,)),
    ("vectors to numbers", lambda x: np.sum(x**2), (B,)),
    ("vectors to vectors", lambda x: x[::-1] * x[0], (B,)),
    ("vectors to matrices", lambda x: np.outer(x, np.cos(x)), (B,)),
    ("two arguments", lambda x, c: x * c + np.sum(x), (B, C)),
    ("constant", lambda x: np.arange(2.0), (B,)),
    ("where", lambda x: np.where(x > 0.4, np.sqrt(abs(x)), x), (B,)),
    ("sum axis", lambda x: np.sum(np.outer(x, x), axis=0), (B,)),
    ("sum last axis", lambda x: np.outer(x, x).sum(-1), (B,)),
    ("max", lambda x: np.max(x) * x, (B,)),
    ("cumsum", np.cumsum, (B,)),
    ("dot", lambda x: x @ x, (B,)),
    ("matmul", lambda x: np.outer(x, x) @ x, (B,)),
    ("matmul of matrices", lambda m: m @ m.T, (B.reshape(2, 2, 3),)),
    ("constant matmul", lambda x: B @ x, (B,)),
    ("matmul constant", lambda x: x @ B.T, (B,)),
    ("einsum", lambda x: np.einsum("i,j,i->j", x, x, x), (B,)),
    ("concatenate", lambda x: np.concatenate([x, 2 * x]), (B,)),
    ("stack", lambda x: np.stack([x, x], axis=1), (B,)),
    ("reshape", lambda x: x.reshape(3, 1) * x, (B,)),
    ("reshape -1", lambda m: m.reshape(-1) * 2, (B.reshape(2, 2, 3),)),
    ("ravel", lambda m: np.ravel(m) ** 2, (B.reshape(2, 2, 3),)),
    ("transpose", lambda m: m.T * 2, (B.reshape(2, 2, 3),)),
    ("gather", lambda x: x[[2, 0, 2, 1]], (B,)),
    ("slice", lambda x: x[::-2] - x[1], (B,)),
    ("negative index", lambda x: x[-1] * x[..., 0], (B,)),
    ("new axis", lambda x: x[:, None] - x[None, :], (B,)),
    ("broadcast against a constant", lambda x: x * np.ones((2, 1)), (B,)),
    ("shape", lambda x: x / x.shape[0] + x.ndim + len(x) + x.size, (B,)),
    ("python loop", lambda x: sum(v**2 for v in x), (B,)),
    ("mean and var", lambda x: (x - np.mean(x)) / np.std(x), (B,)),
    ("norm", lambda x: x / np.linalg.norm(x), (B,)),
    ("logsumexp", lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x), (B,)),
    ("roll", lambda x: np.roll(x, 1) * x, (B,)),
    ("diag", np.diag, (B,)),
    ("trace", lambda m: np.trace(m @ m.T), (B.reshape(2, 2, 3),)),
    ("argument unused", lambda x, c: x, (B, C)),
    ("integers", lambda x, k: x * k, (B, np.arange(4))),
]


@pytest.mark.parametrize(
    ("f", "args"), [c[1:] for c in ELEMENTWISE], ids=[c[0] for c in ELEMENTWISE]
)
def test_batches_are_loops(f, args):
    tree_equal(sd.vmap(f)(*args), loop(f, *args))
    tree_equal(sd.jit(sd.vmap(f))(*args), loop(f, *args))
    last = [np.moveaxis(a, 0, -1) for a in args]
    got = sd.vmap(f, in_axes=-1, out_axes=-1)(*last)
    tree_equal(got, loop(f, *args, out_axis=-1))


@pytest.mark.parametrize(
    ("f", "args"),
    [c[1:] for c in ELEMENTWISE if c[0] not in {"integers", "constant"}],
    ids=[c[0] for c in ELEMENTWISE if c[0] not in {"integers", "constant"}],
)
def test_batches_of_derivatives_are_loops(f, args):
    def number(*a):
        return np.sum(np.sin(f(*a)))

    gradient = sd.grad(number)
    tree_equal(sd.vmap(gradient)(*args), loop(gradient, *args))
    tree_equal(sd.vmap(sd.jacobian(f))(*args), loop(sd.jacobian(f), *args))
    summed = sd.grad(lambda *a: np.sum(sd.vmap(number)(*a)))
    tree_equal(summed(*args), loop(gradient, *args))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_batch_sizes(n):
    x, c = np.linspace(0.5, 1.5, 3 * n).reshape(n, 3), np.arange(float(n))

    def f(x, c):
        return np.sum(x**2) * c, x * c

    values, vectors = sd.vmap(f)(x, c)
    assert values.shape == (n,)
    assert vectors.shape == (n, 3)
    np.testing.assert_allclose(values, np.sum(x**2, axis=1) * c, rtol=1e-14)
    np.testing.assert_allclose(vectors, x * c[:, None], rtol=1e-14)
    gradient = sd.vmap(sd.grad(lambda x, c: f(x, c)[0]))(x, c)
    np.testing.assert_allclose(gradient, 2 * x * c[:, None], rtol=1e-14)
    assert gradient.shape == (n, 3)


def test_one_function_serves_all_batch_sizes():
    f = sd.vmap(sd.grad(lambda x: np.sum(x**3)))
    for n in (4, 1, 7, 0, 2, 4):
        x = np.arange(3.0 * n).reshape(n, 3)
        np.testing.assert_allclose(f(x), 3 * x**2, rtol=1e-14)


def test_in_axes():
    def f(x, y):
        return x * np.sum(y) + y[0]

    y = np.array([1.0, -2.0])
    want = np.stack([f(x, y) for x in B])
    tree_equal(sd.vmap(f, in_axes=(0, None))(B, y), want)
    tree_equal(sd.vmap(f, (1, None))(B.T, y), want)
    tree_equal(sd.vmap(f, (-1, None))(B.T, y), want)
    ys = np.stack([C, C**2], axis=1)
    tree_equal(sd.vmap(f, (None, 0))(B[0], ys), np.stack([f(B[0], v) for v in ys]))
    tree_equal(sd.vmap(f, (None, 1))(B[0], ys.T), np.stack([f(B[0], v) for v in ys]))
    tree_equal(sd.vmap(f, (1, 0))(B.T, ys), loop(f, B, ys))
    tree_equal(sd.vmap(f, [1, 0])(B.T, ys), loop(f, B, ys))


def test_in_axes_of_trees():
    def f(p, x):
        return p["w"] @ x + p["b"][0] * p["b"][1]

    W = np.arange(12.0).reshape(4, 3)
    p = {"w": W, "b": (C, 2.0)}
    each = np.stack([W[i] @ B[i] + C[i] * 2.0 for i in range(4)])
    tree_equal(sd.vmap(f, in_axes=({"w": 0, "b": (0, None)}, 0))(p, B), each)
    tree_equal(
        sd.vmap(f, in_axes=({"w": 1, "b": (0, None)}, 1))({"w": W.T, "b": p["b"]}, B.T), each
    )
    shared = {"w": W[0], "b": (1.0, 2.0)}
    tree_equal(sd.vmap(f, in_axes=(None, 0))(shared, B), B @ W[0] + 2.0)
    # An axis stands for the whole tree below it.
    both = {"w": W, "b": (C, C**2)}
    tree_equal(
        sd.vmap(f, in_axes=({"w": 0, "b": 0}, 0))(both, B),
        np.stack([W[i] @ B[i] + C[i] ** 3 for i in range(4)]),
    )
    tree_equal(sd.vmap(f)(both, B), np.stack([W[i] @ B[i] + C[i] ** 3 for i in range(4)]))


def test_out_axes():
    def f(x):
        return np.outer(x, x[:2])

    each = np.stack([f(x) for x in B])
    for axis in (0, 1, 2, -1, -2, -3):
        tree_equal(sd.vmap(f, out_axes=axis)(B), np.moveaxis(each, 0, axis))

    def g(x):
        return {"m": f(x), "s": (np.sum(x), x)}

    got = sd.vmap(g, out_axes={"m": 1, "s": (0, -1)})(B)
    want = {"m": np.moveaxis(each, 0, 1), "s": (np.sum(B, axis=1), B.T)}
    tree_equal(got, want)
    got = sd.vmap(g, out_axes={"m": 2, "s": 0})(B)
    tree_equal(got, {"m": np.moveaxis(each, 0, 2), "s": (np.sum(B, axis=1), B)})


def test_out_axes_none_gives_what_is_the_same_for_all():
    def f(x, c):
        return x * c, np.sin(c)

    got = sd.vmap(f, in_axes=(0, None), out_axes=(0, None))(B, 2.0)
    tree_equal(got, (B * 2.0, np.float64(np.sin(2.0))))


RESULTS = [
    ("tuple", lambda x: (x, np.sum(x))),
    ("list", lambda x: [x * 2, [x[0]]]),
    ("dict", lambda x: {"b": x, "a": np.sum(x)}),
    ("named", lambda x: Pair(x, x[1])),
    ("dataclass", lambda x: Line(x, np.max(x))),
]


@pytest.mark.parametrize("f", [c[1] for c in RESULTS], ids=[c[0] for c in RESULTS])
def test_trees_of_results(f):
    def stack(parts):
        first = parts[0]
        if isinstance(first, dict):
            return {k: stack([p[k] for p in parts]) for k in first}
        if dataclasses.is_dataclass(first):
            return type(first)(**stack([vars(p) for p in parts]))
        if isinstance(first, tuple) and hasattr(first, "_fields"):
            return type(first)(*(stack(list(v)) for v in zip(*parts, strict=True)))
        if isinstance(first, (list, tuple)):
            return type(first)(stack(list(v)) for v in zip(*parts, strict=True))
        return np.stack(parts)

    tree_equal(sd.vmap(f)(B), stack([f(x) for x in B]))


def test_trees_of_arguments():
    got = sd.vmap(lambda p: Pair(p.slope * p.offset[0], p.offset[1]))(Line(B, [C, B]))
    tree_equal(got, Pair(B * C[:, None], B))


def test_keywords_defaults_and_constants():
    def f(x, scale=2.0, *, kind="plain", shift=None):
        y = x * scale if kind == "plain" else x**2
        return y if shift is None else y + shift

    tree_equal(sd.vmap(f)(B), 2 * B)
    tree_equal(sd.vmap(f)(B, kind="square"), B**2)
    tree_equal(sd.vmap(f)(B, scale=C), B * C[:, None])
    tree_equal(sd.vmap(f)(B, shift=C), 2 * B + C[:, None])
    tree_equal(sd.vmap(f, in_axes=(0, None))(B, 3.0), 3 * B)


def test_closures_are_shared_by_the_batch():
    y = np.array([1.0, 2.0, 3.0])
    tree_equal(sd.vmap(lambda x: x @ y * y)(B), (B @ y)[:, None] * y)

    def f(w):
        return np.sum(sd.vmap(lambda x: np.tanh(x @ w))(B))

    want = ((1 - np.tanh(B @ y) ** 2)[:, None] * B).sum(axis=0)
    tree_equal(sd.grad(f)(y), want)
    tree_equal(sd.jit(lambda w: sd.vmap(lambda x: x * w)(B))(y), B * y)


def test_pairwise_by_two_vmaps():
    def distance(x, y):
        return np.sqrt(np.sum((x - y) ** 2))

    table = sd.vmap(sd.vmap(distance, (None, 0)), (0, None))
    want = np.sqrt(np.sum((B[:, None] - B[None, :2]) ** 2, axis=-1))
    tree_equal(table(B, B[:2]), want)
    tree_equal(sd.vmap(sd.vmap(distance, (0, None)), (None, 0))(B, B[:2]), want.T)


def test_batches_of_batches():
    T = np.arange(24.0).reshape(2, 4, 3) / 10

    def f(x, c):
        return np.sin(x) * c

    c = np.arange(8.0).reshape(2, 4)
    tree_equal(sd.vmap(sd.vmap(f))(T, c), np.sin(T) * c[..., None])
    got = sd.vmap(sd.vmap(f, (1, 0), 1), (0, 0))(np.swapaxes(T, 1, 2), c)
    tree_equal(got, np.swapaxes(np.sin(T) * c[..., None], 1, 2))
    three = sd.vmap(sd.vmap(sd.vmap(np.sin)))
    tree_equal(three(T), np.sin(T))


def test_second_derivatives_of_batches():
    def f(x):
        return np.sum(np.sin(x)) * x[0] * x[1]

    tree_equal(sd.vmap(sd.hessian(f))(B), loop(sd.hessian(f), B))
    tree_equal(
        sd.vmap(lambda x, v: sd.hvp(f, x, v)[1])(B, B[::-1]),
        np.stack([sd.hessian(f)(x) @ v for x, v in zip(B, B[::-1], strict=True)]),
    )
    tree_equal(
        sd.vmap(lambda x, v: sd.jvp(f, x, v))(B, B[::-1])[1],
        np.stack([sd.grad(f)(x) @ v for x, v in zip(B, B[::-1], strict=True)]),
    )
    tree_equal(
        sd.vmap(lambda x, c: sd.vjp(f, x)[1](c)[0])(B, C),
        np.stack([sd.grad(f)(x) * c for x, c in zip(B, C, strict=True)]),
    )
    H = sd.hessian(lambda x: np.sum(sd.vmap(f)(x)))(B)
    for i in range(4):
        np.testing.assert_allclose(H[i, :, i], sd.hessian(f)(B[i]), rtol=1e-12)
        H[i, :, i] = 0
    assert not np.any(H)


def test_jacobian_and_products_of_batches():
    def f(x):
        return np.stack([x[0] * x[1], np.sin(x[2])])

    g = sd.vmap(f)
    J = sd.jacobian(g)(B)
    assert J.shape == (4, 2, 4, 3)
    want = np.zeros_like(J)
    for i in range(4):
        want[i, :, i] = sd.jacobian(f)(B[i])
    np.testing.assert_allclose(J, want, rtol=1e-13)
    value, tangent = sd.jvp(g, B, B[::-1])
    tree_equal(value, loop(f, B))
    tree_equal(tangent, np.einsum("iajb,jb->ia", want, B[::-1]))
    value, pullback = sd.vjp(g, B)
    weight = np.arange(8.0).reshape(4, 2)
    tree_equal(pullback(weight)[0], np.einsum("iajb,ia->jb", want, weight))


def test_per_example_gradients_of_a_network():
    rng = np.random.default_rng(3)
    params = {"w1": rng.normal(size=(3, 5)), "w2": rng.normal(size=5), "b": np.array(0.1)}

    def loss(p, x, y):
        return (np.tanh(x @ p["w1"]) @ p["w2"] + p["b"] - y) ** 2

    each = sd.vmap(sd.grad(loss), in_axes=(None, 0, 0))(params, B, C)
    single = [sd.grad(loss)(params, x, y) for x, y in zip(B, C, strict=True)]
    for key in params:
        tree_equal(each[key], np.stack([s[key] for s in single]))
    whole = sd.grad(lambda p: np.mean(sd.vmap(loss, (None, 0, 0))(p, B, C)))(params)
    for key in params:
        tree_equal(whole[key], np.mean(each[key], axis=0))


def test_where_inside_a_batch_keeps_the_branch_not_taken_silent():
    x = np.array([-1.0, 0.0, 4.0])
    g = sd.vmap(sd.grad(lambda v: np.where(v > 0, np.sqrt(v), 0.0)))
    np.testing.assert_array_equal(g(x), [0.0, 0.0, 0.25])


def test_dtypes_of_batches():
    got = sd.vmap(lambda x: x * 2)(B.astype(np.float32))
    assert got.dtype == np.float32
    assert sd.vmap(lambda k: k + 1)(np.arange(3)).dtype == np.arange(3).dtype
    assert sd.vmap(lambda x: x > 0)(B).dtype == bool


def test_lists_are_trees_in_batches_too():
    tree_equal(sd.vmap(lambda p: p[0] * p[1])([C, C]), C**2)


def test_a_batched_function_is_a_function():
    f = sd.vmap(lambda x: np.sum(x**2))
    assert isinstance(f, sd.Function)
    assert "[" in str(f.program(B))
    sd.check_derivatives(f, B)
    assert sd.vmap(f)(np.stack([B, B])).shape == (2, 4)


def test_memory_of_the_callers_arrays_is_left_alone():
    x = B.copy()
    sd.vmap(lambda v: v * 2, in_axes=1, out_axes=1)(x)
    np.testing.assert_array_equal(x, B)
    strided = np.arange(24.0).reshape(4, 6)[:, ::2]
    tree_equal(sd.vmap(np.sin)(strided), np.sin(strided))


MISUSES = [
    ("sizes differ", lambda: sd.vmap(lambda x, y: x + y)(np.ones(3), np.ones(4)), ["3", "4"]),
    ("no such axis", lambda: sd.vmap(np.sin, in_axes=2)(np.ones((3, 4))), ["2"]),
    ("a number has no axis", lambda: sd.vmap(np.sin)(1.0), ["axis"]),
    ("nothing is mapped", lambda: sd.vmap(np.sin, in_axes=None)(np.ones(3)), ["in_axes"]),
    ("too few axes", lambda: sd.vmap(lambda x, y: x, in_axes=(0,))(C, C), ["in_axes"]),
    ("too many axes", lambda: sd.vmap(np.sin, in_axes=(0, 0))(C), ["in_axes"]),
    ("no such result axis", lambda: sd.vmap(np.sin, out_axes=1)(C), ["1"]),
    ("result differs", lambda: sd.vmap(np.sin, out_axes=None)(C), ["out_axes"]),
    (
        "trees differ",
        lambda: sd.vmap(lambda p: p["a"], in_axes=({"b": 0},))({"a": C}),
        ["in_axes"],
    ),
]


@pytest.mark.parametrize(("call", "words"), [c[1:] for c in MISUSES], ids=[c[0] for c in MISUSES])
def test_misuse_of_vmap(call, words):
    with pytest.raises((sd.SymdiffError, ValueError, TypeError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_an_axis_that_is_no_number():
    for axes in ("0", 0.5, object()):
        with pytest.raises((TypeError, ValueError)):
            sd.vmap(np.sin, in_axes=axes)(C)
