"""Transforms: what they take, what they give, how they nest, and that no size is mistaken."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import symdiff as sd

X = np.array([0.5, -1.0, 2.0])


@dataclasses.dataclass
class Line:
    slope: Any
    offset: Any


class Pair(NamedTuple):
    a: Any
    b: Any


def same(got: Any, want: Any) -> None:
    """Equal trees of equal types, up to rounding."""
    if isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            same(got[key], want[key])
    elif dataclasses.is_dataclass(want):
        assert type(got) is type(want)
        same(vars(got), vars(want))
    elif isinstance(want, (list, tuple)):
        assert type(got) is type(want)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
    else:
        assert type(got) is type(want)
        assert getattr(got, "dtype", None) == getattr(want, "dtype", None)
        np.testing.assert_allclose(
            got, want, rtol=1e-13, atol=1e-15, strict=isinstance(want, np.ndarray)
        )


# trees

TREES = [
    ("number", 2.0, lambda p: p**2, 4.0),
    ("list", [2.0, 3.0], lambda p: p[0] * p[1], [3.0, 2.0]),
    ("tuple", (2.0, 3.0), lambda p: p[0] * p[1], (3.0, 2.0)),
    ("namedtuple", Pair(2.0, 3.0), lambda p: p.a * p.b, Pair(3.0, 2.0)),
    ("dict", {"b": 2.0, "a": 3.0}, lambda p: p["a"] ** 2 * p["b"], {"b": 9.0, "a": 12.0}),
    ("dataclass", Line(2.0, 3.0), lambda p: p.slope * p.offset, Line(3.0, 2.0)),
    (
        "nested",
        {"w": [X, (X[:2], {"z": X[0]})], "b": ()},
        lambda p: np.sum(p["w"][0]) * p["w"][1][1]["z"] + np.sum(p["w"][1][0] ** 2),
        {"w": [np.full(3, 0.5), (2 * X[:2], {"z": X.sum()})], "b": ()},
    ),
]


@pytest.mark.parametrize(("p", "f", "want"), [c[1:] for c in TREES], ids=[c[0] for c in TREES])
def test_gradients_have_the_structure_of_the_argument(p, f, want):
    same(sd.grad(f)(p), want)
    value, gradient = sd.value_and_grad(f)(p)
    same(gradient, want)
    same(value, f(p) if not isinstance(f(p), np.generic) else np.float64(f(p)))
    same(sd.vjp(f, p)[1](1.0)[0], want)
    same(sd.hvp(f, (p,), (p,))[0], (want,))


@pytest.mark.parametrize(
    "out",
    [
        lambda x: x,
        lambda x: (x, 2 * x),
        lambda x: [x, [x * x]],
        lambda x: {"b": x, "a": (x + 1, {"c": np.sum(x)})},
        lambda x: Line(x, np.sum(x)),
        lambda x: Pair(x, -x),
        lambda x: (x,),
        lambda x: (np.float64(3.0), x),
    ],
)
def test_results_have_the_structure_of_the_function(out):
    same(sd.jit(out)(X), out(X))


def test_none_and_strings_are_constants():
    def f(x, mode, nothing=None):
        assert nothing is None
        return x * 2 if mode == "double" else x * 3

    g = sd.grad(f)
    assert g(1.0, "double") == 2.0
    assert g(1.0, "triple") == 3.0
    assert g(1.0, "double", None) == 2.0
    assert g(1.0, mode="triple") == 3.0


def xfail(reason: str) -> Any:
    """What the library has wrong."""
    return pytest.mark.xfail(strict=True, reason=reason)


def test_equal_constants_of_different_types_are_not_mistaken():
    class Kind(str):
        __slots__ = ()

    def f(x, kind):
        return x * (2.0 if type(kind) is Kind else 3.0)

    g = sd.jit(f)
    assert g(1.0, "a") == 3.0
    assert g(1.0, Kind("a")) == 2.0


def test_true_is_not_one():
    def f(x, flag):
        return x * flag

    g = sd.jit(f)
    assert g(2.0, 1) == 2.0
    assert g(2.0, True) == 2.0
    assert g(2.0, False) == 0.0
    assert g(2.0, 0) == 0.0
    h = sd.jit(lambda x, flag: x if flag is True else -x)
    assert h(2.0, True) in (2.0, -2.0)


def test_functions_may_be_arguments():
    g = sd.grad(lambda x, f: f(x))
    assert g(0.5, np.sin) == pytest.approx(np.cos(0.5), rel=1e-15)
    assert g(0.5, np.exp) == pytest.approx(np.exp(0.5), rel=1e-15)


# argnums, has_aux, keywords

ARGNUMS = [
    (0, 12.0),
    (1, 4.0),
    (-1, 1.0),
    ((0,), (12.0,)),
    ((0, 1), (12.0, 4.0)),
    ((1, 0), (4.0, 12.0)),
    ([2, 0], (1.0, 12.0)),
    ((), ()),
    (np.int64(1), 4.0),
]


@pytest.mark.parametrize(("argnums", "want"), ARGNUMS)
def test_argnums(argnums, want):
    def f(x, y, z):
        return x**2 * y + z

    same(sd.grad(f, argnums)(2.0, 3.0, 4.0), want)
    same(sd.value_and_grad(f, argnums)(2.0, 3.0, 4.0), (16.0, want))
    same(sd.jacobian(f, argnums)(2.0, 3.0, 4.0), want)


def test_the_same_argument_twice_in_argnums():
    same(sd.grad(lambda x, y: x * y, (0, 0))(2.0, 3.0), (3.0, 3.0))


def test_hessian_of_several_arguments_is_a_tuple_of_tuples():
    h = sd.hessian(lambda x, y: x**2 * y + y**3, (0, 1))
    same(h(2.0, 3.0), ((6.0, 4.0), (4.0, 18.0)))


def test_has_aux():
    f = sd.value_and_grad(lambda x: (np.sum(x**2), {"x": x, "twice": [2 * x]}), has_aux=True)
    (value, aux), gradient = f(X)
    same(value, np.float64(np.sum(X**2)))
    same(aux, {"x": X, "twice": [2 * X]})
    same(gradient, 2 * X)


def test_has_aux_with_argnums_and_integers_in_aux():
    f = sd.value_and_grad(lambda x, y: (x * y, np.floor(x)), (0, 1), has_aux=True)
    same(f(2.5, 3.0), ((7.5, 2.0), (3.0, 2.5)))


def test_keywords_and_defaults():
    def f(x, y=3.0, *, scale=1.0, shift=0.0):
        return scale * x * y + shift

    g = sd.grad(f)
    assert g(2.0) == 3.0
    assert g(2.0, 5.0) == 5.0
    assert g(2.0, y=5.0) == 5.0
    assert g(2.0, scale=2.0) == 6.0
    assert g(2.0, shift=1.0, scale=2.0) == g(2.0, scale=2.0, shift=1.0) == 6.0
    assert sd.jit(f)(2.0, shift=np.array(1.0)) == 7.0


def test_arguments_in_plenty():
    g = sd.grad(lambda *args, **kwargs: sum(args) * kwargs["k"], 2)
    assert g(1.0, 2.0, 3.0, k=4.0) == 4.0
    many = sd.jit(lambda *args: sum(args))
    assert many(*[float(n) for n in range(60)]) == sum(range(60))


# numbers and arrays in, the like out


def test_python_numbers_in_python_numbers_out():
    f = sd.jit(lambda x, y: (x + y, x * y, x > y))
    got = f(2.0, 3)
    assert got == (5.0, 6.0, False)
    assert [type(v) for v in got] == [float, float, bool]
    assert type(sd.jit(lambda n: n + 1)(2)) is int
    assert type(sd.jit(lambda n: n / 2)(2)) is float


def test_numpy_in_numpy_out():
    f = sd.jit(lambda x: x + 1)
    assert type(f(np.float64(1))) is np.float64
    assert type(f(np.float32(1))) is np.float32
    assert type(f(np.ones(2))) is np.ndarray
    assert type(sd.jit(np.sum)(np.ones(2))) is np.float64
    assert type(sd.grad(np.sin)(np.float64(1))) is np.float64


def test_a_number_beside_an_array_gives_arrays():
    assert type(sd.jit(lambda x, y: y)(np.ones(2), 3.0)) in (np.float64, float)
    assert sd.jit(lambda x, y: x * y)(np.ones(2), 3).dtype == np.float64


def test_python_integers_count_as_floats_for_gradients():
    assert sd.grad(lambda x: x**2)(3) == 6.0
    assert type(sd.grad(lambda x: x**2)(3)) is float
    assert sd.grad(lambda x, n: x * n)(3, 4) == 4.0
    assert sd.hessian(lambda x: x**3)(2) == 12.0
    assert sd.jacobian(lambda x: x**3)(2) == 12.0
    assert sd.jvp(lambda x: x**2, 3, 1) == (9.0, 6.0)
    assert sd.vjp(lambda x: x**2, 3)[1](1) == (6.0,)
    assert sd.hvp(lambda x: x**3, 2, 1) == (12.0, 12.0)
    same(sd.grad(lambda p: p[0] * p[1])([2, 3]), [3.0, 2.0])


SINGLE = [
    ("sum", lambda x: np.sum(x**2), []),
    ("mean", lambda x: np.mean(np.sin(x) * 2.5 + 1), []),
    ("var", np.var, []),
    ("shape", lambda x: np.sum(x) * x.shape[0] / x.size, []),
    ("len", lambda x: np.sum(x) * len(x), []),
    ("where", lambda x: np.sum(np.where(x > 0, x, 0.0)) * 3, []),
    ("norm", np.linalg.norm, []),
    ("dot", lambda x: x @ x + x[0] / 3, []),
    ("outer", lambda x: np.sum(np.outer(x, x)) * np.pi, []),
    ("power", lambda x: np.max(x) + np.sum(np.exp(x) ** 0.5), []),
    ("clip", lambda x: np.sum(np.clip(x, -1.0, 1.0)), []),
    ("concatenate", lambda x: np.prod(np.concatenate([x, np.ones(2, "float32")])), []),
    ("softmax", lambda x: np.sum(x * np.exp(x) / np.sum(np.exp(x))), []),
]


@pytest.mark.parametrize("f", [pytest.param(c[1], id=c[0], marks=c[2]) for c in SINGLE])
def test_float32_stays_float32(f):
    x = X.astype(np.float32)
    assert f(x).dtype == np.float32
    value, gradient = sd.value_and_grad(f)(x)
    assert (value.dtype, gradient.dtype) == (np.float32, np.float32)
    assert sd.jit(f)(x).dtype == np.float32
    np.testing.assert_allclose(value, f(x), rtol=1e-6)


def test_float32_stays_float32_through_all_transforms():
    x = X.astype(np.float32)

    def f(x):
        return np.sum(np.sin(x) ** 2)

    assert sd.jacobian(np.sin)(x).dtype == np.float32
    assert sd.hessian(f)(x).dtype == np.float32
    assert [v.dtype for v in sd.hvp(f, x, x)] == [np.float32] * 2
    assert [v.dtype for v in sd.jvp(np.sin, x, x)] == [np.float32] * 2
    value, pullback = sd.vjp(np.sin, x)
    assert (value.dtype, pullback(x)[0].dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(sd.grad(f)(x), np.sin(2 * x), rtol=1e-6)


def test_float32_and_float64_are_compiled_apart():
    f = sd.jit(np.exp)
    assert f(X.astype("float32")).dtype == np.float32
    assert f(X).dtype == np.float64
    np.testing.assert_allclose(f(X), np.exp(X), rtol=1e-15)
    assert f.n_compiled == 2


LAYOUTS = [
    ("strided", np.arange(12.0)[::3]),
    ("reversed", np.arange(4.0)[::-1]),
    ("transposed", np.arange(6.0).reshape(2, 3).T),
    ("Fortran", np.asfortranarray(np.arange(6.0).reshape(2, 3))),
    ("big-endian", np.arange(4.0).astype(">f8")),
    ("big-endian float32", np.arange(4.0).astype(">f4")),
    ("unaligned", np.frombuffer(b"\0" + np.arange(4.0).tobytes(), offset=1)),
    ("broadcast", np.broadcast_to(np.arange(3.0), (2, 3))),
    ("0-d", np.array(2.0)),
    ("size 0", np.zeros(0)),
    ("size 0 of rank 2", np.zeros((0, 3))),
    ("size 0 in the second axis", np.zeros((3, 0))),
    ("one element", np.ones(1)),
    ("masked column", np.arange(6.0).reshape(2, 3)[:, 1]),
    ("rank 5", np.arange(24.0).reshape(1, 2, 1, 3, 4)),
    ("subclass", np.arange(4.0).view(type("Sub", (np.ndarray,), {}))),
]


@pytest.mark.parametrize("x", [c[1] for c in LAYOUTS], ids=[c[0] for c in LAYOUTS])
def test_any_layout(x):
    before = x.copy()
    plain = np.array(x, dtype=x.dtype.newbyteorder("="), subok=False)
    np.testing.assert_allclose(sd.jit(lambda x: np.exp(x) * 2)(x), np.exp(plain) * 2, rtol=1e-6)
    got = sd.grad(lambda x: np.sum(x**3))(x)
    np.testing.assert_allclose(got, 3 * plain**2, strict=True)
    np.testing.assert_array_equal(x, before)


def test_read_only_arrays_are_read_and_results_are_writable():
    x = np.arange(4.0)
    x.setflags(write=False)
    y = sd.jit(lambda x: x)(x)
    y[0] = 5.0
    assert x[0] == 0.0
    z = sd.jit(lambda x: (x, x))(x)
    z[0][0] = 7.0
    assert z[1][0] == 0.0


def test_results_do_not_share_memory_with_arguments_or_constants():
    c = np.arange(3.0)
    f = sd.jit(lambda x: (x, c))
    x = np.ones(3)
    got = f(x)
    got[0][:] = 9.0
    got[1][:] = 9.0
    assert x.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(f(x)[1], [0.0, 1.0, 2.0])
    assert c.tolist() == [0, 1, 2]


def test_a_view_of_an_argument_is_a_copy():
    x = np.arange(6.0).reshape(2, 3)
    for f in (lambda x: x.T, lambda x: x[:, ::-1], lambda x: x.reshape(3, 2), lambda x: x[0]):
        y = sd.jit(f)(x)
        np.testing.assert_array_equal(y, f(x))
        y[...] = -1.0
    assert x.min() == 0.0


def test_lists_are_trees_of_numbers():
    assert sd.jit(lambda x: x[0] + x[1])([1.0, 2.0]) == 3.0
    same(sd.grad(lambda x: np.sum(np.array(x) ** 2))([1.0, 2.0]), [2.0, 4.0])


def test_kwargs_arrays_of_integers_pass_through():
    n = np.array([1, 2, 3])
    np.testing.assert_array_equal(sd.grad(lambda x, n: np.sum(x * n))(X, n), n)
    assert sd.jit(lambda x, n: n * 2)(X, n).dtype == np.int64


# nesting


def test_three_deep():
    third = sd.grad(sd.grad(sd.grad(lambda x: np.sin(x) * x**2)))
    x = 0.7
    want = (6 - x**2) * np.cos(x) - 6 * x * np.sin(x)
    assert third(x) == pytest.approx(want, rel=1e-13)
    fourth = sd.grad(sd.grad(sd.grad(sd.grad(np.exp))))
    assert fourth(0.3) == pytest.approx(np.exp(0.3), rel=1e-15)


def test_perturbation_confusion():
    """d/dx (x * d/dy (x + y)) is 1, not 2 (Siskind & Pearlmutter 2005)."""
    inner = lambda x: sd.grad(lambda y: x + y)(1.0)  # noqa: E731
    assert sd.grad(lambda x: x * inner(x))(1.0) == 1.0
    assert sd.jvp(lambda x: x * sd.jvp(lambda y: x + y, 1.0, 1.0)[1], 1.0, 1.0)[1] == 1.0
    # x * (2 x y at y = x) is 2 x^3.
    assert sd.grad(lambda x: x * sd.grad(lambda y: x * y**2)(x))(3.0) == 54.0


def test_closures_over_tracers():
    def f(x):
        def g(y):
            def h(z):
                return x * y**2 * z**3

            return sd.grad(h)(y) * x

        return sd.grad(g)(x)

    # h' = 3 x y^2 z^2 at z=y: 3 x y^4; times x; d/dy: 12 x^2 y^3 at y=x: 12 x^5
    assert sd.jit(f)(2.0) == pytest.approx(12 * 2.0**5)
    assert sd.grad(f)(2.0) == pytest.approx(60 * 2.0**4)


def test_a_function_inside_a_traced_function():
    square = sd.jit(lambda x: x**2)
    df = sd.grad(lambda x: np.sum(square(x) * x))
    np.testing.assert_allclose(df(X), 3 * X**2)
    outer = sd.jit(lambda x: df(x) + sd.hessian(lambda y: np.sum(y**3))(x) @ x)
    np.testing.assert_allclose(outer(X), 3 * X**2 + 6 * X**2)


def test_inner_transforms_of_every_kind():
    def f(x):
        value, gradient = sd.value_and_grad(lambda y: np.sum(y**3))(x)
        tangent = sd.jvp(np.sin, x, x)[1]
        cotangent = sd.vjp(np.sin, x)[1](x)[0]
        gradient2, product = sd.hvp(lambda y: np.sum(y**3), x, x)
        jacobian = sd.jacobian(np.sin)(x)
        return value, gradient, tangent, cotangent, gradient2, product, jacobian

    got = sd.jit(f)(X)
    cos = np.cos(X)
    want = [np.sum(X**3), 3 * X**2, cos * X, cos * X, 3 * X**2, 6 * X**2, np.diag(cos)]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-13, atol=1e-15)


def test_a_gradient_step_in_a_loop_can_be_differentiated():
    def loss(w, x):
        return (w * x - 1.0) ** 2

    def fitted(w, x):
        for _ in range(3):
            w = w - 0.1 * sd.grad(loss)(w, x)
        return loss(w, x)

    sd.check_derivatives(fitted, 0.5, 1.5)


def test_forward_over_reverse_and_the_other_way_round():
    def f(x):
        return np.sum(np.sin(x) * x[::-1])

    h = sd.hessian(f)(X)
    np.testing.assert_allclose(h, h.T, atol=1e-15)
    for n, e in enumerate(np.eye(3)):
        np.testing.assert_allclose(sd.hvp(f, X, e)[1], h[n], atol=1e-15)
        np.testing.assert_allclose(sd.jvp(sd.grad(f), X, e)[1], h[n], atol=1e-15)
        np.testing.assert_allclose(sd.grad(lambda x, e=e: sd.grad(f)(x) @ e)(X), h[n], atol=1e-15)
        np.testing.assert_allclose(sd.grad(lambda x, e=e: sd.jvp(f, x, e)[1])(X), h[n], atol=1e-15)


def test_a_function_of_a_function_is_itself():
    f = sd.jit(np.sin)
    assert sd.jit(f)(0.5) == f(0.5)
    assert sd.grad(f)(0.5) == pytest.approx(np.cos(0.5), rel=1e-15)


def test_stop_gradient():
    same(sd.grad(lambda x: x * sd.stop_gradient(x**2))(3.0), 9.0)
    same(sd.jvp(lambda x: x * sd.stop_gradient(x**2), 3.0, 1.0), (27.0, 9.0))
    same(sd.grad(sd.grad(lambda x: x**2 * sd.stop_gradient(x)))(3.0), 6.0)
    np.testing.assert_array_equal(sd.grad(lambda x: np.sum(sd.stop_gradient(x)))(X), np.zeros(3))
    assert sd.stop_gradient(3.0) == 3.0


def test_arguments_that_are_not_used_have_zero_gradients():
    np.testing.assert_array_equal(sd.grad(lambda x, y: np.sum(y))(X, X), np.zeros(3))
    np.testing.assert_array_equal(sd.jacobian(lambda x, y: y)(X, X), np.zeros((3, 3)))
    np.testing.assert_array_equal(sd.hessian(np.sum)(X), np.zeros((3, 3)))
    same(sd.grad(lambda x: 3.0)(2.0), 0.0)


# jacobians and hessians

SHAPES = [(), (3,), (2, 3), (2, 1, 3), (1,), (0,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("f", "reduces"),
    [
        (lambda x: np.sin(x) * 2, False),
        (lambda x: np.sum(x**2), True),
        (lambda x: np.stack([x, x**2]), False),
        (lambda x: np.sum(x) * np.ones((2, 2)), True),
    ],
)
def test_jacobian_shapes(f, reduces, shape):
    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    got = np.asarray(sd.jacobian(f)(x))
    out = np.asarray(f(x))
    assert got.shape == out.shape + shape
    columns = [np.asarray(sd.jvp(f, x, e.reshape(shape))[1]).ravel() for e in np.eye(x.size)]
    want = np.array(columns).reshape(x.size, out.size).T.reshape(got.shape)
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)
    rows = [np.asarray(sd.vjp(f, x)[1](e.reshape(out.shape))[0]).ravel() for e in np.eye(out.size)]
    np.testing.assert_allclose(got, np.array(rows).reshape(got.shape), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("rows", "columns"), [(2, 7), (7, 2), (4, 4), (1, 5), (5, 1)])
def test_forward_and_reverse_jacobians_are_equal(rows, columns):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, columns))
    x = rng.standard_normal(columns)
    want = np.cos(a @ x)[:, None] * a
    np.testing.assert_allclose(sd.jacobian(lambda x: np.sin(a @ x))(x), want, rtol=1e-13)
    np.testing.assert_allclose(sd.jacobian(lambda x, a: np.sin(a @ x))(x, a), want, rtol=1e-13)
    got = sd.jacobian(lambda x, a: np.sin(a @ x), 1)(x, a)
    want = np.einsum("i,ij,k->ijk", np.cos(a @ x), np.eye(rows), x)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


def test_jacobian_of_trees():
    f = sd.jacobian(lambda p: {"u": p["a"] * p["b"], "v": [np.sum(p["a"])]})
    got = f({"a": X, "b": 2.0})
    same(
        got,
        {
            "u": {"a": 2 * np.eye(3), "b": X},
            "v": [{"a": np.ones(3), "b": np.float64(0.0)}],
        },
    )


def test_sparse_jacobians_have_the_exact_pattern():
    f = sd.jacobian(lambda x: x[1:] * x[:-1] + 0 * np.sum(x[0]), sparse=True)
    got = f(np.array([1.0, 2.0, 3.0, 4.0]))
    dense = sd.jacobian(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(got.toarray(), dense)
    h = sd.hessian(lambda x: np.sum(x**2), sparse=True)(np.array([1.0, 2.0, 0.0]))
    np.testing.assert_array_equal(h.toarray(), 2 * np.eye(3))
    assert h.nnz == 3
    # An entry of the pattern that happens to be zero is kept.
    j = sd.jacobian(lambda x: x**2, sparse=True)(np.array([1.0, 0.0]))
    assert j.nnz == 2


HESSIANS = [
    ("quadratic", lambda x: x @ (A @ x) / 2, lambda x: (A + A.T) / 2),
    ("quartic", lambda x: np.sum(x**4), lambda x: np.diag(12 * x**2)),
    ("norm", np.linalg.norm, lambda x: (np.eye(3) - np.outer(x, x) / (x @ x)) / np.sqrt(x @ x)),
    (
        "log-sum-exp",
        lambda x: np.log(np.sum(np.exp(x))),
        lambda x: np.diag(soft(x)) - np.outer(soft(x), soft(x)),
    ),
    (
        "logaddexp.reduce",
        np.logaddexp.reduce,
        lambda x: np.diag(soft(x)) - np.outer(soft(x), soft(x)),
    ),
    ("product", np.prod, lambda x: np.array([[0, x[2], x[1]], [x[2], 0, x[0]], [x[1], x[0], 0]])),
    ("exp of a form", lambda x: np.exp(B @ x), lambda x: np.exp(B @ x) * np.outer(B, B)),
    ("variance", np.var, lambda x: 2 / 3 * (np.eye(3) - 1 / 3)),
    ("max", lambda x: np.max(x) ** 2, lambda x: np.diag([0, 0, 2.0])),
    ("mean of squares", lambda x: np.mean((A @ x - B) ** 2), lambda x: 2 / 3 * A.T @ A),
]
A = np.array([[2.0, 1.0, -0.5], [0.0, 3.0, 1.0], [1.0, -1.0, 0.5]])
B = np.array([0.3, -0.2, 0.1])


def soft(x):
    return np.exp(x) / np.sum(np.exp(x))


@pytest.mark.parametrize(
    ("f", "want"), [pytest.param(*c[1:3], id=c[0], marks=c[3:]) for c in HESSIANS]
)
def test_hessians_of_closed_form(f, want):
    np.testing.assert_allclose(sd.hessian(f)(X), want(X), rtol=1e-12, atol=1e-14)
    rows = np.array([sd.hvp(f, X, e)[1] for e in np.eye(3)])
    np.testing.assert_allclose(rows, want(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(sd.jacobian(sd.jacobian(f))(X), want(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (
            lambda x: np.sum(x[1:] * x[:-1] ** 2),
            [[-2.0, 1.0, 0.0], [1.0, 4.0, -2.0], [0.0, -2.0, 0.0]],
        ),
        (
            lambda x: np.sum((x[1:] - x[:-1]) ** 2),
            [[2.0, -2.0, 0.0], [-2.0, 4.0, -2.0], [0.0, -2.0, 2.0]],
        ),
        (lambda x: np.sum(x[:2] ** 2), np.diag([2.0, 2.0, 0.0])),
        (lambda x: np.sum(x[1:] ** 2), np.diag([0.0, 2.0, 2.0])),
        (lambda x: np.sum(x[::2] ** 3), np.diag([3.0, 0.0, 12.0])),
        (lambda x: np.sum(x * x[::-1]), np.eye(3)[::-1] * 2),
        (lambda x: np.sum(x[np.array([0, 0, 2])] ** 2), np.diag([4.0, 0.0, 2.0])),
        (lambda x: x[0] * x[2], [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    ],
)
def test_hessians_with_parts_that_nothing_writes(f, want):
    h = sd.hessian(f)
    h(X)
    kept = [np.full((3, 3), 7.0) for _ in range(20)]
    del kept  # memory that is used again is not zero
    np.testing.assert_allclose(h(X), want, atol=1e-15)


PARTS = [
    ("a row", lambda x, y: np.sum(x[:1] * y), (3, 3), 1),
    ("the first", lambda x, y: np.sum(x[:1] * y[:1]), (3,), 1),
    ("the last", lambda x, y: np.sum(x[-1:] * y[-1:]), (3,), 1),
    ("the middle", lambda x, y: np.sum(x[1:2] * y[1:2]), (3,), 1),
    ("most", lambda x, y: np.sum(x[1:] * y[1:]), (3,), 2),
    ("every other", lambda x, y: np.sum(x[::2] * y[::2]), (3,), 2),
    ("one number", lambda x, y: x[1] * y[1], (3,), 1),
    ("a column", lambda x, y: np.sum(x[:, 0] * y[:, 0]), (3, 3), 3),
    ("the diagonal", lambda x, y: np.trace(x * y), (3, 3), 3),
    ("above the diagonal", lambda x, y: np.sum(np.diagonal(x * y, 1)), (3, 3), 2),
    ("picked", lambda x, y: np.sum((x * y)[np.array([0, 2])]), (3,), 2),
    ("concatenated", lambda x, y: np.sum(np.concatenate([y[1:], x[:1]]) * y), (3,), 1),
    ("swapped", lambda x, y: np.sum(np.concatenate([y[1:], x[:1]]) * y), (3, 3), 3),
]


@pytest.mark.parametrize(
    ("f", "shape", "count"), [pytest.param(*c[1:4], id=c[0], marks=c[4:]) for c in PARTS]
)
def test_gradients_are_zero_where_nothing_is_read(f, shape, count):
    y = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    df = sd.grad(f)
    df(y, y)
    kept = [np.full(shape, 7.0) for _ in range(20)]
    del kept
    got = df(y, y)
    unit = np.eye(y.size).reshape(y.size, *shape)
    want = np.reshape([f(y + e, y) - f(y, y) for e in unit], shape)
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_third_derivatives_of_arrays():
    t = sd.jacobian(sd.hessian(lambda x: np.sum(x**3) + x[0] * x[1] * x[2]))(X)
    want = np.zeros((3, 3, 3))
    for i in range(3):
        want[i, i, i] = 6.0
    for i, j, k in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        want[i, j, k] = 1.0
    np.testing.assert_allclose(t, want, atol=1e-14)


# jvp, vjp, hvp


def test_jvp_mirrors_its_primals():
    same(sd.jvp(np.sin, 0.5, 2.0), (float(np.sin(0.5)), float(2 * np.cos(0.5))))
    same(sd.jvp(lambda x: x * 3, (X,), (X,)), (3 * X, 3 * X))
    same(sd.jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0)), (6.0, 3.0))
    same(sd.jvp(lambda p: {"s": p["a"] * 2}, {"a": X}, {"a": X}), ({"s": 2 * X}, {"s": 2 * X}))


def test_hvp_mirrors_its_primals():
    same(sd.hvp(lambda x: x**3, 2.0, 1.0), (12.0, 12.0))
    same(sd.hvp(lambda x, y: x**2 * y, (2.0, 3.0), (1.0, 1.0)), ((12.0, 4.0), (10.0, 4.0)))
    same(sd.hvp(lambda x: np.sum(x**2), (X,), (X,)), ((2 * X,), (2 * X,)))


def test_vjp_gives_a_tuple_and_its_pullback_can_be_called_often():
    value, pullback = sd.vjp(lambda x, y: x * y, X, 2.0)
    same(value, 2 * X)
    for scale in (1.0, 2.0):
        d_x, d_y = pullback(np.full(3, scale))
        np.testing.assert_allclose(d_x, np.full(3, 2 * scale))
        assert d_y == pytest.approx(scale * X.sum())


def test_vjp_of_trees():
    value, pullback = sd.vjp(lambda x: (x**2, {"s": np.sum(x)}), X)
    same(value, (X**2, {"s": np.float64(X.sum())}))
    same(pullback((np.ones(3), {"s": 10.0})), (2 * X + 10,))


# sizes: one kernel for all, and never one size's number for another

SIZES = [3, 1, 4, 3, 0]
SIZED: list[tuple[Any, ...]] = [
    ("len", lambda x: np.sum(x) / (len(x) + 1)),
    ("shape", lambda x: np.sum(x) * x.shape[0]),
    ("shape squared", lambda x: x * x.shape[0] ** 2),
    ("size", lambda x: np.sum(x * x.size)),
    ("float of shape", lambda x: x * float(x.shape[0])),
    ("int of shape", lambda x: x * int(x.shape[0])),
    ("range", lambda x: sum((x[i] * i for i in range(len(x))), 0.0 * np.sum(x))),
    ("range of shape", lambda x: sum((x[i] * i for i in range(x.shape[0])), 0.0 * np.sum(x))),
    ("iteration", lambda x: sum((v * v for v in x), 0.0 * np.sum(x))),
    ("enumerate", lambda x: sum((v * n for n, v in enumerate(x)), 0.0 * np.sum(x))),
    ("comparison", lambda x: x * 2 if x.shape[0] > 2 else x * 3),
    ("equality", lambda x: x * 2 if x.shape[0] == 3 else x * 3),
    ("parity", lambda x: x * 2 if len(x) % 2 else x * 3),
    ("shape is a tuple", lambda x: x * 2 if x.shape == (3,) else x * 3),
    ("truth of size", lambda x: np.sum(x) * 2 if x.size else np.sum(x) + 7.0),
    ("halves", lambda x: np.sum(x[: len(x) // 2])),
    ("halves of shape", lambda x: np.sum(x[: x.shape[0] // 2]) + np.sum(x[x.shape[0] // 2 :] ** 2)),
    ("arange of len", lambda x: np.sum(x * np.arange(len(x)))),
    ("arange", lambda x: np.sum(x * np.arange(x.shape[0]))),
    ("linspace", lambda x: np.sum(x * np.linspace(0.0, 1.0, len(x)))),
    ("ones", lambda x: np.outer(np.ones(len(x)), x)),
    ("zeros of shape", lambda x: x + np.zeros(x.shape)),
    ("reshape", lambda x: np.reshape(x, (1, x.shape[0])) * 2),
    ("mean", lambda x: np.sum(x - np.sum(x) / max(len(x), 1))),
    ("math", lambda x: x * np.sqrt(x.shape[0])),
    ("numpy of shape", lambda x: x / np.maximum(x.shape[0], 1)),
    ("format", lambda x: x * len(f"{len(x):b}")),
    ("min of shape", lambda x: x * min(x.shape[0], 4)),
    ("dict of sizes", lambda x: x * {1: 5.0, 3: 6.0}.get(x.shape[0], 7.0)),
    ("list times size", lambda x: x * sum([1.0] * len(x))),
    ("np.shape", lambda x: x * np.shape(x)[0]),
    ("np.size", lambda x: x * np.size(x)),
    ("negative", lambda x: x * -x.shape[0] + (10 - x.shape[0])),
    ("divided", lambda x: x * (x.shape[0] / 2) + x.shape[0] // 2),
    ("power", lambda x: x * 2.0 ** x.shape[0]),
    ("clipped slice", lambda x: np.sum(x[:4] ** 2)),
    ("slice from behind", lambda x: np.sum(x[-2:] ** 2)),
    ("strides", lambda x: np.sum(x[::2]) - np.sum(x[1::2])),
    ("reversed", lambda x: x[::-1] * 2),
    ("concatenate", lambda x: np.concatenate([x, 2 * x])),
    ("ravel", lambda x: np.ravel(np.stack([x, 2 * x]))),
    ("outer", lambda x: np.outer(x, x)),
    ("var", lambda x: np.sum(x**2) / (x.size + 1) - np.sum(x)),
    ("ndim", lambda x: x * x.ndim),
]


@pytest.mark.parametrize("f", [pytest.param(c[1], id=c[0], marks=c[2:]) for c in SIZED])
def test_no_size_gives_the_numbers_of_another(f):
    value = sd.jit(f)
    gradient = sd.grad(lambda x: np.sum(f(x)))
    for n in SIZES:
        x = np.linspace(1.0, 2.0, n)
        np.testing.assert_allclose(value(x), f(x), rtol=1e-13, atol=1e-13, strict=True)
        fresh = sd.grad(lambda x: np.sum(f(x)))(x)
        np.testing.assert_allclose(gradient(x), fresh, rtol=1e-13, atol=1e-13)


def test_the_last_element_of_any_size():
    f = sd.jit(lambda x: x[-1] * 2 + x[0])
    for n in (1, 2, 5):
        x = np.arange(1.0, 1.0 + n)
        assert f(x) == x[-1] * 2 + x[0]
    with pytest.raises(sd.ShapeError):
        f(np.zeros(0))
    assert f(np.ones(3)) == 3.0


def test_a_fixed_index_is_checked_at_every_size():
    f = sd.jit(lambda x: x[2])
    assert f(np.arange(5.0)) == 2.0
    with pytest.raises((sd.ShapeError, IndexError)):
        f(np.arange(2.0))
    assert f(np.arange(3.0)) == 2.0


def test_two_arrays_of_equal_then_of_other_sizes():
    f = sd.jit(lambda x, y: np.sum(x) * y)
    for n, m in [(3, 3), (3, 4), (4, 3), (1, 5), (5, 1), (2, 2)]:
        x, y = np.ones(n), np.ones(m)
        np.testing.assert_allclose(f(x, y), n * y, strict=True)
    add = sd.jit(lambda x, y: x + y)
    for n, m in [(3, 3), (3, 1), (1, 3), (1, 1), (4, 4), (0, 1), (0, 0)]:
        np.testing.assert_array_equal(add(np.ones(n), np.ones(m)), np.ones(n) + np.ones(m))
    with pytest.raises(sd.ShapeError):
        add(np.ones(3), np.ones(2))
    g = sd.grad(lambda x, y: np.sum(x + y), (0, 1))
    for n, m in [(3, 3), (3, 1), (1, 3), (1, 1)]:
        d_x, d_y = g(np.ones(n), np.ones(m))
        np.testing.assert_array_equal(d_x, np.full(n, max(n, m) // n))
        np.testing.assert_array_equal(d_y, np.full(m, max(n, m) // m))


ONE_KERNEL = [
    lambda x: np.sum(x**2),
    lambda x: x / x.shape[0] if x.ndim else x,
    lambda x: np.mean(np.sin(x)),
    np.var,
    np.max,
    lambda x: x @ x,
    lambda x: np.outer(x, x),
    lambda x: x[1:] - x[:-1],
    lambda x: np.concatenate([x, x]),
    lambda x: np.where(x > 0, x, 0.0),
    lambda x: np.exp(x) / np.sum(np.exp(x)),
]


@pytest.mark.parametrize("f", ONE_KERNEL)
def test_one_kernel_for_many_batch_sizes(f):
    value, gradient = sd.jit(f), sd.grad(lambda x: np.sum(f(x)))
    for n in (100, 7, 1000, 2, 31):
        x = np.linspace(0.1, 1.0, n)
        np.testing.assert_allclose(value(x), f(x), rtol=1e-12, atol=1e-14)
        gradient(x)
    assert value.n_compiled == 1
    assert gradient.n_compiled == 1


def test_a_batch_of_a_network_is_one_kernel():
    w = np.linspace(-1.0, 1.0, 12).reshape(3, 4)

    def loss(w, x, y):
        return np.mean((np.sum(np.tanh(x @ w), axis=1) - y) ** 2)

    f = sd.value_and_grad(loss)
    for n in (5, 50, 2, 500):
        x = np.cos(np.arange(3.0 * n)).reshape(n, 3)
        y = np.sin(np.arange(n))
        value, gradient = f(w, x, y)
        assert value == pytest.approx(loss(w, x, y), rel=1e-12)
        h = np.tanh(x @ w)
        residual = h.sum(axis=1) - y
        want = x.T @ ((1 - h**2) * residual[:, None]) * 2 / n
        np.testing.assert_allclose(gradient, want, rtol=1e-10)
    assert f.n_compiled == 1


def test_every_value_is_read_anew():
    f = sd.grad(lambda x, y: x**2 * y)
    for x in np.linspace(-3, 3, 7):
        for y in (0.5, 2.0):
            assert f(float(x), y) == 2 * x * y


def test_what_a_closure_holds_is_taken_at_the_first_call():
    c = np.ones(3)
    f = sd.jit(lambda x: x * c)
    f(X)
    c[:] = 5.0
    np.testing.assert_array_equal(f(X), X)


# threads


def in_threads(work: Callable[[int], None], count: int = 8) -> None:
    """Run at the same time; the first error of a thread is raised here."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def run(n: int) -> None:
        try:
            barrier.wait()
            work(n)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def test_threads_that_call_one_function():
    f = sd.value_and_grad(lambda x: np.sum(np.sin(x) ** 2))

    def work(n: int) -> None:
        x = np.linspace(0.0, n + 1.0, 50 + n)
        for _ in range(100):
            value, gradient = f(x)
            assert value == pytest.approx(np.sum(np.sin(x) ** 2), rel=1e-12)
            np.testing.assert_allclose(gradient, np.sin(2 * x), rtol=1e-11, atol=1e-14)

    in_threads(work)
    assert f.n_compiled == 1


