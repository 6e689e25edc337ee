"""A function of tensors with its gradients: traced once a signature and path, run as kernels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.collector import collection_paused
from symdiff.eager.devices import BUSY, CPU
from symdiff.eager.homes import unwrap, wrap_at_home
from symdiff.eager.listeners import LISTENERS, Later
from symdiff.eager.paths import Call, Path
from symdiff.eager.places import Cpu
from symdiff.eager.recording import as_trace_value, record
from symdiff.eager.surroundings import surroundings
from symdiff.eager.tensor import (
    Tensor,
    TracedTensor,
    traced_tensor,
    wrap,
)
from symdiff.errors import TracingError, at_user_line
from symdiff.tracing.inlining import inline
from symdiff.tracing.trace import function_name
from symdiff.tracing.tracer import TracedArray, as_traced

__all__ = ["MAX_PATHS", "Differentiated"]

MAX_KNOWN = 1024
"""So many signatures are known at a time."""
MAX_PATHS = 64
"""So many paths through the branches of a function may be compiled for one signature."""


class Differentiated:
    """Finds the path of a call, or traces it; the paths of a function are kept here.

    Attributes
    ----------
    n_paths : int
        How many paths have been compiled.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.n_paths = 0
        self._known: dict[Any, list[Path]] = {}
        self._general: dict[Any, list[Path]] = {}
        self._quick: dict[Any, tuple[Path, Cpu]] = {}
        self._lock = threading.RLock()
        self._surroundings = surroundings(f)
        self._seen = self._look()

    def __call__(self, call: Call) -> tuple[Path, list[Any], list[Any]]:
        """Give the path, and the arrays of the results and of the gradients (or tensors)."""
        if LISTENERS.recordings:
            return self._inline(call)
        path, outputs, place, ran_at = self._run(call, call.tensors)
        made = [wrap(y, ran_at) for y in outputs]
        if BUSY or place is not CPU:
            homes = path.homes(call, place, ran_at)
            made = [
                y.to(home) if home is not ran_at else y for y, home in zip(made, homes, strict=True)
            ]
        if LISTENERS.tapes:  # what comes out is computed from what went in
            variables = tuple([v for v in path.variables if v.trainable])
            operands = [*call.tensors, *[v.value() for v in variables]]
            for n, y in enumerate(made[: len(made) - len(path.path)]):
                for tape in LISTENERS.tapes:
                    tape.record(_Again(self, call, variables, n), operands, {}, y)
        return path, made[: path.n_results], path.gradients(made)

    def known(self, args: tuple[Any, ...]) -> tuple[Path, Cpu] | None:
        """Give the path of the last call with tensors and opaque objects like these, and where."""
        key = [(x.data.dtype, x.data.shape, x.place) if type(x) is Tensor else id(x) for x in args]
        found = self._quick.get(tuple(key))
        if found is None or BUSY:
            return None
        for look, seen in zip(self._surroundings, self._seen, strict=True):
            if look() is not seen:
                return None
        return found

    def quick(self, args: tuple[Any, ...]) -> tuple[Path, list[Any], list[Any]] | None:
        """Answer a call of tensors and opaque objects like the last ones, or give None."""
        known = self.known(args)
        if known is None:
            return None
        path, place = known
        outputs = path.run([x.data for x in args if type(x) is Tensor], place)
        if path.path and not path.is_taken(outputs):
            return None
        made = [wrap(y, place) for y in outputs[: len(outputs) - len(path.path)]]
        return path, made[: path.n_results], path.gradients_of(made)

    def remember(self, args: tuple[Any, ...], path: Path) -> None:
        """Let calls like this one take the short way, where there is one."""
        if BUSY or len(self._quick) >= MAX_PATHS:
            return
        if all(_is_opaque(x) or type(x) is Tensor for x in args):
            place = path.only_place([x for x in args if type(x) is Tensor])
            if place is not None:
                key = [
                    (x.data.dtype, x.data.shape, x.place) if type(x) is Tensor else id(x)
                    for x in args
                ]
                self._quick[tuple(key)] = path, place

    def _look(self) -> tuple[Any, ...]:
        return tuple([look() for look in self._surroundings])

    def find(self, call: Call) -> Path:
        """Find the path of a call, or trace it; a kernel runs only where values decide."""
        self._refresh()
        tensors, key = call.tensors, _key(call)
        for path in self._known.get(key, ()):
            if path.holds(tensors):
                return path
        return self._add(call, tensors, key)

    def _refresh(self) -> None:
        """Forget all paths where what the function refers to is another."""
        if self._surroundings:
            seen = self._look()
            if not all(map(_is, seen, self._seen)):
                self._known, self._general, self._quick, self._seen = {}, {}, {}, seen

    def _run(self, call: Call, tensors: list[Tensor]) -> tuple[Path, Sequence[Any], Cpu, Cpu]:
        """Give the path, what it gives, where that is to lie, and where it does."""
        self._refresh()
        key = _key(call)
        for path in self._known.get(key, ()):
            place = path.place_for(tensors)
            outputs, ran_at = path.run_at(tensors, place)
            if path.is_taken(outputs):
                return path, outputs, place, ran_at
        path = self._add(call, tensors, key)
        place = path.place_for(tensors)
        outputs, ran_at = path.run_at(tensors, place)
        return path, outputs, place, ran_at

    def _add(self, call: Call, tensors: list[Tensor], key: Any) -> Path:
        with self._lock, collection_paused():
            path = self._other(call, tensors, key)
            if len(self._known) >= MAX_KNOWN:
                self._known, self._general, self._quick = {}, {}, {}
            known = self._known.setdefault(key, [])
            if path not in known:
                known.insert(0, path)
        return path

    def _other(self, call: Call, tensors: list[Tensor], key: Any) -> Path:
        """Find a path that was traced for other sizes, or trace one."""
        general = (key[:4], *[d[0] if type(d) is tuple else d for d in key[4:]])
        paths = self._general.setdefault(general, [])
        tried = self._known.get(key, ())
        for path in paths:
            if path not in tried and path.fits(tensors) and path.holds(tensors):
                return path
        if len(tried) >= MAX_PATHS:
            raise TracingError(
                at_user_line(
                    f"{function_name(self.f)} has taken more than {MAX_PATHS} paths through its "
                    "branches on values; use tfe.where, or branch outside of it"
                )
            )
        recorded = record(self.f, call.tree, call.leaves, call.weights)
        for path in tried:  # the kernel rounds a condition to the other side than NumPy does
            if path.path and path.path == recorded.path:
                return path
        path = Path(self.f, call, recorded)
        self.n_paths += 1
        paths.append(path)
        return path

    def _inline(self, call: Call) -> tuple[Path, list[Any], list[Any]]:
        """Make the call part of the trace that is going on."""
        path = Path(self.f, call, record(self.f, call.tree, call.leaves, call.weights))
        around = LISTENERS.recordings[-1]
        tensors = [*call.tensors, *[around.read(v) for v in path.variables]]
        made = inline(path.trace, [as_traced(as_trace_value(x)) for x in tensors])
        values = [x.now if isinstance(x, TracedTensor) else as_trace_value(x) for x in tensors]
        whole = Later(path.run_later, (*values, *path.recorded.captured), {})
        outputs = [traced_tensor(y, Later(_nth, (whole,), {"n": n})) for n, y in enumerate(made)]
        for y, is_true in zip(outputs[len(outputs) - len(path.path) :], path.path, strict=True):
            around.add_guard(as_trace_value(y), is_true)
        return path, outputs[: path.n_results], path.gradients(outputs)


