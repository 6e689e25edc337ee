"""The 27 problems: which model goes with which data, in NIST's order of difficulty."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from symdiff.nist import models

__all__ = ["PROBLEMS", "Problem"]


@dataclass(frozen=True)
class Problem:
    """A model and the name of its data set.

    Parameters
    ----------
    name
        The data set's name at NIST.
    difficulty
        NIST's level of difficulty.
    model
        ``f(x, b1, b2, ...)``, in plain NumPy.

    Examples
    --------
    >>> problem = PROBLEMS["Rat43"]
    >>> problem.difficulty, problem.parameters
    ('higher', ('b1', 'b2', 'b3', 'b4'))
    """

    name: str
    difficulty: Literal["lower", "average", "higher"]
    model: Callable[..., Any]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the model's parameters."""
        return tuple(inspect.signature(self.model).parameters)[1:]

    @property
    def n_params(self) -> int:
        """The number of the model's parameters."""
        return len(self.parameters)


_ALL = (
    Problem("Misra1a", "lower", models.exponential_rise),
    Problem("Chwirut2", "lower", models.chwirut),
    Problem("Chwirut1", "lower", models.chwirut),
    Problem("Lanczos3", "lower", models.lanczos),
    Problem("Gauss1", "lower", models.gauss),
    Problem("Gauss2", "lower", models.gauss),
    Problem("DanWood", "lower", models.danwood),
    Problem("Misra1b", "lower", models.misra1b),
    Problem("Kirby2", "average", models.kirby2),
    Problem("Hahn1", "average", models.cubic_rational),
    Problem("Nelson", "average", models.nelson),
    Problem("MGH17", "average", models.mgh17),
    Problem("Lanczos1", "average", models.lanczos),
    Problem("Lanczos2", "average", models.lanczos),
    Problem("Gauss3", "average", models.gauss),
    Problem("Misra1c", "average", models.misra1c),
    Problem("Misra1d", "average", models.misra1d),
    Problem("Roszman1", "average", models.roszman1),
    Problem("ENSO", "average", models.enso),
    Problem("MGH09", "higher", models.mgh09),
    Problem("Thurber", "higher", models.cubic_rational),
    Problem("BoxBOD", "higher", models.exponential_rise),
    Problem("Rat42", "higher", models.rat42),
    Problem("MGH10", "higher", models.mgh10),
    Problem("Eckerle4", "higher", models.eckerle4),
    Problem("Rat43", "higher", models.rat43),
    Problem("Bennett5", "higher", models.bennett5),
)

#: The problems by name, in NIST's order of difficulty.
PROBLEMS = {problem.name: problem for problem in _ALL}
