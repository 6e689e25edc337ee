"""Settings from the environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import symdiff


def settings(wanted=None, **environment):
    known = {k: v for k, v in os.environ.items() if not k.startswith(("SYMDIFF", "XDG"))}
    env = {**known, "PYTHONPATH": str(Path(symdiff.__file__).parents[1]), **environment}
    shown = "[c.cache_dir, c.cache_size]" if wanted is None else f"c.{wanted}"
    code = f"from symdiff.config import config as c; print({shown})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/me"}, "['/home/me/.cache/symdiff', 1073741824]"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "/var/c"}, "['/var/c/symdiff', 1073741824]"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "c"}, "['/home/me/.cache/symdiff', 1073741824]"),
        ({"SYMDIFF_CACHE_DIR": "/there", "XDG_CACHE_HOME": "/var/c"}, "['/there', 1073741824]"),
        ({"SYMDIFF_CACHE_DIR": ""}, "[None, 1073741824]"),
        ({"SYMDIFF_CACHE_DIR": "/there", "SYMDIFF_CACHE_SIZE": "5000"}, "['/there', 5000]"),
    ],
)
def test_where_kernels_are_kept(environment, expected):
    assert settings(**environment) == expected


def test_how_much_memory_of_results_is_kept():
    assert settings("result_memory") == str(64 << 20)
    assert settings("result_memory", SYMDIFF_RESULT_MEMORY="5000") == "5000"
    with pytest.raises(
        ValueError, match="result_memory is -1; allowed are numbers of bytes from 0"
    ):
        symdiff.config.result_memory = -1
