"""What a tape has noted, as one function of its sources that is differentiated and compiled.

Replays with the same operations share a kernel, so a training step that writes its tape anew each
time compiles once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.eager.differentiated import Differentiated
from symdiff.eager.homes import unwrap, wrap_at_home
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.operations import zeros_like
from symdiff.eager.paths import Call
from symdiff.eager.tensor import Tensor, perform, traced_tensor
from symdiff.tracing.tracer import TracedArray
from symdiff.trees import Tree

__all__ = ["Noted", "Replay"]

MAX_KNOWN = 256
"""Of so many sequences of operations the kernels are kept."""


class Noted(NamedTuple):
    """An operation that a tape has heard of."""

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    static: dict[str, Any]
    result: Tensor


class _Plan(NamedTuple):
    """Operations, each with where its operands come from; what to give, and what is nudged."""

    steps: tuple[tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]], ...]
    outputs: tuple[Any, ...]
    nudges: tuple[tuple[int, int], ...]

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Do all operations again."""
        made: list[Tensor] = []
        nudges = dict(self.nudges)
        for n, (function, static, refs) in enumerate(self.steps):
            result = perform(function, *[_get(r, inputs, made) for r in refs], **dict(static))
            made.append(result + inputs[nudges[n]] if n in nudges else result)
        return tuple([_get(r, inputs, made) for r in self.outputs])


class Replay:
    """The part of a tape that leads from sources to targets, as a function."""

    def __init__(
        self,
        noted: Sequence[Noted],
        active: dict[int, Tensor],
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
    ) -> None:
        self.inputs: list[Tensor] = []
        self._places: dict[int, int] = {}
        results = {id(e.result): n for n, e in enumerate(noted)}
        self.steps = _needed(noted, targets, results)
        self._numbers = {n: k for k, n in enumerate(self.steps)}
        self._results = {i: self._numbers[n] for i, n in results.items() if n in self._numbers}
        self.nudges: dict[int, int] = {}
        self.wrt: list[int | None] = []
        for x in sources:
            self.wrt.append(self._source(x, is_active=id(x) in active))
        steps = [
            (e.function, tuple(sorted(e.static.items())), tuple([self._ref(x) for x in e.operands]))
            for e in (noted[n] for n in self.steps)
        ]
        outputs = tuple([self._ref(t) for t in targets])
        self.plan = _Plan(tuple(steps), outputs, tuple(sorted(self.nudges.items())))

    def _source(self, x: Tensor, *, is_active: bool) -> int | None:
        """Give the input to differentiate by: for what was computed, a zero that is added to it."""
        if not is_active:
            return None
        if id(x) not in self._results:
            return self._input(x)
        step = self._results[id(x)]
        if step not in self.nudges:
            self.nudges[step] = len(self.inputs)
            self.inputs.append(zeros_like(x))
        return self.nudges[step]

    def _input(self, x: Tensor) -> int:
        if id(x) not in self._places:
            self._places[id(x)] = len(self.inputs)
            self.inputs.append(x)
        return self._places[id(x)]

    def _ref(self, x: Any) -> tuple[str, Any]:
        if not isinstance(x, Tensor):
            return "number", x
        step = self._results.get(id(x))
        return ("input", self._input(x)) if step is None else ("step", step)

    def gradients(self, weights: Sequence[Tensor] | None) -> list[Any]:
        """Differentiate, by a kernel that was made before where there is one."""
        differentiated = _known_for(self.plan)
        wrt = tuple([n for n in self.wrt if n is not None])
        call = _call(self.inputs, wrt, weights)
        tapes, LISTENERS.tapes = LISTENERS.tapes, []
        try:
            _, _, gradients = differentiated(call)
        finally:
            LISTENERS.tapes = tapes
        for tape in tapes:  # the gradient is an operation for tapes around
            for n, g in enumerate(gradients):
                if g is not None:
                    again = _Again(differentiated, len(self.inputs), wrt, n)
                    tape.record(again, [*self.inputs, *(weights or ())], {}, g)
        found = iter(gradients)
        return [None if n is None else next(found) for n in self.wrt]


class _Again(NamedTuple):
    """One of the gradients, as an operation on arrays."""

    differentiated: Differentiated
    n_inputs: int
    wrt: tuple[int, ...]
    n: int

    def __call__(self, *values: Any) -> Any:
        tensors = [
            traced_tensor(v, np.nan) if isinstance(v, TracedArray) else wrap_at_home(v)
            for v in values
        ]
        weights = tensors[self.n_inputs :] or None
        _, _, gradients = self.differentiated(_call(tensors[: self.n_inputs], self.wrt, weights))
        return unwrap(gradients[self.n], values)


def _call(inputs: Sequence[Tensor], wrt: tuple[int, ...], weights: Any) -> Call:
    tree = Tree(tuple, (), (Tree(tuple, (), (Tree(None),) * len(inputs)), Tree(dict)))
    return Call(tree, list(inputs), wrt, weights and tuple(weights), wants_value=False)


def _get(ref: tuple[str, Any], inputs: Sequence[Tensor], made: Sequence[Tensor]) -> Any:
    kind, x = ref
    return x if kind == "number" else inputs[x] if kind == "input" else made[x]


def _needed(
    noted: Sequence[Noted], targets: Sequence[Tensor], results: dict[int, int]
) -> list[int]:
    """Give the operations that lead to the targets, in order."""
    pending = [results[id(t)] for t in targets if id(t) in results]
    found: set[int] = set()
    while pending:
        n = pending.pop()
        if n not in found:
            found.add(n)
            operands = noted[n].operands
            pending += [results[id(x)] for x in operands if id(x) in results]
    return sorted(found)


_known: dict[Any, Differentiated] = {}


def _known_for(plan: _Plan) -> Differentiated:
    key = _hashable(plan)
    try:
        found = _known.get(key)
    except TypeError:  # an index is an array
        return Differentiated(plan.run)
    if found is None:
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        found = _known[key] = Differentiated(plan.run)
    return found


def _hashable(x: Any) -> Any:
    """Put something in for slices, which cannot be looked up before Python 3.12."""
    if isinstance(x, slice):
        return "slice", x.start, x.stop, x.step
    return tuple([_hashable(v) for v in x]) if isinstance(x, tuple) else x
