"""Rewrites that keep the meaning to the last bit; each is a function from Program to Program."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from operator import is_
from typing import Any

import sympy as sp

from symdiff.program.affine import Affine, identity
from symdiff.program.blocks import Block
from symdiff.program.equations import (
    ArrayType,
    Equation,
    Index,
    Literal,
    Operand,
    Read,
    Whole,
    compose,
    substitute_operand,
)
from symdiff.program.patterns import COPY, Pattern, pattern, placeholder
from symdiff.program.printing import fresh_name
from symdiff.program.program import Guard, Program, remove_dead_equations
from symdiff.program.sizes import Extent, put_sizes
from symdiff.program.splicing import Binding, bind_sizes, splice
from symdiff.rewriting.branches import select_branches
from symdiff.rewriting.nested import rewrite_nested
from symdiff.rewriting.pieces import compute_pieces

__all__ = [
    "PASSES",
    "expand_blocks",
    "merge_equal_equations",
    "name_assignments",
    "optimize",
    "propagate_copies",
    "remove_dead_equations",
    "separate_outputs",
    "simplify",
    "turn_outputs",
]


def merge_equal_equations(program: Program) -> Program:
    """Compute once what is computed by the same equations; the first one's name stays."""
    outputs = set(program.outputs)
    replaced: dict[str, str] = {}
    known: dict[Any, str] = {}
    for equation in program.equations:
        name = equation.array
        if program.n_contributions[name] == 1:
            keys = _key(_rename(equation, replaced))
        else:
            made = program.contributions[name]
            if made[-1] is not equation:
                continue
            keys = tuple([_key(_rename(e, replaced)) for e in made])
        first = known.setdefault((program.types[name], keys), name)
        if first != name and name not in outputs:
            replaced[name] = first
    if not replaced:
        return program
    kept = [_rename(e, replaced) for e in program.equations if e.array not in replaced]
    return program.replace(equations=tuple(kept))


def _key(equation: Equation) -> Any:
    operands = tuple([o if isinstance(o, Read) else _operand_key(o) for o in equation.operands])
    return (equation.target, equation.operator, equation.pattern, operands, equation.extents)


def _operand_key(operand: Operand) -> Any:
    """Literals by their bits: 0.0 and -0.0 are not the same, nor are 1 and True."""
    if isinstance(operand, Literal):
        return (repr(operand.value), operand.dtype)
    return (type(operand).__name__, *operand)


def _rename(equation: Equation, names: dict[str, str]) -> Equation:
    if not names or not equation.reads_any(names):
        return equation
    return _map_reads(equation, lambda r: r._replace(array=names.get(r.array, r.array)))


def _map_reads(equation: Equation, change: Callable[[Read], Operand]) -> Equation:
    """Change every read, from the inside out."""
    array, target, operator, body, operands, extents, location = equation
    if target:
        target = tuple([_map_index(i, change) for i in target])
    operands = tuple([_map_read(o, change) if isinstance(o, Read) else o for o in operands])
    return Equation(array, target, operator, body, operands, extents, location)


def _map_read(read: Read, change: Callable[[Read], Operand]) -> Operand:
    if not read.indices:
        return change(read)
    return change(Read(read.array, tuple([_map_index(i, change) for i in read.indices])))


def _map_index(i: Index, change: Callable[[Read], Operand]) -> Index:
    if not isinstance(i, Read):
        return i
    changed = _map_read(i, change)
    if not isinstance(changed, Read):
        return Affine((), int(changed.value)) if isinstance(changed, Literal) else i
    return changed


def propagate_copies(program: Program) -> Program:
    """Read the original instead of a copy of it, and numbers instead of arrays of them."""
    needed: set[str] = set(program.outputs)
    while True:  # again when a read could not do without the copy
        kept, missing = _propagate(program, needed)
        if not missing:
            is_same = len(kept) == len(program.equations) and all(map(is_, kept, program.equations))
            return program if is_same else program.replace(equations=tuple(kept))
        needed |= missing


def _propagate(program: Program, needed: set[str]) -> tuple[list[Equation], set[str]]:
    copies: dict[str, Operand] = {}
    missing: set[str] = set()
    kept: list[Equation] = []
    for equation in program.equations:
        resolved = equation
        is_block = isinstance(equation.pattern, Block)
        if equation.reads_any(copies):
            resolve = partial(_resolve, program, copies, missing, is_block)
            resolved = _map_reads(equation, resolve)
        if not is_block:
            resolved = fold_literals(resolved, program.types[equation.array].dtype)
        if (
            resolved.pattern.is_copy
            and equation.array not in needed
            and _is_copy(program, resolved)
        ):
            copies[equation.array] = _in_dtype(resolved.operands[0], program.types[equation.array])
        else:
            kept.append(resolved)
    return kept, missing


