"""``symdiff bench``: the benchmarks of the repository, each contestant in a process of its own."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symdiff.cli import charts, contests, standings

__all__ = ["add_parser", "run"]

# Seconds to repeat a call, and after which a process is stopped.
_FULL, _QUICK, _CHECK_TIMEOUT = (1.0, 100.0), (0.2, 30.0), 300.0
_BAD = ("wrong", "failed")


def add_parser(commands: Any) -> None:
    """Add ``bench`` to the commands of the command line.

    Parameters
    ----------
    commands
        What ``ArgumentParser.add_subparsers`` returned.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["bench", "--quick", "W1"]).names
    ['W1']
    """
    parser = commands.add_parser(
        "bench",
        help="time symdiff beside its rivals and hand-written C",
        description=(
            "Run the benchmarks of symdiff's repository: every contestant of every workload in a "
            "fresh process, on one core with one thread, its answer checked before it is timed. A "
            "rival that is not installed is skipped and named (the extra 'bench' installs them)."
        ),
        epilog="exit status: 0 when all answers are right, 1 when one is not, 2 on misuse",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="such as W4; all when none is named"
    )
    parser.add_argument("--list", action="store_true", help="list the workloads and stop")
    parser.add_argument(
        "--quick", action="store_true", help="small cases, few repetitions, no second process"
    )
    parser.add_argument(
        "--check", action="store_true", help="run each contestant once, without timing it"
    )
    parser.add_argument(
        "--only",
        metavar="CONTESTANT",
        action="append",
        default=[],
        help="time this contestant only; may be given several times",
    )
    parser.add_argument("--json", metavar="FILE", type=_file, help="write the results there")
    parser.add_argument(
        "--png", metavar="FOLDER", type=_pictures, help="draw the times there, a picture a workload"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the benchmarks are; found by itself in a clone"
    )
    parser.set_defaults(run=run, misuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the benchmarks and print the tables.

    Parameters
    ----------
    args
        ``names``, ``list``, ``quick``, ``check``, ``only``, ``json``, ``png``, ``folder``, and
        ``misuse``, which does not return.

    Returns
    -------
    int
        1 when a contestant's answer is wrong or it fails, else 0.
    """
    try:
        folder = contests.find_folder(args.folder)
        workloads = contests.catalogue(folder)
    except (FileNotFoundError, RuntimeError) as error:
        return args.misuse(str(error))
    workloads = _chosen(workloads, args)
    if args.list:
        print(_listing(workloads))
        return 0
    if args.check:
        return _check(folder, workloads, args.only)
    results = _measure_all(folder, contests.entries(workloads, args.quick, args.only), args)
    print("\n".join([standings.as_table(results), "", *standings.notes(results)]))
    if args.png is not None:
        charts.draw(results, args.png)
    return int(any(result["status"] in _BAD for result in results))


def _chosen(
    workloads: Sequence[Mapping[str, Any]], args: argparse.Namespace
) -> list[Mapping[str, Any]]:
    """Take the workloads that are named, whatever their capitals; all when none is."""
    for what, wanted, known in (
        ("workload", args.names, [w["name"] for w in workloads]),
        ("contestant", args.only, sorted({c for w in workloads for c in w["contestants"]})),
    ):
        unknown = sorted({n.lower() for n in wanted} - {name.lower() for name in known})
        if unknown:
            args.misuse(f"there is no {what} {unknown[0]!r}; known are {', '.join(known)}")
    wanted = {name.lower() for name in args.names}
    return [w for w in workloads if not wanted or w["name"].lower() in wanted]


def _listing(workloads: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for workload in workloads:
        cases = [case["name"] + ("" if case["quick"] else " *") for case in workload["cases"]]
        lines += [
            f"{workload['name']} {workload['title']}",
            f"    cases: {'; '.join(cases)}",
            f"    contestants: {', '.join(workload['contestants'])}",
        ]
    return "\n".join([*lines, "(* not with --quick or --check)"])


def _check(folder: Path, workloads: Sequence[Mapping[str, Any]], only: Sequence[str]) -> int:
    """Run all contestants once, and say what became of each."""
    everything: list[dict[str, Any]] = []
    for workload in workloads:
        began = time.perf_counter()
        results = contests.check(folder, workload["module"], _CHECK_TIMEOUT, only)
        right = dict.fromkeys(r["contestant"] for r in results if r["status"] == "ok")
        seconds = time.perf_counter() - began
        text = f"{workload['name']} {seconds:.1f} s, right: {', '.join(right) or 'none'}"
        print(text, flush=True)
        everything += [{**result, "workload": workload["name"]} for result in results]
    for note in standings.notes(everything):
        print(note)
    return int(any(result["status"] in _BAD for result in everything))


def _measure_all(
    folder: Path, entries: Sequence[contests.Entry], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure one after the other; the file is written after each, so that none is lost."""
    seconds, timeout = _QUICK if args.quick else _FULL
    results = []
    for number, entry in enumerate(entries, 1):
        text = f"[{number}/{len(entries)}] {entry.workload} {entry.case}: {entry.contestant}"
        print(text, file=sys.stderr, flush=True)
        found = contests.measure(folder, entry, seconds, timeout, twice=not args.quick)
        results.append(
            {
                "workload": entry.workload,
                "title": entry.title,
                "case": entry.case,
                "contestant": entry.contestant,
                "limit": entry.limit,
                **found,
            }
        )
        if args.json is not None:
            kept = standings.record(results, args.quick)
            args.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return results


def _file(text: str) -> Path:
    """Refuse, before the work, a file that could not be written after it."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"cannot write to '{path}'; there is no folder '{path.parent}'"
        )
    return path


def _pictures(text: str) -> Path:
    folder = Path(text)
    complaint = charts.complaint(folder)
    if complaint:
        raise argparse.ArgumentTypeError(complaint)
    return folder
