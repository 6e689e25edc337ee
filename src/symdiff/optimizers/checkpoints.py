"""Checkpoints: what a training goes on from, as plain arrays in a file that is whole or not there.

A file is a NumPy archive without pickled objects. It is written aside, flushed and renamed, so that
whoever is interrupted while writing leaves the one before. Writing is done by a thread of its own
while training goes on; what it has not begun when something newer comes is dropped.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.errors import CacheError

__all__ = ["Writer", "check_writable", "read", "write"]

FORMAT = 1
_HEADER = "header"


def write(path: Path, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a checkpoint, in whole or not at all.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    text = json.dumps({"symdiff checkpoint": FORMAT, **header})
    content = {_HEADER: np.frombuffer(text.encode(), np.uint8), **arrays}
    aside = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", suffix=".tmp", delete=False
        ) as file:
            aside = file.name
            np.savez(file, **content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        aside = None
    except OSError as error:
        raise CacheError(f"the checkpoint {path} cannot be written: {error}") from error
    finally:
        if aside is not None and os.path.exists(aside):
            os.unlink(aside)


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a checkpoint.

    Raises
    ------
    CacheError
        There is no such file, or it is no checkpoint of ours.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        header = json.loads(bytes(arrays.pop(_HEADER)).decode())
        if header.pop("symdiff checkpoint") != FORMAT:
            raise CacheError(f"{path} was written by another version of symdiff: start anew")
    except FileNotFoundError:
        raise CacheError(
            f"checkpoint {str(path)!r}: there is no such file; without one (in sd.train, without "
            "resume) a training starts anew"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, CacheError):
            raise
        raise CacheError(f"{path} is no checkpoint of symdiff, or is damaged: {error}") from error
    return header, arrays


def check_writable(path: Path) -> None:
    """Refuse a place for checkpoints before the work, not after it.

    Raises
    ------
    CacheError
        It is a directory, or in one that does not exist or cannot be written to.
    """
    parent = path.parent
    if path.is_dir() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise CacheError(
            f"checkpoint={str(path)!r} cannot be written: it must be a file in a directory that "
            "exists and can be written to"
        )


class Writer:
    """Writes checkpoints in a thread, the newest of those that wait.

    One that cannot be written is told by a `RuntimeWarning`: a full disk must not end a training.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = threading.Condition()
        self._waiting: tuple[Mapping[str, Any], Mapping[str, np.ndarray]] | None = None
        self._is_closed = False
        self._error: CacheError | None = None
        self._thread: threading.Thread | None = None

    def put(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Hand over what is to be written; nobody may change the arrays afterwards."""
        self._warn()
        with self._changed:
            self._waiting = header, arrays
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Wait until all is written."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._warn()

    def _warn(self) -> None:
        with self._changed:
            error, self._error = self._error, None
        if error is not None:
            warnings.warn(str(error), RuntimeWarning, stacklevel=3)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._is_closed:
                    self._changed.wait()
                if self._waiting is None:
                    return
                waiting, self._waiting = self._waiting, None
            try:
                write(self.path, *waiting)
            except CacheError as error:
                with self._changed:
                    self._error = error
