"""A function of tensors with its gradients: traced once a signature and path, run as kernels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.collector import collection_paused
from symdiff.differentiation import reverse
from symdiff.eager.devices import BUSY, CPU, check_copy, common_device, move
from symdiff.eager.listeners import LISTENERS, Later
from symdiff.eager.places import Cpu
from symdiff.eager.recording import Recorded, as_trace_value, record, spec_of
from symdiff.eager.surroundings import surroundings
from symdiff.eager.tensor import (
    Tensor,
    TracedTensor,
    traced_tensor,
    unwrap,
    wrap,
    wrap_at_home,
)
from symdiff.errors import TracingError, UnsupportedOperationError, at_user_line
from symdiff.program.equations import Literal
from symdiff.program.program import Program
from symdiff.runtime.function import Function
from symdiff.tracing.context import outside_traces
from symdiff.tracing.inlining import inline
from symdiff.tracing.trace import Spec, Trace, function_name, matches
from symdiff.tracing.tracer import TracedArray, as_traced
from symdiff.trees import Tree

__all__ = ["MAX_PATHS", "Call", "Differentiated", "Path"]

MAX_KNOWN = 1024
"""So many signatures are known at a time."""
MAX_PATHS = 64
"""So many paths through the branches of a function may be compiled for one signature."""


class Call(NamedTuple):
    """A call's arguments, taken apart.

    ``wrt`` are the places of the leaves to differentiate by; None means the variables read.
    """

    tree: Tree
    leaves: list[Any]
    wrt: tuple[int, ...] | None
    weights: tuple[Tensor | None, ...] | None = None
    wants_value: bool = True

    @property
    def tensors(self) -> list[Tensor]:
        """All that the kernel takes besides variables."""
        found = [x for x in self.leaves if isinstance(x, Tensor)]
        return [*found, *[w for w in self.weights or () if w is not None]]


class Path:
    """One path through a function for one signature, differentiated."""

    def __init__(self, f: Callable[..., Any], call: Call, recorded: Recorded) -> None:
        self.recorded = recorded
        self.out_tree = recorded.out_tree
        self.n_results = recorded.n_results if call.wants_value else 0
        self.variables = recorded.variables
        self.path = recorded.path
        self.is_number = recorded.out_tree.kind is None
        self.sources = [v for v in self.variables if v.trainable] if call.wrt is None else call.wrt
        self.order = sorted(
            range(len(self.sources)), key=lambda n: getattr(self.sources[n], "number", n)
        )
        program, self.connected = _differentiate(recorded, call)
        self.is_all_connected = all(self.connected)
        self.trace = Trace(program, _flat(len(program.outputs)), recorded.trace.captured)
        self.function = Function(lambda _: self.trace, f"gradients_of_{function_name(f)}", f)
        self._away: dict[Cpu, Function] = {}
        self._unable: set[Cpu] = set()
        self.keeps = (f, *[x for x in call.leaves if not isinstance(x, Tensor)])

    def run(self, values: Sequence[Any], place: Cpu = CPU) -> tuple[Any, ...]:
        """Call the kernel with arrays that lie on a device."""
        if self.variables:
            values = (*values, *[v.value_at(place) for v in self.variables])
        return self.run_all(values, place)

    def run_all(self, values: Sequence[Any], place: Cpu = CPU) -> tuple[Any, ...]:
        """Call the kernel with the values of variables, and of what was captured, behind."""
        if not self.trace.program.outputs:
            return ()
        if place is not CPU:
            return place.launch(self.function_at(place), values)
        found = self.function(*values)
        if values:
            return found
        types = [self.trace.program.types[n].dtype for n in self.trace.program.outputs]
        return tuple([np.asarray(y, t)[()] for y, t in zip(found, types, strict=True)])

    def function_at(self, place: Cpu) -> Function:
        """Give the function that runs on a device; each has its own, with constants there."""
        found = self._away.get(place)
        if found is None:
            found = self._away[place] = place.function_for(self.function)
        return found

    def place_for(self, tensors: Sequence[Tensor]) -> Cpu:
        """Choose where the results of a call lie."""
        return common_device([x.place for x in (*tensors, *self.variables)])

    def only_place(self, tensors: Sequence[Tensor]) -> Cpu | None:
        """Give the device where all that the kernel takes lies, and it runs, if there is one."""
        places = {x.place for x in (*tensors, *self.variables)} or {CPU}
        place = places.pop()
        return None if places or not self.is_able(place) else place

    def is_able(self, place: Cpu) -> bool:
        """Whether the kernel runs on a device, as far as that is known."""
        return place.has_kernels and place not in self._unable

    def run_at(self, tensors: Sequence[Tensor], place: Cpu) -> tuple[tuple[Any, ...], Cpu]:
        """Call the kernel for results on a device, and say where it has run.

        It runs on the CPU where the device cannot, or where nothing comes from there.
        """
        places = [x.place for x in (*tensors, *self.variables)]
        if not all(p is places[0] for p in places):
            for p in places:
                check_copy(p, place)
        where = place if places and self.is_able(place) else CPU
        values = [move(x.data, x.place, where, is_asked=True) for x in tensors]
        values += [v.value_at(where) for v in self.variables]
        try:
            return self.run_all(values, where), where
        except UnsupportedOperationError:
            if where is CPU:
                raise
        self._unable.add(where)  # whose compiler has no such operation
        return self.run_all([move(x, where, CPU, is_asked=True) for x in values]), CPU

    def run_later(self, *values: Any) -> tuple[Any, ...]:
        """Do `run_all` for a `Later`."""
        with outside_traces():
            return self.run_all(values)

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Whether it was traced for other sizes that hold for these too."""
        specs = [spec_of(x) for x in tensors]
        specs += [Spec(v.shape, v.dtype.name) for v in self.variables]
        return matches(self.trace.program, self.trace.program.inputs, specs)

    def is_taken(self, outputs: Sequence[Any]) -> bool:
        """Whether the questions about values were answered as they were when it was traced."""
        count = len(self.path)
        return not count or all(map(_is_same, outputs[len(outputs) - count :], self.path))

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these values take it; where there are no questions nothing is computed."""
        return not self.path or self.is_taken(self.run_at(tensors, self.place_for(tensors))[0])

    def homes(self, call: Call, place: Cpu, ran_at: Cpu) -> list[Cpu]:
        """Say where outputs lie: results at `place`, a gradient where its source lies."""
        of: list[Any] = [call.leaves[s] if type(s) is int else s for s in self.sources]
        homes = [x.place for x, c in zip(of, self.connected, strict=True) if c]
        return [*[place] * self.n_results, *homes, *[ran_at] * len(self.path)]

    def gradients(self, outputs: Sequence[Any]) -> list[Any]:
        """Put None in for what is not connected."""
        return self.gradients_of(outputs[: len(outputs) - len(self.path)])

    def gradients_of(self, outputs: Sequence[Any]) -> list[Any]:
        """Do so without guards at the end."""
        if self.is_all_connected:
            return list(outputs[self.n_results :])
        found = iter(outputs[self.n_results :])
        return [next(found) if c else None for c in self.connected]


def _is_same(a: Any, b: bool) -> bool:
    return bool(a) == b


def _flat(count: int) -> Tree:
    return Tree(tuple, (), (Tree(None),) * count)


def _differentiate(recorded: Recorded, call: Call) -> tuple[Program, list[bool]]:
    """Make the Program of results, gradients that are connected, and guards."""
    program = recorded.trace.program
    if call.wrt is None:
        pairs = zip(recorded.variables, recorded.variable_inputs, strict=True)
        wanted: list[str | None] = [name for v, name in pairs if v.trainable]
    else:
        inputs = iter(program.inputs)
        names = [next(inputs) if isinstance(x, Tensor) else None for x in call.leaves]
        wanted = [names[n] for n in call.wrt]
    wrt = [n for n in wanted if n is not None and program.types[n].dtype.startswith("float")]
    results = program.outputs[1 : 1 + recorded.n_results]
    guards = program.outputs[1 + recorded.n_results :]
    if not call.wants_value:
        results = ()
    made = reverse.gradient(program, wrt, results)
    gradients = dict(zip(wrt, made.outputs[len(results) :], strict=True))
    connected = {n: g for n, g in gradients.items() if not _is_zero(made, g)}
    outputs = [*results, *[connected[n] for n in wanted if n in connected], *guards]
    return made.replace(outputs=tuple(outputs)), [n in connected for n in wanted]


def _is_zero(program: Program, array: str) -> bool:
    """Whether no equation contributes anything but the zero that stands for "not connected"."""
    found = [e for e in program.equations if e.array == array]
    return all(
        e.operator == "=" and len(e.operands) == 1 and e.operands[0] == Literal(0, dtype)
        for e in found
        for dtype in [program.types[array].dtype]
    )


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
        found = self._quick.get(_quick_key(args))
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
                self._quick[_quick_key(args)] = path, place

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

    def _run(
        self, call: Call, tensors: list[Tensor]
    ) -> tuple[Path, Sequence[Any], Cpu, Cpu]:
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


def _quick_key(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([
        (x.data.dtype, x.data.shape, x.place) if type(x) is Tensor else id(x) for x in args
    ])


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
