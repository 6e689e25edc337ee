"""Every elementwise operation: value, first and second derivative against mpmath, and corners.

The table `ROWS` has one row for each ufunc of floats that can be traced, but for SciPy's special
functions (`test_special_functions`). Arrays go through loops, which the
compiler may vectorise, numbers through scalar code: both are compared.
"""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc

import symdiff as sd
from symdiff.program.special_functions import SPECIAL
from symdiff.tracing.operations import (
    UFUNCS,
    UFUNCS_OF_WHOLE_NUMBERS,
    UFUNCS_WITH_TWO_RESULTS,
    scipy_ufuncs,
)

DIGITS = 50
N_POINTS = 10
NAN, INF = float("nan"), float("inf")


class Row(NamedTuple):
    """An operation: its value in mpmath, and for each argument the intervals to sample."""

    ufunc: np.ufunc
    reference: Callable[..., Any]
    domains: tuple[tuple[tuple[float, float], ...], ...]
    ulp: float = 8  # of values, of float64 and of float32
    rtol: float = 1e-12  # of derivatives
    is_truth: bool = False

    def points(self, dtype: str = "float64") -> list[np.ndarray]:
        """Points of the domain, the same in every run."""
        rng = np.random.default_rng(len(self.ufunc.__name__))
        return [self._sample(rng, intervals).astype(dtype) for intervals in self.domains]

    @staticmethod
    def _sample(rng: np.random.Generator, intervals: Any) -> np.ndarray:
        chosen = rng.integers(len(intervals), size=N_POINTS)
        low, high = np.array(intervals)[chosen].T
        return rng.uniform(low, high)


def row(ufunc: np.ufunc, reference: Any, *domains: Any, **kwargs: Any) -> Row:
    """A row whose domains are intervals ``(lo, hi)``, or lists of those."""
    listed = tuple(tuple(d) if isinstance(d, list) else (d,) for d in domains)
    return Row(ufunc, reference, listed, **kwargs)


def truth(ufunc: np.ufunc, reference: Any, *domains: Any) -> Row:
    """A row of an operation that gives true or false."""
    return row(ufunc, reference, *domains, is_truth=True)


