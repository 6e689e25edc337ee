"""Special functions for GPUs: as exact as SciPy's, or nearly, and with its values at the ends."""

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc
from emulator import same

import symdiff as sd
from symdiff.compilation.cpu.blocks import FUNCTIONS as BLOCKS_OF_THE_CPU
from symdiff.compilation.cpu.operations import STEPS as STEPS_OF_THE_CPU
from symdiff.compilation.cuda import library, special
from symdiff.compilation.cuda.operations import STEPS
from symdiff.program.special_functions import NAMES, SPECIAL
from symdiff.tracing.operations import scipy_ufuncs

N_POINTS = 24
INF, NAN = float("inf"), float("nan")
ZETAS = {"riemann_zeta": "zeta", "digamma": "psi", "polygamma": "polygamma", "zeta": "zeta"}


def scipy_function(step):
    """Find what SciPy has for a step, for numbers."""
    if step in ZETAS:
        return getattr(sc, ZETAS[step])
    name, _, result = NAMES[SPECIAL[step]].partition("[")
    function = getattr(sc, name)
    return (lambda *x: function(*x)[int(result[0])]) if result else function


def exactly(function):
    """Compute with mpmath where SciPy has fewer digits than what is tested."""

    def value(*x):
        with mp.workdps(40):
            return float(mp.re(function(*[mp.mpf(float(v)) for v in x])))

    return value


def spherical_in(n, x):
    return mp.sqrt(mp.pi / (2 * x)) * mp.besseli(n + mp.mpf(1) / 2, x)


