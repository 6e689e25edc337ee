"""Keys of ``tensor[key]`` in which there are tensors, which are operands like others."""

from __future__ import annotations

from typing import Any

from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = ["item", "template"]


def item(value: Any, *indices: Any, key: Any) -> Any:
    """Index by a key in which numbered places stand for tensors."""
    if any(isinstance(i, TracedArray) for i in indices):
        value = as_traced(value)
    return value[_filled(key, indices)]


class _Place(int):
    """Where in a key a tensor stands."""


def template(key: Any, kind: type, tensors: list[Any]) -> Any:
    """Take the tensors out of a key, whose class is `kind`, and number their places."""
    if isinstance(key, tuple):
        return tuple([template(k, kind, tensors) for k in key])
    if not isinstance(key, kind):
        return key
    if isinstance(key.data, TracedArray) and key.dtype.kind == "b":
        raise UnsupportedOperationError(
            at_user_line(
                "how many elements a mask selects is not known inside a function that is "
                "compiled; use tfe.where"
            )
        )
    tensors.append(key)
    return _Place(len(tensors) - 1)


def _filled(key: Any, indices: tuple[Any, ...]) -> Any:
    if isinstance(key, tuple):
        return tuple([_filled(k, indices) for k in key])
    return indices[key] if type(key) is _Place else key
