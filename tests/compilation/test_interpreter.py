"""The interpreter gives, bit for bit, what machine code of the same operation gives."""

import itertools
import math

import numpy as np
import pytest
import sympy as sp

import symdiff as sd
from symdiff.compilation.cpu.instructions import ARITIES, table_of
from symdiff.compilation.cpu.interpreter import Interpreted
from symdiff.compilation.cpu.kernel import compile_program
from symdiff.program import functions as fn
from symdiff.program.equations import ArrayType, Equation, Read
from symdiff.program.patterns import _FUNCTIONS, pattern, placeholder
from symdiff.program.program import Program
from symdiff.tracing.operations import UFUNCS, scipy_ufuncs

NAN, INF = math.nan, math.inf
CORNERS = (0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 7.0, 1e300, -5e-324, 709.9, INF, -INF, NAN)
LOGIC = ("and", "or", "xor", "not")

p0, p1, p2 = (placeholder(n) for n in range(3))
EXPRESSIONS = {
    **{
        step: function(*[p0, p1, p2][: ARITIES[step]])
        for function, step in _FUNCTIONS.items()
        if step in ARITIES and step not in ("select", *LOGIC)
    },
    "copy": p0,
    "add": p0 + p1,
    "sub": p0 - p1,
    "mul": p0 * p1,
    "div": p0 / p1,
    "neg": -p0,
    "sqrt": sp.sqrt(p0),
    "and": sp.And(p0 > 0, p1 > 0),
    "or": sp.Or(p0 > 0, p1 > 0),
    "xor": sp.Xor(p0 > 0, p1 > 0),
    "not": sp.Not(p0 > 0),
    "select": fn.Select(p0 > 0, p1, p2),
}


def program_of(expression, arity):
    """A Program of one equation."""
    body = pattern(expression, arity)
    inputs = tuple("abc"[:arity])
    dtype = "bool" if body.is_truth else "float64"
    types = {name: ArrayType((), "float64") for name in inputs} | {"r": ArrayType((), dtype)}
    equation = Equation("r", (), "=", body, tuple(Read(name, ()) for name in inputs), ())
    return Program("f", inputs, ("r",), types, (equation,))


def interpreted(program):
    table = table_of(program)
    assert table is not None
    return Interpreted(program, table)


def assert_same_bits(a, b):
    assert a.dtype == b.dtype
    if a.dtype == bool or not (np.isnan(a) and np.isnan(b)):
        assert a.tobytes() == b.tobytes()


def test_every_operation_is_tested():
    assert EXPRESSIONS.keys() == ARITIES.keys()


@pytest.mark.parametrize("step", ARITIES)
def test_operation_is_that_of_machine_code(step):
    arity = ARITIES[step]
    program = program_of(EXPRESSIONS[step], arity)
    own, native = interpreted(program), compile_program(program)
    for values in itertools.product(CORNERS, repeat=arity):
        inputs = [np.array(v) for v in values]
        for a, b in zip(own(inputs), native(inputs), strict=True):
            assert_same_bits(a, b)


EVERY = {**UFUNCS, **scipy_ufuncs().patterns}


@pytest.mark.parametrize(
    "ufunc", [u for u, p in EVERY.items() if all(s.name in ARITIES for s in p.steps)]
)
def test_operation_is_that_of_numpy(ufunc):
    body = EVERY[ufunc]
    own = interpreted(program_of(body.expression, body.arity))
    for values in itertools.product((0.3, 1.7, -0.6, 0.0, 2.0, NAN), repeat=ufunc.nin):
        (value,) = own([np.array(v) for v in values])
        if ufunc in (np.logical_and, np.logical_or, np.logical_xor, np.logical_not):
            continue  # which are of truth values
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(value, ufunc(*values), rtol=1e-13, atol=1e-300)


def random_function(rng, count):
    """A function of three numbers, with choices and comparisons in it."""
    unary = [np.sin, np.exp, np.tanh, np.sqrt, np.abs, np.floor, np.log1p, np.negative]
    binary = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.arctan2]
    plan = []
    for n in range(count):
        kind = rng.integers(4)
        chosen = rng.integers(n + 3, size=4)
        which = unary[rng.integers(len(unary))] if kind == 0 else binary[rng.integers(len(binary))]
        plan.append((kind, which, chosen, float(np.round(rng.normal(), 2))))

    def f(x, y, z):
        values = [x, y, z]
        for kind, operation, chosen, number in plan:
            a, b, c, d = (values[k] for k in chosen)
            if kind == 0:
                made = operation(a)
            elif kind == 1:
                made = operation(a, number)
            elif kind == 2:
                made = operation(a, b)
            else:
                made = np.where(np.logical_or(a > b, c == number), a * number, d)
            values.append(made)
        return values[-1] + values[-2] * values[-3]

    return f


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed):
    f = random_function(np.random.default_rng(seed), 40)
    program = sd.value_and_grad(f, argnums=(0, 1, 2)).program(0.4, 1.3, -0.7)
    own, native = interpreted(program), compile_program(program)
    for values in ((0.4, 1.3, -0.7), (1.0, 1.0, 1.0), (0.0, -2.0, 30.0), (NAN, 0.5, 0.25)):
        inputs = [np.array(v) for v in values]
        ours = own(inputs)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(ours[0], f(*values), rtol=1e-10)
        for a, b in zip(ours, native(inputs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


def test_truth_values_come_and_go():
    program = sd.trace(lambda x, y: ((x > y) | (x == 0), np.where(x > y, 2.0 * x, y)), 1.0, 2.0)
    own = interpreted(program)
    for values in ((1.0, 2.0), (3.0, 2.0), (0.0, 2.0), (NAN, 1.0)):
        truth, number = own([np.array(v) for v in values])
        assert truth.dtype == bool
        assert truth == (values[0] > values[1] or values[0] == 0)
        assert number == (2 * values[0] if values[0] > values[1] else values[1])


def test_zeros_of_both_signs_are_two_literals():
    program = sd.trace(lambda x: (x * 0.0, np.copysign(x, 0.0), np.copysign(x, -0.0)), 1.0)
    assert [float(v) for v in interpreted(program)([np.array(2.0)])] == [0.0, 2.0, -2.0]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (np.sum, (np.ones(3),)),
        (lambda x: x + 1, (1,)),
        (lambda x: x * 2, (np.float32(1),)),
        (lambda x: np.linalg.det(np.array([[x, 1.0], [1.0, x]])), (1.0,)),
    ],
)
def test_other_programs_are_left_to_machine_code(function, arguments):
    assert table_of(sd.trace(function, *arguments)) is None
