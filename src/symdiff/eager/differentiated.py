"""A function of tensors with its gradients: traced once a signature and path, run as kernels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.collector import collection_paused
from symdiff.differentiation import reverse
from symdiff.eager.devices import BUSY, CPU, Cpu, common_device, move
from symdiff.eager.listeners import LISTENERS, Later
from symdiff.eager.recording import Recorded, as_trace_value, record, spec_of
from symdiff.eager.surroundings import surroundings
from symdiff.eager.tensor import Tensor, TracedTensor, traced_tensor, wrap
from symdiff.errors import TracingError, at_user_line
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
        self.keeps = (f, *[x for x in call.leaves if not isinstance(x, Tensor)])

    def run(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Call the kernel."""
        if self.variables:
            return self.run_all((*values, *[v.value_now() for v in self.variables]))
        return self.run_all(values)

    def run_all(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Call the kernel with the values of variables, and of what was captured, behind."""
        if not self.trace.program.outputs:
            return ()
        found = self.function(*values)
        if values:
            return found
        types = [self.trace.program.types[n].dtype for n in self.trace.program.outputs]
        return tuple([np.asarray(y, t)[()] for y, t in zip(found, types, strict=True)])

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

    def holds(self, values: Sequence[Any]) -> bool:
        """Whether these values take it; where there are no questions nothing is computed."""
        return not self.path or self.is_taken(self.run(values))

    def homes(self, call: Call, place: Cpu) -> list[Cpu]:
        """Say where outputs lie: results at `place`, a gradient where its source lies."""
        of: list[Any] = [call.leaves[s] if type(s) is int else s for s in self.sources]
        homes = [x.place for x, c in zip(of, self.connected, strict=True) if c]
        return [*[place] * self.n_results, *homes, *[CPU] * len(self.path)]

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
        self._quick: dict[Any, Path] = {}
        self._lock = threading.RLock()
        self._surroundings = surroundings(f)
        self._seen = self._look()

    def __call__(self, call: Call) -> tuple[Path, list[Any], list[Any]]:
        """Give the path, and the arrays of the results and of the gradients (or tensors)."""
        if LISTENERS.recordings:
            return self._inline(call)
        tensors = call.tensors
        place = CPU
        if BUSY or any(x.place is not CPU for x in tensors):
            place = common_device([x.place for x in tensors])
            is_one = all(x.place is tensors[0].place for x in tensors)
            tensors = [wrap(move(x.data, x.place, CPU, is_asked=is_one)) for x in tensors]
        path, outputs = self._run(call, tensors)
        made = [wrap(y) for y in outputs]
        if any(v.place is not CPU for v in path.variables if v.trainable):
            place = common_device([v.place for v in path.variables if v.trainable])
        if BUSY or place is not CPU:
            homes = path.homes(call, place)
            made = [
                y.to(home) if home is not CPU else y for y, home in zip(made, homes, strict=True)
            ]
        if LISTENERS.tapes:  # what comes out is computed from what went in
            variables = tuple([v for v in path.variables if v.trainable])
            operands = [*call.tensors, *[v.value() for v in variables]]
            for n, y in enumerate(made[: len(made) - len(path.path)]):
                for tape in LISTENERS.tapes:
                    tape.record(_Again(self, call, variables, n), operands, {}, y)
        return path, made[: path.n_results], path.gradients(made)

    def known(self, args: tuple[Any, ...]) -> Path | None:
        """Give the path of the last call with tensors and opaque objects like these, if any."""
        key = tuple([(x.data.dtype, x.data.shape) if type(x) is Tensor else id(x) for x in args])
        path = self._quick.get(key)
        if path is None or BUSY:
            return None
        for look, seen in zip(self._surroundings, self._seen, strict=True):
            if look() is not seen:
                return None
        return path

    def quick(self, args: tuple[Any, ...]) -> tuple[Path, list[Any], list[Any]] | None:
        """Answer a call of tensors and opaque objects like the last ones, or give None."""
        path = self.known(args)
        if path is None:
            return None
        outputs = path.run([x.data for x in args if type(x) is Tensor])
        if path.path and not path.is_taken(outputs):
            return None
        made = [wrap(y) for y in outputs[: len(outputs) - len(path.path)]]
        return path, made[: path.n_results], path.gradients_of(made)

    def remember(self, args: tuple[Any, ...], path: Path) -> None:
        """Let calls like this one take the short way, where there is one."""
        if BUSY or len(self._quick) >= MAX_PATHS:
            return
        if any(v.place is not CPU for v in path.variables):
            return
        if all(_is_opaque(x) or (type(x) is Tensor and x.place is CPU) for x in args):
            key = [(x.data.dtype, x.data.shape) if type(x) is Tensor else id(x) for x in args]
            self._quick[tuple(key)] = path

    def _look(self) -> tuple[Any, ...]:
        return tuple([look() for look in self._surroundings])

    def find(self, call: Call) -> Path:
        """Find the path of a call, or trace it; a kernel runs only where values decide."""
        self._refresh()
        tensors = [x.cpu() for x in call.tensors]
        values, key = [x.data for x in tensors], _key(call)
        for path in self._known.get(key, ()):
            if path.holds(values):
                return path
        return self._add(call, tensors, values, key)

    def _refresh(self) -> None:
        """Forget all paths where what the function refers to is another."""
        if self._surroundings:
            seen = self._look()
            if not all(map(_is, seen, self._seen)):
                self._known, self._general, self._quick, self._seen = {}, {}, {}, seen

    def _run(self, call: Call, tensors: list[Tensor]) -> tuple[Path, Sequence[Any]]:
        self._refresh()
        values, key = [x.data for x in tensors], _key(call)
        paths = self._known.get(key)
        if paths:
            for path in paths:
                outputs = path.run(values)
                if path.is_taken(outputs):
                    return path, outputs
        path = self._add(call, tensors, values, key)
        return path, path.run(values)

    def _add(self, call: Call, tensors: list[Tensor], values: list[Any], key: Any) -> Path:
        with self._lock, collection_paused():
            path = self._other(call, tensors, values, key)
            if len(self._known) >= MAX_KNOWN:
                self._known, self._general, self._quick = {}, {}, {}
            known = self._known.setdefault(key, [])
            if path not in known:
                known.insert(0, path)
        return path

    def _other(self, call: Call, tensors: list[Tensor], values: list[Any], key: Any) -> Path:
        """Find a path that was traced for other sizes, or trace one."""
        general = (key[:4], *[d[0] if type(d) is tuple else d for d in key[4:]])
        paths = self._general.setdefault(general, [])
        tried = self._known.get(key, ())
        for path in paths:
            if path not in tried and path.fits(tensors) and path.holds(values):
                return path
        if len(tried) >= MAX_PATHS:
            raise TracingError(
                at_user_line(
                    f"{function_name(self.f)} has taken more than {MAX_PATHS} paths through its "
                    "branches on values; use tfe.where, or branch outside of it"
                )
            )
        unmoved = iter(tensors)
        leaves = [next(unmoved) if isinstance(x, Tensor) else x for x in call.leaves]
        weights = call.weights and tuple([w if w is None else next(unmoved) for w in call.weights])
        recorded = record(self.f, call.tree, leaves, weights)
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
            [traced_tensor(v, np.nan) if isinstance(v, TracedArray) else wrap(v) for v in values]
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
        return [*results, *[g for g in gradients if g is not None]][self.n].data


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
