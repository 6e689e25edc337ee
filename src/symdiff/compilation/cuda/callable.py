"""A Program as a function that a kernel of the user's calls, in each thread for itself."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda.code import Code, Place
from symdiff.compilation.cuda.operations import RESERVED
from symdiff.compilation.cuda.primitives import by_element
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.threads import Threads
from symdiff.compilation.schedule import schedule
from symdiff.errors import UnsupportedOperationError, at_user_line
from symdiff.program.program import Program
from symdiff.program.sizes import Extent

__all__ = ["Source", "write_callable"]

_OWN_NAMES = ("cuda", "status", "range")


class Source(NamedTuple):
    """The source of such a function.

    Its parameters are the inputs, and an array for each output that is one. It returns the outputs
    that are numbers.

    Attributes
    ----------
    name : str
    text : str
    needed : tuple of str
        The names that the source takes from elsewhere.
    functions : dict
        The user's own functions that it calls.
    constants : dict
        Arrays, flat.
    """

    name: str
    text: str
    needed: tuple[str, ...]
    functions: dict[str, Callable[..., Any]]
    constants: dict[str, np.ndarray]


def write_callable(program: Program, sizes: Mapping[str, int]) -> Source:
    """Write an optimised Program for one thread.

    Parameters
    ----------
    program : Program
    sizes : mapping
        What each size symbol is: a thread's own arrays have sizes that are known.

    Raises
    ------
    UnsupportedOperationError
        A thread has not enough memory of its own.
    """
    plan = schedule(by_element(program))
    code = Code({}, {*keyword.kwlist, *RESERVED, *_OWN_NAMES})
    name = code.fresh(program.name if program.name.isidentifier() else "f")
    scope = Scope(plan, dict(sizes))
    inputs = [_take(code, scope, array) for array in program.inputs]
    taken = [array for array in program.outputs if program.types[array].shape]
    outputs = [_array(code, a, program.types[a].shape) for a in taken]
    for array, (_, place) in zip(taken, outputs, strict=True):
        if array not in program.inputs:
            scope.places.setdefault(array, place)
    thread = Threads(code, scope)
    thread.constants()
    thread.make_room()
    thread.run()
    for array, (_, place) in zip(taken, outputs, strict=True):
        if scope.places.get(array) != place:
            thread.copy_output(array, place)
    _check_memory(code, program)
    results = [thread.output(a).text for a in program.outputs if a not in taken]
    body = [*[f"    {line}" for line in code.head], *code.lines]
    if any("status[" in line for line in body):
        body.insert(0, f"    status = cuda.local.array(8, {code.need('int32')})")
    parameters = ", ".join([*inputs, *[p for p, _ in outputs]])
    end = [f"    return {', '.join(results)}"] if results else []
    return Source(
        name,
        "\n".join([f"def {name}({parameters}):", *(body or ["    pass"]), *end, ""]),
        tuple(code.needed),
        code.functions,
        {k: np.ascontiguousarray(v).reshape(-1) for k, v in code.constants.items()},
    )


def _take(code: Code, scope: Scope, array: str) -> str:
    """Make the parameter of an input."""
    shape, dtype = scope.program.types[array]
    if shape:
        parameter, scope.places[array] = _array(code, array, shape)
        code.fixed.add(scope.places[array].base)
        return parameter
    parameter = code.fresh(array)
    own = scope.registers[array] = code.fresh(array)
    code.add(f"{own} = {code.need(dtype)}({parameter})")
    return parameter


def _array(code: Code, array: str, shape: tuple[Extent, ...]) -> tuple[str, Place]:
    """Make the parameter of an array, and say where it lies, flat."""
    parameter = code.fresh(array)
    if len(shape) == 1:
        return parameter, Place(parameter)
    own = code.fresh(array)
    code.head.append(f"{own} = {parameter}.reshape({parameter}.size)")
    return parameter, Place(own)


def _check_memory(code: Code, program: Program) -> None:
    """Refuse what needs memory that a launch brings."""
    if not code.workspaces and not code.room:
        return
    names = ", ".join(w.name for w in code.workspaces) or "arrays of a computed size"
    raise UnsupportedOperationError(
        at_user_line(
            f"{program.name} needs more memory than a thread of a GPU has for itself ({names}); "
            "make it smaller, or call the function from Python with target='cuda'"
        )
    )
