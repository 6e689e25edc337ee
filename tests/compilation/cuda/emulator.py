"""Several blocks of threads that wait for each other, which numba's simulator does not do.

Each thread of a kernel is a thread of Python; those of a block share what `shared.array` gives, and
all of them wait at ``grid.sync``. Kernels are the Python functions of `python_function`.

What threads share notes who reads and writes it: two threads that meet at an element without a
barrier between are a race, whether or not it came to harm this time, and nothing may be read that
nobody has written. All threads have to wait in the same line.
"""

import sys
import threading
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from symdiff.compilation.cuda.backend import python_function
from symdiff.compilation.cuda.code import BLOCKS
from symdiff.compilation.cuda.module import write
from symdiff.program.sizes import evaluate
from symdiff.trees import flatten

UNSET = 13
"""What memory holds that nothing has been written to."""


PATIENCE = 30
"""Seconds after which those that wait for each other give up."""


class RaceError(AssertionError):
    """Two threads met at an element, or one read what nobody has written."""


class Watched:
    """An array in memory that threads share, and who was there since all waited last."""

    def __init__(self, grid, data, *, is_written=False):
        self.grid = grid
        self.data = data
        self.written = {}
        self.read = {}
        self.is_set = np.full(len(data), is_written)

    def __len__(self):
        return len(self.data)

    def _place(self, k):
        if not 0 <= k < len(self.data):
            raise IndexError(f"{k} of {len(self.data)} elements")
        return int(k)

    def _meet(self, others, k, what):
        me = self.grid.now()
        for other in others.get(k, ()):
            if other.place != me.place and not other.is_before(me):
                raise RaceError(f"{what} of element {k} by {me} and {other}")
        return me

    def __getitem__(self, k):
        k = self._place(k)
        with self.grid.lock:
            if not self.is_set[k]:
                raise RaceError(f"element {k} is read that nobody has written")
            me = self._meet(self.written, k, "writing and reading")
            readers = self.read.setdefault(k, set())
            if any(r.is_before(me) for r in readers):
                readers = self.read[k] = {r for r in readers if not r.is_before(me)}
            readers.add(me)
            return self.data[k]

    def __setitem__(self, k, value):
        k = self._place(k)
        with self.grid.lock:
            self._meet(self.written, k, "writing")
            self.written[k] = {self._meet(self.read, k, "reading and writing")}
            self.is_set[k] = True
            self.data[k] = value


class Moment(NamedTuple):
    """A thread between two barriers: its place, and how often all, and its block, have waited."""

    place: tuple[int, int]
    of_grid: int
    of_block: int
    line: int

    def is_before(self, other):
        """Whether there is a barrier between."""
        if self.of_grid != other.of_grid:
            return True
        return self.place[0] == other.place[0] and self.of_block != other.of_block


