"""The special functions of `scipy.special`: for each argument the rule of its derivative.

Every function is one row of a table. A rule is written with the functions of this module, so that
derivatives of any order follow from it, and it is chosen so that it neither divides zero by zero
nor cancels at a point where the function is smooth: recurrences instead of quotients,
hypergeometric functions where a quotient would cancel. None stands where there is no rule in
closed form (the order of a Bessel function, the parameters of an incomplete gamma function): such
a derivative is refused.

References
----------
NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov, chapters 5 to 19.
"""

# SymPy's arguments are expressions, which its annotations do not say.
# pyright: reportOperatorIssue=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from symdiff.errors import UnsupportedOperationError
from symdiff.program.functions import (
    Abs,
    Digamma,
    Erf,
    LogGamma,
    Opaque,
    Power,
    Select,
    Sigmoid,
    Sign,
    log1p,
)

__all__ = ["NAMES", "ORDERS", "SPECIAL", "SpecialFunction"]

Expr = Any
Rule = Callable[..., Expr] | None

_ARGUMENTS = ("first", "second", "third", "fourth")


def _missing(name: str, rules: tuple[Rule, ...], number: int) -> str:
    """Say that a derivative has no rule, and what can be done."""
    by = "" if len(rules) == 1 else f" by its {_ARGUMENTS[number]} argument"
    known = [_ARGUMENTS[n] for n, rule in enumerate(rules) if rule is not None]
    there = f"there is one by its {known[-1]} argument. " if known else ""
    return (
        f"scipy.special.{name} has no rule for its derivative{by}; {there}Hold this argument "
        "constant with sd.stop_gradient, or wrap the call in sd.custom_derivative"
    )


class SpecialFunction(Opaque):
    """A function of SciPy; ``rules`` gives the derivative by each argument.

    A rule takes the value of the function and then its arguments.
    """

    rules: tuple[Rule, ...] = ()
    plain: Callable[..., Expr] | None = None
    scipy_name: str = ""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Apply the rule of one argument (numbered from one), or say that there is none."""
        rules = type(self).rules
        rule = rules[argindex - 1]
        if rule is None:
            raise UnsupportedOperationError(_missing(type(self).scipy_name, rules, argindex - 1))
        return rule(self, *self.args)

    def formula(self) -> Expr:
        """Say the same in ordinary SymPy, where SymPy has it."""
        plain = type(self).plain
        return self if plain is None else plain(*self.args)


SPECIAL: dict[str, type[SpecialFunction]] = {}
"""Every function by the name of its step; a step that starts with ``int_`` takes a whole order."""
NAMES: dict[type[SpecialFunction], str] = {}
"""How SciPy calls each function, ``[k]`` behind it for one of several results."""
ORDERS: dict[str, str] = {}
"""The step that computes a function of an order, by SciPy's name."""


def _add(
    step: str, *rules: Rule, plain: Callable[..., Expr] | None = None, name: str | None = None
) -> Callable[..., Expr]:
    scipy_name = name or step
    made: Any = type(
        step,
        (SpecialFunction,),
        {"rules": rules, "plain": plain and staticmethod(plain), "scipy_name": scipy_name},
    )
    SPECIAL[step] = made
    NAMES[made] = scipy_name
    return made


def _half(n: int) -> Expr:
    return sp.Rational(n, 2)


_ROOT_PI = sp.sqrt(sp.pi)
_ROOT_2 = sp.sqrt(2)
_ROOT_2PI = sp.sqrt(2 * sp.pi)
_LN_10 = sp.log(10)
_DEGREE = sp.pi / 180


# the error function's family


def _erfcx_slope(f: Expr, x: Expr) -> Expr:
    """``2 x f - 2/sqrt(pi)``, which cancels for large `x`: DLMF 7.12.1 there."""
    terms = [
        (-1) ** (n + 1) * (2 * n + 1) * sp.factorial2(2 * n - 1) / (2**n * x ** (2 * n + 2))
        for n in range(8)
    ]
    return Select(x > 20, sp.Add(*terms) / _ROOT_PI, 2 * x * f - 2 / _ROOT_PI)


def _dawsn_slope(f: Expr, x: Expr) -> Expr:
    """``1 - 2 x f``, which cancels for large `x`: DLMF 7.12.1 and 7.5.1 there."""
    terms = [
        -(2 * n + 1) * sp.factorial2(2 * n - 1) / (2 ** (n + 1) * x ** (2 * n + 2))
        for n in range(8)
    ]
    return Select(Abs(x) > 20, sp.Add(*terms), 1 - 2 * x * f)