def test_threads_that_compile_different_functions():
    def work(n: int) -> None:
        for k in range(4):
            power = 2 + n + k
            f = sd.grad(lambda x, p=power: np.sum(x**p))
            np.testing.assert_allclose(f(X), power * X ** (power - 1), rtol=1e-12)
            assert sd.grad(sd.grad(lambda x: x**3))(2.0) == 12.0

    in_threads(work)


def test_threads_that_call_with_other_ranks_and_numbers():
    f = sd.jit(lambda x: np.sum(x * 2))

    def work(n: int) -> None:
        x = np.ones((2,) * (n % 4))
        for _ in range(50):
            assert f(x) == 2 * x.size
            assert f(float(n)) == 2.0 * n

    in_threads(work)


# checks


def test_check_derivatives_passes_and_fails():
    sd.check_derivatives(lambda x, y: np.sum(np.sin(x) * y**2), X, X)
    sd.check_derivatives(lambda p: p["a"] * np.exp(p["b"]), {"a": X, "b": 0.5})
    sd.check_derivatives(lambda x: (x**2, [np.sum(x)]), X)
    with pytest.raises(sd.SymdiffError, match="order 1"):
        sd.check_derivatives(lambda x: x * sd.stop_gradient(x), X)
    sd.check_derivatives(lambda x: 2 * x, X)


