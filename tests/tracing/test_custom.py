"""The user's own rules: one description, both modes, any order; a missing rule raises."""

import numpy as np
import pytest
import scipy.special

import symdiff as sd

X = np.linspace(0.5, 3.0, 5)
rng = np.random.default_rng(0)
A = rng.normal(size=(5, 5)) + 4 * np.eye(5)

j1 = sd.primitive(scipy.special.j1, partials=lambda ans, x: (j0(x) - ans / x,))
j0 = sd.primitive(scipy.special.j0, partials=lambda ans, x: (-j1(x),))
solve = sd.primitive(
    np.linalg.solve,
    shape=lambda a, b: b,
    jvp=lambda ans, primals, tangents: solve(primals[0], tangents[1] - tangents[0] @ ans),
    transposes={1: lambda a, b, cotangent: solve(a.T, cotangent)},
)
form = sd.custom_derivative(
    lambda a, x: x @ a @ x,
    jvp=lambda ans, p, t: p[1] @ t[0] @ p[1] + t[1] @ (p[0] + p[0].T) @ p[1],
)
cubes = sd.custom_derivative(lambda x: np.sum(x**3), partials=lambda ans, x: (3 * x**2,))
pair = sd.custom_derivative(
    lambda x: np.stack([np.sum(x), np.prod(x)]),
    partials=lambda ans, x: (np.stack([np.ones_like(x), ans[1] / x]),),
)

CASES = {
    "number": (lambda x: j0(x) * x, 1.3),
    "elementwise": (lambda x: j0(x * x) * x, X),
    "batch": (sd.vmap(lambda x: j0(x) ** 2), X),
    "jvp of two": (form, A, X),
    "linear solve": (solve, A, X),
    "gradient": (cubes, X),
    "Jacobian": (pair, X),
    "inside": (lambda x: cubes(np.sin(x)) * pair(x)[1], X),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_both_modes_and_orders(case):
    f, *args = case
    plain = f(*args)
    np.testing.assert_allclose(sd.jit(f)(*args), plain, rtol=1e-13)
    sd.check_derivatives(lambda *xs: np.sum(f(*xs) ** 2), *args)


def test_the_rule_is_what_is_used_not_the_function():
    f = sd.custom_derivative(np.round, partials=lambda ans, x: (np.ones_like(x),))
    np.testing.assert_array_equal(sd.grad(lambda x: np.sum(f(x) ** 2))(X), 2 * np.round(X))
    g = sd.custom_derivative(lambda x: x, partials=lambda ans, x: (10.0,))
    assert sd.grad(lambda x: g(x) + x)(1.0) == 11.0


def test_a_derivative_of_the_function_itself_never_leaks():
    f = sd.custom_derivative(np.sqrt, partials=lambda ans, x: (0.0 * x,))
    assert sd.grad(f)(0.0) == 0.0


def test_trees():
    f = sd.custom_derivative(
        lambda p: p["a"] * p["b"], partials=lambda ans, p: ({"a": 10.0, "b": 20.0},)
    )
    assert sd.grad(f)({"a": 1.0, "b": 2.0}) == {"a": 10.0, "b": 20.0}


def test_keywords_pass():
    f = sd.custom_derivative(lambda x, power: x**power, partials=lambda ans, x: (ans / x,))
    assert sd.value_and_grad(lambda x: f(x, power=3))(2.0) == (8.0, 4.0)


def test_decorators():
    @sd.primitive(partials=lambda ans, x: (2 * x,))
    def square(x):
        return np.square(x)

    assert sd.grad(square)(3.0) == 6.0
    assert square(3.0) == 9.0
    assert square.__name__ == "square"


def test_shapes_and_dtypes_of_primitives():
    count = sd.primitive(
        lambda x: np.array([len(x), np.sum(x > 1)]), shape=lambda shape: 2, dtype="int64"
    )
    got = sd.jit(count)(X)
    np.testing.assert_array_equal(got, [5, 4], strict=True)


def test_a_primitive_sees_read_only_arrays_and_the_values():
    seen = []

    @sd.primitive
    def look(x):
        seen.append((x.copy(), x.flags.writeable))
        return x

    sd.jit(lambda x: look(x * 2))(X)
    ((values, writeable),) = seen
    np.testing.assert_array_equal(values, 2 * X)
    assert not writeable


def test_a_missing_rule_raises_with_the_line():
    f = sd.primitive(np.sin)
    for transform in (sd.grad, sd.jacobian, lambda f: lambda x: sd.jvp(f, x, 1.0)):
        with pytest.raises(sd.UnsupportedOperationError, match=r"no rule.*\n.*test_custom.py"):
            transform(lambda x: f(x) * x)(1.0)
    assert sd.grad(lambda x: f(sd.stop_gradient(x)) * x)(1.0) == np.sin(1.0)


@pytest.mark.parametrize("name", ["cumsum", "qr", "product", "not a name"])
def test_a_primitive_may_bear_the_name_of_an_operation_of_ours(name):
    def f(x):
        return 10 - x

    f.__name__ = name
    own = sd.primitive(f, shape=lambda shape: shape)
    x = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(sd.jit(own)(x), 10 - x)


def test_what_a_primitive_raises_comes_out():
    @sd.primitive
    def fails(x):
        raise KeyError("mine")

    f = sd.jit(lambda x: fails(x) + np.sum(X))
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            f(1.0)


def test_wrong_rules_are_named():
    with pytest.raises(sd.ShapeError, match="gave shape"):
        sd.jit(sd.primitive(lambda x: np.ones(3)))(1.0)
    with pytest.raises(sd.ShapeError, match="partials"):
        sd.grad(sd.custom_derivative(lambda x, y: x, partials=lambda ans, x, y: (1.0,)))(1.0, 2.0)
    with pytest.raises(sd.TracingError, match="not linear"):
        sd.grad(sd.custom_derivative(lambda x: x, jvp=lambda ans, p, t: t[0] ** 2))(1.0)
    with pytest.raises(TypeError, match="partials= or jvp="):
        sd.custom_derivative(np.sin)
    with pytest.raises(TypeError, match="not both"):
        sd.primitive(np.sin, partials=lambda a, x: (1.0,), jvp=lambda a, p, t: t[0])


def test_a_tangent_that_calls_itself_needs_a_transpose():
    again = sd.primitive(
        np.linalg.solve,
        shape=lambda a, b: b,
        jvp=lambda ans, p, t: again(p[0], t[1] - t[0] @ ans),
    )
    np.testing.assert_allclose(sd.jvp(again, (A, X), (A, X))[1], np.zeros(5), atol=1e-12)
    with pytest.raises(sd.UnsupportedOperationError, match="transposes="):
        sd.grad(lambda a, b: np.sum(again(a, b)))(A, X)


def test_a_wrong_derivative_is_found():
    wrong = sd.custom_derivative(np.sin, partials=lambda ans, x: (1.001 * np.cos(x),))
    with pytest.raises(sd.SymdiffError, match="differences"):
        sd.check_derivatives(lambda x: np.sum(wrong(x)), X)
