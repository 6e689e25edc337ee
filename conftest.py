"""Tests keep compiled kernels in a directory of their own, and so do processes that they start."""

import os
import shutil
import tempfile

import pytest

_made = tempfile.mkdtemp(prefix="symdiff-tests-")
os.environ["SYMDIFF_CACHE_DIR"] = _made  # before symdiff is imported, which reads it


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the directory."""
    shutil.rmtree(_made, ignore_errors=True)
