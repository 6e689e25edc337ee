import numpy as np
import pytest

import symdiff.eager as tfe

Dataset, Iterator = tfe.data.Dataset, tfe.data.Iterator


def _values(dataset):
    return [x.numpy().tolist() for x in dataset]


def test_batches_keep_the_short_end_and_structures():
    rows = Dataset.from_tensor_slices(([[1.0], [2.0], [3.0]], {"y": [1, 2, 3]}))
    batches = list(rows.batch(2))
    assert [x.shape for x, _ in batches] == [(2, 1), (1, 1)]
    assert [y["y"].numpy().tolist() for _, y in batches] == [[1, 2], [3]]
    assert _values(rows.map(lambda x, y: x[0] * 10)) == [10, 20, 30]
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        Dataset.from_tensor_slices(([1, 2], [1, 2, 3]))


def test_iterators_are_independent_and_stay_at_the_end():
    rows = Dataset.from_tensor_slices([1, 2])
    a, b = Iterator(rows), Iterator(rows)
    assert [int(next(a)), int(next(a)), int(next(b))] == [1, 2, 1]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(a)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_shuffling(size):
    rows = Dataset.from_tensor_slices(np.arange(20))
    order = _values(rows.shuffle(size, seed=1))
    assert sorted(order) == list(range(20))
    assert order == _values(rows.shuffle(size, seed=1))
    assert (order == list(range(20))) == (size == 1)


def test_repeating():
    rows = Dataset.from_tensor_slices([1, 2])
    assert _values(rows.repeat(2)) == [1, 2, 1, 2]
    endless = iter(rows.repeat())
    assert [int(next(endless)) for _ in range(5)] == [1, 2, 1, 2, 1]
    assert list(Dataset(lambda: iter(())).repeat()) == []


def test_without_a_seed_the_order_goes_by_the_random_seed():
    rows = Dataset.from_tensor_slices(np.arange(20)).shuffle(20)
    passes = []
    for _ in range(2):
        tfe.set_random_seed(3)
        passes.append([_values(rows), _values(rows.repeat(2))])
    assert passes[0] == passes[1]
    first, twice = passes[0]
    assert first != twice[:20] != twice[20:]


def test_a_shuffle_holds_so_many_elements_and_no_more():
    for seed in range(5):
        order = _values(Dataset.range(100).shuffle(4, seed=seed))
        assert sorted(order) == list(range(100))
        assert all(x - place < 4 for place, x in enumerate(order))


def test_parts_of_datasets():
    rows = Dataset.range(6)
    assert _values(rows.take(2)) == [0, 1]
    assert _values(rows.take(-1)) == _values(rows.take(9)) == list(range(6))
    assert _values(rows.skip(4)) == [4, 5]
    assert _values(rows.skip(-1)) == _values(rows.skip(9)) == []
    assert _values(rows.filter(lambda n: n % 2 == 0)) == [0, 2, 4]
    assert _values(rows.take(2).concatenate(rows.skip(5)).prefetch(3)) == [0, 1, 5]
    assert [x.dtype for x in rows.take(1)] == ["int64"]


def test_the_short_end_may_be_dropped():
    rows = Dataset.range(5)
    assert _values(rows.batch(2, drop_remainder=True)) == [[0, 1], [2, 3]]
    assert _values(rows.batch(5, drop_remainder=True)) == [[0, 1, 2, 3, 4]]
    assert _values(rows.batch(6, drop_remainder=True)) == []
    with pytest.raises(ValueError, match="at least one element, not 0"):
        rows.batch(0)


def test_datasets_side_by_side():
    rows = Dataset.zip({"a": Dataset.range(3), "b": (Dataset.range(5, 9),)})
    assert [(int(r["a"]), int(r["b"][0])) for r in rows] == [(0, 5), (1, 6), (2, 7)]
    sums = Dataset.zip((Dataset.range(3), Dataset.range(3))).map(lambda a, b: a + b)
    assert _values(sums) == _values(sums) == [0, 2, 4]


def test_whole_tensors_are_one_element():
    (element,) = Dataset.from_tensors(([[1.0, 2.0]], 3))
    assert element[0].numpy().tolist() == [[1, 2]]
    assert element[1].numpy() == 3


def test_every_kind_of_iterator_stays_at_its_end():
    rows = Dataset.range(2)
    for made in (
        rows.map(lambda n: n),
        rows.batch(2),
        rows.repeat(1),
        rows.shuffle(2),
        rows.take(1),
        rows.skip(1),
        Dataset.zip((rows,)),
        rows.concatenate(rows),
    ):
        steps = tfe.Iterator(made)
        assert len(list(steps)) > 0
        for _ in range(2):
            with pytest.raises(StopIteration):
                steps.next()
        assert len(list(made)) > 0


def test_an_exception_in_a_function_of_elements_passes_through():
    def fails(n):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(Dataset.range(2).map(fails))
