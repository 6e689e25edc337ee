import numpy as np
import pytest

import symdiff.eager as tfe

T = tfe.constant


def test_gathered_rows_that_repeat_have_the_sum_of_their_gradients():
    f = tfe.gradients_function(lambda p, i: tfe.gather(p, i) * T([[1.0], [10.0], [100.0]]), [0])
    p = T([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for places, expected in [([2, 0, 2], [10, 0, 101]), ([1, 1, 1], [0, 111, 0])]:
        (slope,) = f(p, T(places))
        assert slope.numpy().tolist() == [[e, e] for e in expected]


@pytest.mark.parametrize("places", [[0, 3], [-4], 7])
def test_places_outside_are_refused_in_compiled_functions_too(places):
    rows = T([1.0, 2.0, 3.0])
    with pytest.raises(IndexError):
        tfe.gather(rows, places)
    f = tfe.gradients_function(tfe.gather, [0])
    assert f(rows, T(np.zeros_like(places)))[0].shape == (3,)
    with pytest.raises(IndexError):
        f(rows, T(np.array(places)))


def test_places_are_whole_numbers():
    for call in (lambda: tfe.gather([1.0], [0.0]), lambda: tfe.one_hot([1.0], 2)):
        with pytest.raises(TypeError, match="integers, not float32"):
            call()


def test_equal_elements_keep_their_order():
    assert tfe.argsort([2, 1, 2, 1]).numpy().tolist() == [1, 3, 0, 2]
    assert tfe.sort([[2, 1], [0, 3]], axis=0).numpy().tolist() == [[0, 1], [2, 3]]


def test_the_gradient_of_sorting_goes_back_to_where_elements_were():
    f = tfe.gradients_function(lambda x: tfe.sort(x) * T([1.0, 10.0, 100.0]))
    assert f([3.0, 1.0, 2.0])[0].numpy().tolist() == [100, 1, 10]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
def test_small_integers_find_places_in_long_axes(dtype):
    places = T(np.array([3, 100], dtype))
    assert tfe.argmax(tfe.one_hot(places, 300), 1).numpy().tolist() == [3, 100]
    table = tfe.layers.Embedding(300, 1, "ones")
    assert table(places).shape == (2, 1)
    losses = tfe.losses.sparse_softmax_cross_entropy(places, tfe.zeros([2, 300]))
    assert float(losses) == pytest.approx(np.log(300), rel=1e-6)
