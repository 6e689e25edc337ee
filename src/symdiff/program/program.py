"""`Program`, the one value that every stage takes and gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from symdiff.program import costs, formulas, loading, plotting, printing, serialization
from symdiff.program.blocks import Block
from symdiff.program.equations import ArrayType, Equation
from symdiff.program.sizes import Extent, Size, evaluate

__all__ = ["Guard", "Program", "remove_dead_equations"]


class Guard(NamedTuple):
    """What tracing took for granted about sizes: ``size (relation) 0``, one of ``== != >= <``."""

    size: Extent
    relation: str

    def holds(self, values: Mapping[str, int]) -> bool:
        """Tell whether it is so for these sizes."""
        value = evaluate(self.size, values)
        return {"==": value == 0, "!=": value != 0, ">=": value >= 0, "<": value < 0}[self.relation]


@dataclass(frozen=True, eq=False)
class Program:
    """A function as equations in index notation.

    Make one with `sd.trace`, or with the ``program`` member of a `sd.Function`. Nothing changes a
    Program; each stage of compilation makes a new one.

    Attributes
    ----------
    name : str
        The function's name.
    inputs, outputs : tuple of str
        Names of the arrays that go in and come out, in order.
    types : Mapping[str, ArrayType]
        Shape and dtype of every array.
    equations : tuple of Equation
        In an order in which they can be evaluated.
    constants : Mapping[str, numpy.ndarray]
        Arrays that the function had at hand when it was traced.
    guards : tuple of Guard
        Conditions on the sizes of the inputs under which this Program is the function.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> print(sd.trace(lambda x: np.sum(np.exp(x) * x), np.ones(3)))
    f(x[n]):
        result += exp(x[i])*x[i]  for i < n
        return result
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, ArrayType]
    equations: tuple[Equation, ...]
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()

    def replace(self, **changes: Any) -> Program:
        """Make a Program that differs in some attributes."""
        return replace(self, **changes)

    @cached_property
    def size_sources(self) -> dict[str, tuple[str, int]]:
        """Where each size symbol is read off at the call: an input and an axis of it."""
        sources: dict[str, tuple[str, int]] = {}
        for name in self.inputs:
            for axis, extent in enumerate(self.types[name].shape):
                if isinstance(extent, Size) and extent.name is not None:
                    sources.setdefault(extent.name, (name, axis))
        return sources

    def sizes_of(self, inputs: Sequence[Any]) -> dict[str, int]:
        """Read the sizes off the inputs of a call, which are arrays of whichever library.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> sd.trace(lambda x: 2 * x, np.ones((5, 3))).sizes_of([np.ones((8, 3))])
        {'n': 8}
        """
        return {
            name: inputs[self.inputs.index(source)].shape[axis]
            for name, (source, axis) in self.size_sources.items()
        }

    @cached_property
    def contributions(self) -> dict[str, list[Equation]]:
        """The equations of each array, in order."""
        found: dict[str, list[Equation]] = {}
        for equation in self.equations:
            found.setdefault(equation.array, []).append(equation)
        return found

    @cached_property
    def has_blocks(self) -> bool:
        """Whether there is anything but elementwise operations and reductions."""
        return any(isinstance(equation.pattern, Block) for equation in self.equations)

    @cached_property
    def n_contributions(self) -> Mapping[str, int]:
        """How many equations each array has."""
        return Counter([equation.array for equation in self.equations])

    def fresh_name(self, wanted: str, taken: Iterable[str] = ()) -> str:
        """Find a name that no array of this Program bears."""
        return printing.fresh_name(wanted, {*self.types, *taken})

    def __str__(self) -> str:
        return printing.to_text(self)

    def to_latex(self) -> str:
        r"""Typeset the equations in LaTeX, as an ``aligned`` block.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> print(sd.trace(np.sin, 1.0).to_latex())
        \begin{aligned}
        \mathrm{result} &= \sin{\left(x \right)}
        \end{aligned}
        """
        return printing.to_latex(self)

    def _repr_latex_(self) -> str:
        return f"$${self.to_latex()}$$"

    def to_dict(self) -> dict[str, Any]:
        """Say it all in plain lists, dicts, strings and numbers.

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> from symdiff.program.program import Program
        >>> program = sd.trace(np.sin, 1.0)
        >>> str(Program.from_dict(program.to_dict())) == str(program)
        True
        """
        return serialization.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Program:
        """Build a Program from what `to_dict` gave; nothing in it is executed.

        Raises
        ------
        CacheError
            The data are not those of a Program, or of another version of the format.
        """

        def make(parts: dict[str, Any]) -> Program:
            guards = tuple(Guard(size, relation) for size, relation in parts.pop("guards"))
            return cls(guards=guards, **parts)

        return loading.from_dict(data, make)

    def to_sympy(self) -> Any:
        """Give the outputs as SymPy; see `sd.Function.formula`."""
        return formulas.to_sympy(self)

    def count_operations(self) -> costs.Cost:
        """Count operations and memory traffic; sizes known only at the call stay symbolic."""
        return costs.count(self)

    def sparsity(self, output: str, input: str, **sizes: int) -> Any:
        """Tell which elements of an output depend on which elements of an input.

        Parameters
        ----------
        output, input : str
            Names of arrays; both are taken flat, in C order.
        **sizes : int
            Values of the size symbols, ``n=10``.

        Returns
        -------
        scipy.sparse.csr_array
            Boolean, of shape (elements of the output, elements of the input).

        Examples
        --------
        >>> import numpy as np, symdiff as sd
        >>> p = sd.trace(lambda x: x[1:] - x[:-1], np.ones(4))
        >>> p.sparsity(p.outputs[0], "x", n=4).toarray().astype(int)
        array([[1, 1, 0, 0],
               [0, 1, 1, 0],
               [0, 0, 1, 1]])
        """
        # scipy.sparse takes 0.1 s to import, and only this method needs it.
        from symdiff.program import sparsity  # noqa: PLC0415

        return sparsity.pattern(self, output, input, sizes)

    def plot(self, ax: Any = None) -> Any:
        """Draw the graph of the equations with matplotlib (extra ``plot``).

        Returns
        -------
        matplotlib.axes.Axes
        """
        return plotting.draw(self, ax)


def remove_dead_equations(program: Program) -> Program:
    """Keep what the outputs need; of an array with several equations, those that loop at all."""
    needed = set(program.outputs)
    kept: list[Equation] = []
    for equation in reversed(program.equations):
        if 0 in equation.extents and any(
            0 not in e.extents for e in program.contributions[equation.array]
        ):
            continue
        if equation.array in needed:
            kept.append(equation)
            for read in equation.reads:
                needed.add(read.array)
    needed.update(program.inputs)
    if len(kept) == len(program.equations) and needed >= program.types.keys():
        return program
    return program.replace(
        equations=tuple(reversed(kept)),
        types={n: t for n, t in program.types.items() if n in needed},
        constants={n: c for n, c in program.constants.items() if n in needed},
    )
