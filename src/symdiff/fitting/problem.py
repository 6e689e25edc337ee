"""A least-squares problem as the solver sees it: kernels, and where their arguments lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

__all__ = ["Options", "Residuals", "Solution"]


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

    Attributes
    ----------
    data : tuple of str
        The inputs that are not parameters.
    """

    def __init__(self, program: Program, n_params: int) -> None:
        program = optimize(program)
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

    def n_residuals(self, data: Sequence[np.ndarray]) -> int:
        """How many residuals there are for these data."""
        (extent,) = self.program.types[self.program.outputs[0]].shape
        return evaluate(extent, self._sizes(data))

    def _sizes(self, data: Sequence[np.ndarray]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for symbol, (source, axis) in self.program.size_sources.items():
            if source in self.data:
                sizes[symbol] = data[self.data.index(source)].shape[axis]
            else:
                sizes[symbol] = self.n_params
        return sizes

    def minimize(
        self,
        start: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        data: Sequence[np.ndarray],
        options: Options,
    ) -> Solution:
        """Run the solver.

        Parameters
        ----------
        start, lower, upper : float64 arrays, one number for each parameter
        data : sequence of arrays
            Contiguous, of the dtypes of the Program's other inputs.
        options : Options
        """
        n, p = self.n_residuals(data), self.n_params
        work = np.zeros(lm.workspace_size(n, p))
        work[:p], work[p : 2 * p], work[2 * p : 3 * p] = start, lower, upper
        sizes = np.array([*self._sizes(data).values(), 0], np.int64)
        vectors, squares, residuals, matrices = _offsets(n, p)
        base = _address(work)
        plain = self._table(base + 8 * 4 * p, data, self.plain, [base + 8 * (residuals + n)])
        full = self._table(
            base, data, self.full, [base + 8 * residuals, base + 8 * matrices]
        )
        problem = np.array(
            [
                self.plain.call_address,
                _address(plain),
                self.full.call_address,
                _address(full),
                _address(sizes),
            ],
            np.int64,
        )
        counts = np.zeros(4, np.int64)
        status = _solver()(
            problem, work, n, p, options.loss, options.f_scale, options.max_steps, options.gtol,
            counts,
        )
        del vectors
        square = squares + 2 * p * p
        return Solution(
            work[:p],
            work[residuals : residuals + n],
            work[matrices : matrices + p * n].reshape(p, n),
            work[square : square + p * p].reshape(p, p),
            status,
            counts,
        )

    def _table(
        self, params: int, data: Sequence[np.ndarray], kernel: Kernel, outputs: Sequence[int]
    ) -> np.ndarray:
        """The addresses of a kernel's arrays."""
        count = len(self.params)
        return np.array(
            [
                *[params + 8 * k for k in range(count)],
                *[_address(x) for x in data],
                *[_address(c) for c in kernel.constants],
                *outputs,
            ],
            np.int64,
        )


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _offsets(n: int, p: int) -> tuple[int, int, int, int]:
    """Where `levenberg_marquardt.divide` has the vectors over parameters, and what follows."""
    squares = 14 * p
    residuals = squares + 3 * p * p
    return 0, squares, residuals, residuals + 3 * n


def _solver() -> Callable[..., int]:
    # numba is imported at the first fit, not with symdiff.
    from symdiff.compilation.cpu.solvers import compile_solver  # noqa: PLC0415

    return compile_solver(lm)["minimize"]
