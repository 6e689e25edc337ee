"""SciPy's special functions: values are SciPy's own, derivatives those of mpmath."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc

import symdiff as sd
from symdiff.compilation.source import compile_source, to_source
from symdiff.program.pattern_data import dump_pattern, load_pattern
from symdiff.program.patterns import formula
from symdiff.program.special_functions import SPECIAL
from symdiff.tracing.operations import scipy_ufuncs, special_pattern

N_POINTS = 4
DIGITS = 30
INF, NAN = float("inf"), float("nan")
UFUNCS = scipy_ufuncs()


class Row(NamedTuple):
    """A function of some arguments, the others being fixed."""

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    domains: tuple[tuple[float, float], ...]
    extra: tuple[Any, ...] = ()
    rtol: float = 1e-12

    def points(self) -> list[np.ndarray]:
        rng = np.random.default_rng(len(self.name))
        points = [rng.uniform(low, high, N_POINTS) for low, high in self.domains]
        return [np.append(p, self.extra) for p in points] if len(points) == 1 else points


ROWS: list[Row] = []


def row(function: Any, reference: Any, *domains: Any, name: str = "", **kwargs: Any) -> None:
    ROWS.append(Row(name or function.__name__, function, reference, domains, **kwargs))


def ndtr(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def owens_t(h: Any, a: Any) -> Any:
    return mp.quad(lambda t: mp.exp(-(h**2) * (1 + t**2) / 2) / (1 + t**2), [0, a]) / (2 * mp.pi)


def root_of(f: Callable[[Any], Any], start: Callable[[Any], float]) -> Callable[[Any], Any]:
    """The inverse of a function; mpmath differentiates it by differences of many digits."""
    return lambda y: mp.findroot(lambda x: f(x) - y, start(float(y)))


def boxcox(x: Any, p: Any) -> Any:
    return mp.expm1(p * mp.log(x)) / p if p else mp.log(x)


def inv_boxcox(y: Any, p: Any) -> Any:
    return mp.exp(mp.log1p(p * y) / p) if p else mp.exp(y)


def scaled(f: Callable[..., Any], sign: int) -> Callable[..., Any]:
    return lambda v, x: f(v, x) * mp.exp(sign * abs(x))


def spherical(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda n, x: mp.sqrt(mp.pi / (2 * x)) * f(n + mp.mpf(1) / 2, x)


def gammainc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def betainc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def exprel(x: Any) -> Any:
    return mp.expm1(x) / x if x else mp.mpf(1)


def huber(d: Any, r: Any) -> Any:
    return r**2 / 2 if abs(r) <= d else d * (abs(r) - d / 2)


def fixed(f: Callable[..., Any], *orders: Any) -> Callable[..., Any]:
    """The function with its first arguments given."""
    return lambda *x: f(*orders, *x)


def of_order(function: Any, reference: Any, order: Any, *domains: Any, **kwargs: Any) -> None:
    orders = order if isinstance(order, tuple) else (order,)
    name = f"{function.__name__}{list(orders)}"
    row(fixed(function, *orders), fixed(reference, *orders), *domains, name=name, **kwargs)


# the error function's family
row(sc.erfcx, lambda x: mp.exp(x**2) * mp.erfc(x), (-2.0, 4.0), extra=(15.0, 19.9, 20.1, 1e4, 0.0))
row(sc.erfinv, mp.erfinv, (-0.95, 0.95), extra=(0.0,))
row(sc.erfcinv, lambda x: mp.erfinv(1 - x), (0.05, 1.95))
row(sc.erfi, mp.erfi, (-3.0, 3.0))
row(
    sc.dawsn,
    lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-(x**2)) * mp.erfi(x),
    (-3.0, 3.0),
    extra=(-30.0, 19.0),
)
row(sc.ndtr, ndtr, (-6.0, 6.0))
row(sc.log_ndtr, lambda x: mp.log(ndtr(x)), (-6.0, 6.0), extra=(-25.0, 10.0), rtol=1e-11)
row(sc.ndtri, lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), (0.02, 0.98))
row(sc.owens_t, owens_t, (-2.0, 2.0), (-2.0, 2.0))
# logistic functions, entropies and losses
row(sc.logit, lambda x: mp.log(x / (1 - x)), (0.02, 0.98))
row(sc.log_expit, lambda x: -mp.log1p(mp.exp(-x)), (-20.0, 20.0))
row(sc.xlogy, lambda x, y: x * mp.log(y), (-2.0, 2.0), (0.1, 4.0))
row(sc.xlog1py, lambda x, y: x * mp.log1p(y), (-2.0, 2.0), (-0.8, 4.0))
row(sc.entr, lambda x: -x * mp.log(x), (0.1, 4.0))
row(sc.rel_entr, lambda x, y: x * mp.log(x / y), (0.1, 4.0), (0.1, 4.0))
row(sc.kl_div, lambda x, y: x * mp.log(x / y) - x + y, (0.1, 4.0), (0.1, 4.0))
row(sc.huber, huber, (0.5, 2.0), (-3.0, 3.0))
row(
    sc.pseudo_huber,
    lambda d, r: d**2 * (mp.sqrt(1 + (r / d) ** 2) - 1),
    (0.5, 2.0),
    (-3.0, 3.0),
    rtol=1e-11,
)
# powers and exponentials
row(sc.exp10, lambda x: mp.mpf(10) ** x, (-5.0, 5.0))
row(sc.cosm1, lambda x: mp.cos(x) - 1, (-3.0, 3.0))
row(sc.sindg, lambda x: mp.sin(mp.radians(x)), (-300.0, 300.0))
row(sc.cosdg, lambda x: mp.cos(mp.radians(x)), (-300.0, 300.0))
row(sc.tandg, lambda x: mp.tan(mp.radians(x)), (-80.0, 80.0))
row(sc.cotdg, lambda x: mp.cot(mp.radians(x)), (10.0, 170.0))
row(sc.exprel, exprel, (-5.0, 5.0), extra=(0.0, 1e-9, 200.0, -200.0))
row(sc.boxcox, boxcox, (0.2, 4.0), (-2.0, 2.0))
row(sc.boxcox1p, lambda x, p: boxcox(1 + x, p), (-0.8, 3.0), (-2.0, 2.0))
row(sc.inv_boxcox, inv_boxcox, (0.1, 0.9), (-0.9, 0.9))
row(sc.inv_boxcox1p, lambda y, p: inv_boxcox(y, p) - 1, (0.1, 0.9), (-0.9, 0.9))
row(sc.powm1, mp.powm1, (0.2, 4.0), (-3.0, 3.0))
row(sc.wrightomega, lambda x: mp.lambertw(mp.exp(x)).real, (-3.0, 4.0))
# the gamma function's family
row(sc.rgamma, mp.rgamma, (0.3, 6.0), rtol=1e-11)
row(sc.loggamma, mp.loggamma, (0.3, 6.0), rtol=1e-11)
of_order(sc._ufuncs._zeta, mp.zeta, 2.5, (0.2, 6.0))
row(sc.beta, mp.beta, (0.3, 5.0), (0.3, 5.0), rtol=1e-11)
row(sc.betaln, lambda a, b: mp.log(mp.beta(a, b)), (0.3, 5.0), (0.3, 5.0), rtol=1e-11)
row(sc.binom, mp.binomial, (4.2, 8.0), (0.3, 3.5), rtol=1e-11)
row(sc.poch, mp.rf, (0.3, 3.0), (0.3, 3.0), rtol=1e-11)
of_order(sc.gammainc, gammainc, 2.5, (0.1, 8.0))
of_order(sc.gammaincc, lambda a, x: 1 - gammainc(a, x), 0.7, (0.1, 8.0))
of_order(
    sc.gammaincinv,
    lambda a, y: mp.findroot(lambda x: gammainc(a, x) - y, sc.gammaincinv(a, float(y))),
    2.5,
    (0.1, 0.9),
)
of_order(
    sc.gammainccinv,
    lambda a, y: mp.findroot(lambda x: 1 - gammainc(a, x) - y, sc.gammainccinv(a, float(y))),
    2.5,
    (0.1, 0.9),
)
of_order(sc.betainc, betainc, (2.5, 1.3), (0.05, 0.95))
of_order(sc.betaincc, lambda a, b, x: 1 - betainc(a, b, x), (2.5, 1.3), (0.05, 0.95))
of_order(
    sc.betaincinv,
    lambda a, b, y: mp.findroot(lambda x: betainc(a, b, x) - y, sc.betaincinv(a, b, float(y))),
    (2.5, 1.3),
    (0.1, 0.9),
)
of_order(
    sc.betainccinv,
    lambda a, b, y: mp.findroot(
        lambda x: 1 - betainc(a, b, x).real - y, sc.betainccinv(a, b, float(y))
    ),
    (2.5, 1.3),
    (0.1, 0.9),
)
# integrals
row(sc.exp1, mp.e1, (0.1, 8.0))
row(sc.expi, mp.ei, (0.1, 8.0))
for order in (0, 1, 2, 4):
    of_order(sc.expn, mp.expint, order, (0.3, 6.0), rtol=1e-11)
row(lambda x: sc.sici(x)[0], mp.si, (0.1, 8.0), name="sici[0]", extra=(0.0, -1.0))
row(lambda x: sc.sici(x)[1], mp.ci, (0.1, 8.0), name="sici[1]")
row(lambda x: sc.shichi(x)[0], mp.shi, (0.1, 8.0), name="shichi[0]", extra=(0.0, -1.0))
row(lambda x: sc.shichi(x)[1], mp.chi, (0.1, 8.0), name="shichi[1]")
row(lambda x: sc.fresnel(x)[0], mp.fresnels, (-3.0, 3.0), name="fresnel[0]")
row(lambda x: sc.fresnel(x)[1], mp.fresnelc, (-3.0, 3.0), name="fresnel[1]")
row(sc.spence, lambda x: mp.polylog(2, 1 - x).real, (0.2, 6.0), extra=(1.0, 1 + 1e-9), rtol=1e-11)
row(sc.ellipk, mp.ellipk, (-5.0, 0.98), extra=(0.0, 1e-12), rtol=1e-11)
row(sc.ellipe, mp.ellipe, (-5.0, 0.98), extra=(0.0, 1e-12), rtol=1e-11)
row(sc.ellipkm1, lambda p: mp.ellipk(1 - p), (0.05, 3.0), extra=(1.0,), rtol=1e-11)
of_order(sc.hyp0f1, mp.hyp0f1, 1.7, (-3.0, 3.0), rtol=1e-11)
of_order(sc.hyp1f1, mp.hyp1f1, (0.7, 1.7), (-3.0, 3.0), rtol=1e-11)
of_order(sc.hyp2f1, mp.hyp2f1, (0.7, 1.2, 2.1), (-0.8, 0.8), rtol=1e-11)
of_order(sc.hyperu, mp.hyperu, (0.7, 1.7), (0.5, 5.0), rtol=1e-9)
# Bessel functions
row(sc.j0, lambda x: mp.besselj(0, x), (0.1, 20.0), extra=(0.0, -2.0), rtol=1e-10)
row(sc.j1, lambda x: mp.besselj(1, x), (0.1, 20.0), extra=(0.0, -2.0), rtol=1e-10)
row(sc.y0, lambda x: mp.bessely(0, x), (0.1, 20.0), rtol=1e-10)
row(sc.y1, lambda x: mp.bessely(1, x), (0.1, 20.0), rtol=1e-10)
row(sc.i0, lambda x: mp.besseli(0, x), (-5.0, 20.0), extra=(0.0,), rtol=1e-11)
row(sc.i1, lambda x: mp.besseli(1, x), (-5.0, 20.0), extra=(0.0,), rtol=1e-11)
row(sc.k0, lambda x: mp.besselk(0, x), (0.1, 20.0), rtol=1e-11)
row(sc.k1, lambda x: mp.besselk(1, x), (0.1, 20.0), rtol=1e-11)
row(sc.i0e, lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), (0.1, 20.0), rtol=1e-10)
row(sc.i1e, lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), (-20.0, -0.1), rtol=1e-10)
row(sc.k0e, lambda x: mp.exp(x) * mp.besselk(0, x), (0.1, 20.0), rtol=1e-10)
row(sc.k1e, lambda x: mp.exp(x) * mp.besselk(1, x), (0.1, 20.0), rtol=1e-10)
for order in (0, 2.5):
    of_order(sc.jv, mp.besselj, order, (0.5, 12.0), rtol=1e-10)
    of_order(sc.yv, mp.bessely, order, (0.5, 12.0), rtol=1e-10)
    of_order(sc.iv, mp.besseli, order, (0.5, 12.0), rtol=1e-10)
    of_order(sc.kv, mp.besselk, order, (0.5, 12.0), rtol=1e-10)
    of_order(sc.ive, scaled(mp.besseli, -1), order, (0.5, 12.0), rtol=1e-10)
    of_order(sc.kve, scaled(mp.besselk, 1), order, (0.5, 12.0), rtol=1e-10)
of_order(sc.yn, mp.bessely, 2, (0.5, 12.0), rtol=1e-10)
of_order(sc.kn, mp.besselk, 2, (0.5, 12.0), rtol=1e-10)
# orthogonal polynomials
for order in (0, 1, 5):
    of_order(sc.eval_legendre, mp.legendre, order, (-1.0, 1.0), extra=(-1.0, 1.0))
    of_order(
        sc.eval_sh_legendre, lambda n, x: mp.legendre(n, 2 * x - 1), order, (0.0, 1.0), rtol=1e-11
    )
    of_order(sc.eval_chebyt, mp.chebyt, order, (-1.0, 1.0), extra=(-1.0, 1.0))
    of_order(sc.eval_chebyu, mp.chebyu, order, (-1.0, 1.0), extra=(-1.0, 1.0))
    of_order(sc.eval_sh_chebyt, lambda n, x: mp.chebyt(n, 2 * x - 1), order, (0.0, 1.0))
    of_order(sc.eval_sh_chebyu, lambda n, x: mp.chebyu(n, 2 * x - 1), order, (0.0, 1.0))
    of_order(sc.eval_hermite, mp.hermite, order, (-2.0, 2.0))
    of_order(
        sc.eval_hermitenorm,
        lambda n, x: mp.hermite(n, x / mp.sqrt(2)) / mp.mpf(2) ** (mp.mpf(n) / 2),
        order,
        (-2.0, 2.0),
    )
    of_order(sc.eval_laguerre, lambda n, x: mp.laguerre(n, 0, x), order, (0.0, 5.0))
    of_order(sc.eval_genlaguerre, mp.laguerre, (order, 0.7), (0.0, 5.0))
    of_order(sc.eval_gegenbauer, mp.gegenbauer, (order, 0.7), (-1.0, 1.0))
    of_order(sc.eval_jacobi, mp.jacobi, (order, 0.7, 0.4), (-0.9, 0.9))

WITHOUT_RULE = {sc.zetac}
"""Functions that have no rule at all; the zeta function of Riemann is another."""


def test_the_table_covers_what_can_be_traced():
    covered = {r.name.partition("[")[0] for r in ROWS} | {u.__name__ for u in WITHOUT_RULE}
    special = {u.__name__ for u in UFUNCS.patterns if u.__name__ in SPECIAL}
    special |= {u.__name__ for u in [*UFUNCS.of_orders, *UFUNCS.with_two_results]}
    assert special <= covered


def exact(row: Row, points: list[np.ndarray], orders: tuple[int, ...]) -> np.ndarray:
    with mp.workdps(DIGITS):
        at = [[mp.mpf(float(v)) for v in p] for p in zip(*points, strict=True)]
        if len(orders) == 1:
            return np.array([float(mp.re(mp.diff(row.reference, p[0], orders[0]))) for p in at])
        return np.array([float(mp.diff(row.reference, tuple(p), orders)) for p in at])


def derivative(f: Callable[..., Any], orders: tuple[int, ...]) -> Callable[..., Any]:
    def once(f: Callable[..., Any], k: int) -> Callable[..., Any]:
        return sd.grad(lambda *x: np.sum(f(*x)), k)

    for k, order in enumerate(orders):
        for _ in range(order):
            f = once(f, k)
    return f


def partials(n: int) -> list[tuple[int, ...]]:
    return [(1,), (2,)] if n == 1 else [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]


def cases() -> Any:
    return pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in ROWS])


@cases()
def test_values_and_derivatives(row):
    points = row.points()
    orders = partials(len(points))
    f = sd.jit(lambda *x: (row.function(*x), *[derivative(row.function, o)(*x) for o in orders]))
    value, *slopes = f(*points)
    np.testing.assert_allclose(value, row.function(*points), rtol=4e-15)
    for order, got in zip(orders, slopes, strict=True):
        want = exact(row, points, order)
        np.testing.assert_allclose(got, want, rtol=row.rtol, atol=1e-13, err_msg=str(order))
    program = f.program(*points)
    with np.errstate(all="ignore"):
        written = compile_source(program)(*points)
    for a, b in zip(written, f(*points), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    again = sd.jvp(row.function, tuple(points), tuple(np.ones_like(p) for p in points))[1]
    first = [s for o, s in zip(orders, slopes, strict=True) if sum(o) == 1]
    np.testing.assert_allclose(again, sum(first), rtol=1e-11, atol=1e-13)


CORNERS = np.array([0.0, -0.0, INF, -INF, NAN, 5e-324, 1.0, -1.0, 0.5, 2.0, -2.5, 30.0, -30.0, 1e9])
OWN = {sc.ndtr}
"""What is computed here, by functions that have vector variants."""
UNARY = sorted(
    {u for u in UFUNCS.patterns if u.__name__ in SPECIAL and u.nin == 1} - OWN,
    key=lambda u: u.__name__,
)


def assert_same(got: Any, want: Any, rtol: float) -> None:
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=rtol, atol=0)


@pytest.mark.parametrize("ufunc", [pytest.param(u, id=u.__name__) for u in UNARY])
def test_corners_and_other_dtypes_are_as_in_scipy(ufunc):
    f = sd.jit(ufunc)
    assert_same(f(CORNERS), ufunc(CORNERS), 1e-15)
    single = CORNERS.astype(np.float32)
    # SciPy computes some float32 values in double precision, and some not.
    assert_same(f(single), ufunc(single), 2e-6)
    for dtype in (bool, np.int32, np.uint64, np.int64):
        whole = np.array([0, 1, 2, 5]).astype(dtype)
        assert_same(f(whole), ufunc(whole), 1e-15)
    assert f(0.5) == pytest.approx(ufunc(0.5), rel=1e-15)


def test_the_normal_distribution_is_as_exact_as_scipys():
    x = np.linspace(-37.0, 9.0, 2001)
    exact = np.array([float(mp.ncdf(mp.mpf(float(v)))) for v in x])
    ours = np.abs(sd.jit(sc.ndtr)(x) / exact - 1)
    scipys = np.abs(sc.ndtr(x) / exact - 1)
    for low, high in ((-37, -20), (-20, -5), (-5, 0), (0, 9)):
        part = (x >= low) & (x < high)
        assert ours[part].max() < 1.1 * scipys[part].max() + 5e-16
    corners = np.array([INF, -INF, 0.0, NAN, 5e-324, 1e9, -1e9])
    assert_same(sd.jit(sc.ndtr)(corners), sc.ndtr(corners), 1e-15)
    single = np.array([-5, -1, 0, 0.5, 7, INF], dtype=np.float32)
    assert_same(sd.jit(sc.ndtr)(single), sc.ndtr(single), 2e-6)


BINARY = sorted({u for u in UFUNCS.patterns if u.__name__ in SPECIAL and u.nin == 2}, key=str)


@pytest.mark.parametrize("ufunc", [pytest.param(u, id=u.__name__) for u in BINARY])
def test_corners_of_two_arguments_are_as_in_scipy(ufunc):
    x, y = (g.ravel() for g in np.meshgrid(CORNERS[:-3], CORNERS[:-3]))
    assert_same(sd.jit(ufunc)(x, y), ufunc(x, y), 1e-15)
    whole = np.array([0, 1, 2, 5])
    assert_same(sd.jit(ufunc)(whole, 0.5), ufunc(whole, 0.5), 1e-15)


@pytest.mark.parametrize(
    ("name", "f", "at", "argument"),
    [
        ("jv", sc.jv, (2.0, 1.5), 0),
        ("kve", sc.kve, (2.0, 1.5), 0),
        ("gammainc", sc.gammainc, (2.0, 1.5), 0),
        ("betainc", sc.betainc, (2.0, 1.5, 0.5), 1),
        ("hyp2f1", sc.hyp2f1, (2.0, 1.5, 0.5, 0.3), 2),
        ("zeta", sc.zeta, (2.5,), 0),
        ("zeta", sc.zeta, (2.5, 1.5), 0),
        ("zetac", sc.zetac, (2.5,), 0),
    ],
)
def test_a_derivative_without_a_rule_is_refused(name, f, at, argument):
    for derivative in (
        lambda: sd.grad(f, argument)(*at),
        lambda: sd.jacobian(f, argument)(*at),
        lambda: sd.jvp(f, at, tuple(float(k == argument) for k in range(len(at)))),
    ):
        with pytest.raises(sd.UnsupportedOperationError) as caught:
            derivative()
        assert f"scipy.special.{name}" in str(caught.value)
        assert "sd.stop_gradient" in str(caught.value)
    held = [sd.stop_gradient if k == argument else (lambda x: x) for k in range(len(at))]
    g = sd.grad(lambda *x: x[argument] * f(*[h(v) for h, v in zip(held, x, strict=True)]), argument)
    assert g(*at) == pytest.approx(f(*at), rel=1e-14)


def test_an_order_that_is_constant_does_not_matter():
    assert sd.grad(lambda x: sc.jv(2, x))(1.5) == pytest.approx(sc.jvp(2, 1.5), rel=1e-14)
    assert sd.grad(sc.jv, 1)(2.0, 1.5) == pytest.approx(sc.jvp(2, 1.5), rel=1e-14)
    assert sd.grad(sc.jv, 1)(2, 1.5) == pytest.approx(sc.jvp(2, 1.5), rel=1e-14)


# functions of Python

TABLE = np.array([[0.3, 0.3, 1.0, -40.0], [3.0, 3.0, 3.0, 3.0], [-9.0, -20.0, 0.4, -5.0]])
WEIGHTS = np.array([[1.0, 2.0, 0.5, 0.0], [1.0, -0.5, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
SMALL = np.array([[0.3, 1.2], [2.5, 4.0]])
PYTHON = [
    ("logsumexp", TABLE, lambda x: sc.logsumexp(x, axis=None)),
    ("logsumexp, axis", TABLE, lambda x: sc.logsumexp(x, axis=1)),
    ("logsumexp, axes", TABLE, lambda x: sc.logsumexp(x, axis=(0, 1), keepdims=True)),
    ("logsumexp, keepdims", TABLE, lambda x: sc.logsumexp(x, axis=0, keepdims=True)),
    ("logsumexp, weights", TABLE, lambda x: sc.logsumexp(x, axis=1, b=WEIGHTS)),
    ("softmax", TABLE, lambda x: sc.softmax(x, axis=None)),
    ("softmax, axis", TABLE, lambda x: sc.softmax(x, axis=1)),
    ("log_softmax", TABLE, lambda x: sc.log_softmax(x, axis=-1)),
    ("polygamma", SMALL, lambda x: sc.polygamma(2, x)),
    ("polygamma of order 0", SMALL, lambda x: sc.polygamma(0, x)),
    ("zeta", SMALL, lambda x: sc.zeta(3.0, x)),
    ("multigammaln", SMALL, lambda x: sc.multigammaln(x + 2, 3)),
    ("factorial", SMALL, lambda x: sc.factorial(x, exact=False)),
    ("comb", SMALL, lambda x: sc.comb(x + 5.5, x / 2)),
    ("comb, repetition", SMALL, lambda x: sc.comb(x + 5.5, 2.3, repetition=True)),
    ("perm", SMALL, lambda x: sc.perm(x + 5.5, 2.3)),
    ("spherical_jn", SMALL, lambda x: sc.spherical_jn(2, x)),
    ("spherical_jn'", SMALL, lambda x: sc.spherical_jn(2, x, True)),
    ("spherical_jn of order 0", SMALL, lambda x: sc.spherical_jn(0, x, derivative=True)),
    ("spherical_yn", SMALL, lambda x: sc.spherical_yn(1, x)),
    ("spherical_in", SMALL, lambda x: sc.spherical_in(1, x)),
    ("spherical_kn", SMALL, lambda x: sc.spherical_kn(1, x)),
    ("np.i0", SMALL, np.i0),
]
if hasattr(sc, "softplus"):
    PYTHON.append(("softplus", TABLE, sc.softplus))


def differences(f: Callable[[np.ndarray], Any], x: np.ndarray) -> np.ndarray:
    """Central differences, of fourth order."""
    step = 1e-3
    slopes = []
    for i in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[i] = step
        near, far = f(x + e) - f(x - e), f(x + 2 * e) - f(x - 2 * e)
        slopes.append((8 * near - far) / (12 * step))
    return np.reshape(slopes, (*x.shape, *np.shape(slopes[0])))


@pytest.mark.parametrize(("x", "f"), [pytest.param(x, f, id=name) for name, x, f in PYTHON])
def test_functions_of_python(x, f):
    want = f(x)
    got = sd.jit(f)(x)
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=1e-13)
    weights = np.cos(np.arange(np.size(want)) + 1.0).reshape(np.shape(want))
    total: Any = lambda x: np.sum(f(x) * weights)  # noqa: E731
    gradient = sd.grad(total)
    np.testing.assert_allclose(gradient(x), differences(total, x), rtol=1e-7, atol=1e-9)
    second = sd.hessian(total)(x)
    np.testing.assert_allclose(second, differences(gradient, x), rtol=1e-7, atol=1e-8)
    single = x.astype(np.float32)
    if "comb" not in str(f) and f(single).dtype == np.float32:
        assert sd.jit(f)(single).dtype == np.float32


def test_logsumexp_keeps_the_digits_of_small_terms():
    for x in ([-40.0, 0.0], [-1e3, -1e3], [1e3, 900.0], [0.0, -INF], [-INF, -INF], [INF, 0.0]):
        got = sd.jit(sc.logsumexp)(np.array(x))
        np.testing.assert_allclose(got, sc.logsumexp(x), rtol=1e-15)
    assert np.isnan(sd.jit(sc.logsumexp)(np.array([NAN, 1.0])))


def test_what_has_to_be_known_while_tracing_is_asked_for():
    for f in (
        lambda n: sc.polygamma(n, 1.5),
        lambda n: sc.multigammaln(9.5, n),
        lambda n: sc.spherical_jn(n, 1.5),
    ):
        with pytest.raises(sd.UnsupportedOperationError, match="known while tracing"):
            sd.jit(f)(2)
    with pytest.raises(sd.UnsupportedOperationError, match="exact"):
        sd.jit(lambda n: sc.comb(n, 2, exact=True))(5)
    with pytest.raises(sd.UnsupportedOperationError, match="return_sign"):
        sd.jit(lambda x: sc.logsumexp(x, return_sign=True))(np.ones(3))


# beside kernels

PATTERNS = [special_pattern(step) for step in sorted(SPECIAL)]


@pytest.mark.parametrize("before", [pytest.param(p, id=str(p.expression)) for p in PATTERNS])
def test_patterns_come_back_and_can_be_written(before):
    assert load_pattern(dump_pattern(before)) is before
    formula(before.expression)
    for k in range(before.arity):
        if before.expression.rules[k] is not None:
            slope = before.partial(k, has_out=True, has_cotangent=True)
            assert load_pattern(dump_pattern(slope.pattern)) is slope.pattern


def test_how_they_are_written():
    program = sd.trace(lambda x: sc.jv(1.5, x) + sc.sici(x)[1] + sc.eval_legendre(3, x), 0.5)
    text = str(program)
    assert "jv(1.5, x)" in text
    assert "sici[1](x)" in text
    assert "eval_legendre(3, x)" in text
    assert "special.sici(x)[1]" in to_source(program)
    assert str(sd.trace(lambda x: sc.erfinv(x) + sc.jv(2, x), 0.5).to_sympy()) == (
        "besselj(2, x) + erfinv(x)"
    )
