"""Hand-written C, compiled by the machine's compiler when its turn comes: what can be reached."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from contest import Skip

FOLDER = Path(__file__).parent / "limits"
FLAGS = ["-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"]


def build(source, **macros):
    """Compile a file of `limits` and load it; macros are sizes that are to be constants."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Skip("there is no C compiler (neither CC nor gcc nor cc)")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "limit.so"
        command = [compiler, *FLAGS, *(f"-D{name}={value}" for name, value in macros.items())]
        command += ["-shared", "-fPIC", str(FOLDER / source), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise RuntimeError(f"{compiler} cannot compile {source}: {done.stderr.strip()}")
        return ctypes.CDLL(str(library))


def aligned(shape, dtype=float):
    """An array of zeros that begins at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size].view(dtype).reshape(shape)


def pointer(array):
    """The address of a contiguous array, which the caller keeps alive."""
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)
