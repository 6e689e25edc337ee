"""Progress on standard error: by tqdm where that is installed, else a line on a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from symdiff.config import config

__all__ = ["Bar", "progress_bar"]

REFRESH = 0.1
"""Seconds between two lines."""


class Bar(Protocol):
    """What shows progress."""

    def show(self, step: int, loss: float) -> None:
        """Show how many steps are done, and a loss."""
        ...

    def close(self) -> None:
        """Show nothing more."""
        ...


def progress_bar(is_wanted: bool, total: int, first: int) -> Bar:
    """Choose a bar; none where nobody is looking."""
    if not is_wanted or not config.progress:
        return _Nothing()
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 - an extra
    except ImportError:
        return _Line(total, first) if sys.stderr.isatty() else _Nothing()
    if not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        return _Nothing()
    return _Tqdm(tqdm(total=total, initial=first, unit="step", unit_scale=True, leave=False))


class _Nothing:
    def show(self, step: int, loss: float) -> None:
        pass

    def close(self) -> None:
        pass


class _Tqdm:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def show(self, step: int, loss: float) -> None:
        self._bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Line:
    """One line, written over."""

    def __init__(self, total: int, first: int) -> None:
        self._total, self._first = total, first
        self._began = self._last = time.perf_counter()

    def show(self, step: int, loss: float) -> None:
        now = time.perf_counter()
        if now - self._last < REFRESH:
            return
        self._last = now
        speed = (step - self._first) / (now - self._began)
        share = 100 * step / self._total
        line = f"{share:3.0f} %  step {step}/{self._total}  {speed:.0f} steps/s  loss {loss:.4g}"
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