def cbrt(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def trunc(x: Any) -> Any:
    return mp.sign(x) * mp.floor(abs(x))


def fmod(x: Any, y: Any) -> Any:
    return x - y * trunc(x / y)


def either(x: Any, y: Any) -> Any:
    return bool(x) != bool(y)


EVERY = (-4.0, 4.0)
WIDE = (-30.0, 30.0)
POSITIVE = (0.05, 20.0)
UNIT = (-0.95, 0.95)
NOT_ZERO = [(-5.0, -0.3), (0.3, 5.0)]
# Values of the gamma family are as good as SciPy's own; near their zeros no better than that.
GAMMA = [(-3.9, -3.1), (-0.9, -0.1), (0.2, 0.9), (2.2, 9.0)]
ROWS = [
    row(np.positive, lambda x: x, EVERY),
    row(np.negative, operator.neg, EVERY),
    row(np.absolute, abs, EVERY),
    row(np.fabs, abs, EVERY),
    row(np.sign, mp.sign, EVERY),
    row(np.square, lambda x: x**2, EVERY),
    row(np.reciprocal, lambda x: 1 / x, NOT_ZERO),
    row(np.sqrt, mp.sqrt, POSITIVE),
    row(np.cbrt, cbrt, NOT_ZERO),
    row(np.exp, mp.exp, WIDE),
    row(np.exp2, lambda x: mp.mpf(2) ** x, WIDE),
    row(np.expm1, mp.expm1, (-5.0, 5.0)),
    row(np.log, mp.log, POSITIVE),
    row(np.log2, lambda x: mp.log(x, 2), POSITIVE),
    row(np.log10, mp.log10, POSITIVE),
    row(np.log1p, mp.log1p, (-0.9, 9.0)),
    row(np.sin, mp.sin, WIDE),
    row(np.cos, mp.cos, WIDE),
    row(np.tan, mp.tan, WIDE),
    row(np.arcsin, mp.asin, UNIT),
    row(np.arccos, mp.acos, UNIT),
    row(np.arctan, mp.atan, WIDE),
    row(np.sinh, mp.sinh, EVERY),
    row(np.cosh, mp.cosh, EVERY),
    row(np.tanh, mp.tanh, EVERY),
    row(np.arcsinh, mp.asinh, WIDE),
    row(np.arccosh, mp.acosh, (1.1, 20.0)),
    row(np.arctanh, mp.atanh, UNIT),
    row(np.deg2rad, mp.radians, WIDE),
    row(np.radians, mp.radians, WIDE),
    row(np.rad2deg, mp.degrees, WIDE),
    row(np.degrees, mp.degrees, WIDE),
    row(np.floor, mp.floor, WIDE),
    row(np.ceil, mp.ceil, WIDE),
    row(np.trunc, trunc, WIDE),
    row(np.rint, mp.nint, WIDE),
    truth(np.isnan, mp.isnan, EVERY),
    truth(np.isinf, mp.isinf, EVERY),
    truth(np.isfinite, mp.isfinite, EVERY),
    truth(np.signbit, lambda x: x < 0, EVERY),
    truth(np.logical_not, operator.not_, EVERY),
    row(sc.expit, lambda x: 1 / (1 + mp.exp(-x)), WIDE),
    row(sc.erf, mp.erf, (-3.0, 3.0)),
    row(sc.erfc, mp.erfc, (-3.0, 5.0)),
    row(sc.gamma, mp.gamma, GAMMA, ulp=16),
    row(sc.gammaln, lambda x: mp.re(mp.loggamma(x)), GAMMA, ulp=64),
    row(sc.psi, mp.psi0 if hasattr(mp, "psi0") else mp.digamma, GAMMA, ulp=64),
    row(np.conjugate, lambda x: x, EVERY),
    row(sc.cbrt, cbrt, NOT_ZERO),
    row(sc.exp2, lambda x: mp.mpf(2) ** x, WIDE),
    row(sc.log1p, mp.log1p, (-0.9, 9.0)),
    row(sc.expm1, mp.expm1, (-5.0, 5.0)),
    row(np.add, operator.add, EVERY, EVERY),
    row(np.subtract, operator.sub, EVERY, EVERY),
    row(np.multiply, operator.mul, EVERY, EVERY),
    row(np.divide, operator.truediv, EVERY, NOT_ZERO),
    row(np.power, operator.pow, POSITIVE, EVERY),
    row(np.float_power, operator.pow, POSITIVE, EVERY),
    row(np.floor_divide, lambda x, y: mp.floor(x / y), WIDE, NOT_ZERO),
    row(np.remainder, lambda x, y: x - y * mp.floor(x / y), WIDE, NOT_ZERO),
    row(np.fmod, fmod, WIDE, NOT_ZERO),
    row(np.arctan2, mp.atan2, EVERY, NOT_ZERO),
    row(np.hypot, mp.hypot, EVERY, NOT_ZERO),
    row(np.maximum, max, EVERY, EVERY),
    row(np.minimum, min, EVERY, EVERY),
    row(np.fmax, max, EVERY, EVERY),
    row(np.fmin, min, EVERY, EVERY),
    row(np.copysign, lambda x, y: abs(x) * mp.sign(y), NOT_ZERO, NOT_ZERO),
    row(np.logaddexp, lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), WIDE, WIDE),
    row(np.logaddexp2, lambda x, y: mp.log(mp.mpf(2) ** x + mp.mpf(2) ** y, 2), WIDE, WIDE),
    truth(np.less, operator.lt, EVERY, EVERY),
    truth(np.less_equal, operator.le, EVERY, EVERY),
    truth(np.greater, operator.gt, EVERY, EVERY),
    truth(np.greater_equal, operator.ge, EVERY, EVERY),
    truth(np.equal, operator.eq, EVERY, EVERY),
    truth(np.not_equal, operator.ne, EVERY, EVERY),
    truth(np.logical_and, lambda x, y: bool(x) and bool(y), EVERY, EVERY),
    truth(np.logical_or, lambda x, y: bool(x) or bool(y), EVERY, EVERY),
    truth(np.logical_xor, either, EVERY, EVERY),
    row(np.heaviside, lambda x, y: mp.mpf(x > 0), EVERY, EVERY),
]


def name_of(ufunc: np.ufunc) -> str:
    is_numpy = getattr(np, ufunc.__name__, None) is ufunc
    return ufunc.__name__ if is_numpy else f"special.{ufunc.__name__}"


NUMBERS = [r for r in ROWS if not r.is_truth]


def fails(reason: str, *ufuncs: np.ufunc, run: bool = True) -> dict[np.ufunc, Any]:
    """Operations that the library has wrong, and why."""
    return dict.fromkeys(ufuncs, pytest.mark.xfail(strict=True, run=run, reason=reason))


def cases(rows: list[Row], *faults: dict[np.ufunc, Any]) -> Any:
    """One case a row, those that the library has wrong marked."""
    marks = {ufunc: [mark] for fault in faults for ufunc, mark in fault.items()}
    params = [pytest.param(r, id=name_of(r.ufunc), marks=marks.get(r.ufunc, [])) for r in rows]
    return pytest.mark.parametrize("row", params)


every_row = cases(ROWS)