def fold_literals(equation: Equation, dtype: str) -> Equation:
    """Leave out factors of one and minus one, which is exact whatever the other factors are."""
    assert isinstance(equation.pattern, Pattern)
    for k, operand in enumerate(equation.operands):
        if isinstance(operand, Literal) and operand.value in (1, -1) and operand.dtype != "bool":
            folded = _without_factor(equation.pattern, k, int(operand.value))
            if folded is not None:
                operands = equation.operands[:k] + equation.operands[k + 1 :]
                return fold_literals(equation._replace(pattern=folded, operands=operands), dtype)
    if not equation.operands and equation.pattern.expression.is_Integer:
        number = Literal(int(equation.pattern.expression), dtype)
        return equation._replace(pattern=COPY, operands=(number,))
    return equation


@cache
def _without_factor(body: Pattern, k: int, value: int) -> Pattern | None:
    """The pattern without operand k, where that is 1 or -1 and a factor of all of it."""
    symbol, e = placeholder(k), body.expression
    if not e.is_Mul or symbol not in e.args:
        return None
    rest = sp.Mul(value, *[factor for factor in e.args if factor != symbol])
    if symbol in rest.free_symbols:
        return None
    renaming = {placeholder(n): placeholder(n - 1) for n in range(k + 1, body.arity)}
    return pattern(rest.xreplace(renaming), body.arity - 1)


def name_assignments(program: Program) -> Program:
    """Call a contribution that is the only one, and whole, an assignment."""
    kept = [_assigned(e) if program.n_contributions[e.array] == 1 else e for e in program.equations]
    is_same = all(map(is_, kept, program.equations))
    return program if is_same else program.replace(equations=tuple(kept))


def _assigned(equation: Equation) -> Equation:
    """Write a whole contribution as an assignment, with its loops in the order of the axes."""
    array, target, operator, body, operands, extents, location = equation
    if not extents and not target:
        if operator == "=" or isinstance(body, Block):
            return equation
        return Equation(array, target, "=", body, operands, extents, location)
    order = [i.single if isinstance(i, Affine) else None for i in equation.target]
    numbers = [k for k in order if k is not None]
    if isinstance(equation.pattern, Block) or sorted(numbers) != [*range(len(equation.extents))]:
        return equation
    if len(numbers) != len(order):
        return equation
    if not equation.is_whole:
        by = [identity(len(numbers))[numbers.index(k)] for k in range(len(numbers))]
        equation = equation._replace(
            target=identity(len(numbers)),
            operands=tuple([substitute_operand(o, by) for o in equation.operands]),
            extents=tuple([equation.extents[k] for k in numbers]),
        )
    return equation if equation.operator == "=" else equation._replace(operator="=")


def _is_copy(program: Program, equation: Equation) -> bool:
    types = program.types
    array_type = types[equation.array]
    if not equation.pattern.is_copy or program.n_contributions[equation.array] > 1:
        return False
    if equation.operator not in ("=", "+=") or not equation.is_whole:
        return False
    if equation.extents != array_type.shape:
        return False
    source = equation.operands[0]
    if isinstance(source, Literal):
        return _is_exact(source, array_type.dtype)
    return isinstance(source, Read) and types[source.array].dtype == array_type.dtype


def _is_exact(literal: Literal, dtype: str) -> bool:
    """Whether a number is the same in another dtype, and reads as well."""
    if literal.dtype == dtype:
        return True
    is_integer = literal.dtype.startswith(("int", "uint"))
    return is_integer and dtype.startswith("float") and abs(literal.value) < 2**24


def _in_dtype(source: Operand, array_type: ArrayType) -> Operand:
    return source._replace(dtype=array_type.dtype) if isinstance(source, Literal) else source


