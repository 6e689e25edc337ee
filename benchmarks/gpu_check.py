"""Correctness and speed on a GPU: ``python benchmarks/gpu_check.py OUT.json``.

It takes up to nine minutes. Results are written after each figure, so that none is lost if the time
is up. A part that fails is noted with its error, and the others go on; the exit status tells. With
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
import sys
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpu_cases import CASES
from gpu_timing import Check

from symdiff.compilation.cuda.backend import cuda, is_simulated

BUDGET = 520.0
"""Seconds after which no further part begins."""
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


def main():
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--dry", action="store_true", help="once, with small sizes")
    parser.add_argument("--only", nargs="*", default=[], help="names of cases")
    given = parser.parse_args()
    check = Check(given.out, given.dry)
    check.results = {"about": about(), **check.results}
    print(json.dumps(check.results["about"], indent=2), flush=True)
    began = time.perf_counter()
    for case, seconds in CASES:
        if given.only and case.__name__ not in given.only:
            continue
        start = time.perf_counter()
        print(case.__name__, flush=True)
        check.begin(case.__name__, min(seconds, BUDGET - (start - began)))
        try:
            case(check)
        except Exception as error:  # noqa: BLE001 - the other cases go on
            traceback.print_exc()
            check.note("error", f"{type(error).__name__}: {error}")
            check.is_right = False
        check.note("seconds", time.perf_counter() - start)
    return 0 if check.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