def test_the_table_covers_what_can_be_traced():
    of_bits = {np.spacing, np.nextafter, np.ldexp}  # which have tests of their own
    ours = {*UFUNCS, *scipy_ufuncs().patterns}
    ours = {u for u in ours if u.__name__.removeprefix("_") not in SPECIAL} - of_bits
    assert {name_of(u) for u in ours} == {name_of(r.ufunc) for r in ROWS}
    assert {r.ufunc for r in ROWS} == ours
    assert len(ROWS) == len(ours)


def test_every_ufunc_of_numpy_is_known():
    known = {*UFUNCS, *UFUNCS_OF_WHOLE_NUMBERS, *UFUNCS_WITH_TWO_RESULTS}
    known |= {np.matmul, np.matvec, np.vecmat, np.vecdot}
    every = {u for name in dir(np) if isinstance(u := getattr(np, name), np.ufunc)}
    assert {u.__name__ for u in every - known} == {"isnat"}


def exact(row: Row, points: list[np.ndarray], *orders: int) -> list[Any]:
    """A value or partial derivative at each point, to many digits."""
    with mp.workdps(DIGITS):
        at = [[mp.mpf(float(v)) for v in p] for p in zip(*points, strict=True)]
        if not any(orders):
            return [row.reference(*p) for p in at]
        if len(points) == 1:
            return [mp.diff(row.reference, p[0], orders[0]) for p in at]
        return [mp.diff(row.reference, tuple(p), orders) for p in at]


def ulps(got: Any, want: list[Any], dtype: str) -> float:
    """The largest distance in units of the last place of what is wanted."""
    rounded = np.array([float(w) for w in want], dtype)
    spacing = np.spacing(np.abs(rounded)).astype(float)
    with mp.workdps(DIGITS):
        errors = [abs(mp.mpf(float(g)) - w) for g, w in zip(got, want, strict=True)]
        return max(float(e / mp.mpf(float(s))) for e, s in zip(errors, spacing, strict=True))


def assert_close(got: Any, want: list[Any], rtol: float) -> None:
    """Relative to each entry; where the exact derivative vanishes it has to be zero."""
    want = np.array([float(w) for w in want])
    np.testing.assert_allclose(np.asarray(got, float), want, rtol=rtol, atol=1e-30)


@every_row
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values(row, dtype):
    points = row.points(dtype)
    want = exact(row, points)
    f = sd.jit(row.ufunc)
    got = f(*points)
    assert got.dtype == row.ufunc(*points).dtype
    assert ulps(got, want, dtype) <= row.ulp
    numbers = [f(*p) for p in zip(*points, strict=True)]
    assert all(n.dtype == got.dtype for n in numbers)
    assert ulps(numbers, want, dtype) <= row.ulp


@every_row
def test_values_of_python_numbers(row):
    points = row.points()
    f = sd.jit(row.ufunc)
    got = [f(*p) for p in zip(*[p.tolist() for p in points], strict=True)]
    assert {type(g) for g in got} == {bool if row.is_truth else float}
    assert ulps(got, exact(row, points), "float64") <= row.ulp


def partials(row: Row) -> list[tuple[int, ...]]:
    """The orders of the first, then of the second partial derivatives."""
    if len(row.domains) == 1:
        return [(1,), (2,)]
    return [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]


def elementwise_derivative(row: Row, orders: tuple[int, ...]) -> Any:
    """The partial derivative of the operation on arrays, by reverse mode again and again."""

    def derivative(f: Any, n: int) -> Any:
        return sd.grad(lambda *args: np.sum(f(*args)), n)

    f: Any = row.ufunc
    for n, order in enumerate(orders):
        for _ in range(order):
            f = derivative(f, n)
    return f


@cases(NUMBERS)
def test_derivatives_on_arrays(row):
    points = row.points()
    for orders in partials(row):
        got = elementwise_derivative(row, orders)(*points)
        assert_close(got, exact(row, points, *orders), row.rtol)


@cases(NUMBERS)
def test_derivatives_of_numbers(row):
    points = row.points()
    for orders in partials(row):
        f: Any = row.ufunc
        for n, order in enumerate(orders):
            for _ in range(order):
                f = sd.grad(f, n)
        got = [f(*p) for p in zip(*[p.tolist() for p in points], strict=True)]
        assert {type(g) for g in got} == {float}
        assert_close(got, exact(row, points, *orders), row.rtol)


@cases(NUMBERS)
def test_forward_mode_is_reverse_mode(row):
    points = row.points()
    n = len(points)
    got = sd.jvp(row.ufunc, tuple(points), tuple(np.full(N_POINTS, 1.0 + k) for k in range(n)))[1]
    gradients = [sd.grad(lambda *a: np.sum(row.ufunc(*a)), k)(*points) for k in range(n)]
    want = sum((1.0 + k) * g for k, g in enumerate(gradients))
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@cases([r for r in ROWS if r.is_truth])
def test_a_truth_value_has_no_derivative(row):
    with pytest.raises(sd.DTypeError, match="bool"):
        sd.grad(row.ufunc)(*[float(p[0]) for p in row.points()])
    x = [float(p[0]) for p in row.points()]
    f = sd.grad(lambda *a: np.where(row.ufunc(*a), 2 * a[0], 3 * a[0]))
    assert f(*x) == (2.0 if row.ufunc(*x) else 3.0)


