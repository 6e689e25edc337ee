"""A Program as a function for numba.cuda: its source, and what it has to be given."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from symdiff.compilation.cuda import library
from symdiff.compilation.cuda.code import BLOCKS, THREADS, Code, Place, Share, Workspace
from symdiff.compilation.cuda.operations import RESERVED
from symdiff.compilation.cuda.primitives import by_element
from symdiff.compilation.cuda.products import with_tiles
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.teams import Team
from symdiff.compilation.nests import Schedule, Store, walk
from symdiff.compilation.ordering import rows_of
from symdiff.compilation.schedule import schedule
from symdiff.program.blocks import Block
from symdiff.program.nested import nested_of
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, symbol

__all__ = ["Module", "cuda_source", "write"]


MAX_LEAN = 256
"""Elements that a thread may have in memory of its own, to do with many threads."""


class Module(NamedTuple):
    """The source of a kernel.

    Its parameters are the inputs (numbers as numbers, arrays flat), the outputs (flat; numbers as
    arrays of one), the constants, the workspaces, ``status``, and the sizes; where sizes are
    computed, ``wanted``, for how large they are, and for each how large there is room for.

    Attributes
    ----------
    program : Program
        As it was scheduled.
    name : str
        The function.
    text : str
    needed : tuple of str
        The names that the source takes from elsewhere.
    constants : dict
    workspaces : tuple of Workspace
    sizes : tuple of str
        The size symbols.
    divided : tuple of Share
        What is divided among the threads.
    has_barriers : bool
        Whether threads wait for each other, or combine what they have.
    waits : Extent
        How often all threads wait for each other; in a loop of steps, how often in a step.
    room : tuple of str
        The size symbols that are computed, which workspaces may depend on.
    is_lean : bool
        Whether every nest is divided, and threads need little memory of their own.
    functions : dict
        The user's own functions that it calls.
    boxed : frozenset of str
        The inputs that are numbers, and are given as arrays of one element.
    """

    program: Program
    name: str
    text: str
    needed: tuple[str, ...]
    constants: dict[str, np.ndarray]
    workspaces: tuple[Workspace, ...]
    sizes: tuple[str, ...]
    divided: tuple[Share, ...]
    has_barriers: bool
    waits: Extent
    room: tuple[str, ...]
    is_lean: bool
    functions: dict[str, Callable[..., Any]]
    boxed: frozenset[str]


def write(
    program: Program,
    *,
    by_row: bool = False,
    is_grid: bool = False,
    boxed: frozenset[str] = frozenset(),
) -> Module:
    """Write an optimised Program for all threads of a launch.

    Parameters
    ----------
    program : Program
    by_row : bool
        Whether a thread computes a row of the batch with all that belongs to it, instead of an
        element of each array.
    is_grid : bool
        Whether there are several blocks, which wait for each other together.
    boxed : frozenset of str
        The inputs that are numbers, but lie on the device: arrays of one element.
    """

    def plan(inner: Program, carried: Mapping[str, str] | None = None) -> Schedule:
        return schedule(with_tiles(by_element(inner)), carried, by_element=True)

    program = by_element(program)
    outer = schedule(program, rows=rows_of(program)) if by_row else plan(program)
    program = outer.program
    taken = {*keyword.kwlist, *RESERVED, *_OWN_NAMES}
    code = Code({BLOCKS: "cuda.gridDim.x"}, taken, plan=plan, barrier=_BARRIERS[is_grid])
    code.interleaves = not _calls_functions(program)
    name = code.fresh(program.name if program.name.isidentifier() else "f")
    code.sizes.update((size, code.fresh(size)) for size in program.size_sources)
    scope = Scope(outer, {s: symbol(s) for s in program.size_sources})
    inputs = [_take_input(code, scope, array, array in boxed) for array in program.inputs]
    outputs = [_place_output(code, scope, array) for array in program.outputs]
    team = Team(code, scope)
    team.constants()
    team.make_room()
    team.run()
    stored = {n.array for n in walk(outer.body) if isinstance(n, Store)}
    for array, place in zip(program.outputs, outputs, strict=True):
        is_written = program.types[array].shape or array not in scope.registers or array in stored
        if scope.places.get(array) != place or not is_written:
            team.copy_output(array, place)
    parameters = [*inputs, *[p.base for p in outputs], *code.constants]
    parameters += [*[w.name for w in code.workspaces], "status"]
    parameters += [code.sizes[s] for s in program.size_sources]
    if code.room:
        parameters += ["wanted", *code.room.values()]
    body = [*[f"    {line}" for line in code.head], *code.lines]
    has_barriers = any(f"{code.barrier}()" in line for line in body)
    first = ["    me = cuda.grid(1)", "    team = cuda.gridsize(1)"]
    if is_grid and has_barriers:
        first.append("    grid = cuda.cg.this_grid()")
    helpers = [text for _, text in code.helpers.values()]
    has_own = any(w.is_per_thread for w in code.workspaces)
    return Module(
        program=program,
        name=name,
        text="\n".join([*helpers, f"def {name}({', '.join(parameters)}):", *first, *body, ""]),
        needed=tuple(code.needed),
        constants=code.constants,
        workspaces=tuple(code.workspaces),
        sizes=tuple(program.size_sources),
        divided=tuple(code.divided),
        has_barriers=has_barriers,
        waits=code.waits,
        room=tuple(code.room),
        is_lean=not code.n_alone and code.n_local <= MAX_LEAN and not has_own,
        functions=code.functions,
        boxed=boxed,
    )


_OWN_NAMES = ("cuda", "me", "team", "grid", "status", "range", "min", "wanted", THREADS)
"""What every kernel calls so."""
_BARRIERS = {False: "cuda.syncthreads", True: "grid.sync"}


def _calls_functions(program: Program) -> bool:
    """Whether there are blocks, inside too, that are functions of arrays."""
    for equation in program.equations:
        if not isinstance(equation.pattern, Block):
            continue
        nested = nested_of(equation.pattern)
        if nested is None and equation.pattern.name not in ("put", "product"):
            return True
        if nested is not None and any(map(_calls_functions, nested.programs)):
            return True
    return False


def _take_input(code: Code, scope: Scope, array: str, is_boxed: bool) -> str:
    """Make the parameter of an input: a number, or an array that nobody writes to."""
    own = code.fresh(array)
    if scope.program.types[array].shape:
        scope.places[array] = Place(own)
        code.fixed.add(own)
    elif is_boxed:
        number = scope.registers[array] = code.fresh(array)
        code.head.append(f"{number} = {own}[0]")
    else:
        scope.registers[array] = own
    return own


def _place_output(code: Code, scope: Scope, array: str) -> Place:
    """Make the parameter of an output, which is computed there unless it is an input as well."""
    is_input = array in scope.program.inputs
    place = Place(code.fresh(f"{array}_out" if is_input else array))
    if not is_input:
        scope.places.setdefault(array, place)
    return place


def cuda_source(program: Program) -> str:
    """Write a Program's kernel as source, with what it imports, to read.

    Examples
    --------
    >>> import symdiff as sd
    >>> print(sd.grad(lambda x: x**2).source(1.0, target="cuda"))
    from numba import cuda
    <BLANKLINE>
    <BLANKLINE>
    def grad_f(x, dx, status):
        me = cuda.grid(1)
        team = cuda.gridsize(1)
        dx_1 = (2.0 * x)
        if me == 0:
            dx[0] = dx_1
    """
    module = write(program)
    ours = {**library.FUNCTIONS, **library.BLOCKS, "select": library.select}
    groups: dict[str, list[str]] = {}
    for name in sorted(module.needed):
        if name in ours:
            groups.setdefault(ours[name].__module__, []).append(name)
        elif name in ("nan", "inf") or hasattr(np.dtypes, f"{name.rstrip('_').title()}DType"):
            groups.setdefault("numpy", []).append(name)
        elif name != THREADS:
            groups.setdefault("numba.cuda.libdevice", []).append(name)
    head = ["from numba import cuda"]
    head += [f"from {source} import {', '.join(names)}" for source, names in groups.items()]
    if THREADS in module.needed:
        head += ["", f"{THREADS} = 256"]
    for name, function in module.functions.items():
        head.append(f"# {name} is the primitive {getattr(function, '__qualname__', name)}")
    return "\n".join([*head, "", "", module.text.rstrip()])
