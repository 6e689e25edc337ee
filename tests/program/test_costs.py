import pytest
import sympy as sp

from symdiff.program.costs import Cost, count
from symdiff.program.patterns import placeholder

p0, p1 = placeholder(0), placeholder(1)


def test_a_reduction_adds_once_less_than_there_are_terms(make):
    n = make.n
    cost = count(make.total())
    assert cost.operations == {"exp": n, "mul": n, "add": n - 1}
    assert cost.total == 3 * n - 1
    assert (cost.bytes_read, cost.bytes_written) == (8 * n, 8)
    assert str(cost) == (
        "3*n - 1 operations: n exp, n mul, n - 1 add; 8*n bytes read, 8 bytes written"
    )


def test_sizes_evaluate(make):
    cost = make.layer().count_operations().evaluate(n=10)
    assert cost.operations == {"mul": 60, "add": 40, "tanh": 20, "maximum": 10}
    assert cost.total == 130
    assert cost.bytes_read == 8 * (30 + 6)


@pytest.mark.parametrize(
    ("expression", "operations"),
    [
        (p0, {}),
        (p0**2, {"mul": 1}),
        (1 - p0**2, {"sub": 1, "mul": 1}),
        (sp.exp(p0) / (1 + sp.exp(p0)), {"exp": 1, "add": 1, "div": 1}),
    ],
)
def test_shared_parts_count_once_and_copies_are_free(make, expression, operations):
    assert count(make.scalar(expression, "x")).operations == operations


def test_later_contributions_all_count(make):
    equations = [
        make.equation("y", p0, [make.read("x", make.i)], extents=(5,), target=(), operator=sign)
        for sign in ("+=", "+=", "max=")
    ]
    cost = count(make.program({"x": (5,)}, {"y": ()}, equations))
    assert cost.operations == {"add": 9, "maximum": 5}


def test_a_scatter_adds_to_zeros(make):
    scatter = make.equation(
        "y",
        p0,
        [make.read("x", make.i)],
        extents=(4,),
        target=(make.read("k", make.i),),
        operator="+=",
    )
    program = make.program(
        {"x": (4,), "k": (4,)}, {"y": (3,)}, [scatter], dtypes={"k": "int32", "x": "float32"}
    )
    cost = count(program)
    assert cost.operations == {"add": 4}
    assert cost.bytes_read == 4 * 4 + 4 * 4


def test_nothing_costs_nothing():
    assert str(Cost({}, 0, 0)) == "0 operations; 0 bytes read, 0 bytes written"
