"""`CudaKernel`: a Program compiled for a GPU, called with arrays of either side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.arrays import is_on_device, overlap
from symdiff.compilation.cuda.launches import Launch, Launcher
from symdiff.compilation.cuda.memory import empty, flat, get, hand_over, put, shown
from symdiff.compilation.cuda.module import write
from symdiff.compilation.cuda.pipeline import Pipeline
from symdiff.compilation.ordering import rows_of
from symdiff.compilation.rows import independent_rows
from symdiff.compilation.status import error_of
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate, product, symbol

__all__ = ["CudaKernel"]

MIN_ROWS = 4096
"""Rows of a batch from which on a thread takes a row: a GPU has some thousands of them."""
WAIT_OF_BLOCK, WAIT_OF_GRID = 30.0, 1500.0
"""Nanoseconds that threads of one block wait for each other, and those of all blocks."""
MOST_THREADS = 1 << 15
"""Threads that can wait for each other: as many as a large GPU runs with half of its registers."""


class CudaKernel:
    """A Program for a GPU.

    Arrays of the device are taken as they are; NumPy's are copied there, and if all arguments are
    NumPy's, so are the results. Of a large batch of independent rows a part is copied while
    another is computed, and never more lies on the device than there is room for.

    Attributes
    ----------
    program : Program
    """

    native = None

    def __init__(self, program: Program) -> None:
        backend.require_device()
        self.program = program
        self._rows = rows_of(program)
        self._launchers: dict[tuple[bool, bool, frozenset[str]], Launcher] = {}

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on arrays of the right dtypes and shapes; outputs are new arrays."""
        if any(is_on_device(x) for x in inputs):
            return [shown(x) for x in self._run(inputs)]
        sizes = self.program.sizes_of(inputs)
        pipeline = self._pipeline
        if pipeline is not None and pipeline.is_worth_it(sizes):
            outputs = [np.empty(shape, dtype) for shape, dtype in self._shapes(sizes)]
            self._check(pipeline.run(inputs, outputs, sizes))
            return outputs
        return [np.asarray(get(x)) for x in self._run(inputs)]

    def run(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Run on such arrays, and write to others like the results."""
        if not any(is_on_device(x) for x in [*inputs, *outputs]):
            sizes, pipeline = self.program.sizes_of(inputs), self._pipeline
            if pipeline is not None and pipeline.is_worth_it(sizes):
                self._check(pipeline.run(inputs, outputs, sizes))
                return
        read = [put(x) for x in inputs if is_on_device(x)]
        there = [put(x) if is_on_device(x) else None for x in outputs]
        made = self._run(inputs, [_apart(x, read) for x in there])
        for output, target, x in zip(outputs, there, made, strict=True):
            if target is None:
                output[...] = get(x)
            elif target is not x:
                target.copy_to_device(x)
        hand_over(outputs)

    def shapes(self, inputs: Sequence[Any]) -> Sequence[tuple[Any, str]]:
        """Give shape and dtype of each output."""
        return self._shapes(self.program.sizes_of(inputs))

    def _shapes(self, sizes: Mapping[str, int]) -> list[tuple[tuple[int, ...], str]]:
        types = [self.program.types[name] for name in self.program.outputs]
        return [(tuple([evaluate(e, sizes) for e in shape]), dtype) for shape, dtype in types]

    def _run(self, inputs: Sequence[Any], targets: Sequence[Any] | None = None) -> list[Any]:
        """Launch once, on arrays that are copied to the device if they are not there."""
        sizes = self.program.sizes_of(inputs)
        types = self.program.types
        given = dict(zip(self.program.inputs, inputs, strict=True))
        numbers = frozenset([n for n in given if not types[n].shape])
        boxed = frozenset([name for name in numbers if is_on_device(given[name])])
        arguments = [
            self._number(name, x) if name in numbers - boxed else flat(put(x))
            for name, x in given.items()
        ]
        wanted = targets or [None] * len(self.program.outputs)
        outputs = [
            empty(shape, dtype) if target is None else target
            for target, (shape, dtype) in zip(wanted, self._shapes(sizes), strict=True)
        ]
        launcher = partial(self._launcher, boxed=boxed)
        self._check(self._run_rows(launcher, arguments, [flat(x) for x in outputs], sizes))
        return outputs

    def _run_rows(
        self,
        launcher: Callable[[Mapping[str, int]], Launcher],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        sizes: Mapping[str, int],
    ) -> int:
        """Launch on arrays of the device; on one half after the other if memory is short."""
        launch = None
        try:
            launch = Launch(launcher(sizes), sizes)
            launch.start([*inputs, *outputs], sizes)
            launch.wait_for_sizes()
            return launch.status()
        except MemoryError:
            launch = None  # whose memory the halves need
            n_rows = 0 if self._batch is None else sizes[self._batch]
            if n_rows < 2:
                raise
        status, middle = 0, n_rows // 2
        for rows in (slice(0, middle), slice(middle, n_rows)):
            known = {**sizes, str(self._batch): rows.stop - rows.start}
            ins = self._rows_of(self.program.inputs, inputs, rows, sizes)
            outs = self._rows_of(self.program.outputs, outputs, rows, sizes)
            status |= self._run_rows(launcher, ins, outs, known)
        return status

    def _rows_of(
        self, names: Sequence[str], arrays: Sequence[Any], rows: slice, sizes: Mapping[str, int]
    ) -> list[Any]:
        """Take rows of those flat arrays that have the axis of the batch."""
        found: list[Any] = []
        for name, x in zip(names, arrays, strict=True):
            shape = self.program.types[name].shape
            if shape[:1] == (symbol(str(self._batch)),):
                row = evaluate(product(shape[1:]), sizes)
                x = x[rows.start * row : rows.stop * row]  # noqa: PLW2901
            found.append(x)
        return found

    def _number(self, name: str, x: Any) -> Any:
        return np.dtype(self.program.types[name].dtype).type(np.asarray(x)[()])

    def _check(self, status: int) -> None:
        if status:
            raise error_of(status, self.program.name)

    @cached_property
    def _pipeline(self) -> Pipeline | None:
        """What computes a batch part by part, if it is one."""
        if self._batch is None:
            return None
        return Pipeline(self.program, self._batch, self._launcher, self._number)

    @cached_property
    def _batch(self) -> str | None:
        return independent_rows(self.program)

    def _launcher(self, sizes: Mapping[str, int], boxed: frozenset[str] = frozenset()) -> Launcher:
        """Choose how the work is divided, and compile for it."""
        by_row = self._is_by_row(sizes, boxed)
        alone = self._compiled(by_row, False, boxed)
        if not alone.module.has_barriers or backend.is_simulated():
            return alone
        threads = backend.threads()
        most = min(-(-alone.work(sizes) // threads) * threads, MOST_THREADS)
        by_one = alone.nanoseconds(sizes, threads, WAIT_OF_BLOCK)
        by_all = alone.nanoseconds(sizes, most, WAIT_OF_GRID)
        return alone if by_one <= by_all else self._compiled(by_row, True, boxed)

    def _is_by_row(self, sizes: Mapping[str, int], boxed: frozenset[str] = frozenset()) -> bool:
        """Whether a thread computes a row of the batch with all that belongs to it.

        That keeps what is between in registers, where there are rows for all threads.
        """
        rows, is_there = self._rows, (True, False, boxed) in self._launchers
        if rows is None or (evaluate(rows, sizes) < MIN_ROWS and not is_there):
            return False
        return self._compiled(True, False, boxed).module.is_lean

    def _compiled(self, by_row: bool, is_grid: bool, boxed: frozenset[str]) -> Launcher:
        key = by_row, is_grid, boxed
        if key not in self._launchers:
            module = write(self.program, by_row=by_row, is_grid=is_grid, boxed=boxed)
            self._launchers[key] = Launcher(module)
        return self._launchers[key]


def _apart(target: Any, inputs: Sequence[Any]) -> Any:
    """Give an array that a kernel can write to while it reads others; None for a new one."""
    return None if target is None or any(overlap(target, x) for x in inputs) else target
