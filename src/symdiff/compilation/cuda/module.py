"""A Program as a function for numba.cuda: its source, and what it has to be given."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from symdiff.compilation.cuda import library
from symdiff.compilation.cuda.code import BLOCKS, THREADS, Code, Place, Workspace
from symdiff.compilation.cuda.operations import RESERVED
from symdiff.compilation.cuda.reading import Scope
from symdiff.compilation.cuda.teams import Team
from symdiff.compilation.nests import Schedule
from symdiff.compilation.ordering import rows_of
from symdiff.compilation.schedule import schedule
from symdiff.program.printing import fresh_name
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
    extents : tuple of Extent
        The iterations of each nest that is divided.
    has_barriers : bool
        Whether threads wait for each other.
    room : tuple of str
        The size symbols that are computed, which workspaces may depend on.
    is_lean : bool
        Whether every nest is divided, and threads need little memory of their own.
    """

    program: Program
    name: str
    text: str
    needed: tuple[str, ...]
    constants: dict[str, np.ndarray]
    workspaces: tuple[Workspace, ...]
    sizes: tuple[str, ...]
    extents: tuple[Extent, ...]
    has_barriers: bool
    room: tuple[str, ...]
    is_lean: bool


def write(program: Program, *, by_row: bool = False, is_grid: bool = False) -> Module:
    """Write an optimised Program for all threads of a launch.

    Parameters
    ----------
    program : Program
    by_row : bool
        Whether a thread computes a row of the batch with all that belongs to it, instead of an
        element of each array.
    is_grid : bool
        Whether there are several blocks, which wait for each other together.
    """

    def plan(inner: Program, carried: Mapping[str, str] | None = None) -> Schedule:
        return schedule(inner, carried, by_element=True)

    outer = schedule(program, rows=rows_of(program)) if by_row else plan(program)
    program = outer.program
    taken = {
        *keyword.kwlist,
        *RESERVED,
        "cuda",
        "me",
        "team",
        "grid",
        "status",
        "range",
        "wanted",
        THREADS,
    }
    name = fresh_name(program.name if program.name.isidentifier() else "f", taken)
    taken.add(name)
    sizes: dict[str, str] = {BLOCKS: "cuda.gridDim.x"}
    for size in program.size_sources:
        sizes[size] = fresh_name(size, taken)
        taken.add(sizes[size])
    code = Code(sizes, taken, plan=plan, barrier="grid.sync" if is_grid else "cuda.syncthreads")
    scope = Scope(outer, {s: symbol(s) for s in program.size_sources})
    parameters: list[str] = []
    for array in program.inputs:
        own = code.fresh(array)
        parameters.append(own)
        if program.types[array].shape:
            scope.places[array] = Place(own)
            code.fixed.add(own)
        else:
            scope.registers[array] = own
    outputs: list[Place] = []
    for array in program.outputs:
        outputs.append(Place(code.fresh(f"{array}_out" if array in program.inputs else array)))
        if array not in scope.places and array not in scope.registers:
            scope.places.setdefault(array, outputs[-1])
    parameters += [p.base for p in outputs]
    team = Team(code, scope)
    team.constants()
    team.make_room()
    team.run()
    for array, place in zip(program.outputs, outputs, strict=True):
        if scope.places.get(array) == place and (
            program.types[array].shape or array not in scope.registers or array in _stored(outer)
        ):
            continue
        team.copy_output(array, place)
    parameters += [*code.constants, *[w.name for w in code.workspaces], "status"]
    parameters += [sizes[s] for s in program.size_sources]
    if code.room:
        parameters += ["wanted", *code.room.values()]
    body = [f"    {line}" for line in code.head] + code.lines
    uses_barrier = any(f"{code.barrier}()" in line for line in body)
    first = ["    me = cuda.grid(1)", "    team = cuda.gridsize(1)"]
    if is_grid and uses_barrier:
        first.append("    grid = cuda.cg.this_grid()")
    text = "\n".join([f"def {name}({', '.join(parameters)}):", *first, *body, ""])
    return Module(
        program,
        name,
        text,
        tuple(code.needed),
        code.constants,
        tuple(code.workspaces),
        tuple(program.size_sources),
        tuple(code.extents),
        uses_barrier,
        tuple(code.room),
        not code.n_alone
        and code.n_local <= MAX_LEAN
        and not any(w.is_per_thread for w in code.workspaces),
    )


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
    ours = {**library.FUNCTIONS, **library.BLOCKS}
    groups: dict[str, list[str]] = {}
    for name in sorted(module.needed):
        if name in ours:
            groups.setdefault("symdiff.compilation.cuda.library", []).append(name)
        elif name in ("nan", "inf") or hasattr(np.dtypes, f"{name.rstrip('_').title()}DType"):
            groups.setdefault("numpy", []).append(name)
        elif name == "select":
            groups.setdefault("symdiff.compilation.cuda.library", []).append(name)
        elif name != THREADS:
            groups.setdefault("numba.cuda.libdevice", []).append(name)
    head = ["from numba import cuda"]
    head += [f"from {source} import {', '.join(names)}" for source, names in groups.items()]
    if THREADS in module.needed:
        head += ["", f"{THREADS} = 256"]
    return "\n".join([*head, "", "", module.text.rstrip()])


def _stored(plan: Schedule) -> set[str]:
    from symdiff.compilation.nests import Store, walk  # noqa: PLC0415

    return {n.array for n in walk(plan.body) if isinstance(n, Store)}
