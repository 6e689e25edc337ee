"""Interpreted first, compiled in the background: the same values at every moment."""

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu import kernel, parts, tiers
from symdiff.compilation.cpu.kernel import Kernel


def f(x, y):
    for k in range(12):
        x = np.sin(x) * y + x / (1.0 + x * x) - 0.1 * k
    return x


@pytest.fixture(autouse=True)
def soon_long(monkeypatch):
    monkeypatch.setattr(tiers, "LONG", 10)
    monkeypatch.setattr(sd.config, "background_compile", True)


def kernel_of(function):
    (compiled,) = function._known.values()
    return compiled.kernel


def expected():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sd.config, "background_compile", False)
        return sd.value_and_grad(f, argnums=(0, 1))(0.3, 0.2)


def assert_close(a, b):
    np.testing.assert_allclose(a[0], b[0], rtol=1e-12)
    np.testing.assert_allclose(a[1], b[1], rtol=1e-12)


def test_interpreted_then_compiled(monkeypatch):
    go = threading.Event()

    def when_told(*args):
        go.wait()
        return Kernel(*args)

    monkeypatch.setattr(tiers, "Kernel", when_told)
    function = sd.value_and_grad(f, argnums=(0, 1))
    first = function(0.3, 0.2)
    tiered = kernel_of(function)
    assert isinstance(tiered, tiers.Tiered)
    assert tiered.native is None
    assert function(0.3, 0.2) == first
    assert not tiered.wait(0.01)
    go.set()
    assert tiered.wait()
    assert_close(function(0.3, 0.2), first)
    assert_close(first, expected())
    assert function._enters == (tiered.native.enter_objects,)
    assert_close(function(0.3, 0.2), first)  # through machine code alone
    assert function.n_compiled == 1


def test_numpy_numbers_and_keywords():
    function = sd.jit(f)
    for _ in range(2):
        value = function(np.float64(0.3), y=np.float64(0.2))
        assert isinstance(value, np.float64)
        np.testing.assert_allclose(value, f(0.3, 0.2), rtol=1e-12)
        kernel_of(function).wait()


def test_results_go_into_arrays_that_are_given():
    function = sd.jit(lambda x, y: (f(x, y), x > y))
    for _ in range(3):
        out = np.empty(()), np.empty((), bool)
        assert function(0.3, 0.2, out=out) is out
        np.testing.assert_allclose(out[0], f(0.3, 0.2), rtol=1e-12)
        assert out[1]
        kernel_of(function).wait()
    assert len(function._enters_into) == 1


def test_machine_code_is_found_on_disk(tmp_path, monkeypatch):
    """Also where it is in several modules."""
    monkeypatch.setattr(parts, "LONG", 4)
    monkeypatch.setattr(parts, "PART", 5)
    monkeypatch.setattr(parts, "PARTS_OF_MODULE", 2)
    monkeypatch.setattr(sd.config, "cache_dir", str(tmp_path))
    results = []
    for _ in range(2):
        function = sd.value_and_grad(f, argnums=(0, 1))
        function(0.3, 0.2)
        assert kernel_of(function).wait()
        results.append(function(0.3, 0.2))
        monkeypatch.setattr(kernel, "compile_object", None)  # the second time nothing is compiled
    assert results[0] == results[1]


def test_background_can_be_turned_off(monkeypatch):
    monkeypatch.setattr(sd.config, "background_compile", False)
    function = sd.jit(f)
    function(0.3, 0.2)
    assert isinstance(kernel_of(function), Kernel)


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_environment_variable(value):
    code = "import symdiff as sd; print(sd.config.background_compile)"
    made = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SYMDIFF_BACKGROUND_COMPILE": value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == str(value == "1")


def test_what_cannot_be_interpreted_is_compiled_at_once():
    function = sd.jit(lambda x: f(x, 2.0))
    function(np.ones(3))
    assert isinstance(kernel_of(function), Kernel)


def test_calls_from_many_threads():
    function = sd.value_and_grad(f, argnums=(0, 1))
    results = []

    def call():
        results.extend([function(0.3, 0.2) for _ in range(300)])

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kernel_of(function).wait()
    assert len(results) == 8 * 300
    for result in set(results):
        assert_close(result, expected())


def test_many_functions_at_once():
    functions = [sd.grad(lambda x, k=k: f(x, 0.1 * k)) for k in range(6)]
    first = [g(0.3) for g in functions]
    for g in functions:
        assert kernel_of(g).wait()
    np.testing.assert_allclose([g(0.3) for g in functions], first, rtol=1e-12)


def test_failure_in_the_background_is_told_once(monkeypatch):
    def broken(*args):
        raise MemoryError("no room")

    monkeypatch.setattr(tiers, "Kernel", broken)
    function = sd.value_and_grad(f, argnums=(0, 1))
    first = function(0.3, 0.2)
    assert not kernel_of(function).wait()
    with pytest.warns(RuntimeWarning, match="f could not be compiled .* MemoryError: no room"):
        assert function(0.3, 0.2) == first
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(0.3, 0.2) == first
    assert_close(first, expected())


def test_work_for_nobody_ends(monkeypatch):
    function = sd.jit(f)
    with tiers._one_at_a_time:
        function(0.3, 0.2)
        (thread,) = tiers._threads
        del function
    thread.join(30)
    assert not thread.is_alive()
    assert not tiers._threads


LONG_PROGRAM = """
import os, numpy as np, symdiff as sd
sd.config.unroll_limit = 10**6
def f(x, y):
    for _ in range({steps}):
        x = (x * y + np.sin(x) - x / (1.0 + x * x)) * 0.9
    return x
g = sd.value_and_grad(f, argnums=(0, 1))
first = g(0.3, 0.2)
kernel = next(iter(g._known.values())).kernel
"""


def run(code):
    environment = {**os.environ, "SYMDIFF_BACKGROUND_COMPILE": "1", "SYMDIFF_CACHE_DIR": ""}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "import sys; sys.exit(3)"])
def test_the_process_may_end_while_code_is_made(ending):
    code = LONG_PROGRAM.format(steps=1500) + f"print(kernel.native is None)\n{ending}\n"
    made = run(code)
    assert (made.returncode, made.stdout, made.stderr) == (3 if ending else 0, "True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_makes_its_own_code():
    code = LONG_PROGRAM.format(steps=600) + (
        "child = os.fork()\n"
        "same = np.allclose(g(0.3, 0.2)[1], first[1])\n"
        "ready = kernel.wait(60)\n"
        "same = same and np.allclose(g(0.3, 0.2)[1], first[1])\n"
        "if child == 0:\n"
        "    os._exit(0 if ready and same else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), ready, same)\n"
    )
    made = run(code)
    assert (made.stdout, made.stderr) == ("0 True True\n", "")