# corners

CORNERS = np.array(
    [
        0.0,
        -0.0,
        INF,
        -INF,
        NAN,
        5e-324,
        -5e-324,
        1e-310,
        2.3e-308,
        1e-200,
        1e-17,
        -1e-17,
        1e-5,
        -1e-5,
        0.5,
        -0.5,
        1.0,
        -1.0,
        1.5,
        -1.5,
        2.5,
        -2.5,
        3.0,
        -3.0,
        88.9,
        -88.9,
        110.0,
        -110.0,
        709.9,
        -709.9,
        746.0,
        -746.0,
        800.0,
        -800.0,
        1e5,
        -1e5,
        2.0**53,
        1e22,
        -1e22,
        3.3e38,
        1e300,
        1.7e308,
        -1.7e308,
    ]
)
FEW = np.array([0.0, -0.0, INF, -INF, NAN, 5e-324, 1.0, -1.0, 2.0, -2.5, 0.5, 3.0, 1e300, -1e300])


def assert_same(got: Any, want: Any, ulp: float, *, signs: bool = True) -> None:
    """Equal within some ulp; NaN, infinities and (with `signs`) signs of zeros are as wanted."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
    with np.errstate(all="ignore"):
        finite = np.isfinite(want)
        error = np.abs(got - want)[finite] / np.spacing(np.abs(want[finite]))
    np.testing.assert_array_less(error, ulp + 0.5)
    compared = ~np.isnan(want) & (signs | (want != 0))
    np.testing.assert_array_equal(np.signbit(got[compared]), np.signbit(want[compared]))


def corners(row: Row, dtype: str) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        if len(row.domains) == 1:
            points = CORNERS.astype(dtype)
            # SciPy gives inf for subnormal numbers, where log(1/x) is finite, and -inf at -inf,
            # where C gives inf.
            is_normal = (points == 0) | ~(np.abs(points) < np.finfo(dtype).tiny)
            is_normal &= points != -np.inf
            return [points[is_normal] if row.ufunc is sc.gammaln else points]
        grid = np.meshgrid(FEW.astype(dtype), FEW.astype(dtype), indexing="ij")
    return [g.ravel() for g in grid]


# Which zero is the larger one is left open by NumPy: its loops and its scalar code differ.
TIES = (np.maximum, np.minimum, np.fmax, np.fmin)


@cases(ROWS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_corners_are_those_of_numpy(row, dtype):
    points = corners(row, dtype)
    with np.errstate(all="ignore"):
        want = row.ufunc(*points)
    got = sd.jit(row.ufunc)(*points)
    assert_same(got, want, max(row.ulp, 8), signs=row.ufunc not in TIES)


@cases(ROWS)
def test_corners_of_numbers_are_those_of_numpy(row):
    points = corners(row, "float64")
    with np.errstate(all="ignore"):
        want = row.ufunc(*points)
    f = sd.jit(row.ufunc)
    got = np.array([f(*p) for p in zip(*[p.tolist() for p in points], strict=True)])
    assert_same(got, want, max(row.ulp, 8), signs=row.ufunc not in TIES)


def result_or_error(f: Callable[..., Any], *args: Any) -> Any:
    with np.errstate(all="ignore"):
        try:
            return f(*args)
        except TypeError:
            return TypeError


@cases(ROWS)
def test_integers_and_truth_values_are_as_in_numpy(row):
    """NumPy's values and dtypes; half precision, which there is not, becomes double."""
    for dtype in ["bool", "int8", "uint8", "int32", "uint32", "int64"]:
        values = [0, 1, 2, 3, 5, 7] if dtype[0] in "bu" else [-7, -3, -1, 0, 1, 2, 3, 5]
        if row.ufunc is np.power:
            values = [abs(v) for v in values]
        grid = np.meshgrid(*[np.array(values).astype(dtype)] * len(row.domains), indexing="ij")
        points = [g.ravel() for g in grid]
        want = result_or_error(row.ufunc, *points)
        if want is TypeError:
            with pytest.raises(sd.DTypeError):
                sd.jit(row.ufunc)(*points)
            continue
        if want.dtype == np.float16:
            want = result_or_error(row.ufunc, *[p.astype("float64") for p in points])
        assert_same(sd.jit(row.ufunc)(*points), want, max(row.ulp, 8))


INTEGERS = ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"]