erfcx = _add("erfcx", _erfcx_slope)
erfinv = _add("erfinv", lambda f, _x: _ROOT_PI / 2 * sp.exp(f**2), plain=sp.erfinv)
_add("erfcinv", lambda f, _x: -_ROOT_PI / 2 * sp.exp(f**2), plain=sp.erfcinv)
_add("erfi", lambda _f, x: 2 / _ROOT_PI * sp.exp(x**2), plain=sp.erfi)
_add("dawsn", _dawsn_slope)
_add(
    "ndtr",
    lambda _f, x: sp.exp(-(x**2) / 2) / _ROOT_2PI,
    plain=lambda x: (1 + sp.erf(x / _ROOT_2)) / 2,
)
_add("log_ndtr", lambda _f, x: sp.sqrt(2 / sp.pi) / erfcx(-x / _ROOT_2))
_add("ndtri", lambda f, _x: _ROOT_2PI * sp.exp(f**2 / 2))
_add(
    "owens_t",
    lambda _f, h, a: -sp.exp(-(h**2) / 2) * Erf(a * h / _ROOT_2) / (2 * _ROOT_2PI),
    lambda _f, h, a: sp.exp(-(h**2) * (1 + a**2) / 2) / (2 * sp.pi * (1 + a**2)),
)

# logistic functions, entropies and losses

_add("logit", lambda _f, x: 1 / (x * (1 - x)), plain=lambda x: sp.log(x / (1 - x)))
_add("log_expit", lambda _f, x: Sigmoid(-x), plain=lambda x: -sp.log(1 + sp.exp(-x)))


def _both_zero(x: Expr, y: Expr, other: Expr) -> Expr:
    return Select(sp.And(sp.Eq(x, 0), sp.Eq(y, 0)), 0, other)


xlogy = _add(
    "xlogy",
    lambda _f, _x, y: sp.log(y),
    lambda _f, x, y: _both_zero(x, y, x / y),
    plain=lambda x, y: x * sp.log(y),
)
xlog1py = _add(
    "xlog1py",
    lambda _f, _x, y: log1p(y),
    lambda _f, x, y: _both_zero(x, 1 + y, x / (1 + y)),
    plain=lambda x, y: x * sp.log(1 + y),
)
_add("entr", lambda _f, x: -sp.log(x) - 1, plain=lambda x: -x * sp.log(x))
_add(
    "rel_entr",
    lambda _f, x, y: sp.log(x / y) + 1,
    lambda _f, x, y: _both_zero(x, y, -x / y),
    plain=lambda x, y: x * sp.log(x / y),
)
_add(
    "kl_div",
    lambda _f, x, y: sp.log(x / y),
    lambda _f, x, y: 1 - _both_zero(x, y, x / y),
    plain=lambda x, y: x * sp.log(x / y) - x + y,
)
_add(
    "huber",
    lambda _f, d, r: Select(Abs(r) <= d, 0, Abs(r) - d),
    lambda _f, d, r: Select(Abs(r) <= d, r, d * Sign(r)),
)
_add(
    "pseudo_huber",
    lambda f, d, r: 2 * f / d - r**2 / (d * sp.sqrt(1 + (r / d) ** 2)),
    lambda _f, d, r: r / sp.sqrt(1 + (r / d) ** 2),
    plain=lambda d, r: d**2 * (sp.sqrt(1 + (r / d) ** 2) - 1),
)

# powers and exponentials

_add("exp10", lambda f, _x: _LN_10 * f, plain=lambda x: sp.Pow(10, x))
_add("cosm1", lambda _f, x: -sp.sin(x), plain=lambda x: sp.cos(x) - 1)
sindg = _add("sindg", lambda _f, x: _DEGREE * cosdg(x), plain=lambda x: sp.sin(_DEGREE * x))
cosdg = _add("cosdg", lambda _f, x: -_DEGREE * sindg(x), plain=lambda x: sp.cos(_DEGREE * x))
_add("tandg", lambda f, _x: _DEGREE * (1 + f**2), plain=lambda x: sp.tan(_DEGREE * x))
_add("cotdg", lambda f, _x: -_DEGREE * (1 + f**2), plain=lambda x: sp.cot(_DEGREE * x))
hyp0f1 = _add("hyp0f1", None, lambda _f, b, x: hyp0f1(b + 1, x) / b)
hyp1f1 = _add("hyp1f1", None, None, lambda _f, a, b, x: a / b * hyp1f1(a + 1, b + 1, x))
hyp2f1 = _add(
    "hyp2f1", None, None, None, lambda _f, a, b, c, x: a * b / c * hyp2f1(a + 1, b + 1, c + 1, x)
)
hyperu = _add("hyperu", None, None, lambda _f, a, b, x: -a * hyperu(a + 1, b + 1, x))
_add(
    "exprel",
    lambda _f, x: hyp1f1(sp.Integer(2), sp.Integer(3), x) / 2,
    plain=lambda x: (sp.exp(x) - 1) / x,
)


