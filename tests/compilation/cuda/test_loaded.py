"""Kernels are found on disk, loaded and launched, by a driver of the tests that has no GPU.

What a launch is given is what numba's own launch gives. It needs the packages of the extra
``cuda`` and a compiler of C, and runs in processes without the simulator.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cuda.cubins import Cubin, key_of
from symdiff.compilation.cuda.loaded import unpacked
from symdiff.compilation.disk_cache import DiskCache

HERE = Path(__file__).parent
CAN_COMPILE = find_spec("numba_cuda") is not None and shutil.which("cc") is not None


def needs_compilers(test):
    reason = "needs the extra 'cuda' and a compiler of C"
    return pytest.mark.slow(pytest.mark.skipif(not CAN_COMPILE, reason=reason)(test))


KERNELS = """
import time
import numpy as np
import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.module import write

def smooth(x):
    for _ in range(3):
        x = np.cos(x) + np.roll(x, 1)
    return x

X = np.ones(5, np.float32)
def scale(x, a, k):
    return np.maximum(x * a, k)

F = write(sd.jit(scale).program(X, np.float64(2.0), np.int32(3)))
G = write(sd.jit(smooth).program(X), is_grid=True)
cuda = backend.cuda()
"""
ALL_AGAIN = """
def fail(*args, **kwargs):
    raise AssertionError("a compiler was called")

from numba.cuda import compiler
compiler.compile_cuda = backend.cubin = backend.python_function = fail
began = time.perf_counter()
for module in (F, G):
    kernel = backend.compiled(module)
    assert isinstance(kernel, backend.LoadedKernel)
    assert backend.most_blocks(kernel, module, 256) == 2 * 132
print(time.perf_counter() - began)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    command = ["cc", "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1")]
    subprocess.run([*command, str(HERE / "driver.c"), "-ldl"], check=True)
    return folder


@pytest.fixture
def run(driver, tmp_path):
    def start(script):
        env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
        env |= {"LD_LIBRARY_PATH": str(driver), "SYMDIFF_CACHE_DIR": str(tmp_path / "kept")}
        env |= {"LAUNCHES": str(tmp_path / "launches"), "ARGUMENTS": ""}
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", KERNELS + script]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)

    return start


def output(process):
    printed, _ = process.communicate()
    assert process.returncode == 0
    return printed.split()


def kept(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "kept").glob("*.kernel")}


@needs_compilers
def test_another_process_compiles_nothing(run, tmp_path):
    compiles = "for module in (F, G): backend.compiled(module)"
    first = [run(compiles), run(compiles)]  # at once, to the same directory
    for process in first:
        output(process)
    cache = DiskCache(str(tmp_path / "kept"), limit=1 << 30)
    assert len(cache.entries()) == 2
    assert float(*output(run(ALL_AGAIN))) < 1.0  # to compile takes 1 to 20
    assert cache.clear() == 2


@needs_compilers
def test_what_is_kept_is_the_machine_code(run, tmp_path):
    script = """
from symdiff.compilation.cuda.cubins import Cubin
from symdiff.compilation.disk_cache import open_cache
for module in (F, G):
    backend.compiled(module)
    found = Cubin.load(open_cache().load(backend.cubin_key(module, (9, 0))))
    made = backend.cubin(module, (9, 0))
    assert found[1:4] == made[1:4] and found.is_cooperative == (module is G)
    assert len(found.code) == len(made.code) and found.name.encode() in found.code
    assert module.name in found.name
"""
    output(run(script))


@needs_compilers
@pytest.mark.parametrize("is_whole", [False, True])
def test_what_cannot_be_loaded_is_compiled_again(run, tmp_path, is_whole):
    """Be the file cut off, or whole but of something else."""
    output(run("backend.compiled(F)"))
    (name, data), *rest = kept(tmp_path).items()
    assert not rest
    if is_whole:
        script = "open_cache().save(backend.cubin_key(F, (9, 0)), b'{}' + bytes([10]) + b'ELF')"
        output(run(f"from symdiff.compilation.disk_cache import open_cache; {script}"))
    else:
        (tmp_path / "kept" / name).write_bytes(data[:1000])
    output(run("assert isinstance(backend.compiled(F), backend.LoadedKernel)"))
    assert len(kept(tmp_path)[name]) == len(data)


