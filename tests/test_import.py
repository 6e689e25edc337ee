"""What the import of symdiff brings with it, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import symdiff


def run(code):
    env = {**os.environ, "PYTHONPATH": str(Path(symdiff.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


SLOW = ["numba", "scipy.special", "scipy.linalg", "scipy.optimize", "scipy.sparse", "matplotlib"]


def test_what_is_slow_to_import_waits_until_it_is_needed():
    code = f"""
import gc, sys
import numpy as np
import symdiff as sd
print(gc.isenabled(), sd.grad(lambda x: np.sum(np.tanh(x) ** 2))(np.zeros(3))[0])
print(*[name for name in {SLOW} if name in sys.modules])
"""
    assert run(code) == ["True", "0.0"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return scipy.special.logsumexp(x)", [0.5, 0.5]),  # which SciPy imports at its first name
        ("from scipy.special import softmax; return softmax(x)[0] * 4", [1.0, -1.0]),
        ("return scipy.special.spherical_jn(0, x)[1]", [0.0, -0.3011686789397568]),
        ("return scipy.special.ndtr(x - 1)[0]", [0.3989422804014327, 0.0]),
        ("return np.sum(scipy.special.erf.outer(x - 1))", None),
        ("return np.sum(scipy.special.xlogy.outer(x, x))", [2.0, 2.0]),
        ("return scipy.linalg.solve(np.eye(2) * 2, x)[0]", [0.5, 0.0]),
    ],
)
def test_a_traced_function_may_be_the_first_to_import_scipys_functions(body, expected):
    code = f"""
import sys
import numpy as np
import scipy
import symdiff as sd

def f(x):
    {body}

assert not {{"scipy.special", "scipy.linalg"}} & sys.modules.keys()
try:
    print(*sd.grad(f)(np.ones(2)))
except Exception as error:
    print("failed")
"""
    got = run(code)
    if expected is None:  # of a function of one argument, as in NumPy
        assert got == ["failed"]
    else:
        assert [float(value) for value in got] == pytest.approx(expected, abs=1e-15)


def test_what_fails_for_another_reason_fails_as_it_did():
    code = """
import symdiff as sd

def f(x):
    import scipy.special
    raise KeyError("mine")

try:
    sd.grad(f)(1.0)
except KeyError as error:
    print(error, error.__context__)
"""
    assert run(code)[0] == "'mine'"
