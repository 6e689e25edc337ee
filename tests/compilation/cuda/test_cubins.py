"""Kernels are really compiled for GPUs, without one: their registers, spills and precision.

It needs the packages of the extra ``cuda``, and runs in a process without the simulator.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

REGISTERS = json.loads((Path(__file__).parent / "registers.json").read_text(encoding="utf-8"))
"""For each case and kind of launch, the registers of a thread on sm_80 and sm_90."""

SCRIPT = """
import json
from cuda_cases import CASES
from cuda_workloads import WORKLOADS
from symdiff.compilation.cuda.backend import cubin, ptx
from symdiff.compilation.cuda.module import write

def report(name, module):
    for capability in ((8, 0), (9, 0)):
        made = cubin(module, capability)
        key = f"{name}, sm_{capability[0]}{capability[1]}"
        doubles = ptx(module, capability).count(".f64 ") if "float32" in name else 0
        print(json.dumps([key, made.registers, made.stack, made.spills, doubles]), flush=True)

for name, (f, args) in CASES.items():
    report(f"{name}, block", write(f.program(*args)))
    report(f"{name}, grid", write(f.program(*args), is_grid=True))
for name, (program, options) in WORKLOADS.items():
    report(name, write(program(), **options))
"""


def compiled():
    """Compile everything, in a process without the simulator."""
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *sys.path])
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": path}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {key: figures for key, *figures in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs the extra 'cuda'")
def test_registers_spills_and_precision():  # one test, so that one process compiles once
    made = compiled()
    assert made.keys() == REGISTERS.keys()
    for key, (registers, stack, spills, _) in made.items():
        assert spills == 0, key
        assert registers <= 1.1 * REGISTERS[key], key
        assert stack <= 48 or "steps counted" in key, key  # sine of large numbers takes 40
    found = {key: doubles for key, (_, _, _, doubles) in made.items() if "float32" in key}
    assert len(found) == 8
    for key, doubles in found.items():
        assert doubles <= (5 if "W2" in key else 0), key  # sine of large numbers takes 5
