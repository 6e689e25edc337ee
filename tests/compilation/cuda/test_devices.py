"""Without a GPU, or without the packages, everything but a kernel's run works, and says so."""

import os
import subprocess
import sys

import pytest

CALLS = {
    "jit": "sd.jit(np.sin, target='cuda')(1.0)",
    "grad": "sd.grad(np.sin, target='cuda')(1.0)",
    "hessian": "sd.hessian(np.sin, target='cuda')(1.0)",
    "fit_many": "sd.fit_many(np.multiply, np.ones(3), np.ones((2, 3)), [0.5], target='cuda')",
    "train": "sd.train(np.add, 0.0, (X,), sd.optim.Adam(1), batch_size=2, epochs=1, target='cuda')",
}
BLOCKED = "import sys; sys.modules['numba_cuda'] = sys.modules['numba.cuda'] = None\n"
HEAD = "import numpy as np, symdiff as sd; X = np.ones(4)\n"


def run(script):
    """Run a script where the simulator is off."""
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("call", CALLS)
def test_a_target_that_is_not_there(call):
    done = run(f"{BLOCKED}{HEAD}{CALLS[call]}\n")
    assert "DeviceError" in done.stderr
    assert "target 'cuda'" in done.stderr
    assert "symdiff-jit[cuda]" in done.stderr
    assert "<string>:3" in done.stderr


def test_import_loads_nothing_of_cuda():
    script = "assert not {'numba.cuda', 'numba_cuda', 'cuda', 'cupy'} & set(sys.modules)\n"
    done = run(f"import sys\n{HEAD}sd.grad(np.sin)(1.0)\n{script}")
    assert done.returncode == 0, done.stderr


def test_source_and_programs_need_no_gpu():
    script = "f = sd.grad(lambda x: x**2, target='cuda')\nprint(f.source(1.0, target='cuda'))\n"
    done = run(f"{BLOCKED}{HEAD}{script}print(f.program(1.0))\n")
    assert "me = cuda.grid(1)" in done.stdout, done.stderr
