"""Accounts of a device's memory: what tensors hold, and what is kept for those to come."""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple

import numpy as np

from symdiff.errors import at_user_line

__all__ = ["MemoryInfo", "Pool"]


class MemoryInfo(NamedTuple):
    """Bytes of a device's memory.

    Examples
    --------
    >>> info = MemoryInfo(used=400, pooled=100, total=1000)
    >>> info.total - info.used
    600
    """

    used: int
    pooled: int
    total: int


class Pool:
    """Takes memory from a device as it is needed, and keeps what arrays let go.

    Parameters
    ----------
    name : str
        Whose memory it is, for messages.
    total : int
        Bytes.

    Examples
    --------
    >>> pool = Pool("/gpu:0", 1000)
    >>> x = pool.hold(np.zeros(10), 1000)
    >>> pool.info()
    MemoryInfo(used=80, pooled=0, total=1000)
    >>> del x
    >>> pool.info()
    MemoryInfo(used=0, pooled=80, total=1000)
    """

    def __init__(self, name: str, total: int) -> None:
        self.name = name
        self.total = total
        self._used = 0
        self._taken = 0
        self._owners: set[int] = set()
        self._lock = threading.RLock()  # a finalizer may run while this thread holds it

    def take(self, count: int) -> None:
        """Take so many bytes from the device at once."""
        with self._lock:
            self._taken = max(self._taken, count)

    def hold(self, value: Any, limit: int) -> np.ndarray:
        """Count an array's memory until nobody refers to it; views count once.

        Raises
        ------
        MemoryError
            More than `limit` bytes would be used.
        """
        array = np.asarray(value)
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        with self._lock:
            if id(owner) in self._owners:
                return array
            if self._used + owner.nbytes > limit:
                raise MemoryError(
                    at_user_line(
                        f"{self.name}: {owner.nbytes} bytes are wanted, {limit} are allowed, of "
                        f"which {self._used} are used"
                    )
                )
            self._used += owner.nbytes
            self._taken = max(self._taken, self._used)
            self._owners.add(id(owner))
            weakref.finalize(owner, self._release, id(owner), owner.nbytes).atexit = False
        return array

    def _release(self, owner: int, count: int) -> None:
        with self._lock:
            self._owners.discard(owner)
            self._used -= count

    def info(self) -> MemoryInfo:
        """Say what is used, kept for later, and there in total."""
        with self._lock:
            return MemoryInfo(self._used, self._taken - self._used, self.total)
