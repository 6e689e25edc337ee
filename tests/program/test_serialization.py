"""What comes back is what was saved, and what was not saved by us is refused."""

import copy
import dataclasses
import json
import math
import os
import time

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import symdiff as sd
from symdiff.errors import CacheError, UnsupportedOperationError
from symdiff.program import functions as fn
from symdiff.program.blocks import Block
from symdiff.program.equations import Equation, Literal
from symdiff.program.nested import Branch, Loop, Run
from symdiff.program.pattern_data import _KINDS, dump_pattern, load_pattern
from symdiff.program.patterns import pattern, placeholder
from symdiff.program.program import Guard, Program
from symdiff.program.serialization import digest, load_dict, save, to_dict

p0, p1, p2 = (placeholder(i) for i in range(3))

PATTERNS = [
    p0,
    -p0,
    p0 - p1,
    p0 / p1,
    1 / p0,
    p0**2,
    sp.sqrt(p0),
    p0 ** sp.Rational(-3, 2),
    p0 * (1 - p1**2),
    2 * p0 * sp.exp(-(p1**2)) / sp.sqrt(sp.pi),
    sp.exp(p0) * sp.log(p1),
    p0 * sp.Float(0.1) + sp.Float("inf"),
    p0 + sp.pi + sp.E + sp.EulerGamma,
    sp.Integer(1),
    sp.Rational(1, 3),
    sp.nan,
    -sp.oo,
    sp.true,
    sp.atan2(p0, p1),
    sp.polygamma(2, p0),
    fn.Select(p0 > p1, p0, fn.Select(sp.Eq(p0, p1), sp.Rational(1, 2), 0)),
    fn.Select(p0, p1, p2),
    fn.Select(fn.IsNan(p0), p0, 1),
    sp.And(p0 < 1, sp.Or(p1 >= 2, sp.Not(sp.Ne(p0, p1)))),
    sp.Xor(p0, p1),
    sp.Not(p0),
    fn.Power(p0, p1 - 1),
    fn.Polygamma(1, p0),
    fn.CopySign(1, p1) * fn.Sign(p0),
    fn.log1p(p0) * fn.exp2(p0) + fn.log10(p1),
    sp.Add(p0, -p0, evaluate=False),
    sp.Mul(p0, sp.Pow(p0, -1, evaluate=False), evaluate=False),
    sp.exp(sp.log(p0), evaluate=False),
]


@pytest.mark.parametrize("expression", PATTERNS, ids=str)
def test_patterns_come_back_as_themselves(expression):
    before = pattern(expression, 3)
    data = json.loads(json.dumps(dump_pattern(before)))
    assert load_pattern(data) is before


SMALL = st.recursive(
    st.sampled_from([p0, p1, p2])
    | st.integers(-3, 3).map(sp.Integer)
    | st.floats(0.1, 9).map(sp.Float),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a: a**2, inner),
        st.builds(sp.sin, inner),
        st.builds(fn.Maximum, inner, inner),
        st.builds(lambda a, b: fn.Select(sp.Lt(p0, p1), a, b), inner, inner),
    ),
    max_leaves=10,
)


@given(SMALL)
def test_any_pattern_comes_back_as_itself(expression):
    before = pattern(expression, 3)
    assert load_pattern(json.loads(json.dumps(dump_pattern(before)))) is before


@pytest.mark.parametrize("name", sorted(_KINDS))
def test_whatever_can_be_loaded_can_be_lowered(name):
    operands = [["p", k] for k in range(_KINDS[name].least)]
    assert load_pattern([4, [name, *operands]]).steps


def test_a_users_function_cannot_be_saved():
    with pytest.raises(UnsupportedOperationError, match="besselj is not one of them"):
        dump_pattern(pattern(sp.besselj(0, p0), 1))
    exp = type("exp", (sp.Function,), {})
    with pytest.raises(UnsupportedOperationError):
        dump_pattern(pattern(exp(p0), 1))


