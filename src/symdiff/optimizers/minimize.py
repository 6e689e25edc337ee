"""`minimize`: SciPy's call, with the whole minimization in one kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.optimizers.bounds import as_box
from symdiff.optimizers.driving import Ending, Task, drive, reporter
from symdiff.optimizers.kernels import Key, find
from symdiff.optimizers.methods import METHODS
from symdiff.optimizers.minimize_status import MinimizeStatus
from symdiff.optimizers.multistart import best_of, draw_starts, drive_all
from symdiff.optimizers.objective import Variables, variables_of
from symdiff.optimizers.scipy_methods import PREFIX, minimize_with_scipy
from symdiff.runtime.placement import copied, is_for_device, to_host

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

__all__ = ["minimize"]


def minimize(
    f: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    method: str = "lbfgs",
    bounds: Any = None,
    tol: float | None = None,
    max_steps: int | None = None,
    callback: Callable[..., Any] | None = None,
    callback_every: int = 1,
    progress: bool = False,
    multistart: int | Sequence[Any] | None = None,
    seed: int = 0,
    constraints: Any = (),
    options: Mapping[str, Any] | None = None,
    target: str = "auto",
) -> OptimizeResult:
    """Minimize a function; its derivatives and the method's loop are one kernel.

    Parameters
    ----------
    f : callable
        ``f(x, *args)``, an ordinary NumPy function (or a `Function`) whose value is one number; for
        ``"gauss-newton"`` an array of residuals, of which half the sum of squares is minimized.
    x0 : number, array, or tree of those
        Start. ``f`` is given the like. If all of it is float32, so is all arithmetic.
    args : tuple
        More arguments of `f`: numbers, arrays and trees are data, other objects constants.
    method : str
        ``"lbfgs"``: quasi-Newton with 15 pairs, or 7 from 200 variables on.
        ``"cg"``: conjugate gradients of Hager and Zhang; a third of the memory, and less
        reliable where the variables' scales differ by much.
        ``"newton"``: a trust region with the exact Hessian; up to some hundred variables.
        ``"gauss-newton"``: the same for residuals, without their second derivatives.
        ``"nelder-mead"``: a simplex, with restarts, for functions that are not smooth.
        ``"scipy:NAME"``: SciPy's method of that name with exact derivatives.
    bounds : tuple ``(lower, upper)``, list of pairs, or `scipy.optimize.Bounds`, optional
        A tuple holds two numbers, or two values like x0; a list has a pair for each variable, with
        None for no bound. A start outside is moved to the nearest point inside.
    tol : float, optional
        The relative accuracy wanted in x; by default 4e-11, for float32 2e-5. It has
        converged when the next step would change each component of x by less than that part of
        it, or f by less than ``tol**2`` of it, or by ``tol**3`` of all it has decreased by. So a
        change of units of x or f changes nothing. Where ``"lbfgs"`` or ``"cg"`` knows too little of
        the curvature to say so, a step of Newton's method is the judge. For ``"scipy:NAME"``,
        SciPy's `tol`.
    max_steps : int, optional
        By default 15,000 or 15 n for ``"lbfgs"`` and ``"cg"``, 1000 for the Newtons, and 2000 n
        for ``"nelder-mead"``, with n variables.
    callback : callable, optional
        Called with the point, or with an `OptimizeResult` if its only parameter is named
        ``intermediate_result``; ends the minimization by raising `StopIteration`.
    callback_every : int
        It is called after every so many steps.
    progress : bool
        Write the number of steps and the value to the standard error stream twice a second.
    multistart : int, or sequence of starts, optional
        How many starts; the first is x0, the others are drawn within the bounds. They run side by
        side in ``sd.config.threads`` threads, without `callback`; ``result.starts`` has all
        results.
    seed : int
        Of the starts that are drawn.
    constraints, options
        Given to SciPy as they are, with ``"scipy:NAME"`` only. Constraints are functions of all
        variables in one vector.
    target : {"auto", "cpu", "cuda"}
        Where `f` and the method run; "auto" is where `args` lie. A GPU gets them once, if they are
        not there. It is for functions of many numbers: those of few are faster on the CPU, where
        SciPy's methods run anyway. Results are NumPy's.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` (like x0), ``fun, jac`` (the gradient, like x0; not for ``"nelder-mead"``), ``nit``
        (steps), ``nfev`` (evaluations), ``status`` (a `MinimizeStatus`), ``message, success``,
        ``history``, the value after each step, up to 100,000 of them, and ``hess_inv``, of all
        variables in one vector: for ``"lbfgs"`` an operator like SciPy's, with `todense`, for the
        Newtons the inverse of the exact Hessian (or of that of Gauss and Newton), an array. A
        minimization that did not converge, or that was stopped with Ctrl-C, gives the best point it
        had.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        The value of `f` is not one number, or arguments do not fit each other.
    TracingError, UnsupportedOperationError
        The function cannot be traced; the message names the line.

    Notes
    -----
    A value that is not finite, or NaN, at a trial point counts as a step that failed. Kernels are
    kept with `f` while it lives: another start, another size of a single vector, or another
    tolerance use them again. A new lambda at each call is a new function, and compiled each time.

    References
    ----------
    See the modules of `symdiff.optimizers`: ``lbfgs``, ``conjugate_gradient``, ``trust_region``,
    ``nelder_mead``, ``line_search``; ``descent`` for bounds, ``stopping`` and ``certificate`` for
    the tolerance.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> def rosenbrock(x):
    ...     return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> result = sd.minimize(rosenbrock, np.zeros(10))
    >>> result.x.round(6)
    array([1., 1., 1., 1., 1., 1., 1., 1., 1., 1.])
    >>> result.status
    <MinimizeStatus.CONVERGED: 0>
    >>> sd.minimize(rosenbrock, [0.0, 0.0], bounds=(-2.0, 0.5)).x.round(6)
    array([0.5 , 0.25])
    """
    if not callable(f):
        raise TypeError(f"expected a function to minimize, got {type(f).__name__}")
    args = args if isinstance(args, tuple) else (args,)
    variables, start = variables_of(to_host(x0))
    box = as_box(bounds, variables, start.size)
    if method.startswith(PREFIX):
        if is_for_device(target, args):
            raise ValueError(f"method {method!r} runs on the CPU; leave target as it is")
        given = {"tol": tol, "callback": callback, "options": dict(options or {})}
        if max_steps is not None:
            given["options"].setdefault("maxiter", max_steps)
        given["constraints"] = constraints
        name = method.removeprefix(PREFIX)
        result = minimize_with_scipy(f, variables, start, name, args=args, box=box, given=given)
        return _in_shape(result, variables)
    if method not in METHODS:
        raise ValueError(
            f"method {method!r} is unknown; allowed are {', '.join(METHODS)}, and scipy:NAME"
        )
    if not _is_empty(constraints) or options:
        raise ValueError(
            f"method {method!r} takes bounds only; for constraints or options use "
            "method='scipy:SLSQP' or 'scipy:trust-constr'"
        )
    if callback_every < 1:
        raise ValueError(f"callback_every is {callback_every}; it is at least 1")
    if is_for_device(target, args):
        target, args = "cuda", copied(args)
    kernels = find(f, Key(method, variables, box is not None, target))
    precision = float(np.finfo(variables.dtype).eps) ** (2 / 3)
    task = Task(
        kernels,
        METHODS[method].start(_inside(start, box)),
        box,
        precision if tol is None else float(tol),
        METHODS[method].max_steps(start.size) if max_steps is None else int(max_steps),
        args,
        METHODS[method].review,
    )
    result_of = functools.partial(_result, variables, method)

    def final(ending: Ending) -> OptimizeResult:
        return _with_inverse(result_of(ending), method, task, ending.state)

    if multistart is None:
        report = reporter(
            callback,
            progress,
            lambda state: result_of(Ending(MinimizeStatus.RUNNING, state, np.zeros(0))),
        )
        return final(drive(task._replace(report=report, every=callback_every)))
    starts = _starts(multistart, variables, _inside(start, box), box, seed)
    begins = [METHODS[method].start(_inside(s, box)) for s in starts]
    endings = drive_all([task._replace(start=s) for s in begins])
    results = [final(e) for e in endings]
    best = results[best_of(endings)].copy()
    best = type(results[0])(best)
    best["starts"] = results
    return best


def _is_empty(constraints: Any) -> bool:
    return isinstance(constraints, (tuple, list, dict)) and not constraints


def _inside(x: np.ndarray, box: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    return x if box is None else np.clip(x, *box)


def _starts(
    multistart: int | Sequence[Any], variables: Variables, first: np.ndarray, box: Any, seed: int
) -> list[np.ndarray]:
    """Give the starts as vectors."""
    if not isinstance(multistart, (int, np.integer)):
        given = [variables_of(x)[1].astype(variables.dtype) for x in multistart]
        if any(s.size != first.size for s in given):
            raise ValueError("every start of multistart has the structure of x0")
        return [first, *given]
    if multistart < 1:
        raise ValueError(f"multistart is {multistart}; it is at least 1")
    if multistart == 1:
        return [first]
    return draw_starts(first, box, int(multistart), seed)


def _result(variables: Variables, method: str, ending: Ending) -> OptimizeResult:
    from scipy.optimize import OptimizeResult  # noqa: PLC0415 - 0.2 s at import

    status, state, history = ending
    result = OptimizeResult(
        x=variables.split(state.x),
        fun=state.value,
        nit=int(state.steps),
        nfev=int(state.evaluations),
        status=status,
        message=status.message,
        success=status is MinimizeStatus.CONVERGED,
        history=history,
    )
    if method != "nelder-mead":
        result["jac"] = variables.split(state.gradient)
    return result


def _with_inverse(result: Any, method: str, task: Task, state: Any) -> OptimizeResult:
    """Add the inverse Hessian, where the method has one."""
    from symdiff.optimizers import inverse_hessian as found  # noqa: PLC0415 - imports SciPy

    if method == "lbfgs":
        result["hess_inv"] = found.inverse_of_pairs(state.memory)
    elif method in ("newton", "gauss-newton"):
        result["hess_inv"] = found.inverse_of(task.kernels.curvature.hessian, state.x, task.args)
    return result


def _in_shape(result: Any, variables: Variables) -> Any:
    """Give SciPy's result the structure of the start."""
    result["x"] = variables.split(np.asarray(result["x"], dtype=variables.dtype))
    if "jac" in result and np.ndim(result["jac"]) == 1:
        result["jac"] = variables.split(np.asarray(result["jac"], dtype=variables.dtype))
    return result
