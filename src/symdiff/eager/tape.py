"""`GradientTape`: operations are noted as they run, and replayed as one function to differentiate.

Replays with the same operations share a kernel, so a training step that writes its tape anew each
time compiles once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from symdiff.eager.devices import BUSY
from symdiff.eager.differentiated import Call, Differentiated
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.operations import zeros_like
from symdiff.eager.structures import flatten, unflatten
from symdiff.eager.tensor import Tensor, as_tensor, perform, traced_tensor, wrap
from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.tracing.tracer import TracedArray
from symdiff.trees import Tree

__all__ = ["GradientTape"]

MAX_KNOWN = 256
"""Of so many sequences of operations the kernels are kept."""


class _Noted(NamedTuple):
    function: Callable[..., Any]
    operands: tuple[Any, ...]
    static: dict[str, Any]
    result: Tensor


class GradientTape:
    """Notes what is computed from watched tensors, to differentiate it afterwards.

    Parameters
    ----------
    persistent : bool
        Whether `gradient` may be called more than once.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.constant(3.0)
    >>> with tfe.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> tape.gradient(y, x).numpy()
    np.float32(6.0)
    """

    def __init__(self, persistent: bool = False) -> None:
        self.persistent = persistent
        self._is_used = False
        self.reset()

    def __enter__(self) -> Self:
        LISTENERS.tapes.append(self)
        BUSY.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Note nothing more."""
        if self in LISTENERS.tapes:
            LISTENERS.tapes.remove(self)
            BUSY.remove(self)

    stop_recording = stop

    def reset(self) -> None:
        """Forget everything that was watched and noted."""
        self._noted: list[_Noted] = []
        self._active: dict[int, Tensor] = {}
        self._variables: dict[int, tuple[Any, list[Tensor]]] = {}

    def watch(self, values: Any) -> None:
        """Note what is computed from these tensors from now on."""
        for x in flatten(values)[0]:
            tensor = as_tensor(x)
            self._active[id(tensor)] = tensor

    def watched_variables(self) -> tuple[Any, ...]:
        """Give the trainable variables that were read."""
        return tuple([v for v, _ in self._variables.values()])

    def read(self, variable: Any, value: Tensor) -> None:
        """Hear that a variable is read."""
        if variable.trainable:
            self._active[id(value)] = value
            _, values = self._variables.setdefault(id(variable), (variable, []))
            if not any(v is value for v in values):
                values.append(value)

    def record(
        self,
        function: Callable[..., Any],
        operands: Sequence[Any],
        static: dict[str, Any],
        result: Tensor,
    ) -> None:
        """Hear of an operation."""
        if any(id(x) in self._active for x in operands if isinstance(x, Tensor)):
            self._noted.append(_Noted(function, tuple(operands), static, result))
            self._active[id(result)] = result

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Differentiate the sum of all elements of the target by the sources.

        Parameters
        ----------
        target : tensor, or a structure of tensors
        sources : tensor, variable, or a structure of those
        output_gradients : like `target`, optional
            Weights of the target's elements.
        unconnected_gradients : {"none", "zero"}

        Returns
        -------
        Structured like `sources`.

        Raises
        ------
        RuntimeError
            A tape that is not persistent is asked a second time.
        """
        if self._is_used and not self.persistent:
            raise RuntimeError(
                at_user_line("this tape has been used; GradientTape(persistent=True) may be again")
            )
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                at_user_line(f"unconnected_gradients={unconnected_gradients!r}: 'none' or 'zero'")
            )
        self._is_used = True
        wanted, tree = flatten(sources)
        tensors = [self._value_of(x) for x in wanted]
        targets = [as_tensor(t) for t in flatten(target)[0]]
        weights = None
        if output_gradients is not None:
            weights = [as_tensor(w) for w in flatten(output_gradients)[0]]
        found = _Replay(self._noted, self._active, targets, tensors).gradients(weights)
        if not self.persistent:
            self.reset()
        if unconnected_gradients == "zero":
            found = [zeros_like(x) if g is None else g for x, g in zip(tensors, found, strict=True)]
        return unflatten(tree, found)

    def _value_of(self, source: Any) -> Tensor:
        known = self._variables.get(id(source))
        if known is None:
            return as_tensor(source)
        if len(known[1]) > 1:
            raise UnsupportedOperationError(
                at_user_line(
                    "a variable was read, assigned to and read again on one tape; use a tape for "
                    "each value"
                )
            )
        return known[1][0]


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


class _Replay:
    """The part of a tape that leads from sources to targets, as a function."""

    def __init__(
        self,
        noted: Sequence[_Noted],
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
            traced_tensor(v, np.nan) if isinstance(v, TracedArray) else wrap(v) for v in values
        ]
        weights = tensors[self.n_inputs :] or None
        _, _, gradients = self.differentiated(_call(tensors[: self.n_inputs], self.wrt, weights))
        return gradients[self.n].data


def _call(inputs: Sequence[Tensor], wrt: tuple[int, ...], weights: Any) -> Call:
    tree = Tree(tuple, (), (Tree(tuple, (), (Tree(None),) * len(inputs)), Tree(dict)))
    return Call(tree, list(inputs), wrt, weights and tuple(weights), wants_value=False)


def _get(ref: tuple[str, Any], inputs: Sequence[Tensor], made: Sequence[Tensor]) -> Any:
    kind, x = ref
    return x if kind == "number" else inputs[x] if kind == "input" else made[x]


def _needed(
    noted: Sequence[_Noted], targets: Sequence[Tensor], results: dict[int, int]
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