def _boxcox_by_power(logarithm: Expr, power: Expr) -> Expr:
    """The derivative of ``L exprel(power L)``, which is boxcox, by the power."""
    return logarithm**2 * hyp1f1(sp.Integer(2), sp.Integer(3), power * logarithm) / 2


def _inv_boxcox_by_power(y: Expr, power: Expr) -> Expr:
    """The derivative of ``log1p(power y) / power`` by the power."""
    two, three = sp.Integer(2), sp.Integer(3)
    return -(y**2) * hyp2f1(two, two, three, -power * y) / 2


_add(
    "boxcox",
    lambda _f, x, p: Power(x, p - 1),
    lambda _f, x, p: _boxcox_by_power(sp.log(x), p),
    plain=lambda x, p: (x**p - 1) / p,
)
_add(
    "boxcox1p",
    lambda _f, x, p: Power(1 + x, p - 1),
    lambda _f, x, p: _boxcox_by_power(log1p(x), p),
    plain=lambda x, p: ((1 + x) ** p - 1) / p,
)
_add(
    "inv_boxcox",
    lambda f, y, p: f / (1 + p * y),
    lambda f, y, p: f * _inv_boxcox_by_power(y, p),
    plain=lambda y, p: (1 + p * y) ** (1 / p),
)
_add(
    "inv_boxcox1p",
    lambda f, y, p: (1 + f) / (1 + p * y),
    lambda f, y, p: (1 + f) * _inv_boxcox_by_power(y, p),
    plain=lambda y, p: (1 + p * y) ** (1 / p) - 1,
)
_add(
    "powm1",
    lambda _f, x, y: y * Power(x, y - 1),
    lambda _f, x, y: Select(x > 0, Power(x, y) * sp.log(x), 0),
    plain=lambda x, y: x**y - 1,
)
_add("wrightomega", lambda f, _x: f / (1 + f))

# the gamma function's family

_add("rgamma", lambda f, x: -f * Digamma(x), plain=lambda x: 1 / sp.gamma(x))
_add("loggamma", lambda _f, x: Digamma(x), plain=sp.loggamma)
zeta = _add("zeta", None, lambda _f, s, q: -s * zeta(s + 1, q), plain=sp.zeta)
_add("riemann_zeta", None, plain=sp.zeta, name="zeta")
_add("zetac", None, plain=lambda s: sp.zeta(s) - 1)
_add(
    "beta",
    lambda f, a, b: f * (Digamma(a) - Digamma(a + b)),
    lambda f, a, b: f * (Digamma(b) - Digamma(a + b)),
    plain=lambda a, b: sp.gamma(a) * sp.gamma(b) / sp.gamma(a + b),
)
betaln = _add(
    "betaln",
    lambda _f, a, b: Digamma(a) - Digamma(a + b),
    lambda _f, a, b: Digamma(b) - Digamma(a + b),
)
_add(
    "binom",
    lambda f, n, k: f * (Digamma(n + 1) - Digamma(n - k + 1)),
    lambda f, n, k: f * (Digamma(n - k + 1) - Digamma(k + 1)),
    plain=sp.binomial,
)
_add(
    "poch",
    lambda f, z, m: f * (Digamma(z + m) - Digamma(z)),
    lambda f, z, m: f * Digamma(z + m),
    plain=sp.RisingFactorial,
)


def _gamma_density(a: Expr, x: Expr) -> Expr:
    return sp.exp(xlogy(a - 1, x) - x - LogGamma(a))


def _beta_density(a: Expr, b: Expr, x: Expr) -> Expr:
    return sp.exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))


_add("gammainc", None, lambda _f, a, x: _gamma_density(a, x))
_add("gammaincc", None, lambda _f, a, x: -_gamma_density(a, x))
_add("gammaincinv", None, lambda f, a, _y: 1 / _gamma_density(a, f))
_add("gammainccinv", None, lambda f, a, _y: -1 / _gamma_density(a, f))
_add("betainc", None, None, lambda _f, a, b, x: _beta_density(a, b, x))
_add("betaincc", None, None, lambda _f, a, b, x: -_beta_density(a, b, x))
_add("betaincinv", None, None, lambda f, a, b, _y: 1 / _beta_density(a, b, f))
_add("betainccinv", None, None, lambda f, a, b, _y: -1 / _beta_density(a, b, f))

