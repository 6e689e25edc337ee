"""Lists that a loop appends to: what is appended is stacked, so long as no step looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from symdiff.errors import at_user_line
from symdiff.tracing.bodies import (
    CannotKeep,
    current_value,
    is_array,
    is_number,
)
from symdiff.tracing.tracer import TracedArray
from symdiff.trees import flatten, unflatten

__all__ = ["Growing", "elements", "extended", "plain", "without_appended"]


class Growing(list[Any]):
    """A list as the body of a loop sees it; it remembers when its end was looked at."""

    def __init__(self, items: Iterable[Any], around: Growing | None = None) -> None:
        super().__init__(items)
        self.around = around
        self.n_known = len(elements(self))
        self.is_seen = False

    def see(self) -> None:
        """Remember that the step depends on how long the list is, or on what is at its end."""
        self.is_seen = True
        if self.around is not None:
            self.around.see()

    def _is_known(self, key: Any) -> bool:
        return isinstance(key, int) and 0 <= key < self.n_known

    def __getitem__(self, key: Any) -> Any:
        if not self._is_known(key):
            self.see()
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self._is_known(key):
            self.see()
        super().__setitem__(key, value)

    def __iter__(self) -> Iterator[Any]:
        self.see()
        return super().__iter__()


def _seeing(name: str) -> Callable[..., Any]:
    plain = getattr(list, name)

    def method(self: Growing, *args: Any, **kwargs: Any) -> Any:
        self.see()
        return plain(self, *args, **kwargs)

    return method


for _name in [
    *["__len__", "__contains__", "__reversed__", "__add__", "__iadd__", "__mul__", "__rmul__"],
    *["__imul__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__delitem__"],
    *["clear", "copy", "count", "index", "insert", "pop", "remove", "reverse", "sort", "__repr__"],
]:
    setattr(Growing, _name, _seeing(_name))


def elements(items: list[Any]) -> list[Any]:
    """Give a plain list of the elements, without looking."""
    return list.__getitem__(items, slice(None))


def plain(state: Any) -> tuple[Any, list[Growing | None]]:
    """Give a state with plain lists, and those that it had in their places."""
    if not isinstance(state, tuple):
        return state, []
    around = [x if isinstance(x, Growing) else None for x in state]
    return tuple([elements(x) if isinstance(x, Growing) else x for x in state]), around


def without_appended(
    body: Callable[[Any, Any], Any],
    i: Any,
    state: Any,
    around: Sequence[Growing | None],
    names: Sequence[str],
    *,
    is_open: bool,
) -> tuple[Any, dict[int, list[Any]] | None]:
    """Do a step of a loop; give apart what it appends to lists.

    Raises
    ------
    CannotKeep
        What is appended cannot be stacked.
    """
    if not isinstance(state, tuple):
        return body(i, state), None
    entries = [
        Growing(x, outer) if type(x) is list else x for x, outer in zip(state, around, strict=True)
    ]
    after = body(i, tuple(entries))
    if not isinstance(after, tuple) or len(after) != len(entries):
        return after, None
    result = [elements(x) if isinstance(x, Growing) else x for x in after]
    rows: dict[int, list[Any]] = {}
    for n, (given, new) in enumerate(zip(entries, after, strict=True)):
        if not isinstance(given, Growing) or new is not given:
            continue
        items = elements(given)
        if len(items) <= given.n_known:
            continue
        if is_open:
            message = f"{names[n]} grows in a loop of which nobody knows the length"
            raise CannotKeep(at_user_line(f"{message}. Write into an array that is long enough"))
        if given.is_seen:
            message = f"{names[n]} grows in a loop whose steps look at what is in it"
            raise CannotKeep(at_user_line(f"{message}. Keep what they need in a variable"))
        result[n], rows[n] = items[: given.n_known], items[given.n_known :]
        _check(rows[n], (state, tuple(result)), names[n])
    return tuple(result), rows or None


def _check(rows: list[Any], states: tuple[Any, Any], name: str) -> None:
    """Refuse to stack arrays that a step writes to: the list would see it."""
    before, after = [[current_value(x) for x in flatten(state)[0]] for state in states]
    is_written = any(isinstance(x, TracedArray) and x.buffer.version for x in before)
    kept = [x.buffer for x in [*before, *after] if isinstance(x, TracedArray)]
    for x in flatten(rows)[0]:
        now = current_value(x)
        if not (is_array(x) or is_number(x)):
            raise CannotKeep(at_user_line(f"{name} gets {x!r}, which is no number and no array"))
        if not (isinstance(now, TracedArray) and now.ndim and is_written):
            continue
        if any(now.buffer is b for b in kept):
            raise CannotKeep(
                at_user_line(
                    f"{name} gets an array that the loop writes to. Append a copy, or make a new "
                    "array in each step"
                )
            )


def extended(state: Any, rows: dict[int, list[Any]]) -> Any:
    """Append what the steps of a loop have stacked, step by step."""
    entries = list(state)
    for n, items in rows.items():
        leaves, tree = flatten(items)
        made = list(entries[n])
        for k in range(int(leaves[0].shape[0])):
            made += unflatten(tree, [x[k] for x in leaves])
        entries[n] = made
    return tuple(entries)
