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