EXACT = {
    "cotdg": lambda x: mp.cot(mp.radians(x)),
    "beta": mp.beta,
    "binom": mp.binomial,
    "poch": mp.rf,
    "zetac": lambda s: mp.zeta(s) - 1,
    "hyp0f1": mp.hyp0f1,
    "hyp1f1": mp.hyp1f1,
    "hyp2f1": mp.hyp2f1,
    "hyperu": mp.hyperu,
    "jv": mp.besselj,
    "yv": mp.bessely,
    "iv": mp.besseli,
    "int_spherical_in": spherical_in,
}
UNIT, SOME, BOTH, WIDE = (0.01, 0.99), (0.05, 12.0), (-6.0, 6.0), (-30.0, 30.0)
DEGREE = (0, 9)
DOMAINS = {
    **dict.fromkeys(("logit",), (UNIT,)),
    **dict.fromkeys(("entr", "exp1", "spence", "rgamma", "loggamma", "digamma"), (SOME,)),
    **dict.fromkeys(("rel_entr", "kl_div", "beta", "betaln", "zeta"), (SOME, SOME)),
    **dict.fromkeys(("huber", "pseudo_huber"), ((0.1, 3.0), BOTH)),
    **dict.fromkeys(("cosm1", "exprel", "wrightomega", "dawsn", "expi", "sine_integral"), (WIDE,)),
    **dict.fromkeys(("sinh_integral", "log_ndtr"), (WIDE,)),
    **dict.fromkeys(("sindg", "cosdg", "tandg", "cotdg"), ((-700.0, 700.0),)),
    **dict.fromkeys(("boxcox", "boxcox1p", "powm1"), (SOME, BOTH)),
    **dict.fromkeys(("inv_boxcox", "inv_boxcox1p"), (SOME, (0.0, 4.0))),
    **dict.fromkeys(("erfi", "fresnel_sine", "fresnel_cosine"), (BOTH,)),
    "owens_t": (BOTH, BOTH),
    "binom": ((0.0, 40.0), (-3.0, 30.0)),
    "poch": (BOTH, BOTH),
    "riemann_zeta": (WIDE,),
    "zetac": (WIDE,),
    "polygamma": ((1, 9), SOME),
    **dict.fromkeys(("gammainc", "gammaincc"), ((0.01, 30.0), (0.01, 40.0))),
    **dict.fromkeys(("gammaincinv", "gammainccinv"), ((0.1, 30.0), UNIT)),
    **dict.fromkeys(("betainc", "betaincc"), ((0.1, 20.0), (0.1, 20.0), UNIT)),
    **dict.fromkeys(("betaincinv", "betainccinv"), ((0.1, 20.0), (0.1, 20.0), UNIT)),
    "int_expn": (DEGREE, SOME),
    **dict.fromkeys(("cosine_integral", "cosh_integral"), ((0.7, 30.0),)),
    **dict.fromkeys(("ellipk", "ellipe"), ((-20.0, 0.999),)),
    "ellipkm1": (SOME,),
    "hyp0f1": ((0.3, 12.0), WIDE),
    "hyp1f1": ((0.1, 5.0), (0.3, 8.0), (-10.0, 30.0)),
    "hyp2f1": ((-3.0, 5.0), (-3.0, 5.0), (0.3, 8.0), (-5.0, 0.98)),
    "hyperu": ((-5.0, 6.0), (-3.0, 8.0), SOME),
    **dict.fromkeys(("jv", "yv", "iv"), ((-8.0, 30.0), (0.1, 40.0))),
    **dict.fromkeys(("kv", "ive", "kve"), ((-8.0, 8.0), (0.1, 40.0))),
    **dict.fromkeys(("i0", "i1", "i0e", "i1e"), (WIDE,)),
    **dict.fromkeys(("k0", "k1", "k0e", "k1e"), ((0.01, 40.0),)),
    **dict.fromkeys(("int_yn", "int_kn"), (DEGREE, SOME)),
    **{f"int_spherical_{k}": (DEGREE, SOME) for k in ("jn", "yn", "in", "kn")},
    **{
        f"int_eval_{name}": (DEGREE, (-1.0, 1.0))
        for name in ("legendre", "sh_legendre", "chebyt", "chebyu", "sh_chebyt", "sh_chebyu")
    },
    **dict.fromkeys(("int_eval_hermite", "int_eval_hermitenorm"), (DEGREE, BOTH)),
    "int_eval_laguerre": (DEGREE, SOME),
    "int_eval_genlaguerre": (DEGREE, (-0.9, 3.0), SOME),
    "int_eval_gegenbauer": (DEGREE, (0.1, 3.0), (-1.0, 1.0)),
    "int_eval_jacobi": (DEGREE, (-0.9, 3.0), (-0.9, 3.0), (-1.0, 1.0)),
}
RTOL = {
    **dict.fromkeys(("hyp1f1", "hyp2f1", "int_eval_jacobi"), 1e-11),
    **dict.fromkeys(("yv", "jv"), 1e-11),  # next to their zeros
    **dict.fromkeys(("cotdg", "beta", "poch", "hyperu", "binom"), 2e-13),
    **dict.fromkeys(("int_eval_genlaguerre", "int_eval_laguerre"), 1e-12),
    **dict.fromkeys(("int_spherical_yn", "int_spherical_jn", "int_yn"), 1e-12),
}
"""Others have 13 digits; these lose some where they are small."""


def points(step):
    """Draw arguments, the same each time."""
    rng = np.random.default_rng(len(step))
    columns = [rng.uniform(low, high, N_POINTS) for low, high in DOMAINS[step]]
    if step.startswith("int_") or step == "polygamma":
        columns[0] = rng.integers(*DOMAINS[step][0], N_POINTS)
    return columns


@pytest.mark.parametrize("step", special.STEPS)
def test_values(step):
    columns = points(step)
    function, reference = special.STEPS[step], scipy_function(step)
    if step in EXACT:
        reference = exactly(EXACT[step])
    with np.errstate(all="ignore"):
        rows = list(zip(*columns, strict=True))
        got = [function(*[v.item() if v.dtype.kind == "i" else v for v in x]) for x in rows]
        want = [float(reference(*x)) for x in rows]
    np.testing.assert_allclose(got, want, rtol=RTOL.get(step, 1e-13), atol=1e-300)


CORNERS = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 0.5, 2.0, -2.5, 30.0, -30.0, 1e9]
UNARY = [step for step, kinds in DOMAINS.items() if len(kinds) == 1]
LIMITS = {"i0": (INF, -INF), "i1": (INF, -INF)}
"""Where the limit is given, and by some of SciPy's versions NaN."""


