"""``symdiff demo train`` learns to read digits, and says so."""

import json

import pytest

from symdiff.cli import digits
from symdiff.cli.main import main


def test_learns_within_a_second(capsys):
    assert main(["demo", "train", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["status"] == "finished"
    assert facts["test_accuracy"] >= 0.97
    assert facts["epochs"] == len(range(digits.EPOCHS))
    assert facts["seconds"] < 5  # 0.05 on a quiet machine


def test_prints_epochs_times_and_accuracy(capsys):
    assert main(["demo", "train"]) == 0
    text = capsys.readouterr().out
    assert "60 epochs, 720 steps in" in text
    assert "s of compiling" in text
    assert "test accuracy 9" in text


def test_exit_status_when_it_did_not_learn(monkeypatch, capsys):
    monkeypatch.setattr(digits, "EPOCHS", 1)
    assert main(["demo", "train"]) == 1


def test_options_of_the_fits_are_refused():
    with pytest.raises(SystemExit):
        main(["demo", "train", "--only", "Misra1a"])


def test_the_data_are_split_without_overlap():
    data = digits.load()
    assert len(data.x) + len(data.x_test) == 1797
    assert (data.y.sum(axis=1) == 1).all()