@needs_compilers
def test_a_launch_is_numbas_own(run, tmp_path):
    script = """
import os

def argument(kind):
    if hasattr(kind, "ndim"):
        return cuda.to_device(np.zeros(5, kind.dtype.name))
    return getattr(np, kind.name)(-3)

for module in (F, G):
    types = backend._signature(module)
    given = [argument(kind) for kind in types]
    bits = ("8" * 7 if hasattr(kind, "ndim") else str(kind.bitwidth // 8) for kind in types)
    os.environ["ARGUMENTS"] = "".join(bits)
    of_numba = cuda.jit(backend.python_function(module, cuda, 256))
    of_numba.compile(types)
    for stream in (0, cuda.stream()):
        for kernel in (of_numba, backend.compiled(module)):
            kernel[4, 256, stream](*given)
"""
    output(run(script))
    lines = [line.split() for line in (tmp_path / "launches").read_text().splitlines()]
    of_numba, ours = lines[::2], lines[1::2]
    assert [line[3] == "(nil)" for line in ours] == [True, False] * 2
    for a, b, is_cooperative in zip(of_numba, ours, "0011", strict=True):
        assert len(a) >= 5 + 3 * 7
        assert b[1:3] == ["4", "256"]
        assert b[4] == is_cooperative
        assert b[1:] == a[1:]


@needs_compilers
def test_numba_launches_where_the_kernel_cannot_be_loaded(run, tmp_path):
    script = """
import warnings
def fail(*args):
    raise AttributeError("no such thing in this version")

backend.LoadedKernel = type("LoadedKernel", (), {"__init__": fail})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    kernel = backend.compiled(G)
assert "no such thing in this version" in str(caught[0].message)
assert backend.most_blocks(kernel, G, 256) == 2 * 132
"""
    output(run(script))


@needs_compilers
def test_arrays_are_flat_whatever_strides_axes_of_one_element_have(run):
    script = """
from symdiff.compilation.cuda.memory import flat, get, put
for x in (np.ones((3, 2))[..., None], np.ones((2, 3))[:, None], np.ones((0, 3)), np.ones(())):
    d = put(x)
    assert flat(d).shape == (max(x.size, 1),)
    np.testing.assert_array_equal(get(d), x)
"""
    output(run(script))


@needs_compilers
def test_copies_are_waited_for_whatever_stream_an_array_names(run):
    script = """
from symdiff.compilation.cuda.memory import get, put

class OfOthers:
    def __init__(self, x, stream):
        self.x = x
        self.__cuda_array_interface__ = x.__cuda_array_interface__ | {"stream": stream}

x = np.arange(5.0)
for other in (OfOthers(put(x), 1), OfOthers(put(x), 1234), put(x).bind(cuda.stream())):
    assert put(other).stream == 0  # by another, numba only starts them, as this driver never does
    np.testing.assert_array_equal(get(other), x)
"""
    output(run(script))


@needs_compilers
def test_threads_compile_at_once(run):
    script = """
from concurrent.futures import ThreadPoolExecutor
from numba.cuda import dispatcher
before = dispatcher.get_current_device
makers = [F, G, F]
with ThreadPoolExecutor(3) as pool:
    kernels = list(pool.map(backend.compiled, makers))
assert all(isinstance(kernel, backend.LoadedKernel) for kernel in kernels)
assert dispatcher.get_current_device is before
"""
    output(run(script))


CUBIN = Cubin(b"\x7fELF\n{}\n", 40, 8, 0, "_ZN1fE", True)


def test_a_cubin_is_read_as_it_was_written():
    assert Cubin.load(CUBIN.dump()) == CUBIN


def test_a_key_is_of_all_that_code_depends_on(monkeypatch):
    key = key_of("text", ("float32",), ((9, 0), 256))
    assert key == key_of("text", ("float32",), ((9, 0), 256))
    others = [
        key_of("other", ("float32",), ((9, 0), 256)),
        key_of("text", ("float64",), ((9, 0), 256)),
        key_of("text", ("float32",), ((8, 0), 256)),
    ]
    monkeypatch.setattr("symdiff.compilation.cuda.cubins._environment", lambda: "another linker")
    others.append(key_of("text", ("float32",), ((9, 0), 256)))
    assert len({key, *others}) == 5


def test_arrays_of_others_are_passed_by_their_interface():
    class Array:
        size = 3
        dtype = np.dtype(np.float64)
        __cuda_array_interface__ = {"data": (4096, False)}  # noqa: RUF012 - as others have it

    assert unpacked(Array()) == (0, 0, 3, 8, 4096, 3, 8)
    assert unpacked(np.float32(2.0)) == (np.float32(2.0),)


def test_the_simulator_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sd.config, "cache_dir", str(tmp_path))
    f = sd.jit(lambda x: x * 2.0, target="cuda")
    np.testing.assert_array_equal(f(np.ones(3)), np.full(3, 2.0))
    assert not list(tmp_path.iterdir())
