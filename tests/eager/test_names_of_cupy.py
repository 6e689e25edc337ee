"""Every name and parameter of CuPy that eager mode and the stand-in use is CuPy's own.

CuPy can be imported where there is no GPU.
"""

import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import cupy_standin
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="CuPy is not installed"
)

ATTRIBUTES = [
    *("ndarray", "get_default_memory_pool", "asarray", "cuda.alloc", "cuda.Device"),
    *("cuda.Device.mem_info", "cuda.memory.OutOfMemoryError", "cuda.runtime.getDeviceCount"),
    *("random.Generator.standard_normal", "random.Generator.random", "random.Philox4x3210"),
]
METHODS = {
    "cuda.MemoryPool.set_limit": "(self, size=None, fraction=None)",
    "cuda.MemoryPool.get_limit": "(self)",
    "cuda.MemoryPool.used_bytes": "(self)",
    "cuda.MemoryPool.free_bytes": "(self)",
    "cuda.MemoryPool.total_bytes": "(self)",
    "ndarray.get": "(self, stream=None, order='C', out=None, blocking=True)",
    "ndarray.copy": "(self, order='C')",
    "ndarray.astype": "(self, dtype, order='K', casting=None, subok=None, copy=True)",
    "ndarray.nonzero": "(self)",
    "ndarray.any": "(self, axis=None, out=None, keepdims=False)",
}


def found(path):
    import cupy  # noqa: PLC0415 - of an extra

    made = cupy
    for name in path.split("."):
        made = getattr(made, name)
    return made


@pytest.mark.parametrize("path", [*ATTRIBUTES, "ndarray.__array_function__", "ndarray.device"])
def test_a_name(path):
    assert found(path) is not None


@pytest.mark.parametrize("path", METHODS)
def test_a_method(path):
    """Methods of Cython classes have their parameters in the first line of the docstring."""
    method = found(path)
    text = (method.__doc__ or "").splitlines()[0]
    if "(" not in text:
        text = str(inspect.signature(method))
    shown = text[text.index("(") : text.rindex(")") + 1].replace("None stream", "stream")
    assert METHODS[path] in shown


@pytest.mark.parametrize("name", cupy_standin.FUNCTIONS)
def test_a_function_has_the_parameters(name):
    ours = inspect.signature(cupy_standin.FUNCTIONS[name]).parameters
    theirs = inspect.signature(found(name)).parameters
    assert list(ours) == list(theirs)
    for k, p in ours.items():
        assert (p.kind, p.default) == (theirs[k].kind, theirs[k].default)


@pytest.mark.parametrize("name", cupy_standin._UFUNCS)
def test_a_ufunc(name):
    theirs = found(name)
    assert callable(theirs)
    if name != "matmul":  # which is of another class
        assert theirs.nin == cupy_standin._UFUNCS[name].function.nin
        assert callable(theirs.reduce)


def test_erf():
    from cupyx.scipy import special  # noqa: PLC0415 - of an extra

    assert "f->f" in special.erf.types


def test_without_a_driver_there_are_no_gpus():
    """It is said why, and how to get one; where there are some they are listed."""
    script = (
        "import sys, symdiff.eager as tfe\n"
        "assert 'cupy' not in sys.modules\n"
        "names = tfe.list_devices()\n"
        "assert 'cupy' in sys.modules\n"
        "try:\n    tfe.device('/gpu:99')\n"
        "except Exception as error:\n    print(type(error).__name__, error, len(names))\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path("src").resolve()), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "DeviceError" in done.stdout
    assert "symdiff-jit[cuda]" in done.stdout or not done.stdout.endswith(" 1\n")
