"""Launches of a kernel: how many blocks there are, the memory they bring, what is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.code import BLOCKS
from symdiff.compilation.cuda.memory import empty, flat, get, memory_is_short, number_of_device, put
from symdiff.compilation.cuda.module import Module
from symdiff.program.sizes import evaluate

__all__ = ["Launch", "Launcher"]

ROOM = 64
"""For how much there is memory at first where a size is computed."""
MAX_OWN = 1 << 30
"""Bytes of memory that a launch brings for single threads; fewer run if each needs much."""
N_STATUS = 8
STEP = 10.0
"""Nanoseconds of a step of one thread, with what it reads."""


class _Place(NamedTuple):
    """What a kernel has on a device: the Program's constants, and flags that no launch uses now."""

    constants: list[Any]
    flags: list[tuple[Any, Any]]


class Launcher:
    """A kernel with what it needs from launch to launch."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.room = dict.fromkeys(module.room, ROOM)
        self.may_fail = "status[" in module.text
        self._places: dict[int, _Place] = {}

    @cached_property
    def kernel(self) -> Any:
        """The machine code, made for the first launch: not every way of dividing has one."""
        return backend.compiled(self.module)

    def place(self) -> _Place:
        """Give what lies on the current device."""
        device = number_of_device()
        if device not in self._places:
            constants = [flat(put(data)) for data in self.module.constants.values()]
            self._places[device] = _Place(constants, [])
        return self._places[device]

    def flags(self) -> tuple[Any, Any]:
        """Make two arrays of zeros: for the status, and for how large computed sizes are."""
        n_room = max(len(self.room), 1)
        return put(np.zeros(N_STATUS, np.int32)), put(np.zeros(n_room, np.int64))

    def work(self, sizes: Mapping[str, int]) -> int:
        """Count the threads that the longest nest could have."""
        return max((evaluate(e, sizes) * n for e, _, n in self.module.divided), default=1)

    def nanoseconds(self, sizes: Mapping[str, int], n_threads: int, wait: float) -> float:
        """Estimate how long a launch takes, loops of steps as one step."""
        total = evaluate(self.module.waits, sizes) * wait
        for iterations, steps, lanes in self.module.divided:
            rounds = -(-evaluate(iterations, sizes) * lanes // n_threads)
            total += rounds * max(evaluate(steps, sizes) / lanes, 1.0) * STEP
        return total

    def blocks(self, sizes: Mapping[str, int], room: Mapping[str, int]) -> int:
        """Give the number of blocks."""
        threads = backend.threads()
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

    def workspaces(
        self, sizes: Mapping[str, int], room: Mapping[str, int]
    ) -> list[tuple[int, str]]:
        """Give the elements and the dtype of each workspace."""
        if not self.module.workspaces:
            return []
        blocks = self.blocks(sizes, room)
        known = {**sizes, **room, BLOCKS: blocks}
        return [
            (
                evaluate(w.count, known) * (blocks * backend.threads() if w.is_per_thread else 1),
                w.dtype,
            )
            for w in self.module.workspaces
        ]


class Launch:
    """A launch, with the memory that it works in, which further ones can use one after another.

    Parameters
    ----------
    launcher : Launcher
    sizes : dict
        The largest that there will be.
    stream : optional
    """

    def __init__(self, launcher: Launcher, sizes: Mapping[str, int], stream: Any = 0) -> None:
        self.launcher = launcher
        self._largest = sizes
        self._stream = stream
        self._place = launcher.place()
        try:
            self._flags = self._place.flags.pop()
        except IndexError:  # which another thread may have taken meanwhile
            self._flags = launcher.flags()
        self._take_memory()

    def _take_memory(self) -> None:
        self._room = dict(self.launcher.room)  # which another thread may change meanwhile
        wanted = self.launcher.workspaces(self._largest, self._room)
        self._blocks = self.launcher.blocks(self._largest, self._room)
        self._memory = [flat(empty((count,), dtype)) for count, dtype in wanted]

    def start(self, arguments: Sequence[Any], sizes: Mapping[str, int]) -> None:
        """Launch on inputs and outputs, numbers as numbers, arrays flat."""
        launcher, module = self.launcher, self.launcher.module
        self._again = arguments, sizes
        status, wanted = self._flags
        given = [*arguments, *self._place.constants, *self._memory, status]
        given += [np.int64(sizes[name]) for name in module.sizes]
        if module.room:
            given += [wanted, *[np.int64(self._room[name]) for name in module.room]]
        # where threads need less memory there may be more of them, for which this is too little
        blocks = min(launcher.blocks(sizes, self._room), self._blocks)
        what = f"on the GPU for what the threads of {module.name} work in"
        with memory_is_short(what), backend.quiet():
            launcher.kernel[blocks, backend.threads(), self._stream](*given)

    def wait_for_sizes(self) -> None:
        """Where sizes are computed: launch again until there is room for as much as is wanted."""
        module = self.launcher.module
        while module.room:
            found = dict(zip(module.room, self._read(self._flags[1]), strict=True))
            short = {name: n for name, n in found.items() if n > self._room[name]}
            if not short:
                return
            room = self.launcher.room
            for name, n in short.items():
                room[name] = max(room[name], 2 ** (n - 1).bit_length())
            self._take_memory()
            self.start(*self._again)

    def status(self) -> int:
        """Say what went wrong, a bit for each kind; waits where something may."""
        bits = 0
        if self.launcher.may_fail:
            bits = sum(1 << k for k, bit in enumerate(self._read(self._flags[0])) if bit)
        if not bits:  # and there was room for all sizes: the next launch may begin with these
            self._place.flags.append(self._flags)
        return bits

    def _read(self, flags: Any) -> list[int]:
        if self._stream:
            self._stream.synchronize()
        return get(flags).tolist()