BAD_PATTERNS = [
    ("exp(p0)", "list of arity"),
    ([1, "p0"], "starts with a name"),
    ([1, ["p", 1]], "operand 1 of a pattern with 1"),
    ([1, ["p", -1]], "operand"),
    ([1, ["p", True]], "operand"),
    ([-1, ["p", 0]], "0 to 1000 operands"),
    ([1, ["eval", ["p", 0]]], "unknown function 'eval'"),
    ([1, ["Lambda", ["p", 0]]], "unknown function"),
    ([1, ["exp"]], "exp with 0 arguments"),
    ([1, ["exp", ["p", 0], ["p", 0]]], "exp with 2 arguments"),
    ([1, ["int", "1"]], "whole number"),
    ([1, ["ratio", 1, 0]], "ratio"),
    ([1, ["float", "import os"]], "hexadecimal"),
    ([1, ["float", 1.5]], "hexadecimal"),
    ([1, ["exp", ["true"]]], "exp of a truth"),
    ([1, ["Add", ["StrictLessThan", ["p", 0], ["int", 1]], ["p", 0]]], "Add of a truth"),
    ([1, ["And", ["int", 5], ["p", 0]]], "And of a number"),
    ([1, ["pi", 3]], "unknown function 'pi'"),
]


@pytest.mark.parametrize(("data", "message"), BAD_PATTERNS, ids=[str(d) for d, _ in BAD_PATTERNS])
def test_bad_patterns_are_refused(data, message):
    with pytest.raises(CacheError, match=message):
        load_pattern(data)


def test_deep_patterns_are_refused():
    expression = ["p", 0]
    for _ in range(500):
        expression = ["sin", expression]
    with pytest.raises(CacheError, match="200 deep"):
        load_pattern([1, expression])


def rich(make):
    """Make a Program with one of everything."""
    n = make.n
    base = make.layer()
    extra = make.equation(
        "z",
        p0 * p1 + p2,
        [
            make.read("x", make.i.scaled(-1).shifted(n - 1), make.read("c", make.j)),
            make.IndexValue(make.i.scaled(n).shifted(2)),
            make.number(-0.0),
        ],
        extents=(n, 4),
    )
    shape = base.types["t"]._replace(shape=(n, 4))
    c = np.array([0, 2, 1, 1], dtype=np.int32)
    w = np.array([[0.1, np.nan], [-0.0, np.inf]], dtype=np.float32)
    constants = {"c": c, "w": w, "b": np.array(True), "e": np.zeros((0, 3))}
    types = {**base.types, "z": shape}
    types |= {k: shape._replace(shape=v.shape, dtype=v.dtype.name) for k, v in constants.items()}
    return base.replace(
        outputs=("y", "z"),
        types=types,
        equations=(*base.equations, extra._replace(location=None)),
        constants=constants,
        guards=(Guard(n - 3, ">="),),
    )


def test_a_program_comes_back_equal(make):
    before = rich(make)
    after = Program.from_dict(json.loads(json.dumps(before.to_dict(), allow_nan=False)))
    for part in ("name", "inputs", "outputs", "types", "equations", "guards"):
        assert getattr(after, part) == getattr(before, part)
    assert all(
        a.pattern is b.pattern for a, b in zip(after.equations, before.equations, strict=True)
    )
    assert math.copysign(1, after.equations[-1].operands[2].value) == -1
    assert list(after.constants) == list(before.constants)
    for name, data in before.constants.items():
        loaded = after.constants[name]
        assert loaded.dtype == data.dtype
        assert loaded.shape == data.shape
        assert loaded.tobytes() == data.tobytes()
        assert not loaded.flags.writeable
    assert str(after) == str(before)


@given(st.floats(allow_nan=True) | st.integers() | st.booleans())
def test_literals_come_back_bit_for_bit(make, value):
    equation = make.equation("y", p0, [Literal(value, "float64")])
    before = make.program({}, {"y": ()}, [equation])
    after = Program.from_dict(json.loads(json.dumps(before.to_dict())))
    loaded = after.equations[0].operands[0].value
    assert type(loaded) is type(value)
    assert repr(loaded) == repr(value)


def change(path, value):
    """Make an edit of the data: follow `path`, then put `value` there."""

    def edit(data):
        *steps, last = path
        for step in steps:
            data = data[step]
        if value is DELETE:
            del data[last]
        else:
            data[last] = value

    return edit