# integrals

_add(
    "exp1",
    lambda _f, x: -sp.exp(-x) / x,
    plain=lambda x: sp.expint(1, x),
)
_add("expi", lambda _f, x: sp.exp(x) / x, plain=sp.Ei)
expn = _add(
    "int_expn",
    None,
    lambda _f, n, x: Select(n >= 1, -expn(n - 1, x), -sp.exp(-x) * (1 / x + 1 / x**2)),
    plain=sp.expint,
    name="expn",
)
_add("sine_integral", lambda _f, x: spherical_jn(sp.S.Zero, x), plain=sp.Si, name="sici[0]")
_add("cosine_integral", lambda _f, x: sp.cos(x) / x, plain=sp.Ci, name="sici[1]")
_add("sinh_integral", lambda _f, x: spherical_in(sp.S.Zero, x), plain=sp.Shi, name="shichi[0]")
_add("cosh_integral", lambda _f, x: sp.cosh(x) / x, plain=sp.Chi, name="shichi[1]")
_add("fresnel_sine", lambda _f, x: sp.sin(sp.pi * x**2 / 2), plain=sp.fresnels, name="fresnel[0]")
_add("fresnel_cosine", lambda _f, x: sp.cos(sp.pi * x**2 / 2), plain=sp.fresnelc, name="fresnel[1]")
_add(
    "spence",
    lambda _f, x: Select(
        Abs(x - 1) < _half(1),
        -hyp2f1(sp.S.One, sp.S.One, sp.Integer(2), 1 - x),
        sp.log(x) / (1 - x),
    ),
)


def _ellipk_slope(m: Expr) -> Expr:
    """DLMF 19.4.1, and 19.5.1 where that cancels."""
    three = _half(3)
    series = sp.pi / 8 * hyp2f1(three, three, sp.Integer(2), m)
    return Select(Abs(m) < _half(1), series, (ellipe(m) / (1 - m) - ellipk(m)) / (2 * m))


def _ellipe_slope(m: Expr) -> Expr:
    """DLMF 19.4.2, and 19.5.2 where that cancels."""
    series = -sp.pi / 8 * hyp2f1(_half(1), _half(3), sp.Integer(2), m)
    return Select(Abs(m) < _half(1), series, (ellipe(m) - ellipk(m)) / (2 * m))


def _ellipkm1_slope(f: Expr, p: Expr) -> Expr:
    three = _half(3)
    series = -sp.pi / 8 * hyp2f1(three, three, sp.Integer(2), 1 - p)
    return Select(Abs(1 - p) < _half(1), series, (f - ellipe(1 - p) / p) / (2 * (1 - p)))


ellipk = _add("ellipk", lambda _f, m: _ellipk_slope(m), plain=sp.elliptic_k)
ellipe = _add("ellipe", lambda _f, m: _ellipe_slope(m), plain=sp.elliptic_e)
_add("ellipkm1", _ellipkm1_slope, plain=lambda p: sp.elliptic_k(1 - p))

# Bessel functions, DLMF 10.6, 10.29 and 10.51


def _mean(a: Expr, b: Expr) -> Expr:
    return (a + b) / 2


_TWO = sp.Integer(2)
jv = _add("jv", None, lambda _f, v, x: (jv(v - 1, x) - jv(v + 1, x)) / 2, plain=sp.besselj)
yv = _add("yv", None, lambda _f, v, x: (yv(v - 1, x) - yv(v + 1, x)) / 2, plain=sp.bessely)
iv = _add("iv", None, lambda _f, v, x: _mean(iv(v - 1, x), iv(v + 1, x)), plain=sp.besseli)
kv = _add("kv", None, lambda _f, v, x: -_mean(kv(v - 1, x), kv(v + 1, x)), plain=sp.besselk)
ive = _add("ive", None, lambda f, v, x: _mean(ive(v - 1, x), ive(v + 1, x)) - Sign(x) * f)
kve = _add("kve", None, lambda f, v, x: f - _mean(kve(v - 1, x), kve(v + 1, x)))
j0 = _add("j0", lambda _f, x: -j1(x), plain=lambda x: sp.besselj(0, x))
j1 = _add("j1", lambda _f, x: (j0(x) - jv(_TWO, x)) / 2, plain=lambda x: sp.besselj(1, x))
y0 = _add("y0", lambda _f, x: -y1(x), plain=lambda x: sp.bessely(0, x))
y1 = _add("y1", lambda _f, x: (y0(x) - yv(_TWO, x)) / 2, plain=lambda x: sp.bessely(1, x))
i0 = _add("i0", lambda _f, x: i1(x), plain=lambda x: sp.besseli(0, x))
i1 = _add("i1", lambda _f, x: _mean(i0(x), iv(_TWO, x)), plain=lambda x: sp.besseli(1, x))
k0 = _add("k0", lambda _f, x: -k1(x), plain=lambda x: sp.besselk(0, x))
k1 = _add("k1", lambda _f, x: -_mean(k0(x), kv(_TWO, x)), plain=lambda x: sp.besselk(1, x))
i0e = _add("i0e", lambda f, x: i1e(x) - Sign(x) * f)
i1e = _add("i1e", lambda f, x: _mean(i0e(x), ive(_TWO, x)) - Sign(x) * f)
k0e = _add("k0e", lambda f, x: f - k1e(x))
k1e = _add("k1e", lambda f, x: f - _mean(k0e(x), kve(_TWO, x)))
yn = _add(
    "int_yn",
    None,
    lambda _f, n, x: (yn(n - 1, x) - yn(n + 1, x)) / 2,
    plain=sp.bessely,
    name="yn",
)
kn = _add(
    "int_kn", None, lambda _f, n, x: -_mean(kn(n - 1, x), kn(n + 1, x)), plain=sp.besselk, name="kn"
)


