"""docs/numpy.md is what the code says, and the code says something of every name in NumPy."""

from pathlib import Path

import numpy as np
import pytest

import symdiff as sd
from symdiff.tracing import coverage
from symdiff.tracing.coverage import REASONS, functions, is_supported
from symdiff.tracing.numpy_names import CREATION, LOCAL

ROOT = Path(__file__).parents[2]
MODULES = {"": np, "linalg.": np.linalg, "fft.": np.fft}
GIVEN = {name for names in REASONS.values() for name in names.split()}
EVERY = {p + n: f for p, m in MODULES.items() for n, f in functions(m).items()}


LOOKS_AWAY = ["seterr", "seterrcall", "get_include", "fromfunction", "frompyfunc", "asmatrix"]
LOOKS_AWAY += ["typename"]


def test_every_name_of_numpy_is_supported_or_has_a_reason():
    unsupported = {
        name
        for name, function in EVERY.items()
        if not is_supported(function) and name not in {*CREATION, *LOCAL}
    }
    # Names of other versions of NumPy than this one may have a reason too.
    assert unsupported - GIVEN == set()
    assert GIVEN & (EVERY.keys() - unsupported) == set()


def test_at_least_95_percent():
    assert coverage.share() >= 0.95


def test_the_page_is_made_from_the_code():
    page = coverage.page()
    committed = (ROOT / "docs" / "numpy.md").read_text()
    if np.__version__.startswith("2.4"):
        assert page == committed, "write symdiff.tracing.coverage.page() to docs/numpy.md"
    for name in ("solve", "cumsum", "logsumexp", "cho_solve", "interp", "polydiv"):
        assert f"`{name}`" in page


@pytest.mark.parametrize("name", sorted(GIVEN & EVERY.keys()))
def test_what_is_not_supported_does_not_pass_silently(name):
    """With a traced argument every such function raises; none gives a number."""
    function = EVERY[name]
    if name in ("test", "info", "show_config", "show_runtime", "set_printoptions", "setbufsize"):
        pytest.skip("prints, or changes NumPy's settings")
    if name in (
        "seterr",
        "seterrcall",
        "get_include",
        "fromfunction",
        "frompyfunc",
        "asmatrix",
        "typename",
    ):
        pytest.skip("does not look at values")
    allowed = (sd.SymdiffError, TypeError, ValueError, AttributeError, OSError, IndexError)
    with np.errstate(all="ignore"):
        try:
            result = sd.jit(function)(np.arange(4.0))
        except allowed:
            return
    plain = function(np.arange(4.0))
    np.testing.assert_array_equal(result, plain)  # what it says of shapes and types alone


WRITES = {
    "copyto": lambda y, x: np.copyto(y, 2 * x),
    "copyto where": lambda y, x: np.copyto(y, 2 * x, where=x > 1),
    "putmask": lambda y, x: np.putmask(y, x > 1, -x),
    "place": lambda y, x: np.place(y, x > 1, x[0]),
    "put": lambda y, x: np.put(y, [0, -1, 2], x[:2]),
    "fill": lambda y, x: y.fill(x[0]),
    "fill_diagonal": lambda y, x: np.fill_diagonal(y.reshape(2, 2), 1.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("make", [np.zeros_like, lambda x: x * 3], ids=["plain", "traced"])
def test_functions_that_write(write, make):
    def f(x):
        y = make(x)
        write(y, x)
        return y * x

    x = np.array([0.5, 1.5, 2.5, 3.5])
    try:
        got = sd.jit(f)(x)
    except sd.UnsupportedOperationError:
        assert write is WRITES["fill_diagonal"]  # through a reshape, which shares memory
        return
    np.testing.assert_allclose(got, f(x))
    sd.check_derivatives(lambda x: np.sum(f(x) ** 2), x)


def test_a_traced_diagonal():
    def f(x):
        matrix = np.zeros((3, 3))
        np.fill_diagonal(matrix, x)
        return np.linalg.inv(matrix + 1)

    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(sd.jit(f)(x), f(x))
    sd.check_derivatives(lambda x: np.sum(f(x) ** 2), x)


OTHERS = {
    "unwrap": (np.unwrap, np.array([0.1, 3.0, -3.0, 6.5, 0.2])),
    "unwrap by degrees": (lambda x: np.unwrap(x, period=4), np.array([0.1, 2.9, -3.3, 6.6])),
    "fftshift": (np.fft.fftshift, np.arange(15.0).reshape(3, 5)),
    "ifftshift": (lambda x: np.fft.ifftshift(x, 1), np.arange(15.0).reshape(3, 5)),
    "polyfit": (lambda x: np.polyfit(x, np.sin(x), 2), np.linspace(0, 2, 7)),
    "polyfit weights": (
        lambda x: np.polyfit(np.linspace(0, 2, 7), np.stack([x, x**2], 1), 1, w=np.arange(1, 8)),
        np.linspace(0, 1, 7),
    ),
}


@pytest.mark.parametrize(("f", "x"), OTHERS.values(), ids=OTHERS.keys())
def test_others(f, x):
    np.testing.assert_allclose(sd.jit(f)(x), f(x), rtol=1e-12, atol=1e-13)
    sd.check_derivatives(lambda x: np.sum(f(x) ** 2), x)
