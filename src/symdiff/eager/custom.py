"""`custom_gradient`: a function that brings its own gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symdiff.eager.homes import unwrap, wrap_at_home
from symdiff.eager.recording import Recording
from symdiff.eager.tensor import (
    Tensor,
    TracedTensor,
    as_tensor,
    perform,
    traced_tensor,
)
from symdiff.errors import at_user_line
from symdiff.program.blocks import Block
from symdiff.tracing.pointwise import stop_gradient
from symdiff.tracing.rules import TracedRule, apply_block
from symdiff.tracing.trace import function_name
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = ["custom_gradient"]


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Tensor]:
    """Let a function say how its result's gradient goes back to its arguments.

    Parameters
    ----------
    f : callable
        Takes tensors; gives ``(result, grad)``, one tensor and a function from the gradient by the
        result to that by each argument: one tensor, or a tuple. Both use the arguments of `f` and
        constants only.

    Raises
    ------
    ValueError
        `grad` gives another number of gradients than there are arguments.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> @tfe.custom_gradient
    ... def clipped(x):
    ...     return tfe.minimum(x, 1.0), lambda dy: dy
    >>> float(tfe.gradients_function(clipped)(5.0)[0])
    1.0
    """
    own = _Own(f)

    def call(*args: Any) -> Tensor:
        return perform(own.apply, *[as_tensor(x) for x in args])

    call.__name__, call.__doc__ = function_name(f), f.__doc__
    return call


class _Own:
    """A function and its rule on arrays, traced or not."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.name = function_name(f)

    def run(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Callable[..., Any]]:
        """Call the function, and check what it gives."""
        made = self.f(*tensors)
        if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
            raise ValueError(at_user_line(f"{self.name} has to return (result, grad)"))
        return as_tensor(made[0]), made[1]

    def apply(self, *values: Any) -> Any:
        """Compute the result; in a trace, with the rule."""
        if not any(isinstance(v, TracedArray) for v in values):
            return unwrap(self.run([wrap_at_home(v) for v in values])[0], values)
        operands = [as_traced(v) for v in values]
        with Recording(refuses_variables=True):
            result, _ = self.run([traced_tensor(v, None) for v in operands])
        raw = stop_gradient(as_traced(result.data))
        back = {k + 1: self._back(k) for k in range(len(operands))}
        rule = TracedRule(lambda _block, raw, *_rest: raw, None, back)
        ranks = (raw.ndim, *[x.ndim for x in operands])
        block = Block(f"{self.name}_own", ranks, raw.ndim, (self,), rule)
        return apply_block(block, [raw, *operands], raw.shape_, raw.dtype_)

    def _back(self, k: int) -> Callable[..., Any]:
        def transpose(_block: Any, operands: Sequence[Any], cotangent: Any) -> Any:
            with Recording(refuses_variables=True):
                tensors = [traced_tensor(x, None) for x in operands[1:]]
                _, grad = self.run(tensors)
                found = grad(traced_tensor(cotangent, None))
                gradients = found if isinstance(found, (tuple, list)) else (found,)
                if len(gradients) != len(tensors):
                    raise ValueError(
                        at_user_line(
                            f"the gradient of {self.name} gives {len(gradients)} gradients for "
                            f"{len(tensors)} arguments"
                        )
                    )
                return _shaped(as_tensor(gradients[k]), tensors[k])

        return transpose


def _shaped(gradient: Tensor, like: TracedTensor) -> Any:
    zero: Any = like * 0.0
    return (gradient + zero).data
