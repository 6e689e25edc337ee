"""Between tensors and arrays, for operations that are functions of tensors themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.eager.devices import CPU, home_of, move
from symdiff.eager.tensor import Tensor, TracedTensor, wrap

__all__ = ["unwrap", "wrap_at_home"]


def wrap_at_home(value: Any) -> Tensor:
    """Make a tensor of an operand of `perform`, wherever that lies."""
    return wrap(value, home_of(value))


def unwrap(made: Tensor, operands: Sequence[Any]) -> Any:
    """Give what a tensor holds as the result of an operation on arrays, which lie somewhere."""
    if isinstance(made, TracedTensor):
        return made.data
    home = home_of(operands[0]) if operands else CPU
    return move(made.data, made.place, home, is_asked=True)
