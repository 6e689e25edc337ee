"""Python's search for garbage, put off while something large is built."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from symdiff.locks import global_lock

__all__ = ["collection_paused"]

_lock = global_lock()
_paused = 0
_was_enabled = False


@contextmanager
def collection_paused() -> Iterator[None]:
    """Leave out the search for cycles of garbage, in all threads, while this lasts.

    A Program is a great many small tuples, all of them in use: looking through them again and again
    as they become more takes as long as making them.

    Examples
    --------
    >>> with collection_paused():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    global _paused, _was_enabled  # noqa: PLW0603 - there is one collector
    with _lock:
        if not _paused:
            _was_enabled = gc.isenabled()
            gc.disable()
        _paused += 1
    try:
        yield
    finally:
        with _lock:
            _paused = max(_paused - 1, 0)
            if not _paused and _was_enabled:
                gc.enable()


def _begin_anew() -> None:
    """Forget the threads that a forked process does not have."""
    global _paused  # noqa: PLW0603 - as above
    if _paused:
        _paused = 0
        if _was_enabled:
            gc.enable()


os.register_at_fork(after_in_child=_begin_anew)
