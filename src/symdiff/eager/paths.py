"""One path through a function of tensors, differentiated: a kernel, and where it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symdiff.differentiation import reverse
from symdiff.eager.devices import CPU, check_copy, common_device, move
from symdiff.eager.places import Cpu
from symdiff.eager.recording import Recorded, spec_of
from symdiff.eager.tensor import Tensor
from symdiff.errors import UnsupportedOperationError
from symdiff.program.equations import Literal
from symdiff.program.program import Program
from symdiff.runtime.function import Function
from symdiff.tracing.context import outside_traces
from symdiff.tracing.trace import Spec, Trace, function_name, matches
from symdiff.trees import Tree

__all__ = ["Call", "Path"]


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
