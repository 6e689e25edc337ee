"""`least_squares` against SciPy's, and on the classic problems."""

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def powell_singular(x):
    return np.array(
        [
            x[0] + 10 * x[1],
            np.sqrt(5.0) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10.0) * (x[0] - x[3]) ** 2,
        ]
    )


def beale(x):
    return np.stack([y - x[0] * (1 - x[1] ** k) for k, y in enumerate((1.5, 2.25, 2.625), 1)])


def wood(x):
    a, b, c, d = x
    return np.array(
        [
            10 * (b - a**2),
            1 - a,
            np.sqrt(90) * (d - c**2),
            1 - c,
            np.sqrt(10) * (b + d - 2),
            (b - d) / np.sqrt(10),
        ]
    )


def helical_valley(x):
    angle = np.arctan2(x[1], x[0]) / (2 * np.pi)
    return np.array([10 * (x[2] - 10 * angle), 10 * (np.hypot(x[0], x[1]) - 1), x[2]])


def brown_badly_scaled(x):
    return np.array([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def linear(x):
    a = np.arange(1.0, 13.0).reshape(4, 3) ** 0.5
    return a @ x - np.ones(4)


# Moré, Garbow, Hillstrom, ACM TOMS 7 (1981) 17: function, start, sum of squares at the minimum.
CLASSICS = [
    (rosenbrock, [-1.2, 1.0], 0.0),
    (powell_singular, [3.0, -1.0, 0.0, 1.0], 0.0),
    (beale, [1.0, 1.0], 0.0),
    (wood, [-3.0, -1.0, -3.0, -1.0], 0.0),
    (helical_valley, [-1.0, 1e-9, 0.0], 0.0),
    (brown_badly_scaled, [1.0, 1.0], 0.0),
]


@pytest.mark.parametrize(("function", "start", "expected"), CLASSICS, ids=lambda v: str(v)[:20])
def test_classics_reach_the_minimum(function, start, expected):
    result = sd.least_squares(function, start)
    assert 2 * result.cost == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("function", [rosenbrock, wood, linear], ids=lambda f: f.__name__)
def test_result_is_scipys(function):
    start = np.full(4 if function is wood else 3 if function is linear else 2, -1.0)
    ours = sd.least_squares(function, start)
    theirs = scipy.optimize.least_squares(function, start, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6)
    np.testing.assert_allclose(ours.cost, theirs.cost, atol=1e-12)
    np.testing.assert_allclose(ours.jac, theirs.jac, rtol=1e-4, atol=1e-6)
    assert ours.jac.shape == theirs.jac.shape
    assert ours.success
    assert ours.status == 1
    for name in ("fun", "grad", "optimality", "active_mask", "nfev", "njev", "message"):
        assert hasattr(ours, name)


X = np.linspace(0.0, 4.0, 30)


def residuals(p, x, y):
    return p[0] * np.exp(-p[1] * x) - y


@pytest.fixture
def spoilt():
    y = 2.0 * np.exp(-0.7 * X) + 0.05 * np.sin(7.0 * X)
    y[[3, 17]] += [2.0, -1.5]
    return y


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "huber", "cauchy", "arctan"])
@pytest.mark.parametrize("f_scale", [0.1, 1.0])
def test_losses_agree_with_scipy(spoilt, loss, f_scale):
    keywords = {"args": (X, spoilt), "loss": loss, "f_scale": f_scale}
    ours = sd.least_squares(residuals, [1.5, 0.5], **keywords)
    theirs = scipy.optimize.least_squares(
        residuals, [1.5, 0.5], xtol=1e-12, ftol=1e-12, gtol=1e-12, **keywords
    )
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-5)
    np.testing.assert_allclose(ours.cost, theirs.cost, rtol=1e-7)


@pytest.mark.parametrize("bounds", [([0, 0], [1.5, 2]), ([2.2, -1], [3, 0.3]), ([0, 0], np.inf)])
def test_bounds_agree_with_scipy(spoilt, bounds):
    start = [np.clip(1.4, *[np.broadcast_to(b, 2)[0] for b in bounds]), 0.2]
    ours = sd.least_squares(residuals, start, bounds=bounds, args=(X, spoilt))
    theirs = scipy.optimize.least_squares(residuals, start, bounds=bounds, args=(X, spoilt))
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-4)
    np.testing.assert_array_equal(ours.active_mask, theirs.active_mask)


def test_static_arguments_and_keywords(spoilt):
    def general(p, x, y, kind, *, power):
        assert kind == "decay"
        return p[0] * np.exp(-((p[1] * x) ** power)) - y

    result = sd.least_squares(general, [1.5, 0.5], args=(X, spoilt, "decay"), kwargs={"power": 1})
    plain = sd.least_squares(residuals, [1.5, 0.5], args=(X, spoilt))
    np.testing.assert_allclose(result.x, plain.x, rtol=1e-8)


def test_new_data_is_not_the_old(spoilt):
    first = sd.least_squares(residuals, [1.5, 0.5], args=(X, spoilt)).x
    second = sd.least_squares(residuals, [1.5, 0.5], args=(X, 2 * spoilt)).x
    np.testing.assert_allclose(second, first * [2.0, 1.0], rtol=1e-7)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"loss": "l1"}, "allowed are linear"),
        ({"jac": lambda x: x}, "leave jac out"),
        ({"f_scale": 0.0}, "positive"),
        ({"method": "bfgs"}, "allowed are"),
    ],
)
def test_misuse_raises_at_once(keywords, match):
    with pytest.raises(ValueError, match=match):
        sd.least_squares(rosenbrock, [1.0, 1.0], **keywords)
