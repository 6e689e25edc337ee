"""A least-squares problem as the solver sees it: kernels, and where their arguments lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cpu.kernel import Kernel, compile_program
from symdiff.differentiation.forward import (
    Direction,
    constant_positions,
    forward_jacobian,
    jacobian_columns,
)
from symdiff.fitting import levenberg_marquardt as lm
from symdiff.program.affine import constant, index
from symdiff.program.equations import ArrayType, Equation, Literal, Operand, Read
from symdiff.program.patterns import COPY
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate
from symdiff.rewriting.passes import optimize, simplify
from symdiff.tracing.trace import Spec, Static, matches

__all__ = ["Memory", "Options", "Plan", "Residuals"]


class Options(NamedTuple):
    """What the solver is told; see `levenberg_marquardt.minimize`."""

    loss: int = 0
    f_scale: float = 1.0
    max_steps: int = 1000
    gtol: float = 1e-8


SMALL = 4096
"""Data of up to this many numbers are copied beside the workspace: no pointers need be set."""
MAX_POOLED = 4


class Residuals:
    """Kernels for residuals and their Jacobian.

    Parameters
    ----------
    program : Program
        Inputs: the parameters (numbers, or one vector), then data. One output of rank 1.
    n_params : int
        How many parameters there are.
    specs : sequence of Spec or Static
        What the Program was traced for.

    Attributes
    ----------
    data : tuple of str
        The inputs that are not parameters.
    """

    def __init__(self, program: Program, n_params: int, specs: Sequence[Spec | Static]) -> None:
        program = simplify(program)
        self._statics = [s for s in specs if isinstance(s, Static)]
        is_vector = program.types[program.inputs[0]].shape != ()
        count = 1 if is_vector else n_params
        self.n_params = n_params
        self.params = program.inputs[:count]
        self.data = program.inputs[count:]
        self.is_vector = is_vector
        self.plain: Kernel = compile_program(optimize(program))
        self.full: Kernel = compile_program(optimize(self._with_jacobian(program)))
        self.program = program

    def _with_jacobian(self, program: Program) -> Program:
        """Add the Jacobian as one array with a row for each parameter."""
        output = program.outputs[0]
        (extent,) = program.types[output].shape
        rows: list[Operand]
        if self.is_vector and constant_positions(program, self.params[0]) is None:
            made = forward_jacobian(program, output, self.params)
            name = made.outputs[0]
            rows = [Read(name, (index(0), constant(k))) for k in range(self.n_params)]
        else:
            directions = [
                Direction(self.params[0], (k,)) if self.is_vector else Direction(self.params[k], ())
                for k in range(self.n_params)
            ]
            made, columns = jacobian_columns(program, output, directions)
            rows = [
                Literal(0, "float64") if column is None else Read(column, (index(0),))
                for column in columns
            ]
        name = made.fresh_name("jacobian")
        equations = list(made.equations)
        for k, row in enumerate(rows):
            target = (constant(k), index(0))
            equations.append(Equation(name, target, "=", COPY, (row,), (extent,), None))
        types = {**made.types, name: ArrayType((self.n_params, extent), "float64")}
        return made.replace(equations=tuple(equations), types=types, outputs=(output, name))

    def serves(self, specs: Sequence[Spec | Static]) -> bool:
        """Whether the kernels hold for other arguments, which may differ in size."""
        arrays = [s for s in specs if isinstance(s, Spec)]
        names = self.program.inputs
        return (
            [s for s in specs if isinstance(s, Static)] == self._statics
            and len(arrays) == len(names)
            and all(
                s.dtype == self.program.types[n].dtype for s, n in zip(arrays, names, strict=True)
            )
            and matches(self.program, names, arrays)
        )

    def plan(self, data: Sequence[np.ndarray]) -> Plan:
        """Lay out memory for data of these shapes."""
        sizes: list[int] = []
        values: dict[str, int] = {}
        for symbol, (source, axis) in self.program.size_sources.items():
            is_data = source in self.data
            size = data[self.data.index(source)].shape[axis] if is_data else self.n_params
            sizes.append(size)
            values[symbol] = size
        (extent,) = self.program.types[self.program.outputs[0]].shape
        return Plan(self, evaluate(extent, values), sizes, data)


class Memory:
    """The memory of one fit, with every pointer in it; used again by later fits.

    ``integers`` are the solver's ``problem`` with, behind it, the sizes and the tables of pointers
    of both kernels; ``work`` is what `levenberg_marquardt.divide` slices.
    """

    def __init__(self, kernels: Residuals, n: int, sizes: Sequence[int], copied: list[int]) -> None:
        p = kernels.n_params
        size = lm.workspace_size(n, p)
        squares = 14 * p
        residuals = squares + 3 * p * p
        matrices = residuals + 3 * n
        self.work = np.empty(size)
        self.stash = np.empty(sum(copied))
        self.params = self.work[:p]
        self.begin = self.work[p : 4 * p]
        self.end = self.work[size - 2 :]
        self.residuals = self.work[residuals : residuals + n]
        self.jacobian = self.work[matrices : matrices + p * n].reshape(p, n)
        self.covariance = self.work[squares + 2 * p * p : residuals].reshape(p, p)
        self.data = np.split(self.stash, np.cumsum(copied)[:-1]) if copied else []
        base, here = _address(self.work), _address(self.stash)
        starts = (base + 8 * 4 * p, base)  # trial parameters, parameters
        outputs = ([residuals + n], [residuals, matrices])
        tables: list[int] = []
        begins: list[int] = []
        self.data_places: list[list[int]] = []
        first = lm.HOOK_DATA + 8 + len(sizes) + 1
        stashed = [here + 8 * int(at) for at in np.cumsum([0, *copied])[: len(copied)]]
        kernel_pair = (kernels.plain, kernels.full)
        for kernel, start, results in zip(kernel_pair, starts, outputs, strict=True):
            begins.append(first + len(tables))
            tables += [start + 8 * k for k in range(len(kernels.params))]
            self.data_places.append([first + len(tables) + k for k in range(len(kernels.data))])
            tables += stashed or [0] * len(kernels.data)
            tables += [_address(c) for c in kernel.constants]
            tables += [base + 8 * at for at in results]
        header = [kernels.plain.call_address, 0, kernels.full.call_address, 0, 0, n, p, 0, 0]
        self.integers = np.array([*header, 0, 0, 0, 0, *sizes, 0, *tables], np.int64)
        table_address = _address(self.integers)
        self.integers[1] = table_address + 8 * begins[0]
        self.integers[3] = table_address + 8 * begins[1]
        self.integers[4] = table_address + 8 * (lm.HOOK_DATA + 8)
        self.counts = self.integers[lm.HOOK_DATA + 4 : lm.HOOK_DATA + 8]

    def set_data(self, data: Sequence[np.ndarray]) -> None:
        """Copy small data in; point to large ones."""
        if self.data:
            for mine, given in zip(self.data, data, strict=True):
                mine[...] = given if given.ndim == 1 else given.ravel()
            return
        for places in self.data_places:
            for place, given in zip(places, data, strict=True):
                self.integers[place] = _address(given)


class Plan:
    """Kernels for data of certain shapes, and memory for fits of those."""

    def __init__(
        self, kernels: Residuals, n: int, sizes: Sequence[int], data: Sequence[np.ndarray]
    ) -> None:
        self.kernels = kernels
        self.n = n
        self._sizes = list(sizes)
        p = kernels.n_params
        self._free = np.concatenate([np.full(p, -np.inf), np.full(p, np.inf), np.zeros(p)])
        is_small = all(x.dtype == np.float64 for x in data) and sum(x.size for x in data) <= SMALL
        self._copied = [x.size for x in data] if is_small else []
        self._pool: list[Memory] = []

    def minimize(
        self,
        start: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray] | None,
        data: Sequence[np.ndarray],
        options: Options,
    ) -> tuple[int, Memory]:
        """Run the solver.

        Parameters
        ----------
        start : array_like
            One number for each parameter, within the bounds.
        bounds : tuple of array_like or None
            Lower and upper bounds.
        data : sequence of arrays
            Contiguous, of the dtypes of the Program's other inputs; kept until it returns.
        options : Options

        Returns
        -------
        status : int
        memory : Memory
            With the results in it; give it back with `release` when they have been copied.
        """
        try:
            memory = self._pool.pop()
        except IndexError:
            memory = Memory(self.kernels, self.n, self._sizes, self._copied)
        memory.params[...] = start
        memory.begin[...] = self._free
        if bounds is not None:
            p = self.kernels.n_params
            memory.begin[:p], memory.begin[p : 2 * p] = bounds
        memory.end[...] = options.f_scale, options.gtol
        memory.integers[7], memory.integers[8] = options.loss, options.max_steps
        memory.set_data(data)
        return _solver()(memory.integers, memory.work), memory

    def release(self, memory: Memory) -> None:
        """Let later fits use the memory of one that is done."""
        if len(self._pool) < MAX_POOLED:
            self._pool.append(memory)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@cache
def _solver() -> Callable[..., int]:
    # numba is imported at the first fit, not with symdiff.
    from symdiff.compilation.cpu.solvers import compile_solver  # noqa: PLC0415

    solver: Any = lm
    return compile_solver(solver)["minimize"]
