"""A stand-in for the fit, so that the command line can be tested on any outcome at once."""

import numpy as np
import pytest

import symdiff as sd
from symdiff import nist


class StandIn:
    """Answers with the certified values, but for problems that are to go wrong."""

    def __init__(self):
        self.fails = set()
        self.lies = set()

    def curve_fit(self, f, xdata, ydata, p0, full_output=False):
        name, dataset = next(
            (name, dataset)
            for name in nist.PROBLEMS
            for dataset in [nist.load(name)]
            if nist.PROBLEMS[name].model is f and np.array_equal(dataset.y, ydata)
        )
        params, covariance = dataset.params, np.diag(dataset.stderr**2)
        if name in self.fails:
            params, covariance = np.asarray(p0), np.full_like(covariance, np.inf)
        elif name in self.lies:
            params = 1.1 * params
        if not full_output:
            return params, covariance
        converged = name not in self.fails
        info = {
            "nit": 7,
            "status_name": "converged" if converged else "max_steps",
            "converged": converged,
        }
        return params, covariance, info, "", 1 if converged else 5


@pytest.fixture
def stand_in(monkeypatch):
    """Replace ``sd.curve_fit``; fits named in ``fails`` and ``lies`` go wrong."""
    standing_in = StandIn()
    monkeypatch.setattr(sd, "curve_fit", standing_in.curve_fit)
    return standing_in
