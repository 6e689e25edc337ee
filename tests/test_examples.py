"""The examples run, and the notebook is the article."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import symdiff

EXAMPLES = Path(__file__).parents[1] / "examples"
EXPECTED = {
    "article": ["df = [2.0, -1.0]", "curvature 2", "in_a_loop", "FitResult finished"],
    "linear_regression": ["loss 126.0000", "loss 13.6600", "FitResult finished"],
    "digits": ["epoch 10: loss", "epoch 60: loss", "FitResult finished"],
}


def test_all_examples_are_run():
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {*EXPECTED, "notebook"}


@pytest.mark.parametrize("name", EXPECTED)
def test_example(name):
    env = {**os.environ, "PYTHONPATH": str(Path(symdiff.__file__).parents[1])}
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    for text in EXPECTED[name]:
        assert text in done.stdout


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("notebook", EXAMPLES / "notebook.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_notebook_is_current(maker):
    script = maker.SCRIPT.read_text(encoding="utf-8")
    assert maker.NOTEBOOK.read_text(encoding="utf-8") == maker.notebook(script), (
        "run python examples/notebook.py"
    )


def test_notebook_is_of_format_4_and_its_cells_are_the_script(maker):
    whole = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))
    assert (whole["nbformat"], whole["nbformat_minor"]) == (4, 5)
    assert whole["metadata"]["kernelspec"]["name"] == "python3"
    assert len({c["id"] for c in whole["cells"]}) == len(whole["cells"])
    for cell in whole["cells"]:
        rest = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"id", "cell_type", "metadata", "source"} | rest
    code = ["".join(c["source"]) for c in whole["cells"] if c["cell_type"] == "code"]
    script = maker.SCRIPT.read_text(encoding="utf-8")
    lines = [x for x in script.splitlines() if x and not x.startswith("#")]
    assert [x for text in code for x in text.splitlines() if x] == lines
