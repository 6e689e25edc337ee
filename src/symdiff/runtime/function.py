"""`Function`: what every transform returns. Called, it runs a kernel; asked, it explains itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

from symdiff.collector import collection_paused
from symdiff.compilation.cpu.kernel import Kernel
from symdiff.compilation.cuda.arrays import is_on_device
from symdiff.compilation.source import to_source
from symdiff.errors import DeviceError, ShapeError, UnsupportedOperationError, at_user_line
from symdiff.locks import LocalLock
from symdiff.program.program import Program
from symdiff.program.serialization import save
from symdiff.program.sizes import evaluate
from symdiff.rewriting.passes import optimize
from symdiff.runtime import exports
from symdiff.runtime.outputs import has_parameter
from symdiff.runtime.report import CostReport
from symdiff.runtime.signatures import Signature, describe, is_traced, sign
from symdiff.runtime.variants import Variant
from symdiff.tracing.context import active_context, keeping_sizes
from symdiff.tracing.inlining import inline
from symdiff.tracing.trace import Spec, Static, Trace, matches
from symdiff.tracing.tracer import TracedArray, TracedSize, as_traced
from symdiff.trees import flatten, unflatten

__all__ = ["Builder", "Function", "check_target"]

Builder = Callable[[Signature], Trace]
"""Makes the Program of a function for a signature."""

MAX_SHORT = 4
"""So many variants of a function may be for one short size each; the next is for all sizes."""
MAX_KNOWN_CALLS = 1024
MAX_ENTRIES = 4
"""How many of the variants compiled last are tried without a look at the arguments."""


def check_target(target: str) -> None:
    """Refuse what is no target.

    Raises
    ------
    ValueError
    """
    if target not in ("cpu", "cuda", "auto"):
        raise ValueError(f"target {target!r} is unknown; allowed are 'auto', 'cpu' and 'cuda'")


def _no_entry(*args: Any) -> Any:  # noqa: ARG001 - stands for an entry
    """Stand for the entry of calls that are not simple."""
    return NotImplemented


class Function:
    """A function that is traced, differentiated and compiled when it is called.

    A function is traced once for each structure, dtype and rank of its arguments. Leading axes
    are symbolic sizes: other batch sizes use the same kernel, unless the function took a size for
    a number (``range(len(x))``), in which case it is traced again.

    Python numbers in give Python numbers out; NumPy in gives NumPy out. Calls from several threads
    are safe. While another function is traced, a call becomes part of that function's Program.

    ``out=`` takes arrays for the results, in the structure of the result: they are written to and
    given back, and nothing is allocated. A wrapped function with a parameter ``out`` keeps it.

    Examples
    --------
    >>> import symdiff as sd
    >>> f = sd.grad(lambda x, y: x**2 - 2 * x * y + 3 * y, argnums=(0, 1))
    >>> f(2.0, 1.0)
    (2.0, -1.0)
    >>> f.formula(2.0, 1.0)
    (2*x - 2*y, 3 - 2*x)
    >>> import numpy as np
    >>> x, gradient = np.array([1.0, 2.0]), np.empty(2)
    >>> sd.grad(lambda x: np.sum(x**3))(x, out=gradient) is gradient
    True
    >>> gradient
    array([ 3., 12.])
    """

    def __init__(
        self,
        build: Builder,
        name: str,
        wrapped: Callable[..., Any],
        *,
        primal: Function | None = None,
        target: str = "auto",
    ) -> None:
        check_target(target)
        self.target = target
        self._build = build
        self._enters: tuple[Callable[..., Any], ...] = ()
        self._enters_into: tuple[Callable[..., Any], ...] = ()
        self._known: dict[Any, Variant] = {}
        self._variants: dict[Any, list[Variant]] = {}
        self._lock = LocalLock()
        self.__name__ = name
        self.__wrapped__ = wrapped
        self.__doc__ = wrapped.__doc__
        self.primal = primal

    def __repr__(self) -> str:
        return f"<symdiff.Function {self.__name__}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take what the wrapped function takes; trace and compile when the arguments are new."""
        if not kwargs:
            for enter in self._enters:
                result = enter(*args)
                if result is not NotImplemented:
                    return result
        elif self._enters_into and len(kwargs) == 1 and "out" in kwargs:
            out = kwargs["out"]
            for enter in self._enters_into:
                result = enter(*args, out)
                if result is not NotImplemented:
                    return result
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if "out" in kwargs and not self._keeps_out:
            kwargs = dict(kwargs)
            out = kwargs.pop("out")
            if out is not None:
                return self._write(args, kwargs, out)
        if active_context() is not None:
            return self.inline(args, kwargs)
        signature, leaves = sign(args, kwargs)
        compiled = self._variant(signature, leaves)
        if not compiled.has_entered and compiled.native is not None:
            self._add_enter(compiled)
        return compiled(leaves)

    def _add_enter(self, compiled: Variant) -> None:
        """Let later calls go to a variant's machine code at once, as soon as there is any."""
        with self._lock:
            if compiled.has_entered or compiled.native is None:
                return
            compiled.has_entered = True
            enter = compiled.native.enter_objects
            if enter is not None:
                self._enters = (enter, *self._enters[: MAX_ENTRIES - 1])

    @cached_property
    def _keeps_out(self) -> bool:
        return has_parameter(self.__wrapped__, "out")

    def _write(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
        """Call with arrays for the results."""
        if active_context() is not None:
            raise UnsupportedOperationError(
                at_user_line(
                    f"{self.__name__}: out= has no meaning inside a function that is traced; "
                    "assign the result instead: out[...] = f(x)"
                )
            )
        signature, leaves = sign(args, kwargs)
        compiled = self._variant(signature, leaves)
        compiled.write(leaves, out)
        if compiled.enter_into is None and compiled.native is not None:
            with self._lock:
                self._add_entry(compiled, compiled.native)
        return out

    def _add_entry(self, compiled: Variant, native: Kernel) -> None:
        """Let further calls with ``out=`` take the fast way."""
        call = compiled.call
        if compiled.enter_into is not None or call is None:  # the former by another thread
            return
        compiled.enter_into = enter = native.enter_into(call) or _no_entry
        if enter is not _no_entry:
            self._enters_into = (enter, *self._enters_into[: MAX_ENTRIES - 1])

    def _variant(self, signature: Signature, leaves: Sequence[Any]) -> Variant:
        """Find or make the variant for a signature, where the arguments or the target want it."""
        target = "cuda" if self.target == "cuda" else "cpu"
        if any(map(is_on_device, leaves)):
            if self.target == "cpu":
                raise DeviceError(
                    at_user_line(
                        f"{self.__name__}: an argument lies on a GPU, but the target is 'cpu'; "
                        "copy it to the host, or leave target='auto'"
                    )
                )
            target = "cuda"
        found = self._known.get((target, signature))
        return self._compiled(signature, leaves, target) if found is None else found

    def _compiled(self, signature: Signature, leaves: Sequence[Any], target: str) -> Variant:
        """Make the variant for a signature, or find one for other sizes that will do."""
        with self._lock, collection_paused():
            general = target, _without_sizes(signature)
            variants = self._variants.setdefault(general, [])
            specs = [s for s in signature.leaves if isinstance(s, Spec)]
            for variant in variants:
                if matches(variant.program, variant.program.inputs, specs):
                    break
            else:
                is_much = len(variants) >= MAX_SHORT
                with keeping_sizes() if is_much else nullcontext():
                    trace = self._build(signature)
                if not matches(trace.program, trace.program.inputs, specs):
                    raise ShapeError(
                        at_user_line(
                            f"{self.__name__}: the shapes "
                            f"{', '.join(str(s.shape) for s in specs)} do not fit\n"
                            f"{str(trace.program).splitlines()[0]}"
                        )
                    )
                program = optimize(trace.program)
                variant = Variant(signature, leaves, trace, program, target)
                variants.append(variant)
            if len(self._known) >= MAX_KNOWN_CALLS:
                self._known.clear()
            self._known[target, signature] = variant
            return variant

    def with_target(self, target: str) -> Function:
        """Give the same function for another target."""
        primal = self.primal
        return Function(self._build, self.__name__, self.__wrapped__, primal=primal, target=target)

    @property
    def n_compiled(self) -> int:
        """How often the function has been compiled."""
        return sum(len(v) for v in self._variants.values())

    def trace(self, signature: Signature) -> Trace:
        """Make the Program for a signature, not optimised."""
        return self._build(signature)

    def inline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call part of the trace that is going on."""
        context = active_context()
        assert context is not None
        signature, leaves = sign_traced(args, kwargs)
        trace = self._build(signature)
        arguments = [
            as_traced(x)
            for x, s in zip(leaves, signature.leaves, strict=True)
            if isinstance(s, Spec)
        ]
        return unflatten(trace.out_tree, list(inline(trace, arguments)))

    # explanations

    def _trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
        signature, leaves = sign(args, kwargs)
        if is_traced(leaves):
            raise ShapeError(at_user_line("a Program is made of values or sd.spec, not of tracers"))
        return self._build(signature)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """Give the optimised Program for these arguments.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> print(sd.grad(lambda x: np.sum(x**3)).program(np.ones(4)))
        grad_f(x[n]):
            dx[i] = 3*x[i]**2
            return dx
        """
        return optimize(self._trace(args, kwargs).program)

    def formula(self, *args: Any, **kwargs: Any) -> Any:
        """Give SymPy: closed expressions for programs of numbers, else equations with indices.

        Returns
        -------
        sympy.Expr, tuple of sympy.Expr, or list of sympy.Eq

        Raises
        ------
        ProgramTooLargeError
            The expression would be too large to read; print ``program`` instead.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> sd.grad(lambda x: np.sin(x) * np.exp(x)).formula(1.0)
        exp(x)*sin(x) + exp(x)*cos(x)
        """
        return self.program(*args, **kwargs).to_sympy()

    def latex(self, *args: Any, **kwargs: Any) -> str:
        r"""Typeset the equations in LaTeX.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> print(sd.grad(np.sin).latex(1.0))
        \begin{aligned}
        \mathrm{dx} &= \cos{\left(x \right)}
        \end{aligned}
        """
        return self.program(*args, **kwargs).to_latex()

    def source(self, *args: Any, target: str = "cpu", **kwargs: Any) -> str:
        """Give the kernel's loop nests as Python source, to read and to step through.

        With ``target="cuda"`` it is the source that numba compiles for a GPU, of all threads.

        Examples
        --------
        >>> import symdiff as sd
        >>> print(sd.grad(lambda x: x**2).source(1.0))
        def grad_f(x):
            dx = 2*x
            return dx
        """
        check_target(target)
        program = self.program(*args, **kwargs)
        if target != "cuda":
            return to_source(program)
        from symdiff.compilation.cuda.module import cuda_source  # noqa: PLC0415 - seldom needed

        return cuda_source(program)

    def cost(self, *args: Any, **kwargs: Any) -> CostReport:
        """Count operations and memory traffic, also against the function differentiated.

        Examples
        --------
        >>> import symdiff as sd
        >>> sd.value_and_grad(lambda x, y: x * y + x).cost(1.0, 2.0).ratio
        1.5
        """
        primal = self.primal.program(*args, **kwargs) if self.primal is not None else None
        own = self.program(*args, **kwargs).count_operations()
        return CostReport(own, primal.count_operations() if primal is not None else None)

    def numba(self, *args: Any, target: str = "cpu", **kwargs: Any) -> Callable[..., Any]:
        """Give a function that other ``@numba.njit`` code can call; results are a flat tuple.

        With ``target="cuda"`` it is for ``@cuda.jit`` code, where each thread computes all of it.
        Numbers are returned, and for each array among the results one is taken, behind the other
        arguments, to write it to. Arrays are contiguous, and have the shapes of those given here.
        Where a kernel would raise (a singular matrix, an index out of bounds), it goes on.

        Raises
        ------
        UnsupportedOperationError
            It needs more memory than a thread of a GPU has for itself.

        Examples
        --------
        >>> import numba, symdiff as sd
        >>> df = sd.grad(lambda x: x**3).numba(1.0)
        >>> numba.njit(lambda x: df(x) + 1)(2.0)
        13.0
        """
        check_target(target)
        signature, _ = sign(args, kwargs)
        program = optimize(self._trace(args, kwargs).program)
        if target != "cuda":
            return exports.numba_function(program)
        shapes = [leaf.shape for leaf in signature.leaves if isinstance(leaf, Spec)]
        given = dict(zip(program.inputs, shapes, strict=True))
        sizes = {name: given[a][axis] for name, (a, axis) in program.size_sources.items()}
        return exports.cuda_function(program, sizes)

    def cfunc(self, *args: Any, **kwargs: Any) -> exports.CFunction:
        """Give the kernel's address and C signature.

        Examples
        --------
        >>> import scipy.integrate, symdiff as sd
        >>> c = sd.grad(lambda x: x**3).cfunc(1.0)
        >>> round(scipy.integrate.quad(c.low_level_callable, 0.0, 2.0)[0], 9)
        8.0
        """
        return exports.c_function(optimize(self._trace(args, kwargs).program))

    def save(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """Write the Program for these arguments as plain data, which `sd.load` reads.

        Without arguments the one variant that has been compiled is saved.
        """
        if args or kwargs:
            program = self.program(*args, **kwargs)
        else:
            variants = [v for group in self._variants.values() for v in group]
            if len(variants) != 1:
                raise ValueError(
                    f"{self.__name__} has been compiled {len(variants)} times: pass example "
                    "arguments to say which Program to save"
                )
            program = variants[0].program
        save(program, path)


def sign_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Signature, list[Any]]:
    """Describe a call while a trace is going on."""
    leaves, tree = flatten((args, kwargs))
    described: list[Spec | Static] = []
    leaves = [as_traced(x) if isinstance(x, TracedSize) else x for x in leaves]
    for x in leaves:
        if isinstance(x, TracedArray):
            shape = tuple(evaluate(e, x.context.values) for e in x.shape_)
            described.append(Spec(shape, x.dtype_, x.is_weak))
        else:
            described.append(describe(x))
    return Signature(tree, tuple(described)), leaves


def _without_sizes(signature: Signature) -> Any:
    leaves = tuple(
        s if isinstance(s, Static) else (len(s.shape), s.dtype, s.is_weak) for s in signature.leaves
    )
    return (signature.tree, leaves)
