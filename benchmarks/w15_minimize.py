"""W15: a whole minimisation by L-BFGS: Rosenbrock's function, to the same gradient or better.

All start where the function's own authors do. SciPy is given our compiled value and gradient, and
its tightest tolerances; what is left of its time is Python's, and its own.
"""

from functools import partial

import numpy as np
from contest import Case, Workload


def load(n):
    return np.tile([-1.2, 1.0], n // 2)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def with_symdiff(start):
    import symdiff as sd

    return lambda: sd.minimize(rosenbrock, start).x


def with_scipy(start):
    import scipy.optimize

    import symdiff as sd

    gradient = sd.value_and_grad(rosenbrock)
    options = {"maxiter": 100_000, "maxfun": 200_000, "ftol": 1e-15, "gtol": 1e-8}
    minimize = partial(scipy.optimize.minimize, gradient, jac=True, method="L-BFGS-B")
    return lambda: minimize(start, options=options).x


def check(start, answer):
    assert np.shape(answer) == start.shape
    assert np.abs(np.asarray(answer) - 1).max() < 1e-6


WORKLOAD = Workload(
    "W15",
    "minimum of Rosenbrock's function by L-BFGS",
    [
        Case("10 variables", partial(load, 10), quick=True),
        Case("100 variables", partial(load, 100)),
        Case("1000 variables", partial(load, 1000)),
    ],
    {"symdiff": with_symdiff, "scipy": with_scipy},
    check,
)
