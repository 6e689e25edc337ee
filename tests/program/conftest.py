"""Programs written by hand, so that these tests need no tracer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.affine import Affine, identity, index
from symdiff.program.equations import ArrayType, Equation, IndexValue, Literal, Read
from symdiff.program.patterns import pattern, placeholder
from symdiff.program.program import Program
from symdiff.program.sizes import symbol

n = symbol("n")
p0, p1, p2 = (placeholder(i) for i in range(3))
i, j = index(0), index(1)


def read(array, *indices):
    return Read(array, indices)


def number(value, dtype="float64"):
    return Literal(value, dtype)


def equation(array, expression, operands, *, extents=(), target=None, operator="="):
    return Equation(
        array,
        identity(len(extents)) if target is None else tuple(target),
        operator,
        pattern(sp.sympify(expression), len(operands)),
        tuple(operands),
        tuple(extents),
        ("user.py", 3),
    )


def program(inputs, outputs, equations, *, temporaries=None, constants=None, dtypes=None):
    """Make a Program; shapes are given by name, dtypes are float64 unless given."""
    constants = constants or {}
    dtypes = dtypes or {}
    shapes = {**inputs, **outputs, **(temporaries or {})}
    types = {name: ArrayType(s, dtypes.get(name, "float64")) for name, s in shapes.items()}
    types |= {name: ArrayType(c.shape, c.dtype.name) for name, c in constants.items()}
    return Program("f", tuple(inputs), tuple(outputs), types, tuple(equations), constants, ())


def total():
    """``sum(exp(x) * x)``."""
    return program(
        {"x": (n,)},
        {"y": ()},
        [
            equation("t", sp.exp(p0), [read("x", i)], extents=(n,)),
            equation("u", p0 * p1, [read("t", i), read("x", i)], extents=(n,)),
            equation("y", p0, [read("u", i)], extents=(n,), target=(), operator="+="),
        ],
        temporaries={"t": (n,), "u": (n,)},
    )


def scalar(expression, *names):
    """One equation over scalars."""
    operands = [read(name) for name in names]
    is_truth = isinstance(expression, sp.logic.boolalg.Boolean) and not expression.is_Symbol
    return program(
        dict.fromkeys(names, ()),
        {"y": ()},
        [equation("y", expression, operands)],
        dtypes={"y": "bool"} if is_truth else {},
    )


def gather():
    """``x[c] * w``, and a difference of neighbours after it."""
    c = np.array([2, 0, 1, 2])
    return program(
        {"x": (3,), "w": ()},
        {"y": (3,)},
        [
            equation("t", p0 * p1, [read("x", read("c", i)), read("w")], extents=(4,)),
            equation("y", p0 - p1, [read("t", i.shifted(1)), read("t", i)], extents=(3,)),
        ],
        temporaries={"t": (4,)},
        constants={"c": c},
    )


def layer():
    """``max(tanh(x @ W), axis=1)``."""
    return program(
        {"x": (n, 3), "W": (3, 2)},
        {"y": (n,)},
        [
            equation(
                "t",
                p0 * p1,
                [read("x", i, index(2)), read("W", index(2), j)],
                extents=(n, 2, 3),
                target=(i, j),
                operator="+=",
            ),
            equation("u", sp.tanh(p0), [read("t", i, j)], extents=(n, 2)),
            equation("y", p0, [read("u", i, j)], extents=(n, 2), target=(i,), operator="max="),
        ],
        temporaries={"t": (n, 2), "u": (n, 2)},
    )


@pytest.fixture(scope="session")
def make():
    """Give the builders above and the words to write more."""
    return SimpleNamespace(
        Affine=Affine,
        IndexValue=IndexValue,
        equation=equation,
        fn=fn,
        gather=gather,
        i=i,
        j=j,
        layer=layer,
        n=n,
        number=number,
        p0=p0,
        p1=p1,
        p2=p2,
        program=program,
        read=read,
        scalar=scalar,
        total=total,
    )
