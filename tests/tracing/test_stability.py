"""What is computed in the place of a formula."""

import numpy as np
import pytest
import scipy.special

import symdiff as sd


@pytest.mark.parametrize("x", [0.3, np.linspace(-2, 2, 5)])
def test_the_derivative_of_a_reciprocal_needs_no_division(x):
    gradient = sd.grad(lambda x: np.sum(1 / (1 + np.exp(-x))))
    divisions = [e for e in gradient.program(x).equations if "/" in str(e.pattern)]
    assert len(divisions) == 1
    s = scipy.special.expit(x)
    np.testing.assert_allclose(gradient(x), s * (1 - s), rtol=1e-14)