class _Again(NamedTuple):
    """One of the results and gradients of a call, as an operation on arrays for a tape."""

    differentiated: Differentiated
    call: Call
    variables: tuple[Any, ...]
    n: int

    def __call__(self, *values: Any) -> Any:
        made = iter(
            [
                traced_tensor(v, np.nan) if isinstance(v, TracedArray) else wrap_at_home(v)
                for v in values
            ]
        )
        leaves = [next(made) if isinstance(x, Tensor) else x for x in self.call.leaves]
        weights = self.call.weights and tuple(
            [None if w is None else next(made) for w in self.call.weights]
        )
        call = self.call._replace(leaves=leaves, weights=weights)
        recordings = LISTENERS.recordings
        around = recordings[-1].given if recordings else {}
        if recordings:
            recordings[-1].given = around | {id(v): next(made) for v in self.variables}
        try:
            _, results, gradients = self.differentiated(call)
        finally:
            if recordings:
                recordings[-1].given = around
        return unwrap([*results, *[g for g in gradients if g is not None]][self.n], values)


def _nth(values: Any, n: int) -> Any:
    return values[n]


def _is(a: Any, b: Any) -> bool:
    return a is b


def _is_opaque(x: Any) -> bool:
    """Whether an argument is part of the function whatever it holds, a model say."""
    kind = type(x)
    return not issubclass(kind, (tuple, list, dict, int, float, str, Tensor)) and not hasattr(
        kind, "__array__"
    )


def _key(call: Call) -> tuple[Any, ...]:
    described = map(_described, call.leaves)
    return (call.tree, call.wrt, call.weights and _given(call), call.wants_value, *described)


def _given(call: Call) -> tuple[Any, ...]:
    return tuple([w if w is None else (w.shape, w.dtype) for w in call.weights or ()])


def _described(x: Any) -> Any:
    """What is known of a leaf before its values: rank and dtype, and then the shape."""
    kind = type(x)
    if kind is Tensor:
        value = x.data
        return (value.ndim, value.dtype), value.shape
    if kind in (int, float, bool, str):
        return ((kind, x),)
    return id(x)
