"""What whole numbers refuse, whether operations run one by one or in a compiled function."""

import numpy as np
import pytest

import symdiff.eager as tfe

T = tfe.constant

REFUSED = {
    "floor_divide": (lambda n: T([7, 8]) // n, ZeroDivisionError, [2, 3], [2, 0]),
    "remainder": (lambda n: T([7, 8]) % n, ZeroDivisionError, [2, 3], [0, 3]),
    "power": (lambda n: T([7, 8]) ** n, ValueError, [2, 0], [-1, 2]),
    "reflected": (lambda n: 7 % n, ZeroDivisionError, [2, 3], [0, 3]),
}


def _compiled(f):
    call = tfe.value_and_gradients_function(lambda x, n: (x, f(n)))
    return lambda n: call(1.0, n)[0][1]


@pytest.mark.parametrize("name", REFUSED)
def test_whole_numbers_are_checked_at_every_call(name):
    f, error, good, bad = REFUSED[name]
    for call in (f, _compiled(f)):
        for _ in range(2):
            assert call(T(good)).dtype == "int32"
            with pytest.raises(error):
                call(T(bad))
            assert np.array_equal(call(T(good)), f(T(good)))


def test_the_same_operations_of_floats_are_not_checked():
    f = tfe.value_and_gradients_function(lambda x, y: x // y)
    assert f(1.0, 2.0)[0].numpy() == 0
    assert f(1.0, 0.0)[0].numpy() == np.inf
    assert np.isnan((T(1.0) % T(0.0)).numpy())


def test_a_check_is_part_of_inner_functions():
    inner = tfe.value_and_gradients_function(lambda x, n: x * tfe.cast(6 // n, "float32"))
    outer = tfe.gradients_function(lambda x, n: inner(x, n)[0] * x, [0])
    assert float(outer(5.0, T(2))[0]) == 30
    with pytest.raises(ZeroDivisionError):
        outer(5.0, T(0))


def test_truth_values_stand_beside_bool_tensors():
    assert (T([True, False]) & True).numpy().tolist() == [True, False]
    assert (False | T([True, False])).numpy().tolist() == [True, False]
    f = tfe.value_and_gradients_function(lambda x: (x > 0) ^ True)
    assert f([1.0, -1.0])[0].numpy().tolist() == [False, True]


@pytest.mark.parametrize(
    ("a", "b"), [(7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (-7.5, -2.0), (6.0, 3.0)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8"])
def test_remainders_have_the_sign_of_the_divisor(a, b, dtype):
    x, y = np.array(a).astype(dtype), np.array(b).astype(dtype)
    quotient, rest = T(x) // T(y), T(x) % T(y)
    assert (quotient.dtype, rest.dtype) == (dtype, dtype)
    assert quotient.numpy() == np.floor(float(x) / float(y))
    assert rest.numpy() == x - quotient.numpy() * y
    assert rest.numpy() == 0 or np.sign(rest.numpy()) == np.sign(y)


def test_shapes_that_do_not_fit_are_named_in_a_compiled_function_too():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        tfe.gradients_function(lambda x, y: x + y)([1.0, 2.0], [1.0, 2.0, 3.0])
