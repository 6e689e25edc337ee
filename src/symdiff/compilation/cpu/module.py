"""The text of one module of LLVM code: its functions, and what they call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symdiff.compilation.cpu.blocks import callback_function
from symdiff.compilation.cpu.callbacks import Callback
from symdiff.compilation.cpu.nested import LowerBody, llvm_constant, nested_function
from symdiff.compilation.cpu.vector_math import variants
from symdiff.errors import UnsupportedOperationError
from symdiff.program.blocks import Block
from symdiff.program.nested import Nested

__all__ = ["Module"]

INTERLEAVING = 4
"""How many vectors a loop with mathematical functions takes at once."""


class Module:
    """The text of one LLVM module, with its declarations."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}
        self.functions: list[str] = []
        self.vector_functions: list[str] = []
        self.defined: set[str] = set()
        self.callbacks: list[Callback] = []
        self.nested: dict[Nested, str] = {}
        self.with_memory: set[str] = set()
        self.constants: dict[int, tuple[str, np.ndarray]] = {}
        self.hints: list[str] = []
        self.parts: list[Module] = []
        """Modules with functions that this one calls."""

    def new_part(self) -> Module:
        """Begin a module for functions that this one calls."""
        self.parts.append(Module())
        return self.parts[-1]

    def declare(self, name: str, result: str, arguments: str, *, pure: bool = True) -> str:
        """Declare an external function once; return its name."""
        if name in self.declarations:
            return name
        attributes = " nounwind willreturn memory(none)" if pure else ""
        if pure and result in ("double", "float"):
            attributes += self._vector_attribute(name, result, arguments.count(result))
        self.declarations[name] = f"declare {result} @{name}({arguments}){attributes}"
        return name

    def callback(self, block: Block, dtypes: Sequence[str]) -> tuple[str, str]:
        """Write the function of a block that Python computes, which the module keeps alive."""
        function = getattr(block.attributes[0], "function", None) if block.attributes else None
        if function is None:
            raise UnsupportedOperationError(f"the CPU does not know the operation {block.label}")
        ranks = (block.rank, *block.ranks)
        made = Callback(function, block.name, ranks, dtypes)
        self.callbacks.append(made)
        name = f"callback_{len(self.callbacks)}"
        return name, callback_function(block, name, dtypes, made.address, self)

    def constant(self, data: np.ndarray) -> str:
        """Put an array into the module; give its name."""
        if id(data) not in self.constants:
            name = f"@constant_{len(self.constants)}"
            self.constants[id(data)] = (name, data)
            text = llvm_constant(data)
            self.functions.append(
                f"{name} = private unnamed_addr constant [{data.nbytes} x i8] {text}, align 64"
            )
        return self.constants[id(data)][0]

    def nested_function(self, nested: Nested, lower_body: LowerBody) -> str:
        """Write the function of a loop, a branch or a run once; give its name."""
        if nested not in self.nested:
            name = f"{nested.kind}_{len(self.nested)}"
            self.nested[nested] = name
            self.functions.append(nested_function(nested, name, self, lower_body))
        return self.nested[nested]

    def interleaved(self) -> str:
        """A hint for a loop: to do the elements of several vectors side by side.

        A polynomial is a chain of operations, each of which waits for the one before.
        """
        name = f"!{len(self.hints)}"
        count = f'!{{!"llvm.loop.interleave.count", i32 {INTERLEAVING}}}'
        self.hints.append(f"{name} = distinct !{{{name}, {count}}}")
        return name

    def _vector_attribute(self, name: str, kind: str, n_arguments: int) -> str:
        """Declare the vector functions for a scalar one, and name them in an attribute."""
        found = variants(name, kind, n_arguments)
        if not found:
            return ""
        for lanes, vectorized in found:
            vector = f"<{lanes} x {kind}>"
            arguments = ", ".join([vector] * n_arguments)
            self.declarations[vectorized] = (
                f"declare {vector} @{vectorized}({arguments}) nounwind willreturn memory(none)"
            )
            self.vector_functions.append(vectorized)
        signature = "v" * n_arguments
        names = ",".join(f"_ZGV_LLVM_N{n}{signature}_{name}({v})" for n, v in found)
        return f' "vector-function-abi-variant"="{names}"'

    def __str__(self) -> str:
        lines = [*self.declarations.values()]
        if self.vector_functions:  # which nothing calls before the loop vectoriser does
            kept = ", ".join(f"ptr @{name}" for name in self.vector_functions)
            count = len(self.vector_functions)
            lines.append(
                f"@llvm.compiler.used = appending global [{count} x ptr] [{kept}], "
                'section "llvm.metadata"'
            )
        return "\n".join([*lines, *self.functions, *self.hints, ""])
