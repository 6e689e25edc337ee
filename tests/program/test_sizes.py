import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdiff.program.sizes import Size, evaluate, symbol

n, m = symbol("n"), symbol("m")

EXPRESSIONS = st.recursive(
    st.sampled_from([n, m]) | st.integers(-5, 5),
    lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner),
    max_leaves=8,
)


def compute(tree, values):
    """Evaluate a tree of operations, with sizes or with their values."""
    if not isinstance(tree, tuple):
        return evaluate(tree, values) if values else tree
    sign, left, right = tree
    a, b = compute(left, values), compute(right, values)
    return a + b if sign == "+" else a - b if sign == "-" else a * b


@given(EXPRESSIONS, st.integers(0, 9), st.integers(0, 9))
def test_arithmetic_agrees_with_that_of_numbers(tree, n_value, m_value):
    values = {"n": n_value, "m": m_value}
    assert evaluate(compute(tree, {}), values) == compute(tree, values)


@given(EXPRESSIONS, EXPRESSIONS)
def test_equal_polynomials_are_equal_and_hash_alike(a, b):
    total, swapped = compute(("+", a, b), {}), compute(("+", b, a), {})
    assert total == swapped
    assert hash(total) == hash(swapped)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (n + 1, "n + 1"),
        (2 * n - 3, "2*n - 3"),
        (-n, "-n"),
        (1 - n, "-n + 1"),
        (n * m + n, "m*n + n"),
        (n * n, "n*n"),
    ],
)
def test_sizes_print_as_polynomials(size, text):
    assert repr(size) == text


def test_a_size_that_cancels_is_an_int():
    assert n - n == 0
    assert isinstance(n - n + 3, int)
    assert isinstance(n + 0, Size)
    assert n != 1
