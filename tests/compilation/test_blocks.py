"""Blocks: kernels give what the reference in NumPy gives, also in generated source."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation import reference
from symdiff.compilation.cpu.blocks import FUNCTIONS
from symdiff.compilation.cpu.kernel import Kernel
from symdiff.compilation.source import compile_source
from symdiff.program.blocks import BLOCKS, Block, core_shape, result_dtype
from symdiff.program.equations import WHOLE, ArrayType, Equation, Read
from symdiff.program.program import Program

rng = np.random.default_rng(5)
SQUARE = rng.normal(size=(4, 4)) + 4 * np.eye(4)
FACTORS = reference.lu(SQUARE)
X = rng.normal(size=9)
TIED = np.array([1.0, np.nan, 0.0, 1.0, -0.0, np.inf, np.nan, -np.inf, 0.0])

TALL, WIDE = rng.normal(size=(70, 5)), rng.normal(size=(5, 11))

CASES = [
    ("argsort", (), (X,)),
    ("argsort", (), (TIED,)),
    ("argsort", (), (rng.integers(0, 50, 1000).astype(float),)),
    ("searchsorted", (), (np.sort(X), np.asarray(X[3]))),
    ("searchsorted", ("right",), (np.sort(X), np.asarray(X[3]))),
    ("searchsorted", (), (np.sort(X), np.asarray(np.nan))),
    ("cumsum", (), (X,)),
    ("cumsum", ("reversed",), (X,)),
    ("recurrence", (), (X, X[::-1].copy())),
    ("recurrence", ("reversed",), (X, X[::-1].copy())),
    ("lu", (), (SQUARE,)),
    ("lu_solve", (), (FACTORS, X[:8].reshape(2, 4))),
    ("lu_solve", ("transposed",), (FACTORS, X[:8].reshape(2, 4))),
    ("lu_sign", (), (FACTORS,)),
    ("solve_triangular", (), (SQUARE, X[:8].reshape(2, 4))),
    ("solve_triangular", ("upper",), (SQUARE, X[:8].reshape(2, 4))),
    ("solve_triangular", ("transposed",), (SQUARE, X[:8].reshape(2, 4))),
    ("solve_triangular", ("upper", "transposed"), (SQUARE, X[:8].reshape(2, 4))),
    ("product", (), (TALL, WIDE)),
    ("product", ("left",), (TALL.T.copy(), WIDE)),
    ("product", ("right",), (TALL, WIDE.T.copy())),
    ("product", ("left", "right"), (TALL.T.copy(), WIDE.T.copy())),
    ("product", ("symmetric", "right"), (TALL, TALL)),
    ("product", ("left", "symmetric"), (TALL, TALL)),
]


def program_of(name, attributes, operands):
    """A Program of one block of whole arrays."""
    kind = BLOCKS[name]
    block = Block(name, kind.ranks, kind.rank, attributes)
    names = [f"x{n}" for n in range(len(operands))]
    types = {n: ArrayType(x.shape, x.dtype.name) for n, x in zip(names, operands, strict=True)}
    shape = core_shape(block, [x.shape for x in operands])
    types["y"] = ArrayType(shape, result_dtype(block, operands[0].dtype.name))
    reads = tuple(Read(n, (WHOLE,) * r) for n, r in zip(names, kind.ranks, strict=True))
    equation = Equation("y", (WHOLE,) * kind.rank, "=", block, reads, ())
    return Program("f", tuple(names), ("y",), types, (equation,))


@pytest.mark.parametrize(("name", "attributes", "operands"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_give_what_the_reference_gives(name, attributes, operands, dtype):
    given = [x.astype(dtype) for x in operands]
    if name in ("lu_solve", "lu_sign") and dtype == "float32":
        given[0] = reference.lu(SQUARE.astype(dtype))
    program = program_of(name, attributes, given)
    (got,) = Kernel(program)(given)
    want = getattr(reference, name)(*given, **dict.fromkeys(attributes, True))
    bound = 1e-12 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(got, want, rtol=bound, atol=bound)
    np.testing.assert_array_equal(compile_source(program)(*given), want)
    loaded = Program.from_dict(program.to_dict())
    np.testing.assert_array_equal(Kernel(loaded)(given)[0], got)


def test_every_block_has_a_function_and_a_reference():
    assert set(FUNCTIONS) == set(BLOCKS)
    assert set(reference.__all__) == set(BLOCKS)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "uint64", "bool", "float32"])
def test_sorting_of_every_dtype(dtype):
    x = rng.integers(0, 2 if dtype == "bool" else 100, size=(3, 50)).astype(dtype)
    np.testing.assert_array_equal(
        sd.jit(np.argsort)(x), np.argsort(x, axis=-1, kind="stable"), strict=True
    )


@pytest.mark.parametrize("n", [0, 1, 2, 3, 16, 17, 1023, 1024, 1025])
def test_sorting_of_every_length(n):
    x = rng.normal(size=n).round(1)
    np.testing.assert_array_equal(sd.jit(np.sort)(x), np.sort(x))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["types"].update(y=[[3], "float64"]),
        lambda d: d["types"].update(y=[[9], "int64"]),
        lambda d: d["patterns"].__setitem__(0, ["block", "cumsum", ["sideways"]]),
        lambda d: d["patterns"].__setitem__(0, ["block", "system", []]),
        lambda d: d["equations"][0].__setitem__(1, [["affine", [], 0]]),
        lambda d: d["equations"][0].__setitem__(2, "+="),
    ],
    ids=["shape", "dtype", "attribute", "name", "target", "operator"],
)
def test_blocks_from_outside_are_doubted(change):
    data = program_of("cumsum", (), (X,)).to_dict()
    change(data)
    with pytest.raises(sd.CacheError):
        Program.from_dict(data)


def test_an_elementwise_equation_takes_no_axis_whole():
    program = sd.trace(np.sin, np.ones(4))
    data = program.to_dict()
    data["equations"][0][4][0][2] = [["whole", None, None]]
    with pytest.raises(sd.CacheError, match="whole"):
        Program.from_dict(data)
