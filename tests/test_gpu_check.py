"""The script that checks a GPU runs as far as it can without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu_check.py"


def test_dry_run(tmp_path):
    out = tmp_path / "gpu.json"
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(SCRIPT), "--dry", str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["about"]["simulated"]
    cases = found["cases"]
    assert len(cases) == 11
    assert not [name for name, figures in cases.items() if "error" in figures]
    assert cases["operations"]["passed"] > 170
    # which takes whole numbers, of the CPU too
    assert cases["operations"]["missing"] == ["ldexp float64", "ldexp float32"]
    for name in ("W2", "W9", "W10", "W11", "W12"):
        asked = [
            line
            for line in found["asked"]
            if line["what"].startswith(f"{name}: ") or line["what"].startswith(f"{name} ")
        ]
        assert len(asked) >= 2, name
    own = [line for line in found["asked"] if "over" not in line["what"]]
    assert all(line["measured"] > 0 for line in own)


BROKEN = """
import os, sys, types
import gpu_check

def right(check):
    check.note("figure", 1)

def dies(check):
    check.note("figure", 2)
    os._exit(9)

def loses(check):
    check.note("figure", 3)
    def fail():
        raise RuntimeError("an illegal memory access was encountered")
    gpu_check.cuda = lambda: types.SimpleNamespace(synchronize=fail)

def stops(check):
    gpu_check.time.sleep(100)

def last(check):
    check.note("figure", 4)

gpu_check.STILL, gpu_check.__file__ = 8.0, __file__
gpu_check.about = dict
gpu_check.CASES = [(f, 20) for f in (right, dies, loses, stops, last)]
sys.exit(gpu_check.main())
"""


def test_a_case_that_ends_its_process_is_the_only_one_lost(tmp_path):
    script, out = tmp_path / "broken.py", tmp_path / "gpu.json"
    script.write_text(BROKEN, encoding="utf-8")
    path = os.pathsep.join([str(SCRIPT.parent), *sys.path])
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": path}
    command = [sys.executable, str(script), str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    cases = json.loads(out.read_text(encoding="utf-8"))["cases"]
    assert list(cases) == ["right", "dies", "loses", "stops", "last"]
    assert [cases[name].get("figure") for name in cases] == [1, 2, 3, None, 4]
    assert "seconds" in cases["last"]
    assert "error" not in cases["right"]
    assert "error" not in cases["last"]
    assert cases["dies"]["error"] == "exit status 9"
    assert cases["loses"]["error"] == "the device was lost"
    assert "without a figure" in cases["stops"]["error"]