def whole_numbers(dtype: str, n: int, *, beyond: bool) -> list[np.ndarray]:
    """Every combination of some numbers, the ends of the range among them."""
    info = np.iinfo(dtype)
    values = [0, 1, 2, 3, 6, 7, 12, info.max]
    values += [9, 31, 64] if beyond else []
    values += [-1, -2, -6, -9, info.min] if info.min else []
    return [g.ravel() for g in np.meshgrid(*[np.array(values, dtype)] * n, indexing="ij")]


@pytest.mark.parametrize(
    "ufunc", [pytest.param(u, id=u.__name__) for u in [*UFUNCS_OF_WHOLE_NUMBERS, np.divmod]]
)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_numbers_are_as_in_numpy(ufunc, dtype):
    points = whole_numbers(dtype, ufunc.nin, beyond=True)
    with np.errstate(all="ignore"):
        want = ufunc(*points)
        alone = [ufunc(*p) for p in zip(*points, strict=True)]
    f = sd.jit(ufunc)
    got = f(*points)
    for g, w in zip(*[x if isinstance(x, tuple) else (x,) for x in (got, want)], strict=True):
        assert_same(g, w, 0)
    if ufunc is not np.reciprocal:  # where NumPy's scalars are not as its arrays
        np.testing.assert_array_equal([f(*p) for p in zip(*points, strict=True)], alone)


def test_operators_of_whole_numbers():
    def f(x, y):
        z = x + 0
        z <<= 2
        w = x + 0
        w >>= 1
        return (x & y, x | 3, 5 ^ x, ~x, x << 2, 1 << y, x >> y, 99 >> y, z, w), (
            *divmod(x, y + 1),
            *divmod(17, y + 1),
            *divmod(x, 3),
        )

    x, y = np.array([-9, 7, 12]), np.array([1, 0, 3])
    for got, want in zip(sd.jit(f)(x, y), f(x, y), strict=True):
        for g, w in zip(got, want, strict=True):
            assert_same(g, w, 0)
    assert sd.jit(divmod)(7, 2) == (3, 1)


@pytest.mark.parametrize("ufunc", [np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert])
def test_bits_of_truth_values(ufunc):
    points = [np.array(v) for v in ([True, True, False, False], [True, False] * 2)][: ufunc.nin]
    assert_same(sd.jit(ufunc)(*points), ufunc(*points), 0)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_powers(dtype):
    base = np.arange(0 if dtype[0] == "u" else -5, 9).astype(dtype)
    exponents = np.array([0, 1, 2, 3, 20, 63], dtype)
    x, y = (g.ravel() for g in np.meshgrid(base, exponents))
    assert_same(sd.jit(lambda x, y: x**y)(x, y), x**y, 0)
    for n in (0, 1, 2, 5, 17, 40):
        assert_same(sd.jit(lambda x, n=n: x**n)(base), base**n, 0)
    assert sd.jit(lambda x, y: x**y)(3, 4) == 81
    with pytest.raises(sd.UnsupportedOperationError, match="negative"):
        sd.jit(lambda x: x**-2)(base)


