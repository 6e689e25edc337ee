"""What hears of operations, and values that are computed only when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["LISTENERS", "Later", "outside_recordings"]


class _Listeners(threading.local):
    """What hears of operations in this thread: tapes, and the function that is traced."""

    def __init__(self) -> None:
        self.tapes: list[Any] = []
        self.recordings: list[Any] = []


LISTENERS = _Listeners()


class Later:
    """A value that is computed when it is asked for, with all that it needs, and then kept."""

    __slots__ = ("function", "parts", "static", "value")

    def __init__(
        self, function: Callable[..., Any], parts: tuple[Any, ...], static: dict[str, Any]
    ) -> None:
        self.function: Callable[..., Any] | None = function
        self.parts = parts
        self.static = static
        self.value: Any = None

    def get(self) -> Any:
        """Compute it, without recursion."""
        pending = [self]
        while pending:
            last = pending[-1]
            missing = [p for p in last.parts if isinstance(p, Later) and p.function is not None]
            if missing:
                pending += missing
                continue
            pending.pop()
            if last.function is not None:
                values = [p.value if isinstance(p, Later) else p for p in last.parts]
                last.value = last.function(*values, **last.static)
                last.function, last.parts = None, ()
        return self.value


@contextmanager
def outside_recordings() -> Iterator[None]:
    """Compute values that are no part of what is traced around: first values of variables."""
    recordings, LISTENERS.recordings = LISTENERS.recordings, []
    try:
        yield
    finally:
        LISTENERS.recordings = recordings
