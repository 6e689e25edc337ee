"""The benchmarks' folder, and one process for each contestant."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Entry", "catalogue", "check", "entries", "find_folder", "measure"]

_WORKER = "measure.py"
# One thread for all. What forces a kernel on OpenBLAS would slow NumPy and SciPy, so it is unset.
_ONE_THREAD = {
    "SYMDIFF_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
_UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_CACHES = ("SYMDIFF_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Entry:
    """One contestant of one case of a workload.

    Parameters
    ----------
    workload, title
        Such as ``"W1"``, and what is computed.
    module, case, contestant
        What the worker is told.
    cached
        Whether a second process may find compiled code on disk.
    limit
        Whether it shows what the machine can do, and is no rival.
    """

    workload: str
    title: str
    module: str
    case: str
    contestant: str
    cached: bool
    limit: bool


def find_folder(given: Path | None) -> Path:
    """Find the folder of benchmarks.

    Parameters
    ----------
    given
        The folder the user named, or None: then ``benchmarks`` in the current folder, or beside
        the package in its repository.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileNotFoundError
        When there is none; the message says where the benchmarks are.
    """
    beside = Path(__file__).parents[3] / "benchmarks"
    candidates = [Path("benchmarks"), beside] if given is None else [given]
    for folder in candidates:
        if (folder / _WORKER).is_file():
            return folder.resolve()
    looked = " and ".join(f"'{folder}'" for folder in candidates)
    raise FileNotFoundError(
        f"there are no benchmarks in {looked}; they are part of symdiff's repository, not of the "
        "installed package: run the command in a clone, or name its folder with --folder"
    )


def catalogue(folder: Path) -> list[dict[str, Any]]:
    """Ask the folder which workloads, cases and contestants it has.

    Parameters
    ----------
    folder
        The benchmarks.

    Returns
    -------
    list of dict
        With ``module``, ``name``, ``title``, ``cases``, ``contestants``, ``cached``, ``limit``.
    """
    return _run(folder, ["list"], timeout=60)


def entries(
    workloads: Sequence[Mapping[str, Any]], quick: bool, contestants: Sequence[str] = ()
) -> list[Entry]:
    """List what there is to measure.

    Parameters
    ----------
    workloads
        Some of `catalogue`.
    quick
        Leave out the large cases.
    contestants
        The names to keep; all when empty.

    Returns
    -------
    list of Entry
        In the order of the table.

    Examples
    --------
    >>> case = {"name": "small", "quick": True}
    >>> one = {"module": "w01", "name": "W1", "title": "t", "cases": [case], "cached": [],
    ...        "contestants": ["symdiff", "numpy"], "limit": []}
    >>> [entry.contestant for entry in entries([one], True)]
    ['symdiff', 'numpy']
    """
    return [
        Entry(
            workload["name"],
            workload["title"],
            workload["module"],
            case["name"],
            name,
            name in workload["cached"],
            name in workload["limit"],
        )
        for workload in workloads
        for case in workload["cases"]
        if case["quick"] or not quick
        for name in workload["contestants"]
        if not contestants or name in contestants
    ]


def measure(
    folder: Path, entry: Entry, seconds: float, timeout: float, twice: bool = True
) -> dict[str, Any]:
    """Time a contestant in a fresh process with empty caches, and its first call in a second one.

    Parameters
    ----------
    folder
        The benchmarks.
    entry
        The contestant.
    seconds
        How long to repeat its calls.
    timeout
        Seconds after which a process is stopped.
    twice
        Whether to start the second process, where the first may have left compiled code.

    Returns
    -------
    dict
        ``status`` (ok, skipped, wrong, failed or timeout), and ``reason``, or the times:
        ``min_us`` and ``median_us`` of a call, ``first_s`` of all up to the first answer,
        ``second_process_s`` of the same in a process that finds the first one's caches.
    """
    command = ["time", entry.module, entry.case, entry.contestant]
    with tempfile.TemporaryDirectory() as caches:
        result = _run_contestant(folder, [*command, str(seconds)], timeout, caches)
        if twice and entry.cached and result["status"] == "ok":
            again = _run_contestant(folder, [*command, "0"], timeout, caches)
            result["second_process_s"] = again.get("first_s")
    return result


def check(
    folder: Path, module: str, timeout: float, contestants: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Run every contestant of a workload once on its small cases, all in one process.

    Parameters
    ----------
    folder, module
        The benchmarks, and the file among them.
    timeout
        Seconds after which the process is stopped.
    contestants
        Those to run; all when empty.

    Returns
    -------
    list of dict
        ``case``, ``contestant``, ``status`` and perhaps ``reason``.
    """
    try:
        with tempfile.TemporaryDirectory() as caches:
            return _run(folder, ["check", module, *contestants], timeout, caches)
    except (subprocess.TimeoutExpired, RuntimeError) as error:
        return [{"case": "all", "contestant": "all", "status": "failed", "reason": str(error)}]


def _run_contestant(folder: Path, args: list[str], timeout: float, caches: str) -> dict[str, Any]:
    try:
        return _run(folder, args, timeout, caches)
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "reason": f"not done in {timeout:.0f} s"}
    except RuntimeError as error:
        return {"status": "failed", "reason": str(error)}


def _run(folder: Path, args: list[str], timeout: float, caches: str | None = None) -> Any:
    """Start the worker and read the JSON in the last line it prints."""
    command = [sys.executable, str(folder / _WORKER), *args]
    done = subprocess.run(  # noqa: S603 - our own file, in the folder the user named
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=_environment(caches),
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        raise RuntimeError(f"the process ended with status {done.returncode}: {last}")
    return json.loads(lines[-1])


def _environment(caches: str | None) -> dict[str, str]:
    """Give a process one thread on one core, its own caches, and the symdiff that runs here."""
    kept = {key: value for key, value in os.environ.items() if key not in _UNSET}
    path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **kept,
        **_ONE_THREAD,
        **{name: caches for name in _CACHES if caches},
        "BENCHMARK_CORE": str(max(os.sched_getaffinity(0))),
        "PYTHONPATH": os.pathsep.join(path),
    }
