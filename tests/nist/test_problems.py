"""The models are NIST's: at the certified parameters they leave the certified residuals."""

from importlib import resources

import numpy as np
import pytest

from symdiff import nist


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_certified_parameters_give_the_certified_residual_sum(name):
    problem, dataset = nist.PROBLEMS[name], nist.load(name)
    residuals = problem.model(dataset.x, *dataset.params) - dataset.y
    residual_sum = float(residuals @ residuals)
    if name == "Lanczos1":
        # Certified are 1.4e-25; parameters rounded to 11 digits leave 1e-11 a residual.
        assert residual_sum < dataset.y.size * 1e-20
    else:
        assert nist.certified_digits(residual_sum, dataset.residual_sum) > 9


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_certified_parameters_are_a_minimum(name):
    problem, dataset = nist.PROBLEMS[name], nist.load(name)

    def residual_sum(params):
        return float(np.sum((problem.model(dataset.x, *params) - dataset.y) ** 2))

    least = residual_sum(dataset.params)
    for index, deviation in enumerate(dataset.stderr):
        for sign in (-1, 1):
            params = dataset.params.copy()
            params[index] += sign * max(deviation, 1e-8 * abs(params[index]))
            assert residual_sum(params) > least


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_the_registry_agrees_with_the_file(name):
    problem = nist.PROBLEMS[name]
    text = resources.files("symdiff.nist").joinpath("data", f"{name}.dat").read_text()
    assert problem.name == name
    assert f"{problem.difficulty.capitalize()} Level of Difficulty" in text
    assert problem.n_params == nist.load(name).params.size
    assert problem.parameters == tuple(f"b{i + 1}" for i in range(problem.n_params))


def test_problems_come_in_order_of_difficulty():
    levels = [problem.difficulty for problem in nist.PROBLEMS.values()]
    assert levels == sorted(levels, key=["lower", "average", "higher"].index)