def _resolve(
    program: Program, copies: dict[str, Operand], missing: set[str], is_block: bool, read: Read
) -> Operand:
    source = copies.get(read.array)
    if source is None:
        return read
    if not read.indices and isinstance(source, Read) and not source.indices:
        return source
    is_whole = any(isinstance(i, Whole) for i in read.indices)
    if not isinstance(source, Read):
        if is_whole or is_block:  # which reads arrays only
            missing.add(read.array)
            return read
        return source
    composed = compose(source.indices, read.indices)
    if is_whole and program.types[source.array].shape != program.types[read.array].shape:
        composed = None
    if composed is None:
        missing.add(read.array)
        return read
    return Read(source.array, composed)


def expand_blocks(program: Program) -> Program:
    """Compute blocks that no target knows by those that one does."""
    while True:
        expanded = _expand_blocks(program)
        if expanded is program:
            return program
        program = expanded


def _expand_blocks(program: Program) -> Program:
    if not program.has_blocks:
        return program
    types = dict(program.types)
    constants = dict(program.constants)
    guards = dict.fromkeys(program.guards)
    kept: list[Equation] = []

    def new_array(wanted: str, shape: tuple[Extent, ...], dtype: str) -> str:
        name = fresh_name(wanted, types.keys())
        types[name] = ArrayType(shape, dtype)
        return name

    for equation in program.equations:
        block = equation.pattern
        found = _expansion(program, equation) if isinstance(block, Block) else None
        if found is None:
            kept.append(equation)
            continue
        inner, operand_types = found
        bound = {
            name: Binding(o.array, tuple([i for i in o.indices if not isinstance(i, Whole)]))
            for name, o in zip(inner.inputs, equation.operands, strict=True)
            if isinstance(o, Read)
        }
        for name, data in inner.constants.items():
            bound[name] = Binding(new_array(name, data.shape, data.dtype.name))
            constants[bound[name].array] = data
        sizes = bind_sizes(inner, [t.shape for t in operand_types])
        for guard in inner.guards:
            guards[Guard(put_sizes(guard.size, sizes), guard.relation)] = None
        made, bindings = splice(inner, bound, equation.extents, new_array, sizes, equation.location)
        kept += made
        kept.append(_copy_whole(equation, bindings[inner.outputs[0]], types))
    if len(kept) == len(program.equations):
        return program
    return program.replace(
        equations=tuple(kept), types=types, constants=constants, guards=tuple(guards)
    )


def _expansion(program: Program, equation: Equation) -> tuple[Program, list[ArrayType]] | None:
    block = equation.pattern
    assert isinstance(block, Block)
    if block.rule is None:
        return None
    types: list[ArrayType] = []
    for o, rank in zip(equation.operands, block.ranks, strict=True):
        assert isinstance(o, Read)
        shape, dtype = program.types[o.array]
        types.append(ArrayType(shape[len(shape) - rank :], dtype))
    inner = block.rule.expansion(block, types)
    return None if inner is None else (inner, types)


def _copy_whole(equation: Equation, result: Binding, types: dict[str, ArrayType]) -> Equation:
    """Give a block's array what its expansion has computed."""
    block = equation.pattern
    assert isinstance(block, Block)
    rank = len(equation.extents)
    shape = types[equation.array].shape
    width = shape[len(shape) - block.rank :]
    inner = identity(rank + len(width))[rank:]
    lead = [i for i in equation.target if not isinstance(i, Whole)]
    return equation._replace(
        target=(*lead, *inner),
        pattern=COPY,
        operands=(Read(result.array, (*result.lead, *inner)),),
        extents=(*equation.extents, *width),
    )


def separate_outputs(program: Program) -> Program:
    """Give every output an array of its own."""
    outputs: list[str] = []
    equations = list(program.equations)
    types = dict(program.types)
    for name in program.outputs:
        if name not in outputs and name not in program.inputs:
            outputs.append(name)
            continue
        shape, dtype = types[name]
        copy = fresh_name(name, {*types})
        types[copy] = ArrayType(shape, dtype)
        whole = identity(len(shape))
        equations.append(Equation(copy, whole, "=", COPY, (Read(name, whole),), shape))
        outputs.append(copy)
    if tuple(outputs) == program.outputs:
        return program
    return program.replace(outputs=tuple(outputs), types=types, equations=tuple(equations))


_GENERIC = re.compile(r"(t|result)(_\d+)?")


