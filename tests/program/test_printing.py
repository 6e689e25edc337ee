"""Text that Python itself can evaluate to the same bits, and LaTeX that is balanced."""

import re
import time

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from symdiff.errors import ProgramTooLargeError
from symdiff.program import functions as fn
from symdiff.program.latex import latex_name
from symdiff.program.patterns import placeholder
from symdiff.program.printing import fresh_name

p0, p1, p2 = (placeholder(i) for i in range(3))


def body(program):
    """Give the lines between the header and the return."""
    return [line.strip() for line in str(program).splitlines()[1:-1]]


def test_a_program_as_text(make):
    assert str(make.total()) == ("f(x[n]):\n    y += exp(x[i])*x[i]  for i < n\n    return y")


def test_reductions_gathers_and_constants(make):
    assert body(make.layer()) == [
        "t[i,j] += x[i,k]*W[k,j]  for k < 3",
        "y[i] max= tanh(t[i,j])  for j < 2",
    ]
    assert body(make.gather()) == [
        "constant c[4] = [2, 0, 1, 2]",
        "t[i] = x[c[i]]*w",
        "y[i] = t[i+1] - t[i]",
    ]


SCALARS = [
    (p0 - p1, "x - y"),
    (-p0 / p1, "-x/y"),
    (1 / p0, "1/x"),
    (p0**2, "x**2"),
    (sp.sqrt(p0), "sqrt(x)"),
    (1 - p0**2, "1 - x**2"),
    (p0 * (1 - p1), "x*(1 - y)"),
    (p0 / (2 * sp.sqrt(p1)), "x/(2*sqrt(y))"),
    (fn.Power(p0, p1), "x**y"),
    (fn.Select(p0 > 0, p0, p1), "where(x > 0, x, y)"),
    (sp.Ne(p0, p1), "x != y"),
    (sp.And(p0 > 0, sp.Not(p1 > 0)), "y <= 0 and x > 0"),
    (sp.Or(sp.And(p0, p1), sp.Not(p0)), "not x or x and y"),
    (fn.Remainder(p0, p1) + 1, "(x % y) + 1"),
    (-fn.FloorDivide(p0, p1), "-(x // y)"),
    (sp.asin(p0), "arcsin(x)"),
    (fn.LogGamma(p0), "gammaln(x)"),
    (sp.polygamma(0, p0), "digamma(x)"),
    (fn.StopGradient(p0), "stop_gradient(x)"),
    (sp.pi * p0 / 180, "pi*x/180"),
    (p0 * sp.Float(0.1), "0.1*x"),
]


@pytest.mark.parametrize(("expression", "text"), SCALARS, ids=[t for _, t in SCALARS])
def test_patterns_as_text(make, expression, text):
    operands = [make.read(name) for name in "xy"[: 1 + expression.has(p1)]]
    equation = make.equation("out", expression, operands)
    program = make.program({"x": (), "y": ()}, {"out": ()}, [equation])
    assert body(program) == [f"out = {text}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (0.1, "0.1"),
        (-3.0, "-3"),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, "True"),
        (7, "7"),
    ],
)
def test_literals(make, value, text):
    program = make.program({}, {"y": ()}, [make.equation("y", p0, [make.number(value)])])
    assert body(program) == [f"y = {text}"]


def test_a_negative_literal_is_wrapped(make):
    operands = [make.read("x"), make.number(-2.0)]
    for expression, text in [
        (p0 - p1, "y = x - (-2)"),
        (p0 * p1, "y = x*(-2)"),
        (fn.Power(p1, p0), "y = (-2)**x"),
    ]:
        program = make.program({"x": ()}, {"y": ()}, [make.equation("y", expression, operands)])
        assert body(program) == [text]


def test_index_expressions(make):
    i, n = make.i, make.n
    for index, text in [
        (i.scaled(2).shifted(1), "2*i+1"),
        (i.scaled(-1).shifted(n - 1), "n-1-i"),
        (i.scaled(-1).plus(make.j), "j-i"),
        (i.scaled(n).plus(make.j), "n*i+j"),
        (i.scaled(n + 1), "(n+1)*i"),
        (i.scaled(0), "0"),
        (i.shifted(-n), "i-n"),
    ]:
        equation = make.equation("y", p0, [make.read("x", index)], extents=(3, 4))
        program = make.program({"x": (n,)}, {"y": (3, 4)}, [equation])
        assert body(program) == [f"y[i,j] = x[{text}]"]
        value = make.equation(
            "y", p0 * p1, [make.read("x", i), make.IndexValue(index)], extents=(3, 4)
        )
        wrapped = text if text == "0" else f"({text})"
        program = make.program({"x": (n,)}, {"y": (3, 4)}, [value])
        assert body(program) == [f"y[i,j] = x[i]*{wrapped}"]


