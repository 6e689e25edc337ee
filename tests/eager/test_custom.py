import pytest

import symdiff.eager as tfe


@tfe.custom_gradient
def product(x, y):
    return x * y, lambda dy: (dy * 10.0, dy * x)


def test_its_own_gradient_is_used():
    f = tfe.gradients_function(lambda x, y: product(x * 2, y) * 3)
    assert [float(g) for g in f(1.0, 5.0)] == [60, 6]
    assert float(product(2.0, 3.0)) == 6
    x = tfe.constant(2.0)
    with tfe.GradientTape() as tape:
        tape.watch(x)
        y = product(x, 7.0)
    assert float(tape.gradient(y, x)) == 10


def test_counts_are_checked():
    wrong = tfe.custom_gradient(lambda x, y: (x * y, lambda dy: dy))
    with pytest.raises(ValueError, match="1 gradients for 2 arguments"):
        tfe.gradients_function(wrong)(1.0, 2.0)
    with pytest.raises(ValueError, match=r"\(result, grad\)"):
        tfe.custom_gradient(lambda x: x)(1.0)


def test_variables_are_arguments():
    v = tfe.Variable(4.0)
    reads = tfe.custom_gradient(lambda x: (x * v, lambda dy: dy * v))
    with pytest.raises(NotImplementedError, match="arguments"):
        tfe.gradients_function(reads)(2.0)
    f = tfe.implicit_gradients(lambda x: product(x, v))
    assert float(f(tfe.constant(2.0))[0][0]) == 2


def test_second_order():
    cube = tfe.custom_gradient(lambda x: (x**3, lambda dy: dy * 3.0 * x**2))
    first = tfe.gradients_function(cube)
    assert float(tfe.gradients_function(lambda x: first(x)[0])(2.0)[0]) == 12
