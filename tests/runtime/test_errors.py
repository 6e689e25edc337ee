"""Errors: what came, what is allowed, the user's own line, a way out, and nothing left behind."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special as sc

import symdiff as sd

X = np.array([0.5, -1.0, 2.0])
HERE = __file__


def xfail(reason: str) -> Any:
    """What the library has wrong."""
    return pytest.mark.xfail(strict=True, reason=reason)


def case(
    name: str, error: type, call: Callable[[], Any], *words: str, wrong: str | None = None
) -> Any:
    """A call, its error, and words that the message must have."""
    marks = [xfail(wrong)] if wrong else []
    return pytest.param(error, call, words, id=name, marks=marks)


def branch(x):
    return x if x > 0 else -x


def assigns(x):
    x[0] = 1.0
    return x


FROM_OUTSIDE = np.zeros(3)


def into_numpy(x):
    y = FROM_OUTSIDE
    y += x
    return y


def into_element(x):
    y = FROM_OUTSIDE
    y[0] = x[0]
    return y


def escape() -> Any:
    kept = []
    sd.jit(lambda x: kept.append(x) or x)(1.0)
    return kept[0] + 1


TRACING = [
    case("if", sd.TracingError, lambda: sd.jit(sd.as_written(branch))(1.0), "np.where", "branch"),
    case(
        "and",
        sd.TracingError,
        lambda: sd.jit(sd.as_written(lambda x: x > 0 and x < 1))(1.0),
        "np.logical_and",
    ),
    case(
        "not", sd.TracingError, lambda: sd.jit(sd.as_written(lambda x: not x))(1.0), "logical_not"
    ),
    case("float", sd.TracingError, lambda: sd.jit(float)(1.0), "float()"),
    case("int", sd.TracingError, lambda: sd.jit(int)(1.0), "int()", ".astype(int)"),
    case("range", sd.TracingError, lambda: sd.jit(lambda n: sum(range(n)))(3), "range"),
    case("item", sd.TracingError, lambda: sd.jit(lambda x: x.item())(1.0), ".item()"),
    case("tolist", sd.TracingError, lambda: sd.jit(lambda x: x.tolist())(X), ".tolist()"),
    case(
        "escaped",
        sd.TracingError,
        escape,
        "trac",
    ),
    case("+= into NumPy", sd.TracingError, lambda: sd.jit(into_numpy)(X), "inside the function"),
    case(
        "math",
        sd.TracingError,
        lambda: sd.jit(sd.as_written(lambda x: __import__("math").sin(x)))(1.0),
        "float",
    ),
]
UNSUPPORTED = [
    case("fft", sd.UnsupportedOperationError, lambda: sd.jit(np.fft.fft)(X), "fft", "elementwise"),
    case("unique", sd.UnsupportedOperationError, lambda: sd.jit(np.unique)(X), "unique"),
    case("ufunc", sd.UnsupportedOperationError, lambda: sd.jit(sc.airy)(X), "scipy.special.airy"),
    case("dates", sd.UnsupportedOperationError, lambda: sd.jit(np.isnat)(X), "np.isnan"),
    case(
        "where= of a ufunc",
        sd.UnsupportedOperationError,
        lambda: sd.jit(lambda x: np.sin(x, where=x > 0))(X),
        "where",
    ),
    case(
        "accumulate",
        sd.UnsupportedOperationError,
        lambda: sd.jit(np.hypot.accumulate)(X),
        "accumulate",
    ),
    case(
        "assign", sd.UnsupportedOperationError, lambda: sd.jit(assigns)(X), "argument", "x.copy()"
    ),
    case(
        "traced mask",
        sd.ShapeError,
        lambda: sd.jit(lambda x: x[x > 0])(X),
        "np.where",
    ),
    case(
        "out=", sd.UnsupportedOperationError, lambda: sd.jit(lambda x: np.sum(x, out=x))(X), "out"
    ),
    case(
        "order F",
        sd.UnsupportedOperationError,
        lambda: sd.jit(lambda x: np.ravel(x, order="F"))(np.ones((2, 2))),
        "'C'",
    ),
    case(
        "norm",
        sd.UnsupportedOperationError,
        lambda: sd.jit(lambda x: np.linalg.norm(x, ord=3.5))(np.ones((2, 2))),
        "3.5",
    ),
    case("& of floats", sd.DTypeError, lambda: sd.jit(lambda x: x & 1)(X), "bitwise_and"),
    case("degree", sd.UnsupportedOperationError, lambda: sd.jit(sc.eval_legendre)(X, X), "whole"),
    case(
        "where of one argument",
        sd.UnsupportedOperationError,
        lambda: sd.jit(lambda x: np.where(x > 0))(X),
        "where",
    ),
]
SHAPE = [
    case(
        "broadcast",
        sd.ShapeError,
        lambda: sd.jit(np.add)(np.ones((2, 3)), np.ones((2, 4))),
        "3",
        "4",
    ),
    case(
        "matmul",
        sd.ShapeError,
        lambda: sd.jit(np.matmul)(np.ones((2, 3)), np.ones((4, 2))),
        "3",
        "4",
    ),
    case("matmul of a number", sd.ShapeError, lambda: sd.jit(np.matmul)(2.0, X), "*"),
    case("axis", sd.ShapeError, lambda: sd.jit(lambda x: np.sum(x, axis=3))(X), "3", "1"),
    case(
        "index",
        sd.ShapeError,
        lambda: sd.jit(lambda x: x[5])(X),
        "5",
        "3",
    ),
    case("too many indices", sd.ShapeError, lambda: sd.jit(lambda x: x[0, 0])(X), "1"),
    case("reshape", sd.ShapeError, lambda: sd.jit(lambda x: x.reshape(2, 2))(X), "3", "(2, 2)"),
    case("step", sd.ShapeError, lambda: sd.jit(lambda x: x[::0])(X), "zero"),
    case("Ellipsis", sd.ShapeError, lambda: sd.jit(lambda x: x[..., ...])(X), "Ellipsis"),
    case("squeeze", sd.ShapeError, lambda: sd.jit(lambda x: np.squeeze(x, 0))(X), "one"),
    case(
        "concatenate",
        sd.ShapeError,
        lambda: sd.jit(lambda x, y: np.concatenate([x, y]))(np.ones((2, 3)), np.ones((2, 4))),
        "3",
        "4",
    ),
    case("empty max", sd.ShapeError, lambda: sd.jit(np.max)(np.zeros(0)), "no elements"),
    case("grad of an array", sd.ShapeError, lambda: sd.grad(np.sin)(X), "sd.jacobian", "np.sum"),
    case("grad of a tuple", sd.ShapeError, lambda: sd.grad(lambda x: (x, x))(1.0), "has_aux"),
    case("hessian of an array", sd.ShapeError, lambda: sd.hessian(np.sin)(X), "one number"),
    case("has_aux", sd.ShapeError, lambda: sd.value_and_grad(np.sum, has_aux=True)(X), "aux"),
    case("argnums", sd.ShapeError, lambda: sd.grad(np.sum, 2)(X), "2", "1 positional"),
    case("argnums below", sd.ShapeError, lambda: sd.grad(np.sum, -2)(X), "-2"),
    case("tangent", sd.ShapeError, lambda: sd.jvp(np.sin, X, (X, X)), "tangent"),
    case("tangent's rank", sd.ShapeError, lambda: sd.jvp(np.sin, X, 1.0), "tangent"),
    case(
        "tangent's shape",
        sd.ShapeError,
        lambda: sd.jvp(np.sin, X, np.ones(4)),
        "3",
    ),
    case("cotangent", sd.ShapeError, lambda: sd.vjp(np.sin, X)[1]((X, X)), "cotangent"),
    case(
        "cotangent's shape",
        sd.ShapeError,
        lambda: sd.vjp(np.sin, X)[1](np.ones(4)),
        "3",
    ),
    case("sparse", sd.ShapeError, lambda: sd.jacobian(np.sin, (0,), sparse=True), "int"),
]
DTYPE = [
    case("complex", sd.DTypeError, lambda: sd.jit(np.sin)(1j), "complex", "float64"),
    case("complex array", sd.DTypeError, lambda: sd.jit(np.sin)(X * 1j), "complex", "real"),
    case("strings", sd.DTypeError, lambda: sd.jit(np.sin)(np.array(["a"])), "float64"),
    case("objects", sd.DTypeError, lambda: sd.jit(np.sin)(np.array([None, 1])), "float64"),
    case("half", sd.DTypeError, lambda: sd.jit(np.sin)(X.astype("f2")), "float16", "float32"),
    case("dates", sd.DTypeError, lambda: sd.jit(abs)(np.array(["2020"], "M8[D]")), "datetime64"),
    case(
        "integer array",
        sd.DTypeError,
        lambda: sd.grad(np.sum)(np.arange(3)),
        "int64",
        ".astype(float)",
    ),
    case("Boolean array", sd.DTypeError, lambda: sd.grad(np.sum)(X > 0), "bool", "float64"),
    case("NumPy integer", sd.DTypeError, lambda: sd.grad(np.square)(np.int64(3)), "int64"),
    case("by a string", sd.DTypeError, lambda: sd.grad(lambda s, x: x)("a", 1.0), "'a'", "argnums"),
    case("grad of a bool", sd.DTypeError, lambda: sd.grad(lambda x: x > 0)(1.0), "bool"),
    case("grad of an int", sd.DTypeError, lambda: sd.grad(lambda x: x.astype(int))(1.0), "int64"),
    case("jacobian of a bool", sd.DTypeError, lambda: sd.jacobian(lambda x: x > 0)(X), "bool"),
    case(
        "unhashable", sd.DTypeError, lambda: sd.jit(lambda x, s: x)(1.0, {1, 2}), "set", "hashable"
    ),
    case(
        "returns None",
        sd.DTypeError,
        lambda: sd.jit(lambda x: None)(1.0),
        "None",
        wrong="does not say where",
    ),
    case("returns a string", sd.DTypeError, lambda: sd.jit(lambda x: "a")(1.0), "a"),
    case("no function", sd.DTypeError, lambda: sd.jit(3.0), "float", "function"),
    case("bool minus", sd.DTypeError, lambda: sd.jit(np.negative)(X > 0), "negative"),
]


class OnGpu:
    """An array that says it lies on a GPU."""

    shape, ndim = (3,), 1
    __cuda_array_interface__ = {  # noqa: RUF012
        "shape": (3,),
        "typestr": "<f8",
        "data": (0, False),
        "version": 3,
    }


DEVICE = [
    case("jit", sd.DeviceError, lambda: sd.jit(np.sin, target="cpu")(OnGpu()), "GPU", "auto"),
    case("grad", sd.DeviceError, lambda: sd.grad(np.sum, target="cpu")(OnGpu()), "GPU", "auto"),
    case("hessian", sd.DeviceError, lambda: sd.hessian(np.sum, target="cpu")(OnGpu()), "GPU"),
]
BUILTIN = {
    sd.TracingError: TypeError,
    sd.UnsupportedOperationError: NotImplementedError,
    sd.ShapeError: ValueError,
    sd.DTypeError: TypeError,
    sd.DeviceError: RuntimeError,
    sd.ProgramTooLargeError: RuntimeError,
    sd.CacheError: OSError,
}


def test_every_kind_is_also_a_builtin():
    kinds = {v for v in vars(sd).values() if isinstance(v, type) and issubclass(v, sd.SymdiffError)}
    assert kinds == {sd.SymdiffError, *BUILTIN}
    for kind, builtin in BUILTIN.items():
        assert issubclass(kind, builtin)
        assert issubclass(kind, sd.SymdiffError)


@pytest.mark.parametrize(
    ("error", "call", "words"), [*TRACING, *UNSUPPORTED, *SHAPE, *DTYPE, *DEVICE]
)
def test_messages(error, call, words):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, BUILTIN[error])
    message = str(caught.value)
    for word in words:
        assert word in message
    found = re.findall(r"at (\S+):(\d+), in (\S+)", message)
    assert [file for file, _, _ in found] == [HERE]
    line = int(found[0][1])
    first = call.__code__.co_firstlineno
    functions = [branch, assigns, into_numpy, into_element, escape]
    allowed = [range(first, first + 8)] + [
        range(f.__code__.co_firstlineno, f.__code__.co_firstlineno + 8) for f in functions
    ]
    assert any(line in lines for lines in allowed)
    # Nothing is left behind.
    assert sd.grad(lambda x: x**2)(3.0) == 6.0
    np.testing.assert_array_equal(sd.jit(lambda x: x * 2)(X), 2 * X)


def test_the_line_is_the_one_that_cannot_be_traced():
    def f(x):
        y = x + 1
        z = np.unique(y)
        return z * 2

    with pytest.raises(sd.UnsupportedOperationError) as caught:
        sd.jit(f)(X)
    first = f.__code__.co_firstlineno
    assert f"{HERE}:{first + 2}, in f" in str(caught.value)


def test_an_assignment_into_a_plain_array_says_what_to_do():
    with pytest.raises(sd.TracingError) as caught:
        sd.jit(into_element)(X)
    assert "inside the function" in str(caught.value)
    assert HERE in str(caught.value)


def test_errors_of_the_users_own_pass_through():
    class OwnError(Exception):
        pass

    def f(x):
        if x.ndim:
            raise OwnError("mine")
        return x

    g = sd.grad(f)
    for _ in range(2):
        with pytest.raises(OwnError, match="mine"):
            g(X)
    assert g(2.0) == 1.0


def test_too_few_and_too_many_arguments_are_python_errors():
    f = sd.grad(lambda x, y: x * y)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        f(1.0)
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        f(1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        f(1.0, z=2.0)
    assert f(1.0, 2.0) == 2.0
    with pytest.raises(sd.ShapeError, match="0 positional arguments"):
        f()


def test_a_function_recovers_from_its_failures():
    f = sd.jit(lambda x, y: x @ y)
    for _ in range(2):
        with pytest.raises(sd.ShapeError):
            f(np.ones((2, 3)), np.ones((2, 3)))
        np.testing.assert_array_equal(f(np.ones((2, 3)), np.ones((3, 2))), np.full((2, 2), 3.0))
    assert f.n_compiled == 1


def test_a_failure_inside_a_nested_trace_leaves_nothing_behind():
    def f(x):
        try:
            sd.grad(np.unique)(x)
        except sd.UnsupportedOperationError:
            return x * 2
        return x

    np.testing.assert_array_equal(sd.jit(f)(X), X * 2)
    np.testing.assert_array_equal(sd.jit(lambda x: x + 1)(X), X + 1)


def test_an_unknown_target_is_a_value_error():
    with pytest.raises(ValueError, match=r"'tpu'.*'auto', 'cpu'"):
        sd.jit(np.sin, target="tpu")


def test_a_shape_is_checked_in_a_kernel_that_exists():
    f = sd.jit(lambda x, y: x + y)
    f(np.ones(3), np.ones(3))
    with pytest.raises(sd.ShapeError) as caught:
        f(np.ones(3), np.ones(4))
    assert "3" in str(caught.value)
    assert "4" in str(caught.value)


def test_a_runaway_loop_is_stopped(monkeypatch):
    limit = [k for k in vars(sd.config) if "equation" in k or "operation" in k or "max" in k]
    if not limit:
        pytest.skip("no limit can be set")
    monkeypatch.setattr(sd.config, limit[0], 100)

    def f(x):
        for _ in sd.unroll(range(1000)):
            x = np.sin(x)
        return x

    with pytest.raises(sd.ProgramTooLargeError) as caught:
        sd.jit(f)(1.0)
    assert "100" in str(caught.value)
    assert HERE in str(caught.value)
    assert sd.jit(np.sin)(0.0) == 0.0
