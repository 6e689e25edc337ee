"""Tests keep compiled kernels in a directory of their own, and so do processes that they start."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

_made = tempfile.mkdtemp(prefix="symdiff-tests-")
os.environ["SYMDIFF_CACHE_DIR"] = _made  # before symdiff is imported, which reads it


@pytest.fixture(scope="session", autouse=True)
def _kernels_of_these_tests() -> Iterator[None]:
    yield
    shutil.rmtree(_made, ignore_errors=True)
