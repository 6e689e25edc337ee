"""A user's module that imports NumPy's and SciPy's functions by name."""

from numpy import array, zeros
from scipy.special import logsumexp

__all__ = ["doubled", "filled", "total"]


def filled(x):
    y = zeros(3)
    y[0] = x[0]
    return y


def total(x):
    return logsumexp(x)


def doubled(x):
    return array([x[0], 2 * x[1]])
