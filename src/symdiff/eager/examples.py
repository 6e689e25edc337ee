"""Docstrings of functions that are made from tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["with_example"]

F = TypeVar("F", bound=Callable[..., Any])


def with_example(function: F, name: str, text: str, example: str) -> F:
    """Name a function, and write its docstring, with an example ``arguments -> result``.

    Examples
    --------
    >>> doubled = with_example(lambda x: 2 * x, "double", "Double.", "2 -> np.int32(4)")
    >>> doubled.__name__, doubled.__doc__.split()[-1]
    ('double', 'np.int32(4)')
    """
    given, shown = example.split(" -> ")
    lines = [text, "", "Examples", "--------", ">>> import symdiff.eager as tfe"]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = "\n    ".join([*lines, f">>> tfe.{name}({given}).numpy()", shown, ""])
    return function
