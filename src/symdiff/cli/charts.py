"""Bars of the benchmarks' times, a picture a workload. Needs the extra ``plot``."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symdiff.cli.standings import by_case, time_text

__all__ = ["complaint", "draw"]


def complaint(folder: Path) -> str | None:
    """Say why pictures cannot be written to a folder, if they cannot.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    str or None
        What is wrong and what to do, or None.

    Examples
    --------
    >>> complaint(Path("nowhere"))
    "cannot write pictures; there is no folder 'nowhere'"
    """
    if not folder.is_dir():
        return f"cannot write pictures; there is no folder '{folder}'"
    if importlib.util.find_spec("matplotlib") is None:
        return "pictures need matplotlib; install it with: pip install 'symdiff-jit[plot]'"
    return None


def draw(results: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Draw the medians on a logarithmic axis, a panel a case.

    Parameters
    ----------
    results
        One a contestant.
    folder
        Where the pictures ``W1.png``, ``W2.png``... go.

    Returns
    -------
    list of Path
        The pictures.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    workloads: dict[str, list[Any]] = {}
    for key, some in by_case(results).items():
        workloads.setdefault(key[0], []).append((key, some))
    written = []
    for name, cases in workloads.items():
        heights = [0.9 + 0.28 * len(some) for _, some in cases]
        figure = Figure(figsize=(7, 0.4 + sum(heights)), layout="constrained")
        panels = figure.subplots(len(cases), 1, squeeze=False, height_ratios=heights)[:, 0]
        for panel, ((_, _, case), some) in zip(panels, cases, strict=True):
            _draw_case(panel, case, some)
        figure.suptitle(f"{name}: {cases[0][0][1]}", fontsize=11)
        panels[-1].set_xlabel("microseconds: median of a call, one thread", fontsize=9)
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=120)
    return written


def _draw_case(panel: Any, case: str, results: Sequence[Mapping[str, Any]]) -> None:
    times = [result["median_us"] for result in results]
    names = [result["contestant"] + (" (limit)" if result["limit"] else "") for result in results]
    colors = [
        "C1" if result["contestant"] == "symdiff" else "0.55" if result["limit"] else "C0"
        for result in results
    ]
    rows = range(len(results))
    panel.barh(rows, times, color=colors, height=0.7)
    for row, time in zip(rows, times, strict=True):
        panel.annotate(
            time_text(time), (time, row), xytext=(3, 0), textcoords="offset points",
            va="center", fontsize=7,
        )  # fmt: skip
    panel.set_yticks(rows, names, fontsize=8)
    panel.invert_yaxis()
    panel.set_xscale("log")
    panel.set_xlim(min(times) / 2, max(times) * 4)
    panel.tick_params(axis="x", labelsize=7)
    panel.tick_params(axis="x", which="minor", labelbottom=False)
    panel.set_title(case, fontsize=9)