class Grid:
    """Something like the module numba.cuda, for a number of blocks of some threads."""

    def __init__(self, n_blocks, n_threads):
        self.shape = n_blocks, n_threads
        self.here = threading.local()
        self.all = threading.Barrier(n_blocks * n_threads)
        self.blocks = [threading.Barrier(n_threads) for _ in range(n_blocks)]
        self.memory = [{} for _ in range(n_blocks)]
        self.lock = threading.Lock()
        self.failures = []
        self.lines = {}
        self.cg = SimpleNamespace(this_grid=lambda: SimpleNamespace(sync=self._sync))
        self.shared = SimpleNamespace(array=self._shared)
        self.local = SimpleNamespace(array=lambda n, dtype: np.full(n, UNSET, dtype))
        self.atomic = SimpleNamespace(max=self._max)

    @property
    def threadIdx(self):  # noqa: N802 - the name in CUDA
        return SimpleNamespace(x=self.here.place[1])

    @property
    def blockIdx(self):  # noqa: N802
        return SimpleNamespace(x=self.here.place[0])

    @property
    def blockDim(self):  # noqa: N802
        return SimpleNamespace(x=self.shape[1])

    @property
    def gridDim(self):  # noqa: N802
        return SimpleNamespace(x=self.shape[0])

    def grid(self, _):
        block, thread = self.here.place
        return block * self.shape[1] + thread

    def gridsize(self, _):
        return self.shape[0] * self.shape[1]

    def now(self):
        """Say who runs, and when."""
        here = self.here
        return Moment(here.place, here.of_grid, here.of_block, sys._getframe(3).f_lineno)

    def syncthreads(self):
        block = self.here.place[0]
        self._wait(self.blocks[block], (block, self.here.of_grid, self.here.of_block))
        self.here.of_block += 1

    def _sync(self):
        self._wait(self.all, self.here.of_grid)
        self.here.of_grid += 1

    def _wait(self, barrier, key):
        line = sys._getframe(2).f_lineno
        with self.lock:
            first = self.lines.setdefault(key, line)
        if line != first:
            raise RaceError(f"threads wait in lines {first} and {line}")
        barrier.wait(PATIENCE)

    def _shared(self, n, dtype):
        """Give what a line has: the same at each call of the function that it is in."""
        caller = sys._getframe(1)
        key = caller.f_code.co_filename, caller.f_lineno
        with self.lock:
            arrays = self.memory[self.here.place[0]]
            made = Watched(self, np.full(n, UNSET, dtype))
            return arrays.setdefault(key, made)

    @staticmethod
    def jit(*, device):
        assert device
        return lambda function: function

    def _max(self, array, index, value):
        with self.lock:
            array[index] = max(array[index], value)

    def run(self, kernel, arguments):
        """Run a kernel; raise what a thread raised."""

        def work(block, thread):
            self.here.place = block, thread
            self.here.of_grid = self.here.of_block = 0
            try:
                with np.errstate(all="ignore"):
                    kernel(*arguments)
            except BaseException as error:  # noqa: BLE001 - which the caller gets
                self.failures.append(error)
                for barrier in (self.all, *self.blocks):
                    barrier.abort()

        places = [(b, t) for b in range(self.shape[0]) for t in range(self.shape[1])]
        threads = [threading.Thread(target=work, args=place) for place in places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in self.failures:
            if not isinstance(failure, threading.BrokenBarrierError):
                raise failure
        if self.failures:
            raise RaceError("not all threads came to a barrier")


def run(module, inputs, n_blocks, n_threads, room=64):
    """Run a module on arrays; give the outputs and the status."""
    program = module.program
    sizes = {
        s: inputs[program.inputs.index(a)].shape[k] for s, (a, k) in program.size_sources.items()
    }
    known = {**sizes, **dict.fromkeys(module.room, room), BLOCKS: n_blocks}
    grid = Grid(n_blocks, n_threads)
    given = [Watched(grid, x.reshape(-1), is_written=True) if x.ndim else x[()] for x in inputs]
    outputs = []
    for name in program.outputs:
        shape, dtype = program.types[name]
        outputs.append(np.full([evaluate(e, sizes) for e in shape], UNSET, dtype))
    results = [Watched(grid, x.reshape(-1)) for x in outputs]
    given += results
    given += [np.asarray(c).reshape(-1) for c in module.constants.values()]
    for each in module.workspaces:
        count = evaluate(each.count, known) * (n_blocks * n_threads if each.is_per_thread else 1)
        given.append(Watched(grid, np.full(count, UNSET, each.dtype)))
    status, wanted = np.zeros(8, np.int32), np.zeros(8, np.int64)
    given += [status, *[np.int64(sizes[s]) for s in module.sizes]]
    if module.room:
        given += [wanted, *[np.int64(room)] * len(module.room)]
    grid.run(python_function(module, grid, n_threads), given)
    assert wanted.max() <= room
    assert all(x.is_set.all() for x in results)
    return outputs, status


def agree(f, args, blocks, *, by_row=False):
    """Compare what a function's kernel does in some blocks with what the CPU does."""
    program = f.program(*args)
    leaves = [np.asarray(x) for x in flatten(args)[0]]
    inputs = [
        np.asarray(x, program.types[n].dtype) for n, x in zip(program.inputs, leaves, strict=True)
    ]
    outputs, status = run(write(program, by_row=by_row, is_grid=blocks[0] > 1), inputs, *blocks)
    assert not status.any()
    same(
        outputs,
        [np.asarray(x, o.dtype) for x, o in zip(flatten(f(*args))[0], outputs, strict=True)],
    )


def same(got, want):
    """Compare trees of arrays."""
    for a, b in zip(flatten(got)[0], flatten(want)[0], strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        rtol = 1e-5 if np.asarray(b).dtype == np.float32 else 1e-11
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 100)
