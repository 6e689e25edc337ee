"""Digits are counted as NIST's users count them, and never in favour of a bad answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdiff import nist


@pytest.mark.parametrize(
    ("estimate", "certified", "digits"),
    [
        (1.0, 1.0, 11.0),  # equal: as many as are certified
        (1 + 1e-13, 1.0, 11.0),  # closer than certified: no more
        (1.001, 1.0, 3.0),
        (0.999, 1.0, 3.0),
        (-1001.0, -1000.0, 3.0),
        (-1.0, 1.0, 0.0),  # never less than none
        (1e6, 1.0, 0.0),
        (0.0, 1.0, 0.0),
        (math.nan, 1.0, 0.0),
        (math.inf, 1.0, 0.0),
        (-math.inf, 1.0, 0.0),
    ],
)
def test_digits_of_a_number(estimate, certified, digits):
    assert nist.certified_digits(estimate, certified) == pytest.approx(digits, abs=1e-9)


@given(st.integers(0, 4), st.sampled_from([1e-3, 1e-6, math.nan, math.inf]))
def test_the_worst_entry_counts(index, error):
    certified = np.array([1.0, -2.0, 3e-7, 4e9, 5.0])
    estimate = certified.copy()
    estimate[index] *= 1 + error
    expected = -math.log10(error) if math.isfinite(error) else 0.0
    assert nist.certified_digits(estimate, certified) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "params", "stderr", "solved"),
    [
        ("Misra1a", 6.0, 6.0, True),
        ("Misra1a", 5.9, 11.0, False),
        ("Misra1a", 11.0, 5.9, False),
        ("Lanczos1", 6.0, 0.0, True),
        ("Lanczos1", 5.9, 11.0, False),
        ("Lanczos2", 11.0, 0.0, False),
    ],
)
def test_solved_means_six_digits_of_both_but_for_lanczos1(name, params, stderr, solved):
    assert nist.is_solved(name, params, stderr) is solved
