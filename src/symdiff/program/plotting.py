"""A picture of a Program: which array is computed from which, in layers from the inputs down."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from symdiff.errors import ProgramTooLargeError
from symdiff.program.notation import Text
from symdiff.program.printing import index_names, to_line
from symdiff.program.temporaries import Line, put_back

if TYPE_CHECKING:
    from symdiff.program.program import Program

__all__ = ["MAX_EQUATIONS", "draw"]

MAX_EQUATIONS = 200
_WIDTH = 34


def draw(program: Program, ax: Any = None) -> Any:
    """Draw the graph of a Program's arrays.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ProgramTooLargeError
        The Program has more than 200 equations.
    ImportError
        matplotlib is not installed.
    """
    if len(program.equations) > MAX_EQUATIONS:
        raise ProgramTooLargeError(
            f"{program.name} has {len(program.equations)} equations; a picture shows at most "
            f"{MAX_EQUATIONS}. Use print(program)"
        )
    lines = put_back(program)
    labels = _labels(program, lines)
    edges = _edges(lines)
    positions = place(layers(list(labels), edges))
    if ax is None:
        ax = _new_axes(positions)
    boxes = {
        name: ax.text(*positions[name], label, fontsize=9, **_style(program, name))
        for name, label in labels.items()
    }
    for source, target in edges:
        arrow = {
            "arrowstyle": "->",
            "color": "0.5",
            "patchA": boxes[source].get_bbox_patch(),
            "patchB": boxes[target].get_bbox_patch(),
        }
        ax.annotate("", xy=positions[target], xytext=positions[source], arrowprops=arrow)
    _frame(ax, positions)
    ax.set_title(program.name)
    return ax


def _frame(ax: Any, positions: dict[str, tuple[float, float]]) -> None:
    if positions:
        xs, ys = zip(*positions.values(), strict=True)
        ax.set(xlim=(min(xs) - 0.7, max(xs) + 0.7), ylim=(min(ys) - 0.7, max(ys) + 0.7))
    ax.set_axis_off()


def layers(names: list[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """Put each array one layer below the lowest that it is computed from.

    What is computed from nothing goes right above its first reader.

    Parameters
    ----------
    names : list of str
        In an order in which edges go forward.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        sources[target].append(source)
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = 1 + max((depth[s] for s in sources[name]), default=-1)
    readers: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        readers[source].append(target)
    for name in names:
        if not sources[name] and readers[name]:
            depth[name] = min(depth[reader] for reader in readers[name]) - 1
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in names:
        found[depth[name]].append(name)
    return found


def place(rows: list[list[str]]) -> dict[str, tuple[float, float]]:
    """Spread each layer evenly around the middle; the first is on top."""
    return {
        name: (number - (len(row) - 1) / 2, -float(depth))
        for depth, row in enumerate(rows)
        for number, name in enumerate(row)
    }


def _labels(program: Program, lines: list[Line]) -> dict[str, str]:
    text = Text(index_names(program))
    shown: dict[str, list[str]] = {}
    for name in (*program.inputs, *program.constants):
        shown[name] = [text.element(name, [text.extent(e) for e in program.types[name].shape])]
    for line in lines:
        written = textwrap.wrap(to_line(program, text, line), _WIDTH)
        shown.setdefault(line.equation.array, []).extend(written)
    for name in program.outputs:
        shown.setdefault(name, [name])
    return {name: "\n".join(rows) for name, rows in shown.items()}


def _edges(lines: list[Line]) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    for line in lines:
        for read in line.reads:
            if read.array != line.equation.array:
                found[read.array, line.equation.array] = None
    return list(found)


def _style(program: Program, name: str) -> dict[str, Any]:
    if name in program.outputs:
        color = "#d7ead3"
    elif name in program.inputs or name in program.constants:
        color = "#d6e4f2"
    else:
        color = "white"
    box = {"boxstyle": "round", "facecolor": color, "edgecolor": "0.4"}
    return {"ha": "center", "va": "center", "bbox": box}


def _new_axes(positions: dict[str, tuple[float, float]]) -> Any:
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ImportError(
            "drawing a Program needs matplotlib: pip install symdiff-jit[plot]"
        ) from error
    xs, ys = zip(*(positions.values() or [(0.0, 0.0)]), strict=True)
    size = (3.2 * (max(xs) - min(xs) + 1), 1.1 * (max(ys) - min(ys) + 1))
    _, ax = plt.subplots(figsize=size)
    return ax
