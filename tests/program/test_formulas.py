import numpy as np
import pytest
import sympy as sp
from sympy.codegen.ast import AddAugmentedAssignment

from symdiff.errors import ProgramTooLargeError
from symdiff.program import functions as fn
from symdiff.program.formulas import number
from symdiff.program.patterns import placeholder

p0, p1, p2 = (placeholder(i) for i in range(3))
x, z = sp.symbols("x z", real=True)


@pytest.mark.parametrize(
    ("expression", "formula"),
    [
        (sp.exp(p0) * p1, sp.exp(x) * z),
        (fn.Maximum(p0, p1), sp.Max(x, z)),
        (fn.Select(p0 > p1, p0, p1), sp.Piecewise((x, x > z), (z, True))),
        (fn.Power(p0, p1), x**z),
        (fn.Hypot(p0, p1), sp.sqrt(x**2 + z**2)),
        (fn.Sigmoid(p0) * p1, z / (1 + sp.exp(-x))),
        (fn.Remainder(p0, p1), sp.Mod(x, z)),
        (p0 < p1, x < z),
    ],
    ids=str,
)
def test_closed_expressions(make, expression, formula):
    assert make.scalar(expression, "x", "z").to_sympy() == formula


def test_substitution_evaluates(make):
    equations = [
        make.equation("t", p0 + p1, [make.read("x"), make.read("z")]),
        make.equation("y", p0 - p1, [make.read("t"), make.read("z")]),
        make.equation("w", p0 * p1, [make.read("t"), make.number(0.5)]),
    ]
    program = make.program({"x": (), "z": ()}, {"y": (), "w": ()}, equations, temporaries={"t": ()})
    assert program.to_sympy() == (x, (x + z) / 2)


def test_the_derivative_of_the_formula_is_that_of_sympy(make):
    formula = make.scalar(p0 * sp.exp(-p0), "x").to_sympy()
    assert sp.simplify(sp.diff(formula, x) - (1 - x) * sp.exp(-x)) == 0


def test_truths_in_conditions_and_as_numbers(make):
    equations = [
        make.equation("c", p0 > 0, [make.read("x")]),
        make.equation("y", fn.Select(p0, p1, p2), [make.read("c"), make.read("x"), make.read("z")]),
        make.equation("w", p0 * p1, [make.read("c"), make.read("z")]),
        make.equation("v", sp.Not(p0), [make.read("c")]),
    ]
    program = make.program(
        {"x": (), "z": ()},
        {"y": (), "w": (), "v": ()},
        equations,
        temporaries={"c": ()},
        dtypes={"c": "bool", "v": "bool"},
    )
    y, w, v = program.to_sympy()
    assert y == sp.Piecewise((x, x > 0), (z, True))
    assert w.subs(x, 2) == z
    assert w.subs(x, -2) == 0
    assert v == (x <= 0)


def test_casts_to_integers_truncate(make):
    equations = [
        make.equation("t", p0, [make.read("x")]),
        make.equation("y", p0, [make.read("t")]),
    ]
    program = make.program(
        {"x": ()}, {"y": ()}, equations, temporaries={"t": ()}, dtypes={"t": "int64"}
    )
    assert program.to_sympy().subs(x, sp.Rational(-17, 10)) == -1


def test_elements_of_arrays_are_scalars_too(make):
    first, second = make.i.scaled(0), make.i.scaled(0).shifted(1)
    operands = [make.read("a", first), make.read("a", second), make.read("c", second)]
    program = make.program(
        {"a": (2,)},
        {"y": ()},
        [make.equation("y", p0 * p1 + p2, operands)],
        constants={"c": np.array([1.0, 2.5])},
    )
    a = sp.IndexedBase("a", shape=(2,), real=True)
    assert program.to_sympy() == a[0] * a[1] + sp.Rational(5, 2)


def test_accumulation_over_scalars(make):
    equations = [
        make.equation("y", p0, [make.read("x")], operator="+="),
        make.equation("y", p0, [make.read("z")], operator="+="),
        make.equation("y", p0, [make.number(3.0)], operator="max="),
    ]
    program = make.program({"x": (), "z": ()}, {"y": ()}, equations)
    assert program.to_sympy() == sp.Max(3, x + z)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2.0, sp.Integer(2)),
        (0.5, sp.Rational(1, 2)),
        (0.1, sp.Float(0.1)),
        (2.0**-11, sp.Float(2.0**-11)),
        (float("inf"), sp.oo),
        (float("nan"), sp.nan),
        (True, sp.true),
        (np.int64(3), sp.Integer(3)),
    ],
)
def test_numbers(value, expected):
    assert number(value) == expected
    assert type(number(value)) is type(expected)


def squarings(make, times):
    equations = [make.equation("t_0", p0 * p1, [make.read("x"), make.read("z")])]
    for k in range(1, times):
        previous = make.read(f"t_{k - 1}")
        equations.append(make.equation(f"t_{k}", p0 * sp.sin(p1), [previous, previous]))
    last = equations[-1].array
    return make.program(
        {"x": (), "z": ()},
        {last: ()},
        equations,
        temporaries={e.array: () for e in equations[:-1]},
    )


def test_a_formula_that_would_blow_up_is_refused_before_it_is_built(make):
    assert squarings(make, 6).to_sympy().has(x)
    with pytest.raises(ProgramTooLargeError, match=r"5000 operations at t_\d+.*print\(program\)"):
        squarings(make, 200).to_sympy()


def test_what_no_output_needs_is_not_built(make):
    big = squarings(make, 200)
    y = make.equation("y", p0, [make.read("x")])
    program = big.replace(
        outputs=("y",), types={**big.types, "y": big.types["x"]}, equations=(*big.equations, y)
    )
    assert program.to_sympy() == x


def test_arrays_are_equations_between_indexed(make):
    (equation,) = make.total().to_sympy()
    n = sp.Symbol("n", integer=True, positive=True)
    i = sp.Idx(sp.Symbol("i", integer=True), (0, n - 1))
    a = sp.IndexedBase("x", shape=(n,), real=True)
    assert equation == sp.Eq(
        sp.Symbol("y", real=True), sp.Sum(sp.exp(a[i]) * a[i], (i, 0, n - 1)), evaluate=False
    )
    assert [str(e) for e in make.layer().to_sympy()] == [
        "Eq(t[i, j], Sum(W[k, j]*x[i, k], (k, 0, 2)))",
        "Eq(y[i], max(tanh(t[i, j]), (j, 0, 1)))",
    ]
    assert str(make.gather().to_sympy()[0]) == "Eq(t[i], w*x[c[i]])"


def test_a_further_contribution_is_an_assignment(make):
    equations = [make.equation("y", p0, [make.read("a", make.i)], extents=(2,), operator="+=")] * 2
    program = make.program({"a": (2,)}, {"y": (2,)}, equations)
    assert isinstance(program.to_sympy()[1], AddAugmentedAssignment)
