"""Special functions and factorizations are really compiled for a GPU, without one.

It needs the packages of the extra ``cuda``, and runs in a process without the simulator.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from symdiff.compilation.cuda import special

FAMILIES = {f.__name__.rpartition(".")[2]: f for f in special.FAMILIES}
MAX_REGISTERS = {
    "elementary": 60,
    "error": 62,
    "gamma": 92,
    "incomplete": 84,
    "integrals": 60,
    "hypergeometric": 110,
    "bessel": 90,
    "modified_bessel": 90,
    "polynomials": 42,
    "orthogonal, float64": 92,
    "orthogonal, float32": 80,
    "together, float32": 64,
}
"""Of each thread, for the kernel of each family."""

SCRIPT = """
import json, sys
import numpy as np
import scipy.special as sc
import symdiff as sd
from symdiff.compilation.cuda import special
from symdiff.compilation.cuda.backend import cubin, ptx
from symdiff.compilation.cuda.module import write
from symdiff.program.special_functions import NAMES, SPECIAL

ZETAS = {"digamma": lambda x: sc.psi(x), "polygamma": lambda n, x: sc.polygamma(2, x)}
ZETAS |= {"zeta": sc.zeta, "riemann_zeta": sc.zeta}

def value(step, x):
    if step in ZETAS:
        return ZETAS[step](*[x] * (1 if step in ("digamma", "riemann_zeta") else 2))
    name, _, result = NAMES[SPECIAL[step]].partition("[")
    n = len(SPECIAL[step].rules)
    order = [3] if step.startswith("int_") else []
    found = getattr(sc, name)(*order, *[x] * (n - len(order)))
    return found[int(result[0])] if result else found

def report(name, f, x):
    module = write(sd.jit(f).program(x))
    made = cubin(module)
    doubles = ptx(module).count(".f64 ") if "float32" in name else 0
    called = len([n for n in module.needed if n in special.FUNCTIONS])
    print(json.dumps([name, made.registers, made.spills, doubles, called]), flush=True)

def orthogonal(a):
    return np.linalg.qr(a), np.linalg.svd(a, full_matrices=False), np.linalg.eigvalsh(a.T @ a)

def together(a):
    return np.linalg.inv(a), np.linalg.cholesky(a)

for dtype in ("float64", "float32"):
    report(f"orthogonal, {dtype}", orthogonal, np.ones((5, 3), dtype))
report("together, float32", together, np.ones((40, 40), "f4"))
for family in special.FAMILIES:
    name = family.__name__.rpartition(".")[2]
    steps = list(family.STEPS)
    report(name, lambda x, steps=steps: [value(s, x) for s in steps], np.ones(4))
"""


def compiled():
    """Compile everything, in a process without the simulator."""
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: figures for name, *figures in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs the extra 'cuda'")
def test_registers_spills_and_precision():  # one test, so that one process compiles once
    made = compiled()
    assert made.keys() == MAX_REGISTERS.keys()
    for name, (registers, spills, doubles, called) in made.items():
        assert spills == 0, name
        assert doubles == 0, name
        assert registers <= MAX_REGISTERS[name], name
        assert called == (len(FAMILIES[name].STEPS) if name in FAMILIES else 0), name