DELETE = object()
EDITS = {
    "another format": (change(["format"], "pickle"), "not a saved Program"),
    "another version": (change(["version"], 99), "version 99"),
    "no equations": (change(["equations"], DELETE), "without 'equations'"),
    "equations of another kind": (change(["equations"], {}), "expected a list"),
    "short equation": (change(["equations", 0], ["y"]), "a list of 7"),
    "name of another kind": (change(["name"], 3), "expected a string"),
    "unknown operator": (change(["equations", 0, 2], "**="), r"unknown operator '\*\*='"),
    "pattern out of range": (change(["equations", 0, 3], 99), "pattern 99"),
    "negative pattern": (change(["equations", 0, 3], -1), "at least 0"),
    "undefined array read": (change(["equations", 0, 4, 0, 1], "q"), "'q' is read and has no"),
    "array read before": (change(["equations", 0, 4, 0, 1], "u"), "'u' is read before"),
    "array read by itself": (change(["equations", 1, 4, 0, 1], "u"), "'u' is read before"),
    "input computed": (change(["equations", 0, 0], "x"), "'x'.* is read|which is given"),
    "array without type": (change(["equations", 2, 0], "q"), "'q' is computed and has no type"),
    "output without type": (change(["outputs", 0], "q"), "'q' has no type"),
    "input twice": (change(["inputs", 1], "x"), "twice"),
    "loop out of range": (change(["equations", 0, 4, 0, 2, 0, 1], [[7, 1]]), "loop index 7"),
    "negative loop": (change(["equations", 0, 4, 0, 2, 0, 1], [[-1, 1]]), "at least 0"),
    "zero coefficient": (change(["equations", 0, 4, 0, 2, 0, 1], [[0, 0]]), "out of order"),
    "index too large": (change(["equations", 0, 4, 1, 2, 0, 2], 1), "outside an axis of 'W'"),
    "index too small": (change(["equations", 0, 4, 1, 2, 0, 2], -1), "outside an axis of 'W'"),
    "symbolic index too large": (
        change(["equations", 0, 4, 0, 2, 0, 2], 1),
        "outside an axis of 'x' of n",
    ),
    "missing index": (change(["equations", 0, 4, 0, 2], []), "2 axes and 0 indices"),
    "unknown index": (change(["equations", 0, 4, 0, 2, 0, 0], "call"), "unknown kind of index"),
    "unknown operand": (change(["equations", 0, 4, 0], ["call", "os.system"]), "unknown kind"),
    "too few operands": (change(["equations", 0, 4], []), "0 operands for a pattern of 2"),
    "gather through floats": (change(["equations", 3, 4, 0, 2, 1, 1], "W"), "axes|not of integers"),
    "unknown dtype": (change(["types", "x", 1], "object"), "unknown dtype 'object'"),
    "negative shape": (change(["types", "W", 0, 0], -3), "negative extent"),
    "size of no input": (change(["equations", 0, 5, 0], [[["m"], 1]]), "no input has: m"),
    "size that is no name": (change(["types", "x", 0, 0], [[["n+1"], 1]]), "name of a size"),
    "fractional extent": (change(["equations", 0, 5, 1], 2.0), "whole number"),
    "unknown relation": (change(["guards", 0, 1], "~"), "unknown relation"),
    "file out of range": (change(["equations", 0, 6], [5, 1]), "file 5"),
    "constant of other shape": (change(["constants", "c", "shape"], [3]), "with 16 bytes"),
    "constant of other type": (change(["types", "c", 1], "int64"), "not of its type"),
    "constant not in base64": (change(["constants", "c", "data"], "###"), "not base64"),
    "object constant": (change(["constants", "c", "dtype"], "object"), "unknown dtype"),
    "truth neither 0 nor 1": (change(["constants", "b", "data"], "Ag=="), "neither 0 nor 1"),
    "bad literal": (change(["equations", 3, 4, 2, 1], "os"), "expected a number"),
}


@pytest.mark.parametrize("case", EDITS)
def test_broken_data_are_refused(make, case):
    edit, message = EDITS[case]
    data = json.loads(json.dumps(to_dict(rich(make))))
    Program.from_dict(copy.deepcopy(data))
    edit(data)
    with pytest.raises(CacheError, match=message):
        Program.from_dict(data)


