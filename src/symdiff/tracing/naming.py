"""Names for arrays from the user's own assignments: ``residual = y - model`` names `residual`."""

from __future__ import annotations

import keyword
import linecache
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from symdiff.program.equations import Equation, Index, Location, Operand, Read

__all__ = ["PROVISIONAL", "assigned_names", "rename_equation"]

PROVISIONAL = "%"
_ASSIGNMENT = re.compile(
    r"^\s*(?:(?:else|try)\s*:\s*)?([A-Za-z_]\w*)\s*(?::[^=]+)?(?:[-+*/@%&|^]|//|\*\*)?=(?!=)"
)


@lru_cache(maxsize=4096)
def _target(location: Location) -> str | None:
    match = _ASSIGNMENT.match(linecache.getline(*location))
    return match.group(1) if match and not keyword.iskeyword(match.group(1)) else None


def assigned_names(
    equations: Iterable[Equation], taken: Iterable[str], outputs: Iterable[str]
) -> dict[str, str]:
    """Choose a name for every array with a provisional one.

    The last array made on a line is what the line assigns; outputs that no line assigns are
    ``result``, other arrays ``t``, ``t_1``, ....
    """
    wishes: dict[str, str] = {}
    line: Location | None = None
    last: str | None = None
    for equation in equations:
        if not equation.array.startswith(PROVISIONAL):
            continue
        if equation.location != line and last is not None and line is not None:
            wishes[last] = _target(line) or "t"
        line, last = equation.location, equation.array
        wishes.setdefault(equation.array, "t")
    if last is not None and line is not None:
        wishes[last] = _target(line) or "t"
    for name in outputs:
        if wishes.get(name) == "t":
            wishes[name] = "result"
    return _make_unique(wishes, set(taken))


def _make_unique(wishes: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    counters: dict[str, int] = {}
    for array, wish in wishes.items():
        name = wish
        while name in taken:
            counters[wish] = counters.get(wish, 0) + 1
            name = f"{wish}_{counters[wish]}"
        taken.add(name)
        names[array] = name
    return names


def rename_equation(equation: Equation, names: Mapping[str, str]) -> Equation:
    """Put other names in for those of arrays."""
    array, target, operator, pattern, operands, extents, location = equation
    return Equation(
        names.get(array, array),
        tuple([_rename_index(i, names) for i in target]) if target else target,
        operator,
        pattern,
        tuple([_rename_operand(o, names) for o in operands]),
        extents,
        location,
    )


def _rename_operand(operand: Operand, names: Mapping[str, str]) -> Operand:
    return _rename_read(operand, names) if isinstance(operand, Read) else operand


def _rename_index(i: Index, names: Mapping[str, str]) -> Index:
    return _rename_read(i, names) if isinstance(i, Read) else i


def _rename_read(read: Read, names: Mapping[str, str]) -> Read:
    return Read(
        names.get(read.array, read.array),
        tuple([_rename_index(i, names) for i in read.indices]) if read.indices else (),
    )
