import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdiff.program.affine import Affine, constant, identity, index
from symdiff.program.equations import Read, is_plain, substitute
from symdiff.program.sizes import symbol

n = symbol("n")
COEFFICIENTS = st.integers(-3, 3)


@st.composite
def affines(draw):
    total = constant(draw(st.integers(-5, 5)))
    for number in range(3):
        total = total.plus(index(number).scaled(draw(COEFFICIENTS)))
    return total


def value(affine, loops):
    return affine.offset + sum(c * loops[number] for number, c in affine.terms)


@given(affines(), st.lists(affines(), min_size=3, max_size=3), st.tuples(*[st.integers(0, 9)] * 3))
def test_substitution_is_composition(outer, inner, loops):
    composed = outer.substitute(inner)
    assert value(composed, loops) == value(outer, [value(a, loops) for a in inner])


@given(affines(), affines())
def test_addition_commutes_to_the_same_expression(a, b):
    assert a.plus(b) == b.plus(a)


@pytest.mark.parametrize(
    ("affine", "single"),
    [
        (index(2), 2),
        (index(2).shifted(1), None),
        (index(2).scaled(2), None),
        (constant(0), None),
        (index(0).plus(index(1)), None),
        (index(1).plus(index(0).scaled(0)), 1),
    ],
)
def test_single_names_the_index(affine, single):
    assert affine.single == single


def test_symbolic_offsets_cancel():
    reversed_ = index(0).scaled(-1).shifted(n - 1)
    assert reversed_.substitute([reversed_]) == index(0)


def test_substitution_reaches_into_gathers():
    gathered = (Read("c", (index(0),)), index(1))
    by = (index(1), constant(4))
    assert substitute(gathered, by) == (Read("c", (index(1),)), constant(4))


def test_plain_maps():
    assert is_plain(identity(3))
    assert not is_plain((index(1), index(0)))
    assert not is_plain((Read("c", (index(0),)),))
    assert Affine(((0, 1),)) == index(0)
