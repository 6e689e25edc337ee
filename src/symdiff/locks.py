"""Locks of a process that may be forked.

Of a process's threads, a child has only the one that forked. A lock that another one held at that
moment would be held in the child for ever.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

__all__ = ["LocalLock", "global_lock"]


def global_lock() -> Any:
    """Make a lock for the life of the process, which nobody else holds when it is forked.

    Fit for short stretches that end without waiting for other locks: a fork waits for them.

    Examples
    --------
    >>> with global_lock():
    ...     pass
    """
    lock = threading.RLock()
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
    return lock


class LocalLock:
    """A lock of which a child has its own: for long stretches that leave nothing half done.

    Examples
    --------
    >>> lock = LocalLock()
    >>> with lock, lock:
    ...     pass
    """

    __slots__ = ("_by_process",)

    def __init__(self) -> None:
        self._by_process: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._by_process.setdefault(os.getpid(), threading.RLock()).acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lock = self._by_process.get(os.getpid())
        if lock is not None:  # None in a child that was forked within the stretch
            lock.release()