def test_check_derivatives_looks_at_second_derivatives():
    def f(x):
        # The value and the first derivative are right; the second loses a term.
        return x * sd.stop_gradient(x) * 2 - sd.stop_gradient(x**2)

    value, slope = sd.value_and_grad(f)(3.0)
    assert (value, slope) == (9.0, 6.0)
    sd.check_derivatives(lambda x: x**2, 3.0, orders=(2,))
    with pytest.raises(sd.SymdiffError):
        sd.check_derivatives(f, 3.0)


def test_the_name_and_the_wrapped_function_are_kept():
    def model(x):
        """Say what it does."""
        return x

    f = sd.grad(model)
    assert f.__wrapped__ is model
    assert "model" in f.__name__
    assert f.__doc__ == model.__doc__
    assert isinstance(f, sd.Function)
    assert "model" in repr(f)


@pytest.mark.parametrize("make", [sd.jit, sd.grad, sd.value_and_grad, sd.jacobian, sd.hessian])
def test_every_transform_gives_a_function(make):
    f = make(lambda x: x**2)
    assert isinstance(f, sd.Function)
    assert f.n_compiled == 0
    f(1.0)
    f(2.0)
    assert f.n_compiled == 1


def test_methods_and_callable_objects():
    class Model:
        def __init__(self, k):
            self.k = k

        def __call__(self, x):
            return self.k * x**2

        def method(self, x):
            return self.k * x**3

    assert sd.grad(Model(3.0))(2.0) == 12.0
    assert sd.grad(Model(3.0).method)(2.0) == 36.0
    assert sd.jvp(Model(3.0).method, 2.0, 1.0)[1] == 36.0
    assert sd.jvp(Model(5.0).method, 2.0, 1.0)[1] == 60.0
    two, five = Model(2.0), Model(5.0)
    assert [sd.hvp(m, 1.0, 1.0)[1] for m in (two, five, two)] == [4.0, 10.0, 4.0]


def test_jacobians_of_elementwise_functions_are_diagonal():
    for f in (np.sin, np.exp, np.square, lambda x: x**3, lambda x: 1 / x, lambda x: np.sin(x) * x):
        want = np.diag(sd.grad(lambda x, f=f: np.sum(f(x)))(X))
        np.testing.assert_allclose(sd.jacobian(f)(X), want, atol=1e-15)
