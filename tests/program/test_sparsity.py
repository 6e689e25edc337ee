import numpy as np
import pytest
import scipy.sparse
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symdiff.errors import ShapeError, UnsupportedOperationError
from symdiff.program import functions as fn
from symdiff.program.patterns import placeholder

p0, p1, p2 = (placeholder(i) for i in range(3))


def dense(program, output="y", input="x", **sizes):
    found = program.sparsity(output, input, **sizes)
    assert isinstance(found, scipy.sparse.csr_array)
    assert found.dtype == np.bool_
    return found.toarray().astype(int).tolist()


def test_gathers_through_constants_and_shifts_compose(make):
    assert dense(make.gather()) == [[1, 0, 1], [1, 1, 0], [0, 1, 1]]
    assert dense(make.gather(), input="w") == [[1], [1], [1]]


def test_a_reduction_reaches_all(make):
    assert dense(make.total(), n=3) == [[1, 1, 1]]


def test_products_are_exact(make):
    layer = make.layer()
    np.testing.assert_array_equal(
        dense(layer, n=2), np.kron(np.eye(2), np.ones((1, 3))).astype(int)
    )
    assert dense(layer, output="t", input="W", n=1) == [
        [1, 0, 1, 0, 1, 0],
        [0, 1, 0, 1, 0, 1],
    ]


def test_an_array_depends_on_itself_and_not_on_what_it_does_not_read(make):
    assert dense(make.gather(), output="x", input="x") == np.eye(3, dtype=int).tolist()
    assert dense(make.gather(), output="x", input="w") == [[0], [0], [0]]


FLAT = [fn.StopGradient(p0), p1 * sp.Integer(2), fn.Select(p0 > 0, p1, 2 * p1)]


@pytest.mark.parametrize("expression", FLAT, ids=str)
def test_reads_without_derivative_do_not_count(make, expression):
    program = make.scalar(expression, "x", "z")
    assert dense(program) == [[0]]
    assert dense(program, input="z") == [[int(expression.has(p1))]]


def test_truths_carry_nothing(make):
    equations = [
        make.equation("c", p0 > 0, [make.read("x")]),
        make.equation("y", p0 * p1, [make.read("c"), make.read("x")]),
        make.equation("z", p0, [make.read("c")]),
    ]
    program = make.program(
        {"x": ()}, {"y": (), "z": ()}, equations, temporaries={"c": ()}, dtypes={"c": "bool"}
    )
    assert dense(program) == [[1]]
    assert dense(program, output="z") == [[0]]


def test_what_is_overwritten_does_not_count(make):
    equations = [
        make.equation("y", p0, [make.read("x", make.i)], extents=(3,)),
        make.equation("y", p0, [make.number(0.0)], target=(make.i.scaled(0).shifted(1),)),
    ]
    program = make.program({"x": (3,)}, {"y": (3,)}, equations)
    assert dense(program) == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 2))
def test_strided_reads(make, length, stride, offset):
    copy = make.equation(
        "y", sp.sin(p0), [make.read("x", make.i.scaled(stride).shifted(offset))], extents=(length,)
    )
    width = (length - 1) * stride + offset + 1
    program = make.program({"x": (width,)}, {"y": (length,)}, [copy])
    np.testing.assert_array_equal(dense(program), np.eye(width, dtype=int)[offset::stride])


def test_missing_sizes_are_named(make):
    with pytest.raises(ShapeError, match="depends on n: give it as n=10"):
        make.total().sparsity("y", "x")


def test_unknown_arrays_are_named(make):
    with pytest.raises(ShapeError, match="no array 'q'; it has x, y"):
        make.total().sparsity("q", "x", n=2)


def test_a_gather_through_an_input_is_refused(make):
    gather = make.equation("y", p0, [make.read("x", make.read("k", make.i))], extents=(2,))
    program = make.program({"x": (3,), "k": (2,)}, {"y": (2,)}, [gather], dtypes={"k": "int64"})
    with pytest.raises(UnsupportedOperationError, match=r"values of k.*Close over"):
        program.sparsity("y", "x")
