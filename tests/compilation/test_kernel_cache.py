"""Kernels in the disk cache: a second process does not compile; what differs is told apart."""

import enum
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu import artifacts, kernel
from symdiff.compilation.cpu.calls import Call, Given, describe
from symdiff.program.serialization import digest
from symdiff.trees import flatten

FUNCTIONS = """
import sys
import numpy as np
import scipy.special
import symdiff as sd
from symdiff.compilation.cpu import engine, kernel

if sys.argv[1] == "warm":
    def refuse(text):
        raise AssertionError("compiled again:\\n" + text[-500:])
    kernel.compile_object = engine.compile_object = refuse

data = np.linspace(0.0, 1.0, 12).reshape(4, 3)
x, A = np.array([0.3, 0.7, 1.1]), np.array([[2.0, 0.3, 0.0], [0.3, 1.5, 0.2], [0.0, 0.2, 1.0]])

def table(x):
    y = np.zeros(50)
    y[0] = x
    for i in range(1, 50):
        y[i] = np.sin(y[i - 1]) + x
    return y[-1]

def model(x, a, b):
    return a * np.exp(-b * x)

def show(*results):
    for r in results:
        print(repr(r))

def nested(tree, how="mean", scale=None):
    total = np.sum(tree["w"] ** 2) + tree["b"][0]
    return {"loss": total if how == "mean" else 2 * total, "rest": [None, tree["w"] * 2]}

show(
    sd.grad(lambda x, y: x**2 - 2 * x * y, argnums=(0, 1))(2.0, 1.0),
    sd.value_and_grad(lambda x: np.sum(np.tanh(data @ x)))(x),
    sd.jit(nested)({"w": x, "b": (1.5, None)}),
    sd.jit(nested)({"w": x, "b": (1.5, None)}, "max"),
    sd.grad(lambda A: np.linalg.slogdet(A)[1])(A),
    sd.hessian(lambda x: x @ np.linalg.solve(A, np.cos(x)))(x),
    sd.jit(lambda a, b: a @ b)(np.ones((40, 30)), np.ones((30, 20)))[0, 0],
    sd.grad(lambda x: np.sum(scipy.special.jv(0, x) + scipy.special.zeta(2.5, x)))(x),
    sd.grad(table)(0.5),
    sd.jit(lambda x: np.sort(x)[::-1] > 0.5)(x),
    sd.jit(lambda x: x + 1)(np.float32(2)),
    sd.curve_fit(model, x, model(x, 2.0, 0.5), [1.0, 1.0])[0].round(6),
    sd.grad(lambda x: x**3).cfunc(1.0).low_level_callable is not None,
    sd.value_and_grad(lambda x: np.sum(np.sin(x) ** 2))(np.linspace(0.0, 1.0, 100_000)),
)
"""


def run(code, cache_dir, *arguments, seed="0"):
    source = str(Path(sd.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": source, "PYTHONHASHSEED": seed}
    env["SYMDIFF_CACHE_DIR"] = str(cache_dir)
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, env=env, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_second_process_does_not_compile(tmp_path):
    """Whatever the seed of its hashes, and wherever libraries lie in its memory."""
    cold = run(FUNCTIONS, tmp_path, "cold", seed="1")
    assert len(cold.splitlines()) > 15
    assert run(FUNCTIONS, tmp_path, "warm", seed="2") == cold


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Keep kernels in a directory of the test's own; list the modules that are compiled."""
    monkeypatch.setattr(sd.config, "cache_dir", str(tmp_path))
    texts = []
    original = kernel.compile_object

    def compile_object(text):
        texts.append(text)
        return original(text)

    monkeypatch.setattr(kernel, "compile_object", compile_object)
    return texts


def square(scale=1.0):
    return sd.grad(lambda x: scale * x**2)


def test_equal_functions_are_compiled_once(compiled):
    assert [square()(3.0), square()(3.0)] == [6.0, 6.0]
    assert len(compiled) == 1


def test_what_differs_is_compiled(compiled, monkeypatch):
    assert square()(3.0) == 6.0
    assert square(2.0)(3.0) == 12.0  # another number
    assert isinstance(square()(np.float64(3.0)), np.float64)  # another call
    assert square()(3) == 6.0
    assert len(compiled) == 4
    monkeypatch.setattr(sd.config, "precise_math", True)
    assert square()(3.0) == 6.0
    assert len(compiled) == 5


def test_constants_are_part_of_the_key(compiled):
    for k in range(3):
        data = np.full(4, float(k))
        x = np.ones(4)
        assert sd.jit(lambda x, d=data: np.sum(d * x))(x) == 4.0 * k
    assert len(compiled) == 3


def test_constants_in_a_loop_are_part_of_the_key(compiled):
    def function(table):
        def f(x):
            for i in range(100):
                x = x + table[i % 3]
            return x

        return f

    for k in range(2):
        table = np.full(3, float(k))
        assert sd.jit(function(table))(1.0) == 1.0 + 100.0 * k
    assert len(compiled) == 2


def test_results_of_another_structure_are_told_apart(compiled):
    assert sd.jit(lambda x: {"a": x, "b": x})(1.0) == {"a": 1.0, "b": 1.0}
    assert sd.jit(lambda x: {"a": x, "c": x})(1.0) == {"a": 1.0, "c": 1.0}
    assert sd.jit(lambda x: [x, x])(1.0) == [1.0, 1.0]
    assert sd.jit(lambda x: (x, x))(1.0) == (1.0, 1.0)
    assert len(compiled) == 4


def test_keys_that_are_equal_but_other_objects_still_fit(compiled):
    words = ["some", "key"]
    one, other = " ".join(words), " ".join(words)
    assert one is not other
    x = np.ones(3)
    f, g = (sd.jit(lambda d: {k: 2 * v for k, v in d.items()}) for _ in range(2))
    np.testing.assert_array_equal(f({one: x})[one], 2 * x)
    np.testing.assert_array_equal(g({other: x})[one], 2 * x)
    np.testing.assert_array_equal(g({one: x})[one], 2 * x)
    assert len(compiled) == 1


class Color(enum.Enum):
    RED = 1


def test_keys_of_this_process_alone_are_compiled_for_it_alone(compiled, tmp_path):
    for _ in range(2):
        assert sd.jit(lambda d: {Color.RED: d[Color.RED] * 2})({Color.RED: 1.5}) == {Color.RED: 3.0}
    assert len(compiled) == 2
    assert os.listdir(tmp_path) == []


def test_kernels_that_call_python_are_not_kept(compiled, tmp_path):
    for factor in (2.0, 3.0):
        double = sd.primitive(lambda x, k=factor: k * np.asarray(x), shape=lambda shape: shape)
        np.testing.assert_array_equal(sd.jit(lambda x, f=double: f(x) + 1)(np.ones(2)), factor + 1)
    assert len(compiled) == 2
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_broken_entry_is_made_again(content, compiled, tmp_path):
    assert square()(3.0) == 6.0
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] if content is None else content)
    assert square()(4.0) == 8.0
    assert len(compiled) == 2
    assert square()(5.0) == 10.0
    assert len(compiled) == 2


