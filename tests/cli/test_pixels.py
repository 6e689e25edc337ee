"""The demo of a fit a pixel: its figures are those of its data, and its picture is drawn."""

import json

import numpy as np
import pytest

from symdiff.cli import pixels
from symdiff.cli.main import main


@pytest.fixture
def small(monkeypatch):
    whole = pixels.make_series
    monkeypatch.setattr(pixels, "make_series", lambda: whole(side=64))


def test_text(small, capsys):
    assert main(["demo", "pixels"]) == 0
    text = capsys.readouterr().out
    assert "made, not measured" in text
    assert "4096 fits" in text


def test_json(small, capsys):
    assert main(["demo", "pixels", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["n_pixels"] == 4096
    assert row["converged_percent"] > 99
    assert row["median_error"] == pytest.approx(row["predicted_error"], rel=0.1)
    assert row["fits_per_s"] == pytest.approx(4096 / row["fit_s"])


def test_wrong_errors_are_a_failure(small, monkeypatch, capsys):
    right = pixels.decay
    monkeypatch.setattr(pixels, "decay", lambda time, density, t2: right(time, density, 1.5 * t2))
    assert main(["demo", "pixels"]) == 1


def test_picture(small, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "map.png"
    assert main(["demo", "pixels", "--plot", str(path)]) == 0
    assert path.stat().st_size > 10_000


def test_only_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["demo", "pixels", "--only", "Misra1a"])
    assert exit_.value.code == 2
    assert "--only" in capsys.readouterr().err


def test_the_series_is_what_it_says():
    series = pixels.make_series(side=64)
    signal = pixels.decay(series.times, series.density[:, None], np.maximum(series.t2, 1)[:, None])
    assert np.std(series.pictures - signal) == pytest.approx(pixels.NOISE, rel=0.02)
