"""What `Function.cost` gives."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.program.costs import Cost
from symdiff.program.sizes import Size, evaluate

__all__ = ["CostReport"]

LARGE = 1_000_000


@dataclass(frozen=True)
class CostReport:
    """Counts of a function and of what was differentiated to get it.

    Attributes
    ----------
    own : Cost
        Operations of each kind, and bytes read and written, of the function itself.
    primal : Cost or None
        The same for the function that was differentiated.
    """

    own: Cost
    primal: Cost | None

    @property
    def ratio(self) -> float | None:
        """Operations of the derivative over operations of the function; None without one.

        Where sizes are symbolic the ratio is that for large equal sizes.
        """
        if self.primal is None:
            return None
        totals = (self.own.total, self.primal.total)
        sizes = {s: LARGE for t in totals if isinstance(t, Size) for m, _ in t.terms for s in m}
        own, primal = (evaluate(t, sizes) for t in totals)
        return own / primal if primal else float("inf" if own else 1.0)

    def __str__(self) -> str:
        text = str(self.own)
        if self.primal is not None:
            text += f"\nof the function differentiated:\n{self.primal}\nratio: {self.ratio:.3g}"
        return text