def test_other_versions_and_machines_have_other_keys(monkeypatch):
    program = sd.trace(lambda x: x * 2, 1.0)
    keys = {artifacts.key_of(program, None)}
    for name in ("machine_name", "_source_digest"):
        monkeypatch.setattr(artifacts, name, lambda name=name: f"another {name}")
        artifacts._environment.cache_clear()
        keys.add(artifacts.key_of(program, None))
    monkeypatch.setattr(artifacts, "__version__", "0.0.0")
    artifacts._environment.cache_clear()
    keys.add(artifacts.key_of(program, None))
    artifacts._environment.cache_clear()
    assert len(keys) == 4


def test_the_state_of_the_source_is_part_of_the_key(tmp_path, monkeypatch):
    (tmp_path / "compilation").mkdir()
    file = tmp_path / "compilation" / "lowering.py"
    monkeypatch.setattr(artifacts, "_PACKAGE", tmp_path)
    digests = set()
    for text in ("a = 1", "a = 2"):
        file.write_text(text)
        digests.add(artifacts._source_digest())
    assert len(digests) == 2


def test_where_a_function_stands_in_its_file_is_not_part_of_the_key():
    source = "def f(x):\n    for i in range(100):\n        x = x * 1.5\n    return x\n"
    digests = set()
    for lines in (0, 10):
        namespace = {}
        code = compile("\n" * lines + source, f"file{lines}.py", "exec")
        exec(code, namespace)  # noqa: S102 - of the text above
        digests.add(digest(sd.trace(namespace["f"], 1.0)))
    assert len(digests) == 1


def test_a_call_is_described_by_all_that_its_code_depends_on():
    leaves, tree = flatten(({"a": 1.0}, None, (2.0,)))
    given = [Given("float", "float64") for _ in leaves]
    base = Call(tree, given, flatten(1.0)[1], is_plain=True)
    others = [
        base._replace(arguments=flatten(({"b": 1.0}, None, (2.0,)))[1]),
        base._replace(arguments=flatten(({"a": 1.0}, None, [2.0]))[1]),
        base._replace(given=[given[0], Given("int", "float64")]),
        base._replace(given=[given[0], Given("same", value=True)]),
        base._replace(given=[given[0], Given("same", value="True")]),
        base._replace(results=flatten({"a": 1.0})[1]),
        base._replace(results=flatten({1: 1.0})[1]),
        base._replace(results=flatten({True: 1.0})[1]),
        base._replace(is_plain=False),
    ]
    assert len({repr(describe(c)) for c in [base, *others]}) == len(others) + 1


def test_without_a_directory_everything_works(compiled, monkeypatch):
    monkeypatch.setattr(sd.config, "cache_dir", None)
    assert [square()(3.0), square()(3.0)] == [6.0, 6.0]
    assert len(compiled) == 2
