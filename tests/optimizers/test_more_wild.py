"""The 53 problems of Moré and Wild with the defaults, against the best minima that are known."""

from more_wild import problems

# From the problem's own start, the least value that any of six solvers finds: ours, and SciPy's
# L-BFGS-B. Where nothing is said it is zero.
BEST = {}


def test_there_are_53():
    assert len(problems()) == 53
