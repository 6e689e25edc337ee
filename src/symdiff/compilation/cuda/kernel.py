"""`CudaKernel`: a Program compiled for a GPU, called with arrays of either side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.cuda.code import BLOCKS
from symdiff.compilation.cuda.memory import empty, flat, get, put
from symdiff.compilation.cuda.module import Module, write
from symdiff.compilation.ordering import rows_of
from symdiff.compilation.status import error_of
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate

__all__ = ["CudaKernel"]

ROOM = 64
"""For how much there is memory at first where a size is computed."""
MIN_ROWS = 4096
"""Rows of a batch from which on a thread takes a row: a GPU has some thousands of them."""
MAX_ALONE = 2048
"""Iterations up to which one block does better than many, which wait for each other longer."""
MAX_OWN = 1 << 30
"""Bytes of memory that a launch brings for single threads; fewer run if each needs much."""


class CudaKernel:
    """A Program for a GPU.

    Arrays of the device are taken as they are; NumPy's are copied there, and if all arguments are
    NumPy's, so are the results.

    Attributes
    ----------
    program : Program
    """

    native = None

    def __init__(self, program: Program) -> None:
        backend.require_device()
        self.program = program
        self._rows = rows_of(program)
        self._launches: dict[tuple[bool, bool], _Launch] = {}

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on arrays of the right dtypes and shapes; outputs are new arrays."""
        results = self._run(inputs)
        if any(is_on_device(x) for x in inputs):
            return results
        return [np.asarray(get(x)) for x in results]

    def run(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Run on such arrays, and write to others like the results."""
        for output, made in zip(outputs, self(inputs), strict=True):
            output[...] = made

    def shapes(self, inputs: Sequence[Any]) -> Sequence[tuple[Any, str]]:
        """Give shape and dtype of each output."""
        sizes = self._sizes(inputs)
        types = [self.program.types[name] for name in self.program.outputs]
        return [(tuple([evaluate(e, sizes) for e in shape]), dtype) for shape, dtype in types]

    def _sizes(self, inputs: Sequence[Any]) -> dict[str, int]:
        return {
            name: inputs[self.program.inputs.index(source)].shape[axis]
            for name, (source, axis) in self.program.size_sources.items()
        }

    def _run(self, inputs: Sequence[Any]) -> list[Any]:
        sizes = self._sizes(inputs)
        launch = self._launch(sizes)
        arguments: list[Any] = []
        for name, x in zip(self.program.inputs, inputs, strict=True):
            shape, dtype = self.program.types[name]
            if shape:
                arguments.append(flat(put(x)))
            else:
                value = get(x) if is_on_device(x) else x
                arguments.append(np.dtype(dtype).type(np.asarray(value)[()]))
        outputs = [empty(shape, dtype) for shape, dtype in self.shapes(inputs)]
        status = launch([*arguments, *map(flat, outputs)], sizes)
        if status:
            raise error_of(status, self.program.name)
        return outputs

    def _launch(self, sizes: dict[str, int]) -> _Launch:
        """Choose how the work is divided, and compile for it."""
        by_row = self._is_by_row(sizes)
        alone = self._compiled(by_row, is_grid=False)
        is_short = alone.work(sizes) <= MAX_ALONE
        if not alone.module.has_barriers or is_short or backend.is_simulated():
            return alone
        return self._compiled(by_row, is_grid=True)

    def _is_by_row(self, sizes: dict[str, int]) -> bool:
        """Whether a thread computes a row of the batch with all that belongs to it.

        That keeps what is between in registers, where there are rows for all threads.
        """
        rows, is_there = self._rows, (True, False) in self._launches
        if rows is None or (evaluate(rows, sizes) < MIN_ROWS and not is_there):
            return False
        return self._compiled(by_row=True, is_grid=False).module.is_lean

    def _compiled(self, by_row: bool, is_grid: bool) -> _Launch:
        key = by_row, is_grid
        if key not in self._launches:
            module = write(self.program, by_row=by_row, is_grid=is_grid)
            self._launches[key] = _Launch(module)
        return self._launches[key]


class _Launch:
    """A kernel with what it needs from call to call."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.room = dict.fromkeys(module.room, ROOM)
        self.may_fail = "status[" in module.text

    @cached_property
    def kernel(self) -> Any:
        """The machine code, made for the first launch: not every way of dividing has one."""
        return backend.compiled(self.module)

    @cached_property
    def constants(self) -> list[Any]:
        """The Program's constants, on the device."""
        return [flat(put(data)) for data in self.module.constants.values()]

    @cached_property
    def no_status(self) -> Any:
        """What a kernel is given that cannot fail."""
        return put(np.zeros(1, np.int32))

    def work(self, sizes: dict[str, int]) -> int:
        """Count the iterations of the longest nest."""
        return max((evaluate(e, sizes) for e in self.module.extents), default=1)

    def __call__(self, arguments: Sequence[Any], sizes: dict[str, int]) -> int:
        """Launch, wait, and give the status."""
        while True:
            room = dict(self.room)  # which another thread may change meanwhile
            status, wanted = self._launch(arguments, sizes, room)
            short = {k: n for k, n in wanted.items() if n > room[k]}
            if not short:
                return status
            for k, n in short.items():
                self.room[k] = max(self.room[k], 2 ** (n - 1).bit_length())

    def _launch(
        self, arguments: Sequence[Any], sizes: dict[str, int], room: dict[str, int]
    ) -> tuple[int, dict[str, int]]:
        """Launch once; give the status, and how large computed sizes had to be."""
        module, threads = self.module, backend.threads()
        blocks = self._blocks(threads, sizes, room)
        known = {**sizes, **room, BLOCKS: blocks}
        memory: list[Any] = []
        for each in module.workspaces:
            count = evaluate(each.count, known) * (blocks * threads if each.is_per_thread else 1)
            memory.append(flat(empty((count,), each.dtype)))
        status = put(np.zeros(8, np.int32)) if self.may_fail else self.no_status
        given = [*arguments, *self.constants, *memory, status]
        given += [np.int64(sizes[name]) for name in module.sizes]
        wanted = None
        if module.room:
            wanted = put(np.zeros(len(module.room), np.int64))
            given += [wanted, *[np.int64(room[name]) for name in module.room]]
        with backend.quiet():
            self.kernel[blocks, threads](*given)
        bits = 0
        if self.may_fail:
            bits = sum(1 << k for k, bit in enumerate(get(status).tolist()) if bit)
        if wanted is None:
            return bits, {}
        return bits, dict(zip(module.room, get(wanted).tolist(), strict=True))

    def _blocks(self, threads: int, sizes: dict[str, int], room: dict[str, int]) -> int:
        if self.module.has_barriers and "grid.sync" not in self.module.text:
            return 1
        wanted = -(-self.work(sizes) // threads)
        own = sum(
            evaluate(each.count, {**sizes, **room}) * np.dtype(each.dtype).itemsize
            for each in self.module.workspaces
            if each.is_per_thread
        )
        if own:
            wanted = min(wanted, MAX_OWN // (own * threads))
        if self.module.has_barriers:
            return max(1, min(wanted, backend.most_blocks(self.kernel, self.module, threads)))
        return max(1, min(wanted, 4 if backend.is_simulated() else 65535))
