"""What the README and CONTRIBUTING promise is there, and the README's examples are true."""

import doctest
import importlib.util
import json
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")

# A fenced block, with the comment in the line before it, if there is one.
_BLOCK = re.compile(
    r"(?ms)(?:^<!-- (?P<marker>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```"
)


def _blocks(text, language):
    return [found for found in _BLOCK.finditer(text) if found["language"] == language]


def _commands(text, marker):
    (found,) = [block for block in _blocks(text, "sh") if block["marker"] == marker]
    return found["text"].splitlines()


@pytest.mark.parametrize(
    ("marker", "last"),
    [("demo-command", "symdiff demo"), ("test-command", "python -m pytest -n auto")],
)
def test_each_of_the_two_commands_is_one_line_that_starts_from_nothing(marker, last):
    (line,) = _commands(_README, marker)
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert line.endswith(f" && .venv/bin/{last}")


def test_ci_runs_the_commands_of_readme_and_contributing():
    script = (_ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for call in (
        "commands README.md test-command",
        "commands README.md demo-command",
        "commands CONTRIBUTING.md check-commands",
    ):
        assert f"$({call})" in script
    contributing = (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "python -m pytest" in _commands(contributing, "check-commands")


def test_table_is_made_from_the_committed_results():
    spec = importlib.util.spec_from_file_location("report", _ROOT / "benchmarks" / "report.py")
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    path = report.newest()
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert f"`benchmarks/results/{path.name}`" in _README
    assert f"<!-- benchmark-table -->\n{report.table(kept)}\n" in _README


def test_examples():
    run = [b for b in _blocks(_README, "python") if not (b["marker"] or "").startswith("not run")]
    assert len(run) >= 2
    session = doctest.DocTestParser().get_doctest(
        "\n".join(block["text"] for block in run), {}, "README.md", "README.md", 0
    )
    assert session.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    runner.run(session, out=report.append)
    assert runner.failures == 0, "".join(report)
