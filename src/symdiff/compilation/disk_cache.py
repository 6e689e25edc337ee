"""A directory of what was compiled: entries under keys, for other processes.

An entry is a file that is there as a whole or not at all, with a digest of its key and content.
What is cut off, altered, or of another name is as good as absent. Only files and directories that
belong to the user, and that nobody else can write to, are read or written: their content is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from symdiff.config import config, default_cache_dir
from symdiff.errors import CacheError, at_user_line

__all__ = ["DiskCache", "Entry", "open_cache"]

_MAGIC = b"symdiff kernel 1\n"
_DIGEST_BYTES = 32
_SUFFIX = ".kernel"
_PART = ".part"
"""Ends the name of what is being written, and of what a process that was killed has left."""
_SCANS = 16
"""A directory is looked through again after this part of its limit has been written."""
_KEPT = 0.75
"""What part of the limit is left when entries have to go, so that it is not the next one's turn."""


class Entry(NamedTuple):
    """A file of the cache."""

    name: str
    n_bytes: int
    used: float


@dataclass
class DiskCache:
    """A directory of entries.

    Nothing that is wrong with the directory or with a file in it keeps a kernel from being
    compiled: `load` gives None then, and `save` does nothing.

    Attributes
    ----------
    path : str
        The directory, which is made at the first `save`.
    limit : int
        How many bytes its entries may take together.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as path:
    ...     cache = DiskCache(path, limit=1000)
    ...     cache.save("0123abcd", b"machine code")
    ...     cache.load("0123abcd"), cache.load("ffff")
    (b'machine code', None)
    """

    path: str
    limit: int
    _unscanned: int | None = field(default=None, init=False, repr=False)

    def load(self, key: str) -> bytes | None:
        """Give what was saved under a key; None where that is absent, broken or not trusted."""
        try:
            with self._directory() as directory:
                return _content(_read(key + _SUFFIX, directory), key)
        except OSError:
            return None

    def save(self, key: str, content: bytes) -> None:
        """Keep something under a key, in place of what was there, if that can be."""
        data = b"".join((_MAGIC, _digest(key, content), content))
        if len(data) > self.limit:
            return
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            with self._directory() as directory:
                _write(key + _SUFFIX, data, directory)
                self._make_room(len(data), directory)
        except OSError:  # read-only, full, or gone: the next process compiles again
            return

    def entries(self) -> list[Entry]:
        """List what is there."""
        try:
            with self._directory() as directory:
                return [e for e in _files(directory) if e.name.endswith(_SUFFIX)]
        except OSError:
            return []

    def clear(self) -> int:
        """Remove all entries, and what writers that were killed have left; count the entries.

        Raises
        ------
        CacheError
            An entry cannot be removed.
        """
        count = 0
        try:
            with self._directory() as directory:
                for file in _files(directory):
                    with contextlib.suppress(FileNotFoundError):  # another process was faster
                        os.unlink(file.name, dir_fd=directory)
                    count += file.name.endswith(_SUFFIX)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise CacheError(f"cannot clear {self.path}: {error.strerror or error}") from error
        return count

    def distrust(self) -> str | None:
        """Say why the directory is not used, if it is not; one that is absent will be made."""
        try:
            with self._directory(complain=False):
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            return error.strerror or str(error)

    @contextlib.contextmanager
    def _directory(self, *, complain: bool = True) -> Iterator[int]:
        """Open the directory, which has to be the user's own."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            reason = _distrust(os.fstat(descriptor))
            if reason is not None:
                if complain:
                    _warn_once(self.path, reason)
                raise PermissionError(0, f"it {reason}")
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_room(self, n_bytes: int, directory: int) -> None:
        """Remove what was used longest ago, when there is too much."""
        if self._unscanned is not None:
            self._unscanned += n_bytes
            if self._unscanned < self.limit // _SCANS:
                return
        self._unscanned = 0
        files = sorted(_files(directory), key=lambda e: e.used)
        total = sum(e.n_bytes for e in files)
        if total <= self.limit:
            return
        for file in files[:-1]:  # the last one is the one that was just written
            if total <= self.limit * _KEPT:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=directory)
            total -= file.n_bytes


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=key.encode()[:64]).digest()


def _content(data: bytes, key: str) -> bytes | None:
    """Take an entry apart; None unless it is whole and of this key."""
    start = len(_MAGIC) + _DIGEST_BYTES
    content = data[start:]
    is_ours = data.startswith(_MAGIC) and data[len(_MAGIC) : start] == _digest(key, content)
    return content if is_ours else None


def _read(name: str, directory: int) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, flags, dir_fd=directory), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or _distrust(found) is not None:
            raise PermissionError(0, "not a file of the user's own")
        with contextlib.suppress(OSError):
            os.utime(file.fileno())  # it was used now
        return file.read()


def _write(name: str, data: bytes, directory: int) -> None:
    temporary = f"{secrets.token_hex(8)}{_PART}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as file:
        try:
            file.write(data)
            file.flush()
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise


def _files(directory: int) -> Iterator[Entry]:
    with os.scandir(directory) as files:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                found = file.stat(follow_symlinks=False)
                if file.name.endswith((_SUFFIX, _PART)):
                    yield Entry(file.name, found.st_size, found.st_mtime)


def _distrust(found: os.stat_result) -> str | None:
    """Say why something's content could be another's, if it could."""
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written to by other users"
    return None


_warned: set[str] = set()


def _warn_once(path: str, reason: str) -> None:
    if path in _warned:
        return
    _warned.add(path)
    warnings.warn(
        at_user_line(
            f"the directory of compiled kernels {path} {reason}: not used, since its content is "
            f"run. Make it yours alone (chmod go-w {path}), or set sd.config.cache_dir or "
            "SYMDIFF_CACHE_DIR to another directory"
        ),
        RuntimeWarning,
        stacklevel=2,
    )


_opened: list[DiskCache] = []


def open_cache() -> DiskCache | None:
    """Give the cache that `sd.config` says.

    Raises
    ------
    CacheError
        `sd.config.cache_dir` was set to something that is no directory.
    """
    path = config.cache_dir
    if not path or config.cache_size <= 0:
        return None
    path = os.path.abspath(os.path.expanduser(path))
    if not _opened or (_opened[0].path, _opened[0].limit) != (path, config.cache_size):
        if os.path.exists(path) and not os.path.isdir(path):
            if path == default_cache_dir():
                return None
            raise CacheError(
                at_user_line(
                    f"sd.config.cache_dir = {config.cache_dir!r} is not a directory; set it, or "
                    "SYMDIFF_CACHE_DIR, to a directory, or to None to keep no kernels"
                )
            )
        _opened[:] = [DiskCache(path, config.cache_size)]
    return _opened[0]
