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
