import operator

import numpy as np
import pytest

import symdiff as sd
import symdiff.eager as tfe

T = tfe.constant


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (3.0, "float32", 3.0),
        (3, "int32", 3),
        (2**33, "int64", 2**33),
        ([1, 2.5], "float32", [1, 2.5]),
        (True, "bool", True),
        ([], "float32", []),
        (np.float64(2), "float64", 2.0),
        (np.arange(3, dtype=np.int8), "int8", [0, 1, 2]),
    ],
)
def test_a_constant_has_the_dtype_of_its_kind(value, dtype, expected):
    made = T(value)
    assert made.dtype == dtype
    assert np.array_equal(made.numpy(), expected)
    assert made.device == "/cpu:0"


@pytest.mark.parametrize(
    ("value", "dtype", "error"),
    [
        ([[1], [1, 2]], None, ValueError),
        ([True, 1], None, ValueError),
        (1.5, "int32", TypeError),
        ([1.0], "int64", TypeError),
        (300, "int8", TypeError),
        (1, "bool", TypeError),
        (1j, None, TypeError),
        ("a", None, TypeError),
    ],
)
def test_what_is_no_constant_is_refused(value, dtype, error):
    with pytest.raises(error):
        T(value, dtype)


def test_whole_numbers_floor():
    a, b = T([7, -7, 7, -7, 0, -1]), T([3, 3, -3, -3, 5, 5])
    assert (a // b).numpy().tolist() == [2, -3, -3, 2, 0, -1]
    assert (a % b).numpy().tolist() == [1, 2, -2, -1, 0, 4]
    assert (T([17]) // T([3])).numpy() == [5]
    assert (T([17]) % T([3])).numpy() == [2]
    assert (T(-7.5) % T(2.0)).numpy() == 0.5


def test_logic_takes_bool_only():
    yes, no = T([True]), T([False])
    assert (yes & no).numpy() == [False]
    assert (yes | no).numpy() == [True]
    assert (yes ^ no).numpy() == [True]
    assert (~yes).numpy() == [False]
    for operation in (operator.and_, operator.or_, operator.xor):
        with pytest.raises(TypeError, match="bool"):
            operation(T([1]), T([1]))
    with pytest.raises(TypeError, match="bool"):
        ~T([1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: T(1) + T(1.0), TypeError, "int32 and float32"),
        (lambda: T(1.0) + T(np.float64(1)), TypeError, "float32 and float64"),
        (lambda: T(1) + 2.5, TypeError, "int32"),
        (lambda: T(1.0) + True, TypeError, "True"),
        (lambda: T(np.int8(1)) + 300, TypeError, "int8"),
        (lambda: T(1.0) + 1e39, TypeError, "float32"),
        (lambda: -1e39 * T([1.0]), TypeError, "float32"),
        (lambda: T(1.0) * 10**40, TypeError, "float32"),
        (lambda: T(1.0) * 10**400, TypeError, "float32"),
        (lambda: T([1.0, 2.0]) + T([1.0, 2.0, 3.0]), ValueError, r"\(2,\) and \(3,\)"),
        (lambda: T(1) // T(0), ZeroDivisionError, "zero"),
        (lambda: T([1]) % 0, ZeroDivisionError, "zero"),
        (lambda: T(2) ** T(-1), ValueError, "negative"),
        (lambda: T(2) ** -1, ValueError, "negative"),
        (lambda: bool(T([1, 2])), ValueError, "one element"),
        (lambda: len(T(1)), TypeError, "rank 0"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("dtype", "quotient"),
    [("int8", "float32"), ("int16", "float32"), ("int32", "float64"), ("float32", "float32")],
)
def test_true_division(dtype, quotient):
    made = T([3], dtype) / T([2], dtype)
    assert made.dtype == quotient
    assert made.numpy() == [1.5]
    assert (T([3], dtype) / 2).dtype == quotient


def test_floats_follow_ieee_without_a_warning():
    with np.errstate(all="raise"):
        assert (T([1.0, -1.0]) / 0.0).numpy().tolist() == [np.inf, -np.inf]
        assert np.isnan(tfe.log(-1.0).numpy())
        assert np.isnan((T(0.0) / T(0.0)).numpy())
        assert tfe.exp(1000.0).numpy() == np.inf


def test_numbers_take_the_dtype_of_the_tensor():
    assert (T(1.0) + 2).dtype == "float32"
    assert (2**33 + T(np.float64(1))).dtype == "float64"
    assert (2 - T(5)).numpy() == -3
    assert (2.0 ** T(3.0)).numpy() == 8.0


def test_numbers_that_are_not_finite_stand_beside_floats():
    assert (T(1.0) * np.inf).numpy() == np.inf
    assert np.isnan((T(1.0) + float("nan")).numpy())
    assert (T(np.float64(1)) * 1e300).numpy() == 1e300
    assert (T(1.0) * 3e38).numpy() == np.float32(3e38)


def test_numpy_and_tensors_mix():
    x = T([1.0, 2.0])
    assert np.asarray(x).dtype == np.float32
    for made in (np.ones(2, np.float32) * x, np.multiply(x, 1.0), np.float32(1) * x):
        assert isinstance(made, tfe.Tensor)
        assert made.numpy().tolist() == [1.0, 2.0]
    assert np.true_divide(T([1]), T([2])).numpy() == [0.5]
    with pytest.raises(TypeError, match="float64"):
        np.ones(2) * x


def test_a_tensor_is_immutable():
    data = np.zeros(2)
    x = T(data)
    data[0] = 1
    assert x.numpy()[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 1
    np.array(x)[0] = 1
    assert x.numpy()[0] == 0


def test_a_tensor_acts_like_a_sequence_and_a_number():
    x = T([[1.0, 2.0], [3.0, 4.0]])
    assert [row.numpy().tolist() for row in x] == [[1, 2], [3, 4]]
    assert x[1, 0].numpy() == 3
    assert x[:, -1].numpy().tolist() == [2, 4]
    assert x[x > 2].numpy().tolist() == [3, 4]
    assert (int(T(3)), float(T(2.5)), f"{T(2.5):.2f}", bool(T(0))) == (3, 2.5, "2.50", False)
    assert [10, 20, 30][T(1)] == 20
    assert x.shape == (2, 2)
    assert repr(T(3.0)) == "<Tensor shape=() dtype=float32 numpy=3.0>"
    assert len({x, x}) == 1


def test_comparisons_are_elementwise():
    assert (T([1, 2]) == T([1, 3])).numpy().tolist() == [True, False]
    assert (T([1, 2]) != 1).numpy().tolist() == [False, True]
    assert (T([1, 2]) > 1).dtype == "bool"


def test_reductions():
    x = T([[1, 2], [3, 4]])
    assert tfe.reduce_sum(x).dtype == "int32"
    assert tfe.reduce_sum(x, axis=[0, 1]).numpy() == 10
    assert tfe.reduce_max(x, 0, keepdims=True).numpy().tolist() == [[3, 4]]
    assert tfe.argmax([1.0, 3.0, 2.0]).numpy() == 1
    assert tfe.where(x > 2, x, 0).numpy().tolist() == [[0, 0], [3, 4]]
    assert tfe.concat([x, x], 0).shape == (4, 2)


def test_errors_are_symdiffs_too():
    with pytest.raises(sd.DTypeError):
        T(1) + T(1.0)


def test_rank_zero_gives_a_numpy_scalar_wherever_it_lies(gpu):
    for made in (T(1.5), T(1.5).gpu(0), tfe.reduce_sum(T([1.0, 0.5]).gpu(0))):
        assert isinstance(made.numpy(), np.float32)
        assert (made.numpy(), float(made), f"{made:.1f}") == (1.5, 1.5, "1.5")
    assert np.array_equal(np.asarray(T([1.0, 2.0]).gpu(0)), [1.0, 2.0])
    assert [float(x) for x in T([1.0, 2.0]).gpu(0)] == [1, 2]


@pytest.mark.parametrize(
    "key",
    [
        np.s_[1],
        np.s_[..., -1],
        np.s_[::-1, 1:3],
        np.s_[:, None, ::2],
        np.s_[[0, 1, 0], [3, 2, 1]],
        np.s_[1:1],
        np.s_[np.array([[0, 1]])],
    ],
)
def test_slices_follow_numpy(key):
    data = np.arange(24.0).reshape(2, 4, 3)
    assert np.array_equal(T(data)[key].numpy(), data[key])


def test_an_index_out_of_range_and_an_element_assigned_are_refused():
    x = T([1.0, 2.0])
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(TypeError, match="item assignment"):
        x[0] = 1.0


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_each_comparison(name):
    compare = getattr(operator, name)
    a, b = [1, 2, 3], [3, 2, 1]
    made = compare(T(a), T(b))
    assert made.dtype == "bool"
    assert made.numpy().tolist() == [compare(x, y) for x, y in zip(a, b, strict=True)]
    assert bool(compare(T([2]), 2)) == compare(2, 2)
