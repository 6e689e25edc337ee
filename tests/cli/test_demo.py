"""The demo tells the truth about every fit, in its table, its JSON and its exit status."""

import dataclasses
import functools
import json
import math

import pytest

from symdiff import nist
from symdiff.cli import measuring, report
from symdiff.cli.main import main
from symdiff.cli.measuring import measure, median_time

_KEYS = {
    "problem": str,
    "start": int,
    "status": str,
    "converged": bool,
    "digits_params": float,
    "digits_stderr": float,
    "n_steps": int,
    "fit_us": float,
    "scipy_digits_params": float,
    "scipy_us": float,
}


@pytest.fixture
def quick(monkeypatch):
    """Don't repeat for timing."""
    once = functools.partial(median_time, least_runs=1, most_runs=1)
    monkeypatch.setattr(measuring, "median_time", once)


def _run_json(argv, capsys):
    status = main(["demo", "--json", *argv])
    return status, json.loads(capsys.readouterr().out)


def test_json_has_just_these_keys_with_these_types(stand_in, quick, capsys):
    status, rows = _run_json(["--only", "Misra1a", "--only", "nelson"], capsys)
    assert status == 0
    assert [(row["problem"], row["start"]) for row in rows] == [
        ("Misra1a", 1),
        ("Misra1a", 2),
        ("Nelson", 1),
        ("Nelson", 2),
    ]
    for row in rows:
        assert {key: type(value) for key, value in row.items()} == _KEYS
        assert row["status"] == "converged"
        assert row["digits_params"] == 11.0
        assert row["n_steps"] == 7


def test_all_problems_are_fitted_from_both_starts(stand_in, quick, capsys):
    status, rows = _run_json([], capsys)
    assert status == 0
    assert [(row["problem"], row["start"]) for row in rows] == [
        (name, start) for name in nist.PROBLEMS for start in (1, 2)
    ]


def test_scipy_that_raises_has_no_digits(stand_in, quick, capsys):
    _, rows = _run_json(["--only", "MGH10"], capsys)
    assert rows[0]["scipy_digits_params"] == 0.0
    assert rows[0]["scipy_us"] > 0
    assert rows[1]["scipy_digits_params"] > 6


def test_a_number_that_is_not_finite_becomes_null(stand_in, quick):
    fit = measure(nist.PROBLEMS["Misra1a"], 1)
    (row,) = json.loads(report.as_json([dataclasses.replace(fit, scipy_us=math.nan)]))
    assert row["scipy_us"] is None


def test_a_fit_that_fails_is_named_and_gives_status_1(stand_in, quick, capsys, monkeypatch):
    monkeypatch.setattr(report, "jacobian", lambda problem: "")
    stand_in.fails = {"BoxBOD"}
    assert main(["demo", "--only", "BoxBOD", "--only", "Rat42"]) == 1
    out = capsys.readouterr().out
    assert "1 of 2 from start 1, 1 of 2 from start 2" in out
    assert (
        "Not solved:\n  BoxBOD from start 1: max_steps\n  BoxBOD from start 2: max_steps\n" in out
    )
    assert "max_steps (!)" in out


def test_a_fit_that_fails_has_no_digits_of_standard_deviations(stand_in, quick, capsys):
    stand_in.fails = {"BoxBOD"}
    status, rows = _run_json(["--only", "BoxBOD"], capsys)
    assert status == 1
    assert [row["converged"] for row in rows] == [False, False]
    assert [row["digits_stderr"] for row in rows] == [0.0, 0.0]


def test_a_wrong_answer_called_converged_is_told_and_gives_status_1(
    stand_in, quick, capsys, monkeypatch
):
    monkeypatch.setattr(report, "jacobian", lambda problem: "")
    stand_in.lies = {"BoxBOD"}
    assert main(["demo", "--only", "BoxBOD"]) == 1
    out = capsys.readouterr().out
    assert "BoxBOD from start 1: converged, but not to the certified answer\n" in out
    assert "0 of 1 from start 1, 0 of 1 from start 2" in out


def test_digits_shown_are_never_rounded_up(stand_in, quick):
    fit = measure(nist.PROBLEMS["Misra1a"], 1)
    almost = dataclasses.replace(fit, digits_params=5.99)
    row = report.as_table([almost]).splitlines()[-1]
    assert not almost.solved
    assert row.split()[:6] == ["Misra1a", "lower", "1", "converged", "(!)", "5.9"]


def test_progress_goes_to_standard_error(stand_in, quick, capsys):
    main(["demo", "--json", "--only", "DanWood"])
    assert capsys.readouterr().err == ("[1/2] DanWood from start 1\n[2/2] DanWood from start 2\n")


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_picture_is_written(suffix, stand_in, quick, capsys, tmp_path):
    path = tmp_path / f"fits.{suffix}"
    stand_in.fails = {"Rat42"}
    names = ["Misra1a", "Nelson", "Rat42"]
    main(["demo", "--json", "--plot", str(path), *(f"--only={name}" for name in names)])
    assert path.stat().st_size > 5000
    assert f"Picture written to {path}" in capsys.readouterr().err


def test_a_call_is_timed_as_often_as_asked():
    calls = []
    assert median_time(lambda: calls.append(1), least_runs=3, most_runs=9, seconds=0) > 0
    assert len(calls) == 3
    median_time(lambda: calls.append(1), least_runs=3, most_runs=9, seconds=60)
    assert len(calls) == 12


def test_the_real_thing(capsys):
    assert main(["demo", "--only", "Misra1a"]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 from start 1, 1 of 1 from start 2" in out
    assert "Not solved: none\n" in out
    assert "df/db2 = b1*x*exp(-b2*x)" in out
