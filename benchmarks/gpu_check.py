"""Correctness and speed on a GPU: ``python benchmarks/gpu_check.py OUT.json``.

It takes up to nine minutes. Results are written after each figure, so that none is lost if the time
is up. A part that fails is noted with its error, and the others go on; the exit status tells. Cases
run in a process of their own: if it dies, is still for long, or has lost the device, as after an
access to memory that is not there, another one goes on with the next case. With
``--dry`` everything runs once with small sizes, in numba's simulator where there is no GPU, and
rivals that are installed on the CPU::

    NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu_check.py --dry OUT.json

Rivals are torch, jax and cupy. Times are medians of calls whose results are waited for, in
microseconds, and, as ``device_us``, what a call of many takes between events of the device; first
calls, with compilation, in seconds. ``asked`` in the results says which aims are met.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpu_cases import CASES
from gpu_timing import Check

from symdiff.compilation.cuda.backend import cuda, is_simulated

LATEST = 535.0
"""Seconds after which a process is ended."""
BEHIND = 15.0
"""Seconds before that from which on no further part begins."""
STILL = 120.0
"""Seconds without a figure after which a case is given up; each is shorter by far."""
LOST = 3
"""Exit status of a process whose device answers no more."""
PACKAGES = (
    *("symdiff-jit", "numba", "numba-cuda", "cuda-core", "cuda-bindings", "nvidia-nvjitlink"),
    *("cupy-cuda13x", "cupy-cuda12x", "numpy", "torch", "jax", "jaxlib"),
)


def about():
    """Say what this machine and its packages are."""
    found = {"python": platform.python_version(), "simulated": is_simulated()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if not is_simulated():
        device = cuda().get_current_device()
        found["device"] = str(device.name)
        found["capability"] = list(device.compute_capability)
    return found


def is_lost():
    """Whether the device answers no more, whatever it is asked."""
    try:
        cuda().synchronize()
    except Exception as error:  # noqa: BLE001 - of the driver
        print(f"the device is lost: {error}", flush=True)
        return True
    return False


def work(given):
    """Run cases, until the device is lost."""
    check = Check(given.out, given.dry)
    if given.out.exists():
        check.results = json.loads(given.out.read_text(encoding="utf-8"))
    else:
        check.results = {"about": about(), **check.results}
        print(json.dumps(check.results["about"], indent=2), flush=True)
    for case, seconds in CASES:
        if case.__name__ not in given.only:
            continue
        start = time.perf_counter()
        print(case.__name__, flush=True)
        check.begin(case.__name__, min(seconds, given.until - BEHIND - time.time()))
        try:
            case(check)
        except Exception as error:  # noqa: BLE001 - the other cases go on
            traceback.print_exc()
            check.note("error", f"{type(error).__name__}: {error}")
            check.is_right = False
        check.note("seconds", time.perf_counter() - start)
        if is_lost():
            return LOST
    return 0 if check.is_right else 1


def ended(process, given):
    """Wait for a process; say why it has not come to its end, or None."""
    last = time.time()
    while process.poll() is None:
        time.sleep(0.2)
        if given.out.exists():
            last = max(last, given.out.stat().st_mtime)
        if not given.dry and (time.time() > given.until or time.time() - last > STILL):
            process.kill()
            process.wait()
            return f"ended after {time.time() - last:.0f} s without a figure"
    return None if process.returncode in (0, 1, LOST) else f"exit status {process.returncode}"


def give_up(given, left, why):
    """Note why the case that was begun last came to nothing; give those that are left."""
    found = {"cases": {}, "asked": []}
    if given.out.exists():
        found = json.loads(given.out.read_text(encoding="utf-8"))
    begun = [name for name in left if name in found["cases"]] or left[:1]
    case = found["cases"].setdefault(begun[-1], {})
    case["error"] = f"{why}; {case['error']}" if "error" in case else why
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{begun[-1]}: {why}", flush=True)
    return left[left.index(begun[-1]) + 1 :]


def main():
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--dry", action="store_true", help="once, with small sizes")
    parser.add_argument("--only", nargs="*", default=[], help="names of cases")
    parser.add_argument("--until", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.until:
        return work(given)
    given.until = time.time() + LATEST
    given.out.unlink(missing_ok=True)
    left = [case.__name__ for case, _ in CASES if not given.only or case.__name__ in given.only]
    is_right = True
    while left and (given.dry or time.time() < given.until):
        command = [sys.executable, __file__, str(given.out), "--until", str(given.until)]
        command += ["--dry"] * given.dry
        process = subprocess.Popen([*command, "--only", *left])  # noqa: S603 - this script
        why = ended(process, given)
        is_right = is_right and process.returncode == 0
        if why is not None:
            left = give_up(given, left, why)
        elif process.returncode == LOST:
            left = give_up(given, left, "the device was lost")
        else:
            break
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
