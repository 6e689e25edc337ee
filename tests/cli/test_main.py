"""The command line refuses misuse with status 2 and says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import symdiff
from symdiff.cli.main import main


def _refusal(argv, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"symdiff {symdiff.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--help"], "demo"),
        (["--help"], "bench"),
        (["demo", "--help"], "--only NAME"),
        (["bench", "--help"], "--only CONTESTANT"),
    ],
)
def test_help(argv, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 0
    assert said in capsys.readouterr().out


def test_no_command(capsys):
    assert "COMMAND" in _refusal([], capsys)


def test_unknown_command(capsys):
    assert "'dmeo'" in _refusal(["dmeo"], capsys)


def test_a_problem_misspelt_gets_close_names(capsys):
    message = _refusal(["demo", "--only", "misra"], capsys)
    assert "there is no problem 'misra'; did you mean" in message
    assert "Misra1a" in message


def test_a_problem_unheard_of_gets_all_names(capsys):
    message = _refusal(["demo", "--only", "zzz"], capsys)
    assert "there is no problem 'zzz'; known are Misra1a, " in message


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("fits.txt", "must end in .pdf, .png or .svg"),
        ("nowhere/fits.png", "there is no folder 'nowhere'"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_at_once(
    path, complaint, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert complaint in _refusal(["demo", "--plot", path], capsys)


def test_a_picture_without_matplotlib_names_the_extra(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'symdiff-jit[plot]'" in _refusal(["demo", "--plot", "a.png"], capsys)


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "symdiff", "--version"]
    env = {**os.environ, "PYTHONPATH": str(Path(symdiff.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout == f"symdiff {symdiff.__version__}\n"
