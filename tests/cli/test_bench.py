"""``symdiff bench`` times what is there, names what is not, and calls no wrong answer right."""

import json
import shutil
from pathlib import Path

import pytest

from symdiff.cli import charts, contests, standings
from symdiff.cli.main import main

_REAL = Path(__file__).parents[2] / "benchmarks"
_WORKLOAD = """
from contest import Case, Skip, Workload

def skips(data):
    raise Skip("it is too slow")

def raises(data):
    raise ValueError("cannot do that")

def dies(data):
    import os
    os._exit(3)

def sleeps(data):
    import time
    return lambda: time.sleep(60)

def check(data, answer):
    assert answer == 2 * data, f"{answer} is not {2 * data}"

WORKLOAD = Workload(
    "W1",
    "doubles",
    [Case("small", lambda: 2, quick=True), Case("large", lambda: 3)],
    {CONTESTANTS},
    check,
    limit=("bound",),
)
"""
_RIGHT = '"symdiff": lambda x: lambda: 2 * x, "bound": lambda x: lambda: x + x'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a folder of benchmarks with one workload of these contestants."""
    monkeypatch.setattr(contests, "_CACHES", ())

    def make(contestants=_RIGHT):
        made = tmp_path / "benchmarks"
        made.mkdir()
        shutil.copy(_REAL / "measure.py", made)
        contest = (_REAL / "contest.py").read_text(encoding="utf-8")
        assert '"symdiff": "symdiff"' in contest  # whose import would take most of the tests' time
        contest = contest.replace('"symdiff": "symdiff"', '"symdiff": "json"')
        (made / "contest.py").write_text(contest, encoding="utf-8")
        text = _WORKLOAD.replace("{CONTESTANTS}", "{" + contestants + "}")
        (made / "w01_doubles.py").write_text(text, encoding="utf-8")
        return made

    return make


def _run(folder, *argv):
    return main(["bench", "--quick", "--folder", str(folder), *argv])


def test_times_ratios_and_json(folder, capsys, tmp_path):
    path = tmp_path / "results.json"
    assert _run(folder(), "w1", "--json", str(path)) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("W1 doubles: small\n")
    rows = {line.split()[0]: line for line in captured.out.splitlines()[2:4]}
    assert "bound (limit)" in rows["bound"]
    assert " 1.00 " in rows["symdiff"]
    assert captured.err.splitlines() == ["[1/2] W1 small: symdiff", "[2/2] W1 small: bound"]
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["threads"] == 1
    assert kept["versions"]["numpy"]
    ours, bound = kept["results"]
    assert (ours["contestant"], ours["status"], ours["limit"]) == ("symdiff", "ok", False)
    assert bound["limit"]
    assert 0 < ours["min_us"] <= ours["median_us"] < 1e4
    assert ours["first_s"] > 0
    assert "second_process_s" not in ours
    assert ours["memory_mb"] > 10


def test_a_second_process_is_for_those_that_keep_kernels_on_disk(folder):
    made = folder()
    ours, bound = (
        contests.measure(made, entry, seconds=0.01, timeout=60)
        for entry in contests.entries(contests.catalogue(made), quick=True)
    )
    assert ours["second_process_s"] > 0
    assert "second_process_s" not in bound


def test_large_cases_are_left_out_in_a_hurry(folder, capsys):
    made = folder('"symdiff": lambda x: lambda: 2 * x')
    assert len(contests.entries(contests.catalogue(made), quick=False)) == 2
    assert len(contests.entries(contests.catalogue(made), quick=True)) == 1


@pytest.mark.parametrize(
    ("contestant", "status", "note"),
    [
        ('"numpy": skips', 0, "skipped: W1 numpy, it is too slow (small)"),
        ('"numpy": raises', 1, "failed: W1 numpy, ValueError: cannot do that (small)"),
        ('"numpy": lambda x: lambda: 5', 1, "wrong: W1 numpy, 5 is not 4 (small)"),
        ('"numpy": dies', 1, "failed: W1 numpy, the process ended with status 3: "),
    ],
)
def test_what_has_no_time_is_told(folder, capsys, contestant, status, note):
    assert _run(folder(f'{contestant}, "symdiff": lambda x: lambda: 4')) == status
    out = capsys.readouterr().out
    assert note in out
    assert "symdiff" in out


def test_what_takes_too_long_is_stopped(folder):
    made = folder('"numpy": sleeps')
    (entry,) = contests.entries(contests.catalogue(made), quick=True)
    found = contests.measure(made, entry, seconds=0.1, timeout=2)
    assert found == {"status": "timeout", "reason": "not done in 2 s"}


def test_a_package_that_is_not_installed_is_named_once(folder, capsys):
    made = folder('"symdiff": lambda x: lambda: 4, "heyoka": raises, "heyoka twice": raises')
    contest = made / "contest.py"
    text = contest.read_text(encoding="utf-8").replace('"heyoka": "heyoka"', '"heyoka": "no_such"')
    contest.write_text(text, encoding="utf-8")
    assert _run(made) == 0
    assert capsys.readouterr().out.endswith("\nskipped: no_such is not installed\n")


def test_check_runs_each_once_and_tells_a_wrong_answer(folder, capsys):
    made = folder(f'{_RIGHT}, "numpy": lambda x: lambda: 5')
    assert main(["bench", "--check", "--folder", str(made)]) == 1
    out = capsys.readouterr().out
    assert "right: symdiff, bound\n" in out
    assert "wrong: W1 numpy, 5 is not 4 (small)\n" in out
    only = ["--only", "symdiff"]
    assert main(["bench", "--check", "--folder", str(made), *only]) == 0
    assert "right: symdiff\n" in capsys.readouterr().out


def test_check_tells_of_a_process_that_ends(folder, capsys):
    assert main(["bench", "--check", "--folder", str(folder('"numpy": dies'))]) == 1
    assert "the process ended with status 3" in capsys.readouterr().out


def test_only_some_contestants(folder, capsys):
    assert _run(folder(), "--only", "symdiff") == 0
    assert "bound" not in capsys.readouterr().out


def test_list_of_the_real_workloads(capsys):
    assert main(["bench", "--list"]) == 0
    out = capsys.readouterr().out
    for number in (*range(1, 13), "9b", 14, 15):
        assert f"W{number} " in out
    assert "contestants: symdiff, C, numba, jax" in out


def test_one_real_workload(capsys):
    assert main(["bench", "--quick", "W1", "--only", "symdiff"]) == 0
    assert capsys.readouterr().out.startswith("W1 gradient of two numbers: two floats\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["w99"], "there is no workload 'w99'; known are W1"),
        (["--only", "matlab"], "there is no contestant 'matlab'; known are bound, symdiff"),
        (["--json", "nowhere/a.json"], "there is no folder 'nowhere'"),
        (["--png", "nowhere"], "there is no folder 'nowhere'"),
    ],
)
def test_misuse(folder, argv, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "--folder", str(folder()), *argv])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_without_a_clone_it_says_where_the_benchmarks_are(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "--folder", str(tmp_path), "--list"])
    assert exit_.value.code == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "part of symdiff's repository" in message
    assert "--folder" in message


def test_pictures(tmp_path):
    row = {"workload": "W1", "title": "t", "status": "ok", "limit": False}
    results = [
        {**row, "case": case, "contestant": name, "median_us": us}
        for case in ("a", "b")
        for name, us in (("symdiff", 1.0), ("jax", 1e6))
    ]
    (path,) = charts.draw([*results, {**row, "status": "wrong"}], tmp_path)
    assert path == tmp_path / "W1.png"
    assert path.stat().st_size > 5000


def test_pictures_without_matplotlib_name_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'symdiff-jit[plot]'" in charts.complaint(tmp_path)


def test_the_machine_is_named_where_there_is_no_list_of_processors(monkeypatch):
    monkeypatch.setattr(standings, "Path", lambda _: Path("/nowhere"))
    assert standings.record([], quick=True)["machine"].split(",")[0]
