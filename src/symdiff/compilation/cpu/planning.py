"""What the CPU makes of a Program before it writes code: library calls, loop nests, tiles."""

from __future__ import annotations

from collections.abc import Mapping

from symdiff.compilation.gathers import with_gathers
from symdiff.compilation.nests import Schedule
from symdiff.compilation.ordering import rows_of
from symdiff.compilation.products import with_products
from symdiff.compilation.schedule import schedule
from symdiff.compilation.slices import with_slices
from symdiff.compilation.straight_line import is_straight_line, straight_line_schedule
from symdiff.compilation.tiles import tile
from symdiff.compilation.unrolling import unroll_short
from symdiff.program.program import Program

__all__ = ["planned"]


def planned(program: Program, carried: Mapping[str, str] | None = None) -> Schedule:
    """Schedule an optimised Program for the CPU.

    Parameters
    ----------
    program : Program
    carried : Mapping, optional
        As for `symdiff.compilation.schedule.schedule`.
    """
    if not carried and is_straight_line(program):
        return straight_line_schedule(program)
    program = with_gathers(with_slices(program))
    # Found before products become calls of a library: what is left of a step of training would
    # take the rows of a weight matrix, whose updates are then most of the work, for a batch.
    rows = rows_of(program)
    return unroll_short(tile(schedule(with_products(program, rows), carried, rows)))
