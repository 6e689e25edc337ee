"""One traced and compiled variant of a function: arguments in, results out, on either target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.compilation.cpu.kernel import Call, Given, Kernel
from symdiff.compilation.cpu.tiers import Tiered, start_program
from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.program.program import Program
from symdiff.runtime.outputs import apart, check_outputs
from symdiff.runtime.signatures import Signature
from symdiff.tracing.trace import Spec, Static, Trace
from symdiff.trees import unflatten

if TYPE_CHECKING:
    from symdiff.compilation.cuda.composite import CutKernel
    from symdiff.compilation.cuda.kernel import CudaKernel

__all__ = ["Variant"]


class Variant:
    """One traced, optimised and compiled variant of a function."""

    def __init__(
        self,
        signature: Signature,
        leaves: Sequence[Any],
        trace: Trace,
        program: Program,
        target: str,
    ) -> None:
        self.out_tree = trace.out_tree
        self.program = program
        specs = [s for s in signature.leaves if isinstance(s, Spec)]
        self.positions = [n for n, s in enumerate(signature.leaves) if isinstance(s, Spec)]
        self.dtypes = [np.dtype(program.types[n].dtype) for n in program.inputs[: len(specs)]]
        self.is_plain = signature.is_plain
        self.tuple_size = (
            len(trace.out_tree.children)
            if trace.out_tree.kind is tuple and all(c.kind is None for c in trace.out_tree.children)
            else 0
        )
        self.call = None
        self.kernel: Kernel | Tiered | CudaKernel | CutKernel
        if target == "cuda":
            from symdiff.compilation.cuda.composite import kernel_of  # noqa: PLC0415 - seldom needed

            self.kernel = kernel_of(program)
        else:
            arguments, named = signature.tree.children
            if not named.children:
                given = self._given(signature, leaves)
                self.call = Call(arguments, given, trace.out_tree, self.is_plain)
            self.kernel = start_program(program, self.call)
        self.has_entered = False
        self.enter_into: Callable[..., Any] | None = None

    @property
    def native(self) -> Kernel | None:
        """The machine code, if there is any by now."""
        return self.kernel.native

    def _given(self, signature: Signature, leaves: Sequence[Any]) -> list[Given | None]:
        """What the arguments are, each None if it has to be converted."""
        dtypes = iter(self.dtypes)
        return [
            _as_given(described, x, next(dtypes).name if isinstance(described, Spec) else "")
            for described, x in zip(signature.leaves, leaves, strict=True)
        ]

    def _inputs(self, leaves: Sequence[Any]) -> list[Any]:
        return [
            _prepared(leaves[n], dtype)
            for n, dtype in zip(self.positions, self.dtypes, strict=True)
        ]

    def write(self, leaves: Sequence[Any], out: Any) -> None:
        """Write the results into the arrays of ``out``."""
        inputs = self._inputs(leaves)
        given = check_outputs(out, self.out_tree, self.kernel.shapes(inputs))
        outputs = apart(given, inputs)
        self.kernel.run(inputs, outputs)
        for array, output in zip(given, outputs, strict=True):
            if output is not array:
                array[...] = output

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """Compute the results, in the structure of the function's own."""
        outputs: list[Any] = self.kernel(self._inputs(leaves))
        for n, output in enumerate(outputs):
            if not output.ndim and type(output) is np.ndarray:
                outputs[n] = output.item() if self.is_plain else output[()]
        if self.out_tree.kind is None:
            return outputs[0]
        if self.tuple_size:
            return tuple(outputs)
        return unflatten(self.out_tree, outputs)


_SINGLETONS = (None, True, False)


def _as_given(described: Spec | Static, value: Any, dtype: str) -> Given | None:
    if isinstance(described, Static):
        is_one = any(described.value is x for x in _SINGLETONS)
        return Given("same", value=value) if is_one or isinstance(value, str) else None
    kind = type(value)
    if kind is float and dtype.startswith("float"):
        return Given("float", dtype)
    if kind is int and dtype in ("int64", "float64", "float32"):
        return Given("int", dtype)
    if kind is np.ndarray and value.dtype == dtype:
        return Given("array", dtype)
    return Given("scalar", dtype) if kind is np.dtype(dtype).type else None


def _prepared(value: Any, dtype: np.dtype) -> Any:
    """A contiguous, aligned array of a dtype: the argument itself wherever that is one."""
    if type(value) is np.ndarray and value.dtype == dtype:
        flags = value.flags
        if flags.c_contiguous and flags.aligned:
            return value
    if is_on_device(value):
        from symdiff.compilation.cuda import memory  # noqa: PLC0415 - seldom needed

        return memory.prepared(value, dtype)
    array = np.asarray(value, dtype=dtype, order="C")
    return array if array.flags.aligned else array.copy()