FLOATS = np.array([0.0, -0.0, INF, -INF, NAN, 5e-324, 1e-310, 2.5, -2.5, 1.0, -3.0, 1e300, 0.1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_floats_taken_apart(dtype):
    x = FLOATS.astype(dtype) if dtype == "float64" else FLOATS[:-2].astype(dtype)
    with np.errstate(all="ignore"):
        for ufunc in (np.modf, np.frexp):
            for got, want in zip(sd.jit(ufunc)(x), ufunc(x), strict=True):
                assert_same(got, want, 0)
        a, b = (g.ravel() for g in np.meshgrid(x, x))
        assert_same(sd.jit(np.spacing)(x), np.spacing(x), 0)
        assert_same(sd.jit(np.nextafter)(a, b), np.nextafter(a, b), 0)
        for got, want in zip(sd.jit(np.divmod)(a, b), np.divmod(a, b), strict=True):
            assert_same(got, want, 0)
        for n in (3, np.arange(x.size) * 7 - 40, np.full(x.size, 2**40)):
            assert_same(sd.jit(np.ldexp)(x, n), np.ldexp(x, n), 0)


def test_derivatives_of_floats_taken_apart():
    assert sd.grad(lambda x: np.modf(x)[0] ** 2)(-3.25) == -0.5
    assert sd.grad(lambda x: np.modf(x)[1])(-3.25) == 0
    assert sd.grad(lambda x: np.modf(x)[0])(3.0) == 1
    assert sd.grad(lambda x: np.frexp(x)[0])(5.0) == 0.125
    assert sd.grad(lambda x: np.ldexp(x, 3))(5.0) == 8
    assert sd.grad(lambda x, y: sum(np.divmod(x, y)), (0, 1))(7.5, 2.0) == (1, -3)
    assert sd.grad(np.nextafter, (0, 1))(1.0, 2.0) == (1, 0)
    assert sd.grad(np.spacing)(1.0) == 0


SIGNS = ([7, -7, 7, -7, 0, -1, 6, -6, 6, 1, 0], [3, 3, -3, -3, 5, 5, 3, 3, -3, 0, 0])


@pytest.mark.parametrize("ufunc", [np.floor_divide, np.remainder, np.fmod])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32", "float64"])
def test_floor_division_and_remainder_of_all_signs(ufunc, dtype):
    x, y = (np.array(v, dtype) for v in SIGNS)
    with np.errstate(all="ignore"):
        want = ufunc(x, y)
    assert_same(sd.jit(ufunc)(x, y), want, 0)
    f = sd.jit(ufunc)
    assert_same([f(a, b) for a, b in zip(x, y, strict=True)], want, 0)


def test_the_examples_of_floor_division():
    x, y = [np.array(v[:6], float) for v in SIGNS]
    assert sd.jit(lambda x, y: x // y)(x, y).tolist() == [2, -3, -3, 2, 0, -1]
    assert sd.jit(lambda x, y: x % y)(x, y).tolist() == [1, 2, -2, -1, 0, 4]


@pytest.mark.parametrize("ufunc", [np.floor_divide, np.remainder, np.fmod])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_the_least_integer_over_minus_one_does_not_trap(ufunc, dtype):
    x = np.array([np.iinfo(dtype).min] * 3, dtype)
    y = np.array([-1, 0, 1], dtype)
    with np.errstate(all="ignore"):
        want = ufunc(x, y)
    np.testing.assert_array_equal(sd.jit(ufunc)(x, y), want)


FIRST = [
    # f, where, gradient: what SEMANTICS.md says of corners
    ("abs at 0", abs, (0.0,), (0.0,)),
    ("abs at -0", np.abs, (-0.0,), (0.0,)),
    ("fabs at 0", np.fabs, (0.0,), (0.0,)),
    ("maximum, tie", np.maximum, (2.0, 2.0), (0.5, 0.5)),
    ("minimum, tie", np.minimum, (2.0, 2.0), (0.5, 0.5)),
    ("maximum, tie of zeros", np.maximum, (0.0, -0.0), (0.5, 0.5)),
    ("maximum with a constant, tie", lambda x: np.maximum(x, 3.0), (3.0,), (0.5,)),
    ("maximum of the same", lambda x: np.maximum(x, x), (3.0,), (1.0,)),
    ("relu as where", lambda x: np.where(x > 0, x, 0.0), (0.0,), (0.0,)),
    ("sqrt at 0", np.sqrt, (0.0,), (INF,)),
    ("x**0.5 at 0", lambda x: x**0.5, (0.0,), (INF,)),
    ("cbrt at 0", np.cbrt, (0.0,), (INF,)),
    ("log at 0", np.log, (0.0,), (INF,)),
    ("x**0 at 0", lambda x: x**0, (0.0,), (0.0,)),
    ("x**0. at 0", lambda x: x**0.0, (0.0,), (0.0,)),
    ("x**1 at 0", lambda x: x**1, (0.0,), (1.0,)),
    ("x**2 at 0", lambda x: x**2, (0.0,), (0.0,)),
    ("x**3 at 0", lambda x: x**3, (0.0,), (0.0,)),
    ("x**1.5 at 0", lambda x: x**1.5, (0.0,), (0.0,)),
    ("x**y at (0, 0)", lambda x, y: x**y, (0.0, 0.0), (0.0, 0.0)),
    ("x**y at (0, 1)", lambda x, y: x**y, (0.0, 1.0), (1.0, 0.0)),
    ("x**y at (0, 2)", lambda x, y: x**y, (0.0, 2.0), (0.0, 0.0)),
    ("x**y at (-2, 3)", lambda x, y: x**y, (-2.0, 3.0), (12.0, 0.0)),
    ("x**y at (-2, 0)", lambda x, y: x**y, (-2.0, 0.0), (0.0, 0.0)),
    ("2**y at 0", lambda y: 2.0**y, (0.0,), (float(np.log(2.0)),)),
    ("0**y at 2", lambda y: 0.0**y, (2.0,), (0.0,)),
    ("remainder", lambda x, y: x % y, (7.5, 2.0), (1.0, -3.0)),
    ("remainder, negative", lambda x, y: x % y, (-7.5, 2.0), (1.0, 4.0)),
    ("floor division", lambda x, y: x // y, (7.5, 2.0), (0.0, 0.0)),
    ("floor", np.floor, (2.0,), (0.0,)),
    ("round", np.round, (2.4,), (0.0,)),
    ("sign at 0", np.sign, (0.0,), (0.0,)),
    ("logaddexp, large", np.logaddexp, (1000.0, 1000.0), (0.5, 0.5)),
    ("logaddexp, far", np.logaddexp, (-1000.0, 1000.0), (0.0, 1.0)),
    ("logaddexp, -inf", np.logaddexp, (-INF, 3.0), (0.0, 1.0)),
    ("expit, far", sc.expit, (800.0,), (0.0,)),
    ("expit, far below", sc.expit, (-800.0,), (0.0,)),
    ("tanh, far", np.tanh, (1000.0,), (0.0,)),
    ("erf, far", sc.erf, (100.0,), (0.0,)),
    ("arctan, infinite", np.arctan, (INF,), (0.0,)),
    ("softplus at 100", lambda x: np.log(1 + np.exp(x)), (100.0,), (1.0,)),
    ("softplus by log1p", lambda x: np.log1p(np.exp(x)), (100.0,), (1.0,)),
    ("softplus by logaddexp", lambda x: np.logaddexp(0.0, x), (1000.0,), (1.0,)),
    ("clip inside", lambda x: np.clip(x, 0.0, 1.0), (0.5,), (1.0,)),
    ("clip outside", lambda x: np.clip(x, 0.0, 1.0), (1.5,), (0.0,)),
    ("where", lambda x: np.where(x < 10, x, x * x), (5.0,), (1.0,)),
    ("where, else", lambda x: np.where(x < 10, x, x * x), (50.0,), (100.0,)),
    ("where, not taken", lambda x: np.where(x > 0, np.log(x), 0.0), (-1.0,), (0.0,)),
    ("NaN", np.sin, (NAN,), (NAN,)),
    ("NaN through maximum", lambda x: np.maximum(x, 0.0) ** 2, (NAN,), (NAN,)),
    ("an argument without use", lambda x, y: x * 2, (1.0, 1.0), (2.0, 0.0)),
]


FIRST_FAULTS = {"NaN through maximum": "neither x > y nor x < y, so no derivative is passed on"}


def corner_cases(table: list[Any], faults: dict[str, str]) -> Any:
    params = [
        pytest.param(
            *case[1:],
            id=case[0],
            marks=[pytest.mark.xfail(strict=True, reason=faults[case[0]])]
            if case[0] in faults
            else [],
        )
        for case in table
    ]
    return pytest.mark.parametrize(("f", "at", "want"), params)


@corner_cases(FIRST, FIRST_FAULTS)
def test_derivatives_at_corners(f, at, want):
    n = len(at)
    np.testing.assert_array_equal(sd.grad(f, tuple(range(n)))(*at), want)
    tangents = np.eye(n).tolist()
    forward = [sd.jvp(f, at, tuple(t))[1] for t in tangents]
    np.testing.assert_array_equal(forward, want)
    arrays = [np.full(5, v) for v in at]
    got = sd.grad(lambda *a: np.sum(f(*a)), tuple(range(n)))(*arrays)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, np.full(5, w))


SECOND = [
    ("abs", abs, 0.0, 0.0),
    ("x**2", lambda x: x**2, 0.0, 2.0),
    ("x**3", lambda x: x**3, 0.0, 0.0),
    ("x**1", lambda x: x**1, 0.0, 0.0),
    ("x * x", lambda x: x * x, 0.0, 2.0),
    ("tanh", np.tanh, 1000.0, 0.0),
    ("expit", sc.expit, 800.0, 0.0),
    ("expit below", sc.expit, -800.0, 0.0),
    ("logaddexp", lambda x: np.logaddexp(x, 0.0), 1000.0, 0.0),
    ("logaddexp below", lambda x: np.logaddexp(x, 0.0), -1000.0, 0.0),
    ("softplus at 100", lambda x: np.log(1 + np.exp(x)), 100.0, 0.0),
    ("where, not taken", lambda x: np.where(x > 0, np.log(x), x**2), -1.0, 2.0),
    ("floor", lambda x: np.floor(x) * x**2, 2.5, 4.0),
    ("maximum", lambda x: np.maximum(x, 0.0) ** 2, -1.0, 0.0),
    ("remainder", lambda x: (x % 2.0) ** 2, 7.5, 2.0),
]


@corner_cases(SECOND, {})
def test_second_derivatives_at_corners(f, at, want):
    second = sd.grad(sd.grad(f))
    assert second(at) == pytest.approx(want, abs=1e-15)
    assert sd.hvp(f, at, 1.0)[1] == pytest.approx(want, abs=1e-15)


@pytest.mark.parametrize(
    "softplus",
    [
        pytest.param(lambda x: np.logaddexp(x, np.float32(0)), id="logaddexp"),
        pytest.param(lambda x: np.log(1 + np.exp(x)), id="log(1 + exp)"),
    ],
)
def test_softplus_in_single_precision_does_not_overflow(softplus):
    assert sd.value_and_grad(softplus)(np.float32(100)) == (100, 1)


SOFTPLUS = [
    pytest.param(f, id=name)
    for name, f in {
        "log(1 + exp)": lambda x: np.log(1 + np.exp(x)),
        "log(exp + 1.0)": lambda x: np.log(np.exp(x) + 1.0),
        "log1p(exp)": lambda x: np.log1p(np.exp(x)),
        "of a part": lambda x: np.log((1 + np.exp(np.append(x, x)))[: len(x)]),
        "of a product": lambda x: np.log(1 + np.exp(x * 1.0)),
        "of a column": lambda x: np.log(1 + np.exp(x[:, None] + np.zeros(2)))[:, 1],
        "of a view": lambda x: np.log(1 + np.exp(x[::-1]))[::-1],
    }.items()
]
LARGE = np.array([1e-30, 0.0, -0.0, 0.3, -0.3, 3.0, -3.0, 36.0, -36.0, 100.0, -100.0, 1e4, -1e4])


@pytest.mark.parametrize("softplus", SOFTPLUS)
def test_softplus_does_not_overflow(softplus):
    with mp.workdps(DIGITS):
        want = [mp.log1p(mp.exp(mp.mpf(float(x)))) for x in LARGE]
        slope = [1 / (1 + mp.exp(-mp.mpf(float(x)))) for x in LARGE]
        second = [s * (1 - s) for s in slope]
    assert ulps(sd.jit(softplus)(LARGE), want, "float64") <= 4
    first = sd.grad(lambda x: np.sum(softplus(x)))
    assert_close(first(LARGE), slope, 1e-14)
    assert_close(sd.jvp(softplus, (LARGE,), (np.ones(LARGE.size),))[1], slope, 1e-14)
    assert_close(sd.grad(lambda x: np.sum(first(x)))(LARGE), second, 1e-13)
    at = np.array([INF, -INF, NAN])
    np.testing.assert_array_equal(sd.jit(softplus)(at), [INF, 0, NAN])
    np.testing.assert_array_equal(first(at), [1, 0, NAN])


def test_what_is_no_softplus_is_left_alone():
    x = np.array([0.5, -0.5, 2.0])

    def changed(x):
        y = x * 2
        e = np.exp(y)
        y[0] = 7.0
        return np.log(1 + e) + y

    def other(x):
        s = 1 + np.exp(x)
        s[1] = 5.0
        return np.log(s)

    for f in (
        changed,
        other,
        lambda x: np.log(2 + np.exp(x)),
        lambda x: np.log(1 - np.exp(-x * x)),
    ):
        np.testing.assert_allclose(sd.jit(f)(x), f(x), rtol=1e-14)


def test_the_largest_elements_share_evenly():
    x = np.array([1.0, 3.0, 3.0, 2.0, 3.0])
    third = 1 / 3
    np.testing.assert_allclose(sd.grad(np.max)(x), [0, third, third, 0, third])
    np.testing.assert_allclose(sd.grad(np.min)(-x), [0, third, third, 0, third])
    y = np.array([[1.0, 1.0], [2.0, 5.0]])
    got = sd.grad(lambda y: np.sum(np.max(y, axis=1)))(y)
    np.testing.assert_array_equal(got, [[0.5, 0.5], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("x", "want"),
    [
        ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0]),
        ([0.0, 3.0, 4.0], [12.0, 0.0, 0.0]),
        ([0.0, 0.0, 4.0], [0.0, 0.0, 0.0]),
        ([0.0], [1.0]),
    ],
)
def test_products_with_zeros(x, want):
    np.testing.assert_array_equal(sd.grad(np.prod)(np.array(x)), want)


def test_small_arguments_keep_their_digits():
    x = np.array([1e-20, -1e-20, 1e-12, 1e-8])
    for f in [np.expm1, np.log1p, np.sin, np.tan, np.arctan, np.tanh, np.sinh, np.arcsinh]:
        np.testing.assert_allclose(sd.jit(f)(x), x, rtol=1e-8)
        assert sd.jit(f)(1e-20) == 1e-20


def test_compensated_summation_survives():
    """No operation is reordered, so the error of a sum can be computed."""

    def error(a, b):
        s = a + b
        t = s - a
        return (a - (s - t)) + (b - t)

    assert sd.jit(error)(1.0, 1e-17) == 1e-17
    a, b = np.array([1.0, 1e16, 0.1]), np.array([1e-17, 1.0, 0.2])
    np.testing.assert_array_equal(sd.jit(error)(a, b), error(a, b))


def test_what_is_no_number_stays_so():
    for f in [lambda x: x - x, lambda x: 0 * x, lambda x: x / x, lambda x: x * 0.0 + 1]:
        for at in (NAN, INF):
            assert np.isnan(sd.jit(f)(at))
    assert sd.jit(lambda x: x != x)(NAN) is True  # noqa: PLR0124 - the way to ask for NaN
    assert sd.jit(lambda x: x == x)(NAN) is False  # noqa: PLR0124
