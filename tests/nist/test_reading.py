"""NIST's files are read as NIST means them."""

import re
from importlib import resources

import numpy as np
import pytest

from symdiff import nist


def _text(name):
    return resources.files("symdiff.nist").joinpath("data", f"{name}.dat").read_text()


def test_every_data_file_has_its_problem():
    folder = resources.files("symdiff.nist").joinpath("data")
    files = {entry.name.removesuffix(".dat") for entry in folder.iterdir() if ".dat" in entry.name}
    assert len(files) == 27
    assert files == set(nist.PROBLEMS)


def test_misra1a_in_full():
    dataset = nist.load("Misra1a")
    assert dataset.name == "Misra1a"
    assert (dataset.y[0], dataset.x[0]) == (10.07, 77.6)
    assert (dataset.y[-1], dataset.x[-1]) == (81.78, 760.0)
    np.testing.assert_array_equal(dataset.starts, [[500, 1e-4], [250, 5e-4]])
    np.testing.assert_array_equal(dataset.params, [2.3894212918e2, 5.5015643181e-4])
    np.testing.assert_array_equal(dataset.stderr, [2.7070075241e0, 7.2668688436e-6])
    assert dataset.residual_sum == 1.2455138894e-1
    assert dataset.dof == 12


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_sizes_are_those_that_the_file_states(name):
    dataset, text = nist.load(name), _text(name)
    n_points = int(re.search(r"(\d+) Observations", text)[1])
    n_predictors = int(re.search(r"(\d+) Predictor", text)[1])
    n_params = int(re.search(r"(\d+) Parameters", text)[1])
    assert dataset.y.shape == (n_points,)
    assert dataset.x.shape == ((n_points,) if n_predictors == 1 else (n_predictors, n_points))
    assert dataset.starts.shape == (2, n_params)
    assert dataset.params.shape == dataset.stderr.shape == (n_params,)
    for array in (dataset.x, dataset.y, dataset.starts, dataset.params, dataset.stderr):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert np.isfinite(array).all()


def test_degrees_of_freedom_are_those_printed_except_rat43s():
    printed = {
        name: int(re.search(r"Degrees of Freedom: +(\d+)", _text(name))[1])
        for name in nist.PROBLEMS
    }
    different = {name: dof for name, dof in printed.items() if dof != nist.load(name).dof}
    assert different == {"Rat43": 9}
    assert nist.load("Rat43").dof == 11


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_residual_standard_deviation_agrees_with_the_degrees_of_freedom(name):
    dataset = nist.load(name)
    printed = float(re.search(r"Residual Standard Deviation: +(\S+)", _text(name))[1])
    assert np.sqrt(dataset.residual_sum / dataset.dof) == pytest.approx(printed, rel=1e-10)


def test_nelsons_response_is_a_logarithm_of_two_predictors():
    dataset = nist.load("Nelson")
    assert dataset.y[0] == np.log(15.0)
    np.testing.assert_array_equal(dataset.x[:, 0], [1.0, 180.0])


def test_an_unknown_name_is_refused():
    with pytest.raises(FileNotFoundError, match="Misra9"):
        nist.load("Misra9")


def test_a_file_without_certified_values_is_refused():
    text = _text("Misra1a").replace("b1 =", "c1 =").replace("b2 =", "c2 =")
    with pytest.raises(ValueError, match=r"mine: .*\(no certified values\)"):
        nist.parse("mine", text)
