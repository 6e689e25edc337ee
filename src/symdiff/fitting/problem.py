"""A least-squares problem as the solver sees it: kernels, and where their arguments lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

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
from symdiff.program.program import Program
from symdiff.program.sizes import evaluate
from symdiff.rewriting.passes import COPY, optimize
from symdiff.tracing.trace import Spec, Static, matches

__all__ = ["Options", "Plan", "Residuals", "Solution"]


class Options(NamedTuple):
    """What the solver is told; see `levenberg_marquardt.minimize`."""

    loss: int = 0
    f_scale: float = 1.0
    max_steps: int = 1000
    gtol: float = 1e-8


class Solution(NamedTuple):
    """What the solver leaves; ``covariance`` is ``inv(J'J)``, infinite without convergence."""

    params: np.ndarray
    residuals: np.ndarray
    jacobian: np.ndarray
    covariance: np.ndarray
    status: int
    counts: np.ndarray


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

    def __init__(
        self, program: Program, n_params: int, specs: Sequence[Spec | Static]
    ) -> None:
        program = optimize(program)
        self._statics = [s for s in specs if isinstance(s, Static)]
        is_vector = program.types[program.inputs[0]].shape != ()
        count = 1 if is_vector else n_params
        self.n_params = n_params
        self.params = program.inputs[:count]
        self.data = program.inputs[count:]
        self.is_vector = is_vector
        self.plain: Kernel = compile_program(program)
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
        return made.replace(
            equations=tuple(equations), types=types, outputs=(output, name)
        )

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
        return Plan(self, evaluate(extent, values), sizes)


class Plan:
    """The memory of one problem: where everything lies, made once and filled at every fit.

    Two arrays hold all of it: `levenberg_marquardt.divide` says what is in the floats; the integers
    are the solver's ``problem``, then the tables of pointers of both kernels, the sizes, and the
    counts.
    """

    def __init__(self, kernels: Residuals, n: int, sizes: Sequence[int]) -> None:
        self.kernels = kernels
        self.n, self.p = n, kernels.n_params
        p = self.p
        self.size = lm.workspace_size(n, p)
        self.squares = 14 * p
        self.residuals = self.squares + 3 * p * p
        self.matrices = self.residuals + 3 * n
        count = len(kernels.params)
        n_data = len(kernels.data)
        constants = [_address(c) for c in kernels.plain.constants]
        more = [_address(c) for c in kernels.full.constants]
        trial = [8 * (4 * p + k) for k in range(count)]
        params = [8 * k for k in range(count)]
        start = len(lm.HOOKS) * 2 + 1
        in_work: list[tuple[int, int]] = []
        table: list[int] = []
        self.data_places: list[tuple[int, int]] = []
        self.tables: list[int] = []
        for places, known, outputs in (
            (trial, constants, [self.residuals + n]),
            (params, more, [self.residuals, self.matrices]),
        ):
            self.tables.append(start + len(table))
            in_work += [(start + len(table) + k, at) for k, at in enumerate(places)]
            table += [0] * count
            self.data_places += [(start + len(table) + k, k) for k in range(n_data)]
            table += [0] * n_data
            table += known
            in_work += [(start + len(table) + k, 8 * at) for k, at in enumerate(outputs)]
            table += [0] * len(outputs)
        self.sizes_place = start + len(table)
        addresses = [kernels.plain.call_address, 0, kernels.full.call_address, 0, 0]
        self.template = np.array([*addresses, *table, *sizes, 0, 0, 0, 0, 0], np.int64)
        self.is_in_work = np.zeros(self.template.size, np.int64)
        for place, offset in in_work:
            self.template[place] = offset
            self.is_in_work[place] = 1
        self.free = np.concatenate([np.full(p, -np.inf), np.full(p, np.inf), np.zeros(p)])

    def minimize(
        self,
        start: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray] | None,
        data: Sequence[np.ndarray],
        options: Options,
    ) -> Solution:
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
        """
        n, p = self.n, self.p
        work = np.empty(self.size)
        work[:p] = start
        work[p : 4 * p] = self.free
        if bounds is not None:
            work[p : 2 * p], work[2 * p : 3 * p] = bounds
        integers = self.is_in_work * _address(work)
        integers += self.template
        here = _address(integers)
        integers[1] = here + 8 * self.tables[0]
        integers[3] = here + 8 * self.tables[1]
        integers[4] = here + 8 * self.sizes_place
        for place, k in self.data_places:
            integers[place] = _address(data[k])
        counts = integers[-4:]
        loss, f_scale, max_steps, gtol = options
        status = _solver()(integers, work, n, p, loss, f_scale, max_steps, gtol, counts)
        square = self.squares + 2 * p * p
        return Solution(
            work[:p],
            work[self.residuals : self.residuals + n],
            work[self.matrices : self.matrices + p * n].reshape(p, n),
            work[square : square + p * p].reshape(p, p),
            status,
            counts,
        )


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@cache
def _solver() -> Callable[..., int]:
    # numba is imported at the first fit, not with symdiff.
    from symdiff.compilation.cpu.solvers import compile_solver  # noqa: PLC0415

    return compile_solver(lm)["minimize"]
