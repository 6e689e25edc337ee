"""`CutKernel`: a Program with large products, as kernels with calls of a library between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.compilation.cuda import blas
from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.cuda.contractions import Contraction, Matrix, Product, contraction
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.memory import (
    empty,
    flat,
    get,
    hand_over,
    number_of_device,
    put,
    shown,
)
from symdiff.compilation.cuda.parts import Launch, Part, cut
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, evaluate, product

__all__ = ["CutKernel", "kernel_of"]

LARGE = 1 << 22
"""Multiplications from which on a library is asked: a launch more takes some 5 to 10 us, in which a
kernel of ours, at a tenth of what a GPU can do, gets through about so many."""
NARROW, NARROW_IN_BATCH = 8, 32
"""The result of a thinner product, or of one with a shorter sum, is better not written to memory:
that takes longer than computing it beside what it is needed for. A thread has all of a batch's
element where its matrices are small."""


def kernel_of(program: Program) -> CudaKernel | CutKernel:
    """Make what runs a Program on a GPU."""
    whole = CudaKernel(program)  # which says so if there is no GPU
    sides = {
        number: _sides(equation.extents, found)
        for number, equation in enumerate(program.equations)
        if (found := contraction(program, equation)) is not None
    }
    if not sides or blas.library() is None:
        return whole
    return CutKernel(whole, sides)


def _sides(extents: Sequence[Extent], found: Contraction) -> list[Extent]:
    """Give how many products there are, and their rows, columns and terms."""
    groups = (found.batch, found.rows, found.columns, found.inner)
    return [product(extents[k] for k in group) for group in groups]


class CutKernel:
    """A Program for a GPU, cut at those products that are large in a call.

    Attributes
    ----------
    program : Program
    """

    native = None

    def __init__(self, whole: CudaKernel, sides: dict[int, list[Extent]]) -> None:
        self.program = whole.program
        self._whole = whole
        self._sides = sides
        self._cuts: dict[tuple[int, ...], _Parts] = {}

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on arrays of the right dtypes and shapes; outputs are new arrays."""
        sizes = self.program.sizes_of(inputs)
        large = self._large(sizes)
        if not large:
            return self._whole(inputs)
        if large not in self._cuts:
            self._cuts[large] = _Parts(self.program, large)
        try:
            results = self._cuts[large](inputs, sizes)
        except MemoryError:  # what lies between parts; one kernel has less of it
            return self._whole(inputs)
        if any(is_on_device(x) for x in inputs):
            return [shown(x) for x in results]
        return [np.asarray(get(x)) for x in results]

    def run(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Run on such arrays, and write to others like the results."""
        if not self._large(self.program.sizes_of(inputs)):
            self._whole.run(inputs, outputs)
            return
        for output, made in zip(outputs, self(inputs), strict=True):
            if is_on_device(output):
                put(output).copy_to_device(put(made) if is_on_device(made) else made)
            else:
                output[...] = get(made) if is_on_device(made) else made
        hand_over(outputs)

    def _large(self, sizes: dict[str, int]) -> tuple[int, ...]:
        """Find the equations that are large products for these sizes."""
        return tuple([n for n, sides in self._sides.items() if _is_large(sides, sizes)])

    def shapes(self, inputs: Sequence[Any]) -> Sequence[tuple[Any, str]]:
        """Give shape and dtype of each output."""
        return self._whole.shapes(inputs)


def _is_large(sides: Sequence[Extent], sizes: dict[str, int]) -> bool:
    known = [evaluate(e, sizes) for e in sides]
    narrow = NARROW if known[0] == 1 else NARROW_IN_BATCH
    return math.prod(known) >= LARGE and min(known[1:]) >= narrow


class _Parts:
    """The kernels and the products of a Program, for some of its products."""

    def __init__(self, program: Program, large: Sequence[int]) -> None:
        self.program = program
        self.types, parts = cut(program, large)
        self.parts = [
            (part, CudaKernel(part.program) if isinstance(part, Launch) else None) for part in parts
        ]
        self.last = {a: k for k, part in enumerate(parts) for a in _taken_by(part)}
        self._constants: dict[int, dict[str, Any]] = {}

    def constants(self) -> dict[str, Any]:
        """Give the constants that parts take, on the current device."""
        device = number_of_device()
        if device not in self._constants:
            taken = {a: x for a, x in self.program.constants.items() if a in self.last}
            self._constants[device] = {a: put(x) for a, x in taken.items()}
        return self._constants[device]

    def __call__(self, inputs: Sequence[Any], sizes: dict[str, int]) -> list[Any]:
        """Run all parts; give the outputs on the device."""
        known = {**self.constants()}
        for name, x in zip(self.program.inputs, inputs, strict=True):
            if name in self.last:
                is_host_number = not self.types[name].shape and not is_on_device(x)
                known[name] = x if is_host_number else put(x)
        outputs: dict[str, list[Any]] = {name: [] for name in self.program.outputs}
        for k, (part, kernel) in enumerate(self.parts):
            if isinstance(part, Launch):
                assert kernel is not None
                made = kernel([self._given(part, n, known) for n in range(len(part.given))])
                names = part.program.outputs
            else:
                made = [self._multiplied(part, known, sizes)]
                names = (part.out.array,)
            for name, array in zip(names, made, strict=True):
                if name in outputs:
                    outputs[name].append(put(array))
                known.setdefault(name, put(array))
            for name in [a for a in known if self.last.get(a, k) <= k]:
                del known[name]  # so that the pool has its memory for the next part
        return [outputs[name].pop(0) for name in self.program.outputs]

    def _given(self, part: Launch, number: int, known: dict[str, Any]) -> Any:
        """Give an input of a kernel; of an earlier part's number, without fetching it."""
        x = known[part.given[number]]
        shape = part.program.types[part.program.inputs[number]].shape
        is_number = not self.types[part.given[number]].shape
        return flat(x) if shape and is_number else x

    def _multiplied(self, part: Product, known: dict[str, Any], sizes: dict[str, int]) -> Any:
        """Let the library multiply."""
        shape, dtype = self.types[part.out.array]
        out = empty(tuple([evaluate(e, sizes) for e in shape]), dtype)
        arrays = (out, known[part.left.array], known[part.right.array])
        blas.multiply(*[_taken(m, x, sizes) for m, x in zip(part, arrays, strict=True)])
        return out


def _taken_by(part: Part) -> Sequence[str]:
    """Name what a part takes of inputs, constants and earlier parts."""
    return part.given if isinstance(part, Launch) else (part.left.array, part.right.array)


def _taken(matrix: Matrix, array: Any, sizes: dict[str, int]) -> tuple[Any, Any, bool]:
    """Say how an array is taken as matrices."""
    shape = tuple([evaluate(e, sizes) for e in matrix.sizes])
    return array, shape, matrix.is_transposed
