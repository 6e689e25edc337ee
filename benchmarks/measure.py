"""Time one contestant in this process, or check all of a workload's, or list them; prints JSON.

``symdiff bench`` starts it, with the threads and the caches set in the environment::

    python benchmarks/measure.py list
    python benchmarks/measure.py check w04_gmm [CONTESTANT ...]
    python benchmarks/measure.py time w04_gmm CASE CONTESTANT SECONDS

The last line printed is one JSON value; what contestants print comes before it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import timeit
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contest

FOLDER = Path(__file__).parent
# A sample lasts at least so long, because the clock itself takes some 50 ns.
SAMPLE_SECONDS = 1e-4
FEWEST, MOST = 3, 2000


def load(module: str) -> contest.Workload:
    """Import a file of benchmarks."""
    return importlib.import_module(module).WORKLOAD


def catalogue() -> list[dict[str, Any]]:
    """Describe all workloads."""
    modules = sorted(path.stem for path in FOLDER.glob("w[0-9][0-9]*_*.py"))
    return [
        {
            "module": module,
            "name": workload.name,
            "title": workload.title,
            "cases": [{"name": c.name, "quick": c.quick, "once": c.once} for c in workload.cases],
            "contestants": list(workload.contestants),
            "cached": [n for n in workload.contestants if n.partition(" ")[0] in contest.CACHED],
            "limit": list(workload.limit),
        }
        for module in modules
        for workload in [load(module)]
    ]


def guarded(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Say what became of it: ok, skipped, wrong or failed."""
    try:
        return {"status": "ok", **run()}
    except contest.Skip as reason:
        return {"status": "skipped", "reason": str(reason)}
    except AssertionError as error:
        return {"status": "wrong", "reason": _few_lines(error)}
    except Exception as error:  # noqa: BLE001 - a rival may fail in any way; it is reported
        traceback.print_exc()
        return {"status": "failed", "reason": f"{type(error).__name__}: {_few_lines(error)}"}


def _few_lines(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def time_one(workload: contest.Workload, case: contest.Case, name: str, seconds: float) -> Any:
    """Check a contestant's answer, and time its first call and, with `seconds` > 0, later ones.

    A contestant whose first calls are not yet what later ones are waits in an attribute ``settle``.
    """
    data = case.load()
    began = time.perf_counter()
    contest.rival(name)
    imported = time.perf_counter()
    call = workload.contestants[name](data)
    answer = call()
    first = time.perf_counter()
    measured = {"import_s": imported - began, "first_s": first - imported}
    if hasattr(call, "settle"):
        call.settle()
        measured["settled_s"] = time.perf_counter() - imported
    workload.check(data, answer)
    if seconds > 0:
        samples = [measured["first_s"]] if case.once else sample(call, seconds)
        measured |= {
            "min_us": min(samples) * 1e6,
            "median_us": sorted(samples)[len(samples) // 2] * 1e6,
            "samples": len(samples),
            "memory_mb": peak_memory(),
        }
    return measured


def peak_memory() -> float:
    """Megabytes; getrusage would count what the process that started this one had."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(peak) / 1024


def sample(call: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds a call, again and again; two samples do for a call that takes very long.

    A call that does the work of several says so by an attribute ``calls``.
    """
    timer, inside = timeit.Timer(call), getattr(call, "calls", 1)
    number, spent = 1, timer.timeit(1)
    while spent < SAMPLE_SECONDS:
        number *= 2
        spent = timer.timeit(number)
    samples = [spent / (number * inside)]
    end = time.perf_counter() + seconds
    fewest = FEWEST if spent < seconds else 2
    while len(samples) < fewest or (len(samples) < MOST and time.perf_counter() < end):
        samples.append(timer.timeit(number) / (number * inside))
    return samples


def check_all(workload: contest.Workload, only: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run each contestant, or those named, once on the quick cases."""
    return [
        {
            "case": case.name,
            "contestant": name,
            **guarded(lambda case=case, name=name: time_one(workload, case, name, 0)),
        }
        for case in workload.cases
        if case.quick
        for name in workload.contestants
        if name in only or not only
    ]


def main(verb: str, *args: str) -> None:
    """Run one of the commands above."""
    sys.path.insert(1, str(FOLDER.parent / "tests" / "models"))
    core = os.environ.get("BENCHMARK_CORE")
    if core:
        os.sched_setaffinity(0, {int(core)})
    if verb == "list":
        print(json.dumps(catalogue()))
    elif verb == "check":
        print(json.dumps(check_all(load(args[0]), args[1:])))
    else:
        module, case_name, name, seconds = args
        workload = load(module)
        (case,) = [case for case in workload.cases if case.name == case_name]
        print(json.dumps(guarded(lambda: time_one(workload, case, name, float(seconds)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
