"""Batches of the host part by part: one is copied there, one computed, one copied back.

Parts go through memory of the host that is pinned, in which a GPU copies by itself, and each has a
stream of its own, so that all three go on at the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import pairwise
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from symdiff.compilation.cuda.backend import cuda
from symdiff.compilation.cuda.launches import Launch, Launcher
from symdiff.compilation.cuda.memory import empty, flat, free_memory, pinned, put
from symdiff.config import config
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate, symbol

__all__ = ["Pipeline"]

PART_BYTES = 1 << 25
"""Of what is copied for a part, in one direction: a millisecond, against 10 us for a launch."""
N_PARTS = 3
"""Parts on their way at a time."""
MIN_COPY = 1 << 22
"""Bytes from which on threads share a copy within the host."""
ALIGNMENT = 64
MEMORY_SHARE = 0.8
"""Of the free memory that parts take at most."""


class Pipeline:
    """Computes a Program for a batch of independent rows.

    Parameters
    ----------
    program : Program
    batch : str
        The size of the batch.
    launcher : callable
        Gives the `Launcher` for sizes.
    number : callable
        Gives an input that is a number, by name and value, as kernels take it.
    """

    def __init__(
        self,
        program: Program,
        batch: str,
        launcher: Callable[[Mapping[str, int]], Launcher],
        number: Callable[[str, Any], Any],
    ) -> None:
        self.program = program
        self.batch = batch
        self.launcher = launcher
        self.number = number

    def is_worth_it(self, sizes: Mapping[str, int]) -> bool:
        """Whether there is data for several parts."""
        return sizes[self.batch] >= 2 and self._most(sizes) * sizes[self.batch] >= 2 * PART_BYTES

    def rows(self, sizes: Mapping[str, int]) -> int:
        """How many rows a part has."""
        rows = max(1, min(sizes[self.batch], PART_BYTES // max(self._most(sizes), 1)))
        free = free_memory()
        while free is not None and rows > 1 and self._memory(rows, sizes) > MEMORY_SHARE * free:
            rows //= 2
        return rows

    def _memory(self, rows: int, sizes: Mapping[str, int]) -> int:
        """Count the bytes on the device that parts of so many rows take."""
        sizes = {**sizes, self.batch: rows}
        launcher = self.launcher(sizes)
        work = launcher.workspaces(sizes, launcher.room)
        own = sum(count * np.dtype(dtype).itemsize for count, dtype in work)
        return N_PARTS * (own + rows * self._row_bytes([*self.ins, *self.outs], sizes))

    def _most(self, sizes: Mapping[str, int]) -> int:
        """Count the bytes of a row that go there, or that come back if these are more."""
        return max(self._row_bytes(names, sizes) for names in (self.ins, self.outs))

    @cached_property
    def ins(self) -> tuple[str, ...]:
        """The inputs of which each row needs its own."""
        axis = (symbol(self.batch),)
        types = self.program.types
        return tuple([name for name in self.program.inputs if types[name].shape[:1] == axis])

    @property
    def outs(self) -> tuple[str, ...]:
        """The outputs, all of which have the axis of the batch."""
        return self.program.outputs

    def _row_bytes(self, names: Sequence[str], sizes: Mapping[str, int]) -> int:
        types = [self.program.types[name] for name in names]
        return sum(
            prod(evaluate(e, sizes) for e in shape[1:]) * np.dtype(dtype).itemsize
            for shape, dtype in types
        )

    def run(
        self, inputs: Sequence[Any], outputs: Sequence[np.ndarray], sizes: Mapping[str, int]
    ) -> int:
        """Compute everything; give the status."""
        step = self.rows(sizes)
        given = dict(zip(self.program.inputs, inputs, strict=True))
        shared = {
            name: flat(put(x)) if self.program.types[name].shape else self.number(name, x)
            for name, x in given.items()
            if name not in self.ins
        }
        with ThreadPoolExecutor(max(1, min(config.threads, 8))) as pool:
            copy = partial(_copy, pool)
            while True:
                try:
                    return self._run_parts(shared, copy, given, outputs, sizes, step)
                except MemoryError:  # of what is free not all lies together
                    if step == 1:
                        raise
                step //= 2

    def _run_parts(
        self,
        shared: Mapping[str, Any],
        copy: Callable[[np.ndarray, np.ndarray], None],
        given: Mapping[str, Any],
        outputs: Sequence[np.ndarray],
        sizes: Mapping[str, int],
        step: int,
    ) -> int:
        largest = {**sizes, self.batch: step}
        parts: list[_Part] = []
        try:
            for _ in range(min(N_PARTS, -(-sizes[self.batch] // step))):
                parts.append(_Part(self, shared, largest, copy))  # noqa: PERF401 - to close it
            return self._go_through(parts, given, outputs, sizes, step)
        finally:
            for part in parts:
                part.close()

    def _go_through(
        self,
        parts: Sequence[_Part],
        given: Mapping[str, Any],
        outputs: Sequence[np.ndarray],
        sizes: Mapping[str, int],
        step: int,
    ) -> int:
        n_rows = sizes[self.batch]
        idle, busy = deque(parts), deque[_Part]()
        for begin in range(0, n_rows, step):
            if not idle:
                idle.append(busy.popleft())
                idle[-1].finish(outputs)
            part = idle.popleft()
            part.start(given, slice(begin, min(begin + step, n_rows)), sizes)
            busy.append(part)
        for part in busy:
            part.finish(outputs)
        status = 0
        for part in parts:
            status |= part.launch.status()
        return status


class _Part:
    """Memory for some rows on both sides, and a stream."""

    def __init__(
        self,
        whole: Pipeline,
        shared: Mapping[str, Any],
        largest: Mapping[str, int],
        copy: Callable[[np.ndarray, np.ndarray], None],
    ) -> None:
        self.whole, self.shared, self.copy = whole, shared, copy
        self.stream = cuda().stream()
        self.launch = Launch(whole.launcher(largest), largest, self.stream)
        program = whole.program
        self.host: dict[str, np.ndarray] = {}
        self.device: dict[str, Any] = {}
        self.held: list[np.ndarray] = []
        for names in (whole.ins, whole.outs):
            counts = {n: prod(evaluate(e, largest) for e in program.types[n].shape) for n in names}
            sizes = {n: c * np.dtype(program.types[n].dtype).itemsize for n, c in counts.items()}
            ends = np.cumsum([-(-size // ALIGNMENT) * ALIGNMENT for size in sizes.values()])
            buffer = _take_pinned(int(ends[-1]) if names else 0)
            self.held.append(buffer)
            for name, begin in zip(names, [0, *ends.tolist()], strict=False):
                dtype = program.types[name].dtype
                self.host[name] = buffer[begin : begin + sizes[name]].view(dtype)
                self.device[name] = flat(empty((counts[name],), dtype))

    def start(self, given: Mapping[str, Any], rows: slice, sizes: Mapping[str, int]) -> None:
        """Copy rows there, launch, and copy back what is computed, all in the background."""
        whole, program = self.whole, self.whole.program
        self.rows, known = rows, {**sizes, whole.batch: rows.stop - rows.start}
        counts = {n: prod(evaluate(e, known) for e in program.types[n].shape) for n in self.host}
        arguments: list[Any] = []
        for name in program.inputs:
            if name in self.shared:
                arguments.append(self.shared[name])
                continue
            staged, there = self.host[name][: counts[name]], self.device[name][: counts[name]]
            self.copy(staged, given[name][rows].reshape(-1))
            there.copy_to_device(staged, stream=self.stream)
            arguments.append(there)
        outs = [self.device[name][: counts[name]] for name in program.outputs]
        self.launch.start([*arguments, *outs], known)
        self.launch.wait_for_sizes()
        self.counts = [counts[name] for name in program.outputs]
        for name, made, count in zip(program.outputs, outs, self.counts, strict=True):
            made.copy_to_host(self.host[name][:count], stream=self.stream)

    def finish(self, outputs: Sequence[np.ndarray]) -> None:
        """Wait, and put rows to where they are wanted."""
        self.stream.synchronize()
        names = self.whole.program.outputs
        for name, output, count in zip(names, outputs, self.counts, strict=True):
            self.copy(output[self.rows].reshape(-1), self.host[name][:count])

    def close(self) -> None:
        """Give pinned memory back, when nothing goes on with it."""
        self.stream.synchronize()
        self.host.clear()
        for buffer in self.held:
            _give_pinned(buffer)


def _copy(pool: ThreadPoolExecutor, target: np.ndarray, source: np.ndarray) -> None:
    """Copy within the host, by several threads if there is much."""
    n_pieces = min(max(target.nbytes // MIN_COPY, 1), config.threads)
    if n_pieces == 1:
        np.copyto(target, source)
        return
    bounds = np.linspace(0, target.size, n_pieces + 1).astype(int).tolist()
    pieces = [slice(a, b) for a, b in pairwise(bounds)]
    list(pool.map(lambda piece: np.copyto(target[piece], source[piece]), pieces))


_pinned: list[np.ndarray] = []
_lock = Lock()


def _take_pinned(n_bytes: int) -> np.ndarray:
    """Take pinned memory: to make it takes longer than to copy what is in it."""
    if n_bytes > PART_BYTES:
        return pinned(n_bytes)
    with _lock:
        if _pinned:
            return _pinned.pop()
    return pinned(PART_BYTES)


def _give_pinned(buffer: np.ndarray) -> None:
    with _lock:
        if buffer.nbytes == PART_BYTES and len(_pinned) < 2 * N_PARTS:
            _pinned.append(buffer)