def test_loop_names_avoid_arrays_and_sizes(make):
    copy = make.equation("j", p0, [make.read("i", make.i)], extents=(make.n,))
    assert str(make.program({"i": (make.n,)}, {"j": (make.n,)}, [copy])) == (
        "f(i[n]):\n    j[k] = i[k]\n    return j"
    )


def test_ranges_are_shown_where_the_target_does_not_show_them(make):
    copy = make.equation(
        "y", p0, [make.read("x", make.i)], extents=(3,), target=(make.i.scaled(2),)
    )
    assert body(make.program({"x": (3,)}, {"y": (6,)}, [copy])) == ["y[2*i] = x[i]  for i < 3"]


def test_index_maps_compose_when_a_temporary_is_put_back(make):
    program = make.program(
        {"x": (4,)},
        {"y": (2,)},
        [
            make.equation("t", sp.sin(p0), [make.read("x", make.i.shifted(1))], extents=(3,)),
            make.equation("y", -p0, [make.read("t", make.i.scaled(2))], extents=(2,)),
        ],
        temporaries={"t": (3,)},
    )
    assert body(program) == ["y[i] = -sin(x[2*i+1])"]


KEPT = {
    "read twice": lambda m: [
        m.equation("t", sp.exp(p0), [m.read("x")]),
        m.equation("y", p0 * p1, [m.read("t"), m.read("t")]),
    ],
    "twice in the pattern": lambda m: [
        m.equation("t", sp.exp(p0), [m.read("x")]),
        m.equation("y", p0 * sp.sin(p0), [m.read("t")]),
    ],
    "accumulated": lambda m: [
        m.equation("t", sp.exp(p0), [m.read("x")], operator="+="),
        m.equation("y", -p0, [m.read("t")]),
    ],
    "its source changes": lambda m: [
        m.equation("a", p0, [m.read("x")]),
        m.equation("t", sp.exp(p0), [m.read("a")]),
        m.equation("a", p0, [m.read("x")], operator="+="),
        m.equation("y", p0 * p1, [m.read("t"), m.read("a")]),
    ],
}


@pytest.mark.parametrize("case", KEPT)
def test_temporaries_that_must_stay(make, case):
    program = make.program({"x": ()}, {"y": ()}, KEPT[case](make), temporaries={"t": (), "a": ()})
    assert any(line.startswith("t ") for line in body(program))


def test_a_cast_that_rounds_stays(make):
    equations = [
        make.equation("t", p0, [make.read("x")]),
        make.equation("y", p0 / p1, [make.read("t"), make.number(2.0)]),
    ]
    shapes = {"temporaries": {"t": ()}}
    rounding = make.program({"x": ()}, {"y": ()}, equations, dtypes={"t": "int64"}, **shapes)
    widening = make.program({"x": ()}, {"y": ()}, equations, dtypes={"x": "int64"}, **shapes)
    assert body(rounding) == ["t = x", "y = t/2"]
    assert body(widening) == ["y = x/2"]


BINARY = {"+": p0 + p1, "-": p0 - p1, "*": p0 * p1, "/": p0 / p1}
UNARY = {"neg": -p0, "sin": sp.sin(p0), "square": p0**2}
TREES = st.recursive(
    st.sampled_from(["x", "y", 2.0, -0.3, 1e-3]),
    lambda inner: (
        st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
        | st.tuples(st.sampled_from(sorted(UNARY)), inner)
    ),
    max_leaves=25,
)


def emit(make, tree, equations):
    """Append the equations of a tree; return the operand that is its value."""
    if not isinstance(tree, tuple):
        return make.read(tree) if isinstance(tree, str) else make.number(tree)
    sign, *children = tree
    operands = [emit(make, c, equations) for c in children]
    name = f"t_{len(equations)}"
    expression = BINARY[sign] if sign in BINARY else UNARY[sign]
    equations.append(make.equation(name, expression, operands))
    return make.read(name)


def compute(tree, values):
    if not isinstance(tree, tuple):
        return values[tree] if isinstance(tree, str) else np.float64(tree)
    sign, *children = tree
    a, *b = [compute(c, values) for c in children]
    if sign in BINARY:
        return {"+": a + b[0], "-": a - b[0], "*": a * b[0], "/": a / b[0]}[sign]
    return {"neg": -a, "sin": np.sin(a), "square": a**2}[sign]


