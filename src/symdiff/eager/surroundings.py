"""What a function refers to besides its arguments: when that is another, so is the function."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

__all__ = ["surroundings"]


def surroundings(f: Callable[..., Any]) -> tuple[Callable[[], Any], ...]:
    """Say what a function refers to, cell by cell and global by global, to be looked at again."""
    if not isinstance(f, FunctionType):
        return ()
    found = [(n, f.__globals__[n]) for n in f.__code__.co_names if n in f.__globals__]
    names = [n for n, x in found if not isinstance(x, (ModuleType, type))]
    looks: list[Callable[[], Any]] = [lambda n=n: f.__globals__.get(n) for n in names]
    return (*looks, *[lambda c=c: _contents(c) for c in f.__closure__ or ()])


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
