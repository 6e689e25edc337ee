"""symdiff: NumPy functions, their exact derivatives, and the kernels that compute both.

A plain NumPy function is traced into equations in index notation, differentiated symbolically, and
compiled. What a stage makes can be read: as a formula, as equations, as source.

Examples
--------
>>> import numpy as np
>>> import symdiff as sd
>>> f = sd.value_and_grad(lambda x: np.sum(np.sin(x) ** 2))
>>> f(np.array([0.0, np.pi / 4]))
(np.float64(0.5), array([0., 1.]))
"""

from symdiff.collector import collection_paused

# What modules make stays: looking through it for garbage would take a tenth of the time.
with collection_paused():
    from symdiff import optimizers as optim
    from symdiff._version import __version__
    from symdiff.config import config
    from symdiff.errors import (
        CacheError,
        DeviceError,
        DTypeError,
        ProgramTooLargeError,
        ShapeError,
        SymdiffError,
        TracingError,
        UnsupportedOperationError,
    )
    from symdiff.fitting.curve_fit import curve_fit
    from symdiff.fitting.fit_many import fit_many
    from symdiff.fitting.least_squares import least_squares
    from symdiff.fitting.many_result import FitManyResult
    from symdiff.fitting.status import FitStatus
    from symdiff.optimizers.minimize import minimize
    from symdiff.optimizers.minimize_status import MinimizeStatus
    from symdiff.optimizers.status import TrainProgress, TrainResult, TrainStatus
    from symdiff.optimizers.training import train
    from symdiff.program.program import Program
    from symdiff.runtime.batching import vmap
    from symdiff.runtime.checks import check_derivatives
    from symdiff.runtime.function import Function
    from symdiff.runtime.serialize import load
    from symdiff.runtime.signatures import spec
    from symdiff.runtime.transforms import (
        grad,
        hessian,
        hvp,
        jacobian,
        jit,
        jvp,
        trace,
        value_and_grad,
        vjp,
    )
    from symdiff.tracing.conversion import as_written
    from symdiff.tracing.custom import custom_derivative, primitive
    from symdiff.tracing.pointwise import stop_gradient
    from symdiff.tracing.statements import keep as loop
    from symdiff.tracing.statements import unroll
    from symdiff.tracing.structured import cond, fori_loop, scan, while_loop

__all__ = [
    "CacheError",
    "DTypeError",
    "DeviceError",
    "FitManyResult",
    "FitStatus",
    "Function",
    "MinimizeStatus",
    "Program",
    "ProgramTooLargeError",
    "ShapeError",
    "SymdiffError",
    "TracingError",
    "TrainProgress",
    "TrainResult",
    "TrainStatus",
    "UnsupportedOperationError",
    "__version__",
    "as_written",
    "check_derivatives",
    "cond",
    "config",
    "curve_fit",
    "custom_derivative",
    "fit_many",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "least_squares",
    "load",
    "loop",
    "minimize",
    "optim",
    "primitive",
    "scan",
    "spec",
    "stop_gradient",
    "trace",
    "train",
    "unroll",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