def drop_copied_outputs(program: Program) -> Program:
    """Give an array itself instead of a copy of it that nothing else needs."""
    outputs = list(program.outputs)
    fixed = {*program.inputs, *program.constants}
    names: dict[str, str] = {}
    dropped: set[str] = set()
    for equation in program.equations:
        name = equation.array
        if name not in program.outputs or not _is_copy(program, equation):
            continue
        (source,) = equation.operands
        if not isinstance(source, Read) or source.indices != equation.target:
            continue
        if source.array in fixed or source.array in outputs:
            continue
        if program.types[source.array] != program.types[name]:
            continue
        outputs[outputs.index(name)] = source.array
        dropped.add(name)
        if not _GENERIC.fullmatch(name) or _GENERIC.fullmatch(source.array):
            names[source.array] = name
        else:
            names[name] = source.array
    if not dropped:
        return program
    equations = [
        _map_reads(e, lambda r: Read(names.get(r.array, r.array), r.indices))._replace(
            array=names.get(e.array, e.array)
        )
        for e in program.equations
        if e.array not in dropped
    ]
    gone = (dropped - {*names.values()}) | names.keys()
    return program.replace(
        outputs=tuple([names.get(o, o) for o in outputs]),
        types={n: t for n, t in program.types.items() if n not in gone},
        equations=tuple(equations),
    )


def turn_outputs(program: Program) -> Program:
    """Compute an output that is a transposed array as it is wanted."""
    turned: dict[str, tuple[str, list[int]]] = {}
    outputs = set(program.outputs)
    copies = [e for e in program.equations if e.array in outputs and _is_transposition(program, e)]
    if not copies:
        return program
    uses = Counter(r.array for e in program.equations for r in e.reads)
    for equation in copies:
        (source,) = equation.operands
        assert isinstance(source, Read)
        made = program.contributions.get(source.array, ())
        is_ours = made and uses[source.array] == 1 and source.array not in program.outputs
        if is_ours and not any(isinstance(e.pattern, Block) for e in made):
            axes = [i.single for i in source.indices if isinstance(i, Affine)]
            order = [axes.index(axis) for axis in range(len(axes))]
            turned[source.array] = (equation.array, order)
    if not turned:
        return program
    gone = {array for array, _ in turned.values()}
    equations: list[Equation] = []
    for equation in program.equations:
        if equation.array in turned:
            array, order = turned[equation.array]
            target = tuple([equation.target[axis] for axis in order])
            equations.append(equation._replace(array=array, target=target))
        elif equation.array not in gone:
            equations.append(equation)
    types = {n: t for n, t in program.types.items() if n not in turned}
    return program.replace(equations=tuple(equations), types=types)


def _is_transposition(program: Program, equation: Equation) -> bool:
    """Whether an equation is a copy of a whole array with its axes in another order."""
    if not equation.pattern.is_copy or program.n_contributions[equation.array] > 1:
        return False
    source = equation.operands[0]
    if not isinstance(source, Read) or not equation.is_whole or equation.operator == "max=":
        return False
    axes = [i.single if isinstance(i, Affine) else None for i in source.indices]
    if None in axes or sorted(axes) != [*range(len(equation.extents))]:  # type: ignore[type-var]
        return False
    there, here = program.types[source.array], program.types[equation.array]
    is_same = there.dtype == here.dtype and equation.extents == here.shape
    return is_same and tuple(here.shape[a] for a in axes if a is not None) == there.shape


PASSES: tuple[Callable[[Program], Program], ...] = (
    separate_outputs,
    remove_dead_equations,
    name_assignments,
    propagate_copies,
    merge_equal_equations,
    drop_copied_outputs,
    turn_outputs,
    remove_dead_equations,
    name_assignments,
)


def simplify(program: Program) -> Program:
    """Apply the passes that leave blocks as they are, so that their rules still apply."""
    return _apply_passes(program, simplify)


def _apply_passes(program: Program, inside: Callable[[Program], Program]) -> Program:
    for rewrite in PASSES:
        program = rewrite(program)
    if not program.has_blocks:
        return program
    rewritten = rewrite_nested(program, inside)
    if rewritten is program:
        return program
    for rewrite in PASSES:  # once more without what nobody wanted
        rewritten = rewrite(rewritten)
    return rewritten


def optimize(program: Program) -> Program:
    """Apply all passes: what comes out is fit for every target."""
    simple = simplify(program)
    expanded = _expanded_within(simple) if simple.has_blocks else simple
    expanded = compute_pieces(expanded)
    return simple if expanded is simple else simplify(expanded)


def _expanded_within(program: Program) -> Program:
    """Expand blocks, those of the Programs inside blocks included."""
    expanded = select_branches(expand_blocks(program))
    return rewrite_nested(expanded, _expanded_within)
