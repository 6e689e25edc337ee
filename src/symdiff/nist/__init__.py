"""The NIST StRD nonlinear regression problems: models, data, certified answers.

Examples
--------
>>> import numpy as np
>>> from symdiff import nist
>>> problem, dataset = nist.PROBLEMS["DanWood"], nist.load("DanWood")
>>> residuals = problem.model(dataset.x, *dataset.params) - dataset.y
>>> nist.certified_digits(np.sum(residuals**2), dataset.residual_sum) > 9
True
"""

from symdiff.nist.problems import PROBLEMS, Problem
from symdiff.nist.reading import Dataset, load, parse
from symdiff.nist.scoring import (
    CERTIFIED_DIGITS,
    REQUIRED_DIGITS,
    certified_digits,
    is_solved,
)

__all__ = [
    "CERTIFIED_DIGITS",
    "PROBLEMS",
    "REQUIRED_DIGITS",
    "Dataset",
    "Problem",
    "certified_digits",
    "is_solved",
    "load",
    "parse",
]
