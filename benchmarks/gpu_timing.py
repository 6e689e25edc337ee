"""What the cases of ``gpu_check.py`` share: time, what is asked, and results that are not lost."""

import json
import statistics
import time
import traceback

import numpy as np

from symdiff.compilation.cuda.backend import cuda
from symdiff.compilation.cuda.memory import get
from symdiff.trees import flatten

SECONDS = 0.4
"""How long a call is repeated."""
MAX_CALLS = 2000


class Check:
    """The run of a case: its size, its budget, and its figures, which are written one by one.

    Parameters
    ----------
    out : Path
        The file of results.
    dry : bool
        Whether everything runs once, with small sizes, where there is no GPU.
    """

    def __init__(self, out, dry):
        self.dry = dry
        self.is_right = True
        self.results = {"cases": {}, "asked": []}
        self._out = out
        self._figures = {}
        self._end = 0.0

    def begin(self, case, seconds):
        """Begin a case, whose parts are left out after some seconds."""
        self._figures = self.results["cases"][case] = {}
        self._end = time.perf_counter() + (600.0 if self.dry else seconds)
        self.flush()

    def flush(self):
        """Write what is there."""
        self._out.write_text(json.dumps(self.results, indent=2) + "\n", encoding="utf-8")

    def note(self, name, value):
        """Keep a figure of the case."""
        self._figures[name] = value
        print(f"  {name}: {json.dumps(value)}", flush=True)
        self.flush()

    def size(self, n, small):
        """Give a size, or the one of a dry run."""
        return small if self.dry else n

    def is_late(self):
        """Whether the case has used its time."""
        return time.perf_counter() > self._end

    def part(self, name, work, *, is_rival=False):
        """Do a part of the case and keep what it gives; give it, or None where there is none.

        A rival that fails is noted; it only counts in a dry run, where it is our own mistake.
        """
        if self.is_late():
            self.note(name, {"skipped": "the time was up"})
            return None
        try:
            made = work()
        except Exception as error:  # noqa: BLE001 - the other parts go on
            traceback.print_exc()
            self.note(name, {"error": f"{type(error).__name__}: {error}"})
            self.is_right = self.is_right and is_rival and not self.dry
            return None
        if made is not None:
            self.note(name, made)
        return made

    def rival(self, name, make):
        """Time a rival: `make` gives its call, what waits for a result, and the calls in a call."""

        def work():
            made = make(self.dry)
            return None if made is None else self.timed(made.call, made.wait, made.count)

        return self.part(name, work, is_rival=True)

    def ours(self, call, count=1):
        """Time a call of symdiff's, by the clock and by events of the device."""
        made = self.timed(call, lambda _: cuda().synchronize(), count)
        repeats = self.size(max(1, min(100, int(2e5 / (made["us"] * count)))), 1)
        begin, end = cuda().event(), cuda().event()
        begin.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        took = 1e3 * begin.elapsed_time(end) / repeats / count
        return {**made, "device_us": took or made["us"]}  # the simulator's clock is coarse

    def timed(self, call, wait, count=1):
        """Time a call whose result is waited for: the median of many, divided by `count`."""
        began = time.perf_counter()
        wait(call())
        first = time.perf_counter() - began
        found, began = [], time.perf_counter()
        while len(found) < self.size(5, 1) or (
            not self.dry and time.perf_counter() - began < SECONDS and len(found) < MAX_CALLS
        ):
            start = time.perf_counter()
            wait(call())
            found.append(1e6 * (time.perf_counter() - start) / count)
        return {"us": statistics.median(found), "first_s": first, "calls": len(found)}

    def asked(self, what, measured, *, at_least=None, at_most=None):
        """Compare a figure with what was asked for; None where it was not measured."""
        bound = at_least if at_most is None else at_most
        is_met = None
        if measured is not None:
            is_met = measured >= bound if at_most is None else measured <= bound
        sign = ">=" if at_most is None else "<="
        line = {"what": what, "asked": f"{sign} {bound:g}", "measured": measured, "met": is_met}
        self.results["asked"].append(line)
        print(f"  asked: {json.dumps(line)}", flush=True)
        self.flush()


def ratio(a, b):
    """Say how many times faster b is than a; None where one was not measured."""
    return None if a is None or b is None else a["us"] / b["us"]


def close(got, want, rtol):
    """Compare trees of arrays of either side."""
    for a, b in zip(flatten(got)[0], flatten(want)[0], strict=True):
        on_host = a if isinstance(a, (np.ndarray, np.generic, float, int)) else get(a)
        scale = np.max(np.abs(b), initial=0.0)
        np.testing.assert_allclose(on_host, b, rtol=rtol, atol=rtol * scale)
