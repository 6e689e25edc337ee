"""Calls in machine code give back every reference that they take, on their error paths too.

They are counted in a process of its own: what other tests began (a compilation in the background, a
checkpoint that is written) may end meanwhile, and gives back references to `None` and `False`.
"""

import gc
import json
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd

N = 100_000
X = np.array([0.5, -1.0, 2.0])
M = np.ones((3, 2))
LONG = np.linspace(0.0, 1.0, 300)
"""Long enough for a call to let go of Python's lock."""
KEY = "a key of a test's own"


def add(x, y=None, how="plain", flag=False):
    return x + 1.5


def gradient_of(f):
    return sd.grad(f)


def nested(tree):
    return {KEY: tree[KEY] * 2, "rest": [None, (np.sum(tree[KEY]),)]}


KINDS = {
    "float": (sd.grad(lambda x: x**2), (1.5,)),
    "two floats": (sd.grad(lambda x, y: x * y, argnums=(0, 1)), (1.5, 2.5)),
    "large int": (sd.jit(lambda x: x + 10**9), (10**12,)),
    "int as float": (sd.jit(lambda x: x * 0.5), (10**12,)),
    "Boolean result": (sd.jit(lambda x: x > 1.0), (1.5,)),
    "NumPy scalar": (sd.grad(lambda x: x**2), (np.float64(1.5),)),
    "float32": (sd.grad(lambda x: x**2), (np.float32(1.5),)),
    "array": (sd.grad(lambda x: np.sum(x**3)), (X,)),
    "long array": (sd.grad(lambda x: np.sum(np.sin(x))), (LONG,)),
    "value and gradient": (sd.value_and_grad(lambda x: np.sum(x**3)), (X,)),
    "dict": (sd.jit(nested), ({KEY: X},)),
    "list and tuple": (sd.jit(lambda x: [x[0], (x[1][0],)]), ([X, (X,)],)),
    "string, None and flag": (sd.jit(add), (X, None, "other", True)),
    "constant": (sd.jit(lambda x: np.concatenate([x, LONG])), (X,)),
    "not contiguous": (sd.jit(lambda x: x + 1), (M[:, 0],)),
    "subclass": (sd.jit(lambda x: x + 1), (X.view(np.recarray),)),
}


def counts(objects):
    return np.array([sys.getrefcount(x) for x in objects])


def watched(args):
    kinds = [np.ndarray, np.float64, np.float32, float, int, dict, list, tuple]
    singletons = [None, True, False, NotImplemented, KEY, "rest", "other"]
    arrays = [X, M, LONG, *args]
    return [*kinds, *singletons, *arrays, *(np.dtype(d) for d in ("f8", "f4", "i8", "?"))]


def resident_kib():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4


def assert_nothing_stays(call, args, n):
    objects = watched(args)
    for _ in range(200):
        call()
    gc.collect()
    before, memory = counts(objects), resident_kib()
    for _ in range(n):
        call()
    gc.collect()
    grown = counts(objects) - before
    assert np.all(np.abs(grown) < 50), [(x, g) for x, g in zip(objects, grown, strict=True) if g]
    assert resident_kib() - memory < n / 100 + 512  # a float is 24 bytes: 100,000 are 2344 KiB


def plain_call(name):
    f, args = KINDS[name]
    assert_nothing_stays(lambda: f(*args), args, N)


def call_with_out(name):
    f, args = KINDS[name]
    result = f(*args)
    if name == "dict":
        out = {KEY: np.empty(3), "rest": [None, (np.empty(()),)]}
    elif isinstance(result, tuple):
        out = tuple(np.empty(()) for _ in result)
    else:
        out = np.empty_like(result)
    assert_nothing_stays(lambda: f(*args, out=out), [*args, out], N // 5)


def must_raise(kind, f, *args, **kwargs):
    def call():
        try:
            f(*args, **kwargs)
        except kind:
            return
        raise AssertionError("nothing was raised")

    return call


def raises(x):
    raise ValueError("a primitive that fails")


FAILURES = {
    "status": (np.linalg.LinAlgError, sd.jit(np.linalg.inv), (np.zeros((3, 3)),), {}),
    "index": (IndexError, sd.jit(lambda x, k: x[k]), (X, 7), {}),
    "callback": (ValueError, sd.jit(sd.primitive(raises, shape=lambda shape: shape)), (X,), {}),
    "type": (sd.DTypeError, sd.grad(lambda x: x**2), (1j,), {}),
    "dtype": (sd.DTypeError, sd.grad(lambda x: np.sum(x**2)), (np.arange(3),), {}),
    "int too large": (OverflowError, sd.jit(lambda x: x * 0.5), (10**30,), {}),
    "out": (sd.ShapeError, sd.grad(lambda x: np.sum(x**2)), (X,), {"out": np.empty(4)}),
    "out, status": (
        np.linalg.LinAlgError,
        sd.jit(np.linalg.inv),
        (np.zeros((3, 3)),),
        {"out": np.empty((3, 3))},
    ),
}


def call_that_fails(name):
    kind, f, args, kwargs = FAILURES[name]
    if name == "index":
        f(X, 1)
    if name.endswith("status"):
        f(np.eye(3), **kwargs)
    assert_nothing_stays(must_raise(kind, f, *args, **kwargs), args, 2000)


def call_that_keeps(_):
    kept = []
    assert_nothing_stays(lambda: kept.append(X), [], 1000)  # None is not counted since Python 3.12


def serve():
    """Answer each line, the names of a function above and of its case, with what went wrong."""
    for line in sys.stdin:
        check, name = json.loads(line)
        try:
            globals()[check](name)
            answer = ""
        except Exception:  # noqa: BLE001 - which fails in the process that asked
            answer = traceback.format_exc()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


@pytest.fixture(scope="module")
def alone():
    """Run a check in the process where nothing else goes on."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    pipe = subprocess.PIPE
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8") as process:

        def check(function, name):
            print(json.dumps([function.__name__, name]), file=process.stdin, flush=True)
            failure = json.loads(process.stdout.readline())
            assert not failure, failure

        yield check
        process.stdin.close()


@pytest.mark.parametrize("name", KINDS)
def test_calls(alone, name):
    alone(plain_call, name)


@pytest.mark.parametrize("name", ["two floats", "array", "long array", "dict", "not contiguous"])
def test_calls_with_out(alone, name):
    alone(call_with_out, name)


@pytest.mark.parametrize("name", FAILURES)
def test_calls_that_fail(alone, name):
    alone(call_that_fails, name)


def test_a_reference_that_stays_is_found(alone):
    with pytest.raises(AssertionError, match="grown"):
        alone(call_that_keeps, "")


def test_results_are_references_of_their_own():
    f = KINDS["dict"][0]
    result = f({KEY: X})
    references = [sys.getrefcount(result), sys.getrefcount(result[KEY])]
    references += [sys.getrefcount(result["rest"]), sys.getrefcount(result["rest"][1])]
    assert references == [2, 2, 2, 2]  # one is the call's own
    assert gc.is_tracked(result["rest"])


def test_arguments_are_not_kept():
    f = KINDS["value and gradient"][0]
    x = X.copy()
    result = f(x)
    references = sys.getrefcount(x)
    assert references == 2
    assert not np.shares_memory(x, result[1])


if __name__ == "__main__":
    serve()
