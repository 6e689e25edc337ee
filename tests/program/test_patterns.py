"""Patterns: what their steps compute, and that their derivatives are those of differences."""

import math

import numpy as np
import pytest
import scipy.special
import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.patterns import DIFFS, formula, pattern, placeholder

p0, p1, p2 = (placeholder(i) for i in range(3))

STEPS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
    "abs": np.abs,
    "atan2": np.arctan2,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "select": np.where,
    "sigmoid": scipy.special.expit,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "gamma": scipy.special.gamma,
    "lgamma": scipy.special.gammaln,
    "loggamma": scipy.special.gammaln,
    "digamma": scipy.special.digamma,
    "polygamma": lambda order, x: scipy.special.polygamma(int(order), x),
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "copy": lambda x: x,
    "gap": lambda x, y: 0.0 if x == y else x - y,
}


def run(steps, *operands):
    values = list(operands)
    for step in steps:
        if step.name == "literal":
            values.append(step.literal)
            continue
        function = STEPS.get(step.name) or getattr(np, step.name)
        values.append(function(*[values[a] for a in step.arguments]))
    return float(values[-1])


SMOOTH = [
    (sp.exp(p0), [0.3]),
    (sp.log(p0), [1.7]),
    (sp.sqrt(p0), [2.5]),
    (sp.tanh(p0), [-0.4]),
    (sp.tan(p0), [0.6]),
    (sp.asin(p0), [0.2]),
    (sp.acosh(p0), [1.8]),
    (sp.atan2(p0, p1), [0.3, -1.2]),
    (sp.gamma(p0), [2.3]),
    (fn.log1p(p0), [0.7]),
    (fn.expm1(p0), [0.7]),
    (fn.exp2(p0), [0.7]),
    (fn.log2(p0), [0.7]),
    (fn.log10(p0), [0.7]),
    (fn.Cbrt(p0), [-2.0]),
    (fn.Sigmoid(p0), [0.9]),
    (fn.Erf(p0), [0.4]),
    (fn.Erfc(p0), [0.4]),
    (fn.LogGamma(p0), [3.1]),
    (fn.Digamma(p0), [3.1]),
    (fn.Power(p0, p1), [1.3, 2.2]),
    (fn.Power(p0, sp.Rational(-3, 2)), [1.3]),
    (fn.Hypot(p0, p1), [3.0, 4.0]),
    (fn.LogAddExp(p0, p1), [0.2, 1.5]),
    (fn.Maximum(p0, p1), [0.2, 1.5]),
    (fn.Minimum(p0, p1), [0.2, 1.5]),
    (fn.FMax(p0, p1), [0.2, 1.5]),
    (fn.Remainder(p0, p1), [7.3, 2.0]),
    (fn.Select(p0 > 0, p1, p2), [1.0, 3.0, 4.0]),
    (fn.Select(p0 > p1, p0**2, p1 * p2), [1.0, 3.0, 4.0]),
    (p0 - p1, [3.0, 5.0]),
    (p0 / p1, [3.0, 5.0]),
    (p0**-2, [1.5]),
    (p0**5, [1.1]),
    (-p0 / (2 * p1), [1.5, 3.0]),
    (p0 * (1 - p1**2) / sp.sqrt(p2), [1.5, 3.0, 2.0]),
]


@pytest.mark.parametrize(("expression", "at"), SMOOTH, ids=lambda v: str(v)[:40])
def test_partials_agree_with_differences(expression, at):
    body = pattern(expression, len(at))
    value = run(body.steps, *at)
    for operand in range(len(at)):
        partial = body.partial(operand, has_out=True, has_cotangent=True)
        known = {"cotangent": 1.7, "out": value, **dict(enumerate(at))}
        exact = 0.0
        if partial is not None:
            exact = run(partial.pattern.steps, *[known[s] for s in partial.sources])
        step = 1e-6
        ends = []
        for sign in (1, -1):
            moved = list(at)
            moved[operand] += sign * step
            ends.append(run(body.steps, *moved))
        assert exact == pytest.approx(1.7 * (ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("expression", "at"), SMOOTH, ids=lambda v: str(v)[:40])
def test_steps_agree_with_sympy(expression, at):
    steps = pattern(expression, len(at)).steps
    values = dict(zip((p0, p1, p2), at, strict=False))
    assert run(steps, *at) == pytest.approx(float(formula(expression).subs(values)), rel=1e-12)


def test_patterns_are_interned_and_diffed_once():
    body = pattern(sp.exp(p0) * p1, 2)
    assert pattern(p1 * sp.exp(p0), 2) is body
    assert pattern(sp.exp(p0) * p1, 3) is not body
    body.derivative(0)
    count = len(DIFFS)
    body.derivative(0)
    assert len(DIFFS) == count


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        (fn.Maximum(p0, p1), [2.0, 2.0]),
        (fn.Minimum(p0, p1), [2.0, 2.0]),
        (fn.LogAddExp(p0, p1), [math.inf, math.inf]),
    ],
)
def test_ties_share_the_derivative(expression, at):
    partial = pattern(expression, 2).partial(0, has_out=False, has_cotangent=False)
    with np.errstate(invalid="ignore"):
        assert run(partial.pattern.steps, *[at[s] for s in partial.sources]) == 0.5


@pytest.mark.parametrize(("operand", "slope"), [(0, 0.0), (1, 0.0)])
def test_powers_at_zero_have_finite_slopes(operand, slope):
    partial = pattern(fn.Power(p0, p1), 2).partial(operand, has_out=False, has_cotangent=False)
    at = [0.0, 2.0]
    with np.errstate(divide="ignore", invalid="ignore"):
        assert run(partial.pattern.steps, *[at[s] for s in partial.sources]) == slope


def test_a_branch_not_taken_has_no_say():
    body = pattern(fn.Select(p0 > 0, p1, p2), 3)
    partial = body.partial(1, has_out=False, has_cotangent=True)
    known = {"cotangent": math.nan, 0: -1.0}
    assert run(partial.pattern.steps, *[known[s] for s in partial.sources]) == 0.0


def test_the_value_stands_in_for_itself():
    partial = pattern(sp.tanh(p0), 1).partial(0, has_out=True, has_cotangent=False)
    assert partial.sources == ("out",)
    assert partial.pattern.expression == 1 - p0**2


def names(expression):
    return [step.name for step in pattern(expression, 2).steps]


def test_constants_of_a_rule_are_one_number():
    expression = sp.sqrt(2) * p1 * sp.exp(p0) / (2 * sp.sqrt(sp.pi))
    assert names(expression) == ["literal", "exp", "mul", "mul"]
    (value,) = [s.literal for s in pattern(expression, 2).steps if s.name == "literal"]
    assert value == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-15)
    assert names(2 * p0 / sp.sqrt(sp.pi)) == ["literal", "mul"]


def test_a_rational_factor_stays_a_quotient():
    """A third of a number is rounded once."""
    assert names(p0 / 3) == ["literal", "div"]
    assert run(pattern(p0 / 3, 1).steps, 5.0) == 5.0 / 3


def test_an_exponential_is_the_same_value_wherever_it_stands():
    """Of a quotient by exp(x) as well it would be another one, to be computed again."""
    power = sp.exp(-(p0**2) / 2)
    alone = names(power)
    assert names(p1 * power) == [*alone, "mul"]
    assert "div" not in names(p1 * sp.exp(-p0))
    assert names(p1 / (1 + sp.exp(p0)))[-1] == "div"
