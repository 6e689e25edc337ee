"""The schedule: equations placed into loop nests, and arrays into memory.

Every target lowers the same `Schedule`. Equations are taken in order; each joins an earlier nest
where that is legal, so that an intermediate array of a fused nest shrinks to a row or to a single
register. A nest is legal for an equation when, for every array it reads that the same nest
produces, the element read is finished in the same iteration.
"""

from __future__ import annotations

from collections.abc import Mapping

from symdiff.compilation.fusion import Builder
from symdiff.compilation.nests import Schedule
from symdiff.compilation.ordering import grouped, numbers_first, rows_of
from symdiff.compilation.placement import Placement, is_swapped
from symdiff.compilation.updates import prepared
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["schedule"]


def schedule(
    program: Program,
    carried: Mapping[str, str] | None = None,
    rows: Extent | None = None,
    *,
    by_element: bool = False,
) -> Schedule:
    """Place the equations of an optimised Program.

    Parameters
    ----------
    carried : Mapping, optional
        For inputs that nobody needs afterwards: the outputs that may take over their memory.
    rows : size, optional
        The size of the batch, if the Program is one; found by `rows_of` otherwise.
    by_element : bool
        Whether nests are for a thread for each element, instead of one for each row.
    """
    program, changed = prepared(program, carried or {})
    builder = Builder(program, changed, rows or rows_of(program), by_element=by_element)
    for equation in grouped(numbers_first(program.equations, changed)):
        builder.place(equation)
    placement = Placement(program, builder, carried or {})
    storage = placement.storage()
    pairs = (carried or {}).items()
    swapped = frozenset(a for pair in pairs for a in pair if is_swapped(program.types[a]))
    n_loops = builder.n_loops
    return Schedule(program, builder.body, storage, placement.in_place, swapped, n_loops)
