"""The loop nests of a kernel as Python source: to read, to step through, to compile elsewhere.

It is made from the same `Schedule` that the targets lower, node by node, and tests hold it to the
same numbers. Give it NumPy's scalars, so that dividing by zero gives what it gives in a kernel.
"""

from __future__ import annotations

import keyword
import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.compilation.dtypes import start_number
from symdiff.compilation.nests import (
    Fill,
    Loop,
    Node,
    Statement,
    Storage,
    Store,
    group_of,
    is_at_hand,
)
from symdiff.compilation.schedule import schedule
from symdiff.program.blocks import BLOCKS, Block
from symdiff.program.equations import Equation, Operand, Read
from symdiff.program.nested import Branch, Nested, Run, nested_of, result_number
from symdiff.program.nested import Loop as LoopBlock
from symdiff.program.notation import CALL, OR, Piece, Text, wrap
from symdiff.program.printing import fresh_name, index_names
from symdiff.program.program import Program
from symdiff.program.sizes import Extent
from symdiff.program.special_functions import NAMES

__all__ = ["compile_source", "to_source"]

_EMBEDDED = 64
"""Constants of up to this many elements are written out."""

_CALLS: dict[str, str] = {
    "power": "np.power",
    "xor": "np.logical_xor",
    "sigmoid": "special.expit",
    "erf": "special.erf",
    "erfc": "special.erfc",
    "gamma": "special.gamma",
    "gammaln": "special.gammaln",
    "digamma": "special.psi",
    "polygamma": "special.polygamma",
    **{name: f"special.{name}" for name in NAMES.values()},
}
"""Functions that are not NumPy's by the same name."""
_CONSTANTS = {"pi": "np.pi", "E": "np.e", "EulerGamma": "np.euler_gamma"}


def to_source(program: Program) -> str:
    """Write a Program's kernel as a Python function of its inputs.

    The function returns the output, or a tuple of them. Constants of more than 64 elements are
    names that `compile_source` gives.

    Examples
    --------
    >>> import symdiff as sd
    >>> print(to_source(sd.trace(lambda x, y: x * y + x, 1.0, 1.0)))
    def f(x, y):
        t = x*y
        result = t + x
        return result
    """
    return _Writer(program).text()


def compile_source(program: Program) -> Callable[..., Any]:
    """Make the Python function of `to_source`; tracebacks and debuggers show its lines."""
    writer = _Writer(program)
    text = writer.text()
    filename = f"<symdiff {program.name} {id(program):x}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {}
    for each in writer.all_writers():
        for name, data in each.program.constants.items():
            namespace[each.names[name]] = data
    for each in writer.all_writers():
        for block, name in each.blocks.items():
            if block.name not in BLOCKS and block.attributes:
                namespace[name] = block.attributes[0].function
    exec(compile(text, filename, "exec"), namespace)  # noqa: S102 - of names made here
    return namespace[writer.function]


class _Notation(Text):
    """Python's notation of one statement: registers are names, memory is indexed."""

    def __init__(self, writer: _Writer, statement: Statement) -> None:
        super().__init__([writer.loops[loop.variable] for loop in statement.loops])
        self.writer = writer
        self.statement = statement

    def read(self, read: Read) -> str:
        storage = self.writer.schedule.storage[read.array]
        if is_at_hand(read, self.statement, storage):
            return self.writer.register(read.array)
        return self.memory(read.array, read)

    def memory(self, array: str, read: Read) -> str:
        """Write an element in memory, at the axes that exist there."""
        axes = self.writer.schedule.storage[array].axes
        return self.element(
            self.writer.names[array], [self.subscript(read.indices[a]) for a in axes]
        )

    def name(self, name: str) -> str:
        return self.writer.sizes.get(name, name)

    def number(self, value: float) -> Piece:
        if isinstance(value, float) and not np.isfinite(value):
            return {"nan": "np.nan", "inf": "np.inf"}.get(repr(value), "-np.inf"), OR
        return super().number(value)

    def _write_name(self, value: str, _: list[Piece]) -> Piece:
        return _CONSTANTS.get(value, value), CALL

    def _write_call(self, name: str, arguments: list[Piece]) -> Piece:
        if name == "where":
            condition, a, b = (wrap(p, OR + 1) for p in arguments)
            return f"({a} if {condition} else {b})", CALL
        if name == "stop_gradient":
            return arguments[0]
        called, bracket, number = _CALLS.get(name, f"np.{name}").partition("[")
        text, precedence = super()._write_call(called, arguments)
        return text + bracket + number, precedence


