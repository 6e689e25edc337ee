"""Two tiers: a Program of many numbers is interpreted until its machine code is there.

Machine code of a long Program takes LLVM longer than all that comes before it. It is made in a
thread of its own, for one Program after the other, and takes the place of the interpreter when it
is ready. Should that fail, the interpreter stays, which gives the same values, and the next call
says so with a `RuntimeWarning`.
"""

from __future__ import annotations

import atexit
import os
import threading
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.compilation.cpu.instructions import table_of
from symdiff.compilation.cpu.interpreter import Interpreted
from symdiff.compilation.cpu.kernel import Call, Kernel, compile_program
from symdiff.config import config
from symdiff.locks import LocalLock
from symdiff.program.program import Program

__all__ = ["Tiered", "start_program"]

LONG = 3000
"""Equations from which on a Program is interpreted first: it takes 0.1 s to compile."""


class _Ended(BaseException):
    """The process ends, or nobody needs the code any more."""


_one_at_a_time = LocalLock()
_ending = threading.Event()
_threads: set[threading.Thread] = set()


class Tiered:
    """A Program that is called like a `Kernel` before there is one.

    Attributes
    ----------
    native : Kernel or None
        The machine code, when it is ready.
    """

    def __init__(self, program: Program, call: Call | None, interpreted: Interpreted) -> None:
        self.program = program
        self.native: Kernel | None = None
        self.failure: BaseException | None = None
        self._call = call
        self._interpreted = interpreted
        self._thread: threading.Thread | None = None
        self._process = 0
        self._starting = LocalLock()

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on arrays of rank 0; outputs are new arrays."""
        native = self.native
        if native is not None:
            return native(inputs)
        failure, self.failure = self.failure, None
        if failure is not None:
            warnings.warn(
                f"{self.program.name} could not be compiled and stays interpreted, which is "
                f"slower: {type(failure).__name__}: {failure}",
                RuntimeWarning,
                stacklevel=4,
            )
        outputs = self._interpreted(inputs)
        if self._process != os.getpid():  # the first value is there, or a process has been forked
            self._start()
        return outputs

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Run on such arrays, and write to others like them."""
        for array, value in zip(outputs, self(inputs), strict=True):
            array[...] = value

    def shapes(self, inputs: Sequence[np.ndarray]) -> Sequence[tuple[Any, str]]:
        """Give shape and dtype of each output."""
        del inputs  # which are numbers, as the outputs are
        return [self.program.types[name] for name in self.program.outputs]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the machine code, which the first call has begun; tell whether it is there."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self.native is not None

    def _start(self) -> None:
        with self._starting:
            if self._process != os.getpid():
                self._process = os.getpid()
                work = weakref.ref(self), self.program, self._call
                name = f"symdiff compiles {self.program.name}"
                self._thread = threading.Thread(target=_compile, args=work, name=name, daemon=True)
                _threads.add(self._thread)
                self._thread.start()


def _compile(tiered: weakref.ref[Tiered], program: Program, call: Call | None) -> None:
    """Compile a Program for somebody who may be gone before that is done."""

    def proceed() -> None:
        if _ending.is_set() or tiered() is None:
            raise _Ended

    kernel: Kernel | None = None
    failure: BaseException | None = None
    try:
        with _one_at_a_time:
            proceed()
            kernel = Kernel(program, call, proceed)
    except _Ended:
        pass
    except BaseException as error:  # noqa: BLE001 - which the next call reports
        failure = error
    finally:
        _threads.discard(threading.current_thread())
    owner = tiered()
    if owner is not None:
        owner.failure = failure
        owner.native = kernel


@atexit.register
def _end() -> None:
    """Let the step that is going on finish: LLVM must not be taken apart under its hands."""
    _ending.set()
    for thread in list(_threads):
        thread.join()


os.register_at_fork(after_in_child=_threads.clear)  # which a forked process does not have


def start_program(program: Program, call: Call | None = None) -> Kernel | Tiered:
    """Compile an optimised Program, or interpret it and compile it in the background.

    The latter is done where compiling would take noticeably long, `sd.config.background_compile` is
    set, and the interpreter knows all that there is.
    """
    if config.background_compile and len(program.equations) >= LONG:
        table = table_of(program)
        if table is not None:
            return Tiered(program, call, Interpreted(program, table))
    return compile_program(program, call)