@given(TREES)
@settings(max_examples=100, deadline=None)
def test_the_text_evaluates_to_the_same_bits(make, tree):
    equations = []
    result = emit(make, tree, equations)
    equations.append(make.equation("out", p0, [result]))
    temporaries = {e.array: () for e in equations[:-1]}
    program = make.program({"x": (), "y": ()}, {"out": ()}, equations, temporaries=temporaries)
    values = {"x": np.float64(1.7), "y": np.float64(-0.6)}
    with np.errstate(all="ignore"):
        names = {**values, "sin": np.sin, "nan": np.nan, "inf": np.inf}
        try:
            exec("\n".join(body(program)), names)  # noqa: S102 - our own text is what is tested
        except ArithmeticError:  # Python's numbers raise where NumPy's give inf
            reject()
        np.testing.assert_array_equal(names["out"], compute(tree, values))
    assert max(map(len, body(program))) < 200


def chain(make, length):
    equations = [make.equation("t_0", sp.sin(p0), [make.read("x")])]
    for k in range(1, length):
        operands = [make.read(f"t_{k - 1}"), make.read("x")]
        equations.append(make.equation(f"t_{k}", p0 * p1, operands))
    last = equations[-1].array
    temporaries = {e.array: () for e in equations[:-1]}
    return make.program({"x": ()}, {last: ()}, equations, temporaries=temporaries)


def test_long_programs_print_in_linear_time_and_short_lines(make):
    program = chain(make, 10_000)
    start = time.process_time()
    text = str(program)
    assert time.process_time() - start < 2
    assert max(map(len, text.splitlines())) < 160
    assert text.count("x") > 10_000


LATEX = [
    (p0 / p1, r"\frac{x}{z}"),
    (sp.sin(p0) ** 2, r"\sin^{2}{\left(x \right)}"),
    ((p0 + 1) ** 2, r"\left(x + 1\right)^{2}"),
    (p0 * fn.exp2(p1), r"x \cdot 2^{z}"),
    (fn.Abs(p0), r"\left|{x}\right|"),
    (fn.FloorDivide(p0, p1), r"\left\lfloor{\frac{x}{z}}\right\rfloor"),
    (p0 >= p1, r"\left[x \geq z\right]"),
    (sp.Eq(p0, p1), r"\left[x = z\right]"),
    (
        fn.Select(p0 > 0, p0, p1),
        r"\begin{cases} x & \text{for}\: x > 0 \\ z & \text{otherwise} \end{cases}",
    ),
    (fn.Hypot(p0, p1), r"\operatorname{hypot}{\left(x, z \right)}"),
]


@pytest.mark.parametrize(("expression", "text"), LATEX, ids=[t for _, t in LATEX])
def test_patterns_as_latex(make, expression, text):
    names = ["x", "z"][: 1 + expression.has(p1)]
    expected = "\\begin{aligned}\ny &= " + text + "\n\\end{aligned}"
    assert make.scalar(expression, *names).to_latex() == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x", "x"),
        ("alpha", r"\alpha"),
        ("beta1", r"\beta_{1}"),
        ("t_12", "t_{12}"),
        ("dx", r"\mathrm{dx}"),
        ("learning_rate", r"\mathrm{learning\_rate}"),
        ("lambda_", r"\lambda"),
        ("_", r"\mathrm{\_}"),
        ("%3", r"\mathrm{\%}_{3}"),
        ("layers_0_bias", r"\mathrm{layers\_0\_bias}"),
    ],
)
def test_names_in_latex(name, text):
    assert latex_name(name) == text


def test_arrays_in_latex(make):
    assert make.total().to_latex() == (
        "\\begin{aligned}\n"
        r"y &= \sum_{i=0}^{n - 1} \exp{\left(x_{i} \right)} x_{i}"
        "\n\\end{aligned}"
    )
    layer = make.layer().to_latex()
    assert r"t_{i,j} &= \sum_{k=0}^{2} x_{i,k} W_{k,j} \\" in layer
    assert r"y_{i} &= \max_{j < 2} \tanh" in layer


def test_latex_is_balanced(make):
    for program in (make.total(), make.layer(), make.gather()):
        text = program.to_latex()
        assert text.count("{") == text.count("}")
        assert len(re.findall(r"\\left", text)) == len(re.findall(r"\\right", text))


def test_latex_of_a_long_program_is_refused(make):
    with pytest.raises(ProgramTooLargeError, match=r"501 equations.*str\(program\)"):
        chain(make, 501).to_latex()


def test_fresh_names():
    assert fresh_name("t", set()) == "t"
    assert fresh_name("t", {"t"}) == "t_1"
    assert fresh_name("t", {"t", "t_1", "t_2"}) == "t_3"