class _Writer:
    """Writes one function; those of Programs inside stand in front of it."""

    def __init__(
        self, program: Program, sizes: Sequence[str] | None = None, function: str = ""
    ) -> None:
        self.schedule = schedule(program)
        self.program = program = self.schedule.program
        self.given_sizes = sizes
        self.inner: list[_Writer] = []
        self.nested_names: dict[Any, list[str]] = {}
        self.lines: list[str] = []
        self.blocks: dict[Block, str] = {}
        self.loops: dict[int, str] = {}
        self.index_names = index_names(program)
        taken = {*keyword.kwlist, *self.index_names, "np", "special", "range", program.name}
        self.function = function or _identifier(program.name)
        self.names: dict[str, str] = {}
        for name in program.types:
            is_global = bool(function) and name in program.constants
            wanted = f"{function}_{name}" if is_global else name
            self.names[name] = fresh_name(_identifier(wanted), taken)
            taken.add(self.names[name])
        for name, end in self.schedule.in_place.items():
            self.names[name] = self.names[end]
        self.sizes: dict[str, str] = {}
        for size in program.size_sources if sizes is None else sizes:
            self.sizes[size] = fresh_name(size, taken)
            taken.add(self.sizes[size])
        self.taken = taken
        self._registers: dict[str, str] = {}
        for name, storage in self.schedule.storage.items():
            if storage.has_register and storage.kind in ("output", "scratch") and storage.shape:
                self._registers[name] = fresh_name(f"{self.names[name]}_here", taken)
                taken.add(self._registers[name])

    def register(self, array: str) -> str:
        """Name the variable that holds the element being computed."""
        return self._registers.get(array, self.names[array])

    def text(self) -> str:
        """Write the function, with what it needs."""
        self.write()
        body = "\n\n\n".join(self._definitions())
        head = "import numpy as np\n" if "np." in body else ""
        head += "".join(dict.fromkeys(line for w in self.all_writers() for line in w.imports()))
        if "special." in body:
            head += "from scipy import special\n"
        return f"{head}\n\n{body}" if head else body

    def all_writers(self) -> list[_Writer]:
        """The writers of all Programs inside, and this one."""
        return [w for inner in self.inner for w in inner.all_writers()] + [self]

    def _definitions(self) -> list[str]:
        return ["\n".join(w.lines) for w in self.all_writers()]

    def write(self) -> None:
        """Write the function's lines, and the functions of Programs inside."""
        program = self.program
        arguments = [self.names[n] for n in program.inputs]
        if self.given_sizes is None:
            for name, (source, axis) in program.size_sources.items():
                self._add(1, f"{self.sizes[name]} = {self.names[source]}.shape[{axis}]")
        else:
            arguments += [self.sizes[name] for name in self.given_sizes]
        self.lines.insert(0, f"def {self.function}({', '.join(arguments)}):")
        for name, data in program.constants.items():
            if data.size <= _EMBEDDED:
                values = np.array2string(data, separator=", ", floatmode="unique")
                values = " ".join(values.split()).replace("nan", "np.nan").replace("inf", "np.inf")
                self._add(
                    1, f"{self.names[name]} = np.array({values}, np.{_scalar(data.dtype.name)})"
                )
        for name, storage in self.schedule.storage.items():
            if storage.kind in ("output", "scratch") and storage.shape:
                shape = "".join(f"{self._extent(e)}, " for e in storage.shape)
                made = f"np.empty(({shape.strip()}), np.{_scalar(storage.dtype)})"
                self._add(1, f"{self.names[name]} = {made}")
        self._nodes(self.schedule.body, 1)
        self._add(1, f"return {', '.join(self.names[n] for n in program.outputs)}")

    def _add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def _extent(self, extent: Extent) -> str:
        notation = Text([])
        notation.name = lambda name: self.sizes.get(name, name)
        return notation.extent(extent)

    def _nodes(self, nodes: Sequence[Node], depth: int) -> None:
        done: set[int] = set()
        for node in nodes:
            if id(node) in done:
                continue
            nested = nested_of(node.equation.pattern) if isinstance(node, Statement) else None
            if nested is not None and isinstance(node, Statement):
                group = group_of(nodes, node)
                done.update(id(n) for n in group)
                self._nested(nested, group, depth)
            elif isinstance(node, Loop):
                name = self.index_names[depth - 1]
                self.loops[node.variable] = name
                self._add(depth, f"for {name} in range({self._extent(node.extent)}):")
                self._nodes(node.body, depth + 1)
            elif isinstance(node, Statement):
                self._statement(node, depth)
            elif isinstance(node, Fill):
                self._fill(node, depth)
            else:
                assert isinstance(node, Store)  # tiles are not for reading
                self._store(node, depth)

    def _statement(self, statement: Statement, depth: int) -> None:
        equation = statement.equation
        storage = self.schedule.storage[equation.array]
        notation = _Notation(self, statement)
        if isinstance(equation.pattern, Block):
            value = self._block(notation, equation.pattern, equation.operands)
        else:
            value = notation.body(equation.pattern, equation.operands)[0]
        if isinstance(equation.pattern, Block) and equation.pattern.rank:
            pass  # memory has its dtype
        elif self._needs_cast(equation, storage):
            value = f"np.{_scalar(storage.dtype)}({value})"
        target = notation.memory(equation.array, Read(equation.array, equation.target))
        if storage.has_register:
            target = self.register(equation.array)
        self._add(depth, _joined(target, equation.operator, value, is_first=statement.is_first))

    def _block(self, notation: _Notation, block: Block, operands: Sequence[Operand]) -> str:
        """Write the call of a block's reference, or of the user's own function."""
        arguments = [notation.term(o)[0] for o in operands]
        name = self.blocks.get(block)
        if name is None:
            taken = {self.function, *self.index_names, *self.sizes.values()}
            others = {n for b, n in self.blocks.items() if b.name != block.name}
            name = fresh_name(block.name, {*self.names.values(), *others, *taken})
            self.blocks[block] = name
        if block.name in BLOCKS:
            arguments += [f"{a}=True" for a in block.attributes if isinstance(a, str)]
        return f"{name}({', '.join(arguments)})"

    def _nested(self, nested: Nested, group: Sequence[Statement], depth: int) -> None:
        """Write a loop, a branch or a run around calls of the Programs inside."""
        first = group[0]
        notation = _Notation(self, first)
        operands = [notation.term(o)[0] for o in first.equation.operands]
        names = self._functions(nested)
        sizes = [self._extent(extent) for _, extent in nested.sizes]
        targets: dict[int, str] = {}
        for statement in group:
            equation = statement.equation
            own = _Notation(self, statement)
            target = own.memory(equation.array, Read(equation.array, equation.target))
            if self.schedule.storage[equation.array].has_register:
                target = self.register(equation.array)
            targets[result_number(equation)] = target
        if isinstance(nested, LoopBlock):
            self._nested_loop(nested, names[0], operands, sizes, targets, depth)
            return
        if isinstance(nested, Branch):
            test, *inputs = operands
            for head, name in (("if " + test, names[0]), ("else", names[1])):
                self._add(depth, f"{head}:")
                self._call(name, [*inputs, *sizes], _left(nested, targets), depth + 1)
            return
        assert isinstance(nested, Run)
        arguments = [*operands, *sizes, operands[0]]
        self._call(names[0], arguments, _left(nested, targets), depth)

    def _call(self, name: str, arguments: Sequence[str], left: str, depth: int) -> None:
        self._add(depth, f"{left} = {name}({', '.join(arguments)})")

    def _nested_loop(
        self,
        loop: LoopBlock,
        name: str,
        operands: Sequence[str],
        sizes: Sequence[str],
        targets: Mapping[int, str],
        depth: int,
    ) -> None:
        first = 1 if loop.has_limit else 0
        cut = first + loop.n_shared
        carried = [self._fresh(n) for n in loop.carried]
        for variable, start, t in zip(
            carried, operands[cut:], loop.operand_types()[cut:], strict=True
        ):
            copied = f"np.array({start})" if t.shape else start
            self._add(depth, f"{variable} = {copied}")
        number, done = self._fresh(loop.step.inputs[0]), self._fresh("done")
        limit = operands[0] if first else None
        if loop.count is not None:
            limit = self._extent(loop.count)
        self._add(depth, f"{done} = 0")
        tests = [f"{done} < {limit}"] if limit is not None else []
        tests += [carried[0]] if loop.has_condition else []
        self._add(depth, f"while {' and '.join(tests)}:")
        value = f"{limit} - 1 - {done}" if loop.is_reversed else done
        self._add(depth + 1, f"{number} = {value}")
        rows: list[str] = []
        for k in range(loop.n_carried, len(loop.step.outputs)):
            target = targets.get(k)
            rows.append("_" if target is None else _row(target, number))
        arguments = [number, *operands[first:cut], *carried, *sizes]
        left = ", ".join([*carried, *rows])
        self._add(depth + 1, f"{left} = {name}({', '.join(arguments)})")
        self._add(depth + 1, f"{done} += 1")
        for k, variable in enumerate(carried):
            if k in targets:
                self._add(depth, f"{targets[k]} = {variable}")
        if len(loop.step.outputs) in targets:
            self._add(depth, f"{targets[len(loop.step.outputs)]} = {done}")

    def _functions(self, nested: Nested) -> list[str]:
        """Write the functions of the Programs inside, once; give their names."""
        if nested not in self.nested_names:
            sizes = [name for name, _ in nested.sizes]
            if isinstance(nested, Run):
                sizes.append(nested.symbol)
            made: list[str] = []
            for program in nested.programs:
                made.append(self._fresh(f"{self.function}_{nested.kind}"))
                writer = _Writer(program, sizes, made[-1])
                writer.write()
                self.inner.append(writer)
            self.nested_names[nested] = made
        return self.nested_names[nested]

    def _fresh(self, wanted: str) -> str:
        name = fresh_name(_identifier(wanted), self.taken)
        self.taken.add(name)
        return name

    def imports(self) -> list[str]:
        """The imports of references, under names that no array bears."""
        found: list[str] = []
        for block, name in self.blocks.items():
            if block.name in BLOCKS:
                renamed = "" if name == block.name else f" as {name}"
                found.append(f"from symdiff.compilation.reference import {block.name}{renamed}\n")
        return list(dict.fromkeys(found))

    def _needs_cast(self, equation: Equation, storage: Storage) -> bool:
        """Whether Python would compute in another dtype than the array's."""
        if equation.pattern.is_truth or storage.dtype == "bool":
            return storage.dtype == "bool" and not equation.pattern.is_truth
        read = {
            self.schedule.storage[o.array].dtype if isinstance(o, Read) else storage.dtype
            for o in equation.operands
        }
        return read != {storage.dtype} or any(not isinstance(o, Read) for o in equation.operands)

    def _fill(self, fill: Fill, depth: int) -> None:
        storage = self.schedule.storage[fill.array]
        number = repr(start_number(fill.operator, storage.dtype)).replace("inf", "np.inf")
        start = f"np.{_scalar(storage.dtype)}({number})"
        if storage.has_register:
            self._add(depth, f"{self.register(fill.array)} = {start}")
            return
        at = ", ".join(
            ":" if (loop := storage.bound[a]) is None else self.loops[loop.variable]
            for a in storage.axes
        )
        self._add(depth, f"{self.names[fill.array]}[{at}] = {start}")

    def _store(self, store: Store, depth: int) -> None:
        storage = self.schedule.storage[store.array]
        if not storage.shape:
            return
        at = ",".join(
            self.loops[loop.variable]
            for a in storage.axes
            if (loop := storage.bound[a]) is not None
        )
        self._add(depth, f"{self.names[store.array]}[{at}] = {self.register(store.array)}")


def _left(nested: Nested, targets: Mapping[int, str]) -> str:
    return ", ".join(targets.get(k, "_") for k in range(len(nested.results())))


def _row(target: str, number: str) -> str:
    """Write one row of what is stacked: the first of the axes that are taken whole."""
    head, _, tail = target.partition("[")
    indices = tail.removesuffix("]").split(",")
    indices[indices.index(":")] = number
    return f"{head}[{','.join(indices)}]"


def _joined(target: str, operator: str, value: str, *, is_first: bool) -> str:
    if is_first or operator == "=":
        return f"{target} = {value}"
    if operator in ("max=", "min="):
        return f"{target} = np.{operator[:3]}imum({target}, {value})"
    if operator in ("or=", "and="):
        return f"{target} = {target} {operator[:-1]} {value}"
    return f"{target} += {value}"


def _scalar(dtype: str) -> str:
    """Name NumPy's scalar type of a dtype."""
    return np.dtype(dtype).type.__name__


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "f"