def containers(data):
    """List every place in nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(items):
        yield data, key
        if isinstance(value, dict | list):
            yield from containers(value)


@given(st.data())
def test_any_damage_raises_nothing_but_cache_errors(make, data):
    broken = json.loads(json.dumps(to_dict(rich(make))))
    places = list(containers(broken))
    place, key = places[data.draw(st.integers(0, len(places) - 1))]
    junk = [None, True, -1, 10**30, 1.5, "x", [], {}, [[]], ["p", 0], [[["n"], 2]]]
    place[key] = data.draw(st.sampled_from(junk))
    try:
        program = Program.from_dict(broken)
    except CacheError:
        return
    assert str(program)


def test_files(make, tmp_path):
    path = tmp_path / "program.json"
    save(make.total(), path)
    save(rich(make), path)
    assert str(Program.from_dict(load_dict(path))) == str(rich(make))
    assert os.listdir(tmp_path) == ["program.json"]


def test_files_that_cannot_be_read_or_written(make, tmp_path):
    with pytest.raises(CacheError, match=r"cannot read .*missing"):
        load_dict(tmp_path / "missing")
    with pytest.raises(CacheError, match="cannot write"):
        save(make.total(), tmp_path / "nowhere" / "program.json")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(CacheError, match="cannot write"):
        save(make.total(), tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000], ids=len
)
def test_files_of_other_content(tmp_path, content):
    path = tmp_path / "program.json"
    path.write_bytes(content)
    with pytest.raises(CacheError, match="not a saved Program"):
        load_dict(path)


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("symdiff.program.serialization.MAX_FILE_BYTES", 10)
    path = tmp_path / "program.json"
    path.write_text('{"format": "symdiff program"}')
    with pytest.raises(CacheError, match="larger than 10 bytes"):
        load_dict(path)


def test_constants_beyond_numpy_are_refused(make):
    data = to_dict(rich(make))
    data["constants"]["e"]["shape"] = [0, 10**30]
    with pytest.raises(CacheError, match=r"a constant of shape .* dimension"):
        Program.from_dict(data)


def test_long_programs_load_in_linear_time(make):
    equations = [make.equation(f"t_{k}", sp.sin(p0), [make.read("x")]) for k in range(10_000)]
    temporaries = {e.array: () for e in equations}
    program = make.program({"x": ()}, {"t_0": ()}, equations, temporaries=temporaries)
    start = time.perf_counter()
    after = Program.from_dict(to_dict(program))
    assert time.perf_counter() - start < 2
    assert after.equations == program.equations


# digests


def test_digests_know_every_part_of_a_program():
    """A new field of one of these has to come into `digest` and `to_dict`, or kernels mix up."""
    parts = {
        Program: "name inputs outputs types equations constants guards",
        Loop: "sizes step n_shared n_carried count has_limit has_condition is_reversed",
        Branch: "sizes on_true on_false",
        Run: "sizes program symbol",
        Block: "name ranks rank attributes rule examples",
    }
    for kind, names in parts.items():
        assert " ".join(f.name for f in dataclasses.fields(kind)) == names, kind
    fields = " ".join(Equation._fields)
    assert fields == "array target operator pattern operands extents location"


def test_digests_differ_where_programs_do():
    x, k = np.ones((3, 2)), np.arange(3)

    def long_loop(step):
        def f(x):
            for _ in range(100):
                x = step(x)
            return x

        return f

    programs = [
        sd.trace(lambda x: x + 1, x),
        sd.trace(lambda x: x + 2, x),
        sd.trace(lambda x: x - 1, x),
        sd.trace(lambda x: 1 - x, x),
        sd.trace(lambda x: x + 1, x[:, :1]),
        sd.trace(lambda x: x + 1, x.astype("float32")),
        sd.trace(lambda x: x[:, ::-1], x),
        sd.trace(lambda x: x[1:], x),
        sd.trace(lambda x: x[2:], x),
        sd.trace(lambda x: np.sum(x, axis=1), x),
        sd.trace(lambda x: np.max(x, axis=1), x),
        sd.trace(lambda x: np.min(x, axis=1), x),
        sd.trace(lambda x, k: x[k], x, k),
        sd.trace(lambda x: x + k[:, None], x),
        sd.trace(lambda x: x + k[::-1, None], x),
        sd.trace(lambda x: np.cumsum(x, axis=1), x),
        sd.trace(lambda x: np.cumsum(x[:, ::-1], axis=1), x),
        sd.trace(long_loop(lambda x: x * 0.5), x),
        sd.trace(long_loop(lambda x: x * 0.25), x),
        sd.trace(long_loop(lambda x: x + k[:, None]), x),
        sd.trace(long_loop(lambda x: x + k[::-1, None]), x),
    ]
    assert len({digest(p) for p in programs}) == len(programs)


def test_an_operation_of_the_users_own_has_no_digest():
    own = sd.primitive(lambda x: -x, shape=lambda shape: shape)
    with pytest.raises(sd.UnsupportedOperationError):
        digest(sd.trace(own, np.ones(3)))
