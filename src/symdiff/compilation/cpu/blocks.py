"""What the CPU does for each block: one function of LLVM code a block, most of them a LAPACK call.

A function takes a pointer to the result, the operands (a pointer, or the number itself where a
block takes no axes of it), and the sizes of the axes that it takes whole, operand by operand.
Matrices are contiguous and row by row; LAPACK, which reads columns, sees their transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symdiff.compilation.cpu.assembler import Assembler, Declarer
from symdiff.compilation.cpu.pool import FREE_BLAS, PARALLEL_FOR, QUIET_BLAS, WORKERS
from symdiff.compilation.cpu.values import llvm_type
from symdiff.compilation.status import INDEX, MEMORY, NOT_CONVERGED, NOT_POSITIVE, SINGULAR
from symdiff.program.blocks import BLOCKS, Block

__all__ = [
    "BLAS_PREFIX",
    "BLAS_THREADS",
    "FUNCTIONS",
    "LAPACK_PREFIX",
    "SET_BLAS_THREADS",
    "block_function",
    "callback_function",
]

LAPACK_PREFIX, BLAS_PREFIX = "symdiff_lapack_", "symdiff_blas_"
PANELS = 8
"""In how many parts a large product is computed: of a symmetric one, 8 do 9/16 of the work."""
PANEL_STEP = 64
LONG_PRODUCT = 50_000_000
"""Multiplications from which on a product has panels; they take about 1 ms."""
BLAS_THREADS, SET_BLAS_THREADS = "symdiff_threads_of_blas", "symdiff_set_threads_of_blas"
SMALL = 16
"""Up to so many rows solutions are computed here (see docs/design.md for the crossover)."""


class _Code(Assembler):
    """One block's function for elements of one dtype."""

    def __init__(self, name: str, block: Block, dtype: str, declarer: Declarer) -> None:
        self.dtype = dtype
        self.kind = "i8" if dtype == "bool" else llvm_type(dtype)
        self.block = block
        arguments = ["ptr %out"]
        sizes: list[str] = []
        places = BLOCKS[block.name].places
        for n, rank in enumerate(block.ranks):
            number = "i64" if places and n >= places else self.kind
            arguments.append(f"{'ptr' if rank else number} %x{n}")
            sizes += [f"%n{n}_{axis}" for axis in range(rank)]
        super().__init__(name, [*arguments, *[f"i64 {s}" for s in sizes]], declarer)
        self.before: list[str] = []
        """Functions of its own."""

    def has(self, attribute: str) -> bool:
        """Whether the block has an attribute."""
        return attribute in self.block.attributes

    def lapack(self, name: str, *arguments: str) -> str:
        """Call a routine with pointers to its arguments and one for its result; give the latter."""
        info = self.constant("i32", "0")
        letter = "s" if self.dtype == "float32" else "d"
        pointers = [f"ptr {a}" for a in (*arguments, info)]
        self.call(f"{LAPACK_PREFIX}{letter}{name}", pointers)
        return self.load("i32", info)

    def letter(self, letter: str) -> str:
        """Put a letter in memory."""
        return self.constant("i8", str(ord(letter)))

    def short(self, value: str) -> str:
        """Put a size in memory as LAPACK's integer, at least 1 as leading dimensions must be."""
        return self.constant("i32", self.value(f"trunc i64 {value} to i32"))

    def leading(self, value: str) -> str:
        """Put a leading dimension in memory, which LAPACK wants to be at least 1."""
        return self.short(self.at_least_one(value))

    def at_least_one(self, value: str) -> str:
        """A size, or 1 where there is nothing."""
        self.declarer.declare("llvm.smax.i64", "i64", "i64, i64", pure=False)
        return self.value(f"call i64 @llvm.smax.i64(i64 {value}, i64 1)")

    def less(self, a: str, b: str) -> str:
        """Compare, with NaN behind all numbers."""
        if self.dtype.startswith("float"):
            is_less = self.value(f"fcmp olt {self.kind} {a}, {b}")
            is_last = self.value(f"fcmp uno {self.kind} {b}, {b}")
            is_number = self.value(f"fcmp ord {self.kind} {a}, {a}")
            before_nan = self.value(f"and i1 {is_last}, {is_number}")
            return self.value(f"or i1 {is_less}, {before_nan}")
        sign = "u" if self.dtype.startswith(("u", "bool")) else "s"
        return self.value(f"icmp {sign}lt {self.kind} {a}, {b}")

    def product(self, *sizes: str) -> str:
        """Multiply sizes."""
        total = sizes[0]
        for size in sizes[1:]:
            total = self.value(f"mul i64 {total}, {size}")
        return total

    def smaller(self, a: str, b: str) -> str:
        """The smaller of two sizes."""
        self.declarer.declare("llvm.smin.i64", "i64", "i64, i64", pure=False)
        return self.value(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def work(self, name: str, arguments: Callable[[str, str], tuple[str, ...]], *free: str) -> str:
        """Call a routine twice: for the length of its workspace, then with it."""
        query = self.constant(self.kind, "0.0")
        minus_one = self.constant("i32", "-1")
        self.lapack(name, *arguments(query, minus_one))
        wanted = self.value(f"fptosi {self.kind} {self.load(self.kind, query)} to i64")
        memory = self.allocate(self.kind, wanted, MEMORY, *free)
        info = self.lapack(name, *arguments(memory, self.short(wanted)))
        self.release(memory)
        return info


def _argsort(c: _Code) -> None:
    """Merge sort from the bottom up, of indices."""
    n = "%n0_0"
    other = c.allocate("i64", n, MEMORY)
    source, target = c.variable("ptr", "%out"), c.variable("ptr", other)
    with c.loop(n) as i:
        c.store("i64", i, "%out", i)
    width = c.variable("i64", "1")
    with c.loop_while(lambda: c.value(f"icmp slt i64 {width.get()}, {n}")):
        start = c.variable("i64", "0")
        with c.loop_while(lambda: c.value(f"icmp slt i64 {start.get()}, {n}")):
            low = start.get()
            middle = c.smaller(c.value(f"add i64 {low}, {width.get()}"), n)
            high = c.smaller(c.value(f"add i64 {middle}, {width.get()}"), n)
            _merge(c, source.get(), target.get(), low, middle, high)
            start.set(high)
        before = source.get()
        source.set(target.get())
        target.set(before)
        width.set(c.value(f"shl i64 {width.get()}, 1"))
    with c.when(c.value(f"icmp ne ptr {source.get()}, %out")):
        c.copy("i64", "%out", source.get(), n)
    c.release(other)


def _merge(c: _Code, source: str, target: str, low: str, middle: str, high: str) -> None:
    left, right = c.variable("i64", low), c.variable("i64", middle)
    place = c.variable("i64", low)
    with c.loop_while(lambda: c.value(f"icmp slt i64 {place.get()}, {high}")):
        is_right = c.variable("i1", c.value(f"icmp sge i64 {left.get()}, {middle}"))
        has_left = c.value(f"icmp slt i64 {left.get()}, {middle}")
        has_right = c.value(f"icmp slt i64 {right.get()}, {high}")
        with c.when(c.value(f"and i1 {has_left}, {has_right}")):
            a = c.load(c.kind, "%x0", c.load("i64", source, left.get()))
            b = c.load(c.kind, "%x0", c.load("i64", source, right.get()))
            is_right.set(c.less(b, a))
        takes_right = is_right.get()
        chosen = c.value(f"select i1 {takes_right}, i64 {right.get()}, i64 {left.get()}")
        c.store("i64", c.load("i64", source, chosen), target, place.get())
        step = c.value(f"zext i1 {takes_right} to i64")
        right.set(c.value(f"add i64 {right.get()}, {step}"))
        left.set(c.value(f"add i64 {left.get()}, {c.value(f'sub i64 1, {step}')}"))
        place.set(c.value(f"add i64 {place.get()}, 1"))


def _searchsorted(c: _Code) -> None:
    """Bisection."""
    low, high = c.variable("i64", "0"), c.variable("i64", "%n0_0")
    with c.loop_while(lambda: c.value(f"icmp slt i64 {low.get()}, {high.get()}")):
        total = c.value(f"add i64 {low.get()}, {high.get()}")
        middle = c.value(f"lshr i64 {total}, 1")
        here = c.load(c.kind, "%x0", middle)
        if c.has("right"):
            is_before = c.value(f"xor i1 {c.less('%x1', here)}, true")
        else:
            is_before = c.less(here, "%x1")
        after = c.value(f"add i64 {middle}, 1")
        low.set(c.value(f"select i1 {is_before}, i64 {after}, i64 {low.get()}"))
        high.set(c.value(f"select i1 {is_before}, i64 {high.get()}, i64 {middle}"))
    c.store("i64", low.get(), "%out")


def _recurrence(c: _Code) -> None:
    """``y[i] = a[i]*y[i-1] + b[i]``, or without `a` a running sum."""
    n = "%n0_0"
    is_float = c.dtype.startswith("float")
    add, multiply, zero = ("fadd", "fmul", "0.0") if is_float else ("add", "mul", "0")
    total = c.variable(c.kind, zero)
    with c.loop(n) as i:
        place = i
        if c.has("reversed"):
            last = c.value(f"sub i64 {n}, 1")
            place = c.value(f"sub i64 {last}, {i}")
        so_far = total.get()
        if c.block.name == "recurrence":
            # An empty history is left out, not multiplied: infinity times zero would be NaN.
            product = c.value(f"{multiply} {c.kind} {c.load(c.kind, '%x0', place)}, {so_far}")
            is_first = c.value(f"icmp eq i64 {i}, 0")
            so_far = c.value(f"select i1 {is_first}, {c.kind} {zero}, {c.kind} {product}")
        operand = f"%x{c.block.arity - 1}"
        total.set(c.value(f"{add} {c.kind} {so_far}, {c.load(c.kind, operand, place)}"))
        c.store(c.kind, total.get(), "%out", place)


def _lu(c: _Code) -> None:
    n = "%n0_0"
    elements = c.product(n, n)
    c.copy(c.kind, "%out", "%x0", elements)
    pivots = c.at(c.kind, "%out", elements)
    with c.loop(n) as i:  # what the integers leave of the row
        c.store(c.kind, "0.0", pivots, i)
    c.lapack("getrf", c.short(n), c.short(n), "%out", c.leading(n), pivots)


def _lu_solve(c: _Code) -> None:
    count, n = "%n1_0", "%n1_1"
    with c.loop(n) as i:
        place = c.product(i, c.value(f"add i64 {n}, 1"))
        pivot = c.load(c.kind, "%x0", place)
        c.fail_if(c.value(f"fcmp oeq {c.kind} {pivot}, 0.0"), SINGULAR)
    c.copy(c.kind, "%out", "%x1", c.product(count, n))
    pivots = c.at(c.kind, "%x0", c.product(n, n))
    with c.when(c.value(f"icmp sle i64 {n}, {SMALL}")):
        with c.loop(count) as row:
            _substitute(c, c.at(c.kind, "%out", c.product(row, n)), pivots, n)
        c.add("ret i32 0")
        c.lines.append("small:")  # what follows cannot be reached
    letter = c.letter("N" if c.has("transposed") else "T")
    size, rows = c.short(n), c.leading(n)
    c.lapack("getrs", letter, size, c.short(count), "%x0", rows, pivots, "%out", rows)


def _substitute(c: _Code, x: str, pivots: str, n: str) -> None:
    """Solve in place with small factors, for which LAPACK takes longer to begin than to compute.

    The factors are those of the transpose, by columns: ``p a.T = l u``.
    """
    if c.has("transposed"):
        _exchange(c, x, pivots, n, forward=True)
        _sweep(c, x, n, forward=True, by_columns=False, divides=False)
        _sweep(c, x, n, forward=False, by_columns=False, divides=True)
    else:
        _sweep(c, x, n, forward=True, by_columns=True, divides=True)
        _sweep(c, x, n, forward=False, by_columns=True, divides=False)
        _exchange(c, x, pivots, n, forward=False)


def _sweep(c: _Code, x: str, n: str, *, forward: bool, by_columns: bool, divides: bool) -> None:
    """Solve with one triangle: each unknown from those before it, or behind it."""
    last = c.value(f"sub i64 {n}, 1")
    with c.loop(n) as step:
        i = step if forward else c.value(f"sub i64 {last}, {step}")
        total = c.variable(c.kind, c.load(c.kind, x, i))
        with c.loop(step) as k:
            j = k if forward else c.value(f"sub i64 {last}, {k}")
            row, column = (j, i) if by_columns else (i, j)
            place = c.value(f"add i64 {row}, {c.product(column, n)}")
            factor = c.load(c.kind, "%x0", place)
            product = c.value(f"fmul contract {c.kind} {factor}, {c.load(c.kind, x, j)}")
            total.set(c.value(f"fsub contract {c.kind} {total.get()}, {product}"))
        if divides:
            diagonal = c.product(i, c.value(f"add i64 {n}, 1"))
            pivot = c.load(c.kind, "%x0", diagonal)
            total.set(c.value(f"fdiv {c.kind} {total.get()}, {pivot}"))
        c.store(c.kind, total.get(), x, i)


def _exchange(c: _Code, x: str, pivots: str, n: str, *, forward: bool) -> None:
    """Exchange elements as the rows were."""
    last = c.value(f"sub i64 {n}, 1")
    with c.loop(n) as step:
        i = step if forward else c.value(f"sub i64 {last}, {step}")
        pivot = c.value(f"sext i32 {c.load('i32', pivots, i)} to i64")
        other = c.value(f"sub i64 {pivot}, 1")  # LAPACK counts from one
        mine, theirs = c.load(c.kind, x, i), c.load(c.kind, x, other)
        c.store(c.kind, theirs, x, i)
        c.store(c.kind, mine, x, other)


def _lu_sign(c: _Code) -> None:
    """Minus one for each row that was exchanged for another."""
    n = "%n0_1"
    pivots = c.at(c.kind, "%x0", c.product(n, n))
    sign = c.variable(c.kind, "1.0")
    with c.loop(n) as i:
        pivot = c.value(f"sext i32 {c.load('i32', pivots, i)} to i64")
        own = c.value(f"add i64 {i}, 1")  # LAPACK counts from one
        is_moved = c.value(f"icmp ne i64 {pivot}, {own}")
        opposite = c.value(f"fneg {c.kind} {sign.get()}")
        sign.set(c.value(f"select i1 {is_moved}, {c.kind} {opposite}, {c.kind} {sign.get()}"))
    c.store(c.kind, sign.get(), "%out")


def _cholesky(c: _Code) -> None:
    n = "%n0_0"
    c.copy(c.kind, "%out", "%x0", c.product(n, n))
    info = c.lapack("potrf", c.letter("U"), c.short(n), "%out", c.leading(n))
    c.fail_if(c.value(f"icmp ne i32 {info}, 0"), NOT_POSITIVE)


def _solve_triangular(c: _Code) -> None:
    count, n = "%n1_0", "%n1_1"
    c.copy(c.kind, "%out", "%x1", c.product(count, n))
    triangle = c.letter("L" if c.has("upper") else "U")
    letter = c.letter("N" if c.has("transposed") else "T")
    size, rows = c.short(n), c.leading(n)
    unit = c.letter("N")
    info = c.lapack(
        "trtrs", triangle, letter, unit, size, c.short(count), "%x0", rows, "%out", rows
    )
    c.fail_if(c.value(f"icmp ne i32 {info}, 0"), SINGULAR)


def _eigh(c: _Code) -> None:
    n = "%n0_0"
    vectors = c.at(c.kind, "%out", n)
    c.copy(c.kind, vectors, "%x0", c.product(n, n))
    # 3 + 5 n integers and 1 + 6 n + 2 n**2 numbers, as dsyevd's manual says
    count = c.value(f"add i64 {c.value(f'mul i64 {n}, 5')}, 3")
    integers = c.allocate("i32", count, MEMORY)
    doubled = c.value(f"shl i64 {n}, 1")
    numbers = c.product(n, c.value(f"add i64 {doubled}, 6"))
    length = c.value(f"add i64 {numbers}, 1")
    memory = c.allocate(c.kind, length, MEMORY, integers)
    triangle = c.letter("L" if c.has("upper") else "U")
    info = c.lapack(
        "syevd",
        c.letter("V"),
        triangle,
        c.short(n),
        vectors,
        c.leading(n),
        "%out",
        memory,
        c.short(length),
        integers,
        c.short(count),
    )
    c.release(memory, integers)
    c.fail_if(c.value(f"icmp ne i32 {info}, 0"), NOT_CONVERGED)


def _svd(c: _Code) -> None:
    """LAPACK's left vectors are the right ones of the transpose that it sees."""
    m, n = "%n0_0", "%n0_1"
    k = m if c.has("wide") else n
    copy = c.allocate(c.kind, c.product(m, n), MEMORY)
    c.copy(c.kind, copy, "%x0", c.product(m, n))
    integers = c.allocate("i32", c.value(f"mul i64 {k}, 8"), MEMORY, copy)
    left = c.at(c.kind, "%out", k)
    right = c.at(c.kind, left, c.product(m, k))
    job, rows, columns = c.letter("S"), c.short(n), c.short(m)
    lead, lead_k = c.leading(n), c.leading(k)

    def arguments(memory: str, length: str) -> tuple[str, ...]:
        matrix = (job, rows, columns, copy, lead, "%out", right, lead, left, lead_k)
        return (*matrix, memory, length, integers)

    info = c.work("gesdd", arguments, integers, copy)
    c.release(integers, copy)
    c.fail_if(c.value(f"icmp ne i32 {info}, 0"), NOT_CONVERGED)


def _qr(c: _Code) -> None:
    n, m = "%n0_0", "%n0_1"
    k = m if c.has("wide") else n
    upper = c.at(c.kind, "%out", c.product(k, m))
    c.copy(c.kind, upper, "%x0", c.product(n, m))
    scales = c.allocate(c.kind, k, MEMORY)
    rows, columns, lead, rank = c.short(m), c.short(n), c.leading(m), c.short(k)
    c.work("geqrf", lambda w, length: (rows, columns, upper, lead, scales, w, length), scales)
    c.copy(c.kind, "%out", upper, c.product(k, m))
    c.work("orgqr", lambda w, length: (rows, rank, rank, "%out", lead, scales, w, length), scales)
    c.release(scales)


def _product(c: _Code) -> None:
    """Let a BLAS multiply panel by panel, in threads of ours, with one of its own.

    How a BLAS divides its work depends on the number of its threads, and with it the last bits.
    """
    rows, columns, inner = _product_sizes(c)
    whole = c.value(f"udiv i64 {rows}, {PANELS}")
    whole = c.value(f"add i64 {whole}, {PANEL_STEP}")
    panel = c.value(f"and i64 {whole}, {-PANEL_STEP}")  # of which BLAS' kernels leave no rest
    if not c.has("symmetric"):
        is_long = c.value(f"icmp sgt i64 {c.product(rows, columns, inner)}, {LONG_PRODUCT}")
        panel = c.value(f"select i1 {is_long}, i64 {panel}, i64 {c.at_least_one(rows)}")
    above = c.value(f"add i64 {rows}, {c.value(f'sub i64 {panel}, 1')}")
    count = c.value(f"udiv i64 {above}, {panel}")
    names = _product_names(c)
    table = c.stack(f"[{len(names) + 1} x i64]")
    for n, (kind, name) in enumerate(names):
        c.store(kind, name, c.at("i64", table, str(n)))
    c.store("i64", panel, c.at("i64", table, str(len(names))))
    c.declarer.declare(BLAS_THREADS, "i32", "", pure=False)
    c.declarer.declare(SET_BLAS_THREADS, "void", "i32", pure=False)
    c.call(QUIET_BLAS, [f"ptr @{BLAS_THREADS}", f"ptr @{SET_BLAS_THREADS}"])
    workers = c.call(WORKERS, [f"i64 {count}"], "i64")
    function = f"{c.name}_panel"
    c.call(
        PARALLEL_FOR,
        [f"ptr @{function}", f"ptr {table}", f"i64 {count}", f"i64 {workers}"],
        "i32",
    )
    c.call(FREE_BLAS, [])
    if c.has("symmetric"):
        _mirror(c, rows)
    c.before.append(_panel(c, function))


def _product_sizes(c: _Code) -> tuple[str, str, str]:
    rows, inner = ("%n0_1", "%n0_0") if c.has("left") else ("%n0_0", "%n0_1")
    return rows, "%n1_0" if c.has("right") else "%n1_1", inner


def _product_names(c: _Code) -> list[tuple[str, str]]:
    """The arguments of a product, with their types."""
    return [(kind, name) for kind, name in (a.split() for a in c.arguments)]


def _panel(c: _Code, name: str) -> str:
    """Write the function that computes some rows, or what is below the diagonal in some columns."""
    p = _Code(name, c.block, c.dtype, c.declarer)
    names = _product_names(p)
    p.arguments = ["ptr %table", "i64 %chunk", "i64 %worker"]
    for n, (kind, argument) in enumerate(names):
        p.add(f"{argument} = load {kind}, ptr {p.at('i64', '%table', str(n))}")
    panel = p.load("i64", p.at("i64", "%table", str(len(names))))
    rows, columns, inner = _product_sizes(p)
    first = p.value(f"mul i64 %chunk, {panel}")
    left = p.value(f"sub i64 {rows}, {first}")
    if p.has("symmetric"):
        _multiply(p, first, first, left, p.smaller(panel, left), inner)
    else:
        _multiply(p, first, "0", p.smaller(panel, left), columns, inner)
    return p.text()


def _multiply(c: _Code, row: str, column: str, rows: str, columns: str, inner: str) -> None:
    """Compute some rows and columns. A BLAS sees the transposes, in which order changes too."""
    left, right = "%x0", "%x1"
    left = c.at(c.kind, left, row if c.has("left") else c.product(row, "%n0_1"))
    right = c.at(c.kind, right, c.product(column, "%n1_1") if c.has("right") else column)
    wide = "%n1_0" if c.has("right") else "%n1_1"
    place = c.value(f"add i64 {c.product(row, wide)}, {column}")
    out = c.at(c.kind, "%out", place)
    one, zero = c.constant(c.kind, "1.0"), c.constant(c.kind, "0.0")
    pointers = [
        c.letter("T" if c.has("right") else "N"),
        c.letter("T" if c.has("left") else "N"),
        *(c.short(columns), c.short(rows), c.short(inner)),
        *(one, right, c.leading("%n1_1"), left, c.leading("%n0_1")),
        *(zero, out, c.leading(wide)),
    ]
    letter = "s" if c.dtype == "float32" else "d"
    c.call(f"{BLAS_PREFIX}{letter}gemm", [f"ptr {p}" for p in pointers])


def _mirror(c: _Code, n: str) -> None:
    """Copy what is below the diagonal to above it, in squares that stay in the cache."""
    side = 32
    with c.loop(c.value(f"udiv i64 {c.value(f'add i64 {n}, {side - 1}')}, {side}")) as p:
        top = c.value(f"mul i64 {p}, {side}")
        with c.loop(c.value(f"add i64 {p}, 1")) as q:
            left = c.value(f"mul i64 {q}, {side}")
            with c.loop(c.smaller(c.value(f"sub i64 {n}, {top}"), str(side))) as i:
                row = c.value(f"add i64 {top}, {i}")
                until = c.smaller(c.value(f"sub i64 {row}, {left}"), str(side))
                with c.loop(until) as j:
                    column = c.value(f"add i64 {left}, {j}")
                    value = c.load(c.kind, "%out", _offset(c, row, column, n))
                    c.store(c.kind, value, "%out", _offset(c, column, row, n))


def _offset(c: _Code, row: str, column: str, n: str) -> str:
    return c.value(f"add i64 {c.product(row, n)}, {column}")


def _put(c: _Code) -> None:
    """Copy, unless it is done in place, and set a part."""
    rank, count = c.block.attributes
    with c.when(c.value("icmp ne ptr %out, %x0")):
        c.copy(c.kind, "%out", "%x0", c.product(*[f"%n0_{axis}" for axis in range(rank)]))
    place = "0"
    for axis in range(count):
        is_outside = c.value(f"icmp uge i64 %x{2 + axis}, %n0_{axis}")
        c.fail_if(is_outside, INDEX)
        scaled = c.value(f"mul i64 {place}, %n0_{axis}")
        place = c.value(f"add i64 {scaled}, %x{2 + axis}")
    if count == rank:
        c.store(c.kind, "%x1", "%out", place)
        return
    width = c.product(*[f"%n0_{axis}" for axis in range(count, rank)])
    c.copy(c.kind, c.at(c.kind, "%out", c.product(place, width)), "%x1", width)


FUNCTIONS: dict[str, Callable[[_Code], None]] = {
    "argsort": _argsort,
    "searchsorted": _searchsorted,
    "cumsum": _recurrence,
    "recurrence": _recurrence,
    "lu": _lu,
    "lu_solve": _lu_solve,
    "lu_sign": _lu_sign,
    "cholesky": _cholesky,
    "solve_triangular": _solve_triangular,
    "eigh": _eigh,
    "svd": _svd,
    "qr": _qr,
    "product": _product,
    "put": _put,
}


def block_function(block: Block, dtype: str, declarer: Declarer) -> tuple[str, str]:
    """Write the function of a block for operands of a dtype; give its name and text."""
    numbers = "".join(f"_{a}" for a in block.attributes if isinstance(a, int))
    name = f"block_{block.label}{numbers}_{dtype}"
    code = _Code(name, block, dtype, declarer)
    FUNCTIONS[block.name](code)
    return name, "\n".join([*code.before, code.text()])


def callback_function(
    block: Block, name: str, dtypes: Sequence[str], address: int, declarer: Declarer
) -> str:
    """Write the function of a block that Python computes, at this address of a C function.

    `dtypes` are those of the result and of the operands. Sizes of the result come first.
    """
    kinds = ["i8" if d == "bool" else llvm_type(d) for d in dtypes]
    ranks = (block.rank, *block.ranks)
    arguments = ["ptr %x0"]
    arguments += [
        f"{'ptr' if rank else kind} %x{n}"
        for n, (rank, kind) in enumerate(zip(ranks, kinds, strict=True))
        if n
    ]
    count = sum(ranks)
    arguments += [f"i64 %n{k}" for k in range(count)]
    code = Assembler(name, arguments, declarer)
    table, sizes = code.stack(f"[{len(ranks)} x ptr]"), code.stack(f"[{count} x i64]")
    for n, (rank, kind) in enumerate(zip(ranks, kinds, strict=True)):
        pointer = f"%x{n}"
        if n and not rank:
            pointer = code.constant(kind, pointer)
        code.store("ptr", pointer, table, str(n))
    for k in range(count):
        code.store("i64", f"%n{k}", sizes, str(k))
    function = code.value(f"inttoptr i64 {address} to ptr")
    status = code.value(f"call i32 {function}(ptr {table}, ptr {sizes})")
    code.add(f"ret i32 {status}")
    code.lines.append("after:")  # which nothing reaches
    return code.text()
