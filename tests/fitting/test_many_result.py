"""What `fit_many` gives, told and drawn."""

import sys

import numpy as np
import pytest

import symdiff as sd


@pytest.fixture(scope="module")
def result():
    x = np.arange(6.0)
    y = np.random.default_rng(0).standard_normal((30, 6)) + 2 * x
    y[3, 1:] = np.nan
    return sd.fit_many(lambda x, slope, offset: slope * x + offset, x, y, [1.0, 0.0])


def test_summary(result):
    text = result.summary()
    assert "30 fits of 2 parameters" in text
    assert "29 converged" in text
    assert "1 too_few_points" in text
    assert "slope" in text
    assert "offset" in text


def test_repr(result):
    assert repr(result) == "<FitManyResult: 29 of 30 fits of 2 parameters converged>"
    assert len(result) == 30


def test_plot(result):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra

    axes = result.plot()
    assert [a.get_xlabel() for a in axes] == ["slope", "offset"]
    with pytest.raises(ValueError, match="axes"):
        result.plot(axes[:1])
    plt.close("all")


def test_without_xarray(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="pip install xarray"):
        result.to_xarray()


def test_with_xarray(result):
    pytest.importorskip("xarray")
    data = result.to_xarray()
    np.testing.assert_array_equal(data.params.sel(param="slope"), result.params[:, 0])
