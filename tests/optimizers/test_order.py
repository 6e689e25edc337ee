"""The order of samples: bijections, different for each epoch and seed, even."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimizers.order import permuted, round_keys


@sd.jit
def whole(positions, seed, epoch, n):
    return permuted(positions, n, *round_keys(seed, epoch, n))


def order(n, epoch=0, seed=(0, 0)):
    positions = np.arange(n, dtype=np.uint32)
    return whole(positions, np.array(seed, np.uint32), np.uint32(epoch), np.uint32(n))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 64, 100, 127, 1797, 4096, 65_537])
def test_is_a_bijection(n):
    for epoch in range(3):
        assert sorted(order(n, epoch).tolist()) == list(range(n))


def test_depends_on_epoch_and_on_all_of_the_seed():
    found = {tuple(order(50, e, s)) for e in range(4) for s in [(0, 0), (1, 0), (0, 1), (1, 1)]}
    assert len(found) == 16


def test_all_orders_of_four_are_alike():
    counts = {}
    for epoch in range(2400):
        key = tuple(order(4, epoch))
        counts[key] = counts.get(key, 0) + 1
    chi2 = sum((c - 100) ** 2 / 100 for c in counts.values())
    assert len(counts) == 24
    assert chi2 < 52  # one in a thousand, with 23 degrees of freedom


def test_positions_are_even_and_neighbours_are_parted():
    orders = np.array([order(100, epoch) for epoch in range(1000)]).astype(int)
    expected = 1000 / 100
    for position in (0, 1, 50, 99):
        counts = np.bincount(orders[:, position], minlength=100)
        assert ((counts - expected) ** 2 / expected).sum() < 149  # one in a thousand, 99 degrees
    together = (np.abs(np.diff(orders, axis=1)) == 1).mean()
    assert abs(together - 0.02) < 0.004


def test_the_kernel_computes_what_numpy_does():
    n, seed = np.uint32(1000), np.array([7, 9], np.uint32)
    positions = np.arange(n, dtype=np.uint32)
    with np.errstate(over="ignore"):
        plain = permuted(positions, n, *round_keys(seed, np.uint32(3), n))
    np.testing.assert_array_equal(plain, order(1000, 3, (7, 9)))
