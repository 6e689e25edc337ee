"""Large products of matrices within a kernel, by all of its threads: tiles in shared memory.

A block computes a tile of the result at a time. Its threads bring a strip of each matrix into
shared memory and each adds to some elements, in registers. Every element is one sum in the order of
its terms, whatever the tiles and however many blocks there are, so it has the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

from symdiff.compilation.cuda.code import THREADS, Code, Place
from symdiff.compilation.cuda.contractions import (
    Contraction,
    Product,
    contraction,
    with_matrices,
)
from symdiff.compilation.cuda.values import constant
from symdiff.program.blocks import Block
from symdiff.program.equations import WHOLE, Equation, Read
from symdiff.program.program import Program
from symdiff.program.sizes import Extent, evaluate, product

__all__ = ["TILES", "with_tiles", "write_tiles"]

TILES = "tiles"
"""The name of the block that such a product is; its attribute is the `Product`."""
LARGE = 1 << 20
"""Multiplications from which on tiles are worth what they part: the loops before and behind a
product are nests of their own then, with waiting between."""
MANY, LONG = 1 << 14, 32
"""Elements that the result has, and terms that a sum has, at least: a short sum reads little twice,
and few elements are tiles for few blocks."""
UNKNOWN = 1024
"""What a size that is known at the call is taken for."""
PER_THREAD = (4, 1)
"""Rows and columns of elements that a thread computes: of large tiles, which read the least, and of
small ones, of which there are more for as many blocks."""
DEPTH = 16
"""Terms that are in shared memory at a time."""


def with_tiles(program: Program) -> Program:
    """Put blocks in for the large products of a Program.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> a = np.ones((500, 400))
    >>> print(with_tiles(sd.jit(lambda a: np.exp(a) @ a.T).program(a)))
    f(a[n,400]):
        t[i,j] = exp(a[i,j])
        result[:,:] = tiles(t[:,:], a[:,:])
        return result
    """
    chosen = [
        number
        for number, equation in enumerate(program.equations)
        if (found := contraction(program, equation)) is not None and _is_large(equation, found)
    ]
    if not chosen:
        return program
    program, steps = with_matrices(program, chosen)
    equations = [_block(program, s) if isinstance(s, Product) else s for s in steps]
    return program.replace(equations=tuple(equations))


def _is_large(equation: Equation, found: Contraction) -> bool:
    class Unknown(dict[str, int]):
        def __missing__(self, _: str) -> int:
            return UNKNOWN

    sizes: Mapping[str, int] = Unknown()
    terms = evaluate(product(equation.extents[k] for k in found.inner), sizes)
    total = evaluate(product(equation.extents), sizes)
    return total >= LARGE and terms >= LONG and total >= MANY * terms


def _block(program: Program, made: Product) -> Equation:
    """Write a product as a block of whole arrays."""
    ranks = [len(program.types[m.array].shape) for m in made]
    block = Block(TILES, (ranks[1], ranks[2]), ranks[0], (made,))
    out, *operands = [Read(m.array, (WHOLE,) * r) for m, r in zip(made, ranks, strict=True)]
    return Equation(out.array, out.indices, "=", block, tuple(operands), ())


def write_tiles(
    code: Code,
    places: tuple[Place, Place, Place],
    sizes: tuple[Extent, ...],
    dtype: str,
    is_transposed: tuple[bool, bool],
) -> None:
    """Write a product for all threads.

    Parameters
    ----------
    code : Code
    places : tuple of Place
        Of the result, and of the left and the right matrix.
    sizes : tuple of Extent
        How many products there are, and their rows, terms and columns.
    dtype : str
    is_transposed : tuple of bool
        Whether the left and the right matrix lie so.
    """
    batch, rows, terms, columns = [_number(code, e) for e in sizes]
    zero, one = _number(code, 0), _number(code, 1)
    arguments = [text for place in places for text in (place.base, place.offset or zero)]
    arguments += [one, rows] if is_transposed[0] else [terms, one]
    arguments += [one, terms] if is_transposed[1] else [columns, one]
    arguments += [batch, rows, terms, columns]
    large, small = (_function(code, n, dtype) for n in PER_THREAD)
    rounds = [f"{name}_rounds({batch}, {rows}, {columns})" for name in (large, small)]
    # A round of large tiles reads shared memory as often as some of small ones.
    with code.block(f"if {PER_THREAD[0] // PER_THREAD[1]}*{rounds[0]} <= {rounds[1]}:"):
        code.add(f"{large}({', '.join(arguments)})")
    with code.block("else:"):
        code.add(f"{small}({', '.join(arguments)})")


def _number(code: Code, extent: Extent) -> str:
    """Write a size as a number of one type: for literals numba compiles a function anew."""
    text = code.extent(extent)
    return f"{code.need('int64')}({text})" if isinstance(extent, int) else text


def _function(code: Code, n: int, dtype: str) -> str:
    """Name the function that multiplies by tiles of `n` rows and columns a thread."""
    code.need(THREADS)
    code.need(dtype)
    zero = constant(code, 0, dtype).text
    return code.helper(f"multiply_{n}_{dtype}", lambda name: _text(name, n, dtype, zero))


def _text(name: str, n: int, dtype: str, zero: str) -> str:
    """Write the function, and one that counts the tiles that a block computes.

    Neighbors among the threads bring neighbors in memory, whichever way a matrix lies; a row of
    shared memory has an element more, so that those of a column lie in different banks. Loops go on
    by ``blockDim`` and end with the terms: the assembler would write all steps of loops whose ends
    it knows, with twice the registers.
    """
    elements = [(i, j) for i in range(n) for j in range(n)]
    lines = [
        f"{name}_across = 2 ** ({THREADS}.bit_length() // 2)",
        f"{name}_down = {THREADS} // {name}_across",
        f"{name}_rows, {name}_columns = {n}*{name}_down, {n}*{name}_across",
        f"{name}_left, {name}_right = {DEPTH}*({name}_rows + 1), {DEPTH}*({name}_columns + 1)",
        "",
        "",
        "@cuda.jit(device=True)",
        f"def {name}_rounds(batch, rows, columns):",
        f"    down = (rows + {name}_rows - 1) // {name}_rows",
        f"    across = (columns + {name}_columns - 1) // {name}_columns",
        "    return (batch*down*across + cuda.gridDim.x - 1) // cuda.gridDim.x",
        "",
        "",
        "@cuda.jit(device=True)",
        f"def {name}(out, out_start, x, x_start, y, y_start, x_row, x_term, y_term, y_column,",
        "        batch, rows, terms, columns):",
        f"    left = cuda.shared.array({name}_left, {dtype})",
        f"    right = cuda.shared.array({name}_right, {dtype})",
        "    here = cuda.threadIdx.x",
        f"    r = here // {name}_across",
        f"    c = here - r*{name}_across",
        f"    across = (columns + {name}_columns - 1) // {name}_columns",
        f"    tiles = (rows + {name}_rows - 1) // {name}_rows * across",
        "    for tile in range(cuda.blockIdx.x, batch*tiles, cuda.gridDim.x):",
        "        b = tile // tiles",
        "        place = tile - b*tiles",
        "        i = place // across",
        f"        j = (place - i*across)*{name}_columns",
        f"        i = i*{name}_rows",
        "        xs = x_start + b*rows*terms + i*x_row",
        "        ys = y_start + b*terms*columns + j*y_column",
        *[f"        s_{i}_{j} = {zero}" for i, j in elements],
        f"        for first in range(0, terms, {DEPTH}):",
        "            cuda.syncthreads()",
        *_strip(f"{name}_rows", "left", "x", ("x_term", "x_row", "rows - i"), zero),
        *_strip(f"{name}_columns", "right", "y", ("y_term", "y_column", "columns - j"), zero),
        "            cuda.syncthreads()",
        f"            for k in range(min({DEPTH}, terms - first)):",
        f"                u = k*({name}_rows + 1) + r",
        f"                v = k*({name}_columns + 1) + c",
        *[f"                x_{i} = left[u + {i}*{name}_down]" for i in range(n)],
        *[f"                y_{j} = right[v + {j}*{name}_across]" for j in range(n)],
        *[f"                s_{i}_{j} = s_{i}_{j} + x_{i}*y_{j}" for i, j in elements],
        "        place = out_start + b*rows*columns + (i + r)*columns + j + c",
    ]
    for i, j in elements:
        is_there = f"i + r + {i}*{name}_down < rows and j + c + {j}*{name}_across < columns"
        lines.append(f"        if {is_there}:")
        moved = f"place + {i}*{name}_down*columns + {j}*{name}_across"
        lines.append(f"            out[{moved}] = s_{i}_{j}")
    return "\n".join([*lines, "", ""])


def _strip(side: str, shared: str, array: str, names: tuple[str, str, str], zero: str) -> list[str]:
    """Write how a strip of a matrix is brought to shared memory, with zeros where it ends."""
    term, other, end = names
    start = f"{array}s"
    return [
        f"            for e in range(here, {DEPTH}*{side}, cuda.blockDim.x):",
        f"                if {term} == 1:",
        f"                    m = e // {DEPTH}",
        f"                    k = e - m*{DEPTH}",
        "                else:",
        f"                    k = e // {side}",
        f"                    m = e - k*{side}",
        f"                w = {zero}",
        f"                if m < {end} and first + k < terms:",
        f"                    w = {array}[{start} + m*{other} + (first + k)*{term}]",
        f"                {shared}[k*({side} + 1) + m] = w",
    ]