def _spherical(step: str, sign: int, *, outside: int = 1) -> Callable[..., Expr]:
    """One that fulfils ``(2n+1) f_n' = outside (n f_(n-1) + sign (n+1) f_(n+1))``."""

    def slope(_f: Expr, n: Expr, x: Expr) -> Expr:
        up = made(n + 1, x)
        both = (n * made(n - 1, x) + sign * (n + 1) * up) / (2 * n + 1)
        return outside * Select(sp.Eq(n, 0), sign * up, both)

    made = _add(f"int_{step}", None, slope, name=step)
    return made


spherical_jn = _spherical("spherical_jn", -1)
_spherical("spherical_yn", -1)
spherical_in = _spherical("spherical_in", 1)
_spherical("spherical_kn", 1, outside=-1)

# orthogonal polynomials of whole degree, DLMF 18.9


def _polynomial(
    name: str, slope: Callable[..., Expr], n_parameters: int = 0, plain: Any = None
) -> Callable[..., Expr]:
    """A polynomial of degree `n`, with parameters between degree and argument."""

    def rule(_f: Expr, n: Expr, *rest: Expr) -> Expr:
        return Select(n >= 1, slope(n, *rest), 0)

    rules = (None, *[None] * n_parameters, rule)
    return _add(f"int_{name}", *rules, plain=plain, name=name)


gegenbauer = _polynomial(
    "eval_gegenbauer",
    lambda n, a, x: 2 * a * gegenbauer(n - 1, a + 1, x),
    1,
    sp.gegenbauer,
)
_polynomial("eval_legendre", lambda n, x: gegenbauer(n - 1, _half(3), x), plain=sp.legendre)
_polynomial("eval_sh_legendre", lambda n, x: 2 * gegenbauer(n - 1, _half(3), 2 * x - 1))
chebyu = _polynomial("eval_chebyu", lambda n, x: 2 * gegenbauer(n - 1, _TWO, x), 0, sp.chebyshevu)
_polynomial("eval_chebyt", lambda n, x: n * chebyu(n - 1, x), plain=sp.chebyshevt)
_polynomial("eval_sh_chebyu", lambda n, x: 4 * gegenbauer(n - 1, _TWO, 2 * x - 1))
_polynomial("eval_sh_chebyt", lambda n, x: 2 * n * chebyu(n - 1, 2 * x - 1))
hermite = _polynomial("eval_hermite", lambda n, x: 2 * n * hermite(n - 1, x), plain=sp.hermite)
hermitenorm = _polynomial("eval_hermitenorm", lambda n, x: n * hermitenorm(n - 1, x))
genlaguerre = _polynomial(
    "eval_genlaguerre",
    lambda n, a, x: -genlaguerre(n - 1, a + 1, x),
    1,
    sp.assoc_laguerre,
)
_polynomial("eval_laguerre", lambda n, x: -genlaguerre(n - 1, sp.S.One, x), plain=sp.laguerre)
jacobi = _polynomial(
    "eval_jacobi",
    lambda n, a, b, x: (n + a + b + 1) / 2 * jacobi(n - 1, a + 1, b + 1, x),
    2,
    sp.jacobi,
)

ORDERS.update({NAMES[f]: step for step, f in SPECIAL.items() if step.startswith("int_")})