@pytest.mark.parametrize("step", UNARY)
def test_corners_are_as_in_scipy(step):
    corners = [x for x in CORNERS if x not in LIMITS.get(step, ())]
    with np.errstate(all="ignore"):
        got = [special.STEPS[step](np.float64(x)) for x in corners]
        want = [float(scipy_function(step)(x)) for x in corners]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=0)


TAILS = [
    ("gammainc", (3.0, 1e-100), 1e-300 / 6),
    ("gammaincc", (3.0, 700.0), None),
    ("gammaincc", (1.5e6, 1.504e6), None),
    ("gammainc", (1.5e6, 1.504e6), None),
    ("gammaincinv", (30.0, 1e-300), None),
    ("gammaincinv", (1e5, 1e-10), None),
    ("gammainccinv", (9.0, 1e-300), None),
    ("betainc", (4e3, 2e3, 0.6), None),
    ("betaincinv", (1.4, 6.7, 1e-300), None),
    ("betainccinv", (40.0, 300.0, 1e-100), None),
    ("betaln", (1e8, 3.0), None),
    ("rgamma", (171.5,), None),
    ("kv", (490.0, 93.0), None),
    ("jv", (200.0, 40.0), None),
    ("iv", (3.5, 705.0), None),
    ("hyp0f1", (300.0, 200.0), None),
    ("dawsn", (1e4,), None),
    ("wrightomega", (-700.0,), None),
    ("ellipkm1", (1e-300,), None),
    ("ellipe", (1 - 1e-10,), None),
    ("owens_t", (30.0, 0.1), None),
    ("log_ndtr", (-1e4,), None),
]


@pytest.mark.parametrize(("step", "x", "want"), TAILS)
def test_far_out(step, x, want):
    with np.errstate(all="ignore"):
        got = special.STEPS[step](*map(np.float64, x))
    want = scipy_function(step)(*x) if want is None else want
    assert float(got) == pytest.approx(want, rel=1e-11, abs=0)


def test_what_has_no_digit_left_is_not_a_number():
    assert np.isnan(special.STEPS["hyp1f1"](39.48, 19.125, -83.251))


def test_all_that_the_cpu_has_is_there():
    assert STEPS_OF_THE_CPU.keys() == STEPS.keys()
    written_by_hand = {"product", "put"}
    assert BLOCKS_OF_THE_CPU.keys() == library.BLOCKS.keys() | written_by_hand


# in kernels

UFUNCS = [u for u, p in scipy_ufuncs().patterns.items() if u.nin < 4]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels(dtype):
    """Every ufunc of SciPy and its slope, in kernels of a few each."""
    rng = np.random.default_rng(0)
    x = [rng.uniform(0.1, 0.9, 8).astype(dtype) for _ in range(3)]
    for start in range(0, len(UFUNCS), 12):
        some = UFUNCS[start : start + 12]

        def all_of_them(x, y, z, some=some):
            return [f(*(x, y, z)[: f.nin]) for f in some]

        f = sd.jit(all_of_them)
        same(f.with_target("cuda")(*x), f(*x))


def slope(ufunc, *x):
    return sd.grad(lambda z: np.sum(ufunc(*x[: ufunc.nin - 1], z)))(x[-1])


def test_slopes():
    rng = np.random.default_rng(1)
    x = [rng.uniform(0.1, 0.9, 4) for _ in range(3)]
    no_rule = {sc.zetac, sc._ufuncs._riemann_zeta}
    known = [u for u in UFUNCS if u not in no_rule]
    for start in range(0, len(known), 12):
        some = known[start : start + 12]
        f = sd.jit(lambda x, y, z, some=some: [slope(u, x, y, z) for u in some])
        same(f.with_target("cuda")(*x), f(*x))


def test_orders_and_two_results():
    x = np.linspace(0.2, 0.8, 4)

    def of_orders(x):
        found = [u(3, *[x] * (u.nin - 1)) for u in scipy_ufuncs().of_orders]
        found += [r for u in scipy_ufuncs().with_two_results for r in u(x)]
        found += [sc.spherical_jn(2, x), sc.spherical_yn(2, -x), sc.spherical_in(2, x)]
        return [*found, sc.spherical_kn(2, x), sc.hyp2f1(1.5, x, 2.5, x)]

    f = sd.jit(of_orders)
    same(f.with_target("cuda")(x), f(x))
