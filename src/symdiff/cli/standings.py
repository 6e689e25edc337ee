"""What the benchmarks found: a table for people, one value for JSON."""

import datetime as dt
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["as_table", "by_case", "notes", "ratio_text", "record", "time_text"]

_PACKAGES = (
    "symdiff-jit",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "jax",
    "torch",
    "tensorflow",
    "autograd",
    "casadi",
    "heyoka",
)
_HEADINGS = ("contestant", "median", "minimum", "x symdiff", "first call", "2nd process", "memory")
_FIRST_COLUMN = 0


def record(results: Sequence[Mapping[str, Any]], quick: bool) -> dict[str, Any]:
    """Put results together with the machine they are of.

    Parameters
    ----------
    results
        One a contestant.
    quick
        Whether they were measured in a hurry.

    Returns
    -------
    dict
        What ``--json`` writes and what is kept in ``benchmarks/results``.
    """
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "threads": 1,
        "quick": quick,
        "versions": versions,
        "results": list(results),
    }


def _processor() -> str:
    """Name the processor as Linux does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def by_case(
    results: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, str, str], list[Mapping[str, Any]]]:
    """Group results by workload, title and case, the fastest first.

    Parameters
    ----------
    results
        One a contestant; those without times are left out.

    Returns
    -------
    dict
        From ``(workload, title, case)``, in order, to results.

    Examples
    --------
    >>> row = {"workload": "W1", "title": "t", "case": "c", "status": "ok"}
    >>> groups = by_case([{**row, "median_us": 2.0}, {**row, "median_us": 1.0}])
    >>> [result["median_us"] for result in groups["W1", "t", "c"]]
    [1.0, 2.0]
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        if result["status"] == "ok":
            key = result["workload"], result["title"], result["case"]
            groups.setdefault(key, []).append(result)
    return {key: sorted(some, key=lambda r: r["median_us"]) for key, some in groups.items()}


def as_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Lay the times out, a block a case, with how many times as long as symdiff each takes.

    Parameters
    ----------
    results
        One a contestant.

    Returns
    -------
    str
        The blocks. ``limit`` marks what is no rival but shows what the machine can do.

    Examples
    --------
    >>> row = {"workload": "W1", "title": "gradient", "case": "small", "status": "ok",
    ...        "contestant": "symdiff", "limit": False, "min_us": 0.1, "median_us": 0.2,
    ...        "first_s": 0.03, "memory_mb": 90.0}
    >>> print(as_table([row]).splitlines()[0])
    W1 gradient: small
    """
    blocks = []
    for (workload, title, case), some in by_case(results).items():
        ours = next((r["median_us"] for r in some if r["contestant"] == "symdiff"), None)
        rows = [_HEADINGS, *(_row(result, ours) for result in some)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  "
            + "  ".join(
                text.ljust(width) if column == _FIRST_COLUMN else text.rjust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        blocks.append("\n".join([f"{workload} {title}: {case}", *lines]))
    return "\n\n".join(blocks)


def _row(result: Mapping[str, Any], ours: float | None) -> tuple[str, ...]:
    second = result.get("second_process_s")
    return (
        result["contestant"] + (" (limit)" if result["limit"] else ""),
        time_text(result["median_us"]),
        time_text(result["min_us"]),
        "" if ours is None else ratio_text(result["median_us"] / ours),
        time_text(result["first_s"] * 1e6),
        "" if second is None else time_text(second * 1e6),
        f"{result['memory_mb']:.0f} MB",
    )


def ratio_text(ratio: float) -> str:
    """Write a ratio with three digits, or all those before the point.

    Parameters
    ----------
    ratio
        The ratio.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> ratio_text(0.00412), ratio_text(1.5), ratio_text(7211.2)
    ('0.00412', '1.50', '7211')
    """
    return f"{ratio:.0f}" if ratio >= 1000 else f"{ratio:#.3g}".rstrip(".")


def time_text(us: float) -> str:
    """Write a time with three digits and the unit that suits it.

    Parameters
    ----------
    us
        Microseconds.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> time_text(0.1304), time_text(1234.5), time_text(2.5e6)
    ('0.130 us', '1.23 ms', '2.50 s')
    """
    value, unit = (us, "us") if us < 1e3 else (us / 1e3, "ms") if us < 1e6 else (us / 1e6, "s")
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def notes(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the contestants without times; a reason that many share is written once.

    Parameters
    ----------
    results
        One a contestant, with ``status`` and, where it is not ``"ok"``, ``reason``.

    Returns
    -------
    list of str
        A line a contestant and reason, but one for all cases where a package is missing.

    Examples
    --------
    >>> row = {"status": "skipped", "contestant": "jax scan", "workload": "W1"}
    >>> notes([{**row, "reason": "jax is not installed", "case": c} for c in "ab"])
    ['skipped: jax is not installed']
    >>> notes([{**row, "reason": "it is too slow", "case": c} for c in "ab"])
    ['skipped: W1 jax scan, it is too slow (a, b)']
    """
    missing = {r["reason"]: None for r in results if _is_missing(r)}
    where: dict[tuple[str, ...], list[str]] = {}
    for result in results:
        if result["status"] != "ok" and not _is_missing(result):
            key = tuple(result[k] for k in ("status", "workload", "contestant", "reason"))
            where.setdefault(key, []).append(result["case"])
    return [
        *(f"skipped: {reason}" for reason in missing),
        *(
            f"{status}: {workload} {contestant}, {reason} ({', '.join(cases)})"
            for (status, workload, contestant, reason), cases in where.items()
        ),
    ]


def _is_missing(result: Mapping[str, Any]) -> bool:
    return result["status"] == "skipped" and result["reason"].endswith(" is not installed")
