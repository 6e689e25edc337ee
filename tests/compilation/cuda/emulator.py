"""Several blocks of threads that wait for each other, which numba's simulator does not do.

Each thread of a kernel is a thread of Python; those of a block share what `shared.array` gives, and
all of them wait at ``grid.sync``. Kernels are the Python functions of `python_function`.
"""

import threading
from types import SimpleNamespace

import numpy as np

from symdiff.compilation.cuda.backend import python_function
from symdiff.compilation.cuda.code import BLOCKS
from symdiff.program.sizes import evaluate

UNSET = 13
"""What memory holds that nothing has been written to."""


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
        self.cg = SimpleNamespace(this_grid=lambda: SimpleNamespace(sync=self.all.wait))
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
    def gridDim(self):  # noqa: N802
        return SimpleNamespace(x=self.shape[0])

    def grid(self, _):
        block, thread = self.here.place
        return block * self.shape[1] + thread

    def gridsize(self, _):
        return self.shape[0] * self.shape[1]

    def syncthreads(self):
        self.blocks[self.here.place[0]].wait()

    def _shared(self, n, dtype):
        self.here.n_shared += 1
        with self.lock:
            arrays = self.memory[self.here.place[0]]
            return arrays.setdefault(self.here.n_shared, np.full(n, UNSET, dtype))

    def _max(self, array, index, value):
        with self.lock:
            array[index] = max(array[index], value)

    def run(self, kernel, arguments):
        """Run a kernel; raise what a thread raised."""

        def work(block, thread):
            self.here.place, self.here.n_shared = (block, thread), 0
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


def run(module, inputs, n_blocks, n_threads, room=64):
    """Run a module on arrays; give the outputs and the status."""
    program = module.program
    sizes = {
        s: inputs[program.inputs.index(a)].shape[k] for s, (a, k) in program.size_sources.items()
    }
    known = {**sizes, **dict.fromkeys(module.room, room), BLOCKS: n_blocks}
    given = [x.reshape(-1) if x.ndim else x[()] for x in inputs]
    outputs = []
    for name in program.outputs:
        shape, dtype = program.types[name]
        outputs.append(np.full([evaluate(e, sizes) for e in shape], UNSET, dtype))
    given += [x.reshape(-1) for x in outputs]
    given += [np.asarray(c).reshape(-1) for c in module.constants.values()]
    for each in module.workspaces:
        count = evaluate(each.count, known) * (n_blocks * n_threads if each.is_per_thread else 1)
        given.append(np.full(count, UNSET, each.dtype))
    status, wanted = np.zeros(8, np.int32), np.zeros(8, np.int64)
    given += [status, *[np.int64(sizes[s]) for s in module.sizes]]
    if module.room:
        given += [wanted, *[np.int64(room)] * len(module.room)]
    grid = Grid(n_blocks, n_threads)
    grid.run(python_function(module, grid, n_threads), given)
    assert wanted.max() <= room
    return outputs, status
