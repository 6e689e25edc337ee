"""W14: the time to import, with Python's own start, and the memory after 1000 functions."""

import math
import os
import subprocess
import sys
from functools import partial

import numpy as np
from contest import MODULES, Case, Skip, Workload

FUNCTIONS = 1000


def function(k, ns):
    """No two are alike."""
    return lambda x: ns.sin((k + 1) * x) * x + ns.exp(-x) * k


def with_import(module, what):
    """Start Python, import, end; of the package's memory a process of its own tells nothing."""
    if what != "import":
        raise Skip("measured for the compilers that keep their kernels")
    command = [sys.executable, "-c", f"import {module}"]
    # Without it the modules of a working copy, and they alone, would be compiled at each start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return partial(subprocess.run, command, check=True, capture_output=True, env=environment)


def gradients(ns, grad):
    def call():
        made = [grad(function(k, ns)) for k in range(FUNCTIONS)]
        return made, [float(df(0.5)) for df in made]

    return call


def with_symdiff(what):
    if what == "import":
        return with_import("symdiff", what)
    import symdiff as sd

    return gradients(np, sd.grad)


def with_jax(what):
    if what == "import":
        return with_import("jax", what)
    import jax

    return gradients(jax.numpy, lambda f: jax.jit(jax.grad(f)))


def check(what, answer):
    if what == "import":
        assert answer.returncode == 0
        return
    want = [
        math.sin((k + 1) / 2) + (k + 1) / 2 * math.cos((k + 1) / 2) - k * math.exp(-0.5)
        for k in range(FUNCTIONS)
    ]
    np.testing.assert_allclose(answer[1], want, rtol=1e-10)


WORKLOAD = Workload(
    "W14",
    "import, and many functions",
    [
        Case("import in a fresh process", lambda: "import", quick=True),
        Case(f"gradients of {FUNCTIONS} functions, made and called", lambda: "all", once=True),
    ],
    {
        "symdiff": with_symdiff,
        "python": partial(with_import, "sys"),
        "jax": with_jax,
        **{name: partial(with_import, MODULES[name]) for name in ("numba", "torch", "tensorflow")},
    },
    check,
    limit=("python",),
)
