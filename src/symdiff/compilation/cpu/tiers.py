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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.collector import collection_paused
from symdiff.compilation.cpu.instructions import table_of
from symdiff.compilation.cpu.interpreter import Interpreted
from symdiff.compilation.cpu.kernel import Call, Kernel, compile_program
from symdiff.config import config
from symdiff.program.program import Program

__all__ = ["Tiered", "start_program"]

LONG = 3000
"""Equations from which on a Program is interpreted first: it takes 0.1 s to compile."""


class _Ended(BaseException):
    """The process ends, or nobody needs the code any more."""


_one_at_a_time = threading.Lock()
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
        self._interpreted = interpreted
        self._call = call
        self._failure: BaseException | None = None
        self._begun = threading.Lock()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=self._compile, name=f"symdiff compiles {self.program.name}", daemon=True
        )
        _threads.add(self._thread)
        self._thread.start()

    def _compile(self) -> None:
        try:
            with _one_at_a_time, collection_paused():
                _proceed()
                self.native = Kernel(self.program, self._call, _proceed)
        except _Ended:
            pass
        except BaseException as error:  # noqa: BLE001 - which the next call reports
            self._failure = error
        finally:
            _threads.discard(threading.current_thread())

    @property
    def enter_objects(self) -> Callable[..., Any] | None:
        """As of a `Kernel`; None before there is machine code."""
        return None if self.native is None else self.native.enter_objects

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on arrays of rank 0; outputs are new arrays."""
        native = self.native
        if native is not None:
            return native(inputs)
        failure, self._failure = self._failure, None
        if failure is not None:
            warnings.warn(
                f"{self.program.name} could not be compiled and stays interpreted, which is "
                f"slower: {type(failure).__name__}: {failure}",
                RuntimeWarning,
                stacklevel=4,
            )
        outputs = self._interpreted(inputs)
        if self._begun.acquire(blocking=False):  # behind the first value, which is waited for
            self._start()
        return outputs

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the machine code; tell whether it is there."""
        self._thread.join(timeout)
        return self.native is not None


def _proceed() -> None:
    if _ending.is_set():
        raise _Ended


@atexit.register
def _end() -> None:
    """Let the step that is going on finish: LLVM must not be taken apart under its hands."""
    _ending.set()
    for thread in list(_threads):
        thread.join()


if hasattr(os, "register_at_fork"):

    def _forget() -> None:
        global _one_at_a_time  # noqa: PLW0603 - whose holder is not in this process
        _one_at_a_time = threading.Lock()
        _threads.clear()

    os.register_at_fork(after_in_child=_forget)


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
